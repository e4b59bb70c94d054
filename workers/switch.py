"""The engine's side of the switch: the little that it needs of an agent, so that a test can stand in for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from workers.broker import Gate

if TYPE_CHECKING:
    from killswitch import View

__all__ = ["Switch"]


class Switch(Protocol):
    """What the engine needs of a `killswitch.Agent`."""

    @property
    def gate(self) -> Gate:
        """The two gates."""
        ...

    @property
    def view(self) -> View:
        """What the agent knows now."""
        ...

    def on_close(self, callback: Callable[[View], None], /) -> object:
        """Registers a callback, called on another thread when the gate closes."""
        ...

    def annotate(self, **values: str | int | float) -> None:
        """Publishes values with the next beat."""
        ...
