"""Invented commands: every function with any arguments, and whatever a hand at redis-cli may do to any key."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from killswitch.store.functions import OPERATIONS
from tests.simulation.server import SimRedis
from tests.simulation.store import Stream

__all__ = ["STATE", "Words", "resolved", "sequences"]

Words = tuple[str | bytes | int, ...]

STATE = "k:state"
SCOPES = ("", ":a:1", ":b:2")
STATES = [STATE + scope for scope in SCOPES]
WORKERS = ["w1", "w2", "w3"]
OPS = ["", "o1", "o2"]
OTHERS = [
    "k:ledger",
    "k:audit",
    "k:seals",
    "k:workers",
    "k:acks",
    "k:worker:w1",
    "k:worker:w2",
    "k:op:engage:switch:o1",
    "k:op:reset:switch:o1",
    "k:op:reduce:a:1:o2",
    "k:spare",
    "k:journal:j",
    "k:journal:j:position",
    "k:journal:j:fence",
    "k:journal:j:outcomes",
    "k:op:admit:j:c1",
    "k:drill",
    "k:drills",
]
RECEIPT = (
    '["version",1,"epoch","1","was","x","state","SAFE","at_ms","1","repeated",0]',
    '["version",1,"epoch","x","was","x","state","SAFE","at_ms","1","repeated",0]',
    '["version",1,"epoch",null,"was",{},"state",[],"at_ms",true,"repeated",0]',
    '{"1":"version"}',
    '"\\u00e9\\u2028/"',
)
TEXTS: list[str | bytes] = [
    "SAFE", "REDUCING", "ENGAGED", "ENGAGED why", "safe", " SAFE", "SAFE\n", "", "0", "1", "7", "-1", "1.5", "1e3",
    "nan",     "inf", "0x10", "9007199254740991", "9007199254740990", "9" * 30, "{}", "[]", "[1,", "null", *RECEIPT,
    "x" * 255, "x" * 256, "x" * 257, "SAFE" + " " * 300, b"\xff\xfe\x00\x80", "a\tb\x7f\"\\/", "=SAFE", "absent",
    "=SAFE@1",
]  # fmt: skip
FIELDS = [
    "epoch", "run_id", "replid", "switch:token", "switch:epoch", "switch:text", "a:1:token", "a:1:epoch",
    "prune_after_ms", "instance", "nonce", "closed", "in_flight", "beat_at_ms", "rival_until_ms", "quiet_epoch",
]  # fmt: skip

states = st.sampled_from(STATES)
keys = st.sampled_from(STATES + OTHERS)


@st.composite
def _texts(draw: st.DrawFn) -> str | bytes:
    # A function of its own, because Hypothesis would write the whole list into the name of every strategy with it.
    found: str | bytes = draw(st.sampled_from(TEXTS) | st.text(max_size=8) | st.binary(max_size=8))
    return found


texts = _texts()
fields = st.sampled_from(FIELDS)
workers = st.sampled_from(WORKERS)
milliseconds = st.sampled_from([1, 2, 3, 5, 50, 1000, 60_000])
epochs = st.sampled_from(["current", "current", "current", "current+1", "", "0", "1", "junk", "1e400"])


def _words(*parts: Any) -> st.SearchStrategy[Words]:
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts))


def _cut(words: Words, kept: int) -> Words:
    return words[: max(kept, 4)]


beats = st.builds(
    lambda scopes, words, more: ("FCALL", "ks_beat", len(scopes) + 1, STATE, *scopes, *words, *more),
    st.lists(st.sampled_from(STATES[1:]), max_size=2, unique=True),
    _words(
        st.integers(0, 9),
        workers,
        st.sampled_from(["0", "1", "5", "x", "9007199254740991"]),
        st.sampled_from(["0", "1"]),
        st.sampled_from(["0", "0", "1"]),
        milliseconds,
        milliseconds,
        st.sampled_from(["i1", "i2"]),
    ),
    st.sampled_from(
        [(), ("engine", "e1"), ("scopes", "a:1", "empty", ""), ("line", ""), ("line", "1 2 3", "code", "c")]
    ),
)
reads = st.builds(lambda found: ("FCALL", "ks_read", len(found), *found, "n"), st.lists(states, min_size=1, max_size=3))
changes = st.one_of(
    _words("FCALL", "ks_engage", 1, states, texts, "al", st.sampled_from(OPS), "test"),
    _words("FCALL", "ks_reduce", 1, states, texts, "al", epochs, st.sampled_from(OPS), "test"),
    _words(
        "FCALL", "ks_reset", 1, states, epochs, "why", "al", st.sampled_from(["0", "0", "", "2", "60000", "x"]),
        st.sampled_from(OPS), "test",
    ),
)  # fmt: skip
admissions = st.builds(
    lambda scopes, words: ("FCALL", "ks_admit", len(scopes) + 1, STATE, *scopes, *words),
    st.lists(states, max_size=2, unique=True),
    _words(
        st.sampled_from(["j", "j", "k", "a:b"]),
        workers,
        epochs,
        st.sampled_from(["0", "1", "2"]),
        st.sampled_from(["c1", "c2", "c3", ""]),
        st.sampled_from(["buy", "buy", "sell", "x" * 20_000]),
    ),
)
outcomes = _words(
    "FCALL", "ks_outcome", 1, STATE, "j", st.sampled_from(["1", "2", "x"]),
    st.sampled_from(["entry", "entry", "5-5", "x"]), "c1", st.sampled_from(["forwarded", "refused"]), "code", texts,
)  # fmt: skip
audits = st.one_of(
    _words("FCALL", "ks_seal", 1, STATE, "head-id", "head-link", "sha256", "unsealed", "c", "l"),
    _words("FCALL", "ks_seal", 1, STATE, texts, texts, "sha256", "5-5", texts, texts),
    _words(
        "FCALL", "ks_proved", 1, states, epochs, st.sampled_from(["QUIET", "UNCERTAIN", "x"]), "5", "1", texts, "al",
        st.sampled_from(OPS), "test",
    ),
)  # fmt: skip
# How a drill begins, and who acknowledges it when, is told in microseconds, which no simulated clock has: see the
# contract tests of drills.
drills = _words("FCALL", "ks_drill", 1, f"{STATE}:drill:fleet", "end", "00ff00ff", "verdict", texts)
FUNCTIONS = st.one_of(
    drills,
    changes,
    changes,
    st.builds(_cut, changes, st.integers(4, 9)),
    reads,
    beats,
    beats,
    admissions,
    outcomes,
    audits,
    _words("FCALL", "ks_outcome", 1, STATE, "j", st.sampled_from(["1", "2"])),
    _words("FCALL", "ks_leave", 1, STATE, workers),
    _words("FCALL", "ks_leave", 1, STATE, workers, st.sampled_from(["i1", "i2", ""])),
    st.builds(
        lambda name, count, words: ("FCALL", name, count, *words),
        st.sampled_from(OPERATIONS),
        st.integers(-1, 3),
        st.lists(keys | texts, max_size=10),
    ),
)
# What a sound fleet does: without many of these, hardly any sequence would come to a permission, let alone an order.
USUAL = st.one_of(
    _words("FCALL", "ks_reset", 1, STATE, "current", "why", "al", st.sampled_from(["0", "3", "60000"])),
    _words("FCALL", "ks_reset", 1, STATE, "current", "why", "al", "0", st.sampled_from(OPS)),
    _words("FCALL", "ks_reset", 1, STATES[1], "current"),
    _words("FCALL", "ks_reduce", 1, states, "less", "al", "current"),
    _words("FCALL", "ks_engage", 1, states, "why", "al", st.sampled_from(OPS)),
    _words("FCALL", "ks_beat", 1, STATE, st.integers(0, 9), workers, "0", "1", "0", "60000", "60000", "i1"),
    _words("FCALL", "ks_read", 2, STATE, STATES[1], "n"),
    _words("FCALL", "ks_admit", 1, STATE, "j", "w1", "current", "0", st.sampled_from(["c1", "c2", "c3"]), "buy"),
    _words("FCALL", "ks_admit", 2, STATE, STATES[1], "j", "w1", "current", "1", st.sampled_from(["c1", "c2"]), "buy"),
    _words("FCALL", "ks_outcome", 1, STATE, "j", "1", "entry", "c1", "forwarded", "", ""),
    _words("SET", STATE, st.sampled_from(["SAFE", "REDUCING", "ENGAGED"])),
)
WRITES = st.one_of(
    _words("SET", keys, texts),
    _words("SET", states, st.sampled_from(TEXTS[:4])),
    _words("SET", keys, texts, st.sampled_from(["PX", "EX", "NX", "XX", "GET", "KEEPTTL", "FOO"])),
    _words("SET", keys, texts, st.sampled_from(["PX", "EX"]), milliseconds | texts),
    _words("SET", keys, texts, "PX", milliseconds, st.sampled_from(["NX", "XX", "GET", "KEEPTTL", "EX"])),
    _words("DEL", keys),
    _words("UNLINK", keys, keys),
    _words("APPEND", keys, texts),
    _words("RENAME", keys, keys),
    _words("RENAMENX", keys, keys),
    _words(st.sampled_from(["EXPIRE", "PEXPIRE"]), keys, st.sampled_from([-1, 0, 2, 50, 60_000, "x", 2**62])),
    _words("PEXPIRE", keys, milliseconds, st.sampled_from(["NX", "XX", "GT", "LT", "FOO"])),
    _words("PERSIST", keys),
    _words("LPUSH", keys, texts, texts),
    _words("RPUSH", keys, texts),
    _words("SADD", keys, texts),
    _words("HSET", keys, fields, texts),
    _words("HSET", "k:ledger", fields, texts),
    _words("HDEL", keys, fields),
    _words("HINCRBY", keys, fields, st.sampled_from(["1", "-5", "x"])),
    _words("INCR", keys),
    _words("ZADD", keys, st.sampled_from(["1", "2.5", "inf", "-inf", "1e400", "x", "1700000000000"]), workers),
    _words("ZADD", keys, st.sampled_from(["NX", "XX", "GT", "LT", "CH"]), "2", workers, "3", workers),
    _words("ZREM", keys, workers, workers),
    _words("XADD", keys, st.sampled_from(["*", "5-5", "5-*", "x", "0-0", f"{2**64 - 1}-{2**64 - 1}"]), "epoch", texts),
    _words("XADD", keys, "MAXLEN", st.sampled_from([0, 1, 2]), "*", "epoch", texts),
    _words("XADD", keys, "NOMKSTREAM", "*", "a", "b", "c"),
    _words("XTRIM", keys, "MAXLEN", "=", 1),
    _words("FLUSHALL"),
)
LOOKS = st.one_of(
    _words(
        st.sampled_from(
            [
                "GET",
                "STRLEN",
                "TYPE",
                "PTTL",
                "TTL",
                "PEXPIRETIME",
                "EXISTS",
                "KEYS",
                "HGETALL",
                "HLEN",
                "ZCARD",
                "LLEN",
            ]
        ),
        keys,
    ),
    _words(st.sampled_from(["XLEN", "HGET", "NOSUCH"]), keys),
    _words("GETRANGE", keys, st.integers(-5, 5), st.integers(-5, 5)),
    _words("LRANGE", keys, st.integers(-3, 3), st.integers(-3, 3)),
    _words("HMGET", keys, fields, fields),
    _words("ZSCORE", keys, workers),
    _words(st.sampled_from(["ZRANGE", "ZREVRANGE"]), keys, st.integers(-3, 3), st.integers(-3, 3), "WITHSCORES"),
    _words("ZRANGEBYSCORE", keys, st.sampled_from(["-inf", "(1", "x"]), st.sampled_from(["+inf", "(2.5", "2"])),
    _words("ZRANGEBYSCORE", keys, "-inf", "+inf", "LIMIT", st.integers(-1, 2), st.integers(-1, 2)),
    _words("XRANGE", keys, st.sampled_from(["-", "5-5", "(5-5", "x"]), "+", "COUNT", st.integers(0, 2)),
    _words("XREVRANGE", keys, "+", st.sampled_from(["-", "5", "(5-4"]), "COUNT", st.integers(0, 2)),
    _words("XREAD", "COUNT", 2, "STREAMS", keys, st.sampled_from(["0", "5-4", "$", "x"])),
)
SLEEPS = st.tuples(st.just("sleep"), st.sampled_from([1, 2, 4]))


STEP = st.one_of(USUAL, USUAL, FUNCTIONS, FUNCTIONS, WRITES, LOOKS, SLEEPS)


@st.composite
def sequences(draw: st.DrawFn) -> list[Words]:
    """Up to forty steps."""
    count = draw(st.integers(1, 40))
    return draw(st.lists(STEP, min_size=count, max_size=count))


def _sealing(record: object, seals: object, words: Words) -> Words:
    last = seals.entries[-1] if isinstance(seals, Stream) and seals.entries else None
    behind = last[0] if last else (0, 0)
    entries = record.entries if isinstance(record, Stream) else []
    following = next((entry[0] for entry in entries if entry[0] > behind), (1, 1))
    fields = dict(zip(last[1][::2], last[1][1::2], strict=True)) if last else {}
    known: dict[str | bytes | int, str | bytes] = {"head-id": f"{behind[0]}-{behind[1]}" if last else ""}
    known |= {"head-link": fields.get(b"link", b""), "unsealed": f"{following[0]}-{following[1]}"}
    return tuple(known.get(word, word) for word in words)


def resolved(server: SimRedis, words: Words) -> Words:
    """With what an operator, a worker or a gateway would know in place of the words that stand for it.

    `current`, `current+1`: the epoch. `entry`: the oldest entry of the journal. `head-id`, `head-link`: of the last
    seal; `unsealed`: the entry behind it.
    """
    held = server.store.values
    if "unsealed" in words:
        return _sealing(held.get(b"k:audit"), held.get(b"k:seals"), words)
    if not {"current", "current+1", "entry"}.intersection(word for word in words if isinstance(word, str)):
        return words
    ledger, journal = held.get(b"k:ledger"), held.get(b"k:journal:j")
    field = b"epoch"
    if words[1] != "ks_admit":
        field = (str(words[3]).removeprefix(STATE).removeprefix(":") or "switch").encode() + b":epoch"
    text = ledger.get(field, b"0") if isinstance(ledger, dict) else b"0"
    number = int(text) if isinstance(text, bytes) and text.isdigit() and len(text) < 17 else 0
    oldest = journal.entries[0][0] if isinstance(journal, Stream) and journal.entries else (1, 1)
    known = {"current": f"{number}", "current+1": f"{number + 1}", "entry": f"{oldest[0]}-{oldest[1]}"}
    return tuple(known.get(word, word) if isinstance(word, str) else word for word in words)
