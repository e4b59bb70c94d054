"""The wait after an engagement: each worker as it turns quiet, then one word for what is proved and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from killswitch import KillSwitchError, Outcome, Verdict
from killswitch.clock import NS_PER_MS, now_ns, wall_ms, wall_text
from ops.console import console, plain
from ops.pressing import durability_text
from ops.render import clean, count_of, fit, span, wrap
from ops.screens import member_name

if TYPE_CHECKING:
    from killswitch import Controller, Member, Standing
    from killswitch.quick import Press

__all__ = ["as_outcome", "outcome_object", "pending_lines", "verdict_lines", "wait", "warn_where_nobody_follows"]

_NAMED = 3
_SHOWN = 50


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
        means=press.means,
        operation=press.operation,
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

    def looked(pending: tuple[Member, ...]) -> None:
        if pending:
            more = f" and {len(pending) - _NAMED} more" if len(pending) > _NAMED else ""
            names = ", ".join(clean(fit(member.worker_id, 99)) for member in pending[:_NAMED])
            text = f"  waiting for {names}{more} (at most {wait_s:g} s)"
            console.status_line(paint(fit(text, 99), "dim"))

    def seen(member: Member, _quiet: bool) -> None:
        after = span((now_ns() - engaged_ns) / NS_PER_MS)
        console.status_line("")
        first, *rest = wrap(f"{member_name(member)}, seen after {after}", indent=" " * 9)
        console.say(f"  {paint('quiet', 'green')}  {first.lstrip()}", *rest)

    outcome = replace(control.prove(outcome, wait_s, engaged_ns, seen, looked), durability=outcome.durability)
    console.status_line("")
    console.say(*verdict_lines(outcome, paint))
    if not outcome.members and "registered" in outcome.note:
        console.warn("nobody is registered there: are KILLSWITCH_REDIS_URL and KILLSWITCH_PREFIX those of the fleet?")
    return outcome


def warn_where_nobody_follows(control: Controller, scope: str) -> None:
    """Where a part was stopped that nobody follows, which a slip of the pen does as well. Nothing where Redis has
    fallen silent since: what is known was told."""
    try:
        text = control.status().nobody_there(scope)
    except KillSwitchError:
        return
    if text:
        console.warn(text)


def pending_lines(member: Member) -> list[str]:
    """One worker that is not proved quiet, with its last words; no order id is cut."""
    if not member.known:
        text = f"{member_name(member)}: its last words are gone (silent for {span(member.beat_age_ms)})"
        return wrap(text, indent="  ")
    gate = "gate closed" if member.closed else "gate OPEN"
    flying = f"{count_of(member.in_flight, 'order')} in flight"
    head = f"{member_name(member)}: last words {span(member.beat_age_ms)} ago: {gate}, epoch {member.epoch}, {flying}"
    lines = wrap(head, indent="  ")
    if member.orders:
        lines += wrap(f"client order ids: {', '.join(map(clean, member.orders))}", indent="    ")
    return lines


def _standing_lines(stands: Standing | None) -> list[str]:
    """What its sinks do, or what is missing for that to be a proof."""
    if stands is None:
        return []
    if not stands.fenced:
        return wrap(f"not fenced: {clean(stands.missing)}", indent="    ")
    places = ", ".join(f"{clean(one.sink)} refuses epochs below {one.fence}" for one in stands.fences)
    return wrap(f"fenced: its lease has run out, and {places}", indent="    ")


def _all_pending_lines(outcome: Outcome) -> list[str]:
    """Everybody who is not proved quiet, as far as a screen has room for them."""
    stands = {one.worker_id: one for one in outcome.fences}
    lines = []
    for member in outcome.pending[:_SHOWN]:
        lines += pending_lines(member) + _standing_lines(stands.get(member.worker_id))
    if len(outcome.pending) > _SHOWN:
        lines.append(f"  and {len(outcome.pending) - _SHOWN} more; --output json names them all")
    return lines


def verdict_lines(outcome: Outcome, paint: Any) -> list[str]:
    """How the wait ended."""
    after = f"{span(outcome.waited_ms)} after the engagement"
    everyone = len(outcome.members)
    if outcome.verdict == Verdict.QUIET:
        whole = f"all {everyone} workers" if everyone != 1 else "the one worker"
        return [f"{paint('QUIET', 'go')}  {whole} closed, no order in flight, {after}, epoch {outcome.epoch}"]
    waiting = len(outcome.pending)
    told = f"{waiting} of {count_of(everyone, 'worker')} not proved quiet" if everyone else "not proved quiet"
    if outcome.verdict == Verdict.FENCED:
        text = (
            "What was permitted before this stop has ended there: none of those orders can reach a sink any more, "
            "however late they wake up. One that had reached its sink before may work there: look for it."
        )
        head = f"{paint('FENCED', 'warn')}  {told}, but fenced, {after}, epoch {outcome.epoch}"
        return [head, *_all_pending_lines(outcome), *wrap(text, indent="  ")]
    lines = [f"{paint('UNCERTAIN', 'alarm')}  {told}, {after}, epoch {outcome.epoch or 'unrecorded'}"]
    if outcome.note:
        lines += wrap(clean(outcome.note), indent="  ")
    if not everyone:
        return lines
    lines += _all_pending_lines(outcome)
    said_closed = all(m.known and m.closed and m.epoch >= outcome.epoch > 0 for m in outcome.pending)
    if said_closed and outcome.pending:
        text = (
            "All of these say that their gates are closed. What is missing is the end of their orders in flight: look "
            "for these at the broker."
        )
    elif outcome.leases_out:
        text = (
            "Every lease has run out and the stop stands: no gate is open any more, not even there. Orders that had "
            "passed their gate may still reach the broker: look for them there."
        )
    elif outcome.lease_bound_ms is None:
        text = (
            "A master that was replaced may go on permitting where it was cut off, and nothing bounds for how long: "
            "min-replicas-to-write is 0, or may not be read. Make sure that the old master is down. The engagement "
            "stays; run it again with --wait for the proof."
        )
    elif outcome.lease_bound_ms <= outcome.waited_ms:
        text = (
            "What was permitted before this stop has run out, but it is not known that the stop still stands: somebody "
            "may have permitted trading meanwhile. `killswitch status` shows what is so."
        )
    else:
        left_ms = outcome.lease_bound_ms - outcome.waited_ms
        text = (
            f"Leases may still run: until {wall_text(wall_ms() + int(left_ms))} ({span(left_ms)} from now) a gate may"
            " be open at these workers. The engagement stays; run it again with --wait for the proof."
        )
    return lines + wrap(text, indent="  ")
