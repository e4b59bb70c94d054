"""What is promised, and where it is checked: the hand-written half of docs/evidence.md.

P are the promises of README.md, S the safety and L the liveness properties of the protocol, A those of the record.
`tests` are arguments of pytest; a test sees that each exists. What the runs measured is added from the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PROPERTIES", "Property"]


@dataclass(frozen=True, slots=True)
class Property:
    """`prop` says `says`; `tests` check it beside simulation, model and real faults; `bound` is what may not be
    exceeded, `open` what is not covered. `closing`: it is about how soon gates close."""

    prop: str
    says: str
    tests: tuple[str, ...]
    bound: str = ""
    open: str = ""
    closing: bool = False


_TWO_PERSONS = ("tests/integration/test_persons.py", "tests/random/test_two_persons.py")
_LEASE = "lease_ms / 0.9"

PROPERTIES: tuple[Property, ...] = (
    Property(
        "P1",
        "One bare SET closes every gate of every worker.",
        ("tests/integration/test_one_set.py", "tests/fleet/test_demo.py"),
        "the push; at the latest the lease",
        closing=True,
    ),
    Property(
        "P2",
        "No check that starts after the operator's +OK passes.",
        ("tests/integration/test_one_set.py", "tests/bench/test_bench.py"),
        "0 passes",
        "servers that answer before they announce (Redis 8 with io-threads above 1), FLUSHALL, SWAPDB: there P3 holds",
    ),
    Property(
        "P3",
        "Without a confirmed SAFE the gates close within the lease, counted from the question's sending.",
        ("tests/integration/test_lease.py", "tests/property/test_watch.py"),
        _LEASE,
        "a hypervisor that stops the guest's clocks",
        closing=True,
    ),
    Property(
        "P4",
        "Whenever Redis would refuse the operator's SET, renewals are refused as well.",
        ("tests/integration/test_refusals.py",),
        "one renewal period, at the latest the lease",
        "a user whose ACL lets ks_read pass and SET not: that is the operator's credential, not the worker's",
        closing=True,
    ),
    Property(
        "P5",
        "Only exact SAFE opens.",
        ("tests/integration/test_state_values.py", "tests/unit/core/test_answer.py", "tests/property/test_core.py"),
        "the push; SWAPDB: the lease",
        closing=True,
    ),
    Property(
        "P6",
        "Quiescence is proved: QUIET, FENCED and UNCERTAIN are true when they are said.",
        ("tests/integration/test_quiescence.py", "tests/integration/test_proof_holes.py"),
        "",
        "a worker that lies; a membership that was deleted and partly rebuilt within seconds",
    ),
    Property(
        "P7",
        "An order in flight is never lost from sight.",
        ("tests/integration/test_in_flight.py", "tests/unit/gate/test_permits.py"),
        "",
        "a process that forks while it holds a permit; an abandoned async generator",
    ),
    Property(
        "P8",
        "Engaging is unconditional; a reset never undoes a newer engagement.",
        ("tests/contract/test_functions.py", "tests/contract/test_functions_permit.py"),
        "",
        "a raw SET of the very text that is there already gets no epoch",
    ),
    Property(
        "P9",
        "A lost engagement does not reopen the fleet.",
        ("tests/integration/test_incarnation.py", "tests/integration/test_on_failover.py"),
        "the first answer of the new server",
        "KILLSWITCH_ON_FAILOVER=resume or reassert: whoever had not heard of a lost stop trades on, see design.md",
        closing=True,
    ),
    Property(
        "P10",
        "Every change gets an epoch and an entry.",
        ("tests/contract/test_functions_state.py", "tests/integration/test_commands.py"),
        "",
        "a raw ENGAGED undone by a raw SAFE before any round trip leaves no entry",
    ),
    Property(
        "P11",
        "Stopping never blinds: cancels, fills, beats and reports go on.",
        ("tests/unit/workers/test_engine_stopping.py", "tests/fleet/test_running.py"),
    ),
    Property("S1", "After QUIET or FENCED no order from before the stop reaches a sink.", (), "0 orders"),
    Property("S2", "No gate passes later than the bound after the stop was recorded.", (), _LEASE, closing=True),
    Property("S3", "After QUIET or FENCED nobody in scope passes until it is permitted anew.", (), "0 passes"),
    Property(
        "S4",
        "Closed is the default: before the first answer, on any error, on anything unknown.",
        ("tests/unit/core/test_answer.py", "tests/unit/gate/test_gate.py", "tests/integration/test_wrong_setup.py"),
        closing=True,
    ),
    Property("S5", "A worker never opens at or below an epoch at which it saw the stop.", ("tests/unit/core",)),
    Property("S6", "Epochs rise; no two engagements share one; engaging works on any content.", ("tests/contract",)),
    Property(
        "S7",
        "Where two persons have to permit, both asked for the same at the same epoch; a stop in between voids it.",
        (
            "tests/contract/test_functions_persons.py",
            "tests/contract/test_functions_rules.py",
            "tests/contract/test_functions_byhand.py",
            *_TWO_PERSONS,
        ),
        "0 permissions by one",
        "the model and the simulated fleet know one person; who may write the ledger by hand may lift the rule there "
        "(audit diff finds it); as a user that is shared one approves as two (preflight names it)",
    ),
    Property(
        "S8",
        "Acknowledged only when closed, every permit returned; a worker speaks for itself only.",
        ("tests/contract/test_functions_worker.py", "tests/contract/test_functions_lives.py"),
    ),
    Property("S9", "A lease extends only by an answer that a refusing server would not give.", (), closing=True),
    Property("S10", "An answer or push of an earlier question or connection has no effect.", ("tests/unit/core",)),
    Property("S11", "Who joins is in the membership or has read the stop.", ("tests/integration/test_quiescence.py",)),
    Property("S12", "After a fork the child is closed and shares no socket.", ("tests/integration/test_fork.py",)),
    Property(
        "S13",
        "Engaging never fails because of record, membership or metrics; a reset fails where it can not be recorded.",
        ("tests/contract/test_functions_faults.py",),
    ),
    Property(
        "S14",
        "The strictest scope wins; resetting a part never opens the whole.",
        ("tests/integration/test_scopes.py",),
    ),
    Property(
        "S15", "A permit cannot leak.", ("tests/unit/gate/test_permits.py", "tests/unit/gate/test_permit_ends.py")
    ),
    Property("S16", "The fence stands before FENCED is said, and is never lowered.", ()),
    Property(
        "L1",
        "An engagement is recorded, or the caller learns which bound applies, within its time limit, by default 2 s.",
        ("tests/contract/test_quick.py",),
        open="the limit counts from the command's own first step: milliseconds on top to tell it, and the start of "
        "a shell, of which one that was measured is taken off here",
    ),
    Property("L2", "The wait ends within what was asked for and one second.", ()),
    Property(
        "L3",
        "A connected worker closes with the push and acknowledges after its longest order.",
        ("tests/bench/test_bench.py",),
    ),
    Property("L4", "After the last fault every worker reads the state again within 2 s.", ()),
    Property("L5", "After a permission all living workers open within two renewal periods.", ()),
    Property("L6", "A fleet that lost Redis at one moment is back within 2 s.", ()),
    Property("L7", "No false stop while nothing is wrong.", ()),
    Property(
        "L8",
        "A check costs about a microsecond and no call that can block.",
        ("tests/bench/test_bench.py",),
        "the figures are in README.md",
    ),
    Property("A1", "Each change has one entry, also when repeated.", ("tests/contract/test_functions.py",)),
    Property(
        "A2",
        "An edit, deletion, insertion or change of order of the record is found.",
        ("tests/property/test_chain.py", "tests/contract/test_seals.py", "tests/integration/test_cli_audit.py"),
        "",
        "entries that are altered together with all seals behind them are found against an anchor only",
    ),
    Property(
        "A3",
        "A cut tail of the record is found.",
        ("tests/integration/test_cli_audit.py", "tests/integration/test_audit_scripts.py"),
        "",
        "against an anchor only; nothing anchors by itself: that is the task of ops/audit and cron",
    ),
    Property("A4", "The entry and the change are one step.", ("tests/contract/test_functions_faults.py",)),
    Property("A5", "engage says how durable it is.", ("tests/integration/test_commands.py",)),
    Property(
        "A6",
        "Reading the record never blocks Redis.",
        ("tests/integration/test_cli_looking.py", "tests/unit/store/test_portions.py"),
    ),
)
