"""A queue and a switch that follow a script, for tests of a launch and of its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from killswitch import Controller, FleetStatus, Member, Mode, Settings, StoreUnavailable
from killswitch.core.reasons import Code
from ops.launching.deployment import Asked
from ops.launching.findings import Permission
from ops.launching.fleet_file import Engine, Fleet, Loaded
from tests.unit.ops.pictures import engaged, member, status
from workers.roster import Place, Placed, Roster
from workers.settings import load

__all__ = ["Control", "Queue", "asked", "engines"]


def engines(*names: str) -> tuple[Engine, ...]:
    """Engines of these names."""
    return tuple(Engine.model_validate({"name": name, "symbol": "EURUSD"}) for name in names)


def asked(folder: Path, *names: str, permission: Permission | None = None) -> Asked:
    """A launch of engines of these names, against servers that are never reached."""
    loaded = Loaded(folder / "fleet.toml", Fleet(engine=engines(*names)), "0" * 64)
    return Asked(loaded, Settings(redis_url="redis://127.0.0.1:1/0"), load(), permission, False, 5.0, folder)


class Queue:
    """Engines by name and place. `turns` run one by one, each before a look."""

    def __init__(self, *turns: Callable[[Queue], None], **places: Place) -> None:
        self.places = dict(places)
        self.specs = {name: engines(name)[0].model_dump(mode="json") for name in places}
        self.ends: dict[str, tuple[str, dict[str, Any], str]] = {}
        self.asked: list[str] = []
        self.placed: list[str] = []
        self.withdrawn: list[str] = []
        self.on_stop: Callable[[str], None] = lambda _name: None
        self._turns = list(turns)

    @property
    def roster(self) -> Roster:
        return cast(Roster, self)

    def look(self) -> tuple[Placed, ...]:
        if self._turns:
            self._turns.pop(0)(self)
        return tuple(self._at(name) for name in self.places)

    def of(self, engine: str) -> tuple[Placed, ...]:
        return tuple(one for one in self.look() if one.engine == engine)

    def place_once(self, spec: dict[str, Any]) -> tuple[Placed, bool]:
        name = spec["name"]
        now = name not in self.places
        if now:
            self.placed.append(name)
            self.places[name] = Place.WAITING
            self.specs[name] = spec
        return self._at(name), now

    def _at(self, name: str) -> Placed:
        return Placed(name, f"job-{name}", self.places[name], "x", self.specs.get(name, {}))

    def withdraw(self, placed: Placed) -> bool:
        if self.places.get(placed.engine) is not Place.WAITING:
            return False
        self.withdrawn.append(placed.engine)
        del self.places[placed.engine]
        return True

    def ask_to_stop(self, placed: Placed) -> None:
        self.asked.append(placed.engine)
        self.on_stop(placed.engine)

    def outcome(self, job_id: str) -> tuple[str, dict[str, Any], str]:
        return self.ends.get(job_id.removeprefix("job-"), ("gone", {}, ""))

    def workers(self) -> int:
        return 2

    def known(self, engine: str) -> bool:
        return engine in self.ends


class Control:
    """A switch that says SAFE, with these members, unless `picture` is changed."""

    def __init__(self, *members: Member) -> None:
        self.picture: FleetStatus = status(members=members)
        self.away = False

    @property
    def controller(self) -> Controller:
        return cast(Controller, self)

    def status(self) -> FleetStatus:
        if self.away:
            raise StoreUnavailable(Code.UNREACHABLE, "no answer")
        return self.picture

    def engaged(self) -> None:
        """From now on the switch is engaged, by somebody."""
        self.picture = replace(self.picture, switch=engaged())
        assert self.picture.switch.mode is Mode.ENGAGED

    def runs(self, *names: str, **changes: Any) -> None:
        """From now on these engines are in the registry."""
        found: Sequence[Member] = [member(f"w-{name}", engine=name, **changes) for name in names]
        self.picture = replace(self.picture, members=tuple(found))
