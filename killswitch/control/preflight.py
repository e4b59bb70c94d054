"""The checks before a launch: asks what each needs, and hands the facts to the rules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from killswitch._build import gate_build
from killswitch._version import __version__
from killswitch.core.checks.catalogue import CHECKS, judge
from killswitch.core.checks.facts import Facts, PushFacts, QueueFacts, SettingsFacts
from killswitch.core.checks.finding import Finding, Grade
from killswitch.core.endpoint import parse_url
from killswitch.core.modes import InvalidInput
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.settings import Settings
from killswitch.store import probe, survey
from killswitch.store.fleet import FleetStore
from killswitch.store.keys import Keys
from killswitch.store.wire import Wire, connect

__all__ = ["PREFLIGHT_CHECKS", "Preflight", "PreflightReport"]

PREFLIGHT_CHECKS: tuple[str, ...] = tuple(check.name for check in CHECKS)
"""Names of all checks, in order."""

_NAME = "killswitch-preflight"
_STRETCH_S = 1.0
_PUSHES_S = 3.0
_TRIPS_S = 2.0
_LOOPBACK = ("localhost", "::1")
_WRITING = frozenset({"probe", "replicas", "pushes"})
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All findings. `server` is the address that was looked at."""

    server: str
    findings: tuple[Finding, ...]

    def count(self, grade: Grade) -> int:
        """How many checks ended that way."""
        return sum(finding.verdict is grade for finding in self.findings)

    def passed(self, *, strict: bool = False) -> bool:
        """Whether nothing failed and, when `strict`, nothing warns either."""
        return not self.count(Grade.FAIL) and not (strict and self.count(Grade.WARN))


def _nowhere(_text: str) -> None:
    return None


class Preflight:
    """Looks at one switch through the eyes of this host and this user.

    `queue` is what was found of the queue's Redis, `violations` what is wrong with settings that are not the switch's;
    both are the caller's to know. `only` and `skip` are names of PREFLIGHT_CHECKS. `before_init`: the function library
    is going to be loaded, so it may be missing. Raises InvalidInput for other names.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        queue: QueueFacts | None = None,
        violations: tuple[str, ...] = (),
        only: Collection[str] = (),
        skip: Collection[str] = (),
        before_init: bool = False,
    ) -> None:
        for name in (*only, *skip):
            if name not in PREFLIGHT_CHECKS:
                raise InvalidInput(f"there is no check {name!r:.60}: the checks are {', '.join(PREFLIGHT_CHECKS)}")
        self._settings = settings
        self._endpoint = settings.endpoint
        self._keys = Keys(settings.prefix)
        self._timeout_s = settings.timeout_ms / 1000
        self._queue = queue
        self._violations = violations
        self._before_init = before_init
        self._only, self._skip = frozenset(only), frozenset(skip)
        wanted = [c for c in CHECKS if c.name not in self._skip and (not self._only or c.name in self._only)]
        self._parts = frozenset(part for check in wanted for part in check.parts)

    def run(self, step: Step = _nowhere) -> PreflightReport:
        """Asks, measures and judges, in about two seconds with a near server. `step` hears what is being done.

        Raises:
            StoreUnavailable: Redis cannot be reached, or was lost on the way.
            StoreRefused: it refuses these credentials.
        """
        facts = Facts(self._settings_facts(), db=self._endpoint.db, queue=self._queue, before_init=self._before_init)
        unseen: dict[str, str] = {} if self._queue else {"queue": "nothing is known of the queue's Redis"}
        step("connecting")
        with contextlib.closing(connect(self._endpoint, self._timeout_s, _NAME)) as wire:
            key = probe.probe_key(self._keys)
            with probe.removed_afterwards(wire, key):
                facts = self._ask(wire, key, facts, unseen, step)
            return PreflightReport(wire.peer, judge(replace(facts, unseen=unseen), self._only, self._skip))

    def _settings_facts(self) -> SettingsFacts:
        set_to, place = self._settings, self._endpoint
        hosts = [host for host, _ in place.hosts]
        return SettingsFacts(
            scheme=place.scheme,
            local=all(host.startswith("127.") or host in _LOOPBACK for host in hosts),
            lease_ms=set_to.lease_ms,
            renew_ms=set_to.renew_ms,
            patience_ms=set_to.patience_ms,
            rung=set_to.rung,
            on_failover=set_to.on_failover,
            persons=set_to.persons,
            password_in_url=bool(parse_url(set_to.redis_url).password),
            version=__version__,
            build=gate_build(),
            violations=self._violations,
        )

    def _ask(self, wire: Wire, key: str, facts: Facts, unseen: dict[str, str], step: Step) -> Facts:
        wants = self._parts.__contains__
        clock = probe.ClockProbe(wire) if wants("clock") else None
        if wants("server") or wants("queue"):
            step("reading how the server is set up")
            facts = replace(facts, server=survey.look_at_server(wire))
        if wants("library") or wants("trips"):
            step("comparing the function library")
            facts = replace(facts, library=survey.look_at_library(wire, self._keys))
        if wants("rights"):
            step("asking what this user may do")
            facts = replace(facts, rights=survey.look_at_rights(wire, self._keys))
        if wants("sentinels") and self._endpoint.by_sentinel:
            step("asking the sentinels")
            facts = replace(facts, sentinels=survey.look_at_sentinels(self._endpoint, self._timeout_s))
        if wants("members"):
            step("reading the fleet")
            facts = self._fleet(wire, facts, unseen)
        facts = self._write(wire, key, facts, unseen, step)
        if wants("trips"):
            step("measuring the time of a renewal")
            answered = facts.library is not None and facts.library.answered
            facts = replace(facts, trips=probe.measure_trips(wire, self._keys, answered, _TRIPS_S))
        if clock is not None:
            step("comparing clocks")
            facts = replace(facts, clock=clock.finish(_STRETCH_S))
        return facts

    def _fleet(self, wire: Wire, facts: Facts, unseen: dict[str, str]) -> Facts:
        try:
            status = FleetStore(wire, self._keys).status()
        except StoreRefused as error:
            unseen["members"] = f"the membership may not be read: {error.reason}"
            return facts
        return replace(facts, members=status.members, on_failover=status.on_failover, persons=status.persons)

    def _write(self, wire: Wire, key: str, facts: Facts, unseen: dict[str, str], step: Step) -> Facts:
        """What needs a write: whether it is taken, whether replicas follow, whether it is announced in time."""
        wanted = self._parts & _WRITING
        if not wanted:
            return facts
        step("writing a probe key")
        refused = probe.try_write(wire, key)
        if refused is not None:
            unseen.update(dict.fromkeys(wanted, f"the probe key cannot be written: {refused.reason}"))
            if refused.code is not Code.REDIS_DENIED:  # not this user alone: nobody could engage
                facts = replace(facts, write_refused=survey.trouble_of(refused))
            return facts
        replicas = _replicas_of(facts)
        if "replicas" in wanted and replicas:
            step("waiting for the replicas")
            facts = replace(facts, replicas=probe.measure_replicas(wire, key, replicas, self._timeout_s))
        if "pushes" in wanted:
            step("comparing announcements with answers")
            facts = replace(facts, pushes=self._pushes(key))
        return facts

    def _pushes(self, key: str) -> PushFacts:
        try:
            return probe.measure_pushes(self._endpoint, key, self._settings.rung, self._timeout_s, _PUSHES_S)
        except (StoreUnavailable, StoreRefused) as error:
            return PushFacts("", trouble=error.reason)


def _replicas_of(facts: Facts) -> int:
    text = facts.server.info.get("connected_slaves", "") if facts.server else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
