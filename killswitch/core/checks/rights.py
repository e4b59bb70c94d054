"""Rules about who may do what, and who can reach the server at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from killswitch.core.checks.facts import Facts, RightsFacts
from killswitch.core.checks.finding import Judged, Unseen, fail, ok, warn
from killswitch.core.checks.server import need_server
from killswitch.core.roles import ROLES

__all__ = ["Grants", "abilities", "acl", "approving", "exposure", "grants_of_role", "role_that_fits", "what_differs"]

Grants = frozenset[frozenset[str]]
"""What a user may do, as words of ACL SETUSER: one set for each grant, which has its commands, keys and channels."""

NAMED_AFTER = "killswitch-"
"""Begins the name of a user that `killswitch acl` makes, followed by its role."""

_NEEDED_ROLES = ("worker", "operator")
_DEFAULT_OFF = (
    "a user for each role (`killswitch acl`) and first of all an administrator, because no role may use ACL: ACL "
    "SETUSER admin reset on #SHA256-OF-ITS-PASSWORD ~* &* +@all; log in as it and save (ACL SAVE or CONFIG REWRITE); "
    "then, as it, ACL SETUSER default off, and save again"
)
"""Turned off while nobody else may use ACL, `default` can not be turned on again."""
_LOOPBACK = ("127.", "-127.", "::1", "-::1", "localhost")
_SHOWN = 3
_USERS_SHOWN = 16


def _grant(words: Iterable[str], prefix: str) -> frozenset[str]:
    """The words that matter, alike whoever writes them: a pattern of worker ids is any pattern and a person any person,
    reading and writing is the whole right to a key, and selecting a database is no right of its own."""
    own = (f"~{prefix}:worker:", f"~{prefix}:approval:")
    told = (f"~{word[4:]}" if word.startswith("%RW~") else word for word in words if word not in ("-@all", "+select"))
    return frozenset(next((f"{row}^" for row in own if word.startswith(row)), word) for word in told)


def grants_of_role(name: str, prefix: str) -> Grants:
    """What the role comes to under this prefix."""
    words = ROLES[name].rules(prefix, "^")
    first = [word for word in words if not word.startswith("(")]
    selectors = [word.strip("()").split() for word in words if word.startswith("(")]
    return frozenset(_grant(part, prefix) for part in (first, *selectors))


def grants_of_user(parts: Iterable[str], prefix: str) -> Grants:
    """What a user has: each part is the text of one grant, its commands, keys and channels."""
    return frozenset(_grant(part.split(), prefix) for part in parts)


def role_that_fits(grants: Grants, prefix: str) -> str:
    """The role that these grants are exactly, or an empty text."""
    return next((name for name in ROLES if grants_of_role(name, prefix) == grants), "")


def what_differs(grants: Grants, role: str, prefix: str) -> str:
    """In words, what a user that is called as a role has more and less than that."""
    wanted = grants_of_role(role, prefix)

    def shown(found: Grants) -> str:
        texts = sorted(" ".join(sorted(grant, key=lambda word: ("+~%&".find(word[:1]), word))) for grant in found)
        more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        return "; ".join(f"({text[:120]})" for text in texts[:_SHOWN]) + more

    parts = [
        f"{what} {shown(found)}" for what, found in (("has", grants - wanted), ("lacks", wanted - grants)) if found
    ]
    return ", ".join(parts)


def abilities(prefix: str) -> Mapping[str, tuple[str, ...]]:
    """Harm that is tried with ACL DRYRUN for a user without a role: a name and a command. Nothing of it is done."""
    return {
        "write SAFE": ("SET", f"{prefix}:state", "SAFE"),
        "FLUSHALL": ("FLUSHALL",),
        "SWAPDB": ("SWAPDB", "0", "1"),
        "CONFIG SET": ("CONFIG", "SET", "timeout", "1"),
        "ACL SETUSER": ("ACL", "SETUSER", "x"),
        "CLIENT PAUSE": ("CLIENT", "PAUSE", "1"),
        "EVAL": ("EVAL", "return 1", "0"),
    }


def approving(prefix: str) -> tuple[str, ...]:
    """A command by which a user would approve as somebody whose name nobody has, for ACL DRYRUN."""
    return ("SET", f"{prefix}:approval:nobody.has.this.name:switch", "")


def acl(facts: Facts) -> Judged:
    """Every user is what its role says, there is one for each that a fleet needs, and this tool runs as one."""
    found = facts.rights
    if found is None:
        raise facts.why_not("rights")
    if found.refused:
        raise Unseen(f"user {found.user}: {found.refused}")
    if found.odd:
        texts = [f"{name} is not its role: {text}" for name, text in sorted(found.odd.items())]
        return fail(
            "; ".join(texts),
            "killswitch acl --keep-passwords | redis-cli --user ADMIN, with the prefix of this switch; then save",
        )
    missing = [role for role in _NEEDED_ROLES if role not in found.users.values()]
    roles = [f"{name} ({role})" for name, role in sorted(found.users.items()) if role]
    named = ", ".join(roles[:_USERS_SHOWN]) + (f" and {len(roles) - _USERS_SHOWN} more" if roles[_USERS_SHOWN:] else "")
    own = found.users.get(found.user, "")
    if missing or not own:
        lacking = f"; no user has the role {' or '.join(missing)}" if missing else ""
        text = f"{named or 'no user has a role'}{lacking if roles else ''}; {_own(found, own)}"
        return warn(text, "killswitch acl prints the rules of each role; give every worker and person a user of one")
    return ok(f"{named}; {_own(found, own)}")


def _own(found: RightsFacts, role: str) -> str:
    if role:
        return f"this user, {found.user}, is {role}"
    harm = [name for name, may in found.may.items() if may]
    unknown = "" if all(may is not None for may in found.may.values()) else ", and more that was not told"
    return f"this user, {found.user}, has no role and may {', '.join(harm) or 'do no known harm'}{unknown}"


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
    remedy = _DEFAULT_OFF
    text = "the user `default` needs no password"
    if inside or told.set_to("protected-mode") == "yes":
        reach = "only this machine reaches it" if inside else "protected-mode keeps other machines out"
        return warn(f"{text}; {reach}", remedy)
    return fail(f"{text}, and the server listens on {' '.join(places) or 'every address'}", remedy)


def _encrypted(facts: Facts, text: str) -> Judged:
    if facts.settings.scheme in ("redis", "redis+sentinel") and not facts.settings.local:
        return warn(f"{text}; without TLS the password can be read on the way", "use a rediss:// URL")
    return ok(text)
