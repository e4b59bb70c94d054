"""The watcher's decisions, pure: events go in, actions come out, nobody else decides.

Invariant: the gate is open only while an answer permits it that (1) was asked after the last close, (2) carries the
nonce of the question, (3) was asked less than a lease ago, and (4) has an epoch above every one at which this worker
saw a stop; only an answer to a beat opens it. Every other event closes. The owning thread only moves bytes.

States: IDLE (not started or stopped) -> CONNECTING -> CONNECTED -> (trouble) WAITING -> CONNECTING. At most one
question is under way; a change that arrives meanwhile makes it void, and the next question follows its answer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from killswitch.core.answer import Answer, Decision, decide
from killswitch.core.lease import deadline_ns
from killswitch.core.memory import Memory, is_stop
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import FIRST_PICTURE, Picture

__all__ = ["Action", "Ask", "Connect", "Drain", "Drop", "Phase", "Show", "Timing", "Watch"]

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Timing:
    """All durations in milliseconds; the rules between them are checked by Settings."""

    lease_ms: int
    renew_ms: int
    beat_ms: int
    patience_ms: int
    backoff_min_ms: int = 20
    backoff_max_ms: int = 500


@dataclass(frozen=True, slots=True)
class Show:
    """Make this the picture that gates read. Comes before every action that could lose a sign of a change."""

    picture: Picture


@dataclass(frozen=True, slots=True)
class Drain:
    """Read the push connection empty (and arm it again where the rung asks for that)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a question. Permits are counted when it is sent. `stop_epoch`: the highest at which a stop was seen."""

    nonce: int
    beat: bool
    closed: bool
    seen_epoch: int
    stop_epoch: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Close both connections."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Make both connections anew; report `connected` or `trouble`."""


Action = Show | Drain | Ask | Drop | Connect


