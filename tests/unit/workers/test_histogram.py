"""The histogram against sorted lists of the same values."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.histogram import SUB_BITS, Histogram, bucket_of, upper_edge
from workers.latency import latency_text, parse_latency
from workers.report import STAGES

VALUES = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**50)), max_size=200)
SHARES = st.floats(0.0, 1.0)


def histogram_of(values: list[int]) -> Histogram:
    """A histogram of these values."""
    histogram = Histogram()
    histogram.record_all(values)
    return histogram


@given(st.integers(0, 2**60))
def test_every_value_lies_in_its_bucket(value: int) -> None:
    """A bucket ends at or above its values, by less than its relative width, and the next value is in the next one."""
    edge = upper_edge(bucket_of(value))
    assert value <= edge <= value + (value >> SUB_BITS)
    assert bucket_of(edge) == bucket_of(value)
    assert bucket_of(edge + 1) == bucket_of(value) + 1


@given(VALUES, SHARES)
def test_a_quantile_is_never_too_low_and_hardly_too_high(values: list[int], share: float) -> None:
    """It lies between the exact value of that rank in the sorted list and a bucket's width above it."""
    found = histogram_of(values).quantile(share)
    if not values:
        assert found == 0
        return
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert exact <= found <= exact + (exact >> SUB_BITS)
    assert found <= max(values)


@given(VALUES)
def test_count_sum_least_and_greatest_are_exact(values: list[int]) -> None:
    """Only quantiles are rounded."""
    histogram = histogram_of(values)
    assert histogram.count == len(values)
    assert histogram.total == sum(values)
    assert histogram.least == min(values, default=None)
    assert histogram.greatest == max(values, default=None)


@given(VALUES, VALUES)
def test_a_merge_is_the_histogram_of_all_values_together(left: list[int], right: list[int]) -> None:
    """Two workers' figures add up exactly, in whatever order they are merged."""
    merged = histogram_of(left)
    merged.merge(histogram_of(right))
    assert merged.as_dict() == histogram_of(right + left).as_dict()


@given(VALUES)
def test_a_histogram_survives_json(values: list[int]) -> None:
    """What one process reports, another can merge without loss."""
    written = histogram_of(values).as_dict()
    assert Histogram.from_dict(json.loads(json.dumps(written))).as_dict() == written


def test_a_negative_value_counts_as_zero() -> None:
    """A clock's fault is not an error in the trading loop."""
    histogram = Histogram()
    histogram.record(-5)
    assert histogram.summary() == {
        "count": 1, "min": 0, "p50": 0, "p90": 0, "p99": 0, "p999": 0, "max": 0, "mean": 0,
    }  # fmt: skip


def test_a_histogram_of_another_bucket_width_is_refused() -> None:
    """Merging it would miscount."""
    written = histogram_of([1]).as_dict() | {"sub_bits": SUB_BITS + 1}
    with pytest.raises(ValueError, match="written by another version"):
        Histogram.from_dict(written)


@given(VALUES)
def test_counts_by_power_of_two_are_exact_and_survive_the_heartbeat(values: list[int]) -> None:
    """What an exporter reads in a heartbeat is how many values were below each power of two, and their sum."""
    histogram = histogram_of(values)
    expected = Counter(max(value.bit_length(), SUB_BITS) for value in values)
    assert histogram.by_power() == expected
    found = parse_latency(latency_text({"tick": histogram}))
    if values:
        assert found["tick"].powers == expected
        assert found["tick"].sum_ns == sum(values)
    else:
        assert found == {}


@given(st.one_of(st.text(), st.from_regex(r"(tick|gate1|x) [0-9]{1,22}( [0-9]{1,3}:[0-9]{1,22}){0,3}(;tick 1)?")))
def test_any_text_in_a_heartbeat_is_read_or_left_out(text: str) -> None:
    """Anybody may have written there: only known stages with sound counts come through."""
    for stage, latency in parse_latency(text).items():
        assert stage in STAGES
        assert 0 <= latency.sum_ns < 2**63
        assert all(0 <= power < 100 and 0 <= count < 2**63 for power, count in latency.powers.items())
