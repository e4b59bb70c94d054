"""Phase 4: each engine on the queue once, and then waited for until it runs, or cannot yet and that is why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from killswitch import Controller, FleetStatus, Member, Mode
from killswitch.clock import now_ns, sleep
from ops.console import Console
from ops.launching.deployment import EngineState, LaunchStopped
from ops.launching.fleet_file import Engine
from ops.launching.standing import other_settings, remedy
from ops.render import clean
from workers.roster import Place, Placed, Roster

__all__ = ["Starting", "engine_states"]

_LOOK_EVERY_S = 0.2
_ENDED = ("failed", "gone", "stopped", "canceled")
_OVER = (*_ENDED, "finished")
_REPORTED = ("running", "queued", "finished")
_PASSING = ("no_state_yet", "state_changed", "unrecorded")
"""Reasons of a closed gate that last for a round trip: an engine that says one has not settled yet."""
_BEFORE_PERMISSION = "closed: engaged"
"""The gate of an engine whose last word is older than the permission, where the switch permits by now."""


def engine_states(
    before: Sequence[EngineState], placed: Sequence[Placed], members: Sequence[Member], roster: Roster
) -> tuple[EngineState, ...]:
    """The engines as they are now. An engine runs when its job was started *and* a worker that is heard says that it
    runs it, and knows what its gate is; one that is nowhere any more has ended, and how is asked of its record."""
    at = {one.engine: one for one in reversed(placed)}
    by = {member.engine: member for member in members if member.engine and member.known and not member.silent}
    return tuple(_state(one, at.get(one.name), by.get(one.name), roster) for one in before)


def _state(before: EngineState, placed: Placed | None, member: Member | None, roster: Roster) -> EngineState:
    if placed is None:
        word, _, why = roster.outcome(before.job)
        return replace(before, state=word if word in _OVER else "starting", why=why, gate="")
    if placed.place is Place.WAITING:
        return replace(before, state="queued", job=placed.job_id)
    if placed.place is Place.CLAIMED or member is None or member.code in _PASSING:
        return replace(before, state="starting", job=placed.job_id)
    gate = member.code if member.code in ("open", "reducing") else f"closed: {member.code}"
    return replace(
        before,
        state="running",
        job=placed.job_id,
        worker=member.worker_id,
        host=member.host,
        pid=member.pid,
        gate=gate,
        epoch=member.epoch,
        version=member.version,
        scopes=member.scopes,
    )


class Starting:
    """Places `engines` and waits for them. `states` is what was seen last, also after a failure."""

    def __init__(self, engines: Sequence[Engine], roster: Roster, control: Controller, console: Console) -> None:
        self._engines = engines
        self._roster = roster
        self._control = control
        self._console = console
        self.states: tuple[EngineState, ...] = ()
        self.status: FleetStatus | None = None

    def place(self) -> int:
        """Puts each engine on the queue that is nowhere yet; how many that were. Raises LaunchStopped for one that is
        there with other settings: preflight saw none, so somebody placed it since."""
        for engine in self._engines:
            placed, now = self._roster.place_once(engine.model_dump(mode="json"))
            if not now and (other := other_settings(engine, placed)):
                raise LaunchStopped(f"{other}: it was placed meanwhile", details=[remedy(engine.name)])
            self.states += (EngineState(engine.name, "queued", now, placed.job_id),)
        return sum(state.placed for state in self.states)

    def wait(self, timeout_s: float, epoch: int | None) -> str:
        """Waits until each runs, or, while the switch is engaged, waits in its queue; in words what came of it.

        `epoch` is the permission under which they start; None: nobody permitted. Raises LaunchStopped.
        """
        deadline_ns = now_ns() + int(timeout_s * 1e9)
        told: set[str] = set()
        while True:
            self.status = status = self._control.status()
            self.states = engine_states(self.states, self._roster.look(), status.members, self._roster)
            self._tell(told)
            if failed := [state for state in self.states if state.state in _ENDED]:
                raise LaunchStopped(_failure(failed[0]), details=[_failure(state) for state in failed[1:]])
            permitted = status.switch.mode is not Mode.ENGAGED
            if epoch is not None and not permitted:
                raise LaunchStopped(_engaged_meanwhile(status, self.states))
            late = now_ns() >= deadline_ns
            heard = not (permitted and any(state.gate == _BEFORE_PERMISSION for state in self.states))
            if (text := _settled(self.states, permitted)) and (heard or late):
                return text
            if late:
                raise _late(self.states, timeout_s, self._roster.workers())
            sleep(_LOOK_EVERY_S)

    def _tell(self, told: set[str]) -> None:
        """A line for each engine that runs, once; below them what is waited for, where somebody watches."""
        for state in self.states:
            if state.name not in told and state.state == "running":
                told.add(state.name)
                self._console.status_line("")
                self._console.say(f"      {clean(state.name)} runs on {clean(state.worker)}, gate {clean(state.gate)}")
        waiting = [f"{clean(state.name)} ({state.state})" for state in self.states if state.state not in _REPORTED]
        if waiting:
            self._console.status_line(f"      waiting for {', '.join(waiting[:3])} ...")


def _settled(states: Sequence[EngineState], permitted: bool) -> str:
    """What came of it, or nothing yet."""
    counts = {word: sum(state.state == word for state in states) for word in _REPORTED}
    if sum(counts.values()) < len(states) or (permitted and counts["queued"]):
        return ""
    parts = []
    if counts["running"]:
        closed = sum(state.gate.startswith("closed") for state in states if state.state == "running")
        parts.append(f"{counts['running']} running" + (f", {closed} of them with a closed gate" if closed else ""))
    if counts["finished"]:
        parts.append(f"{counts['finished']} ran to the end of its feed")
    if counts["queued"]:
        parts.append(f"{counts['queued']} queued: the switch is engaged, they start when trading is permitted")
    return "; ".join(parts)


def _failure(state: EngineState) -> str:
    what = {"failed": "failed", "stopped": "was stopped by somebody"}.get(state.state, "is not on the queue any more")
    return f"engine {clean(state.name)} {what}" + (f": {clean(state.why)}" if state.why else "")


def _engaged_meanwhile(status: FleetStatus, states: Sequence[EngineState]) -> str:
    switch = status.switch
    running = sum(state.state == "running" for state in states)
    by = f" by {clean(switch.actor)}" if switch.actor else ""
    return (
        f"the switch was engaged meanwhile{by}: {clean(switch.text)}, epoch {switch.epoch}. {running} of {len(states)} "
        "engines run with closed gates, the others wait in their queue and start when trading is permitted again"
    )


def _late(states: Sequence[EngineState], timeout_s: float, serving: int) -> LaunchStopped:
    late = [state for state in states if state.state not in ("running", "finished")]
    why = {
        "queued": f"no free worker took it off its queue, which {serving} worker processes serve",
        "starting": "a worker has it, but did not report it yet",
    }
    text = f"{len(late)} of {len(states)} engines do not run after {timeout_s:g} s; they stay on their queue"
    return LaunchStopped(text, details=[f"engine {clean(one.name)}: {why.get(one.state, one.state)}" for one in late])
