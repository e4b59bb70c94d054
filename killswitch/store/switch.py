"""What an operator's tool does in Redis: engage, reduce, reset, initialise, look.

Invariant: each change is one function call with an operation id, so that repeating it after an unknown outcome changes
nothing twice. Engaging never depends on the function library or on the record: where those fail a plain SET follows,
and where that is refused the one form that a user has who may only stop. Permitting depends on both. Whoever is refused
learns it as StoreRefused, EpochConflict or StoreUnavailable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from killswitch.core.approval import approval_words
from killswitch.core.modes import Mode, Scope
from killswitch.core.reasons import Code
from killswitch.errors import ApprovalPending, EpochConflict, LibraryMissing, PermissionEnded, StoreRefused
from killswitch.store.functions import LIBRARY_VERSION, Caller, load_library
from killswitch.store.keys import Keys

__all__ = ["ABSENT", "STOPWORD", "Change", "Durability", "SwitchStore", "as_text", "note_text"]

ABSENT = "(absent)"
STOPWORD = "ENGAGED by a user who may only stop"

_NOTE_MS = 10_000
_EPOCH_ERROR = re.compile(r"EPOCH (\d+) ?(.*)")
_APPROVED_ERROR = re.compile(r"APPROVED (\d{1,16}) (\S+) (\S+) (.*)")
_VOID = re.compile(r"(?<= whose approval of )\S+(?= is void)")
_ANOTHER = "another person has to ask for the same, at this epoch, within the hour"
_ENDED_ERROR = re.compile(r"ENDED (\d{1,16}) (.*)")
_PLACE = " script: "  # some servers add where in the library an error was raised
_OTHER_FORM = "the function library answered in another form: run `killswitch init` again"


def as_text(value: object) -> str:
    """A reply as text; bytes that are not UTF-8 are shown as replacement characters."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value if value is not None else "")


def note_text(actor: str, reason: str) -> str:
    """What a user who may only stop leaves beside its stop, for the record."""
    return f"{actor}: {reason}"


@dataclass(frozen=True, slots=True)
class Change:
    """A recorded change. `epoch` 0: the stop is set but not recorded; the first beat records it. `means` says how: by a
    function of the library, or for a stop by `set`, `delete` or `copy` where that is all this user may do."""

    epoch: int
    was: str
    state: str
    at_ms: int
    repeated: bool
    means: str = "function"


@dataclass(frozen=True, slots=True)
class Durability:
    """How safe a change is against the loss of the server. `aof` is always, everysec, no, off or unknown; `replicas`
    are connected (None: unknown), `acknowledged` have confirmed it."""

    aof: str
    replicas: int | None
    acknowledged: int

    @property
    def durable(self) -> bool:
        """Whether it survives the loss of the process: on disk, or on a replica."""
        return self.aof == "always" or self.acknowledged > 0


