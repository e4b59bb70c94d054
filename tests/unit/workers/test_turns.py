"""What an engine writes down of its gates: the turns from open to closed and back, with the checks between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from killswitch import Code
from tests.unit.workers.rig import REST, TICKS, ListRecorder, Rig
from workers.domain import Order, Side
from workers.recorder import JsonLinesRecorder, Recorder

ORDER = Order("e1.7", "EURUSD", Side.BUY, 10, 1.1, False)


class TurnRecorder(ListRecorder):
    """Keeps turns and refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[tuple[Any, ...]] = []
        self.passed: list[tuple[int, int]] = []
        self.refusals: list[tuple[str, str]] = []

    def opened(self, at_ns: int, epoch: int, checks: int) -> None:
        self.turns.append(("opened", epoch, checks))

    def blocked(self, at_ns: int, code: str, checks: int, passed_ns: int) -> None:
        self.turns.append(("blocked", code, checks))
        self.passed.append((passed_ns, at_ns))

    def refused(self, order: Order, check_ns: int, code: str) -> None:
        self.refusals.append((order.client_id, code))


def rig(*signals: Any) -> tuple[Rig, TurnRecorder]:
    """An engine and its recorder."""
    found = Rig(*signals)
    recorder = TurnRecorder()
    found.recorder = recorder
    return found, recorder


def test_turns_carry_the_number_of_checks_before_them() -> None:
    """Between two turns every check went the same way, so the record of turns counts passed and blocked exactly."""
    engine, recorder = rig()
    engine.run(*TICKS[:3], engine.agent.engage, *TICKS[3:7], engine.agent.reset, TICKS[7])
    assert recorder.turns == [("opened", 1, 0), ("blocked", "engaged", 3), ("opened", engine.agent.gate.epoch, 7)]
    [(passed_ns, at_ns)] = recorder.passed
    assert 0 < passed_ns < at_ns


def test_a_gate_closed_from_the_start_never_passed() -> None:
    """The first turn is a blocked one, after no checks and no pass."""
    engine, recorder = rig()
    engine.run(engine.agent.engage, *TICKS[:4])
    assert recorder.turns == [("blocked", "engaged", 0)]
    assert recorder.passed[0][0] == 0


def test_another_reason_is_another_turn() -> None:
    """The record tells a lease that ran out from the SET that came afterwards."""
    engine, recorder = rig()

    def lapse() -> None:
        engine.agent.engage()
        engine.agent.gate.code = Code.LEASE_EXPIRED

    engine.run(TICKS[0], lapse, *TICKS[1:3], engine.agent.engage, TICKS[3])
    assert [turn[1:] for turn in recorder.turns[1:]] == [("lease_expired", 1), ("engaged", 3)]


def test_an_order_blocked_at_gate_2_is_on_record() -> None:
    """With its name and the reason, beside those that left."""
    engine, recorder = rig(REST)
    engine.strategy.before_signal = engine.agent.engage
    engine.run(*TICKS[:2])
    assert recorder.refusals == [("e1.1", "stale_signal")]
    assert recorder.orders == []


def test_turns_and_refusals_are_lines_of_the_file(tmp_path: Path) -> None:
    """Each with its times and counts; the recorder that keeps nothing takes the same calls."""
    path = tmp_path / "events.jsonl"
    with JsonLinesRecorder(path, "e1") as recorder:
        for each in (recorder, Recorder()):
            each.opened(5, 2, 0)
            each.blocked(9, "engaged", 3, 8)
            each.refused(ORDER, 7, "stale_signal")
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"event": "opened", "engine": "e1", "at_ns": 5, "epoch": 2, "checks": 0},
        {"event": "blocked", "engine": "e1", "at_ns": 9, "code": "engaged", "checks": 3, "passed_ns": 8},
        {"event": "refused", "engine": "e1", "order_id": "e1.7", "check_ns": 7, "code": "stale_signal"},
    ]
