"""Taking engines down: withdrawn where they wait, stopped in order where they run, looked for until they are gone.

Waiting ones go first, because a worker that is set free by a stop would take the next of them. A stop command may be
lost, its worker may die or leave and put the engine back: so each engine is looked at and asked again until a look
finds it nowhere. What a look sees, it sees in one step. An engine is down when it is in none of the three places and no
worker's entry in the switch's registry names it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from killswitch import Controller, KillSwitchError, Member
from killswitch.clock import now_ns, sleep
from ops.render import count_of
from workers.roster import Place, Placed, Roster

__all__ = ["Ended", "Stopping"]

_LOOK_EVERY_S = 0.1
_ASK_EVERY_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How one engine went. `how` is withdrawn (it waited, or its worker had put it back), stopped, finished, failed,
    gone (its record says no more), absent (it was nowhere), or still there. `cancelled` are working orders that it
    cancelled. `why` says what is not well."""

    engine: str
    how: str
    job: str = ""
    took_s: float = 0.0
    ticks: int = 0
    orders: int = 0
    cancelled: int = 0
    why: str = ""

    @property
    def down(self) -> bool:
        """Whether it is gone, and nobody has to look after it."""
        return self.how != "still there" and not self.why


class Stopping:
    """Takes engines of one queue down. `heard(ended)` is called for each as it goes. Raises redis.RedisError where the
    queue does not answer; the switch's Redis may be away, and then the registry is told as not seen."""

    def __init__(
        self,
        roster: Roster,
        control: Controller,
        timeout_s: float,
        heard: Callable[[Ended], None],
        waiting: Callable[[str, str], None],
    ) -> None:
        self._roster = roster
        self._control = control
        self._timeout_s = timeout_s
        self._heard = heard
        self._waiting = waiting
        self.unseen = ""
        """Why the switch's registry could not be read, if it could not."""

    def names(self) -> tuple[str, ...]:
        """Every engine that is somewhere now, those that run first."""
        return tuple(dict.fromkeys(placed.engine for placed in self._roster.look()))

    def run(self, engines: Sequence[str]) -> tuple[Ended, ...]:
        """Takes these down, in this order; those that do not go in time are told as still there."""
        before = {placed.engine: placed for placed in reversed(self._roster.look())}
        withdrawn = {name for name in engines if self._withdraw(self._roster.of(name))}
        found = []
        for name in engines:
            ended = self._take_down(name, before.get(name), name in withdrawn)
            found.append(ended)
            self._heard(ended)
        return tuple(found)

    def _withdraw(self, placed: Sequence[Placed]) -> bool:
        """Takes off what waits; whether all of it did."""
        taken = [self._roster.withdraw(one) for one in placed if one.place is Place.WAITING]
        return bool(placed) and len(taken) == len(placed) and all(taken)

    def _take_down(self, name: str, before: Placed | None, withdrawn: bool) -> Ended:
        begun_ns = now_ns()
        asked_ns = 0
        last, put_back = None if withdrawn else before, False
        while placed := self._roster.of(name):
            if (now_ns() - begun_ns) / 1e9 > self._timeout_s:
                return self._still(name, placed[0])
            put_back = self._withdraw(placed)
            running = [one for one in placed if one.place is Place.RUNNING]
            last = running[0] if running else last
            if running and now_ns() - asked_ns > _ASK_EVERY_NS:
                asked_ns = now_ns()
                for one in running:
                    self._roster.ask_to_stop(one)
            self._waiting(name, placed[0].place)
            sleep(_LOOK_EVERY_S)
        took_s = (now_ns() - begun_ns) / 1e9
        if before is None and last is None:
            return Ended(name, "absent", why=self._entry(name))
        if last is None:
            return Ended(name, "withdrawn", before.job_id if before else "", took_s)
        status, report, why = self._roster.outcome(last.job_id)
        how = "withdrawn" if put_back and status == "gone" else status
        return Ended(
            name,
            how,
            last.job_id,
            took_s,
            _number(report, "ticks"),
            _number(report, "orders"),
            _number(report, "cancelled"),
            self._entry(name) or (f"it failed before: {why}" if status == "failed" else ""),
        )

    def _still(self, name: str, placed: Placed) -> Ended:
        where = {
            Place.RUNNING: "its worker did not end it: is that process alive?",
            Place.CLAIMED: "a worker has claimed it and neither starts it nor puts it back",
            Place.WAITING: "it keeps coming back to its queue: who places it?",
        }
        return Ended(name, "still there", placed.job_id, self._timeout_s, why=where[placed.place])

    def _entry(self, name: str) -> str:
        """What is not well in the switch's registry: an entry that still names the engine."""
        try:
            members = self._control.status().members
        except KillSwitchError as error:
            self.unseen = str(getattr(error, "reason", error))
            return ""
        left = [member for member in members if member.engine == name]
        return _words(left[0]) if left else ""


def _words(member: Member) -> str:
    text = f"worker {member.worker_id} still names it in the registry"
    if not member.in_flight:
        return text
    return f"{text} with {count_of(member.in_flight, 'order')} in flight: {', '.join(member.orders)}"


def _number(report: Mapping[str, Any], name: str) -> int:
    """A figure of a report; one that is split up is summed."""
    value = report.get(name, 0)
    parts = value.values() if isinstance(value, Mapping) else [value]
    return sum(part for part in parts if isinstance(part, int))
