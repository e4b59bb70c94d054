"""The fast path and the settings agree: same sources, same order, same switch, same person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import Controller, Outcome, Scope, Settings, SettingsError, StoreUnavailable, quick
from killswitch import settings as full
from killswitch.core.endpoint import TlsFiles
from killswitch.sources import default_actor
from tests.support.proxy import Proxy
from tests.support.server import RealServer
from tests.support.surroundings import surroundings
from tests.support.waiting import eventually

URLS = (
    "redis://h",
    "redis://u:p@h:7/3",
    "unix:///s?db=1",
    "rediss://h:1",
    "redis+sentinel://a,b:2/m/4",
    "http://x",
    "",
)
LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")


def by_settings() -> tuple[object, ...] | None:
    """What Settings say; None where they are not valid."""
    try:
        found = Settings()
    except SettingsError:
        return None
    return found.endpoint, found.endpoint.password, found.prefix, found.who, found.timeout_ms


def by_quick() -> tuple[object, ...] | None:
    """What the fast path says; None where it refuses."""
    try:
        found = quick.read_target()
    except SettingsError:
        return None
    return found.endpoint, found.endpoint.password, found.prefix, found.actor, found.timeout_ms


def test_the_defaults_are_those_of_the_settings() -> None:
    """What is written in both places is the same."""
    assert full.ENV_PREFIX.lower() == quick.ENV_PREFIX
    assert (quick.SECRETS_DIR, quick.DEFAULT_URL, quick.DEFAULT_PREFIX) == (
        full.SECRETS_DIR,
        full.DEFAULT_URL,
        full.DEFAULT_PREFIX,
    )
    fields = Settings.model_fields
    assert fields["timeout_ms"].default == quick.DEFAULT_TIMEOUT_MS
    assert Settings.model_config.get("env_file") == quick.DOTENV


def test_without_any_source_both_give_the_defaults(tmp_path: Path) -> None:
    """An empty environment leads both to the same place."""
    with surroundings(tmp_path):
        assert by_quick() == by_settings()
        assert by_quick() is not None


def test_files_of_tls_are_found_in_every_source(tmp_path: Path) -> None:
    """Certificate and authority may come from three places, and lead to one connection."""
    environment = {"KILLSWITCH_REDIS_URL": "rediss://h", "KILLSWITCH_TLS_CA_FILE": "/ca.pem"}
    secrets = {"killswitch_tls_key_file": "/key.pem", "killswitch_redis_password": "pw"}
    with surroundings(tmp_path, environment, "KILLSWITCH_TLS_CERT_FILE=/cert.pem\n", secrets):
        assert by_quick() == by_settings()
        target = quick.read_target()
        assert target.endpoint.tls_files == TlsFiles("/ca.pem", "/cert.pem", "/key.pem")


VALUES = {
    "redis_url": st.sampled_from(URLS),
    "redis_password": st.sampled_from(("", "p w", "ü#x", "s3cret")),
    "prefix": st.sampled_from(("ks", "{ks}", "a:b", "a:state", "", "a b", "x" * 65)),
    "actor": st.sampled_from(("", "alice", "ålice", "x" * 128)),
    "timeout_ms": st.sampled_from(("50", "500", " 700 ", "60000")),
}
SOURCE = st.fixed_dictionaries({}, optional=VALUES)


@given(environment=SOURCE, dotenv=st.none() | SOURCE, secrets=SOURCE, upper=st.booleans())
def test_the_fast_path_reads_what_settings_read(
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
    dotenv: dict[str, str] | None,
    secrets: dict[str, str],
    upper: bool,
) -> None:
    """Whatever stands in the environment, `.env` and secret files: both find the same, or both refuse."""

    def named(values: Mapping[str, str]) -> dict[str, str]:
        return {(f"KILLSWITCH_{n.upper()}" if upper else f"killswitch_{n}"): v for n, v in values.items()}

    lines = None if dotenv is None else "".join(f"export {n}='{v}'\n" for n, v in named(dotenv).items())
    with surroundings(tmp_path_factory.mktemp("quick"), named(environment), lines, named(secrets)):
        assert by_quick() == by_settings()


@pytest.mark.parametrize(
    "dotenv",
    [
        "KILLSWITCH_PREFIX=one\nKILLSWITCH_PREFIX=two\n",
        "KILLSWITCH_PREFIX\nkillswitch_prefix=low\n",
        "KILLSWITCH_PREFIX\n",
        "KILLSWITCH_ACTOR=${HOME}-user # said\n",
        'KILLSWITCH_ACTOR="al\\"ice"\n',
        "\ufeffKILLSWITCH_PREFIX=marked\n",
    ],
)
def test_odd_lines_of_a_dotenv_file_mean_the_same(tmp_path: Path, dotenv: str) -> None:
    """Repeated, empty, expanded, quoted and marked lines."""
    with surroundings(tmp_path, dotenv=dotenv):
        assert by_quick() == by_settings()


def test_a_secret_that_leads_out_of_its_folder_is_not_read(tmp_path: Path) -> None:
    """As with the settings, a link to somewhere else is no secret file; one that stays inside is."""
    with surroundings(tmp_path):
        outside, inside = tmp_path / "outside", tmp_path / "secrets" / "inside"
        outside.write_text("stolen")
        inside.write_text("mine\n")
        link = tmp_path / "secrets" / "killswitch_actor"
        link.symlink_to(inside)
        assert quick.read_target().actor == Settings().who == "mine"
        link.unlink()
        link.symlink_to(outside)
        assert quick.read_target().actor != "stolen"
        with pytest.warns(UserWarning, match="outside"):
            assert Settings().who != "stolen"


@pytest.mark.parametrize("variable", ["LEASE_MS", "RENEW_MS", "RUNG", "TIMEOUT_MS", "ON_FAILOVER", "NO_SUCH_SETTING"])
def test_what_an_engagement_does_not_need_cannot_stop_it(tmp_path: Path, variable: str) -> None:
    """Settings refuse it, and rightly; the fast path goes on."""
    with surroundings(tmp_path, {f"KILLSWITCH_{variable}": "abc", "KILLSWITCH_PREFIX": "ks"}):
        assert by_settings() is None
        assert quick.read_target().prefix == "ks"


@pytest.mark.parametrize("actor", ["x" * 129, "two\nlines", "\x1b[31m"])
def test_a_bad_actor_is_replaced_with_a_warning(tmp_path: Path, actor: str) -> None:
    """Who pressed must not decide whether it works."""
    with surroundings(tmp_path, {"KILLSWITCH_ACTOR": actor}):
        found = quick.read_target()
    assert found.actor == default_actor()
    assert "KILLSWITCH_ACTOR" in found.warnings[0]


def test_an_unreadable_secret_is_a_warning(tmp_path: Path) -> None:
    """Where it is not the address: the engagement is tried without it, and the warning says why it may be refused."""
    with surroundings(tmp_path):
        (tmp_path / "secrets" / "killswitch_redis_password").write_bytes(b"\xff\xfe")
        found = quick.read_target()
    assert found.endpoint.password == ""
    assert "killswitch_redis_password cannot be read" in found.warnings[0]


def test_a_process_without_a_login_name_gives_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in many containers; the same for both, and a name that cannot be shown is `unknown`."""
    for name in LOGIN:
        monkeypatch.delenv(name, raising=False)
    with surroundings(tmp_path):
        assert quick.read_target().actor == Settings().who
        assert quick.read_target().actor.startswith("uid")
    monkeypatch.setenv("LOGNAME", "\x1b[31m")
    with surroundings(tmp_path):
        assert quick.read_target().actor == "unknown"


