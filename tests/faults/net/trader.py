"""A trading process on a host of the lab."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from killswitch import local
from tests.faults.net.lab import Host
from tests.faults.trader import Trading
from tests.support.processes import ROOT

__all__ = ["HostTrader"]


class HostTrader(Trading):
    """It looks for its switch at `url`. Mostly at rest, so that many fit on a machine."""

    def __init__(self, folder: Path, host: Host, url: str, worker_id: str, settings: dict[str, Any]) -> None:
        super().__init__(folder, worker_id, worker_id)
        config = {
            "slots": str(self.slots_file),
            "log": str(self.account.path),
            "settings": {"redis_url": url, **settings},
            "scopes": [],
            "sinks": [],
            "venue": "",
            "worker_id": worker_id,
            "hot_ms": 0.3,
            "rest_ms": 4.0,
        }
        with (folder / f"{worker_id}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *host.within,
                    *local.leash(),
                    sys.executable,
                    "-m",
                    "tests.faults.trader_program",
                    json.dumps(config),
                ],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # its end would be an order to end
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.pid = self._process.pid

    def kill(self) -> None:
        """Ends it at once, also when it is stopped."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
