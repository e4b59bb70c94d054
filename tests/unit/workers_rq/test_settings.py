"""Wrong settings and an unreachable queue are told in clear lines, with the exit code that says which."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from killswitch import SettingsError
from workers import queues, settings
from workers.__main__ import main


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` of the machine that runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in settings.WorkerSettings.model_fields:
        monkeypatch.delenv(f"WORKERS_{name.upper()}", raising=False)


def test_lists_are_read_from_comma_separated_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operator types is what is served, in that order."""
    monkeypatch.setenv("WORKERS_QUEUES", "cleanup, engines")
    monkeypatch.setenv("WORKERS_SCOPES", "host:web1,account:7")
    found = settings.load()
    assert found.queues == ("cleanup", "engines")
    assert found.scopes == ("host:web1", "account:7")
    assert (found.gated("engines"), found.gated("anything"), found.gated("cleanup")) == (True, True, False)


@pytest.mark.parametrize(
    ("url", "password", "expected"),
    [
        ("unix:///run/queue.sock?db=2", "", "unix:///run/queue.sock?db=2"),
        ("unix:///run/queue.sock?db=2", "p@ss", "unix://:p%40ss@/run/queue.sock?db=2"),
        ("redis://bob@queue:6379/1", "p@ss", "redis://bob:p%40ss@queue:6379/1"),
        ("redis://bob:own@queue:6379/1", "other", "redis://bob:own@queue:6379/1"),
    ],
)
def test_address_of_the_queue_is_the_url_with_the_password_that_it_lacks(
    url: str, password: str, expected: str
) -> None:
    """Also of a socket, whose three slashes stay, and never in place of a password that the URL has."""
    found = settings.load(queue_url=url, queue_password=password)
    assert found.queue_address == expected
    assert queues.connect(found.queue_address).connection_pool.connection_kwargs.get("db") == (2 if "db" in url else 1)


def test_every_violation_is_shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three mistakes cost one restart, and each line names its variable."""
    monkeypatch.setenv("WORKERS_QUEUE_URL", "http://queue:6379")
    monkeypatch.setenv("WORKERS_POLL_MS", "0")
    monkeypatch.setenv("WORKERS_SCOPES", "no scope")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    named = {line.split(":")[0] for line in caught.value.violations}
    assert named == {"WORKERS_QUEUE_URL", "WORKERS_POLL_MS", "WORKERS_SCOPES"}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("POLL_MS", "5", "'5' is less than 10: write 10 or more"),
        ("POLL_MS", "soon", "'soon' is not a whole number: write a whole number"),
        ("DRAIN_S", "0", "'0' is not more than 0: write more than 0"),
        ("LOG_LEVEL", "loud", "'loud' is not 'debug', 'info', 'warning' or 'error': write 'debug',"),
        ("PREFIX", "a b", "'a b' is not of the right form: write 1 to 64 letters, digits and _ . { } -"),
    ],
)
def test_a_violation_has_the_value_the_rule_and_the_remedy(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks up what they wrote, or what would be right."""
    monkeypatch.setenv(f"WORKERS_{name}", value)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.violations[0].startswith(f"WORKERS_{name}: {told}")


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis://host:port/1", "localhost:6379", "", "redis://h/0?decode_responses=true", "redis://h?db=x"],
)
def test_queue_url_of_another_form_is_refused(url: str) -> None:
    """What would fail later, or lose jobs, is refused at the door."""
    with pytest.raises(SettingsError, match="WORKERS_QUEUE_URL"):
        settings.load(queue_url=url)


@pytest.mark.parametrize("url", ["venue", "redis://h:1", "tcp://h", "tcp://h:0", "tcp://u:p@h:1", "unix://"])
def test_venue_of_another_form_is_refused(url: str) -> None:
    """Orders go to a place that was understood, or nowhere; a password is not echoed."""
    with pytest.raises(SettingsError, match="WORKERS_VENUE_URL") as caught:
        settings.load(venue_url=url)
    assert "p@h" not in str(caught.value)
    assert settings.load(venue_url="unix:///run/v.sock").venue_url == "unix:///run/v.sock"


