"""Breaks of what a server that refuses, or that was away, may not be believed in."""

from __future__ import annotations

from tests.mutation.base import Mutant

_FULL = ("tests/integration/test_refusals.py", "-k", "lets_nobody")

MUTANTS = [
    Mutant(
        "full-server-is-no-refusal",
        "P4",
        "killswitch/store/lua/ks_read.lua",
        "  if is_full(server_ms()) then return refuse_as_full() end\n",
        "",
        _FULL,
        "at maxclients nobody can engage, and the workers that are connected trade on",
    ),
    Mutant(
        "replicas-are-no-clients",
        "P4",
        "killswitch/store/lua/room.lua",
        "clients + (told('connected_slaves') or 0) >= most",
        "clients >= most",
        _FULL,
        "the same, on a server with a replica",
    ),
    Mutant(
        "forgotten-history-is-believed",
        "P9",
        "killswitch/store/lua/incarnation.lua",
        " and settled == kept[2] then",
        " then",
        ("tests/integration/test_incarnation.py", "-k", "long_after"),
        "a stop that was lost in a fail-over is forgotten an hour after the master came back",
    ),
    Mutant(
        "recorded-though-not-written",
        "P10",
        "killswitch/store/lua/ks_reset.lua",
        "  if not may_set(keys[1], 'SAFE') then",
        "  if false then",
        ("tests/contract/test_functions_permit.py", "-k", "changes_neither"),
        "the record tells of a permission that its user could not give",
    ),
]
