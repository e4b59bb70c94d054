"""A gateway as a process of its own, and what it says of the orders it dealt with."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from killswitch import Admission, Agent, Blocked, Controller
from killswitch.core.endpoint import parse_url
from killswitch.store.wire import Wire, connect
from tests.support.agents import CALM, FAST, fast_settings, hold_permit, release
from tests.support.library import Library
from tests.support.processes import Child, Children
from tests.support.server import RealServer
from tests.support.venue import VenueProcess
from tests.support.waiting import eventually
from workers import queues
from workers.domain import Order, Side
from workers.gateway.order import written
from workers.gateway.process import GatewayOptions, make_gateway
from workers.settings import load
from workers.venue import running

__all__ = [
    "LONG_MS",
    "OWNERSHIP_MS",
    "S1",
    "GatewayProcess",
    "GatewayThread",
    "JournalView",
    "LocalVenue",
    "Start",
    "blocked",
    "order_text",
    "permit",
    "send",
]

S1 = "symbol:EURUSD"
OWNERSHIP_MS = 600
"""Short, for tests that wait for its end."""
LONG_MS = 10_000
"""An ownership that no stall of the machine ends."""
_NUMBERS = itertools.count(1)


def order_text(order_id: str, session: str = "e1", owner: int = 1, **changes: Any) -> dict[str, Any]:
    """An order far below the market, as an engine writes it down."""
    order = Order(order_id, "EURUSD", Side.BUY, 10, 0.5, False)
    return {**written(order, session, owner), **changes}


def send(agent: Agent, admission: Admission, order_id: str, *, patient: bool = True, **changes: Any) -> str:
    """One order through both gates and into the journal; its entry. Not `patient`: raises Blocked where closed."""
    document = order_text(order_id, **changes)
    if patient:
        permit = hold_permit(agent, order_id)
        try:
            return admission.admit(permit, order_id, document)
        finally:
            release(permit)
    with agent.gate.order(agent.gate.signal(), order_id=order_id) as held:
        return admission.admit(held, order_id, document)


class GatewayProcess:
    """`killswitch-worker gateway` as a child."""

    def __init__(
        self, children: Children, server: RealServer, venue_url: str, *words: str, journal: str = "orders", **env: str
    ) -> None:
        settings = {f"KILLSWITCH_{name.upper()}": str(value) for name, value in {**FAST, **CALM}.items()}
        self.child: Child = children.worker(
            "gateway", "--journal", journal, *words,
            env={
                "KILLSWITCH_REDIS_URL": server.url,
                "WORKERS_QUEUE_URL": server.url.rpartition("/")[0] + "/1",
                "WORKERS_VENUE_URL": venue_url,
                "WORKERS_OWNERSHIP_MS": str(OWNERSHIP_MS),
                "WORKERS_LOG_LEVEL": "debug",
                **settings,
                **env,
            },
        )  # fmt: skip

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        return [json.loads(line) for line in self.child.output.splitlines() if line.startswith("{") and line[-1] == "}"]

    def saw(self, event: str) -> dict[str, Any]:
        """The first log line of this kind, once it is there."""
        self.child.wait_for(f'"event": "{event}"', timeout_s=30)
        return next(line for line in self.events if line["event"] == event)

    def owner(self) -> None:
        """Waits until it has the journal."""
        self.saw("gateway_owner")

    def freeze(self) -> None:
        """Stops it; returns once it is stopped."""
        self.child.send(signal.SIGSTOP)
        stat = Path(f"/proc/{self.child.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", why="the gateway is stopped")

    def thaw(self) -> None:
        self.child.send(signal.SIGCONT)

    def kill9(self) -> None:
        """Ends it without a word."""
        self.child.send(signal.SIGKILL)
        self.child.process.wait()

    def end(self) -> int:
        """Asks it to end; its exit code."""
        self.child.send(signal.SIGTERM)
        return self.child.wait(20)


class GatewayThread:
    """The same gateway on a thread of the test's process: where nothing is to be killed."""

    def __init__(
        self,
        server: RealServer,
        venue_url: str,
        max_age_ms: int = 60_000,
        scopes: tuple[str, ...] | None = None,
    ):
        config = load(queue_url=server.url.rpartition("/")[0] + "/1", venue_url=venue_url, ownership_ms=LONG_MS)
        self._client = queues.connect(config.queue_address, 1.0)
        name = f"gateway-{next(_NUMBERS)}"
        options = GatewayOptions("orders", scopes, max_age_ms)
        self.gateway = make_gateway(config, fast_settings(server.unix_url, **CALM), name, options, self._client)
        self.drained: list[bool] = []
        self._thread = threading.Thread(target=lambda: self.drained.append(self.gateway.run()), daemon=True)
        self._thread.start()

    def end(self) -> bool:
        """Asks it to end; whether nothing was left in flight."""
        self.gateway.stop()
        self._thread.join(20)
        self._client.close()
        return self.drained == [True]


Start = Callable[..., GatewayThread]
"""Starts one: `start(url=..., max_age_ms=..., scopes=...)`."""


class LocalVenue(VenueProcess):
    """The venue in the test's process, with its record: where nothing is to be frozen or killed."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.name = "venue"
        self.events_path = folder / "venue.events.jsonl"
        self.url = stack.enter_context(running("tcp://127.0.0.1:0", events=self.events_path)).url


class JournalView:
    """A look at the journal `orders` and its outcomes."""

    def __init__(self, url: str) -> None:
        self.wire: Wire = connect(parse_url(url), 5.0)
        self._library = Library(self.wire, load=False)

    def waiting(self) -> list[str]:
        """Ids of the orders that no gateway has dealt with."""
        return [fields.get("order_id", "") for _, fields in self._library.journal()]

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """Outcome and code by order id; that none has two is asserted."""
        found = self._library.outcomes()
        table = {item["order_id"]: (item["outcome"], item["code"]) for item in found}
        assert len(table) == len(found), found
        return table

    def outcome(self, order_id: str) -> tuple[str, str]:
        """Outcome and code of one order, once they are there."""
        eventually(lambda: order_id in self.outcomes(), timeout_s=20, why=f"an outcome of {order_id}")
        return self.outcomes()[order_id]

    def drained(self) -> None:
        """Waits until nothing waits."""
        eventually(lambda: not self.waiting(), timeout_s=20, why="the journal is empty")

    def close(self) -> None:
        self.wire.close()


def blocked(agent: Agent, admission: Admission, order_id: str) -> Blocked | None:
    """What refused an order, at the gate or in Redis; None where it was admitted."""
    try:
        send(agent, admission, order_id, patient=False)
    except Blocked as found:
        return found
    return None


def permit(control: Controller) -> int:
    """Permits trading at whatever epoch the switch is."""
    return control.reset(control.status().switch.epoch, "the test goes on").epoch
