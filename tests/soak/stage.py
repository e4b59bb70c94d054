"""Where the soak plays: two servers of its own, a proxy, burners and RQ engine workers, and what is true of them."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis

from killswitch import Controller, Settings, clock
from tests.soak.crew import Burner, EngineFile, RqWorker, Venue, VenueFile
from tests.soak.log import Log
from tests.support.proxy import Proxy
from tests.support.resp import RawLine
from tests.support.server import RealServer, binary
from tests.support.waiting import eventually
from workers import queues

__all__ = ["Cut", "Stage"]

OPENS_S = 15.0
"""Longest time that is waited for the fleet to trade again; much longer than any bound that is judged."""

_RETAIN_MS = 120_000
_SLOTS: tuple[tuple[str, int, bool, tuple[str, ...]], ...] = (
    # name, lease, direct, scopes: a quick one, a calm one, one in a scope, one behind a bad network
    ("quick", 300, True, ()),
    ("calm", 1000, True, ()),
    ("alpha", 600, True, ("strategy:alpha",)),
    ("far", 600, False, ("host:far",)),
)
_RQ_LEASE_MS = 1000
ENGINE_SCOPE = "strategy:alpha"


@dataclass(frozen=True, slots=True)
class Cut:
    """From `from_ns` to `to_ns` these workers could not be told that trading is permitted, for the reason `why`."""

    why: str
    workers: tuple[str, ...]
    from_ns: int
    to_ns: int


class Stage:
    """Everything that runs. A context manager: leaving it ends all of it, by pid."""

    def __init__(self, kind: str, seed: int, *, burners: int, rq_workers: int, far: bool = True) -> None:
        program = binary(kind)
        if program is None:
            raise SystemExit(f"there is no {kind} server on this machine")
        self._stack = contextlib.ExitStack()
        self.log = Log()
        self.cuts: list[Cut] = []
        self.restarts = 0
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="kst-")))
        self.chance = random.Random(seed)
        self._lives = itertools.count(1)
        options = {"enable-debug-command": "yes"}
        self.server = RealServer(program, appendonly=True, options=options)
        self._stack.callback(self.server.stop)
        self.queue_server = RealServer(program, appendonly=True)
        self._stack.callback(self.queue_server.stop)
        self.proxy = self._stack.enter_context(Proxy(self.server.port))
        self.venue = Venue(self.folder)
        self._stack.callback(lambda: self.venue.kill())
        self.arrivals = VenueFile(self.venue.record, self.log)
        self.sinks = f"venue={self.venue.url}"
        self.settings = Settings(redis_url=self.server.unix_url, actor="soak", retain_ms=_RETAIN_MS, sinks=self.sinks)
        self.control = Controller(self.settings)
        slots = [slot for slot in _SLOTS if slot[2] or far]
        self.slots = slots[:burners] if far else [slot for slot in slots if slot[2]][:burners]
        self.burners: dict[str, Burner] = {}
        self.rq: list[RqWorker] = []
        self._rq_wanted = rq_workers
        self.engines: list[EngineFile] = []
        self._queue: redis.Redis | None = None
        self._jobs: dict[int, str] = {}
        self.lost_engines: list[str] = []

    # -- beginning and end ---------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.control.init()
            for slot in self.slots:
                self.start_burner(slot[0])
            for _ in range(self._rq_wanted):
                self.start_rq()
            if self._rq_wanted:
                self._queue = self.queue_server.client()
                for number in range(1, min(2, self._rq_wanted) + 1):
                    self.engines.append(EngineFile(self.folder / f"e{number}.jsonl", f"e{number}", self.log))
                    self._place(number)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends everything; may be repeated."""
        for program in (*self.burners.values(), *self.rq):
            program.kill()
        self._stack.close()

    # -- the crew ------------------------------------------------------------------------------------------------

    def start_burner(self, slot: str) -> Burner:
        """A new life for a slot, under a worker id that was never used before."""
        _, lease_ms, direct, scopes = next(found for found in self.slots if found[0] == slot)
        timing = {"lease_ms": lease_ms, "renew_ms": lease_ms // 5, "patience_ms": lease_ms // 2}
        name = f"{slot}-{next(self._lives)}"
        config: dict[str, Any] = {
            "settings": {
                "redis_url": self.server.unix_url if direct else self.proxy.url,
                "beat_ms": 250,
                "retain_ms": _RETAIN_MS,
                **timing,
            },
            "scopes": list(scopes),
            "worker_id": name,
            "seed": self.chance.getrandbits(32),
            "orders_per_s": 15,
            "sinks": [f"venue/{name}"],
            "venue": self.venue.url,
        }
        self.burners[slot] = Burner(self.log, self.folder, config, direct=direct)
        return self.burners[slot]

    def start_rq(self) -> RqWorker:
        """One more engine worker."""
        env = {
            "KILLSWITCH_REDIS_URL": self.server.unix_url,
            "KILLSWITCH_LEASE_MS": str(_RQ_LEASE_MS),
            "KILLSWITCH_RENEW_MS": "250",
            "KILLSWITCH_BEAT_MS": "250",
            "KILLSWITCH_RETAIN_MS": str(_RETAIN_MS),
            "WORKERS_QUEUE_URL": self.queue_server.unix_url,
            "WORKERS_VENUE_URL": self.venue.url,
            "WORKERS_POLL_MS": "100",
            "WORKERS_OWNERSHIP_MS": "1500",
            "WORKERS_HEARTBEAT_MS": "500",
            "WORKERS_DRAIN_S": "10",
        }
        worker = RqWorker(self.folder, next(self._lives), env)
        self.rq.append(worker)
        return worker

    def restart_venue(self) -> None:
        """Another life of the venue, which remembers the fences of the one before."""
        (self.folder / "v").unlink(missing_ok=True)
        self.venue = Venue(self.folder)

    def _place(self, number: int) -> None:
        data = Path(os.environ.get("KILLSWITCH_TEST_DATA", "../shared/data")).resolve()
        files = sorted(data.glob("fxcm-eurusd-2014-05/*_quote.zip"))
        feed: dict[str, Any] = {"kind": "synthetic", "seed": number, "speed": 30}
        if files:
            turned = files[number:] + files[:number]
            feed = {"kind": "replay", "files": [str(path) for path in turned], "speed": 100, "lead": 2000}
        assert self._queue is not None
        events = str(self.engines[number - 1].path)
        spec = {"name": f"e{number}", "symbol": "EURUSD", "feed": feed, "scopes": [ENGINE_SCOPE], "events": events}
        job = queues.place_engine(self._queue, spec)
        self._jobs[number] = job.id

    def look_after_engines(self) -> None:
        """Reads what engines and the venue noted; places anew what came to an end; notes what got lost."""
        self.arrivals.poll()
        for file in self.engines:
            file.poll()
        if self._queue is None or not self.queue_server.pid:
            return
        for number, job_id in list(self._jobs.items()):
            job = queues.open_queue(self._queue).fetch_job(job_id)
            status = "gone" if job is None else job.get_status().value
            if status in ("failed", "stopped", "canceled", "gone"):
                result = job.latest_result() if job is not None else None
                why = ((result.exc_string if result is not None else None) or "no reason kept").strip().splitlines()[-1]
                self.lost_engines.append(f"engine e{number}: its job is {status}: {why}")
            if status not in ("queued", "started", "deferred", "scheduled"):
                self._place(number)

    # -- what is true now ----------------------------------------------------------------------------------------

    @property
    def bound_ms(self) -> int:
        """After this time every lease of the fleet has run out."""
        return int(max([_RQ_LEASE_MS, *(slot[1] for slot in self.slots)]) / 0.9) + 1

    def bounds(self) -> dict[str, int]:
        """Per worker that tells of its passes: its lease in ns, with the allowed error of its clock."""
        found = {b.worker: b.lease_ms for b in self.burners.values()} | {e.worker: _RQ_LEASE_MS for e in self.engines}
        return {worker: int(lease_ms / 0.9 * 1e6) + 1_000_000 for worker, lease_ms in found.items()}

    def names(self, *, direct: bool | None = None) -> tuple[str, ...]:
        """Workers that tell of their passes, all or those with or without a proxy between."""
        burners = tuple(b.worker for b in self.burners.values() if direct in (None, b.direct))
        return burners + (tuple(e.worker for e in self.engines) if direct in (None, True) else ())

    def running(self) -> list[Burner]:
        """Burners that live and are not frozen."""
        return [b for b in self.burners.values() if b.alive and not b.frozen]

    def trading_since(self, at_ns: int) -> int:
        """Waits until every running burner has passed a check begun after `at_ns`; when the last of them did.

        An AssertionError with what each of them says if that takes longer than OPENS_S.
        """

        def passed() -> list[int] | None:
            firsts = []
            for burner in self.running():
                starts = [e["t"] for e in self.log.since(at_ns, "pass1", burner.worker) if e["start"] >= at_ns]
                if not starts:
                    return None
                firsts.append(min(starts))
            return firsts

        try:
            found = eventually(passed, timeout_s=OPENS_S, why="every burner trades again")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.picture()}") from None
        return max(found or [clock.now_ns()])

    def picture(self) -> str:
        """What the switch and its members say, in a line for a report."""
        status = self.control.status()
        members = ", ".join(f"{m.worker_id} {m.code} at {m.epoch}, {m.beat_age_ms} ms ago" for m in status.members)
        scopes = ", ".join(f"{s.scope} {s.text!r} at {s.epoch}" for s in (status.switch, *status.scopes))
        return f"{scopes}; epoch {status.epoch}; {members}; trouble {status.trouble}"

    def line(self) -> RawLine:
        """A bare line to the switch's server."""
        return RawLine(self.server.socket_path, 3.0)

    def expected_members(self) -> set[str]:
        """Worker ids that live now."""
        return {b.worker for b in self.burners.values()} | {w.name for w in self.rq if w.name}

    def scopes_of(self) -> dict[str, tuple[str, ...]]:
        """Per worker that tells of its passes, the scopes it follows."""
        found = {b.worker: b.scopes for b in self.burners.values()}
        return found | {e.worker: (ENGINE_SCOPE,) for e in self.engines}

    def followers(self, scope: str, *, direct: bool | None = None) -> tuple[str, ...]:
        """Workers that tell of their passes and that `scope` concerns."""
        scopes = self.scopes_of()
        return tuple(name for name in self.names(direct=direct) if scope == "switch" or scope in scopes[name])
