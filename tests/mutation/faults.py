"""Breaks that faults of real servers and processes bring to light."""

from __future__ import annotations

from tests.mutation.base import Mutant

_SERVER = "tests/faults/test_server.py"
_STALLS = "tests/faults/test_stalls.py"
_STOPPING = "tests/faults/test_stopping.py"
_WATCHER = "tests/faults/test_watcher.py"
_PERMITS = "tests/faults/test_permits.py"
_LINES = "tests/faults/test_lines.py"

MUTANTS = [
    Mutant(
        "renewal-that-only-reads",
        "P4 S9",
        "killswitch/store/lua/ks_read.lua",
        "redis.register_function('ks_read', function(keys, args)",
        "local function reading(name, called)\n"
        "  redis.register_function{function_name=name, callback=called, flags={'no-writes'}}\nend\n"
        "reading('ks_read', function(keys, args)",
        (_SERVER, "-k", "redis and (PAUSE or maxmemory)"),
        "trading goes on while nobody can engage",
    ),
    Mutant(
        "lease-not-compared",
        "P3 S2",
        "killswitch/gate/gate.py",
        "                if now_ns() < picture.signal_until_ns:\n                    return picture.epoch",
        "                if picture.signal_until_ns:\n                    return picture.epoch",
        (_WATCHER, "-k", "keeps_nobody"),
        "a watcher that cannot run keeps the gate open",
    ),
    Mutant(
        "socket-not-asked",
        "P2",
        "killswitch/gate/gate.py",
        "            if not self._ready(0, 1):\n                picture = self._picture\n"
        "                if now_ns() < picture.signal_until_ns:",
        "            if True:\n                picture = self._picture\n"
        "                if now_ns() < picture.signal_until_ns:",
        ("tests/faults/test_floods.py", "-k", "neighbours"),
        "a busy loop passes checks after +OK",
    ),
    Mutant(
        "lease-from-the-answer",
        "P3 S10",
        "killswitch/core/watch.py",
        "until = deadline_ns(question.sent_ns, self.timing.lease_ms, decision.ttl_ms)",
        "until = deadline_ns(now_ns, self.timing.lease_ms, decision.ttl_ms)",
        (_LINES, "-k", "late_are_counted"),
        "an answer that was long on its way prolongs the lease",
    ),
    Mutant(
        "refusal-shrugged-off",
        "P4",
        "killswitch/core/watch.py",
        "        return [self._close(code, reason)]\n\n    def drained",
        "        return []\n\n    def drained",
        (_SERVER, "-k", "redis and (maxmemory or disk)"),
        "the gate closes late and does not say why",
    ),
    Mutant(
        "incarnation-not-looked-at",
        "P9",
        "killswitch/store/lua/incarnation.lua",
        "  if kept[1] == inc.run_id and kept[2] == inc.replid then\n",
        "  if true then\n    redis.call('HSET', n.ledger, 'run_id', inc.run_id, 'replid', inc.replid)\n",
        (_SERVER, "-k", "redis and (killed or turned)"),
        "a server that restarted goes on where it was",
    ),
    Mutant(
        "older-record-believed",
        "P9 S5",
        "killswitch/core/answer.py",
        "    if epoch < seen or epoch <= engaged_seen:",
        "    if epoch < 0:",
        (_SERVER, "-k", "redis and SWAPDB"),
        "what was lost and comes back opens the fleet",
    ),
    Mutant(
        "permits-not-counted",
        "P6 P7 S8",
        "killswitch/gate/watcher.py",
        "        held = self._gate.book.count()\n",
        "        held = 0\n",
        (_PERMITS, "-k", "hangs"),
        "QUIET is said with an order on its way",
    ),
    Mutant(
        "forgotten-permit-kept",
        "S15",
        "killswitch/gate/permits.py",
        "return partial(self._held.pop, key, None)",
        "return partial(self._held.get, key, None)",
        (_PERMITS, "-k", "leaks"),
        "one lost permit blocks every proof",
    ),
    Mutant(
        "fork-is-not-heard-of",
        "S12",
        "killswitch/gate/agent.py",
        "    os.register_at_fork(after_in_child=_after_fork)",
        "    pass",
        (_STALLS, "-k", "forked"),
        "a forked child trades on its parent's permission",
    ),
    Mutant(
        "fenced-without-a-fence",
        "P6 S16",
        "killswitch/core/proof.py",
        "    lacking = [fence.sink for fence in fences if fence.fence < epoch]",
        "    lacking: list[str] = []",
        (_STOPPING, "-k", "cannot_be_asked"),
        "FENCED is said though no sink confirmed it",
    ),
    Mutant(
        "fence-without-effect",
        "S1 S16",
        "workers/venue/book.py",
        "        if token < self.paper.fence:",
        "        if token < 0:",
        (_STOPPING, "-k", "fenced_is_true"),
        "a sleeper's order is accepted after FENCED",
    ),
    Mutant(
        "fence-forgotten",
        "S16",
        "workers/venue/book.py",
        '            session.paper.raise_fence(int(event["fence"]))',
        "            pass",
        (_STOPPING, "-k", "killed_after_it"),
        "a venue that restarts accepts what it had promised to refuse",
    ),
    Mutant(
        "reset-without-looking",
        "P8",
        "killswitch/store/lua/ks_reset.lua",
        "  if to_epoch(args[1]) ~= current or current ~= looked_at then",
        "  if not to_epoch(args[1]) then",
        ("tests/faults/test_races.py", "-k", "two_operators"),
        "a late reset undoes a newer stop",
    ),
    Mutant(
        "nearly-safe-is-safe",
        "P5 S4",
        "killswitch/core/answer.py",
        "    if row.text == Mode.SAFE and row.length == len(Mode.SAFE):",
        "    if row.text.strip().upper() == Mode.SAFE:",
        (_SERVER, "-k", "redis and SET"),
        "a text that nobody meant as a permission permits",
    ),
    Mutant(
        "no-plain-set-to-fall-back-on",
        "S13",
        "killswitch/store/switch.py",
        " a record beyond repair: the stop itself needs nothing but SET.\n",
        "\n            raise\n",
        ("tests/faults/test_records.py", "-k", "functions or nothing_but"),
        "without its library nobody can engage",
    ),
    Mutant(
        "ownership-for-ever",
        "S9",
        "workers/ownership.py",
        "        return self._from_ns <= clock.now_ns() < self._until_ns\n",
        "        return self._from_ns <= clock.now_ns()\n",
        ("tests/faults/test_deaths.py", "-k", "queue_froze or slept"),
        "two workers trade one engine",
    ),
    Mutant(
        "queue-of-the-dead",
        "P11",
        "workers/lua/requeue.lua",
        "if last and tonumber(last) >",
        "if last and 0 >",
        ("tests/unit/workers_rq/test_cleanups.py",),
        "what a dead worker left at the venue goes on working",
    ),
    Mutant(
        "drained-before-closed",
        "P2",
        "killswitch/core/watch.py",
        '[self._close(Code.STATE_CHANGED, "Redis announced a change"), Drain()]',
        '[Drain(), self._close(Code.STATE_CHANGED, "Redis announced a change")]',
        (_WATCHER, "-k", "held_up"),
        "between the two a check finds neither the announcement nor the closed picture",
    ),
    Mutant(
        "sender-forgotten-with-its-job",
        "P6 P7 S1",
        "workers/wiring.py",
        "        self._guards.append(guard)\n",
        "",
        ("tests/faults/test_deaths.py", "-k", "whose_fate"),
        "QUIET is said while an order may still come out of a frozen venue",
    ),
]
