"""Moments as people write them: a date, a time, or so long ago."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from killswitch.clock import wall_ms
from ops.options import parse_span

__all__ = ["MomentType"]


class MomentType(click.ParamType[int]):
    """Milliseconds since the Unix epoch, from `2026-01-31`, `2026-01-31T12:00:00Z` (UTC where no zone is told) or `24h`
    (ago)."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The moment; a usage error for any other form."""
        if isinstance(value, int):
            return value
        text = str(value)
        ago_s = parse_span(text)
        if ago_s is not None:
            return wall_ms() - ago_s * 1000
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r:.40} is no moment: write 2026-01-31, 2026-01-31T12:00:00Z, or 24h (ago)", param, ctx)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return int(found.timestamp() * 1000)
