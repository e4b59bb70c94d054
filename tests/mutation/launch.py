"""Breaks of preflight, launch and down: what would be called well, permitted, placed twice or left behind."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_PROBE = "killswitch/store/probe.py"
_CHECKS = "tests/unit/core/test_checks.py"
_FINDINGS = "ops/launching/findings.py"
_PHASES = "ops/launching/phases.py"

MUTANTS = (
    Mutant(
        "late-announcement-is-waited-for",
        "P2",
        _PROBE,
        "not _readable(wire, 0)]",
        "not _readable(wire, 1000)]",
        ("tests/unit/store/test_probe.py", "-k", "behind_the_answer"),
        "preflight calls a server well that answers the operator before it tells the workers",
    ),
    Mutant(
        "unseen-is-well",
        "P4",
        "killswitch/core/checks/catalogue.py",
        'Judged(Grade.WARN, f"could not look',
        'Judged(Grade.OK, f"could not look',
        (_CHECKS, "-k", "not_looked_at"),
        "a managed server that hides its settings passes every check",
    ),
    Mutant(
        "probe-under-the-switch",
        "L7",
        _PROBE,
        "{keys.prefix}:preflight:",
        "{keys.state}:preflight:",
        ("tests/integration/test_preflight.py", "-k", "no_gate_hears"),
        "looking at a live fleet closes each of its gates three hundred times",
    ),
    Mutant(
        "one-build-is-like-another",
        "P2",
        "killswitch/_build.py",
        "                found.update(text)\n",
        "",
        ("tests/unit/test_build.py",),
        "a host that was patched by hand is not told from the fleet",
    ),
    Mutant(
        "any-engagement-is-nobodys",
        "P8",
        _FINDINGS,
        "fresh = switch.text == INITIALISED",
        "fresh = switch.text.startswith(INITIALISED[:7])",
        ("tests/unit/ops/test_launch_findings.py",),
        "a launch with --permit undoes the engagement of somebody who had a reason",
    ),
    Mutant(
        "void-permission-is-done",
        "P9",
        _FINDINGS,
        "switch.text == Mode.SAFE and status.confirmed and switch.recorded",
        "switch.text == Mode.SAFE",
        ("tests/unit/ops/test_launch_findings.py",),
        "a launch reports a permission of another life of the server as one that holds",
    ),
    Mutant(
        "covered-engagement-is-opened",
        "P8",
        _PHASES,
        "if absent and was != findings.ABSENT:",
        "if absent and was is None:",
        ("tests/integration/test_launch_phases.py", "-k", "moment_of_initialising"),
        "who engages while a launch initialises is overridden by its permission",
    ),
    Mutant(
        "trades-unasked",
        "P8",
        _PHASES,
        "elif found not in (Stance.STAYS, Stance.DONE):",
        "elif found not in (Stance.STAYS, Stance.DONE, Stance.TRADES):",
        ("tests/integration/test_launch_phases.py", "-k", "not_told_to_permit"),
        "engines trade though nobody permitted this launch",
    ),
    Mutant(
        "placed-beside-a-rival",
        "S1",
        "workers/roster.py",
        "pipe.watch(*self._keys)",
        "pipe.watch(self._keys[1])",
        ("tests/unit/workers_rq/test_roster.py", "-k", "same_moment"),
        "two launches at once leave an engine on the queue that starts when the first is stopped",
    ),
    Mutant(
        "next-engine-is-set-free",
        "P11",
        "ops/launching/stopping.py",
        "{name for name in engines if self._withdraw(self._roster.of(name))}",
        "{name for name in engines if not name}",
        ("tests/unit/ops/test_launch_stopping.py", "-k", "before_any_worker"),
        "a worker that was set free by down takes the next engine and trades",
    ),
    Mutant(
        "stopped-once-and-hoped",
        "P11",
        "ops/launching/stopping.py",
        "_ASK_EVERY_NS = 1_000_000_000",
        "_ASK_EVERY_NS = 10**18",
        ("tests/unit/ops/test_launch_stopping.py", "-k", "sent_again"),
        "a stop command that got lost leaves an engine trading",
    ),
    Mutant(
        "rehearsal-on-the-live-switch",
        "P8",
        "ops/rehearsal/places.py",
        '":".join([*parts, f"rehearsal-{secrets.token_hex(4)}"])',
        '":".join(parts)',
        ("tests/fleet/test_launch.py", "-k", "interrupt"),
        "the dry run permits trading for the real fleet, and takes its record away",
    ),
)
