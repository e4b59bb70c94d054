"""Error replies of Redis as one closed list of codes.

Invariant: every error reply has a code, and what is not known is `redis_refused`; nothing in its words is believed that
somebody else may have written there, so only how an error begins is looked at, or what no text of ours can hold.
"""

from __future__ import annotations

from killswitch.core.reasons import Code
from killswitch.errors import LibraryMissing, StoreRefused

__all__ = ["refusal"]

_REFUSALS = {
    "OOM": Code.REDIS_OOM,
    "MISCONF": Code.REDIS_MISCONF,
    "NOREPLICAS": Code.REDIS_NOREPLICAS,
    "MAXCLIENTS": Code.REDIS_MAXCLIENTS,
    "READONLY": Code.REDIS_READONLY,
    "MASTERDOWN": Code.REDIS_READONLY,
    "BUSY": Code.REDIS_BUSY,
    "LOADING": Code.REDIS_LOADING,
    "NOAUTH": Code.REDIS_DENIED,
    "NOPERM": Code.REDIS_DENIED,
    "WRONGPASS": Code.REDIS_DENIED,
}


def refusal(text: str) -> StoreRefused:
    """The error for an error reply: classified by its first word, carrying the server's own text."""
    # ACL refusals inside a function come behind "ERR ", so the word is looked for there as well.
    words = text.replace("-", " ").split(maxsplit=2)
    for word in words[:2]:
        if word in _REFUSALS:
            return StoreRefused(_REFUSALS[word], text)
    if text.removeprefix("ERR ").startswith("max number of clients"):
        return StoreRefused(Code.REDIS_MAXCLIENTS, text)
    if text.removeprefix("ERR ").startswith("Function not found"):  # elsewhere it is a part of somebody's reason
        return LibraryMissing(
            Code.LIBRARY_MISSING, "the function library is not loaded in this Redis: run `killswitch init`"
        )
    # The last two are said of a command inside a function, by Valkey and later Redis, and by Redis 7.0.
    if "NOPERM" in text or "ACL failure" in text or "The user executing the script can't" in text:
        return StoreRefused(Code.REDIS_DENIED, text)
    return StoreRefused(Code.REDIS_REFUSED, text)
