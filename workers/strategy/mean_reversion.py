"""The reference strategy: buy what has fallen below its average, sell what has risen above it, leave at the average.

Two exponentially weighted averages per symbol (Roberts 1959), of the mid price and of its absolute distance from that
average, give a band. Outside the band the strategy rests an order at the near touch, against the move, until the
position is full; otherwise it rests an exit for all that is held at the average, or at the touch once the price is
there. The position never exceeds `max_position`: there is one working order for a symbol at a time, and an entry never
asks for more than what is left. Prices are not rounded to a venue's price step: that is the venue's adapter's work.
"""

from __future__ import annotations

from killswitch import InvalidInput
from workers.domain import Position, Side, Signal, Tick

__all__ = ["MeanReversion"]


class _Band:
    """Running averages of one symbol."""

    __slots__ = ("distance", "mean", "mid", "quiet_until", "seen")

    def __init__(self, mid: float) -> None:
        self.mid = mid
        self.mean = mid
        self.distance = 0.0
        self.seen = 0
        self.quiet_until = 0
        """Tick count before which no new signal is given."""


class MeanReversion:
    """Mean reversion with a band of `width` average distances around an average over about `span` ticks.

    `quantity` units an entry, at most `max_position` held, at least `pause` ticks between two signals, and none before
    `span` ticks of a symbol were seen.

    Raises:
        InvalidInput: a parameter that is not above 0, or a position limit below one entry.
    """

    def __init__(
        self,
        *,
        span: int = 100,
        width: float = 1.5,
        quantity: int = 1_000,
        max_position: int = 5_000,
        pause: int = 20,
    ) -> None:
        for name, value in (("span", span), ("width", width), ("quantity", quantity), ("pause", pause)):
            if not value > 0:
                raise InvalidInput(f"strategy: {name} {value!r} is not above 0: give a positive number")
        if max_position < quantity:
            raise InvalidInput(
                f"strategy: max_position {max_position} is below one entry of {quantity}: raise it or trade less"
            )
        self._weight = 2.0 / (span + 1)
        self._span = span
        self._width = width
        self._quantity = quantity
        self._max_position = max_position
        self._pause = pause
        self._bands: dict[str, _Band] = {}

    def on_tick(self, tick: Tick) -> None:
        """Moves the averages."""
        mid = (tick.bid + tick.ask) * 0.5
        band = self._bands.get(tick.symbol)
        if band is None:
            band = self._bands[tick.symbol] = _Band(mid)
        weight = self._weight
        away = mid - band.mean
        band.mid = mid
        band.mean += weight * away
        band.distance += weight * (abs(away) - band.distance)
        band.seen += 1

    def signal(self, tick: Tick, position: Position) -> Signal | None:
        """An entry outside the band, else an exit for what is held, else nothing."""
        band = self._bands[tick.symbol]
        if band.seen < band.quiet_until or band.seen < self._span:
            return None
        away = band.mid - band.mean
        reach = self._width * band.distance
        held = position.quantity
        found = None
        if away < -reach and held >= 0:
            found = self._entry(Side.BUY, tick.bid, held)
        elif away > reach and held <= 0:
            found = self._entry(Side.SELL, tick.ask, -held)
        if found is None and held:
            found = _exit(band.mean, tick, held)
        if found is not None:
            band.quiet_until = band.seen + self._pause
        return found

    def _entry(self, side: Side, price: float, already: int) -> Signal | None:
        quantity = min(self._quantity, self._max_position - already)
        return Signal(side, quantity, price, reduces=False) if quantity > 0 else None


def _exit(mean: float, tick: Tick, held: int) -> Signal:
    if held > 0:
        return Signal(Side.SELL, held, max(mean, tick.bid), reduces=True)
    return Signal(Side.BUY, -held, min(mean, tick.ask), reduces=True)
