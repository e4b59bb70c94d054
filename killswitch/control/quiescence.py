"""Waiting until the fleet is proved quiet, or until it is clear what can be proved instead, and never longer.

The operator writes first and takes the membership afterwards, and a worker registers first and reads afterwards: so
whoever is not in the membership read the engagement (P6). Acknowledgements only say when to look; the proof is the
worker's own hash, written by the same step in which it read the engagement.

Who does not prove it is given up when its lease has run out, and its sinks are asked to refuse its old orders. FENCED
tells of what was permitted before the stop, whatever somebody permits later. That no gate is open at all is said of the
moment of the last look, and only if all leases had run out and the stop stood then. The wait ends in time whatever
workers, sinks and Redis do: each step has a limit of its own and all of them have one together, and a lost connection
is made anew while there is time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from killswitch.clock import NS_PER_MS, now_ns, sleep
from killswitch.control.fencing import Fencing
from killswitch.core.fleet import Member, followers, lease_bound_ms, nobody_there, not_quiet
from killswitch.core.lease import closed_by_ms
from killswitch.core.modes import Mode
from killswitch.core.proof import Standing, fenceable_ms, may_turn_quiet, standing
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.bounded import Bounded
from killswitch.store.fleet import FleetStore
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire

__all__ = ["Quiescence", "Task", "wait_quiet"]

_REFRESH_NS = 100 * NS_PER_MS
_FENCING_NS = 10 * NS_PER_MS
_GRACE_NS = 500 * NS_PER_MS
"""What a look may take beyond the end of the wait."""
_STEP_S = 0.5
_PAUSE_S = 0.02
_FINAL = (Code.REDIS_DENIED, Code.REDIS_REFUSED, Code.LIBRARY_MISSING)

MemberSeen = Callable[[Member, bool], None]
Looked = Callable[[tuple[Member, ...]], None]
Connect = Callable[[int], Wire]
"""Makes a connection by the given time (`clock.now_ns`)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is waited for: the stop of `scope` at `epoch`, confirmed at `engaged_ns`, for at most `wait_s` seconds from
    then on. `epoch` 0: set but unrecorded. `lease_ms` is this tool's own setting, for members that do not tell.

    `split_ms`: for so long a master that was replaced may go on renewing leases where the sentinels' majority is not;
    0: there is no other server; None: nothing bounds it.

    `note`: the stop was made by deleting the state, with this text beside it.
    """

    scope: str
    epoch: int
    engaged_ns: int
    wait_s: float
    lease_ms: int
    split_ms: int | None = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quiescence:
    """How the wait ended: `members` concerned, `pending` of them and how these stand; whether all leases have run out,
    and by when after the engagement they have (None: nothing bounds it); `note` says why nothing is proved, whatever
    the workers said."""

    epoch: int
    members: tuple[Member, ...]
    pending: tuple[Member, ...]
    standings: tuple[Standing, ...]
    waited_ms: float
    leases_out: bool
    bound_ms: int | None
    note: str

    @property
    def quiet(self) -> bool:
        """Every member proved it."""
        return not self.pending and not self.note

    @property
    def fenced(self) -> bool:
        """Some did not, and all of these are fenced."""
        return bool(self.standings) and all(one.fenced for one in self.standings) and not self.note


class _Wait:
    def __init__(self, keys: Keys, task: Task, fencing: Fencing, seen: MemberSeen, looked: Looked) -> None:
        self._keys = keys
        self._task = task
        self._fencing = fencing
        self._seen = seen
        self._looked = looked
        self._quiet: set[str] = set()
        self._left: set[str] = set()
        self._next_look_ns = 0
        self._soonest_look_ns = 0
        self._wary = False
        self.epoch = task.epoch
        self.deadline_ns = task.engaged_ns + int(task.wait_s * 1e9)
        self.limit_ns = max(self.deadline_ns, now_ns()) + _GRACE_NS  # also who comes late looks once
        self.stopped_ns = task.engaged_ns  # from here on the leases run out that could be held
        self._recorded = task.epoch  # the highest epoch that was seen on record
        self._looked_ns = 0  # when the last look that succeeded began
        self._fence_ns = 0  # the time for which fences were asked last
        self._longest_ms = closed_by_ms(task.lease_ms)  # of the leases that anybody was seen to have
        self.members: dict[str, Member] = {}
        self.pending: tuple[Member, ...] = ()
        self.looks = 0
        self.nobody = ""  # why there is nobody who could prove anything
        self.note = ""

    # -- one step of the wait -----------------------------------------------------------------------------------

    def turn(self, wire: Wire) -> None:
        """Looks when it is time, has fences raised, hears acknowledgements. Raises StoreUnavailable, StoreRefused."""
        began = now_ns()
        if began >= self._look_due_ns():
            try:
                self.look(Bounded(wire, self.limit_ns, _STEP_S))
            except StoreUnavailable:
                self._wary = True  # was it a row of monstrous size that took so long?
                raise
            # Looking takes at most half of the time, however many acknowledgements ask for it.
            self._soonest_look_ns = 2 * now_ns() - began
            self._next_look_ns = max(now_ns() + _REFRESH_NS, self._soonest_look_ns)
        self.fence(began)
        if not self.ended() and self.hear(wire, self._rest_s()):
            self._next_look_ns = min(self._next_look_ns, self._soonest_look_ns)

    def look(self, caller: Caller) -> None:
        """Reads everyone; members who joined later read the engagement and are not waited for, but shown."""
        began = now_ns()
        members, state = FleetStore(caller, self._keys).look(self._task.scope, wary=self._wary)
        if state.epoch > self._recorded:
            # Recorded only now, or somebody permitted and engaged again meanwhile, perhaps by a hand whose stop nobody
            # has recorded yet: proof of the older stop is void, and permissions may have been given until a moment ago.
            self._recorded, self.stopped_ns = state.epoch, now_ns()
            self.epoch = state.epoch if state.recorded else 0
        if state.mode is not Mode.ENGAGED:
            self.note = f"somebody changed the state to {state.text!r} while this command waited"
        elif state.epoch < self._recorded or (state.code is Code.STATE_MISSING and not self._deleted_it(caller)):
            # The membership may have gone the same way, and an empty one would prove nothing.
            self.note = "the record of this engagement was lost while this command waited (flushed or restarted?)"
        concerned = {m.worker_id: m for m in followers(members, self._task.scope)}
        self.nobody = "" if concerned else nobody_there(members, self._task.scope)
        for worker_id in self.members:
            if worker_id not in concerned and worker_id not in self._left:
                concerned[worker_id] = Member(worker_id, known=False)
        # Who said goodbye is out only if the membership says so too: anybody may write to the channel.
        self.members = concerned
        everybody = tuple(concerned.values())
        self.pending = not_quiet(everybody, self.epoch) if self.epoch else everybody
        self.looks += 1
        self._looked_ns, self._longest_ms = began, closed_by_ms(lease_bound_ms(everybody, self._task.lease_ms))
        waited_for = {member.worker_id for member in self.pending}
        for member in everybody:
            if member.worker_id not in self._quiet and member.worker_id not in waited_for:
                self._quiet.add(member.worker_id)
                self._seen(member, True)
        self._looked(self.pending)

    def _deleted_it(self, caller: Caller) -> bool:
        """Whether the state is missing because this stop deleted it. What was written beside it and is still there when
        the members have been read proves that no flush took them; after the first look they are known."""
        return bool(self._task.note) and (
            self.looks > 0 or as_text(caller.call("GET", self._keys.note)) == self._task.note
        )

    def fence(self, at_ns: int) -> None:
        """Asks the sinks of those whose lease had run out at `at_ns`, and of nobody else: a fence also refuses what a
        healthy worker sent a moment ago. Where Redis answers, they were looked at after that: FENCED is not said of a
        stop that no longer stood when the leases ran out."""
        self._fence_ns = at_ns
        if not self.epoch or self.note:
            return
        elapsed_ms = self._elapsed_ms(at_ns)
        wanted: list[str] = []
        for member in self.pending:
            bound_ms = fenceable_ms(member)
            if bound_ms is not None and elapsed_ms >= bound_ms:
                wanted += member.sinks
        self._fencing.want(wanted, self.epoch, self.deadline_ns)

    def hear(self, wire: Wire, timeout_s: float) -> bool:
        """Waits for acknowledgements and notes who left; returns whether anything was heard. What came together is
        taken together, so that a flood does not keep anybody listening."""
        push = wire.wait_push(timeout_s)
        if push is None:
            return False
        heard, wire.pushes = [push, *wire.pushes], []
        for push in heard:
            if len(push) == 3 and as_text(push[0]) == "message":
                worker_id, _, what = as_text(push[2]).rpartition(" ")
                if what == "left" and worker_id in self.members:
                    self._left.add(worker_id)
        return True

    # -- how it stands ------------------------------------------------------------------------------------------

    def ended(self) -> bool:
        """Whether waiting longer would tell nothing more, or the time is up."""
        if self.note or now_ns() >= self.deadline_ns:
            return True
        if not self.looks or not self.epoch:
            return False
        hopeful = any(may_turn_quiet(member, self.epoch) for member in self.pending)
        return not hopeful and all(self._standing(member).fenced for member in self.pending)

    def _standing(self, member: Member) -> Standing:
        fencing = self._fencing
        elapsed_ms = self._elapsed_ms(now_ns())
        return standing(member, self.epoch, elapsed_ms, fencing.confirmed, fencing.sinks, fencing.trouble)

    def result(self, trouble: str) -> Quiescence:
        """The end. `trouble`: why Redis could not be asked any more."""
        stands, now = tuple(map(self._standing, self.pending)), now_ns()
        members = tuple(self.members.values())
        lease_ms = self._longest_ms
        out = bool(self.looks) and not self.note and self._elapsed_ms(self._looked_ns) >= lease_ms
        note = self.note or ("" if self.epoch else "nobody has recorded the engagement yet")
        if not self.looks:
            note = f"the proof could not be had: {trouble or 'the membership was not read in time'}"
        elif self.nobody and not note:
            note = self.nobody
        elif trouble and not note and not all(one.fenced for one in stands):
            note = f"Redis could not be asked again: {trouble}"
        split_ms, later_ms = self._task.split_ms, (self.stopped_ns - self._task.engaged_ns) // NS_PER_MS
        bound_ms = None if split_ms is None else lease_ms + split_ms + later_ms
        waited_ms = (now - self._task.engaged_ns) / NS_PER_MS
        return Quiescence(self.epoch, members, self.pending, stands, waited_ms, out, bound_ms, note)

    def _elapsed_ms(self, at_ns: int) -> float:
        """For how long, at `at_ns`, no lease can have been renewed."""
        if self._task.split_ms is None:
            return -1.0
        return (at_ns - self.stopped_ns) / NS_PER_MS - self._task.split_ms

    def _end_ns(self, bound_ms: int) -> int:
        """When a lease of this bound has run out; only to be asked where something bounds it."""
        return self.stopped_ns + ((self._task.split_ms or 0) + bound_ms) * NS_PER_MS

    def _look_due_ns(self) -> int:
        """After a while, and at once when all leases have run out: that look tells whether the stop still stood."""
        out_ns = self._end_ns(self._longest_ms)
        if self._task.split_ms is None or self._looked_ns >= out_ns:
            return self._next_look_ns
        return min(self._next_look_ns, out_ns)

    def _rest_s(self) -> float:
        """Until something is to be done again, whatever is heard: a look, a lease that runs out, a fence."""
        now = now_ns()
        ends = [self._end_ns(bound) for bound in map(fenceable_ms, self.pending) if bound is not None]
        due = [self.deadline_ns, self._look_due_ns(), *(end for end in ends if end > self._fence_ns)]
        if self._fencing.busy:
            due.append(now + _FENCING_NS)
        return max(min(due) - now, 0) / 1e9


def wait_quiet(
    connect: Connect, keys: Keys, task: Task, fencing: Fencing, seen: MemberSeen, looked: Looked
) -> Quiescence:
    """Waits for the proof of `task`; looks at least once, and returns in time. Raises nothing.

    `seen` hears of each member as it turns quiet, `looked` after each look of those that are not.
    """
    waiting = _Wait(keys, task, fencing, seen, looked)
    wire: Wire | None = None
    trouble = ""
    while True:
        try:
            if wire is None:
                wire = connect(min(now_ns() + int(_STEP_S * 1e9), waiting.limit_ns))
                wire.send("SUBSCRIBE", keys.acks)
            waiting.turn(wire)
            trouble = ""
        except (StoreUnavailable, StoreRefused) as error:
            trouble = str(error)
            if wire is not None:
                wire.close()
            wire = None
            if isinstance(error, StoreRefused) and error.code in _FINAL:
                break
            waiting.fence(now_ns())
            sleep(min(_PAUSE_S, max(waiting.deadline_ns - now_ns(), 0) / 1e9))
        if waiting.ended():
            break
    if wire is not None:
        wire.close()
    return waiting.result(trouble)