@pytest.mark.parametrize("given", ["", "alice"])
def test_no_directory_of_users_is_asked_who_presses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """It may be on the network that has failed, and the engagement would wait for it."""
    for name in LOGIN:
        monkeypatch.delenv(name, raising=False)
    for asked in ("getpwuid", "getpwnam", "getpwall"):
        monkeypatch.setattr(f"pwd.{asked}", lambda *_: pytest.fail("asked the directory"))
    with surroundings(tmp_path, {"KILLSWITCH_ACTOR": given} if given else {}):
        assert quick.read_target().actor == (given or Settings().who)


def test_all_violations_are_shown_at_once(tmp_path: Path) -> None:
    """Address and prefix, both wrong; a password is never quoted."""
    with (
        surroundings(tmp_path, {"KILLSWITCH_REDIS_URL": "http://u:secret@x", "KILLSWITCH_PREFIX": "a b"}),
        pytest.raises(SettingsError, match="KILLSWITCH_PREFIX") as caught,
    ):
        quick.read_target()
    assert len(caught.value.violations) == 2
    assert "secret" not in str(caught.value)


def test_a_target_does_not_show_its_password() -> None:
    """Neither in its repr nor in that of its parts."""
    target = quick.read_target({"KILLSWITCH_REDIS_URL": "redis://u:secret@h", "KILLSWITCH_REDIS_PASSWORD": "other"})
    assert "secret" not in repr(target)
    assert "other" not in repr(target)


