"""The venue's book: what is refused stays refused, what was taken is remembered, and nothing misread has an effect."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.venue.book import Book
from workers.venue.protocol import BadRequest, decode


class Desk:
    """A book, its record, and short ways to ask it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.book = Book(record=self.events.append, now_ns=lambda: len(self.events))

    def ask(self, do: str, session: str | None = "e1", **fields: Any) -> dict[str, Any]:
        return self.book.handle({"id": 7, "do": do, "session": session, **fields})

    def order(self, client_id: str = "c1", token: int = 1, owner: int = 0, **fields: Any) -> dict[str, Any]:
        wanted = {"symbol": "EURUSD", "side": "BUY", "quantity": 10, "limit": 1.0, "worker": "w1", **fields}
        return self.ask("submit", client_id=client_id, token=token, owner=owner, **wanted)

    def tick(self, bid: float, ask: float, **fields: Any) -> dict[str, Any]:
        return self.ask("on_tick", symbol="EURUSD", time_ns=1_700_000_000_000_000_000, bid=bid, ask=ask, **fields)

    def working(self) -> list[str]:
        return [order["client_id"] for order in self.ask("open_orders")["orders"]]


def test_order_works_is_recorded_and_fills() -> None:
    """Arrival and acceptance are on record with worker, token and fence; the fill comes with the quote it meets."""
    desk = Desk()
    assert desk.order() == {"id": 7, "ok": True}
    arrived = {"kind": "arrive", "t": 0, "sink": "venue", "session": "e1", "worker": "w1", "order": "c1", "token": 1}
    assert desk.events == [{**arrived, "accepted": True, "fence": 0, "owner": 0, "why": ""}]
    assert desk.tick(1.1, 1.2)["fills"] == []
    answer = desk.tick(0.8, 0.9)
    assert [(fill["client_id"], fill["price"]) for fill in answer["fills"]] == [("c1", 1.0)]
    assert (answer["seq"], answer["working"]) == (1, [])
    assert answer["positions"]["EURUSD"]["quantity"] == 10
    assert desk.ask("positions")["positions"]["EURUSD"]["quantity"] == 10


def test_fence_refuses_older_tokens_and_is_never_lowered() -> None:
    """S16: a smaller epoch leaves the fence where it is, and what is below it is refused and recorded as such."""
    desk = Desk()
    assert desk.ask("raise_fence", epoch=5)["fence"] == 5
    assert desk.ask("raise_fence", epoch=3)["fence"] == 5
    refused = desk.order(token=4)
    assert (refused["ok"], refused["error"]) == (False, "StaleToken")
    assert desk.order(token=5)["ok"]
    assert [(e["kind"], e.get("fence"), e.get("accepted")) for e in desk.events] == [
        ("fence", 5, None),
        ("fence", 5, None),
        ("arrive", 5, False),
        ("arrive", 5, True),
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=40))
def test_no_order_below_the_highest_epoch_ever_raised_is_accepted(steps: list[tuple[bool, int]]) -> None:
    """S16 for any order of fences and orders, against a fence that is nothing but the maximum so far."""
    desk, fence = Desk(), 0
    for number, (raises, value) in enumerate(steps):
        if raises:
            fence = max(fence, value)
            assert desk.ask("raise_fence", epoch=value)["fence"] == fence
        else:
            assert desk.order(f"c{number}", token=value)["ok"] is (value >= fence)


@given(st.lists(st.tuples(st.sampled_from(["order", "out", "cancel"]), st.integers(0, 6)), max_size=40))
def test_owners_that_were_replaced_send_nothing_and_later_ones_lose_nothing(steps: list[tuple[str, int]]) -> None:
    """An owner is refused for good once it was fenced out or a later one has sent; cancelling in its place never
    touches what a later owner has working."""
    desk, lowest = Desk(), 0
    working: dict[str, int] = {}
    for number, (what, owner) in enumerate(steps):
        if what == "order":
            accepted = owner >= lowest
            answer = desk.order(f"c{number}", owner=owner)
            assert answer["ok"] is accepted
            if accepted:
                lowest = owner
                working[f"c{number}"] = owner
            else:
                assert answer["error"] == "StaleOwner"
        else:
            fences = what == "out"
            dead = [name for name, whose in working.items() if whose <= owner]
            answer = desk.ask("cancel_all", owner=owner, refuse=fences)
            assert (answer["cancelled"], answer["orders"]) == (len(dead), dead)
            lowest = max(lowest, owner + 1) if fences else lowest
            assert answer["owner"] == lowest
            working = {name: whose for name, whose in working.items() if name not in dead}
    assert desk.working() == list(working)


