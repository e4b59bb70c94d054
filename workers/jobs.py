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

import redis

from killswitch import Blocked, Code, InvalidInput, clock
from workers import logs, wiring
from workers.agents import NotDrained
from workers.allow import CANCEL_ORDERS, RUN_ENGINE, SEND_NOTICE, SUBMIT_ORDER, FleetJob, JobFunction
from workers.broker import BrokerError, GuardedBroker, UnknownOutcome
from workers.domain import Order, Side
from workers.recorder import JsonLinesRecorder
from workers.report import Ending
from workers.runtime import JobRuntime, StopReason, current
from workers.spec import CancelSpec, EngineSpec, IntentSpec, parse

__all__ = ["WorkerJob", "cancel_orders", "intent", "run_engine", "send_notice", "submit_order"]

_FIRST_ANSWER_S = 1.0
_LAST_TRIES = 3
_LAST_PAUSE_S = 0.1
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
    runtime.venues.must_be(spec.broker)
    feed = wiring.build_feed(spec)  # what is wrong with it is said before anything is started
    with ExitStack() as stack:
        recorder = wiring.build_recorder(spec)
        if isinstance(recorder, JsonLinesRecorder):
            stack.enter_context(closing(recorder))
        agent = stack.enter_context(runtime.agent_for(spec.name, spec.scopes))
        # The agent has just joined and is closed until its first answer; a replay at full speed would run into that.
        agent.wait_open(timeout_s=_FIRST_ANSWER_S)
        token = runtime.lease.token if runtime.lease else 0
        venue = stack.enter_context(runtime.venues.sending(spec.name, agent, token))
        broker = GuardedBroker(venue, agent.gate, runtime.owns)
        run = str(token or runtime.job_id)
        engine = wiring.build_engine(spec, feed=feed, broker=broker, agent=agent, run=run, recorder=recorder)
        runtime.on_stop(lambda reason: engine.request_stop(_ENDINGS.get(reason, Ending.STOPPED)))
        try:
            report = asyncio.run(engine.run())
        finally:
            _leave_nothing(spec.name, broker, runtime)
            runtime.venues.hang_up(spec.name)
    runtime.interrupted = report.ending is not Ending.FEED_ENDED
    return report.as_dict()


_ENDINGS: Mapping[str, Ending] = {StopReason.OWNERSHIP_LOST: Ending.NOT_OWNER}


def _leave_nothing(engine: str, broker: GuardedBroker, runtime: JobRuntime) -> None:
    """The engine cancelled its orders when it ended. Where the venue did not do it, it is asked again for a moment;
    after that others will: this process goes on to something else, or ends."""
    for attempt in range(_LAST_TRIES):
        try:
            if count := broker.cancel_all():
                _log.warning("orders_cancelled", engine=engine, count=count, why="left at the end")
            return
        except Exception as error:  # also a mistake in here: what is left has to be cancelled by somebody
            reason = str(error)
        clock.sleep(_LAST_PAUSE_S * attempt)
    token = runtime.lease.token if runtime.lease else 0
    _log.error("orders_left", engine=engine, owner=token, unsettled=list(broker.unsettled), reason=reason)
    if runtime.cleanups is not None and token:
        try:
            runtime.cleanups.add(engine, token)
        except redis.RedisError as error:
            # Without the queue's Redis the ownership runs out, and then the engine's recovery notes it.
            _log.error("cleanup_not_noted", engine=engine, owner=token, reason=str(error))


def cancel_orders(document: Document) -> Document:
    """Cancels what an engine or account left working at its venue. Never gated: cancels pass while engaged.

    With the ownership token of a dead owner it touches nothing of later ones, has that owner refused from now on, and
    may be repeated. Raises BrokerError when the venue did not do it; the job fails, and another one follows.
    """
    spec = parse(CancelSpec, document)
    runtime = current()
    if spec.owner is None:
        count = runtime.venues.of(spec.engine).cancel_all()
        runtime.venues.hang_up(spec.engine)
        _log.info("orders_cancelled", engine=spec.engine, count=count)
        return {"engine": spec.engine, "cancelled": count}
    try:
        orders = runtime.venues.clean(spec.engine, spec.owner)
    except BrokerError as error:
        wait_ms = runtime.cleanups.failed(spec.engine, spec.owner, error.reason) if runtime.cleanups else -1
        _log.warning("cleanup_failed", engine=spec.engine, owner=spec.owner, reason=error.reason, retry_ms=wait_ms)
        raise
    if runtime.cleanups is not None:
        runtime.cleanups.done(spec.engine, spec.owner)
    _log.info("orders_cancelled", engine=spec.engine, owner=spec.owner, count=len(orders), orders=orders[:16])
    runtime.agent.annotate(cleanup=f"{spec.engine}: {len(orders)} cancelled of owner {spec.owner}")
    return {"engine": spec.engine, "owner": spec.owner, "cancelled": len(orders), "orders": list(orders)}


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
        except (BrokerError, NotDrained) as error:
            return _refused(spec, type(error).__name__, getattr(error, "reason", str(error)), in_force)

    return job


@intent
def submit_order(spec: IntentSpec, runtime: JobRuntime) -> Document:
    """Sends one order that was decided elsewhere, behind gate 2.

    Where the venue did not answer, it is asked to make sure that nothing more comes of the order; "accepted" then
    tells whether it had been taken, and null that nobody knows.
    """
    before = runtime.agent
    agent = runtime.agent_sending_to(spec.account)
    if agent is not before:
        agent.wait_open(timeout_s=_FIRST_ANSWER_S)
    broker = runtime.venues.guarded(spec.account, agent, runtime.owns)
    order = Order(spec.client_id, spec.symbol, Side(spec.side), spec.quantity, spec.limit, spec.reduces)
    try:
        sent = broker.send(order, spec.epoch)
    except UnknownOutcome as error:
        return _settled(spec, broker, error.reason)
    except BaseException as error:  # a time limit, an interrupt: the job fails, but not with the order on its way
        if broker.unsettled:
            _settled(spec, broker, repr(error))
        raise
    _log.info("order_submitted", order=spec.client_id, account=spec.account, epoch=sent.epoch)
    return {"account": spec.account, "token": sent.epoch}


def _settled(spec: IntentSpec, broker: GuardedBroker, reason: str) -> Document:
    taken: bool | None = None
    for attempt in range(_LAST_TRIES):
        clock.sleep(_LAST_PAUSE_S * attempt)
        try:
            taken = broker.settle()[spec.client_id]
            break
        except BrokerError:
            continue
    _log.error("order_unanswered", order=spec.client_id, account=spec.account, accepted=taken, reason=reason)
    return {"account": spec.account, "accepted": taken, "code": UnknownOutcome.__name__, "reason": reason}


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


def send_notice(document: Document) -> Document:
    """Tells one webhook of one thing. Never gated. Raises Undelivered, and then RQ tries again, see queues."""
    runtime = current()
    if runtime.desk is None:
        raise InvalidInput("this worker tells nobody: its settings name no webhook")
    return runtime.desk.send(document, runtime.job_id, runtime.tries_left)


class WorkerJob(FleetJob):
    """A job as the worker sees it: with the functions that it may run."""

    functions: ClassVar[Mapping[str, JobFunction]] = {
        RUN_ENGINE: run_engine,
        CANCEL_ORDERS: cancel_orders,
        SUBMIT_ORDER: submit_order,
        SEND_NOTICE: send_notice,
    }
