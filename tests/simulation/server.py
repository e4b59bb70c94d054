"""A Redis in memory with a clock from outside: the part of the simulation that plays the server.

It runs the shipped function library as it is. What it leaves out: threads, sockets, eviction, ACL, replication traffic;
the world around it decides when a command arrives, when a reply leaves, and what a failover carries over.

A command that changes keys under a tracked prefix announces them in one message for each prefix. The real server writes
it before the reply to the command (`before` is true); a flush it announces after, and so it does published messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

# Importing the modules of the commands fills the table of them.
from tests.simulation import commands_aggregate, commands_function, commands_server, commands_stream  # noqa: F401
from tests.simulation.commands import TABLE, check_arity
from tests.simulation.lua_redis import Function, library_name, load_functions, run_function
from tests.simulation.resp import Encoded, decode, encode, encode_error
from tests.simulation.store import ReplyError, Snapshot, Store

__all__ = ["NO_REPLY", "ReplyError", "SimRedis", "SimSession", "Snapshot"]

NO_REPLY = commands_server.NO_REPLY
NO_HISTORY = "0" * 40

Words = tuple[bytes, ...]

_REFUSED = {
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report errors during "
    "writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details "
    "about the RDB error.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
    "READONLY": "READONLY You can't write against a read only replica.",
}


class SimSession:
    """A client's connection as the server sees it."""

    __slots__ = ("channels", "database", "id", "is_open", "name", "prefixes")

    def __init__(self, number: int) -> None:
        self.id = number
        self.name = ""
        self.database = 0
        self.is_open = True
        self.prefixes: list[bytes] = []
        self.channels: dict[bytes, None] = {}


