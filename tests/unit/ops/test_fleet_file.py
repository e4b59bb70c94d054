"""fleet.toml: read and checked as a whole, every violation with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.launching.fleet_file import FleetFileError, load_fleet
from workers.spec import ReplaySpec

ROOT = Path(__file__).parents[3]
GOOD = '[[engine]]\nname = "a"\nsymbol = "EURUSD"\n'


def write(folder: Path, text: str | bytes) -> Path:
    """A fleet file with this text."""
    path = folder / "fleet.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def violations(folder: Path, text: str | bytes) -> tuple[str, ...]:
    """What is wrong with a file of this text."""
    with pytest.raises(FleetFileError) as caught:
        load_fleet(write(folder, text))
    return caught.value.violations


def test_the_example_that_is_shipped_is_valid() -> None:
    """What people copy works."""
    found = load_fleet(ROOT / "examples" / "fleet.toml").fleet
    assert [engine.name for engine in found.engine] == ["eurusd-1"]
    assert (found.expected, found.queue, found.engine[0].broker) == (1, "engines", "paper")


def test_least_file_has_sensible_defaults(tmp_path: Path) -> None:
    """Name and symbol are enough: a paced synthetic market, a worker for each engine."""
    loaded = load_fleet(write(tmp_path, GOOD + GOOD.replace('"a"', '"b"')))
    assert loaded.fleet.expected == 2
    assert loaded.fleet.preflight.strict is False
    feed = loaded.fleet.engine[0].feed
    assert (feed.kind, feed.speed, feed.lead) == ("synthetic", 10, 2000)
    assert len(loaded.sha256) == 64


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    """Workers run elsewhere, so what they get is absolute; an absolute path stays."""
    text = GOOD + 'events = "logs/a.jsonl"\nfeed = { kind = "replay", files = ["ticks.zip", "/data/t.zip"] }\n'
    engine = load_fleet(write(tmp_path, text)).fleet.engine[0]
    assert engine.events == str(tmp_path / "logs/a.jsonl")
    assert isinstance(engine.feed, ReplaySpec)
    assert engine.feed.files == (str(tmp_path / "ticks.zip"), "/data/t.zip")


def test_every_violation_is_told_with_its_place_at_once(tmp_path: Path) -> None:
    """Rules of fields, misspelt settings, and rules between engines, in the order of the file."""
    text = """
worker = 3
workers = 1
timeout_s = "soon"
[preflight]
skip = ["replica"]
[[engine]]
name = "a b"
symbol = "EURUSD"
feed = { kind = "synthetic", speed = "fast" }
[[engine]]
name = "x"
symbl = "EURUSD"
max_position = 10
[[engine]]
name = "x"
symbol = "EURUSD"
scopes = ["nonsense"]
strategy = "luck"
"""
    found = violations(tmp_path, text)
    for line, part in zip(
        found,
        (
            "worker: there is no such setting; did you mean 'workers'?",
            "workers: 1 for 3 engines",
            "timeout_s: 'soon' is not a number: write a number",
            "preflight.skip: there is no check 'replica'",
            "engine 1 (a b), name: 'a b' is not of the right form: write 1 to 64 letters, digits",
            "engine 1 (a b), feed.speed: 'fast' is not 'max' and is not a number: write 'max' or a number",
            "engine 2 (x), symbl: there is no such setting; did you mean 'symbol'?",
            "engine 2 (x), max_position: 10 is below one entry of 1000",
            "engine 2 (x), symbol: it is missing: write one",
            "engine 3 (x), name: 'x' stands 2 times: each name runs once",
            "engine 3 (x), scopes.0: scope 'nonsense' is not of the form",
            "engine 3 (x), strategy: 'luck' is not 'mean-reversion'",
        ),
        strict=True,
    ):
        assert line.startswith(part), (part, found)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "engine: there is none: write a table [[engine]] for each, with at least name = "),
        ("engine = []", "engine: "),
        ("engine = 7", "engine: "),
        ("engine = [7]", "engine 1: "),
        ("a = ", "it is no TOML: "),
        ("a = " + "[" * 5000, "it is nested too deeply"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"#" * 1_000_001, "longer than"),
        (
            GOOD + 'events = "e"\n' + GOOD.replace('"a"', '"b"') + 'events = "e"\n',
            "engine 2 (b), events: 'e' stands 2 times",
        ),
    ],
)
def test_what_is_no_fleet_is_refused_in_one_line(text: str | bytes, part: str, tmp_path: Path) -> None:
    """No traceback, whatever the file is."""
    found = violations(tmp_path, text)
    assert any(part in line for line in found), found


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path: Path) -> None:
    """Named by what the system says."""
    for path, part in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(FleetFileError, match=part):
            load_fleet(path)


words = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def toml(value: object) -> str:
    """A value as TOML writes it; None has no form."""
    if isinstance(value, dict):
        parts = (f"{toml(name)} = {toml(item)}" for name, item in value.items() if item is not None)
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value if item is not None) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value if not 0xD800 <= ord(char) < 0xE000) + '"'
    return str(value) if "e" not in str(value) and "inf" not in str(value) else "0"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["engine", "workers", "preflight", "rehearsal", "queue", "x"]), words))
def test_any_toml_is_a_fleet_or_one_error(tmp_path: Path, document: dict[str, object]) -> None:
    """Whatever somebody wrote there, it is told and never raised."""
    lines = (f"{name} = {toml(value)}" for name, value in document.items() if value is not None)
    path = write(tmp_path, "\n".join(lines))
    found: tuple[str, ...] = ("none",)
    try:
        load_fleet(path)
    except FleetFileError as error:
        found = error.violations
    assert found
    assert all(line.strip() for line in found)
