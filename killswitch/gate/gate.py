"""The two checks in the trading process.

Invariant: a check that starts after a change reached this machine's push socket never passes (P2). It first asks the
socket, then loads the picture, then compares the clock: the watcher closes the picture before it empties the socket,
so a check that finds the socket empty finds the picture closed. Only the watcher writes the picture; any thread checks.
No lock, no Redis, no setter, no bypass. Every doubt blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import TracebackType
from typing import NoReturn

from killswitch.clock import now_ns, sleep
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import FIRST_PICTURE, Picture
from killswitch.errors import Blocked
from killswitch.gate.permits import PermitBook
from killswitch.gate.readiness import SHUT, Readiness

__all__ = ["Gate", "Permit"]

# A blocked check gives the interpreter away for this long while the watcher has a change in hand. Without it a loop
# that is busy in Python makes the watcher wait a whole switch interval (5 ms) between two of its steps.
_YIELD_S = 0.00005

_NOT_ASKED = (OSError, ValueError)
"""What asking a closed set raises: not knowing counts as a change, and a trading loop meets Blocked only."""


class Gate:
    """Gate 1 and gate 2 of one agent. Made by the agent; shared by all its threads and coroutines."""

    __slots__ = ("_picture", "_readiness", "_ready", "attending", "book", "on_forked", "refusals")

    def __init__(self, readiness: Readiness = SHUT) -> None:
        self.book = PermitBook()
        self.attending = False
        self.on_forked: Callable[[], None] | None = None
        """In the child of a fork: called by the first check, which is refused, to start watching here."""
        self.refusals: dict[Code, list[int]] = {}
        """By code, how many checks were refused at gate 1 and at gate 2. For people and metrics: no lock guards it, so
        threads that are refused at the same instant may count as one. A passing check does not touch it."""
        self._picture = FIRST_PICTURE
        self._readiness = readiness
        self._ready = readiness.ready

    def signal(self) -> int:
        """Gate 1, before a signal is computed. Returns the epoch that the signal is made under.

        Raises:
            Blocked: trading is not permitted, or that is not certain.
        """
        try:
            if not self._ready(0, 1):
                picture = self._picture
                if now_ns() < picture.signal_until_ns:
                    return picture.epoch
        except _NOT_ASKED:
            pass
        self._refuse(reduces=True, gate=1)

    def order(self, epoch: int, reduces: bool = False, order_id: str = "") -> Permit:
        """Gate 2, around the sending of one order: `with gate.order(epoch) as permit:` (or `async with`).

        `epoch` is what `signal` returned for the signal behind this order; `reduces` says that the order can only
        make a position smaller; `order_id` names it to the operator should this worker be lost while it is in flight.
        The check happens on entering, which raises Blocked; leaving the block releases the permit.
        """
        return Permit(self, epoch, reduces, order_id)

    def __bool__(self) -> NoReturn:
        raise TypeError("a gate has no truth value: call gate.signal() or enter gate.order(epoch)")

    # -- for the permit and the watcher --------------------------------------------------------------------------

    def check_order(self, epoch: int, reduces: bool) -> None:
        """The check of gate 2, for a permit that has been announced. Raises Blocked."""
        try:
            if not self._ready(0, 1):
                picture = self._picture
                if now_ns() < (picture.signal_until_ns if reduces else picture.order_until_ns):
                    if picture.epoch == epoch:
                        return
                    self._count(Code.STALE_SIGNAL, 2)
                    reason = f"the signal was made at epoch {epoch}, the epoch is now {picture.epoch}"
                    raise Blocked(Code.STALE_SIGNAL, picture.mode, picture.epoch, reason)
        except _NOT_ASKED:
            pass
        self._refuse(reduces)

    def show(self, picture: Picture) -> None:
        """Makes `picture` the one that checks read. The watcher alone calls this."""
        self._picture = picture

    @property
    def picture(self) -> Picture:
        """What checks read now."""
        return self._picture

    @property
    def readiness(self) -> Readiness:
        """Where the watcher registers the push socket."""
        return self._readiness

    def renew_readiness(self, readiness: Readiness) -> None:
        """From now on checks ask `readiness`, the set of a new watcher. Called with the gate closed."""
        self._readiness = readiness
        self._ready = readiness.ready

    def let_go(self) -> None:
        """There is no watcher any more. Called with the gate closed for good. Who listens to an agent may hold it, and
        with it this gate, for ever; so neither the set (see readiness.py) nor the old watcher is held from here."""
        self.renew_readiness(SHUT)
        self.book.on_drained = lambda: None

    def state_now(self, reduces: bool = True) -> tuple[Mode, Code, str]:
        """Mode, code and reason as a check would find them now."""
        try:
            waiting = self._ready(0, 1)
        except _NOT_ASKED:
            waiting = True
        picture = self._picture  # after the socket, as in every check
        if waiting and (picture.is_open or self._readiness is not SHUT):
            return Mode.ENGAGED, Code.STATE_CHANGED, "Redis announced a change"
        now = now_ns()
        if now < (picture.signal_until_ns if reduces else picture.order_until_ns):
            return picture.mode, picture.code, picture.reason
        if now < picture.signal_until_ns:
            return picture.mode, Code.REDUCING, picture.reason
        if picture.is_open:
            return Mode.ENGAGED, picture.limited_by, "no answer has confirmed the permission in time"
        return Mode.ENGAGED, picture.code, picture.reason

    def _count(self, code: Code, gate: int) -> None:
        self.refusals.setdefault(code, [0, 0])[gate - 1] += 1

    def _refuse(self, reduces: bool, gate: int = 2) -> NoReturn:
        if self.on_forked is not None:
            self.on_forked()
        mode, code, reason = self.state_now(reduces)
        if code is Code.OPEN or (reduces and code is Code.REDUCING):
            # Open again between the failed check and this line; the check stays failed.
            mode, code, reason = Mode.ENGAGED, Code.STATE_CHANGED, "Redis announced a change"
        epoch = self._picture.epoch
        self._count(code, gate)
        if self.attending or code is Code.STATE_CHANGED:
            sleep(_YIELD_S)
        raise Blocked(code, mode, epoch, reason)


class Permit:
    """One order in flight, from the announcement to the release."""

    __slots__ = ("_book", "_gate", "_key", "_reduces", "_undo", "epoch", "order_id")

    def __init__(self, gate: Gate, epoch: int, reduces: bool, order_id: str) -> None:
        self._gate = gate
        self._book = gate.book
        self._key = gate.book.new_key()
        self._undo = gate.book.undoing(self._key)
        self._reduces = reduces
        self.epoch = epoch
        """Fencing token: hand it to the broker with the order."""
        self.order_id = order_id

    def __enter__(self) -> Permit:
        """Raises Blocked; RuntimeError where this permit is held already, because each order needs one of its own."""
        if not self._gate._picture.signal_until_ns:
            # Closed already, so not announced: a loop that keeps trying must not look like orders in flight for ever.
            self._gate._refuse(self._reduces)
        if not self._book.announce(self._key, self.order_id):
            raise RuntimeError("this permit is in use: ask gate.order() for a new one for each order")
        try:
            self._gate.check_order(self.epoch, self._reduces)
        except BaseException:
            self._book.release(self._key)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._book.release(self._key)

    async def __aenter__(self) -> Permit:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._book.release(self._key)

    # Takes the permit back where the block was never left: an interrupt between two instructions, a generator nobody
    # closed. It is run for each permit, and an interrupt (Ctrl-C, a time limit) that meets Python code in a destructor
    # is lost. So there is none: the interpreter asks for `__del__`, is given `_undo`, which is C, and calls that. Of a
    # permit that was interrupted while it was made there is no `_undo`, and nothing to undo.
    __del__ = property(attrgetter("_undo"))
