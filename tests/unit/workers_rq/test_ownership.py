"""One engine has one owner, and whoever lost it knows without asking."""

from __future__ import annotations

import fakeredis
import pytest
import redis

from killswitch import clock
from workers.ownership import Holder, Lease, Ownership

LIFE_MS = 1000


class HandClock:
    """`killswitch.clock.now_ns` that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 10**12
        monkeypatch.setattr(clock, "now_ns", lambda: self.now_ns)

    def pass_ms(self, ms: float) -> None:
        self.now_ns += int(ms * 1e6)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """Time that passes only when the test says so."""
    return HandClock(monkeypatch)


def taken(client: redis.Redis, owner: str, engine: str = "e1") -> Lease:
    """The engine's lease, taken by `owner`."""
    lease = Ownership(client, owner, life_ms=LIFE_MS).acquire(engine)
    assert isinstance(lease, Lease)
    return lease


def expire(client: redis.Redis, engine: str = "e1") -> None:
    """What Redis does when the life of the record is over."""
    client.delete(f"workers:owner:{engine}")


def test_engine_owned_by_another_is_refused_and_its_owner_named(store: fakeredis.FakeStrictRedis) -> None:
    """Two workers never both get the lease."""
    token = taken(store, "a").token
    found = Ownership(store, "b", life_ms=LIFE_MS).acquire("e1")
    assert isinstance(found, Holder)
    assert (found.owner, found.token) == ("a", token)
    assert 0 < found.left_ms <= LIFE_MS


def test_tokens_rise_after_release_expiry_and_flush(store: fakeredis.FakeStrictRedis, hand: HandClock) -> None:
    """A token is never given twice, whatever became of the record, so an old owner can always be told apart."""
    tokens = []
    for step in range(6):
        lease = taken(store, "ab"[step % 2])
        tokens.append(lease.token)
        if step % 2:
            lease.release()
        else:
            expire(store)
    assert tokens == sorted(set(tokens))
    store.hset("workers:tokens", "e1", tokens[-1] + 5000)
    assert taken(store, "a").token == tokens[-1] + 5001


def test_lease_is_believed_from_the_moment_it_was_asked_for(
    store: fakeredis.FakeStrictRedis, hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow answer does not lengthen the lease: the holder stops before Redis can give it to another."""
    ownership = Ownership(store, "a", life_ms=LIFE_MS)
    answer = ownership._acquire

    def slow(keys: list[str], args: list[str | int]) -> object:
        found = answer(keys, args)
        hand.pass_ms(700)
        return found

    monkeypatch.setattr(ownership, "_acquire", slow)
    lease = ownership.acquire("e1")
    assert isinstance(lease, Lease)
    assert lease.owns()
    hand.pass_ms(199)
    assert lease.owns()
    hand.pass_ms(1)
    assert not lease.owns()


def test_lease_that_ran_out_is_not_revived_by_a_late_renewal(store: fakeredis.FakeStrictRedis, hand: HandClock) -> None:
    """A worker that was paused for longer than its lease wakes without the engine, even if nobody took it."""
    lease = taken(store, "a")
    hand.pass_ms(901)
    assert not lease.owns()
    assert lease.renew() is False
    assert not lease.owns()


def test_renewed_lease_goes_on(store: fakeredis.FakeStrictRedis, hand: HandClock) -> None:
    """A living owner keeps its engine for as long as it renews."""
    lease = taken(store, "a")
    for _ in range(5):
        hand.pass_ms(500)
        assert lease.renew()
        assert lease.owns()


def test_owner_that_wakes_finds_its_engine_taken(store: fakeredis.FakeStrictRedis, hand: HandClock) -> None:
    """The record under another token refuses the renewal, and cannot be released by the one before."""
    sleeper = taken(store, "a")
    expire(store)
    successor = taken(store, "b")
    assert successor.token > sleeper.token
    assert sleeper.renew() is False
    assert not sleeper.owns()
    sleeper.release()
    assert successor.renew()
    assert successor.held()


def test_lease_given_up_stays_given_up_when_a_renewal_was_on_its_way(
    store: fakeredis.FakeStrictRedis, hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The renewing thread cannot bring back what the main thread gave up meanwhile."""
    lease = taken(store, "a")
    renew = lease._ownership.renew

    def meanwhile(engine: str, token: int) -> bool:
        lease._given_up = True
        return renew(engine, token)

    monkeypatch.setattr(lease._ownership, "renew", meanwhile)
    assert lease.renew() is False
    assert not lease.owns()


def test_holder_of_a_free_engine_is_nobody(store: fakeredis.FakeStrictRedis) -> None:
    """Who owns an engine can be asked without taking it."""
    ownership = Ownership(store, "a")
    assert ownership.holder("e1") is None
    lease = taken(store, "b")
    found = ownership.holder("e1")
    assert found is not None
    assert (found.owner, found.token) == ("b", lease.token)


def test_after_a_record_that_only_ran_out_the_next_owner_waits_a_life_of_its_own(
    store: fakeredis.FakeStrictRedis, hand: HandClock
) -> None:
    """A step of the wall clock of Redis ends the record while its owner believes in it: never do two own the engine."""
    first = taken(store, "a")
    expire(store)
    second = taken(store, "b")
    assert second.wait_s() == LIFE_MS / 1000
    owned = 0
    for _ in range(12):
        assert not (first.owns() and second.owns())
        owned += first.owns()
        hand.pass_ms(100)
        assert second.renew()
    assert owned == 9
    assert second.wait_s() == 0
    assert second.owns()


def test_engine_that_was_given_back_is_owned_at_once(store: fakeredis.FakeStrictRedis, hand: HandClock) -> None:
    """The wait is for owners that went away without a word; also the very first owner waits for nobody."""
    first = taken(store, "a")
    assert first.owns()
    first.release()
    assert taken(store, "b").owns()


def test_owner_that_gives_up_while_it_waits_does_not_vouch_for_the_one_before(
    store: fakeredis.FakeStrictRedis, hand: HandClock
) -> None:
    """The third in the row waits as the second had to, because the first may still believe."""
    first = taken(store, "a")
    expire(store)
    taken(store, "b").release()
    third = taken(store, "c")
    assert first.owns()
    assert not third.owns()
    hand.pass_ms(LIFE_MS - 200)
    assert third.renew()
    hand.pass_ms(200)
    assert third.owns()
