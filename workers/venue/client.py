"""A venue of another process as a `Broker`: one session over one socket, questions with short timeouts.

Nothing is repeated by itself. A question that left and was not answered has an unknown outcome, and says so; after it
this client asks the venue what is so before it sends another order, and refuses to send one that was decided on an
older picture. Between two questions it works on a copy: the venue is asked for fills only while orders work there.

Quotes, looks and fences never raise. While the venue is away they are made up for later: fills are numbered, so none
is lost or booked twice, and a fence goes out before the next order does.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from killswitch import SinkAddress
from killswitch.clock import now_ns
from workers import logs
from workers.broker import BrokerError, StaleOwner, UnknownOutcome
from workers.domain import Fill, Order, Position, Tick
from workers.venue.protocol import ERRORS, decode, encode, order_fields, read_fill, read_order, read_position

__all__ = ["VenueBroker"]

_NO_FILLS: tuple[Fill, ...] = ()
_ANSWER_MAX = 1 << 24
_CHUNK = 65_536
_ASIDE_S = 0.5
"""What quotes, looks and fences wait at most; after a failure they leave the venue alone for as long. A trading loop
has other things to do than to wait for a venue that is away."""


class VenueBroker:
    """The session `session` of the venue at `url`, as `owner` (the engine's ownership token; 0: nobody owns it).

    `worker` goes into the venue's record. `timeout_s` bounds each question, connecting included. One thread uses it.
    """

    def __init__(
        self, url: str | SinkAddress, session: str, *, owner: int = 0, worker: str = "", timeout_s: float = 1.0
    ) -> None:
        self._address = url if isinstance(url, SinkAddress) else SinkAddress.parse(url)
        self._session = session
        self._owner = owner
        self._worker = worker or "-"
        self._timeout_s = self._limit_s = timeout_s
        self._sock: socket.socket | None = None
        self._left = b""
        self._number = 0
        self._working: dict[str, Order] = {}
        self._positions: dict[str, Position] = {}
        self._unseen: list[Fill] = []
        self._seq: int | None = None  # number of the last fill that was taken in
        self._fence = 0  # the highest that was asked for
        self._fence_stands = 0  # the highest that the venue confirmed
        self._in_step = False
        self._taken_over = not owner
        self._next_try_ns = 0
        self._log = logs.get(venue=str(self._address), session=session)
        self._away = False

    # ---- Broker ----

    def submit(self, order: Order, token: int) -> None:
        """Sends an order once; see `Broker.submit`."""
        if self._sock is None or _ended(self._sock):
            self.close()
        if not self._in_step:
            seen = self._picture()
            self._synchronise(order.client_id)
            if self._picture() != seen:
                text = "nothing was sent: what the venue holds has changed since this was decided"
                raise BrokerError(order.client_id, text)
        self._ask("submit", order.client_id, **order_fields(order), token=token, worker=self._worker)
        self._working[order.client_id] = order

    def cancel(self, client_id: str) -> bool:
        """See `Broker.cancel`."""
        answer = self._ask("cancel", client_id, client_id=client_id)
        self._working.pop(client_id, None)
        return answer.get("cancelled") is True

    def cancel_all(self) -> int:
        """Cancels what works of this owner and of those before it; see `Broker.cancel_all`."""
        answer = self._ask("cancel_all", "", refuse=False, **({} if self._owner else {"owner": None}))
        self._working.clear()
        return _count(answer.get("cancelled"))

    def fence_out(self, owner: int) -> Sequence[str]:
        """Cancels what owners up to `owner` left working, refuses them from now on; the ids of what was cancelled.

        Repeating it cancels nothing more. Raises BrokerError when the venue did not do it.
        """
        ids = self._ask("cancel_all", "", owner=owner).get("orders")
        return tuple(map(str, ids)) if isinstance(ids, list) else ()

    def known(self, client_id: str) -> bool:
        """Whether the venue has ever taken an order of this id: what to ask after an UnknownOutcome.

        Raises:
            BrokerError: the venue does not say.
        """
        return self._ask("status", client_id, client_id=client_id).get("known") is not None

    def void(self, client_id: str) -> bool:
        """See `Broker.void`."""
        answer = self._ask("void", client_id, client_id=client_id)
        self._working.pop(client_id, None)
        return answer.get("known") is True

    def raise_fence(self, epoch: int) -> None:
        """See `Broker.raise_fence`; told later where the venue is away now, and before any order."""
        self._fence = max(self._fence, epoch)
        if self._fence > self._fence_stands:
            self._in_step = self._in_step and self._tried(self._tell_fence)

    def open_orders(self) -> Sequence[Order]:
        """The working orders as of the last answer."""
        return tuple(self._working.values())

    def position(self, symbol: str) -> Position:
        """What is held of `symbol` as of the last answer."""
        return self._positions.get(symbol) or Position(symbol)

    def positions(self) -> Mapping[str, Position]:
        """Every symbol that was traded, as of the last answer."""
        return dict(self._positions)

    def on_tick(self, tick: Tick) -> Sequence[Fill]:
        """The fills since the last call; asks the venue only while orders work there, or to get into step again."""
        if self._in_step and not self._working and not self._unseen:  # most ticks
            return _NO_FILLS
        if (self._in_step or self.refresh()) and self._working:
            self._tried(lambda: self._take_news(self._ask("on_tick", "", **tick._asdict(), since=self._seq)))
        fills, self._unseen = self._unseen, []
        return fills

    # ---- keeping in step ----

    def refresh(self) -> bool:
        """Gets into step with the venue if it is there; whether it is."""
        return self._tried(lambda: self._synchronise(""))

    def close(self) -> None:
        """Closes the connection; the orders go on working at the venue."""
        if self._sock is not None:
            self._sock.close()
        # The next connection may lead to a venue that was restarted and knows nothing of what was told here.
        self._sock, self._left, self._in_step, self._fence_stands = None, b"", False, 0

    def _synchronise(self, client_id: str) -> None:
        """Raises BrokerError when the venue is not there; then nothing was sent for `client_id`."""
        try:
            if not self._taken_over:
                self._take_over()
            answer = self._ask("status", client_id, since=self._seq)
            ours = (found for found in answer["orders"] if found["owner"] <= self._owner)
            self._working = {str(found["client_id"]): read_order(found) for found in ours}
            self._take_news(answer)
            if self._fence > self._fence_stands:
                self._tell_fence()
        except UnknownOutcome as error:
            raise BrokerError(client_id, f"nothing was sent: {error.reason}") from None
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise BrokerError(client_id, f"nothing was sent: the venue speaks otherwise ({error!r})") from None
        self._in_step = True

    def _take_over(self) -> None:
        """The first word of a new owner: what those before it left working is cancelled, and their late orders are
        refused, whether or not anybody has cleaned up after them."""
        if left := self.fence_out(self._owner - 1):
            self._log.warning("orders_taken_over", owner=self._owner, cancelled=len(left), orders=left[:16])
        self._taken_over = True

    def _take_news(self, answer: Mapping[str, Any]) -> None:
        seq, still = int(answer["seq"]), set(answer["working"])
        if self._seq is not None and seq >= self._seq:
            self._unseen.extend(map(read_fill, answer["fills"]))
        if "positions" in answer:
            self._positions = {name: read_position(name, held) for name, held in answer["positions"].items()}
        self._seq = seq
        self._working = {name: order for name, order in self._working.items() if name in still}

    def _tell_fence(self) -> None:
        self._fence_stands = _count(self._ask("raise_fence", "", epoch=self._fence).get("fence"))

    def _picture(self) -> tuple[object, ...]:
        """What an order may have been decided on."""
        held = {name: held for name, held in self._positions.items() if held.quantity}
        return held, tuple(self._working)

    def _tried(self, contact: Any) -> bool:
        """Whether `contact` came about; left alone for a while after it did not."""
        if now_ns() < self._next_try_ns:
            return False
        self._limit_s = min(_ASIDE_S, self._timeout_s)
        try:
            contact()
        except StaleOwner:
            return False  # somebody else trades here: nothing that happens is this owner's business
        except (BrokerError, KeyError, TypeError, ValueError) as error:
            self.close()
            self._next_try_ns = now_ns() + int(_ASIDE_S * 1e9)
            if not self._away:
                self._log.warning("venue_unreachable", reason=str(error))
            self._away = True
            return False
        finally:
            self._limit_s = self._timeout_s
        if self._away:
            self._log.info("venue_back")
        self._away = False
        return True

    # ---- one question ----

    def _ask(self, what: str, about: str, /, **values: Any) -> dict[str, Any]:
        """One question and its answer. Raises BrokerError (nothing was sent, or refused) or UnknownOutcome."""
        deadline_ns = now_ns() + int(self._limit_s * 1e9)
        self._number += 1
        question = {"id": self._number, "do": what, "session": self._session, "owner": self._owner, **values}
        sock = self._connection(about)
        try:
            sock.settimeout(self._limit_s)
            sock.sendall(encode(question))
            answer = decode(self._line(sock, deadline_ns))
        except BaseException as error:
            self.close()  # half a question may have left, and nobody waits for its answer any more
            if not isinstance(error, OSError | BrokerError):  # a time limit, an interrupt
                raise
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            text = f"the venue at {self._address} did not answer ({why}): whether it took {what} is unknown"
            raise UnknownOutcome(about, text) from None
        if answer.get("id") != self._number:
            self.close()
            raise UnknownOutcome(about, f"the venue at {self._address} answered something else")
        if answer.get("ok") is not True:
            kind = ERRORS.get(str(answer.get("error")), BrokerError)
            raise kind(about, str(answer.get("reason", "refused"))[:500])
        return answer

    def _connection(self, client_id: str) -> socket.socket:
        """A connection that is not known to be dead. Raises BrokerError: nothing was sent."""
        if self._sock is not None and not _ended(self._sock):
            return self._sock
        self.close()
        place = self._address
        try:
            if place.scheme == "unix":
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                sock.settimeout(self._limit_s)
                try:
                    sock.connect(place.path)
                except OSError:
                    sock.close()
                    raise
            else:
                sock = socket.create_connection((place.host, place.port), self._limit_s)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            text = f"nothing was sent: the venue at {place} cannot be reached ({error})"
            raise BrokerError(client_id, text) from None
        self._sock = sock
        return sock

    def _line(self, sock: socket.socket, deadline_ns: int) -> bytes:
        """The next line, within the deadline. Raises OSError."""
        held = bytearray(self._left)
        start = 0
        while (end := held.find(b"\n", start)) < 0:
            start = len(held)
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0:
                raise TimeoutError
            sock.settimeout(left_s)
            data = sock.recv(_CHUNK)
            if not data or len(held) > _ANSWER_MAX:
                raise ConnectionError("it closed the connection" if not data else "its answer does not end")
            held += data
        self._left = bytes(held[end + 1 :])
        return bytes(held[:end])


def _ended(sock: socket.socket) -> bool:
    """Whether the other side has closed: then nothing that is sent now can arrive."""
    try:
        sock.settimeout(0.0)
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _count(value: object) -> int:
    return value if type(value) is int else 0
