"""The dead man's switch: a permission that somebody must go on renewing, as the record has it and as its holder sees
it.

A renewal names until when it wants the permission, reckoned from the moment it is sent; so one that was held up on the
way prolongs by no more than it would have at once. The holder reads its own clock only: an answer tells what the
server's clock showed, and what has passed since then is known. Pure; the form of the record is that of
store/lua/deadman.lua.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from killswitch.core.modes import MAX_EPOCH

__all__ = ["LONGEST_LIFE_MS", "Deadman", "Renewal", "parse_deadman"]

LONGEST_LIFE_MS = 86_400_000
"""A permission that outlives its holder by a day is none that a dead man's switch guards."""

_CLOCK_SLACK_MS = 1000
_NS_PER_MS = 1_000_000
_UNLIMITED = "-"
_RECORD = re.compile(r"(\d{1,16}) (\d{1,16}) (\d{1,16}) (\d{1,16}) ([A-Za-z0-9_-]{1,64}) (\d{1,16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Deadman:
    """A permission that ends unless it is renewed, looked at in one moment (times by the server's clock).

    `actor` renews it every `every_ms`; it lasts `life_ms` after a renewal was sent, the last one at `renewed_at_ms`; so
    it ends at `ends_at_ms`, `left_ms` from now (0: it ran out). `overdue`: a renewal has not come in time. `operation`
    names who may renew it.
    """

    actor: str
    every_ms: int
    life_ms: int
    renewed_at_ms: int
    ends_at_ms: int
    left_ms: int
    overdue: bool
    operation: str


def parse_deadman(text: str, epoch: int, actor: str, at_ms: int) -> Deadman | None:
    """What limits the permission recorded at `epoch`; None where the record says that nothing does. Total: what is not
    there, cannot be read or is of another epoch has run out. So has everything when the server's clock, `at_ms`, is
    below what was seen of it."""
    if text == _UNLIMITED:
        return None
    match = _RECORD.fullmatch(text)
    its, ends, life, every, seen = (min(int(match[word]), MAX_EPOCH) if match else 0 for word in (1, 2, 3, 4, 6))
    if match is None or its != epoch or ends > seen + life:
        return Deadman(actor, 0, 0, 0, 0, 0, True, "")
    left = 0 if at_ms < seen - _CLOCK_SLACK_MS else max(ends - at_ms, 0)
    renewed = max(ends - life, 0)
    return Deadman(actor, every, life, renewed, ends, left, at_ms - renewed > every + every // 2, match[5])


class Renewal:
    """What its holder knows. Times of the holder are `now_ns`, those of the server milliseconds."""

    def __init__(self, every_ms: int, life_ms: int) -> None:
        self.every_ms = every_ms
        self.life_ms = life_ms
        self._ends_ms = 0  # confirmed
        self._asked_ms = 0  # the latest end that was ever asked for, heard of or not
        self._at_ms = 0
        self._heard_ns = 0
        self._sent_ns = 0

    def ask(self, now_ns: int) -> int:
        """A renewal is sent now: the end to ask for."""
        self._sent_ns = now_ns
        wanted = self.server_ms(now_ns) + self.life_ms
        self._asked_ms = max(self._asked_ms, wanted)
        return wanted

    def heard(self, ends_ms: int, at_ms: int, now_ns: int) -> None:
        """Redis said that the permission ends at `ends_ms`, when its clock showed `at_ms`. The answer was under way for
        some time, so what is reckoned from it is never too late for the server: a renewal asks for less, not more."""
        self._ends_ms, self._at_ms, self._heard_ns = ends_ms, at_ms, now_ns
        self._asked_ms = max(self._asked_ms, ends_ms)

    def server_ms(self, now_ns: int) -> int:
        """What the server's clock shows at least."""
        return self._at_ms + (now_ns - self._heard_ns) // _NS_PER_MS

    def due_ns(self) -> int:
        """When the next renewal is to be sent, counted from the sending of the last."""
        return (self._sent_ns or self._heard_ns) + self.every_ms * _NS_PER_MS

    @property
    def ends_at_ms(self) -> int:
        """When the permission ends, by the server's clock, as far as that is confirmed."""
        return self._ends_ms

    @property
    def over_at_ms(self) -> int:
        """When it ends at the latest: a renewal without an answer may have got through."""
        return self._asked_ms

    def left_ms(self, now_ns: int) -> int:
        """How long until `ends_at_ms`."""
        return max(self._ends_ms - self.server_ms(now_ns), 0)

    def over_in_ms(self, now_ns: int) -> int:
        """How long until `over_at_ms`; 0: it is over for certain."""
        return max(self._asked_ms - self.server_ms(now_ns), 0)
