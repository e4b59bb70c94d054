"""A scrape as tests read it: values by name and labels, out of the text that Prometheus would get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Scrape", "as_text", "parse"]

OWN = ("process_", "python_")


class Sample(NamedTuple):
    """One line."""

    name: str
    labels: Mapping[str, str]
    value: float


class Scrape:
    """What one scrape said. `families`: name, as it is documented, to kind."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, str] = {}
        self.samples: list[Sample] = []
        for family in text_string_to_metric_families(text):
            if family.name.startswith(OWN):
                continue
            self.families[family.name + ("_total" if family.type == "counter" else "")] = family.type
            self.samples += [Sample(item.name, item.labels, item.value) for item in family.samples]

    def __getitem__(self, name: str) -> float:
        """The value of the only sample of `name`; `name{label=value,...}` picks one."""
        (found,) = self.of(name)
        return found.value

    def of(self, name: str) -> list[Sample]:
        """Every sample of `name` with at least these labels."""
        name, _, rest = name.partition("{")
        wanted = dict(pair.split("=", 1) for pair in rest.rstrip("}").split(",")) if rest else {}
        return [item for item in self.samples if item.name == name and wanted.items() <= item.labels.items()]

    def has(self, name: str) -> bool:
        """Whether there is any sample of `name`."""
        return bool(self.of(name))


class _Made:
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def as_text(families: Iterable[Family]) -> str:
    """What the exporter sends for `families`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Made(families))
    return generate_latest(registry).decode()


def parse(families: Iterable[Family]) -> Scrape:
    """The same, read back."""
    return Scrape(as_text(families))
