"""A worker while it runs an engine: its records live, its commands are heard, its gates decide."""

from __future__ import annotations

from pathlib import Path

import pytest
from rq.command import send_stop_job_command
from rq.executions import Execution
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from tests.fleet.world import ENDLESS, PATIENCE_S, SHORT, Fleet
from tests.support.waiting import eventually
from workers import queues
from workers.allow import FleetJob

pytestmark = [pytest.mark.fleet, pytest.mark.real]


def test_records_of_a_running_engine_outlive_their_life_many_times(fleet: Fleet) -> None:
    """A job that runs for hours is never taken for an abandoned one: RQ's records are renewed beside it."""
    job = fleet.place(ENDLESS)
    worker = fleet.worker(WORKERS_RECORD_TTL_S="6", WORKERS_HEARTBEAT_MS="100")
    worker.saw("job_started")
    registry = StartedJobRegistry(queue=queues.open_queue(fleet.queue))
    [(job_id, execution_id)] = registry.get_job_and_execution_ids(cleanup=False)
    assert job_id == job.id

    def aged() -> bool:
        assert registry.get_expired_job_ids() == []
        execution = Execution.fetch(execution_id, job_id, fleet.queue)
        entry = BaseWorker.find_by_key(f"rq:worker:{worker.name}", fleet.queue, serializer=JSONSerializer)
        assert entry is not None
        assert entry.get_state() in ("busy", "idle")
        return (execution.last_heartbeat - execution.created_at).total_seconds() > 15

    eventually(aged, timeout_s=PATIENCE_S, why="heartbeats span several lives of the records")
    assert job.get_status().value == "started"
    assert fleet.queue.ttl(f"rq:worker:{worker.name}") <= 6


def test_stop_command_ends_the_engine_as_stopped_and_the_worker_goes_on(fleet: Fleet) -> None:
    """RQ's stop command reaches an engine in the worker's own process, which ends in order."""
    job = fleet.place(ENDLESS)
    worker = fleet.worker()
    worker.saw("job_started")
    send_stop_job_command(fleet.queue, job.id, serializer=JSONSerializer)
    fleet.status(job, "stopped")
    assert job.id in queues.open_queue(fleet.queue).failed_job_registry.get_job_ids()
    job.refresh()
    assert job.meta["report"]["ending"] == "stopped"
    following = fleet.place(SHORT, name="e2", feed={"kind": "synthetic", "count": 500})
    fleet.status(following, "finished")
    assert fleet.waiting() == []


def test_closed_gate_leaves_engines_queued_and_serves_cleanup_until_it_opens(fleet: Fleet) -> None:
    """An engine queued before or during a halt waits untouched and starts after it; cancels never wait."""
    fleet.engage()
    engine = fleet.place(SHORT, feed={"kind": "synthetic", "count": 500})
    cleanup = queues.cancel_orders(fleet.queue, {"engine": "e1"})
    worker = fleet.worker("--queues", "engines,cleanup")
    fleet.status(cleanup, "finished")
    worker.saw("worker_gate", open=False)
    assert fleet.waiting() == [engine.id]
    assert fleet.untouched(engine)
    fleet.reset()
    fleet.status(engine, "finished")


def test_running_engine_turns_quiet_when_engaged_and_trades_again_after_a_reset(fleet: Fleet) -> None:
    """The halt reaches the engine through its gates, not its queue: it keeps running, sends nothing, and goes on."""
    job = fleet.place(ENDLESS)
    worker = fleet.worker()
    eventually(lambda: fleet.orders("e1"), timeout_s=PATIENCE_S, why="the engine trades")
    outcome = fleet.control.engage(reason="test", actor="test", wait_s=PATIENCE_S)
    assert str(outcome.verdict) == "QUIET"
    assert [member.worker_id for member in outcome.members] == [worker.name]
    before = len(fleet.orders("e1"))
    assert job.get_status().value == "started"
    fleet.reset()
    eventually(lambda: len(fleet.orders("e1")) > before, timeout_s=PATIENCE_S, why="the engine trades again")
    assert {order["epoch"] for order in fleet.orders("e1")} == {outcome.epoch - 1, outcome.epoch + 1}


def test_engine_follows_its_own_scopes(fleet: Fleet) -> None:
    """Halting a scope stops the engines that declare it and no others, and the registry shows who follows what."""
    fleet.place(ENDLESS)
    fleet.place(ENDLESS, name="e2", scopes=["strategy:other"])
    first, second = fleet.worker(), fleet.worker()
    eventually(lambda: fleet.orders("e1") and fleet.orders("e2"), timeout_s=PATIENCE_S, why="both engines trade")
    outcome = fleet.control.engage(reason="test", actor="test", scope="strategy:meanrev", wait_s=PATIENCE_S)
    assert str(outcome.verdict) == "QUIET"
    assert [member.engine for member in outcome.members] == ["e1"]
    halted, going = len(fleet.orders("e1")), len(fleet.orders("e2"))
    eventually(lambda: len(fleet.orders("e2")) > going, timeout_s=PATIENCE_S, why="the other engine trades on")
    assert len(fleet.orders("e1")) == halted
    assert {member.worker_id for member in fleet.control.status().members} == {first.name, second.name}


def test_job_off_the_allow_list_is_refused_before_anything_runs(fleet: Fleet, tmp_path: Path) -> None:
    """The worker says so in its log, RQ has the reason, and the worker serves the next job."""
    trace = tmp_path / "trace"
    queue = queues.open_queue(fleet.queue, "cleanup")
    bad = queue.enqueue_call("os.system", args=(f"touch {trace}",))
    worker = fleet.worker("--burst")
    assert worker.child.wait(PATIENCE_S) == 0
    assert bad.get_status().value == "failed"
    assert "allow-list" in worker.saw("job_refused", job=bad.id)["reason"]
    assert not trace.exists()


def test_burst_runs_what_is_queued_and_exits(fleet: Fleet) -> None:
    """For tests and batches: everything that can run is run, then the process ends with 0 and leaves the fleet."""
    placed = [fleet.place(SHORT, name=f"e{number}", feed={"kind": "synthetic", "count": 500}) for number in range(3)]
    worker = fleet.worker("--burst")
    assert worker.child.wait(PATIENCE_S) == 0
    assert [job.get_status().value for job in placed] == ["finished"] * 3
    result = FleetJob.fetch(placed[0].id, fleet.queue, JSONSerializer).return_value()
    assert result is not None
    assert result["ticks"] == 500
    assert fleet.control.status().members == ()


def test_health_tells_a_living_worker_from_a_dead_one(fleet: Fleet, tmp_path: Path) -> None:
    """A container is healthy only while the beat of its own worker is young."""
    id_file = str(tmp_path / "id")
    worker = fleet.worker(WORKERS_ID_FILE=id_file)
    worker.saw("worker_started")

    def health() -> int:
        return fleet.worker("health", WORKERS_ID_FILE=id_file).child.wait(PATIENCE_S)

    eventually(lambda: health() == 0, timeout_s=PATIENCE_S, why="the worker is healthy")
    worker.child.process.kill()
    worker.child.process.wait()
    eventually(lambda: health() == 1, timeout_s=PATIENCE_S, why="a worker that was killed is not healthy")
