"""What was read, measured and refused before anything is judged. Data only: nothing in here asks anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from killswitch.core.checks.finding import Unseen
from killswitch.core.fleet import Member

__all__ = [
    "ClockFacts",
    "Facts",
    "LibraryFacts",
    "PushFacts",
    "QueueFacts",
    "ReplicaFacts",
    "RightsFacts",
    "SentinelFacts",
    "ServerFacts",
    "SettingsFacts",
    "TripFacts",
    "Trouble",
]


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """The settings as this tool reads them, all of them valid but for `violations` (those of the fleet's workers).

    `local`: the server is on this machine, by its address. `rung` is KILLSWITCH_RUNG, `version` this release and
    `build` this build of it.
    """

    scheme: str
    local: bool
    lease_ms: int
    renew_ms: int
    patience_ms: int
    retain_ms: int = 300_000
    beat_ms: int = 1000
    rung: str = "auto"
    on_failover: str = "halt"
    persons: int | None = None
    password_in_url: bool = False
    version: str = ""
    build: str = ""
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """INFO and CONFIG GET as maps; `refused` holds what was not answered, under "INFO" or "CONFIG GET", and why."""

    info: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def tells(self, name: str) -> str:
        """A field of INFO. Raises Unseen."""
        return self._from(self.info, name, "INFO")

    def set_to(self, name: str) -> str:
        """A value of CONFIG GET. Raises Unseen."""
        return self._from(self.config, name, "CONFIG GET")

    def number(self, name: str) -> int:
        """A field of INFO as a whole number. Raises Unseen."""
        return self._whole(name, self.tells(name))

    def amount(self, name: str) -> int:
        """A value of CONFIG GET as a whole number. Raises Unseen."""
        return self._whole(name, self.set_to(name))

    def _from(self, found: Mapping[str, str], name: str, command: str) -> str:
        if name not in found:
            raise Unseen(self.refused.get(command, f"{command} does not tell {name}"))
        return found[name]

    @staticmethod
    def _whole(name: str, text: str) -> int:
        digits = text.removeprefix("-")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
            raise Unseen(f"{name} is {text[:40]!r}, which is no number")
        return int(text)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A refusal: its code, the server's text, what to do, and whether it meets this user alone."""

    code: str
    text: str
    remedy: str
    denied: bool = False


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """The function library. `version` is what its answers carry (0: it did not answer), `same` whether its text is this
    release's and `loaded` whether it is there (None: may not be read). `answered`: a worker's question was, just now;
    `trouble` is what it met instead."""

    version: int = 0
    same: bool | None = None
    loaded: bool | None = None
    answered: bool = False
    trouble: Trouble | None = None
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class PushFacts:
    """The announcement of a change beside the answer to it, on a probe key. `late` of `rounds`: not readable yet when
    +OK was here; `worst_us` is the longest it then took. `lost` never came. `trip_us` is the median of SET to +OK.
    """

    rung: str
    rounds: int = 0
    late: int = 0
    lost: int = 0
    worst_us: float = 0.0
    trip_us: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """This host's clock beside the server's: `rate` is how much faster the server's ran (0.01: one percent), `error`
    how wrong that may be, over `stretch_ms`; `apart_ms` the difference of the two wall clocks."""

    rate: float
    error: float
    stretch_ms: float
    apart_ms: float


@dataclass(frozen=True, slots=True)
class TripFacts:
    """Round trips of a renewal in microseconds; `what` is what was sent."""

    p50_us: float
    p99_us: float
    worst_us: float
    count: int
    what: str


@dataclass(frozen=True, slots=True)
class RightsFacts:
    """Who may do what. `user` is this tool's; `users` are all by name, with the role that their rules are exactly, or
    an empty text; `odd` are those that are called as a role and differ from it, and how. `may` is what this user may do
    if it has no role, by ACL DRYRUN (None: not told). `default` are the flags of the user `default` (None: may not be
    read). `anybody` are the users, but administrators, that may approve a permission in every person's name (None: not
    told). `refused` says why nothing more could be read."""

    user: str
    users: Mapping[str, str] = field(default_factory=dict)
    odd: Mapping[str, str] = field(default_factory=dict)
    may: Mapping[str, bool | None] = field(default_factory=dict)
    default: tuple[str, ...] | None = None
    anybody: tuple[str, ...] | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """`acknowledged` of `asked` replicas confirmed a write within `waited_ms` (None: WAIT was refused)."""

    asked: int
    acknowledged: int | None
    waited_ms: float


@dataclass(frozen=True, slots=True)
class SentinelFacts:
    """What one sentinel says. `trouble` says why it says nothing."""

    where: str
    master: str = ""
    quorum: int = 0
    others: int = 0
    down_after_ms: int = 0
    usable: bool | None = None
    verdict: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """The queue's Redis. `run_id` is empty where it may not be read; `trouble` says why it cannot be used."""

    where: str
    run_id: str = ""
    db: int = 0
    policy: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All there is to judge. A part that was not asked for is None, and whoever needs it says so. `on_failover` and
    `persons` are what is on record. `before_init`: the library will be loaded after this, so that an absent one is no
    fault."""

    settings: SettingsFacts
    db: int = 0
    server: ServerFacts | None = None
    library: LibraryFacts | None = None
    write_refused: Trouble | None = None
    pushes: PushFacts | None = None
    clock: ClockFacts | None = None
    trips: TripFacts | None = None
    rights: RightsFacts | None = None
    replicas: ReplicaFacts | None = None
    sentinels: tuple[SentinelFacts, ...] = ()
    queue: QueueFacts | None = None
    members: tuple[Member, ...] | None = None
    on_failover: str = ""
    persons: int = 1
    before_init: bool = False
    unseen: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, part: str) -> Unseen:
        """Why `part` is not there."""
        return Unseen(self.unseen.get(part, "it was not asked for"))
