"""Every action that a role may or may not do, as an attempt on a real server: does it come about?

Each attempt has a switch of its own. What it says is what the administrator sees, not what the user was told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from killswitch import Controller, KillSwitchError, Scope, Verdict, quick
from killswitch.core.chain import Chain
from killswitch.errors import StoreRefused
from killswitch.store.audit import read_audit
from killswitch.store.fleet import FleetStore
from killswitch.store.functions import library_source
from killswitch.store.seals import seal_record
from killswitch.store.switch import STOPWORD
from tests.support.agents import open_epoch
from tests.support.library import Library
from tests.support.roles import SCOPE, Bench
from tests.support.switch import TIMEOUT_MS

__all__ = ["ATTEMPTS"]


def _ways_to_write(key: str, other: str) -> list[str]:
    """Commands that make a string SAFE, or help to, under `key`; `other` is a key that holds SAFE."""
    return [
        *(f"{head} {key} SAFE" for head in ("SET", "GETSET", "MSET", "SETNX", "MSETNX", "APPEND")),
        *(f"{head} {key}" for head in ("DEL", "UNLINK", "GETDEL")),
        *(f"SET {key} SAFE KEEPTTL;SETEX {key} 100 SAFE;PSETEX {key} 100000 SAFE;SETRANGE {key} 0 SAFE".split(";")),
        *(f"GETEX {key} PX 1;EXPIRE {key} 0;COPY {other} {key} REPLACE;RENAME {other} {key}".split(";")),
        *(f"RENAMENX {other} {key};BITOP OR {key} {other};SORT {other} STORE {key};SWAPDB 0 1;MULTI".split(";")),
        f"EVAL return(redis.call('SET',KEYS[1],'SAFE')) 1 {key}",
        f"FCALL ks_reset 1 {key} 0 x x",
    ]


def _written(at: Bench, key: str) -> bool:
    """Whether any way, tried from a stop and then from nothing, leaves SAFE under `key`, or takes the stop of a scope
    away, which means the same."""
    for start in ("ENGAGED", None):
        for words in _ways_to_write(key, f"{at.keys.prefix}:elsewhere"):
            at.admin.raw("SET", f"{at.keys.prefix}:elsewhere", "SAFE")
            at.admin.raw("SET", key, "ENGAGED") if start else at.admin.raw("DEL", key)
            at.may(*words.split())
            found = at.admin.raw("GET", key)
            if found == b"SAFE" or (found is None and start and key != at.keys.state):
                return True
    return False


def _looks(at: Bench) -> bool:
    try:
        found = FleetStore(at.user, at.keys).status()
    except StoreRefused:
        return False
    return found.trouble is None and found.switch.mode == "SAFE" and [m.worker_id for m in found.members] == ["lost"]


def _audits(at: Bench) -> bool:
    try:
        return [entry.actor for entry in read_audit(at.user, at.keys, 5)][-1] == "alice"
    except StoreRefused:
        return False


def _seals(at: Bench) -> bool:
    with contextlib.suppress(StoreRefused):
        seal_record(at.user, at.keys, Chain(at.keys.prefix), 100)
    return int(at.admin.raw("XLEN", at.keys.seals)) == len(at.admin.audit())


def _tells(at: Bench) -> bool:
    epoch = at.admin.engage().epoch
    at.may("FCALL", "ks_proved", 1, at.keys.state, epoch, "QUIET", 5, 1, "", "bob", "op", "test")
    return at.admin.audit()[-1].get("verdict") == "QUIET"


def _hears(at: Bench) -> bool:
    if not at.may("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", at.keys.state):
        return False
    at.admin.engage()
    return at.user.wait_push(5.0) is not None


def _asks(at: Bench) -> bool:
    if not at.may("FCALL", "ks_read", 2, at.keys.state, f"{at.keys.state}:{SCOPE}", "n"):
        return False
    answer: Any = at.user.call("FCALL", "ks_read", 1, at.keys.state, "n")
    return bool(answer[5][0][1] == b"SAFE")


def _beats(at: Bench) -> bool:
    at.admin.set_raw("ENGAGED by hand")  # so that the beat has a change to record
    mine = Library(at.user, at.keys.prefix, load=False)
    try:
        mine.beat("w1")
    except StoreRefused:
        return False
    entry = at.admin.audit()[-1]
    assert (entry["actor"], entry["via"]) == ("unattributed", "raw"), entry
    return at.admin.worker("w1")["quiet_epoch"] == entry["epoch"] and mine.leave("w1") == 1


def _admits(at: Bench) -> bool:
    with contextlib.suppress(KillSwitchError):
        Library(at.user, at.keys.prefix, load=False).admit(at.admin.ledger_epoch(), "o-2")
    return [fields["order_id"] for _, fields in at.admin.journal()] == ["o-1", "o-2"]


def _forwards(at: Bench) -> bool:
    ((entry, _),) = at.admin.journal()
    if at.may("FCALL", "ks_outcome", 1, at.keys.state, "orders", 1):
        at.may("FCALL", "ks_outcome", 1, at.keys.state, "orders", 1, entry, "o-1", "forwarded", "-", "-")
    return at.admin.journal() == [] and len(at.admin.outcomes()) == 1


def _stops(at: Bench, scope: str | None = None) -> bool:
    """By the command's own path, from SAFE."""
    if scope:
        at.admin.set_raw("SAFE", scope)
    try:
        press = quick.engage(at.target(), "fat finger", None, None if scope is None else Scope.parse(scope))
    except StoreRefused:
        return False
    assert press.means in ("function", "delete", "copy")
    found = at.admin.get(scope)
    assert found is None if press.means == "delete" else str(found).startswith("ENGAGED"), found
    assert at.admin.get() == ("SAFE" if scope else found)
    return True


