"""A trading process of the fault tests; see trader_loop for what it does and trader_orders for what may be done to it.

Started by `trader.py` with a JSON object as its only argument.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from pathlib import Path

from killswitch import Agent, Settings, clock
from tests.faults.trader_loop import Account, Line, Nowhere, Trader, map_slots, run, stop_between_announcement_and_check
from tests.faults.trader_orders import Obey


def main() -> None:
    """Trade until the slot EXIT is set."""
    config = json.loads(sys.argv[1])
    slots = map_slots(Path(config["slots"]))
    account = Account(Path(config["log"]), config["worker_id"])
    agent = Agent(Settings(**config["settings"]), config["scopes"], worker_id=config["worker_id"])
    if config["sinks"]:
        agent.annotate(sinks=",".join(config["sinks"]))
    line = Line(config["venue"], config["worker_id"]) if config["venue"] else Nowhere()
    trader = Trader(agent, slots, account, line)
    stop_between_announcement_and_check(slots, [trader])
    life = {"scopes": config["scopes"], "lease_ms": agent.settings.lease_ms, "sinks": config["sinks"]}
    account.add("worker", clock.now_ns(), **life)
    agent.start()
    threading.Thread(target=Obey(trader).serve, daemon=True).start()
    run(trader, config["hot_ms"], config["rest_ms"])
    agent.close(1.0)
    account.add("end", clock.now_ns(), in_flight=agent.in_flight)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
