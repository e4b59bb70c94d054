"""Looks at a server before a fleet is trusted to it: what it is, how it is set up, what this user may do.

Invariant: reads only, and asks what others may do without doing it (ACL DRYRUN). What is refused is told as refused,
never taken for well. It decides nothing; the rules are in core/checks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from killswitch.core.answer import BadAnswer, parse_answer
from killswitch.core.checks.facts import LibraryFacts, RightsFacts, SentinelFacts, ServerFacts, Trouble
from killswitch.core.checks.rights import (
    NAMED_AFTER,
    Grants,
    abilities,
    approving,
    grants_of_user,
    role_that_fits,
    what_differs,
)
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.core.roles import ROLES
from killswitch.errors import LibraryMissing, StoreRefused, StoreUnavailable
from killswitch.store.functions import LIBRARY, LIBRARY_VERSION, Caller, library_source
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text
from killswitch.store.wire import connect

__all__ = ["look_at_library", "look_at_rights", "look_at_sentinels", "look_at_server", "trouble_of"]

_SETTINGS = (
    "appendfsync", "appendonly", "bind", "busy-reply-threshold", "io-threads", "maxclients",
    "maxmemory-clients", "min-replicas-max-lag", "min-replicas-to-write", "protected-mode",
    "replica-serve-stale-data", "save", "stop-writes-on-bgsave-error", "tcp-keepalive", "timeout",
)  # fmt: skip
_TEXT_MAX = 400
_USERS_MAX = 1000
_GRANT = ("commands", "keys", "channels")


def as_map(reply: object) -> dict[str, str]:
    """A map of RESP3, or pairs as RESP2 gives them, as text."""
    if isinstance(reply, dict):
        return {as_text(name): as_text(value) for name, value in reply.items()}
    if isinstance(reply, list):
        return {as_text(name): as_text(value) for name, value in zip(reply[::2], reply[1::2], strict=False)}
    return {}


def look_at_server(caller: Caller) -> ServerFacts:
    """INFO and the settings that rules are about. Raises StoreUnavailable."""
    refused: dict[str, str] = {}
    info = config = {}
    try:
        lines = as_text(caller.call("INFO")).splitlines()
        info = {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
    except StoreRefused as error:
        refused["INFO"] = f"INFO was refused: {error.reason[:_TEXT_MAX]}"
    try:
        config = as_map(caller.call("CONFIG", "GET", *_SETTINGS))
    except StoreRefused as error:
        refused["CONFIG GET"] = f"CONFIG GET was refused: {error.reason[:_TEXT_MAX]}"
    return ServerFacts(info, config, refused)


def look_at_library(caller: Caller, keys: Keys) -> LibraryFacts:
    """Whether the function library is there, is ours, and what a worker's question meets. Raises StoreUnavailable."""
    found = LibraryFacts(wanted=LIBRARY_VERSION)
    with contextlib.suppress(StoreRefused):
        listed = caller.call("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY, "WITHCODE")
        texts = [as_map(one).get("library_code", "") for one in listed] if isinstance(listed, list) else []
        found = replace(found, loaded=bool(texts), same=texts == [library_source()])
    try:
        answer = parse_answer(caller.call("FCALL", "ks_read", 1, keys.state, 0), 1)
        return replace(found, loaded=True, answered=True, version=answer.version)
    except LibraryMissing:
        # A library of that name without this function is another one, and to be replaced as well.
        return replace(found, loaded=False)
    except BadAnswer as error:
        trouble = Trouble(str(Code.BAD_ANSWER), str(error), Code.BAD_ANSWER.remedy)
    except StoreRefused as error:
        trouble = trouble_of(error)
    return replace(found, version=LIBRARY_VERSION if found.same else 0, trouble=trouble)


def trouble_of(error: StoreRefused) -> Trouble:
    """A refusal as a fact."""
    return Trouble(str(error.code), error.reason[:_TEXT_MAX], error.code.remedy, error.code is Code.REDIS_DENIED)


def look_at_rights(caller: Caller, keys: Keys) -> RightsFacts:
    """Who may do what, without doing it. Raises StoreUnavailable."""
    try:
        user = as_text(caller.call("ACL", "WHOAMI"))
    except StoreRefused as error:
        return RightsFacts("(unknown)", refused=f"ACL WHOAMI was refused: {error.reason[:_TEXT_MAX]}")
    default: tuple[str, ...] | None = None
    try:
        default = _flags(_user(caller, "default"))
        listed = caller.call("ACL", "USERS")
        names = [as_text(name) for name in listed][:_USERS_MAX] if isinstance(listed, list) else []
        told = {name: _user(caller, name) for name in names}
    except StoreRefused as error:
        return RightsFacts(user, default=default, refused=f"ACL GETUSER was refused: {error.reason[:_TEXT_MAX]}")
    grants = {name: _grants(user_told, keys.prefix) for name, user_told in told.items()}
    users = {name: role_that_fits(found, keys.prefix) for name, found in grants.items()}
    called = {name: name.removeprefix(NAMED_AFTER) for name in names if name.startswith(NAMED_AFTER)}
    odd = {
        name: what_differs(grants[name], role, keys.prefix)
        for name, role in called.items()
        if role in ROLES and users[name] != role
    }
    may = {} if users.get(user) else {name: _dry(caller, user, words) for name, words in abilities(keys.prefix).items()}
    return RightsFacts(user, users, odd, may, default, _anybody(caller, told, keys.prefix))


def _user(caller: Caller, name: str) -> Mapping[str, object]:
    reply = caller.call("ACL", "GETUSER", name)
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=False))
    return {as_text(field): value for field, value in reply.items()} if isinstance(reply, dict) else {}