def test_cancelling_in_the_place_of_a_dead_owner_may_be_repeated() -> None:
    """The second time finds nothing, and the fence of owners stands where it stood."""
    desk = Desk()
    desk.order("a", owner=3)
    desk.order("b", owner=3)
    first, second = desk.ask("cancel_all", owner=3), desk.ask("cancel_all", owner=3)
    assert (first["cancelled"], second["cancelled"]) == (2, 0)
    assert first["owner"] == second["owner"] == 4
    assert desk.order("late", owner=3)["error"] == "StaleOwner"
    assert desk.events[-1]["accepted"] is False


def test_everybodys_orders_are_cancelled_without_an_owner() -> None:
    """What an operator asks for by hand; nobody is refused afterwards."""
    desk = Desk()
    desk.order("a", owner=3)
    desk.order("b", owner=4)
    assert desk.ask("cancel_all")["cancelled"] == 2
    assert desk.order("c", owner=4)["ok"]


def test_owner_cancels_its_own_and_earlier_orders_one_by_one_but_no_later_one() -> None:
    """A process that lost its engine and does not know it yet withdraws nothing of its successor's."""
    desk = Desk()
    desk.order("a", owner=3)
    desk.order("b", owner=4)
    assert desk.ask("cancel", client_id="b", owner=3)["cancelled"] is False
    assert desk.ask("cancel", client_id="a", owner=4)["cancelled"] is True
    assert desk.ask("cancel", client_id="a", owner=4)["cancelled"] is False
    assert desk.working() == ["b"]


def test_quotes_of_a_replaced_owner_move_nothing() -> None:
    """Its market may be minutes old."""
    desk = Desk()
    desk.order("b", owner=4)
    assert desk.tick(0.1, 0.2, owner=3)["error"] == "StaleOwner"
    assert desk.working() == ["b"]


def test_client_id_works_once_also_after_its_order_is_gone() -> None:
    """A repeated send has no second effect."""
    desk = Desk()
    desk.order("a")
    desk.ask("cancel", client_id="a")
    assert desk.order("a")["error"] == "DuplicateOrder"
    assert desk.ask("status", client_id="a")["known"] == 1
    assert desk.ask("status", client_id="b")["known"] is None


def test_voided_order_is_cancelled_or_refused_when_it_arrives_later() -> None:
    """After that nothing comes of it, whichever was first at the venue."""
    desk = Desk()
    desk.order("early")
    assert desk.ask("void", client_id="early") == {"id": 7, "ok": True, "cancelled": True, "known": True}
    assert desk.ask("void", client_id="late") == {"id": 7, "ok": True, "cancelled": False, "known": False}
    assert desk.order("late")["error"] == "DuplicateOrder"
    assert desk.working() == []


def test_fills_are_numbered_so_that_a_lost_answer_loses_none() -> None:
    """Asking again from the last known number brings what was missed, once."""
    desk = Desk()
    desk.order("a")
    desk.order("b")
    desk.tick(0.8, 0.9, since=0)  # its answer is lost
    again = desk.ask("status", since=0)
    assert [fill["client_id"] for fill in again["fills"]] == ["a", "b"]
    assert desk.ask("status", since=1)["seq"] == 2
    assert [fill["client_id"] for fill in desk.ask("status", since=1)["fills"]] == ["b"]
    assert desk.ask("status", since=2)["fills"] == []
    assert desk.ask("status", since=99)["fills"] == []


