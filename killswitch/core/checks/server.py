"""Rules about the server itself: its build, its function library, whether it takes writes, its threads and limits."""

from __future__ import annotations

from collections.abc import Mapping

from killswitch.core.checks.facts import Facts, ServerFacts
from killswitch.core.checks.finding import Judged, Unseen, fail, ok, skip, warn

__all__ = ["FIXED", "clients", "io_threads", "library", "make_of", "server", "timeouts", "writes"]

MINIMUM: Mapping[str, tuple[int, int]] = {"Redis": (7, 0), "Valkey": (7, 2)}
"""Oldest servers with function libraries whose renewals are refused as a SET is."""

FIXED: Mapping[str, Mapping[tuple[int, int], int]] = {
    "Redis": {(7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 3, (8, 6): 3},
    "Valkey": {(7, 2): 13, (8, 0): 8, (8, 1): 7, (9, 0): 4, (9, 1): 1},
}
"""First patch of each branch without the known holes that a user with EVAL, FCALL or RESTORE can take the server over
by: CVE-2025-49844, -46817, -46818, -46819, -62507, CVE-2026-23479, -25243, -23631, -56684. As its makers told it when
this release was made; a branch that is missing here is told as not known."""

_MOST_CLIENTS = 0.8
_SLOWEST_THRESHOLD_MS = 5000


def need_server(facts: Facts) -> ServerFacts:
    """The facts of the server. Raises Unseen."""
    if facts.server is None:
        raise facts.why_not("server")
    return facts.server


def make_of(server: ServerFacts) -> tuple[str, tuple[int, int, int]]:
    """Redis or Valkey, and its version; Valkey also tells the version of Redis that it stands for. Raises Unseen."""
    kind = "Valkey" if "valkey_version" in server.info else "Redis"
    text = server.tells("valkey_version" if kind == "Valkey" else "redis_version")
    parts = [int(part) if part.isascii() and part.isdigit() and len(part) < 6 else 0 for part in text.split(".")[:3]]
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return kind, (major, minor, patch)


def server(facts: Facts) -> Judged:
    """Make and build: new enough to work, and without known holes."""
    told = need_server(facts)
    kind, version = make_of(told)
    branch, patch = version[:2], version[2]
    name = f"{kind} {'.'.join(map(str, version))}"
    if told.info.get("redis_mode") == "cluster":
        name += " in cluster mode"
    if branch < MINIMUM[kind]:
        least = " and ".join(f"{make} {major}.{minor}" for make, (major, minor) in MINIMUM.items())
        return fail(f"{name} has no function libraries that fit", f"upgrade: {least} are the oldest that will do")
    if (role := told.tells("role")) != "master":
        return fail(f"{name} is a {role}", "point KILLSWITCH_REDIS_URL at the master, or at its sentinels")
    known = FIXED[kind]
    if branch in known and patch >= known[branch]:
        return ok(name)
    if branch > max(known):
        return ok(f"{name}, a branch newer than the list of known holes in this release")
    if branch in known:
        least = f"{branch[0]}.{branch[1]}.{known[branch]}"
        return warn(f"{name} has known holes", f"upgrade to {least} or newer, or make sure that yours was patched")
    return warn(
        f"{name}: no build of this branch is known to be without the holes in Lua (CVE-2025-49844)",
        "make sure that your distribution patched it (its own version tells), or take a branch that is maintained",
    )


def library(facts: Facts) -> Judged:
    """The function library is this release's, to the letter."""
    found = facts.library
    if found is None:
        raise facts.why_not("library")
    if found.loaded is None or (found.loaded and not found.version):
        raise Unseen(found.trouble.text if found.trouble else "it may not be read")
    if not found.loaded:
        text = "the function library is not loaded"
        return skip(f"{text} yet") if facts.before_init else fail(text, "killswitch init")
    if found.version != found.wanted:
        # One library serves every prefix of a server, and the members of one tell nothing of the fleets under others.
        remedy = "`killswitch init` of the newest release, then workers of that release"
        if facts.before_init:
            remedy = (
                "a launch replaces no library, because every fleet of this server would close under another: where "
                f"none needs version {found.version} any more, {remedy}, then launch again"
            )
        return fail(f"version {found.version}, this release needs {found.wanted}", remedy)
    if found.same is False:
        return fail(
            f"version {found.version}, but its text is not the one of this release",
            "find out who loaded it (redis-cli FUNCTION LIST LIBRARYNAME killswitch WITHCODE), then `killswitch init`",
        )
    text = "its text compared" if found.same else "its text may not be read by this user"
    return ok(f"version {found.version}, {text}")


def writes(facts: Facts) -> Judged:
    """Redis takes writes now: if not, nobody can engage, and no gate can open either."""
    met = facts.library.trouble if facts.library else None
    trouble = facts.write_refused or (met if met and not met.denied else None)
    if trouble:
        return fail(f"{trouble.text} [{trouble.code}]", trouble.remedy)
    # A worker's question is refused whenever a write would be, so its answer is proof enough.
    if facts.library is not None and facts.library.answered:
        return ok("a worker's question was answered")
    if "probe" in facts.unseen:
        raise facts.why_not("probe")
    return ok("a write was accepted")


def io_threads(facts: Facts) -> Judged:
    """One thread writes to clients, so announcements leave before the answer."""
    told = need_server(facts)
    count = told.amount("io-threads")
    if count <= 1:
        return ok("io-threads 1")
    kind, version = make_of(told)
    remedy = "set io-threads 1 in the server's configuration and restart it"
    if kind == "Redis" and version >= (8, 0, 0):
        return fail(f"io-threads {count}: {kind} {version[0]} then writes +OK before the announcement", remedy)
    return warn(f"io-threads {count}: under load the order of what two clients are sent is not certain", remedy)


def timeouts(facts: Facts) -> Judged:
    """A silent connection stays, a dead one is found, and a slow script can be told."""
    told = need_server(facts)
    if limit_s := told.amount("timeout"):
        return fail(
            f"timeout {limit_s}: the silent push connection of every worker is closed after {limit_s} s",
            "redis-cli CONFIG SET timeout 0, and in the configuration file",
        )
    if not told.amount("tcp-keepalive"):
        return warn("tcp-keepalive 0: connections of dead workers stay", "redis-cli CONFIG SET tcp-keepalive 60")
    name = "busy-reply-threshold"
    threshold_ms = told.amount(name)
    if not 0 < threshold_ms <= _SLOWEST_THRESHOLD_MS:
        return warn(f"{name} {threshold_ms} ms: a script that hangs is not told in time", f"CONFIG SET {name} 1000")
    return ok(f"timeout 0, tcp-keepalive {told.amount('tcp-keepalive')}, {name} {threshold_ms} ms")


def clients(facts: Facts) -> Judged:
    """There is room for every worker to connect again, two connections each."""
    told = need_server(facts)
    used, most = told.number("connected_clients"), told.amount("maxclients")
    text = f"{used} of {most} clients"
    if (evicted := told.config.get("maxmemory-clients", "0")) != "0":  # not every server has it
        return warn(f"maxmemory-clients {evicted}: a push connection may be dropped", "CONFIG SET maxmemory-clients 0")
    if used > most * _MOST_CLIENTS:
        return warn(text, "raise maxclients: workers that connect anew after a fault need two connections each")
    return ok(text)
