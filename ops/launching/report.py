"""The deployment report: a page for people, an object for programs, both beside each other in one folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from killswitch import __version__
from killswitch.clock import wall_text
from ops.console import Console, plain
from ops.launching.deployment import Deployment, EngineState
from ops.render import Column, Paint, clean, table

__all__ = ["deployment_json", "engine_lines", "page", "write_reports"]

_STYLES = {"running": "go", "finished": "go", "queued": "warn", "starting": "warn"}


def engine_lines(engines: Sequence[EngineState], paint: Paint) -> list[str]:
    """The engines and where they run."""
    columns = (
        Column("ENGINE", least=8),
        Column("STATE"),
        Column("WORKER", least=12, middle=True),
        Column("HOST", least=6),
        Column("PID", right=True),
        Column("GATE", least=8),
        Column("EPOCH", right=True),
        Column("VERSION"),
    )
    rows = [
        (
            clean(one.name),
            (clean(one.state), _STYLES.get(one.state, "stop")),
            clean(one.worker),
            clean(one.host),
            str(one.pid or ""),
            clean(one.gate),
            str(one.epoch or ""),
            clean(one.version),
        )
        for one in engines
    ]
    return table(columns, rows, paint)


def deployment_json(deployment: Deployment) -> dict[str, Any]:
    """For programs."""
    asked = deployment.asked
    permission = asked.permission
    return {
        "ok": deployment.ok,
        "fleet": {"file": str(asked.loaded.path), "sha256": asked.loaded.sha256},
        "begun": wall_text(deployment.begun_ms),
        "ended": wall_text(deployment.ended_ms),
        "actor": asked.actor,
        "permit": plain(permission) if permission else None,
        "versions": {
            "tool": __version__,
            "python": platform.python_version(),
            "server": _found(deployment, "server"),
            "library": _found(deployment, "library"),
            "workers": _found(deployment, "versions"),
        },
        "switch": {"server": deployment.server, "prefix": asked.switch.prefix, "lease_ms": asked.switch.lease_ms},
        "queue": asked.loaded.fleet.queue,
        "phases": [plain(phase) for phase in deployment.phases.values()],
        "engines": [plain(engine) for engine in deployment.engines],
        "undo": list(deployment.undo),
        "warnings": list(deployment.warnings),
        "exit_code": int(deployment.exit_code),
    }


def _found(deployment: Deployment, name: str) -> str:
    findings = deployment.phases["preflight"].found.get("findings", [])
    return next((one["found"] for one in findings if one["name"] == name), "")


def _cell(text: object) -> str:
    """One cell of a table in Markdown: what came from elsewhere must not begin a column, a link or a tag."""
    shown = clean(text)
    for char in "\\|`*_<>[]":
        shown = shown.replace(char, f"\\{char}")
    return shown


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def page(deployment: Deployment) -> str:
    """For people, as Markdown."""
    found = deployment_json(deployment)
    permit = found["permit"]
    lines = [
        f"# Deployment, {found['begun']}",
        "",
        "Every phase was done." if deployment.ok else "**Stopped before its end.**",
        "",
        *_rows(
            ("", ""),
            [
                ("fleet file", f"{found['fleet']['file']} (SHA-256 {found['fleet']['sha256']})"),
                ("from, to", f"{found['begun']}, {found['ended']}"),
                ("actor", found["actor"]),
                ("permitted", f"by {permit['actor']}: {permit['reason']}" if permit else "not asked for"),
                ("switch", f"{deployment.server}, prefix {found['switch']['prefix']}"),
                *((name, text) for name, text in found["versions"].items()),
            ],
        ),
        "",
        "## Phases",
        "",
        *_rows(
            ("phase", "outcome", "took", "what"),
            ((one["name"], one["outcome"], f"{one['took_s']:.1f} s", one["text"]) for one in found["phases"]),
        ),
    ]
    lines += _findings_part(deployment) + _scenario_part(deployment) + _epoch_part(deployment)
    if deployment.engines:
        head = ("engine", "state", "placed", "worker", "process", "gate", "epoch", "why")
        lines += ["", "## Engines", "", *_rows(head, map(_engine_row, deployment.engines))]
    if deployment.warnings:
        lines += ["", "## Warnings", "", *_rows(("what",), ((text,) for text in deployment.warnings))]
    if deployment.undo:
        lines += ["", "## To take it back", "", *(f"    {line}" for line in deployment.undo)]
    return "\n".join(lines) + "\n"


def _engine_row(one: EngineState) -> tuple[object, ...]:
    placed, process = "now" if one.placed else "before", f"{one.host} {one.pid or ''}"
    return one.name, one.state, placed, one.worker, process, one.gate, one.epoch or "", one.why


def _findings_part(deployment: Deployment) -> list[str]:
    found = deployment.phases["preflight"].found.get("findings", [])
    rows = [(one["name"], one["verdict"], one["found"], one["remedy"]) for one in found]
    return ["", "## Preflight", "", *_rows(("check", "verdict", "found", "remedy"), rows)] if rows else []


def _scenario_part(deployment: Deployment) -> list[str]:
    rows = [
        (scenario["name"], check["name"], check["found"], check["must"], "yes" if check["holds"] else "NO")
        for scenario in deployment.phases["rehearsal"].found.get("scenarios", [])
        for check in scenario["checks"]
    ]
    head = ("scenario", "figure", "found", "must be", "holds")
    return ["", "## Rehearsal", "", *_rows(head, rows)] if rows else []


def _epoch_part(deployment: Deployment) -> list[str]:
    found = deployment.phases["initialise"].found
    rows = [(when, found[when]["state"], found[when]["epoch"]) for when in ("before", "after") if when in found]
    return ["", "## Switch", "", *_rows(("", "state", "epoch"), rows)] if rows else []


def write_reports(deployment: Deployment, console: Console) -> list[Path]:
    """Writes both; a folder that cannot be written is a warning, because what was done is done."""
    stamp = wall_text(deployment.begun_ms).replace("-", "").replace(":", "").replace(" ", "T").partition(".")[0]
    texts = {
        "md": page(deployment),
        "json": json.dumps(deployment_json(deployment), indent=2, allow_nan=False) + "\n",
    }
    written = []
    for ending, text in texts.items():
        path = deployment.asked.folder / f"deployment-{stamp}Z.{ending}"
        try:
            path.write_text(text, encoding="utf-8")
            written.append(path)
        except OSError as error:
            console.warn(f"the report {path} could not be written: {error.strerror}")
    return written
