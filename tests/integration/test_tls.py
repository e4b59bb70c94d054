"""TLS towards the switch: both sides prove who they are, nothing falls back, what is wrong closes the gate by name."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from killswitch import Agent, Code, Controller, Settings, SettingsError, StoreUnavailable, clock, quick
from killswitch.core.endpoint import TlsFiles
from killswitch.store import line
from killswitch.store.tls import client_context
from tests.support.agents import CALM, blocked_code, closes_with, open_epoch
from tests.support.certificates import Authority
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.tls import PASSWORD, TlsServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom both sides trust."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> Iterator[TlsServer]:
    """One server for the module."""
    made = TlsServer(authority)
    try:
        yield made
    finally:
        made.server.stop()


@pytest.fixture
def switch(tls: TlsServer, tmp_path: Path) -> Iterator[Switch]:
    """A switch that says SAFE, whose operator uses no TLS; its agents do."""
    made = Switch(tls.server, tmp_path)
    try:
        made.permit()
        yield made
    finally:
        made.close()


def agent_of(switch: Switch, settings: Settings) -> Agent:
    """An agent of `switch` with exactly these settings."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set - {"redis_url"}}
    return switch.agent_at(settings.redis_url, **given)


def test_fleet_over_tls_trades_and_stops_before_ok(tls: TlsServer, switch: Switch) -> None:
    """P1, P2: the socket that a check asks is an encrypted one, and no check that starts after +OK passes."""
    agent = agent_of(switch, tls.settings(**CALM))
    for _ in range(20):
        open_epoch(agent)
        assert agent.view.rung == "bcast"
        tls.server.raw_set(STATE, "ENGAGED by hand")
        assert blocked_code(agent) in (Code.ENGAGED, Code.STATE_CHANGED)
        switch.permit()


