"""A model of the switch in Python: what was issued, what is remembered, and a look at the server past the library."""

from __future__ import annotations

from typing import Any

from killswitch import StoreRefused
from killswitch.core.answer import Answer, parse_answer
from killswitch.core.modes import MAX_EPOCH, Mode
from killswitch.store.functions import load_library
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire

__all__ = ["KEYS", "SCOPE", "STATE", "SwitchModel", "lua_number", "mode_of", "whole"]

STATE = "killswitch:state"
SCOPE = "strategy:alpha"
KEYS = (STATE, f"{STATE}:{SCOPE}")
_LEAP = 1000  # what a new incarnation leaps over, see common.lua


def whole(text: object) -> int | None:
    """A whole number that an epoch can be, as plain as people write it; None for all else."""
    found = as_text(text) if text is not None else ""
    return int(found) if found.isascii() and found.isdigit() and len(found) < 17 and int(found) <= MAX_EPOCH else None


def lua_number(text: str) -> float | None:
    """What Lua reads where a number is expected."""
    try:
        return float(int(text, 16)) if text.strip().lower().startswith("0x") else float(text)
    except (ValueError, OverflowError):
        return None


def mode_of(text: bytes | None) -> Mode:
    """What a text under a key says, by the one rule there is."""
    return {b"SAFE": Mode.SAFE, b"REDUCING": Mode.REDUCING}.get(text or b"", Mode.ENGAGED)


class SwitchModel:
    """What the model remembers, and what is under the keys now.

    `memory` says which of the two places that remember epochs nobody has tampered with.
    """

    wire: Wire
    """Set by the test, before it runs the machine."""

    def empty(self) -> None:
        """An empty database with the library loaded."""
        self.call("FLUSHALL")
        load_library(self.wire)
        self.run_id = as_text(self.call("INFO", "server")).partition("run_id:")[2][:40]
        self.issued: set[int] = set()
        self.memory = {"ledger": False, "audit": False}
        self.stops: dict[str, str] = {}
        self.number = 0

    def call(self, *words: str | bytes | int) -> Any:
        return self.wire.call(*words)

    def try_call(self, *words: str | bytes | int) -> Any:
        try:
            return self.wire.call(*words)
        except StoreRefused:
            return None

    @staticmethod
    def fields(reply: Any) -> dict[str, str]:
        texts = [as_text(item) for item in reply]
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def read(self, *scopes: str) -> Answer:
        keys = KEYS[: 1 + len(scopes)]
        return parse_answer(self.call("FCALL", "ks_read", len(keys), *keys, "n"), len(keys))

    def row(self, key: str) -> tuple[Any, bool]:
        answer = self.read(SCOPE)
        return answer.rows[KEYS.index(key)], answer.confirmed

    def tampered(self, key: str) -> None:
        for name in self.memory:
            if key == f"killswitch:{name}":
                self.memory[name] = False

    def remembered_by(self, place: str) -> int:
        if place == "ledger":
            return whole(self.try_call("HGET", "killswitch:ledger", "epoch")) or 0
        last = self.try_call("XREVRANGE", "killswitch:audit", "+", "-", "COUNT", 1) or []
        flat = [as_text(item) for item in last[0][1]] if last else []
        return whole(dict(zip(flat[::2], flat[1::2], strict=True)).get("epoch")) or 0

    def remembered(self) -> int:
        """The highest epoch that anything still tells, tampered with or not."""
        return max(self.remembered_by("ledger"), self.remembered_by("audit"))

    def entries(self) -> list[bytes]:
        """Operation ids of every entry, of the stream and of those set aside."""
        found: list[bytes] = []
        for key in sorted(self.call("KEYS", "killswitch:audit*")):
            for _, flat in self.try_call("XRANGE", key, "-", "+") or []:
                found.append(b" ".join(flat))
        return found

    def opened(self, key: str, was: bytes | None) -> bool:
        return self.try_call("GET", key) in (b"SAFE", b"REDUCING") and was not in (b"SAFE", b"REDUCING")

    def recorded_on_the_way(self, entries: list[bytes]) -> None:
        """A refused call may still have given a change by hand its record."""
        if self.entries() != entries:
            self.issued = self.issued if any(self.memory.values()) else set()
            self.memory = {"ledger": True, "audit": True}

    def changed(self, answer: dict[str, str], before: int, entries: list[bytes], key: str) -> None:
        """P10, S6: the epoch is new and the highest, and this change has one entry."""
        epoch = int(answer["epoch"])
        assert epoch > before or epoch == MAX_EPOCH, f"epoch {epoch} is not above {before}"
        if any(self.memory.values()) and epoch < MAX_EPOCH:
            assert epoch > max(self.issued, default=0), f"epoch {epoch} was issued before: {sorted(self.issued)[-3:]}"
        scope = "switch" if key == STATE else SCOPE
        found = [entry for entry in self.entries() if entry not in entries and b"actor eve via test" in entry]
        assert len(found) == 1, f"{len(found)} entries for epoch {epoch}"
        # In a new incarnation the stop is recorded anew behind it, and the answer tells that epoch.
        own = int(found[0].split()[1])
        assert own == epoch or (epoch - own in (1, _LEAP) and answer["state"].startswith("ENGAGED"))
        assert b" scope %s " % scope.encode() in found[0]
        assert whole(self.call("HGET", "killswitch:ledger", f"{scope}:epoch")) == epoch
        self.issued = {epoch} if not any(self.memory.values()) else self.issued | {epoch}
        self.memory = {"ledger": True, "audit": True}
