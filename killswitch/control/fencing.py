"""Asking sinks to raise their fences, beside the wait for acknowledgements and never in its way.

Each sink is asked on a thread of its own with a short time limit, again after a while when it did not confirm. What it
confirmed is read from here at any time; who waits for the proof waits for nobody here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from killswitch.clock import now_ns
from killswitch.core.sinks import SinkAddress
from killswitch.store.sink import raise_fences

__all__ = ["Fencing", "spawn"]

_LIMIT_S = 1.0
_AGAIN_NS = 200_000_000


def spawn(name: str, work: Callable[[], None]) -> None:
    """Runs `work` beside everything else; the process may end while it runs."""
    threading.Thread(target=work, name=name, daemon=True).start()


class Fencing:
    """The fences at `sinks`, by name. `want` never waits. `confirmed` maps `name/session` to the fence its sink told;
    `trouble` says of a sink why something is missing there."""

    def __init__(self, sinks: Mapping[str, SinkAddress]) -> None:
        self.sinks = sinks
        self.confirmed: dict[str, int] = {}
        self.trouble: dict[str, str] = {}
        self._asking: set[str] = set()
        self._next_ns: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        """Whether a sink is being asked now."""
        return bool(self._asking)

    def want(self, sessions: Iterable[str], epoch: int, until_ns: int) -> None:
        """Has the fences of these `name/session` raised to `epoch`, as far as they are not known to stand there and
        their sink is known. A question ends by `until_ns` (`clock.now_ns`)."""
        lacking: dict[str, dict[str, int]] = {}
        for place in sessions:
            name, _, session = place.partition("/")
            if name in self.sinks and self.confirmed.get(place, 0) < epoch:
                lacking.setdefault(name, {})[session] = epoch
        now = now_ns()
        for name, epochs in lacking.items():
            limit_s = min(_LIMIT_S, (until_ns - now) / 1e9)
            if name not in self._asking and now >= self._next_ns.get(name, 0) and limit_s > 0:
                self._asking.add(name)
                try:
                    spawn(f"killswitch-fence-{name}", self._asker(name, epochs, limit_s))
                except RuntimeError as error:  # no thread to be had
                    self._asking.discard(name)
                    self.trouble[name] = f"could not be asked ({error})"

    def _asker(self, name: str, epochs: Mapping[str, int], limit_s: float) -> Callable[[], None]:
        def ask() -> None:
            try:
                raised = raise_fences(name, self.sinks[name], epochs, limit_s)
                for session, fence in raised.fences.items():
                    place = f"{name}/{session}"
                    self.confirmed[place] = max(fence, self.confirmed.get(place, 0))
                self.trouble[name] = raised.trouble
                if raised.trouble:
                    self._next_ns[name] = now_ns() + _AGAIN_NS
            finally:
                self._asking.discard(name)

        return ask
