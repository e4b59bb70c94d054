"""A clock that stands still, and a Redis made of plain values: the other side of the watcher's state machine.

`Stage` performs the actions of a `Watch` as the watcher thread would and holds each of them against the rules written
in the docstring of `killswitch.core.watch`. It knows nothing of the code behind them: its oracle reads the answers by
itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from killswitch.core.answer import Answer, StateRow
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import FIRST_PICTURE, Picture
from killswitch.core.watch import Action, Ask, Connect, Drain, Drop, Phase, Show, Timing, Watch

MS = 1_000_000
VERSION = 1
TIMING = Timing(lease_ms=1000, renew_ms=250, beat_ms=1000, patience_ms=500)


class ScriptedClock:
    """Time that moves only when told."""

    def __init__(self, now_ns: int = 10_000 * MS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def advance_ms(self, amount: float) -> int:
        """Moves on by `amount` ms and returns the new time."""
        self.now_ns += int(amount * MS)
        return self.now_ns


def row(text: str | None = "SAFE", epoch: int = 1, *, pttl_ms: int = -1, recorded: bool = True) -> StateRow:
    """A state row; None is an absent key."""
    if text is None:
        return StateRow("absent", "", 0, -2, epoch, recorded)
    return StateRow("value", text[:256], len(text.encode()), pttl_ms, epoch, recorded)


def answer(
    *rows: StateRow, nonce: int | str = 0, confirmed: bool = True, run_id: str = "r1", version: int = 1
) -> Answer:
    """An answer; without rows the switch says SAFE at epoch 1."""
    found = rows or (row(),)
    return Answer(version, str(nonce), run_id, confirmed, max(item.epoch for item in found), found)


@dataclass
class ScriptedRedis:
    """What the server holds: `rows`, the switch first. `counter` is the highest epoch given out."""

    rows: list[StateRow] = field(default_factory=lambda: [row("ENGAGED initialised", 1)])
    counter: int = 1
    confirmed: bool = True
    run_id: str = "r1"
    version: int = VERSION

    def record(self, index: int, text: str | None) -> None:
        """A change through the functions: it has an epoch at once."""
        self.counter += 1
        self.rows[index] = row(text, self.counter)

    def set_raw(self, index: int, text: str | None) -> None:
        """A change by hand: no epoch until the next beat."""
        self.rows[index] = row(text, self.rows[index].epoch, recorded=False)

    def respond(self, question: Ask) -> Answer:
        """Executes a question now; a beat raises the counter and records what is unrecorded."""
        if question.beat:
            self.counter = max(self.counter, question.seen_epoch)
            for index, item in enumerate(self.rows):
                if not item.recorded:
                    self.counter += 1
                    self.rows[index] = replace(item, epoch=self.counter, recorded=True)
        return Answer(self.version, str(question.nonce), self.run_id, self.confirmed, self.counter, tuple(self.rows))


def says(item: StateRow, is_switch: bool) -> Mode:
    """The oracle's own reading of a row."""
    if item.kind == "absent" and not is_switch:
        return Mode.SAFE
    for mode in (Mode.SAFE, Mode.REDUCING):
        if item.kind == "value" and item.text == str(mode) and item.length == len(mode):
            return mode
    return Mode.ENGAGED


@dataclass
class _Sent:
    ask: Ask
    at_ns: int
    order: int


