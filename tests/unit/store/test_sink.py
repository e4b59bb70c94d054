"""Asking a sink for a fence: nothing but its own word counts, and nothing it does takes longer than it was given."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from killswitch import SinkAddress, clock
from killswitch.store.sink import raise_fences
from tests.support.waiting import Stopwatch
from workers.venue import running

LIMIT_S = 0.4

ANSWERS = {
    "hangs up": b"",
    "confirms less": b'{"id": 0, "ok": true, "fence": 6}\n',
    "confirms nothing": b'{"id": 0, "ok": true}\n',
    "refuses": b'{"id": 0, "ok": false, "error": "x", "reason": "not today"}\n',
    "refuses and confirms": b'{"id": 0, "ok": false, "fence": 1000}\n',
    "answers another question": b'{"id": 5, "ok": true, "fence": 1000}\n',
    "says true": b'{"id": 0, "ok": true, "fence": true}\n',
    "says a text": b'{"id": 0, "ok": true, "fence": "1000"}\n',
    "says infinity": b'{"id": 0, "ok": true, "fence": Infinity}\n',
    "speaks otherwise": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "says a list": b"[]\n",
    "has another name": b'{"id": 0, "ok": true, "fence": 1000, "name": "other"}\n',
    "has a list for a name": b'{"id": 0, "ok": true, "fence": 1000, "name": ["venue"]}\n',
    "digs deep": b"[" * 100_000 + b"\n",
    "keeps silent": None,
    "drips": None,
    "floods": None,
}


class BadSink:
    """Something on a port that is no sink."""

    def __init__(self, behave: str) -> None:
        self._behave = behave
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.address = SinkAddress("tcp", host="127.0.0.1", port=self._sock.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            sock, _ = self._sock.accept()
            self._held.append(sock)
            sock.recv(4096)
            if self._behave == "drips":
                for byte in b'{"id": 0, "ok": true, "fence": 1000, "x": "' + b"x" * 10_000:
                    sock.sendall(bytes([byte]))
                    clock.sleep(0.01)
            while self._behave == "floods":
                sock.sendall(b"x" * 65_536)
            answer = ANSWERS[self._behave]
            if answer is not None:
                sock.sendall(answer)
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        for sock in (self._sock, *self._held):
            sock.close()


@pytest.fixture(params=ANSWERS)
def bad_sink(request: pytest.FixtureRequest) -> Iterator[BadSink]:
    """One that behaves as the parameter says."""
    made = BadSink(request.param)
    yield made
    made.close()


def test_a_sink_that_does_not_confirm_has_no_fence_and_costs_no_time(bad_sink: BadSink) -> None:
    """S16: only an answer to this question, with a whole number at or above the epoch; and a reason for people."""
    watch = Stopwatch()
    raised = raise_fences("venue", bad_sink.address, {"e1": 7}, LIMIT_S)
    took_s = watch.took_s
    assert raised.fences == {}
    assert raised.trouble
    assert took_s < LIMIT_S + 1.0


def test_an_answer_that_does_not_end_is_given_up_before_it_fills_the_memory() -> None:
    """Long before the time is up."""
    sink = BadSink("floods")
    began = clock.now_ns()
    raised = raise_fences("venue", sink.address, {"e1": 7}, 30.0)
    assert (clock.now_ns() - began) / 1e9 < 20
    assert "do not end" in raised.trouble
    sink.close()


@pytest.mark.parametrize(
    "address",
    [
        SinkAddress("tcp", host="127.0.0.1", port=1),
        SinkAddress("tcp", host="no-such-host.invalid", port=1),
        SinkAddress("unix", path="/nonexistent/sock"),
        SinkAddress("unix", path="/" + "x" * 200),
        SinkAddress("unix", path="/a\0b"),
    ],
)
def test_a_sink_that_is_not_there_is_told(address: SinkAddress) -> None:
    """An address that leads nowhere is a reason, not an error."""
    raised = raise_fences("venue", address, {"e1": 7}, LIMIT_S)
    assert raised.fences == {}
    assert raised.trouble.startswith("cannot be reached")


def test_many_sessions_are_fenced_in_one_go_and_repeating_is_harmless(tmp_path: Path) -> None:
    """Each by its own answer; what stands higher already is told as it stands."""
    with running(f"unix://{tmp_path}/v.sock") as venue:
        address = SinkAddress.parse(venue.url)
        epochs = {f"e{n}": n for n in range(1, 1001)}
        for _ in range(2):
            raised = raise_fences("venue", address, epochs, 10.0)
            assert (raised.fences, raised.trouble) == (epochs, "")
        assert raise_fences("venue", address, {"e9": 5}, 10.0).fences == {"e9": 9}


def test_one_session_that_is_refused_does_not_hide_the_others(tmp_path: Path) -> None:
    """What was confirmed counts; what was not has its reason."""
    with running(f"unix://{tmp_path}/v.sock") as venue:
        raised = raise_fences("venue", SinkAddress.parse(venue.url), {"e1": 7, "x" * 200: 7, "e2": 8}, 10.0)
        assert raised.fences == {"e1": 7, "e2": 8}
        assert "refused to raise the fence of xxx" in raised.trouble
