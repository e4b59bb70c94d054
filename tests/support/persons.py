"""Two persons at one function library: what each of them asks for, and what the first is told."""

from __future__ import annotations

import pytest

from killswitch.core.modes import Scope
from killswitch.errors import ApprovalPending
from killswitch.store.switch import Change
from tests.support.library import Library

__all__ = ["epoch_of", "pending", "permit", "rule"]


def rule(library: Library, persons: int | str, actor: str = "alice", policy: str = "halt") -> None:
    """What `killswitch init` does with KILLSWITCH_PERSONS."""
    library.switch.initialise(actor, "", "test", policy, int(persons) if persons else None)


def permit(library: Library, actor: str, epoch: int, scope: str | None = None, ttl_ms: int = 0, op: str = "") -> Change:
    """A reset by `actor`."""
    return library.switch.reset(Scope.parse(scope) if scope else None, epoch, "checked", actor, ttl_ms, op, "test")


def pending(library: Library, actor: str, epoch: int, scope: str | None = None, ttl_ms: int = 0) -> ApprovalPending:
    """One who asks for a permission and is told that another person has to."""
    before = library.get(scope)
    with pytest.raises(ApprovalPending) as caught:
        permit(library, actor, epoch, scope, ttl_ms)
    assert library.get(scope) == before
    assert caught.value.epoch == epoch
    return caught.value


def epoch_of(library: Library, scope: str = "switch") -> int:
    """The epoch on record."""
    return int(library.ledger()[f"{scope}:epoch"])
