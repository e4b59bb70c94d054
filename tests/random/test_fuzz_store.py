"""Replies that no Redis would send, to everything that reads the fleet, the record and the answers of functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch import KillSwitchError, Mode, StoreRefused, StoreUnavailable
from killswitch.core.endpoint import parse_url
from killswitch.core.reasons import Code
from killswitch.store.audit import read_audit
from killswitch.store.fleet import FleetStore
from killswitch.store.keys import Keys
from killswitch.store.switch import SwitchStore
from killswitch.store.wire import connect
from tests.random.hostile import NUMBERS, TEXTS
from tests.support.library import Library
from tests.support.server import RealServer

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=8), st.text(max_size=8), TEXTS,
    NUMBERS.map(str.encode), st.sampled_from([b"epoch", b"value", b"SAFE", b"1", b"repeated", 6]),
)  # fmt: skip
REPLIES = st.recursive(
    SCALARS | st.builds(lambda: StoreRefused(Code.REDIS_REFUSED, "ERR no")),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.binary(max_size=4) | st.text(max_size=4), inner, max_size=3)
        | st.tuples(inner, inner).map(list)
    ),
    max_leaves=20,
)
KEYS = Keys("killswitch")


class Liar:
    """Answers every command with whatever comes next, TIME as a server does."""

    def __init__(self, replies: list[Any]) -> None:
        self.replies = replies
        self.asked = 0

    def call(self, *words: str | bytes | int) -> object:
        self.asked += 1
        if words[0] == "TIME":
            return [b"1700000000", b"5"]
        reply = self.replies[self.asked % len(self.replies)]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def call_many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        found: list[object] = []
        for command in commands:
            try:
                found.append(self.call(*command))
            except StoreRefused as refused:
                found.append(refused)
        return found


LIARS = st.lists(REPLIES, min_size=1, max_size=8).map(Liar)


@settings(max_examples=300)
@given(liar=LIARS)
def test_any_replies_are_a_picture_of_the_fleet_or_a_documented_error(liar: Liar) -> None:
    """P5: looking raises nothing but its own errors, and no nonsense reads as SAFE, recorded and confirmed."""
    try:
        status = FleetStore(liar, KEYS).status()
    except (StoreRefused, StoreUnavailable):
        return
    assert status.switch.mode is Mode.ENGAGED or status.switch.text in ("SAFE", "REDUCING")
    json.dumps([member.worker_id for member in status.members])


@settings(max_examples=200)
@given(liar=LIARS, count=st.integers(1, 40))
def test_any_replies_are_a_record_or_a_documented_error(liar: Liar, count: int) -> None:
    """A6: reading the record ends, with entries or with an error of its own."""
    try:
        found = read_audit(liar, KEYS, count)
    except (StoreRefused, StoreUnavailable):
        return
    assert len(found) <= count
    assert liar.asked <= count + 1


@settings(max_examples=200)
@given(liar=LIARS)
def test_any_replies_to_a_command_are_a_change_or_a_documented_error(liar: Liar) -> None:
    """P10: what an operator is told of a change was told by the server, or it is an error."""
    store = SwitchStore(liar, KEYS)
    for act in (
        lambda: store.engage(None, "why", "alice", "op", "test"),
        lambda: store.reset(None, 3, "why", "alice", 0, "op", "test"),
        lambda: store.reduce(None, "why", "alice", None, "op", "test"),
        lambda: store.initialise("alice", "op", "test"),
        lambda: store.durability(10),
    ):
        try:
            act()
        except KillSwitchError:
            pass


ROW_FIELDS = st.sampled_from(
    ["host", "pid", "scopes", "seen_epoch", "quiet_epoch", "closed", "in_flight", "orders", "info", "lease_ms",
     "beat_ms", "started_ms", "closed_ms", "mode", "code", "rung", "engine"]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
CONTENT = (
    NUMBERS.map(lambda text: text.encode(errors="replace")) | TEXTS | JSON_VALUES.map(lambda v: json.dumps(v).encode())
)


@settings(max_examples=60)
@given(rows=st.dictionaries(st.sampled_from([b"w1", b"\xff", b""]), st.dictionaries(ROW_FIELDS, CONTENT, max_size=8)))
def test_any_rows_under_a_real_server_are_shown(module_server: RealServer, rows: dict[bytes, dict[str, bytes]]) -> None:
    """P6: whatever was written into workers' rows, `status` shows the fleet, and nobody is called quiet for it."""
    wire = connect(parse_url(module_server.unix_url), 5.0)
    wire.call("FLUSHALL")
    Library(wire).engage()
    for worker, fields in rows.items():
        wire.call("ZADD", "killswitch:workers", 1, worker)
        for name, content in fields.items():
            wire.call("HSET", b"killswitch:worker:" + worker, name, content)
    status = FleetStore(wire, KEYS).status()
    assert len(status.members) == len(rows)
    wire.close()
