"""`killswitch exporter`: metrics for Prometheus."""

from __future__ import annotations

import ipaddress
import re
import signal
from typing import Any

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import clean

__all__ = ["AddressType", "command"]

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", re.ASCII)
_GOODBYE_S = 6.0


class AddressType(click.ParamType[Any]):
    """`host:port`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Host and port; a usage error for any other form."""
        if isinstance(value, tuple):
            return value
        match = _ADDRESS.fullmatch(str(value))
        if match is None or int(match[2]) > 65535:
            self.fail(f"{value!r:.60} is no address: write for example 127.0.0.1:9464 or [::1]:9464", param, ctx)
        return match[1].strip("[]"), int(match[2])


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@click.command("exporter")
@click.option(
    "--listen",
    type=AddressType(),
    default="127.0.0.1:9464",
    show_default=True,
    metavar="HOST:PORT",
    help="Where Prometheus finds it; port 0: any.",
)
@click.option(
    "--limit",
    type=options.SecondsType(0.1, 60),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest look at Redis for one scrape.",
)
def command(listen: tuple[str, int], limit: float) -> Exit:
    """Serve metrics of the switch and its fleet to Prometheus until Ctrl-C.

    Redis is read for each scrape, with plain reads: a user who may only read is enough. If Redis does not answer the
    scrape still succeeds, with killswitch_up 0. What there is: docs/metrics.md.

    \b
    killswitch exporter
    killswitch exporter --listen 10.0.0.5:9464
    """
    from killswitch import Observer, Settings

    try:
        from ops.exporter.collector import Scraper
        from ops.exporter.server import MetricsServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        what = "the exporter needs the package prometheus_client, which is not installed"
        return fail(Exit.USAGE, "usage", what, "pip install 'trading-killswitch[metrics]'")

    observer = Observer(Settings())
    host, port = listen
    scraper = Scraper(observer.look, limit)
    try:
        server = MetricsServer(host, port, scraper.scrape)
    except OSError as error:
        what = f"--listen {_shown(host, port)}: {error.strerror}: name an address of this machine and a free port"
        return fail(Exit.USAGE, "usage", what)
    if not _loopback(host):
        console.warn("whoever reaches this address reads names of workers, actors and reasons; there is no password")
    return _serve(server, scraper)


def _serve(server: Any, scraper: Any) -> Exit:
    """Until Ctrl-C or SIGTERM; a scrape that is under way is answered first."""
    is_serving = False

    def stop(*_: Any) -> None:
        nonlocal is_serving
        if not is_serving:  # before the first scrape is over, or told a second time
            raise KeyboardInterrupt
        is_serving = False
        server.end()  # an exception out of nowhere would meet it in the middle of taking a connection, and cut that off

    # Both: a shell starts what runs in the background deaf to Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        console.say(f"metrics at http://{_shown(*server.server_address[:2])}/metrics; Ctrl-C ends it")
        scraper.scrape()
        if scraper.trouble:
            console.warn(f"Redis does not answer yet: {clean(scraper.trouble)}")
        is_serving = True
        server.serve_until_ended()
        server.finish(_GOODBYE_S)
    except KeyboardInterrupt:
        server.server_close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # impatience at the last moment changes no exit code
    console.say("stopped")
    return Exit.DONE
