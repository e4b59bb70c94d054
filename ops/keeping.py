"""What `deadman` does once it has the permission: renews it, says how that goes, and ends when it is over or asked
to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from killswitch.clock import now_ns, sleep, wall_text
from ops.console import console
from ops.render import clean, fit, span

if TYPE_CHECKING:
    from killswitch import Renewer

__all__ = ["Asked", "Kept", "asked_by_signal", "keep", "over_text"]

_RETRY_MS = 1000
_SLICE_S = 1.0
_NS_PER_MS = 1_000_000


class Asked(BaseException):
    """Somebody wants this process to end. Raised out of whatever it does: a renewal left half way does no harm, and an
    engagement on exit must not wait for one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@contextmanager
def asked_by_signal() -> Iterator[None]:
    """Ctrl-C, SIGTERM and the end of the terminal raise Asked, once; a second signal does what it did before."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: Any) -> None:
        restore()
        raise Asked(signal.Signals(number).name)

    before.update({number: signal.signal(number, note) for number in numbers})
    try:
        yield
    finally:
        restore()


@dataclass(slots=True)
class Kept:
    """How it went: renewals that were confirmed, and why there are no more. `heard` is False where Redis did not say
    so: the permission ran out for want of an answer."""

    renewals: int = 0
    reason: str = ""
    heard: bool = True


def over_text(renewer: Renewer) -> str:
    """By when the fleet is closed if no renewal gets through."""
    left = renewer.renewal.over_in_ms(now_ns())
    return f"{wall_text(renewer.renewal.over_at_ms)} (in {span(left)})" if left else "now"


def keep(renewer: Renewer, kept: Kept) -> None:
    """Renews until the permission is not there any more; `kept` tells why, also to who interrupts this with Asked."""
    from killswitch import PermissionEnded, StoreRefused, StoreUnavailable

    trouble = _Trouble(renewer)
    wait_ns = renewer.renewal.due_ns()
    while True:
        _wait(renewer, wait_ns, trouble.text)
        try:
            renewer.renew()
        except PermissionEnded as error:
            kept.reason = error.reason
            break
        except (StoreUnavailable, StoreRefused) as error:
            if not renewer.renewal.over_in_ms(now_ns()):
                kept.reason, kept.heard = error.reason, False
                break
            trouble.tell(error.reason)
            wait_ns = now_ns() + min(_RETRY_MS, renewer.renewal.every_ms) * _NS_PER_MS
            continue
        kept.renewals += 1
        trouble.over()
        wait_ns = renewer.renewal.due_ns()
    console.status_line("")


def _wait(renewer: Renewer, until_ns: int, trouble: str) -> None:
    """Until it is time for the next renewal; on a terminal the time left is counted down."""
    while (left_ns := until_ns - now_ns()) > 0:
        left = renewer.renewal.left_ms(now_ns())
        text = f"not renewed: {clean(trouble)}; ends in {span(left)}" if trouble else f"renewed; {span(left)} left"
        console.status_line(console.paint(fit(f"  {text}", 99), "warn" if trouble else "dim"))
        sleep(min(left_ns / 1e9, _SLICE_S) if console.live else left_ns / 1e9)


class _Trouble:
    """Says that renewals fail: at once, again when half of the time that was left is gone, and when it is over."""

    def __init__(self, renewer: Renewer) -> None:
        self.text = ""
        self._renewer = renewer
        self._again_below_ms = 0

    def tell(self, reason: str) -> None:
        left = self._renewer.renewal.over_in_ms(now_ns())
        if not self.text or left < self._again_below_ms:
            console.status_line("")
            by = over_text(self._renewer)
            text = f"the permission is not renewed: {clean(reason)}. Every gate is closed by {by} at the latest"
            console.trouble("warning", f"{text}, earlier if Redis is down; trying again every second", "warn")
            self._again_below_ms = left // 2
        self.text = reason

    def over(self) -> None:
        if self.text:
            console.status_line("")
            left = span(self._renewer.renewal.left_ms(now_ns()))
            console.trouble("renewed again", f"the permission has {left} left", "go")
        self.text = ""
