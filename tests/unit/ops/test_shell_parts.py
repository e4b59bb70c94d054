"""Small parts of the shell: durations as typed, JSON as printed, verdicts, the line for another host."""

from __future__ import annotations

import importlib
import json
import math

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import Mode, Outcome, Standing, Verdict, quick
from killswitch.core.proof import SinkFence
from ops.cli import COMMANDS, cli
from ops.console import plain
from ops.exit_codes import Exit
from ops.options import parse_span
from ops.pressing import durability_text, redis_cli_line
from ops.proving import outcome_object, pending_lines, verdict_lines
from ops.render import Paint, brief
from tests.unit.ops.pictures import member

PLAIN = Paint(False)


@given(st.integers(1, 300 * 86400))
def test_a_duration_that_is_shown_is_read_back(seconds: int) -> None:
    """`--for` takes what is printed."""
    assert parse_span(brief(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "8", "h", "8x", "1m1h", "1h1h", "-1h", "1.5h", "8h ", "٣h", "8H"])
def test_other_forms_are_no_duration(text: str) -> None:
    """Nothing is guessed: a bare number has no unit, an odd order is a typing error."""
    assert parse_span(text) is None


def test_plain_makes_what_json_has() -> None:
    """Objects, lists, texts and finite numbers; what JSON lacks becomes null."""
    found = plain(member(info={"ticks": 10, "rate": math.nan, "note": "\x1b[2J"}, orders=("c-1",)))
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["info"] == {"ticks": 10, "rate": None, "note": "\x1b[2J"}
    assert "\x1b" not in text
    assert plain([Mode.SAFE, True, 1.23456]) == ["SAFE", True, 1.235]


def test_exit_codes_are_distinct_and_explained() -> None:
    """The numbers that scripts rely on."""
    assert {code.name: int(code) for code in Exit} == {
        "DONE": 0,
        "REFUSED": 1,
        "USAGE": 2,
        "UNCERTAIN": 3,
        "FENCED": 4,
        "FAILED": 5,
        "VIOLATED": 6,
        "UNSEALED": 7,
        "PENDING": 8,
        "UNREACHABLE": 69,
        "INTERNAL": 70,
        "UNWRITTEN": 74,
        "INTERRUPTED": 130,
    }
    assert all(code.meaning.endswith(".") for code in Exit)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_is_there_and_explains_itself(verb: str) -> None:
    """Each has its own file, a help text with an example, and the short text of the list agrees that it exists."""
    module = importlib.import_module(f"ops.commands.{verb}")
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    assert command in vars(module).values()
    assert command.help


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("redis://h:1/0", "redis-cli -h h -p 1 SET ks:state 'ENGAGED x'"),
        ("redis://u:secret@h/3", "redis-cli -h h -p 6379 -n 3 --user u --askpass SET ks:state 'ENGAGED x'"),
        ("rediss://h", "redis-cli -h h -p 6379 --tls SET ks:state 'ENGAGED x'"),
        ("rediss+sentinel://s:1/m/0", "redis-cli -h '<master m>' --tls SET ks:state 'ENGAGED x'"),
        ("unix:///tmp/s?db=2", "redis-cli -s /tmp/s -n 2 SET ks:state 'ENGAGED x'"),
        ("redis+sentinel://s:1,t:2/m/0", "redis-cli -h '<master m>' SET ks:state 'ENGAGED x'"),
    ],
)
def test_the_line_for_elsewhere_fits_the_address(url: str, line: str) -> None:
    """It can be pasted, and never holds a password."""
    target = quick.read_target({"KILLSWITCH_REDIS_URL": url, "KILLSWITCH_PREFIX": "ks"})
    assert redis_cli_line(target, None, " x ") == line


def test_durability_is_never_called_more_than_it_is() -> None:
    """Only fsync always or a replica that confirmed counts as durable."""

    class Found:
        def __init__(self, aof: str, replicas: int | None, acknowledged: int) -> None:
            self.aof, self.replicas, self.acknowledged = aof, replicas, acknowledged
            self.durable = aof == "always" or acknowledged > 0

    assert durability_text(Found("always", 1, 1)) == ("on disk (fsync always), 1 of 1 replica", True)
    assert durability_text(Found("off", 2, 0)) == ("NOT durable: kept in memory only, 0 of 2 replicas", False)
    text, durable = durability_text(Found("everysec", None, 0))
    assert (text.startswith("NOT durable"), durable) == (True, False)
    assert durability_text(None)[1] is False


