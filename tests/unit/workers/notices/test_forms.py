"""What is posted: all that a receiver needs, and nothing that a hostile text could make of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from killswitch import FeedItem, Mode
from tests.unit.workers.notices.pictures import change, look, outcome, renewed
from workers.notices.forms import body, signed, slack_text
from workers.notices.notice import Notice, of_item, of_permission, of_several, trial_notice

HOSTILE = (
    "<!channel> <!here|now> <@U123> <https://evil.example|click> &lt;!everyone> @channel @here @all *bold* _x_ `code` "
    "\n\r\x1b[2J\u202egnp.exe\u2028"
)


def generic(notice: Notice) -> dict[str, Any]:
    """The generic object."""
    found = json.loads(body(notice, "json"))
    assert isinstance(found, dict)
    return found


def told(item: FeedItem, switch: str = "k") -> Notice:
    """The notice of one entry, found by a look at a switch that was permitted meanwhile."""
    return of_item(switch, item, look(item, epoch=1000))


def slack(notice: Notice) -> str:
    """The text in Slack's form."""
    found = json.loads(body(notice, "slack"))
    assert (found["mrkdwn"], found["link_names"], found["unfurl_links"]) == (False, False, False)
    return str(found["text"])


def test_change_is_told_whole() -> None:
    """Epoch, scope, from, to, why, who, how and when, with the entry's id as the id of the notice."""
    assert generic(told(change(7), "killswitch")) == {
        "version": 1, "id": "1007-0", "event": "change", "switch": "killswitch", "entry": "1007-0", "scope": "switch",
        "epoch": 7, "from": "SAFE", "to": "ENGAGED fat finger", "mode": "ENGAGED", "reason": "fat finger",
        "actor": "alice", "via": "command", "at_ms": 1_700_000_000_007, "at": "2023-11-14 22:13:20.007Z",
        "text": "[killswitch] ENGAGED fat finger (was SAFE), epoch 7, by alice via command",
    }  # fmt: skip


def test_an_attempt_is_told_as_one_and_not_as_a_change() -> None:
    """Who was refused, or has approved as the first of two, changed nothing: no mode, and no state that it became."""
    entry = replace(change(7).entry, before="", after="", reason="checked", actor="bob")
    found = generic(
        told(FeedItem(entry, is_change=False, attempt="reset was refused: 6 is not the current epoch"), "k")
    )
    assert (found["event"], found["attempt"]) == ("attempt", "reset was refused: 6 is not the current epoch")
    assert not {"mode", "to", "from"} & set(found)
    text = "[k] reset was refused: 6 is not the current epoch; epoch 7, by bob via command: checked"
    assert found["text"] == text
    several = of_several("k", [FeedItem(entry, is_change=False, attempt="x")] * 9, look(change(7)))
    assert "9 entries at once, the switch says" in generic(several)["text"]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("SAFE", "SAFE"), ("SAFE (for 300 s)", "SAFE"), ("SAFE (while renewed, 80 s at a time)", "SAFE"),
        ("REDUCING", "REDUCING"), ("ENGAGED x", "ENGAGED"), ("SAFE ", "ENGAGED"), ("safe", "ENGAGED"),
        ("(absent)", "ENGAGED"), ("", "ENGAGED"), ("SAFE (looks fine)", "ENGAGED"), ("SAFE (for 5 s) ", "ENGAGED"),
        ("REDUCING (for 5 s)", "REDUCING"), ("REDUCING (5 s)", "ENGAGED"), ("SAFE (while renewed)", "ENGAGED"),
        ("SAFE (for 05 s)", "ENGAGED"),
    ],
)  # fmt: skip
def test_mode_is_safe_only_to_the_letter(text: str, mode: str) -> None:
    """A receiver that acts on it must not take a stop for a permission."""
    assert generic(told(change(1, after=text)))["mode"] == mode


def test_mode_of_a_change_by_hand_is_what_the_key_says() -> None:
    """A key with a limit in time and words that look like one are recorded alike; without the key it is a stop."""
    item = change(7, after="SAFE (for 5 s)", via="raw")
    assert generic(of_item("k", item, look(item, ttl_ms=4_000, via="raw")))["mode"] == "SAFE"
    assert generic(of_several("k", [item], look(item, ttl_ms=4_000)))["changes"][0]["mode"] == "SAFE"
    assert generic(of_item("k", item, look(item, mode=Mode.ENGAGED, text="SAFE (for 5 s)")))["mode"] == "ENGAGED"
    assert generic(of_item("k", item, look(item, epoch=8, ttl_ms=4_000)))["mode"] == "ENGAGED"
    assert generic(of_item("k", item, look(item, recorded=False, ttl_ms=4_000)))["mode"] == "ENGAGED"
    assert generic(told(change(7, after="SAFE (while renewed, 8 s at a time)", via="raw")))["mode"] == "ENGAGED"


