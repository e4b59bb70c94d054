"""What `engage` tells at once: that it is done and how durably, or why not and what holds nevertheless."""

from __future__ import annotations

import shlex
import signal
import traceback
from typing import TYPE_CHECKING, Any

import click

from killswitch.clock import wall_ms, wall_text
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import clean, count_of, span, wrap
from ops.screens import state_words

if TYPE_CHECKING:
    from killswitch import Scope, StoreRefused, StoreUnavailable
    from killswitch.quick import Press, Target

__all__ = [
    "Interruptible",
    "durability_text",
    "redis_cli_line",
    "tell_broken",
    "tell_durability",
    "tell_engaged",
    "tell_refused",
    "tell_tidied",
    "tell_unreachable",
]

_LATER = "the first worker's beat records it, with the reason as a note that nobody vouches for"
_UNRECORDED = {
    "function": "the stop is set, but the record could not be kept: the first worker's beat records it",
    "set": (
        "the stop is set with a plain SET but not recorded: the function library is missing or could not keep the "
        "record; the first worker's beat records it. Run `killswitch init` if no worker does"
    ),
    "delete": f"this user may only delete the state, and that was done: without it every gate is closed; {_LATER}",
    "copy": f"this user may only put the text that is kept for this into the scope, and that was done; {_LATER}",
    "nothing": (
        "there was no state, which is a stop already, and this user may not write one: nothing was changed, no epoch "
        "was given, and a reset that names the last one still goes through"
    ),
}
"""What to tell of a stop that has no epoch yet, by how it was made."""

# Refusals that meet everybody at this server, workers' renewals included.
_SERVER_WIDE = (
    *("redis_oom", "redis_misconf", "redis_noreplicas", "redis_maxclients"),
    *("redis_readonly", "redis_busy", "redis_loading"),
)


def tell_engaged(press: Press) -> None:
    """The first words, as soon as Redis has confirmed."""
    paint = console.paint
    where = "the whole fleet" if press.scope == "switch" else press.scope
    head = f"ENGAGED {where}"
    recorded = f"epoch {press.epoch}" if press.epoch else "no epoch yet"
    console.say(f"{paint(head, 'alarm')}  {recorded}, {wall_text(wall_ms())}, by {clean(press.actor)}")
    console.say(*wrap(f"why: {clean(press.reason)}", indent="  "))
    if press.was:
        console.say(*wrap(f"before: {state_words(press.was)}", indent="  "))
    if not press.epoch:
        nothing = press.means == "delete" and press.was == "(absent)"
        console.warn(_UNRECORDED["nothing" if nothing else press.means])


def tell_tidied(press: Press, reason: str, actor: str | None) -> None:
    """Where the record holds another text than was given: what a line cannot hold is no reason not to stop."""
    if not reason.strip():
        console.warn("no reason was given; the record says so")
    if (reason.strip() and press.reason != reason.strip()) or (actor and press.actor != actor.strip()):
        console.warn(
            "the reason or the name was not one plain line of at most 200 characters: what is shown is on record"
        )


def durability_text(durability: Any) -> tuple[str, bool]:
    """How safe a change is, in words, and whether it survives the loss of the server process."""
    if durability is None:
        return "unknown: Redis did not answer when asked", False
    where = {
        "always": "on disk (fsync always)",
        "everysec": "on disk within a second (fsync everysec)",
        "no": "on disk when the system likes (fsync no)",
        "off": "kept in memory only",
        "unknown": "whether it is on disk is unknown",
    }[durability.aof if durability.aof in ("always", "everysec", "no", "off") else "unknown"]
    replicas = durability.replicas
    if replicas is None:
        copies = ", replicas unknown"
    elif replicas:
        copies = f", {durability.acknowledged} of {count_of(replicas, 'replica')}"
    else:
        copies = ", no replica"
    return ("" if durability.durable else "NOT durable: ") + where + copies, bool(durability.durable)


def tell_durability(press: Press) -> None:
    """Whether the engagement survives the loss of the server."""
    text, durable = durability_text(press.durability)
    console.say(f"  {'durable: ' * durable}{console.paint(text, '' if durable else 'yellow')}")


def redis_cli_line(target: Target, scope: Scope | None, reason: str, user: str = "") -> str:
    """The same engagement for somebody on another host who has nothing but redis-cli, as `user` (as this one). Never
    with a password."""
    place, user = target.endpoint, user or target.endpoint.username
    words = ["redis-cli"]
    if place.scheme == "unix":
        words += ["-s", place.path]
    elif place.by_sentinel:
        words += ["-h", f"<master {place.master}>"]
    else:
        words += ["-h", place.hosts[0][0], "-p", str(place.hosts[0][1])]
    words += ["-n", str(place.db)] if place.db else []
    if place.tls:
        files = place.tls_files
        words += ["--tls"]
        for option, path in (("--cacert", files.ca_file), ("--cert", files.cert_file), ("--key", files.key_file)):
            words += [option, path] if path else []
    words += ["--user", user] if user else []
    words += ["--askpass"] if place.password or user != place.username else []
    return shlex.join([*words, "SET", target.keys.scope_state(scope), f"ENGAGED {reason.strip()}".strip()])


