"""The connections of a worker: questions and their answers on one, announcements on the other, from the same server.

Invariant: only the watcher thread uses them, and at most one question is under way. The line never repeats a question
and never opens anything: it hands over what Redis said, word by word. An answer that is not of the agreed form is a
BadAnswer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from killswitch.clock import wall_ms, wall_text
from killswitch.core.answer import Answer, parse_answer
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.channel import PushChannel, open_channel, server_of
from killswitch.store.wire import Wire, connect

__all__ = ["Beat", "QuestionLine", "open_line", "open_pair", "say_goodbye"]


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says of itself. `ttl_ms`: life of its hash; `retain_ms`: silence that ends its membership;
    `instance`: one life of one agent; `line`: on the first beat of a connection and on one that follows an
    announcement, how long the steps between took (see ks_drill), else None."""

    worker_id: str
    seen_epoch: int
    closed: bool
    in_flight: int
    ttl_ms: int
    retain_ms: int
    instance: str
    fields: Mapping[str, str]
    line: str | None = None


class QuestionLine:
    """Asks about `keys`, the switch first."""

    def __init__(self, wire: Wire, keys: Sequence[str]) -> None:
        self._wire = wire
        self._keys = tuple(keys)

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._wire.fileno()

    def ask_read(self, nonce: int) -> None:
        """Sends a renewal. Raises StoreUnavailable."""
        self._check_certificates()
        self._wire.send("FCALL", "ks_read", len(self._keys), *self._keys, nonce)

    def ask_beat(self, nonce: int, beat: Beat) -> None:
        """Sends a beat. Raises StoreUnavailable."""
        self._check_certificates()
        pairs = [text for pair in beat.fields.items() for text in pair]
        pairs += [] if beat.line is None else ["line", beat.line]  # ks_beat looks for it at the end
        self._wire.send(
            "FCALL",
            "ks_beat",
            len(self._keys),
            *self._keys,
            nonce,
            beat.worker_id,
            beat.seen_epoch,
            int(beat.closed),
            beat.in_flight,
            beat.ttl_ms,
            beat.retain_ms,
            beat.instance,
            *pairs,
        )

    def _check_certificates(self) -> None:
        """A connection outlives its certificates, but whoever wants to stop the fleet needs a new one: where none can
        be made any more, nobody goes on trading. A renewed certificate is met by connecting again."""
        if self._wire.expires_ms and wall_ms() >= self._wire.expires_ms:
            raise StoreUnavailable(
                Code.TLS_EXPIRED, f"a certificate of this connection ended at {wall_text(self._wire.expires_ms)}"
            )

    def answers(self) -> list[Answer | StoreRefused]:
        """What has arrived, without waiting. Raises StoreUnavailable at the end, BadAnswer on nonsense."""
        found: list[Answer | StoreRefused] = []
        for item in self._wire.receive():
            found.append(item if isinstance(item, StoreRefused) else parse_answer(item, len(self._keys)))
        self._wire.pushes.clear()
        return found

    def server(self) -> str:
        """Which server process answers, as `server_of` tells it; to be asked before the first question."""
        return server_of(self._wire, self._keys[0])

    def close(self) -> None:
        """Closes this process's end, without shutdown."""
        self._wire.close()


def open_line(endpoint: Endpoint, keys: Sequence[str], timeout_s: float) -> QuestionLine:
    """Connects. Raises StoreUnavailable or StoreRefused."""
    return QuestionLine(connect(endpoint, timeout_s, "killswitch-ask"), keys)


def open_pair(
    endpoint: Endpoint, keys: Sequence[str], wanted: str, timeout_s: float
) -> tuple[PushChannel, QuestionLine]:
    """Both connections, the channel armed. `wanted` is the rung, as `open_channel` takes it.

    In a fail-over two connections made one after the other may reach two servers: by a sentinel's answer, a changed
    name, a balancer. Then changes at the one that is asked would never be announced, so such a pair is refused.

    Raises:
        StoreUnavailable: no connection, or two servers.
        StoreRefused: the credentials were refused, or the rung is not to be had.
    """
    line = open_line(endpoint, keys, timeout_s)
    try:
        channel = open_channel(endpoint, keys, wanted, timeout_s)
        try:
            announces = channel.server()
            if announces is not None and announces != line.server():
                raise StoreUnavailable(Code.DISCONNECTED, "the two connections reached different servers")
        except BaseException:
            channel.close()
            raise
    except BaseException:
        line.close()
        raise
    return channel, line


def say_goodbye(endpoint: Endpoint, state_key: str, worker_id: str, instance: str, timeout_s: float) -> bool:
    """Takes one life of a worker off the membership; whether it was there. Raises StoreUnavailable, StoreRefused."""
    with contextlib.closing(connect(endpoint, timeout_s, "killswitch-leave")) as wire:
        return wire.call("FCALL", "ks_leave", 1, state_key, worker_id, instance) == 1
