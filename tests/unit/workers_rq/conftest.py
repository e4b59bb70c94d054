"""A worker that is driven step by step, on a Redis in this process and a switch turned by hand."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest

from tests.unit.workers_rq.doubles import MakeWorker, Switch, holder
from workers import settings
from workers.worker import EngineWorker


@pytest.fixture
def store() -> fakeredis.FakeStrictRedis:
    """The queue's Redis."""
    return fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())


@pytest.fixture
def switch() -> Switch:
    """Open at epoch 1."""
    return Switch()


@pytest.fixture
def make_worker(store: fakeredis.FakeStrictRedis, switch: Switch) -> Iterator[MakeWorker]:
    """`make_worker("name", queues=("engines",))`: registered, with its agent started, its loop not running."""
    made: list[EngineWorker] = []

    def make(name: str = "w1", **values: object) -> EngineWorker:
        config = settings.load(**values)
        agents = holder(switch, config.scopes)
        worker = EngineWorker(config, name=name, connection=store, heart_connection=store, agents=agents)
        worker.register_birth()
        agents.start()
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.agents.close()
        worker.venues.hang_up()
