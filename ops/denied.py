"""What a refusal by Redis's ACL means to whoever gave a command: which user, what was refused, and which roles may."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["command_of", "denied", "roles_for"]

_NEEDS = {
    "engage": ("stop",),
    "reduce": ("reduce",),
    "reset": ("permit",),
    "deadman": ("renew",),
    "drill": ("drill",),
    "init": ("load",),
    "launch": ("load", "permit"),
    "status": ("look",),
    "watch": ("look",),
    "exporter": ("look", "audit"),
    "audit seal": ("seal",),
}
"""What a command does, as words of the table of roles; the other ones of `audit` read the record."""

_RULES = ("load", "permit")
"""What `init` does where it changes a rule for the whole fleet."""

_UNDONE = ("reduce", "reset", "deadman", "audit seal")
"""Commands that do all or nothing."""


def command_of(words: Sequence[str]) -> str:
    """The command among the words of a line: `reset`, `audit seal`; nothing where there is none."""
    names = [word for word in words if not word.startswith("-")]
    return " ".join(names[:2]) if names[:1] == ["audit"] else "".join(names[:1])


def denied(command: str, reason: str) -> tuple[str, str]:
    """What to say of it and what to do. `reason` is what the server said."""
    user = _user()
    what = f"`killswitch {command}`" if command else "the command"
    first = reason.removeprefix("ERR ").partition(" ")[0].rstrip(":")
    if first == "NOAUTH":
        text = f"Redis wants a user with a password, and none is set: {what} was not let in"
    elif first == "WRONGPASS":
        text = f"Redis does not know the user {user}, or not with this password: {what} was not let in"
    else:
        text = f"Redis refused {what} to the user {user}"
        if command == "init" and "ks_policy" in reason:
            text += ": the library is loaded, the rules are as they were"
    undone = "; nothing was done" if first in ("NOAUTH", "WRONGPASS") or command in _UNDONE else ""
    if "may not permit as" in reason:
        hint = "--actor NAME, or KILLSWITCH_ACTOR=NAME, of the person whose user this is"
        return f"{text}{undone} ({reason})", hint
    roles = roles_for(command, reason)
    may = f"the roles that may are {', '.join(roles)}: " if roles else ""
    hint = f"{may}name a user of one in KILLSWITCH_REDIS_URL, with its password in KILLSWITCH_REDIS_PASSWORD"
    return f"{text}{undone} ({reason})", f"{hint}; `killswitch acl` prints the ACL rules of each role"


def _user() -> str:
    from killswitch import Settings, SettingsError

    try:
        return Settings().endpoint.username or "default"
    except SettingsError:
        return "default"


def roles_for(command: str, reason: str = "") -> list[str]:
    """The roles that may do what a command does; `reason` is what the server said, which may tell what it was about."""
    from killswitch import ROLES

    group = command.partition(" ")[0]
    needs = _NEEDS.get(command) or _NEEDS.get(group) or (("audit",) if group == "audit" else None)
    if command == "init" and "ks_policy" in reason:
        needs = _RULES
    return [name for name, role in ROLES.items() if needs and role.can.issuperset(needs)]
