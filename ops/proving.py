"""The wait after an engagement: each worker as it turns quiet, then one word for what is proved and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from killswitch import Outcome, Verdict
from killswitch.clock import NS_PER_MS, now_ns, wall_ms, wall_text
from ops.console import console, plain
from ops.pressing import durability_text
from ops.render import clean, fit, span, wrap
from ops.screens import member_name

if TYPE_CHECKING:
    from killswitch import Controller, Member
    from killswitch.quick import Press

__all__ = ["as_outcome", "outcome_object", "pending_lines", "verdict_lines", "wait"]

_NAMED = 3


def as_outcome(press: Press) -> Outcome:
    """The engagement as the controller tells it."""
    return Outcome(
        verdict=Verdict.RECORDED,
        epoch=press.epoch,
        scope=press.scope,
        was=press.was,
        state=press.state,
        actor=press.actor,
        reason=press.reason,
        repeated=press.repeated,
        durability=press.durability,
    )


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON has it."""
    found: dict[str, Any] = plain(outcome)
    if outcome.durability is not None:
        found["durability"]["durable"] = outcome.durability.durable
        found["durability"]["text"] = durability_text(outcome.durability)[0]
    return found


def wait(control: Controller, outcome: Outcome, engaged_ns: int, wait_s: float) -> Outcome:
    """Waits at most `wait_s` seconds after `engaged_ns` for the proof, and tells how it ended."""
    paint = console.paint
    expected = _expected(control, outcome.scope)
    quiet: set[str] = set()

    def progress() -> None:
        missing = [clean(name) for name in expected if name not in quiet]
        if missing:
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            text = f"  waiting for {', '.join(missing[:_NAMED])}{more} (at most {wait_s:g} s)"
            console.status_line(paint(fit(text, 99), "dim"))

    def seen(member: Member, _quiet: bool) -> None:
        quiet.add(member.worker_id)
        after = span((now_ns() - engaged_ns) / NS_PER_MS)
        console.status_line("")
        first, *rest = wrap(f"{member_name(member)}, seen after {after}", indent=" " * 9)
        console.say(f"  {paint('quiet', 'green')}  {first.lstrip()}", *rest)
        progress()

    progress()
    outcome = replace(control.prove(outcome, wait_s, engaged_ns, seen), durability=outcome.durability)
    console.status_line("")
    bound_ms = 0 if outcome.leases_out or outcome.verdict == Verdict.QUIET else control.lease_bound_ms()
    console.say(*verdict_lines(outcome, bound_ms, paint))
    if not outcome.members:
        console.warn("nobody is registered there: are KILLSWITCH_REDIS_URL and KILLSWITCH_PREFIX those of the fleet?")
    return outcome


def _expected(control: Controller, scope: str) -> list[str]:
    """Who will be waited for, for the progress line only."""
    from killswitch import KillSwitchError

    if not console.live:
        return []
    try:
        members = control.status().members
    except KillSwitchError:
        return []
    return [m.worker_id for m in members if scope == "switch" or scope in m.scopes or not m.known]


def pending_lines(member: Member) -> list[str]:
    """One worker that is not proved quiet, with its last words; nothing is cut."""
    if not member.known:
        text = f"{member_name(member)}: its last words are gone (silent for {span(member.beat_age_ms)})"
        return wrap(text, indent="  ")
    gate = "gate closed" if member.closed else "gate OPEN"
    flying = f"{member.in_flight} order{'s' * (member.in_flight != 1)} in flight"
    head = f"{member_name(member)}: last words {span(member.beat_age_ms)} ago: {gate}, epoch {member.epoch}, {flying}"
    lines = wrap(head, indent="  ")
    if member.orders:
        lines += wrap(f"client order ids: {', '.join(map(clean, member.orders))}", indent="    ")
    return lines


def verdict_lines(outcome: Outcome, bound_ms: int, paint: Any) -> list[str]:
    """How the wait ended. `bound_ms`: when after the engagement every lease has run out, where it has not."""
    after = f"{span(outcome.waited_ms)} after the engagement"
    everyone = len(outcome.members)
    if outcome.verdict == Verdict.QUIET:
        whole = f"all {everyone} workers" if everyone != 1 else "the one worker"
        text = f"{whole} closed, no order in flight" if everyone else "no worker follows this scope"
        return [f"{paint('QUIET', 'go')}  {text}, {after}, epoch {outcome.epoch}"]
    waiting = len(outcome.pending)
    told = f"{waiting} of {everyone} workers not proved quiet" if everyone else "not proved quiet"
    lines = [f"{paint('UNCERTAIN', 'alarm')}  {told}, {after}, epoch {outcome.epoch or 'unrecorded'}"]
    if outcome.note:
        lines += wrap(clean(outcome.note), indent="  ")
    if not everyone:
        return lines
    for member in outcome.pending:
        lines += pending_lines(member)
    said_closed = all(m.known and m.closed and m.epoch >= outcome.epoch > 0 for m in outcome.pending)
    if said_closed and outcome.pending:
        text = (
            "All of these say that their gates are closed. What is missing is the end of their orders in flight: look "
            "for these at the broker."
        )
    elif outcome.leases_out:
        text = (
            "Every lease has run out: no gate is open any more, not even there. Orders that had passed their gate may "
            "still reach the broker: look for them there."
        )
    else:
        left_ms = max(bound_ms - outcome.waited_ms, 0)
        text = (
            f"Leases may still run: until {wall_text(wall_ms() + int(left_ms))} ({span(left_ms)} from now) a gate may"
            " be open at these workers. The engagement stays; run it again with --wait for the proof."
        )
    return lines + wrap(text, indent="  ")
