"""What is told next to one webhook, and what waits: pure.

A few changes are told one by one. Of a flood there is one notice for all that has come, a short while after the last:
nothing builds up, and the newest is never left out. What is not told yet stays where it is, in the record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from killswitch import FeedItem, FeedLook
from workers.notices.notice import Notice, of_item, of_permission, of_several

__all__ = ["Place", "plan"]

BURST = 5
"""So many notices may go in one window."""
WINDOW_MS = 5_000
MOST_OPEN = 20
"""So many may be under way; beyond that there is one for all in each long window."""
LONG_WINDOW_MS = 60_000
SOON_MS = (15 * 60_000, 2 * 60_000)
"""A time-boxed permission is told to end so long before."""
_MOST_TOLD = 8


@dataclass(frozen=True, slots=True)
class Place:
    """How far a webhook has been told: `at` is the id of the entry told last; `sent` notices since `since_ms` (server
    clock); `told` names what was said of ends of permissions."""

    at: str
    since_ms: int = 0
    sent: int = 0
    told: tuple[str, ...] = ()

    def text(self) -> str:
        """As it is kept in Redis."""
        return json.dumps([self.at, self.since_ms, self.sent, list(self.told)])

    @staticmethod
    def parse(text: str | bytes | None) -> Place | None:
        """Reads it; None for what is none."""
        try:
            match json.loads(text or "null"):
                case [str(at), int(since), int(sent), list(told)] if at:
                    return Place(at, since, sent, tuple(map(str, told[-_MOST_TOLD:])))
        except ValueError:
            pass
        return None


def plan(
    place: Place, items: Sequence[FeedItem], look: FeedLook, prefix: str, open_jobs: int
) -> tuple[list[Notice], Place]:
    """The notices to make now of `items`, the entries after `place`, and of the switch as it is; and the place then."""
    crowded = open_jobs >= MOST_OPEN
    if not 0 <= look.at_ms - place.since_ms < (LONG_WINDOW_MS if crowded else WINDOW_MS):
        place = replace(place, since_ms=look.at_ms, sent=0)
    room = (1 if crowded else BURST) - place.sent
    notices: list[Notice] = []
    if items and room > 0:
        one_by_one = len(items) <= room and not crowded
        notices = [of_item(prefix, item, look) for item in items] if one_by_one else [of_several(prefix, items, look)]
        room = room - len(notices) if one_by_one else 0
        place = replace(place, at=items[-1].entry.entry_id)
    ending = _ending(look, prefix, place.told)[: max(room, 0)]
    told = (*place.told, *(notice.id for notice in ending))[-_MOST_TOLD:]
    sent = place.sent + len(notices) + len(ending) if room > 0 else BURST
    return [*notices, *ending], replace(place, sent=sent, told=told)


def _ending(look: FeedLook, prefix: str, told: Sequence[str]) -> list[Notice]:
    """A permission that is about to end is told once for each step, a missed renewal once."""
    if look.switch.mode == "ENGAGED":
        return []
    found = []
    left, deadman, epoch = look.switch.ttl_ms, look.deadman, look.switch.epoch
    steps = [step for step in SOON_MS if left is not None and left <= step]
    if left is not None and steps:
        found.append(of_permission(prefix, f"permission:{epoch}:{steps[-1] // 1000}", "time_box", left, look))
    if deadman is not None and deadman.overdue and deadman.left_ms:
        name = f"permission:{epoch}:overdue:{deadman.renewed_at_ms}"
        found.append(of_permission(prefix, name, "deadman", deadman.left_ms, look))
    return [notice for notice in found if notice.id not in told]