def test_misspelt_variable_is_refused_and_a_strange_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing mistake must not leave a default in force; variables that an orchestrator made are not ours."""
    monkeypatch.setenv("WORKERS_SERVICE_HOST", "10.0.0.1")
    settings.load()
    monkeypatch.setenv("WORKERS_QUEUE_ULR", "redis://elsewhere")
    with pytest.raises(SettingsError, match="did you mean WORKERS_QUEUE_URL"):
        settings.load()


def test_secret_file_gives_the_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A password needs not stand in the environment."""
    (tmp_path / "workers_queue_url").write_text("redis://:secret@queue:6379/3\n")
    monkeypatch.setenv("KILLSWITCH_SECRETS_DIR", str(tmp_path))
    assert settings.load().queue_url == "redis://:secret@queue:6379/3"


def test_heartbeat_slower_than_its_record_lives_is_refused() -> None:
    """A healthy job must not look abandoned."""
    with pytest.raises(SettingsError, match="WORKERS_RECORD_TTL_S"):
        settings.load(heartbeat_ms=6000, record_ttl_s=10)


def test_wrong_settings_end_the_worker_with_2_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator gets lines, not a stack."""
    monkeypatch.setenv("WORKERS_QUEUE_URL", "ftp://nowhere")
    monkeypatch.setenv("KILLSWITCH_LEASE_MS", "1")
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 2
    assert "WORKERS_QUEUE_URL" in done.stderr
    assert "KILLSWITCH_LEASE_MS" in done.stderr
    assert "Traceback" not in done.output


def test_unreachable_queue_ends_the_worker_with_69_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the address without its password, and the variable to look at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: refused
        monkeypatch.setenv("WORKERS_QUEUE_URL", f"redis://user:secret@127.0.0.1:{bound.getsockname()[1]}/1")
        done = CliRunner().invoke(main, ["--burst"])
    assert done.exit_code == 69
    assert len(done.stderr.strip().splitlines()) == 1
    assert "WORKERS_QUEUE_URL" in done.stderr
    assert "secret" not in done.stderr


def test_health_without_an_id_file_is_a_usage_error() -> None:
    """A check that knows no worker must not say that one is healthy."""
    assert CliRunner().invoke(main, ["health"]).exit_code == 2


def test_health_of_a_worker_that_never_started_is_1(tmp_path: Path) -> None:
    """No id, no worker."""
    done = CliRunner().invoke(main, ["health", "--id-file", str(tmp_path / "id")])
    assert done.exit_code == 1
    assert "no worker runs here" in done.stderr


def test_journal_needs_a_venue_that_a_gateway_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue inside of each worker is nobody else's; the remedy is named."""
    with pytest.raises(SettingsError, match="set WORKERS_VENUE_URL"):
        settings.load(admission_journal="orders")
    assert settings.load(admission_journal="orders", venue_url="unix:///v.sock").admission_journal == "orders"
    with pytest.raises(SettingsError, match="WORKERS_ADMISSION_JOURNAL"):
        settings.load(admission_journal="a:b", venue_url="unix:///v.sock")


@pytest.mark.parametrize(
    ("words", "env", "text"),
    [
        ([], {}, "WORKERS_VENUE_URL"),
        (["--journal", "orders"], {}, "WORKERS_VENUE_URL"),
        ([], {"WORKERS_VENUE_URL": "unix:///v.sock"}, "--journal"),
        (["--max-age-ms", "1"], {}, "max-age-ms"),
    ],
)
def test_gateway_without_a_place_to_take_from_or_send_to_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, words: list[str], env: dict[str, str], text: str
) -> None:
    """Exit code 2, and what is missing."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, ["gateway", *words])
    assert done.exit_code == 2
    assert text in done.stderr
