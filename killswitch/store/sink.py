"""Raising fences at an order sink: one JSON object a line, each answered by one, over a unix or TCP socket.

    {"id": 1, "do": "raise_fence", "session": "eurusd-1", "epoch": 7}   ->   {"id": 1, "ok": true, "fence": 7}

The sink refuses orders whose epoch is below its fence, and never lowers it. It may say its `name` as well, and then
another name than the one it was asked under is no confirmation: two addresses that were mixed up prove nothing.

Invariant: a fence counts only when the sink itself confirmed, in answer to this very question, a value at or above the
epoch. Nothing here waits longer than it was told to, whatever the sink does: refuses, keeps silent, answers a byte at a
time, answers something else. It fails closed: what was not confirmed in time is not there. Repeating is harmless.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from killswitch.clock import now_ns
from killswitch.core.sinks import SinkAddress
from killswitch.store.reach import left_s, open_tcp, open_unix

__all__ = ["Raised", "raise_fences"]

_AT_ONCE = 200
_ANSWER_MAX = 1 << 20
_CHUNK = 65_536


@dataclass(slots=True)
class Raised:
    """What a sink did: the fence it confirmed for each session, and why the others are missing ("": none is)."""

    fences: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


def raise_fences(name: str, address: SinkAddress, epochs: Mapping[str, int], limit_s: float) -> Raised:
    """Raises the fence of each session of the sink `name` to its epoch, all within `limit_s` seconds. Raises nothing
    itself."""
    deadline_ns = now_ns() + int(limit_s * 1e9)
    raised = Raised()
    try:
        sock = (
            open_unix(address.path, limit_s)
            if address.scheme == "unix"
            else open_tcp(address.host, address.port, limit_s)
        )
    except (OSError, ValueError) as error:
        raised.trouble = f"cannot be reached ({error})"
        return raised
    with contextlib.closing(sock):
        questions = list(epochs.items())
        for start in range(0, len(questions), _AT_ONCE):
            try:
                _ask(sock, name, questions[start : start + _AT_ONCE], deadline_ns, raised)
            except TimeoutError:
                raised.trouble = f"did not answer within {limit_s:.3g} s"
            except (OSError, RecursionError, ValueError) as error:
                raised.trouble = f"did not answer as a sink does ({error})"
            if len(raised.fences) < min(start + _AT_ONCE, len(questions)):
                break
    return raised


def _ask(sock: socket.socket, name: str, questions: list[tuple[str, int]], deadline_ns: int, raised: Raised) -> None:
    lines = [
        json.dumps({"id": number, "do": "raise_fence", "session": session, "epoch": epoch})
        for number, (session, epoch) in enumerate(questions)
    ]
    sock.settimeout(left_s(deadline_ns))
    sock.sendall("".join(f"{line}\n" for line in lines).encode())
    held, room = bytearray(), _ANSWER_MAX
    for number, (session, epoch) in enumerate(questions):
        while (end := held.find(b"\n")) < 0:
            if now_ns() >= deadline_ns:
                raise TimeoutError
            sock.settimeout(left_s(deadline_ns))
            data = sock.recv(_CHUNK)
            room -= len(data)
            if not data or room < 0:
                raise ConnectionError("it closed the connection" if not data else "its answers do not end")
            held += data
        answer = json.loads(held[:end])
        del held[: end + 1]
        if not isinstance(answer, dict) or answer.get("id") != number:
            raise ValueError("an answer to another question")
        if answer.get("name", name) != name:
            raise ValueError(f"it is called {str(answer['name'])[:60]!r}")
        fence = answer.get("fence")
        if answer.get("ok") is True and type(fence) is int and fence >= epoch:
            raised.fences[session] = fence
        else:
            reason = str(answer.get("reason", f"it confirmed {fence!r}"))[:200]
            raised.trouble = f"refused to raise the fence of {session} to {epoch}: {reason}"
