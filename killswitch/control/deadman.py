"""The operator's side of a dead man's switch: takes a permission that is in force and renews it, until it ends."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import TypeVar

from killswitch.clock import now_ns
from killswitch.control.outcome import Outcome, Verdict
from killswitch.core.deadman import LONGEST_LIFE_MS, Renewal
from killswitch.core.modes import SWITCH, InvalidInput
from killswitch.core.words import check_reason
from killswitch.settings import Settings
from killswitch.store.attempts import attempt_twice
from killswitch.store.keys import Keys
from killswitch.store.switch import SwitchStore
from killswitch.store.wire import Wire

__all__ = ["Renewer"]

T = TypeVar("T")
_NAME = "killswitch-deadman"
_LEAST_S = 0.05


class Renewer:
    """Renews one permission: `take` it, then `renew` it every `every_s` seconds; without that it ends `every_s +
    grace_s` seconds after the last renewal was sent, and the fleet is closed. One thread; nothing is held between
    calls.

    It never permits anything: once the switch was changed by anybody, or the permission ran out, `renew` raises, for
    good.

    Raises:
        InvalidInput: a length of time that is none.
        SettingsError: no settings were given and those of the environment are not valid.
    """

    def __init__(
        self, settings: Settings | None = None, *, every_s: float = 20.0, grace_s: float = 60.0, via: str = "library"
    ) -> None:
        for what, value in (("the time between renewals", every_s), ("the grace", grace_s)):
            if not math.isfinite(value) or value < _LEAST_S or value * 1000 > LONGEST_LIFE_MS:
                raise InvalidInput(f"{what}, {value:g} s, is not between {_LEAST_S:g} s and a day: choose one that is")
        every_ms, life_ms = int(every_s * 1000), int((every_s + grace_s) * 1000)
        if life_ms > LONGEST_LIFE_MS:
            raise InvalidInput(f"{every_s:g} s and a grace of {grace_s:g} s exceed a day together: choose less")
        self.settings = settings or Settings()
        self.renewal = Renewal(every_ms, life_ms)
        self.epoch = 0
        self._operation = secrets.token_hex(8)
        self._keys = Keys(self.settings.prefix)
        self._via = via

    def take(self, epoch: int, reason: str, actor: str | None = None, *, take_over: bool = False) -> Outcome:
        """Puts the permission of `epoch` under this dead man's switch; `take_over` also from another that renews it.

        No gate closes by that. Raises:
            EpochConflict: the switch was changed since.
            PermissionEnded: there is no permission at that epoch, or another renews it.
            InvalidInput, StoreRefused, LibraryMissing, StoreUnavailable: nothing was done (for the last: unknown).
        """
        reason = check_reason(reason, "the reason")
        who = check_reason(actor or self.settings.who, "the actor")
        every_ms, life_ms = self.renewal.every_ms, self.renewal.life_ms

        def take(wire: Wire) -> Outcome:
            store = SwitchStore(wire, self._keys)
            done = store.deadman(epoch, every_ms, life_ms, reason, who, self._operation, self._via, take_over)
            self.epoch = done.epoch
            self.renewal.heard(done.at_ms + life_ms, done.at_ms, now_ns())
            return Outcome(Verdict.RECORDED, done.epoch, SWITCH, done.was, done.state, who, reason, done.repeated)

        return self._repeatable(take)

    def renew(self) -> int:
        """Renews it; for how many milliseconds it is confirmed now.

        Raises:
            PermissionEnded: it is not to be renewed any more, by this one or for good.
            StoreUnavailable, StoreRefused: this renewal failed, or its answer was lost; the next may do.
        """

        def renew(wire: Wire) -> int:
            wanted = self.renewal.ask(now_ns())
            ends_ms, at_ms = SwitchStore(wire, self._keys).renew(self.epoch, self._operation, wanted)
            self.renewal.heard(ends_ms, at_ms, now_ns())
            return self.renewal.left_ms(now_ns())

        return self._repeatable(renew)

    def _repeatable(self, action: Callable[[Wire], T]) -> T:
        return attempt_twice(self.settings.endpoint, self.settings.timeout_ms / 1000, _NAME, action)
