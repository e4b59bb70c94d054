"""Changes are told by a fleet of processes: also a raw SET, also during the halt, once each, and in the end."""

from __future__ import annotations

import pytest

from tests.fleet.world import PATIENCE_S, Fleet
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

pytestmark = [pytest.mark.fleet, pytest.mark.real, pytest.mark.timeout(120)]


def test_raw_stop_is_told_once_by_many_workers_and_again_until_it_is_taken(fleet: Fleet) -> None:
    """One bare SET from redis-cli: the receiver, which refuses at first, hears of it under one id, epoch and all, while
    the fleet stands still; no worker says the address."""
    with Receiver(503, 200) as receiver:
        told = {"WORKERS_WEBHOOKS": f"desk={receiver.url};form=slack ops={receiver.url}"}
        workers = [fleet.worker("--queues", "cleanup", **told) for _ in range(3)]
        for worker in workers:
            worker.saw("worker_started")
        key = "workers:notices:place:ops"
        eventually(lambda: fleet.queue.get(key), timeout_s=PATIENCE_S, why="somebody looks")
        fleet.engage()
        posts = receiver.got(3)
        change = fleet.control.audit(1)[0]
        assert {post.id for post in posts} == {change.entry_id}
        generic = next(post.json for post in posts if "event" in post.json)
        assert generic.items() >= {
            "event": "change", "epoch": change.epoch, "to": "ENGAGED test", "via": "raw", "actor": "unattributed",
            "mode": "ENGAGED",
        }.items()  # fmt: skip
        assert any("ENGAGED test" in post.json["text"] for post in posts if "event" not in post.json)
        eventually(lambda: not fleet.waiting("cleanup"), timeout_s=PATIENCE_S, why="all is told")
        fleet.reset()
        for name in ("desk", "ops"):  # counted once the answer has come, which is after the receiver has noted it

            def counted(name: str = name) -> bool:
                return bool(fleet.queue.hgetall(f"workers:notices:count:{name}") == {b"delivered": b"2"})

            eventually(counted, timeout_s=PATIENCE_S, why=f"both changes are counted as delivered to {name}")
        assert len(receiver.posts) == 5, "each webhook once for each change, and again where it was refused"
        for worker in workers:
            assert "T0KEN" not in worker.child.output