def _bound(target: Target, ask: bool) -> tuple[int, str]:
    """How long after now every lease has run out, and when that is, as `Controller.lease_bound_ms` tells it. Loads the
    rest: there is time now."""
    from ops.loading import control_for

    control, violations = control_for(target)
    for text in violations:
        console.warn(f"the settings are not valid, so the longest possible lease is assumed: {text}")
    bound_ms = control.lease_bound_ms(ask)
    return bound_ms, wall_text(wall_ms() + bound_ms)


def tell_unreachable(error: StoreUnavailable, target: Target, scope: Scope | None, reason: str) -> Exit:
    """No answer: what to do elsewhere at once, and what holds if Redis is dead."""
    sent = error.code != "unreachable"
    line = redis_cli_line(target, scope, reason)
    doubt = "whether it was written is unknown" if sent else "nothing was written"
    console.trouble("NOT CONFIRMED" if sent else "NOT ENGAGED", f"{clean(error.reason)}; {doubt}", "alarm")
    console.tell("  If only this host is cut off, workers go on trading. Engage from another host:")
    console.tell(f"    {clean(line)}")
    bound_ms, at = _bound(target, ask=False)
    console.tell(
        *wrap(
            f"If Redis is dead or frozen no worker can renew: every gate is closed by {at} ({span(bound_ms)} from now)."
            " One that was only frozen goes on as before when it wakes: repeat this command until it succeeds.",
            indent="  ",
        )
    )
    found = {"kind": "unreachable", "code": str(error.code), "message": error.reason, "maybe_written": sent}
    found |= {"redis_cli": line, "closed_by": at, "closed_within_ms": bound_ms, "holds_if": "redis is dead or frozen"}
    console.result({"error": found, "exit_code": int(Exit.UNREACHABLE)})
    return Exit.UNREACHABLE


def tell_refused(error: StoreRefused, target: Target, scope: Scope | None, reason: str) -> Exit:
    """Redis refuses: everybody (then leases run out), or only this user (then they do not)."""
    code = str(error.code)
    if code not in _SERVER_WIDE:
        line = redis_cli_line(target, scope, reason, "OPERATOR" if code == "redis_denied" else "")
        from ops.denied import roles_for

        user, roles = target.endpoint.username or "default", ", ".join(roles_for("engage"))
        return fail(
            Exit.REFUSED,
            "refused",
            f"NOT ENGAGED: Redis refused the user {user} or this command: {error.reason}",
            f"workers have users of their own and may go on trading; engage with a user that may ({roles}): {line}",
            code=code,
            redis_cli=line,
            closed_by=None,
        )
    console.trouble("NOT ENGAGED", f"Redis refuses writes: {clean(error.reason)} [{code}]", "alarm")
    bound_ms, at = _bound(target, ask=True)
    console.tell(
        *wrap(
            "It refuses the workers' renewals as well, so while it goes on refusing every gate that depends on this "
            f"server is closed by {at} ({span(bound_ms)} from now).",
            indent="  ",
        ),
        *wrap(
            "When it takes writes again, what the switch said before holds again, and where that is SAFE trading "
            "resumes: repeat this command until it succeeds. " + str(getattr(error.code, "remedy", "")),
            indent="  ",
        ),
    )
    found = {"kind": "refused", "code": code, "message": error.reason, "maybe_written": False}
    found |= {"closed_by": at, "closed_within_ms": bound_ms, "holds_if": "redis goes on refusing writes"}
    console.result({"error": found, "exit_code": int(Exit.REFUSED)})
    return Exit.REFUSED


class Interruptible:
    """From an engagement on, Ctrl-C ends the process at once with the true words and code, instead of raising wherever
    the program happens to be: half-loaded modules and extensions take that badly, and a crash would look like a
    failure of the engagement. As a context manager it gives SIGINT back."""

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self._before: Any = None

    def __enter__(self) -> Interruptible:
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def engaged(self, press: Press) -> None:
        """The engagement is confirmed: from here on it is what Ctrl-C speaks of."""

        def end(_number: int, _frame: Any) -> None:
            code = Exit.UNCERTAIN if self._waits else Exit.DONE
            text = "the fleet stays ENGAGED; nothing was proved. `killswitch status` shows who is quiet"
            console.last_words(f"interrupted: {text}", _stays_object(press, text, code), code)

        self._before = signal.signal(signal.SIGINT, end)


def tell_broken(press: Press, error: Exception, *, waited: bool) -> Exit:
    """An unexpected error after the engagement: it stays, and nobody must think otherwise."""
    what = f"{type(error).__name__}: {clean(error)}"
    text = f"the fleet is ENGAGED, but telling more about it failed ({what}). `killswitch status` shows who is quiet"
    if click.get_current_context().find_root().params.get("full"):
        console.tell(*(clean(line) for line in "".join(traceback.format_exception(error)).splitlines()))
    return _stays(press, "error", text, waited)


def _stays(press: Press, label: str, text: str, waited: bool) -> Exit:
    code = Exit.UNCERTAIN if waited else Exit.DONE
    console.status_line("")
    console.trouble(label, text, "warn")
    console.result(_stays_object(press, text, code))
    return code


def _stays_object(press: Press, text: str, code: Exit) -> dict[str, Any]:
    verdict = "UNCERTAIN" if code is Exit.UNCERTAIN else "RECORDED"
    return {"verdict": verdict, "epoch": press.epoch, "scope": press.scope, "note": text, "exit_code": int(code)}
