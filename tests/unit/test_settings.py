"""Settings: from every source, checked as a whole, all violations at once, and no secret in any text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import quick
from killswitch.core.watch import Timing
from killswitch.errors import SettingsError
from killswitch.settings import Settings
from killswitch.sources import default_actor


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No `.env` and no secrets but those of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KILLSWITCH_SECRETS_DIR", str(tmp_path / "secrets"))
    return tmp_path


def violations(**values: object) -> tuple[str, ...]:
    """What is wrong with these settings."""
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    return caught.value.violations


def test_defaults_are_valid_and_closed_by_design() -> None:
    """A worker without any setting reaches for a local Redis with the documented durations."""
    found = Settings()
    assert found.timing == Timing(1000, 250, 1000, 500)
    assert (found.prefix, found.rung, found.on_failover) == ("killswitch", "auto", "halt")
    assert str(found.endpoint) == "redis://localhost:6379/0"
    assert found.who == default_actor()
    assert "@" in found.who


def test_arguments_win_over_environment_over_file_over_secrets(
    empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First found wins, in the documented order."""
    secrets = empty_directory / "secrets"
    secrets.mkdir()
    (secrets / "killswitch_actor").write_text("from-secret\n")
    assert Settings().who == "from-secret"
    (empty_directory / ".env").write_text("KILLSWITCH_ACTOR=from-file\nOTHER=1\n")
    assert Settings().who == "from-file"
    monkeypatch.setenv("killswitch_actor", "from-environment")
    assert Settings().who == "from-environment"
    assert Settings(actor="from-argument").who == "from-argument"


def test_settings_are_frozen() -> None:
    """What was checked as a whole is not changed in parts."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().lease_ms = 10**9


def test_every_violation_is_shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of one field, rules between fields and unknown names come together, each with its value."""
    monkeypatch.setenv("KILLSWITCH_LEES_MS", "5")
    found = violations(
        redis_url="http://h", prefix="a b", lease_ms=900, renew_ms=400, patience_ms=600, beat_ms=1000, retain_ms=2000,
        rung="best", timeout_ms=1, actor="x" * 200, renew=3,
    )  # fmt: skip
    expected = [
        "KILLSWITCH_REDIS_URL: the Redis URL has the scheme 'http'",
        "KILLSWITCH_PREFIX='a b': must be",
        "KILLSWITCH_TIMEOUT_MS=1: input should be",
        "KILLSWITCH_RUNG='best': input should be",
        "KILLSWITCH_ACTOR=",
        "KILLSWITCH_RENEW_MS=400 is more than a third of KILLSWITCH_LEASE_MS=900",
        "KILLSWITCH_PATIENCE_MS=600 and KILLSWITCH_RENEW_MS=400 together exceed KILLSWITCH_LEASE_MS=900",
        "KILLSWITCH_RETAIN_MS=2000 is less than three beats (KILLSWITCH_BEAT_MS=1000)",
        "KILLSWITCH_LEES_MS is not a setting; did you mean KILLSWITCH_LEASE_MS?",
        "renew is not a setting; did you mean renew_ms?",
    ]
    assert len(found) == len(expected)
    assert all(any(line.startswith(start) for line in found) for start in expected), found


def test_rule_between_fields_is_not_tried_with_a_field_that_is_broken_itself() -> None:
    """No second complaint about the same value."""
    assert len(violations(lease_ms=1)) == 1
    assert len(violations(lease_ms="many", renew_ms=-1)) == 2


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ({"lease_ms": 300, "renew_ms": 100, "patience_ms": 200}, True),
        ({"lease_ms": 299, "renew_ms": 100, "patience_ms": 150}, False),
        ({"lease_ms": 300, "renew_ms": 100, "patience_ms": 201}, False),
        ({"beat_ms": 400, "retain_ms": 1200}, True),
        ({"beat_ms": 401, "retain_ms": 1200}, False),
        ({"lease_ms": "300", "renew_ms": "100", "patience_ms": "200"}, True),
    ],
)
def test_rules_between_durations_hold_to_the_millisecond(values: dict[str, object], valid: bool) -> None:
    """Three renewals fit into a lease, silence is noticed within it, three beats fit into the memory."""
    if valid:
        Settings(**values)
    else:
        assert len(violations(**values)) == 1


@pytest.mark.parametrize("prefix", ["killswitch", "{killswitch}", "desk-1:eu", "a:b:c:d", "x" * 64])
def test_prefix_of_the_right_form_is_taken(prefix: str) -> None:
    """Letters, digits, a few marks, colons between parts."""
    assert Settings(prefix=prefix).prefix == prefix


@pytest.mark.parametrize(
    "prefix", ["", ":", "a:", ":a", "a b", "a*", "a[b]", "state", "a:state", "a:b:c:d:e", "x" * 65, "a\n"]
)
def test_prefix_of_another_form_is_refused(prefix: str) -> None:
    """A wildcard, a space or a part called state would make keys that mean something else."""
    (line,) = violations(prefix=prefix)
    assert line.startswith("KILLSWITCH_PREFIX=")