class SwitchStore:
    """The operator's commands over one connection."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller = caller
        self._keys = keys

    def engage(self, scope: Scope | None, reason: str, actor: str, operation: str, via: str) -> Change:
        """Stops. Raises StoreRefused when Redis refuses even a plain SET, StoreUnavailable when it does not answer."""
        key = self._keys.scope_state(scope)
        try:
            return _change(self._caller.call("FCALL", "ks_engage", 1, key, reason, actor, operation, via))
        except StoreRefused as refused:
            # No library, no right to call it, a record beyond repair: the stop itself needs nothing but SET.
            text = f"{Mode.ENGAGED} {reason}"
            try:
                self._caller.call("SET", key, text)
                return Change(0, "", text, 0, False, "set")
            except StoreRefused as worse:
                told = worse if isinstance(refused, LibraryMissing) else refused
                return self._last_resort(scope, note_text(actor, reason), told)

    def _last_resort(self, scope: Scope | None, note: str, refused: StoreRefused) -> Change:
        """Stops as somebody does who may not write the state, or while Redis is out of memory and has no library:
        without the switch's key everything is closed. A scope must never be deleted, for an absent one follows the
        switch; the one text that may be copied there is `killswitch init`'s. The note goes ahead in the same breath."""
        remark = ("SET", self._keys.note, note, "PX", _NOTE_MS)
        if scope is None:
            _, found = self._caller.call_many([remark, ("DEL", self._keys.state)])
            if isinstance(found, StoreRefused):
                raise refused
            return Change(0, "" if found else ABSENT, ABSENT, 0, False, "delete")
        try:
            text = as_text(self._caller.call("GET", self._keys.stopword))
        except StoreRefused:
            raise refused from None
        if not text.startswith(Mode.ENGAGED):  # whatever else is there, this user's command never permits
            raise StoreRefused(
                refused.code,
                f"{refused.reason}; nor is {self._keys.stopword} there to be copied (`killswitch init` writes it): "
                "stop the whole fleet instead",
            )
        copy = ("COPY", self._keys.stopword, self._keys.scope_state(scope), "REPLACE")
        _, found = self._caller.call_many([remark, copy])
        if found != 1:
            raise refused
        return Change(0, "", text, 0, False, "copy")

    def reduce(
        self, scope: Scope | None, reason: str, actor: str, epoch: int | None, operation: str, via: str
    ) -> Change:
        """Permits only reducing orders; from ENGAGED only at the given `epoch`, else EpochConflict."""
        given = "" if epoch is None else str(epoch)
        return self._conditional(epoch, "ks_reduce", scope, reason, actor, given, operation, via)

    def reset(
        self, scope: Scope | None, epoch: int, reason: str, actor: str, ttl_ms: int, operation: str, via: str
    ) -> Change:
        """Permits trading, if the epoch is still `epoch`; for `ttl_ms` milliseconds, or 0 for without limit.

        Raises:
            EpochConflict: the switch was changed since; nothing was done.
            ApprovalPending: two persons have to permit, and this was the first.
            LibraryMissing, StoreRefused, StoreUnavailable: nothing was done, or for the last: unknown.
        """
        return self._conditional(epoch, "ks_reset", scope, str(epoch), reason, actor, str(ttl_ms), operation, via)

    def _conditional(self, given: int | None, function: str, scope: Scope | None, *args: str) -> Change:
        try:
            with _approved():
                return _change(self._caller.call("FCALL", function, 1, self._keys.scope_state(scope), *args))
        except StoreRefused as refused:
            match = _EPOCH_ERROR.search(refused.reason)
            if match is None:
                raise
            reason = f"{match[1]} {match[2].split(_PLACE)[0]}"
            raise EpochConflict(int(match[1]), given, reason) from None

    def deadman(
        self,
        epoch: int,
        every_ms: int,
        life_ms: int,
        reason: str,
        actor: str,
        operation: str,
        via: str,
        take_over: bool,
    ) -> Change:
        """Puts the permission of `epoch` under a dead man's switch that is renewed under the name of `operation`.

        Raises:
            EpochConflict, PermissionEnded: there is no such permission, or somebody else renews it; nothing was done.
            LibraryMissing, StoreRefused, StoreUnavailable: as for `reset`.
        """
        words = (str(epoch), str(every_ms), str(life_ms), reason, actor, operation, via, str(int(take_over)))
        with _ended():
            return self._conditional(epoch, "ks_deadman", None, *words)

    def renew(self, epoch: int, operation: str, ends_ms: int) -> tuple[int, int]:
        """Prolongs it until `ends_ms` (server clock) at most; until when it is then, and the server's clock.

        Raises:
            PermissionEnded: it is not to be renewed any more.
            LibraryMissing, StoreRefused, StoreUnavailable: it may be, another time; for the last: unknown.
        """
        with _ended():
            found = self._caller.call("FCALL", "ks_renew", 1, self._keys.state, epoch, operation, ends_ms)
        match found:
            case [int(version), int(ends), int(at_ms)] if version == LIBRARY_VERSION:
                return ends, at_ms
        raise LibraryMissing(Code.LIBRARY_MISMATCH, _OTHER_FORM)

    def initialise(
        self, actor: str, operation: str, via: str, policy: str = "halt", persons: int | None = None
    ) -> Change | None:
        """Loads the function library, writes the stop word and puts `policy` and `persons` on record (see
        ks_policy.lua; None: as it is); where there is no state, engages with the reason "initialised".

        Returns the change, or None when there was a state, which is left as it is, or when this user may not write one:
        then it stays absent, which is a stop as well. Raises ApprovalPending, after all the rest, where what is to be
        put on record loosens and takes two persons.
        """
        load_library(self._caller)
        self._caller.call("SET", self._keys.stopword, STOPWORD)
        # The stop first: a record that begins with a rule would call a state that is not there a change by hand.
        change = self._first_stop(actor, operation, via)
        try:
            with _approved():
                told = str(persons or "")
                self._caller.call("FCALL", "ks_policy", 1, self._keys.state, policy, actor, via, told, operation)
        except StoreRefused as error:
            if error.code is Code.REDIS_DENIED and "ks_policy" not in error.reason:  # not every server names it
                raise StoreRefused(error.code, f"{error.reason} (ks_policy)") from None
            raise
        return change

    def _first_stop(self, actor: str, operation: str, via: str) -> Change | None:
        if self._caller.call("EXISTS", self._keys.state):
            return None
        words = ("FCALL", "ks_engage", 1, self._keys.state, "initialised", actor, operation, via)
        try:
            return _change(self._caller.call(*words))
        except StoreRefused as error:
            if error.code is Code.REDIS_DENIED:
                return None
            raise

    def durability(self, wait_ms: int) -> Durability:
        """How durable the last change on this connection is; waits at most `wait_ms` for replicas. Never raises
        StoreRefused: what this user may not ask is unknown."""
        info = self._try("INFO", "replication")
        match = re.search(r"connected_slaves:(\d+)", info)
        replicas = int(match[1]) if match else None
        acknowledged = self._try("WAIT", replicas, wait_ms) if replicas else "0"
        aof = re.search(r"aof_enabled:(\d)", self._try("INFO", "persistence"))
        if aof is None:
            mode = "unknown"
        elif aof[1] == "0":
            mode = "off"
        else:
            found = self._try_config("appendfsync")
            mode = found or "unknown"
        return Durability(mode, replicas, int(acknowledged) if acknowledged.isdigit() else 0)

    def _try(self, *args: str | int) -> str:
        try:
            return as_text(self._caller.call(*args))
        except StoreRefused:
            return ""

    def _try_config(self, name: str) -> str:
        try:
            found = self._caller.call("CONFIG", "GET", name)
        except StoreRefused:
            return ""
        return as_text(next(iter(found.values()), b"")) if isinstance(found, dict) else ""


