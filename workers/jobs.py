"""The functions that a job may name, and the job class that looks them up. Nothing else is run, or imported, for a
job.

Each takes one JSON object and returns one. What they need of the process around them they get from
`runtime.current()`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Any, ClassVar

from killswitch import Blocked, Code
from workers import logs, wiring
from workers.allow import CANCEL_ORDERS, RUN_ENGINE, SUBMIT_ORDER, FleetJob, JobFunction
from workers.broker import BrokerError, GuardedBroker
from workers.domain import Order, Side
from workers.recorder import JsonLinesRecorder
from workers.report import Ending
from workers.runtime import JobRuntime, StopReason, current
from workers.spec import CancelSpec, EngineSpec, IntentSpec, parse

__all__ = ["WorkerJob", "cancel_orders", "intent", "run_engine", "submit_order"]

_FIRST_ANSWER_S = 1.0
_venues = wiring.Venues()
_log = logs.get()

Document = dict[str, Any]


def run_engine(document: Document) -> Document:
    """Runs one engine until its feed ends or it is told to stop; returns its report.

    Raises:
        InvalidInput: the specification or a file of its feed is wrong.
        OSError: the events file cannot be opened.
    """
    spec = parse(EngineSpec, document)
    runtime = current()
    feed = wiring.build_feed(spec)  # what is wrong with it is said before anything is started
    with ExitStack() as stack:
        recorder = wiring.build_recorder(spec)
        if isinstance(recorder, JsonLinesRecorder):
            stack.enter_context(closing(recorder))
        agent = stack.enter_context(runtime.agent_for(spec.name, spec.scopes))
        # The agent has just joined and is closed until its first answer; a replay at full speed would run into that.
        agent.wait_open(timeout_s=_FIRST_ANSWER_S)
        engine = wiring.build_engine(
            spec,
            feed=feed,
            venue=_venues.fresh(spec.name),
            agent=agent,
            owns=runtime.owns,
            run=str(runtime.lease.token if runtime.lease else runtime.job_id),
            recorder=recorder,
        )
        runtime.on_stop(lambda reason: engine.request_stop(_ENDINGS.get(reason, Ending.STOPPED)))
        report = asyncio.run(engine.run())
    runtime.interrupted = report.ending is not Ending.FEED_ENDED
    return report.as_dict()


_ENDINGS: Mapping[str, Ending] = {StopReason.OWNERSHIP_LOST: Ending.NOT_OWNER}


def cancel_orders(document: Document) -> Document:
    """Cancels what an engine or account left working at its venue. Never gated: cancels pass while engaged."""
    spec = parse(CancelSpec, document)
    cancelled = _venues.of(spec.engine).cancel_all()
    _log.info("orders_cancelled", engine=spec.engine, count=cancelled)
    return {"engine": spec.engine, "cancelled": cancelled}


def intent(act: Callable[[IntentSpec, JobRuntime], Document]) -> Callable[[Document], Document]:
    """A job that carries an intent to trade: `act` runs only under the very epoch that the intent was made under.

    The result says which: {"accepted": true, ...} or {"accepted": false, "code", "reason", "made_under", "in_force"}. A
    refusal is an answer and no failure: the job is finished, and RQ does not try it again.
    """

    @functools.wraps(act)
    def job(document: Document) -> Document:
        spec = parse(IntentSpec, document)
        runtime = current()
        in_force = runtime.agent.view.epoch
        try:
            if spec.epoch < in_force:
                reason = f"made under epoch {spec.epoch}, the switch is at {in_force} since: decide anew"
                return _refused(spec, Code.STALE_SIGNAL, reason, in_force)
            return {"accepted": True, "client_id": spec.client_id, "made_under": spec.epoch, **act(spec, runtime)}
        except Blocked as blocked:
            return _refused(spec, blocked.code, blocked.reason, blocked.epoch)
        except BrokerError as error:
            return _refused(spec, type(error).__name__, error.reason, in_force)

    return job


@intent
def submit_order(spec: IntentSpec, runtime: JobRuntime) -> Document:
    """Sends one order that was decided elsewhere, behind gate 2."""
    broker = GuardedBroker(_venues.of(spec.account), runtime.agent.gate, runtime.owns)
    order = Order(spec.client_id, spec.symbol, Side(spec.side), spec.quantity, spec.limit, spec.reduces)
    sent = broker.send(order, spec.epoch)
    _log.info("order_submitted", order=spec.client_id, account=spec.account, epoch=sent.epoch)
    return {"account": spec.account, "token": sent.epoch}


def _refused(spec: IntentSpec, code: str, reason: str, in_force: int) -> Document:
    _log.warning("order_refused", order=spec.client_id, code=str(code), made_under=spec.epoch, in_force=in_force)
    return {
        "accepted": False,
        "client_id": spec.client_id,
        "code": str(code),
        "reason": reason,
        "made_under": spec.epoch,
        "in_force": in_force,
    }


class WorkerJob(FleetJob):
    """A job as the worker sees it: with the functions that it may run."""

    functions: ClassVar[Mapping[str, JobFunction]] = {
        RUN_ENGINE: run_engine,
        CANCEL_ORDERS: cancel_orders,
        SUBMIT_ORDER: submit_order,
    }
