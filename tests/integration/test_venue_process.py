"""The venue as a process: its first line, its end, its record, and what clients see of it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.processes import Children
from tests.support.venue import VenueLine, VenueProcess, connected
from tests.support.waiting import Stopwatch, eventually
from workers.broker import BrokerError, UnknownOutcome
from workers.domain import Order, Side, Tick
from workers.venue import VenueBroker

PATIENCE_S = 20.0
ORDER = Order("c-1", "EURUSD", Side.BUY, 10, 0.5, reduces=False)


def test_it_tells_where_it_listens_and_ends_in_order(children: Children, tmp_path: Path) -> None:
    """One JSON line with the port that was chosen; after SIGTERM exit code 0, with clients connected or not."""
    venue = VenueProcess(children, tmp_path)
    with VenueLine(venue.url) as line, connected(venue.url):
        assert line.order("a")["ok"]
        venue.child.send(signal.SIGTERM)
        assert venue.child.wait(PATIENCE_S) == 0, venue.child.output
    last = json.loads(venue.child.output.splitlines()[-1])
    assert (last["event"], last["working"]) == ("venue_ended", 1)


def test_unix_path_is_left_clean_and_taken_over_after_a_kill(children: Children, tmp_path: Path) -> None:
    """A dead venue's path keeps nobody from starting the next one; an orderly end removes it."""
    path = tmp_path / "v.sock"
    venue = VenueProcess(children, tmp_path, url=f"unix://{path}")
    venue.kill9()
    assert path.exists()
    venue.start()
    with venue.line() as line:
        assert line.ask("status", session=None)["ok"]
    second = children.worker("venue", "--listen", venue.url)
    assert second.wait(PATIENCE_S) == 1
    assert "another process" in second.output
    venue.child.send(signal.SIGTERM)
    assert venue.child.wait(PATIENCE_S) == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "env", "text"),
    [
        ((), {}, "--listen"),
        (("--listen", "redis://h:1"), {}, "another form"),
        (("--listen", "tcp://127.0.0.1:1"), {"WORKERS_VENUE_NAME": "a/b"}, "WORKERS_VENUE_NAME"),
        (("--listen", "tcp://127.0.0.1:0"), {"WORKERS_VENUE_URL": "tcp://h:0"}, "WORKERS_VENUE_URL"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    children: Children, words: tuple[str, ...], env: dict[str, str], text: str
) -> None:
    """Said at once, without a traceback."""
    child = children.python("-m", "workers", "venue", *words, env=env)
    assert child.wait(PATIENCE_S) == 2
    assert text in child.output
    assert "Traceback" not in child.output


def knows(broker: VenueBroker, client_id: str) -> bool:
    """Whether the venue says that it has the order; False also where it did not answer in time."""
    try:
        return broker.known(client_id)
    except BrokerError:
        return False


@pytest.mark.faults
def test_order_in_the_line_of_a_frozen_venue_is_unknown_until_it_wakes(children: Children, tmp_path: Path) -> None:
    """The client says in time that nobody knows; when the venue goes on the order is there, and its id can be asked
    for; and nothing was sent twice."""
    venue = VenueProcess(children, tmp_path)
    broker = VenueBroker(venue.url, "e1", owner=5, worker="w1", timeout_s=0.5)
    eventually(broker.refresh, why="the client is in step")
    venue.sigstop()
    watch = Stopwatch()
    with pytest.raises(UnknownOutcome):
        broker.submit(ORDER, 7)
    assert watch.took_s < 2.0
    with pytest.raises(BrokerError):
        broker.known("c-1")
    venue.sigcont()
    eventually(lambda: knows(broker, "c-1"), why="the venue answers for the order")
    eventually(broker.refresh, why="the client is in step again")
    assert [order.client_id for order in broker.open_orders()] == ["c-1"]
    assert [event["order"] for event in venue.arrivals(accepted=True)] == ["c-1"]
    broker.close()


@pytest.mark.faults
def test_kill_of_the_venue_loses_the_book_and_nothing_that_it_promised(children: Children, tmp_path: Path) -> None:
    """The client meets a venue that knows its fences and ids, notices that its order is gone, and goes on."""
    venue = VenueProcess(children, tmp_path)
    broker = VenueBroker(venue.url, "e1", owner=5, worker="w1")
    broker.raise_fence(3)
    broker.submit(ORDER, 3)
    venue.kill9()
    tick = Tick("EURUSD", 1, 1.0, 1.1)
    assert list(broker.on_tick(tick)) == []
    venue.start()
    eventually(lambda: not broker.on_tick(tick) and broker.open_orders() == (), why="the client is back in step")
    assert venue.status()["fence"] == 3
    with venue.line() as line:
        assert line.order("x", 2, owner=5)["error"] == "StaleToken"
        assert line.order("c-1", 3, owner=5)["error"] == "DuplicateOrder"
        assert line.order("y", 3, owner=4)["error"] == "StaleOwner"
    broker.submit(Order("c-2", "EURUSD", Side.BUY, 10, 0.5, reduces=False), 3)
    broker.close()
