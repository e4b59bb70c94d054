"""Logging is the application's: what fails there is nothing to the gate."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from killswitch import Code
from tests.support.agents import CALM, closes_with, last_pass_ns, open_epoch
from tests.support.switch import Switch


class Unspeakable:
    """A value that cannot be written down."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.faults
def test_a_log_that_fails_neither_keeps_the_gate_open_nor_ends_the_watcher(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2: where what went wrong cannot even be logged, as in a daemon whose stderr is closed, no check passes after
    +OK, and the gate opens again when it is mended."""
    agent = switch.agent(**CALM)
    open_epoch(agent)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    log = logging.getLogger("killswitch.watcher")
    log.addHandler(handler)
    monkeypatch.setattr(sys, "stderr", stream)
    stream.close()
    try:
        agent.annotate(info=Unspeakable())  # type: ignore[arg-type]
        closes_with(agent, Code.BAD_ANSWER)
        ok_ns = switch.engage_raw()
        assert last_pass_ns(agent, ok_ns + 20_000_000) <= ok_ns
        agent.annotate(info="")
        switch.permit()
        open_epoch(agent)
    finally:
        log.removeHandler(handler)
