"""A worker whose user may not write the state: it cannot put a new incarnation's stop into words, only keep to it."""

from __future__ import annotations

from contextlib import closing

import pytest

from killswitch import Blocked, Code, EpochConflict
from killswitch.core.endpoint import parse_url
from killswitch.store.wire import connect
from tests.support.agents import closes_with, open_epoch, stays_closed
from tests.support.library import Library
from tests.support.switch import Switch


def test_server_that_was_a_replica_for_a_while_opens_nobody_who_may_not_write_the_state(switch: Switch) -> None:
    """P9: a server that was demoted and promoted again may have missed an engagement, whoever it is that asks it."""
    switch.server.cli("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-set")
    agent = switch.agent_at(switch.server.unix_url.replace("unix://", "unix://worker:pw@"))
    open_epoch(agent)
    switch.raw("REPLICAOF", "127.0.0.1", "1")
    closes_with(agent, Code.REDIS_READONLY)
    switch.raw("REPLICAOF", "NO", "ONE")
    closes_with(agent, Code.INCARNATION_CHANGED)
    stays_closed(agent, answers=10)
    with closing(connect(parse_url(switch.server.unix_url), 5.0)) as wire:
        # Who only reads, and an order that asks Redis itself, are told the same as a beat is.
        assert Library(wire, load=False).verdict().code is Code.INCARNATION_CHANGED
        with pytest.raises(Blocked, match="incarnation_changed"):
            Library(wire, load=False).admit(switch.control.status().switch.epoch)
    with pytest.raises(EpochConflict):
        # The operator may write, and thereby puts it into words.
        switch.control.reset(switch.control.status().switch.epoch, "looks as it did")
    switch.permit()
    open_epoch(agent)
