"""Every error the library raises, at the bottom so that each layer can raise them. Each carries data, not only text."""

from __future__ import annotations

from killswitch.core.modes import InvalidInput, Mode
from killswitch.core.reasons import Code
from killswitch.core.words import printable

__all__ = [
    "AdmissionUnknown",
    "AnchorUnavailable",
    "ApprovalPending",
    "Blocked",
    "DrillBusy",
    "EpochConflict",
    "InvalidInput",
    "JournalLost",
    "KillSwitchError",
    "LibraryMissing",
    "LocalServerMissing",
    "NotAsAnchored",
    "OrderConflict",
    "PermissionEnded",
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
    """`code` classifies it, `reason` tells it to people, as one printable line."""

    def __init__(self, code: Code, reason: str) -> None:
        reason = printable(reason)  # much of it is what a server said, or what somebody wrote into one
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


class AdmissionUnknown(KillSwitchError):
    """No answer came to an admission: the order `order_id` may or may not be in the journal. Asking again for the same
    order under the same id is safe. `code` and `reason` say what went wrong on the way."""

    def __init__(self, order_id: str, code: Code, reason: str) -> None:
        super().__init__(order_id, code, reason)
        self.order_id = order_id
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"order {self.order_id} may or may not be in the journal: {self.reason}"


class OrderConflict(KillSwitchError):
    """Another order was admitted under this client order id, as the journal's entry `entry_id`; nothing was done."""

    def __init__(self, entry_id: str) -> None:
        super().__init__(entry_id)
        self.entry_id = entry_id

    def __str__(self) -> str:
        return f"another order was admitted under this client order id (entry {self.entry_id}): use a new id"


class JournalLost(KillSwitchError):
    """Another gateway, with the higher `token`, has taken the journal called `journal`; nothing was done."""

    def __init__(self, journal: str, token: int) -> None:
        super().__init__(journal, token)
        self.journal = journal
        self.token = token

    def __str__(self) -> str:
        return f"the journal {self.journal} belongs to another gateway by now (token {self.token})"


class EpochConflict(KillSwitchError):
    """The switch was changed since the operator looked. `current` is the epoch now, `given` the one named."""

    def __init__(self, current: int, given: int | None, reason: str) -> None:
        super().__init__(current, given, reason)
        self.current = current
        self.given = given
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ApprovalPending(KillSwitchError):
    """Two persons have to permit here, and this was the first: `who` has approved at `epoch`, and nothing is permitted.
    Another person has to ask for the same, at this epoch, within the hour; any change in between voids it."""

    def __init__(self, epoch: int, who: str, reason: str) -> None:
        super().__init__(epoch, who, reason)
        self.epoch = epoch
        self.who = who
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class AnchorUnavailable(KillSwitchError):
    """Anchors could not be read from `place`, or not be written there; `reason` says why."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"the anchors at {self.place}: {self.reason}"


class NotAsAnchored(KillSwitchError):
    """The record does not hold the head that was copied to `place` before: `count` sealed entries, the last with
    `link`. It was cut, restored from an older copy, or built anew; nothing was added to the place."""

    def __init__(self, place: str, count: int, link: str) -> None:
        super().__init__(place, count, link)
        self.place = place
        self.count = count
        self.link = link

    def __str__(self) -> str:
        return (
            f"the record does not hold the head that was anchored at {self.place}: number {self.count} with the link "
            f"{self.link[:16]}…; it was cut, restored from an older copy, or built anew"
        )


class PermissionEnded(KillSwitchError):
    """A permission under a dead man's switch is not there to be renewed: the switch was changed, the permission ran
    out, or somebody else renews it. `epoch` is the switch's now; nothing was done."""

    def __init__(self, epoch: int, reason: str) -> None:
        super().__init__(epoch, reason)
        self.epoch = epoch
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class DrillBusy(KillSwitchError):
    """Another drill is under way, by `actor`; nothing was announced. It is over within the bound of a lease."""

    def __init__(self, actor: str) -> None:
        super().__init__(actor)
        self.actor = actor

    def __str__(self) -> str:
        return f"another drill is under way, by {self.actor}; try again in a moment"


class SettingsError(KillSwitchError):
    """The settings break one or more rules; `violations` holds one line for each, all found at once."""

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__(violations)
        self.violations = violations

    def __str__(self) -> str:
        return "settings are not valid:\n" + "\n".join(f"  - {line}" for line in self.violations)


class LocalServerMissing(KillSwitchError):
    """No Redis or Valkey server could be found or started on this machine."""
