"""Breaks of the record in Redis: epochs, incarnations, conditions of a reset, lives under one name."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_COMMON = "killswitch/store/lua/common.lua"
_RESET = "killswitch/store/lua/ks_reset.lua"

MUTANTS = (
    Mutant(
        "lost-epochs-come-again",
        "P8 S6",
        _COMMON,
        "local LEAP = 1000",
        "local LEAP = 1",
        ("tests/contract/test_functions_faults.py", "-k", "engaged_in_writing"),
        "a reset that names an engagement lost in a fail-over opens the fleet",
    ),
    Mutant(
        "unwritable-stop-is-forgotten",
        "P9",
        _COMMON,
        "      mend(now, 'HSET', n.ledger, 'run_id', '')\n",
        "",
        ("tests/integration/test_incarnation_acl.py",),
        "a worker that may not write the state reopens after a demotion and promotion",
    ),
    Mutant(
        "epoch-of-this-very-call",
        "P8",
        _RESET,
        " or current ~= looked_at then",
        " then",
        ("tests/random/test_functions_stateful.py", "-k", "nobody_can_have_looked_at"),
        "a guess permits trading against a stop that nobody has seen",
    ),
    Mutant(
        "nonsense-is-no-limit",
        "P5",
        _RESET,
        "  local ttl = to_epoch((args[4] or '') == '' and '0' or args[4])\n",
        "  local ttl = tonumber(args[4] or '') or 0\n",
        ("tests/random/test_fuzz_functions.py", "-k", "time_limit_that_is_none"),
        "somebody who wanted eight hours permits without a limit",
    ),
    Mutant(
        "opened-by-the-answer",
        "P6 S8",
        "killswitch/store/lua/ks_beat.lua",
        " and (to_epoch(kept[7]) or 0) > 0 then",
        " then",
        ("tests/contract/test_functions_lives.py",),
        "a process that has just opened is called quiet by its namesake",
    ),
    Mutant(
        "leases-out-in-a-split",
        "P6 S2",
        "killswitch/control/quiescence.py",
        "            return -1.0\n",
        "            return (now_ns() - self.stopped_ns) / NS_PER_MS\n",
        ("tests/faults/net/test_split.py", "-k", "leases_are_not_said"),
        "no gate is open any more, is said while a replaced master goes on permitting",
    ),
)