def test_outcome_of_a_stop_is_told_with_who_was_not_quiet() -> None:
    """It belongs to the change by scope and epoch, and has an id of its own."""
    found = generic(told(outcome(7, "UNCERTAIN", "w1, w2")))
    assert (found["event"], found["id"], found["epoch"]) == ("outcome", "1007-1", 7)
    assert found["outcome"] == {"verdict": "UNCERTAIN", "waited_ms": 12, "members": 3, "pending": "w1, w2"}
    assert slack(told(outcome(7, "UNCERTAIN", "w1"))) == "[k] UNCERTAIN after 12 ms at epoch 7, not quiet: w1"


def test_many_at_once_are_told_with_the_newest_of_each_scope() -> None:
    """How many there were, how things are now, the newest first."""
    items = [change(n, scope="symbol:EURUSD" if n % 2 else "switch", after=f"ENGAGED {n}") for n in range(1, 100)]
    found = generic(of_several("k", items, look(*items, text="ENGAGED 98")))
    assert (found["count"], found["now"], found["id"]) == (99, "ENGAGED 98", "1001-0_1099-0")
    assert [(one["scope"], one["epoch"]) for one in found["changes"]] == [("switch", 98), ("symbol:EURUSD", 99)]
    assert "Newest: symbol:EURUSD: ENGAGED 99" in found["text"]


def test_permission_that_ends_is_told_with_the_time_left() -> None:
    """By its own limit, and for want of a renewal."""
    soon = of_permission("k", "permission:7:120", "time_box", 119_000, look())
    assert generic(soon)["permission"] == {
        "kind": "time_box", "left_ms": 119_000, "at_ms": 1_000_000, "epoch": 7, "actor": "alice"
    }  # fmt: skip
    assert slack(soon) == "[k] the permission to trade ends in 119 s"
    late = of_permission("k", "x", "deadman", 45_000, look(deadman=renewed(45_000, overdue=True)))
    assert slack(late) == "[k] renewal overdue: alice has not renewed the permission; the fleet is closed in 45 s"
    assert slack(trial_notice("k", "test-1")) == "[k] a test: this webhook works"


def test_hostile_text_calls_nobody_and_links_nowhere() -> None:
    """In Slack's form: no mention in either notation, no link, no markup, one line."""
    for name in ("reason", "actor", "after", "before", "scope", "via"):
        text = slack(told(change(1, **{name: HOSTILE})))
        assert "<" not in text
        assert ">" not in text
        assert "@channel" not in text
        assert "@here" not in text
        assert "@all" not in text
        assert "\n" not in text
        assert text.replace("\u200b", "").isprintable()
    assert "&amp;lt;!everyone&gt;" in slack(told(change(1, reason=HOSTILE)))


@given(text=st.text(max_size=400))
def test_any_text_is_one_bounded_line_in_both_forms(text: str) -> None:
    """Anybody with the right to write into the record may have written it."""
    fields = dict.fromkeys(("scope", "before", "after", "reason", "actor", "via"), text)
    item: FeedItem = change(1, **fields)
    notice = told(item)
    found = generic(notice)
    assert all(len(found[name]) <= 257 and found[name].isprintable() for name in ("from", "to", "reason", "actor"))
    assert len(body(notice, "json")) < 65_536
    assert not {"<", ">"} & set(slack(notice))
    assert Notice.model_validate(notice.model_dump(mode="json")) == notice


def test_slack_text_escapes_exactly_once() -> None:
    """An entity in the text stays visible as such."""
    assert slack_text("a & b < c > d &amp; @x") == "a &amp; b &lt; c &gt; d &amp;amp; @\u200bx"


def test_signature_is_of_the_timestamp_and_the_bytes() -> None:
    """So that neither can be changed, nor an old one be sent again later as a new one."""
    payload, key = body(trial_notice("k", "test-1"), "json"), b"0123456789abcdef"
    found = signed(payload, key, 1_700_000_000)
    wanted = hmac.new(key, b"1700000000." + payload, hashlib.sha256).hexdigest()
    assert found == {"X-Killswitch-Timestamp": "1700000000", "X-Killswitch-Signature": f"v1={wanted}"}
    assert signed(payload, None, 1) == {}


@pytest.mark.parametrize(
    "document",
    [
        {}, {"id": "x", "event": "change"}, {"id": "x", "event": "shout", "switch": "k"},
        {"id": "", "event": "test", "switch": "k"}, {"id": "a\r\nX: y", "event": "test", "switch": "k"},
        {"id": "x", "event": "test", "switch": "k" * 300}, {"id": "x", "event": "test", "switch": "k", "url": "x"},
        {"id": "x" * 97, "event": "test", "switch": "k"},
    ],
)  # fmt: skip
def test_notice_off_a_queue_is_checked(document: dict[str, object]) -> None:
    """Its id becomes a header."""
    with pytest.raises(ValidationError):
        Notice.model_validate(document)
