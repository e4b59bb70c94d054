"""Measuring the line: who announces too late is found, who announces in time is not blamed."""

from __future__ import annotations

import pytest

from killswitch import StoreUnavailable
from killswitch.clock import now_ns
from killswitch.core.endpoint import parse_url
from killswitch.store import probe
from killswitch.store.keys import Keys
from killswitch.store.probe import ClockProbe, measure_pushes, measure_replicas, measure_trips, probe_key, try_write
from killswitch.store.wire import refusal
from tests.support.announcer import Announcer

KEYS = Keys("ks")
MICRO = 1000


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost that comes at all."""
    monkeypatch.setattr(probe, "_LOST_S", 20.0)


@pytest.mark.usefixtures("patient")
def test_announcement_behind_the_answer_is_counted_as_late() -> None:
    """The very fault of a server with several threads: +OK is here, and a check would still pass."""
    with Announcer("answer first", delay_s=0.02) as server:
        found = measure_pushes(parse_url(server.url), "ks:preflight:1", "auto", 20.0, 0.4)
    assert found.rung == "bcast"
    assert 0 < found.late <= found.rounds
    assert found.worst_us > 0
    assert found.lost == 0


@pytest.mark.usefixtures("patient")
def test_announcement_before_the_answer_is_in_time() -> None:
    """The order that P2 rests on."""
    with Announcer("push first") as server:
        found = measure_pushes(parse_url(server.url), "ks:preflight:1", "auto", 20.0, 0.4)
        assert server.keys == {b"ks:preflight:1"}
    assert (found.late, found.lost) == (0, 0)
    assert found.rounds > 0


def test_announcement_that_never_comes_is_lost_and_ends_the_measurement() -> None:
    """A proxy that swallows announcements is not waited for three hundred times."""
    with Announcer("answer only") as server:
        found = measure_pushes(parse_url(server.url), "ks:preflight:1", "bcast", 2.0, 5.0)
    assert (found.rounds, found.late, found.lost) == (1, 1, 1)


class Clocked:
    """A caller whose server's clock runs `rate` times as fast as ours."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._zero_ns = now_ns()
        self.sent: list[tuple[str | bytes | int, ...]] = []

    def call(self, *args: str | bytes | int) -> object:
        self.sent.append(args)
        micros = 1_700_000_000_000_000 + int((now_ns() - self._zero_ns) * self._rate) // MICRO
        return [str(micros // 1_000_000).encode(), str(micros % 1_000_000).encode()]

    def call_many(self, commands: object) -> list[object]:
        raise AssertionError(commands)


@pytest.mark.parametrize("rate", [1.0, 1.2, 0.8])
def test_clock_that_runs_fast_or_slow_is_found_within_the_error_that_is_told(rate: float) -> None:
    """The rate is right to within the stated error, however slow this machine is."""
    found = ClockProbe(Clocked(rate)).finish(0.05)
    assert found.stretch_ms >= 50
    assert abs(found.rate - (rate - 1)) <= found.error * max(rate, 1)


def test_clock_of_a_server_that_answers_nonsense_is_no_clock() -> None:
    """Replies out of step end the measurement instead of giving a figure."""

    class Odd(Clocked):
        def call(self, *args: str | bytes | int) -> object:
            return b"PONG"

    with pytest.raises(StoreUnavailable, match="TIME was answered"):
        ClockProbe(Odd(1.0))


class Refusing:
    """A caller that refuses everything in these words."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.calls = 0

    def call(self, *_: str | bytes | int) -> object:
        self.calls += 1
        raise refusal(self._text)

    def call_many(self, commands: object) -> list[object]:
        raise AssertionError(commands)


def test_refused_write_is_told_and_not_raised() -> None:
    """Why nobody could engage is a finding."""
    found = try_write(Refusing("OOM command not allowed when used memory > 'maxmemory'"), "ks:preflight:1")
    assert found is not None
    assert str(found.code) == "redis_oom"


def test_trips_end_in_time_and_count_refusals_as_trips() -> None:
    """A far server is not asked two hundred times."""
    caller = Refusing("NOPERM")
    found = measure_trips(caller, KEYS, True, 0.0)
    assert (found.count, caller.calls) == (1, 1)
    assert found.p50_us <= found.p99_us <= found.worst_us


def test_replicas_that_may_not_be_asked_are_unknown() -> None:
    """WAIT refused is not "none follows"."""

    class Halfway(Refusing):
        def call(self, *args: str | bytes | int) -> object:
            return b"OK" if args[0] == "SET" else super().call(*args)

    assert measure_replicas(Halfway("NOPERM wait"), "ks:preflight:1", 2, 1.0).acknowledged is None


def test_probe_key_is_nothing_that_a_gate_listens_to() -> None:
    """It lies outside of what workers track, and is another one each time."""
    assert probe_key(KEYS) != probe_key(KEYS)
    assert probe_key(KEYS).startswith("ks:preflight:")
    assert not probe_key(KEYS).startswith(KEYS.state)
