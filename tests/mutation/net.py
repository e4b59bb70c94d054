"""Breaks that only a broken network or a fail-over brings to light."""

from __future__ import annotations

from tests.mutation.base import Mutant

_LATE = "tests/faults/net/test_late.py"
_FAILOVER = "tests/faults/net/test_failover.py"
_OPERATOR = "tests/faults/net/test_operator.py"
_REACH = "tests/unit/store/test_reach.py"
_SENTINEL = "tests/unit/store/test_sentinel.py"
_PAIR = "tests/contract/test_pair.py"

MUTANTS = (
    Mutant(
        name="lease-from-receipt",
        breaks="S10 P3",
        path="killswitch/core/watch.py",
        old="until = deadline_ns(question.sent_ns, self.timing.lease_ms, decision.ttl_ms)",
        new="until = deadline_ns(now_ns, self.timing.lease_ms, decision.ttl_ms)",
        tests=(_LATE,),
        why="an answer that the network held back would permit for a whole lease from its arrival",
    ),
    Mutant(
        name="lease-never-runs-out",
        breaks="P3",
        path="killswitch/core/lease.py",
        old="    return sent_ns + bound * _NS_PER_MS\n",
        new="    return sent_ns + 100 * bound * _NS_PER_MS\n",
        tests=(_LATE,),
        why="a worker that is cut off would go on trading",
    ),
    Mutant(
        name="no-answer-to-a-replica",
        breaks="L4 S9",
        path="killswitch/core/watch.py",
        old="        if code is Code.REDIS_READONLY:\n",
        new="        if code is Code.REDIS_LOADING:\n",
        tests=(f"{_FAILOVER}::test_master_that_hands_over_on_purpose_stops_the_fleet_until_somebody_permits_again",),
        why="after a planned fail-over a worker would stay at the old master for ever",
    ),
    Mutant(
        name="any-incarnation-will-do",
        breaks="P9",
        path="killswitch/store/lua/incarnation.lua",
        old="  if kept[1] == inc.run_id and kept[2] == inc.replid then\n",
        new="  if kept[1] then\n",
        tests=(
            f"{_FAILOVER}::test_engagement_that_was_lost_with_its_master_reopens_nobody",
            f"{_FAILOVER}::test_fleet_stays_closed_after_the_master_died_until_somebody_permits_again",
        ),
        why="nobody would write the stop into a promoted replica, and nobody could ever permit there",
    ),
    Mutant(
        name="any-incarnation-confirms",
        breaks="P9",
        path="killswitch/core/answer.py",
        old="    if not answer.confirmed:\n",
        new="    if not answer.run_id:\n",
        tests=("tests/unit/core/test_answer.py", "tests/property/test_core.py"),
        why="the worker would believe a SAFE that was given under another server's name",
    ),
    Mutant(
        name="newest-fail-over-does-not-count",
        breaks="P9 L4",
        path="killswitch/store/sentinel.py",
        old="    best = max(named, key=lambda one: (one.generation, named.count(one)))\n",
        new="    best = named[0]\n",
        tests=(_SENTINEL,),
        why="a sentinel that is cut off with the old master would lead workers and operators there",
    ),
    Mutant(
        name="silent-sentinels-are-waited-for",
        breaks="L1 L4",
        path="killswitch/store/sentinel.py",
        old="deadline_ns = min(deadline_ns, now_ns() + grace_ns)",
        new="deadline_ns = max(deadline_ns, now_ns() + grace_ns)",
        tests=(_SENTINEL,),
        why="two dead sentinels would cost the whole limit each time",
    ),
    Mutant(
        name="replica-taken-for-the-master",
        breaks="S9",
        path="killswitch/store/wire.py",
        old='if endpoint.by_sentinel and role == b"replica":',
        new='if endpoint.by_sentinel and role == b"nobody":',
        tests=(_SENTINEL,),
        why="an engagement in a fail-over would go to a replica and be told to be refused by everybody",
    ),
    Mutant(
        name="two-servers-in-one-pair",
        breaks="P2",
        path="killswitch/store/line.py",
        old="            if announces is not None and announces != line.server():\n",
        new="            if announces is not None and line.server() is None:\n",
        tests=(_PAIR,),
        why="changes at the server that is asked would be announced by nobody",
    ),
    Mutant(
        name="resolver-without-a-limit",
        breaks="L1 L4",
        path="killswitch/store/reach.py",
        old="    lookup.join(left_s(deadline_ns))\n",
        new="    lookup.join()\n",
        tests=(_REACH,),
        why="an operator whose name server is dead would wait half a minute in silence",
    ),
    Mutant(
        name="each-attempt-takes-its-time",
        breaks="L1",
        path="killswitch/store/sentinel.py",
        old="    deadline_ns = begun + int(limit_s * 1e9)\n",
        new="    deadline_ns = begun + int(3 * limit_s * 1e9)\n",
        tests=(f"{_OPERATOR}::test_operator_who_reaches_nobody_learns_it_in_time_and_what_holds",),
        why="an operator would learn too late that nobody heard",
    ),
    Mutant(
        name="bound-is-asked-for-in-vain",
        breaks="L1",
        path="ops/pressing.py",
        old="bound_ms, at = _bound(target, ask=False)",
        new="bound_ms, at = _bound(target, ask=True)",
        tests=("tests/integration/test_cli_input.py",),
        why="who cannot reach Redis would wait twice as long for the bound",
    ),
)
