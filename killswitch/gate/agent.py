"""What a trading process embeds: a gate, and the thread that keeps it honest.

Invariant: one process, one watcher per agent. The first picture is closed, and after close() or in the child of a fork
it is closed again; only the watcher's answers open it. A child starts a watcher of its own, and becomes a member, only
when it uses the gate: a child that never trades is nobody's to wait for. The agent leaves the membership only when the
gate is closed and every permit is back, so a worker that vanished with an order in flight stays visible. Callbacks,
but for those of on_change, run on the watcher thread: while one runs, the lease runs out (which closes).
"""

from __future__ import annotations

import json
import logging
import os
import platform
import random
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable

from killswitch._build import gate_build, identity
from killswitch.clock import NS_PER_MS, now_ns, sleep, wall_ms
from killswitch.core.memory import Memory
from killswitch.core.modes import Mode, Scope
from killswitch.core.reasons import Code
from killswitch.core.view import Picture, View
from killswitch.core.watch import Ask, Watch
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import make_readiness
from killswitch.gate.waiting import make_waiting
from killswitch.gate.watcher import Watcher
from killswitch.hooks import Hooks, call_each
from killswitch.saying import say
from killswitch.settings import Settings
from killswitch.store.channel import PushChannel
from killswitch.store.functions import LIBRARY_VERSION
from killswitch.store.keys import Keys
from killswitch.store.line import Beat, QuestionLine, open_pair, say_goodbye

__all__ = ["Agent"]

_LOG = logging.getLogger("killswitch.agent")
_POLL_S = 0.001
Callback = Callable[[View], None]


def _new_id() -> str:
    return f"{platform.node() or 'host'}-{os.getpid()}-{secrets.token_hex(3)}"


