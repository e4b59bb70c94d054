"""Breaks of the rule that two persons have to permit: one of them alone, or somebody by hand, would."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_PERSONS = "killswitch/store/lua/persons.lua"
_BY_HAND = "killswitch/store/lua/byhand.lua"
_POLICY = "killswitch/store/lua/ks_policy.lua"
_ANSWER = "killswitch/core/answer.py"
_TESTS = "tests/contract/test_functions_persons.py"
_OF_RULES = "tests/contract/test_functions_rules.py"
_OF_HANDS = "tests/contract/test_functions_byhand.py"
_ANY_ORDER = ("tests/random/test_two_persons.py",)
_ACL = """  if redis.acl_check_cmd and not redis.acl_check_cmd('SET', witness, mine, 'PX', show(APPROVAL_MS)) then
"""


def _of_persons(name: str, old: str, new: str, tests: tuple[str, ...], why: str) -> Mutant:
    return Mutant(name, "S7", _PERSONS, old, new, tests, why)


def _of_hands(name: str, old: str, new: str, tests: tuple[str, ...], why: str) -> Mutant:
    return Mutant(name, "S7 P5", _BY_HAND, old, new, tests, why)


MUTANTS = (
    _of_persons(
        "one-person-is-two", "  if first and first ~= who and what ==", "  if first and what ==",
        (_TESTS, "-k", "fake and one_is_one or one_person"),
        "who types the command twice permits",
    ),
    _of_persons(
        "one-person-is-two-in-some-order", "  if first and first ~= who and what ==", "  if first and what ==",
        _ANY_ORDER,
        "the model finds it as well as the example",
    ),
    _of_persons(
        "another-host-is-another-person", "string.match(string.lower(actor), '^%s*([^@]-)%s*@')", "actor",
        (_TESTS, "-k", "spelling"),
        "one person with two terminals permits",
    ),
    _of_persons(
        "any-two-requests-are-the-same", "first ~= who and what == ask.what then", "first ~= who then",
        (_TESTS, "-k", "the_same"),
        "one approves an hour, the other permits without end",
    ),
    _of_persons(
        "approved-for-ever", " or now - tonumber(at) >= APPROVAL_MS then", " then", (_TESTS, "-k", "an_hour"),
        "what was approved yesterday, about another day, permits today",
    ),
    _of_persons(
        "a-stop-does-not-void", "  if tonumber(its) ~= epoch or", "  if not its or", (_TESTS, "-k", "voids"),
        "an approval from before the stop permits after it",
    ),
    _of_persons(
        "approval-counts-twice", "    mend(now, 'HSET', n.ledger, n.scope .. ':approval', '-')", "    --",
        (_OF_RULES, "-k", "counts_once"),
        "one who approved to lift the rule has approved to lift it again, after it was put back",
    ),
    _of_persons(
        "forged-approval-counts", "  if witness ~= kept then return nil end\n", "",
        (_TESTS, "-k", "did_not_write"),
        "who may write the ledger approves in anybody's name",
    ),
    _of_persons(
        "nobody-is-somebody", "  if NOBODY[who] then", "  if false then", (_TESTS, "-k", "nobody_in_particular"),
        "who gives no name is another person than everybody",
    ),
    _of_persons(
        "another-name-is-tried", _ACL, "  if false then\n",
        ("tests/integration/test_persons.py", "-k", "one_person_permits_as_nobody_else"),
        "the refusal does not say whose name was given, and the log of refusals fills",
    ),
    Mutant(
        "permits-as-anybody", "S7", "killswitch/core/roles.py", '    Grant("set", "@:approval:^:*"),\n',
        '    Grant("set", "@:approval:*:*"),\n',
        ("tests/integration/test_persons.py", "-k", "one_person_permits_as_nobody_else"),
        "a user that is one person approves in another's name",
    ),
    Mutant(
        "believed-before-it-is-recorded", "P9 P10 S7", "killswitch/store/lua/incarnation.lua",
        "  elseif kept[1] and (was.token or state.kind ~= 'absent') then\n", "  elseif false then\n",
        (_OF_HANDS, "-k", "by_way_of_a_scope"),
        "a stop of a scope confirms what permitted before a restart, and SAFE by hand opens without an entry",
    ),
    Mutant(
        "one-person-has-no-role", "P8", "killswitch/core/checks/rights.py",
        'own = (f"~{prefix}:worker:", f"~{prefix}:approval:")', 'own = (f"~{prefix}:worker:",)',
        ("tests/unit/core/test_rights.py",),
        "preflight says of a fleet whose operators are one person each that no user has a role",
    ),
    Mutant(
        "lifted-by-one", "S7", _POLICY, "    if persons == 2 and not tightens then", "    if false then",
        (_OF_RULES, "-k", "takes_two_to_lift"),
        "one person lifts the rule, and permits",
    ),
    Mutant(
        "lifted-by-the-way", "S7", _POLICY,
        "  if wanted ~= '' then change('persons', show(persons), wanted,",
        "  if true then change('persons', show(persons), wanted == '' and '1' or wanted,",
        (_OF_RULES, "-k", "takes_two_to_lift"),
        "whoever installs a release without the setting begins to lift the rule",
    ),
    _of_hands(
        "by-hand-one-is-enough", "(persons_of(n) == 2 and loosens(n, scope, seen, was.token)) then", "false then",
        (_OF_HANDS, "-k", "lifts_by_hand"),
        "a bare SET SAFE permits, which the rule is there to prevent",
    ),
    _of_hands(
        "by-hand-put-off", "  if ended and (not seen.ends or seen.ends > ended) then return true end\n", "",
        (_OF_HANDS, "-k", "puts_off"),
        "a PERSIST makes a permission for an hour one without end",
    ),
    _of_hands(
        "by-hand-without-renewals", "  return ledger_fields(n, { 'deadman' })[1] ~= UNLIMITED", "  return false",
        (_OF_HANDS, "-k", "renews"),
        "a permission that somebody has to renew goes on without that",
    ),
    _of_hands(
        "by-hand-a-scope-may-go", "  if seen.kind == 'absent' and scope ~= 'switch' then return 0 end\n", "",
        (_OF_HANDS, "-k", "of_a_scope_that_one"),
        "a DEL takes the stop of a scope away",
    ),
    _of_hands(
        "put-back-over-a-newer-stop", "  if not keep and put_stop(key, text) then", "  if put_stop(key, text) then",
        (_OF_HANDS, "-k", "recorded_as_ever"),
        "the reason of an engagement is replaced, and it counts as another change by hand",
    ),
    _of_hands(
        "an-entry-for-every-beat", "  elseif was.token == change.token then\n    return was\n", "",
        (_OF_HANDS, "-k", "record_alone"),
        "a fleet that may not write the state fills the record with one and the same change",
    ),
    _of_hands(
        "lifting-the-rule-accepts", "  if was.token == '!' .. is or (", "  if (", (_OF_HANDS, "-k", "rule_is_lifted"),
        "what one person did by hand permits as soon as two have lifted the rule",
    ),
    _of_hands(
        "end-of-a-scope-stops-it", "  if scope ~= 'switch' then return false end\n", "",
        (_OF_HANDS, "-k", "for_a_while_may_end"),
        "a scope that permitted for a while is engaged when that is over",
    ),
    Mutant(
        "words-like-an-end", "S7 P5 P10", "killswitch/store/lua/common.lua",
        " and not string.find(seen.text, '@%d+$')", "",
        (_OF_HANDS, "-k", "words_of_the_record"),
        "a stop is recorded in the words of a permission, which then is taken for one that is on record",
    ),
    Mutant(
        "any-key-is-the-switch", "P9", "killswitch/store/lua/ks_beat.lua",
        "  if n.scope ~= 'switch' then return redis.error_reply('ERR the first key is that of the switch') end\n", "",
        ("tests/contract/test_functions_worker.py", "-k", "takes_a_scope"),
        "a beat that names a scope first confirms a permission from before a restart",
    ),
    Mutant(
        "a-scope-called-switch", "P9 S14", "killswitch/store/lua/common.lua", "'^(.-):state:([^:]+:.+)$'",
        "'^(.-):state:(.+)$'", ("tests/contract/test_functions_worker.py", "-k", "another_form"),
        "a key of its own is recorded as if it were the switch",
    ),
    Mutant(
        "lengthened-by-one", "S7", "killswitch/store/lua/ks_deadman.lua", "  if held and life > held.life and",
        "  if false and", (_TESTS, "-k", "deadman"),
        "a permission that ends without one person lasts a day longer by one person",
    ),
    Mutant(
        "lifted-past-a-stop", "S7", _POLICY, "  local epoch = reconcile(n, 'switch', state, now, true).epoch",
        "  local epoch = recorded(n, 'switch').epoch", (_OF_RULES, "-k", "approval_to_lift"),
        "a stop between two approvals to lift the rule does not void the first",
    ),
    Mutant(
        "reduced-from-what-is-not-accepted", "S7", "killswitch/store/lua/ks_reduce.lua",
        "tightens = accepted(kept) and (", "tightens = (",
        (_OF_HANDS, "-k", "nor_reduced"),
        "SAFE by hand, then a reduce by the same person, permits",
    ),
    Mutant(
        "renewed-though-not-accepted", "S7", "killswitch/store/lua/ks_deadman.lua",
        " or not accepted(kept) then", " then",
        (_OF_HANDS, "-k", "neither_renewed"),
        "SAFE by hand, then a dead man's switch by the same person, permits",
    ),
    Mutant(
        "not-accepted-reads-as-recorded", "S7 P5", "killswitch/store/lua/replies.lua", "'!' .. is and 2 or 0",
        "'!' .. is and 1 or 0", (_OF_HANDS, "-k", "record_alone"),
        "where no worker may write the state a SAFE by hand opens every gate",
    ),
    Mutant(
        "unapproved-opens", "S7 P5", _ANSWER, "    if unapproved:\n", "    if False:\n",
        ("tests/unit/core/test_answer.py",),
        "the same, in the worker",
    ),
    Mutant(
        "unapproved-is-admitted-as-unrecorded", "S7", "killswitch/store/lua/ks_admit.lua",
        "    if was == '!' .. is then by_hand = true end\n", "", (_OF_HANDS, "-k", "record_alone"),
        "an engine is told to wait for a beat that will change nothing",
    ),
    Mutant(
        "an-attempt-is-told-as-a-change", "P10", "killswitch/control/feed.py",
        "    if words := attempt_words(fields):\n", "    if words := '':\n",
        ("tests/integration/test_feed.py", "-k", "attempt"),
        "a chat is told of a change to nothing when a reset was refused",
    ),
    Mutant(
        "approvals-are-listed-as-changes", "P10", "killswitch/store/audit.py", "not in (REFUSED, APPROVED)",
        "not in (REFUSED,)", ("tests/integration/test_feed.py", "-k", "attempt"),
        "the list of changes has one that changed nothing",
    ),
    Mutant(
        "preflight-knows-no-shared-user", "S7", "killswitch/core/checks/fleet.py",
        "    if anybody:\n", "    if False:\n", ("tests/integration/test_persons.py", "-k", "preflight_names"),
        "two persons are asked for where everybody may speak for two",
    ),
    Mutant(
        "preflight-trusts-without-a-password", "S7", "killswitch/store/survey.py",
        '("nopass" in flags or not _dry(', '(not _dry(', ("tests/integration/test_persons.py", "-k", "preflight_names"),
        "the user that asks for no password is taken for an administrator",
    ),
    Mutant(
        "preflight-calls-a-person-shared", "S7", "killswitch/core/checks/rights.py", "nobody.has.this.name", "alice",
        ("tests/integration/test_persons.py", "-k", "preflight_names"),
        "preflight warns of operators that are one person each, and is no longer read",
    ),
)  # fmt: skip
