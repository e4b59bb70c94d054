"""The checks before a launch, as the shell runs and shows them: what `preflight` and `launch` share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from typing import Any

import redis

from killswitch import (
    Finding,
    Grade,
    Preflight,
    PreflightReport,
    QueueFacts,
    Settings,
    SettingsError,
)
from ops.console import Console
from ops.render import Paint, clean, count_of, first_line, page, wrap
from workers import queues, settings

__all__ = ["both_settings", "check", "count_line", "finding_lines", "look_at_queue", "preflight_json"]

_STYLES = {Grade.OK: "go", Grade.WARN: "warn", Grade.FAIL: "stop", Grade.SKIP: "dim"}
_NAME_WIDE = 15
_MARK_WIDE = 6
_QUEUE_TIMEOUT_S = 2.0


def both_settings() -> tuple[Settings, settings.WorkerSettings | None, tuple[str, ...]]:
    """The switch's settings, the workers' (None where they are not valid), and what is wrong with the latter.

    Raises:
        SettingsError: the switch's are not valid, so nothing can be looked at; both lists of violations are in it.
    """
    violations: tuple[str, ...] = ()
    config = None
    try:
        config = settings.load()
    except SettingsError as error:
        violations = error.violations
    try:
        return Settings(), config, violations
    except SettingsError as error:
        raise SettingsError(tuple(dict.fromkeys((*error.violations, *violations)))) from None


def look_at_queue(url: str) -> QueueFacts:
    """What there is to know of the queue's Redis. Raises nothing."""
    where = url.rpartition("@")[2].removeprefix("redis://")
    try:
        with closing(queues.connect(url, _QUEUE_TIMEOUT_S)) as client:
            db = int(client.connection_pool.connection_kwargs.get("db") or 0)
            client.ping()
            try:
                found: dict[str, Any] = client.info("everything")
            except redis.ResponseError:
                return QueueFacts(where, db=db)
            policy = str(found.get("maxmemory_policy", "")) if found.get("maxmemory") else ""
            return QueueFacts(where, str(found.get("run_id", "")), db, policy)
    except (redis.RedisError, OSError, ValueError) as error:
        return QueueFacts(where, trouble=f"it cannot be used: {first_line(error)}")


def check(
    switch: Settings,
    config: settings.WorkerSettings | None,
    violations: tuple[str, ...],
    console: Console,
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    before_init: bool = False,
) -> PreflightReport:
    """Runs the checks with a line of progress where somebody watches.

    Raises:
        InvalidInput: a check that there is not.
        StoreUnavailable, StoreRefused: nothing could be looked at.
    """
    wanted = "queue" not in skip and (not only or "queue" in only)
    console.status_line("preflight: asking the queue's Redis ...")
    queue = look_at_queue(config.queue_address) if config is not None and wanted else None
    preflight = Preflight(switch, queue=queue, violations=violations, only=only, skip=skip, before_init=before_init)
    try:
        return preflight.run(lambda text: console.status_line(f"preflight: {text} ..."))
    finally:
        console.status_line("")


def finding_lines(findings: Sequence[Finding], paint: Paint) -> Iterator[str]:
    """Each finding in a line; where it is not well, also why it matters and what to do."""
    indent = " " * (_MARK_WIDE + _NAME_WIDE)
    for finding in findings:
        mark = paint(
            f"{finding.verdict.upper() if finding.verdict is Grade.FAIL else finding.verdict:<6}",
            _STYLES[finding.verdict],
        )
        first, *rest = wrap(clean(finding.found), page.columns - len(indent)) or [""]
        yield f"{mark}{finding.name:<{_NAME_WIDE}}{first}"
        yield from (f"{indent}{line}" for line in rest)
        if finding.verdict in (Grade.WARN, Grade.FAIL):
            yield from (paint(line, "dim") for line in wrap(f"why: {clean(finding.why)}", indent=indent))
            if finding.remedy:
                yield from wrap(f"do: {clean(finding.remedy)}", indent=indent)


def count_line(report: PreflightReport, paint: Paint, *, strict: bool) -> str:
    """All of it in one line, with the verdict."""
    parts = [f"{many} {grade}" for grade in Grade if (many := report.count(grade))]
    count = len(report.findings)
    text = f"{count_of(count, 'check')} of {clean(report.server)}: {', '.join(parts)}"
    if report.passed(strict=strict):
        return paint(text, "go")
    return paint(f"{text}{' (--strict: a warning fails as well)' if not report.count(Grade.FAIL) else ''}", "stop")


def preflight_json(report: PreflightReport, *, strict: bool) -> dict[str, Any]:
    """For programs."""
    return {
        "ok": report.passed(strict=strict),
        "strict": strict,
        "server": report.server,
        "counts": {str(grade): report.count(grade) for grade in Grade},
        "findings": report.findings,
    }
