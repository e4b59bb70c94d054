"""Where ticks come from: replay of recorded files, or a seeded synthetic market."""

from workers.feed.base import BadRow, Feed, FeedCounts, FeedError
from workers.feed.pacing import Speed, parse_speed
from workers.feed.replay import ReplayFeed
from workers.feed.synthetic import SyntheticFeed

__all__ = ["BadRow", "Feed", "FeedCounts", "FeedError", "ReplayFeed", "Speed", "SyntheticFeed", "parse_speed"]