class SimRedis:
    """One server process. Single-threaded; nothing happens between two calls, only `now_ms` goes on.

    `library`: text of a function library to load at once. `refusing`: one of OOM, MISCONF, NOREPLICAS, READONLY, and
    then commands are refused as the real server refuses them. `read_gate`: a wrong server on purpose, on which ks_read
    is never refused.
    """

    def __init__(
        self,
        *,
        run_id: str,
        replid: str,
        now_ms: Callable[[], int],
        library: str | None = None,
        replid2: str = NO_HISTORY,
    ) -> None:
        self.run_id = run_id
        self.replid = replid
        self.replid2 = replid2
        self.refusing: str | None = None
        self.read_gate = False
        self.connected_slaves = 0
        self.acknowledging = 0
        self.aof = ""
        self._now_ms = now_ms
        self.store = Store(now_ms)
        self.library: str | None = None
        self.library_name = ""
        self.functions: dict[bytes, Function] = {}
        self.sessions: list[SimSession] = []
        self._next_id = 0
        self._pushes: list[tuple[SimSession, list[Any], bool]] = []
        self.changed: list[bytes] = []
        self._current: SimSession | None = None
        self._writes_allowed = True
        if library is not None:
            self.load(library)

    # -- connections ------------------------------------------------------------------------------------------------

    def session(self) -> SimSession:
        """A new connection."""
        self._next_id += 1
        made = SimSession(self._next_id)
        self.sessions.append(made)
        return made

    def drop(self, session: SimSession) -> None:
        """Ends a connection; twice is once."""
        session.is_open = False
        if session in self.sessions:
            self.sessions.remove(session)

    # -- commands ---------------------------------------------------------------------------------------------------

    def execute(self, session: SimSession, args: Sequence[str | bytes | int]) -> Any:
        """Runs one command and returns its reply as a RESP3 client reads it: bytes, int, float, None, list or dict.

        Raises:
            ReplyError: an error reply. What the command changed before it stays changed, and is announced.
        """
        words = tuple(arg if type(arg) is bytes else str(arg).encode(errors="replace") for arg in args)
        reply = self._run(session, words)
        return decode(reply.data) if type(reply) is Encoded else reply

    def serve(self, session: SimSession, words: Words) -> bytes:
        """Runs one command and returns what goes to the client: its reply, or its error; empty where there is none.
        `changed` are the keys that it changed."""
        self.changed = []
        try:
            reply = self._run(session, words)
        except ReplyError as error:
            return encode_error(str(error))
        if type(reply) is Encoded:
            return reply.data
        return b"" if reply is NO_REPLY else encode(reply)

    def _run(self, session: SimSession, words: Words) -> Any:
        assert session.is_open, "a command from a connection that has ended"
        found = TABLE.get(words[0]) or TABLE.get(words[0].upper())
        if found is None:
            raise ReplyError(commands_server.unknown(words))
        if not check_arity(found, len(words)):
            raise ReplyError(f"ERR wrong number of arguments for '{found.name}' command")
        if self.refusing is not None:
            self.refuse(found.name, write=found.write, deny_oom=found.deny_oom)
        store = self.store
        store.begin(session.database)
        self._current = session
        try:
            return found.run(self if found.of_server else store, words[1:])
        finally:
            self._current = None
            if store.touched:
                self._announce(session)

    @property
    def current(self) -> SimSession:
        """The connection whose command is being executed."""
        assert self._current is not None
        return self._current

    def refuse(self, name: str, *, write: bool, deny_oom: bool) -> None:
        """Raises the ReplyError with which the server refuses such a command now, if it does."""
        refusing = self.refusing
        if refusing is None:
            return
        affected = deny_oom if refusing == "OOM" else write
        if affected or (refusing == "MISCONF" and name == "ping"):
            raise ReplyError(_REFUSED[refusing])

    def script_command(self, words: Words) -> Any:
        """One command of a running function. Raises ReplyError."""
        if not words:
            raise ReplyError("ERR Please specify at least one argument for this redis lib call")
        found = TABLE.get(words[0]) or TABLE.get(words[0].upper())
        if found is None:
            raise ReplyError("ERR Unknown Redis command called from script")
        arity = found.arity
        if len(words) != arity if arity > 0 else len(words) < -arity:
            raise ReplyError("ERR Wrong number of args calling Redis command from script")
        if found.write and not self._writes_allowed:
            raise ReplyError("ERR Write commands are not allowed from read-only scripts.")
        if found.no_script:
            raise ReplyError("ERR This Redis command is not allowed from script")
        return found.run(self if found.of_server else self.store, words[1:])

    def call_function(self, name: bytes, key_count: int, words: Words, *, read_only: bool = False) -> Encoded:
        """FCALL. Raises ReplyError."""
        function = self.functions.get(name)
        if function is None:
            raise ReplyError("ERR Function not found")
        reads = "no-writes" in function.flags
        if self.refusing and not (self.read_gate and name == b"ks_read"):
            spared = reads or (self.refusing == "OOM" and "allow-oom" in function.flags)
            if not spared:
                raise ReplyError(_REFUSED[self.refusing])
        if read_only and not reads:
            raise ReplyError("ERR Can not execute a script with write flag using *_ro command.")
        self._writes_allowed = not reads
        try:
            return Encoded(run_function(self, function, key_count, words))
        finally:
            self._writes_allowed = True

    def load(self, source: str, *, replace: bool = False) -> str:
        """FUNCTION LOAD; returns the library's name. Raises ReplyError."""
        name = library_name(source)
        if name == self.library_name and not replace:
            raise ReplyError(f"ERR Library '{name}' already exists")
        functions = load_functions(source)
        self.library, self.library_name, self.functions = source, name, functions
        return name

    def unload(self) -> None:
        """FUNCTION FLUSH."""
        self.library, self.library_name, self.functions = None, "", {}

    # -- what the server writes of its own accord -------------------------------------------------------------------

    def push(self, session: SimSession, message: list[Any], *, before: bool) -> None:
        """Queues a message for `session`; `before`: written before the reply that is under way."""
        self._pushes.append((session, message, before))

    @property
    def has_pushes(self) -> bool:
        """Whether `take_pushes` would return any."""
        return bool(self._pushes)

    def take_pushes(self) -> list[tuple[SimSession, list[Any], bool]]:
        """What the last executions wrote besides their replies, as (session, push, before the reply); empties it.

        Those that go before the reply come first. On its own connection a command's announcement follows the reply.
        """
        found = sorted(self._pushes, key=lambda push: not push[2])
        self._pushes = []
        return found

    def announce_flush(self) -> None:
        """Tells every tracking client that all keys may have changed."""
        for session in self.sessions:
            if session.prefixes:
                self.push(session, [b"invalidate", None], before=False)

    def _announce(self, author: SimSession | None) -> None:
        changed = self.changed = sorted(self.store.touched)
        self.store.touched.clear()
        for session in self.sessions:
            for prefix in session.prefixes:
                names = [key for key in changed if key.startswith(prefix)]
                if names:
                    self.push(session, [b"invalidate", names], before=session is not author)

    def expire_due(self) -> int:
        """What the server does many times a second: removes what has ended and announces it; how many keys."""
        removed = self.store.expire_due()
        if removed:
            self._announce(None)
        return removed

    # -- lives ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All data and the function library, as a dump or a replica has them."""
        return Snapshot(self.store.copy(), self.library)

    def restore(self, snapshot: Snapshot) -> None:
        """A full resynchronisation: all data replaced, tracking clients told so. The process and its lines live on."""
        self.store.replace(snapshot.databases)
        self.unload()
        if snapshot.library is not None:
            self.load(snapshot.library)
        self.announce_flush()

    def reborn(self, *, run_id: str, replid: str, replid2: str = NO_HISTORY, data: Snapshot | None = None) -> SimRedis:
        """Another process in this one's place, after a restart or as a promoted replica, with `data` or with nothing.

        Every connection to this one ends. Settings (`aof`, `read_gate`) go over, trouble (`refusing`) does not.
        """
        made = SimRedis(run_id=run_id, replid=replid, replid2=replid2, now_ms=self._now_ms)
        made.aof, made.read_gate, made._next_id = self.aof, self.read_gate, self._next_id
        if data is not None:
            made.restore(data)
        for session in list(self.sessions):
            self.drop(session)
        return made
