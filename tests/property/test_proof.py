"""When a worker that did not prove to be quiet may be called fenced: on invented fleets, against rules told anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from killswitch.core.fleet import Member, parse_member
from killswitch.core.lease import CLOCK_RATE_ERROR
from killswitch.core.proof import fenceable_ms, may_turn_quiet, standing
from killswitch.core.sinks import SINKS_MAX, parse_sessions

PLACES = ("venue/a", "venue/b", "other/a", "strange/z")
CONFIGURED = ("venue", "other")

members = st.builds(
    Member,
    worker_id=st.just("w"),
    known=st.booleans(),
    rival=st.booleans(),
    lease_ms=st.sampled_from((0, 50, 1000, 60_000)),
    sinks=st.lists(st.sampled_from(PLACES), unique=True, max_size=3).map(tuple),
    in_flight=st.integers(0, 2),
    closed=st.booleans(),
    epoch=st.integers(0, 9),
)
fences = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 9), max_size=4)


def may_still_act(member: Member, epoch: int, elapsed_ms: float, confirmed: dict[str, int]) -> bool:
    """The oracle, from the worst that can be: the worker stands right behind its gate with an order in hand, its clock
    is as slow as is allowed for, the one that told the time since the stop is as fast, and it sends wherever it is not
    known not to send. Can its order arrive, or can it pass another one?"""
    slowest_ms = member.lease_ms / (1 - CLOCK_RATE_ERROR)
    truly_ms = elapsed_ms / (1 + CLOCK_RATE_ERROR)
    gate_may_be_open = not member.known or member.lease_ms == 0 or truly_ms <= slowest_ms
    sends_where_nobody_knows = not member.known or member.rival or not member.sinks
    order_may_pass = any(epoch - 1 >= confirmed.get(sink, 0) for sink in member.sinks)
    return gate_may_be_open or sends_where_nobody_knows or order_may_pass


@given(member=members, epoch=st.integers(0, 9), elapsed_ms=st.floats(0, 70_000), confirmed=fences)
@example(member=Member("w", lease_ms=1000, sinks=("venue/a",)), epoch=5, elapsed_ms=1223.0, confirmed={"venue/a": 5})
@example(member=Member("w", lease_ms=1000, sinks=("venue/a",)), epoch=5, elapsed_ms=1222.0, confirmed={"venue/a": 5})
@example(member=Member("w", lease_ms=1000, sinks=("venue/a",)), epoch=5, elapsed_ms=9999.0, confirmed={"venue/a": 4})
@example(member=Member("w", lease_ms=1000, sinks=("venue/a",)), epoch=0, elapsed_ms=9999.0, confirmed={"venue/a": 4})
def test_nobody_is_called_fenced_who_may_still_act(
    member: Member, epoch: int, elapsed_ms: float, confirmed: dict[str, int]
) -> None:
    """P6, S1: whoever may pass an order, or have one arrive under an epoch before the stop, is not fenced."""
    stands = standing(member, epoch, elapsed_ms, confirmed, CONFIGURED, {})
    assert stands.fenced is (stands.missing == "")
    if stands.fenced:
        assert epoch > 0
        assert not may_still_act(member, epoch, elapsed_ms, confirmed)


def test_a_worker_with_two_sinks_needs_both_fences() -> None:
    """One fence of two proves nothing: the order may be on its way to the other sink."""
    member = Member("w", lease_ms=100, sinks=("venue/a", "other/a"))
    one = {"venue/a": 7}
    assert not standing(member, 7, 10**6, one, ("venue", "other"), {}).fenced
    assert standing(member, 7, 10**6, {**one, "other/a": 7}, ("venue", "other"), {}).fenced


@given(member=members, epoch=st.integers(1, 9), confirmed=fences)
def test_everybody_is_called_fenced_of_whom_it_is_proved(member: Member, epoch: int, confirmed: dict[str, int]) -> None:
    """The other way round: with the longest wait only what is unknown, unnamed, unreachable or unconfirmed is missing,
    so the word is not withheld for no reason."""
    reachable = all(sink.split("/")[0] in CONFIGURED for sink in member.sinks)
    proved = not may_still_act(member, epoch, 10**6, confirmed)
    assert standing(member, epoch, 10**6, confirmed, CONFIGURED, {}).fenced is (proved and reachable)


@given(member=members, epoch=st.integers(0, 9), elapsed_ms=st.floats(0, 70_000), confirmed=fences)
def test_one_more_fact_against_it_never_helps(
    member: Member, epoch: int, elapsed_ms: float, confirmed: dict[str, int]
) -> None:
    """Taking a fence away, ending the wait earlier, adding a sink, losing its words: none of it makes one fenced."""

    def fenced(of: Member, at_ms: float = elapsed_ms, known: dict[str, int] = confirmed) -> bool:
        return standing(of, epoch, at_ms, known, CONFIGURED, {}).fenced

    if fenced(member):
        return
    weaker = [{name: fence for name, fence in confirmed.items() if name != gone} for gone in confirmed]
    assert not any(fenced(member, known=fewer) for fewer in weaker)
    assert not fenced(member, at_ms=elapsed_ms / 2)
    assert not fenced(replace(member, known=False))
    assert not fenced(replace(member, rival=True))
    if member.sinks:
        assert not fenced(replace(member, sinks=(*member.sinks, "venue/new")))


@given(member=members)
def test_a_fence_is_asked_for_only_where_it_proves_something(member: Member) -> None:
    """And not before the lease has run out by a right clock: a fence refuses a healthy worker's order as well."""
    bound_ms = fenceable_ms(member)
    everywhere = dict.fromkeys(member.sinks, 5)
    if bound_ms is None:
        assert not standing(member, 5, 10**9, everywhere, ("venue", "other", "strange"), {}).fenced
    else:
        assert standing(member, 5, bound_ms, everywhere, ("venue", "other", "strange"), {}).fenced
        assert not standing(member, 5, bound_ms - 1, everywhere, ("venue", "other", "strange"), {}).fenced