def _uncertain(**changes: object) -> Outcome:
    fields = {"verdict": Verdict.UNCERTAIN, "epoch": 8, "scope": "switch", "was": "SAFE", "state": "ENGAGED x"}
    return Outcome(**{**fields, "actor": "a", "reason": "x", "waited_ms": 500.0, **changes})  # type: ignore[arg-type]


def test_an_uncertain_end_says_what_the_leases_mean() -> None:
    """Run out: closed, but orders may be on their way. Running: until when. Run out, but nobody knows whether the stop
    still stands: no word of closed gates. Said closed: look for the orders."""
    silent = member("w9", beat_age_ms=5000, in_flight=1, orders=("c-1", "c-2"))
    told = " ".join(verdict_lines(_uncertain(members=(silent,), pending=(silent,), leases_out=True), PLAIN))
    assert "1 of 1 worker not proved quiet" in told
    assert "w9 (eurusd): last words 5.0 s ago: gate OPEN, epoch 7, 1 order in flight" in told
    assert "c-1, c-2" in told
    assert "Every lease has run out" in told
    told = " ".join(verdict_lines(_uncertain(members=(silent,), pending=(silent,), lease_bound_ms=1112), PLAIN))
    assert "Leases may still run" in told
    assert "(612 ms from now)" in told
    told = " ".join(verdict_lines(_uncertain(members=(silent,), pending=(silent,), lease_bound_ms=400), PLAIN))
    assert "somebody may have permitted trading meanwhile" in " ".join(told.split())
    assert "no gate is open" not in told
    closed = member("w9", closed=True, epoch=8, in_flight=1)
    told = " ".join(verdict_lines(_uncertain(members=(closed,), pending=(closed,), lease_bound_ms=1112), PLAIN))
    assert "say that their gates are closed" in told


def test_a_fenced_end_names_the_sinks_and_what_may_still_be_there() -> None:
    """Which fence refuses whose orders, and that one which had arrived before is not undone by it."""
    frozen = member("w9", beat_age_ms=5000, in_flight=1, orders=("c-1",), sinks=("venue/e1", "other/x"))
    stands = Standing("w9", True, (SinkFence("venue/e1", 8), SinkFence("other/x", 9)), "")
    outcome = _uncertain(
        verdict=Verdict.FENCED, members=(member("w1"), frozen), pending=(frozen,), fences=(stands,), leases_out=True
    )
    lines = verdict_lines(outcome, PLAIN)
    told = " ".join(" ".join(lines).split())
    assert lines[0].startswith(
        "FENCED  1 of 2 workers not proved quiet, but fenced, 500 ms after the engagement, epoch 8"
    )
    assert "venue/e1 refuses epochs below 8, other/x refuses epochs below 9" in told
    assert "may work there: look for it" in told
    assert max(map(len, lines)) <= 100
    found = outcome_object(outcome)
    assert found["verdict"] == "FENCED"
    assert found["fences"][0] == {
        "worker_id": "w9",
        "fenced": True,
        "fences": [{"sink": "venue/e1", "fence": 8}, {"sink": "other/x", "fence": 9}],
        "missing": "",
    }


def test_what_is_missing_for_a_fence_is_said_of_each_worker() -> None:
    """The operator learns what to mend, of whom; a crowd is cut where the screen ends, and that is said."""
    crowd = tuple(member(f"w{n}") for n in range(60))
    stands = tuple(Standing(m.worker_id, False, (), "it names no sink\x1b[2J") for m in crowd)
    lines = verdict_lines(_uncertain(members=crowd, pending=crowd, fences=stands), PLAIN)
    assert sum("not fenced: it names no sink" in line for line in lines) == 50
    assert "  and 10 more; --output json names them all" in lines
    assert not any("\x1b" in line for line in lines)


def test_a_worker_whose_words_are_gone_is_named() -> None:
    """A membership without a hash is told as such, with its age."""
    assert "its last words are gone" in pending_lines(member("w1", known=False, beat_age_ms=4000))[0]
