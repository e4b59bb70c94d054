"""The seals of the record: reading them, and adding the next ones.

Invariant: a seal is added only behind the one that the sealer has read, in one step with the look at it, so there is
one chain whoever seals at the same time, and a sealer that dies leaves a shorter chain, never a broken one. Seals are
made after the change, from the entry as it lies in Redis; nothing waits for them, and who cannot seal has lost nothing:
the next one makes the very same seals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from killswitch.core.chain import HMAC, NO_LINK, Chain, RawEntry, Seal, id_parts, parse_seal
from killswitch.core.reasons import Code
from killswitch.errors import LibraryMissing, StoreRefused, StoreUnavailable
from killswitch.store.functions import LIBRARY_VERSION, Caller
from killswitch.store.keys import Keys
from killswitch.store.portions import Portions, raw_entry
from killswitch.store.switch import as_text

__all__ = ["Sealing", "last_seal", "make_seal", "removed_entries", "seal_record"]

_AT_ONCE = 100
_MOST_RACES = 100


@dataclass(frozen=True, slots=True)
class Sealing:
    """What one call sealed: `sealed` entries, after which the chain has `position` seals, the last of them `link`, of
    the entry `entry_id`. `obstacle`: why it could not go on though there is more to seal; empty where it could."""

    sealed: int
    position: int
    link: str
    entry_id: str
    algorithm: str
    obstacle: str


def make_seal(entry: RawEntry) -> Seal:
    """The seal that an entry of the stream of seals is."""
    return parse_seal(entry.entry_id, entry.fields())


def _newest(caller: Caller, key: str) -> RawEntry | None:
    found = caller.call("XREVRANGE", key, "+", "-", "COUNT", 1)
    return raw_entry(found[0]) if isinstance(found, list) and found else None


def last_seal(caller: Caller, keys: Keys) -> Seal | None:
    """The head of the chain; None where nothing is sealed. Raises StoreUnavailable, StoreRefused."""
    try:
        found = _newest(caller, keys.seals)
    except StoreRefused as error:
        if "WRONGTYPE" not in error.reason:
            raise
        return None  # the next sealing moves it aside
    return None if found is None else make_seal(found)


def removed_entries(caller: Caller, key: str) -> int:
    """How many more entries the stream under `key` says it has held than are there now; 0 where it does not say. Raises
    StoreUnavailable."""
    try:
        found = caller.call("XINFO", "STREAM", key)
    except StoreRefused:  # no stream, or no right to ask
        return 0
    told = {as_text(name): value for name, value in found.items()} if isinstance(found, dict) else {}
    added, length = told.get("entries-added"), told.get("length")
    return max(added - length, 0) if isinstance(added, int) and isinstance(length, int) else 0


def seal_record(
    caller: Caller, keys: Keys, chain: Chain, limit: int, seen: Callable[[int], None] | None = None
) -> Sealing:
    """Seals what nobody has sealed yet, at most `limit` entries and oldest first; `seen` hears how many so far.

    Raises:
        StoreRefused: Redis refuses (LibraryMissing: no library, or one that cannot seal).
        StoreUnavailable: no answer. What was sealed before is sealed.
    """
    sealed = races = 0
    head = last_seal(caller, keys)
    while True:
        obstacle = _obstacle(head, chain) if races < _MOST_RACES else "somebody else changes the seals all the time"
        entries = [] if obstacle else _following(caller, keys, head, min(_AT_ONCE, limit - sealed))
        if not entries:
            obstacle = obstacle or ("" if sealed >= limit else _below(caller, keys, head))
            place = (head.position, head.link, head.entry_id, head.algorithm) if head else (0, NO_LINK, "", "")
            return Sealing(sealed, *place, obstacle)
        appended, head = _append(caller, keys, chain, head, entries)
        sealed += len(entries) if appended else 0
        races += not appended
        if seen is not None:
            seen(sealed)


def _obstacle(head: Seal | None, chain: Chain) -> str:
    if head is None:
        return ""
    if not head.readable:
        return f"what lies last among the seals ({head.entry_id}) is none"
    if head.algorithm == HMAC and chain.algorithm != HMAC:
        return "the chain is sealed with a key, and KILLSWITCH_AUDIT_KEY is not set here"
    return ""


def _below(caller: Caller, keys: Keys, head: Seal | None) -> str:
    """Nothing follows the head. That is the end of the record, unless the whole record lies before it."""
    newest = _newest(caller, keys.audit) if head is not None else None
    if head is None or newest is None or id_parts(newest.entry_id) >= id_parts(head.entry_id):
        return ""
    return (
        f"the newest entry ({newest.entry_id}) is older than the last sealed one ({head.entry_id}): "
        "the record was lost or replaced"
    )


def _following(caller: Caller, keys: Keys, head: Seal | None, count: int) -> list[RawEntry]:
    if count < 1:
        return []
    portion = Portions(caller, keys.audit, lambda entry: entry, "-" if head is None else f"({head.entry_id}")
    entries: list[RawEntry] = []
    while len(entries) < count and (entry := portion.peek()) is not None:
        entries.append(entry)
        portion.take()
    return entries


def _append(
    caller: Caller, keys: Keys, chain: Chain, head: Seal | None, entries: list[RawEntry]
) -> tuple[bool, Seal | None]:
    """Adds the seals of `entries` behind `head`; whether it was still the last, and what is the last one now."""
    position, link = (head.position, head.link) if head else (0, NO_LINK)
    words: list[str | bytes | int] = [head.entry_id if head else "", link, chain.algorithm]
    for number, entry in enumerate(entries, position + 1):
        seal = chain.seal(number, link, entry)
        words += [seal.entry_id, seal.content, seal.link]
        link = seal.link
    answer = caller.call("FCALL", "ks_seal", 1, keys.state, *words)
    match answer:
        case [int(version), int(appended), int(at), bytes(entry_id), bytes(found), bytes(algorithm)]:
            if version != LIBRARY_VERSION:
                text = f"the function library has version {version}, this release needs {LIBRARY_VERSION}"
                raise LibraryMissing(Code.LIBRARY_MISMATCH, f"{text}: run `killswitch init`")
            if not at:
                return False, None
            last = Seal(as_text(entry_id), at, "", as_text(found), as_text(algorithm))
            return bool(appended), last
    raise StoreUnavailable(Code.BAD_ANSWER, "sealing was answered with something else")
