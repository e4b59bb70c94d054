"""Breaks of the exporter: values that reassure, values that are old, series without end."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_SAMPLES = ("tests/unit/ops/test_exporter.py",)
_BOUNDS = ("tests/unit/ops/test_exporter_bounds.py",)

MUTANTS = (
    Mutant(
        "metrics-show-the-last-answer",
        "P11",
        "ops/exporter/collector.py",
        "            self.trouble = error.reason\n",
        "            self.trouble = error.reason\n            return self._families\n",
        _BOUNDS,
        "with Redis away the screen goes on saying SAFE",
    ),
    Mutant(
        "every-scrape-looks-for-itself",
        "P11",
        "ops/exporter/collector.py",
        "            if self._made_ns <= asked_ns:\n",
        "            if True:\n",
        _BOUNDS,
        "ten who scrape at once keep Redis busy ten times, and the last one waits for all",
    ),
    Mutant(
        "a-scrape-takes-what-it-likes",
        "P11",
        "ops/exporter/collector.py",
        "min(self._limit_s, limit_s or self._limit_s)",
        "self._limit_s",
        _BOUNDS,
        "Prometheus gives up before the exporter says that Redis is away",
    ),
    Mutant(
        "workers-without-end",
        "P11",
        "ops/exporter/fleet.py",
        "    for member, state in everybody[:WORKERS_MAX]:\n",
        "    for member, state in everybody:\n",
        _BOUNDS,
        "invented workers fill Prometheus",
    ),
    Mutant(
        "trouble-shown-last",
        "P11",
        "ops/exporter/fleet.py",
        "key=lambda pair: (STATES.index(pair[1]), ",
        "key=lambda pair: (-STATES.index(pair[1]), ",
        _BOUNDS,
        "a silent worker is left out behind a thousand healthy ones",
    ),
    Mutant(
        "the-same-series-twice",
        "P11",
        "ops/exporter/page.py",
        "        if key in self._seen:\n",
        "        if False:\n",
        _BOUNDS,
        "two names that are cut alike make Prometheus refuse the whole scrape",
    ),
    Mutant(
        "labels-as-they-come",
        "P11",
        "ops/exporter/page.py",
        "    text = clean(str(value)[: longest + 1])\n",
        "    text = str(value)[: longest + 1]\n",
        _BOUNDS,
        "escape sequences from Redis reach whoever looks at the page with curl",
    ),
    Mutant(
        "quiet-under-an-older-stop",
        "P6",
        "ops/exporter/fleet.py",
        "member.quiet_epoch >= max(stop_epoch, 1)",
        "member.quiet_epoch >= 1",
        _SAMPLES,
        "a worker that proved to be quiet under the stop before counts as quiet under this one",
    ),
    Mutant(
        "not-allowed-means-all-is-well",
        "P4",
        "ops/exporter/switch.py",
        "    if code is not Code.REDIS_DENIED:\n",
        "    if True:\n",
        _SAMPLES,
        "an exporter that may not ask says that renewals are not refused",
    ),
    Mutant(
        "lease-left-by-the-last-word-alone",
        "P3",
        "killswitch/core/fleet.py",
        "        if self.known and self.quiet_epoch and not self.in_flight and not self.rival:\n",
        "        if self.known and self.closed:\n",
        ("tests/unit/core/test_rules.py",),
        "a worker that opened by the answer to that very beat is shown without a lease",
    ),
    Mutant(
        "slack-of-opening-counts",
        "P3",
        "killswitch/gate/watcher.py",
        "        if before.is_open and picture.is_open and before.limited_by is Code.LEASE_EXPIRED:\n",
        "        if picture.is_open:\n",
        ("tests/unit/gate/test_beat_counts.py",),
        "every opening looks like a lease that had run out",
    ),
    Mutant(
        "entries-counted-again",
        "P10",
        "killswitch/store/tail.py",
        "        self._mark = entries[-1].entry_id if entries else newest\n",
        "        self._mark = mark\n",
        ("tests/contract/test_tail.py", "-k", "fake"),
        "every scrape counts the changes of the one before once more",
    ),
    Mutant(
        "long-record-counted-in-part",
        "P10",
        "killswitch/store/tail.py",
        "(newest if length > self._history else _BEFORE_ALL)",
        "_BEFORE_ALL",
        ("tests/contract/test_tail.py", "-k", "fake"),
        "after each restart the counts are others, and Prometheus sees changes that nobody made",
    ),
)
