"""Two persons, a worker and an unknown hand at one switch in any order, held against a model in Python.

The model knows who has asked for what at which epoch, and what two persons have permitted since the last stop that is
on record. Whatever else happens, a worker may not find more than that.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from killswitch.core.modes import Mode, Scope
from killswitch.errors import ApprovalPending, EpochConflict, PermissionEnded
from killswitch.store.functions import Caller
from killswitch.store.switch import Change
from tests.support.library import Library

__all__ = ["PersonsMachine"]

SCOPE = "symbol:EURUSD"
PLACES = st.sampled_from([None, SCOPE])
ACTORS = st.sampled_from(["alice", "Alice@desk", "bob", "bob@desk", "carol"])
WHAT = st.sampled_from(["SAFE", "SAFE", "SAFE for an hour", "REDUCING"])
RANK = {Mode.SAFE: 2, Mode.REDUCING: 1, Mode.ENGAGED: 0}
FAR_MS = 99999999999999
TEXTS = ["SAFE", "SAFE", "REDUCING", "ENGAGED", "ENGAGED why", "safe", f"SAFE@{FAR_MS}", f"REDUCING@{FAR_MS}"]


class PersonsMachine(RuleBasedStateMachine):
    """One example: a fresh switch that asks for two persons, then anything."""

    caller: Caller

    @initialize()
    def begin(self) -> None:
        """The rule is on record and the switch engaged."""
        self.caller.call("FLUSHALL")
        self.library = Library(self.caller)
        self.library.switch.initialise("alice", "", "test", "halt", 2)
        self.number = 0
        self.two = True
        self.asked: dict[str, tuple[int, str, str]] = {}
        self.permitted = {"switch": Mode.ENGAGED, SCOPE: Mode.SAFE}
        self.seen = {name: self._recorded(name)[0] for name in self.permitted}

    def _recorded(self, name: str) -> tuple[int, Mode]:
        """Epoch and mode on record; a scope that has neither follows the switch."""
        ledger = self.library.ledger()
        words = ledger.get(f"{name}:token", "absent")
        if words == "absent":
            mode = Mode.ENGAGED if name == "switch" else Mode.SAFE
        else:
            mode = next((one for one in (Mode.SAFE, Mode.REDUCING) if words.split("@")[0] == f"={one}"), Mode.ENGAGED)
        return int(ledger.get(f"{name}:epoch", "0")), mode

    def _second(self, name: str, epoch: int, what: str, actor: str) -> None:
        """What went through had been asked for by another person, for the same at the same epoch."""
        person = actor.lower().split("@")[0]
        asked = self.asked.get(name)
        assert not self.two or asked is not None, f"{actor} permitted {what} of {name} alone"
        if self.two and asked is not None:
            assert asked[:2] == (epoch, what), f"{asked} was asked for, {what} at {epoch} went through"
            assert asked[2] != person, f"{actor} permitted {what} of {name} twice"

    @rule(scope=PLACES, actor=ACTORS, what=WHAT, off=st.sampled_from([0, 0, 0, 0, -1, 1]))
    def permit(self, scope: str | None, actor: str, what: str, off: int) -> None:
        """Somebody resets, or reduces, at the epoch that is current or another."""
        name, where = scope or "switch", Scope.parse(scope) if scope else None
        if scope and "hour" in what:
            return
        self.number += 1
        epoch, mode = self._recorded(name)
        given, op = max(epoch + off, 0), f"o{self.number}"
        try:
            done: Change
            if what == "REDUCING":
                done = self.library.switch.reduce(where, "less", actor, given, op, "test")
            else:
                ttl_ms = 3_600_000 if "hour" in what else 0
                done = self.library.switch.reset(where, given, "checked", actor, ttl_ms, op, "test")
        except ApprovalPending:
            assert self.two
            self.asked[name] = (given, what, actor.lower().split("@")[0])
        except EpochConflict:
            pass
        else:
            tightened = what == "REDUCING" and mode is not Mode.ENGAGED
            if not tightened:
                self._second(name, given, what, actor)
                self.permitted[name] = Mode.REDUCING if what == "REDUCING" else Mode.SAFE
            self.seen[name] = done.epoch

    @rule(scope=PLACES)
    def engage(self, scope: str | None) -> None:
        """Anybody stops, alone."""
        self.number += 1
        self.library.engage(f"stop {self.number}", scope=scope)

    @rule(scope=PLACES, text=st.sampled_from(TEXTS), end=st.sampled_from([(), (), ("PX", 60_000), ("PXAT", FAR_MS)]))
    def set_by_hand(self, scope: str | None, text: str, end: tuple[str | int, ...]) -> None:
        """A SET by hand."""
        self.library.set_raw(text, scope, *end)

    @rule(scope=PLACES, command=st.sampled_from(["DEL", "PERSIST", "PEXPIRE"]))
    def touch_by_hand(self, scope: str | None, command: str) -> None:
        """The key goes, or its end does, or it gets another."""
        key = self.library.keys.scope_state(Scope.parse(scope) if scope else None)
        self.library.raw(command, key, *((120_000,) if command == "PEXPIRE" else ()))

    @rule()
    def beat(self) -> None:
        """A worker that follows the scope comes by."""
        self.library.beat(scopes=[SCOPE])

    @rule(take_over=st.booleans())
    def deadman(self, take_over: bool) -> None:
        """One person puts what is permitted under a dead man's switch."""
        self.number += 1
        try:
            self.library.deadman(self._recorded("switch")[0], f"d{self.number}", take_over=take_over)
        except (EpochConflict, PermissionEnded):
            pass

    @rule(actor=ACTORS, persons=st.sampled_from([1, 1, 2, None]))
    def init(self, actor: str, persons: int | None) -> None:
        """Somebody runs init, with a word about the rule or without one."""
        epoch = self._recorded("switch")[0]
        try:
            self.library.switch.initialise(actor, "", "test", "halt", persons)
        except ApprovalPending as waits:
            assert self.two
            self.asked["switch"] = (waits.epoch, "one person", actor.lower().split("@")[0])
            return
        if persons == 1:
            if self.two:
                self._second("switch", epoch, "one person", actor)
            self.two = False
        elif persons == 2 and not self.two:
            self.two, self.asked = True, {}
            self.permitted = {name: self._recorded(name)[1] for name in self.permitted}

    @invariant()
    def nobody_finds_more_than_two_persons_permitted(self) -> None:
        """S7: not now, and not after the beat that follows."""
        for name in self.permitted:
            epoch, mode = self._recorded(name)
            if epoch != self.seen[name] and mode is Mode.ENGAGED:
                self.permitted[name] = Mode.ENGAGED
            self.seen[name] = epoch
        if self.two:
            most = min(RANK[mode] for mode in self.permitted.values())
            assert RANK[self.library.verdict(SCOPE).mode] <= most
