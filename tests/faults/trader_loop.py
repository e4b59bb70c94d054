"""A trading process that can be stopped at a point of its own order path, and stalled from inside.

It checks gate 1 in bursts and sends one order through gate 2 after each. What it does it writes as lines of the common
history (tests/history), each complete when it is written, so that a killed process has told everything. Of the checks
that pass, the first and the last of each open stretch are written: whoever looks for a pass too late needs no others.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from killswitch import Agent, Blocked, Gate, clock
from workers.broker import BrokerError, GuardedBroker, PaperBroker, UnknownOutcome
from workers.domain import Order, Side
from workers.venue import VenueBroker

SLOTS = 6
PASSED_AT, PASSED, BLOCKED_AT, EXIT, STOP_AT, BLOCKED = range(SLOTS)
SIZE = 8 * SLOTS

POINTS = ("before_check", "announced", "check_to_send", "send_to_release")
"""Where the process stops itself when the slot STOP_AT holds the number of the point, counted from 1."""

SYMBOL = "EURUSD"
_WORKING_MAX = 50
_SETTLE_NS = 100_000_000

GAP_NS = 100_000_000
"""A turn of the loop that took longer by this is told as a gap: nobody let the process run."""


def map_slots(path: Path) -> memoryview:
    """The slots of `path` as integers, shared between this process and the test."""
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), SIZE)).cast("q")


class Account:
    """The lines of history of one worker."""

    def __init__(self, path: Path, worker: str) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)
        self._worker = worker

    def add(self, kind: str, t: int, **values: Any) -> None:
        """One event, on its way to the file before this returns."""
        self._file.write(json.dumps({"kind": kind, "t": t, "worker": self._worker, **values}) + "\n")


class Line(VenueBroker):
    """A venue, with what happens on the way to it. Orders are withdrawn again: what matters is whether they arrive."""

    def __init__(self, url: str, session: str) -> None:
        super().__init__(url, session, worker=session)
        self.trader: Trader | None = None
        self._sent = 0

    def submit(self, order: Order, token: int) -> None:
        """Hands over one order, which has passed gate 2. Raises BrokerError."""
        assert self.trader is not None
        self._sent += 1
        with self.trader.on_its_way(order, token):
            super().submit(order, token)
        if self._sent % _WORKING_MAX == 0:
            super().cancel_all()


class Nowhere(PaperBroker):
    """A venue of this process, for a child that shall not speak on its parent's connection."""

    def __init__(self) -> None:
        super().__init__()
        self.trader: Trader | None = None

    def submit(self, order: Order, token: int) -> None:
        """Takes one order and forgets it."""
        assert self.trader is not None
        with self.trader.on_its_way(order, token):
            pass


