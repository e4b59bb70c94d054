"""Breaks of the simulated server: each would let the simulation prove something about a Redis that does not exist."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_SERVER = "tests/simulation/server.py"
_STORE = "tests/simulation/store.py"
_COMMANDS = "tests/simulation/commands.py"
_STREAM = "tests/simulation/commands_stream.py"
_HOST = "tests/simulation/host.lua"
_LUA = "tests/simulation/lua_redis.py"
_DIFFERENCES = ("tests/simulation/test_server.py",)
_REFUSALS = ("tests/simulation/test_server_refusals.py",)
_PUSHES = ("tests/simulation/test_server_pushes.py",)
_LIVES = ("tests/simulation/test_server_lives.py",)
_LANGUAGE = ("tests/simulation/test_server_lua.py",)

MUTANTS = [
    Mutant(
        "sim-server-answers-renewals",
        "P4",
        _SERVER,
        'if self.refusing and not (self.read_gate and name == b"ks_read"):',
        'if self.refusing and name != b"ks_read":',
        _REFUSALS,
        "no simulated run could show that a server which refuses the stop refuses the renewal too",
    ),
    Mutant(
        "sim-server-engage-refused-without-memory",
        "P4",
        _SERVER,
        'spared = reads or (self.refusing == "OOM" and "allow-oom" in function.flags)',
        "spared = reads",
        _REFUSALS,
        "the simulation would not see what happens after an engagement without memory",
    ),
    Mutant(
        "sim-server-announces-late",
        "P2",
        _SERVER,
        'self.push(session, [b"invalidate", names], before=session is not author)',
        'self.push(session, [b"invalidate", names], before=False)',
        _PUSHES,
        "the order of announcement and reply is what P2 rests on",
    ),
    Mutant(
        "sim-server-announces-a-flush-early",
        "P2",
        _SERVER,
        'self.push(session, [b"invalidate", None], before=False)',
        'self.push(session, [b"invalidate", None], before=True)',
        _PUSHES,
        "a real server confirms a flush first, and a check may pass in between",
    ),
    Mutant(
        "sim-server-hears-of-nothing",
        "P2",
        _STORE,
        "        self.ends.pop(key, None)\n        if self.values.pop(key, None) is None:\n            return False\n"
        "        self.touched[key] = None",
        "        self.ends.pop(key, None)\n        if self.values.pop(key, None) is None:\n            return False",
        _PUSHES,
        "a deleted state would be announced to nobody",
    ),
    Mutant(
        "sim-server-keeps-its-run-id",
        "P9",
        _SERVER,
        "            made.restore(data)\n",
        "            made.restore(data)\n            made.functions = self.functions\n",
        _LIVES,
        "a restarted server would call itself by its old name, so no incarnation would ever change",
    ),
    Mutant(
        "sim-server-snapshot-is-shared",
        "P9",
        _STORE,
        "        made.values = {key: _copied(value) for key, value in self.values.items()}",
        "        made.values = dict(self.values)",
        _LIVES,
        "a failover would lose nothing, because the replica would be its master",
    ),
    Mutant(
        "sim-server-key-ends-early",
        "P5",
        _STORE,
        "return end is not None and self.now_ms > end",
        "return end is not None and self.now_ms >= end",
        _DIFFERENCES,
        "a permission with a limit would end a millisecond before its time",
    ),
    Mutant(
        "sim-server-rename-drops-the-limit",
        "P5",
        _COMMANDS,
        "        end = store.ends.get(source)\n        store.remove(source)",
        "        end = None\n        store.remove(source)",
        _DIFFERENCES,
        "a state that was renamed would permit without end",
    ),
    Mutant(
        "sim-server-takes-any-type",
        "P5",
        _STORE,
        "        if value is None or type(value) is bytes:",
        "        if value is None or isinstance(value, bytes | list):",
        _DIFFERENCES,
        "nothing would be learned about a state of the wrong type",
    ),
    Mutant(
        "sim-server-stream-goes-back",
        "P10",
        _STREAM,
        "    if now_ms > after[0]:\n        return now_ms, 0\n",
        "    if now_ms >= 0:\n        return now_ms, 0\n",
        _DIFFERENCES,
        "two entries of the record would have one id",
    ),
    Mutant(
        "sim-server-pcall-raises",
        "P10",
        _HOST,
        "pcall = function(...) return (converted(false, dispatch(...))) end",
        "pcall = function(...) return (converted(true, dispatch(...))) end",
        _LANGUAGE,
        "repairs of damaged keys would never run",
    ),
    Mutant(
        "sim-server-nil-is-nil",
        "P5",
        _LUA,
        "    if item is None:\n        return False",
        '    if item is None:\n        return b""',
        _LANGUAGE,
        "a missing field would look like an empty one",
    ),
]
