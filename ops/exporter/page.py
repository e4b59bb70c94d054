"""The samples of one scrape, put together family by family.

Values come out of Redis, so somebody else wrote them. A label is made short and printable, and two that look the same
after that are one series: a scrape with the same series twice is refused by Prometheus as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from ops.exporter.catalogue import Metric
from ops.render import clean

__all__ = ["LABEL_MAX", "Page", "label"]

LABEL_MAX = 128


def label(value: object, longest: int = LABEL_MAX) -> str:
    """`value` as a label: one line of printable text, cut where it is too long."""
    text = clean(str(value)[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


class Page:
    """Collects samples; `families` hands them to prometheus_client."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._seen: set[tuple[str, ...]] = set()
        self.twice = 0
        """Samples that were dropped because there was one of the same name and labels."""

    def set(self, metric: Metric, value: float, *labels: object) -> None:
        """One gauge, counter or info."""
        if (shown := self._labels(metric, labels)) is not None:
            family = self._family(metric)
            assert isinstance(family, GaugeMetricFamily | CounterMetricFamily)
            family.add_metric(shown, value)

    def observe(self, metric: Metric, buckets: Sequence[tuple[str, float]], total: float, *labels: object) -> None:
        """One histogram: cumulative `buckets` by upper edge, the last one "+Inf", and the sum of all values."""
        if (shown := self._labels(metric, labels)) is not None:
            family = self._family(metric)
            assert isinstance(family, HistogramMetricFamily)
            family.add_metric(shown, buckets=buckets, sum_value=total)

    def one_of(self, metric: Metric, chosen: str | None, values: Iterable[str], *labels: object) -> None:
        """One gauge for each of `values`, the last label: 1 for the chosen one, 0 for the others."""
        for value in values:
            self.set(metric, float(value == chosen), *labels, value)

    def families(self) -> Iterator[Family]:
        """Everything, in the order in which it was begun."""
        return iter(self._families.values())

    def _labels(self, metric: Metric, values: Sequence[object]) -> list[str] | None:
        assert len(values) == len(metric.labels), metric.name
        shown = [
            label(value, 256 if name == "reason" else LABEL_MAX)
            for name, value in zip(metric.labels, values, strict=True)
        ]
        key = (metric.name, *shown)
        if key in self._seen:
            self.twice += 1
            return None
        self._seen.add(key)
        return shown

    def _family(self, metric: Metric) -> Family:
        found = self._families.get(metric.name)
        if found is None:
            found = self._families[metric.name] = _made(metric)
        return found


def _made(metric: Metric) -> Family:
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    if metric.kind == "histogram":
        return HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
