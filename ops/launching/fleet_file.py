"""fleet.toml: which engines make up the fleet. Read and checked as a whole; every violation is told with its place."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from killswitch import PREFLIGHT_CHECKS
from workers.queues import ENGINES
from workers.spec import EngineSpec, FeedSpec, ReplaySpec, SyntheticSpec

__all__ = ["Engine", "Fleet", "FleetFileError", "Loaded", "load_fleet"]

_MOST_BYTES = 1_000_000
_PACED = SyntheticSpec(kind="synthetic", speed=10, lead=2000)
"""What `killswitch-worker place` gives an engine: the first ticks at once, so that the strategy has its history."""


class FleetFileError(Exception):
    """The file cannot be used. `violations` are lines for people, each with its place."""

    def __init__(self, path: Path, violations: tuple[str, ...]) -> None:
        super().__init__(path, violations)
        self.path = path
        self.violations = violations

    def __str__(self) -> str:
        count = len(self.violations)
        many = f" ({count} violations)" if count > 1 else ""
        return f"{self.path} is not valid{many}: {'; '.join(self.violations)}"


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
    fleet, found = None, []
    try:
        fleet = Fleet.model_validate(raw)
    except ValidationError as error:
        found = list(_lines(error, raw))
    found += _between(raw)
    if fleet is None or found:
        raise FleetFileError(path, tuple(found))
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


def _place(location: tuple[int | str, ...], raw: Mapping[str, Any]) -> str:
    """Where in the file: the words of the location that stand in the file, the engine by number and name."""
    words = list(location)
    start = ""
    if len(words) > 1 and words[0] == "engine" and isinstance(words[1], int):
        engines = _engines(raw)
        name = engines[words[1]].get("name") if words[1] < len(engines) else None
        start = f"engine {words[1] + 1}" + (f" ({name})" if isinstance(name, str) else "")
        words = words[2:]
        if words[:1] == ["feed"]:  # behind it stands the kind, and behind the field what of a choice was tried
            words = ["feed", *words[2:3]]
    inside = ".".join(str(word) for word in words)
    return ", ".join(part for part in (start, inside) if part) or "the file"


def _lines(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[str]:
    """One line for each place; where a choice was tried in several ways, all that would have been right."""
    found: dict[str, list[str]] = {}
    for item in error.errors():
        if item["loc"] == ("engine",) and _engines(raw):
            continue  # there are some, and what is wrong with them is told
        place = _place(item["loc"], raw)
        text = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            text = f"there is no such setting{_nearest(item['loc'])}"
        given = item.get("input")
        if isinstance(given, str | int | float) and item["type"] != "extra_forbidden":
            text = f"{given!r:.60}: {text[:1].lower()}{text[1:]}"
        found.setdefault(place, []).append(text)
    for place, texts in found.items():
        yield f"{place}: {'; or '.join(dict.fromkeys(texts))}"


def _nearest(location: tuple[int | str, ...]) -> str:
    word = str(location[-1])
    kinds: Iterable[type[BaseModel]] = (Fleet, Engine, Checks, Rehearsal, ReplaySpec, SyntheticSpec)
    known = sorted({name for kind in kinds for name in kind.model_fields})
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _between(raw: Mapping[str, Any]) -> list[str]:
    """What engines break between each other, told also where one of them breaks a rule of its own."""
    engines = _engines(raw)
    found = []
    for field, why in (("name", "each name runs once"), ("events", "each engine needs a file of its own")):
        counts = Counter(one[field] for one in engines if isinstance(one.get(field), str))
        found += [f"{field} {text!r:.60} stands {count} times: {why}" for text, count in counts.items() if count > 1]
    for number, one in enumerate(engines, 1):
        most, quantity = one.get("max_position"), one.get("quantity", 1000)
        if isinstance(most, int) and isinstance(quantity, int) and most < quantity:
            found.append(f"engine {number}: max_position {most} is below one entry of {quantity}: raise it")
    workers = raw.get("workers")
    if isinstance(workers, int) and 0 < workers < len(engines):
        found.append(f"workers {workers} for {len(engines)} engines: each runs in a process of its own: raise it")
    return found
