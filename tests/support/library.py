"""The function library as its callers see it, on any backend with a `call`: short names, parsed answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import redis.exceptions
from fakeredis import FakeRedis, FakeServer

from killswitch.core.answer import Answer, Decision, decide, parse_answer
from killswitch.core.modes import Scope
from killswitch.errors import StoreRefused
from killswitch.store.admission import AdmissionLine
from killswitch.store.functions import LIBRARY_VERSION, Caller, load_library
from killswitch.store.keys import Keys
from killswitch.store.switch import Change, SwitchStore, as_text
from killswitch.store.wire import refusal
from killswitch.testing import teach_info

_NONCE = itertools.count(1)


class FakeCaller:
    """fakeredis behind the interface of the wire, error replies classified by the same function."""

    def __init__(self, server: FakeServer | None = None) -> None:
        teach_info()
        self.client = FakeRedis(server=server or FakeServer(), protocol=3)
        self._connection = self.client.connection_pool.get_connection()

    def call(self, *args: str | bytes | int) -> object:
        """One command, its reply as the server sent it."""
        try:
            self._connection.send_command(*args)
            return self._connection.read_response()
        except redis.exceptions.ResponseError as error:
            raise refusal(_whole_text(error)) from None

    def call_many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        """One after the other; refusals as values."""
        return [answer_of(self, command) for command in commands]

    def close(self) -> None:
        self.client.close()


def answer_of(caller: FakeCaller | Scripted, command: tuple[str | bytes | int, ...]) -> object:
    """The answer to one command, a refusal as the value that it is."""
    try:
        return caller.call(*command)
    except StoreRefused as error:
        return error


def _whole_text(error: redis.exceptions.ResponseError) -> str:
    """redis-py cuts the first word of an error and keeps it as a type."""
    names = {redis.exceptions.OutOfMemoryError: "OOM ", redis.exceptions.ReadOnlyError: "READONLY "}
    return names.get(type(error), "") + str(error)


class Scripted:
    """A caller that gives these answers, in order; errors are raised."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[object, ...]] = []

    def call(self, *args: str | bytes | int) -> object:
        """Notes the command and gives the next answer."""
        self.calls.append(args)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call_many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        """One after the other; refusals as values."""
        return [answer_of(self, command) for command in commands]


