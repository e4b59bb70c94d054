"""How a drill reads: the screen, one line, Markdown, JSON; and hostile text in any of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from killswitch import Drill, DrilledWorker, DrillVerdict
from killswitch.core.drill_record import Comparison, Running, figures, parse_record
from ops.drilling.report import drill_object, line_object, markdown, unwritable, write
from ops.drilling.telling import bars, compared, drill_line, drill_lines, duration, history_lines, last_drill_line
from ops.render import COLUMNS, Paint, width
from tests.unit.ops.pictures import state, status

PLAIN = Paint(False)
EVIL = "\x1b[2J\nw|`x`\u202e"


def worker(name: str = "w1", heard_us: int | None = 1500, **changes: Any) -> DrilledWorker:
    """One that acknowledged."""
    recorded_us = None if heard_us is None else heard_us - 100
    made = DrilledWorker(name, "eurusd", "h", 1112, heard_us, recorded_us, 0, 12, 80, 250, "")
    return replace(made, **changes)


def drill(*workers: DrilledWorker, verdict: DrillVerdict = DrillVerdict.PASSED, **changes: Any) -> Drill:
    """What these workers come to."""
    good = [one for one in workers if one.acknowledged]
    fields = {
        "actor": "alice",
        "mode": "SAFE",
        "at_ms": "1000000",
        "ok_us": "210",
        "bound_ms": "1112",
        "via": "command",
    }
    made = replace(
        parse_record("1-1", {**fields, "verdict": str(verdict)}),
        workers=len(workers),
        acknowledged=len(good),
        heard=figures([one.heard_us for one in good if one.heard_us is not None]),
        recorded=figures([one.recorded_us for one in good if one.recorded_us is not None]),
        slowest=good[0].worker_id if good else "",
        missing=", ".join(one.worker_id for one in workers if not one.acknowledged),
        **changes,
    )
    return Drill(verdict, made, workers, state(), Comparison("same", 20, 1400, 1200, 1600, 3000), True)


LOST = worker("w2", None, missing="no acknowledgement within 1112 ms")


def test_a_drill_that_passed_shows_figures_bound_and_comparison() -> None:
    """What was asked: who, how long after the SET, within which bound, and how that stands beside earlier drills."""
    text = "\n".join(drill_lines(drill(worker(), worker("w3", 900)), PLAIN))
    assert "DRILL PASSED  all 2 workers acknowledged, the slowest 1.5 ms after the SET (bound 1112 ms)" in text
    assert "SET to +OK         210 µs" in text
    assert "p50 900 µs, p90 1.5 ms, p99 1.5 ms, max 1.5 ms" in text
    assert "same beside 20 earlier drills (median 1.4 ms, the middle half 1.2 ms to 1.6 ms, p99 3 ms)" in text
    assert "trading went on" in text
    assert "not acknowledged" not in text


def test_who_did_not_acknowledge_is_named_with_the_reason() -> None:
    """On the screen and in the one line; the verdict comes first in both."""
    done = drill(LOST, worker(), verdict=DrillVerdict.MISSED)
    lines = drill_lines(done, PLAIN)
    assert lines[0].startswith("DRILL MISSED  1 of 2 workers acknowledged")
    assert "  w2 (eurusd): no acknowledgement within 1112 ms" in lines
    one = drill_line(done, PLAIN)
    assert one.startswith("MISSED 1 of 2 workers; p50 1.5 ms")
    assert "w2 (eurusd): no acknowledgement" in one


def test_orders_in_flight_and_a_stopped_fleet_are_told() -> None:
    """Neither is hidden in a figure."""
    text = "\n".join(drill_lines(drill(worker(in_flight=2), in_flight=1), PLAIN))
    assert "1 had orders in flight" in text
    stopped = replace(drill(worker()), record=replace(drill(worker()).record, mode="ENGAGED"))
    assert "it is stopped and stays so" in "\n".join(drill_lines(stopped, PLAIN))
    assert "while ENGAGED" in drill_line(stopped, PLAIN)


def test_the_histogram_counts_everybody_once() -> None:
    """From the first edge that holds somebody to the last, however far out; an edge belongs to the bar below it."""
    done = drill(*(worker(f"w{us}", us) for us in (100, 101, 200, 5000, 9_000_000)))
    found = dict(bars(done))
    assert sum(found.values()) == 5
    assert (found[100], found[200], found[5000], found[9_000_000]) == (1, 2, 1, 1)
    assert bars(drill()) == []


@pytest.mark.parametrize(
    ("us", "text"),
    [(None, ""), (-1, ""), (0, "0 µs"), (999, "999 µs"), (1500, "1.5 ms"), (123_456, "123 ms"), (2_500_000, "2.5 s")],
)
def test_durations_are_short(us: int | None, text: str) -> None:
    """Three figures in the unit that suits."""
    assert duration(us) == text


def hostile() -> Drill:
    """Names and texts as somebody may have written them into Redis."""
    lost = replace(LOST, worker_id=EVIL, engine=EVIL, missing=EVIL)
    done = drill(lost, worker(EVIL * 40, engine=EVIL * 9), verdict=DrillVerdict.MISSED, note=EVIL)
    return replace(done, record=replace(done.record, actor=EVIL, mode=EVIL, slowest=EVIL))


def test_hostile_text_reaches_no_screen() -> None:
    """No escape sequence, no line of its own, nothing wider than the screen."""
    done = hostile()
    lines = [*drill_lines(done, PLAIN), drill_line(done, PLAIN), *history_lines([done.record], PLAIN)]
    lines += [last_drill_line(status(last_drill=done.record))[0]]
    assert all(line.isprintable() for line in lines)
    assert max(width(line) for line in drill_lines(done, PLAIN)) <= COLUMNS
    told = json.loads(json.dumps([drill_object(done), line_object(done)]))
    assert told[0]["missing"] == [EVIL]


def test_hostile_text_makes_no_markup_in_a_report() -> None:
    """Each worker stays one row of as many cells as there are titles."""
    text = markdown(hostile())
    assert all(char.isprintable() or char == "\n" for char in text)
    titles = next(line for line in text.splitlines() if line.startswith("| worker "))
    rows = [line for line in text.splitlines() if line.endswith("acknowledged |") or "no acknowledgement" in line]
    for row in rows:
        assert row.replace("\\|", "").count("|") == titles.count("|")
    assert "`" not in text.replace("\\`", "")


def test_a_report_is_written_whole_by_the_kind_of_its_name(tmp_path: Path) -> None:
    """Markdown or JSON; what stood there before is replaced at once, and no draft stays."""
    done = drill(worker())
    for name in ("drill.md", "drill.json"):
        (tmp_path / name).write_text("old")
        write(tmp_path / name, done)
    assert (tmp_path / "drill.md").read_text().startswith("# Drill of 1970-01-01 00:16:40.000Z: PASSED")
    assert json.loads((tmp_path / "drill.json").read_text())["record"]["acknowledged"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drill.json", "drill.md"]


def test_a_place_where_nothing_can_be_written_is_told_before(tmp_path: Path) -> None:
    """A directory, or none."""
    assert unwritable(tmp_path / "x.md") == ""
    assert "is a directory" in unwritable(tmp_path)
    assert "there is no directory" in unwritable(tmp_path / "no" / "x.md")


def test_the_status_screen_tells_of_drills_and_not_of_stops() -> None:
    """While one is under way, and of the last one; a fleet that never drilled says nothing."""
    assert last_drill_line(status()) == ("", "")
    text, _ = last_drill_line(status(drill=Running("alice", 1)))
    assert text == "a drill is under way, by alice: nobody is stopped by it"
    text, style = last_drill_line(status(last_drill=drill(worker()).record))
    assert text == "last drill 1 min 0 s ago: PASSED, the only worker acknowledged, slowest 1.5 ms"
    assert style == ""
    missed = drill(LOST, verdict=DrillVerdict.MISSED).record
    assert last_drill_line(status(last_drill=missed)) == (
        "last drill 1 min 0 s ago: MISSED, 0 of 1 worker acknowledged",
        "warn",
    )


def test_earlier_drills_are_one_row_each() -> None:
    """Oldest first as they are given; whatever is not told is left empty."""
    lines = history_lines([drill(worker()).record, parse_record("2-2", {})], PLAIN)
    assert len(lines) == 3
    assert "PASSED" in lines[1]
    assert history_lines([], PLAIN) == ["no drill yet"]


def test_one_is_told_as_one() -> None:
    """A single worker, and a single drill before, read as people say it."""
    alone = drill(worker())
    assert "the only worker acknowledged" in "\n".join(drill_lines(alone, PLAIN))
    for earlier, said in (
        (1, "there is 1 earlier drill like this one"),
        (2, "there are 2 earlier drills like this one"),
    ):
        found = replace(alone, comparison=replace(alone.comparison, verdict="unknown", earlier=earlier))
        assert said in compared(found)
