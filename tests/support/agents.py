"""Trading processes of the tests, and how tests wait for their gates.

A `Worker` is a child process with an agent of its own. The functions below serve agents of the test's own process. A
gate may close for a moment when the machine is busy, so waiting for an open gate repeats itself; that a gate is closed
when it must be is never waited for, it is asserted.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from killswitch import Agent, Blocked, Code, Permit, Settings, clock
from tests.support.agent_program import BLOCKED_AT, PASSED, PASSED_AT, SIZE, SLOTS, map_slots
from tests.support.fledglings import spawn
from tests.support.obeying import ask
from tests.support.server import RealServer
from tests.support.waiting import eventually

FAST = {"lease_ms": 300, "renew_ms": 60, "patience_ms": 150, "beat_ms": 200}
"""Short, so that a test is quick; nothing that a test asserts depends on the machine keeping to them."""

CALM: dict[str, Any] = {"lease_ms": 20_000, "renew_ms": 60, "patience_ms": 10_000}
"""In place of those of FAST where a gate must not close unasked: no stall of the machine outlasts this lease."""

PATIENCE_S = 20.0


def fast_settings(url: str, **changes: Any) -> Settings:
    """Settings for a quick test against `url`."""
    return Settings(**{"redis_url": url, "actor": "tester", **FAST, **changes})


def open_epoch(agent: Agent) -> int:
    """The epoch of a gate 1 check that passed, once one does."""

    def passed() -> int:
        agent.wait_open(0.5)
        try:
            return agent.gate.signal()
        except Blocked:
            return 0

    return eventually(passed, timeout_s=PATIENCE_S, why=f"the gate opens ({agent.view})")


def hold_permit(agent: Agent, order_id: str = "") -> Permit:
    """A permit that is held: the caller leaves it with `__exit__(None, None, None)`."""

    def entered() -> Permit | None:
        try:
            return agent.gate.order(open_epoch(agent), order_id=order_id).__enter__()
        except Blocked:
            return None

    found = eventually(entered, timeout_s=PATIENCE_S, why="a permit is granted")
    assert found is not None
    return found


def release(permit: Permit) -> None:
    """Returns a permit that `hold_permit` took."""
    permit.__exit__(None, None, None)


def blocked_code(agent: Agent) -> Code | None:
    """Why gate 1 does not pass now; None where it does."""
    try:
        agent.gate.signal()
    except Blocked as blocked:
        return blocked.code
    return None


def closes_with(agent: Agent, *codes: Code) -> str:
    """Waits until the gate is closed with one of `codes`; returns the reason text."""
    eventually(lambda: blocked_code(agent) in codes, timeout_s=PATIENCE_S, why=f"{codes}, not {agent.view}")
    return agent.view.reason


def stays_closed(agent: Agent, answers: int = 3) -> None:
    """Asserts that no check passes while the agent hears `answers` more answers from Redis."""
    heard, last = 0, agent.view.age_ms
    deadline_ns = clock.now_ns() + int(PATIENCE_S * 1e9)
    while heard < answers:
        assert blocked_code(agent) is not None, agent.view
        assert clock.now_ns() < deadline_ns, f"no answers any more: {agent.view}"
        age = agent.view.age_ms
        heard += last is None or (age is not None and age < last)
        last = age
        clock.sleep(0.001)


def last_pass_ns(agent: Agent, until_ns: int) -> int:
    """Checks gate 1 until `until_ns` and returns when the last check that passed was started (0: none did)."""
    last = 0
    while (start := clock.now_ns()) <= until_ns:
        if blocked_code(agent) is None:
            last = start
        clock.sleep(0.0002)
    return last


class Worker:
    """A child process with an agent. `main` says what its main thread does: wait, signal or order."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        main: str = "wait",
        scopes: Sequence[str] = (),
        engine: str = "",
        worker_id: str = "",
        info: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> None:
        path = folder / f"slots-{len(list(folder.iterdir()))}"
        path.write_bytes(bytes(SIZE))
        self.slots = map_slots(path)
        self._log = path.with_suffix(".log")
        config = {
            "slots": str(path),
            "settings": {"redis_url": url, **FAST, **changes},
            "scopes": list(scopes),
            "engine": engine,
            "worker_id": worker_id,
            "info": dict(info or {}),
            "main": main,
        }
        with self._log.open("wb") as log:
            self.process = spawn(
                "tests.support.agent_program",
                [json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, do: str, **values: Any) -> Any:
        """Has the child obey one order and returns its answer."""
        return ask(self.process, self._log, {"do": do, **values})

    def opens(self) -> None:
        """Waits until its gate is open, by its own word."""
        eventually(lambda: self.ask("view")["mode"] != "ENGAGED", timeout_s=PATIENCE_S, why="the worker opens")

    # -- of a worker that burns ----------------------------------------------------------------------------------

    def passes_again(self, row: int = 0) -> None:
        """Waits until one more check of the loop has passed."""
        before = self.slots[row * SLOTS + PASSED]
        eventually(lambda: self.slots[row * SLOTS + PASSED] > before, timeout_s=PATIENCE_S, why="a check passes")

    def checked_after(self, at_ns: int, row: int = 0) -> None:
        """Waits until the loop made a check after `at_ns` that was blocked."""
        slot = row * SLOTS + BLOCKED_AT
        eventually(lambda: self.slots[slot] > at_ns, timeout_s=PATIENCE_S, why="a later check is blocked")

    def last_pass(self, row: int = 0) -> int:
        """When the last check that passed was started; 0 if none ever did."""
        return int(self.slots[row * SLOTS + PASSED_AT])

    # -- its end -------------------------------------------------------------------------------------------------

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ends it at once, also when it is frozen."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                end.close()


def frozen(worker: Worker) -> None:
    """Freezes a worker; returns once it is stopped."""
    worker.send(signal.SIGSTOP)
    stat = Path(f"/proc/{worker.pid}/stat")
    eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", why="the worker is stopped")


def kill_client(server: RealServer, name: str) -> int:
    """CLIENT KILL of every connection called `name`; how many there were."""
    killed = 0
    for line in server.cli("CLIENT", "LIST").splitlines():
        fields = dict(pair.partition("=")[::2] for pair in line.split())
        if fields.get("name") == name:
            killed += server.cli("CLIENT", "KILL", "ID", fields["id"]).strip() == "1"
    return killed
