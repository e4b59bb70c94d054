"""The recorder: one complete JSON object a line, readable while the engine runs."""

from __future__ import annotations

import json
from pathlib import Path

from workers.broker import Sent
from workers.domain import Order, Side
from workers.recorder import JsonLinesRecorder, Recorder

ORDER = Order("e1.7", "EURUSD", Side.BUY, 10, 1.1, False)


def lines(path: Path) -> list[dict[str, object]]:
    """What stands in the file now."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_event_is_in_the_file_at_once(tmp_path: Path) -> None:
    """A reader need not wait for the engine to end, and a killed engine loses nothing."""
    path = tmp_path / "events.jsonl"
    with JsonLinesRecorder(path, "e1") as recorder:
        recorder.order(ORDER, Sent(3, 100, 105))
        assert lines(path) == [
            {"event": "order", "engine": "e1", "order_id": "e1.7", "epoch": 3, "check_ns": 100, "sent_ns": 105}
        ]
        recorder.closed(200, "engaged", 4)
        recorder.cancelled(201, 2, "engaged")
        assert lines(path)[1:] == [
            {"event": "closed", "engine": "e1", "at_ns": 200, "code": "engaged", "epoch": 4},
            {"event": "cancelled", "engine": "e1", "at_ns": 201, "count": 2, "why": "engaged"},
        ]


def test_a_second_run_appends(tmp_path: Path) -> None:
    """Evidence is added to, never overwritten."""
    path = tmp_path / "events.jsonl"
    for count in (1, 2):
        with JsonLinesRecorder(path, "e1") as recorder:
            recorder.cancelled(0, count, "engaged")
    assert [line["count"] for line in lines(path)] == [1, 2]


def test_the_default_records_nothing() -> None:
    """An engine without a recorder pays for empty calls only."""
    recorder = Recorder()
    recorder.order(ORDER, Sent(1, 2, 3))
    recorder.closed(1, "engaged", 2)
    recorder.cancelled(1, 2, "engaged")
