"""One drill on the live fleet: announce, hear who acknowledges, read what the rows say, keep the result.

The workers are taken from the membership first, then the drill is announced, as it is by whoever engages. What is heard
on the channel only gives the time; that a worker acknowledged is what its own row says, written in the step in which it
asked. A drill that meets a real change gives way at once: it says nothing then, neither of the line nor of the fleet.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from killswitch.clock import NS_PER_MS, now_ns
from killswitch.core.drill import (
    DrilledWorker,
    bound_of,
    cannot_be_drilled,
    drilled,
    parse_acknowledgement,
)
from killswitch.core.drill_record import (
    COMPARED,
    Comparison,
    DrillRecord,
    DrillVerdict,
    compare,
    figures,
    record_fields,
)
from killswitch.core.fleet import Member, SwitchState
from killswitch.core.modes import SWITCH
from killswitch.errors import DrillBusy, StoreRefused, StoreUnavailable
from killswitch.settings import Settings
from killswitch.store.drill import DrillStore
from killswitch.store.fleet import FleetStore
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire, connect

__all__ = ["Drill", "DrillTask", "Heard", "Stopping", "kept_drills", "run_drill"]

_NAME = "killswitch-drill"
_LOOK_NS = 100 * NS_PER_MS
_SLICE_S = 0.05
_MARGIN_MS = 5_000
"""A drill whose tool dies is over so long after its bound."""
_RELEASE_S = 0.2
_LOOKED_BACK = 10 * COMPARED
_NAMED = 16

Heard = Callable[[str, int, int, int], None]
"""(worker, microseconds after the SET was sent, how many were heard, how many are awaited)."""
Stopping = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class DrillTask:
    """Who drills, by which kind of tool; `heard` hears of each acknowledgement; `stopping` is asked several times a
    second whether to end."""

    actor: str
    via: str
    heard: Heard | None = None
    stopping: Stopping | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """What a drill showed. `record` is what is kept of it, `workers` each worker, the slowest first and those that did
    not acknowledge before all; `state` what the switch said when it began; `comparison` with earlier drills. `kept` is
    False where the result could not be written into the history."""

    verdict: DrillVerdict
    record: DrillRecord
    workers: tuple[DrilledWorker, ...]
    state: SwitchState
    comparison: Comparison
    kept: bool

    @property
    def missing(self) -> tuple[DrilledWorker, ...]:
        """Those that did not acknowledge within their bound."""
        return tuple(worker for worker in self.workers if not worker.acknowledged)


class _Ear:
    """Who said what on the channel, and when."""

    def __init__(self, wire: Wire, channel: str, token: str) -> None:
        self._wire = wire
        self._word = f"drill:{token}"
        self.heard_ns: dict[str, int] = {}
        self.real = False  # somebody acknowledged a stop, or left
        # Granted it is told by a push, refused by an answer: the one to PING comes after either.
        wire.send("SUBSCRIBE", channel)
        wire.call("PING")
        wire.pushes.clear()

    def listen(self, timeout_s: float) -> list[str]:
        """The workers that acknowledged this drill since the last time; waits for the first word of anybody."""
        push = self._wire.wait_push(timeout_s)
        if push is None:
            return []
        at_ns = now_ns()
        pushes, self._wire.pushes = [push, *self._wire.pushes], []
        new = []
        for push in pushes:
            if len(push) != 3 or as_text(push[0]) != "message":
                continue
            worker_id, _, word = as_text(push[2]).rpartition(" ")
            if word == self._word and worker_id not in self.heard_ns:
                self.heard_ns[worker_id] = at_ns
                new.append(worker_id)
            self.real |= not word.startswith("drill:")
        return new


class _Run:
    def __init__(self, wire: Wire, ear: Wire, keys: Keys, task: DrillTask) -> None:
        self._fleet = FleetStore(wire, keys)
        self._store = DrillStore(wire, keys)
        self._task = task
        self._sent_ns = 0
        self.token = secrets.token_hex(8)
        self.is_open = False  # begun, or perhaps begun, and not ended
        self._ear = _Ear(ear, keys.acks, self.token)

    def run(self) -> Drill:
        mark = self._store.mark()
        members, state = self._fleet.look(SWITCH)
        awaited = {member.worker_id for member in members if not cannot_be_drilled(member)}
        bound_ms = max((bound_of(member) for member in members if member.worker_id in awaited), default=0)
        self.is_open = True
        self._sent_ns = now_ns()
        self._store.begin(self.token, bound_ms + _MARGIN_MS, self._task.actor)
        ok_us = self._elapsed_us()
        cut = self._await(awaited, self._sent_ns + bound_ms * NS_PER_MS, mark)
        after = {member.worker_id: member for member in self._fleet.members()}
        cut = cut or self._changed(mark)
        workers = self._judged([after[member.worker_id] for member in members if member.worker_id in after])
        record = self._record(workers, state, ok_us, bound_ms, cut)
        return self._keep(record, workers, state, not self._is_stopping())

    def _await(self, awaited: set[str], deadline_ns: int, mark: tuple[str, str]) -> str:
        """Listens until everybody has acknowledged or the time is up. Why it was given up; "" when it was not."""
        waiting, next_look_ns = set(awaited), self._sent_ns + _LOOK_NS
        while (left_ns := deadline_ns - now_ns()) > 0:
            if not waiting:
                waiting = self._unconfirmed(awaited)
                if waiting:
                    self._forget_the_gone(awaited, waiting)
                if not waiting:
                    break
            if self._is_stopping():
                return "stopped by who made it"
            for worker_id in self._ear.listen(min(left_ns / 1e9, _SLICE_S)):
                self._take(worker_id, waiting, len(awaited))
            if self._ear.real or now_ns() >= next_look_ns:
                self._ear.real, next_look_ns = False, now_ns() + _LOOK_NS
                if cut := self._changed(mark):
                    return cut
                self._forget_the_gone(awaited, waiting)
                for worker_id in set(waiting) - self._unconfirmed(waiting):  # a word on the channel may be lost
                    self._ear.heard_ns.setdefault(worker_id, now_ns())
                    self._take(worker_id, waiting, len(awaited))
        return ""

    def _take(self, worker_id: str, waiting: set[str], total: int) -> None:
        if worker_id in waiting:
            waiting.remove(worker_id)
            if self._task.heard is not None:
                heard_us = (self._ear.heard_ns[worker_id] - self._sent_ns) // 1000
                self._task.heard(worker_id, heard_us, total - len(waiting), total)

    def _unconfirmed(self, workers: set[str]) -> set[str]:
        """Those of `workers` whose rows do not say that they acknowledged; what was heard of them was not theirs."""
        said = self._store.said(sorted(workers))
        found = {name for name in workers if parse_acknowledgement(said.get(name, ""), self.token) is None}
        for name in found:
            self._ear.heard_ns.pop(name, None)
        return found

    def _forget_the_gone(self, awaited: set[str], waiting: set[str]) -> None:
        """Who left meanwhile said goodbye, and is nobody's to wait for."""
        members = self._store.members()
        awaited &= members
        waiting &= members

    def _is_stopping(self) -> bool:
        return self._task.stopping is not None and self._task.stopping()

    def _changed(self, mark: tuple[str, str]) -> str:
        found = self._store.mark()
        if found == mark:
            return ""
        return f"the switch was really changed while it ran: {found[0][:80] or '(nothing)'}, epoch {found[1] or '?'}"

    def _judged(self, members: list[Member]) -> tuple[DrilledWorker, ...]:
        heard = {name: (at_ns - self._sent_ns) // 1000 for name, at_ns in self._ear.heard_ns.items()}
        found = [drilled(member, self.token, heard.get(member.worker_id)) for member in members]
        return tuple(sorted(found, key=lambda one: (one.acknowledged, -(one.heard_us or 0), one.worker_id)))

    def _record(
        self, workers: tuple[DrilledWorker, ...], state: SwitchState, ok_us: int, bound_ms: int, cut: str
    ) -> DrillRecord:
        good = [one for one in workers if one.acknowledged]
        missing = [one.worker_id for one in workers if not one.acknowledged]
        verdict = DrillVerdict.CUT_SHORT if cut else DrillVerdict.MISSED if missing or not good else DrillVerdict.PASSED
        nobody = "" if workers else "no worker is registered, so nobody is there to acknowledge it"
        return DrillRecord(
            entry_id="",
            at_ms=-1,
            verdict=str(verdict),
            actor=self._task.actor,
            via=self._task.via,
            mode=str(state.mode),
            workers=len(workers),
            acknowledged=len(good),
            in_flight=sum(one.in_flight > 0 for one in good),
            bound_ms=bound_ms,
            ok_us=ok_us,
            heard=figures([one.heard_us for one in good if one.heard_us is not None]),
            recorded=figures([one.recorded_us for one in good if one.recorded_us is not None]),
            slowest=good[0].worker_id if good else "",
            missing=", ".join(missing[:_NAMED]),
            note=cut or nobody,
        )

    def _keep(
        self, record: DrillRecord, workers: tuple[DrilledWorker, ...], state: SwitchState, is_kept: bool
    ) -> Drill:
        comparison = compare(record, ())
        entry_id, at_ms = "", -1
        try:
            comparison = compare(record, self._store.history(_LOOKED_BACK))
            self.is_open = False
            entry_id, at_ms = self._store.end(self.token, record_fields(record) if is_kept else {})
        except (StoreUnavailable, StoreRefused):
            pass  # what was shown was shown; the tool says that it is not kept
        record = replace(record, entry_id=entry_id, at_ms=at_ms)
        return Drill(DrillVerdict(record.verdict), record, workers, state, comparison, bool(entry_id))

    def _elapsed_us(self) -> int:
        return (now_ns() - self._sent_ns) // 1000


def _reach(settings: Settings, limit_s: float) -> contextlib.closing[Wire]:
    return contextlib.closing(connect(settings.endpoint, limit_s, _NAME))


def kept_drills(settings: Settings, count: int) -> list[DrillRecord]:
    """The newest `count` drills, newest first. Raises StoreUnavailable, StoreRefused."""
    with _reach(settings, settings.timeout_ms / 1000) as wire:
        return DrillStore(wire, Keys(settings.prefix)).history(count)


def run_drill(settings: Settings, task: DrillTask) -> Drill:
    """Makes one drill; it ends with the bound of the longest lease at the latest. Who drills needs rights on the
    scratch scope and the drills, and may look at the fleet: see docs/reference.md.

    Raises:
        DrillBusy: another drill is under way; nothing was announced.
        StoreRefused: Redis refuses; a stop by hand would be refused as well.
        StoreUnavailable: Redis was lost; what was shown until then is not told.
    """
    keys, timeout_s = Keys(settings.prefix), settings.timeout_ms / 1000
    with _reach(settings, timeout_s) as wire, _reach(settings, timeout_s) as ear:
        run = _Run(wire, ear, keys, task)
        try:
            return run.run()
        except DrillBusy:
            run.is_open = False
            raise
        finally:
            if run.is_open:  # interrupted, or Redis was lost: the next drill need not wait until this one has run out
                with contextlib.suppress(StoreUnavailable, StoreRefused), _reach(settings, _RELEASE_S) as last:
                    DrillStore(last, keys).end(run.token, {})
