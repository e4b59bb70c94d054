"""What a command brought about, with no green word for what was not proved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from killswitch.core.fleet import Member
from killswitch.core.proof import Standing
from killswitch.store.switch import Durability

__all__ = ["InitReport", "Outcome", "Verdict"]


class Verdict(StrEnum):
    """RECORDED: written, nobody was waited for. QUIET: every member reported closed gates at this epoch and nothing in
    flight. FENCED: somebody did not, but its lease has run out and every sink that its orders go to refuses those of
    older epochs; what had reached a sink before, had reached it. UNCERTAIN: neither is proved; the outcome names of
    whom, with their last words and what is missing."""

    RECORDED = "RECORDED"
    QUIET = "QUIET"
    FENCED = "FENCED"
    UNCERTAIN = "UNCERTAIN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of engage, reduce or reset.

    `epoch` is the one this change was recorded at (0: set, but nobody has recorded it yet). `state` and `was` are what
    the key holds and held. `members` are those the command concerned, `pending` those of them not proved quiet, and
    `fences` how each of these stands: which sinks it named, what they confirmed, and what keeps it from being fenced.
    `leases_out`: when the last look began every lease that could have been held had run out, and it found the stop in
    force, so no gate was open then even at the pending ones, but an order that had passed its gate may still be on its
    way; `lease_bound_ms`: by when after the engagement they have run out, on this host's clock (None: nothing bounds
    it). `note` explains an unusual end. `repeated`: the operation had been done before and was not done again.
    `means`: how it was written, as `Change.means` tells it; only `function` keeps reason and actor.
    `operation` is the id under which it is on record.
    """

    verdict: Verdict
    epoch: int
    scope: str
    was: str
    state: str
    actor: str
    reason: str
    repeated: bool = False
    durability: Durability | None = None
    members: tuple[Member, ...] = ()
    pending: tuple[Member, ...] = ()
    waited_ms: float = 0.0
    fences: tuple[Standing, ...] = ()
    leases_out: bool = False
    lease_bound_ms: int | None = 0
    note: str = ""
    means: str = "function"
    operation: str = ""


@dataclass(frozen=True, slots=True)
class InitReport:
    """What `init` did. `state` is what the switch holds afterwards; `created` whether init wrote it, over `was`;
    `on_failover` what is on record for a restart or fail-over of Redis, `persons` how many a permission takes."""

    library_version: int
    created: bool
    state: str
    epoch: int
    server: str
    was: str = ""
    on_failover: str = "halt"
    persons: int = 1
