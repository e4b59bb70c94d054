"""What is seen while the rehearsal runs: a live table on a terminal, a plain line now and then in a pipe."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from killswitch import Member, Mode
from killswitch.clock import now_ns
from ops.console import Console
from ops.render import COLUMNS, Cell, Column, Paint, clean, fit, table, width

__all__ = ["Screen", "fitted"]

_LIVE_NS = 200_000_000
_PLAIN_NS = 2_000_000_000
_KEPT_LINES = 6
_INDENT = "   "
_HIDE, _SHOW, _CLEAR_DOWN = "\x1b[?25l", "\x1b[?25h", "\x1b[J"
_COLUMNS = (
    Column("worker", right=True),
    Column("engine", least=6),
    Column("mode"),
    Column("epoch", right=True),
    Column("ticks", right=True),
    Column("orders", right=True),
    Column("blocked", right=True),
    Column("in flight", right=True),
    Column("rung"),
)
_STYLES = {Mode.SAFE: "go", Mode.REDUCING: "warn"}


def fitted(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], paint: Paint, limit: int) -> list[str]:
    """A table that is never wider than `limit`: what cannot shrink enough loses its last columns."""
    body = [tuple(row) for row in rows]
    count = len(columns)
    room = limit - len(_INDENT)
    while count > 1:
        plain = table(columns[:count], [row[:count] for row in body], Paint(False), room)
        if max(map(width, plain)) <= room:
            break
        count -= 1
    lines = table(columns[:count], [row[:count] for row in body], paint, room)
    return [_INDENT + line for line in lines]


class Screen:
    """Text for people while the rehearsal runs; `brief`: a pipe hears nothing of its progress. A context manager, which
    gives the terminal back as it was."""

    def __init__(self, console: Console, *, brief: bool = False) -> None:
        self._console = console
        self._brief = brief
        self._drawn = 0
        self._next_ns = 0

    @property
    def paint(self) -> Paint:
        """Colours, or none."""
        return self._console.paint

    @property
    def columns(self) -> int:
        """How wide a line may be."""
        return min(COLUMNS, shutil.get_terminal_size((80, 24)).columns) if self._console.live else COLUMNS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def say(self, *lines: str) -> None:
        """Lines that stay, in place of the live table."""
        self.clear()
        self._console.say(*lines)

    def due(self) -> bool:
        """Whether it is time to show the fleet again."""
        return now_ns() >= self._next_ns

    def show(self, members: Sequence[Member], what: str) -> None:
        """Shows the fleet as it is now, and what is being waited for."""
        self.rest()
        if not self._console.live and self._brief:
            return
        if not self._console.live:
            self._console.say(f"{_INDENT}{_sums(members)}; {what}")
            return
        height = max(2, shutil.get_terminal_size((80, 24)).lines - _KEPT_LINES)
        lines = fitted(_COLUMNS, [_row(member) for member in members[:height]], self.paint, self.columns)
        if len(members) > height:
            lines.append(f"{_INDENT}and {len(members) - height} more")
        lines.append(self.paint(fit(f"{_INDENT}{what} ...", self.columns), "dim"))
        start = f"\x1b[{self._drawn}F" if self._drawn else _HIDE
        self._console.write(start + "".join(f"\x1b[2K{line}\n" for line in lines) + _CLEAR_DOWN)
        self._drawn = len(lines)

    def rest(self) -> None:
        """The fleet is shown again after one interval."""
        self._next_ns = now_ns() + (_LIVE_NS if self._console.live else _PLAIN_NS)

    def clear(self) -> None:
        """Takes the live table away."""
        if self._drawn:
            self._console.write(f"\x1b[{self._drawn}F{_CLEAR_DOWN}{_SHOW}")
            self._drawn = 0


def _row(member: Member) -> list[Cell]:
    info = member.info
    mode = Mode(member.mode) if member.mode in tuple(Mode) else Mode.ENGAGED
    return [
        str(member.pid),
        f"{clean(member.engine or '-'):8}",
        (f"{mode:7}", _STYLES.get(mode, "stop")),
        str(member.epoch),
        f"{_number(info.get('ticks')):7,}",
        f"{_number(info.get('orders')):6,}",
        f"{_number(info.get('blocked_signals')) + _number(info.get('blocked_orders')):7,}",
        str(member.in_flight),
        clean(member.rung),
    ]


def _sums(members: Sequence[Member]) -> str:
    def total(*names: str) -> int:
        return sum(_number(member.info.get(name)) for member in members for name in names)

    modes = "/".join(sorted({member.mode for member in members})) or "none yet"
    running = sum(bool(member.engine) for member in members)
    return (
        f"{len(members)} workers {clean(modes)}, {running} engines, {total('ticks'):,} ticks, {total('orders'):,} "
        f"orders, {total('blocked_signals', 'blocked_orders'):,} blocked"
    )


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
