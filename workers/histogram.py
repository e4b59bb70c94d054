"""A latency histogram with buckets of equal relative width: a few thousand integers whatever the number of values.

Values below 2**(SUB_BITS + 1) have a bucket each; above that every power of two is cut into 2**SUB_BITS buckets, so a
bucket is never wider than 1/2**SUB_BITS of its lower edge (under 1.6 % with 6 bits). The number of values and their
sum, least and greatest are exact, and so is a merge: the histogram of two workers together is the sum of theirs.
The form is that of HdrHistogram (Gil Tene).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["SUB_BITS", "Histogram"]

SUB_BITS = 6
_BASE = 1 << SUB_BITS
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))


def bucket_of(value: int) -> int:
    """The bucket that counts `value` (0 or more)."""
    shift = value.bit_length() - SUB_BITS - 1
    return value if shift <= 0 else (shift << SUB_BITS) + (value >> shift)


def upper_edge(bucket: int) -> int:
    """The greatest value counted by `bucket`."""
    shift = (bucket >> SUB_BITS) - 1
    if shift <= 0:
        return bucket
    return (((bucket & (_BASE - 1)) + _BASE + 1) << shift) - 1


class Histogram:
    """Counts of non-negative integers, here nanoseconds. Written by one thread."""

    __slots__ = ("_counts", "greatest", "least", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0
        """Sum of the values."""
        self.least: int | None = None
        self.greatest: int | None = None

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self._counts.values())

    def record(self, value: int) -> None:
        """Counts one value; a negative one counts as 0, so that a clock's fault is never an exception in the loop."""
        self.record_all((value,))

    def record_all(self, values: Iterable[int]) -> None:
        """Counts many values: the engine collects those of a batch and hands them over at once."""
        counts = self._counts
        known = counts.get
        least, greatest, total = self.least, self.greatest, self.total
        for value in values:
            if value < 0:
                value = 0
            shift = value.bit_length() - SUB_BITS - 1  # bucket_of, written out: this runs for every timed tick
            bucket = value if shift <= 0 else (shift << SUB_BITS) + (value >> shift)
            counts[bucket] = known(bucket, 0) + 1
            total += value
            if least is None or value < least:
                least = value
            if greatest is None or value > greatest:
                greatest = value
        self.least, self.greatest, self.total = least, greatest, total

    def merge(self, other: Histogram) -> None:
        """Adds the values of `other`, exactly."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += other.total
        if other.least is not None:
            self.least = other.least if self.least is None else min(self.least, other.least)
        if other.greatest is not None:
            self.greatest = other.greatest if self.greatest is None else max(self.greatest, other.greatest)

    def by_power(self) -> dict[int, int]:
        """Counts by power of two: under `n` the values below 2**n that are not below 2**(n - 1). Values below
        2**SUB_BITS are all under SUB_BITS. Exact, because no bucket reaches across a power of two."""
        counts = [0] * 100
        for bucket, count in self._counts.items():  # some hundred of them, between two ticks
            counts[(bucket >> SUB_BITS) + SUB_BITS] += count
        return {power: count for power, count in enumerate(counts) if count}

    def quantile(self, q: float) -> int:
        """The value that a share `q` (0 to 1) of the values does not exceed; 0 when there are none.

        Never too low, and too high by less than a bucket's width: the upper edge of the bucket of the value of rank
        ceil(q * count), and never above the greatest value.
        """
        count = self.count
        if count == 0 or self.greatest is None:
            return 0
        rank = max(1, math.ceil(q * count))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return min(upper_edge(bucket), self.greatest)
        return self.greatest

    def summary(self) -> dict[str, int]:
        """Count, least, quantiles, greatest and mean, rounded down, in the unit of the values."""
        count = self.count
        row = {"count": count, "min": self.least or 0}
        row.update({name: self.quantile(q) for name, q in _QUANTILES})
        row.update(max=self.greatest or 0, mean=self.total // count if count else 0)
        return row

    def as_dict(self) -> dict[str, Any]:
        """The whole histogram for JSON: the summary, and what `from_dict` needs to merge it elsewhere."""
        buckets = {str(bucket): self._counts[bucket] for bucket in sorted(self._counts)}
        return {**self.summary(), "sum": self.total, "sub_bits": SUB_BITS, "buckets": buckets}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Histogram:
        """Rebuilds what `as_dict` wrote.

        Raises:
            ValueError: it was written with another bucket width, so that merging would miscount.
        """
        if data["sub_bits"] != SUB_BITS:
            raise ValueError(
                f"histogram with sub_bits {data['sub_bits']}, expected {SUB_BITS}: written by another version"
            )
        histogram = cls()
        histogram._counts = {int(bucket): int(count) for bucket, count in data["buckets"].items()}
        histogram.total = int(data["sum"])
        if histogram._counts:
            histogram.least, histogram.greatest = int(data["min"]), int(data["max"])
        return histogram
