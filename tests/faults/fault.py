"""One fault as data, and the one way in which each is tried and judged.

A trial: everybody trades, for a while nothing happens, the fault begins, everybody is closed by the promised moment and
says why, the fault ends, everybody trades again (after a reset where the fault voids what was permitted), and a plain
SET stops everybody at once, so the line is whole. The history of it all goes to the judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from killswitch import Code, clock
from tests.faults.observe import closures, codes, last_pass, late_sends, lateness, row, sound
from tests.faults.trader import LEASE_NS
from tests.faults.world import World
from tests.support.switch import STATE

__all__ = ["Closes", "Fault", "Step", "Trial"]

Step = Callable[[World], object]

_QUIET_S = 0.15
_LINGER_S = 0.2
_RECOVERED_NS = 2_000_000_000  # L4
_PASSING = frozenset(
    {Code.STATE_CHANGED, Code.UNRECORDED, Code.LEASE_EXPIRED, Code.NO_ANSWER, Code.DISCONNECTED, Code.NO_STATE_YET}
)
"""Codes of a moment: nobody yet knows more, or a watcher that shares the machine with all of this was late."""


class Closes(Enum):
    """By when no check passes any more that begins later."""

    ANNOUNCED = "with the answer to the command that did it"
    LEASE = "within a lease"
    AT_MOST_A_MOMENT = "for a moment, or not at all"


@dataclass(frozen=True, slots=True)
class Fault:
    """`inject` returns once the fault is surely in effect, `heal` once it is over. `codes`: one of them names the fault
    at every gate. `void`: what was permitted before has to be permitted anew, and until then gates say one of `until`
    (default: the same codes). `refuses`: with what the server refuses the operator's SET meanwhile. `core`: tried on
    every make of server."""

    name: str
    properties: str
    inject: Step
    codes: frozenset[Code]
    heal: Step = lambda _: None
    closes: Closes = Closes.LEASE
    void: bool = False
    until: frozenset[Code] = frozenset()
    others: frozenset[Code] = frozenset()
    refuses: str = ""
    core: bool = False


class Trial:
    """One fault tried on one world, step by step."""

    def __init__(self, world: World, fault: Fault) -> None:
        self.world = world
        self.fault = fault
        self.closed_ns = self.begun_ns = self.effect_ns = self.healed_ns = self.healing_ns = 0
        self.bound_ns: int | None = None

    def run(self) -> None:
        """All of it. Raises AssertionError where a promise was broken."""
        world, fault = self.world, self.fault
        world.broken = True
        world.settle()
        sound(world)
        clock.sleep(_QUIET_S)
        spurious = closures(world)
        self._begin()
        if fault.closes is not Closes.AT_MOST_A_MOMENT:
            self._is_closed()
        with lateness(world.pids) as late:
            self._ends()
            recovered_ns = world.settle() - self.healed_ns
            allowed_ns = late.allowed_ns
        sends = 0 if self.bound_ns is None else late_sends(world, self.bound_ns, self.healing_ns)
        reasons = codes(world, self.begun_ns)
        row(
            world,
            fault.name,
            fault.properties,
            closed_ns=None if self.bound_ns is None else self.closed_ns - self.effect_ns,
            bound_ns=None if self.bound_ns is None else self.bound_ns - self.effect_ns,
            sends_after=sends,
            recovered_ns=recovered_ns,
            spurious=spurious,
        )
        self._a_set_still_stops_everybody()
        sound(world)
        world.broken = False
        assert sends == 0
        assert recovered_ns <= _RECOVERED_NS + allowed_ns
        initialised = {Code.ENGAGED} if fault.void else set()  # what `killswitch init` writes where nothing is
        assert reasons <= fault.codes | fault.others | fault.until | _PASSING | initialised, sorted(reasons)

    def _begin(self) -> None:
        world, fault = self.world, self.fault
        begun = self.begun_ns = clock.now_ns()
        fault.inject(world)
        self.effect_ns = clock.now_ns()
        if fault.closes is Closes.AT_MOST_A_MOMENT:
            return
        world.void(begun, self.effect_ns)
        self.bound_ns = self.effect_ns
        if fault.closes is Closes.ANNOUNCED:
            world.announced(self.effect_ns)
        else:
            self.bound_ns += LEASE_NS

    def _is_closed(self) -> None:
        """Everybody is closed by the bound, says why, and stays so."""
        assert self.bound_ns is not None
        self.world.all_closed(self.bound_ns)
        self._all_say(self.fault.codes)
        if self.fault.refuses:
            assert self.fault.refuses in self.world.answer("SET", STATE, "ENGAGED")

    def _ends(self) -> None:
        world, fault = self.world, self.fault
        self.healing_ns = clock.now_ns()
        self.closed_ns = last_pass(world, self.healing_ns)
        if not fault.void:
            world.valid(self.healing_ns)
        fault.heal(world)
        self.healed_ns = clock.now_ns()
        if fault.void:
            self._all_say(fault.until or fault.codes)
            clock.sleep(_LINGER_S)  # time in which whoever trusts what is there again would open
            self.healing_ns = clock.now_ns()
            self.closed_ns = last_pass(world, self.healing_ns)
            self.healed_ns = world.permit()

    def _all_say(self, codes: frozenset[Code]) -> None:
        for trader in self.world.traders:
            trader.says(*codes)

    def _a_set_still_stops_everybody(self) -> None:
        world = self.world
        ok_ns = world.engage_raw()
        world.all_closed(ok_ns)
        world.permit()
        world.settle()
