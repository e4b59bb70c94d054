"""The venue's side of the line: sessions, their orders and positions, and what is refused.

Invariants: a fence is never lowered, and an order below it is refused; an owner that was replaced or fenced out is
refused for good; a client id works once. What takes effect is written down first, so that the record never lacks an
order that was accepted, and a fence is confirmed only when it is in the record. `handle` never waits and never raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from killswitch import clock
from workers.broker import BrokerError, DuplicateOrder, PaperBroker, StaleOwner, StaleToken
from workers.domain import Fill, Order, Tick
from workers.venue.protocol import BadRequest, Fields, fill_fields, order_fields, position_fields

__all__ = ["Book", "Session"]

_SESSIONS_MAX = 10_000
_FILLS_KEPT = 10_000

Record = Callable[[dict[str, Any]], None]
"""Takes one event of the common history; raises OSError when it cannot be kept."""


def _no_record(_event: dict[str, Any]) -> None:
    return None


class Session:
    """One account: a paper book with the owners of its orders. `lowest_owner` is the lowest one still accepted."""

    def __init__(self) -> None:
        self.paper = PaperBroker()
        self.lowest_owner = 0
        self.owners: dict[str, int] = {}
        self.fills: deque[Fill] = deque(maxlen=_FILLS_KEPT)
        self.seq = 0
        self.accepted = 0
        self.refused = 0

    def refusal(self, order: Order, token: int, owner: int) -> BrokerError | None:
        """Why this order is not taken, None when it is."""
        if owner < self.lowest_owner:
            text = f"owner {owner} was replaced: only {self.lowest_owner} and later ones are accepted"
            return StaleOwner(order.client_id, text)
        if token < self.paper.fence:
            text = f"token {token} is below the fence {self.paper.fence}: decided before a halt"
            return StaleToken(order.client_id, text)
        if self.paper.token_of(order.client_id) is not None:
            return DuplicateOrder(order.client_id, "this client id was used before: the first order stands")
        return None

    def take(self, order: Order, token: int, owner: int) -> None:
        """Puts an order to work that `refusal` had nothing against. From now on earlier owners are refused."""
        self.paper.submit(order, token)
        self.owners[order.client_id] = owner
        self.lowest_owner = max(self.lowest_owner, owner)

    def cancel(self, client_id: str, owner: int) -> bool:
        """Cancels one order of this owner or an earlier one."""
        if self.owners.get(client_id, owner) > owner:
            return False
        self.owners.pop(client_id, None)
        return self.paper.cancel(client_id)

    def working_of(self, owner: int | None) -> list[str]:
        """Ids of the working orders of owners up to `owner`; None means everybody."""
        return [name for name, whose in self.owners.items() if owner is None or whose <= owner]

    def on_tick(self, tick: Tick) -> None:
        """Fills what `tick` reaches."""
        fills = self.paper.on_tick(tick)
        if fills:
            self.fills.extend(fills)
            self.seq += len(fills)
        if len(self.owners) != len(self.paper.open_orders()):  # a reducing order may also go without a fill
            still = {order.client_id for order in self.paper.open_orders()}
            self.owners = {name: owner for name, owner in self.owners.items() if name in still}

    def fills_after(self, since: int) -> list[Fill]:
        """The fills that came after the one numbered `since`, as far as they are kept."""
        news = min(self.seq - since, len(self.fills))
        return list(self.fills)[len(self.fills) - news :] if news > 0 else []


class Book:
    """All sessions of one venue called `name`. `record` takes the events of the common history."""

    def __init__(
        self, name: str = "venue", *, record: Record = _no_record, now_ns: Callable[[], int] = clock.now_ns
    ) -> None:
        self.name = name
        self.sessions: dict[str, Session] = {}
        self._record = record
        self._now_ns = now_ns
        self._actions: dict[str, Callable[[Session, str, Fields], dict[str, Any]]] = {
            "submit": self._take_order,
            "cancel": self._cancel,
            "void": self._void,
            "cancel_all": self._cancel_all,
            "open_orders": lambda session, _name, _fields: {"orders": self._working(session)},
            "positions": lambda session, _name, _fields: {"positions": self._positions(session)},
            "on_tick": self._on_tick,
            "raise_fence": self._raise_fence,
            "status": self._status,
        }

    def restore(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Remembers fences, owners and client ids of an earlier life of this venue; its working orders are gone.

        Raises:
            KeyError, TypeError, ValueError: an event of another form; a fence may have been in it.
        """
        for event in events:
            if event.get("sink") != self.name or event.get("kind") not in ("arrive", "fence"):
                continue
            session = self.sessions.setdefault(str(event["session"]), Session())
            session.paper.raise_fence(int(event["fence"]))
            if event["kind"] == "fence":
                session.lowest_owner = max(session.lowest_owner, int(event.get("owner", 0)))
            elif event["accepted"]:
                session.lowest_owner = max(session.lowest_owner, int(event.get("owner", 0)))
                session.paper.remember(str(event["order"]), int(event["token"]))

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        number = request.get("id")
        number = number if isinstance(number, str | int | float) else None
        try:
            return {"id": number, "ok": True, **self._do(request)}
        except BrokerError as error:
            return {"id": number, "ok": False, "error": type(error).__name__, "reason": error.reason}
        except OSError as error:
            text = f"the venue cannot keep its record ({error.strerror}), so nothing was done"
            return {"id": number, "ok": False, "error": "BrokerError", "reason": text}

    def _do(self, request: Mapping[str, Any]) -> dict[str, Any]:
        fields = Fields(request)
        what = fields.text("do")
        action = self._actions.get(what)
        if action is None:
            raise BadRequest("", f"there is no {what[:40]!r}: ask for {', '.join(self._actions)}")
        if what == "status" and not fields.has("session"):
            return {"name": self.name, "sessions": {name: _counts(found) for name, found in self.sessions.items()}}
        name = fields.text("session")
        session = self.sessions.get(name)
        if session is not None:
            return action(session, name, fields)
        if len(self.sessions) >= _SESSIONS_MAX:
            raise BrokerError("", f"there are {_SESSIONS_MAX} sessions already: no more are opened")
        session = Session()
        done = action(session, name, fields)  # looking opens nothing: a session is there once something was done in it
        if what in ("submit", "void", "raise_fence", "cancel_all"):
            self.sessions[name] = session
        return done

    # ---- what is asked ----

    def _take_order(self, session: Session, name: str, fields: Fields) -> dict[str, Any]:
        order, token, owner = fields.order(), fields.whole("token"), fields.whole("owner", 0)
        refusal = session.refusal(order, token, owner)
        self._write(
            "arrive",
            session=name,
            worker=fields.text("worker", "-"),
            order=order.client_id,
            token=token,
            accepted=refusal is None,
            fence=session.paper.fence,
            owner=owner,
            why=type(refusal).__name__ if refusal else "",
        )
        if refusal is not None:
            session.refused += 1
            raise refusal
        session.take(order, token, owner)
        session.accepted += 1
        return {}

    def _cancel(self, session: Session, _name: str, fields: Fields) -> dict[str, Any]:
        return {"cancelled": session.cancel(fields.text("client_id"), fields.whole("owner", 2**53))}

    def _void(self, session: Session, _name: str, fields: Fields) -> dict[str, Any]:
        client_id, owner = fields.text("client_id"), fields.whole("owner", 0)
        known = session.paper.token_of(client_id) is not None
        if not known:
            session.paper.remember(client_id, 0)
        return {"cancelled": session.cancel(client_id, owner), "known": known}

    def _cancel_all(self, session: Session, name: str, fields: Fields) -> dict[str, Any]:
        owner = fields.whole("owner") if fields.has("owner") else None
        if owner is not None and fields.flag("refuse", True):
            lowest = max(session.lowest_owner, owner + 1)
            self._write("fence", session=name, epoch=0, fence=session.paper.fence, owner=lowest)
            session.lowest_owner = lowest
        ids = session.working_of(owner)
        for client_id in ids:
            session.cancel(client_id, session.owners[client_id])
        return {"cancelled": len(ids), "orders": ids, "owner": session.lowest_owner}

    def _on_tick(self, session: Session, _name: str, fields: Fields) -> dict[str, Any]:
        owner = fields.whole("owner", 0)
        if owner < session.lowest_owner:
            raise StaleOwner("", f"owner {owner} was replaced: its quotes move nothing any more")
        tick = Tick(fields.text("symbol"), fields.time_ns(), fields.number("bid"), fields.number("ask"))
        session.on_tick(tick)
        return self._news(session, fields.whole("since", 0))

    def _raise_fence(self, session: Session, name: str, fields: Fields) -> dict[str, Any]:
        epoch = fields.whole("epoch")
        fence = max(session.paper.fence, epoch)
        self._write("fence", session=name, epoch=epoch, fence=fence, owner=session.lowest_owner)
        session.paper.raise_fence(fence)
        return {"fence": session.paper.fence, "name": self.name}

    def _status(self, session: Session, _name: str, fields: Fields) -> dict[str, Any]:
        known = session.paper.token_of(fields.text("client_id")) if fields.has("client_id") else None
        return {
            "name": self.name,
            **_counts(session),
            **self._news(session, fields.whole("since", session.seq)),
            "orders": self._working(session),
            "positions": self._positions(session),
            "known": known,
        }

    # ---- what is told ----

    def _news(self, session: Session, since: int) -> dict[str, Any]:
        fills = session.fills_after(since)
        news = {"fills": [fill_fields(fill) for fill in fills], "seq": session.seq, "working": list(session.owners)}
        return {**news, "positions": self._positions(session)} if session.seq != since else news

    def _working(self, session: Session) -> list[dict[str, Any]]:
        owners = session.owners
        return [{**order_fields(order), "owner": owners[order.client_id]} for order in session.paper.open_orders()]

    def _positions(self, session: Session) -> dict[str, Any]:
        return {symbol: position_fields(held) for symbol, held in session.paper.positions().items()}

    def _write(self, kind: str, **values: Any) -> None:
        self._record({"kind": kind, "t": self._now_ns(), "sink": self.name, **values})


def _counts(session: Session) -> dict[str, Any]:
    return {
        "fence": session.paper.fence,
        "owner": session.lowest_owner,
        "open": len(session.owners),
        "accepted": session.accepted,
        "refused": session.refused,
    }