class Trader:
    """The loop of one thread. Its orders leave as an engine's do, by the guard that the fleet uses."""

    def __init__(self, agent: Agent, slots: memoryview, account: Account, line: Line | Nowhere) -> None:
        self.agent = agent
        self.slots = slots
        self.account = account
        self._line = line
        self._line.trader = self
        self._guard = GuardedBroker(line, agent.gate, lambda: True)
        self._left_ns = self._check_ns = self._next_settle_ns = 0
        self._open_at: int | None = None  # the epoch of the last pass; None when the last check was blocked
        self._code = ""
        self._number = 0
        self._passed_ns = 0

    def burst(self, hot_ns: int) -> None:
        """Gate 1 for `hot_ns`, then one order."""
        slots, check, now = self.slots, self.agent.gate.signal, clock.now_ns
        end = now() + hot_ns
        epoch = None
        while (start := now()) < end:
            if slots[STOP_AT] == 1:
                self.stop_here(1)
                start = now()
            try:
                epoch = check()
            except Blocked as blocked:
                epoch = None
                slots[BLOCKED_AT] = start
                slots[BLOCKED] += 1
                if self._open_at is not None or blocked.code != self._code:
                    self._closed(start, blocked)
            else:
                slots[PASSED_AT] = self._passed_ns = start
                slots[PASSED] += 1
                if epoch != self._open_at:
                    self._opened(start, epoch)
        if self._guard.unsettled:  # also while closed: else nobody could ever be called quiet
            self._settle()
        elif epoch is not None:
            self.order(epoch)

    def order(self, epoch: int) -> None:
        """One order through gate 2, with its points. One whose fate is unknown stays announced until it is known."""
        self._number += 1
        order_id = f"{self.agent.worker_id}.{self._number}"
        side = Side.BUY if self._number % 2 else Side.SELL
        self._check_ns = clock.now_ns()
        try:
            self._guard.send(Order(order_id, SYMBOL, side, 1, None, False), epoch)
        except Blocked as blocked:
            self.slots[BLOCKED_AT] = self._check_ns
            self.slots[BLOCKED] += 1
            self._closed(self._check_ns, blocked)
        except UnknownOutcome:
            pass
        except BrokerError:  # the venue's own record tells what it refused
            self.account.add("release", self._left_ns, order=order_id)
        else:
            self.account.add("release", self._left_ns, order=order_id)

    @contextlib.contextmanager
    def on_its_way(self, order: Order, token: int) -> Iterator[None]:
        """Around the handing over of an order that has passed its check."""
        start, order_id = self._check_ns, order.client_id
        self.account.add("pass2", clock.now_ns(), epoch=token, start=start, order=order_id, reduces=False)
        self.slots[PASSED_AT] = self._passed_ns = start
        if self.slots[STOP_AT] == 3:
            self.stop_here(3)
        self.account.add("send", clock.now_ns(), order=order_id, epoch=token)
        try:
            yield
        finally:
            if self.slots[STOP_AT] == 4:
                self.stop_here(4)
            self._left_ns = clock.now_ns()  # before the permit is returned: nobody may be called quiet earlier

    def _settle(self) -> None:
        """Has the venue make sure of the orders whose fate is unknown; not too often, it is away."""
        if clock.now_ns() < self._next_settle_ns:
            return
        left_ns = clock.now_ns()
        try:
            settled = self._guard.settle()
        except BrokerError:
            self._next_settle_ns = clock.now_ns() + _SETTLE_NS
        else:
            for order_id in settled:
                self.account.add("release", left_ns, order=order_id)

    def stop_here(self, point: int) -> None:
        """Stops the whole process, as a scheduler, a debugger or a hypervisor would; returns when it is let go on."""
        self.slots[STOP_AT] = 0
        os.kill(os.getpid(), signal.SIGSTOP)

    def _opened(self, start: int, epoch: int) -> None:
        if self._open_at is not None:
            self._last_pass()
        self._open_at, self._code = epoch, ""
        self.account.add("pass1", start, epoch=epoch, start=start)
        self.account.add("view", start, open=True, code="open", epoch=epoch)

    def _closed(self, start: int, blocked: Blocked) -> None:
        if self._open_at is not None:
            self._last_pass()
        self._open_at, self._code = None, str(blocked.code)
        self.account.add("view", start, open=False, code=self._code, epoch=blocked.epoch)

    def _last_pass(self) -> None:
        self.account.add("pass1", self._passed_ns, epoch=self._open_at, start=self._passed_ns)


def stop_between_announcement_and_check(slots: memoryview, trader: list[Trader]) -> None:
    """Puts point 2 into the order path: gate 2 announces the order, stops here, then checks."""
    check = Gate.check_order

    def check_order(gate: Gate, epoch: int, reduces: bool) -> None:
        if slots[STOP_AT] == 2:
            trader[0].stop_here(2)
        check(gate, epoch, reduces)

    Gate.check_order = check_order  # type: ignore[method-assign,assignment]


def run(trader: Trader, hot_ms: float, rest_ms: float) -> None:
    """Trades until the slot EXIT is set."""
    turn_ns = int((hot_ms + rest_ms) * 1e6)
    while not trader.slots[EXIT]:
        begun = clock.now_ns()
        trader.burst(int(hot_ms * 1e6))
        if rest_ms:
            clock.sleep(rest_ms / 1000)
        if (lasted := clock.now_ns() - begun - turn_ns) > GAP_NS:
            trader.account.add("gap", clock.now_ns(), lasted=lasted)
