"""What the people do: operators who race each other through the faults, and one who brings the fleet back in quiet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from killswitch.control.outcome import Verdict
from tests.simulation.faults import Faults
from tests.simulation.kernel import MS, SECOND, Kernel
from tests.simulation.observer import SWITCH, state_key
from tests.simulation.operators import Operator
from tests.simulation.plan import SCOPES, log_uniform
from tests.simulation.world import World

__all__ = ["play"]

_KEYS = tuple(state_key(scope).decode() for scope in (SWITCH, *SCOPES))
_RAW = (
    ("SET", "{key}", "ENGAGED by hand {n}"),
    ("SET", "{key}", "ENGAGED by hand {n}"),
    ("SET", "{key}", "SAFE"),
    ("SET", "{key}", "REDUCING"),
    ("SET", "{key}", "garbage {n}"),
    ("SET", "{key}", ""),
    ("SET", "{key}", "SAFE", "PX", "400"),
    ("DEL", "{key}"),
    ("PEXPIRE", "{key}", "150"),
    ("RENAME", "{key}", "ks:elsewhere"),
    ("LPUSH", "{key}", "a list"),
)


def play(world: World) -> None:
    """The whole run: faults, then quiet."""
    faults = Faults(world)
    faults.schedule()
    for operator in world.operators:
        operator.process.spawn("script", partial(_operate, world, operator))
    world.kernel.run(world.plan.faults_ns)
    faults.undo()
    world.calm()
    closer = world.add_operator()
    closer.process.spawn("script", partial(_close, world, closer))
    world.run_until_done(closer)


def _operate(world: World, operator: Operator) -> None:
    rng, kernel, lease_ns = world.rng, world.kernel, world.plan.lease_ms * MS
    end = world.plan.faults_ns
    if operator is world.operators[0]:
        # What goes wrong around the hot moment goes wrong around a stop.
        operator.doze(max(int(rng.gauss(world.plan.hot_ns, lease_ns / 3)), 10 * MS))
        operator.engage(None, rng.choice((None, 0.0014 * world.plan.lease_ms)))
    while kernel.now < end:
        urgent = operator.doze(min(log_uniform(rng, max(10 * MS, world.plan.rest_ns), 2 * lease_ns), end - kernel.now))
        if kernel.now >= end:
            return
        if urgent == "engage":
            operator.engage(None, rng.choice((0.8, 1.6)) * world.plan.lease_ms / 1000)
        elif urgent == "permit":
            operator.reset(None, 1)
        else:
            _act(world, operator)


def _act(world: World, operator: Operator) -> None:
    rng, lease_ms = world.rng, world.plan.lease_ms
    scope = rng.choice(SCOPES) if rng.random() < 0.2 else None
    think_ns = log_uniform(rng, 1, lease_ms * MS)
    what = rng.random()
    if world.is_open and what < 0.7:
        wait_s = rng.choice((None, 0.3 * lease_ms / 1000, 1.4 * lease_ms / 1000))
        operator.engage(scope, wait_s)
    elif what < 0.7:
        for_s = 1.0 if scope is None and rng.random() < 0.1 else None
        operator.reset(scope, think_ns, for_s)
    elif what < 0.8:
        operator.reduce(scope, think_ns)
    else:
        key, words = rng.choice(_KEYS[: 1 if rng.random() < 0.7 else None]), rng.choice(_RAW)
        number = rng.randrange(1000)
        operator.by_hand(*(word.format(key=key, n=number) for word in words))


def _close(world: World, closer: Operator) -> None:
    """Takes off who is lost, proves that all others are quiet, and permits: in quiet nothing may be in the way."""
    kernel, quiet_ns = world.kernel, world.plan.faults_ns
    others = [operator for operator in world.operators if operator is not closer]
    _until(kernel, 1 << 62, lambda: all(operator.is_done or operator.is_waiting for operator in others))
    if world.hosts[world.master].redis.library is None:
        closer.initialise()
    traders = list(world.traders.values())
    _until(kernel, quiet_ns + 2 * SECOND, lambda: all(trader.is_settled(quiet_ns) for trader in traders))
    # A membership that was lost comes back by beats only; until then an engagement rightly says that nobody is there.
    beat_ns = int(1.2 * world.plan.beat_ms * MS)
    _until(kernel, quiet_ns + 2 * SECOND + beat_ns, lambda: all(world.is_member(trader) for trader in traders))
    for _ in range(3):
        for trader in world.lost_members():
            if closer.leave_for(trader.worker_id):
                trader.reconcile()
        outcome = closer.engage(None, 3.0)
        world.closing = str(outcome.verdict) if outcome else "nothing"
        if world.closing == Verdict.QUIET:
            break
    _permit_all(world, closer)
    if world.rng.random() < 0.01:
        kernel.sleep(4 * SECOND)  # nobody may close of its own accord
    for trader in traders:
        trader.is_leaving = True
    kernel.sleep(SECOND // 20)
    _until(kernel, 1 << 62, lambda: all(operator.is_done for operator in others))
    _until(kernel, kernel.now + SECOND, lambda: not any(trader.in_flight for trader in traders if trader.is_alive))


def _until(kernel: Kernel, limit_ns: int, condition: Callable[[], bool]) -> None:
    while kernel.now < limit_ns and not condition():
        kernel.sleep(20 * MS)


def _permit_all(world: World, closer: Operator) -> None:
    """Everything that is closed, and then everybody opens: within one and a half renewals, by the slowest clock."""
    kernel = world.kernel
    for scope in (*SCOPES, None):
        # One may find a change that nobody has recorded yet, and be refused for it; a time limit may end meanwhile.
        if not world.permits(scope) and not any(closer.reset(scope, 1) for _ in range(4)):
            world.errors.append(f"a reset of {scope or 'the switch'} was not done in quiet")
    limit_ns = kernel.now + int(1.5 * world.plan.renew_ms / 0.9 * MS) + SECOND // 20
    _until(kernel, limit_ns, lambda: not world.closed())
    world.errors += world.closed()
