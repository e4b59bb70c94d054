"""A process that has loaded what the tests' children need, and forks them: what takes a second to load is there.

    python -m tests.support.nursery        on descriptor 0 a socket, over which tests.support.fledglings asks

A child is forked twice, so that it is handed to the test run, which has made itself the reaper of orphans for that
moment: the run waits for it and sees its exit status as of any child of its own. The kernel ends it with the run. It
runs its module as `python -u -m MODULE ARGUMENTS...` would, in the folder and the environment that were asked for.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
from typing import Any

from killswitch import clock

__all__ = ["PR_SET_CHILD_SUBREAPER", "REQUEST_MAX", "prctl"]

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_PR_SET_PDEATHSIG = 1
REQUEST_MAX = 1 << 17

_LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _forked(request: dict[str, Any]) -> int:
    """The pid of the child, once it has been handed over; 0 in the child."""
    tell, told = os.pipe()
    middle = os.fork()
    if middle == 0:
        child = os.fork()
        if child == 0:
            os.close(tell)
            os.close(told)
            while os.getppid() != request["parent"]:  # a moment, until the one in the middle has ended
                clock.sleep(0.0005)
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            return 0
        os.write(told, str(child).encode())
        os._exit(0)
    os.close(told)
    os.waitpid(middle, 0)
    pid = int(os.read(tell, 20))
    os.close(tell)
    return pid


def _unbuffered(number: int) -> Any:
    return io.FileIO(number, "wb", closefd=False)


def _become(request: dict[str, Any], streams: list[int], line: socket.socket) -> None:
    """What a fresh interpreter would have found."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    line.detach()  # it was descriptor 0, which is the child's now
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [request["module"], *request["arguments"]]
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = io.TextIOWrapper(_unbuffered(1), "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(_unbuffered(2), "utf-8", "backslashreplace", write_through=True)


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Answers until the other end is closed, and returns None; in a child returns what it is to run."""
    while True:
        data, streams, _, _ = socket.recv_fds(line, REQUEST_MAX, 3)
        if not data:
            return None
        request: dict[str, Any] = json.loads(data)
        if not set(request["loads"]) <= sys.modules.keys():
            for name in request["loads"]:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()  # a collection in a child would touch, and so copy, all that is shared
        pid = _forked(request)
        if pid == 0:
            _become(request, streams, line)
            return request
        for stream in streams:
            os.close(stream)
        line.send(str(pid).encode())


def main() -> None:
    """Serves; in a child runs its module to its end."""
    request = _serve(socket.socket(fileno=0))
    if request is not None:
        sys.modules.pop(request["module"], None)  # it runs under the name __main__, from its first line
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
