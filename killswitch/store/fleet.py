"""Reading the fleet: the switch, the scopes, the ledger and every worker.

Invariant: reads only, with plain commands wherever one will do, so that looking goes on while Redis refuses writes,
lacks the library or holds nonsense (P11). It reports what it found and never what it hoped for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from killswitch.core.answer import Answer, BadAnswer, StateRow, parse_answer, read_state
from killswitch.core.approval import approved, persons_of
from killswitch.core.deadman import Deadman, parse_deadman
from killswitch.core.fleet import (
    MEMBER_FIELD_MAX,
    MEMBER_FIELDS,
    MEMBERS_MAX,
    FleetStatus,
    Member,
    SwitchState,
    parse_member,
)
from killswitch.core.modes import SWITCH, Mode
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.drill import DrillStore
from killswitch.store.functions import LIBRARY_VERSION, Caller
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text

__all__ = ["FleetStore"]

T = TypeVar("T")
_AT_ONCE = 100
_SCOPES_MAX, _SCOPE_MAX, _TEXT_MAX = 1000, 200, 256
_LEDGER_FIELDS = ("token", "epoch", "actor", "reason", "via", "at_ms")


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

    def members(self, *, wary: bool = False) -> tuple[Member, ...]:
        """Everyone in the membership, by id; where it cannot be read, one member that is not known, and where it has
        more than MEMBERS_MAX, one such for the rest. `wary` asks for sizes first and does not read a row that no worker
        writes: slower, but nobody's row takes long then."""
        now_ms = self.now_ms()
        found = self._ask("ZRANGE", self._keys.workers, 0, MEMBERS_MAX, "WITHSCORES")
        if not isinstance(found, list):
            # Something else lies where the membership was: that is not nobody, it is somebody unknown.
            return (Member("(unreadable membership)", known=False),)
        beats = self._pairs(found)
        rest: tuple[Member, ...] = ()
        if len(beats) > MEMBERS_MAX:
            rest = (Member(f"(more than {MEMBERS_MAX} members)", known=False),)
        beats = sorted(beats[:MEMBERS_MAX])
        members = []
        for start in range(0, len(beats), _AT_ONCE):
            part = beats[start : start + _AT_ONCE]
            monsters = self._monsters([name for name, _ in part]) if wary else ()
            readable = [name for name, _ in part if name not in monsters]
            rows = self._caller.call_many([("HMGET", self._keys.worker(name), *MEMBER_FIELDS) for name in readable])
            fields = {name: self._fields(MEMBER_FIELDS, row) for name, row in zip(readable, rows, strict=True)}
            members += [parse_member(name, fields.get(name, {}), _score_ms(at_ms), now_ms) for name, at_ms in part]
        return (*members, *rest)

    def _monsters(self, names: Sequence[str]) -> set[str]:
        """Those whose row has a field longer than any worker writes."""
        asked = [(name, field) for name in names for field in MEMBER_FIELDS]
        sizes = self._caller.call_many([("HSTRLEN", self._keys.worker(name), field) for name, field in asked])
        return {
            name
            for (name, _), size in zip(asked, sizes, strict=True)
            if isinstance(size, int) and size > MEMBER_FIELD_MAX
        }

    def look(self, scope: str, *, wary: bool = False) -> tuple[tuple[Member, ...], SwitchState]:
        """The members, and the switch or one scope: what a wait for the proof needs, and no more. An absent scope is
        told as such. `wary` as for `members`. Raises as `status` does."""
        members = self.members(wary=wary)
        names = (None,) if scope == SWITCH else (None, scope)
        wanted = tuple(f"{scope}:{name}" for name in _LEDGER_FIELDS)
        ledger = self._fields(wanted, self._ask("HMGET", self._keys.ledger, *wanted))
        answer, _ = self._worker_view(names)
        rows = answer.rows if answer else self._plain_rows(names[-1:], ledger)
        return members, self._state(names[-1], rows[-1], ledger)

    def status(self, *, wary: bool = False) -> FleetStatus:
        """The whole picture; `wary` as for `members`. Raises StoreUnavailable; StoreRefused only where not even plain
        reads are allowed."""
        members = self.members(wary=wary)
        ledger = self._hash(self._keys.ledger)
        scopes = {name for member in members for name in member.scopes}
        scopes -= {name for name in scopes if len(name) > _SCOPE_MAX}
        recorded = {field.removesuffix(":token") for field in ledger if field.endswith(":token")} - {SWITCH}
        # Each one is a key that Redis looks at in the same step: a row full of invented ones must not keep it busy.
        wanted = (*sorted(recorded), *sorted(scopes - recorded))
        names = (None, *sorted(wanted[:_SCOPES_MAX]))
        answer, trouble = self._worker_view(names)
        rows = answer.rows if answer else self._plain_rows(names, ledger)
        info = self._info()
        run_id, at_ms = _find(r"run_id:(\w+)", info), self.now_ms()
        states = [self._state(name, row, ledger, at_ms) for name, row in zip(names, rows, strict=True)]
        switch, deadman = self._limits(states[0], ledger.get("deadman", ""), at_ms)
        return FleetStatus(
            at_ms=at_ms,
            switch=switch,
            scopes=tuple(states[1:]),
            members=members,
            epoch=_whole(ledger.get("epoch", "")),
            confirmed=answer.confirmed if answer else run_id != "" and ledger.get("run_id") == run_id,
            run_id=run_id,
            server=_server_name(info),
            trouble=trouble,
            library=answer.version if answer else None,
            left_out=len(wanted) - len(names) + 1,
            on_failover=found if (found := ledger.get("on_failover", "")) in ("resume", "reassert") else "halt",
            deadman=deadman,
            drill=self._drills(DrillStore.running),
            last_drill=next(iter(self._drills(lambda drills: drills.history(1)) or ()), None),
            persons=persons_of(ledger),
        )

    def _drills(self, look: Callable[[DrillStore], T]) -> T | None:
        try:
            return look(DrillStore(self._caller, self._keys))
        except StoreRefused:
            return None  # a user without this right, or something else lies there: all the rest is to be seen

    def switch(self) -> tuple[SwitchState, Deadman | None, int]:
        """The switch alone with both limits of its permission, and the server's time. Raises as `status` does."""
        wanted = ("deadman", *(f"{SWITCH}:{name}" for name in _LEDGER_FIELDS))
        ledger = self._fields(wanted, self._ask("HMGET", self._keys.ledger, *wanted))
        answer, _ = self._worker_view((None,))
        row = answer.rows[0] if answer else self._plain_rows((None,), ledger)[0]
        at_ms = self.now_ms()
        return *self._limits(self._state(None, row, ledger), ledger.get("deadman", ""), at_ms), at_ms

    def _limits(self, switch: SwitchState, record: str, at_ms: int) -> tuple[SwitchState, Deadman | None]:
        """Both limits of the permission in force, each by itself: workers are told of the nearer one."""
        if switch.mode is not Mode.SAFE or not switch.recorded:
            return switch, None
        actor = "" if switch.via == "expiry" else switch.actor  # that record does not name who was to renew it
        deadman = parse_deadman(record, switch.epoch, actor, at_ms)
        if deadman is None:
            return switch, None
        pttl = self._ask("PTTL", self._keys.state)
        return replace(switch, ttl_ms=pttl if isinstance(pttl, int) and pttl >= 0 else None), deadman

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

    def _plain_rows(self, names: Sequence[str | None], ledger: dict[str, str]) -> list[StateRow]:
        """The same as plain reads tell it, for a user who may not ask as a worker, or a Redis that would refuse one.
        Never the whole of a huge value."""
        keys = [self._state_key(name) for name in names]
        commands = [
            command
            for key in keys
            for command in (("TYPE", key), ("GETRANGE", key, 0, _TEXT_MAX), ("STRLEN", key), ("PTTL", key))
        ]
        found: list[object] = []
        for start in range(0, len(commands), _AT_ONCE):
            found += map(self._plainly, self._caller.call_many(commands[start : start + _AT_ONCE]))
        return [self._plain_row(name, found[4 * index : 4 * index + 4], ledger) for index, name in enumerate(names)]

    def _plain_row(self, scope: str | None, answers: Sequence[object], ledger: dict[str, str]) -> StateRow:
        kind, text = as_text(answers[0]), as_text(answers[1])
        length = answers[2] if isinstance(answers[2], int) else 0
        limit = answers[3] if isinstance(answers[3], int) else -1
        found = {"string": "value", "none": "absent"}.get(kind, "wrong-type")
        epoch = _whole(ledger.get(f"{scope or SWITCH}:epoch", ""))
        token = ledger.get(f"{scope or SWITCH}:token", "absent")
        refused, token = token.startswith("!"), token.removeprefix("!")
        if found != "value":
            same, text, length = token == (found if found == "absent" else f"type:{kind}"), kind, len(kind)
        else:
            same = token == f"={text}" if limit < 0 else token.startswith(f"={text}@")
        return StateRow(found, text[:_TEXT_MAX], length, limit, epoch, same and not refused, same and refused)

    def _state(self, scope: str | None, row: StateRow, ledger: dict[str, str], at_ms: int = 0) -> SwitchState:
        name = scope or SWITCH
        who, what = approved(ledger, name, row.epoch, at_ms)
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
            approved_by=who,
            approved_what=what,
            unapproved=row.unapproved,
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
            return self._plainly(error)

    @staticmethod
    def _plainly(answer: object) -> object:
        if not isinstance(answer, StoreRefused):
            return answer
        if answer.code is Code.REDIS_REFUSED:
            return None
        raise answer

    def _info(self) -> str:
        try:
            return as_text(self._caller.call("INFO", "server"))
        except StoreRefused:
            return ""  # a user without this right may look at all the rest

    def _fields(self, names: Sequence[str], values: object) -> dict[str, str]:
        """The answer to HMGET: what is there of `names`. Refused or of another form it reads as nothing."""
        values = self._plainly(values)
        if not isinstance(values, list) or len(values) != len(names):
            return {}
        return {name: as_text(value) for name, value in zip(names, values, strict=True) if value is not None}

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
            if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in found):
                raise StoreUnavailable(Code.BAD_ANSWER, "a list of pairs was answered with something else")
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