def _target(url: str, **more: str) -> quick.Target:
    return quick.read_target({"KILLSWITCH_REDIS_URL": url, "KILLSWITCH_ACTOR": "tester", **more})


def test_it_engages_as_the_controller_does(real_server: RealServer) -> None:
    """State, record and durability are the same as those of a controller's engagement."""
    control = Controller(Settings(redis_url=real_server.url))
    control.init()
    seen: list[quick.Press] = []

    def both() -> tuple[quick.Press, Outcome] | None:
        """Again where one of them did not hear in time how durable it is."""
        seen.clear()
        press = quick.engage(
            _target(real_server.url), " fat finger ", scope=Scope.parse("symbol:X"), on_engaged=seen.append
        )
        outcome = control.engage("fat finger", "tester", "symbol:X")
        return (press, outcome) if press.durability and outcome.durability else None

    found = eventually(both, why="both hear how durable they are")
    assert found is not None
    press, outcome = found
    entries = control.audit(2)
    assert (press.state, press.scope, press.reason) == (outcome.state, outcome.scope, outcome.reason)
    assert press.epoch + 1 == outcome.epoch
    assert [(e.scope, e.reason, e.actor) for e in entries] == [("symbol:X", "fat finger", "tester")] * 2
    assert press.durability == outcome.durability
    assert (len(seen), seen[0].durability, seen[0].epoch) == (1, None, press.epoch)


def test_a_lost_answer_is_asked_for_again_and_changes_nothing_twice(real_server: RealServer) -> None:
    """The repetition carries the same operation id: one epoch, one entry."""
    control = Controller(Settings(redis_url=real_server.url))
    control.init()
    before = control.status().switch.epoch
    with Proxy(real_server.port) as proxy:
        proxy.lose_answers = 1
        press = quick.engage(_target(proxy.url), "x")
    assert press.repeated
    assert press.epoch == before + 1 == control.status().switch.epoch


def test_a_server_lost_after_its_answer_leaves_only_the_durability_unknown(
    real_server: RealServer,
) -> None:
    """The engagement was confirmed; that more could not be asked does not make it fail."""

    def die(_press: quick.Press) -> None:
        real_server.kill9()

    press = quick.engage(_target(real_server.url), "x", on_engaged=die)
    assert (press.state, press.durability) == ("ENGAGED x", None)


def test_both_attempts_keep_to_the_time_limit_and_leave_it_unknown(real_server: RealServer) -> None:
    """A black hole ends in StoreUnavailable, and not as "cannot be reached", which would mean that nothing was sent."""
    with Proxy(real_server.port) as proxy:
        proxy.black_hole()
        with pytest.raises(StoreUnavailable) as caught:
            quick.engage(_target(proxy.url, KILLSWITCH_TIMEOUT_MS="200"), "x")
    assert caught.value.code == "no_answer"


@pytest.mark.parametrize(
    ("reason", "actor", "kept"),
    [
        ("", None, ("no reason given", "tester")),
        ("a\nb", "", ("a b", "tester")),
        ("\x1b[31mred\u202e", "a\tb", ("[31mred", "a b")),
        ("x" * 5_000_000, "\udcff", ("x" * 199 + "…", "tester")),
    ],
)
def test_whatever_the_words_are_the_fleet_stops_and_the_record_is_one_line(
    real_server: RealServer, reason: str, actor: str | None, kept: tuple[str, str]
) -> None:
    """A line break that was pasted into a reason sends nobody away in the worst minute."""
    Controller(Settings(redis_url=real_server.unix_url)).init()
    press = quick.engage(_target(real_server.unix_url, KILLSWITCH_ACTOR="tester"), reason, actor)
    assert (press.reason, press.actor) == kept
    entry = Controller(Settings(redis_url=real_server.unix_url)).audit(1)[0]
    assert (entry.reason, entry.actor) == kept