class Library:
    """The functions under one prefix. `actor` is "alice", `via` "test" unless told."""

    def __init__(self, caller: Caller, prefix: str = "killswitch", *, load: bool = True) -> None:
        self.caller = caller
        self.keys = Keys(prefix)
        self.switch = SwitchStore(caller, self.keys)
        if load:
            load_library(caller)

    def raw(self, *args: str | bytes | int) -> Any:
        """Any command."""
        return self.caller.call(*args)

    def set_raw(self, text: str | bytes, scope: str | None = None, *options: str | int) -> None:
        """A raw SET, as with redis-cli."""
        self.raw("SET", self.keys.scope_state(_scope(scope)), text, *options)

    def get(self, scope: str | None = None) -> str | None:
        """What the state key holds."""
        found = self.raw("GET", self.keys.scope_state(_scope(scope)))
        return None if found is None else as_text(found)

    def engage(self, reason: str = "stop", op: str = "", scope: str | None = None) -> Change:
        return self.switch.engage(_scope(scope), reason, "alice", op, "test")

    def reduce(self, epoch: int | None = None, op: str = "", scope: str | None = None) -> Change:
        return self.switch.reduce(_scope(scope), "less", "alice", epoch, op, "test")

    def reset(self, epoch: int, op: str = "", scope: str | None = None, ttl_ms: int = 0) -> Change:
        return self.switch.reset(_scope(scope), epoch, "checked", "alice", ttl_ms, op, "test")

    def deadman(
        self, epoch: int, op: str = "desk", *, every_ms: int = 20_000, life_ms: int = 80_000, take_over: bool = False
    ) -> Change:
        return self.switch.deadman(epoch, every_ms, life_ms, "at the desk", "alice", op, "test", take_over)

    def renew(self, epoch: int, op: str = "desk", ends_ms: int | None = None) -> int:
        """Until when the permission is then, by the server's clock; without `ends_ms` asks for as long as may be."""
        return self.switch.renew(epoch, op, 2**52 if ends_ms is None else ends_ms)[0]

    def deadman_record(self) -> list[int]:
        """Epoch, end, life and interval on record."""
        return [int(word) for word in self.ledger()["deadman"].split()[:4]]

    def age_deadman(self, by_ms: int) -> None:
        """As if the clock of the server had moved on by so much since, or had been set back by a negative time."""
        epoch, ends, life, every, name, seen = self.ledger()["deadman"].split()
        words = f"{epoch} {int(ends) - by_ms} {life} {every} {name} {int(seen) - by_ms}"
        self.raw("HSET", self.keys.ledger, "deadman", words)

    def permit(self) -> int:
        """Engages, resets, and returns the epoch of the permission."""
        return self.reset(self.engage().epoch).epoch

    def read(self, *scopes: str) -> Answer:
        keys = self._state_keys(scopes)
        return parse_answer(self.raw("FCALL", "ks_read", len(keys), *keys, f"n{next(_NONCE)}"), len(keys))

    def beat(
        self,
        worker: str = "w1",
        *,
        seen: int = 0,
        closed: bool = True,
        held: int = 0,
        ttl_ms: int = 60_000,
        retain_ms: int = 60_000,
        instance: str = "life",
        nonce: int | None = None,
        scopes: Sequence[str] = (),
        **fields: str,
    ) -> Answer:
        keys = self._state_keys(scopes)
        last = {"line": fields.pop("line")} if "line" in fields else {}
        first = {"stop_epoch": fields.pop("stop_epoch")} if "stop_epoch" in fields else {}
        fields = {**first, "scopes": ",".join(scopes), **fields, **last}
        pairs = [text for pair in fields.items() for text in pair]
        number = next(_NONCE) if nonce is None else nonce
        words: list[str | int] = [number, worker, seen, int(closed), held, ttl_ms, retain_ms, instance, *pairs]
        return parse_answer(self.raw("FCALL", "ks_beat", len(keys), *keys, *words), len(keys))

    def admit(
        self,
        epoch: int,
        order_id: str = "o-1",
        *,
        scopes: Sequence[str] = (),
        reduces: bool = False,
        journal: str = "orders",
        worker: str = "w1",
        order: str = "{}",
    ) -> str:
        """Asks as a worker would; the id of the entry. Raises Blocked, OrderConflict or AdmissionUnknown."""
        line = AdmissionLine(cast(Any, self.caller), self._state_keys(scopes), journal, self.keys.journal(journal))
        return line.admit(worker, epoch, reduces, order_id, order)

    def journal(self, name: str = "orders") -> list[tuple[str, dict[str, str]]]:
        """What waits in a journal, oldest first."""
        return self._stream(self.keys.journal(name))

    def outcomes(self, name: str = "orders") -> list[dict[str, str]]:
        """What the gateways said, oldest first."""
        return [fields for _, fields in self._stream(f"{self.keys.journal(name)}:outcomes")]

    def _stream(self, key: str) -> list[tuple[str, dict[str, str]]]:
        entries = []
        for entry_id, flat in self.raw("XRANGE", key, "-", "+"):
            texts = [as_text(item) for item in flat]
            entries.append((as_text(entry_id), dict(zip(texts[::2], texts[1::2], strict=True))))
        return entries

    def leave(self, worker: str = "w1") -> int:
        return int(self.raw("FCALL", "ks_leave", 1, self.keys.state, worker))

    def verdict(self, *scopes: str, seen: int = 0, stopped: int = 0) -> Decision:
        """What a worker that follows `scopes` would make of it now, without a beat."""
        return decide(self.read(*scopes), LIBRARY_VERSION, scopes, seen, stopped)

    def ledger(self) -> dict[str, str]:
        found = self.raw("HGETALL", self.keys.ledger)
        return {as_text(name): as_text(value) for name, value in found.items()}

    def ledger_epoch(self) -> int:
        """The epoch of the switch, as it is on record."""
        return int(self.ledger()["switch:epoch"])

    def audit(self) -> list[dict[str, str]]:
        """Every entry, oldest first."""
        return [fields for _, fields in self._stream(self.keys.audit)]

    def changes(self) -> list[dict[str, str]]:
        """Every entry that is a change, oldest first."""
        return [fields for fields in self.audit() if "kind" not in fields]

    def worker(self, worker: str = "w1") -> dict[str, str]:
        found = self.raw("HGETALL", self.keys.worker(worker))
        return {as_text(name): as_text(value) for name, value in found.items()}

    def members(self) -> set[str]:
        return {as_text(name) for name in self.raw("ZRANGE", self.keys.workers, 0, -1)}

    def names(self) -> set[str]:
        """Every key under the prefix."""
        return {as_text(name) for name in self.raw("KEYS", f"{self.keys.prefix}:*")}

    def _state_keys(self, scopes: Sequence[str]) -> list[str]:
        return [self.keys.state, *(self.keys.scope_state(_scope(scope)) for scope in scopes)]


def _scope(text: str | None) -> Scope | None:
    return None if text is None else Scope.parse(text)
