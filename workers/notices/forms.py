"""What is posted: the generic JSON object, and Slack's form. Pure.

The texts in a notice were written by others: in a reason may stand markup, a link or a call for everybody's attention.
In Slack's form they are escaped, markup is switched off, and no mention works, neither in Slack's own notation nor in
the plain `@name` that others who take this form look for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from killswitch import clock, read_told
from workers.notices.notice import Notice, Part

__all__ = ["VERSION", "body", "signed", "slack_text"]

VERSION = 1
_NO_WIDTH = "\u200b"


def body(notice: Notice, form: str) -> bytes:
    """The bytes to post in `form`."""
    found = _slack(notice) if form == "slack" else _generic(notice)
    return json.dumps(found, ensure_ascii=True).encode()


def signed(payload: bytes, key: bytes | None, at_s: int) -> Mapping[str, str]:
    """The headers that prove where `payload` comes from and when it was sent; none without a key. The signature is the
    HMAC-SHA256 of "<timestamp>.<payload>"."""
    if key is None:
        return {}
    digest = hmac.new(key, f"{at_s}.".encode() + payload, hashlib.sha256).hexdigest()
    return {"X-Killswitch-Timestamp": str(at_s), "X-Killswitch-Signature": f"v1={digest}"}


def _change(part: Part) -> dict[str, Any]:
    return {
        "entry": part.entry,
        "scope": part.scope,
        "epoch": part.epoch,
        "from": part.before,
        "to": part.after,
        "mode": part.mode or read_told(part.after, part.via).mode,
        "reason": part.reason,
        "actor": part.actor,
        "via": part.via,
        "at_ms": part.at_ms,
        "at": clock.wall_text(part.at_ms) if 0 <= part.at_ms < 10**14 else "",
    }


_OF_AN_ATTEMPT = ("entry", "scope", "epoch", "reason", "actor", "via", "at_ms", "at")


def _generic(notice: Notice) -> dict[str, Any]:
    found: dict[str, Any] = {
        "version": VERSION,
        "id": notice.id,
        "event": notice.event,
        "switch": notice.switch,
        "text": _plain(notice),
    }
    if notice.event in ("change", "outcome"):
        found |= _change(notice.parts[0]) if notice.parts else {}
    if notice.event == "attempt":
        told = _change(notice.parts[0])
        found |= {name: told[name] for name in _OF_AN_ATTEMPT} | {"attempt": told["to"]}
    if notice.event == "several":
        found |= {"count": notice.count, "now": notice.now, "changes": [_change(part) for part in notice.parts]}
    if notice.proof is not None:
        found["outcome"] = notice.proof.model_dump()
    if notice.permission is not None:
        found["permission"] = notice.permission.model_dump()
    return found


def _where(part: Part) -> str:
    return "" if part.scope == "switch" else f"{part.scope}: "


def _changed(part: Part) -> str:
    return f"{_where(part)}{part.after} (was {part.before}), epoch {part.epoch}, by {part.actor} via {part.via}"


def _span(ms: int) -> str:
    seconds = max(ms, 0) // 1000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _plain(notice: Notice) -> str:
    """One paragraph for people."""
    name = notice.switch
    if notice.event == "test":
        return f"[{name}] a test: this webhook works"
    if notice.permission is not None:
        left = _span(notice.permission.left_ms)
        if notice.permission.kind == "deadman":
            who = notice.permission.actor or "nobody"
            return f"[{name}] renewal overdue: {who} has not renewed the permission; the fleet is closed in {left}"
        return f"[{name}] the permission to trade ends in {left}"
    if notice.event == "several":
        told = "; ".join(map(_changed, reversed(notice.parts))) or "no change"
        return f"[{name}] {notice.count} entries at once, the switch says {notice.now} now. Newest: {told}"
    if notice.proof is not None and notice.event == "outcome":
        part, proof = notice.parts[0], notice.proof
        pending = f", not quiet: {proof.pending}" if proof.pending else ""
        return f"[{name}] {_where(part)}{proof.verdict} after {proof.waited_ms} ms at epoch {part.epoch}{pending}"
    part = notice.parts[0]
    if notice.event == "attempt":
        return f"[{name}] {_where(part)}{part.after}; epoch {part.epoch}, by {part.actor} via {part.via}: {part.reason}"
    why = f": {part.reason}" if part.reason and part.reason not in part.after else ""
    return f"[{name}] {_changed(part)}{why}"


def slack_text(text: str) -> str:
    """`text` for Slack: nothing in it is a link, a mention or an entity."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, entity)
    return text.replace("@", f"@{_NO_WIDTH}")


def _slack(notice: Notice) -> dict[str, Any]:
    text = slack_text(_plain(notice))
    return {"text": text, "mrkdwn": False, "link_names": False, "unfurl_links": False, "unfurl_media": False}
