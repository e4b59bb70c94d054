"""The two servers of a rehearsal, apart as in production: the switch's and the queue's.

Without KILLSWITCH_REDIS_URL both are started here and end with the rehearsal. A server that was given may serve a real
fleet, so there the rehearsal keeps to a prefix and to queues of its own, leaves a function library that is loaded
already as it is, and takes all its keys away again. Beside a fleet that is to be launched that prefix lies under the
fleet's own, so that an ACL for `<prefix>:*` covers both, and outside of what its gates listen to (`<prefix>:state`).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import redis

from killswitch import (
    Controller,
    Grade,
    KillSwitchError,
    Preflight,
    Settings,
    SettingsError,
    StoreUnavailable,
    local,
)
from ops.exit_codes import Exit
from ops.rehearsal.line import RawLine
from ops.rehearsal.plan import RehearsalError
from workers import queues

__all__ = ["Places", "Target", "open_places"]

_PARTS_MOST = 3
_AT_ONCE = 500
_LASTING = ("state", "ledger", "audit", "workers", "note", "seals", "stopword")
"""Keys of a switch that have no time to live, besides the rows of workers with orders in flight."""
_BEAT_MS = 250
"""Four beats a second, unless set otherwise: the live table would stand still for a second at a time."""


@dataclass(frozen=True, slots=True)
class Target:
    """The servers of a fleet that is to be launched: its settings and its queue's URL. `loaded`: the function library
    there is known to be this release's; otherwise the rehearsal loads it, where there is none."""

    settings: Settings
    queue_url: str
    loaded: bool


@dataclass(frozen=True, slots=True)
class Places:
    """`switch_at` and `queue_at` name the servers for people. `gated`, `ungated` and `cleanup` are names of queues."""

    settings: Settings
    switch_at: str
    queue_url: str
    queue_at: str
    gated: str
    ungated: str
    cleanup: str

    @property
    def fleet_prefix(self) -> str:
        """Prefix of the fleet's own keys on the queue's server."""
        return self.gated.replace("engines", "workers")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a worker process: ours without its settings, then exactly these."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("KILLSWITCH_", "WORKERS_"))}
        for name in self.settings.model_fields_set:
            env[f"KILLSWITCH_{name.upper()}"] = str(getattr(self.settings, name))
        return env | {
            "WORKERS_QUEUE_URL": self.queue_url,
            "WORKERS_PREFIX": self.fleet_prefix,
            "WORKERS_POLL_MS": "50",
            "WORKERS_DRAIN_S": "5",
            "WORKERS_LOG_LEVEL": "warning",
        }


@contextmanager
def open_places(target: Target | None = None) -> Iterator[Places]:
    """Takes the servers of `target`, or finds or starts both, and prepares the switch: library loaded, state ENGAGED.

    Raises:
        RehearsalError: settings that are not valid, no server, or one that refuses.
    """
    try:
        base = target.settings if target else Settings()
    except SettingsError as error:
        raise RehearsalError(str(error), Exit.USAGE) from None
    url = base.redis_url if target or "redis_url" in base.model_fields_set else None
    with ExitStack() as stack:
        try:
            switch = stack.enter_context(local.endpoint(url))
            given_queue = target.queue_url if target else os.environ.get("WORKERS_QUEUE_URL")
            queue = stack.enter_context(_queue_endpoint(given_queue, url))
        except KillSwitchError as error:
            raise RehearsalError(str(error), Exit.UNREACHABLE) from None
        settings = _settings(base, switch, scratch=target is not None)
        mark = f"-demo-{secrets.token_hex(4)}" if not (switch.started and queue.started) else ""
        places = Places(
            settings,
            f"{switch.origin}, {settings.endpoint}",
            queue.url,
            f"{queue.origin}, {queue.url.rpartition('@')[2].removeprefix('redis://')}",
            f"engines{mark}",
            f"rehearsal{mark}",
            f"cleanup{mark}",
        )
        if not queue.started:
            _reach(queue.url)
            stack.callback(_forget_queues, places)
        keeps = _keeps_library(settings, target) if not switch.started else False
        try:
            _prepare(settings, keeps_library=keeps)
        except RehearsalError:
            with suppress(RehearsalError):  # what went wrong first is what matters
                _forget_keys(settings)
            raise
        if not switch.started:
            stack.callback(_forget_keys, settings)
        yield places