def test_reducing_order_that_is_dropped_without_a_fill_is_not_working() -> None:
    """Nothing is held, so nothing is left of it; nor is its owner remembered."""
    desk = Desk()
    desk.order("a", reduces=True, side="SELL", limit=None)
    assert desk.tick(1.0, 1.1)["working"] == []
    assert desk.ask("status")["open"] == 0


def test_looking_opens_no_session() -> None:
    """Asking about many names costs the venue nothing."""
    desk = Desk()
    for what in ("status", "positions", "open_orders"):
        assert desk.ask(what, session="nobody")["ok"]
    desk.ask("cancel", client_id="x")
    desk.order("bad", quantity=0)
    assert desk.ask("status", session=None) == {"id": 7, "ok": True, "name": "venue", "sessions": {}}
    desk.ask("raise_fence", epoch=1)
    assert list(desk.ask("status", session=None)["sessions"]) == ["e1"]


def test_too_many_sessions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with an endless supply of names does not fill the memory; those that are open go on."""
    monkeypatch.setattr("workers.venue.book._SESSIONS_MAX", 2)
    desk = Desk()
    answers = [desk.ask("raise_fence", session=f"s{n}", epoch=1)["ok"] for n in range(3)]
    assert answers == [True, True, False]
    assert desk.ask("raise_fence", session="s0", epoch=2)["fence"] == 2


def test_nothing_happens_that_cannot_be_recorded() -> None:
    """A full disk: orders and fences are refused, and neither half of them took effect."""

    def full(_event: dict[str, Any]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    desk = Desk()
    desk.order("a", owner=1)
    desk.book._record = full
    for answer in (desk.order("b"), desk.ask("raise_fence", epoch=9), desk.ask("cancel_all", owner=5)):
        assert (answer["ok"], answer["error"]) == (False, "BrokerError")
        assert "No space" in answer["reason"]
    assert desk.working() == ["a"]
    status = desk.ask("status")
    assert (status["fence"], status["owner"], status["accepted"]) == (0, 1, 1)


def test_restarted_venue_remembers_fences_owners_and_client_ids() -> None:
    """S16: what was confirmed outlives the process; its working orders do not."""
    desk = Desk()
    desk.ask("raise_fence", epoch=5)
    desk.order("a", token=6, owner=2)
    desk.ask("cancel_all", owner=8)
    desk.ask("raise_fence", session="other", epoch=9)
    again = Desk()
    again.book.restore(json.loads(json.dumps(desk.events)))
    assert again.order("b", token=4, owner=9)["error"] == "StaleToken"
    assert again.order("b", token=6, owner=8)["error"] == "StaleOwner"
    assert again.order("a", token=6, owner=9)["error"] == "DuplicateOrder"
    assert again.ask("status", session="other")["fence"] == 9
    assert again.working() == []


GOOD: dict[str, Any] = {
    "do": "submit", "session": "e1", "client_id": "c", "symbol": "S", "side": "BUY", "quantity": 1, "limit": 1.0,
    "token": 1, "owner": 0, "reduces": False,
}  # fmt: skip
BAD: list[Any] = [None, True, -1, 1.5, float("nan"), float("inf"), "", "x" * 200, [], {}, 2**60, "1"]


@given(st.sampled_from(sorted(GOOD)), st.sampled_from(BAD))
def test_field_of_another_form_is_refused_or_means_what_it_says(name: str, value: Any) -> None:
    """Whatever stands in a field, the answer is an answer, and a refused order leaves no trace."""
    desk = Desk()
    answer = desk.book.handle({**GOOD, name: value})
    assert answer["ok"] in (True, False)
    json.dumps(answer, allow_nan=False)
    if not answer["ok"]:
        assert answer["error"] == "BadRequest"
        assert desk.book.sessions == {}
        assert desk.events == []


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=5) | st.none(), max_size=5))
def test_any_object_is_answered(request: dict[str, Any]) -> None:
    """The book never raises."""
    assert Desk().book.handle(request)["ok"] in (True, False)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"\xff\xfe", b'"x"', b"[" * 100_000, b"nan"])
def test_line_that_is_no_object_is_a_bad_request(line: bytes) -> None:
    """Also one that would exhaust the parser's stack."""
    with pytest.raises(BadRequest):
        decode(line)
