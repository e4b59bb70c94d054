"""The watcher's decisions under arbitrary sequences of events, held against an independent oracle (see `Stage`)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from killswitch.core.reasons import Code
from killswitch.core.watch import Phase
from tests.support.fakes import VERSION, Stage, answer, row

TEXTS = st.sampled_from(["SAFE", "REDUCING", "ENGAGED by test", "ENGAGED", "SAFE ", "safe", "", None])
REFUSALS = st.sampled_from([Code.REDIS_OOM, Code.REDIS_READONLY, Code.LIBRARY_MISSING, Code.REDIS_BUSY])


class WatchMachine(RuleBasedStateMachine):
    """Safety after every event; liveness when the faults end."""

    @initialize(
        scopes=st.sampled_from([(), ("symbol:X",), ("a:1", "b:2")]), seed=st.integers(0, 9), pushes=st.booleans()
    )
    def begin(self, scopes: tuple[str, ...], seed: int, pushes: bool) -> None:
        self.stage = Stage(scopes, seed=seed)
        self.pushes = pushes
        self.foreign = 0
        self.stage.start()

    def _changed(self) -> None:
        if self.pushes and self.stage.watch.phase is Phase.CONNECTED:
            self.stage.unread += 1

    # Redis changes

    @rule(text=TEXTS, index=st.integers(0, 2))
    def recorded_change(self, text: str | None, index: int) -> None:
        self.stage.redis.record(index % len(self.stage.redis.rows), text)
        self._changed()

    @rule(text=TEXTS, index=st.integers(0, 2))
    def raw_change(self, text: str | None, index: int) -> None:
        self.stage.redis.set_raw(index % len(self.stage.redis.rows), text)
        self._changed()

    @rule(pttl_ms=st.integers(-3, 2000))
    def time_boxed(self, pttl_ms: int) -> None:
        self.stage.redis.record(0, "SAFE")
        self.stage.redis.rows[0] = replace(self.stage.redis.rows[0], pttl_ms=pttl_ms)
        self._changed()

    @rule(epoch=st.integers(0, 6))
    def history_lost(self, epoch: int) -> None:
        redis = self.stage.redis
        redis.counter = epoch
        redis.rows = [replace(item, epoch=min(item.epoch, epoch)) for item in redis.rows]

    @rule(confirmed=st.booleans(), run_id=st.sampled_from(["r1", "r2", ""]), version=st.sampled_from([VERSION, 2]))
    def another_server(self, confirmed: bool, run_id: str, version: int) -> None:
        redis = self.stage.redis
        redis.confirmed, redis.run_id, redis.version = confirmed, run_id, version

    # the line

    @rule()
    def redis_executes(self) -> None:
        self.stage.execute()

    @precondition(lambda self: self.stage.answers)
    @rule()
    def answer_arrives(self) -> None:
        self.stage.deliver()

    @precondition(lambda self: self.stage.watch.phase is Phase.CONNECTED)
    @rule(nonce=st.integers(-2, 2))
    def stale_answer_arrives(self, nonce: int) -> None:
        """An answer with a nonce near the right one, or to no question at all, saying SAFE at a high epoch."""
        asked = self.stage.asked
        base = asked.ask.nonce if asked else 0
        rows = [row("SAFE", 50) for _ in self.stage.redis.rows]
        if asked is None or nonce:
            self.foreign += 1
            self.stage.deliver(answer(*rows, nonce=base + nonce))
            assert not self.stage.picture.is_open

    @precondition(lambda self: self.stage.unread)
    @rule()
    def push_is_noticed(self) -> None:
        self.stage.push()

    @rule()
    def push_without_a_cause(self) -> None:
        self.stage.push()

    @rule(code=REFUSALS)
    def redis_refuses(self, code: Code) -> None:
        if self.stage.asked is not None:
            self.stage.refuse(code)

    @rule()
    def connection_breaks(self) -> None:
        self.stage.trouble()

    @rule()
    def connection_stands(self) -> None:
        self.stage.connect()

    # time and the owner

    @rule(amount=st.one_of(st.integers(0, 30), st.integers(0, 1500)))
    def time_passes(self, amount: int) -> None:
        self.stage.tick(amount)

    @rule()
    def time_passes_to_the_next_deadline(self) -> None:
        due = self.stage.watch.deadline_ns()
        if due is not None:
            self.stage.tick(max(0, due - self.stage.clock()) / 1e6)

    @rule(amount=st.integers(0, 1500))
    def thread_sleeps_through(self, amount: int) -> None:
        """Time goes on and nobody calls tick; the next event finds it late."""
        self.stage.clock.advance_ms(amount)

    @rule()
    def permits_return(self) -> None:
        self.stage.drained()

    @rule()
    def stopped_and_started(self) -> None:
        self.stage.stop()
        self.stage.start()

    @rule(index=st.integers(0, 2), text=st.sampled_from(["SAFE", "REDUCING"]))
    def quiet_phase(self, index: int, text: str) -> None:
        """Trading is permitted and opens; random events alone would rarely come that far."""
        self._heal()
        self.stage.redis.record(index % len(self.stage.redis.rows), text)
        self._changed()
        self.stage.settle(1000)
        assert self.stage.picture.is_open

    def teardown(self) -> None:
        """When the faults end and somebody permits trading at a fresh epoch, the gate opens and stays open."""
        if not hasattr(self, "stage"):
            return
        self._heal()
        self._changed()
        self.stage.settle(5000)
        assert self.stage.picture.is_open, f"still closed: {self.stage.picture}"
        assert self.stage.watch.phase is Phase.CONNECTED

    def _heal(self) -> None:
        redis = self.stage.redis
        redis.confirmed, redis.run_id, redis.version = True, "r1", VERSION
        redis.counter = max(redis.counter, self.stage.watch.seen_epoch, self.stage.watch.engaged_epoch)
        for index in range(1, len(redis.rows)):
            redis.record(index, None)
        redis.record(0, "SAFE")


WatchMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestWatchMachine = WatchMachine.TestCase


@given(delay_ms=st.integers(0, 3000), renew=st.booleans())
def test_lease_counts_from_the_send_whatever_the_answer_took(delay_ms: int, renew: bool) -> None:
    """An answer that took d ms permits for a lease less d, and nothing when d exceeds the lease."""
    stage = Stage()
    stage.start()
    stage.connect()
    stage.redis.record(0, "SAFE")
    if renew:
        stage.execute()
        stage.deliver()
        stage.tick(250)
    assert stage.asked is not None
    sent_ns = stage.asked.at_ns
    stage.execute()
    stage.clock.advance_ms(delay_ms)
    stage.deliver()
    assert stage.picture.is_open is (delay_ms < 1000)
    if stage.picture.is_open:
        assert stage.picture.signal_until_ns == sent_ns + 1000 * 1_000_000
