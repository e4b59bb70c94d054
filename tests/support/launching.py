"""A launch that a stall of the machine does not fail."""

from __future__ import annotations

from typing import Any

from tests.support.shell import Done, Shell

__all__ = ["launched"]

_TRIES = 3


def launched(shell: Shell, *words: str) -> Done:
    """A launch that was done, for programs; it is made again only where all that preflight found is an announcement
    that did not come within its second, as when this process stood still."""
    done = shell.run(*words, "--output", "json")
    for _ in range(_TRIES - 1):
        if done.code == 0 or not _stalled(done.json):
            break
        done = shell.run(*words, "--output", "json")
    assert done.code == 0, done
    return done


def _stalled(told: dict[str, Any]) -> bool:
    phases = told.get("phases") or [{"name": ""}]
    findings = (phases[0].get("found") or {}).get("findings", ())
    failed = [(one["name"], "never announced" in one["found"]) for one in findings if one["verdict"] == "fail"]
    return failed == [("tracking", True)]
