"""A trading process of the soak: its main thread burns gate 1, another sends orders, and both tell what they saw.

Started by `crew.py` with a JSON object as its only argument. Each event is one JSON line on stdout, written at once, so
that a kill leaves what was told. Times are `killswitch.clock.now_ns`, one clock for all processes of this machine.

Not every check that passed is told, there are far too many. Told are the first, the last and every 50 ms one of each
run of passes under one epoch: whatever a change should have stopped, the last one shows it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
from typing import Any

from killswitch import Agent, Blocked, Mode, Settings, View, clock
from workers.broker import BrokerError, UnknownOutcome
from workers.domain import Order, Side
from workers.venue import VenueBroker

_MARK_NS = 50_000_000
_BURST = 200
_REST_S = 0.006
_NAP_S = 0.01
_SLOW_ONE_IN = 8
_SLOWEST_S = 0.03


def tell(kind: str, at_ns: int, **values: Any) -> None:
    """One event; a single write, so lines of two threads never mix."""
    os.write(1, json.dumps({"kind": kind, "t": at_ns, **values}).encode() + b"\n")


class Burner:
    """One agent and its two threads."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.end = threading.Event()
        self.agent = Agent(
            Settings(**config["settings"]), config["scopes"], engine="burner", worker_id=config["worker_id"]
        )
        self.name = self.agent.worker_id
        self.agent.annotate(sinks=",".join(config["sinks"]))
        self._late_ns = 0
        self._told: tuple[str, int] | None = None
        self._run: list[int] = []  # epoch, start and end of the last pass of the run that is not told yet

    def serve(self) -> None:
        """Until SIGTERM, or until nobody holds stdin any more."""
        self.agent.on_open(self._opened)
        self.agent.on_close(self._closed)
        scopes = [str(scope) for scope in self.agent.scopes]
        lease_ms = self.config["settings"]["lease_ms"]
        tell("worker", clock.now_ns(), worker=self.name, scopes=scopes, lease_ms=lease_ms, sinks=self.config["sinks"])
        self.agent.start()
        threading.Thread(target=self._await_end, daemon=True).start()
        threads = [threading.Thread(target=self._trade), threading.Thread(target=self._keep_time)]
        for thread in threads:
            thread.start()
        self._burn()
        for thread in threads:
            thread.join()
        left = self.agent.close(3.0)
        tell("end", clock.now_ns(), worker=self.name, in_flight=self.agent.in_flight, left=left)

    def _await_end(self) -> None:
        sys.stdin.read()
        self.end.set()

    def _keep_time(self) -> None:
        """A thread that only naps: how late it wakes is how late this machine wakes a watcher."""
        while not self.end.is_set():
            before = clock.now_ns()
            clock.sleep(_NAP_S)
            self._late_ns = max(self._late_ns, clock.now_ns() - before)

    # -- what the gate says, told from the watcher's thread ------------------------------------------------------

    def _opened(self, view: View) -> None:
        tell("view", clock.now_ns(), worker=self.name, open=True, code=view.code, epoch=view.epoch)

    def _closed(self, view: View) -> None:
        tell("view", clock.now_ns(), worker=self.name, open=False, code=view.code, epoch=view.epoch)

    # -- gate 1, on the main thread ------------------------------------------------------------------------------

    def _burn(self) -> None:
        check, now = self.agent.gate.signal, clock.now_ns
        next_mark = last_turn = 0
        while not self.end.is_set():
            for _ in range(_BURST):
                start = now()
                try:
                    epoch = check()
                except Blocked:
                    self._run_ends()
                    break
                self._passed(epoch, start, now())
            at = now()
            if at >= next_mark:
                self._tell_run()
                # `gap`: the longest time a thread of this process was kept from running, its own rest included.
                gap, self._late_ns = max(self._late_ns, at - last_turn if last_turn else 0), 0
                tell("mark", at, worker=self.name, gap=gap)
                self._tell_view(at)
                next_mark = at + _MARK_NS
            last_turn = at
            clock.sleep(_REST_S)
        self._run_ends()

    def _passed(self, epoch: int, start: int, end: int) -> None:
        if not self._run or self._run[0] != epoch:
            self._run_ends()
            tell("pass1", end, worker=self.name, epoch=epoch, start=start)
        self._run = [epoch, start, end]

    def _run_ends(self) -> None:
        self._tell_run()
        self._run = []

    def _tell_run(self) -> None:
        if self._run and self._run[1]:
            epoch, start, end = self._run
            tell("pass1", end, worker=self.name, epoch=epoch, start=start)

    def _tell_view(self, at: int) -> None:
        view = self.agent.view
        is_open = view.mode is not Mode.ENGAGED
        if (view.code, view.epoch) != self._told:
            self._told = (view.code, view.epoch)
            tell("view", at, worker=self.name, open=is_open, code=view.code, epoch=view.epoch)

    # -- gate 2, on a thread of its own --------------------------------------------------------------------------

    def _trade(self) -> None:
        chance = random.Random(self.config["seed"])
        broker, gate = VenueBroker(self.config["venue"], self.name, worker=self.name), self.agent.gate
        for number in range(1, sys.maxsize):
            if self.end.wait(chance.uniform(0.5, 1.5) / self.config["orders_per_s"]):
                return
            order = f"{self.name}.{number}"
            reduces = chance.random() < 0.3
            with contextlib.suppress(Blocked, BrokerError):
                self._order(gate.signal(), order, reduces, broker, chance)

    def _order(self, epoch: int, name: str, reduces: bool, broker: VenueBroker, chance: random.Random) -> None:
        start = clock.now_ns()
        with self.agent.gate.order(epoch, reduces=reduces, order_id=name) as permit:
            tell("pass2", clock.now_ns(), worker=self.name, epoch=epoch, start=start, order=name, reduces=reduces)
            if not chance.randrange(_SLOW_ONE_IN):
                clock.sleep(chance.uniform(0, _SLOWEST_S))
            tell("send", clock.now_ns(), worker=self.name, order=name, epoch=permit.epoch)
            try:
                broker.submit(Order(name, "EURUSD", Side.BUY, 1000, 1.0, reduces), token=permit.epoch)
                broker.cancel(name)
            except UnknownOutcome:
                self._rule_out(name, broker)
            finally:
                # Before the block is left: at this moment the permit is certainly held.
                tell("release", clock.now_ns(), worker=self.name, order=name)

    def _rule_out(self, name: str, broker: VenueBroker) -> None:
        """It may lie in the venue's socket: it is in flight until the venue says that nothing more comes of it."""
        while True:
            try:
                broker.void(name)
            except BrokerError:
                clock.sleep(_NAP_S)
            else:
                return


def main() -> None:
    """Read the configuration, burn until told to end."""
    burner = Burner(json.loads(sys.argv[1]))
    signal.signal(signal.SIGTERM, lambda *_: burner.end.set())
    burner.serve()


if __name__ == "__main__":
    main()
