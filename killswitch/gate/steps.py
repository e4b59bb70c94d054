"""How long the steps took between an announcement and the question about it, for whoever measures the line.

Invariant: it only measures. Nothing here decides about a gate, waits, or fails. The watcher's thread alone uses it. All
of it is by this worker's own clock, so only durations leave this process.
"""

from __future__ import annotations

__all__ = ["Steps"]

_NS_PER_US = 1000


class Steps:
    """The steps of one worker; times are `clock.now_ns`."""

    def __init__(self) -> None:
        self._is_new = False
        self._seen_ns = 0
        self._shut_ns = 0
        self._asked_ns = 0
        self._answer_us = 0

    def connected(self) -> None:
        """A connection begins: its first beat follows no announcement."""
        self._is_new, self._seen_ns, self._shut_ns = True, 0, 0

    def seen(self, now_ns: int) -> None:
        """An announcement was seen. Of several before one question the first counts."""
        self._seen_ns = self._seen_ns or now_ns

    def shut(self, now_ns: int) -> None:
        """The gate was closed because of it."""
        self._shut_ns = self._shut_ns or now_ns

    def asked(self, now_ns: int) -> None:
        """A question goes out."""
        self._asked_ns = now_ns

    def answered(self, now_ns: int) -> None:
        """An answer came in."""
        self._answer_us = _us(self._asked_ns, now_ns)

    def line(self, now_ns: int) -> str | None:
        """What a beat that goes out now says, `Beat.line`; said once."""
        is_new, seen_ns, shut_ns = self._is_new, self._seen_ns, self._shut_ns
        if not (is_new or seen_ns):
            return None
        self._is_new, self._seen_ns, self._shut_ns = False, 0, 0
        if not seen_ns:
            return ""
        return f"{_us(seen_ns, shut_ns or now_ns)} {_us(seen_ns, now_ns)} {self._answer_us}"


def _us(begin_ns: int, end_ns: int) -> int:
    return max(end_ns - begin_ns, 0) // _NS_PER_US
