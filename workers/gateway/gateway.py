"""Takes the orders of one journal one after the other, and says of each what became of it.

Invariants, each with a test:
- an order is sent only by the gateway that owns the journal, under the gate of an agent that follows the very scopes,
  and at the very epoch, that it was admitted under: one that was admitted before a halt is refused after it;
- each entry gets one outcome, written in the step that takes it out; what was not answered for is looked at again;
- an entry that this or an earlier gateway may have sent is never called refused unless the venue vouches for it;
- no entry stops the ones behind it: damaged ones are set aside, and old ones are not sent.

One thread, and each of its steps is bounded: the ownership is renewed between two of them.
"""

from __future__ import annotations

import redis

from killswitch import Journal, JournalEntry, JournalLost, StoreRefused, StoreUnavailable, clock
from workers import logs
from workers.gateway.judge import Judge, Verdict
from workers.gateway.members import Members
from workers.ownership import Holder, Lease, Ownership

__all__ = ["Gateway"]

_IDLE_S = 0.2
_PAUSE_S = 0.05
_RETRY_S = 0.25
_RENEWALS_PER_LIFE = 3
_WHICHEVER_IS_FIRST = "?"


class Gateway:
    """The gateway of `journal`, one of perhaps several processes of which one at a time owns it. `run` is called once.

    `scopes`: serve only orders that follow exactly these; None serves all. An order older than `max_age_ms` is not
    sent.
    """

    def __init__(
        self,
        journal: Journal,
        members: Members,
        ownership: Ownership,
        *,
        scopes: tuple[str, ...] | None = None,
        max_age_ms: int = 5000,
    ) -> None:
        self._journal = journal
        self._members = members
        self._ownership = ownership
        self._judge = Judge(members, scopes, max_age_ms)
        self._stopping = False
        self._decided: tuple[str, Verdict] | None = None  # an outcome that Redis has not confirmed yet
        self._said: tuple[str, object] | None = None
        self._renew_ns = 0
        self._log = logs.get(journal=journal.name)

    def stop(self) -> None:
        """Ends `run` after the entry in hand. Any thread, and a signal handler."""
        self._stopping = True

    def _going(self) -> bool:
        return not self._stopping

    def run(self) -> bool:
        """Serves until told to stop; whether nothing was left in flight."""
        while self._going():
            lease = self._acquire()
            if lease is None:
                self._rest(_RETRY_S)
                continue
            self._members.act_for(lease.owns)
            try:
                self._serve(lease)
            finally:
                drained = not self._going() and self._members.close() and not self._judge.maybe_sent
                self._give_back(lease, drained)
        drained = self._members.close()
        self._journal.close()
        return drained

    # ---- the ownership ----

    def _acquire(self) -> Lease | None:
        try:
            found = self._ownership.acquire(f"gateway:{self._journal.name}")
        except redis.RedisError as error:
            self._say("gateway_queue_error", type(error).__name__, reason=str(error))
            return None
        if isinstance(found, Holder):
            self._say("gateway_standby", found.owner, token=found.token)
            return None
        self._renew_ns = clock.now_ns()
        # A gateway that did not give the journal back may have sent the first entry just before it ended.
        self._judge.maybe_sent = _WHICHEVER_IS_FIRST if found.wait_s() else ""
        self._say("gateway_owner", found.token, wait_s=round(found.wait_s(), 3))
        return found

    def _held(self, lease: Lease) -> bool:
        """Renews the ownership when that is due; whether it is still kept."""
        now_ns = clock.now_ns()
        if now_ns >= self._renew_ns:
            self._renew_ns = now_ns + self._ownership.life_ms * clock.NS_PER_MS // _RENEWALS_PER_LIFE
            try:
                lease.renew()
            except redis.RedisError as error:
                self._log.warning("gateway_not_renewed", reason=str(error))
        return lease.held()

    def _give_back(self, lease: Lease, drained: bool) -> None:
        if not drained:
            lease.drop()  # it runs out by itself, and the next owner knows that this one may have sent something
            return
        try:
            lease.release()
        except redis.RedisError as error:
            self._log.warning("gateway_not_released", reason=str(error))

    # ---- the journal ----

    def _serve(self, lease: Lease) -> None:
        taken = False
        while self._going() and self._held(lease):
            if not lease.owns():  # until a former owner has stopped for sure
                self._rest(min(lease.wait_s(), _RETRY_S))
                continue
            try:
                if not taken:
                    self._journal.take(lease.token)
                    taken = True
                self._round(lease)
                self._said = None
            except JournalLost as error:
                self._log.error("gateway_replaced", reason=str(error))
                lease.drop()
            except (StoreUnavailable, StoreRefused) as error:
                self._say("journal_error", error.code, reason=error.reason)
                self._rest(_RETRY_S)
        if self._going():
            self._log.error("gateway_ownership_lost", token=lease.token)

    def _round(self, lease: Lease) -> None:
        entries = self._journal.entries()
        first = entries[0].entry_id if entries else ""
        if self._judge.maybe_sent not in ("", first):  # or it has its outcome, and only the confirmation was lost
            self._judge.maybe_sent = first if self._judge.maybe_sent == _WHICHEVER_IS_FIRST else ""
        if not self._judge.maybe_sent:  # the fate of the entry in hand is for the judge to learn
            self._members.settle()
        if not entries:
            self._journal.wait(_IDLE_S)
            return
        self._judge.tell_time(self._journal.now_ms())
        for entry in entries:
            if not (self._going() and self._held(lease)):
                return
            if self._decided is None or self._decided[0] != entry.entry_id:
                verdict = self._judge.judge(entry)
                if verdict is None:
                    self._rest(_PAUSE_S)
                    return
                self._decided = (entry.entry_id, verdict)
            self._answer(lease, entry, self._decided[1])

    def _answer(self, lease: Lease, entry: JournalEntry, verdict: Verdict) -> None:
        self._journal.answer(lease.token, entry, verdict.outcome, verdict.code, verdict.reason)
        self._judge.maybe_sent, self._decided = "", None
        told = {"order": entry.fields.get("order_id", ""), "entry": entry.entry_id, "code": verdict.code}
        if verdict.outcome == "forwarded":
            self._log.debug("order_forwarded", **told)
        else:
            self._log.warning(f"order_{verdict.outcome}", reason=verdict.reason, **told)

    def _say(self, event: str, what: object, **values: object) -> None:
        """Logs what goes on for a while, once."""
        if (event, what) != self._said:
            self._said = (event, what)
            self._log.warning(event, what=str(what), **values)

    def _rest(self, seconds: float) -> None:
        deadline_ns = clock.now_ns() + int(seconds * 1e9)
        while self._going() and clock.now_ns() < deadline_ns:
            clock.sleep(min(seconds, _PAUSE_S))
