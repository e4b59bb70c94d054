"""The pure rules under arbitrary input."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from killswitch.core.answer import BadAnswer, StateRow, decide, parse_answer, read_state
from killswitch.core.audit import parse_entry
from killswitch.core.endpoint import Endpoint, parse_url
from killswitch.core.fleet import not_quiet, parse_member
from killswitch.core.lease import closed_by_ms, deadline_ns
from killswitch.core.modes import MAX_EPOCH, InvalidInput, Mode, Scope, strictest
from tests.support.fakes import VERSION, row

EXACT = {b"SAFE": Mode.SAFE, b"REDUCING": Mode.REDUCING}
NEAR = st.sampled_from([b"SAFE", b"REDUCING"]).flatmap(
    lambda word: st.builds(
        lambda cut, before, after: before + word[:cut] + after,
        st.integers(0, len(word)),
        st.sampled_from([b"", b"", b" ", b"\x00", b"S"]),
        st.sampled_from([b"", b"", b" ", b"\n", b"\x00", b"E", b"\xff"]),
    )
)
CONTENT = st.one_of(NEAR, st.binary(max_size=300), st.text(max_size=20).map(str.encode))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 9), st.floats(), st.binary(max_size=8), st.text(max_size=8)
)
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=6), max_leaves=25)
ROWS = st.builds(
    StateRow,
    st.sampled_from(["value", "absent", "wrong-type"]),
    st.sampled_from(["SAFE", "REDUCING", "ENGAGED", "ENGAGED x", "", "list", "SAFER"]),
    st.sampled_from([0, 4, 7, 8, 300]),
    st.integers(-3, 5000),
    st.integers(0, 9),
    st.booleans(),
)


def wire_answer(content: bytes, kind: bytes = b"value", confirmed: int = 1) -> list[object]:
    """An answer about the switch alone, as it comes from the wire."""
    return [VERSION, b"1", b"r1", confirmed, b"3", [[kind, content[:256], len(content), -1, b"3", 1]]]


@given(content=CONTENT)
@example(b"SAFE")
@example(b"REDUCING")
def test_only_the_exact_bytes_permit(content: bytes) -> None:
    """Of all byte strings SAFE and REDUCING alone permit anything."""
    decision = decide(parse_answer(wire_answer(content), 1), VERSION, (), 0, 0)
    assert decision.mode is EXACT.get(content, Mode.ENGAGED)


@given(kind=st.sampled_from([b"absent", b"wrong-type"]), content=CONTENT)
def test_kind_other_than_value_never_permits(kind: bytes, content: bytes) -> None:
    """A missing key or another type permits nothing, whatever text comes with it."""
    assert decide(parse_answer(wire_answer(content, kind), 1), VERSION, (), 0, 0).mode is Mode.ENGAGED


@given(value=NESTED, rows=st.integers(1, 3))
def test_arbitrary_reply_is_an_answer_or_a_bad_answer(value: object, rows: int) -> None:
    """No reply makes the parser fail in another way."""
    try:
        found = parse_answer(value, rows)
    except BadAnswer:
        return
    assert len(found.rows) == rows


@given(field=st.integers(0, 5), junk=NESTED, inner=st.booleans())
def test_one_spoilt_field_never_opens_what_was_closed(field: int, junk: object, inner: bool) -> None:
    """Whatever stands in one field of an answer that says ENGAGED, it does not become a permission."""
    value = wire_answer(b"ENGAGED x")
    if inner:
        rows = value[5]
        assert isinstance(rows, list)
        rows[0][field] = junk
    elif field < 5:
        value[field] = junk
    try:
        decision = decide(parse_answer(value, 1), VERSION, (), 0, 0)
    except BadAnswer:
        return
    text = value[5][0][1]  # type: ignore[index]
    assert decision.mode is Mode.ENGAGED or text in (b"SAFE", "SAFE", b"REDUCING", "REDUCING")


@given(
    items=st.lists(ROWS, min_size=1, max_size=4), seen=st.integers(0, 9), stopped=st.integers(0, 9), ok=st.booleans()
)
def test_decision_permits_only_what_every_row_permits(items: list[StateRow], seen: int, stopped: int, ok: bool) -> None:
    """The strictest row wins; an open decision implies each single condition of safety."""
    scopes = tuple(f"a:{index}" for index in range(len(items) - 1))
    rows = [[i.kind, i.text, i.length, i.pttl_ms, i.epoch, int(i.recorded)] for i in items]
    found = parse_answer([VERSION, "1", "r", int(ok), 9, rows], len(items))
    decision = decide(found, VERSION, scopes, seen, stopped)
    readings = [read_state(item, scope)[0] for item, scope in zip(items, (None, *scopes), strict=True)]
    if decision.mode is Mode.ENGAGED:
        assert decision.ttl_ms is None
        return
    assert ok
    assert decision.mode is strictest(*readings)
    assert Mode.ENGAGED not in readings
    assert all(item.recorded for item in items)
    assert decision.epoch == max(item.epoch for item in items)
    assert decision.epoch >= seen
    assert decision.epoch > stopped


@given(modes=st.lists(st.sampled_from(Mode), min_size=1))
def test_strictness_is_the_order_of_the_modes(modes: list[Mode]) -> None:
    """The result is one of the modes and none of them forbids more."""
    order = list(Mode)
    assert order.index(strictest(*modes)) == max(order.index(mode) for mode in modes)


@given(sent=st.integers(0, 2**62), lease=st.integers(1, 60_000), ttl=st.none() | st.integers(0, 10**9))
def test_deadline_never_exceeds_lease_nor_time_to_live(sent: int, lease: int, ttl: int | None) -> None:
    """Both bounds hold, and one of them is met exactly."""
    length = deadline_ns(sent, lease, ttl) - sent
    bounds = [lease * 10**6] + ([] if ttl is None else [ttl * 10**6])
    assert length == min(bounds)
    assert closed_by_ms(lease) / 1.1 * 0.9 >= lease, "a clock that is a tenth slow is waited for on one a tenth fast"


@given(text=st.text(max_size=40))
def test_any_text_is_a_scope_or_refused(text: str) -> None:
    """A scope never carries a wildcard, a space or a second colon into a key."""
    try:
        scope = Scope.parse(text)
    except InvalidInput:
        return
    assert str(scope) == text
    assert text.count(":") == 1
    assert not set(text) & set(" *?[]\\\r\n\0{}")


FIELDS = ["host", "pid", "scopes", "seen_epoch", "quiet_epoch", "closed", "in_flight", "orders", "info", "lease_ms"]


@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=12) | st.integers().map(str)),
    epoch=st.integers(1, MAX_EPOCH),
)
def test_any_worker_hash_is_read_and_quiet_needs_its_exact_words(fields: dict[str, str], epoch: int) -> None:
    """Total, and quiet only with a whole quiet epoch not below the asked one and a plain zero in flight."""
    member = parse_member("w", fields, 0, 10)
    assert member.beat_age_ms >= 0
    if not not_quiet((member,), epoch):
        assert int(fields["quiet_epoch"]) >= epoch
        assert int(fields["in_flight"]) == 0


@given(fields=st.dictionaries(st.sampled_from(["epoch", "scope", "from", "to", "at_ms"]), st.text(max_size=25)))
def test_any_audit_entry_is_read(fields: dict[str, str]) -> None:
    """Total: the epoch is a valid one or -1."""
    assert -1 <= parse_entry("1-1", fields).epoch <= MAX_EPOCH


def read(url: str) -> Endpoint | InvalidInput:
    """The endpoint, or the refusal."""
    try:
        return parse_url(url)
    except InvalidInput as error:
        return error


SECRETS = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() == text)


@given(password=SECRETS, user=st.text(max_size=8), tail=st.sampled_from(["h:1/0", "h/x", "h:no", "", "h/1/2", "a,b"]))
def test_escaped_password_arrives_whole_and_is_shown_nowhere(password: str, user: str, tail: str) -> None:
    """Any password that is written with escapes reaches the server, and no text that people see."""
    url = f"redis://{quote(user, safe='')}:{quote(password, safe='')}@{tail}"
    marked = f"redis://{quote(user, safe='')}:{quote('<<' + password + '>>', safe='')}@{tail}"
    endpoint, hidden = read(url), read(marked)
    if isinstance(endpoint, Endpoint):
        assert (endpoint.password, endpoint.username) == (password, user)
    assert repr(hidden) == repr(endpoint), "the text depends on the password"
    assert str(hidden) == str(endpoint)


@given(text=st.text(max_size=60) | st.text("redis:/@[]%?#,0a", max_size=40).map(lambda tail: "redis://" + tail))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    """No URL makes the parser fail in another way, and a place is always named."""
    try:
        endpoint = parse_url(text)
    except InvalidInput:
        return
    assert endpoint.path or endpoint.hosts
    assert all(host and 0 < port < 65536 for host, port in endpoint.hosts)
    assert endpoint.db >= 0


def test_row_helper_and_parser_agree() -> None:
    """The fakes speak the form that the parser reads."""
    item = row("SAFE", 3)
    assert parse_answer(wire_answer(b"SAFE"), 1).rows == (item,)
