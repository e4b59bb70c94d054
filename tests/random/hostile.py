"""What may lie under a key that somebody else writes to: texts, numbers that are none, and every type there is."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["NUMBERS", "PLANTS", "TEXTS", "Command", "plant"]

Command = tuple[str | bytes | int, ...]

_CLOSE_TO_SAFE = [
    b"safe",
    b"SAFE ",
    b" SAFE",
    b"SAFE\n",
    b"SAFE\0",
    b"\xef\xbb\xbfSAFE",
    b"SAFESAFE",
    b"S",
    b"REDUCING ",
]
_OTHER_TEXTS = [
    b"",
    b"ENGAGED",
    b"ENGAGED stop",
    b"ENGAGEDx",
    b"\xff\xfe\x00",
    b"1e400",
    b"nil",
    b"SAFE\r\n+SAFE\r\n",
    b"SAFE" + b" " * 300,
    b"S" * 70_000,
]
TEXTS = st.one_of(
    st.sampled_from([b"SAFE", b"SAFE", b"REDUCING", *_CLOSE_TO_SAFE, *_OTHER_TEXTS]), st.binary(max_size=64)
)
"""Values for a state key: the two that permit, many that nearly do, and noise."""

NUMBERS = st.one_of(
    st.sampled_from(
        [
            *("0", "1", "-1", "-0", "00", "01", "7", " 7", "7 ", "+7", "7.0", "7.5", "1e3", "0x1F", "", "-", ".", "x"),
            *(
                "1e400",
                "-1e400",
                "nan",
                "-nan",
                "inf",
                "-inf",
                "NaN",
                "Infinity",
                "٣",
                "\xff",
                "9" * 30,
                "1" + "0" * 400,
            ),
            *("9007199254740990", "9007199254740991", "9007199254740992", "18446744073709551615", "4294967296"),
        ]
    ),
    st.integers(-10, 200).map(str),
    st.text(max_size=8),
)
"""Texts where a number is expected."""

PLANTS = st.sampled_from(
    ["string", "number", "empty", "list", "set", "hash", "zset", "stream", "full stream", "hyperloglog", "expiring"]
)


def plant(key: str, kind: str) -> list[Command]:
    """The commands that leave something of `kind` under `key`, in place of what was there."""
    made: dict[str, list[Command]] = {
        "string": [("SET", key, b"garbage \x00\xff")],
        "number": [("SET", key, "12")],
        "empty": [("SET", key, "")],
        "list": [("RPUSH", key, "SAFE", "x")],
        "set": [("SADD", key, "SAFE")],
        "hash": [("HSET", key, "SAFE", "1", "epoch", "x")],
        "zset": [("ZADD", key, "inf", "a", "-inf", "b", "1e300", b"\xff")],
        "stream": [("XADD", key, "*", "SAFE", "1")],
        "full stream": [("XADD", key, "18446744073709551615-18446744073709551615", "epoch", "x")],
        "hyperloglog": [("PFADD", key, "a", "b")],
        "expiring": [("SET", key, "SAFE", "PX", 1)],
    }
    return [("DEL", key), *made[kind]]
