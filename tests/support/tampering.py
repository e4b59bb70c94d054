"""What somebody with write access to Redis may do to the record: through plain commands, as an attacker would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from killswitch.core.audit import CHANGE, kind_of
from killswitch.core.chain import NO_LINK, Chain, RawEntry, seal_fields
from tests.support.server import RealServer

__all__ = ["AUDIT", "SEALS", "Tamper"]

AUDIT, SEALS = "killswitch:audit", "killswitch:seals"
Entry = tuple[str, dict[bytes, bytes]]


class Tamper:
    """A hand in the record of the switch on `server`."""

    def __init__(self, server: RealServer) -> None:
        self.client = server.client()

    def entries(self, key: str = AUDIT) -> list[Entry]:
        """What is there."""
        found = cast(list[tuple[bytes, dict[bytes, bytes]]], self.client.xrange(key))
        return [(entry_id.decode(), fields) for entry_id, fields in found]

    def write(self, entries: list[Entry], key: str = AUDIT) -> None:
        """The stream anew, with these and no trace that there were others."""
        self.client.delete(key)
        for entry_id, fields in entries:
            self.client.xadd(key, cast(Mapping[bytes, bytes], fields), id=entry_id)  # type: ignore[arg-type]

    def trim(self, key: str) -> int:
        """The front of a stream is gone; three are left. How many went."""
        return int(self.client.execute_command("XTRIM", key, "MAXLEN", 3))

    def trim_by_adding(self) -> None:
        """Nothing is left but what is added: the right to add is enough."""
        self.client.execute_command("XADD", AUDIT, "MAXLEN", 0, "*", "a", "b")

    def change(self, number: int) -> int:
        """The index of the change that is the `number`th (negative: from the end) among the entries."""
        changes = [
            index
            for index, (_, fields) in enumerate(self.entries())
            if kind_of({name.decode(): value.decode() for name, value in fields.items()}) == CHANGE
        ]
        return changes[number]

    def edit(self, number: int, **fields: str) -> str:
        """Other values in one entry; its id."""
        entries = self.entries()
        index = self.change(number)
        entries[index][1].update({name.encode(): value.encode() for name, value in fields.items()})
        self.write(entries)
        return entries[index][0]

    def swap(self, one: int, other: int) -> None:
        """Two changes trade places."""
        entries = self.entries()
        a, b = self.change(one), self.change(other)
        entries[a], entries[b] = (entries[a][0], entries[b][1]), (entries[b][0], entries[a][1])
        self.write(entries)

    def insert(self, number: int, make: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]) -> str:
        """Something made of a change, right before it; its id."""
        entries = self.entries()
        index = self.change(number)
        ms = int(entries[index][0].partition("-")[0]) - 1
        entries.insert(index, (f"{ms}-77", make(dict(entries[index][1]))))
        self.write(entries)
        return f"{ms}-77"

    def seal_all(self, key: str = "") -> None:
        """A chain over whatever is there, made anew as an honest sealer would."""
        chain, link = Chain("killswitch", key), NO_LINK
        seals: list[Entry] = []
        for position, (entry_id, fields) in enumerate(self.entries(), 1):
            words = tuple(word for pair in fields.items() for word in pair)
            seal = chain.seal(position, link, RawEntry(entry_id, words))
            link = seal.link
            seals.append((entry_id, {n.encode(): v.encode() for n, v in seal_fields(seal).items()}))
        self.write(seals, SEALS)
