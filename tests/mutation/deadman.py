"""Breaks of the dead man's switch: a permission that outlives its holder, or renewals that overrule somebody."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_LUA = "killswitch/store/lua/deadman.lua"
_TAKE = "killswitch/store/lua/ks_deadman.lua"
_RENEW = "killswitch/store/lua/ks_renew.lua"
_CONTRACT = "tests/contract/test_functions_deadman.py"
_FAULTS = "tests/contract/test_functions_deadman_faults.py"
_REAL = "tests/integration/test_deadman.py"

MUTANTS = (
    Mutant(
        "renewal-revives", "P3 P8", _RENEW,
        "  elseif deadman_left(held, now) == 0 then\n", "  elseif held.life == 0 then\n",
        (_CONTRACT, "-k", "too_late"),
        "a holder that wakes up an hour later opens a fleet that was closed for want of it",
    ),
    Mutant(
        "renewal-of-another", "P8", _RENEW,
        "  elseif not held or held.id ~= args[2] then\n", "  elseif not held then\n",
        (_CONTRACT, "-k", "takes_over"),
        "after a take-over the old desk goes on prolonging what the new one renews",
    ),
    Mutant(
        "renewal-over-a-change", "P8", _RENEW,
        " or kept[2] ~= token(state) or", " or",
        (_CONTRACT, "-k", "after_any_change"),
        "a permission for a while that somebody gave by hand would be taken for the holder's own",
    ),
    Mutant(
        "renewal-counts-from-arrival", "P3", _RENEW,
        "math.min(wanted or now + held.life, now + held.life)", "now + held.life",
        (_CONTRACT, "-k", "no_more_than_was_asked_for"),
        "a renewal that lay in a queue for a minute keeps a fleet open for a minute after its holder's death",
    ),
    Mutant(
        "second-holder", "P8", _TAKE,
        "  if held and args[8] ~= '1' then\n", "  if held and args[8] == '0x' then\n",
        (_CONTRACT, "-k", "second_holder"),
        "two desks fight over one permission",
    ),
    Mutant(
        "workers-are-not-told", "P3", "killswitch/store/lua/ks_read.lua",
        "  if kept[3] then limit(rows[1], kept[3]) end\n", "",
        (_REAL, "-k", "after_the_life"),
        "workers go on trading with nobody at the desk, until something else makes them beat",
    ),
    Mutant(
        "beats-are-not-told", "P3", "killswitch/store/lua/ks_beat.lua",
        "  if deadman then limit(rows[1], deadman) end\n", "",
        (_CONTRACT, "-k", "bounded_and_on_record"),
        "the answer to a beat, which is what opens, permits without the limit",
    ),
    Mutant(
        "admission-is-not-told", "P3", "killswitch/store/lua/ks_admit.lua",
        "pttl = limited(seen.pttl, kept[2], its_epoch)", "pttl = seen.pttl",
        ("tests/contract/test_admit_decision.py",),
        "Redis admits orders to the journal after the permission ran out",
    ),
    Mutant(
        "end-is-not-written", "P10", "killswitch/store/lua/ks_beat.lua",
        "settle_deadman(n, now, state)", "ledger_fields(n, { 'deadman' })[1]",
        (_CONTRACT, "-k", "engaged_in_writing"),
        "GET shows SAFE while every gate is closed, and nothing is on record",
    ),
    Mutant(
        "clock-set-back", "P3", _LUA,
        "left > 0 and left <= held.life + CLOCK_SLACK_MS and left or 0", "left > 0 and left or 0",
        (_FAULTS, "-k", "moved_away"),
        "an hour of summer time keeps the fleet open for an hour without anybody",
    ),
    Mutant(
        "damaged-is-no-limit", "P5", _LUA,
        "every = tonumber(every), id = id } or UNREADABLE", "every = tonumber(every), id = id } or { epoch = -1 }",
        (_FAULTS, "-k", "damaged_record"),
        "a damaged field turns a permission that must be renewed into one for ever",
    ),
    Mutant(
        "end-is-forgotten", "P3", "killswitch/core/watch.py",
        "Code.STATE_WRONG_TYPE, Code.PERMISSION_EXPIRED})", "Code.STATE_WRONG_TYPE})",
        (_REAL, "-k", "newer_permission"),
        "a record that is set back by a late hand reopens workers at an epoch that had ended",
    ),
    Mutant(
        "retry-asks-for-more", "P3", "killswitch/core/deadman.py",
        "return self._at_ms + (now_ns - self._heard_ns) // _NS_PER_MS", "return self._at_ms + self.life_ms",
        ("tests/unit/core/test_deadman.py",),
        "the holder asks for an end later than a life after its sending",
    ),
)  # fmt: skip
