"""A history for people: when, who, what; at most 100 columns; violations where they happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tests.history.checker import Violation
from tests.history.events import Event

__all__ = ["COLUMNS", "timeline"]

COLUMNS = 100
_NEAR_NS = 20_000_000
_TRADING = frozenset({"pass1", "pass2", "send", "arrive", "release"})
_SKIPPED = frozenset({"meta", "answer"})


def timeline(events: Iterable[Event], violations: Iterable[Violation]) -> Iterator[str]:
    """One line for each event that matters. Trading is summed up, except close to a violation."""
    found = sorted(violations, key=lambda violation: violation.t)
    marks = [violation.t for violation in found]
    traded: dict[str, int] = {}
    for event in sorted(events, key=lambda event: event["t"]):
        t, kind = event["t"], event["kind"]
        while found and found[0].t <= t:
            yield from _flushed(t, traded)
            yield _line(found[0].t, ">>>>", f"VIOLATION {found[0].prop}: {found[0].text}")
            found.pop(0)
        if kind in _TRADING and not any(0 <= mark - t <= _NEAR_NS for mark in marks):
            traded[event["worker"]] = traded.get(event["worker"], 0) + (kind == "send")
        elif kind not in _SKIPPED:
            yield from _flushed(t, traded)
            yield _line(t, _who(event), _what(event))
    for violation in found:
        yield _line(violation.t, ">>>>", f"VIOLATION {violation.prop}: {violation.text}")


def _flushed(t: int, traded: dict[str, int]) -> Iterator[str]:
    for worker, orders in sorted(traded.items()):
        if orders:
            yield _line(t, worker, f"(meanwhile: {orders} orders)")
    traded.clear()


def _line(t: int, who: str, what: str) -> str:
    text = f"{t / 1e6:11.3f}  {who:8.8}  {what}"
    return text if len(text) <= COLUMNS else text[: COLUMNS - 3] + "..."


def _who(event: Event) -> str:
    who = event.get("worker") or event.get("server") or event.get("by") or event.get("target") or event.get("sink")
    if event["kind"] in ("op", "op_end"):
        return str(event["op"])
    return str(who) if who else "world"


def _what(event: Event) -> str:
    return str(_TEXTS[event["kind"]](event))


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.3f}"


def _state(e: Event) -> str:
    looked = "" if e["looked"] is None else f", by one who looked at {e['looked']}"
    recorded = f"epoch {e['epoch']}" if e["epoch"] else "no epoch yet"
    return f"{e['scope']} = {e['mode']} ({recorded}, {e['via']}{looked})"


def _op_end(e: Event) -> str:
    names = f", pending {' '.join(e['pending'])}" if e["pending"] else ""
    note = f": {e['note']}" if e.get("note") else ""
    return f"-> {e['result']} at epoch {e['epoch']}{names}{note}"


def _view(e: Event) -> str:
    return f"gate {'OPEN' if e['open'] else 'closed'} ({e['code']}, epoch {e['epoch']})"


def _arrive(e: Event) -> str:
    verdict = "accepted" if e["accepted"] else f"refused by fence {e['fence']}"
    return f"order {e['order']} arrives under {e['token']}, {verdict}"


_TEXTS: dict[str, Any] = {
    "worker": lambda e: f"begins, lease {e['lease_ms']} ms, follows {' '.join(e['scopes']) or 'the switch'}",
    "gone": lambda e: "is gone",
    "end": lambda e: f"at the end: {e['in_flight']} permits held",
    "pass1": lambda e: f"passed gate 1 at epoch {e['epoch']}, begun at {_ms(e['start'])}",
    "pass2": lambda e: f"passed gate 2 at epoch {e['epoch']} for {e['order']}, begun at {_ms(e['start'])}",
    "send": lambda e: f"sends {e['order']} under {e['epoch']}",
    "release": lambda e: f"releases {e['order']}",
    "arrive": _arrive,
    "fence": lambda e: f"fence of {e['session']} stands at {e['fence']}",
    "state": _state,
    "announced": lambda e: f"the change of {_ms(e['changed'])} is announced at its host",
    "lost": lambda e: f"permissions are void: {e['why']}",
    "op": lambda e: f"{e['action']} {e['scope']}" + (f", wait {e['wait_s']:.3g} s" if e["wait_s"] else ""),
    "op_end": _op_end,
    "fault": lambda e: f"{e['name']} {'begins' if e['phase'] == 'begin' else 'ends'}",
    "phase": lambda e: f"---- {e['name']} ----",
    "view": _view,
}
