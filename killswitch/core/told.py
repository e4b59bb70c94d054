"""What the text of an entry says that a state was made: the one place where such texts are read back.

The functions write SAFE and REDUCING to the letter, and with a limit behind it: ks_reset `SAFE (for 60 s)`, ks_reduce
`REDUCING (for 60 s)`, ks_deadman `SAFE (while renewed, 8 s at a time)`. Whatever else stands there is a stop, however
much it looks like a permission: so it is for the gates.

A change by hand is recorded as it was found, and then a key that holds SAFE for a minute and one that holds the words
`SAFE (for 60 s)` give the same text. The text alone does not tell them apart, so it is read as a stop, and `maybe`
says that it need not be one; who has the key at hand asks `under`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from killswitch.core.modes import Mode

if TYPE_CHECKING:
    from killswitch.core.fleet import SwitchState

__all__ = ["Told", "read_told"]

_AS_FOUND = ("raw", "expiry", "incarnation", "reassert")
"""How an entry came about that tells what was found, and gives nothing itself."""

_LIMITED = re.compile(r"(SAFE|REDUCING) \(for ([1-9][0-9]{0,11}) s\)")
_RENEWED = re.compile(r"SAFE \(while renewed, ([1-9][0-9]{0,5}) s at a time\)")


@dataclass(frozen=True, slots=True)
class Told:
    """`mode` is what the text permits. `limit_s`: for so long; `renewed_s`: while it is renewed, so long at a time.
    `maybe`: it was found by hand, and may as well be this mode with a limit in time."""

    mode: Mode
    limit_s: int | None = None
    renewed_s: int | None = None
    maybe: Mode | None = None

    def under(self, state: SwitchState) -> Told:
        """The same, where `state` is the very one that the entry tells of: its key decides what the text does not."""
        if self.maybe is state.mode and state.ttl_ms is not None:
            return replace(self, mode=state.mode, maybe=None)
        return replace(self, maybe=None)


def read_told(text: str, via: str = "") -> Told:
    """Reads what an entry says that a state was made, `via` as in AuditEntry. Without `via` (what was there before)
    nobody knows which hand it was, so a text that may be either is read as one by hand."""
    if text in (Mode.SAFE, Mode.REDUCING):
        return Told(Mode(text))
    by_function = via != "" and via not in _AS_FOUND
    limited, renewed = _LIMITED.fullmatch(text), _RENEWED.fullmatch(text)
    if renewed and by_function:
        return Told(Mode.SAFE, renewed_s=int(renewed[1]))
    if limited and by_function:
        return Told(Mode(limited[1]), limit_s=int(limited[2]))
    if limited and via in ("", "raw"):
        return Told(Mode.ENGAGED, maybe=Mode(limited[1]))
    return Told(Mode.ENGAGED)
