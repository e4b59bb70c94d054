"""What an entry says that a state was made is read in one place: exactly the forms that the functions write permit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import Mode
from killswitch.core.told import Told, read_told
from tests.unit.ops.pictures import engaged, state

STOP = Told(Mode.ENGAGED)


@pytest.mark.parametrize("via", ["library", "command", "redis-cli", "launch", "a stranger"])
def test_the_forms_of_the_functions_are_read_as_they_are_written(via: str) -> None:
    """A permission without limit, for a time, while it is renewed; and that only orders which reduce may pass."""
    assert read_told("SAFE", via) == Told(Mode.SAFE)
    assert read_told("REDUCING", via) == Told(Mode.REDUCING)
    assert read_told("SAFE (for 28800 s)", via) == Told(Mode.SAFE, limit_s=28_800)
    assert read_told("SAFE (while renewed, 80 s at a time)", via) == Told(Mode.SAFE, renewed_s=80)
    assert read_told("REDUCING (for 5 s)", via) == Told(Mode.REDUCING, limit_s=5)
    assert read_told("REDUCING (while renewed, 80 s at a time)", via) == STOP, "no function writes it"


@pytest.mark.parametrize("via", ["", "raw", "expiry", "incarnation", "reassert"])
def test_what_was_found_is_a_stop_unless_it_is_a_mode_to_the_letter(via: str) -> None:
    """Somebody's own words are none of the three modes, so every gate is closed by them."""
    assert read_told("SAFE", via) == Told(Mode.SAFE)
    assert read_told("SAFE (while renewed, 80 s at a time)", via) == STOP
    maybe = Mode.SAFE if via in ("", "raw") else None
    assert read_told("SAFE (for 5 s)", via) == Told(Mode.ENGAGED, maybe=maybe)


@given(st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"SAFE ({text}"), st.sampled_from(["", "raw", "x"]))
def test_whatever_else_stands_there_is_a_stop(text: str, via: str) -> None:
    """Also where it begins like a permission."""
    told = read_told(text, via)
    if told.limit_s is None and told.renewed_s is None and told.maybe is None:
        assert told.mode is (Mode(text) if text in ("SAFE", "REDUCING") else Mode.ENGAGED)


def test_a_key_with_a_limit_is_told_from_words_that_look_like_one() -> None:
    """They are recorded alike; the key that the entry tells of decides."""
    told = read_told("SAFE (for 5 s)", "raw")
    assert told.under(state(ttl_ms=4_000)) == Told(Mode.SAFE)
    assert told.under(state()) == STOP, "a permission without limit is another one"
    assert told.under(engaged(text="SAFE (for 5 s)")) == STOP
    assert read_told("SAFE (for 5 s)", "command").under(engaged()) == Told(Mode.SAFE, limit_s=5)
