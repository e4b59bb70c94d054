"""What Redis said, read strictly, and what follows from it.

Only the exact texts SAFE and REDUCING permit anything; whatever else arrives, and whatever is unclear, is ENGAGED with
a code that says why. Source of the row format: the headers of store/lua/ks_read.lua.
"""

from __future__ import annotations

from dataclasses import dataclass

from killswitch.core.modes import MAX_EPOCH, Mode, strictest
from killswitch.core.reasons import Code
from killswitch.core.words import printable

__all__ = ["Answer", "BadAnswer", "Decision", "StateRow", "decide", "parse_answer", "read_state"]


class BadAnswer(ValueError):
    """The answer is not of the agreed form."""


@dataclass(frozen=True, slots=True)
class StateRow:
    """One state key. `kind` is value, absent or wrong-type; `pttl_ms` what is left of it, by its own limit or by a dead
    man's switch (-1: no limit); `recorded` that the ledger holds this very value, at `epoch`, `unapproved` that it does
    as what one person did by hand where two have to permit. `text` is cut to 256 bytes, `length` is the whole length in
    bytes."""

    kind: str
    text: str
    length: int
    pttl_ms: int
    epoch: int
    recorded: bool
    unapproved: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer to ks_read or ks_beat: the switch first, then the scopes in the order asked."""

    version: int
    nonce: str
    run_id: str
    confirmed: bool
    counter: int
    rows: tuple[StateRow, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What an answer means for one worker. `ttl_ms` bounds the permission (None: no limit). `unsettled` asks for a
    beat, which records what is unrecorded, an end of a permission too."""

    mode: Mode
    epoch: int
    code: Code
    reason: str
    ttl_ms: int | None = None
    unsettled: bool = False


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    raise BadAnswer(f"expected text, got {type(value).__name__}")


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | bytes | str):
        raise BadAnswer(f"expected a number, got {type(value).__name__}")
    try:
        return int(value)
    except ValueError:
        raise BadAnswer(f"expected a number, got {value!r:.40}") from None


def _epoch(value: object) -> int:
    number = _number(value)
    if not 0 <= number <= MAX_EPOCH:
        raise BadAnswer(f"epoch {number} is out of range")
    return number


def _row(value: object) -> StateRow:
    if not isinstance(value, list) or len(value) != 6:
        raise BadAnswer("a state row must have six fields")
    kind = _text(value[0])
    if kind not in ("value", "absent", "wrong-type"):
        raise BadAnswer(f"unknown kind {kind!r:.40}")
    told = _number(value[5])
    return StateRow(kind, _text(value[1]), _number(value[2]), _number(value[3]), _epoch(value[4]), told == 1, told == 2)


def parse_answer(value: object, rows: int) -> Answer:
    """Reads an answer about `rows` state keys.

    Raises:
        BadAnswer: any other form, type or range.
    """
    if not isinstance(value, list) or len(value) != 6 or not isinstance(value[5], list):
        raise BadAnswer("an answer must have six fields, the last one a list")
    if len(value[5]) != rows:
        raise BadAnswer(f"asked for {rows} state keys, got {len(value[5])}")
    return Answer(
        version=_number(value[0]),
        nonce=_text(value[1]),
        run_id=_text(value[2]),
        confirmed=_number(value[3]) == 1,
        counter=_epoch(value[4]),
        rows=tuple(_row(item) for item in value[5]),
    )


def read_state(row: StateRow, scope: str | None) -> tuple[Mode, Code, str]:
    """Mode, code and reason of one state key; `scope` None is the switch. Total: every input has a meaning. The reason
    is one printable line, because it ends up in other people's logs."""
    where = "the switch" if scope is None else f"scope {printable(scope)}"
    if row.kind == "absent":
        if scope is not None:
            return Mode.SAFE, Code.OPEN, ""
        return Mode.ENGAGED, Code.STATE_MISSING, "there is no state key"
    if row.kind == "wrong-type":
        return Mode.ENGAGED, Code.STATE_WRONG_TYPE, f"{where} holds a {printable(row.text)} instead of a string"
    if row.text == Mode.SAFE and row.length == len(Mode.SAFE):
        return Mode.SAFE, Code.OPEN, ""
    if row.text == Mode.REDUCING and row.length == len(Mode.REDUCING):
        return Mode.REDUCING, Code.REDUCING, f"{where} permits only reducing orders"
    if row.text == Mode.ENGAGED or row.text.startswith("ENGAGED "):
        code = Code.ENGAGED if scope is None else Code.SCOPE_ENGAGED
        return Mode.ENGAGED, code, f"{where} is engaged: {printable(row.text[8:].strip()) or 'no reason given'}"
    return Mode.ENGAGED, Code.STATE_UNRECOGNISED, f"{where} holds {row.text[:40]!r}, which is none of the three modes"


def decide(answer: Answer, version: int, scopes: tuple[str, ...], seen: int, engaged_seen: int) -> Decision:
    """What `answer` permits to a worker that follows `scopes`.

    `version` is the library version this release knows, `seen` the highest epoch the worker ever saw, `engaged_seen`
    the highest at which it saw the fleet stopped: nothing at or below that one opens again.
    """
    epoch = max(row.epoch for row in answer.rows)
    readings = [read_state(row, scope) for row, scope in zip(answer.rows, (None, *scopes), strict=True)]
    mode = strictest(*(reading[0] for reading in readings))
    code, reason = next((r[1], r[2]) for r in readings if r[0] == mode)
    unapproved = any(row.unapproved for row in answer.rows)
    unrecorded = any(not (row.recorded or row.unapproved) for row in answer.rows)

    def closed(why: Code, text: str, unsettled: bool = False) -> Decision:
        return Decision(Mode.ENGAGED, epoch, why, text, None, unsettled)

    if answer.version != version:
        return closed(
            Code.LIBRARY_MISMATCH,
            f"the function library has version {answer.version}, this worker needs {version}: run `killswitch init` "
            "with the newest release",
        )
    if mode is Mode.ENGAGED:
        return Decision(mode, epoch, code, reason, None, unrecorded or not answer.confirmed)
    if not answer.run_id:
        return closed(Code.INCARNATION_UNKNOWN, "the server does not tell its run id (INFO refused)")
    if not answer.confirmed:
        return closed(Code.INCARNATION_CHANGED, "Redis restarted or failed over since trading was permitted", True)
    if unapproved:
        return closed(Code.UNAPPROVED, "it was permitted by hand, and two persons have to permit")
    if unrecorded:
        return closed(Code.UNRECORDED, "the state was changed by hand and is being recorded", True)
    limit = answer.rows[0].pttl_ms
    if limit != -1 and limit <= 0:
        return closed(Code.PERMISSION_EXPIRED, "the permission ran out, or nobody renewed it", True)
    if epoch < seen or epoch <= engaged_seen:
        known = max(seen, engaged_seen)
        return closed(Code.EPOCH_BEHIND, f"the record is at epoch {epoch}, this worker has seen {known}")
    return Decision(mode, epoch, code, reason, None if limit == -1 else limit)