def _flags(user: Mapping[str, object]) -> tuple[str, ...] | None:
    flags = user.get("flags")
    return tuple(as_text(flag) for flag in flags) if isinstance(flags, list | set | tuple) else None


def _grants(user: Mapping[str, object], prefix: str) -> Grants:
    selectors = user.get("selectors")
    parts = [user, *(as_map(one) for one in selectors)] if isinstance(selectors, list) else [user]
    return grants_of_user((" ".join(as_text(part.get(word)) for word in _GRANT) for part in parts), prefix)


def _dry(caller: Caller, name: str, words: tuple[str, ...]) -> bool | None:
    """Whether somebody may do that, by ACL DRYRUN, which answers OK or the refusal as a text. None: it was refused, or
    is about a command that this server does not know."""
    try:
        return as_text(caller.call("ACL", "DRYRUN", name, *words)) == "OK"
    except StoreRefused:
        return None


def _anybody(caller: Caller, told: Mapping[str, Mapping[str, object]], prefix: str) -> tuple[str, ...] | None:
    """Who may approve in every person's name; None where that was not told. An administrator could make a user of any
    name, and is left out, unless it asks for no password."""
    found = []
    for name, user in told.items():
        flags = _flags(user) or ()
        if "on" not in flags:
            continue
        may = _dry(caller, name, approving(prefix))
        if may is None:
            return None
        if may and ("nopass" in flags or not _dry(caller, name, abilities(prefix)["ACL SETUSER"])):
            found.append(name)
    return tuple(found)


def look_at_sentinels(endpoint: Endpoint, limit_s: float) -> tuple[SentinelFacts, ...]:
    """What each sentinel of the URL says; `limit_s` bounds each step with each. Raises nothing."""
    return tuple(_sentinel(endpoint, host, port, limit_s) for host, port in endpoint.hosts)


def _sentinel(endpoint: Endpoint, host: str, port: int, limit_s: float) -> SentinelFacts:
    where = f"{host}:{port}"
    place = Endpoint("rediss" if endpoint.tls else "redis", ((host, port),), tls_files=endpoint.tls_files)
    try:
        try:
            wire = connect(place, limit_s, "killswitch-preflight")
        except StoreRefused as error:
            if error.code is not Code.REDIS_DENIED or not endpoint.password:
                raise
            wire = connect(
                replace(place, username=endpoint.username, password=endpoint.password), limit_s, "killswitch-preflight"
            )
        with contextlib.closing(wire):
            return _asked(wire, where, endpoint.master)
    except (StoreUnavailable, StoreRefused) as error:
        return SentinelFacts(where, trouble=error.reason[:_TEXT_MAX])


def _asked(caller: Caller, where: str, master: str) -> SentinelFacts:
    told = as_map(caller.call("SENTINEL", "MASTER", master))
    usable, verdict = None, ""
    try:
        verdict = as_text(caller.call("SENTINEL", "CKQUORUM", master))
        usable = True
    except StoreRefused as error:
        if "NOQUORUM" in error.reason:
            usable, verdict = False, error.reason[:_TEXT_MAX]
    return SentinelFacts(
        where,
        f"{told.get('ip', '')}:{told.get('port', '')}",
        _whole(told.get("quorum", "")),
        _whole(told.get("num-other-sentinels", "")),
        _whole(told.get("down-after-milliseconds", "")),
        usable,
        verdict,
    )


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
