"""A record that grows, what a worker tells of it, and time that passes at once."""

from __future__ import annotations

import fakeredis
from rq.job import Job

from killswitch import FeedItem, FeedLook, clock
from tests.support.receiver import Receiver
from tests.unit.workers.notices.pictures import change, look
from tests.unit.workers_rq.doubles import MakeWorker
from workers import queues
from workers.notices.herald import Herald
from workers.notices.outbox import Outbox
from workers.worker import EngineWorker

Store = fakeredis.FakeStrictRedis


class Record:
    """A record that grows: what RecordFeed would see of it."""

    def __init__(self, *items: FeedItem) -> None:
        self.items = list(items)
        self.looked = 0
        self.at_ms = 1_000_000
        self.fails: Exception | None = None

    def look(self, after: str | None, _limit_s: float) -> FeedLook:
        self.looked += 1
        if self.fails is not None:
            raise self.fails
        found = [item for item in self.items if after is not None and _id(item.entry.entry_id) > _id(after)]
        seen = look(*found, at_ms=self.at_ms)
        newest = self.items[-1].entry.entry_id if self.items else "0-0"
        return FeedLook(seen.items, False, newest, seen.switch, None, self.at_ms)


def _id(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("-")))


def herald(store: Store, record: Record, *names: str, worker: str = "w1") -> Herald:
    """What a worker called `worker` tells of `record`."""
    return Herald(record, Outbox(store, worker), names or ("ops",), "killswitch")


def fetch(store: Store, job_id: str) -> Job:
    """The job as it is on record."""
    found = queues.open_queue(store, "cleanup").fetch_job(job_id)
    assert found is not None
    return found


def waiting(store: Store) -> list[str]:
    """Ids of the jobs of the cleanup queue."""
    return queues.open_queue(store, "cleanup").get_job_ids()


def worker_for(make_worker: MakeWorker, receiver: Receiver, name: str = "w1") -> EngineWorker:
    """A worker that tells `receiver` under the name ops."""
    return make_worker(name, webhooks=f"ops={receiver.url}")


def make_job(store: Store, record: Record | None = None) -> str:
    """One change on its way to the webhook ops; the id of its job."""
    record = record or Record(change(1))
    teller = herald(store, record)
    teller.round()
    record.items.append(change(len(record.items) + 1))
    assert teller.round() == 1
    return waiting(store)[-1]


def let_no_time_pass(store: Store, job_id: str) -> None:
    """As if it were still long until the next try, which is to come."""
    assert store.zscore("rq:scheduled:cleanup", job_id)
    store.zadd("rq:scheduled:cleanup", {job_id: clock.wall_ms() / 1000 + 3600}, xx=True)


def let_time_pass(store: Store, job_id: str) -> None:
    """As if the time until the next try were over."""
    assert store.zadd("rq:scheduled:cleanup", {job_id: 0}, xx=True, ch=True) == 1


def another_turn(store: Store) -> None:
    """As if whoever looked last had not for a while."""
    store.delete("workers:notices:turn")
