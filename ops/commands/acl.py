"""`killswitch acl`: the ACL rules of the roles, ready for redis-cli or for the server's ACL file."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from killswitch import ROLES
from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.render import wrap

if TYPE_CHECKING:
    from killswitch import AclUser

_LONGEST = 4096
_OF_OTHERS = stat.S_IRGRP | stat.S_IROTH
_AFTERWARDS = (
    "rules live in the server's memory until ACL SAVE (with `aclfile`) or CONFIG REWRITE",
    "no role may use ACL: before the user `default` is turned off make an administrator, or nobody can ever change a "
    "user again. In this order: ACL SETUSER admin reset on #SHA256-OF-ITS-PASSWORD ~* &* +@all; log in as it "
    "(redis-cli --user admin ACL WHOAMI has to say admin); save as it; once every user works, as it: ACL SETUSER "
    "default off; save again",
)


@click.command("acl")
@click.option(
    "--role", "-r", "names", type=click.Choice(list(ROLES)), multiple=True, help="Which; default: all of them."
)
@click.option("--user", "-u", metavar="NAME", help="Name of the user, for one role. Default: killswitch-ROLE.")
@click.option("--prefix", metavar="PREFIX", help="Prefix of the keys. Default: KILLSWITCH_PREFIX.")
@click.option(
    "--worker",
    default="*",
    metavar="PATTERN",
    help="Ids that a worker may write rows of, such as 'web1-*'. Default: *.",
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Prints the SHA-256 of the password in this file, for one role.",
)
@click.option("--keep-passwords", is_flag=True, help="Renew the rules of users that are there; leave their passwords.")
@click.option("--file", "for_file", is_flag=True, help="Lines for the server's `aclfile` instead of redis-cli.")
@options.output
def command(
    names: tuple[str, ...],
    user: str | None,
    prefix: str | None,
    worker: str,
    password_file: Path | None,
    keep_passwords: bool,
    for_file: bool,
) -> Exit:
    """Print the ACL rules of the roles: who may do what in the switch's Redis.

    A password is never printed. Without --password-file a user has none, and nobody can log in under its name.

    \b
    killswitch acl | redis-cli --user admin                             every role, without passwords
    killswitch acl --role operator --user alice --password-file alice.pw | redis-cli --user admin
    killswitch acl --keep-passwords | redis-cli --user admin            after an update
    killswitch acl --file > users.acl
    """
    if len(names) != 1 and (user or password_file):
        raise click.UsageError("--user and --password-file are for one --role")
    if keep_passwords and (password_file or for_file):
        raise click.UsageError("--keep-passwords goes with neither --password-file nor --file")
    hashed = _hash(password_file) if password_file else ""
    users = _users(names or tuple(ROLES), user, prefix, worker, hashed, keep_passwords)
    for one in users:
        console.say(one.file_line if for_file else one.command)
        console.tell(*wrap(f"{one.name}: {one.role.purpose}", indent="# "))
        if one.role.beyond:
            console.tell(*wrap(f"beyond its need: {one.role.beyond}", indent="#   "))
    if not hashed and not keep_passwords:
        console.tell(*wrap("no passwords are set: give one with --password-file, once for each user", indent="# "))
    for text in _AFTERWARDS:
        console.tell(*wrap(text, indent="# "))
    console.result({"users": [_object(one) for one in users], "exit_code": int(Exit.DONE)})
    return Exit.DONE


def _users(
    names: tuple[str, ...], user: str | None, prefix: str | None, worker: str, hashed: str, keep: bool
) -> list[AclUser]:
    from killswitch import AclUser, Settings

    settings = Settings() if prefix is None else Settings(prefix=prefix)
    return [
        AclUser(
            role=ROLES[name],
            name=user or f"killswitch-{name}",
            prefix=settings.prefix,
            worker=worker,
            db=settings.endpoint.db,
            password_hash=hashed,
            keep=keep,
            person=user.partition("@")[0].lower() if user else "*",
        )
        for name in names
    ]


def _hash(path: Path) -> str:
    """The SHA-256 of the password that the file holds, without the end of its line."""
    try:
        with path.open("rb") as file:
            found = file.read(_LONGEST + 1)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise click.UsageError(f"--password-file {path}: {error.strerror}: name a file that you may read") from None
    password = found.rstrip(b"\r\n")
    if not password or len(found) > _LONGEST or b"\n" in password or b"\0" in password:
        raise click.UsageError(f"--password-file {path}: it must hold one line of at most {_LONGEST} bytes")
    if mode & _OF_OTHERS:
        console.warn(
            f"--password-file {path}: others may read it (mode {mode:03o}): chmod 600, and use another password"
        )
    return hashlib.sha256(password).hexdigest()


def _object(one: AclUser) -> dict[str, Any]:
    role = one.role
    told = {"role": role.name, "user": one.name, "purpose": role.purpose, "beyond": role.beyond}
    able = {"can": sorted(role.can), "cannot": sorted(role.cannot)}
    return {**told, **able, "rules": one.words, "command": one.command, "file_line": one.file_line}
