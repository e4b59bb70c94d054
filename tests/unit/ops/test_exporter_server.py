"""The exporter's HTTP side and its command line, without a Redis."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from killswitch import Observation
from ops.exporter import server
from ops.exporter.collector import Scraper
from tests.support.exporter import Exporter, fetch
from tests.support.scrapes import Scrape
from tests.support.shell import Shell
from tests.support.waiting import eventually
from tests.unit.ops.pictures import status


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """An exporter of a fleet that trades."""
    with Exporter(lambda _: Observation(status(), None)) as made:
        yield made


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell without a Redis."""
    return Shell("unix:///nowhere", tmp_path, monkeypatch, capsys)


def test_readers_that_never_end_do_not_keep_prometheus_out(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections without a request take no thread for good, and one too many is closed at once."""
    monkeypatch.setattr(server, "_SILENCE_S", 0.3)
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port), 5))

        def answered() -> bool:
            try:
                return exporter.scrape()["killswitch_up"] == 1
            except (urllib.error.URLError, http.client.HTTPException, OSError):
                return False

        eventually(answered, timeout_s=20, why="silent readers are given up")


def test_other_paths_and_methods_are_told_as_such(exporter: Exporter) -> None:
    """Only what there is is answered with 200."""
    place = urlsplit(exporter.url).netloc
    answers = {}
    for method, path in (("GET", "/"), ("GET", "/other"), ("POST", "/metrics"), ("HEAD", "/metrics")):
        line = http.client.HTTPConnection(place, timeout=10)
        line.request(method, path)
        answers[method, path] = line.getresponse().status
        line.close()
    assert list(answers.values()) == [200, 404, 405, 200]


def test_fault_of_the_exporter_is_one_line_and_not_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Prometheus gets a 500, whoever looks gets a line and no traceback, and the next scrape is tried."""
    looks: list[Observation | Exception] = [ValueError("x\ny"), Observation(status(), None)]

    def look(_: float) -> Observation:
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with Exporter(look) as exporter:
        with pytest.raises(urllib.error.HTTPError, match="500"):
            exporter.scrape()
        assert exporter.scrape()["killswitch_up"] == 1
    said = capsys.readouterr()
    assert said.err == "error: a scrape failed with an unexpected ValueError: x\\ny\n"


def test_server_that_is_told_to_end_while_it_takes_a_connection_answers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is doing when the signal comes, no scrape is cut off, and no other is begun."""
    made = server.MetricsServer("127.0.0.1", 0, Scraper(lambda _: Observation(status(), None)).scrape)
    take = made.process_request

    def told(request: socket.socket, client: object) -> None:
        made.end()
        take(request, client)

    monkeypatch.setattr(made, "process_request", told)
    serving = threading.Thread(target=made.serve_until_ended)
    serving.start()
    url = f"http://127.0.0.1:{made.server_address[1]}/metrics"
    assert Scrape(fetch(url))["killswitch_up"] == 1
    serving.join(20)
    assert not serving.is_alive()
    made.finish(5.0)
    with pytest.raises(urllib.error.URLError):
        fetch(url)


def test_taken_port_is_one_clear_error(shell: Shell, exporter: Exporter) -> None:
    """Value, rule and remedy, the exit code of wrong usage, and no traceback."""
    done = shell.run("exporter", "--listen", f"127.0.0.1:{exporter.port}")
    assert done.code == 2
    assert f"--listen 127.0.0.1:{exporter.port}: Address already in use" in done.err
    assert "a free\n  port" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("text", ["9464", "host", "1.2.3.4:99999", "a b:1", "", ":1", "[::1]"])
def test_address_of_another_form_is_refused(shell: Shell, text: str) -> None:
    """Nothing is guessed."""
    done = shell.run("exporter", "--listen", text)
    assert done.code == 2
    assert "127.0.0.1:9464" in done.err


def test_without_its_package_the_command_says_what_to_install(shell: Shell) -> None:
    """The base install has no prometheus_client."""
    for name in [name for name in sys.modules if name.startswith(("ops.exporter", "prometheus_client"))]:
        shell.monkeypatch.delitem(sys.modules, name)
    shell.monkeypatch.setitem(sys.modules, "prometheus_client", None)
    shell.monkeypatch.setitem(sys.modules, "prometheus_client.metrics_core", None)
    done = shell.run("exporter", "--listen", "127.0.0.1:0")
    assert done.code == 2
    assert "trading-killswitch[metrics]" in done.err
