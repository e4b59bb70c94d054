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
        "  limit(rows[1], kept[3])\n", "",
        (_REAL, "-k", "after_the_life"),
        "workers go on trading with nobody at the desk, until something else makes them beat",
    ),
    Mutant(
        "beats-are-not-told", "P3", "killswitch/store/lua/ks_beat.lua",
        "  limit(rows[1], ledger_fields(n, { 'deadman' })[1])\n", "",
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
        "  settle_deadman(n, now, state)\n", "",
        (_CONTRACT, "-k", "engaged_in_writing"),
        "GET shows SAFE while every gate is closed, and nothing is on record",
    ),
    Mutant(
        "clock-set-back", "P3", _LUA,
        "  if now < held.seen - CLOCK_SLACK_MS then return 0 end\n", "",
        (_FAULTS, "-k", "set_back"),
        "an hour of summer time keeps the fleet open for an hour without anybody",
    ),
    Mutant(
        "beats-note-no-time", "P3", _LUA,
        "held.id, math.max(held.seen, now))", "held.id, held.seen)",
        (_FAULTS, "-k", "set_back"),
        "a clock that is set back by less than has passed since the last renewal prolongs what nobody renews",
    ),
    Mutant(
        "renewal-notes-no-time", "P3", _RENEW,
        "held.id, math.max(held.seen, now))", "held.id, held.seen)",
        (_FAULTS, "-k", "set_back"),
        "a clock that is set back right after a renewal prolongs it",
    ),
    Mutant(
        "small-steps-are-forgotten", "P3", _LUA,
        "held.id, math.max(held.seen, now))", "held.id, now)",
        (_FAULTS, "-k", "added_up"),
        "a clock that is set back again and again, by less than a second each time, is never below what was seen last",
    ),
    Mutant(
        "damaged-is-no-limit", "P5", _LUA,
        "  if kept == UNLIMITED then return nil end\n",
        "  if not kept or not string.match(kept, '^%d+ %d+ %d+ %d+ [%w_-]+ %d+$') then return nil end\n",
        (_FAULTS, "-k", "damaged_record"),
        "a damaged field turns a permission that must be renewed into one for ever",
    ),
    Mutant(
        "limit-of-another-epoch", "P5", _LUA,
        "  return read_as.epoch == epoch and read_as or UNREADABLE\n",
        "  if read_as ~= UNREADABLE and read_as.epoch ~= epoch then return nil end\n  return read_as\n",
        (_FAULTS, "-k", "damaged_record"),
        "words of another epoch turn a permission that must be renewed into one for ever",
    ),
    Mutant(
        "reducing-has-no-end", "P3", "killswitch/store/lua/ks_reduce.lua",
        "limit = words })", "limit = nil })",
        (_CONTRACT, "-k", "keeps_the_end"),
        "whoever reduces under a dead man's switch permits reducing orders for ever, with nobody at the desk",
    ),
    Mutant(
        "reducing-outlasts-its-time-box", "P3", "killswitch/store/lua/ks_reduce.lua",
        "    redis.call('SET', keys[1], 'REDUCING', 'PXAT', show(after.ends))\n",
        "    redis.call('SET', keys[1], 'REDUCING')\n",
        ("tests/contract/test_functions_permit.py", "-k", "keeps_the_end"),
        "reduce, in the last minute of eight hours, permits for ever",
    ),
    Mutant(
        "end-is-not-recorded", "P10", _LUA,
        "    record(n, 'switch', now, change)\n", "",
        (_FAULTS, "-k", "reviving"),
        "under the printed roles the end of a permission is nowhere on record until an operator acts",
    ),
    Mutant(
        "refused-on-every-beat", "P11", "killswitch/store/lua/incarnation.lua",
        "  if not may_set(key, text) then return false end\n", "",
        ("tests/integration/test_roles.py", "-k", "run_out"),
        "every beat of every worker fills the server's log of refusals, where a real one is not seen any more",
    ),
    Mutant(
        "end-is-forgotten", "P3", "killswitch/core/memory.py",
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
