"""What a launch checks besides preflight, as findings of the same form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from killswitch import Finding, FleetStatus, Grade, InvalidInput, Mode
from ops.launching.fleet_file import Engine, Fleet
from ops.render import clean, count_of
from workers.feed import FeedError
from workers.feed.replay import recognise
from workers.spec import ReplaySpec

__all__ = ["ABSENT", "Permission", "Stance", "feeds", "permission", "permission_from", "stance", "worker_count"]

_TEXT_MAX = 200
INITIALISED = "ENGAGED initialised"
"""What `init` writes: nobody's decision, so a launch may permit over it."""

ABSENT = "(absent)"
_WHY_PERMISSION = "A launch must not undo an engagement that somebody made, nor begin to trade unasked."
_WHY_WORKERS = "Each engine runs in a worker process of its own; without one it waits."
_WHY_FEEDS = "An engine whose ticks cannot be read fails when it starts."


@dataclass(frozen=True, slots=True)
class Permission:
    """`--permit` with its actor and reason, and the epoch that somebody looked at (None: not named)."""

    actor: str
    reason: str
    epoch: int | None = None


def permission_from(permit: bool, actor: str | None, reason: str | None, epoch: int | None) -> Permission | None:
    """The permission that the options give; None without --permit. Raises InvalidInput for half of one."""
    if not permit:
        if reason is not None or epoch is not None:
            raise InvalidInput("--reason and --epoch are for --permit: without it the switch stays as it is")
        return None
    if not actor or not reason:
        raise InvalidInput("--permit needs --actor and --reason: who permits trading, and why")
    for text, what in ((actor, "--actor"), (reason, "--reason")):
        if not text.strip() or len(text) > _TEXT_MAX or not text.isprintable():
            raise InvalidInput(f"{what} {text!r:.60}: write one plain line of at most {_TEXT_MAX} characters")
    return Permission(actor.strip(), reason.strip(), epoch)


class Stance(Enum):
    """What the switch says, beside what the launch was told to do about it."""

    STAYS = "engaged, and nobody asked to permit: engines will wait in their queue"
    TRADES = "nobody asked to permit, but engines would trade at once"
    DONE = "permitted already"
    OPEN = "will be permitted"
    MOVED = "that is not the epoch that was named"
    ASK = "somebody's decision, which --permit alone does not undo"


_FINE = (Stance.STAYS, Stance.DONE, Stance.OPEN)


def stance(status: FleetStatus, wanted: Permission | None) -> Stance:
    """What is to be done about the switch. A permission that was recorded under another life of the server, or not at
    all, is none: every gate is closed until somebody permits anew."""
    switch = status.switch
    if wanted is None:
        return Stance.STAYS if switch.mode is Mode.ENGAGED else Stance.TRADES
    if wanted.epoch is not None and wanted.epoch != switch.epoch:
        return Stance.MOVED
    if switch.text == Mode.SAFE and status.confirmed and switch.recorded:
        return Stance.DONE
    fresh = switch.text == INITIALISED or (switch.text == ABSENT and not switch.epoch)
    return Stance.OPEN if fresh or wanted.epoch is not None else Stance.ASK


def permission(status: FleetStatus, wanted: Permission | None) -> Finding:
    """Whether what the switch says allows this launch."""
    switch = status.switch
    found = stance(status, wanted)
    text = f"{clean(switch.text)}, epoch {switch.epoch}: {found.value}"
    if found in _FINE:
        return Finding("permission", Grade.OK, text, _WHY_PERMISSION, "")
    if switch.actor and found is not Stance.TRADES:
        text += f" (by {clean(switch.actor)}: {clean(switch.why)})"
    remedy = {
        Stance.TRADES: "engage first, or launch with --permit --actor NAME --reason TEXT",
        Stance.MOVED: "look again (`killswitch status`), and name the epoch that you looked at",
    }.get(found, f"find out why, then name what you looked at: --epoch {switch.epoch}")
    return Finding("permission", Grade.FAIL, text, _WHY_PERMISSION, remedy)


def worker_count(fleet: Fleet, serving: int) -> Finding:
    """Whether there are as many worker processes on the queue as the file expects."""
    text = f"{serving} of {fleet.expected} expected worker processes serve the queue {fleet.queue}"
    if serving >= fleet.expected:
        return Finding("workers", Grade.OK, text, _WHY_WORKERS, "")
    remedy = f"start {fleet.expected - serving} more: `killswitch-worker` on any host, with the same WORKERS_QUEUE_URL"
    return Finding("workers", Grade.FAIL, text, _WHY_WORKERS, remedy)


def feeds(engines: Sequence[Engine]) -> Finding:
    """Whether recorded ticks can be read, as far as this host sees them."""
    replayed = [(one, one.feed) for one in engines if isinstance(one.feed, ReplaySpec)]
    if not replayed:
        return Finding("feeds", Grade.SKIP, "no engine replays a file", _WHY_FEEDS, "")
    absent: list[str] = []
    broken: list[str] = []
    for engine, feed in replayed:
        for name in feed.files:
            try:
                if Path(name).exists():
                    recognise(Path(name), symbol=engine.symbol, venue=feed.venue)
                else:
                    absent.append(f"{engine.name}: {name}")
            except FeedError as error:
                broken.append(f"{engine.name}: {error}")
    if broken:
        return Finding("feeds", Grade.FAIL, "; ".join(broken), _WHY_FEEDS, "name files of a known form")
    if absent:
        text = f"could not look: not on this host: {'; '.join(absent)}"
        return Finding("feeds", Grade.WARN, text, _WHY_FEEDS, "make sure that the hosts of the workers have them")
    count = sum(len(feed.files) for _, feed in replayed)
    return Finding("feeds", Grade.OK, f"{count_of(count, 'file')} can be read here", _WHY_FEEDS, "")
