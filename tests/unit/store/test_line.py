"""The ask connection: questions in the agreed form, answers word by word."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hiredis import Reader

from killswitch.core.answer import Answer, BadAnswer
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.line import Beat, QuestionLine
from killswitch.store.wire import Wire

KEYS = ("killswitch:state", "killswitch:state:a:1")
ROW = b"*6\r\n$5\r\nvalue\r\n$4\r\nSAFE\r\n:4\r\n:-1\r\n$1\r\n3\r\n:1\r\n"
ANSWER = b"*6\r\n:1\r\n$1\r\n7\r\n$2\r\nr1\r\n:1\r\n$1\r\n3\r\n*2\r\n" + ROW + ROW


@pytest.fixture
def ends() -> Iterator[tuple[QuestionLine, socket.socket]]:
    """A line and the other end of it."""
    ours, theirs = socket.socketpair()
    line = QuestionLine(Wire(ours, "Redis at test", 0.3), KEYS)
    yield line, theirs
    line.close()
    theirs.close()


def heard(end: socket.socket) -> list[bytes]:
    """The command that was sent."""
    reader = Reader()
    reader.feed(end.recv(65536))
    found = reader.gets()
    assert isinstance(found, list)
    return found


def test_questions_are_sent_in_the_agreed_form(ends: tuple[QuestionLine, socket.socket]) -> None:
    """Keys first, the switch before the scopes; then the nonce; a beat tells of the worker in pairs."""
    line, peer = ends
    line.ask_read(7)
    keys = [key.encode() for key in KEYS]
    assert heard(peer) == [b"FCALL", b"ks_read", b"2", *keys, b"7"]
    line.ask_beat(8, Beat("w1", 5, True, 2, 9000, 8000, "life", {"host": "h", "engine": "é"}))
    told = [b"8", b"w1", b"5", b"1", b"2", b"9000", b"8000", b"life", b"host", b"h", b"engine", "é".encode()]
    assert heard(peer) == [b"FCALL", b"ks_beat", b"2", *keys, *told]


def test_answers_and_refusals_are_handed_over_in_order(ends: tuple[QuestionLine, socket.socket]) -> None:
    """Nothing is interpreted here; pushes, which do not belong on this line, are dropped."""
    line, peer = ends
    assert line.answers() == []
    peer.sendall(ANSWER + b">1\r\n+x\r\n" + b"-OOM no\r\n" + ANSWER[:20])
    first, second = line.answers()
    assert isinstance(first, Answer)
    assert first.nonce == "7"
    assert isinstance(second, StoreRefused)
    assert second.code is Code.REDIS_OOM
    peer.sendall(ANSWER[20:])
    assert len(line.answers()) == 1


def test_answer_about_other_keys_is_a_bad_answer(ends: tuple[QuestionLine, socket.socket]) -> None:
    """Two keys were asked about."""
    line, peer = ends
    peer.sendall(b"+OK\r\n")
    with pytest.raises(BadAnswer):
        line.answers()


def test_end_of_the_line_is_unavailable(ends: tuple[QuestionLine, socket.socket]) -> None:
    """Closing is the end for the descriptor too."""
    line, peer = ends
    assert line.fileno() >= 0
    peer.close()
    with pytest.raises(StoreUnavailable):
        line.answers()
    assert line.fileno() == -1
