"""An exception out of nowhere, in another thread: what an interpreter at its end, or a time limit, may do."""

from __future__ import annotations

import ctypes
import threading

__all__ = ["WATCHER", "strike"]

WATCHER = "killswitch-watcher"
"""Name of every agent's watcher thread."""


def strike(thread: threading.Thread, error: type[BaseException]) -> bool:
    """Raises `error` in `thread` as soon as that runs Python again; whether there was such a thread."""
    if thread.ident is None:
        return False
    found = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))
    return bool(found)
