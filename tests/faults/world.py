"""A fleet under fault: servers, engines on recorded ticks, trading processes that can be stopped, and an operator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from killswitch import Controller, EpochConflict, Outcome, clock
from tests.faults.chronicle import Chronicle
from tests.faults.engines import Engine, start_worker
from tests.faults.far import Line
from tests.faults.trader import TIMING, Trader, Trading
from tests.fleet.world import Worker
from tests.support.agents import fast_settings
from tests.support.processes import Child, Children
from tests.support.resp import RawLine, Reply, ReplyError
from tests.support.server import RealServer
from tests.support.switch import STATE
from tests.support.waiting import my_line_ns

__all__ = ["USER", "VENUE", "World", "acl_file"]

USER = "worker"
"""Whom traders and engines are to the server: an operator takes rights from them and keeps his own."""

VENUE = "venue"
"""What the fleet and its operator call the venue process."""

_ACL = f"user default on nopass ~* &* +@all\nuser {USER} on >pw ~* &* +@all\n"


def acl_file(folder: Path) -> str:
    """A file of users for a server's option `aclfile`: what it says holds again after a restart."""
    path = folder / "users.acl"
    path.write_text(_ACL)
    return str(path)


class World(Chronicle):
    """One switch and all who follow it. The switch is open when the constructor returns.

    `queue` is where engines are placed. A venue process takes their orders and the traders', and knows a fence.
    """

    def __init__(self, switch: RealServer, queue: RealServer | None, folder: Path) -> None:
        super().__init__(folder / "venue.jsonl")
        self.switch = switch
        self.queue = queue
        self.folder = folder
        self.lines: list[Line] = []
        self.broken = False
        """Set while a test changes the world, cleared when it has put everything back."""
        self.venue_url = f"unix://{folder}/venue"
        sinks = f"{VENUE}={self.venue_url}"
        # Patient with a busy machine: how soon an operator learns of trouble is judged where it is the point (L1).
        self.control = Controller(fast_settings(switch.unix_url, **TIMING, sinks=sinks, timeout_ms=10_000))
        self.url = switch.unix_url.replace("unix://", f"unix://{USER}:pw@") if self._has_user() else switch.unix_url
        self.held: list[RawLine] = []
        """Lines on which a command keeps the server busy."""
        self.before: dict[str, set[str]] = {}
        """Connections that were there when a fault began."""
        self._children = Children(folder)
        self._stack = contextlib.ExitStack()
        self._operations = 0
        self._names = 0
        self.venue = self.open_venue()
        self.permit()

    def _has_user(self) -> bool:
        users = self.raw("ACL", "USERS")
        return isinstance(users, list) and USER in users

    # -- who follows ---------------------------------------------------------------------------------------------

    def open_venue(self) -> Child:
        """Starts the venue process."""
        words = ("venue", "--listen", self.venue_url, "--events", str(self.arrivals.path))
        venue = self._children.worker(*words)
        venue.wait_for("venue_listening")
        return venue

    def trader(self, **options: Any) -> Trader:
        """Starts a trading process."""
        self._names += 1
        name = f"t{self._names}"
        options = {"venue": self.venue_url, "sinks": [f"{VENUE}/{name}"], **options}
        trader = Trader(self.folder, options.pop("url", self.url), name, **options)
        self.traders.append(trader)
        return trader

    def far_trader(self, **options: Any) -> Trader:
        """A trading process behind a line of its own, the last of `lines`. On such a line nothing is announced at a
        known moment any more, so the judge is not told of announcements."""
        self.lines.append(self._stack.enter_context(Line(self.switch.port)))
        self.announces = False
        return self.trader(url=f"redis://{USER}:pw@127.0.0.1:{self.lines[-1].port}/0", **options)

    def child_of(self, trader: Trader) -> Trading:
        """Has a trader fork; the child is one of the world's until `gone`."""
        child = trader.fork()
        self.children.append(child)
        return child

    def gone(self, one: Trading) -> None:
        """A process has ended: what it told stays in the history, and the fleet waits for it no longer."""
        self.history.events += one.account.read()
        self.history.add("gone", clock.now_ns(), worker=one.worker_id)
        self.traders = [trader for trader in self.traders if trader is not one]
        self.children = [child for child in self.children if child is not one]
        self.raw("FCALL", "ks_leave", 1, STATE, one.worker_id)

    def engine(self, **env: str) -> Engine:
        """Starts an engine worker with its engine."""
        assert self.queue is not None
        number = len(self.engines) + 1
        engine = Engine(self._children, self.folder, self.url, self.queue, number, **self._venue_env, **env)
        engine.sinks = [f"{VENUE}/{engine.name}"]
        self.engines.append(engine)
        return engine

    def worker(self, queue: str, **env: str) -> Worker:
        """Starts a worker that serves `queue` and cleans up, with nothing to do yet."""
        assert self.queue is not None
        return start_worker(self._children, self.url, self.queue, f"{queue},cleanup", **self._venue_env, **env)

    def pids(self) -> list[int]:
        """All processes of this world that run."""
        engines = [engine.worker.child.pid for engine in self.engines]
        servers = [self.switch.pid, self.queue.pid if self.queue is not None else 0]
        return [pid for pid in [*(one.pid for one in self.trading), *engines, *servers, self.venue.pid] if pid]

    @property
    def _venue_env(self) -> dict[str, str]:
        return {"WORKERS_VENUE_URL": self.venue_url, "WORKERS_VENUE_NAME": VENUE}

    @property
    def ticks(self) -> str:
        """What the engines trade on."""
        return self.engines[0].ticks if self.engines else "no ticks"

    # -- what an operator does -----------------------------------------------------------------------------------

    def raw(self, *words: str | bytes | int) -> Reply:
        """One command on a bare line. Raises ReplyError."""
        with self.switch.line() as line:
            return line.call(*words)

    def answer(self, *words: str | bytes | int) -> str:
        """What the server answers to a command, an error too."""
        try:
            return str(self.raw(*words))
        except ReplyError as error:
            return str(error)

    def permit(self) -> int:
        """Permits trading, initialising the server where needed; a time at which it was surely permitted."""
        begun = clock.now_ns()
        self.control.init()
        for _ in range(50):
            # Beats record what was changed by hand, so the epoch may move between looking and resetting.
            with contextlib.suppress(EpochConflict):
                outcome = self.control.reset(self.control.status().switch.epoch, "the fault is over", "operator")
                self.state("SAFE", outcome.epoch, "reset", begun)
                return clock.now_ns()
        raise AssertionError("the epoch never stands still")

    def engage(self, wait_s: float | None = None, scope: str | None = None) -> Outcome:
        """Engages through the library; with `wait_s` the end of the wait is on record too."""
        self._operations += 1
        name, part = f"op{self._operations}", scope or "switch"
        begun = clock.now_ns()
        self.history.add("op", begun, op=name, action="engage", scope=part, wait_s=wait_s)
        confirmed: list[tuple[int, int]] = []
        outcome = self.control.engage(
            "a fault",
            "operator",
            scope,
            wait_s,
            on_engaged=lambda _: confirmed.append((clock.now_ns(), my_line_ns())),
        )
        done, (engaged_ns, line_ns) = clock.now_ns(), confirmed[0]
        took_ns = done - engaged_ns - (my_line_ns() - line_ns)
        self.state("ENGAGED", outcome.epoch, "engage", begun, until=engaged_ns, scope=part)
        self.announced(engaged_ns)
        self.history.add(
            "op_end",
            done,
            op=name,
            result=str(outcome.verdict),
            epoch=outcome.epoch,
            members=[member.worker_id for member in outcome.members],
            pending=[member.worker_id for member in outcome.pending],
            leases_out=outcome.leases_out,
            engaged_t=engaged_ns,
            took_ms=took_ns / clock.NS_PER_MS,
        )
        return outcome

    def engage_raw(self) -> int:
        """SET ENGAGED as with redis-cli; when its +OK was read."""
        begun = clock.now_ns()
        done = self.switch.raw_set(STATE, "ENGAGED by hand")
        self.void(begun, done, "raw")
        self.announced(done)
        return done

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        """A test that changes the world and puts everything back in the block: after a failure the world is not used
        again."""
        self.broken = True
        self.settle()
        yield
        self.permit()
        self.settle()
        self.broken = False

    def close(self) -> None:
        """Ends everything that was started here."""
        for trader in self.traders:
            trader.kill()
        self._children.stop()
        self._stack.close()
        self.control.close()
