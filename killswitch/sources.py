"""The files that settings come from, `.env` and the secret files: which of them cannot be read, and why. And who is on
record where no source names anybody.

They are UTF-8; a byte order mark in front is passed over. What is in them is never quoted, not even one byte: it may be
a password.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable

__all__ = ["ENCODING", "default_actor", "read_source", "source_fault", "source_faults"]

ENCODING = "utf-8-sig"
_LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")  # where `getpass.getuser` looks first


def default_actor() -> str:
    """`user@host` of this process. Only its own environment is asked, else it is the number of the user: a directory
    of users may be on the network that has just failed, and an engagement would wait for it."""
    user = next((name for name in map(os.environ.get, _LOGIN) if name), None)
    if user is None:
        user = f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{user}@{platform.node()}"


def read_source(path: str, errors: str = "strict") -> str:
    """The text of a file. Null characters are no text: UTF-16 would else pass for UTF-8 in which nothing is set.

    Raises:
        OSError, UnicodeError: it cannot be read; see `source_fault`.
    """
    with open(path, encoding=ENCODING, errors=errors) as file:
        text = file.read()
    if "\0" in text:
        raise UnicodeError("null character")
    return text


def source_fault(path: str, error: OSError | UnicodeError) -> str:
    """What `error`, met while reading `path`, means to a person: the file, the rule and the remedy, in one line."""
    shown = path if path.isprintable() else ascii(path)
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"the file {shown} cannot be read: line {line} is not UTF-8: save it in that encoding"
    if isinstance(error, UnicodeError):
        return f"the file {shown} cannot be read: it is not UTF-8: save it in that encoding"
    why = error.strerror or type(error).__name__
    return f"the file {shown} cannot be read: {why}: let this user read it, or remove it"


def source_faults(variables: Iterable[str], folder: str | None, env_file: str | None = ".env") -> tuple[str, ...]:
    """A line for each source that is there and cannot be read: `env_file`, and the files in `folder` that are called
    like one of `variables`, in whatever case."""
    found = []
    paths = [env_file] if env_file else []
    known = {name.lower() for name in variables}
    if folder:
        folder = os.path.expanduser(folder)
        try:
            paths += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.lower() in known]
        except (FileNotFoundError, NotADirectoryError):
            pass  # there are no secrets
        except OSError as error:
            found.append(source_fault(folder, error))
    for path in filter(os.path.isfile, paths):
        try:
            read_source(path)
        except (OSError, UnicodeError) as error:
            found.append(source_fault(path, error))
    return tuple(found)
