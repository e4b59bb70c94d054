"""Every error the library raises, at the bottom so that each layer can raise them. Each carries data, not only text."""

from __future__ import annotations

from killswitch.core.modes import InvalidInput, Mode
from killswitch.core.reasons import Code

__all__ = [
    "Blocked",
    "EpochConflict",
    "InvalidInput",
    "KillSwitchError",
    "LibraryMissing",
    "LocalServerMissing",
    "SettingsError",
    "StoreRefused",
    "StoreUnavailable",
]


class KillSwitchError(Exception):
    """Root of all errors of this library."""


class Blocked(KillSwitchError):
    """A gate is closed. The loop goes on with the next tick; nothing is to be retried.

    `code` is one of the closed list, `mode` and `epoch` what the gate knew, `reason` a text for people.
    """

    def __init__(self, code: Code, mode: Mode, epoch: int, reason: str) -> None:
        super().__init__(code, mode, epoch, reason)
        self.code = code
        self.mode = mode
        self.epoch = epoch
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason} (mode {self.mode}, epoch {self.epoch})"


class _StoreTrouble(KillSwitchError):
    """`code` classifies it, `reason` tells it to people."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class StoreUnavailable(_StoreTrouble):
    """Redis cannot be reached, did not answer in time, or the connection broke. Whether a write was done is unknown."""


class StoreRefused(_StoreTrouble):
    """Redis answered, and refused; `reason` is the server's own text."""


class LibraryMissing(StoreRefused):
    """The function library is not loaded in this Redis, or has another version; `killswitch init` loads it."""


class EpochConflict(KillSwitchError):
    """The switch was changed since the operator looked. `current` is the epoch now, `given` the one named."""

    def __init__(self, current: int, given: int | None, reason: str) -> None:
        super().__init__(current, given, reason)
        self.current = current
        self.given = given
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class SettingsError(KillSwitchError):
    """The settings break one or more rules; `violations` holds one line for each, all found at once."""

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__(violations)
        self.violations = violations

    def __str__(self) -> str:
        return "settings are not valid:\n" + "\n".join(f"  - {line}" for line in self.violations)


class LocalServerMissing(KillSwitchError):
    """No Redis or Valkey server could be found or started on this machine."""
