"""Breaks of what is told to others: lost, doubled, unbounded, or told to somebody else."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_QUEUE = "tests/unit/workers_rq/test_notices.py"
_FORMS = "tests/unit/workers/notices/test_forms.py"
_PLAN = "tests/unit/workers/notices/test_planning.py"
_POST = "tests/unit/workers/notices/test_delivery.py"

MUTANTS = (
    Mutant(
        "notice-twice", "P10", "workers/notices/outbox.py",
        "                if pipe.get(key) != before:\n", "                if pipe.get(key) is False:\n",
        (_QUEUE, "-k", "moved_back"),
        "a worker that was paused tells everything a second time, and moves the place back",
    ),
    Mutant(
        "flood-is-queued", "P10", "workers/notices/planning.py",
        "        one_by_one = len(items) <= room and not crowded\n", "        one_by_one = len(items) > 0\n",
        (_PLAN, "-k", "flood"),
        "whoever flaps the switch fills the queue of those who cancel orders",
    ),
    Mutant(
        "newest-is-left-out", "P10", "workers/notices/notice.py",
        "        if item.is_change:\n",
        "        if item.is_change and item.entry.scope not in newest:\n",
        (_PLAN, "-k", "flood"),
        "of a hundred changes the oldest is told: that the fleet trades, say",
    ),
    Mutant(
        "mention-works", "P10", "workers/notices/forms.py",
        """    return text.replace("@", f"@{_NO_WIDTH}")\n""", "    return text\n",
        (_FORMS, "-k", "calls_nobody"),
        "a reason wakes everybody in the company",
    ),
    Mutant(
        "escape-works", "P10", "workers/notices/forms.py",
        """("<", "&lt;"), """, "",
        (_FORMS, "-k", "calls_nobody"),
        "a reason holds a link that looks like the venue",
    ),
    Mutant(
        "signature-without-time", "P10", "workers/notices/forms.py",
        """f"{at_s}.".encode() + payload""", "payload",
        (_FORMS, "-k", "signature"),
        "an old permission can be told again as a new one",
    ),
    Mutant(
        "delivery-without-end", "P11", "workers/notices/delivery.py",
        "    attempt.join(limit_s)\n", "    attempt.join()\n",
        (_POST, "-k", "name_server"),
        "a name server that is away keeps a worker from cancelling orders",
    ),
    Mutant(
        "untrusted-is-taken", "P10", "workers/notices/delivery.py",
        "ssl.create_default_context() if secure", "ssl._create_unverified_context() if secure",
        (_POST, "-k", "certificate"),
        "whoever sits on the way reads the token and everything that is told",
    ),
    Mutant(
        "loss-is-not-counted", "P10", "workers/notices/desk.py",
        "            self._account(self._outbox.given_up, spec.webhook, job_id)\n", "",
        (_QUEUE, "-k", "tries_end"),
        "a receiver that was never reached looks like one that has nothing to hear",
    ),
    Mutant(
        "retries-wait-for-ever", "P10", "workers/lua/retry_due.lua",
        "    redis.call('RPUSH', KEYS[2], id)\n", "",
        (_QUEUE, "-k", "growing_waits"),
        "what did not arrive at once never does",
    ),
    Mutant(
        "callback-holds-the-watcher", "P6", "killswitch/gate/agent.py",
        "            self._hooks.tell(view)\n", "            [lane.callback(view) for lane in self._hooks._lanes]\n",
        ("tests/integration/test_agent_hooks.py",),
        "a callback that hangs keeps a stopped worker from proving that it is quiet",
    ),
    Mutant(
        "cancel-waits-for-telling", "P11", "workers/queues.py",
        "        at_front=True,  # before telling", "        at_front=False,  # before telling",
        (_QUEUE, "-k", "cancelling_comes"),
        "orders of a dead worker stay at the venue while a chat server is slow",
    ),
)  # fmt: skip
