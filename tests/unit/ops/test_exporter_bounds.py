"""Engines and the record as samples; what is kept out of a scrape, and what remains when Redis is away."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from killswitch import Code, DrillNews, DrillRecord, Observation, StoreRefused, StoreUnavailable, clock
from ops.exporter import collector
from ops.exporter.collector import Scraper
from ops.exporter.engines import EDGES, ENGINES_MAX
from ops.exporter.fleet import VERSIONS_MAX, WORKERS_MAX
from ops.exporter.page import LABEL_MAX, label
from ops.exporter.switch import SCOPES_MAX
from tests.support.scrapes import parse
from tests.support.waiting import eventually
from tests.unit.ops.pictures import engaged, member, state, status
from tests.unit.ops.scraping import drill, entry, news, proof, scraped
from workers.histogram import Histogram
from workers.latency import latency_text

# -- engines --------------------------------------------------------------------------------------------------------


def test_latencies_become_histograms_that_count_every_value() -> None:
    """Every bucket holds all values below its edge, and sum and count are exact."""
    histogram = Histogram()
    values = [0, 100, 255, 256, 1000, 5_000_000, 2**30 - 1, 2**30, 10**12]
    histogram.record_all(values)
    info = {"latency": latency_text({"tick": histogram}), "ticks": 12}
    found = scraped(members=(member("a", engine="e", info=info),))
    assert found["killswitch_engine_events_total{engine=e,event=ticks}"] == 12
    for edge in EDGES:
        expected = sum(value < round(float(edge) * 1e9) for value in values)
        (sample,) = [s for s in found.of("killswitch_engine_latency_seconds_bucket") if s.labels["le"] == edge]
        assert sample.value == expected, edge
    assert found["killswitch_engine_latency_seconds_bucket{le=+Inf}"] == len(values)
    assert found["killswitch_engine_latency_seconds_count"] == len(values)
    assert found["killswitch_engine_latency_seconds_sum"] == pytest.approx(sum(values) / 1e9)


@pytest.mark.parametrize(
    "info",
    [
        {"latency": 7, "ticks": "many"},
        {"latency": "tick 1 2:3:4", "ticks": -1},
        {"latency": "other 1 2:3", "ticks": True},
        {"latency": "tick 99999999999999999999 2:3", "ticks": 2**70},
        {"latency": "tick 1 2:3" * 100_000, "ticks": 1.5},
    ],
)
def test_nonsense_that_an_engine_tells_is_no_sample(info: dict[str, Any]) -> None:
    """Anybody may have written there: the scrape stays readable and shows nothing made up."""
    found = scraped(members=(member("a", info=info),))
    assert not found.has("killswitch_engine_events_total")
    assert not found.has("killswitch_engine_latency_seconds_count")


# -- the record -----------------------------------------------------------------------------------------------------


def test_changes_are_counted_by_way_and_outcome_over_many_scrapes() -> None:
    """Each entry counts once; every series is there from the beginning, so that its first increase is seen."""
    looks = [
        news(entry(1), entry(2, via="command", after="SAFE (for 60 s)"), anew=True),
        news(entry(3), entry(4, via="a stranger", after="REDUCING")),
        None,
        news(entry(5, scope="a:1", after="(absent)"), entry(6, after="(absent)")),
    ]
    scraper = Scraper(lambda _: Observation(status(), looks.pop(0)))
    first, second, third, fourth = (parse(scraper.scrape()) for _ in range(4))
    assert first["killswitch_changes_total{via=raw,mode=ENGAGED}"] == 1
    assert first["killswitch_changes_total{via=command,mode=SAFE}"] == 1
    assert first["killswitch_changes_total{via=expiry,mode=ENGAGED}"] == 0
    assert second["killswitch_changes_total{via=raw,mode=ENGAGED}"] == 2
    assert second["killswitch_changes_total{via=other,mode=REDUCING}"] == 1
    assert third["killswitch_record_readable"] == 0
    assert not third.has("killswitch_changes_total")
    assert fourth["killswitch_changes_total{via=raw,mode=ENGAGED}"] == 3, "an absent switch stops"
    assert fourth["killswitch_changes_total{via=raw,mode=SAFE}"] == 1, "an absent scope follows the switch"


def test_waits_for_a_proof_are_a_histogram_by_how_they_ended() -> None:
    """How long stops took, over all that are on record; what is none of the three verdicts is not counted."""
    looks = [news(proof(waited_ms=5), proof(waited_ms=6), proof("UNCERTAIN", 5200), anew=True)]
    looks += [news(proof(waited_ms=7), proof("MAYBE"), proof(waited_ms=-1))]
    scraper = Scraper(lambda _: Observation(status(), looks.pop(0)))
    scraper.scrape()
    found = parse(scraper.scrape())
    assert found["killswitch_proof_duration_seconds_count{verdict=QUIET}"] == 3
    assert found["killswitch_proof_duration_seconds_sum{verdict=QUIET}"] == pytest.approx(0.018)
    assert found["killswitch_proof_duration_seconds_bucket{verdict=QUIET,le=0.005}"] == 1
    assert found["killswitch_proof_duration_seconds_bucket{verdict=QUIET,le=0.01}"] == 3
    assert found["killswitch_proof_duration_seconds_bucket{verdict=UNCERTAIN,le=5.0}"] == 0
    assert found["killswitch_proof_duration_seconds_count{verdict=UNCERTAIN}"] == 1
    assert found["killswitch_proof_duration_seconds_count{verdict=FENCED}"] == 0


def test_unsealed_entries_are_told_where_they_can_be_counted() -> None:
    """No number stands for "not readable"."""
    assert scraped(news(unsealed=3, anew=True))["killswitch_record_unsealed"] == 3
    assert not scraped(news(unsealed=None, anew=True)).has("killswitch_record_unsealed")


def test_counts_begin_anew_with_a_record_that_does() -> None:
    """A record that was replaced is counted from its beginning: Prometheus takes that for a restart."""
    looks = [news(entry(1), entry(2), anew=True), news(entry(1), anew=True)]
    scraper = Scraper(lambda _: Observation(status(), looks.pop(0)))
    scraper.scrape()
    assert parse(scraper.scrape())["killswitch_changes_total{via=raw,mode=ENGAGED}"] == 1


def test_drills_are_counted_and_the_last_one_is_told() -> None:
    """How often the line was tested and how that ended, how long it took, and how the last one went."""
    looks = [
        DrillNews((drill(), drill("MISSED", 800_000, acknowledged=3)), True),
        DrillNews((drill(max_us=900),), False),
    ]
    last = drill("MISSED", 800_000, acknowledged=3)
    scraper = Scraper(lambda _: Observation(status(last_drill=last), None, looks.pop(0)))
    scraper.scrape()
    found = parse(scraper.scrape())
    assert found["killswitch_drills_total{verdict=PASSED}"] == 2
    assert found["killswitch_drills_total{verdict=MISSED}"] == 1
    assert found["killswitch_drills_total{verdict=CUT_SHORT}"] == 0
    assert found["killswitch_drill_duration_seconds_bucket{le=0.001}"] == 1
    assert found["killswitch_drill_duration_seconds_bucket{le=0.005}"] == 2
    assert found["killswitch_drill_duration_seconds_sum"] == pytest.approx(0.8051)
    assert found["killswitch_last_drill_verdict{verdict=MISSED}"] == 1
    assert found["killswitch_last_drill_verdict{verdict=PASSED}"] == 0
    assert found["killswitch_last_drill_timestamp_seconds"] == 1055.5
    assert found["killswitch_last_drill_missing_workers"] == 1
    assert found["killswitch_last_drill_duration_seconds"] == 0.8
    assert found["killswitch_last_drill_bound_seconds"] == 1.112


@pytest.mark.parametrize("last", [None, drill("NONSENSE"), drill(at_ms=-1)])
def test_without_a_last_drill_nothing_is_told_of_one(last: DrillRecord | None) -> None:
    """Nor of an entry that somebody wrote there by hand."""
    assert not any(item.name.startswith("killswitch_last_drill") for item in scraped(last_drill=last).samples)


# -- bounds and hostile text ----------------------------------------------------------------------------------------


def test_more_than_there_is_room_for_is_counted_and_trouble_is_shown_first() -> None:
    """Thousands of invented workers, scopes and versions do not push out what an alert must name."""
    crowd = [member(f"w{n:05}", version=f"v{n}", engine=f"e{n}", info={"latency": "tick 1 9:1"}) for n in range(1500)]
    scopes = [state(scope=f"a:{n:05}") for n in range(700)]
    found = scraped(
        members=(*crowd, member("zz", beat_age_ms=99_999)),
        scopes=(*scopes, engaged(scope="z:last")),
        left_out=7,
    )
    left_out = {item.labels["what"]: item.value for item in found.of("killswitch_left_out")}
    assert left_out == {
        "scopes": 701 - SCOPES_MAX + 7,
        "workers": 1501 - WORKERS_MAX,
        "versions": 1501 - VERSIONS_MAX,
        "engines": WORKERS_MAX - 1 - ENGINES_MAX,
        "same": 0,
    }
    assert len(found.of("killswitch_worker_state")) == WORKERS_MAX
    assert len(found.of("killswitch_engine_latency_seconds_count")) == ENGINES_MAX
    assert len(found.of("killswitch_workers_by_version")) == VERSIONS_MAX
    assert len(found.of("killswitch_epoch")) == SCOPES_MAX + 1
    assert found["killswitch_worker_state{worker=zz,state=silent}"] == 1
    assert found["killswitch_mode{scope=z:last,mode=ENGAGED}"] == 1
    assert found["killswitch_workers{state=open}"] == 1500
    assert len(found.samples) < 40_000


def test_hostile_text_is_one_printable_line_and_never_breaks_the_scrape() -> None:
    """Line breaks, quotes, escapes and megabytes in what somebody wrote into Redis stay labels."""
    hostile = 'x"} 1\nkillswitch_up 0\n\x1b[2J\\' + "y" * 1_000_000
    found = scraped(
        members=(member(hostile, engine=hostile, host=hostile, version=hostile, rung=hostile),),
        switch=engaged(why=hostile, actor=hostile, via=hostile),
    )
    assert found["killswitch_up"] == 1
    for sample in found.samples:
        for text in sample.labels.values():
            assert text.isprintable()
            assert len(text) <= 2 * LABEL_MAX
    assert len(found.text) < 40_000


def test_two_that_look_the_same_after_cleaning_are_one_series() -> None:
    """The same series twice would make Prometheus refuse the scrape."""
    long = "w" * LABEL_MAX
    found = scraped(members=(member(f"{long}1"), member(f"{long}2")))
    assert len(found.of("killswitch_worker_state")) == 1
    assert found["killswitch_left_out{what=same}"] > 0
    keys = [(item.name, tuple(sorted(item.labels.items()))) for item in found.samples]
    assert len(keys) == len(set(keys))


def test_label_says_where_it_was_cut() -> None:
    """A cut label is not taken for a whole one."""
    assert label("a" * LABEL_MAX) == "a" * LABEL_MAX
    assert label("a" * (LABEL_MAX + 1)) == "a" * (LABEL_MAX - 1) + "…"


# -- Redis away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [StoreUnavailable(Code.NO_ANSWER, "silent"), StoreRefused(Code.REDIS_LOADING, "LOADING")]
)
def test_without_an_answer_nothing_of_before_is_shown(error: Exception) -> None:
    """No stale value: `up` is 0, and the rest is gone until Redis answers again."""
    looks: list[Observation | Exception] = [Observation(status(), None), error, Observation(status(), None)]

    def look(_: float) -> Observation:
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    scraper = Scraper(look)
    before, away, after = (parse(scraper.scrape()) for _ in range(3))
    assert (before["killswitch_up"], away["killswitch_up"], after["killswitch_up"]) == (1, 0, 1)
    own = {"killswitch_up", "killswitch_scrape_duration_seconds", "killswitch_scrape_failures_total"}
    assert set(away.families) == {*own, "killswitch_exporter_info"}
    assert sum(item.value for item in away.of("killswitch_scrape_failures_total")) == 1
    assert after.has("killswitch_mode")


def test_the_look_has_the_smaller_of_both_limits() -> None:
    """Prometheus may give less time than the exporter would take, never more."""
    limits: list[float] = []

    def look(limit_s: float) -> Observation:
        limits.append(limit_s)
        return Observation(status(), None)

    scraper = Scraper(look, 5.0)
    for asked in (None, 0.8, 60.0):
        scraper.scrape(asked)
    assert limits == [5.0, 0.8, 5.0]


def test_scrapes_at_the_same_time_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, Redis is asked once; a scrape that comes later gets a look of its own."""
    looks = times = 0
    under_way, go_on = threading.Event(), threading.Event()

    def look(_: float) -> Observation:
        nonlocal looks
        looks += 1
        under_way.set()
        assert go_on.wait(20)
        return Observation(status(), None)

    def now() -> int:
        nonlocal times
        times += 1
        return clock.now_ns()

    monkeypatch.setattr(collector, "now_ns", now)
    scraper = Scraper(look)
    done: list[object] = []
    threads = [threading.Thread(target=lambda: done.append(scraper.scrape())) for _ in range(8)]
    threads[0].start()
    assert under_way.wait(20)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: times == 1 + len(threads), timeout_s=20, why="all have asked, and one has begun to look")
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert (len(done), looks) == (8, 1)
    scraper.scrape()
    assert looks == 2
