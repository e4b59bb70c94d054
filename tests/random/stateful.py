"""How a state machine is run on a real server: the same examples in CI, and no shrinking, which takes minutes."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

__all__ = ["run"]


def run(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Runs `examples` histories of at most `steps` steps; raises what the machine finds."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize="CI" in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            report_multiple_bugs=False,
        ),
    )
