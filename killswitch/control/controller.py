"""Engage, reduce, reset, look: for operators' tools, risk rules and tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from killswitch.clock import now_ns
from killswitch.control.afterwards import Afterwards
from killswitch.control.drilling import Drill, DrillTask, Heard, Stopping, kept_drills, run_drill
from killswitch.control.fencing import Fencing
from killswitch.control.outcome import InitReport, Outcome, Verdict
from killswitch.control.quiescence import Looked, MemberSeen, Task, wait_quiet
from killswitch.core.audit import AuditEntry
from killswitch.core.chain import Chain
from killswitch.core.drill_record import DrillRecord
from killswitch.core.endpoint import Endpoint
from killswitch.core.fleet import FleetStatus, Member, lease_bound_ms
from killswitch.core.lease import closed_by_ms
from killswitch.core.modes import SWITCH, InvalidInput, Scope
from killswitch.core.words import NO_REASON, check_reason, tidy
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.settings import Settings
from killswitch.store.attempts import attempt_twice
from killswitch.store.audit import read_audit
from killswitch.store.bounded import durability, split_brain_ms
from killswitch.store.fleet import FleetStore
from killswitch.store.functions import LIBRARY_VERSION
from killswitch.store.keys import Keys
from killswitch.store.switch import Change, SwitchStore, note_text
from killswitch.store.wire import Wire, connect

__all__ = ["Controller"]

T = TypeVar("T")
_NAME = "killswitch-control"
_CLOSE_S = 0.5


def _ignore(_member: object, _quiet: bool) -> None:
    return None


def _ignore_look(_pending: object) -> None:
    return None


class Controller:
    """Operates one switch. Every call makes its own short-lived connection, so a controller may be kept for days. After
    a change the record is sealed in the background: nothing waits for it but `close`, for half a second.

    `via` goes into the audit entries: "library" unless a tool says otherwise. Raises SettingsError when no settings
    were given and those of the environment are not valid.
    """

    def __init__(self, settings: Settings | None = None, *, via: str = "library") -> None:
        self.settings = settings or Settings()
        self._keys = Keys(self.settings.prefix)
        self._via = via
        chain = Chain(self.settings.prefix, self.settings.audit_key)
        self._afterwards = Afterwards(self._reach, self._keys, chain, via)

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the sealing of the last changes half a second to come to its end. Nothing is held between calls."""
        self._afterwards.wait(_CLOSE_S)

    def seal_soon(self) -> None:
        """Has the record sealed in the background, as after every change; for who changed the switch by other means."""
        self._afterwards.begin()

    def init(self, actor: str | None = None) -> InitReport:
        """Loads the function library, puts the settings `on_failover` and `persons` on record for all, and where there
        is no state, writes `ENGAGED initialised`.

        Raises:
            ApprovalPending: two persons have to permit, what was to be put on record loosens, and this was the first.
            StoreUnavailable, StoreRefused: Redis cannot be reached, is older than 7.0, or refuses.
        """
        words = (self._who(actor), secrets.token_hex(8), self._via, self.settings.on_failover, self.settings.persons)
        change = self._repeatable(lambda wire: SwitchStore(wire, self._keys).initialise(*words))
        self._afterwards.begin()
        status = self.status()
        switch, was = status.switch, change.was if change else ""
        rules = (status.on_failover, status.persons)
        return InitReport(LIBRARY_VERSION, change is not None, switch.text, switch.epoch, status.server, was, *rules)

    def engage(
        self,
        reason: str,
        actor: str | None = None,
        scope: str | Scope | None = None,
        wait_s: float | None = None,
        on_engaged: Callable[[Outcome], None] | None = None,
        on_member: MemberSeen | None = None,
        operation: str | None = None,
    ) -> Outcome:
        """Stops the fleet, or the part `scope` names; unconditional, repeatable.

        With `wait_s` it then waits at most that many seconds for the proof (see `prove`). `on_engaged` hears of the
        engagement before the wait, `on_member(member, quiet)` of each member as it turns quiet. `operation` makes
        a repetition by the caller recognisable. Reason and actor may be any text; the record, and the outcome, hold as
        much of it as is one plain line.

        Raises:
            InvalidInput: a bad scope.
            StoreRefused: Redis refuses writes, and therefore renewals too: `lease_bound_ms` says when all is closed.
            StoreUnavailable: no answer; the same bound holds if Redis is dead, none if only this tool is cut off.
        """
        reason, who, part = tidy(reason, NO_REASON), tidy(actor or self.settings.who, "unknown"), self._scope(scope)
        operation = operation or secrets.token_hex(8)
        name = str(part or SWITCH)

        def press(wire: Wire) -> Outcome:
            change = SwitchStore(wire, self._keys).engage(part, reason, who, operation, self._via)
            engaged_ns = now_ns()
            # From here on nothing raises: the stop is set, and what is not known is told as not known.
            outcome = _outcome(change, name, who, reason, operation)
            if on_engaged is not None:
                on_engaged(outcome)
            if wait_s is not None:
                outcome = self.prove(outcome, wait_s, engaged_ns, on_member)
            return replace(outcome, durability=durability(wire, self._keys))

        outcome = self._repeatable(press)
        if wait_s is None:
            self._afterwards.begin(outcome)
        return outcome

    def prove(
        self,
        outcome: Outcome,
        wait_s: float,
        engaged_ns: int | None = None,
        on_member: MemberSeen | None = None,
        on_look: Looked | None = None,
    ) -> Outcome:
        """Waits for the proof of an engagement that was made, here or elsewhere, as `outcome` tells.

        At most `wait_s` seconds from `engaged_ns` (`clock.now_ns`, default: now) on, and half a second more for a look
        that is under way; looks at least once. `on_member` hears of each member as it turns quiet, `on_look` after each
        look of those who are not. Fences the sinks of those whose lease runs out unheard. Raises nothing: a proof that
        could not be had is UNCERTAIN.
        """
        settings = self.settings
        engaged_ns = now_ns() if engaged_ns is None else engaged_ns
        split_ms = split_brain_ms(self._reach, settings.endpoint)
        note = note_text(outcome.actor, outcome.reason) if outcome.means == "delete" else ""
        task = Task(outcome.scope, outcome.epoch, engaged_ns, wait_s, settings.lease_ms, split_ms, note)
        fencing = Fencing(settings.sink_addresses)
        found = wait_quiet(self._reach, self._keys, task, fencing, on_member or _ignore, on_look or _ignore_look)
        outcome = replace(
            outcome,
            verdict=Verdict.QUIET if found.quiet else Verdict.FENCED if found.fenced else Verdict.UNCERTAIN,
            epoch=found.epoch,
            members=found.members,
            pending=found.pending,
            fences=found.standings,
            waited_ms=found.waited_ms,
            leases_out=found.leases_out,
            lease_bound_ms=found.bound_ms,
            note=found.note,
        )
        self._afterwards.begin(outcome)
        return outcome

    def reduce(
        self,
        reason: str,
        actor: str | None = None,
        scope: str | Scope | None = None,
        epoch: int | None = None,
        operation: str | None = None,
    ) -> Outcome:
        """Permits only reducing orders, until when there was a permission; from ENGAGED only at the `epoch` looked at.

        Raises:
            EpochConflict: it would loosen, and the epoch is missing or not current.
            ApprovalPending: it would loosen, two persons have to permit, and this was the first.
            InvalidInput, StoreRefused, LibraryMissing, StoreUnavailable: nothing was done (for the last: unknown).
        """
        reason, who, part = check_reason(reason, "the reason"), self._who(actor), self._scope(scope)
        operation = operation or secrets.token_hex(8)

        def change(store: SwitchStore) -> Outcome:
            done = store.reduce(part, reason, who, epoch, operation, self._via)
            return _outcome(done, str(part or SWITCH), who, reason, operation)

        return self._changed(change)

    def reset(
        self,
        epoch: int,
        reason: str,
        actor: str | None = None,
        scope: str | Scope | None = None,
        for_s: float | None = None,
        operation: str | None = None,
    ) -> Outcome:
        """Permits trading again, provided the epoch is still the `epoch` that was looked at; for `for_s` seconds, or
        without limit.

        Raises:
            EpochConflict: the switch was changed since; nothing was done.
            ApprovalPending: two persons have to permit, and this was the first; nothing is permitted yet.
            InvalidInput, StoreRefused, LibraryMissing, StoreUnavailable: nothing was done (for the last: unknown).
        """
        reason, who, part = check_reason(reason, "the reason"), self._who(actor), self._scope(scope)
        if for_s is not None and part is not None:
            raise InvalidInput(
                f"a time limit with scope {part}: an expired scope follows the switch, so its end would loosen; "
                "give the limit to the switch itself"
            )
        if for_s is not None and not 1 <= for_s <= 366 * 86400:
            raise InvalidInput(f"a time limit of {for_s:g} s is not between one second and a year: choose one that is")
        operation = operation or secrets.token_hex(8)

        def change(store: SwitchStore) -> Outcome:
            done = store.reset(part, epoch, reason, who, int((for_s or 0) * 1000), operation, self._via)
            return _outcome(done, str(part or SWITCH), who, reason, operation)

        return self._changed(change)

    def status(self) -> FleetStatus:
        """The switch, the scopes and every worker. Raises StoreUnavailable, StoreRefused."""
        with self._connected() as wire:
            return FleetStore(wire, self._keys).status()

    def audit(self, count: int = 100, attempts: bool = False) -> list[AuditEntry]:
        """The newest `count` changes, oldest first, each with how the wait for its proof ended where somebody waited;
        with `attempts`, permissions that were tried and not given as well (`AuditEntry.kind`).
        Raises StoreUnavailable, StoreRefused."""
        with self._connected() as wire:
            return read_audit(wire, self._keys, count, attempts)

    def drill(self, actor: str | None = None, heard: Heard | None = None, stopping: Stopping | None = None) -> Drill:
        """Announces a change of nothing on the live fleet and measures until every worker has acknowledged it. Nobody
        is stopped, nothing on record changes. See `run_drill`, also for what it raises."""
        return run_drill(self.settings, DrillTask(self._who(actor), self._via, heard, stopping))

    def drills(self, count: int = 20) -> list[DrillRecord]:
        """What came of the newest `count` drills, newest first. Raises StoreUnavailable, StoreRefused."""
        return kept_drills(self.settings, count)

    def lease_bound_ms(self, ask: bool = True) -> int:
        """How long after Redis began to refuse or died every gate is closed; from the members' leases where they can
        be read, else from this tool's own settings. `ask` False: at once, for who has just found that Redis does not
        answer and wants to tell it without waiting for that again."""
        members: tuple[Member, ...] = ()
        try:
            if ask:
                with self._connected() as wire:
                    members = FleetStore(wire, self._keys).members()
        except (StoreUnavailable, StoreRefused):
            pass
        return closed_by_ms(lease_bound_ms(members, self.settings.lease_ms))

    # -- inside -------------------------------------------------------------------------------------------------

    def _who(self, actor: str | None) -> str:
        return check_reason(actor or self.settings.who, "the actor")

    def _scope(self, scope: str | Scope | None) -> Scope | None:
        return None if scope is None else Scope.parse(scope)

    @property
    def _endpoint(self) -> Endpoint:
        return self.settings.endpoint

    def _connected(self) -> closing[Wire]:
        return closing(self._reach())

    def _reach(self, until_ns: int | None = None) -> Wire:
        return connect(self._endpoint, self.settings.timeout_ms / 1000, _NAME, until_ns)

    def _changed(self, change: Callable[[SwitchStore], Outcome]) -> Outcome:
        def done(wire: Wire) -> Outcome:
            return replace(change(SwitchStore(wire, self._keys)), durability=durability(wire, self._keys))

        outcome = self._repeatable(done)
        self._afterwards.begin()
        return outcome

    def _repeatable(self, action: Callable[[Wire], T]) -> T:
        return attempt_twice(self._endpoint, self.settings.timeout_ms / 1000, _NAME, action)


def _outcome(change: Change, scope: str, actor: str, reason: str, operation: str) -> Outcome:
    what = (change.epoch, scope, change.was, change.state, actor, reason, change.repeated)
    return Outcome(Verdict.RECORDED, *what, means=change.means, operation=operation)
