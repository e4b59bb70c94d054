"""Reading the fleet: the switch, the scopes, the ledger and every worker.

Invariant: reads only, with plain commands wherever one will do, so that looking goes on while Redis refuses writes,
lacks the library or holds nonsense (P11). It reports what it found and never what it hoped for.
"""

from __future__ import annotations

import re

from killswitch.core.answer import Answer, BadAnswer, StateRow, parse_answer, read_state
from killswitch.core.fleet import FleetStatus, Member, SwitchState, parse_member
from killswitch.core.modes import SWITCH
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.functions import LIBRARY_VERSION, Caller
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text

__all__ = ["FleetStore"]


class FleetStore:
    """Looks at everything under one prefix."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller = caller
        self._keys = keys

    def now_ms(self) -> int:
        """The server's clock, milliseconds since the Unix epoch. Raises StoreUnavailable where the answer is none."""
        match self._caller.call("TIME"):
            case [bytes(seconds), bytes(micros)] if seconds.isdigit() and micros.isdigit():
                return int(seconds) * 1000 + int(micros) // 1000
        # Replies out of step, as behind a proxy that sends announcements as replies: nothing read here can be believed.
        raise StoreUnavailable(Code.BAD_ANSWER, "TIME was answered with something else")

    def members(self) -> tuple[Member, ...]:
        """Everyone in the membership, by id; where it cannot be read, one member that is not known."""
        now_ms = self.now_ms()
        found = self._ask("ZRANGE", self._keys.workers, 0, -1, "WITHSCORES")
        if not isinstance(found, list):
            # Something else lies where the membership was: that is not nobody, it is somebody unknown.
            return (Member("(unreadable membership)", known=False),)
        beats = self._pairs(found)
        return tuple(
            parse_member(worker_id, self._hash(self._keys.worker(worker_id)), _score_ms(at_ms), now_ms)
            for worker_id, at_ms in sorted(beats)
        )

    def status(self) -> FleetStatus:
        """The whole picture. Raises StoreUnavailable; StoreRefused only where not even plain reads are allowed."""
        members = self.members()
        ledger = self._hash(self._keys.ledger)
        scopes = {name for member in members for name in member.scopes}
        scopes |= {field.removesuffix(":token") for field in ledger if field.endswith(":token")} - {SWITCH}
        names = (None, *sorted(scopes))
        answer, trouble = self._worker_view(names)
        states = [
            self._state(name, answer.rows[index] if answer else self._plain_row(name, ledger), ledger)
            for index, name in enumerate(names)
        ]
        info = self._info()
        return FleetStatus(
            at_ms=self.now_ms(),
            switch=states[0],
            scopes=tuple(states[1:]),
            members=members,
            epoch=_whole(ledger.get("epoch", "")),
            confirmed=answer.confirmed if answer else False,
            run_id=_find(r"run_id:(\w+)", info),
            server=_server_name(info),
            trouble=trouble,
        )

    def _worker_view(self, names: tuple[str | None, ...]) -> tuple[Answer | None, tuple[Code, str] | None]:
        """Asks as a worker would; the refusal a worker would meet is part of the picture."""
        keys = [self._state_key(name) for name in names]
        try:
            answer = parse_answer(self._caller.call("FCALL", "ks_read", len(keys), *keys, "0"), len(keys))
        except StoreRefused as error:
            return None, (error.code, error.reason)
        except BadAnswer as error:
            return None, (Code.BAD_ANSWER, str(error))
        if answer.version != LIBRARY_VERSION:
            text = f"the library has version {answer.version}, this release needs {LIBRARY_VERSION}: `killswitch init`"
            return answer, (Code.LIBRARY_MISMATCH, text)
        return answer, None

    def _state_key(self, scope: str | None) -> str:
        return self._keys.state if scope is None else f"{self._keys.state}:{scope}"

    def _plain_row(self, scope: str | None, ledger: dict[str, str]) -> StateRow:
        key = self._state_key(scope)
        kind = as_text(self._ask("TYPE", key))
        text = as_text(self._ask("GET", key)) if kind == "string" else kind
        pttl = self._ask("PTTL", key)
        found = {"string": "value", "none": "absent"}.get(kind, "wrong-type")
        epoch = _whole(ledger.get(f"{scope or SWITCH}:epoch", ""))
        limit = pttl if isinstance(pttl, int) else -1
        token = ledger.get(f"{scope or SWITCH}:token", "absent")
        if found == "value":
            recorded = token == f"={text}" if limit < 0 else token.startswith(f"={text}@")
        else:
            recorded = token == (found if found == "absent" else f"type:{kind}")
        return StateRow(found, text, len(text.encode()), limit, epoch, recorded)

    def _state(self, scope: str | None, row: StateRow, ledger: dict[str, str]) -> SwitchState:
        name = scope or SWITCH
        mode, code, reason = read_state(row, scope)
        text = {"absent": "(absent)", "wrong-type": f"({row.text} instead of a string)"}.get(row.kind, row.text)
        return SwitchState(
            scope=name,
            mode=mode,
            code=code,
            text=text,
            reason=reason,
            epoch=row.epoch,
            recorded=row.recorded,
            ttl_ms=row.pttl_ms if row.pttl_ms >= 0 else None,
            actor=ledger.get(f"{name}:actor", ""),
            why=ledger.get(f"{name}:reason", ""),
            via=ledger.get(f"{name}:via", ""),
            at_ms=_whole(ledger.get(f"{name}:at_ms", "")),
        )

    def _ask(self, *args: str | int) -> object:
        """A plain read; refused (wrong type, no right), it reads as nothing."""
        try:
            return self._caller.call(*args)
        except StoreRefused as error:
            if error.code is Code.REDIS_REFUSED:
                return None
            raise

    def _info(self) -> str:
        try:
            return as_text(self._caller.call("INFO", "server"))
        except StoreRefused:
            return ""  # a user without this right may look at all the rest

    def _hash(self, key: str) -> dict[str, str]:
        found = self._ask("HGETALL", key)
        if isinstance(found, dict):
            return {as_text(name): as_text(value) for name, value in found.items()}
        return dict(self._pairs(found))

    @staticmethod
    def _pairs(found: object) -> list[tuple[str, str]]:
        """RESP3 gives pairs as pairs, RESP2 as a flat list."""
        if not isinstance(found, list):
            return []
        if found and isinstance(found[0], list | tuple):
            return [(as_text(pair[0]), as_text(pair[1])) for pair in found]
        return [(as_text(name), as_text(value)) for name, value in zip(found[::2], found[1::2], strict=False)]


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _score_ms(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):  # inf, by an unknown hand
        return 0


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _server_name(info: str) -> str:
    valkey = _find(r"valkey_version:(\S+)", info)
    redis = _find(r"redis_version:(\S+)", info)
    return f"Valkey {valkey}" if valkey else f"Redis {redis or 'of unknown version'}"
