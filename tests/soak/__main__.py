"""`python -m tests.soak --minutes 30 [--seed N] [--kind redis|valkey] [--output FILE] [--keep DIR]`:
see docs/evidence.md.

Ends with 0 if nothing was wrong, with 1 otherwise, with 2 on wrong usage. On a terminal it shows what goes on; in a
pipe it is quiet but for violations. The summary is one JSON object on stdout (and in FILE), for people on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from killswitch import clock
from tests.evidence import record
from tests.history.events import Event
from tests.soak.faults import FAULTS
from tests.soak.gaps import noting_gaps
from tests.soak.judge import Judge
from tests.soak.plan import cycles
from tests.soak.report import as_row, as_text
from tests.soak.run import Soak, teller
from tests.soak.stage import Stage

__all__ = ["main", "soak"]


def soak(
    kind: str,
    seed: int,
    minutes: float,
    *,
    burners: int = 4,
    rq_workers: int = 2,
    far: bool = True,
    quiet: bool = True,
    keep: Path | None = None,
) -> dict[str, Any]:
    """One run; its summary."""
    started = clock.now_ns()
    with Stage(kind, seed, burners=burners, rq_workers=rq_workers, far=far) as stage, noting_gaps(stage):
        meta: Event = {"kind": "meta", "t": 0, "source": "soak", "seed": seed, "lease_ms": 1000, "renew_ms": 200}
        meta |= {"rate_error": 0.1, "split_ms": 0, "p2": True}
        judge = Judge(meta, keep)
        run = Soak(stage, judge, teller(started, quiet))
        plan = cycles(seed, known=tuple(FAULTS), far=far, queue=rq_workers > 0)
        growth = run.run(plan, started + int(minutes * 60e9))
        took = (clock.now_ns() - started) / 60e9
        head = {
            "seed": seed,
            "server": stage.server.binary.name,
            "minutes": round(took, 2),
            "cores": os.cpu_count(),
        }
        return run.figures.as_json(judge, growth, head)


def main() -> int:
    """Read the options, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kind", choices=("redis", "valkey"), default="redis")
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="keep windows with violations there")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("KILLSWITCH_", "WORKERS_"))]:
        if name != "KILLSWITCH_TEST_DATA":
            del os.environ[name]
    seed = random.SystemRandom().getrandbits(31) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    found = soak(options.kind, seed, options.minutes, quiet=not sys.stderr.isatty(), keep=options.keep)
    text = json.dumps(found)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n")
    print(as_text(found), file=sys.stderr)
    record.record("soak", **as_row(found))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
