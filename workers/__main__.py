"""`killswitch-worker`: one engine worker process. `python -m workers` is the same.

Exit codes: 0 ended as asked (or, with `health`, healthy), 1 not healthy (or, with `place`, there already), 2 wrong
settings or usage, 69 the queue's Redis cannot be reached, 75 ended with orders still in flight.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
import redis

from killswitch import InvalidInput, KillSwitchError, Scope, Settings, SettingsError, SinkAddress, printable
from workers import health as health_check
from workers import logs, queues, settings
from workers.agents import AgentHolder, switch_agents
from workers.gateway.process import GatewayOptions
from workers.gateway.process import serve as serve_gateway
from workers.notices.process import telling, try_out
from workers.roster import Place, Roster
from workers.shell import EXIT_REFUSED, EXIT_USAGE, Tool, fail, refused_words, say
from workers.spec import WrongSpec
from workers.venue.process import serve as serve_venue
from workers.venue.server import VenueError
from workers.worker import EngineWorker

__all__ = ["main"]

_EXIT_UNHEALTHY = 1
_EXIT_UNREACHABLE = 69
_EXIT_IN_FLIGHT = 75
_LONGEST_AGENT_DRAIN_S = 5.0
_HEART_TIMEOUT_S = 2.0
_LEAD = 2000
_TYPED = {name: f"--{name}" for name in ("symbol", "speed", "seed")} | {"name": "NAME", "scopes": "--scope"}
"""How `place` calls what a specification says."""


@click.group(cls=Tool, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--queues", "queue_names", metavar="NAMES", help="Queues to serve, in this order [WORKERS_QUEUES].")
@click.option("--ungated", metavar="NAMES", help="Queues served also while engaged [WORKERS_UNGATED_QUEUES].")
@click.option("--burst", is_flag=True, help="Run what can be run now, then exit.")
@click.pass_context
def main(context: click.Context, queue_names: str | None, ungated: str | None, burst: bool) -> None:
    """Run one engine worker under the kill switch. Settings: WORKERS_* (the fleet) and KILLSWITCH_* (the switch).

    \b
    Examples:
      killswitch-worker                             serve cleanup,engines until SIGTERM
      killswitch-worker --queues cleanup            only cancel, flatten, reconcile
      killswitch-worker --burst                     run what is queued, then exit
      killswitch-worker place eurusd-1              put an engine on the queue
      killswitch-worker health                      is the worker of this host alive? (WORKERS_ID_FILE)
    """
    if context.invoked_subcommand is not None:
        return
    wanted = {"queues": queue_names, "ungated_queues": ungated}
    config, switch = _settings({name: value for name, value in wanted.items() if value is not None})
    _reach(config.queue_address)
    try:
        sys.exit(_run(config, switch, burst))
    except redis.RedisError as error:  # it went away, or refuses us, before the worker was at work
        _unusable(config.queue_address, error)


@main.command()
@click.option("--id-file", type=click.Path(path_type=Path), help="File with the worker's id [WORKERS_ID_FILE].")
def health(id_file: Path | None) -> None:
    """Exit 0 only if the worker of this host is alive: its own beat in the switch's Redis is young."""
    config, switch = _settings({})
    path = id_file or config.id_file
    if path is None:
        fail("which worker? Set WORKERS_ID_FILE for the worker and here, or give --id-file", EXIT_USAGE)
    try:
        click.echo(printable(health_check.check(switch, path)))
    except KillSwitchError as error:
        fail(str(error), _EXIT_UNHEALTHY)