class Phase(Enum):
    """Where the connections stand."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"


@dataclass(slots=True)
class _Question:
    nonce: int
    beat: bool
    closed: bool
    sent_ns: int
    void: bool = False


class Watch:
    """Feed it events with the time they happened (`now_ns`); perform the returned actions in order."""

    def __init__(self, timing: Timing, version: int, scopes: tuple[str, ...], chance: random.Random) -> None:
        self.timing = timing
        self.scopes = scopes
        self.phase = Phase.IDLE
        self.picture = FIRST_PICTURE
        self.seen_epoch = 0
        self.engaged_epoch = 0
        self.memory = Memory()  # the same, told apart by what it was about: for who comes after this one
        self.confirmed_ns: int | None = None
        self._version = version
        self._chance = chance
        self._nonce = chance.getrandbits(48)
        self._question: _Question | None = None
        self._next_ask_ns = 0
        self._next_beat_ns = 0
        self._failures = 0
        self._beat_next = False  # the next question is a beat, whenever it is due
        self._beat_soon = False  # a beat is due as soon as the question under way is answered
        self._told: tuple[Code, int] | None = None  # the stop that a closed beat has acknowledged

    # -- events -------------------------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[Action]:
        """The owner starts watching."""
        if self.phase is not Phase.IDLE:
            return []
        self.phase = Phase.CONNECTING
        return [self._close(Code.NO_STATE_YET, "no answer from Redis yet"), Connect()]

    def connected(self, now_ns: int) -> list[Action]:
        """Both connections stand and the push side is armed. The first question is a beat: register, then read."""
        if self.phase is not Phase.CONNECTING:
            return []
        self.phase = Phase.CONNECTED
        self._question = None
        return [self._ask(now_ns, beat=True)]

    def trouble(self, now_ns: int, code: Code, reason: str) -> list[Action]:
        """A connection could not be made, broke, ended or kept silent too long."""
        if self.phase is Phase.IDLE:
            return []
        self.phase = Phase.WAITING
        self._question = None
        ceiling = min(self.timing.backoff_max_ms, self.timing.backoff_min_ms * 2 ** min(self._failures, 10))
        self._failures += 1
        # Full jitter: a fleet that lost Redis at one moment must not come back at one moment.
        self._next_ask_ns = now_ns + int(self._chance.uniform(ceiling / 4, ceiling) * _NS_PER_MS)
        return [self._close(code, reason), Drop()]

    def pushed(self, now_ns: int) -> list[Action]:
        """Something arrived on the push connection: whatever it is, something may have changed."""
        if self.phase is not Phase.CONNECTED:
            return []
        actions: list[Action] = [self._close(Code.STATE_CHANGED, "Redis announced a change"), Drain()]
        if self._question is None:
            actions.append(self._ask(now_ns, beat=True))
        else:
            self._question.void = True
        return actions

    def answered(self, now_ns: int, answer: Answer) -> list[Action]:
        """An answer came in. One that nobody waits for means the connection is out of step, and it is dropped."""
        question = self._question
        if self.phase is not Phase.CONNECTED:
            return []
        if question is None or answer.nonce != str(question.nonce):
            return self.trouble(now_ns, Code.BAD_ANSWER, "an answer came that belongs to no question")
        self._question, self._failures = None, 0
        if question.void:
            return [self._ask(now_ns, beat=True)]
        decision = decide(answer, self._version, self.scopes, self.seen_epoch, self.engaged_epoch)
        self.seen_epoch = max(self.seen_epoch, decision.epoch)
        self.memory.note(answer.rows, self.scopes, decision, self.seen_epoch)
        if is_stop(decision):
            # The highest seen, not this stop's: a flushed record counts from one again, and the old one may come back.
            self.engaged_epoch = self.seen_epoch
        if decision.mode is Mode.ENGAGED:
            return self._stay_closed(now_ns, question, decision)
        if not (question.beat or self.picture.is_open):
            return [self._ask(now_ns, beat=True)]  # who opens says so in the same step: its row must not say quiet
        return self._open(now_ns, question, decision)

    def refused(self, now_ns: int, code: Code, reason: str) -> list[Action]:
        """Redis answered the question with an error: what refuses a renewal would refuse an engagement."""
        if self.phase is not Phase.CONNECTED or self._question is None:
            return []
        self._question = None
        if code is Code.REDIS_READONLY:
            # Not the master any more: only a new connection finds the new one.
            return self.trouble(now_ns, code, reason)
        self._beat_next = True
        self._next_ask_ns = now_ns + self._jittered(self.timing.renew_ms)
        return [self._close(code, reason)]

    def drained(self, now_ns: int) -> list[Action]:
        """The last permit was returned while the gate is closed: say so at once."""
        if self.phase is not Phase.CONNECTED or self.picture.is_open:
            return []
        if self._question is None:
            return [self._ask(now_ns, beat=True)]
        self._beat_soon = True
        return []

    def tick(self, now_ns: int) -> list[Action]:
        """The time `deadline_ns()` named has come (or any other time; a tick too many does no harm)."""
        actions: list[Action] = []
        if self.picture.is_open and now_ns >= self.picture.signal_until_ns:
            actions.append(self._close(self.picture.limited_by, _EXPIRY[self.picture.limited_by]))
        if self.phase is Phase.WAITING and now_ns >= self._next_ask_ns:
            self.phase = Phase.CONNECTING
            actions.append(Connect())
        if self.phase is not Phase.CONNECTED:
            return actions
        if self._question is not None:
            if now_ns - self._question.sent_ns >= self.timing.patience_ms * _NS_PER_MS:
                reason = f"Redis did not answer within {self.timing.patience_ms} ms"
                actions += self.trouble(now_ns, Code.NO_ANSWER, reason)
        elif now_ns >= min(self._next_ask_ns, self._next_beat_ns):
            actions.append(self._ask(now_ns, beat=now_ns >= self._next_beat_ns or self._beat_next))
        return actions

    def stop(self, now_ns: int) -> list[Action]:
        """The owner stops watching; the gate stays closed for good."""
        if self.phase is Phase.IDLE:
            return []
        self.phase = Phase.IDLE
        self._question = None
        return [self._close(Code.STOPPED, "the agent was closed"), Drop()]

    # -- what the owner may ask ---------------------------------------------------------------------------------

    def deadline_ns(self) -> int | None:
        """When `tick` is due at the latest; None when only an event can change anything."""
        due: list[int] = []
        if self.picture.is_open:
            due.append(self.picture.signal_until_ns)
        if self.phase is Phase.WAITING:
            due.append(self._next_ask_ns)
        elif self._question is not None:
            due.append(self._question.sent_ns + self.timing.patience_ms * _NS_PER_MS)
        elif self.phase is Phase.CONNECTED:
            due.append(min(self._next_ask_ns, self._next_beat_ns))
        return min(due, default=None)

    def _jittered(self, duration_ms: int) -> int:
        return int(duration_ms * _NS_PER_MS * self._chance.uniform(0.9, 1.0))

    def _close(self, code: Code, reason: str) -> Show:
        self.picture = Picture(Mode.ENGAGED, self.seen_epoch, code, reason)
        return Show(self.picture)

    def _ask(self, now_ns: int, beat: bool) -> Ask:
        self._nonce += 1
        closed = not self.picture.is_open
        self._question = _Question(self._nonce, beat, closed, now_ns)
        if beat:
            self._beat_next = self._beat_soon = False
            self._next_beat_ns = now_ns + self._jittered(self.timing.beat_ms)
        return Ask(self._nonce, beat, closed, self.seen_epoch, self.engaged_epoch)

    def _stay_closed(self, now_ns: int, question: _Question, decision: Decision) -> list[Action]:
        self.confirmed_ns = question.sent_ns
        stop = (decision.code, decision.epoch)
        if question.beat and question.closed:
            self._told = stop
        actions: list[Action] = [self._close(decision.code, decision.reason)]
        # A stop is acknowledged by a beat that was sent with the gate closed. A read, or a beat that was sent while
        # the gate was open, is followed by one at once.
        if self._told != stop or self._beat_soon or (decision.unsettled and not question.beat):
            actions.append(self._ask(now_ns, beat=True))
        else:
            self._plan(question)
        return actions

    def _open(self, now_ns: int, question: _Question, decision: Decision) -> list[Action]:
        until = deadline_ns(question.sent_ns, self.timing.lease_ms, decision.ttl_ms)
        self.confirmed_ns = question.sent_ns
        self._told = None
        self._plan(question)
        if until <= now_ns:
            return [self._close(Code.LEASE_EXPIRED, "the answer came after its lease had run out")]
        timed = decision.ttl_ms is not None and decision.ttl_ms < self.timing.lease_ms
        self.picture = Picture(
            decision.mode,
            decision.epoch,
            decision.code,
            decision.reason or "trading permitted",
            signal_until_ns=until,
            order_until_ns=until if decision.mode is Mode.SAFE else 0,
            limited_by=Code.PERMISSION_EXPIRED if timed else Code.LEASE_EXPIRED,
        )
        return [Show(self.picture)]

    def _plan(self, question: _Question) -> None:
        self._next_ask_ns = question.sent_ns + self._jittered(self.timing.renew_ms)


_EXPIRY = {
    Code.LEASE_EXPIRED: "no answer confirmed the permission in time",
    Code.PERMISSION_EXPIRED: "the time-boxed permission ran out",
}