def _records(at: Bench) -> bool:
    at.may("FCALL", "ks_engage", 1, at.keys.state, "fat finger", "bob", "", "redis-cli")
    entry = at.admin.audit()[-1]
    return (entry["reason"], entry["actor"]) == ("fat finger", "bob")


def _proves(at: Bench) -> bool:
    at.admin.leave("lost")
    with at.agent() as agent:
        open_epoch(agent)
        try:
            settings = at.settings().model_copy(update={"timeout_ms": TIMEOUT_MS})
            outcome = Controller(settings).engage("prove it", wait_s=10)
        except StoreRefused:
            return False
    assert outcome.verdict is Verdict.QUIET, outcome
    return len(outcome.members) == 1


def _reduces(at: Bench) -> bool:
    at.may("FCALL", "ks_reduce", 1, at.keys.state, "less", "bob")
    return at.admin.get() == "REDUCING"


def _permits(at: Bench) -> bool:
    epoch = at.admin.engage().epoch
    at.may("FCALL", "ks_reset", 1, at.keys.state, epoch, "go", "bob")
    return at.admin.get() == "SAFE"


def _renews(at: Bench) -> bool:
    epoch = int(at.admin.ledger()["switch:epoch"])
    at.may("FCALL", "ks_deadman", 1, at.keys.state, epoch, 20_000, 80_000, "desk", "bob", "desk-1")
    if at.admin.ledger()["deadman"] == "-":
        return False
    at.admin.age_deadman(60_000)
    ends = at.admin.deadman_record()[1]
    at.may("FCALL", "ks_renew", 1, at.keys.state, epoch + 1, "desk-1")
    return at.admin.deadman_record()[1] > ends


def _forgets(at: Bench) -> bool:
    at.may("FCALL", "ks_leave", 1, at.keys.state, "lost")
    if "lost" in at.admin.members():
        at.may("ZREM", at.keys.workers, "lost")
    return "lost" not in at.admin.members()


def _adds(at: Bench) -> bool:
    return at.may("XADD", at.keys.audit, "*", "epoch", "1", "actor", "mallory")


def _erases(at: Bench) -> bool:
    for key in (at.keys.audit, at.keys.ledger):
        for words in (("DEL", key), ("UNLINK", key), ("EXPIRE", key, 0), ("SET", key, "x"), ("RENAME", key, "gone")):
            at.may(*words)
    at.may("XTRIM", at.keys.audit, "MAXLEN", 0)
    at.may("XDEL", at.keys.audit, at.admin.raw("XRANGE", at.keys.audit, "-", "+")[0][0])
    return len(at.admin.audit()) < 2 or "epoch" not in at.admin.ledger()


def _loads(at: Bench) -> bool:
    return at.may("FUNCTION", "LOAD", "REPLACE", library_source()) and at.may("SET", at.keys.stopword, STOPWORD)


BREAKING = (
    "FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "CONFIG SET maxmemory 1", "CONFIG REWRITE", "DEBUG SLEEP 0",
    "SHUTDOWN NOSAVE", "REPLICAOF NO ONE", "FAILOVER", "CLIENT PAUSE 1", "CLIENT KILL ID 999", "CLIENT LIST",
    "ACL SETUSER x on", "ACL LIST", "EVAL x 0", "EVALSHA x 0", "SCRIPT FLUSH", "FUNCTION FLUSH",
    "FUNCTION DELETE killswitch", "FUNCTION RESTORE x", "FCALL other 0", "MODULE LIST", "MONITOR", "SAVE", "BGSAVE",
    "BGREWRITEAOF", "KEYS *", "SCAN 0", "DUMP x", "MIGRATE h 1 x 0 1", "RESTORE x 0 y", "MOVE x 1", "PSYNC ? -1",
    "LATENCY RESET", "SLOWLOG GET", "PSUBSCRIBE *", "SORT x", "CLUSTER RESET", "MULTI", "OBJECT FREQ x",
    "MEMORY USAGE x",
)  # fmt: skip
"""What no role may do, asked for without doing it."""


def _breaks(at: Bench) -> bool:
    for line in BREAKING:
        try:
            answer = at.admin.raw("ACL", "DRYRUN", at.name, *line.split())
        except StoreRefused as error:
            raise AssertionError(f"{line}: {error}") from None
        if answer == b"OK":
            return True
    return False


def _drills(at: Bench) -> bool:
    with at.agent() as agent:
        open_epoch(agent)
        try:
            drill = Controller(at.settings()).drill()
        except KillSwitchError:
            return False
        acknowledged = [one.worker_id for one in drill.workers if one.acknowledged]
        return drill.kept and acknowledged == [agent.worker_id] and at.admin.get() == "SAFE"


ATTEMPTS: dict[str, Callable[[Bench], bool]] = {
    "look": _looks,
    "audit": _audits,
    "seal": _seals,
    "tell-outcome": _tells,
    "hear": _hears,
    "ask": _asks,
    "beat": _beats,
    "admit": _admits,
    "forward": _forwards,
    "stop": _stops,
    "stop-scope": lambda at: _stops(at, SCOPE),
    "stop-recorded": _records,
    "prove": _proves,
    "drill": _drills,
    "reduce": _reduces,
    "permit": _permits,
    "renew": _renews,
    "permit-by-hand": lambda at: _written(at, at.keys.state),
    "loosen-scope": lambda at: _written(at, f"{at.keys.state}:{SCOPE}"),
    "forget": _forgets,
    "add-to-record": _adds,
    "erase-record": _erases,
    "load": _loads,
    "break-server": _breaks,
}
