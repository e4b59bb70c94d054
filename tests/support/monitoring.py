"""Prometheus and Alertmanager as processes, set up from the shipped examples, and a receiver of webhooks.

Both are Debian's. A missing one skips at home and fails in CI, so that no run is green by absence.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from killswitch import local
from tests.support.processes import ROOT
from tests.support.waiting import eventually

__all__ = ["MONITORING", "Daemon", "Prometheus", "Webhook", "free_port", "program", "start_alertmanager", "substitute"]

MONITORING = ROOT / "ops" / "monitoring"
_PATIENCE_S = 60.0


def program(*names: str) -> str:
    """The path of the first of `names` that is installed."""
    for name in names:
        if found := shutil.which(name):
            return found
    missing = f"{names[0]} is not on PATH"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def substitute(text: str, **changes: str) -> str:
    """`text` with changes, each of which must find something to change: an example that was edited is noticed."""
    for old, new in changes.items():
        assert old in text, f"the example has no {old!r} any more"
        text = text.replace(old, new)
    return text


class Daemon:
    """One process that answers at `url`; its output is kept for failure messages. Ended by its own pid."""

    def __init__(self, folder: Path, name: str, words: list[str], port: int, ready: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*local.leash(), *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            eventually(lambda: self._answers(ready), timeout_s=_PATIENCE_S, why=f"{name} is ready")
        except AssertionError:
            self.stop()
            raise

    def get(self, path: str, **query: str) -> Any:
        """The JSON object at `path`; also that of a refusal."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            return json.loads(refusal.read())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self, ready: str) -> bool:
        assert self._process.poll() is None, f"ended:\n{self._log.read_text(errors='replace')}"
        try:
            with urllib.request.urlopen(self.url + ready, timeout=_PATIENCE_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Prometheus(Daemon):
    """Prometheus with the shipped configuration and rules, many times faster: `changes` goes into the example."""

    def __init__(self, folder: Path, **changes: str) -> None:
        port = free_port()
        text = (MONITORING / "prometheus.example.yml").read_text()
        (folder / "prometheus.yml").write_text(substitute(text, **changes))
        shutil.copy(MONITORING / "killswitch.rules.yml", folder)
        words = [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        super().__init__(folder, "prometheus", words, port, "/-/ready")

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query; an AssertionError with Prometheus's own words if it is not valid."""
        found = self.get("/api/v1/query", query=expr)
        assert found["status"] == "success", f"{expr}: {found}"
        result: list[dict[str, Any]] = found["data"]["result"]
        return result


def start_alertmanager(folder: Path, port: int, **changes: str) -> Daemon:
    """Alertmanager with the shipped configuration; `changes` goes into the example."""
    text = (MONITORING / "alertmanager.example.yml").read_text()
    (folder / "alertmanager.yml").write_text(substitute(text, **changes))
    words = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alerts'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    return Daemon(folder, "alertmanager", words, port, "/-/ready")


class Webhook:
    """Notes what is posted to it: (path, object)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """One notification."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.append((self.path, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the screen."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def alerts(self, path: str, status: str, **labels: str) -> list[dict[str, Any]]:
        """What was said at `path` of alerts in `status` (firing, resolved) with these labels."""
        return [
            alert
            for where, body in list(self.heard)
            for alert in body["alerts"]
            if where == path and alert["status"] == status and labels.items() <= alert["labels"].items()
        ]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
