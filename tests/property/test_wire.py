"""Arbitrary bytes on the wire: a value, a refusal or a broken wire; never anything else, and never a hang."""

from __future__ import annotations

import itertools
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch.clock import now_ns
from killswitch.core.answer import BadAnswer, decide
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import KillSwitchError, StoreRefused, StoreUnavailable
from killswitch.store.line import QuestionLine
from killswitch.store.wire import Wire, refusal

FRAGMENTS = st.sampled_from(
    [b"*", b"$", b"+", b"-", b":", b">", b"%", b"~", b"#t", b",1.5", b"(99", b"_", b"=8\r\ntxt:SAFE", b"!", b"|1",
     b"\r\n", b"\r\n", b"\r\n", b"0", b"1", b"2", b"6", b"-1", b"4\r\nSAFE\r\n", b"5\r\nvalue\r\n", b"1\r\n", b"2\r\n",
     b"OK", b"invalidate", b"inf", b"nan", b"\x00", b"\xff"]
)  # fmt: skip
STREAMS = st.one_of(st.binary(max_size=60), st.lists(FRAGMENTS, max_size=25).map(b"".join))
ROW = b"*6\r\n$5\r\nvalue\r\n$4\r\nSAFE\r\n:4\r\n:-1\r\n$1\r\n3\r\n:1\r\n"
GOOD = b"*6\r\n:1\r\n$1\r\n7\r\n$2\r\nr1\r\n:1\r\n$1\r\n3\r\n*1\r\n" + ROW


def made() -> tuple[Wire, socket.socket]:
    """A wire and the other end of it."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0.2)
    return Wire(ours, "Redis at test", 0.2), theirs


@settings(max_examples=300)
@given(stream=STREAMS, cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_bytes_end_in_values_or_in_a_broken_wire(stream: bytes, cuts: list[int]) -> None:
    """Whatever arrives in whatever pieces, only StoreUnavailable is raised and nothing hangs."""
    wire, peer = made()
    code: Code | None = None
    try:
        places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        for start, end in itertools.pairwise(places):
            peer.sendall(stream[start:end])
            found = wire.receive()
            assert all(not isinstance(item, Exception) or isinstance(item, StoreRefused) for item in found)
        peer.close()
        wire.next_answer()
    except StoreUnavailable as error:
        code = error.code
    assert code in (None, Code.BAD_ANSWER, Code.DISCONNECTED)
    assert code is None or wire.fileno() == -1
    wire.close()
    peer.close()


@settings(max_examples=300)
@given(stream=STREAMS)
def test_any_bytes_on_the_ask_connection_never_read_as_a_permission(stream: bytes) -> None:
    """An answer has the agreed form or is a BadAnswer; noise does not become SAFE."""
    wire, peer = made()
    line = QuestionLine(wire, ("killswitch:state",))
    start = now_ns()
    try:
        peer.sendall(stream)
        for item in line.answers():
            assert isinstance(item, StoreRefused), "noise was read as an answer"
    except (StoreUnavailable, BadAnswer):
        pass
    finally:
        line.close()
        peer.close()
    assert now_ns() - start < 5_000_000_000


@settings(max_examples=200)
@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), keep=st.booleans())
def test_one_damaged_byte_in_a_good_answer_opens_nothing_new(place: int, byte: int, keep: bool) -> None:
    """A flipped or lost byte makes the answer bad, or leaves it one whose state is SAFE to the letter."""
    damaged = GOOD[:place] + (bytes([byte]) if keep else b"") + GOOD[place + 1 :]
    wire, peer = made()
    line = QuestionLine(wire, ("killswitch:state",))
    try:
        peer.sendall(damaged)
        for item in line.answers():
            if not isinstance(item, StoreRefused) and decide(item, 1, (), 0, 0).mode is not Mode.ENGAGED:
                assert item.rows[0].text == "SAFE"
    except (StoreUnavailable, BadAnswer):
        pass
    finally:
        line.close()
        peer.close()


@given(text=st.text(max_size=60))
def test_any_error_text_is_classified(text: str) -> None:
    """Total: there is a code for every refusal."""
    found = refusal(text)
    assert isinstance(found, KillSwitchError)
    assert isinstance(found.code, Code)
