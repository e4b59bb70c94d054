"""The ask connection of a worker: renewals and beats, one question and its answer.

Invariant: only the watcher thread uses it, and at most one question is under way. It never repeats a question and never
opens anything: it hands over what Redis said, word by word. An answer that is not of the agreed form is a BadAnswer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from killswitch.core.answer import Answer, parse_answer
from killswitch.core.endpoint import Endpoint
from killswitch.errors import StoreRefused
from killswitch.store.wire import Wire, connect

__all__ = ["Beat", "QuestionLine", "open_line"]


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says of itself. `ttl_ms`: life of its hash; `retain_ms`: silence that ends its membership;
    `instance`: one life of one agent."""

    worker_id: str
    seen_epoch: int
    closed: bool
    in_flight: int
    ttl_ms: int
    retain_ms: int
    instance: str
    fields: Mapping[str, str]


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
        self._wire.send("FCALL", "ks_read", len(self._keys), *self._keys, nonce)

    def ask_beat(self, nonce: int, beat: Beat) -> None:
        """Sends a beat. Raises StoreUnavailable."""
        pairs = [text for pair in beat.fields.items() for text in pair]
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

    def answers(self) -> list[Answer | StoreRefused]:
        """What has arrived, without waiting. Raises StoreUnavailable at the end, BadAnswer on nonsense."""
        found: list[Answer | StoreRefused] = []
        for item in self._wire.receive():
            found.append(item if isinstance(item, StoreRefused) else parse_answer(item, len(self._keys)))
        self._wire.pushes.clear()
        return found

    def close(self) -> None:
        """Closes this process's end, without shutdown."""
        self._wire.close()


def open_line(endpoint: Endpoint, keys: Sequence[str], timeout_s: float) -> QuestionLine:
    """Connects. Raises StoreUnavailable or StoreRefused."""
    return QuestionLine(connect(endpoint, timeout_s, "killswitch-ask"), keys)
