"""A drill on paper: JSON and Markdown, and the file that holds it. A file is written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from killswitch.clock import wall_text
from ops.console import plain
from ops.drilling.telling import bars, compared, duration
from ops.render import count_of

if TYPE_CHECKING:
    from killswitch import Drill, DrilledWorker

__all__ = ["drill_object", "line_object", "markdown", "unwritable", "write"]


def drill_object(drill: Drill) -> dict[str, Any]:
    """A drill as JSON has it."""
    found: dict[str, Any] = plain(drill)
    histogram = [{"up_to_us": edge, "workers": count} for edge, count in bars(drill)]
    return {**found, "histogram": histogram, "missing": [one.worker_id for one in drill.missing]}


def line_object(drill: Drill) -> dict[str, Any]:
    """The same in short: without those that acknowledged."""
    found = plain(drill.record)
    missing = [{"worker_id": one.worker_id, "engine": one.engine, "missing": one.missing} for one in drill.missing]
    return {"drill": found, "comparison": plain(drill.comparison), "kept": drill.kept, "missing": missing}


def _cell(text: object) -> str:
    """A value in a Markdown table: one line, and nothing in it is markup."""
    shown = "".join(char if char.isprintable() else "?" for char in str(text))
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>|#!~" else char for char in shown)


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _worker(one: DrilledWorker) -> str:
    times = (one.heard_us, one.recorded_us, one.shut_us, one.asked_us, one.answer_us)
    state = one.missing or "acknowledged"
    return _row(one.worker_id, one.engine, *map(duration, times), one.in_flight if one.acknowledged else "", state)


def markdown(drill: Drill) -> str:
    """A report to keep or to send on."""
    record = drill.record
    lines = [
        f"# Drill of {wall_text(record.at_ms) if record.at_ms >= 0 else 'unknown time'}: {record.verdict}",
        "",
        f"{record.acknowledged} of {count_of(record.workers, 'worker')} acknowledged within {record.bound_ms} ms. "
        f"Made by {_cell(record.actor)} while the switch said {_cell(record.mode)}; nobody was stopped by it.",
    ]
    lines += ["", _cell(record.note)] if record.note else []
    lines += ["", "| from the SET to | p50 | p90 | p99 | max |", "|---|---|---|---|---|"]
    lines.append(_row("+OK", *[duration(record.ok_us)] * 4))
    for title, found in (("acknowledged, heard here", record.heard), ("acknowledged, in Redis", record.recorded)):
        if found is not None:
            lines.append(_row(title, *map(duration, (found.p50_us, found.p90_us, found.p99_us, found.max_us))))
    lines += ["", f"Times in Redis: {compared(drill)}.", "", "| up to | workers |", "|---|---|"]
    lines += [_row(duration(edge), count) for edge, count in bars(drill)]
    lines += ["", "| worker | engine | heard | in Redis | closed | asked | answer | in flight | |"]
    lines += ["|---|---|---|---|---|---|---|---|---|", *map(_worker, drill.workers)]
    text = (
        "heard: SET sent to acknowledgement heard, by the clock of who drilled. in Redis: announcement to "
        "acknowledgement, by the clock of Redis. closed, asked: after the worker saw the announcement, by its own "
        "clock. answer: how long its question before had taken."
    )
    return "\n".join([*lines, "", text, ""])


def unwritable(path: Path) -> str:
    """Why no report can be written there; "" when one can, as far as can be told before."""
    if path.is_dir():
        return "it is a directory"
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    return "" if os.access(path.parent, os.W_OK) else f"nothing can be written in {path.parent}"


def write(path: Path, drill: Drill) -> None:
    """Writes the report, as JSON or Markdown by the name of the file. Raises OSError."""
    text = json.dumps(drill_object(drill), indent=1) + "\n" if path.suffix == ".json" else markdown(drill)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