def test_operators_commands_go_over_tls(
    tls: TlsServer, switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fast path, the proof, status and preflight find the files where the settings name them."""
    agent = agent_of(switch, tls.settings())
    open_epoch(agent)
    shell = Shell(tls.settings().redis_url, tmp_path, monkeypatch, capsys)
    for name, value in tls.environment().items():
        monkeypatch.setenv(name, value)
    done = shell.run("engage", "--reason", "over TLS", "--wait", "20", "--output", "json")
    assert (done.code, done.json["verdict"]) == (0, "QUIET"), done
    assert "over TLS" in shell.run("status").out
    for name in ("TLS_CERT_FILE", "TLS_KEY_FILE"):
        monkeypatch.delenv(f"KILLSWITCH_{name}")
    done = shell.run("engage", "--reason", "x", "--output", "json")
    assert (done.code, done.json["error"]["kind"]) == (69, "unreachable")
    assert done.json["error"]["code"] in ("tls_refused", "disconnected")
    assert "certificate" in done.json["error"]["message"]
    assert PASSWORD not in done.out + done.err


def wrong(tls: TlsServer, what: str, folder: Path) -> Settings:
    """Settings with one thing wrong."""
    client_key = str(tls.files[1])
    if what == "another authority":
        return tls.settings(tls_ca_file=str(Authority(folder).ca_file))
    if what == "the system's authorities":
        return tls.settings(tls_ca_file="")
    if what == "no certificate":
        return tls.settings(tls_cert_file="", tls_key_file="")
    if what == "a stranger's certificate":
        cert, key = Authority(folder).issue("stranger")
        return tls.settings(tls_cert_file=str(cert), tls_key_file=str(key))
    if what == "another key":
        return tls.settings(tls_key_file=str(tls.authority.folder / "server.key"))
    if what == "a file that is not there":
        return tls.settings(tls_ca_file=str(folder / "nowhere.pem"))
    if what == "an encrypted key":
        locked = folder / "locked.key"
        words = ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", client_key, "-out", str(locked)]
        subprocess.run(words, check=True, capture_output=True)
        return tls.settings(tls_key_file=str(locked))
    assert what == "a server without TLS"
    return tls.settings(redis_url=f"rediss://trader:{PASSWORD}@localhost:{tls.server.port}", timeout_ms=400)


@pytest.mark.parametrize(
    ("what", "code", "told"),
    [
        ("another authority", Code.TLS_REFUSED, "self-signed certificate in certificate chain"),
        ("the system's authorities", Code.TLS_REFUSED, "self-signed certificate in certificate chain"),
        ("no certificate", None, "certificate"),
        ("a stranger's certificate", None, "certificate|unknown ca"),
        ("another key", Code.TLS_REFUSED, "KILLSWITCH_TLS_CERT_FILE.*not the one of its key"),
        ("a file that is not there", Code.TLS_REFUSED, "KILLSWITCH_TLS_CA_FILE.*nowhere.pem: No such file"),
        ("an encrypted key", Code.TLS_REFUSED, "KILLSWITCH_TLS_KEY_FILE.*without a passphrase"),
        ("a server without TLS", Code.UNREACHABLE, "did not accept a connection"),
    ],
)
def test_what_is_wrong_is_named_and_there_is_no_connection(
    tls: TlsServer, tmp_path: Path, what: str, code: Code | None, told: str
) -> None:
    """No other authority, no other name, no missing proof is taken; nobody is asked for a passphrase."""
    with pytest.raises(StoreUnavailable, match=told) as caught:
        Controller(wrong(tls, what, tmp_path)).status()
    assert caught.value.code in ((code,) if code else (Code.TLS_REFUSED, Code.DISCONNECTED))
    assert PASSWORD not in str(caught.value)


def test_an_expired_certificate_closes_the_gate_by_name_until_it_is_renewed(
    tls: TlsServer, switch: Switch, tmp_path: Path
) -> None:
    """Ours: closed with the code, no crash, and open again without a restart once the file is a new one."""
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    for seconds in (-60, 86400):
        made = tls.authority.issue("own", seconds=seconds)
        shutil.copy(made[1], key)
        shutil.copy(made[0], cert)
        if seconds < 0:
            agent = agent_of(switch, tls.settings(tls_cert_file=str(cert), tls_key_file=str(key)))
            closes_with(agent, Code.TLS_EXPIRED)
            assert "expired" in agent.view.reason or "ended at" in agent.view.reason
    open_epoch(agent)


def test_a_certificate_of_another_name_is_not_taken(tls: TlsServer) -> None:
    """Whoever has some certificate of the same authority is not therefore the switch's server."""
    tls.serve(*tls.authority.issue("elsewhere", hosts="DNS:elsewhere"))
    try:
        with pytest.raises(StoreUnavailable, match="Hostname mismatch") as caught:
            Controller(tls.settings()).status()
        assert caught.value.code is Code.TLS_REFUSED
    finally:
        tls.serve(*tls.authority.issue("server"))


def test_a_server_whose_certificate_has_expired_is_not_believed(tls: TlsServer, switch: Switch) -> None:
    """Theirs: closed with the code, and the operator's command says the same."""
    expired, valid = tls.authority.issue("late", seconds=-60), tls.authority.issue("server")
    tls.serve(*expired)
    try:
        agent = agent_of(switch, tls.settings())
        closes_with(agent, Code.TLS_EXPIRED)
        with pytest.raises(StoreUnavailable, match="certificate has expired"):
            quick.engage(quick.Target(tls.settings().endpoint, "", "killswitch", "me"), "stop")
    finally:
        tls.serve(*valid)
    open_epoch(agent)


def test_a_connection_does_not_outlive_its_certificates(
    tls: TlsServer, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: once no new connection could be made, to stop the fleet say, the old ones permit nothing either."""
    agent = agent_of(switch, tls.settings())
    open_epoch(agent)
    with monkeypatch.context() as patch:
        patch.setattr(line, "wall_ms", lambda: clock.wall_ms() + 3 * 86_400_000)
        assert "ended at" in closes_with(agent, Code.TLS_EXPIRED)
        stays_closed_by(agent)
    open_epoch(agent)


def stays_closed_by(agent: Agent) -> None:
    """Asserts that reconnecting alone opens nothing."""
    codes = set()
    until_ns = clock.now_ns() + 500_000_000
    while clock.now_ns() < until_ns:
        codes.add(agent.view.code)
        clock.sleep(0.01)
    assert Code.OPEN not in codes


def test_nothing_is_sent_in_plain_text(tls: TlsServer) -> None:
    """A server that speaks no TLS, or a man in between who takes it away, never sees the password."""
    heard = bytearray()

    def answer(listener: socket.socket) -> None:
        end, _ = listener.accept()
        with end:
            heard.extend(end.recv(65536))
            end.sendall(b"-ERR no TLS here\r\n")
            with contextlib.suppress(OSError):
                while data := end.recv(65536):
                    heard.extend(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        settings = tls.settings(redis_url=f"rediss://trader:{PASSWORD}@localhost:{listener.getsockname()[1]}")
        with pytest.raises(StoreUnavailable, match="no TLS connection") as caught:
            Controller(settings).status()
        thread.join(10)
    assert caught.value.code is Code.TLS_REFUSED
    assert heard
    assert PASSWORD.encode() not in heard


def test_context_verifies_and_wants_a_version_that_is_sound() -> None:
    """What every connection is made with."""
    context = client_context(TlsFiles())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"redis_url": "redis://h", "tls_ca_file": "/ca.pem"}, "speaks no TLS: write rediss://"),
        ({"redis_url": "redis+sentinel://h/m", "tls_cert_file": "/c.pem"}, "speaks no TLS"),
        ({"redis_url": "rediss://h", "tls_key_file": "/k.pem"}, "without KILLSWITCH_TLS_CERT_FILE"),
        ({"redis_url": "rediss://h?ssl_cert_reqs=none"}, "TLS options behind the"),
    ],
)
def test_settings_that_mean_tls_and_get_none_are_refused(values: dict[str, str], told: str) -> None:
    """Whoever names certificates and writes redis:// would send the password in the clear."""
    with pytest.raises(SettingsError, match=told):
        Settings(**values, _env_file=None)
