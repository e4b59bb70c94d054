"""Which role a user has, by the rights that the server tells: a role is known again, whoever its user is."""

from __future__ import annotations

import pytest

from killswitch.core.checks.rights import Grants, grants_of_user, role_that_fits
from killswitch.core.roles import ROLES


def grants(role: str, worker: str = "*", person: str = "*") -> Grants:
    """What a server tells of a user with the printed rules of `role`."""
    words = ROLES[role].rules("killswitch", worker, person=person)
    first = " ".join(word for word in words if not word.startswith("("))
    return grants_of_user([first, *(word.strip("()") for word in words if word.startswith("("))], "killswitch")


@pytest.mark.parametrize("role", ROLES)
def test_a_user_of_a_role_is_known_whoever_it_is_for(role: str) -> None:
    """A worker of one host, and an operator who is one person, have the role as any other has."""
    assert role_that_fits(grants(role), "killswitch") == role
    assert role_that_fits(grants(role, worker="web1-*", person="alice"), "killswitch") == role


def test_more_than_a_role_is_none() -> None:
    """A right of its own is told, not overlooked."""
    assert role_that_fits(grants("operator") | {frozenset({"+flushall"})}, "killswitch") == ""
