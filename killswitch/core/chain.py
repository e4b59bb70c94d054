"""Seals: a chain of hashes over the record of changes, so that what was sealed cannot be altered unnoticed.

One seal for each entry of the record: its position, a SHA-256 of what the entry holds, and a link, which is the SHA-256
of the link before it, the position, the entry's id and that content. With a key the links are HMAC-SHA256, so whoever
has not the key can not make one. The same entries give the same links, whoever seals them and when.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "HMAC",
    "NO_LINK",
    "PLAIN",
    "Chain",
    "RawEntry",
    "Seal",
    "content_of",
    "id_parts",
    "parse_seal",
    "seal_fields",
]

PLAIN, HMAC = "sha256", "hmac-sha256"
NO_LINK = ""
"""What the first link of a chain follows."""

_VERSION = b"killswitch audit 1"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_MOST_ENTRIES = 2**53 - 1


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One entry as the stream holds it: names and values in turn, unknown ones too, byte for byte."""

    entry_id: str
    words: tuple[bytes, ...]

    def fields(self) -> dict[str, str]:
        """Names and values as text; bytes that are no UTF-8 are shown as replacement characters."""
        texts = [word.decode("utf-8", "replace") for word in self.words]
        return dict(zip(texts[::2], texts[1::2], strict=False))


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal of one entry. `position` counts from 1; 0 with everything else empty: what lies there is no seal."""

    entry_id: str
    position: int
    content: str
    link: str
    algorithm: str

    @property
    def readable(self) -> bool:
        """Whether it is of the form that sealers write."""
        return self.position > 0


def id_parts(entry_id: str) -> tuple[int, int]:
    """An entry's id for comparison; (-1, -1) for what is none."""
    match = _ID.fullmatch(entry_id)
    return (int(match[1]), int(match[2])) if match else (-1, -1)


def _joined(parts: Sequence[bytes]) -> bytes:
    """Several texts as one, in a way that only they can give: each behind its length."""
    return b"".join(b"%d:%b," % (len(part), part) for part in parts)


def content_of(entry: RawEntry) -> str:
    """The SHA-256 of what an entry holds, in hexadecimal digits; its id and place are not in it."""
    return hashlib.sha256(_joined((_VERSION, *entry.words))).hexdigest()


class Chain:
    """How links are made for the record under `prefix`. `key` empty: without one."""

    def __init__(self, prefix: str, key: str = "") -> None:
        self._prefix = prefix.encode()
        self._key = key.encode()

    @property
    def algorithm(self) -> str:
        """The name of how this chain links."""
        return HMAC if self._key else PLAIN

    def can_check(self, algorithm: str) -> bool:
        """Whether links that say `algorithm` can be made here."""
        return algorithm == PLAIN or (algorithm == HMAC and bool(self._key))

    def link(self, before: str, position: int, entry_id: str, content: str, algorithm: str = "") -> str:
        """The link of an entry behind the link `before`; by default as this chain seals."""
        parts = (before.encode(), b"%d" % position, entry_id.encode(), content.encode())
        data = _joined((_VERSION, self._prefix, *parts))
        if (algorithm or self.algorithm) == HMAC:
            return hmac.new(self._key, data, hashlib.sha256).hexdigest()
        return hashlib.sha256(data).hexdigest()

    def seal(self, position: int, before: str, entry: RawEntry) -> Seal:
        """The seal of `entry` at `position`, behind the link `before`."""
        content = content_of(entry)
        link = self.link(before, position, entry.entry_id, content)
        return Seal(entry.entry_id, position, content, link, self.algorithm)


def seal_fields(seal: Seal) -> dict[str, str]:
    """A seal as the stream of seals holds it."""
    return {"n": str(seal.position), "content": seal.content, "link": seal.link, "by": seal.algorithm}


def parse_seal(entry_id: str, fields: Mapping[str, str]) -> Seal:
    """Reads a seal; total, because somebody may have written there by hand: what is no seal is not `readable`."""
    number, content, link, by = (fields.get(name, "") for name in ("n", "content", "link", "by"))
    whole = number.isascii() and number.isdigit() and len(number) < 17
    position = int(number) if whole else 0
    if not 0 < position <= _MOST_ENTRIES or by not in (PLAIN, HMAC):
        return Seal(entry_id, 0, "", "", "")
    if not _DIGEST.fullmatch(content) or not _DIGEST.fullmatch(link):
        return Seal(entry_id, 0, "", "", "")
    return Seal(entry_id, position, content, link, by)
