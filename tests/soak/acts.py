"""The acts of the soak: what happens between the moment the fleet trades and the moment it is stopped and judged."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

from killswitch import KillSwitchError, clock
from tests.soak.faults import FAULTS, Effect
from tests.soak.plan import Cycle
from tests.soak.play import PATIENCE_S, Play
from tests.soak.stage import ENGINE_SCOPE

__all__ = ["ACTS"]

_REREAD_S = 2.0
_TOLD_S = 2.25  # two seconds, and what starting to measure them costs here


def volley(play: Play, cycle: Cycle) -> None:
    """Stopped and permitted several times in a row, while all is well."""
    for means in cycle.rounds:
        play.engage_healthy(means, cycle.wait_s)
        done = play.permit(None)
        play.stage.trading_since(done.ok_ns)


def scope(play: Play, cycle: Cycle) -> None:
    """A scope is engaged, everybody else goes on; then the switch, and resetting the scope opens nothing."""
    means = cycle.rounds[0] if cycle.rounds[0] != "delete" else "raw"
    play.scope_engaged = True
    play.engage_healthy(means, cycle.wait_s, ENGINE_SCOPE)
    others = [b for b in play.stage.running() if ENGINE_SCOPE not in b.scopes]
    since = clock.now_ns()
    clock.sleep(cycle.hold_s / 2)
    for burner in others:
        if not play.stage.log.since(since, "pass1", burner.worker) and not play.starved(since, clock.now_ns()):
            play.wrong("S14", f"{burner.worker} stopped for a scope that it does not follow")
    play.engage("library", None)
    play.permit(ENGINE_SCOPE)
    play.scope_engaged = False
    clock.sleep(0.1)


def reduce(play: Play, cycle: Cycle) -> None:
    """Only reducing orders for a while."""
    done = play.ops.reduce()
    assert done.ok_ns, done.note
    play.changes += 1
    clock.sleep(cycle.hold_s / 2)
    play.engage_healthy(cycle.rounds[0], cycle.wait_s)


def expiry(play: Play, cycle: Cycle) -> None:
    """A permission for one second that runs out by itself."""
    done = play.ops.reset(for_s=1.0)
    play.changes += 2
    assert done.ok_ns, done.note
    over = play.ops.ran_out(done, 1.0)
    clock.sleep((over - clock.now_ns()) / 1e9 + cycle.hold_s / 2)


def race(play: Play, cycle: Cycle) -> None:
    """One resets as fast as may be while another engages."""
    end = threading.Event()

    def resets() -> None:
        while not end.is_set():
            with suppress(OSError):
                play.figures.resets[play.ops.reset().result] += 1
                play.changes += 1

    other = threading.Thread(target=resets)
    other.start()
    try:
        for means in ("library", "raw", "fcall", "library"):
            play.engage(means, 0.3 if means == "library" else None)
    finally:
        end.set()
        other.join()


def fault(play: Play, cycle: Cycle) -> None:
    """One fault or two, and in the middle of them somebody tries to stop the fleet."""
    chance = random.Random(cycle.seed)
    with ExitStack() as stack:
        effects: list[Effect] = []
        for name in cycle.faults:
            effect = stack.enter_context(FAULTS[name](play.stage, play.ops, chance))
            effects.append(effect)
            play.figures.faults[name] += 1
            play.mark(name, "begin", effect.target)
        play.remember_lives()
        # Long enough for the membership to be whole again where a fault lost it.
        clock.sleep(max([cycle.hold_s, *(effect.lasts_s * chance.random() for effect in effects)]))
        if "swap_db" not in cycle.faults and (chance.random() < 0.6 or not any(e.blocks for e in effects)):
            done = play.engage(cycle.rounds[0], cycle.wait_s)
            if done.result in ("refused", "unreachable"):
                told_ms = (done.end_ns - done.begin_ns) / 1e6
                play.figures.told_ms[f"{done.means} {done.result}"].append(told_ms)
                if done.means == "library":
                    play.in_time("L1", told_ms, _TOLD_S, done.begin_ns, f"to say {done.result}")
        left_s = max((effect.lasts_s for effect in effects), default=0.0) - cycle.hold_s
        clock.sleep(max(0.0, left_s))
    healed = clock.now_ns()
    for name in cycle.faults:
        play.mark(name, "end", "")
    _heard_again(play, "+".join(cycle.faults), healed)


def _heard_again(play: Play, name: str, healed: int) -> None:
    """L4: how long until every living burner has asked again since the fault ended."""
    wanted = {b.worker for b in play.stage.running()}
    born = not wanted <= play.stage.log.heard.keys()
    play.stage.log.all_heard(sorted(wanted), 1, PATIENCE_S)
    begun = clock.now_ns() if born else healed
    deadline = clock.now_ns() + int(PATIENCE_S * 1e9)
    missing = wanted
    while missing and clock.now_ns() < deadline:
        with suppress(KillSwitchError):
            status = play.stage.control.status()
            age_ms = (clock.now_ns() - healed) / 1e6
            missing = wanted - {m.worker_id for m in status.members if m.known and m.beat_age_ms < age_ms}
        clock.sleep(0.01)
    took_ms = (clock.now_ns() - begun) / 1e6
    play.figures.reread_ms[name].append(took_ms)
    if missing:
        play.wrong("L4", f"{sorted(missing)} were not heard from within {PATIENCE_S:g} s after {name}")
    else:
        play.in_time("L4", took_ms, _REREAD_S, healed, f"to be heard from after {name}")


ACTS: dict[str, Callable[[Play, Cycle], None]] = {
    act.__name__: act for act in (volley, scope, reduce, expiry, race, fault)
}
