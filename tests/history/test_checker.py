"""The judge itself: a run as it should be is clean, and each property, broken once, is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.history.checker import CHECKS, Run, check
from tests.history.events import KINDS, History, HistoryError
from tests.history.liveness import check_liveness
from tests.history.permitted import Intervals

MS = 1_000_000
LEASE_MS = 1000


def state(run: History, at_ms: float, mode: str, epoch: int, **values: Any) -> None:
    """One change, taken effect at once unless `from_ms` says otherwise."""
    from_ms = values.pop("from_ms", at_ms)
    given = {"server": "s", "scope": "switch", "via": "engage", "looked": None, **values}
    run.add("state", int(at_ms * MS), mode=mode, epoch=epoch, from_t=int(from_ms * MS), **given)


def passes(run: History, at_ms: float, epoch: int, worker: str = "w", order: str = "") -> None:
    """A check that began at `at_ms` and passed: gate 2 where it names an order."""
    start = int(at_ms * MS)
    if order:
        run.add("pass2", start + 1000, worker=worker, epoch=epoch, start=start, order=order, reduces=False)
    else:
        run.add("pass1", start + 1000, worker=worker, epoch=epoch, start=start)


def view(run: History, at_ms: float, is_open: bool, epoch: int, code: str = "open") -> None:
    """What the worker believes from then on."""
    run.add("view", int(at_ms * MS), worker="w", open=is_open, code=code, epoch=epoch)


def waits(run: History, begin_ms: float, end_ms: float, result: str, epoch: int, pending: tuple[str, ...] = ()) -> None:
    """An engagement with a wait of two seconds and how it ended."""
    run.add("op", int(begin_ms * MS), op="o", action="engage", scope="switch", wait_s=2.0)
    values = {"members": ["w"], "pending": list(pending), "leases_out": result != "QUIET"}
    run.add("op_end", int(end_ms * MS), op="o", result=result, epoch=epoch, **values)


def arrives(run: History, at_ms: float, order: str, token: int, fence: int = 0) -> None:
    """The sink takes an order."""
    values = {"sink": "v", "session": "e", "worker": "w", "order": order, "token": token, "fence": fence}
    run.add("arrive", int(at_ms * MS), accepted=True, **values)


def sound() -> History:
    """Permitted at 100 ms under epoch 2, trading, engaged at 1,000 ms, proved quiet, permitted again under 4."""
    run = History()
    run.add("meta", 0, source="test", seed=0, lease_ms=LEASE_MS, renew_ms=250, rate_error=0.1, split_ms=0, p2=True)
    run.add("worker", 0, worker="w", scopes=["symbol:X"], lease_ms=LEASE_MS, sinks=["v/e"])
    state(run, 1, "ENGAGED", 1)
    view(run, 2, False, 1, "engaged")
    state(run, 100, "SAFE", 2, via="reset", looked=1)
    view(run, 101, True, 2)
    passes(run, 200, 2)
    passes(run, 201, 2, order="a")
    run.add("send", 202 * MS, worker="w", order="a", epoch=2)
    arrives(run, 203, "a", 2)
    run.add("release", 204 * MS, worker="w", order="a")
    state(run, 1000, "ENGAGED", 3)
    run.add("announced", 1000 * MS, worker="w", changed=1000 * MS)
    view(run, 1001, False, 3, "engaged")
    waits(run, 999, 1003, "QUIET", 3)
    state(run, 5000, "SAFE", 4, via="reset", looked=3)
    run.add("phase", 5001 * MS, name="quiet")
    run.add("answer", 5002 * MS, worker="w", sent=5001 * MS)
    view(run, 5003, True, 4)
    passes(run, 5100, 4)
    run.add("end", 12000 * MS, worker="w", in_flight=0)
    return run


def test_a_sound_run_is_clean() -> None:
    """Nothing is found where nothing is wrong; otherwise no finding would mean anything."""
    run = sound()
    run.validate()
    assert check(run) == []
    assert check_liveness(run) == []


def _without(kind: str) -> Callable[[History], None]:
    def apply(run: History) -> None:
        run.events = [event for event in run.events if event["kind"] != kind]

    return apply


def _change(kind: str, **values: Any) -> Callable[[History], None]:
    def apply(run: History) -> None:
        for event in run.events:
            if event["kind"] == kind:
                event.update(values)

    return apply


def _reset_of_another_epoch(run: History) -> None:
    state(run, 1500, "SAFE", 4, via="reset", looked=2)


def _fenced_without(run: History) -> None:
    _change("op_end", result="FENCED", pending=["w"])(run)


def _leases_not_out(run: History) -> None:
    _change("op_end", result="UNCERTAIN", pending=["w"], leases_out=True)(run)
    _without("announced")(run)
    passes(run, 1900, 2)


def _fence_passed(run: History) -> None:
    run.add("fence", 210 * MS, sink="v", session="e", epoch=9, fence=9)
    arrives(run, 220, "b", 2)


def _fence_lowered(run: History) -> None:
    run.add("fence", 6000 * MS, sink="v", session="e", epoch=9, fence=9)
    run.add("fence", 6001 * MS, sink="v", session="e", epoch=3, fence=3)


def _scope_stopped(run: History) -> None:
    state(run, 5050, "ENGAGED", 5, scope="symbol:X")
    passes(run, 7000, 4)


def _server_lost(run: History) -> None:
    run.add("lost", 5060 * MS, server="s", why="killed")
    passes(run, 6500, 4)


BREAKS: list[tuple[str, Callable[[History], None]]] = [
    ("S2", lambda run: passes(run, 0.5, 0)),
    ("S2", lambda run: passes(run, 2113, 2)),
    ("S2", _server_lost),
    ("S2", _scope_stopped),
    ("P2", lambda run: passes(run, 1000.5, 2)),
    ("S1", lambda run: arrives(run, 1004, "b", 2)),
    ("S3", lambda run: passes(run, 1900, 2)),
    ("S3", _leases_not_out),
    ("S8", _without("release")),
    ("S5", lambda run: view(run, 1500, True, 3)),
    ("S6", lambda run: state(run, 5500, "ENGAGED", 4)),
    ("P8", _reset_of_another_epoch),
    ("S16", _fenced_without),
    ("S16", _fence_passed),
    ("S16", _fence_lowered),
    ("S15", _change("end", in_flight=1)),
    ("L2", _change("op_end", t=4100 * MS)),
    ("L2", _change("op_end", took_ms=3001.0)),
]


@pytest.mark.parametrize(("prop", "spoil"), BREAKS, ids=[f"{prop}-{number}" for number, (prop, _) in enumerate(BREAKS)])
def test_a_broken_property_is_named(prop: str, spoil: Callable[[History], None]) -> None:
    """Each check bites: the same run with one thing wrong is found wrong in that very property."""
    run = sound()
    spoil(run)
    run.validate()
    assert prop in {violation.prop for violation in check(run)}


def test_every_check_has_a_run_that_breaks_it() -> None:
    """No check is there that nobody has seen fail."""
    broken = set()
    for _, spoil in BREAKS:
        run = sound()
        spoil(run)
        broken |= {name for name, one in CHECKS.items() if list(one(Run(run)))}
    assert broken == set(CHECKS)


@pytest.mark.parametrize(
    ("prop", "spoil"),
    [
        ("L4", _without("answer")),
        ("L5", lambda run: view(run, 5010, False, 4, "no_answer")),
        ("L7", lambda run: view(run, 9000, False, 4, "lease_expired")),
    ],
)
def test_a_run_that_does_not_recover_is_named(prop: str, spoil: Callable[[History], None]) -> None:
    """The quiet phase is judged as well: a worker that stays away or closed is found."""
    run = sound()
    spoil(run)
    assert prop in {violation.prop for violation in check_liveness(run)}


def test_a_pass_within_the_lease_of_a_silent_stop_is_no_violation() -> None:
    """Without an announcement the bound is the lease, lengthened by the clock's rate error, and not less."""
    run = sound()
    _without("announced")(run)
    run.events = [event for event in run.events if event["kind"] not in ("op", "op_end")]
    passes(run, 1000 + LEASE_MS / 0.9, 2)
    assert check(run) == []


