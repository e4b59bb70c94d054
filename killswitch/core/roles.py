"""Who may do what in the switch's Redis: the roles as data, and the ACL rules that they come to.

Redis checks commands and keys, never values, and checks what a function does against whoever called it. So a user who
may SET the state may write SAFE, whatever function it goes through, and a role is made of narrow grants: a command
passes where one grant has both it and all of its keys. The first grant of a role only reads; it may have its keys in
full, because Redis wants that for calling a function. What each role can and can not do is a table (ACTIONS), which
tests run through on real servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from killswitch.core.modes import InvalidInput

__all__ = ["ACTIONS", "ROLES", "AclUser", "Grant", "Role", "role_of"]

ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "look": "see the switch, the scopes and every worker (`status`, `watch`)",
        "audit": "read the record of changes and its seals (`audit list`, `audit verify`)",
        "seal": "seal the record (`audit seal`)",
        "hear": "hear of a change at once",
        "ask": "ask whether trading is permitted (`ks_read`)",
        "beat": "be a member: register, report, leave (`ks_beat`, `ks_leave`)",
        "admit": "have an order admitted to a journal (`ks_admit`)",
        "forward": "deal with the orders of a journal (`ks_outcome`)",
        "stop": "stop the fleet",
        "stop-scope": "stop a part of the fleet",
        "stop-recorded": "stop with reason, name and epoch on record at once (`ks_engage`)",
        "prove": "wait for the proof that everybody is quiet (`engage --wait`)",
        "tell-outcome": "put on record how that wait ended (`ks_proved`)",
        "drill": "test the line that a stop takes, without stopping anybody (`drill`)",
        "reduce": "permit reducing orders (`reduce`)",
        "permit": "permit trading (`reset`)",
        "renew": "put a permission under a dead man's switch, and renew it (`deadman`)",
        "permit-by-hand": "write SAFE into the switch, by any command",
        "loosen-scope": "write SAFE into a scope, or delete it, by any command",
        "forget": "take a worker that was lost off the membership",
        "add-to-record": "write an entry into the record by hand, or trim it",
        "erase-record": "delete the record or the ledger",
        "load": "load the function library (`init`)",
        "break-server": "flush, swap, configure, pause, debug, shut down, end connections, change users, run scripts",
    }
)
"""What somebody may want to do, by name."""

_LOOK = (
    "fcall|ks_read client|tracking client|id subscribe ping time info acl|whoami "
    "exists type get getrange strlen pttl pexpiretime hget hmget hgetall hstrlen zrange zrevrange zrangebyscore zscore "
    "xrevrange"
)
_RECORD = "xrange xlen xinfo|stream"
_SEEN = "@:state @:state:* @:ledger @:workers @:worker:* @:drill @:drills"
_LOOKING = frozenset({"look", "hear", "ask"})


@dataclass(frozen=True, slots=True)
class Grant:
    """Commands, the keys they may have and the channels they may use, as words. In a key `@` stands for the prefix, `^`
    for the worker or person who writes of itself; `%R~` and `%W~` before a key limit it to reading or writing."""

    commands: str
    keys: str = ""
    channels: str = ""

    def rules(self, prefix: str, own: str, more: str = "") -> list[str]:
        """As words of ACL SETUSER."""
        keys = (key if key.startswith("%") else f"~{key}" for key in self.keys.split())
        named = (key.replace("@", prefix, 1).replace("^", own, 1) for key in keys)
        channels = (f"&{channel.replace('@', prefix, 1)}" for channel in self.channels.split())
        return ["-@all", *(f"+{word}" for word in f"{self.commands} {more}".split()), *named, *channels]


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of user. `reads` only reads, `writes` are what it may change. `can` names the ACTIONS it can do; every
    other one it can not. `beyond` says in a sentence what its rights allow that it has no need of."""

    name: str
    purpose: str
    can: frozenset[str]
    reads: Grant
    writes: tuple[Grant, ...] = ()
    beyond: str = ""

    @property
    def cannot(self) -> frozenset[str]:
        """The ACTIONS that are left."""
        return frozenset(ACTIONS) - self.can

    def rules(self, prefix: str, worker: str = "*", db: int = 0, person: str = "*") -> tuple[str, ...]:
        """Words for ACL SETUSER, after the ones about passwords. `worker` confines what a worker writes of itself to
        ids of this pattern, `person` as whom a role permits that may; `db` above 0 adds the right to select it."""
        own = person if "permit" in self.can else worker
        reads = self.reads.rules(prefix, own, "select" if db else "")
        return (*reads, *(f"({' '.join(grant.rules(prefix, own)[1:])})" for grant in self.writes))


