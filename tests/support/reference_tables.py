"""The generated parts of docs/reference.md and docs/security.md: settings, codes and roles, taken from the code.

`python -m tests.support.reference_tables` writes them into the pages; a test fails when a page differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from killswitch import Code, Settings
from killswitch.core.roles import ACTIONS, ROLES, AclUser
from killswitch.store.functions import OPERATIONS, library_source
from ops.cli import COMMANDS, cli
from ops.exit_codes import Exit
from workers.__main__ import main as worker
from workers.settings import WorkerSettings

__all__ = ["GENERATED", "PAGE", "PAGES", "SECURITY", "rendered"]

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
SECURITY = PAGE.with_name("security.md")


def _rule(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return " ".join(f"`{value}`" for value in get_args(field.annotation))
    bounds = {
        name: getattr(item, name) for item in field.metadata for name in ("ge", "le", "gt") if hasattr(item, name)
    }
    low = f"{bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}" if "gt" in bounds else ""
    high = f"{bounds['le']}" if "le" in bounds else ""
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else ""


def _default(value: Any) -> str:
    if value is None or value == "" or value == ():
        return ""
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def _settings(kind: type[BaseSettings]) -> str:
    prefix = str(kind.model_config.get("env_prefix", ""))
    lines = ["| variable | default | values | meaning |", "|---|---|---|---|"]
    for name, field in kind.model_fields.items():
        lines.append(f"| `{prefix}{name.upper()}` | {_default(field.default)} | {_rule(field)} | {field.description} |")
    return "\n".join(lines)


def _codes() -> str:
    lines = ["| code | meaning | what to do |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{code}` | {code.meaning} | {code.remedy} |" for code in Code])


def _functions() -> str:
    calls = re.findall(r"^--\s+(FCALL (ks_\w+) .*(?:\n--\s{6,}.*)*)", library_source(), re.M)
    found = {name: re.sub(r"\s*\n--\s+", " ", call) for call, name in calls}
    return "```\n" + "\n".join(found[name] for name in OPERATIONS) + "\n```"


def _usage(path: str, command: click.Command) -> list[str]:
    """One row for a command, or one for each of its own commands."""
    if isinstance(command, click.Group) and not command.invoke_without_command:
        context = click.Context(command)
        found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        return [row for name, inner in found if inner for row in _usage(f"{path} {name}", inner)]
    words = []
    for param in command.params:
        if isinstance(param, click.Option):
            shown = param.opts[0] if param.is_flag else f"{param.opts[0]} {param.make_metavar(click.Context(command))}"
            words.append(shown if param.required else f"[{shown}]")
        else:
            words.append(str(param.human_readable_name))
    text = (command.help or "").partition("\n\n")[0].replace("\n", " ")
    row = f"| `{' '.join([path, *words])}` | {text} |".replace("|", "\\|").replace("\\| `", "| `", 1)
    return [row.replace("` \\|", "` |", 1).removesuffix("\\|") + "|"]


def _commands() -> str:
    context = click.Context(cli)
    lines = ["| command | does |", "|---|---|"]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be loaded"
        lines += _usage(f"killswitch {name}", command)
    lines += _usage("killswitch-worker", worker)
    for name in worker.list_commands(context):
        command = worker.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be loaded"
        lines += _usage(f"killswitch-worker {name}", command)
    return "\n".join(lines)


def _exit_codes() -> str:
    lines = ["| exit code | meaning |", "|---|---|"]
    return "\n".join(lines + [f"| {int(code)} | {code.meaning} |" for code in Exit])


def _roles() -> str:
    lines = ["| role | is for | allows more than it needs |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{r.name}` | {r.purpose} | {r.beyond or 'nothing'} |" for r in ROLES.values()])


def _actions() -> str:
    lines = [f"| | {' | '.join(ROLES)} |", f"|---|{':---:|' * len(ROLES)}"]
    for name, meaning in ACTIONS.items():
        marks = ("yes" if name in role.can else "no" for role in ROLES.values())
        lines.append(f"| {meaning} | {' | '.join(marks)} |")
    return "\n".join(lines)


def _acl_lines() -> str:
    users = (AclUser(role, f"killswitch-{name}", "killswitch") for name, role in ROLES.items())
    return "```\n" + "\n".join(user.command for user in users) + "\n```"


GENERATED: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "exit-codes": _exit_codes,
    "settings": lambda: _settings(Settings),
    "worker-settings": lambda: _settings(WorkerSettings),
    "codes": _codes,
    "functions": _functions,
}
PAGES = {PAGE: GENERATED, SECURITY: {"roles": _roles, "actions": _actions, "acl": _acl_lines}}
"""The parts of each page."""


def rendered(text: str, page: Path = PAGE) -> str:
    """`text` with every generated part of `page` made anew; a part stands between `<!-- name -->` and
    `<!-- /name -->`."""
    for name, make in PAGES[page].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        if not pattern.search(text):
            raise SystemExit(f"docs/{page.name} has no place for the part {name!r}")
        part = make()
        text = pattern.sub(lambda match: f"{match[1]}{part}\n{match[2]}", text)  # noqa: B023 - used at once
    return text


if __name__ == "__main__":
    for written in PAGES:
        written.write_text(rendered(written.read_text(encoding="utf-8"), written), encoding="utf-8")
