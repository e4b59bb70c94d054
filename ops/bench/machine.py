"""What the figures were measured on: they mean nothing without it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ops.bench.line import Line

__all__ = ["describe"]


def describe(line: Line, origin: str) -> dict[str, Any]:
    """Machine, Python and server, for the head of the table and for JSON."""
    load = [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "load": load,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": _server(line),
        "origin": origin,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for row in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _server(line: Line) -> str:
    info = _fields(line.call("INFO", "server"))
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info.get('redis_version', 'of unknown version')}"


def _fields(info: Any) -> dict[str, str]:
    text = info.decode(errors="replace") if isinstance(info, bytes) else str(info)
    return dict(row.split(":", 1) for row in text.splitlines() if ":" in row)
