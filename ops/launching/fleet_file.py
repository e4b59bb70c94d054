"""fleet.toml: which engines make up the fleet. Read and checked as a whole; every violation is told with its place."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from killswitch import PREFLIGHT_CHECKS
from workers.queues import ENGINES
from workers.spec import EngineSpec, FeedSpec, ReplaySpec, SyntheticSpec
from workers.wording import violations

__all__ = ["Engine", "Fleet", "FleetFileError", "Loaded", "load_fleet"]

Location = tuple[int | str, ...]

_MOST_BYTES = 1_000_000
_NO_ENGINE = (
    'there is none: write a table [[engine]] for each, with at least name = "eurusd-1" and symbol = "EURUSD" in it; '
    "examples/fleet.toml has every setting"
)
_PACED = SyntheticSpec(kind="synthetic", speed=10, lead=2000)
"""What `killswitch-worker place` gives an engine: the first ticks at once, so that the strategy has its history."""


class FleetFileError(Exception):
    """The file cannot be used. `violations` are lines for people, each with its place."""

    def __init__(self, path: Path, violations: tuple[str, ...]) -> None:
        super().__init__(path, violations)
        self.path = path
        self.violations = violations

    @property
    def head(self) -> str:
        """What is to be said before the lines."""
        count = len(self.violations)
        return f"{self.path} is not valid" + (f" ({count} violations)" if count > 1 else "")

    def __str__(self) -> str:
        return f"{self.head}: {'; '.join(self.violations)}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Engine(EngineSpec):
    """One engine of the fleet: what a job says. Without a feed it trades a synthetic market."""

    feed: FeedSpec = _PACED


class Checks(_Strict):
    """How preflight is taken: `strict` lets warnings fail, `skip` names checks that are not looked at."""

    strict: bool = False
    skip: tuple[str, ...] = ()

    @field_validator("skip")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in PREFLIGHT_CHECKS:
                raise ValueError(f"there is no check {name!r:.40}: the checks are {', '.join(PREFLIGHT_CHECKS)}")
        return value


class Rehearsal(_Strict):
    """How the dry run is played: worker processes on this machine, and the longest time of trading in a scenario."""

    workers: Annotated[int, Field(ge=1, le=16)] = 2
    seconds: Annotated[float, Field(ge=1, le=600)] = 2.0


class Fleet(_Strict):
    """The whole file. `workers` is how many worker processes are expected at least (default: one for each engine)."""

    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = ENGINES
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = None
    timeout_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    preflight: Checks = Checks()
    rehearsal: Rehearsal = Rehearsal()
    engine: Annotated[tuple[Engine, ...], Field(min_length=1, max_length=1000)]

    @property
    def expected(self) -> int:
        """How many worker processes there must be: each runs one engine."""
        return self.workers or len(self.engine)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked fleet, where it came from, and the SHA-256 of the text."""

    path: Path
    fleet: Fleet
    sha256: str


def load_fleet(path: Path) -> Loaded:
    """Reads and checks the file. Files named in it are taken from its own folder.

    Raises:
        FleetFileError: it cannot be read, is no TOML, or breaks rules: all of them are told.
    """
    data, raw = _read(path)
    fleet, found = None, list(_between(raw))
    try:
        fleet = Fleet.model_validate(raw)
    except ValidationError as error:
        found += _own(error, raw)
    if fleet is None or found:
        found.sort(key=lambda one: _order(one[0], raw))
        raise FleetFileError(path, tuple(dict.fromkeys(f"{_place(where, raw)}: {text}" for where, text in found)))
    engines = tuple(_placed(engine, path.absolute().parent) for engine in fleet.engine)
    return Loaded(path, fleet.model_copy(update={"engine": engines}), hashlib.sha256(data).hexdigest())


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise FleetFileError(path, (f"it is longer than {_MOST_BYTES:,} bytes: that is no fleet",))
        return data, tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise FleetFileError(path, (f"{error.strerror}: name a fleet file that is there",)) from None
    except UnicodeDecodeError:
        raise FleetFileError(path, ("it is not UTF-8: save it as UTF-8",)) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        why = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is nested too deeply"
        raise FleetFileError(path, (f"it is no TOML: {why}",)) from None


def _placed(engine: Engine, folder: Path) -> Engine:
    """The engine with absolute paths, as its worker needs them."""
    changes: dict[str, Any] = {}
    if engine.events is not None:
        changes["events"] = str(folder / engine.events)
    if isinstance(engine.feed, ReplaySpec):
        files = tuple(str(folder / name) for name in engine.feed.files)
        changes["feed"] = engine.feed.model_copy(update={"files": files})
    return engine.model_copy(update=changes)


# ---- violations, with their places ----


def _engines(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = raw.get("engine")
    return [one if isinstance(one, dict) else {} for one in entries] if isinstance(entries, list) else []


def _place(location: Location, raw: Mapping[str, Any]) -> str:
    """Where in the file: the words of the location, the engine by number and name."""
    words = list(location)
    start = ""
    if len(words) > 1 and words[0] == "engine" and isinstance(words[1], int):
        engines = _engines(raw)
        name = engines[words[1]].get("name") if words[1] < len(engines) else None
        start = f"engine {words[1] + 1}" + (f" ({name})" if isinstance(name, str) else "")
        words = words[2:]
    inside = ".".join(str(word) for word in words)
    return ", ".join(part for part in (start, inside) if part) or "the file"


def _order(location: Location, raw: Mapping[str, Any]) -> tuple[int, ...]:
    """Where the location stands in the file, beside others; what is missing stands behind what is there."""
    found: list[int] = []
    here: Any = raw
    for word in location:
        if isinstance(here, dict):
            found.append(list(here).index(word) if word in here else len(here))
            here = here.get(word)
        elif isinstance(here, list) and isinstance(word, int) and word < len(here):
            found.append(word)
            here = here[word]
    return tuple(found)


def _own(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """What breaks a rule by itself."""
    for one in violations(error):
        if one.location == ("engine",):
            if not _engines(raw):  # else there are some, and what is wrong with them is told
                yield one.location, _NO_ENGINE
            continue
        text = one.text
        if one.unknown:
            text = f"there is no such setting{_nearest(one.location)}"
        yield one.location, text


def _nearest(location: Location) -> str:
    word = str(location[-1])
    kinds: Iterable[type[BaseModel]] = (Fleet, Engine, Checks, Rehearsal, ReplaySpec, SyntheticSpec)
    known = sorted({name for kind in kinds for name in kind.model_fields})
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ": leave it out"


def _between(raw: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """What engines break between each other, told also where one of them breaks a rule of its own: at the last of
    those that are the same."""
    engines = _engines(raw)
    for field, why in (("name", "each name runs once"), ("events", "each engine needs a file of its own")):
        at: dict[str, list[int]] = {}
        for number, one in enumerate(engines):
            if isinstance(one.get(field), str):
                at.setdefault(one[field], []).append(number)
        for text, numbers in at.items():
            if len(numbers) > 1:
                yield ("engine", numbers[-1], field), f"{text!r:.60} stands {len(numbers)} times: {why}"
    for number, one in enumerate(engines):
        most, quantity = one.get("max_position"), one.get("quantity", 1000)
        if isinstance(most, int) and isinstance(quantity, int) and most < quantity:
            yield ("engine", number, "max_position"), f"{most} is below one entry of {quantity}: raise it"
    workers = raw.get("workers")
    if isinstance(workers, int) and 0 < workers < len(engines):
        yield ("workers",), f"{workers} for {len(engines)} engines: each runs in a process of its own: raise it"
