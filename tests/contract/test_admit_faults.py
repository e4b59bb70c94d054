"""ks_admit on real servers in trouble, and in a race with the operator's SET."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections.abc import Callable

import pytest

from killswitch.clock import sleep
from killswitch.core.endpoint import parse_url
from killswitch.core.reasons import Code
from killswitch.errors import Blocked, StoreRefused
from killswitch.store.wire import Wire, connect
from tests.conftest import MakeServer
from tests.support.library import Library
from tests.support.server import RealServer
from tests.support.waiting import eventually

STATE, SCOPE = "killswitch:state", "killswitch:state:symbol:EURUSD"
JOURNAL = "killswitch:journal:orders"


def refused(library: Library, epoch: int) -> Code:
    """The code under which an order is refused."""
    with pytest.raises(Blocked) as caught:
        library.admit(epoch, "o-refused")
    return caught.value.code


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("maxmemory", "1", Code.REDIS_OOM), ("min-replicas-to-write", "1", Code.REDIS_NOREPLICAS)],
)
def test_what_refuses_the_operators_set_refuses_admission(
    real_library: Library, real_server: RealServer, option: str, value: str, code: Code
) -> None:
    """Nobody trades who could not be stopped; once Redis takes writes again, orders enter again."""
    epoch = real_library.permit()
    real_library.admit(epoch, "o-1")
    real_server.config_set(option, value)
    with pytest.raises(StoreRefused):
        real_library.raw("SET", STATE, "ENGAGED")
    assert refused(real_library, epoch) is code
    real_server.config_set(option, "0")
    assert [fields["order_id"] for _, fields in real_library.journal()] == ["o-1"]
    real_library.admit(epoch, "o-refused")


def test_a_server_that_lets_nobody_in_refuses_admission(real_library: Library, real_server: RealServer) -> None:
    """P4: at maxclients nobody could engage, so no order enters; with one place free it does."""
    epoch = real_library.permit()

    def full() -> bool:
        there = len(str(real_library.raw("CLIENT", "LIST")).split("\\n")) - 1
        real_library.raw("CONFIG", "SET", "maxclients", there)
        sleep(0.2)  # what is known of it may be so old
        return there == len(str(real_library.raw("CLIENT", "LIST")).split("\\n")) - 1

    real_server.cli("ACL", "SETUSER", "blind", "reset", "on", ">pw", "~*", "&*", "+@all", "-info")
    blind = connect(parse_url(f"unix://blind:pw@{real_server.socket_path}"), 5.0)
    eventually(full, why="nobody comes or goes")
    for _ in range(20):  # who may not ask how many there are does not answer for those who may
        with contextlib.suppress(StoreRefused):
            blind.call("FCALL", "ks_read", 1, STATE, "n")
        assert refused(real_library, epoch) is Code.REDIS_MAXCLIENTS
    blind.close()
    real_library.raw("CONFIG", "SET", "maxclients", 10_000)
    sleep(0.2)
    real_library.admit(epoch, "o-refused")


def test_failing_disk_refuses_admission(make_server: MakeServer) -> None:
    """A server that cannot save takes no orders."""
    server = make_server(save="3600 1", dbfilename="x")
    wire = connect(parse_url(server.unix_url), 5.0)
    library = Library(wire)
    epoch = library.permit()
    blocker = server.socket_path.parent / "x"
    blocker.mkdir()
    try:
        library.raw("BGSAVE")
        eventually(lambda: b"rdb_last_bgsave_status:err" in library.raw("INFO", "persistence"), why="saving fails")
        assert refused(library, epoch) is Code.REDIS_MISCONF
    finally:
        blocker.rmdir()
        wire.close()


def test_replica_admits_nothing_and_its_promotion_neither(real_library: Library, make_server: MakeServer) -> None:
    """Orders enter at the server under which trading was permitted, and at no copy of it."""
    wire = connect(parse_url(make_server().unix_url), 5.0)
    copy = Library(wire)
    epoch = real_library.permit()
    real_library.raw("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    copy.raw("REPLICAOF", "127.0.0.1", int(real_library.raw("CONFIG", "GET", "port")[b"port"]))
    eventually(lambda: b"master_link_status:up" in copy.raw("INFO", "replication"), why="the link stands")
    assert refused(copy, epoch) is Code.REDIS_READONLY
    copy.raw("REPLICAOF", "NO", "ONE")
    assert refused(copy, epoch) is Code.INCARNATION_CHANGED
    assert copy.journal() == []
    wire.close()


def test_restarted_server_admits_nothing(durable_server: RealServer) -> None:
    """SAFE from before a restart lets no order in, before any beat has written the stop."""
    wire = connect(parse_url(durable_server.unix_url), 5.0)
    epoch = Library(wire).permit()
    wire.close()
    durable_server.kill9()
    durable_server.restart()
    wire = connect(parse_url(durable_server.unix_url), 5.0)
    library = Library(wire, load=False)
    assert library.get() == "SAFE"
    assert refused(library, epoch) is Code.INCARNATION_CHANGED
    assert library.journal() == []
    wire.close()


NO_JOURNAL = ("resetkeys", "~killswitch:state*", "~killswitch:ledger", "~killswitch:op:*")


@pytest.mark.parametrize("rules", [("-xadd",), ("-set",), ("-xlen",), ("-fcall",), NO_JOURNAL])
def test_user_who_may_not_write_all_of_it_writes_none_of_it(
    real_library: Library, real_server: RealServer, rules: tuple[str, ...]
) -> None:
    """A right that is missing never leaves an order in the journal that its sender was told was refused."""
    epoch = real_library.permit()
    rights = ("reset", "on", ">pw", "~killswitch:*", "&*", "+@all", "-@dangerous", "+info", *rules)
    real_server.cli("ACL", "SETUSER", "limited", *rights)
    wire = connect(parse_url(f"unix://limited:pw@{real_server.socket_path}"), 5.0)
    assert refused(Library(wire, load=False), epoch) is Code.REDIS_DENIED
    wire.close()
    assert real_library.journal() == []


def test_user_without_info_admits_nothing(real_library: Library, real_server: RealServer) -> None:
    """Who cannot tell the incarnation sends no order."""
    real_library.permit()
    real_server.restart()  # another process: the run id is kept once it was read
    wire = connect(parse_url(real_server.unix_url), 5.0)
    wire.call("FUNCTION", "FLUSH")
    Library(wire).set_raw("SAFE")
    real_server.cli("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all", "-info")
    limited = connect(parse_url(f"unix://limited:pw@{real_server.socket_path}"), 5.0)
    assert refused(Library(limited, load=False), 0) is Code.INCARNATION_UNKNOWN
    for end in (limited, wire):
        end.close()


# -- in a race with the operator --------------------------------------------------------------------------------------


class Sender:
    """A thread that admits orders, a few questions ahead of their answers, until it was refused and a little longer."""

    def __init__(self, url: str, name: str) -> None:
        self._wire = connect(parse_url(url), 5.0)
        self._name = name
        self._numbers = itertools.count()
        self.admitted = 0
        self.refused = 0
        self.trouble: BaseException | None = None

    def run(self, epoch: int) -> None:
        """Sends until three batches in a row were refused. Counts what was answered."""
        self.admitted = self.refused = bad = 0
        try:
            while bad < 3:
                admitted = self._batch(epoch, 8)
                bad = 0 if admitted else bad + 1
        except BaseException as error:
            self.trouble = error

    def _batch(self, epoch: int, size: int) -> int:
        for _ in range(size):
            order_id = f"{self._name}-{next(self._numbers)}"
            self._wire.send("FCALL", "ks_admit", 2, STATE, SCOPE, "orders", self._name, epoch, 0, order_id, "{}")
        answers = [self._wire.next_answer() for _ in range(size)]
        admitted = sum(not isinstance(answer, StoreRefused) for answer in answers)
        self.admitted += admitted
        self.refused += size - admitted
        return admitted

    def close(self) -> None:
        self._wire.close()


Press = Callable[[Wire], None]
PRESSES: dict[str, Press] = {
    "SET": lambda wire: wire.send("SET", STATE, "ENGAGED"),
    "DEL": lambda wire: wire.send("DEL", STATE),
    "SET of a scope": lambda wire: wire.send("SET", SCOPE, "ENGAGED"),
    "ks_engage": lambda wire: wire.send("FCALL", "ks_engage", 1, STATE, "stop", "alice", "", "test"),
    "ks_reduce": lambda wire: wire.send("FCALL", "ks_reduce", 1, STATE, "less", "alice", "", "", "test"),
}
ROUNDS = 200


@pytest.mark.parametrize("press", PRESSES)
def test_no_order_enters_after_the_switch_was_changed(real_server: RealServer, press: str) -> None:
    """The journal's length in the very step of the change is its length for ever, whoever was sending meanwhile."""
    wire = connect(parse_url(real_server.unix_url), 5.0)
    library = Library(wire)
    senders = [Sender(real_server.unix_url, f"w{number}") for number in range(2)]
    chance = random.Random(press)
    raced = 0
    for _ in range(ROUNDS):
        wire.call("DEL", SCOPE, JOURNAL)
        library.beat(scopes=("symbol:EURUSD",))
        epoch = library.reset(library.engage().epoch).epoch
        assert library.read("symbol:EURUSD").rows[0].epoch == epoch
        epoch = max(row.epoch for row in library.read("symbol:EURUSD").rows)
        threads = [threading.Thread(target=sender.run, args=(epoch,)) for sender in senders]
        for thread in threads:
            thread.start()
        eventually(lambda: library.raw("EXISTS", JOURNAL) == 1, why="orders enter")
        sleep(chance.random() * 0.002)
        for word in ("MULTI", None, "XLEN", "EXEC"):
            if word is None:
                PRESSES[press](wire)
            else:
                wire.send(word, *([JOURNAL] if word == "XLEN" else []))
        answers = [wire.next_answer() for _ in range(4)]
        executed = answers[3]
        assert isinstance(executed, list)
        for thread in threads:
            thread.join()
        assert [sender.trouble for sender in senders] == [None, None]
        assert wire.call("XLEN", JOURNAL) == executed[1] == sum(sender.admitted for sender in senders)
        raced += all(sender.admitted and sender.refused for sender in senders)
    assert raced > ROUNDS // 2, "the senders were not sending when the change came"
    wire.close()
    for sender in senders:
        sender.close()
