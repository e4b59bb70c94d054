"""The table of what each role can and can not do, tried cell by cell on both makes under the printed rules."""

from __future__ import annotations

import pytest

from killswitch.core.roles import ACTIONS, ROLES
from tests.support.role_attempts import ATTEMPTS
from tests.support.roles import bench
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
