"""Rules about who may do what, and who can reach the server at all."""

from __future__ import annotations

from collections.abc import Mapping

from killswitch.core.checks.facts import Facts
from killswitch.core.checks.finding import Judged, Unseen, fail, ok, warn
from killswitch.core.checks.server import need_server

__all__ = ["abilities", "acl", "exposure"]

_NEEDED = ("look", "engage")
_HARM = "harm: "
_LOOPBACK = ("127.", "-127.", "::1", "-::1", "localhost")


def abilities(prefix: str) -> Mapping[str, tuple[str, ...]]:
    """What is tried with ACL DRYRUN: a name and a command. Nothing of it is done."""
    state = f"{prefix}:state"
    return {
        "look": ("HGETALL", f"{prefix}:ledger"),
        "renew": ("FCALL", "ks_read", "1", state, "0"),
        "be told of changes": ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", state),
        "engage": ("SET", state, "ENGAGED"),
        "load the library": ("FUNCTION", "LOAD", "REPLACE", "#!lua"),
        f"{_HARM}FLUSHALL": ("FLUSHALL",),
        f"{_HARM}SWAPDB": ("SWAPDB", "0", "1"),
        f"{_HARM}CONFIG SET": ("CONFIG", "SET", "timeout", "1"),
        f"{_HARM}ACL SETUSER": ("ACL", "SETUSER", "x"),
        f"{_HARM}CLIENT PAUSE": ("CLIENT", "PAUSE", "1"),
        f"{_HARM}EVAL": ("EVAL", "return 1", "0"),
    }


def acl(facts: Facts) -> Judged:
    """This user may do what it needs, and no harm besides."""
    found = facts.rights
    if found is None:
        raise facts.why_not("rights")
    if found.refused:
        raise Unseen(f"user {found.user}: {found.refused}")
    missing = [name for name in _NEEDED if found.may.get(name) is False]
    unknown = [name for name, may in found.may.items() if may is None]
    if missing:
        return fail(f"user {found.user} may not {' or '.join(missing)}", "operate with a user that may")
    if unknown:
        raise Unseen(f"user {found.user}: whether it may {unknown[0]} was not told")
    harm = [name.removeprefix(_HARM) for name, may in found.may.items() if may and name.startswith(_HARM)]
    allowed = [name for name, may in found.may.items() if may and not name.startswith(_HARM)]
    text = f"user {found.user} may {', '.join(allowed)}"
    if harm:
        return warn(f"{text}; and {', '.join(harm)}", "give operators and workers users of their own, without these")
    return ok(text)


def exposure(facts: Facts) -> Judged:
    """Nobody without a password reaches the switch."""
    told, found = need_server(facts), facts.rights
    if found is None:
        raise facts.why_not("rights")
    if found.default is None:
        raise Unseen("the flags of the user `default` (ACL GETUSER) may not be read")
    open_to_all = "on" in found.default and "nopass" in found.default
    if not open_to_all:
        return _encrypted(facts, "the user `default` is off" if "off" in found.default else "it asks for a password")
    places = told.set_to("bind").split()
    inside = bool(places) and all(place.startswith(_LOOPBACK) for place in places)
    remedy = "ACL SETUSER default off, and a user for each role"
    text = "the user `default` needs no password"
    if inside or told.set_to("protected-mode") == "yes":
        reach = "only this machine reaches it" if inside else "protected-mode keeps other machines out"
        return warn(f"{text}; {reach}", remedy)
    return fail(f"{text}, and the server listens on {' '.join(places) or 'every address'}", remedy)


def _encrypted(facts: Facts, text: str) -> Judged:
    if facts.settings.scheme in ("redis", "redis+sentinel") and not facts.settings.local:
        return warn(f"{text}; without TLS the password can be read on the way", "use a rediss:// URL")
    return ok(text)
