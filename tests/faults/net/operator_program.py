"""An operator on a host of the lab: one command a line on stdin, what came of it on stdout, with the times around it.

Started by `desk.py` with the settings as a JSON object. It stays loaded, so that a time is that of the command alone;
`took_s` also leaves out for how long it stood in line for a processor.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from killswitch import Controller, EpochConflict, KillSwitchError, Settings, clock, quick
from tests.support.waiting import Stopwatch


def engage_fast(reason: str) -> dict[str, Any]:
    """As the command does, by its fast path."""
    press = quick.engage(quick.read_target(os.environ), reason)
    return {"epoch": press.epoch, "durable": press.durability is not None and press.durability.durable}


def commands(control: Controller) -> dict[str, Callable[..., dict[str, Any]]]:
    """What can be asked for."""

    def engage(reason: str, wait_s: float | None = None) -> dict[str, Any]:
        outcome = control.engage(reason, wait_s=wait_s)
        return {
            "verdict": outcome.verdict,
            "epoch": outcome.epoch,
            "durable": outcome.durability is not None and outcome.durability.durable,
            "replicas": outcome.durability.acknowledged if outcome.durability else None,
            "pending": [member.worker_id for member in outcome.pending],
            "leases_out": outcome.leases_out,
            "note": outcome.note,
        }

    def reset(epoch: int | None = None) -> dict[str, Any]:
        looked = control.status().switch.epoch if epoch is None else epoch
        return {"epoch": control.reset(looked, "the fault is over").epoch}

    def status() -> dict[str, Any]:
        found = control.status()
        return {
            "text": found.switch.text,
            "epoch": found.switch.epoch,
            "run_id": found.run_id,
            "members": {member.worker_id: member.quiet_epoch for member in found.members},
        }

    def init() -> dict[str, Any]:
        return {"state": control.init().state}

    return {f.__name__: f for f in (engage, engage_fast, reset, status, init)}


def main() -> None:
    """Obeys until stdin ends."""
    control = Controller(Settings(**json.loads(sys.argv[1])))
    known = commands(control)
    for line in sys.stdin:
        order = json.loads(line)
        begun, watch = clock.now_ns(), Stopwatch()
        try:
            found = known[order.pop("do")](**order)
        except EpochConflict as error:
            found = {"error": "EpochConflict", "current": error.current, "reason": str(error)}
        except KillSwitchError as error:
            found = {"error": type(error).__name__, "code": str(getattr(error, "code", "")), "reason": str(error)}
        found["took_s"] = watch.took_s
        print(json.dumps({**found, "begun": begun, "done": clock.now_ns()}), flush=True)


if __name__ == "__main__":
    main()
