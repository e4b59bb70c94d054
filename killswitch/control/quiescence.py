"""Waiting until the fleet is proved quiet, or until it is clear that it can not be proved.

The operator writes first and takes the membership afterwards, and a worker registers first and reads afterwards: so
whoever is not in the membership read the engagement (P6). Acknowledgements only say when to look; the proof is the
worker's own hash, written by the same step in which it read the engagement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from killswitch.clock import NS_PER_MS, now_ns
from killswitch.core.fleet import Member, followers, lease_bound_ms, not_quiet
from killswitch.core.lease import closed_by_ms
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.store.fleet import FleetStore
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire

__all__ = ["Quiescence", "wait_quiet"]

_REFRESH_NS = 100 * NS_PER_MS

MemberSeen = Callable[[Member, bool], None]


@dataclass(frozen=True, slots=True)
class Quiescence:
    """How the wait ended: `members` concerned, `pending` of them, whether all leases have run out, and a note."""

    epoch: int
    members: tuple[Member, ...]
    pending: tuple[Member, ...]
    waited_ms: float
    leases_out: bool
    note: str


class _Wait:
    def __init__(self, wire: Wire, keys: Keys, scope: str, epoch: int, seen: MemberSeen) -> None:
        self._wire = wire
        self._keys = keys
        self._fleet = FleetStore(wire, keys)
        self._scope = scope
        self.epoch = epoch
        self._seen = seen
        self._quiet: set[str] = set()
        self._left: set[str] = set()
        self.members: dict[str, Member] = {}
        self.nobody = False
        self.note = ""

    def look(self) -> None:
        """Reads everyone; members who joined later read the engagement and are not waited for, but shown."""
        status = self._fleet.status()
        state = next((s for s in (status.switch, *status.scopes) if s.scope == self._scope), status.switch)
        if state.recorded and state.epoch > self.epoch:
            # Recorded only now, or somebody permitted and engaged again meanwhile: proof of the older stop is void.
            self.epoch = state.epoch
        if state.mode is not Mode.ENGAGED:
            self.note = f"somebody changed the state to {state.text!r} while this command waited"
        elif state.code is Code.STATE_MISSING or state.epoch < self.epoch:
            # The membership may have gone the same way, and an empty one would prove nothing.
            self.note = "the record of this engagement was lost while this command waited (flushed or restarted?)"
        self.nobody = not status.members
        concerned = {m.worker_id: m for m in followers(status.members, self._scope)}
        for worker_id in self.members:
            if worker_id not in concerned and worker_id not in self._left:
                concerned[worker_id] = Member(worker_id, known=False)
        # Who said goodbye is out only if the membership says so too: anybody may write to the channel.
        self.members = concerned
        for member in self.members.values():
            if member.worker_id not in self._quiet and not self._is_pending(member):
                self._quiet.add(member.worker_id)
                self._seen(member, True)

    def hear(self, timeout_s: float) -> bool:
        """Waits for an acknowledgement and notes who left; returns whether anything was heard."""
        heard = False
        push = self._wire.wait_push(timeout_s)
        while push is not None:
            heard = True
            if len(push) == 3 and as_text(push[0]) == "message":
                worker_id, _, what = as_text(push[2]).rpartition(" ")
                if what == "left":
                    self._left.add(worker_id)
            push = self._wire.wait_push(0)
        return heard

    def _is_pending(self, member: Member) -> bool:
        return not self.epoch or bool(not_quiet((member,), self.epoch))

    @property
    def pending(self) -> tuple[Member, ...]:
        return tuple(m for m in self.members.values() if self._is_pending(m))


def wait_quiet(
    wire: Wire,
    keys: Keys,
    scope: str,
    epoch: int,
    engaged_ns: int,
    wait_s: float,
    lease_ms: int,
    seen: MemberSeen,
) -> Quiescence:
    """Waits at most `wait_s` seconds after `engaged_ns` until every member is quiet at `epoch`.

    `epoch` 0 means that the engagement is set but unrecorded; the first beat gives it its epoch. `lease_ms` is this
    tool's own setting, for members that do not tell theirs. `seen` hears of each member as it turns quiet.

    Raises:
        StoreUnavailable: the connection to Redis was lost while waiting.
    """
    wire.send("SUBSCRIBE", keys.acks)
    waiting = _Wait(wire, keys, scope, epoch, seen)
    waiting.look()
    deadline = engaged_ns + int(wait_s * 1e9)
    next_look = now_ns() + _REFRESH_NS
    while (waiting.pending or not waiting.epoch) and not waiting.note:
        left_ns = min(deadline, next_look) - now_ns()
        heard = waiting.hear(max(left_ns, 0) / 1e9)
        if heard or now_ns() >= next_look:
            waiting.look()
            next_look = now_ns() + _REFRESH_NS
        if now_ns() >= deadline:
            break
    waited_ms = (now_ns() - engaged_ns) / NS_PER_MS
    members = tuple(waiting.members.values())
    bound_ms = closed_by_ms(lease_bound_ms(members, lease_ms))
    note = waiting.note or ("" if waiting.epoch else "nobody has recorded the engagement yet")
    if waiting.nobody and not note:
        # An empty membership is what a flush leaves behind, and then it proves nothing.
        note = "no worker is registered, so there is nobody to prove it; if there should be some, their record was lost"
    return Quiescence(waiting.epoch, members, waiting.pending, waited_ms, waited_ms >= bound_ms, note)
