"""The loop that trades: tick -> gate 1 -> signal -> gate 2 -> order.

Invariants, each with a test:
- the epoch that gate 1 returned goes with the signal into gate 2, so nothing decided before a halt acts after it;
- working orders die with the epoch they were sent under, and with the gate: both cancel them;
- stopping blinds nothing: fills are booked and the strategy sees prices whatever the switch says;
- an announcement is not yet a stop: the tick in hand waits at its gate for the round trip in which it becomes known
  what was changed, for `patience_ms` at most, so a drill or a change elsewhere costs no signal and no order;
- a stop request is obeyed within one batch of ticks, or at once while waiting for the next tick.

Everything runs on the event loop's thread, except `request_stop` and the agent's callback, which only leave a note and
wake the loop. There is no lock in a tick. Between batches, and while a tick waits, other tasks of the loop run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import structlog

from killswitch import Blocked, Code
from killswitch.clock import NS_PER_MS, now_ns
from workers.broker import BrokerError, GuardedBroker, NotOwner
from workers.cancels import Cancels
from workers.domain import Order, Signal, Tick
from workers.doubt import Doubt
from workers.feed import Feed
from workers.histogram import Histogram
from workers.recorder import Recorder
from workers.report import STAGES, Ending, EngineReport, Tally
from workers.strategy import Strategy
from workers.switch import Switch
from workers.telling import Telling

if TYPE_CHECKING:
    from killswitch import View

__all__ = ["Engine"]

_log = structlog.get_logger("workers.engine")

_SETTLE_NS = 100 * NS_PER_MS
_SETTLE_POLL_S = 0.002
_NEW_EPOCH = "new_epoch"
_UNSETTLED = frozenset({Code.STATE_CHANGED, Code.UNRECORDED})
"""Closed because something changed and it is being asked what. A renewed permission or a change in another part of the
fleet ends it within a round trip, and must not cost every engine its working orders."""


class Engine:
    """One engine: a feed, a strategy and a venue behind the gates. `run` is called once.

    `order_prefix` starts every client order id, and must differ between two runs against the same venue. A tick waits
    at most `patience_ms` until it is known what an announced change was.
    """

    def __init__(
        self,
        name: str,
        *,
        feed: Feed,
        strategy: Strategy,
        broker: GuardedBroker,
        agent: Switch,
        order_prefix: str | None = None,
        recorder: Recorder | None = None,
        patience_ms: int = 500,
    ) -> None:
        self._name = name
        self._feed = feed
        self._strategy = strategy
        self._broker = broker
        self._agent = agent
        self._gate = agent.gate
        self._prefix = order_prefix or name
        self._recorder = recorder or Recorder()
        self._tally = Tally()
        self._latency = {stage: Histogram() for stage in STAGES}
        self._telling = Telling(name, agent, self._tally, self._latency)
        self._cancels = Cancels(
            name, broker, self._tally, self._recorder, needed=self._still_to_cancel, done=self._telling.tell
        )
        self._tick_ns: list[int] = []  # times of the batch in hand, counted when it is done
        self._gate1_ns: list[int] = []
        self._stop = asyncio.Event()
        self._doubt = Doubt(patience_ms, self._stop)
        self._ending = Ending.FEED_ENDED
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch = 0
        self._passed_ns = 0  # start of the last check that gate 1 let pass
        self._closed_ns = 0  # when a close was noticed that is still to be dealt with, else 0
        self._blocked_by: Code | None = None  # code of the last tick blocked at gate 1, None while it is open
        self._refused_by: Code | None = None  # the same for gate 2
        self._known_close: tuple[Code, int] | None = None  # the close dealt with last, until it opens again

    async def run(self) -> EngineReport:
        """Trades until the feed ends or a stop is asked for; working orders are cancelled in any case.

        Raises:
            FeedError: the feed turned out to be damaged.
        """
        self._loop = asyncio.get_running_loop()
        self._agent.on_close(self._on_close)
        started = now_ns()
        _log.info("engine_start", engine=self._name, code=self._agent.view.code, epoch=self._agent.view.epoch)
        try:
            async with aclosing(self._feed.batches(self._stop)) as batches:
                async for batch in batches:
                    for tick in batch:
                        came = now_ns()
                        self._on_tick(tick, came)
                        if self._doubt.held is not None:
                            self._tally.waited += 1
                            await self._doubt.over()
                        self._tick_ns.append(now_ns() - came)
                    self._after_batch(len(batch))
                    if self._stop.is_set():
                        break
        except BaseException:
            self._ending = Ending.FAILED
            raise
        finally:
            self._loop = None
            self._cancel_working(self._ending)
            self._telling.tell(last=True)
            _log.info("engine_end", engine=self._name, ending=self._ending, **self._tally.progress())
        return self._report((now_ns() - started) / 1e9)

    def request_stop(self, ending: Ending = Ending.STOPPED) -> None:
        """Asks the engine to end soon. May be called from any thread and from a signal handler, also before `run`."""
        self._ending = ending
        self._tell_loop(self._stop.set)

    # ---- one tick, on the loop's thread ----

    def _on_tick(self, tick: Tick, started: int) -> None:
        fills = self._broker.on_tick(tick)
        if fills:
            self._tally.fills += len(fills)
        self._strategy.on_tick(tick)
        checked = now_ns()
        self._decide(tick, started, checked, checked)

    def _decide(self, tick: Tick, started: int, checked: int, first: int) -> None:
        """The check that starts at `checked`, this tick's first one at `first`, and what follows if it passes."""
        try:
            epoch = self._gate.signal()  # gate 1
        except Blocked as blocked:
            left = now_ns()
            if not self._doubt.holds(blocked.code, lambda: self._decide(tick, started, now_ns(), first)):
                self._gate1_ns.append(left - checked)
                self._on_blocked_signal(blocked.code, first)
        else:
            self._gate1_ns.append(now_ns() - checked)
            self._doubt.since_ns = 0
            if epoch != self._epoch or self._blocked_by is not None:
                self._on_open(epoch, checked)
            self._passed_ns = checked
            signal = self._strategy.signal(tick, self._broker.position(tick.symbol))
            if signal is not None:
                self._act(signal, tick.symbol, epoch, started)

    def _act(self, signal: Signal, symbol: str, epoch: int, started: int) -> None:
        """Turns a signal into an order that replaces the symbol's working one, if gate 2 lets it pass."""
        self._tally.signals += 1
        self._latency["tick_to_signal"].record(now_ns() - started)
        client_id = f"{self._prefix}.{self._tally.signals}"
        order = Order(client_id, symbol, signal.side, signal.quantity, signal.limit, signal.reduces)
        try:
            for working in self._broker.open_orders():
                if working.symbol == symbol:
                    self._tally.replaced += self._broker.cancel(working.client_id)
        except BrokerError as error:
            self._on_rejected(order, error)
        else:
            self._send(order, epoch, started)

    def _send(self, order: Order, epoch: int, started: int) -> None:
        entered = now_ns()
        try:
            sent = self._broker.send(order, epoch)  # gate 2
        except Blocked as blocked:
            if not self._doubt.holds(blocked.code, lambda: self._send(order, epoch, started)):
                self._on_blocked_order(order, entered, blocked.code)
        except NotOwner:
            _log.error("engine_not_owner", engine=self._name, order=order.client_id)
            self.request_stop(Ending.NOT_OWNER)
        except BrokerError as error:
            self._on_rejected(order, error)
        else:
            left = now_ns()
            self._tally.orders += 1
            self._refused_by = None
            self._latency["gate2"].record(left - entered)
            self._latency["tick_to_order"].record(sent.sent_ns - started)
            self._recorder.order(order, sent)

    def _after_batch(self, size: int) -> None:
        self._tally.ticks += size
        self._latency["tick"].record_all(self._tick_ns)
        self._latency["gate1"].record_all(self._gate1_ns)
        self._tick_ns.clear()
        self._gate1_ns.clear()
        self._telling.when_due()

    # ---- what the switch says ----

    def _on_blocked_signal(self, code: Code, checked: int) -> None:
        self._tally.blocked_signals[code] += 1
        if code is not self._blocked_by:
            self._blocked_by = code
            self._recorder.blocked(checked, code, self._checks(), self._passed_ns)
            if code not in _UNSETTLED:
                _log.warning("engine_blocked", engine=self._name, code=code)
            self._on_close()  # should the agent's own word not come, a dead watcher say

    def _on_blocked_order(self, order: Order, entered: int, code: Code) -> None:
        self._tally.blocked_orders[code] += 1
        self._recorder.refused(order, entered, code)
        if code is not self._refused_by:
            self._refused_by = code
            _log.warning("engine_order_blocked", engine=self._name, code=code)

    def _on_rejected(self, order: Order, error: BrokerError) -> None:
        self._tally.rejected[type(error).__name__] += 1
        _log.warning("engine_rejected", engine=self._name, order=order.client_id, reason=str(error))

    def _on_open(self, epoch: int, checked: int) -> None:
        """Gate 1 passes again, or under another epoch: what was sent under the last one must not fill any more."""
        if epoch != self._epoch:
            if self._epoch:
                self._cancel_working(_NEW_EPOCH)
            self._epoch = epoch
            self._broker.raise_fence(epoch)
            _log.info("engine_open", engine=self._name, epoch=epoch)
        elif self._blocked_by not in _UNSETTLED:
            _log.info("engine_open", engine=self._name, epoch=epoch)
        self._recorder.opened(checked, epoch, self._checks())
        self._blocked_by = self._known_close = None

    def _checks(self) -> int:
        """Checks at gate 1 before the one in hand."""
        return self._tally.ticks + len(self._tick_ns)

    def _on_close(self, view: View | None = None) -> None:
        """Called on the watcher's thread, so it does nothing but leave a note and wake the loop."""
        self._closed_ns = self._doubt.since_ns or now_ns()
        self._tell_loop(self._settle_close)

    def _settle_close(self) -> None:
        """Once it is known why the gate closed, cancels the working orders, unless it opened again at once."""
        closed_ns = self._closed_ns
        if not closed_ns or self._loop is None:
            return
        view = self._agent.view
        if view.code in _UNSETTLED and now_ns() - closed_ns < _SETTLE_NS:
            self._loop.call_later(_SETTLE_POLL_S, self._settle_close)
            return
        self._closed_ns = 0
        if view.code is Code.OPEN:  # under a newer epoch the next tick cancels
            return
        self._broker.raise_fence(view.epoch)
        news = (view.code, view.epoch) != self._known_close
        self._known_close = (view.code, view.epoch)
        if news:
            self._recorder.closed(closed_ns, view.code, view.epoch)
        if news or self._broker.open_orders():
            self._cancel_working(view.code)
            self._telling.tell()

    def _cancel_working(self, why: str) -> None:
        self._cancels.all(why, self._loop)

    def _still_to_cancel(self, why: str) -> bool:
        """Orders of an epoch that is over go in any case; the others only as long as the gate stays closed."""
        return self._loop is not None and (why == _NEW_EPOCH or self._agent.view.code is not Code.OPEN)

    # ---- plumbing ----

    def _tell_loop(self, callback: Callable[[], None]) -> None:
        loop = self._loop
        if loop is None:  # not started, or ended: nothing waits, so the note alone is enough
            callback()
            return
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:
            pass  # the loop was closed between these two lines: the engine has ended

    def _report(self, elapsed_s: float) -> EngineReport:
        feed, positions = self._feed.counts.as_dict(), dict(self._broker.positions())
        return self._tally.report(self._name, self._ending, elapsed_s, feed, positions, self._latency)