_CHANGES = (
    Grant("hset", "@:ledger"),
    Grant("xadd", "@:audit"),
)
_SEALS = (Grant("xadd", "@:seals"), Grant("renamenx", "%RW~@:seals %W~@:seals:damaged:*"))
_MEMBER = (
    *_CHANGES,
    Grant("zadd zrem", "@:workers"),
    Grant("hset pexpire persist del", "@:worker:^"),
    Grant("publish", channels="@:acks"),
)
_DRILLS = (
    Grant("set del", "@:state:drill:fleet @:drill"),
    Grant("xadd", "@:drills"),
    Grant("renamenx", "%RW~@:drills %W~@:drills:damaged:*"),
)
_MEASURED = Grant("set del", "@:preflight:*")
_ADMITTED = (Grant("set", "@:op:admit:*"), Grant("xadd", "@:journal:*"))
_MEMBER_CALLS = f"{_LOOK} fcall|ks_beat fcall|ks_leave fcall|ks_admit {_RECORD}"
_MEMBER_SEES = f"{_SEEN} @:audit @:note @:op:admit:* @:journal:*"
_MEMBER_CAN = frozenset({*_LOOKING, "audit", "beat", "admit", "add-to-record", "forget"})
_MEMBER_BEYOND = (
    "it may take others off the membership, write rows in their name (unless it is confined to its own ids), and add "
    "to the record, trim it or falsify the ledger. It can not write the switch or a scope, but it can make a "
    "permission from before a restart of Redis count again, and one that somebody must renew last without that"
)

_OPERATOR_CAN = (
    _LOOKING
    | {"audit", "stop", "stop-scope", "stop-recorded", "prove", "reduce", "permit", "permit-by-hand"}
    | {"renew", "loosen-scope", "forget", "add-to-record", "tell-outcome", "drill", "seal"}
)
_OPERATOR_CALLS = (
    f"{_LOOK} {_RECORD} fcall|ks_engage fcall|ks_reduce fcall|ks_reset fcall|ks_leave fcall|ks_proved fcall|ks_policy "
    "fcall|ks_drill fcall|ks_deadman fcall|ks_renew fcall|ks_seal wait config|get"
)
_OPERATES = (
    Grant("set", "@:state @:state:*"),
    Grant("del", "@:state"),
    Grant("set", "@:approval:^:*"),
    Grant("set", "@:op:engage:* @:op:reduce:* @:op:reset:* @:op:proved:* @:op:deadman:* @:note"),
    *_CHANGES,
    *_DRILLS,
    *_SEALS,
    Grant("renamenx", "%RW~@:ledger %W~@:ledger:damaged:*"),
    Grant("renamenx", "%RW~@:audit %W~@:audit:damaged:*"),
    Grant("zrem", "@:workers"),
    Grant("del", "@:worker:*"),
    Grant("publish", channels="@:acks"),
    _MEASURED,
)
_REHEARSES = Grant("set del hset xadd zadd zrem pexpire persist renamenx publish", "@:rehearsal-*", "@:rehearsal-*")
_OPERATOR_BEYOND = (
    "it may write SAFE by hand without naming an epoch, add to the record and the seals, trim them and move them aside "
    "(a copy of the chain's end that is kept elsewhere shows that), and read the configuration of the server, where "
    "requirepass and masterauth stand in plain text if they are set"
)

