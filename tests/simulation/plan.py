"""What a seed stands for: the fleet, its settings, its network, where threads are held up, and what goes wrong when."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from random import Random

from killswitch import Settings
from tests.simulation.kernel import MS, SECOND, US

__all__ = ["POINTS", "Event", "Plan", "draw", "settings_of"]

POINTS = (
    "before the socket",
    "socket-picture",
    "picture-clock",
    "clock-pass",
    "signal-order",
    "before announcing",
    "announced",
    "check-send",
    "send-release",
    "before release",
    "released",
    "before counting",
    "counted",
    "shown",
    "registered",
    "select",
    "selected",
    "receive",
    "send",
    "sent",
    "connect",
)
SCOPES = ("symbol:EURUSD", "strategy:trend")
_FAULTS = (
    "stop", "stop", "starve", "crisis", "crisis", "kill", "leave", "join", "arrival", "arrival", "hole", "hole",
    "deaf", "deaf", "cut", "slow", "freeze", "refuse", "refuse", "restart", "failover", "split", "flush", "swap",
    "twin", "unload", "clock", "echo", "echo", "stale", "stale", "ponder",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Size:
    """How much a run holds: of each tuple one is drawn, of `leases` and `hot` a number in between."""

    leases: tuple[float, float]  # how long faults go on, in leases, after the fleet has had `begin_ns` to open
    begin_ns: int
    hot: tuple[float, float]  # when most happens, as a part of that time
    workers: tuple[int, ...]
    threads: tuple[int, ...]
    paces: tuple[int, ...]  # between two ticks of nothing in particular, ms
    beats: tuple[float, ...]  # leases
    operators: tuple[int, ...]
    rest: float  # leases for which an operator does nothing at least
    kinds: tuple[int, ...]
    more: tuple[int, ...]  # faults of the same kinds again
    unheld: float  # the chance that no thread is held up at all
    some: tuple[float, ...]  # chances to be held up where it happens at a few points,
    everywhere: tuple[float, ...]  # and at all


# Most of what can go wrong goes wrong between two workers and one stop, and many short runs try more of that than a few
# long ones. What needs many workers, many stops or a long time is left to the big ones.
_SMALL = _Size(
    leases=(0.6, 1.5),
    begin_ns=100 * MS,
    hot=(0.35, 0.75),
    workers=(1, 2, 2, 2),
    threads=(1, 1, 1, 2),
    paces=(80, 160),
    beats=(0.34, 1, 3, 3),
    operators=(1, 1, 1, 2),
    rest=0.25,
    kinds=(0, 1, 1, 2, 2, 3),
    more=(0, 0, 1),
    unheld=0.1,
    some=(0.01, 0.05, 0.2),
    everywhere=(0.002, 0.01),
)
_BIG = _Size(
    leases=(1.5, 4.0),
    begin_ns=SECOND // 3,
    hot=(0.25, 0.7),
    workers=(2, 2, 2, 3, 3, 4),
    threads=(1, 1, 2),
    paces=(40, 80, 160),
    beats=(0.34, 1, 3),
    operators=(1, 1, 2, 2, 3),
    rest=0.0,
    kinds=(0, 1, 2, 3, 4),
    more=(0, 1, 2),
    unheld=0.2,
    some=(0.003, 0.01, 0.04),
    everywhere=(0.0005, 0.003),
)


@dataclass(frozen=True, slots=True)
class Event:
    """At `t` (true ns) `what` happens. What it happens to is drawn then."""

    t: int
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is drawn before the run begins."""

    seed: int
    lease_ms: int
    renew_ms: int
    beat_ms: int
    retain_ms: int
    rung: str
    workers: int
    scopes: tuple[tuple[str, ...], ...]
    threads: int
    pace_ns: int
    operators: int
    rest_ns: int  # an operator does nothing for so long at least, between two commands
    base_ns: int
    jitter_ns: int
    loss: float
    seals: bool  # whether changes are sealed afterwards, as they are wherever there is a thread for it
    chances: dict[str, float] = field(default_factory=dict)
    longest_pause_ns: int = 0
    faults_ns: int = 0
    hot_ns: int = 0  # around here many things happen at once
    events: tuple[Event, ...] = ()


@cache
def settings_of(lease_ms: int, renew_ms: int, beat_ms: int, retain_ms: int, rung: str) -> Settings:
    """The settings of a fleet, checked as always."""
    return Settings(
        redis_url="redis://redis:6379/0",
        prefix="ks",
        lease_ms=lease_ms,
        renew_ms=renew_ms,
        patience_ms=lease_ms // 2,
        beat_ms=beat_ms,
        retain_ms=retain_ms,
        rung=rung,
        timeout_ms=700,
        actor="sim",
        sinks="venue=tcp://venue:7000",
    )


def log_uniform(rng: Random, least: int, most: int) -> int:
    """Between `least` and `most`, every order of magnitude as likely as another."""
    return int(least * (most / least) ** rng.random())


def _chances(rng: Random, size: _Size) -> dict[str, float]:
    kind = rng.random()
    if kind < size.unheld:
        return {}
    if kind < 0.7:
        chance = rng.choice(size.some)
        return dict.fromkeys(rng.sample(POINTS, rng.randint(1, 3)), chance)
    return dict.fromkeys(POINTS, rng.choice(size.everywhere))


def _events(rng: Random, size: _Size, faults_ns: int, hot_ns: int, spread_ns: int) -> tuple[Event, ...]:
    kinds = rng.sample(_FAULTS, rng.choice(size.kinds))
    found = []
    more = rng.choices(kinds, k=rng.choice(size.more)) if kinds else []
    for kind in kinds + more:
        t = int(rng.gauss(hot_ns, spread_ns)) if rng.random() < 0.6 else rng.randrange(faults_ns)
        found.append(Event(min(max(t, 50 * MS), faults_ns - 1), kind))
    return tuple(sorted(found, key=lambda event: (event.t, event.what)))


def draw(seed: int, rng: Random) -> Plan:
    """The plan of a seed."""
    size = _BIG if rng.random() < 0.08 else _SMALL
    lease_ms = rng.choice((300, 500, 800))
    faults_ns = int(rng.uniform(*size.leases) * lease_ms * MS) + size.begin_ns
    hot_ns = int(rng.uniform(*size.hot) * faults_ns)
    workers = rng.choice(size.workers)

    def follows() -> tuple[str, ...]:
        return tuple(scope for scope in SCOPES if rng.random() < 0.3)

    return Plan(
        seed=seed,
        lease_ms=lease_ms,
        renew_ms=lease_ms // 3,
        beat_ms=int(rng.choice(size.beats) * lease_ms),
        rung="polling" if rng.random() < 0.05 else "bcast",
        retain_ms=300_000,
        workers=workers,
        scopes=tuple(follows() for _ in range(workers + 8)),
        threads=rng.choice(size.threads),
        pace_ns=rng.choice(size.paces) * MS,
        operators=rng.choice(size.operators),
        rest_ns=int(size.rest * lease_ms * MS),
        base_ns=log_uniform(rng, 30 * US, 3 * MS),
        jitter_ns=log_uniform(rng, 20 * US, 30 * MS),
        loss=rng.choice((0.0, 0.0, 0.01, 0.05)),
        seals=rng.random() < 0.06,
        chances=_chances(rng, size),
        longest_pause_ns=rng.choice((2, lease_ms // 2, 3 * lease_ms)) * MS,
        faults_ns=faults_ns,
        hot_ns=hot_ns,
        events=_events(rng, size, faults_ns, hot_ns, lease_ms * MS // 3),
    )