def test_who_has_answered_the_stop_and_still_speaks_is_waited_for() -> None:
    """QUIET is worth the rest of the wait where it can still come, and nowhere else."""
    closing = Member("w", closed=True, epoch=7, in_flight=1, beat_ms=1000, beat_age_ms=500)
    assert may_turn_quiet(closing, 7)
    for change in ({"closed": False}, {"epoch": 6}, {"known": False}, {"beat_age_ms": 60_000}):
        assert not may_turn_quiet(replace(closing, **change), 7)
    assert not may_turn_quiet(closing, 0)


# -- what a worker's row says of its sinks --------------------------------------------------------------------------


def row(info: object, **fields: str) -> Member:
    """A member whose row has this `info`."""
    return parse_member("w", {"in_flight": "0", "info": json.dumps(info), **fields}, 0, 1000)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_sinks_that_cannot_be_read_are_none(value: Any) -> None:
    """Total, and never half of what was meant."""
    found = row({"sinks": value}).sinks
    assert found == () or (isinstance(value, str) and len(found) <= SINKS_MAX)


def test_a_list_of_sinks_is_read_whole_or_not_at_all() -> None:
    """One bad part voids the list: a fence at a part of the places that orders go to proves nothing."""
    assert row({"sinks": "venue/e1, other/e-2 ,venue/e1"}).sinks == ("venue/e1", "other/e-2")
    for bad in ("", "venue", "venue/", "/e1", "venue/e1,", "venue/e1,x y/z", "venue/e1/x", "venue/é", "a/b\nc", "*/x"):
        assert row({"sinks": bad}).sinks == ()
    most = ",".join(f"venue/e{n}" for n in range(SINKS_MAX))
    assert len(parse_sessions(most)) == SINKS_MAX
    assert parse_sessions(f"{most},venue/more") == ()
    strange: tuple[object, ...] = ([], "x", 5, {"sinks": ["venue/e1"]}, {"other": "venue/e1"})
    assert [row(info).sinks for info in strange] == [()] * len(strange)


def test_another_life_under_the_same_name_is_noticed() -> None:
    """Until it has been forgotten, and also where nobody can read until when."""
    assert not row({}).rival
    assert not row({}, rival_until_ms="1000").rival
    for text in ("1001", "9" * 30, "soon", "-5", "²", ""):
        assert row({}, rival_until_ms=text).rival


def test_a_row_of_monstrous_size_is_nobodys() -> None:
    """No worker writes such fields, and reading sense into them would take time that an operator does not have."""
    assert not row({}, orders="[" + "1," * 50_000 + "1]").known
    assert not row({}, scopes="a:b," * 20_000).known
    assert row({}, orders="[" * 60_000).known