@contextmanager
def _queue_endpoint(given: str | None, switch_url: str | None) -> Iterator[local.Endpoint]:
    """A server given for the queue, else one of our own; else, beside a switch that was given, that server too."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(local.endpoint(given))
        except KillSwitchError:
            if switch_url is None:
                raise
            found = local.Endpoint(switch_url, "the switch's server, for want of another", started=False)
        yield found


def _settings(base: Settings, switch: local.Endpoint, scratch: bool) -> Settings:
    chosen = {name: getattr(base, name) for name in base.model_fields_set - {"persons"}}  # one plays all the parts
    if "beat_ms" not in chosen:
        chosen["beat_ms"] = min(_BEAT_MS, base.beat_ms)
    if switch.started:
        chosen |= {"redis_url": switch.url, "redis_password": "", "prefix": "killswitch"}
    elif scratch:
        parts = base.prefix.split(":")[:_PARTS_MOST]  # a prefix has four parts at most
        chosen |= {"redis_url": base.redis_url, "prefix": ":".join([*parts, f"rehearsal-{secrets.token_hex(4)}"])}
    else:
        chosen["prefix"] = f"demo-{secrets.token_hex(4)}"
    return Settings(**chosen)


def _prepare(settings: Settings, *, keeps_library: bool) -> None:
    try:
        with Controller(settings, via="demo") as control:
            if keeps_library:
                control.engage(reason="initialised", actor="demo")
            else:
                control.init(actor="demo")
    except StoreUnavailable as error:
        raise RehearsalError(
            f"the switch's Redis at {settings.endpoint} cannot be used: {error}", Exit.UNREACHABLE
        ) from None
    except KillSwitchError as error:
        raise RehearsalError(f"the switch's Redis at {settings.endpoint} refuses: {error}") from None


def _keeps_library(settings: Settings, target: Target | None) -> bool:
    """Whether the library of a server that was given stays as it is; if not, there is none. A demonstration plays under
    what is there. A launch needs its own release's, and replaces no other: it serves all prefixes of the server.

    Raises:
        RehearsalError: another one is loaded where a fleet is to be launched, or it may not be looked at.
    """
    if target is None:
        with RawLine(settings) as line:
            return bool(line.call("FUNCTION", "LIST", "LIBRARYNAME", "killswitch"))
    if target.loaded:
        return True
    try:
        report = Preflight(target.settings, only=("library",), before_init=True).run()
    except KillSwitchError as error:
        raise RehearsalError(f"the switch's Redis at {settings.endpoint}: {error}", Exit.UNREACHABLE) from None
    found = next(one for one in report.findings if one.name == "library")
    if found.verdict not in (Grade.OK, Grade.SKIP):
        text = f"the function library at {settings.endpoint}: {found.found}"
        raise RehearsalError(text, Exit.FAILED, ("nothing was changed", found.remedy))
    return found.verdict is Grade.OK


def _forget_keys(settings: Settings) -> None:
    """Takes away every key under the prefix. A user who may not list keys takes away those that it knows of; what is
    left then are receipts of operations, which end by themselves within an hour."""
    with RawLine(settings) as line:
        try:
            keys = list(_listed(line, settings.prefix))
        except RehearsalError:
            rows = line.call("ZRANGE", f"{settings.prefix}:workers", "0", "-1")
            names = (*_LASTING, *(f"worker:{row}" for row in rows))
            keys = [f"{settings.prefix}:{name}" for name in names]
        for start in range(0, len(keys), _AT_ONCE):
            line.call("DEL", *keys[start : start + _AT_ONCE])


def _listed(line: RawLine, prefix: str) -> Iterator[str]:
    cursor = "0"
    while True:
        cursor, keys = line.call("SCAN", cursor, "MATCH", f"{prefix}:*", "COUNT", "1000")
        yield from keys
        if cursor == "0":
            return


def _reach(url: str) -> None:
    client = queues.connect(url)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        shown = url.rpartition("@")[2]
        raise RehearsalError(f"the queue's Redis at {shown} cannot be used: {error}", Exit.UNREACHABLE) from None
    finally:
        client.close()


def _forget_queues(places: Places) -> None:
    client = queues.connect(places.queue_url)
    try:
        for name in (places.gated, places.ungated, places.cleanup):
            queue = queues.open_queue(client, name)
            for registry in (queue.started_job_registry, queue.finished_job_registry, queue.failed_job_registry):
                for job_id in registry.get_job_ids(cleanup=False):
                    registry.remove(job_id, delete_job=True)
            queue.delete(delete_jobs=True)
        for key in client.scan_iter(f"{places.fleet_prefix}:*"):
            client.delete(key)
    except (redis.RedisError, OSError):
        pass  # what is left has a time to live
    finally:
        client.close()
