"""Descriptors that other threads use are let go of, not closed: nobody asks or rings a number that was given back."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import Picture
from killswitch.errors import Blocked
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import SHUT, make_readiness
from killswitch.gate.waiting import make_waiting

OPEN = Picture(Mode.SAFE, 7, Code.OPEN, "fine", 2**62, 2**62)


def is_open(number: int) -> bool:
    """Whether the descriptor is still this process's."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="only an epoll set has a descriptor of its own")
def test_a_set_keeps_its_number_until_the_last_check_has_its_answer() -> None:
    """A check that is asking when its agent ends asks the set it meant, never whatever got its number next; and the
    number is given back at once, not when the garbage collector comes by."""
    gate = Gate(make_readiness())
    asking = gate.readiness.ready  # what a check in another thread holds while it asks
    number = asking.__self__.fileno()  # type: ignore[attr-defined]
    gate.let_go()
    assert is_open(number)
    assert asking(0, 1) == []
    del asking
    assert not is_open(number)


def test_a_gate_that_was_let_go_of_blocks_whatever_its_picture_says() -> None:
    """Without a set there is nobody who watches, so nothing passes."""
    gate = Gate(make_readiness())
    gate.show(OPEN)
    assert gate.signal() == 7
    gate.let_go()
    with pytest.raises(Blocked) as caught:
        gate.signal()
    assert caught.value.code is Code.STATE_CHANGED
    with pytest.raises(Blocked), gate.order(7):
        pass
    assert gate.state_now()[0] is Mode.ENGAGED


def test_nothing_is_watched_where_there_is_no_set() -> None:
    """A watcher that would register its socket nowhere fails, which closes; forgetting and closing are harmless."""
    with pytest.raises(ValueError, match="no set"):
        SHUT.watch(0)
    SHUT.forget(0)
    SHUT.close()
    assert SHUT.ready(0, 1)


def test_the_bell_keeps_its_number_while_it_is_rung() -> None:
    """The byte of a permit that comes back while its agent ends goes nowhere, and never into somebody else's line."""
    waiting = make_waiting()
    ringing = waiting._bell  # type: ignore[attr-defined]  # what a thread in the middle of wake() holds
    number = ringing._end.fileno()
    waiting.close()
    assert is_open(number)
    ringing.ring()
    del ringing
    assert not is_open(number)


def test_ringing_for_nobody_does_not_end_a_process_that_dies_of_broken_pipes() -> None:
    """Programs restore SIGPIPE: a permit that comes back late must not kill them."""
    program = (
        "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "from killswitch.gate.waiting import make_waiting\n"
        "made = make_waiting(); bell = made._bell; made.close(); bell.ring(); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
