"""Evidence of what an engine did and when, for whoever counts it exactly. Orders, stops and turns, never ticks."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from workers.broker import Sent
from workers.domain import Order

__all__ = ["JsonLinesRecorder", "Recorder"]


class Recorder:
    """Takes note of nothing: the default, and the base of recorders. All times are `killswitch.clock.now_ns`."""

    def order(self, order: Order, sent: Sent) -> None:
        """An order left. `sent.check_ns` is when its check at gate 2 started."""

    def refused(self, order: Order, check_ns: int, code: str) -> None:
        """An order was blocked at gate 2; `check_ns` is when its check started."""

    def opened(self, at_ns: int, epoch: int, checks: int) -> None:
        """Gate 1 passes again, or under another epoch: the check that started at `at_ns`, after `checks` others."""

    def blocked(self, at_ns: int, code: str, checks: int, passed_ns: int) -> None:
        """Gate 1 blocks, or for another reason than before: the check that started at `at_ns`, after `checks` others.
        The last one that passed had started at `passed_ns` (0: none)."""

    def closed(self, at_ns: int, code: str, epoch: int) -> None:
        """The engine learnt that its gate is closed."""

    def cancelled(self, at_ns: int, count: int, why: str) -> None:
        """The engine cancelled its working orders, `count` of them."""


class JsonLinesRecorder(Recorder):
    """Appends one JSON object a line to a file, complete on disk's doorstep after each line.

    Each has `event` and `engine`, and besides: `order` order_id, epoch, check_ns, sent_ns; `refused` order_id,
    check_ns, code; `opened` at_ns, epoch, checks; `blocked` at_ns, code, checks, passed_ns; `closed` at_ns, code,
    epoch; `cancelled` at_ns, count, why. Used as a context manager.
    """

    def __init__(self, path: Path, engine: str) -> None:
        self._engine = engine
        # Line-buffered: a reader sees every finished line at once, also when this process is killed right after.
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> JsonLinesRecorder:
        """Returns the recorder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()

    def close(self) -> None:
        """Closes the file; later events are an error."""
        self._file.close()

    def order(self, order: Order, sent: Sent) -> None:
        """See `Recorder.order`."""
        self._write("order", order_id=order.client_id, epoch=sent.epoch, check_ns=sent.check_ns, sent_ns=sent.sent_ns)

    def refused(self, order: Order, check_ns: int, code: str) -> None:
        """See `Recorder.refused`."""
        self._write("refused", order_id=order.client_id, check_ns=check_ns, code=code)

    def opened(self, at_ns: int, epoch: int, checks: int) -> None:
        """See `Recorder.opened`."""
        self._write("opened", at_ns=at_ns, epoch=epoch, checks=checks)

    def blocked(self, at_ns: int, code: str, checks: int, passed_ns: int) -> None:
        """See `Recorder.blocked`."""
        self._write("blocked", at_ns=at_ns, code=code, checks=checks, passed_ns=passed_ns)

    def closed(self, at_ns: int, code: str, epoch: int) -> None:
        """See `Recorder.closed`."""
        self._write("closed", at_ns=at_ns, code=code, epoch=epoch)

    def cancelled(self, at_ns: int, count: int, why: str) -> None:
        """See `Recorder.cancelled`."""
        self._write("cancelled", at_ns=at_ns, count=count, why=why)

    def _write(self, event: str, **values: Any) -> None:
        self._file.write(json.dumps({"event": event, "engine": self._engine, **values}) + "\n")
