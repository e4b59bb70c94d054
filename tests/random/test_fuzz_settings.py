"""Settings from the environment, `.env` and secret files: valid, or a SettingsError that names what is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch import Settings, SettingsError
from tests.random.hostile import NUMBERS
from workers import settings as worker_settings
from workers.settings import WorkerSettings

NO_TEXT = st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"])
VALUES = NUMBERS.filter(lambda text: "\0" not in text) | st.one_of(
    st.text(NO_TEXT, max_size=20),
    st.sampled_from(
        ["bcast", "auto", "halt", "resume", "redis://h", "unix:///s", "redis://u:p@h:1/0", "killswitch:state"]
    ),
    st.sampled_from(["[]", "{}", '["a"]', "null", "true", "1,2", "a,,b", "a,a", "strategy:x", "1_000", "5 ", "\t5"]),
)
FIELDS = [f"KILLSWITCH_{name.upper()}" for name in Settings.model_fields]
WORKER_FIELDS = [f"WORKERS_{name.upper()}" for name in WorkerSettings.model_fields]
MISSPELT = ["KILLSWITCH_LEASE", "KILLSWITCH_LEASE_M", "KILLSWITCH_", "WORKERS_QUEUE", "WORKERS_QUEUES_URL"]


def checked(load: Callable[[], Settings | WorkerSettings]) -> Settings | WorkerSettings | None:
    """The settings, or None where they were refused in the one documented way."""
    try:
        found = load()
    except SettingsError as refused:
        named = refused.violations
        found = None
    else:
        named = ("none",)
    assert named
    assert all("\n" not in line for line in named), named
    if isinstance(found, Settings):
        assert found.renew_ms * 3 <= found.lease_ms <= 60_000
        assert found.endpoint.hosts or found.endpoint.path
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to start in, with a folder for secrets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").mkdir()
    monkeypatch.setenv("KILLSWITCH_SECRETS_DIR", str(tmp_path / "secrets"))
    return tmp_path


@settings(max_examples=120)
@given(given_values=st.dictionaries(st.sampled_from(FIELDS + WORKER_FIELDS + MISSPELT), VALUES, max_size=4))
def test_any_environment_is_valid_or_refused(place: Path, given_values: dict[str, str]) -> None:
    """Whatever the variables hold, nothing but a SettingsError is raised, and what is accepted keeps the rules."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given_values.items():
            patch.setenv(name, value)
        checked(Settings)
        checked(worker_settings.load)


@settings(max_examples=120)
@given(
    content=st.one_of(
        st.binary(max_size=80),
        st.text(max_size=80).map(lambda text: text.encode(errors="replace")),
        st.lists(st.builds("{}={}".format, st.sampled_from(FIELDS + WORKER_FIELDS), VALUES), max_size=4).map(
            lambda lines: "\n".join(lines).encode(errors="replace")
        ),
    )
)
def test_any_env_file_is_valid_or_refused(place: Path, content: bytes) -> None:
    """A `.env` that is cut short or full of noise is no traceback."""
    (place / ".env").write_bytes(content)
    checked(Settings)
    checked(worker_settings.load)
    os.unlink(place / ".env")


@settings(max_examples=80)
@given(name=st.sampled_from(FIELDS + WORKER_FIELDS), content=VALUES.map(str.encode) | st.binary(max_size=20))
def test_any_secret_file_is_valid_or_refused(place: Path, name: str, content: bytes) -> None:
    """A secret of any bytes is a setting or refused."""
    secret = place / "secrets" / name.lower()
    secret.write_bytes(content)
    try:
        checked(Settings)
        checked(worker_settings.load)
    finally:
        secret.unlink()


@pytest.mark.parametrize("where", [".env", "secrets/killswitch_actor", "secrets/workers_prefix"])
def test_a_file_in_another_encoding_is_refused_by_its_name(place: Path, where: str) -> None:
    """Latin-1 or UTF-16 from some editor is told like any other mistake in the settings."""
    (place / where).write_bytes("KILLSWITCH_ACTOR=M\xfcller\n".encode("latin-1"))
    load: Callable[[], object] = worker_settings.load if "workers" in where else Settings
    with pytest.raises(SettingsError, match=Path(where).name):
        load()