def _change(reply: object) -> Change:
    words = [as_text(item) for item in reply] if isinstance(reply, list) else []
    found = dict(zip(words[::2], words[1::2], strict=False))
    try:
        epoch, at_ms = int(found["epoch"]), int(found["at_ms"])
        return Change(epoch, found["was"], found["state"], at_ms, found["repeated"] == "1")
    except (KeyError, ValueError):
        raise LibraryMissing(Code.LIBRARY_MISMATCH, _OTHER_FORM) from None


@contextmanager
def _approved() -> Iterator[None]:
    try:
        yield
    except StoreRefused as refused:
        match = _APPROVED_ERROR.search(refused.reason)
        if match is None:
            raise
        how = _VOID.sub(lambda other: approval_words(other[0]), match[4].split(_PLACE)[0])
        rule = match[3].startswith(("persons:", "on_failover:"))
        so_far = "nothing is changed yet" if rule else "nothing is permitted yet"
        text = f"{match[2]} {how} ({approval_words(match[3])}), and {so_far}: {_ANOTHER}"
        raise ApprovalPending(int(match[1]), match[2], text) from None


@contextmanager
def _ended() -> Iterator[None]:
    try:
        yield
    except StoreRefused as refused:
        match = _ENDED_ERROR.search(refused.reason)
        if match is None:
            raise
        raise PermissionEnded(int(match[1]), match[2].split(_PLACE)[0]) from None
