"""A drill again and again: one line each, through outages of Redis, until somebody ends it."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from killswitch.clock import now_ns, sleep, wall_ms, wall_text
from ops.console import console
from ops.drilling.report import line_object
from ops.drilling.telling import drill_line
from ops.exit_codes import Exit
from ops.render import brief, clean, count_of

if TYPE_CHECKING:
    from killswitch import Drill

__all__ = ["ended_by_signals", "repeat"]

_JITTER = 0.1
_SLICE_S = 0.2


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, whatever it waits for."""

    def end(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def repeat(drill: Callable[[], Drill], every_s: int) -> Exit:
    """Drills about every `every_s` seconds until a signal. The first must come through: a wrong address is a mistake,
    not an outage. Ends with FAILED when some drill showed that a worker does not follow."""
    counts = dict.fromkeys(("passed", "missed", "cut short", "not made"), 0)
    first = True
    try:
        with ended_by_signals():
            while not console.gone:
                _one(drill, first, counts)
                first = False
                _pause(every_s * random.uniform(1 - _JITTER, 1 + _JITTER))
    except KeyboardInterrupt:
        pass
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "none made"
    console.say(_stamped(f"ended: {count_of(sum(counts.values()), 'drill')}, about every {brief(every_s)}: {told}"))
    code = Exit.FAILED if counts["missed"] else Exit.DONE
    console.line({"ended": {word.replace(" ", "_"): count for word, count in counts.items()}, "exit_code": int(code)})
    return code


def _one(drill: Callable[[], Drill], first: bool, counts: dict[str, int]) -> None:
    """One drill, counted before it is told: a signal may come in between."""
    from killswitch import DrillBusy, DrillVerdict, StoreRefused, StoreUnavailable

    try:
        done = drill()
    except DrillBusy as busy:
        counts["not made"] += 1
        _not_made("busy", str(busy))
        return
    except (StoreUnavailable, StoreRefused) as error:
        if first:
            raise
        counts["not made"] += 1
        _not_made(str(error.code), error.reason)
        return
    counts[{DrillVerdict.PASSED: "passed", DrillVerdict.MISSED: "missed"}.get(done.verdict, "cut short")] += 1
    console.say(_stamped(drill_line(done, console.paint)))
    console.line(line_object(done))
    if not done.kept and done.verdict is not DrillVerdict.CUT_SHORT:
        console.warn("this drill could not be kept in the history")


def _not_made(code: str, reason: str) -> None:
    console.say(_stamped(f"no drill: {clean(reason)}"))
    console.line({"error": {"kind": "not_made", "code": code, "message": reason}, "at_ms": wall_ms()})


def _stamped(line: str) -> str:
    return f"{wall_text(wall_ms())} {line}"


def _pause(seconds: float) -> None:
    until_ns = now_ns() + int(seconds * 1e9)
    while not console.gone and (left_ns := until_ns - now_ns()) > 0:
        sleep(min(left_ns / 1e9, _SLICE_S))