@main.command()
@click.argument("name")
@click.option("--symbol", default="EURUSD", show_default=True, help="What the engine trades.")
@click.option("--ticks", multiple=True, type=click.Path(path_type=Path), help="Replay this file; may be repeated.")
@click.option("--speed", default="10", show_default=True, help="`max`, or a multiple of the recorded speed.")
@click.option("--scope", "scopes", multiple=True, help="A scope the engine follows, such as strategy:meanrev.")
@click.option("--seed", default=1, show_default=True, help="Of the synthetic ticks, where no file is given.")
@click.option("--again", is_flag=True, help="Queue it also where it runs or waits: it starts when that has ended.")
def place(
    name: str, symbol: str, ticks: tuple[Path, ...], speed: str, scopes: tuple[str, ...], seed: int, again: bool
) -> None:
    """Put the engine NAME on the queue; a worker starts it as soon as the gate is open.

    Without --ticks it trades synthetic ticks until it is stopped. An engine that runs or waits already is not placed
    once more, unless --again says so.

    \b
      killswitch-worker place eurusd-1 --scope strategy:meanrev
      killswitch-worker place eurusd-2 --ticks 20140508_quote.zip --speed 10
    """
    config = _worker_settings()
    feed: dict[str, object] = {"kind": "synthetic", "seed": seed}
    if ticks:
        feed = {"kind": "replay", "files": [str(path.resolve()) for path in ticks]}
    # The first ticks come at once, so that the strategy has its history and trades within seconds.
    paced = {**feed, "speed": speed, "lead": _LEAD}
    spec = {"name": name, "symbol": symbol, "feed": paced, "scopes": list(scopes)}
    client = queues.connect(config.queue_address)
    try:
        job_id = _placed(client, config.prefix, spec, again)
    except WrongSpec as error:
        fail(refused_words(error, _TYPED), EXIT_USAGE)
    except (redis.RedisError, OSError) as error:
        _unusable(config.queue_address, error)
    finally:
        client.close()
    click.echo(f"engine {name} is on the queue {queues.ENGINES} as job {job_id}")


def _placed(client: redis.Redis, prefix: str, spec: dict[str, Any], again: bool) -> str:
    """The job that places the engine, or the end of the process where one is there: two of a name never trade at once,
    but the second would keep a worker asking, and start when nobody thinks of it any more."""
    if again:
        return queues.place_engine(client, spec).id
    placed, now = Roster(client, prefix=prefix).place_once(spec)
    if not now:
        does = {Place.WAITING: "waits in its queue", Place.CLAIMED: "is being started", Place.RUNNING: "runs"}
        fail(
            f"engine {placed.engine} {does[placed.place]} already, as job {placed.job_id}: `killswitch down --engine "
            f"{placed.engine}` ends it, another NAME is another engine, and --again queues this one a second time",
            EXIT_REFUSED,
        )
    return placed.job_id


@main.command()
@click.option("--listen", metavar="URL", help="unix:///path or tcp://host:port [WORKERS_VENUE_URL]; port 0: any.")
@click.option(
    "--events", type=click.Path(path_type=Path), help="Write every arrival and fence here, and remember them."
)
def venue(listen: str | None, events: Path | None) -> None:
    """Run the paper venue that workers send to, until SIGTERM. Its name is WORKERS_VENUE_NAME.

    \b
      killswitch-worker venue --listen unix:///run/venue.sock --events /var/lib/venue/events.jsonl
    """
    config = _worker_settings()
    logs.configure(config.log_level, process="venue")
    try:
        serve_venue(SinkAddress.parse(listen or config.venue_url), config.venue_name, events)
    except InvalidInput as error:
        fail(f"--listen: {error}", EXIT_USAGE)
    except VenueError as error:
        fail(str(error), _EXIT_UNHEALTHY)


