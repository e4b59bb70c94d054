"""TLS on the ways that are less walked: sentinels, and the queue of the workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from killswitch import Code, SettingsError, StoreUnavailable
from killswitch.store.wire import connect
from tests.support.certificates import Authority
from tests.support.processes import ROOT
from tests.support.tls import PASSWORD, TlsServer, free_port, listens
from tests.support.waiting import eventually
from workers import queues
from workers import settings as worker_settings

NO_FILES = {"tls_ca_file": "", "tls_cert_file": "", "tls_key_file": ""}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A server whose every user has a password."""
    made = TlsServer(Authority(tmp_path_factory.mktemp("tls")))
    made.server.cli("ACL", "SETUSER", "default", "on", f">{PASSWORD}")
    try:
        yield made
    finally:
        made.server.stop()


@pytest.fixture
def sentinel(tls: TlsServer, tmp_path: Path) -> Iterator[int]:
    """A sentinel that speaks TLS, wants a password, and watches `tls` as `desk`; its port."""
    cert, key = tls.authority.issue("sentinel")
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port 0\ntls-port {port}\nbind 127.0.0.1\ndir {tmp_path}\nrequirepass {PASSWORD}\ntls-replication yes\n"
        f"tls-cert-file {cert}\ntls-key-file {key}\ntls-ca-cert-file {tls.authority.ca_file}\n"
        f"sentinel monitor desk 127.0.0.1 {tls.port} 1\nsentinel auth-pass desk {PASSWORD}\n"
    )
    words = [shutil.which("redis-server") or "", str(config), "--sentinel"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port), timeout_s=20, why="the sentinel listens")
        yield port
    finally:
        process.kill()
        process.wait()


def test_sentinels_are_asked_over_tls_and_with_a_password(tls: TlsServer, sentinel: int) -> None:
    """The same files and credentials lead to the sentinel, and from it to the master that it names by its address."""
    url = f"rediss+sentinel://:{PASSWORD}@localhost:{sentinel}/desk/0"
    with closing(connect(tls.settings(redis_url=url).endpoint, 5.0, "a-name")) as wire:
        assert wire.call("CLIENT", "GETNAME") == b"a-name"
        assert wire.tls
        assert wire.expires_ms > 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tls_ca_file": ""}, Code.TLS_REFUSED),
        ({"tls_ca_file": "nowhere"}, Code.TLS_REFUSED),
        ({"redis_url": "redis+sentinel://:{password}@localhost:{port}/desk", **NO_FILES}, Code.UNREACHABLE),
        ({"redis_url": "rediss+sentinel://:wrong@localhost:{port}/desk"}, Code.UNREACHABLE),
    ],
)
def test_sentinel_that_is_not_proved_names_no_master(
    tls: TlsServer, sentinel: int, changes: dict[str, str], code: Code
) -> None:
    """Without its name, its authority, TLS and the password there is no master, and the password is not told."""
    values = {"redis_url": "rediss+sentinel://:{password}@localhost:{port}/desk", **changes}
    values["redis_url"] = values["redis_url"].format(password=PASSWORD, port=sentinel)
    with pytest.raises(StoreUnavailable) as caught:
        connect(tls.settings(**values).endpoint, 1.0)
    assert caught.value.code is code, caught.value
    assert PASSWORD not in str(caught.value)


def queue_environment(tls: TlsServer) -> dict[str, str]:
    """Variables of a worker whose queue and switch are behind TLS, the password of the queue apart from its URL."""
    return {
        **tls.environment(),
        "WORKERS_QUEUE_URL": f"rediss://localhost:{tls.port}/1",
        "WORKERS_QUEUE_PASSWORD": PASSWORD,
        "WORKERS_QUEUE_TLS_CA_FILE": str(tls.authority.ca_file),
        "WORKERS_QUEUE_TLS_CERT_FILE": str(tls.files[0]),
        "WORKERS_QUEUE_TLS_KEY_FILE": str(tls.files[1]),
    }


def test_a_worker_reaches_its_queue_over_tls(tls: TlsServer, tmp_path: Path) -> None:
    """It runs what there is and ends in order, and what it says of the queue is its address alone."""
    environment = {**os.environ, **queue_environment(tls), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "workers", "--burst", "--queues", "cleanup"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"rediss://localhost:{tls.port}/1" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_queue_that_is_not_proved_is_not_used(tls: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a certificate of ours, or under another authority, there is no connection."""
    for name, value in queue_environment(tls).items():
        monkeypatch.setenv(name, value)
    address = worker_settings.load().queue_address
    assert worker_settings.load(queue_url=address).queue_url == address  # as it is handed to a process of a rehearsal
    queues.connect(address).ping()
    wrong = {
        "queue_tls_cert_file": "",
        "queue_tls_ca_file": str(tls.files[0]),
    }
    for name, value in wrong.items():
        changes = {name: value} | ({"queue_tls_key_file": ""} if name == "queue_tls_cert_file" else {})
        with pytest.raises(redis.RedisError) as caught:
            queues.connect(worker_settings.load(**changes).queue_address).ping()
        assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"queue_url": "rediss://h?ssl_cert_reqs=none"}, "TLS options"),
        ({"queue_url": "rediss://h?ssl_check_hostname=false"}, "TLS options"),
        ({"queue_url": "redis://h", "queue_tls_ca_file": "/x"}, "speaks no TLS"),
        ({"queue_url": "rediss://h", "queue_tls_key_file": "/x"}, "without queue_tls_cert_file"),
        ({"queue_url": f"redis://h?password={PASSWORD}"}, "before the @"),
        ({"queue_url": f"redis://user:{PASSWORD}/0"}, "cannot be read"),
    ],
)
def test_a_queue_url_that_gives_protection_or_password_away_is_refused(values: dict[str, str], told: str) -> None:
    """Nothing in the URL loosens TLS, and no refusal quotes the password."""
    with pytest.raises(SettingsError, match=told) as caught:
        worker_settings.load(**values)
    assert PASSWORD not in str(caught.value)
