"""The function library under arbitrary content and arbitrary orders of calls, held against a model in Python.

The model remembers what was issued; what is under the keys it reads anew before each call, so that nothing it expects
rests on the library's own word.
"""

from __future__ import annotations

import json

from hypothesis import assume, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from killswitch import StoreRefused, clock
from killswitch.core.answer import decide, parse_answer, read_state
from killswitch.core.modes import MAX_EPOCH, Mode
from killswitch.store.functions import LIBRARY_VERSION
from killswitch.store.switch import as_text
from tests.random.hostile import NUMBERS, PLANTS, TEXTS, plant
from tests.random.switch_model import KEYS, SCOPE, STATE, SwitchModel, lua_number, mode_of, whole

__all__ = ["SwitchMachine"]

OTHERS = ("ledger", "audit", "workers", "worker:w1", "worker:w2", "op:engage:switch:a", "op:reset:switch:a")
LEDGER_FIELDS = [f"{scope}:{name}" for scope in ("switch", SCOPE) for name in ("epoch", "token", "text")]
LEDGER_FIELDS += ["epoch", "run_id", "replid", "prune_after_ms"]
WORKER_FIELDS = ("quiet_epoch", "instance", "nonce", "closed", "in_flight", "beat_at_ms", "rival_until_ms")
OPERATIONS = st.sampled_from(["", "", "a", "b", "c", "\xff", "a:b"])