@main.command()
@click.option("--journal", metavar="NAME", help="The journal to serve [WORKERS_ADMISSION_JOURNAL].")
@click.option("--scope", "scopes", multiple=True, help="Serve only orders that follow exactly these; without, all.")
@click.option("--max-age-ms", default=5000, show_default=True, type=click.IntRange(50), help="Older ones are not sent.")
def gateway(journal: str | None, scopes: tuple[str, ...], max_age_ms: int) -> None:
    """Forward admitted orders of a journal to the venue, under gates of its own, until SIGTERM.

    One process serves a journal at a time; others wait to take its place.

    \b
      killswitch-worker gateway --journal orders
    """
    config, switch = _settings({})
    name = journal or config.admission_journal
    if not name or not config.venue_url:
        fail("a gateway needs --journal (or WORKERS_ADMISSION_JOURNAL) and WORKERS_VENUE_URL", EXIT_USAGE)
    _reach(config.queue_address)
    process = _new_name()
    logs.configure(config.log_level, worker=process)
    try:
        followed = tuple(str(Scope.parse(scope)) for scope in scopes) or None
        drained = serve_gateway(config, switch, process, GatewayOptions(name, followed, max_age_ms))
    except InvalidInput as error:
        fail(str(error), EXIT_USAGE)
    sys.exit(0 if drained else _EXIT_IN_FLIGHT)


@main.command()
@click.option("--to", "only", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
def notify(only: tuple[str, ...]) -> None:
    """Send a test notice to every webhook of WORKERS_WEBHOOKS, from here and now, and say what they answered.

    Changes are told by workers that serve the cleanup queue. Where all are busy with engines, run one more that serves
    nothing else: killswitch-worker --queues cleanup
    """
    config, switch = _settings({})
    webhooks = config.webhooks_by_name
    if not webhooks or set(only) - set(webhooks):
        fail(f"WORKERS_WEBHOOKS names {', '.join(webhooks) or 'nobody'}", EXIT_USAGE)
    chosen = {name: webhook for name, webhook in webhooks.items() if not only or name in only}
    sys.exit(0 if try_out(chosen, switch.prefix, click.echo) else _EXIT_UNHEALTHY)


def _worker_settings() -> settings.WorkerSettings:
    try:
        return settings.load()
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)


def _settings(given: dict[str, object]) -> tuple[settings.WorkerSettings, Settings]:
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


def _reach(url: str) -> None:
    """One try to reach the queue's Redis, or the end of the process with one line."""
    client = queues.connect(url)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        _unusable(url, error)
    finally:
        client.close()


def _unusable(url: str, error: Exception) -> NoReturn:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    fail(f"the queue's Redis cannot be used at {_shown(url)} (WORKERS_QUEUE_URL): {reason}", _EXIT_UNREACHABLE)


def _run(config: settings.WorkerSettings, switch: Settings, burst: bool) -> int:
    name = _new_name()
    logs.configure(config.log_level, worker=name)
    agents = AgentHolder(
        switch_agents(switch, name), config.scopes, drain_s=min(_LONGEST_AGENT_DRAIN_S, config.drain_s / 2)
    )
    # Two clients of the queue's Redis, neither of them the switch's: RQ's, and one for the thread that keeps us alive.
    worker = EngineWorker(
        config,
        name=name,
        connection=queues.connect(config.queue_address),
        heart_connection=queues.connect(config.queue_address, _HEART_TIMEOUT_S),
        agents=agents,
    )
    gating = ", ".join(f"{queue} ({'gated' if config.gated(queue) else 'ungated'})" for queue in config.queues)
    say(f"worker {name}: queues {gating} at {_shown(config.queue_address)}, switch at {_shown(switch.redis_url)}")
    with telling(config, switch, name):
        return _serve(worker, config, name, burst)


def _serve(worker: EngineWorker, config: settings.WorkerSettings, name: str, burst: bool) -> int:
    if config.id_file is None:
        return worker.run(burst=burst)
    try:
        health_check.write_id(config.id_file, name)
    except OSError as error:
        fail(f"WORKERS_ID_FILE: {config.id_file} cannot be written: {error.strerror}", EXIT_USAGE)
    try:
        return worker.run(burst=burst)
    finally:
        health_check.forget_id(config.id_file, name)


def _new_name() -> str:
    """Unique on every host and over restarts: containers often share host names and are always pid 1."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()) or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


def _shown(url: str) -> str:
    """The address alone: no user, no password, nothing of what stands behind the path."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


if __name__ == "__main__":
    main(prog_name="killswitch-worker")
