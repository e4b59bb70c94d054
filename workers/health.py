"""Whether the worker of this host is healthy: its own beat in the switch's Redis is young.

A process that runs, or a Redis that answers, proves nothing about a worker; its beat comes from the thread that
keeps its gate honest, under the id it wrote to WORKERS_ID_FILE when it started.
"""

from __future__ import annotations

import os
from pathlib import Path

from killswitch import Controller, KillSwitchError, Settings

__all__ = ["HealthError", "check", "forget_id", "write_id"]

_BEATS = 4


class HealthError(KillSwitchError):
    """The worker is not healthy; the text says why."""


def write_id(path: Path, worker_id: str) -> None:
    """Writes the id so that a reader finds the old one or the new one, never half. Raises OSError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(f"{worker_id}\n", "utf-8")
    draft.replace(path)


def forget_id(path: Path, worker_id: str) -> None:
    """Removes the file if it still holds this id."""
    try:
        if path.read_text("utf-8").strip() == worker_id:
            path.unlink()
    except OSError:
        pass  # gone already, or not ours to remove


def check(settings: Settings, id_file: Path) -> str:
    """One line about a healthy worker: its id and the age of its beat.

    Raises:
        HealthError: no id is written, the worker is no member, or its beat is older than four beats.
        StoreUnavailable: the switch's Redis does not answer.
        StoreRefused: it answers and refuses.
    """
    try:
        worker_id = id_file.read_text("utf-8").strip()
    except OSError as error:
        raise HealthError(f"no worker runs here: {id_file} cannot be read ({error.strerror})") from None
    with Controller(settings) as control:
        members = control.status().members
    member = next((member for member in members if member.worker_id == worker_id), None)
    if member is None:
        raise HealthError(f"worker {worker_id} is not a member of the fleet")
    oldest_ms = _BEATS * settings.beat_ms
    if member.beat_age_ms > oldest_ms:
        raise HealthError(f"worker {worker_id} was last heard {member.beat_age_ms} ms ago (at most {oldest_ms})")
    return f"worker {worker_id} is healthy: beat {member.beat_age_ms} ms old, {member.code}"
