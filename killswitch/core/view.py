"""The frozen local picture that a gate reads. A new answer makes a new view; nobody changes one."""

from __future__ import annotations

from dataclasses import dataclass

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code

__all__ = ["FIRST_PICTURE", "Picture", "View"]


@dataclass(frozen=True, slots=True)
class Picture:
    """Mode and lease folded into two deadlines, so that a gate compares one number.

    `signal_until_ns`: gate 1 and reducing orders pass before it; `order_until_ns`: every order passes before it.
    Zero is closed. `limited_by` is the code that holds once the deadline has passed.
    """

    mode: Mode
    epoch: int
    code: Code
    reason: str
    signal_until_ns: int = 0
    order_until_ns: int = 0
    limited_by: Code = Code.LEASE_EXPIRED

    @property
    def is_open(self) -> bool:
        """Whether it permitted anything when it was made; only the clock says whether it still does."""
        return self.signal_until_ns > 0


FIRST_PICTURE = Picture(Mode.ENGAGED, 0, Code.STOPPED, "the agent has not been started")


@dataclass(frozen=True, slots=True)
class View:
    """What a worker knows at one moment, for people and for `status`.

    `mode` is ENGAGED whenever the gate is closed, whatever the reason; `code` and `reason` say which. `age_ms` is the
    time since the last answer that was believed was asked for (None: there was none). `rung` names how changes are
    noticed.
    """

    mode: Mode
    epoch: int
    code: Code
    reason: str
    age_ms: float | None
    rung: str