class SwitchMachine(SwitchModel, RuleBasedStateMachine):
    """One example: an empty server, then anything."""

    @initialize()
    def begin(self) -> None:
        """Every example starts on an empty database with the library loaded."""
        self.empty()

    # -- tampering -----------------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), text=TEXTS, ttl=st.sampled_from([0, 0, 0, 1, 60_000]))
    def set_state(self, key: str, text: bytes, ttl: int) -> None:
        """A SET by hand, perhaps with an end."""
        self.call("SET", key, text, *(("PX", ttl) if ttl else ()))
        if ttl == 1:
            clock.sleep(0.002)

    @rule(key=st.sampled_from([*KEYS, *(f"killswitch:{name}" for name in OTHERS)]), kind=PLANTS)
    def plant_something(self, key: str, kind: str) -> None:
        """Anything, of any type, where the library expects its own."""
        for command in plant(key, kind):
            self.call(*command)
        if kind == "expiring":
            clock.sleep(0.002)
        self.tampered(key)

    @rule(key=st.sampled_from([*KEYS, *(f"killswitch:{name}" for name in OTHERS)]))
    def delete(self, key: str) -> None:
        """A key is gone."""
        self.call("DEL", key)
        self.tampered(key)

    @rule(field=st.sampled_from(LEDGER_FIELDS), value=NUMBERS | TEXTS)
    def write_ledger(self, field: str, value: str | bytes) -> None:
        """A field of the ledger by hand."""
        if self.try_call("HSET", "killswitch:ledger", field, value) is not None:
            self.tampered("killswitch:ledger")

    @rule(worker=st.sampled_from(["w1", "w2"]), field=st.sampled_from(WORKER_FIELDS), value=NUMBERS | TEXTS)
    def write_worker(self, worker: str, field: str, value: str | bytes) -> None:
        """A field of a worker's row by hand; its word counts as nobody's then."""
        self.try_call("HSET", f"killswitch:worker:{worker}", field, value)

    @rule(epoch=NUMBERS, last=st.booleans())
    def write_audit(self, epoch: str, last: bool) -> None:
        """An entry of the audit stream by hand, also one behind which there is no room for another."""
        entry = "18446744073709551615-18446744073709551615" if last else "*"
        if self.try_call("XADD", "killswitch:audit", entry, "epoch", epoch, "op", "z") is not None:
            self.tampered("killswitch:audit")

    @rule(kept=st.one_of(st.text(max_size=20), st.recursive(NUMBERS, st.lists, max_leaves=14).map(json.dumps)))
    def write_receipt(self, kept: str) -> None:
        """A receipt that says anything."""
        for verb in ("engage", "reset", "reduce"):
            self.call("SET", f"killswitch:op:{verb}:switch:a", kept)

    @rule()
    def flush(self) -> None:
        """Everything is gone; functions stay."""
        self.call("FLUSHALL")
        self.memory = {"ledger": False, "audit": False}

    # -- calls ---------------------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), op=OPERATIONS, reason=st.text(max_size=20) | st.just("R" * 400))
    def engage(self, key: str, op: str, reason: str) -> None:
        """S6, S13, P8, P10: it works on any content, and leaves a stop, a new epoch and one entry."""
        self.number += 1
        before, entries = self.remembered(), self.entries()
        answer = self.fields(self.call("FCALL", "ks_engage", 1, key, f"{self.number} {reason}", "eve", op, "test"))
        assert as_text(self.call("TYPE", key)) == "string"
        text = self.call("GET", key)
        assert isinstance(text, bytes)
        assert text.startswith(b"ENGAGED ")
        assert len(text) <= 256
        assert self.call("PTTL", key) == -1
        assert answer["repeated"] == "0"
        self.changed(answer, before, entries, key)
        self.stops[key] = op

    @rule(key=st.sampled_from(KEYS), op=st.sampled_from(["a", "b"]))
    def engage_twice(self, key: str, op: str) -> None:
        """A1: the same operation repeated changes nothing and is answered the same."""
        self.number += 1
        words = ("FCALL", "ks_engage", 1, key, f"{self.number} twice", "eve", f"{op}{self.number}", "test")
        before, entries = self.remembered(), self.entries()
        first = self.fields(self.call(*words))
        self.changed(first, before, entries, key)
        held, entries = self.call("GET", key), self.entries()
        again = self.fields(self.call(*words))
        assert again == {**first, "repeated": "1"}
        assert (held, entries) == (self.call("GET", key), self.entries())

    @rule(
        key=st.sampled_from(KEYS),
        op=OPERATIONS,
        looked=st.sampled_from(["now", "now", "before", "before", "above"]) | NUMBERS,
        ttl=st.sampled_from(["0", "0", "", "5000"]) | NUMBERS,
    )
    def reset(self, key: str, op: str, looked: str, ttl: str) -> None:
        """P8: it takes effect on nothing but the very epoch in force, which was recorded and confirmed here."""
        before, entries, row, confirmed = self.remembered(), self.entries(), *self.row(key)
        epoch = {"now": row.epoch, "before": row.epoch - 1, "above": row.epoch + 1}.get(looked)
        given = looked if epoch is None else str(epoch)
        assume(not 0 < (lua_number(ttl) or 0) < 2000)  # or it is over before it was looked at
        self.number += 1
        op = f"{op}{self.number}" if op else ""
        was = self.call("GET", key) if row.kind == "value" else None
        try:
            answer = self.fields(self.call("FCALL", "ks_reset", 1, key, given, "why", "eve", ttl, op, "test"))
        except StoreRefused as refused:
            note(f"refused: {refused}")
            assert not self.opened(key, was), "a refused reset opened"
            self.recorded_on_the_way(entries)
            return
        assert row.recorded, "a reset undid a change that had no epoch yet"
        assert lua_number(given) == row.epoch, "a reset took another epoch than the one in force"
        assert confirmed or mode_of(was) is Mode.ENGAGED, "a permission of another incarnation was renewed"
        assert self.call("GET", key) == b"SAFE"
        limit = lua_number(ttl) or 0
        assert ttl in ("", "0") or limit == 0 or 0 < self.call("PTTL", key) <= limit, "a limit that was given is none"
        self.changed(answer, before, entries, key)

    @rule(key=st.sampled_from(KEYS), looked=st.sampled_from(["", "now", "above"]))
    def reduce(self, key: str, looked: str) -> None:
        """From a stop it loosens, so it needs the epoch; from SAFE it tightens and needs none."""
        before, entries, row, confirmed = self.remembered(), self.entries(), *self.row(key)
        given = {"": "", "now": str(row.epoch), "above": str(row.epoch + 1)}[looked]
        was = self.call("GET", key) if row.kind == "value" else None
        stopped = mode_of(was) is Mode.ENGAGED and not (key != STATE and row.kind == "absent")
        try:
            answer = self.fields(self.call("FCALL", "ks_reduce", 1, key, "why", "eve", given, "", "test"))
        except StoreRefused:
            assert stopped or not confirmed, "tightening was refused"
            assert not self.opened(key, was)
            self.recorded_on_the_way(entries)
            return
        assert not stopped or (row.recorded and looked == "now"), "a stop was loosened unseen"
        assert self.call("GET", key) == b"REDUCING"
        self.changed(answer, before, entries, key)

    @rule(
        worker=st.sampled_from(["w1", "w2", b"\xff w"]),
        nonce=st.integers(1, 50).map(str) | NUMBERS,
        seen=NUMBERS,
        closed=st.sampled_from(["1", "1", "0", "", "2", "01", "x"]),
        held=st.sampled_from(["0", "0", "1", "-0", "00", "", "x", "0.0", "1e400"]),
        instance=st.sampled_from(["i", "j"]),
    )
    def beat(self, worker: str | bytes, nonce: str, seen: str, closed: str, held: str, instance: str) -> None:
        """P6, S8: quiet is only who said closed and empty while a stop stood; and it always gets an answer."""
        name = worker if isinstance(worker, bytes) else worker.encode()
        hash_key = b"killswitch:worker:" + name
        self.try_call("HDEL", hash_key, "quiet_epoch")  # only this beat's own word counts
        words = (nonce, name, seen, closed, held, "60000", "60000", instance, "host", "h")
        answer = parse_answer(self.call("FCALL", "ks_beat", 2, *KEYS, *words), 2)
        if self.remembered_by("ledger") >= max(self.issued, default=0):
            self.memory["ledger"] = True
        if (raised := whole(seen)) is not None:
            assert answer.counter >= raised or raised == MAX_EPOCH
        quiet = whole(self.try_call("HGET", hash_key, "quiet_epoch")) or 0
        if quiet:
            readings = [read_state(row, scope)[0] for row, scope in zip(answer.rows, (None, SCOPE), strict=True)]
            assert (closed, held) == ("1", "0"), "quiet although open, or with an order in flight"
            assert Mode.ENGAGED in readings, "quiet although trading is permitted"
            assert answer.confirmed
            assert quiet == max(row.epoch for row in answer.rows)

    @rule(worker=st.sampled_from(["w1", "w2", "nobody"]), instance=st.sampled_from(["", "i", "other"]))
    def leave(self, worker: str, instance: str) -> None:
        """Taking oneself off works on any content."""
        self.call("FCALL", "ks_leave", 1, STATE, worker, *((instance,) if instance else ()))

    # -- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def nothing_but_the_exact_text_opens(self) -> None:
        """P5, S4, S14: open means exact SAFE or REDUCING under the switch, recorded, under this very server."""
        if not hasattr(self, "run_id"):
            return
        for scopes in ((), (SCOPE,)):
            answer = self.read(*scopes)
            decision = decide(answer, LIBRARY_VERSION, scopes, 0, 0)
            if decision.mode is Mode.ENGAGED:
                continue
            held = [self.call("GET", key) for key in KEYS[: 1 + len(scopes)]]
            assert held[0] in (b"SAFE", b"REDUCING")
            assert all(text in (b"SAFE", b"REDUCING", None) for text in held[1:])
            assert decision.mode is not Mode.SAFE or b"REDUCING" not in held
            assert as_text(self.call("HGET", "killswitch:ledger", "run_id")) == self.run_id
