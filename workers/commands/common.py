"""What the verbs have in common: settings or one clear end, names of processes, addresses without a password."""

from __future__ import annotations

import os
import re
import secrets
import socket
from urllib.parse import urlsplit

from killswitch import Settings, SettingsError
from workers import settings
from workers.shell import EXIT_USAGE, fail

__all__ = ["EXIT_IN_FLIGHT", "EXIT_UNHEALTHY", "new_name", "settings_of_both", "shown", "worker_settings"]

EXIT_UNHEALTHY = 1
EXIT_IN_FLIGHT = 75


def worker_settings() -> settings.WorkerSettings:
    """WORKERS_*, or the end of the process with every violation."""
    try:
        return settings.load()
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)


def settings_of_both(given: dict[str, object]) -> tuple[settings.WorkerSettings, Settings]:
    """Both sets of settings, or the end of the process with every violation of both."""
    violations: list[str] = []
    config = switch = None
    try:
        config = settings.load(**given)
    except SettingsError as error:
        violations.extend(error.violations)
    try:
        switch = Settings()
    except SettingsError as error:
        violations.extend(error.violations)
    if config is None or switch is None:
        fail("settings are not valid:\n" + "\n".join(f"  - {line}" for line in dict.fromkeys(violations)), EXIT_USAGE)
    return config, switch


def new_name() -> str:
    """Unique on every host and over restarts: containers often share host names and are always pid 1."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()) or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


def shown(url: str) -> str:
    """The address alone: no user, no password, nothing of what stands behind the path."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
