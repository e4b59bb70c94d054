"""The function library: the rule that two persons have to permit, and what a fail-over means, on record; on every
backend."""

from __future__ import annotations

import pytest

from killswitch.errors import ApprovalPending
from tests.support.library import Library
from tests.support.persons import permit, rule


def test_the_rule_holds_at_once_and_takes_two_to_lift(library: Library) -> None:
    """S7: whoever asks for the rule gets it; nobody lifts it alone, and `init` without a word about it leaves it."""
    rule(library, 2)
    assert library.ledger()["persons"] == "2"
    assert [entry["scope"] for entry in library.changes()] == ["switch", "persons"]
    rule(library, "")
    rule(library, 2, "bob")
    assert library.ledger()["persons"] == "2"
    for actor in ("alice", "alice@x"):
        with pytest.raises(ApprovalPending):
            rule(library, 1, actor)
    library.engage("in between")
    with pytest.raises(ApprovalPending):
        rule(library, 1, "bob")
    assert library.ledger()["persons"] == "2"
    rule(library, 1, "alice")
    assert library.ledger()["persons"] == "1"
    assert permit(library, "alice", library.ledger_epoch()).state == "SAFE"


@pytest.mark.parametrize("stop", ["ENGAGED real trouble", ""])
def test_a_stop_in_between_voids_the_approval_to_lift_the_rule(library: Library, stop: str) -> None:
    """S7: also one that nobody has recorded yet."""
    rule(library, 2)
    with pytest.raises(ApprovalPending):
        rule(library, 1, "alice")
    library.set_raw(stop)
    with pytest.raises(ApprovalPending):
        rule(library, 1, "bob")
    assert library.ledger()["persons"] == "2"
    rule(library, 1, "alice")
    assert library.ledger()["persons"] == "1"


def test_an_approval_counts_once(library: Library) -> None:
    """S7: also where no epoch follows, as when the rule was lifted and put back."""
    rule(library, 2)
    with pytest.raises(ApprovalPending):
        rule(library, 1, "alice")
    rule(library, 1, "bob")
    rule(library, 2, "carol")
    with pytest.raises(ApprovalPending):
        rule(library, 1, "bob")
    assert library.ledger()["persons"] == "2"


def test_both_rules_are_loosened_by_one_approval(library: Library) -> None:
    """S7: nothing is half done, and what tightens does not wait."""
    rule(library, 2, policy="reassert")
    before = len(library.changes())
    with pytest.raises(ApprovalPending, match=r"\(on_failover resume and persons 1\)"):
        rule(library, 1, "alice", "resume")
    assert len(library.changes()) == before
    rule(library, 1, "bob", "resume")
    assert (library.ledger()["on_failover"], library.ledger()["persons"]) == ("resume", "1")
    rule(library, 2, "carol", "resume")
    with pytest.raises(ApprovalPending, match=r"\(persons 1\)"):
        rule(library, 1, "alice", "halt")
    assert library.ledger()["on_failover"] == "halt"


def test_what_a_fail_over_means_is_loosened_by_two_and_tightened_by_one(library: Library) -> None:
    """S7, P9: a policy that carries a permission over a fail-over permits, too."""
    rule(library, 2)
    with pytest.raises(ApprovalPending):
        rule(library, "", "alice", "resume")
    assert "on_failover" not in library.ledger()
    rule(library, "", "bob", "resume")
    assert library.ledger()["on_failover"] == "resume"
    rule(library, "", "carol", "halt")
    assert library.ledger()["on_failover"] == "halt"


def test_a_ledger_that_says_nonsense_asks_for_one(library: Library) -> None:
    """The rule is the text 2; a record that was lost closes the fleet by its incarnation, not by this."""
    for text in ("", "1", "3", "two", "-2", "2 "):
        library.raw("HSET", library.keys.ledger, "persons", text)
        assert permit(library, "alice", library.engage().epoch).state == "SAFE"
