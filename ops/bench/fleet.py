"""How many agents one Redis carries: renewals of 1,000 agents, and one SET that stops them all.

Two child processes speak for the agents over raw connections, word for word what the library's agents say (the fields
of the beats are those of a real agent, which is asked first). What is measured is the server and the wire: the agents'
own Python, which a real fleet spreads over its hosts, is left out; the two processes share this machine's cores with
the server, so the figures are upper bounds.
"""

from __future__ import annotations

import json
import resource
from typing import Any

from killswitch import Agent
from killswitch.clock import now_ns, sleep
from ops.bench import agents
from ops.bench.errors import BenchError
from ops.bench.figures import Row, of_samples
from ops.bench.scene import Scene, Stage

__all__ = ["measure"]

_GROUPS = 2
_SCOPES = ("strategy:bench", "symbol:EURUSD")
_SET_BY_SERVER = (
    "seen_epoch",
    "closed",
    "in_flight",
    "beat_at_ms",
    "quiet_epoch",
    "closed_at_ms",
    "instance",
    "nonce",
    "rival_until_ms",
)
_SPARE_FILES = 64
_MOST_CPU = 25
_MOST_CLOSED_MS = 100


def measure(scene: Scene) -> list[Row]:
    """Rows `fleet_cpu`, `fleet_closed` and `fleet_quiet`."""
    with scene.stage("fleet") as stage:
        size = _affordable(stage.runs(1000, 200))
        template = _template(stage)
        scene.say(f"{size} agents connect")
        for group in range(_GROUPS):
            words = (str(stage.board.path), str(group), str(group * (size // _GROUPS)), str(size // _GROUPS))
            stage.children.start("agents", *words, template)
        stage.children.wait_for(lambda: _sum(stage, agents.OPEN) == size, "the opening of all simulated gates", 60)
        sleep(1.5)  # the beats of the connecting are spread over the next period
        cpu, per_s = _renewals(stage, stage.runs(6, 2))
        closed, quiet = _engages(stage, size, stage.runs(30, 5))
        stage.board.slots[agents.STOP] = 1
    return [
        Row("fleet_cpu", f"one Redis core used by renewals of {size:,} agents", "%", cpu, None, 1,
            f"< {_MOST_CPU} %", cpu < _MOST_CPU,
            f"{per_s:,.0f} questions/s with {1 + len(_SCOPES)} keys each, a fourth of them beats"),
        _closed_row(size, closed),
        of_samples("fleet_quiet", f"SET -> {size:,} agents acknowledged", "ms", quiet),
    ]  # fmt: skip


def _closed_row(size: int, closed: list[float]) -> Row:
    title = f"SET -> {size:,} agents closed (push read)"
    row = of_samples("fleet_closed", title, "ms", closed)
    reached = row.p99 is not None and row.p99 < _MOST_CLOSED_MS
    return of_samples(row.name, title, "ms", closed, target=f"< {_MOST_CLOSED_MS} ms", reached=reached)


def _affordable(size: int) -> int:
    """As many agents, in whole groups, as this process may hand its children descriptors for: two each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * size // _GROUPS + _SPARE_FILES
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
        needed = min(needed, hard)
    return min(size, (needed - _SPARE_FILES) // 2 * _GROUPS)


def _template(stage: Stage) -> str:
    """The keys that a real agent asks about, and what it says of itself in a beat."""
    with Agent(stage.settings, _SCOPES, engine="bench-engine") as agent:
        if not agent.wait_open(10):
            raise BenchError(f"the gate did not open: {agent.view.reason}")
        pairs = stage.line.call("HGETALL", f"{stage.settings.prefix}:worker:{agent.worker_id}")
    fields = {name.decode(): value.decode() for name, value in pairs.items()}
    kept = {name: value for name, value in fields.items() if name not in _SET_BY_SERVER}
    keys = [stage.state_key, *(f"{stage.state_key}:{scope}" for scope in _SCOPES)]
    return json.dumps({"keys": keys, "fields": kept})


def _slot(stage: Stage, group: int, which: int) -> int:
    return stage.board.slots[agents.GROUP + group * agents.PER_GROUP + which]


def _sum(stage: Stage, which: int) -> int:
    return sum(_slot(stage, group, which) for group in range(_GROUPS))


def _last(stage: Stage, which: int) -> int:
    return max(_slot(stage, group, which) for group in range(_GROUPS))


def _server_cpu_s(stage: Stage) -> float:
    text: Any = stage.line.call("INFO", "cpu")
    rows = dict(row.split(":", 1) for row in text.decode().splitlines() if ":" in row)
    return float(rows["used_cpu_sys"]) + float(rows["used_cpu_user"])


def _renewals(stage: Stage, seconds: int) -> tuple[float, float]:
    """Share of one core that the server used, per cent, and questions a second."""
    stage.say("renewals of the whole fleet")
    asked, cpu_s, since = _sum(stage, agents.ASKED), _server_cpu_s(stage), now_ns()
    sleep(seconds)
    elapsed_s = (now_ns() - since) / 1e9
    return 100 * (_server_cpu_s(stage) - cpu_s) / elapsed_s, (_sum(stage, agents.ASKED) - asked) / elapsed_s


def _engages(stage: Stage, size: int, runs: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the SET to the last push read, and to the last acknowledgement answered."""
    closed, quiet = [], []
    wait_for = stage.children.wait_for
    for number in range(1, runs + 1):
        stage.say(f"engage {number} of {runs}")
        pushed, told = _sum(stage, agents.PUSHED), _sum(stage, agents.QUIET)
        sent_ns, _ = stage.line.set(stage.state_key, "ENGAGED")
        wait_for(lambda told=told: _sum(stage, agents.QUIET) - told >= size, "the last acknowledgement")  # type: ignore[misc]
        if _sum(stage, agents.PUSHED) - pushed != size:
            raise BenchError(f"{_sum(stage, agents.PUSHED) - pushed} pushes came for {size} agents")
        closed.append((_last(stage, agents.PUSHED_NS) - sent_ns) / 1e6)
        quiet.append((_last(stage, agents.QUIET_NS) - sent_ns) / 1e6)
        stage.line.set(stage.state_key, "SAFE")
        wait_for(lambda: _sum(stage, agents.OPEN) == size, "the opening of all simulated gates")
        sleep(0.05)
    return closed, quiet
