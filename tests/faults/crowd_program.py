"""A process with many agents, for what a whole fleet does at one moment.

Started with a JSON object as its only argument, ordered about with JSON lines on stdin. Each order is answered with one
moment an agent: `read` when the first answer after `after` was asked for that it believed, `open` when it was found
open after `after`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from killswitch import Agent, Mode, Settings, clock

_NAP_S = 0.002


def _confirmed_ns(agent: Agent) -> int:
    """When the last answer that was believed was asked for."""
    age_ms = agent.view.age_ms
    return 0 if age_ms is None else clock.now_ns() - int(age_ms * clock.NS_PER_MS)


def _read_after(agent: Agent, after: int) -> int:
    at = _confirmed_ns(agent)
    return at if at > after else 0


def _open_after(agent: Agent, after: int) -> int:
    now = clock.now_ns()
    return now if agent.view.mode is Mode.SAFE and now > after else 0


_QUESTIONS: dict[str, Callable[[Agent, int], int]] = {"read": _read_after, "open": _open_after}


def _moments(agents: list[Agent], found: Callable[[Agent, int], int], after: int) -> list[int]:
    moments = dict.fromkeys(range(len(agents)), 0)
    while not all(moments.values()):
        for number, agent in enumerate(agents):
            moments[number] = moments[number] or found(agent, after)
        clock.sleep(_NAP_S)
    return list(moments.values())


def main() -> None:
    """Answers until stdin ends."""
    config = json.loads(sys.argv[1])
    agents = [Agent(Settings(**config["settings"])).start() for _ in range(config["count"])]
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_moments(agents, _QUESTIONS[order["do"]], order["after"])), flush=True)


if __name__ == "__main__":
    main()
