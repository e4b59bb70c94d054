"""What a worker that was killed left at the venue: a living one cancels it, and the dead one sends nothing any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from rq.job import Job, JobStatus

from killswitch import Controller, Verdict, clock
from tests.fleet.world import ENDLESS, PATIENCE_S, SOON, Fleet, Worker
from tests.support.processes import Children
from tests.support.venue import VenueProcess
from tests.support.waiting import eventually
from workers import queues

pytestmark = [pytest.mark.fleet, pytest.mark.real, pytest.mark.faults, pytest.mark.timeout(120)]


@pytest.fixture
def venue(children: Children, tmp_path: Path) -> VenueProcess:
    """A venue process."""
    return VenueProcess(children, tmp_path, url=f"unix://{tmp_path}/v.sock")


def worker_at(fleet: Fleet, venue: VenueProcess, *words: str, **env: str) -> Worker:
    """A worker whose orders go to `venue`."""
    return fleet.worker(*words, WORKERS_VENUE_URL=venue.url, WORKERS_VENUE_NAME=venue.name, **SOON, **env)


def resting(fleet: Fleet) -> dict[str, Any]:
    """An engine whose orders never fill: its prices go up and down by far less than the spread.

    So there is an order at the venue whenever one looks, except while it is being replaced, five times a second.
    """
    ticks = fleet.folder / "20140508_quote.zip"
    mids = (1.39 + abs(n % 80 - 40) * 1e-5 for n in range(30_000))
    rows = "".join(f"{n * 5},{mid - 0.01:.5f},{mid + 0.01:.5f}\n" for n, mid in enumerate(mids))
    with zipfile.ZipFile(ticks, "w") as file:
        file.writestr("20140508_eurusd_tick_quote.csv", rows)
    return {**ENDLESS, "feed": {"kind": "replay", "files": [str(ticks)], "speed": 1, "lead": 200}}


def stopped_with_a_working_order(worker: Worker, venue: VenueProcess) -> list[str]:
    """Stops the worker of a `resting` engine while it has an order at the venue; the ids of its working orders.

    A stop that fell between cancelling an order and sending the next is taken back. Nothing here counts tries: the
    engine has run whenever an order was seen that was not there before.
    """
    deadline_ns = clock.now_ns() + int(PATIENCE_S * 1e9)
    while clock.now_ns() < deadline_ns:
        why = f"the engine has a working order:\n{worker.child.output}"
        eventually(lambda: venue.status()["orders"], timeout_s=PATIENCE_S, why=why)
        os.kill(worker.child.pid, signal.SIGSTOP)
        os.waitpid(worker.child.pid, os.WUNTRACED)
        if working := [order["client_id"] for order in venue.status()["orders"]]:
            return working
        os.kill(worker.child.pid, signal.SIGCONT)
    raise AssertionError(f"no stop within {PATIENCE_S:g} s met the engine with a working order")


def cleanup_results(fleet: Fleet) -> list[dict[str, Any]]:
    """What the cleanup jobs that are finished said."""
    queue = queues.open_queue(fleet.queue, queues.CLEANUP)
    found = []
    for job_id in queue.finished_job_registry.get_job_ids():
        value = Job.fetch(job_id, fleet.queue, serializer=queue.serializer).return_value()
        if value is not None:
            found.append(value)
    return found


def test_orders_of_a_killed_worker_are_cancelled_once_and_its_successor_trades_on(
    fleet: Fleet, venue: VenueProcess
) -> None:
    """kill -9 with a working order: it is cancelled before its successor has one, reported under the dead owner's
    token, and repeating it does not touch the successor."""
    fleet.place(resting(fleet))
    doomed = worker_at(fleet, venue)
    token = doomed.saw("job_started")["token"]
    left = stopped_with_a_working_order(doomed, venue)
    heir = worker_at(fleet, venue)
    heir.saw("worker_started")
    os.kill(doomed.child.pid, signal.SIGKILL)
    report = heir.saw("orders_cancelled", engine="e1", owner=token)
    assert report["orders"] == left
    taken = heir.saw("job_started", engine="e1")["token"]
    assert taken > token
    assert [(found["owner"], found["cancelled"]) for found in cleanup_results(fleet)] == [(token, len(left))]
    eventually(
        lambda: venue.arrivals(accepted=True, owner=taken), timeout_s=PATIENCE_S, why="the successor sends orders"
    )
    stopped_with_a_working_order(heir, venue)
    before = venue.status()["orders"]
    again = queues.cancel_orders(fleet.queue, {"engine": "e1", "owner": token})
    worker_at(fleet, venue, "--queues", "cleanup")
    fleet.status(again, "finished")
    result = again.return_value()
    assert result is not None
    assert result["cancelled"] == 0
    assert venue.status()["orders"] == before
    os.kill(heir.child.pid, signal.SIGCONT)


def test_orders_of_a_killed_worker_are_cancelled_while_every_other_one_runs_an_engine(
    fleet: Fleet, venue: VenueProcess
) -> None:
    """kill -9 where nobody is idle who serves the queue of the engines: a worker that serves `cleanup` only finds the
    dead owner, and touches nothing of the engine that trades."""
    fleet.place(resting(fleet))
    doomed = worker_at(fleet, venue)
    token = doomed.saw("job_started")["token"]
    fleet.place({**ENDLESS, "name": "e2"})
    busy = worker_at(fleet, venue)
    busy.saw("job_started", engine="e2")
    cleaner = worker_at(fleet, venue, "--queues", "cleanup")
    cleaner.saw("worker_started")
    left = stopped_with_a_working_order(doomed, venue)
    os.kill(doomed.child.pid, signal.SIGKILL)
    assert cleaner.saw("orders_cancelled", engine="e1", owner=token)["orders"] == left
    assert venue.status()["orders"] == []
    results = eventually(lambda: cleanup_results(fleet), timeout_s=PATIENCE_S, why="the job ends after it has told")
    assert [found["cancelled"] for found in results] == [len(left)]
    assert [event["engine"] for event in busy.events if event["event"] == "job_started"] == ["e2"]


def test_orders_of_a_killed_worker_are_cancelled_although_its_job_was_marked_failed(
    fleet: Fleet, venue: VenueProcess
) -> None:
    """kill -9 of the only worker, and `rq info` before another one comes: it takes the job for failed, and what the
    owner left is found all the same."""
    job = fleet.place(resting(fleet))
    doomed = worker_at(fleet, venue, WORKERS_RECORD_TTL_S="3")
    token = doomed.saw("job_started")["token"]
    left = stopped_with_a_working_order(doomed, venue)
    os.kill(doomed.child.pid, signal.SIGKILL)
    info = [str(Path(sys.executable).parent / "rq"), "info", "-u", fleet.queue_server.unix_url]

    def marked_failed() -> bool:
        subprocess.run(info, check=True, capture_output=True, timeout=PATIENCE_S)
        return job.get_status() is JobStatus.FAILED

    eventually(marked_failed, timeout_s=PATIENCE_S, why="rq takes the job for failed")
    heir = worker_at(fleet, venue)
    assert heir.saw("orders_cancelled", engine="e1", owner=token)["orders"] == left
    assert venue.status()["orders"] == []


def test_order_in_the_line_of_a_killed_worker_never_works_after_the_cleanup(fleet: Fleet, venue: VenueProcess) -> None:
    """kill -9 with an order on its way: the venue is frozen, the order lies in its socket, its sender is dead. The
    cleanup is tried until the venue is back, and in the end nothing of that owner works, whichever came first."""
    fleet.place(resting(fleet))
    doomed = worker_at(fleet, venue)
    token = doomed.saw("job_started")["token"]
    eventually(lambda: venue.arrivals(owner=token), timeout_s=PATIENCE_S, why="the engine trades")
    venue.sigstop()
    doomed.saw("engine_rejected")  # its question got no answer: it lies in the line of the frozen venue
    os.kill(doomed.child.pid, signal.SIGKILL)
    fleet.engage()  # cleanup goes on; nobody starts the engine, which would take over what its predecessor left
    cleaner = worker_at(fleet, venue)
    cleaner.saw("cleanup_failed", engine="e1", owner=token)
    venue.sigcont()
    cleaner.saw("orders_cancelled", engine="e1", owner=token)
    status = venue.status()
    assert status["owner"] > token
    assert [order for order in status["orders"] if order["owner"] <= token] == []
    with venue.line() as line:
        assert line.order("from the dead", 10**9, owner=token)["error"] == "StaleOwner"


def test_worker_thought_dead_that_wakes_up_past_its_own_check_is_refused_by_the_venue(
    fleet: Fleet, venue: VenueProcess
) -> None:
    """A frozen worker whose engine went to another: what it sends when it wakes is refused by its owner token, it
    withdraws nothing of its successor's, and it notices."""
    fleet.place(resting(fleet))
    sleeper = worker_at(fleet, venue)
    token = sleeper.saw("job_started")["token"]
    left = stopped_with_a_working_order(sleeper, venue)
    heir = worker_at(fleet, venue)
    heir.saw("orders_cancelled", engine="e1", owner=token)
    taken = heir.saw("job_started", engine="e1")["token"]
    eventually(lambda: venue.arrivals(accepted=True, owner=taken), timeout_s=PATIENCE_S, why="the heir trades")
    os.kill(sleeper.child.pid, signal.SIGCONT)
    sleeper.saw("engine_ownership_lost", engine="e1")
    sleeper.saw("job_superseded")
    with venue.line() as line:  # what a send just past the check would have met
        assert line.order("late", 10**9, owner=token)["error"] == "StaleOwner"
    late = venue.arrivals(accepted=True, owner=token)[-1]["t"]
    first = venue.arrivals(accepted=True, owner=taken)[0]["t"]
    assert late < first
    assert not set(left) & {order["client_id"] for order in venue.status()["orders"]}


