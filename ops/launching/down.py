"""`killswitch down` from its first look to its last line."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import redis

from killswitch import Controller, KillSwitchError, Settings
from ops.console import Console, plain
from ops.exit_codes import Exit
from ops.failures import fail
from ops.launching.stopping import Ended, Stopping
from ops.render import clean, count_of, first_line, wrap
from ops.screens import headline
from workers import queues
from workers.roster import Roster
from workers.settings import WorkerSettings

__all__ = ["Down", "ended_lines", "take_down"]

_VIA = "down"


@dataclass(frozen=True, slots=True)
class Down:
    """What somebody wants: which engines of which queue (none: all), which of them were typed by name, and why the
    switch is to be engaged first (None: it is not)."""

    switch: Settings
    workers: WorkerSettings
    queue: str | None
    engines: tuple[str, ...]
    named: tuple[str, ...]
    reason: str | None
    actor: str | None
    timeout_s: float


def take_down(down: Down, console: Console) -> Exit:
    """Takes them down, and tells how each went."""
    control = Controller(down.switch, via=_VIA)
    engaged, trouble = _engage(down, control, console)
    try:
        with closing(queues.connect(down.workers.queue_address)) as client:
            roster = Roster(client, queue=down.queue or queues.ENGINES, prefix=down.workers.prefix)
            stopping = Stopping(roster, control, down.timeout_s, _teller(console), _waiter(console))
            names = down.engines or stopping.names()
            if strange := [name for name in down.named if not (name in stopping.names() or roster.known(name))]:
                return _unknown(strange[0], stopping.names(), engaged)
            ended = stopping.run(names)
            back = [one.engine for one in ended if one.down and roster.of(one.engine)]
    except redis.RedisError as error:
        return fail(Exit.UNREACHABLE, "unreachable", f"the queue's Redis: {first_line(error)}", engaged=engaged)
    finally:
        console.status_line("")
    for name in back:
        console.warn(f"engine {clean(name)} was placed again meanwhile")
    gone = all(one.down for one in ended) and not back and not trouble
    whole = gone and not stopping.unseen
    # Off the queue is not down: a worker may still run one, which only the registry would tell.
    code = Exit.DONE if whole else Exit.UNREACHABLE if gone else Exit.FAILED
    _tell_end(ended, control, console, whole=whole, unseen=bool(stopping.unseen))
    if stopping.unseen:
        text = "not known to be down: the switch's registry could not be read, so a worker may still run an engine"
        console.trouble("error", f"{text}: {clean(stopping.unseen)}")
    found: dict[str, Any] = {"ok": whole, "engines": [{**plain(one), "down": one.down} for one in ended]}
    found |= {"engaged": engaged, "trouble": trouble, "registry_unread": stopping.unseen}
    console.result({**found, "exit_code": int(code)})
    return code


def _engage(down: Down, control: Controller, console: Console) -> tuple[int | None, str]:
    """Engages, if that is wanted; the epoch, and why it could not be done. Stopping goes on: that is safe as well."""
    if down.reason is None:
        return None, ""
    try:
        outcome = control.engage(down.reason, down.actor)
    except KillSwitchError as error:
        text = str(getattr(error, "reason", error))
        console.trouble("NOT ENGAGED", f"{clean(text)}; the engines are stopped all the same", "alarm")
        return None, text
    console.say(f"{console.paint('ENGAGED', 'alarm')} the whole fleet, epoch {outcome.epoch}: {clean(outcome.reason)}")
    return outcome.epoch, ""


def _unknown(name: str, there: tuple[str, ...], engaged: int | None) -> Exit:
    """A name that was never run here is a typing error more likely than an engine that is down: nothing is stopped."""
    near = difflib.get_close_matches(name, there, n=1)
    guess = f"did you mean {near[0]}?" if near else f"there are: {', '.join(there) or 'none'}"
    text = f"no engine {name!r:.80} is on the queue or was ever run from it; nothing was stopped"
    return fail(Exit.FAILED, "unknown_engine", text, guess, engaged=engaged)


def ended_lines(ended: Ended) -> list[str]:
    """One engine as people read it."""
    words = {"absent": "is nowhere: nothing to do", "withdrawn": "was taken off its queue"}
    text = words.get(ended.how, f"{ended.how} after {ended.took_s:.1f} s")
    if ended.how in ("stopped", "finished"):
        did = count_of(ended.ticks, "tick"), count_of(ended.orders, "order"), count_of(ended.cancelled, "working order")
        text += f": {', '.join(did)} cancelled"
    if ended.why:
        text += f": {clean(ended.why)}"
    return wrap(f"{clean(ended.engine)} {text}", indent="      ")


def _teller(console: Console) -> Callable[[Ended], None]:
    def heard(ended: Ended) -> None:
        console.status_line("")
        mark = console.paint("ok  ", "go") if ended.down else console.paint("FAIL", "stop")
        first, *rest = ended_lines(ended)
        console.say(f"{mark}  {first.strip()}", *rest)

    return heard


def _waiter(console: Console) -> Callable[[str, str], None]:
    return lambda name, place: console.status_line(f"      {clean(name)} is {place} ...")


def _tell_end(ended: tuple[Ended, ...], control: Controller, console: Console, *, whole: bool, unseen: bool) -> None:
    if not ended:
        console.say("no engine is on the queue")
    else:
        gone = sum(one.down for one in ended)
        how = "off the queue" if unseen else "down"
        console.say("", console.paint(_counted(gone, len(ended), how), "go" if whole else "stop"))
    try:
        console.say(f"switch: {headline(control.status())[0]}")
    except KillSwitchError as error:
        console.say(f"switch: it does not answer: {clean(getattr(error, 'reason', error))}")


def _counted(gone: int, everyone: int, how: str) -> str:
    return f"{gone} of {count_of(everyone, 'engine')} {'is' if 1 in (gone, everyone) else 'are'} {how}."
