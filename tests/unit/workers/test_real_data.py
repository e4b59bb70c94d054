"""The feeds and the engine on recorded market data: every row accounted for, with the figures known of these files.

The files are looked for in the folder of the environment variable KILLSWITCH_TEST_DATA, by default `../shared/data`
beside the repository.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.workers.doubles import ScriptedAgent
from tests.unit.workers.feed.files import all_ticks
from workers.broker import GuardedBroker, PaperBroker
from workers.domain import Tick
from workers.engine import Engine
from workers.feed import ReplayFeed
from workers.report import EngineReport
from workers.strategy import MeanReversion

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("KILLSWITCH_TEST_DATA") or ROOT.parent / "shared" / "data")

FXCM = "fxcm-eurusd-2014-05/20140508_quote.zip"
OANDA = "oanda-xauusd-2014-05/20140502_quote.zip"
SPOT = "binance-ws-2024-08-08/spot-btcusdt_20240808.gz"


def recorded(name: str) -> Path:
    """The file, or a skip with the reason."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set KILLSWITCH_TEST_DATA to the folder that holds it")
    return path


def utc(time_ns: int) -> str:
    """Seconds of a tick's time, for people."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def fall_bp(ticks: Sequence[Tick], clock: str) -> float:
    """How far the mid price fell within the 5 minutes from `clock` on, in hundredths of a percent."""
    begin_s = datetime.fromisoformat(f"{clock}+00:00").timestamp()
    rest = [tick for tick in ticks if tick.time_ns >= begin_s * 1e9]
    mids = [(tick.bid + tick.ask) / 2 for tick in rest if tick.time_ns <= rest[0].time_ns + 300_000_000_000]
    return (mids[0] - min(mids)) / mids[0] * 10_000


def test_an_fxcm_day_is_read_on_its_own_clock() -> None:
    """The fall at the ECB's press conference of 2014-05-08 shows where it was: from 12:50:34 UTC, 57 bp in 5 min."""
    feed = ReplayFeed([recorded(FXCM)])
    ticks = all_ticks(feed)
    assert feed.counts.as_dict() == {"rows": 167_466, "ticks": 149_181, "bad": {"crossed": 18_285}, "skipped": {}}
    assert (utc(ticks[0].time_ns), utc(ticks[-1].time_ns)) == ("2014-05-08 05:00:17", "2014-05-09 04:59:59")
    assert fall_bp(ticks, "2014-05-08 12:50:34") == pytest.approx(57, abs=1)


def test_an_oanda_day_is_read_in_utc() -> None:
    """The fall at the US payrolls of 2014-05-02 shows where it was: from 12:25:09 UTC, 96 bp in 5 min."""
    feed = ReplayFeed([recorded(OANDA)])
    ticks = all_ticks(feed)
    assert feed.counts.as_dict() == {"rows": 265_015, "ticks": 265_015, "bad": {}, "skipped": {}}
    assert {tick.symbol for tick in ticks} == {"XAUUSD"}
    assert fall_bp(ticks, "2014-05-02 12:25:09") == pytest.approx(96, abs=1)


def test_a_binance_capture_gives_its_quotes_and_names_the_rest() -> None:
    """Every message is a quote or a stream that was skipped by name; none is bad."""
    feed = ReplayFeed([recorded(SPOT)])
    ticks = all_ticks(feed)
    assert feed.counts.as_dict() == {
        "rows": 41_249,
        "ticks": 28_040,
        "bad": {},
        "skipped": {"depth": 3_451, "snapshot": 1, "trade": 9_757},
    }
    assert {tick.symbol for tick in ticks} == {"BTCUSDT"}
    assert utc(ticks[0].time_ns) == "2024-08-08 23:54:14"


@pytest.mark.parametrize("path", sorted(DATA.glob("*/*_*.*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_recorded_file_is_recognised(path: Path) -> None:
    """Whatever form, before anything is replayed."""
    (recording,) = ReplayFeed([path]).recordings
    venue = path.parent.name.split("-")[0]
    assert recording.form.startswith("binance capture" if venue == "binance" else f"lean {venue}")


def trade(path: Path, *, engaged: bool = False) -> EngineReport:
    """A run of the reference strategy over a recorded file."""
    agent = ScriptedAgent()
    if engaged:
        agent.engage()
    broker = GuardedBroker(PaperBroker(), agent.gate, lambda: True)
    return asyncio.run(
        Engine("e1", feed=ReplayFeed([path]), strategy=MeanReversion(), broker=broker, agent=agent).run()
    )


@pytest.mark.parametrize("name", [FXCM, SPOT])
def test_the_reference_strategy_trades_on_a_recorded_market(name: str) -> None:
    """Every tick is seen, orders go out and fill, and the position stays within its limit."""
    report = trade(recorded(name))
    assert report.ticks == report.feed["ticks"]
    assert report.orders > 100
    assert report.fills > 50
    assert all(abs(held.quantity) <= 5_000 for held in report.positions.values())


def test_engaged_from_the_start_blocks_every_recorded_tick() -> None:
    """All seen, all blocked, no order."""
    report = trade(recorded(SPOT), engaged=True)
    assert (report.ticks, report.blocked_signals, report.orders) == (28_040, {"engaged": 28_040}, 0)
