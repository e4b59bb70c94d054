"""`killswitch-worker place`: an engine is placed once, and a mistake in its words is told by what was typed."""

from __future__ import annotations

from pathlib import Path

import fakeredis
import pytest
from click.testing import CliRunner, Result

from workers import queues, settings
from workers.__main__ import main
from workers.placement import Placement
from workers.roster import Place, Roster


@pytest.fixture(autouse=True)
def _queue(store: fakeredis.FakeStrictRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The queue's Redis is in this process, and no variable or `.env` of the machine is seen."""
    monkeypatch.chdir(tmp_path)
    for name in settings.WorkerSettings.model_fields:
        monkeypatch.delenv(f"WORKERS_{name.upper()}", raising=False)
    monkeypatch.setattr(queues, "connect", lambda *_args: store)
    monkeypatch.setattr(store, "close", lambda: None)


def place(*words: str) -> Result:
    """What `killswitch-worker place WORDS...` says."""
    return CliRunner().invoke(main, ["place", *words])


@pytest.mark.parametrize(
    ("at", "does"),
    [(Place.WAITING, "waits in its queue"), (Place.CLAIMED, "is being started")],
)
def test_an_engine_that_is_there_is_not_placed_once_more(
    at: Place, does: str, store: fakeredis.FakeStrictRedis
) -> None:
    """A second job would start when nobody thinks of it any more, so it is refused with what can be done."""
    assert place("eurusd-1").exit_code == 0
    (there,) = Roster(store).look()
    if at is Place.CLAIMED:
        Placement(store).take(queues.open_queue(store))
    again = place("eurusd-1")
    assert again.exit_code == 1
    assert f"engine eurusd-1 {does} already, as job {there.job_id}: `killswitch down --engine eurusd-1`" in again.stderr
    assert "--again" in again.stderr
    assert [one.job_id for one in Roster(store).look()] == [there.job_id]
    assert place("eurusd-2").exit_code == 0


def test_whoever_says_so_queues_an_engine_a_second_time(store: fakeredis.FakeStrictRedis) -> None:
    """One that is to run anew as soon as its first run has ended may be placed ahead."""
    place("eurusd-1")
    assert place("eurusd-1", "--again").exit_code == 0
    assert [one.engine for one in Roster(store).look()] == ["eurusd-1", "eurusd-1"]


def test_an_engine_that_was_taken_down_is_placed_anew(store: fakeredis.FakeStrictRedis) -> None:
    """Only what runs or waits is in the way; the record of an earlier run is not."""
    place("eurusd-1")
    (there,) = Roster(store).look()
    assert Roster(store).withdraw(there)
    assert place("eurusd-1").exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("e2", "--speed", "fast"), "--speed: 'fast' is not 'max' and is not a number: write 'max' or a number"),
        (("e2", "--speed", "5000"), "--speed: '5000' is not 'max' and is more than 1000: write 'max' or 1000 or less"),
        (
            ("a b",),
            "NAME: 'a b' is not of the right form: write 1 to 64 letters, digits and _ -, the first a letter",
        ),
        (("e2", "--scope", "x"), "--scope: scope 'x' is not of the form dimension:name"),
        ((), "NAME is missing: name the engine, as in `killswitch-worker place eurusd-1`"),
        (("e2", "--seed", "x"), "invalid value for '--seed': 'x' is not a valid integer"),
    ],
)
def test_a_mistake_is_one_line_by_the_word_that_was_typed(
    words: tuple[str, ...], told: str, store: fakeredis.FakeStrictRedis
) -> None:
    """The value, the rule and the remedy, in words of whoever typed it and not of a library; nothing is placed."""
    done = CliRunner().invoke(main, ["place", *words], prog_name="killswitch-worker")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"killswitch-worker: {told}")
    assert Roster(store).look() == ()


def test_a_command_that_there_is_not_is_told_with_the_nearest() -> None:
    """A slip of the finger costs one look."""
    done = CliRunner().invoke(main, ["plase"], prog_name="killswitch-worker")
    assert (done.exit_code, "there is no command 'plase'; did you mean place?" in done.stderr) == (2, True)
    assert CliRunner().invoke(main, ["place", "--help"]).exit_code == 0