class Stage:
    """Drives a `Watch` on a scripted clock. Every method is one event; rules are asserted after each."""

    def __init__(self, scopes: Sequence[str] = (), timing: Timing = TIMING, seed: int = 1) -> None:
        self.clock = ScriptedClock()
        self.redis = ScriptedRedis(rows=[row("ENGAGED initialised", 1), *(row(None, 0) for _ in scopes)])
        self.watch = Watch(timing, VERSION, tuple(scopes), random.Random(seed))
        self.picture: Picture = FIRST_PICTURE
        self.actions: list[Action] = []
        self.history: list[Action] = []
        self.answers: list[Answer] = []
        """Answers on their way to the watcher."""
        self.asked: _Sent | None = None
        self.unread = 0
        """Pushes that arrived and were not read."""
        self._order = 0
        self._closed_order = 0
        self._highest_seen = 0
        self._highest_stop = 0
        self._stop_unacknowledged: tuple[str, int] | None = None

    # -- events -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._perform(self.watch.start(self.clock()))

    def stop(self) -> None:
        self._perform(self.watch.stop(self.clock()))
        assert self.watch.phase is Phase.IDLE
        assert not self.picture.is_open, "a stopped watch is closed"

    def connect(self) -> None:
        """The connections stand."""
        expected = self.watch.phase is Phase.CONNECTING
        self._perform(self.watch.connected(self.clock()))
        if expected:
            assert isinstance(self.actions[-1], Ask), "connected, and nothing asked"
            assert self.actions[-1].beat, "the first question must register"

    def trouble(self, code: Code = Code.DISCONNECTED) -> None:
        self._perform(self.watch.trouble(self.clock(), code, "it broke"))
        assert not self.picture.is_open, "trouble closes"

    def push(self) -> None:
        """The watcher notices that the push socket is readable."""
        self._perform(self.watch.pushed(self.clock()))
        if self.watch.phase is Phase.CONNECTED:
            assert not self.picture.is_open, "a push closes"
            assert self.asked is not None, "a push asks, or a question is under way"

    def execute(self) -> None:
        """Redis answers the question under way (its answer is then on its way)."""
        if self.asked is not None and not self.answers:
            self.answers.append(self.redis.respond(self.asked.ask))

    def deliver(self, item: Answer | None = None) -> None:
        """The oldest answer on its way, or `item`, reaches the watcher."""
        found = item if item is not None else self.answers.pop(0)
        sent, self.asked = self.asked, None
        self._perform(self.watch.answered(self.clock(), found), found, sent)

    def refuse(self, code: Code = Code.REDIS_OOM) -> None:
        sent, self.asked = self.asked, None
        self.answers.clear()
        self._perform(self.watch.refused(self.clock(), code, "refused"))
        assert sent is None or not self.picture.is_open, "a refusal closes"

    def drained(self) -> None:
        self._perform(self.watch.drained(self.clock()))

    def tick(self, amount_ms: float = 0.0) -> None:
        self.clock.advance_ms(amount_ms)
        self._perform(self.watch.tick(self.clock()))
        assert not self.picture.is_open or self.clock() < self.picture.signal_until_ns, "expired, and shown as open"

    # -- the world at rest --------------------------------------------------------------------------------------

    def settle(self, limit_ms: int = 5000) -> None:
        """A quiet phase: everything works and answers at once, time goes on to each due moment."""
        end = self.clock() + limit_ms * MS
        while self.clock() < end:
            if self.unread:
                self.push()
            elif self.watch.phase is Phase.CONNECTING:
                self.connect()
            elif self.asked is not None:
                self.execute()
                self.deliver()
            else:
                due = self.watch.deadline_ns()
                if due is None:
                    return
                self.tick(max(0.0, (due - self.clock()) / MS))

    def run_until_open(self) -> Stage:
        """Started, connected, permitted."""
        self.start()
        self.connect()
        self.redis.record(0, "SAFE")
        self.execute()
        self.deliver()
        assert self.picture.is_open
        return self

    # -- the oracle ---------------------------------------------------------------------------------------------

    def _perform(self, actions: list[Action], found: Answer | None = None, sent: _Sent | None = None) -> None:
        self.actions = actions
        self.history += actions
        believed = self._believe(found, sent)
        for action in actions:
            self._order += 1
            if isinstance(action, Show):
                self._shown(action.picture, found, sent)
            elif isinstance(action, Drain):
                assert not self.picture.is_open, "the gate must be closed before the channel is emptied"
                self.unread = 0
            elif isinstance(action, Ask):
                assert self.asked is None, "two questions under way"
                assert action.closed is not self.picture.is_open, "the question tells a wrong state of the gate"
                assert action.seen_epoch >= self._highest_seen, "the question forgets an epoch"
                self.asked = _Sent(action, self.clock(), self._order)
            elif isinstance(action, Drop):
                assert not self.picture.is_open, "connections are dropped behind a closed gate"
                self.asked, self.unread = None, 0
                self.answers.clear()
            else:
                assert isinstance(action, Connect)
                assert not self.picture.is_open, "connecting behind a closed gate"
        if believed and found is not None and sent is not None:
            self._check_acknowledged(found, sent)

    def _believe(self, found: Answer | None, sent: _Sent | None) -> bool:
        """Whether the answer belongs to the question under way and nothing closed the gate since it was asked."""
        if found is None or sent is None or self.watch.phase is not Phase.CONNECTED:
            return False
        return found.nonce == str(sent.ask.nonce) and sent.order > self._closed_order

    def _shown(self, picture: Picture, found: Answer | None, sent: _Sent | None) -> None:
        self.picture = picture
        if not picture.is_open:
            assert picture.order_until_ns == 0
            assert picture.mode is Mode.ENGAGED
            if found is None:  # a close by an event; one that an answer brings voids nothing that is asked after it
                self._closed_order = self._order
            return
        assert found is not None, "only an answer opens"
        assert sent is not None, "only an answer to a question opens"
        assert found.nonce == str(sent.ask.nonce), "only the answer to the question under way opens"
        assert sent.order > self._closed_order, "opened by a question from before the last close"
        limit = found.rows[0].pttl_ms
        bound_ms = self.watch.timing.lease_ms if limit == -1 else min(self.watch.timing.lease_ms, max(limit, 0))
        assert picture.signal_until_ns <= sent.at_ns + bound_ms * MS, "open for longer than lease or TTL"
        assert picture.signal_until_ns > self.clock(), "opened after the lease had run out"
        modes = [says(item, index == 0) for index, item in enumerate(found.rows)]
        assert Mode.ENGAGED not in modes, "opened against the state"
        assert picture.mode is (Mode.REDUCING if Mode.REDUCING in modes else Mode.SAFE)
        assert picture.order_until_ns == (picture.signal_until_ns if picture.mode is Mode.SAFE else 0)
        assert found.version == VERSION, "opened by another library"
        assert found.confirmed, "opened under an unconfirmed incarnation"
        assert found.run_id, "opened under an unknown incarnation"
        assert all(item.recorded for item in found.rows), "opened by an unrecorded state"
        epoch = max(item.epoch for item in found.rows)
        assert epoch >= self._highest_seen, "opened below an epoch seen before"
        assert epoch > self._highest_stop, "opened at the epoch of a stop"
        assert picture.epoch == epoch

    def _check_acknowledged(self, found: Answer, sent: _Sent) -> None:
        """A stop that was read is told to Redis by a beat that is sent with the gate closed."""
        epoch = max(item.epoch for item in found.rows)
        self._highest_seen = max(self._highest_seen, epoch)
        modes = [says(item, index == 0) for index, item in enumerate(found.rows)]
        if Mode.ENGAGED not in modes:
            return
        assert not self.picture.is_open, "a stop closes"
        if found.version == VERSION:
            self._highest_stop = max(self._highest_stop, epoch)
        told = sent.ask.beat and sent.ask.closed
        stop = (str(self.picture.code), epoch)
        if told:
            self._stop_unacknowledged = stop
        under_way = self.asked is not None and self.asked.ask.beat and self.asked.ask.closed
        assert under_way or self._stop_unacknowledged == stop, "a stop was read and not acknowledged"
