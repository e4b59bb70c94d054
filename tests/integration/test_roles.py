"""The table of what each role can and can not do, tried cell by cell on both makes under the printed rules."""

from __future__ import annotations

import pytest

from killswitch.core.roles import ACTIONS, ROLES
from killswitch.store.drill import DrillStore
from tests.support.library import Library
from tests.support.role_attempts import ATTEMPTS
from tests.support.roles import Bench, bench
from tests.support.server import RealServer


@pytest.mark.parametrize("role", ROLES)
def test_role_can_do_what_the_table_says_and_nothing_else(module_server: RealServer, role: str) -> None:
    """Each cell of the table is what a real server does with the rules that `killswitch acl` prints."""
    able = set()
    for action in ACTIONS:
        with bench(module_server, role) as at:
            if ATTEMPTS[action](at):
                able.add(action)
    assert able == ROLES[role].can


def _repaired(at: Bench, key: str) -> bool:
    """Whether what lay in the way is set aside, and what took its place is of the right type."""
    kept = [name for name in at.admin.names() if name.startswith(f"{key}:damaged:")]
    types = {at.admin.raw("TYPE", name) for name in kept}
    return (len(kept), types, at.admin.raw("TYPE", key)) == (2, {b"string"}, b"stream")


@pytest.mark.parametrize(
    ("role", "action"),
    [
        *((role, "seal") for role in ("auditor", "operator", "launcher")),
        *((role, "drill") for role in ("driller", "operator", "launcher")),
    ],
)
def test_who_may_do_it_may_also_repair_what_is_in_the_way(module_server: RealServer, role: str, action: str) -> None:
    """Something else under the key, twice in a moment: it is moved aside by whoever seals or drills, and nothing is
    lost."""
    with bench(module_server, role) as at:
        key = at.keys.seals if action == "seal" else at.keys.drills
        for number in range(2):
            at.admin.raw("DEL", key)
            at.admin.raw("SET", key, "junk")
            if action == "seal":
                assert ATTEMPTS["seal"](at)
            else:
                assert DrillStore(at.user, at.keys).end(f"{number}" * 8, {"verdict": "PASSED"})[0]
        assert _repaired(at, key)


def test_operator_repairs_ledger_and_record(module_server: RealServer) -> None:
    """A stop with reason and name comes about whatever lies there, under the printed rules as well."""
    with bench(module_server, "operator") as at:
        for key in (at.keys.ledger, at.keys.audit):
            at.admin.raw("DEL", key)
            at.admin.raw("SET", key, "junk")
            assert ATTEMPTS["stop-recorded"](at)
            assert any(name.startswith(f"{key}:damaged:") for name in at.admin.names())


def test_a_worker_whose_row_was_lost_is_not_quiet_under_its_rules_either(module_server: RealServer) -> None:
    """A member without a row may have another life under its name: what a beat has to ask then, the role may ask."""
    with bench(module_server, "worker") as at:
        stop = at.admin.engage().epoch
        mine = Library(at.user, at.keys.prefix, load=False)
        at.admin.raw("ACL", "LOG", "RESET")
        mine.beat("w1", seen=stop)
        assert at.admin.worker("w1")["quiet_epoch"] == str(stop)
        at.admin.raw("DEL", at.keys.worker("w1"))
        mine.beat("w1", seen=stop)
        assert at.admin.worker("w1")["quiet_epoch"] == "0"
        assert at.admin.raw("ACL", "LOG") == [], "it asked for nothing that it may not"


def test_a_worker_that_finds_a_permission_run_out_records_it_and_asks_for_no_right(module_server: RealServer) -> None:
    """Under its rules it may not write the stop: the end is on record once, no refusal is logged, and the first who may
    writes it."""
    with bench(module_server, "worker") as at:
        epoch = at.admin.deadman(at.admin.ledger_epoch()).epoch
        at.admin.age_deadman(80_000)
        at.admin.raw("ACL", "LOG", "RESET")
        mine = Library(at.user, at.keys.prefix, load=False)
        for _ in range(3):
            mine.beat("w1", seen=epoch)
        assert [entry["via"] for entry in at.admin.audit()].count("expiry") == 1
        assert (at.admin.get(), mine.verdict().code, mine.verdict().epoch) == ("SAFE", "permission_expired", epoch + 1)
        at.admin.raw("HSET", at.keys.ledger, "run_id", "0" * 40)
        for _ in range(3):
            mine.beat("w1", seen=epoch)
        assert at.admin.raw("ACL", "LOG") == []
        at.admin.beat("w2", seen=epoch)
        assert str(at.admin.get()).startswith("ENGAGED")