@pytest.mark.parametrize("where", ["environment", "file", "argument"])
def test_misspelt_name_is_refused_wherever_it_was_written(
    where: str, empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A default in force where somebody meant to set something is the worst kind of setting."""
    if where == "environment":
        monkeypatch.setenv("KILLSWITCH_RENEWMS", "100")
    if where == "file":
        (empty_directory / ".env").write_text("# a comment\nexport KILLSWITCH_RENEWMS = 100\n")
    values = {"renewms": 100} if where == "argument" else {}
    (line,) = violations(**values)
    assert line.endswith("did you mean renew_ms?" if where == "argument" else "did you mean KILLSWITCH_RENEW_MS?")


def test_name_like_no_other_is_refused_without_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """No far-fetched suggestion."""
    monkeypatch.setenv("KILLSWITCH_QQQQQQQQQQQQQQQQ", "1")
    assert violations() == ("KILLSWITCH_QQQQQQQQQQQQQQQQ is not a setting; remove it",)


def test_names_of_others_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the product's own prefix is looked at."""
    monkeypatch.setenv("KILLSWITCHED", "1")
    monkeypatch.setenv("WORKERS_QUEUE_URL", "redis://x")
    Settings()


@pytest.mark.parametrize(
    "values",
    [
        {"redis_url": "redis://u:hunter2@h:port"},
        {"redis_url": "redis://:hunt/er2@h"},
        {"redis_url": 17, "redis_password": ["hunter2"]},
        {"redis_url": "redis://u:hunter2@h", "lease_ms": 1},
    ],
)
def test_password_is_in_no_violation(values: dict[str, object]) -> None:
    """Neither the separate one nor that of the URL, whichever rule is broken."""
    text = "\n".join(violations(**values))
    assert "hunt" not in text
    assert "er2" not in text


def test_password_is_in_no_representation(empty_directory: Path) -> None:
    """repr and str of settings and endpoint are safe to log."""
    secrets = empty_directory / "secrets"
    secrets.mkdir()
    (secrets / "killswitch_redis_password").write_text("hunter2\n")
    found = Settings(redis_url="redis://u@h")
    assert found.endpoint.password == "hunter2"
    for text in (repr(found), str(found), repr(found.endpoint), str(found.endpoint)):
        assert "hunter2" not in text
    assert "hunter3" not in repr(Settings(redis_url="redis://u:hunter3@h"))


def test_actor_without_a_login_name_is_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In many containers nobody has a name."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert default_actor().startswith(f"uid{os.getuid()}@")


NAMES = ["REDIS_URL", "REDIS_PASSWORD", "PREFIX", "ACTOR", "TIMEOUT_MS"]
VALUES = st.sampled_from(
    [
        "redis://h:1/2",
        "unix:///s",
        "http://x",
        "redis://u:pw@h",
        "desk:eu",
        "a b",
        "state",
        "alice",
        "500",
        "1",
        "x" * 150,
    ]
)
SOURCES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)


def _write(folder: Path, environment: dict[str, str], file: dict[str, str], secrets: dict[str, str]) -> None:
    (folder / ".env").write_text("".join(f"KILLSWITCH_{name}={json.dumps(value)}\n" for name, value in file.items()))
    place = folder / "secrets"
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for name, value in secrets.items():
        (place / f"killswitch_{name.lower()}").write_text(value + "\n")
    for name in NAMES:
        os.environ.pop(f"KILLSWITCH_{name}", None)
    os.environ.update({f"KILLSWITCH_{name}": value for name, value in environment.items()})


T = TypeVar("T")


def _tried(make: Callable[[], T]) -> T | tuple[str, ...]:
    """What `make` makes, or the violations."""
    try:
        return make()
    except SettingsError as error:
        return error.violations


@given(environment=SOURCES, file=SOURCES, secrets=SOURCES)
def test_fast_path_reads_what_the_settings_read(
    environment: dict[str, str], file: dict[str, str], secrets: dict[str, str]
) -> None:
    """The command that must be fast finds the same switch, and is stopped only by what an engagement needs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.delenv(f"KILLSWITCH_{name}", raising=False)
        _write(Path.cwd(), environment, file, secrets)
        wanted, found = _tried(Settings), _tried(quick.read_target)
        for name in NAMES:
            os.environ.pop(f"KILLSWITCH_{name}", None)
    needed = [line for line in wanted if "_URL" in line or "_PREFIX" in line] if isinstance(wanted, tuple) else []
    if isinstance(found, tuple):
        assert len(needed) == len(found) > 0
    else:
        assert not needed
        assert found.actor
    if isinstance(wanted, Settings):
        assert isinstance(found, quick.Target)
        assert (found.endpoint, found.prefix) == (wanted.endpoint, wanted.prefix)
        assert (found.timeout_ms, found.actor) == (wanted.timeout_ms, wanted.who)