def test_killed_engine_is_fenced_for_the_operator_and_cleaned_up_for_the_account(
    fleet: Fleet, venue: VenueProcess
) -> None:
    """The whole story: an engine killed with an order working, a stop that is proved FENCED by what its worker had
    said of its session, its orders cancelled while engaged, and trading resumed by a successor."""
    job = fleet.place(resting(fleet))
    doomed = worker_at(fleet, venue)
    token = doomed.saw("job_started")["token"]
    stopped_with_a_working_order(doomed, venue)
    os.kill(doomed.child.pid, signal.SIGKILL)
    control = Controller(fleet.settings.model_copy(update={"sinks": venue.setting}))
    outcome = control.engage("incident", "test", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.FENCED, outcome
    (stands,) = outcome.fences
    assert [fence.sink for fence in stands.fences] == ["venue/e1"]
    heir = worker_at(fleet, venue)
    heir.saw("orders_cancelled", engine="e1", owner=token)
    assert venue.status()["orders"] == []
    assert fleet.waiting() == [job.id]
    fleet.reset()
    heir.saw("job_started", engine="e1")
    eventually(
        lambda: [event for event in venue.arrivals(accepted=True) if event["token"] > outcome.epoch],
        timeout_s=PATIENCE_S,
        why="the successor trades above the fence",
    )
