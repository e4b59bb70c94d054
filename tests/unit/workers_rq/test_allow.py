"""A job runs a listed function or nothing, and nothing is imported on its behalf."""

from __future__ import annotations

import os
import pickle
import sys
import zlib

import fakeredis
import pytest
from rq import Callback
from rq.job import JobStatus
from rq.queue import Queue
from rq.serializers import JSONSerializer

from killswitch import Mode
from tests.unit.workers_rq.doubles import SHORT, MakeWorker, Switch, step
from workers import queues
from workers.allow import FleetJob, JobRefused, engine_of
from workers.jobs import WorkerJob


def foreign(store: fakeredis.FakeStrictRedis, name: str = "cleanup") -> Queue:
    """The queue as somebody with plain RQ would write to it."""
    return Queue(name, connection=store, serializer=JSONSerializer)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "workers.jobs.parse", "workers.jobs.WorkerJob", "nothing"]
)
def test_function_off_the_list_is_recorded_as_failed_with_the_reason(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, name: str
) -> None:
    """Whoever can write the queue's Redis cannot choose what runs on a trading host."""
    job = foreign(store).enqueue_call(name, args=("echo hacked > /dev/null",))
    assert step(make_worker()) is not None
    assert job.get_status() is JobStatus.FAILED
    result = job.latest_result()
    assert result is not None
    assert "allow-list" in str(result.exc_string)
    assert "Traceback" not in str(result.exc_string)


def test_module_of_a_refused_job_is_not_imported(store: fakeredis.FakeStrictRedis, make_worker: MakeWorker) -> None:
    """A refusal after the import would come too late: importing runs code."""
    assert "antigravity" not in sys.modules
    fly = Callback("antigravity.fly")
    foreign(store).enqueue_call("antigravity.fly", on_failure=fly, on_success=fly, on_stopped=fly)
    step(make_worker())
    assert "antigravity" not in sys.modules


def test_method_of_an_object_is_refused(store: fakeredis.FakeStrictRedis) -> None:
    """The job's object is JSON, yet its methods are none of the listed functions."""
    job = WorkerJob(id="j1", connection=store, serializer=JSONSerializer)
    job.data = JSONSerializer.dumps(["format", "{0}", [1], {}])
    with pytest.raises(JobRefused, match="object"):
        job.allowed()


def test_pickled_job_is_refused_and_not_unpickled(store: fakeredis.FakeStrictRedis, make_worker: MakeWorker) -> None:
    """Pickle is code; the worker reads JSON and nothing else."""

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, ("/nonexistent/trap",)

    job = queues.cancel_orders(store, {"engine": "e1"})
    store.hset(job.key, "data", zlib.compress(pickle.dumps(("f", None, (Trap(),), {}))))
    step(make_worker())
    assert job.get_status() is JobStatus.FAILED
    result = job.latest_result()
    assert result is not None
    assert "not JSON" in str(result.exc_string)


def test_unreadable_record_is_set_aside_and_the_next_job_runs(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker
) -> None:
    """One mangled record must not end worker after worker."""
    good = queues.cancel_orders(store, {"engine": "e2"})
    bad = queues.cancel_orders(store, {"engine": "e1"})  # the newest cancel is the first of the queue
    store.hset(bad.key, "timeout", "soon")
    assert step(make_worker()) == good.id
    assert store.zscore(queues.open_queue(store, "cleanup").failed_job_registry.key, bad.id) is not None
    assert store.hget(bad.key, "status") == b"failed"


def test_client_side_job_class_runs_nothing(store: fakeredis.FakeStrictRedis) -> None:
    """A tool that reads the queues cannot be made to run what is in them."""
    job = queues.place_engine(store, SHORT)
    assert type(job) is FleetJob
    with pytest.raises(JobRefused, match="allow-list"):
        job.perform()


def test_webhooks_of_a_job_are_not_sent(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """A job cannot choose addresses that a trading host talks to."""
    switch.mode = Mode.ENGAGED
    job = queues.cancel_orders(store, {"engine": "e1"})
    store.hset(job.key, "webhooks", '[{"url": "http://127.0.0.1:1/", "statuses": ["finished"]}]')
    step(make_worker())
    assert job.get_status() is JobStatus.FINISHED


@pytest.mark.parametrize(
    ("data", "engine"),
    [
        (["workers.jobs.run_engine", None, [{"name": "e1"}], {}], "e1"),
        (["workers.jobs.run_engine", None, [{"name": 5}], {}], None),
        (["workers.jobs.run_engine", None, ["e1"], {}], None),
        (["workers.jobs.run_engine", None, [], {}], None),
        (["workers.jobs.cancel_orders", None, [{"name": "e1"}], {}], None),
        (["short"], None),
    ],
)
def test_engine_of_a_job(store: fakeredis.FakeStrictRedis, data: object, engine: str | None) -> None:
    """The ownership goes by the name in the specification; what has none owns nothing."""
    job = WorkerJob(id="j1", connection=store, serializer=JSONSerializer)
    job.data = JSONSerializer.dumps(data)
    assert engine_of(job) == engine
