"""What becomes of one order: sent under the gate of its member, or not, and what is certain about it afterwards.

Invariant: an order is called refused only when it is certain that the venue never had it and never will; one that may
have been sent before, by this gateway or one that died, is asked for there.
"""

from __future__ import annotations

from dataclasses import dataclass

from killswitch import Blocked, Code, InvalidInput, JournalEntry, clock
from workers.broker import BrokerError, DuplicateOrder, NotOwner, UnknownOutcome
from workers.gateway.members import Member, Members
from workers.gateway.order import AdmittedOrder, read_order

__all__ = ["Judge", "Verdict"]

_SETTLE_NS = 250 * clock.NS_PER_MS
_SETTLE_POLL_S = 0.002
_FINAL = frozenset(
    {
        Code.ENGAGED,
        Code.SCOPE_ENGAGED,
        Code.STATE_MISSING,
        Code.STATE_UNRECOGNISED,
        Code.STATE_WRONG_TYPE,
        Code.PERMISSION_EXPIRED,
        Code.REDUCING,
        Code.STALE_SIGNAL,
        Code.INCARNATION_CHANGED,
        Code.EPOCH_BEHIND,
    }
)
"""The switch says so. Every other code is this gateway's own trouble, most often over in a round trip: a change in
another part of the fleet, say, must not cost the orders on their way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome (forwarded, refused or unknown), a word for the reason of it, and a text for people."""

    outcome: str
    code: str
    reason: str


class Judge:
    """Deals with orders one at a time. `scopes`: only orders that follow exactly these; None: all. An order older than
    `max_age_ms` is not sent."""

    def __init__(self, members: Members, scopes: tuple[str, ...] | None, max_age_ms: int) -> None:
        self._members = members
        self._scopes = None if scopes is None else frozenset(scopes)
        self._max_age_ms = max_age_ms
        self._told_ms = 0
        self._told_ns = 0
        self.maybe_sent = ""
        """The entry that may have been sent and has no outcome yet, "" where there is none."""

    def tell_time(self, server_ms: int) -> None:
        """The server's clock as of now: entries are dated by it."""
        self._told_ms, self._told_ns = server_ms, clock.now_ns()

    def judge(self, entry: JournalEntry) -> Verdict | None:
        """What became of an entry; None: not decided yet, it is to be asked for again."""
        try:
            order = read_order(entry)
        except InvalidInput as error:
            return Verdict("refused", "damaged", str(error))
        if self._scopes is not None and self._scopes != frozenset(order.scopes):
            text = f"this gateway serves orders that follow {', '.join(sorted(self._scopes)) or 'no scope'}"
            return Verdict("refused", "other_scopes", text)
        member = self._members.of(order.session, order.scopes, order.owner)
        if order.order.client_id in member.guard.unsettled:
            return self._unanswered(member, order)
        if self._is_old(order):
            return self._not_sent(member, order, "too_old", f"it waited for more than {self._max_age_ms} ms")
        looked = order.order.reduces or member.is_stale()
        if not looked or member.refresh():
            return self._send(member, order, looked)
        closed = _closed_for(member, order)  # the venue is away: it may come back before the order is too old
        return None if closed is None else self._not_sent(member, order, closed.code, closed.reason)

    def _send(self, member: Member, order: AdmittedOrder, looked: bool) -> Verdict | None:
        before, self.maybe_sent = self.maybe_sent, order.entry_id
        try:
            _past_the_gate(member, order)
            return Verdict("forwarded", "open", "the venue has it")
        except Blocked as blocked:
            self.maybe_sent = before
            return self._not_sent(member, order, blocked.code, blocked.reason)
        except NotOwner:
            self.maybe_sent = before
            return None
        except UnknownOutcome:
            return self._unanswered(member, order)
        except DuplicateOrder as error:
            if before == order.entry_id:
                return Verdict("forwarded", "repeated", "it had been sent before")
            return Verdict("refused", "duplicate", error.reason)
        except BrokerError as error:
            if type(error) is BrokerError and not looked:  # a connection that ended, say: nothing was sent
                self.maybe_sent = before
                member.doubt()
                return None
            return Verdict("refused", type(error).__name__, error.reason)

    def _not_sent(self, member: Member, order: AdmittedOrder, code: str, reason: str) -> Verdict | None:
        """The outcome of an order that is not sent now. Where it may have been before, the venue is asked."""
        if self.maybe_sent != order.entry_id:
            return Verdict("refused", code, reason)
        try:
            taken = member.venue.void(order.order.client_id)
        except BrokerError as error:
            text = f"it may have been sent before: {error.reason}"
            return Verdict("unknown", code, text) if self._is_old(order) else None
        if taken:
            return Verdict("forwarded", "withdrawn", f"it had been sent before; withdrawn now: {reason}")
        return Verdict("refused", code, reason)

    def _unanswered(self, member: Member, order: AdmittedOrder) -> Verdict | None:
        """The venue did not answer. Until it does the order counts as in flight; it is withdrawn or voided there."""
        try:
            taken = member.guard.settle()[order.order.client_id]
        except BrokerError as error:
            return Verdict("unknown", "unanswered", error.reason) if self._is_old(order) else None
        if taken:
            return Verdict("forwarded", "withdrawn", "the venue had it and did not answer in time; withdrawn")
        return Verdict("refused", "unanswered", "the venue did not have it, and refuses it from now on")

    def _is_old(self, order: AdmittedOrder) -> bool:
        now_ms = self._told_ms + (clock.now_ns() - self._told_ns) // clock.NS_PER_MS
        return now_ms - order.at_ms > self._max_age_ms


def _past_the_gate(member: Member, order: AdmittedOrder) -> None:
    """Sends the order. Where the gate is closed in passing, waits a moment; each attempt is a whole check."""
    deadline_ns = clock.now_ns() + _SETTLE_NS
    while True:
        try:
            member.guard.send(order.order, order.epoch)
            return
        except Blocked as blocked:
            if not _passing(blocked, order) or clock.now_ns() >= deadline_ns:
                raise
        clock.sleep(_SETTLE_POLL_S)


def _passing(blocked: Blocked, order: AdmittedOrder) -> bool:
    """Whether the gate may let the order pass in a moment. An agent that knows an older epoch than the one Redis
    admitted the order under has not heard of it yet."""
    return blocked.code not in _FINAL or blocked.epoch < order.epoch


def _closed_for(member: Member, order: AdmittedOrder) -> Blocked | None:
    """Why the gate will not let the order pass any more; None where it would, or may in a moment. Sends nothing."""
    try:
        with member.agent.gate.order(order.epoch, reduces=order.order.reduces, order_id=order.order.client_id):
            return None
    except Blocked as blocked:
        return None if _passing(blocked, order) else blocked
