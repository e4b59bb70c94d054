"""The verbs of `killswitch-worker`: what the list says is what can be loaded."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from workers import commands
from workers.__main__ import main
from workers.shell import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_of_the_list_is_a_command_of_that_name_with_help(verb: str) -> None:
    """The list is not made of the modules, because it must not load them; so it is held against them."""
    context = click.Context(main)
    command = main.get_command(context, verb)
    assert command is not None
    assert command.name == verb
    assert command.help


def test_every_command_is_on_the_list() -> None:
    """None can be typed that is not shown."""
    folder = Path(commands.__path__[0])
    found = {path.stem for path in folder.glob("*.py") if "@click.command(" in path.read_text()}
    assert found == set(VERBS)


def test_what_is_no_verb_is_none() -> None:
    """Not a module of the same folder either."""
    assert main.get_command(click.Context(main), "common") is None
