"""`killswitch-worker` without a verb: one engine worker until it is told to end."""

from __future__ import annotations

import sys

import redis

from killswitch import Settings
from workers import health, logs, queues, settings
from workers.agents import AgentHolder, switch_agents
from workers.commands.common import new_name, settings_of_both, shown
from workers.commands.reach import reach, unusable
from workers.notices.process import telling
from workers.shell import EXIT_USAGE, fail, say
from workers.worker import EngineWorker

__all__ = ["serve"]

_LONGEST_AGENT_DRAIN_S = 5.0
_HEART_TIMEOUT_S = 2.0


def serve(queue_names: str | None, ungated: str | None, burst: bool) -> None:
    """Runs the worker, and ends the process with its exit code."""
    wanted = {"queues": queue_names, "ungated_queues": ungated}
    config, switch = settings_of_both({name: value for name, value in wanted.items() if value is not None})
    reach(config.queue_address)
    try:
        sys.exit(_run(config, switch, burst))
    except redis.RedisError as error:  # it went away, or refuses us, before the worker was at work
        unusable(config.queue_address, error)


def _run(config: settings.WorkerSettings, switch: Settings, burst: bool) -> int:
    name = new_name()
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
    say(f"worker {name}: queues {gating} at {shown(config.queue_address)}, switch at {shown(switch.redis_url)}")
    with telling(config, switch, name):
        return _serve(worker, config, name, burst)


def _serve(worker: EngineWorker, config: settings.WorkerSettings, name: str, burst: bool) -> int:
    if config.id_file is None:
        return worker.run(burst=burst)
    try:
        health.write_id(config.id_file, name)
    except OSError as error:
        fail(f"WORKERS_ID_FILE: {config.id_file} cannot be written: {error.strerror}", EXIT_USAGE)
    try:
        return worker.run(burst=burst)
    finally:
        health.forget_id(config.id_file, name)
