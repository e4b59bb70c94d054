"""A switch without a server, for the tests of those who embed one: needs the package fakeredis with its extra `lua`.

Invariant: everything above the socket is the real thing: library, agent, controller. What is played is Redis alone, so
figures taken here say nothing of a real one, and nobody is pushed a change: agents poll. A fake server is never on any
lookup path of production code; it exists only inside the `with` block that made it.
"""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fakeredis import TcpFakeServer
from fakeredis._commands import SUPPORTED_COMMANDS, command
from fakeredis._socket._base import BaseFakeSocket

__all__ = ["fake_redis", "teach_info"]

_RUN_IDS: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def _info(self: Any, *_sections: bytes) -> bytes:
    run_id = _RUN_IDS.setdefault(self._server, secrets.token_hex(20))
    lines = (
        "# Server",
        "redis_version:7.4.0",
        f"run_id:{run_id}",
        "# Persistence",
        "aof_enabled:0",
        "# Replication",
        "role:master",
        "connected_slaves:0",
        f"master_replid:{run_id}",
        f"master_replid2:{'0' * 40}",
    )
    return "\r\n".join(lines).encode()


def teach_info() -> None:
    """Teaches fakeredis the command INFO, where it lacks it.

    Without INFO the function library cannot tell which server it runs in, and an agent stays closed with the code
    `incarnation_unknown`: rightly so, but nothing else could be tested then.
    """
    if "info" not in SUPPORTED_COMMANDS:
        BaseFakeSocket.info = command(name="info", fixed=(), repeat=(bytes,))(_info)  # type: ignore[attr-defined]
        SUPPORTED_COMMANDS["info"].func_name = "info"


@contextmanager
def fake_redis() -> Iterator[str]:
    """A Redis in this process on a free loopback port; gives its URL. Run `Controller.init` first, as on a real one.

    It announces nothing, so `engage` with a wait ends as UNCERTAIN here: a proof of quiet needs a real server.
    """
    teach_info()
    server = TcpFakeServer(("127.0.0.1", 0), server_version=(7, 4))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake-redis")
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
