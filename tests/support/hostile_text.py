"""Texts that were made to break a terminal, a log or a table, and what is left of them where that did not work."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

__all__ = ["CORPUS", "HOSTILE", "HUGE", "faults", "raw"]

CORPUS = (
    "\x1b[2J\x1b[H\x1b[31mQUIET",  # clears the screen, and says what one would like to hear
    "\x1b]52;c;cm0gLXJmIH4=\x07",  # writes into the clipboard
    "\x1b]0;title\x07\x1b[6n\x1b[c",  # answers into the shell
    "\x9b31mred\x9c\x90q\x9c",  # the same in the second range of control characters
    "a\r\x1b[Kall is well",
    'fat finger\n{"level": "info", "event": "quiet"}\n',
    "x\x0bx\x0cx\x85x\u2028x\u2029x",  # every other end of a line
    "\u202eDEGAGNE\u202c \u2066x\u2069",  # turned round
    "zero\u200bwidth\u200d\ufeff\u00ad\u2060",
    "e" + "\u0301\u0335\u20dd" * 60,  # marks piled up
    "\u1112\u1161\u11ab\u3164\uffa0 \U0001f469\u200d\U0001f680\ufe0f",
    "\x00\x01\x7f",
    "quotes ' \" ` $(reboot) \\ ; | & %s {0} %n",
    "=cmd|' /C calc'!A0",
    "\udc9b\ud800lone",
    "\U000e0041\U000e007f\ufff9\U0001d173",
    "t\tabs\x08\x08\x08back",
    "wide 全角全角全角" * 30,
    " " * 300,
)
"""One of each kind."""

HUGE = ("x" * 3_000_000, "\x1b" * 1_000_000, "\u202e" * 300_000)

HOSTILE = st.sampled_from(CORPUS) | st.text(max_size=80) | st.lists(st.sampled_from(CORPUS), max_size=4).map("".join)
"""Any of them, anything else, and mixtures."""


def raw(text: str) -> bytes:
    """The text as somebody writes it into Redis: also what is no UTF-8."""
    return text.encode("utf-8", "surrogateescape" if "\ud800" not in text else "surrogatepass")


def faults(shown: str) -> list[str]:
    """What in `shown` does more than stand there: anything but printable characters and the ends of our own lines."""
    return [
        f"U+{ord(char):04X} {unicodedata.name(char, '?')} in {line[:60]!r}"
        for line in shown.split("\n")
        for char in line
        if not char.isprintable() or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]
