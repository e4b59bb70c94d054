"""Which gate code this process runs, told from its sources: one version may be built twice, or patched on one host."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from killswitch._version import __version__

__all__ = ["gate_build", "identity"]

_GATE_CODE = ("core", "gate", "store")
_SUFFIXES = (".py", ".lua")
_SHOWN = 12


@functools.cache
def gate_build() -> str:
    """The beginning of a digest over the sources that decide about trading; empty where they are not to be had (a
    distribution of bytecode alone). Takes some milliseconds, once in a process."""
    found = hashlib.sha256()
    try:
        for folder in _GATE_CODE:
            for path, text in sorted(_sources(files("killswitch") / folder, folder)):
                found.update(f"{path}\n{len(text)}\n".encode())
                found.update(text)
    except OSError:
        return ""
    return found.hexdigest()[:_SHOWN]


def identity() -> dict[str, str]:
    """What each heartbeat says of the process that sends it: host, pid, version and build of its gate code."""
    return {"host": platform.node(), "pid": str(os.getpid()), "version": __version__, "build": gate_build()}


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, path)
        elif entry.name.endswith(_SUFFIXES):
            yield path, entry.read_bytes().replace(b"\r\n", b"\n")
