"""A gateway as a process: from its first log line until SIGTERM or SIGINT; the order in hand is finished then."""

from __future__ import annotations

import itertools
import signal
from dataclasses import dataclass
from types import FrameType

from redis import Redis

from killswitch import Agent, Journal, Settings
from workers import logs, queues
from workers.gateway.gateway import Gateway
from workers.gateway.members import Members
from workers.ownership import Ownership
from workers.settings import WorkerSettings
from workers.venue import VenueBroker

__all__ = ["GatewayOptions", "make_gateway", "serve"]

_OWNERSHIP_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Which journal, for whose orders (None: all), and how old one may be to be sent."""

    journal: str
    scopes: tuple[str, ...] | None
    max_age_ms: int


def make_gateway(
    config: WorkerSettings, switch: Settings, name: str, options: GatewayOptions, client: Redis
) -> Gateway:
    """The gateway of a process called `name`, which is unique; its members' ids begin with it. `client` is of the
    queue's Redis, where the ownership of the journal is kept.

    Raises:
        InvalidInput: the journal's name is of another form.
    """
    numbers = itertools.count(1)

    def make_agent(session: str, scopes: tuple[str, ...]) -> Agent:
        agent = Agent(switch, scopes, engine=session, worker_id=f"{name}.{next(numbers)}")
        # Said from the first beat on, which comes before any permission.
        agent.annotate(sinks=f"{config.venue_name}/{session}", gateway=options.journal)
        return agent

    def make_venue(session: str, owner: int) -> VenueBroker:
        return VenueBroker(config.venue_url, session, owner=owner, worker=name)

    return Gateway(
        Journal(switch, options.journal),
        Members(make_agent, make_venue),
        Ownership(client, name, prefix=config.prefix, life_ms=config.ownership_ms),
        scopes=options.scopes,
        max_age_ms=options.max_age_ms,
    )


def serve(config: WorkerSettings, switch: Settings, name: str, options: GatewayOptions) -> bool:
    """Serves until told to end; whether nothing was left in flight. Raises as `make_gateway`."""
    log = logs.get(journal=options.journal)
    client = queues.connect(config.queue_address, _OWNERSHIP_TIMEOUT_S)
    gateway = make_gateway(config, switch, name, options, client)

    def stop(_number: int, _frame: FrameType | None) -> None:
        gateway.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("gateway_start", venue=config.venue_url, scopes=options.scopes)
    try:
        drained = gateway.run()
    finally:
        client.close()
    log.info("gateway_ended", drained=drained)
    return drained