class Agent:
    """Watches the switch for this process. Use it as a context manager, or call start() and close().

    `scopes` are the parts of the fleet this process belongs to, written `dimension:name`; the strictest of the switch
    and all of them holds. `engine` names what it runs. `worker_id` is made from host, pid and chance unless given.

    Raises:
        InvalidInput: a scope of another form.
        SettingsError: no settings were given and those of the environment are not valid.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        scopes: Iterable[str | Scope] = (),
        *,
        engine: str = "",
        worker_id: str | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.scopes = tuple(sorted({Scope.parse(scope) for scope in scopes}))
        self.worker_id = worker_id or _new_id()
        self.gate = Gate()
        self._engine = engine
        self._given_id = worker_id
        self._keys = Keys(self.settings.prefix)
        self._state_keys = (self._keys.state, *(self._keys.scope_state(scope) for scope in self.scopes))
        self._info: dict[str, str | int | float] = {}
        self._started_ms = wall_ms()
        gate_build()  # now, and not while the first beat waits for it
        self._closed_ns = now_ns()
        self._on_close: list[Callback] = []
        self._on_open: list[Callback] = []
        self._hooks: Hooks[View] = Hooks()
        self._changed = threading.Condition()
        self._watcher: Watcher | None = None
        self._ending: Watcher | None = None  # being stopped by close()
        self._unleft = ""  # the life of a predecessor that could not say goodbye
        self._memory = Memory()  # of every watcher of this agent, and of whom it succeeds
        _AGENTS.add(self)  # for as long as it exists: another thread may fork in the middle of start() or close()

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> Agent:
        """Starts watching; returns at once with the gate closed. `wait_open` waits for the first permission."""
        if self._watcher is None:
            self.gate.renew_readiness(make_readiness())
            watcher = self._watcher = self._make_watcher(*self._memory.of(tuple(map(str, self.scopes))))
            self.gate.on_forked = None
            try:
                watcher.start()
            except RuntimeError:  # no thread to be had
                self._watcher = None
                watcher.abandon()
                self.gate.let_go()
                raise
        return self

    def succeed(self, closed: Agent, *, unleft: bool = False) -> None:
        """Takes the place, before start(), of an agent of this process that was closed. What that one saw of the same
        switch is not forgotten: this one opens at nothing from before a stop (P9). `unleft`: it was closed with every
        permit back but could not leave; its entry, under the same worker id, is taken off first, or it would count as
        a rival's."""
        if (closed.settings.endpoint, closed.settings.prefix) == (self.settings.endpoint, self.settings.prefix):
            self._memory.learn(closed._memory)
        if unleft:
            self._unleft = closed._instance

    def close(self, drain_s: float = 5.0) -> bool:
        """Closes the gate, waits at most `drain_s` seconds for permits, and leaves the membership if all are back.
        Returns whether it left. An agent that could not say goodbye is shown as silent until `retain_ms` is over.
        """
        self.gate.on_forked = None
        watcher = self._ending = self._watcher
        self._watcher = None
        if watcher is None:
            return False
        watcher.stop()
        self.gate.let_go()
        self._ending = None
        self._hooks.end()
        deadline_ns = now_ns() + int(drain_s * 1e9)
        while self.gate.book.count() and now_ns() < deadline_ns:
            sleep(_POLL_S)
        return self.gate.book.count() == 0 and self._leave()

    def __enter__(self) -> Agent:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what it knows ------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """What the gate would say now, for people and logs. Decisions belong to the gate."""
        if self.gate.on_forked is not None:
            self.gate.on_forked()
        mode, code, reason = self.gate.state_now()
        watcher = self._watcher
        confirmed = watcher.watch.confirmed_ns if watcher else None
        age_ms = None if confirmed is None else (now_ns() - confirmed) / NS_PER_MS
        return View(mode, self.gate.picture.epoch, code, reason, age_ms, watcher.rung if watcher else "none")

    @property
    def in_flight(self) -> int:
        """Permits held now."""
        return self.gate.book.count()

    def annotate(self, **values: str | int | float) -> None:
        """Adds to what the next beats say about this worker; a value replaces the one of the same name."""
        self._info = {**self._info, **values}

    def on_close(self, callback: Callback) -> None:
        """Calls `callback(view)` on the watcher thread when the gate goes from open to closed, and it is known why."""
        self._on_close.append(callback)

    def on_open(self, callback: Callback) -> None:
        """Calls `callback(view)` on the watcher thread each time the gate goes from closed to open."""
        self._on_open.append(callback)

    def on_change(self, callback: Callback) -> None:
        """Calls `callback(view)` when the gate opens, closes, or is closed for another reason, on a thread of its own:
        it may take its time. One that is too slow misses the oldest news, never the newest."""
        self._hooks.add(callback)

    def wait_open(self, timeout_s: float = 5.0) -> bool:
        """Waits until trading is permitted, fully or for reducing orders; returns whether it is."""
        return self._wait(lambda: self.view.mode is not Mode.ENGAGED, timeout_s)

    def wait_closed(self, timeout_s: float = 5.0) -> bool:
        """Waits until the gate is closed; returns whether it is."""
        return self._wait(lambda: self.view.mode is Mode.ENGAGED, timeout_s)

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    # -- for the watcher ----------------------------------------------------------------------------------------

    def _make_watcher(self, seen_epoch: int, engaged_epoch: int) -> Watcher:
        self._instance = secrets.token_hex(6)
        names = tuple(str(scope) for scope in self.scopes)
        watch = Watch(self.settings.timing, LIBRARY_VERSION, names, random.Random(secrets.randbits(64)))
        watch.memory = self._memory
        watch.seen_epoch, watch.engaged_epoch = seen_epoch, engaged_epoch
        return Watcher(self.gate, watch, make_waiting(), self._open_connections, self._make_beat, self._heard)

    def _open_connections(self) -> tuple[PushChannel, QuestionLine]:
        if self._unleft:
            self._say_goodbye(self._unleft)
            self._unleft = ""
        config = self.settings
        return open_pair(config.endpoint, self._state_keys, config.rung, config.patience_ms / 1000)

    def _make_beat(self, question: Ask, held: int, rung: str) -> Beat:
        picture = self.gate.picture
        fields = {
            "stop_epoch": str(question.stop_epoch),  # stays the first: ks_beat looks for it there
            **identity(),
            "scopes": ",".join(str(scope) for scope in self.scopes),
            "engine": self._engine,
            "mode": str(picture.mode),
            "code": str(picture.code),
            "epoch": str(picture.epoch),
            "rung": rung,
            "closed_ms": str((now_ns() - self._closed_ns) // NS_PER_MS if question.closed else 0),
            **{name: str(getattr(self.settings, name)) for name in ("lease_ms", "beat_ms")},
            "started_ms": str(self._started_ms),
            "orders": json.dumps(self.gate.book.orders(), default=str),
            "info": json.dumps(self._info, default=str),
            "refused": json.dumps(self.gate.refusals.copy()),
            "slack_ms": watcher.take_slack_ms() if (watcher := self._watcher) else "",
        }
        life = self.settings.retain_ms
        return Beat(self.worker_id, question.seen_epoch, question.closed, held, life, life, self._instance, fields)

    def _heard(self, before: Picture, after: Picture) -> None:
        view = View(after.mode, after.epoch, after.code, after.reason, 0.0, getattr(self._watcher, "rung", "none"))
        if before.is_open and not after.is_open:
            self._closed_ns = now_ns()
            call_each(self._on_close, view)
        elif after.is_open and not before.is_open:
            call_each(self._on_open, view)
        if (before.mode, before.epoch, before.code) != (after.mode, after.epoch, after.code):
            self._hooks.tell(view)
        with self._changed:
            self._changed.notify_all()

    def _leave(self) -> bool:
        try:
            return self._say_goodbye(self._instance)
        except (StoreUnavailable, StoreRefused) as error:
            say(_LOG.warning, "could not leave the membership: %s", error)
            return False

    def _say_goodbye(self, instance: str) -> bool:
        config, key = self.settings, self._keys.state
        return say_goodbye(config.endpoint, key, self.worker_id, instance, config.patience_ms / 1000)

    # -- fork ---------------------------------------------------------------------------------------------------

    def _after_fork_in_child(self) -> None:
        running, ending = self._watcher, self._ending
        if running is not None or ending is not None or self.gate.picture.is_open:
            epoch = self.gate.picture.epoch
            self.gate.show(Picture(Mode.ENGAGED, epoch, Code.FORKED, "this process was forked"))
        self.gate.attending, self.gate.refusals = False, {}
        self.gate.book.forget_other_threads()
        self.gate.readiness.close()
        self.gate.let_go()
        self._changed = threading.Condition()
        self._hooks.renew()
        self._watcher = self._ending = None
        for watcher in filter(None, (running, ending)):
            watcher.abandon()
        self.worker_id = f"{self._given_id}-{os.getpid()}" if self._given_id else _new_id()
        self._started_ms, self._closed_ns = wall_ms(), now_ns()
        if running is not None or self.gate.on_forked is not None:
            self._arm_on_use()

    def _arm_on_use(self) -> None:
        turn = iter((True,))  # taken by one thread: next() is atomic

        def arm() -> None:
            if not next(turn, False):
                return
            try:
                self.start()
            except (OSError, RuntimeError):
                # No descriptor or no thread to be had. A trading loop meets Blocked only.
                say(_LOG.exception, "could not start watching after the fork; the gate stays closed")

        self.gate.on_forked = arm


_AGENTS: weakref.WeakSet[Agent] = weakref.WeakSet()


def _after_fork() -> None:
    for agent in list(_AGENTS):
        agent._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
