"""Breaks of the fences, of the proof that rests on them, and of the wait for it."""

from __future__ import annotations

from tests.mutation.base import Mutant

_SINK = "tests/unit/store/test_sink.py"
_PROOF = "tests/property/test_proof.py"
_FENCED = "tests/integration/test_fenced.py"
_ENDS = "tests/integration/test_wait_ends.py"
_CLI = "tests/integration/test_cli_fenced.py"
_REDIS = ("-k", "not valkey")

MUTANTS = (
    # -- asking sinks --
    Mutant(
        name="lower-fence-counts",
        breaks="S16",
        path="killswitch/store/sink.py",
        old=" and type(fence) is int and fence >= epoch:",
        new=" and type(fence) is int:",
        tests=(_SINK,),
        why="a sink that confirmed less would count as fenced",
    ),
    Mutant(
        name="any-answer-counts",
        breaks="S16",
        path="killswitch/store/sink.py",
        old=' or answer.get("id") != number:',
        new=":",
        tests=(_SINK,),
        why="the answer to another question would count as this one's",
    ),
    Mutant(
        name="refusal-counts",
        breaks="S16",
        path="killswitch/store/sink.py",
        old='        if answer.get("ok") is True and',
        new="        if",
        tests=(_SINK,),
        why="a sink that says no would count as fenced",
    ),
    Mutant(
        name="endless-answer",
        breaks="L2",
        path="killswitch/store/sink.py",
        old="            if not data or room < 0:\n",
        new="            if not data:\n",
        tests=(_SINK,),
        why="a sink that never ends its line would fill the memory of the operator's tool",
    ),
    # -- the judgement --
    *(
        Mutant(name=name, breaks="P6 S1", path="killswitch/core/proof.py", old=old, new=new, tests=(_PROOF,), why=why)
        for name, old, new, why in (
            (
                "fenced-within-the-lease",
                "    if elapsed_ms < (bound_ms := closed_by_ms(member.lease_ms)):\n",
                "    if elapsed_ms < 0 * (bound_ms := closed_by_ms(member.lease_ms)):\n",
                "FENCED would be said while a gate is open",
            ),
            (
                "fenced-with-a-right-clock-only",
                "    if elapsed_ms < (bound_ms := closed_by_ms(member.lease_ms)):\n",
                "    if elapsed_ms < (bound_ms := member.lease_ms):\n",
                "a worker whose clock is slow would still be trading",
            ),
            (
                "one-fence-is-enough",
                "    if lacking:\n",
                "    if len(lacking) == len(fences):\n",
                "the order would arrive at the sink that nobody fenced",
            ),
            ("fenced-without-sinks", "    if not fences:\n", "    if False:\n", "no sink at all would be a proof"),
            (
                "fenced-without-words",
                "    if not member.known:\n",
                "    if False:\n",
                "the unknown would count as safe",
            ),
            (
                "fenced-with-a-rival",
                "    if member.rival:\n",
                "    if False:\n",
                "the other life's sinks are not named",
            ),
            (
                "fenced-without-a-lease",
                "    if member.lease_ms <= 0:\n",
                "    if False:\n",
                "nobody knows when it ends",
            ),
            ("fenced-without-an-epoch", "    if epoch <= 0:\n", "    if False:\n", "a fence at 0 refuses nothing"),
            (
                "fence-below-the-stop",
                "if fence.fence < epoch]",
                "if fence.fence < epoch - 1]",
                "the order of the epoch before the stop would pass",
            ),
        )
    ),
    Mutant(
        name="half-of-the-sinks-read",
        breaks="P6 S1",
        path="killswitch/core/sinks.py",
        old="        if not _NAME.fullmatch(sink) or not _NAME.fullmatch(session):\n            return ()\n",
        new="        if not _NAME.fullmatch(sink) or not _NAME.fullmatch(session):\n            continue\n",
        tests=(_PROOF,),
        why="a sink that was named unreadably would not be fenced and nobody would notice",
    ),
    # -- the wait --
    Mutant(
        name="healthy-sessions-fenced",
        breaks="P6",
        path="killswitch/control/quiescence.py",
        old="        for member in self.pending:\n            bound_ms",
        new="        for member in self.members.values():\n            bound_ms",
        tests=(f"{_FENCED}::test_only_the_sessions_of_those_who_did_not_answer_are_fenced", *_REDIS),
        why="orders of workers that did all they should would be refused",
    ),
    Mutant(
        name="one-session-at-a-time",
        breaks="P6",
        path="killswitch/control/quiescence.py",
        old="                wanted += member.sinks\n",
        new="                wanted = wanted or [*member.sinks]\n",
        tests=(f"{_FENCED}::test_a_whole_fleet_that_died_is_fenced_at_once", *_REDIS),
        why="a host that died with a hundred engines would be fenced engine by engine, or not in time",
    ),
    Mutant(
        name="lease-counted-from-an-older-stop",
        breaks="P6 S3",
        path="killswitch/control/quiescence.py",
        old="            self._recorded, self.stopped_ns = state.epoch, now_ns()\n",
        new="            self._recorded = state.epoch\n",
        tests=(f"{_FENCED}::test_leases_count_anew_from_a_stop_that_replaced_the_one_waited_for", *_REDIS),
        why="FENCED would be said while leases given between two stops run",
    ),
    Mutant(
        name="redis-waited-for-without-end",
        breaks="L2",
        path="killswitch/store/bounded.py",
        old="        self._wire.timeout_s = min(self._step_s, left_s)\n",
        new="        self._wire.timeout_s = 30.0\n",
        tests=(f"{_ENDS}::test_redis_that_freezes_during_the_wait", *_REDIS),
        why="the operator would sit before a frozen Redis",
    ),
    Mutant(
        name="proof-asked-for-once-per-connection",
        breaks="L2",
        path="killswitch/control/quiescence.py",
        old="            if isinstance(error, StoreRefused) and error.code in _FINAL:\n",
        new="            if True:\n",
        tests=(_ENDS, *_REDIS),
        why="a connection that is lost for a moment would be the end of the proof",
    ),
    Mutant(
        name="whole-membership-read",
        breaks="L2",
        path="killswitch/store/fleet.py",
        old='self._ask("ZRANGE", self._keys.workers, 0, MEMBERS_MAX, "WITHSCORES")',
        new='self._ask("ZRANGE", self._keys.workers, 0, -1, "WITHSCORES")[:MEMBERS_MAX]',
        tests=(f"{_ENDS}::test_a_membership_beyond_all_measure_is_somebody_unknown", *_REDIS),
        why="those beyond the limit would be left out as if they were not there",
    ),
    Mutant(
        name="fenced-ends-as-uncertain",
        breaks="P6",
        path="ops/commands/engage.py",
        old='"FENCED": Exit.FENCED}',
        new='"FENCED": Exit.UNCERTAIN}',
        tests=(_CLI, *_REDIS),
        why="scripts could not tell the two apart",
    ),
)
