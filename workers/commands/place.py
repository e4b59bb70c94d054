"""`killswitch-worker place`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import redis

from workers import queues
from workers.commands.common import worker_settings
from workers.commands.reach import unusable
from workers.roster import Place, Roster
from workers.shell import EXIT_REFUSED, EXIT_USAGE, fail
from workers.spec import WrongSpec

__all__ = ["command"]

_LEAD = 2000
_TYPED = {name: f"--{name}" for name in ("symbol", "speed", "seed")} | {"name": "NAME", "scopes": "--scope"}
"""How `place` calls what a specification says."""


@click.command("place")
@click.argument("name")
@click.option("--symbol", default="EURUSD", show_default=True, help="What the engine trades.")
@click.option("--ticks", multiple=True, type=click.Path(path_type=Path), help="Replay this file; may be repeated.")
@click.option("--speed", default="10", show_default=True, help="`max`, or a multiple of the recorded speed.")
@click.option("--scope", "scopes", multiple=True, help="A scope the engine follows, such as strategy:meanrev.")
@click.option("--seed", default=1, show_default=True, help="Of the synthetic ticks, where no file is given.")
@click.option("--again", is_flag=True, help="Queue it also where it runs or waits: it starts when that has ended.")
def command(
    name: str, symbol: str, ticks: tuple[Path, ...], speed: str, scopes: tuple[str, ...], seed: int, again: bool
) -> None:
    """Put the engine NAME on the queue; a worker starts it as soon as the gate is open.

    Without --ticks it trades synthetic ticks until it is stopped. An engine that runs or waits already is not placed
    once more, unless --again says so.

    \b
      killswitch-worker place eurusd-1 --scope strategy:meanrev
      killswitch-worker place eurusd-2 --ticks 20140508_quote.zip --speed 10
    """
    config = worker_settings()
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
        fail(_refused_words(error), EXIT_USAGE)
    except (redis.RedisError, OSError) as error:
        unusable(config.queue_address, error)
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


def _refused_words(error: WrongSpec) -> str:
    """What is wrong with what somebody typed, by the word that it was typed with."""
    parts = []
    for one in error.violations:
        name = next((str(word) for word in reversed(one.location) if isinstance(word, str)), error.what)
        parts.append(f"{_TYPED.get(name, one.place)}: {one.text}")
    return "; ".join(parts)
