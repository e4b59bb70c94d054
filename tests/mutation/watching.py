"""Breaks of what a watcher does when something fails, when it is left behind, and when another one follows it."""

from __future__ import annotations

from tests.mutation.base import Mutant

_FAILURES = "tests/unit/gate/test_watcher_failures.py"

MUTANTS = [
    Mutant(
        "death-logged-first",
        "P2",
        "killswitch/gate/watcher.py",
        "            self._show(replace(_DEAD, epoch=self.watch.seen_epoch))  # before",
        '            _LOG.exception("the watcher thread died")\n'
        "            self._show(replace(_DEAD, epoch=self.watch.seen_epoch))  # before",
        (_FAILURES, "-k", "dies"),
        "where logging fails the gate stays open until the lease ends",
    ),
    Mutant(
        "log-failure-matters",
        "P2",
        "killswitch/saying.py",
        "contextlib.suppress(Exception)",
        "contextlib.nullcontext()",
        (_FAILURES, "-k", "action_that or dies"),
        "the same, in everything that is said",
    ),
    Mutant(
        "line-given-up-while-open",
        "P2",
        "killswitch/gate/watcher.py",
        "        if self._gate.picture.is_open:\n            self._gate.show(_DEAD)\n",
        "",
        (_FAILURES, "-k", "given_up"),
        "a check finds no socket to ask and passes",
    ),
    Mutant(
        "left-behind-keeps-the-gate",
        "P2",
        "killswitch/gate/watcher.py",
        "        self._gate, self._readiness = Gate(), SHUT\n",
        "        self._readiness = SHUT\n",
        (_FAILURES, "-k", "left_behind"),
        "in a child forked by a callback the old watcher writes the new one's picture",
    ),
    Mutant(
        "left-behind-goes-on",
        "P2",
        "killswitch/gate/watcher.py",
        "        self.watch.phase = Phase.IDLE\n        self._changes",
        "        self._changes",
        (_FAILURES, "-k", "left_behind"),
        "the same, and it goes on asking",
    ),
    Mutant(
        "stopped-keeps-the-gate",
        "P2",
        "killswitch/gate/watcher.py",
        "            self._gate = Gate()  # the",
        "            # the",
        (_FAILURES, "-k", "callback_stopped"),
        "an agent started again in its own callback is closed by the one before",
    ),
    Mutant(
        "successor-forgets",
        "P9 S5",
        "killswitch/gate/agent.py",
        "self._memory.learn(closed._memory)",
        "pass",
        ("tests/unit/gate/test_succession.py",),
        "a worker that saw a stop opens on a record that lost it, once an engine starts or ends",
    ),
    Mutant(
        "only-who-could-not-leave-is-succeeded",
        "P9 S5",
        "workers/agents.py",
        "if self._last is not None:",
        "if self._last is not None and self._unleft:",
        ("tests/unit/workers_rq/test_agents.py",),
        "the same, by the holder",
    ),
    Mutant(
        "stops-not-noted",
        "P9 S5",
        "killswitch/core/watch.py",
        "        self.memory.note(answer.rows, self.scopes, decision, self.seen_epoch)\n",
        "",
        ("tests/integration/test_agent_memory.py", "-k", "redis"),
        "the same, by the watch",
    ),
    Mutant(
        "scope-stop-holds-everybody",
        "P9",
        "killswitch/core/memory.py",
        "max(self._stopped.get(scope, 0) for scope in (None, *scopes))",
        "max(self._stopped.values(), default=0)",
        ("tests/unit/core/test_memory.py",),
        "a stop of one scope keeps engines of others closed for ever",
    ),
    Mutant(
        "stop-at-its-own-epoch",
        "P9",
        "killswitch/core/memory.py",
        "_raise(self._stopped, scope, highest)",
        "_raise(self._stopped, scope, row.epoch)",
        ("tests/unit/core/test_memory.py",),
        "a scope that was stopped at a low epoch opens at one that was there before",
    ),
]
