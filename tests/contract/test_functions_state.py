"""The function library under arbitrary content of every key: engaging works, epochs rise, nothing but SAFE permits.

A model of a few lines runs beside a real server. It knows what the operators did and what a worker may believe; it does
not know how the functions keep their record.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from killswitch.core.endpoint import parse_url
from killswitch.core.modes import Mode
from killswitch.errors import EpochConflict, StoreRefused
from killswitch.store.wire import connect
from tests.support.library import Library
from tests.support.server import RealServer

SCOPES = st.sampled_from([None, "a:1"])
TEXTS = st.sampled_from(
    [b"SAFE", b"REDUCING", b"ENGAGED by hand", b"ENGAGED", b"safe", b"SAFE\n", b"", b"\xff\x00", b"x" * 900]
)
NUMBERS = st.sampled_from(
    ["1e400", str(2**63), str(2**53), "-1", "nan", "-nan", "inf", "0x10", "1.5", "", " 7 ", "junk", "9" * 300, "-0"]
)
FIELDS = st.sampled_from(
    [
        "epoch",
        "run_id",
        "replid",
        "switch:epoch",
        "switch:token",
        "switch:text",
        "a:1:epoch",
        "a:1:token",
        "prune_after_ms",
    ]
)
KINDS = st.sampled_from(["string", "list", "hash", "set", "zset", "stream"])
KEYS = st.sampled_from(
    ["state", "state:a:1", "ledger", "audit", "workers", "worker:w1", "op:engage:switch:o1", "op:reset:switch:o1"]
)
OPERATIONS = st.sampled_from(["", "o1", "o2"])


class LibraryMachine(RuleBasedStateMachine):
    """One switch, one scope, one worker, and people with redis-cli."""

    library: Library

    def __init__(self) -> None:
        super().__init__()
        self.library.raw("FLUSHALL")
        self.last = 0
        self.lost: set[str] = set()
        self.seen = 0
        self.stopped = 0

    # -- people with the commands -----------------------------------------------------------------------------------

    @rule(scope=SCOPES, op=OPERATIONS)
    def engage(self, scope: str | None, op: str) -> None:
        change = self.library.engage(op=op, scope=scope)
        if change.repeated:
            return
        assert self.library.get(scope) == "ENGAGED stop", "engaging must engage"
        self._risen(change.epoch)

    @rule(scope=SCOPES, offset=st.integers(-1, 1), op=OPERATIONS, ttl_ms=st.sampled_from([0, 0, 50_000]))
    def reset(self, scope: str | None, offset: int, op: str, ttl_ms: int) -> None:
        row = self.library.read("a:1").rows[0 if scope is None else 1]
        before = self.library.get(scope) if row.kind == "value" else None
        try:
            change = self.library.reset(row.epoch + offset, op=op, scope=scope, ttl_ms=0 if scope else ttl_ms)
        except EpochConflict:
            after = self.library.read("a:1").rows[0 if scope is None else 1]
            assert after.text != "SAFE" or before == "SAFE", "a refused reset permitted"
            return
        except StoreRefused:
            return
        if change.repeated:
            return
        assert change.state.startswith("SAFE")
        self._risen(change.epoch)

    @rule(scope=SCOPES, epoch=st.one_of(st.none(), st.integers(0, 40)), op=OPERATIONS)
    def reduce(self, scope: str | None, epoch: int | None, op: str) -> None:
        row = self.library.read("a:1").rows[0 if scope is None else 1]
        try:
            change = self.library.reduce(epoch, op=op, scope=scope)
        except (EpochConflict, StoreRefused):
            return
        if change.repeated:
            return
        engaged = self._stopped(row.text, row.kind, scope is None)
        assert not engaged or epoch is not None, "loosened without naming an epoch"
        self._risen(change.epoch)

    # -- people with redis-cli --------------------------------------------------------------------------------------

    @rule(scope=SCOPES, text=TEXTS, ttl_ms=st.sampled_from([0, 0, 40_000]))
    def set_by_hand(self, scope: str | None, text: bytes, ttl_ms: int) -> None:
        self.library.set_raw(text, scope, *(("PX", ttl_ms) if ttl_ms else ()))

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.library.raw("DEL", f"killswitch:{key}")
        self.lost |= {key}

    @rule(key=KEYS, kind=KINDS, text=st.one_of(NUMBERS, st.sampled_from(['["version",1]', "{}", "[1]", '[1,2,"x"]'])))
    def put_another_type(self, key: str, kind: str, text: str) -> None:
        name = f"killswitch:{key}"
        self.library.raw("DEL", name)
        self.lost |= {key}
        words: dict[str, tuple[str, ...]] = {
            "string": ("SET", name, text), "list": ("RPUSH", name, text), "hash": ("HSET", name, "epoch", text),
            "set": ("SADD", name, text), "zset": ("ZADD", name, "1", text),
            "stream": ("XADD", name, "*", "epoch", text),
        }  # fmt: skip
        self.library.raw(*words[kind])

    @rule(field=FIELDS, text=NUMBERS)
    def spoil_the_ledger(self, field: str, text: str) -> None:
        if self.library.raw("TYPE", "killswitch:ledger") in (b"hash", b"none"):
            self.library.raw("HSET", "killswitch:ledger", field, text)
            self.lost |= {"ledger"}

    @rule(text=NUMBERS, end=st.booleans())
    def spoil_the_audit(self, text: str, end: bool) -> None:
        name = "18446744073709551615-18446744073709551615" if end else "*"
        try:
            self.library.raw("XADD", "killswitch:audit", name, "epoch", text)
            self.lost |= {"audit"}
        except StoreRefused:
            pass

    @rule(score=st.sampled_from(["inf", "-inf", "1e300", "0", "-5"]), worker=st.sampled_from(["w1", "stranger", ""]))
    def spoil_the_membership(self, score: str, worker: str) -> None:
        try:
            self.library.raw("ZADD", "killswitch:workers", score, worker)
        except StoreRefused:
            pass

    # -- a worker ---------------------------------------------------------------------------------------------------

    @rule(closed=st.booleans(), held=st.integers(0, 1), retain_ms=st.sampled_from([1000, 60_000]))
    def beat(self, closed: bool, held: int, retain_ms: int) -> None:
        # No lease and no time between beats: a row that was lost is nothing to wait for.
        answer = self.library.beat(
            seen=self.seen,
            closed=closed,
            held=held,
            scopes=["a:1"],
            retain_ms=retain_ms,
            lease_ms="0",
            beat_ms="0",
        )
        assert "w1" in self.library.members()
        assert answer.confirmed
        assert all(row.recorded for row in answer.rows), "a beat leaves nothing unrecorded"
        quiet = int(self.library.worker()["quiet_epoch"])
        stopped = any(self._stopped(row.text, row.kind, index == 0) for index, row in enumerate(answer.rows))
        epoch = max(row.epoch for row in answer.rows)
        assert quiet == (epoch if closed and not held and stopped else 0)
        self.seen = max(self.seen, epoch)
        if stopped:
            self.stopped = max(self.stopped, epoch)

    @rule()
    def worker_leaves(self) -> None:
        self.library.leave()
        assert self.library.worker() == {}

    # -- what always holds ------------------------------------------------------------------------------------------

    @staticmethod
    def _stopped(text: str, kind: str, is_switch: bool) -> bool:
        if kind == "absent":
            return is_switch
        return kind != "value" or text not in ("SAFE", "REDUCING")

    def _risen(self, epoch: int) -> None:
        # One memory of two has to do: ledger or audit. With both of them spoilt nothing can, and counting starts anew.
        assert epoch > 0
        assert epoch > self.last or {"ledger", "audit"} <= self.lost, "an epoch was used twice"
        self.last = epoch
        self.lost.clear()

    @invariant()
    def reading_works_and_only_the_exact_text_permits(self) -> None:
        verdict = self.library.verdict("a:1", seen=self.seen, stopped=self.stopped)
        if verdict.mode is Mode.ENGAGED:
            return
        assert self.library.get() in ("SAFE", "REDUCING")
        assert self.library.raw("TYPE", "killswitch:state:a:1") in (b"none", b"string")
        assert verdict.epoch > self.stopped

    def teardown(self) -> None:
        """However it ended: engaging is on record, and the operator who looked can permit again."""
        change = self.library.engage()
        assert self.library.get() == "ENGAGED stop"
        if 0 < change.epoch < 2**53 - 10:
            self.library.raw("DEL", "killswitch:state:a:1")
            self.library.beat(seen=self.seen, scopes=["a:1"])
            epoch = self.library.reset(self.library.read().rows[0].epoch).epoch
            verdict = self.library.verdict("a:1", seen=self.seen, stopped=self.stopped)
            assert verdict.mode is Mode.SAFE or verdict.epoch < max(self.seen, self.stopped + 1), (epoch, verdict)


@pytest.mark.timeout(120)
def test_any_content_of_any_key_leaves_the_switch_working(module_server: RealServer) -> None:
    """Engage works, epochs rise, a refused reset permits nothing, a beat records all: after any history."""
    wire = connect(parse_url(module_server.unix_url), 5.0)
    LibraryMachine.library = Library(wire)
    examples = int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))
    try:
        run_state_machine_as_test(LibraryMachine, settings=settings(max_examples=examples, stateful_step_count=25))
    finally:
        wire.close()
