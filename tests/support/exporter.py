"""The exporter over HTTP: in this process, or as one of its own."""

from __future__ import annotations

import re
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from types import TracebackType

from killswitch import Observation
from ops.exporter.collector import LONGEST_LOOK_S, Scraper
from ops.exporter.server import MetricsServer
from tests.support.scrapes import Scrape
from tests.support.shell import Shell

__all__ = ["Exporter", "ExporterProcess", "fetch"]

_PATIENCE_S = 30.0


def fetch(url: str, **headers: str) -> str:
    """The body of an answer with status 200; an HTTPError for any other."""
    asked = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(asked, timeout=_PATIENCE_S) as answer:
        return str(answer.read().decode())


class Exporter:
    """In this process, on a free port, while the block runs. `look` is its way to Redis."""

    def __init__(self, look: Callable[[float], Observation], limit_s: float = LONGEST_LOOK_S) -> None:
        self._server = MetricsServer("127.0.0.1", 0, Scraper(look, limit_s).scrape)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Exporter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.finish(5.0)

    def scrape(self, **headers: str) -> Scrape:
        """What it says now."""
        return Scrape(fetch(f"{self.url}/metrics", **headers))


class ExporterProcess:
    """The command as a process, once it serves."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.process = shell.spawn("exporter", *words, stderr=subprocess.STDOUT)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"http://\S+/metrics", self.said)
        assert found, self.said
        self.url = found[0]
        self.port = int(self.url.rpartition(":")[2].partition("/")[0])

    def scrape(self) -> Scrape:
        """What it says now."""
        return Scrape(fetch(self.url))

    def end(self) -> tuple[int, str]:
        """Asks it to end; its exit code and the rest of what it said."""
        self.process.terminate()
        rest, _ = self.process.communicate(timeout=_PATIENCE_S)
        return self.process.returncode, rest

    def kill(self) -> None:
        """Whatever else failed: nothing stays behind."""
        self.process.kill()
        self.process.communicate()
