"""Faults of a server that answers and refuses: who cannot be stopped by it must not trade on it."""

from __future__ import annotations

from pathlib import Path

from killswitch import Code
from killswitch.store.functions import LIBRARY, LIBRARY_VERSION, library_source
from tests.faults.fault import Fault
from tests.faults.world import USER, World
from tests.support.waiting import eventually

__all__ = ["REFUSALS"]

_DENIED = frozenset({Code.REDIS_DENIED})
_ANEW = frozenset({Code.ENGAGED, Code.INCARNATION_CHANGED})


def _snapshot(world: World) -> Path:
    found = world.raw("CONFIG", "GET", "dir")
    assert isinstance(found, list)
    return Path(str(found[1]), "dump.rdb")


def _saved(world: World, word: str) -> None:
    world.raw("BGSAVE")
    eventually(
        lambda: f"rdb_last_bgsave_status:{word}" in str(world.raw("INFO", "persistence")), why=f"a save is {word}"
    )


def _disk_full(world: World) -> None:
    """A directory where the snapshot belongs: saving fails, and the server refuses writes."""
    world.switch.config_set("save", "3600 1")
    _snapshot(world).mkdir()
    _saved(world, "err")


def _disk_mended(world: World) -> None:
    _snapshot(world).rmdir()
    _saved(world, "ok")
    world.switch.config_set("save", "")
    _snapshot(world).unlink()


def _configured(name: str, bad: str, good: str, code: Code, word: str, *, core: bool = False) -> Fault:
    return Fault(
        f"{name} {bad}",
        "P3 P4 S2 S9",
        lambda world: world.switch.config_set(name, bad),
        frozenset({code}),
        lambda world: world.switch.config_set(name, good),
        refuses=word,
        core=core,
    )


def _rights(name: str, taken: str, given: str, *, cut: bool = False, core: bool = False) -> Fault:
    """The workers' user loses `taken`; where that leaves living connections as they are, they are `cut` too."""

    def inject(world: World) -> None:
        world.raw("ACL", "SETUSER", USER, *taken.split())
        if cut:
            world.raw("CLIENT", "KILL", "USER", USER)

    return Fault(
        name,
        "P3 S2 S4",
        inject,
        _DENIED,
        lambda world: world.raw("ACL", "SETUSER", USER, *given.split()),
        others=frozenset({Code.DISCONNECTED}),
        core=core,
    )


def _other_version(world: World) -> None:
    source = library_source().replace(f"VERSION = {LIBRARY_VERSION}", f"VERSION = {LIBRARY_VERSION + 1}")
    assert source != library_source()
    world.raw("FUNCTION", "LOAD", "REPLACE", source)


def _other_answers(world: World) -> None:
    """A library under our name that answers something else."""
    body = f"#!lua name={LIBRARY}\n" + "".join(
        f"redis.register_function('{name}', function() return 'SAFE' end)\n" for name in ("ks_read", "ks_beat")
    )
    world.raw("FUNCTION", "LOAD", "REPLACE", body)


def _library_back(world: World) -> None:
    world.raw("FUNCTION", "LOAD", "REPLACE", library_source())


REFUSALS = [
    _configured("maxmemory", "1", "0", Code.REDIS_OOM, "OOM", core=True),
    _configured("min-replicas-to-write", "1", "0", Code.REDIS_NOREPLICAS, "NOREPLICAS", core=True),
    Fault(
        "disk full",
        "P3 P4 S2 S9",
        _disk_full,
        frozenset({Code.REDIS_MISCONF}),
        _disk_mended,
        refuses="MISCONF",
        core=True,
    ),
    Fault(
        "server turned replica",
        "P4 P9 S9",
        lambda world: world.raw("REPLICAOF", "127.0.0.1", "1"),
        frozenset({Code.REDIS_READONLY}),
        lambda world: world.raw("REPLICAOF", "NO", "ONE"),
        void=True,
        until=_ANEW,
        refuses="READONLY",
        core=True,
    ),
    _rights("command taken away", "-fcall", "+fcall", core=True),
    _rights("keys taken away", "resetkeys", "~*"),
    _rights("commands inside the functions taken away", "-@read", "+@all"),
    _rights("user switched off and cut", "off", "on", cut=True, core=True),
    _rights("password changed and connections cut", "resetpass >other", "resetpass >pw", cut=True),
    Fault(
        "user deleted",
        "P3 S2 S4",
        lambda world: world.raw("ACL", "DELUSER", USER),
        _DENIED,
        lambda world: world.raw("ACL", "SETUSER", USER, "on", ">pw", "~*", "&*", "+@all"),
        others=frozenset({Code.DISCONNECTED}),
    ),
    Fault(
        "functions flushed",
        "P3 S2 S4",
        lambda world: world.raw("FUNCTION", "FLUSH"),
        frozenset({Code.LIBRARY_MISSING}),
        _library_back,
        core=True,
    ),
    Fault(
        "library of another version",
        "P3 S2 S4",
        _other_version,
        frozenset({Code.LIBRARY_MISMATCH}),
        _library_back,
    ),
    Fault(
        "library of the same name that says something else",
        "P3 S2 S4",
        _other_answers,
        frozenset({Code.BAD_ANSWER}),
        _library_back,
    ),
]
