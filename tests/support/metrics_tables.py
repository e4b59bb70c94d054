"""The generated part of docs/metrics.md: every metric, taken from the exporter's catalogue.

`python -m tests.support.metrics_tables` writes it into the page; a test fails when the page differs.
"""

from __future__ import annotations

import re
from pathlib import Path

from ops.exporter.catalogue import CATALOGUE

__all__ = ["PAGE", "rendered"]

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def _metrics() -> str:
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = " ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(lines)


def rendered(text: str) -> str:
    """`text` with the table made anew; it stands between `<!-- metrics -->` and `<!-- /metrics -->`."""
    pattern = re.compile(r"(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.S)
    if not pattern.search(text):
        raise SystemExit("docs/metrics.md has no place for the table of metrics")
    return pattern.sub(lambda match: f"{match[1]}{_metrics()}\n{match[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
