"""Breaks of the record in Redis: epochs, incarnations, conditions of a reset, lives under one name."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_QUIESCENCE = "killswitch/control/quiescence.py"
_LEASES_OUT = "tests/integration/test_leases_out.py"
_COMMON = "killswitch/store/lua/common.lua"
_INCARNATION = "killswitch/store/lua/incarnation.lua"
_ON_FAILOVER = "tests/integration/test_on_failover.py"
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
        _INCARNATION,
        "      mend(now, 'HSET', n.ledger, 'run_id', '')\n",
        "",
        ("tests/integration/test_incarnation_acl.py",),
        "a worker that may not write the state reopens after a demotion and promotion",
    ),
    Mutant(
        "carried-on-under-a-new-epoch",
        "P9 S5",
        _INCARNATION,
        "  mend(now, 'HSET', n.ledger, 'run_id', inc.run_id, 'replid', inc.replid)\n"
        "  settled = inc.replid\n  return true\nend\n\n-- A perm",
        "  mend(now, 'HSET', n.ledger, 'run_id', inc.run_id, 'replid', inc.replid, 'switch:epoch', show(counter(n)))\n"
        "  settled = inc.replid\n  return true\nend\n\n-- A perm",
        (_ON_FAILOVER, "-k", "redis and (nobody_else or goes_on)"),
        "with `resume` a worker that saw the lost stop opens as well",
    ),
    Mutant(
        "carried-on-without-a-record",
        "P9",
        _INCARNATION,
        " and was.token == token(state) then\n    return go_on",
        " then\n    return go_on",
        (_ON_FAILOVER, "-k", "redis and behind_the_records_back"),
        "a SAFE by hand that no beat recorded outlives the server under `resume`",
    ),
    Mutant(
        "lost-stop-not-put-back",
        "P9",
        _INCARNATION,
        "if stopped == 0 or epoch > stopped or",
        "if true or",
        (_ON_FAILOVER, "-k", "redis and puts_a_lost_stop_back"),
        "`reassert` is `resume`",
    ),
    Mutant(
        "unwritable-lost-stop-is-left",
        "P9",
        _INCARNATION,
        "    mend(now, 'HSET', n.ledger, 'run_id', '')\n    return nil\n",
        "    return nil\n",
        (_ON_FAILOVER, "-k", "redis and may_not_write_the_state"),
        "a witness whose user may not write the state keeps what it knows to itself",
    ),
    Mutant(
        "reassert-whatever-the-policy",
        "P9",
        _INCARNATION,
        "~= 'reassert' then return nil end",
        "== 'none' then return nil end",
        (_ON_FAILOVER, "-k", "redis and nobody_else"),
        "a fleet under `resume` stops though nobody asked for it",
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
        "lost-row-is-no-life",
        "P6 S8",
        "killswitch/store/lua/ks_beat.lua",
        "if not kept[1] and kept.lost then return now + kept.lost, SEVERAL end",
        "",
        ("tests/contract/test_functions_lives.py", "-k", "row"),
        "after a jump of the server's clock one of two processes under a name speaks for the other, which trades on",
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
    Mutant(
        "rival-follows-what-is-told",
        "P6",
        "killswitch/core/fleet.py",
        " or not m.known or m.rival)",
        " or not m.known)",
        ("tests/unit/core/test_rules.py", "-k", "rival_concerns_every_scope"),
        "a scope is called quiet while the other life under a name trades on it",
    ),
    Mutant(
        "operators-clock-taken-for-right",
        "P6 S3",
        "killswitch/core/lease.py",
        "duration_ms * (1 + CLOCK_RATE_ERROR) / (1",
        "duration_ms / (1",
        ("tests/unit/core/test_rules.py", "-k", "outer_bound"),
        "FENCED is said on a machine whose clock is fast while a slow worker's gate is open",
    ),
    Mutant(
        "leases-out-of-a-lifted-stop",
        "P6",
        _QUIESCENCE,
        "bool(self.looks) and not self.note and ",
        "bool(self.looks) and ",
        (_LEASES_OUT, "-k", "redis and permitted_meanwhile and hand"),
        "no gate is open any more, is said beside the word that somebody has permitted",
    ),
    Mutant(
        "leases-out-of-an-early-look",
        "P6",
        _QUIESCENCE,
        "self._elapsed_ms(self._looked_ns) >= lease_ms",
        "self._elapsed_ms(now) >= lease_ms",
        (_LEASES_OUT, "-k", "redis and looked_last"),
        "what came after the last look may have been a permission",
    ),
    Mutant(
        "no-look-when-leases-are-out",
        "P6",
        _QUIESCENCE,
        "        return min(self._next_look_ns, out_ns)\n",
        "        return self._next_look_ns\n",
        (_LEASES_OUT, "-k", "redis and looks_again"),
        "who waits just long enough is not told what could have been known",
    ),
    Mutant(
        "fenced-without-a-look",
        "P6",
        _QUIESCENCE,
        "        self.fence(began)\n",
        "        self.fence(now_ns())\n",
        (_LEASES_OUT, "-k", "redis and after_that_look"),
        "FENCED of a stop that somebody may have lifted before the leases ran out",
    ),
    Mutant(
        "fenced-before-the-look",
        "P6",
        _QUIESCENCE,
        "        return min(self._next_look_ns, out_ns)\n",
        "        return min(self._next_look_ns, max(out_ns, self._soonest_look_ns))\n",
        (_LEASES_OUT, "-k", "redis and after_that_look"),
        "the same, where the look before took long",
    ),
    Mutant(
        "stop-by-hand-overlooked",
        "P6 S1",
        _QUIESCENCE,
        "        if state.epoch > self._recorded:\n",
        "        if state.recorded and state.epoch > self._recorded:\n",
        ("tests/integration/test_proof_holes.py", "-k", "redis and by and hand"),
        "QUIET is said of a stop that was lifted, with an order in flight from between",
    ),
)
