"""What decides to trade: a protocol, and a reference strategy that trades for real."""

from workers.strategy.base import Strategy
from workers.strategy.mean_reversion import MeanReversion

__all__ = ["MeanReversion", "Strategy"]
