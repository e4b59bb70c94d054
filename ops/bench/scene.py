"""Where measurements happen: a server, and for each measurement a stage with a prefix of its own.

On a server that was given, nothing is ever written outside the scratch prefix: the function library is used as it is.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from killswitch import Code, Controller, KillSwitchError, LibraryMissing, Settings, local
from ops.bench.board import Board
from ops.bench.children import Children
from ops.bench.errors import NoServer
from ops.bench.line import Line

__all__ = ["Scene", "Stage", "open_scene"]

_PREFIX_PARTS = 3  # of the four that a prefix may have


@dataclass(frozen=True, slots=True)
class Stage:
    """One measurement's place: settings with a scratch prefix, a connection, a board, children, and what to say."""

    settings: Settings
    line: Line
    board: Board
    children: Children
    folder: Path
    quick: bool
    say: Callable[[str], None]

    @property
    def state_key(self) -> str:
        """The switch of this stage."""
        return f"{self.settings.prefix}:state"

    def runs(self, full: int, quick: int) -> int:
        """How many repetitions."""
        return quick if self.quick else full

    def permit(self) -> None:
        """Makes the switch SAFE on the record, so that later a raw SET SAFE opens as well."""
        with Controller(self.settings, via="bench") as control:
            outcome = control.engage(reason="benchmark begins", actor="bench")
            control.reset(epoch=outcome.epoch, reason="benchmark", actor="bench")


@dataclass(frozen=True, slots=True)
class Scene:
    """The server. `origin` says in words where it came from."""

    settings: Settings
    origin: str
    quick: bool
    say: Callable[[str], None]

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A stage whose keys and children are gone when the block ends."""
        base = ":".join(self.settings.prefix.split(":")[:_PREFIX_PARTS])
        settings = self.settings.model_copy(update={"prefix": f"{base}:bench-{name}-{secrets.token_hex(4)}"})
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ksb-")))
            line = stack.enter_context(Line(settings))
            stack.callback(_clear, line, settings.prefix)
            board = stack.enter_context(Board(folder / "board", create=True))
            children = stack.enter_context(Children(settings, folder))
            stage = Stage(settings, line, board, children, folder, self.quick, self.say)
            stage.permit()
            yield stage


@contextmanager
def open_scene(settings: Settings, quick: bool, say: Callable[[str], None]) -> Iterator[Scene]:
    """The given server where settings name one, else one that is started here and ends with the block.

    Raises:
        NoServer: none was given and none can be started.
        LibraryMissing: the given server does not have the function library.
        StoreUnavailable: the given server cannot be reached.
    """
    if "redis_url" in settings.model_fields_set:
        with Line(settings) as line:
            if not line.call("FUNCTION", "LIST", "LIBRARYNAME", "killswitch"):
                raise LibraryMissing(
                    Code.LIBRARY_MISSING, "the function library is not loaded in this Redis: run `killswitch init`"
                )
        yield Scene(settings, f"given server {settings.endpoint}", quick, say)
        return
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(local.endpoint())
        except KillSwitchError as error:
            raise NoServer(str(error)) from error
        own = settings.model_copy(update={"redis_url": found.url, "redis_password": "", "persons": None})
        with Controller(own, via="bench") as control:
            control.init(actor="bench")
        yield Scene(own, f"{found.origin}, loopback, no persistence", quick, say)


def _clear(line: Line, prefix: str) -> None:
    """Removes the scratch keys; the pattern begins with the scratch prefix itself, never with the fleet's."""
    pattern = "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in prefix) + ":*"
    cursor: bytes | int = 0
    while True:
        cursor, keys = line.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
        if keys:
            line.call("UNLINK", *keys)
        if int(cursor) == 0:
            return
