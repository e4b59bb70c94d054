"""`killswitch completion`: the script that teaches a shell to complete."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ops.console import console
from ops.exit_codes import Exit

_VARIABLE = "_KILLSWITCH_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> Exit:
    """Print the completion script for SHELL.

    \b
    eval "$(killswitch completion bash)"                                      in ~/.bashrc
    eval "$(killswitch completion zsh)"                                       in ~/.zshrc
    killswitch completion fish > ~/.config/fish/completions/killswitch.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    console.write(kind(ctx.find_root().command, {}, "killswitch", _VARIABLE).source())
    return Exit.DONE