_ALL = (
    Role(
        "worker",
        "a trading process: asks, beats, has orders admitted",
        _MEMBER_CAN,
        Grant(_MEMBER_CALLS, _MEMBER_SEES, "@:acks"),
        (*_MEMBER, *_ADMITTED, _MEASURED),
        _MEMBER_BEYOND,
    ),
    Role(
        "gateway",
        "a gateway: a worker that also deals with the orders of a journal",
        _MEMBER_CAN | {"forward"},
        Grant(f"{_MEMBER_CALLS} fcall|ks_outcome xread", _MEMBER_SEES, "@:acks"),
        (*_MEMBER, *_ADMITTED, Grant("set xdel", "@:journal:*"), _MEASURED),
        f"as a worker: {_MEMBER_BEYOND}",
    ),
    Role(
        "operator",
        "a person or tool that stops, permits and looks",
        _OPERATOR_CAN,
        Grant(_OPERATOR_CALLS, "@:*", "@:acks"),
        _OPERATES,
        _OPERATOR_BEYOND,
    ),
    Role(
        "launcher",
        "whoever brings up a fleet (`launch`): an operator who also loads the library and rehearses",
        _OPERATOR_CAN | {"load"},
        Grant(f"{_OPERATOR_CALLS} fcall|ks_beat function|load function|list", "@:*", "@:acks @:rehearsal-*"),
        (*_OPERATES, Grant("set", "%W~@:stopword"), _REHEARSES),
        f"as an operator: {_OPERATOR_BEYOND}. What it loads runs with the rights of whoever calls it",
    ),
    Role(
        "engage-only",
        "a person, tool or risk rule that may stop and can not permit",
        _LOOKING | {"stop", "stop-scope", "prove"},
        Grant(f"{_LOOK} wait", f"{_SEEN} @:stopword @:note", "@:acks"),
        (
            Grant("del", "@:state"),
            Grant("copy", "%R~@:stopword %W~@:state:*"),
            Grant("set", "%W~@:note"),
        ),
        "it may stop for no reason, as often as it likes, and fill the memory of the server with scopes or a note, "
        "which stops the fleet as well",
    ),
    Role(
        "driller",
        "a timer or tool that drills, and can neither stop nor permit",
        _LOOKING | {"drill"},
        Grant(f"{_LOOK} fcall|ks_drill", _SEEN, "@:acks"),
        _DRILLS,
        "it may announce changes of nothing as often as it likes, which closes every gate for a round trip each time, "
        "keep others from drilling for as long, and add to the history of drills",
    ),
    Role(
        "auditor",
        "a person or tool that seals the record and checks it",
        _LOOKING | {"audit", "seal"},
        Grant(f"{_LOOK} {_RECORD} fcall|ks_seal", f"{_SEEN} @:audit @:seals"),
        _SEALS,
        "it may add seals by hand or trim them, which the next look at the chain, or a copy of its end that is kept "
        "elsewhere, shows",
    ),
    Role(
        "monitor",
        "a screen or exporter that only looks",
        _LOOKING | {"audit"},
        Grant(f"{_LOOK} {_RECORD}", f"{_SEEN} @:audit @:seals"),
    ),
    Role(
        "deployer",
        "whoever installs a release: loads the function library, and nothing else",
        _LOOKING | {"load"},
        Grant(f"{_LOOK} function|load function|list fcall|ks_policy", f"{_SEEN} @:stopword"),
        (Grant("set", "%W~@:stopword"),),
        "what it loads runs with the rights of whoever calls it, so it is to be trusted as an operator is",
    ),
)
ROLES: Mapping[str, Role] = MappingProxyType({role.name: role for role in _ALL})
"""Every role, by name."""

_USER, _WORKER = re.compile(r"[A-Za-z0-9_.@-]{1,64}"), re.compile(r"[A-Za-z0-9_.:*?-]{1,128}")
_HASH = re.compile(r"[0-9a-f]{64}")


def role_of(name: str) -> Role:
    """The role of this name. Raises InvalidInput, which names them all."""
    if name not in ROLES:
        raise InvalidInput(f"there is no role {name[:40]!r}: the roles are {', '.join(ROLES)}")
    return ROLES[name]


@dataclass(frozen=True, slots=True)
class AclUser:
    """One user of a role. `person`: as whom it permits, where two have to; `*`: as whomever it says. `password_hash` is
    the SHA-256 of the password, in hex; empty: none that would work. `keep` leaves the passwords that the user has.

    Raises:
        InvalidInput: a name, pattern or hash of another form.
    """

    role: Role
    name: str
    prefix: str
    worker: str = "*"
    db: int = 0
    password_hash: str = ""
    keep: bool = False
    person: str = "*"

    def __post_init__(self) -> None:
        if not _USER.fullmatch(self.name):
            raise InvalidInput(f"the user {self.name[:70]!r} is not of 1 to 64 letters, digits or _ . @ -: rename it")
        if not _WORKER.fullmatch(self.worker):
            raise InvalidInput(
                f"the worker pattern {self.worker[:70]!r} is not of letters, digits or _ . : * ? -: write for example "
                "web1-*"
            )
        if self.password_hash and not _HASH.fullmatch(self.password_hash):
            raise InvalidInput("the hash of a password is 64 hexadecimal digits")

    @property
    def words(self) -> tuple[str, ...]:
        """What follows the name in ACL SETUSER: passwords, then the rules of the role, and nothing from before."""
        begin = ("on", "resetkeys", "resetchannels", "clearselectors") if self.keep else ("reset", "on")
        secret = (f"#{self.password_hash}",) if self.password_hash else ()
        return (*begin, *secret, *self.role.rules(self.prefix, self.worker, self.db, self.person))

    @property
    def command(self) -> str:
        """A line for redis-cli."""
        return f"ACL SETUSER {self.name} {' '.join(self.words)}"

    @property
    def file_line(self) -> str:
        """A line for the file that the server's setting `aclfile` names."""
        words = [word for word in self.words if word != "reset"]
        return f"user {self.name} {' '.join(words)}"
