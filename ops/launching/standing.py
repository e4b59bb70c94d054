"""What stands in the way of a launch that preflight does not see: an engine of the same name that runs with other
settings, and a scope that keeps an engine's gate closed although the fleet may trade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from killswitch import Finding, FleetStatus, Grade, Mode, SwitchState
from ops.launching.deployment import EngineState
from ops.launching.findings import Permission
from ops.launching.fleet_file import Engine
from ops.render import clean
from workers.roster import Place, Placed
from workers.spec import EngineSpec

__all__ = ["already", "closed_gates", "other_settings", "remedy", "scopes"]

_WHY_ENGINES = "A launch takes an engine that is there for its own, so it must do what the file says of it."
_WHY_SCOPES = "An engine follows its scopes beside the switch: while one is engaged, its gate is closed."
_DOES = {Place.WAITING: "waits in its queue", Place.CLAIMED: "is being started", Place.RUNNING: "runs"}
_SHOWN_MAX = 80


# ---- an engine that is there already ----


def already(engines: Sequence[Engine], there: Sequence[Placed]) -> Finding:
    """Whether each engine that is somewhere already has the settings that the file gives it."""
    wanted = {engine.name: engine for engine in engines}
    found = [placed for placed in there if placed.engine in wanted]
    told = [(placed.engine, other_settings(wanted[placed.engine], placed)) for placed in found]
    if wrong := {name: text for name, text in told if text}:
        return Finding("engines", Grade.FAIL, "; ".join(wrong.values()), _WHY_ENGINES, remedy(*wrong))
    count = len({placed.engine for placed in found})
    text = f"{count} of {len(wanted)} are there already, with the settings of the file"
    return Finding("engines", Grade.OK, text if count else "none of them is there already", _WHY_ENGINES, "")


def other_settings(engine: Engine, placed: Placed) -> str:
    """How an engine that is there differs from what the file says of it, in a sentence; nothing where it does not."""
    try:
        there = EngineSpec.model_validate(placed.spec)
    except ValidationError:
        return f"engine {engine.name} {_DOES[placed.place]} already with settings that this release cannot read"
    parts = [f"{name}: {was}, the file says {says}" for name, was, says in _differences(there, engine)]
    if not parts:
        return ""
    return f"engine {engine.name} {_DOES[placed.place]} already with other settings than the file ({'; '.join(parts)})"


def remedy(*names: str) -> str:
    """What to do about engines that have other settings."""
    chosen = " ".join(f"--engine {name}" for name in names)
    return f"`killswitch down FLEET {chosen}` with this file, then launch again; or write what runs into the file"


def _differences(there: EngineSpec, wanted: EngineSpec) -> Iterator[tuple[str, str, str]]:
    was, says = _settings(there), _settings(wanted)
    for name in says | was:
        if was.get(name) != says.get(name):
            yield name, _shown(was.get(name)), _shown(says.get(name))


def _settings(spec: EngineSpec) -> dict[str, Any]:
    """The settings that decide what the engine does, by name. What a default stands for counts, not whether it was
    written; and scopes are a set."""
    found = spec.model_dump(mode="json")
    found["scopes"] = sorted(set(spec.scopes))
    found["max_position"] = spec.most_held
    feed: Mapping[str, Any] = found.pop("feed")
    return {**found, **{f"feed.{name}": value for name, value in feed.items()}}


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    shown = clean(text)
    return (shown if len(shown) <= _SHOWN_MAX else f"{shown[:_SHOWN_MAX]}...") or "none"


# ---- a scope that keeps a gate closed ----


def scopes(engines: Sequence[Engine], status: FleetStatus, wanted: Permission | None) -> Finding:
    """Whether engines that are about to trade follow a scope that does not let them. Engines may be launched with a
    part of the market stopped, so that is a warning; without a permission nothing trades, and it is only told."""
    parts, shut = [], []
    for engine in engines:
        for scope in _shut(engine.scopes, status):
            parts.append(f"engine {engine.name}: {_says(scope)}")
            shut.append(scope)
    if not parts:
        return Finding("scopes", Grade.OK, "no scope of the file is engaged or reducing", _WHY_SCOPES, "")
    if wanted is None:
        return Finding("scopes", Grade.OK, "; ".join(parts), _WHY_SCOPES, "")
    return Finding("scopes", Grade.WARN, "; ".join(parts), _WHY_SCOPES, _opening(shut))


def closed_gates(states: Sequence[EngineState], status: FleetStatus) -> tuple[str, ...]:
    """A warning for each engine that runs and may not trade: which scope keeps its gate closed, how it is opened."""
    found = []
    for state in states:
        if state.state != "running" or state.gate == "open":
            continue
        does = "runs with a closed gate" if state.gate.startswith("closed") else "may only reduce its position"
        shut = _shut(state.scopes, status)
        if status.switch.mode is not Mode.SAFE:
            why = f'{_says(status.switch)}; `killswitch reset --reason "..."` permits trading'
        elif shut:
            why = f"{', '.join(map(_says, shut))}; {_opening(shut)}"
        else:
            why = f"{clean(state.gate)}; `killswitch status` shows more"
        found.append(f"engine {clean(state.name)} {does}: {why}")
    return tuple(found)


def _shut(names: Sequence[str], status: FleetStatus) -> list[SwitchState]:
    return [one for one in status.scopes if one.scope in set(names) and one.mode is not Mode.SAFE]


def _says(state: SwitchState) -> str:
    what = "the switch" if state.scope == "switch" else f"its scope {clean(state.scope)}"
    by = f" by {clean(state.actor)}" if state.actor else ""
    return f"{what} is {clean(state.text)}{by}"


def _opening(shut: Sequence[SwitchState]) -> str:
    epochs = {clean(one.scope): one.epoch for one in shut}
    commands = ", ".join(
        f"`killswitch reset --scope {name} --epoch {epoch} --reason TEXT`" for name, epoch in epochs.items()
    )
    return f"find out why, then open it with {commands}"
