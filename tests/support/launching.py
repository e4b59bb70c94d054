"""A launch that a stall of the machine does not fail."""

from __future__ import annotations

from killswitch.store import probe
from tests.support.shell import Done, Shell

__all__ = ["launched"]


def launched(shell: Shell, *words: str) -> Done:
    """A launch that was done, for programs. Its preflight takes an announcement for lost after a second, and this
    process may stand still for as long."""
    with shell.monkeypatch.context() as patch:
        patch.setattr(probe, "_LOST_S", 20.0)
        done = shell.run(*words, "--output", "json")
    assert done.code == 0, done
    return done
