"""The watcher thread: it moves bytes and does what the state machine says.

Invariant: it alone writes the gate's picture, reads the push channel and asks questions. Within one batch of actions
the order is kept: the gate is closed before the channel is emptied, and permits are counted after the gate is closed.
It fails closed: whatever goes wrong here ends in a closed picture before a word is said of it, and should the thread
itself die, in WATCHER_DEAD; should it be starved, the lease runs out without it. A connection is given up behind a
closed gate only. A watcher that ended, or was left behind by a fork, has no gate any more.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from killswitch.clock import NS_PER_MS, now_ns
from killswitch.core.answer import BadAnswer
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import Picture
from killswitch.core.watch import Action, Ask, Connect, Drain, Drop, Phase, Show, Watch
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import SHUT
from killswitch.gate.steps import Steps
from killswitch.gate.waiting import Waiting
from killswitch.saying import say
from killswitch.store.channel import PushChannel
from killswitch.store.line import Beat, QuestionLine

__all__ = ["Watcher", "settled_changes"]

_LOG = logging.getLogger("killswitch.watcher")

_DRAINING_S = 0.02
"""How often the watcher of a closed gate looks whether the permits that are still out are gone."""

_DEAD = Picture(Mode.ENGAGED, 0, Code.WATCHER_DEAD, "the watcher thread died")
"""Made beforehand, for where there may be no memory to make one."""

Opener = Callable[[], tuple[PushChannel, QuestionLine]]
BeatMaker = Callable[[Ask, int, str], Beat]
Listener = Callable[[Picture, Picture], None]


class Watcher:
    """One thread per agent. `waiting` is what it waits with, its own to close. `opener` makes both connections,
    `make_beat` the beat for a question, the number of permits held and the rung; `on_change` hears of each picture
    that opens or closes the gate, once it is known what it was about (`settled_changes`): a round trip after an
    announcement, `patience_ms` at the latest."""

    def __init__(
        self, gate: Gate, watch: Watch, waiting: Waiting, opener: Opener, make_beat: BeatMaker, on_change: Listener
    ) -> None:
        self.watch = watch
        self.rung = "none"
        self._slack_ns: int | None = None
        self._gate = gate
        self._readiness = gate.readiness  # its own: should another watcher follow, the gate has another set
        self._opener = opener
        self._make_beat = make_beat
        self._on_change = on_change
        self._channel: PushChannel | None = None
        self._line: QuestionLine | None = None
        self._push_fd = -1
        self._waiting = waiting
        self._stopping = False
        self._changes: list[tuple[Picture, Picture]] = []
        self._steps = Steps()
        self._doubt_ns = 0  # since when the gate is closed for an announcement only
        self._telling = False
        self._thread = threading.Thread(target=self._run, name="killswitch-watcher", daemon=True)
        gate.book.on_drained = self.wake

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the gate for good and ends the thread. On return the gate is closed, also when a callback calls this
        on the watcher's own thread, which then ends once the callback is done."""
        self._stopping = True
        self.wake()
        if threading.current_thread() is self._thread:
            self._perform(self.watch.stop(now_ns()))
            self._gate = Gate()  # the callback may start another watcher before this one ends: the gate is its
        else:
            self._thread.join()

    def wake(self) -> None:
        """Makes the thread look up: permits were returned, or it is to stop. Any thread, never blocks."""
        self._waiting.wake()

    def abandon(self) -> None:
        """In the child of a fork: gives the inherited descriptors back without a word to anybody.

        Where a callback forked, the child goes on with it, and comes back to this watcher: with nothing to do, to no
        number that may be somebody else's by now, and to a gate that nobody asks."""
        self._gate, self._readiness = Gate(), SHUT
        self.watch.phase = Phase.IDLE
        self._changes.clear()
        self._waiting.close()
        self._close_ends()

    def take_slack_ms(self) -> str:
        """For the beat: the least that was left of the lease when it was renewed since this was last asked, in whole
        milliseconds, below zero where it had run out; empty where it was not renewed. How near this worker comes to
        closing unasked."""
        slack_ns, self._slack_ns = self._slack_ns, None
        return "" if slack_ns is None else str(slack_ns // NS_PER_MS)

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._perform(self.watch.start(now_ns()))
            while self.watch.phase is not Phase.IDLE:
                self._turn()
        except BaseException:
            self._show(replace(_DEAD, epoch=self.watch.seen_epoch))  # before anything that may fail in its turn
            self._gate.attending = False
            say(_LOG.exception, "the watcher thread died; the gate is closed")
            self._tell()
        finally:
            self._drop()
            self._readiness = SHUT
            self._waiting.close()

    def _turn(self) -> None:
        due, book = self.watch.deadline_ns(), self._gate.book
        timeout_s = None if due is None else max(0.0, (due - now_ns()) / 1e9)
        if book.draining:  # a permit that nobody gave back is gone without a word
            timeout_s = min(_DRAINING_S, _DRAINING_S if timeout_s is None else timeout_s)
        ready, woken = self._waiting.wait(timeout_s)
        # The push side first: what it announces makes the answer that may be waiting beside it void.
        if self._channel is not None and self._channel.fileno() in ready:
            seen_ns = now_ns()
            self._steps.seen(seen_ns)
            self._perform(self.watch.pushed(seen_ns))
        if self._line is not None and self._line.fileno() in ready:
            self._perform(self._take_answers())
        if self.watch.phase is Phase.IDLE:
            return  # a callback stopped this watcher, or forked: what `book` says is another's to look after
        if woken and self._stopping:
            self._perform(self.watch.stop(now_ns()))
        elif (woken or book.draining) and book.count() == 0:
            book.draining = False
            self._perform(self.watch.drained(now_ns()))
        self._perform(self.watch.tick(now_ns()))

    def _take_answers(self) -> list[Action]:
        if self._line is None:  # pragma: no cover - narrowed by the caller
            return []
        actions: list[Action] = []
        try:
            for item in self._line.answers():
                if isinstance(item, StoreRefused):
                    actions += self.watch.refused(now_ns(), item.code, item.reason)
                else:
                    self._steps.answered(now_ns())
                    actions += self.watch.answered(now_ns(), item)
        except BadAnswer as error:
            actions += self.watch.trouble(now_ns(), Code.BAD_ANSWER, str(error))
        except StoreUnavailable as error:
            actions += self.watch.trouble(now_ns(), error.code, error.reason)
        return actions

    def _perform(self, actions: Iterable[Action]) -> None:
        todo = deque(actions)
        while todo:
            action = todo.popleft()
            try:
                todo.extend(self._do(action))
            except (StoreUnavailable, StoreRefused) as error:
                # What was still to do belonged to the connection that just broke.
                todo = deque(self.watch.trouble(now_ns(), error.code, error.reason))
            except Exception as error:
                if isinstance(action, Show | Drop):
                    raise  # trouble would only ask for the same again
                # A value of the application that no beat can carry, say: to be seen, and got over once it is mended.
                name = type(action).__name__
                todo.clear()
                for closing in self.watch.trouble(now_ns(), Code.BAD_ANSWER, f"{name}: {_told(error)}"):
                    self._do(closing)  # first, and only then it is said
                say(_LOG.exception, "the watcher could not do %s; the gate is closed until it can", name)
        self._gate.attending = False
        self._tell()

    def _do(self, action: Action) -> list[Action]:
        if isinstance(action, Show):
            self._show(action.picture)
        elif isinstance(action, Drain) and self._channel is not None:
            self._channel.drain()
        elif isinstance(action, Ask):
            self._ask(action)
        elif isinstance(action, Drop):
            self._drop()
        elif isinstance(action, Connect):
            self._gate.attending = False  # connecting may take long, and nothing is at hand meanwhile
            self._connect()
            return self.watch.connected(now_ns())
        return []

    def _show(self, picture: Picture) -> None:
        before = self._gate.picture
        self._gate.attending = not picture.is_open
        self._gate.show(picture)
        self._doubt_ns = (self._doubt_ns or now_ns()) if picture.code is Code.STATE_CHANGED else 0
        if self._doubt_ns:
            self._steps.shut(now_ns())
        if before.is_open and picture.is_open and before.limited_by is Code.LEASE_EXPIRED:
            left_ns = before.signal_until_ns - now_ns()
            self._slack_ns = left_ns if self._slack_ns is None else min(self._slack_ns, left_ns)
        if before.is_open != picture.is_open or before.code != picture.code:
            self._changes.append((before, picture))

    def _ask(self, question: Ask) -> None:
        if self._line is None:
            return
        self._steps.asked(now_ns())
        if not question.beat:
            self._line.ask_read(question.nonce)
            return
        # Set before counting: a permit that is returned in between wakes this thread.
        self._gate.book.draining = question.closed
        held = self._gate.book.count()
        if held == 0:
            self._gate.book.draining = False
        beat, line = self._make_beat(question, held, self.rung), self._steps.line(now_ns())
        self._line.ask_beat(question.nonce, beat if line is None else replace(beat, line=line))

    def _connect(self) -> None:
        self._channel, self._line = self._opener()
        self._steps.connected()
        self.rung = self._channel.rung
        self._push_fd = self._channel.fileno()
        if self._push_fd >= 0:
            # Watched by every check before anything can open the gate.
            self._readiness.watch(self._push_fd)
            self._waiting.watch(self._push_fd)
        self._waiting.watch(self._line.fileno())

    def _drop(self) -> None:
        """Always after the gate was closed, whatever else failed: from here on a check finds no socket to ask.

        Unregistered first and closed then: while a forked child holds a copy of the socket, closing alone would leave
        it in both sets, readable for ever, and nobody could take it out any more."""
        if self._gate.picture.is_open:
            self._gate.show(_DEAD)
        self._readiness.forget(self._push_fd)
        self._waiting.forget_all()
        self._close_ends()

    def _close_ends(self) -> None:
        for end in (self._channel, self._line):
            if end is not None:
                end.close()
        self._channel = self._line = None
        self._push_fd = -1

    def _tell(self) -> None:
        if self._telling:
            return  # a callback closed the agent; the listeners hear of it when it has returned
        if self._doubt_ns and now_ns() - self._doubt_ns < self.watch.timing.patience_ms * NS_PER_MS:
            return  # the gate is closed; what it was about is known in a round trip
        self._changes = settled_changes(self._changes)
        self._telling = True
        try:
            while self._changes:
                self._on_change(*self._changes.pop(0))
        finally:
            self._telling = False


def _told(error: Exception) -> str:
    """What `error` says of itself, where it can."""
    try:
        return repr(error)
    except Exception:
        return type(error).__name__


def settled_changes(changes: Iterable[tuple[Picture, Picture]]) -> list[tuple[Picture, Picture]]:
    """What listeners hear of. A closure by an announcement is told together with what it was about, as one change:
    where the gate opened again as it was (after a drill, or a change in another part of the fleet) that one is from
    open to open, for who waits for a gate, and neither a closing nor an opening."""
    found: list[tuple[Picture, Picture]] = []
    for before, after in changes:
        was = found[-1][0] if found and before.code is Code.STATE_CHANGED else None
        if was and (not after.is_open or (was.is_open and (was.mode, was.epoch) == (after.mode, after.epoch))):
            found[-1] = (was, after)
        else:
            found.append((before, after))
    return found