def test_a_change_that_overlaps_a_check_is_given_the_benefit() -> None:
    """What may have been permitted is not called a violation: a command's moment is known only as an interval."""
    run = sound()
    state(run, 5400, "ENGAGED", 5, from_ms=5300)
    run.add("announced", 5400 * MS, worker="w", changed=5300 * MS)
    passes(run, 5399, 4)
    assert check(run) == []


def test_a_wait_is_not_late_for_what_its_operator_stood_in_line() -> None:
    """How long it took is taken from who measured it."""
    run = sound()
    _change("op_end", t=4100 * MS, took_ms=2999.0)(run)
    assert check(run) == []


def test_a_history_survives_its_file(tmp_path: Path) -> None:
    """What was written is read back event by event."""
    sound().write(tmp_path / "h.jsonl")
    assert History.read(tmp_path / "h.jsonl").events == sound().events


def test_an_event_that_no_check_understands_is_refused(tmp_path: Path) -> None:
    """An unknown kind, a missing field or a line of nonsense is an error, not a check that looks past it."""
    for event in ({"kind": "pass3", "t": 1}, {"kind": "gone", "t": 1}, {"kind": "gone", "worker": "w"}):
        with pytest.raises(HistoryError):
            History([event]).validate()
    (tmp_path / "h.jsonl").write_text("{\n")
    with pytest.raises(HistoryError, match="line 1"):
        History.read(tmp_path / "h.jsonl")
    assert len(KINDS) > 15


_WHOLE = '{"kind": "gone", "t": 1, "worker": "v"}\n'


@pytest.mark.parametrize("begun", ["", "{", '{"kind": "go', _WHOLE[:-1]])
def test_a_growing_file_is_read_up_to_its_last_whole_line(tmp_path: Path, begun: str) -> None:
    """What its writer is still at is left out, and is there once the line ends."""
    path = tmp_path / "h.jsonl"
    path.write_text(_WHOLE + begun)
    assert len(History.read(path, growing=True)) == 1
    path.write_text(_WHOLE + _WHOLE)
    assert len(History.read(path, growing=True)) == 2


def test_a_damaged_line_is_an_error_in_a_growing_file_too(tmp_path: Path) -> None:
    """Only what no line feed ends is left out, and nothing of a file that does not grow."""
    path = tmp_path / "h.jsonl"
    path.write_text(_WHOLE + "{\n" + _WHOLE)
    with pytest.raises(HistoryError, match="line 2"):
        History.read(path, growing=True)
    path.write_text(_WHOLE + "{")
    with pytest.raises(HistoryError, match="line 2"):
        History.read(path)


def test_intervals_know_what_they_touch() -> None:
    """Half-open: a moment of closing is closed, a moment of opening is open."""
    intervals = Intervals([(10, 20), (15, 30), (40, 50)])
    assert intervals.pairs == [(10, 30), (40, 50)]
    assert [intervals.touch(at, at) for at in (9, 10, 29, 30, 40, 50)] == [False, True, True, False, True, False]
    assert intervals.touch(0, 10)
    assert not intervals.touch(30, 39)
    assert Intervals([(0, 12), (28, 45)]).and_also(intervals).pairs == [(10, 12), (28, 30), (40, 45)]
