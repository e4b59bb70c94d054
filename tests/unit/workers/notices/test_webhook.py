"""The setting WORKERS_WEBHOOKS: what is wrong is said without the address, which is a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from killswitch import InvalidInput, SettingsError
from workers import settings
from workers.notices.webhook import parse_webhooks

SECRET = "https://hooks.example/services/T000/B000/S3CRET"


def test_each_word_is_a_webhook_with_its_options(tmp_path: Path) -> None:
    """A name, an address, a form, a key."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef\n")
    found = parse_webhooks(f"ops={SECRET};form=slack\n risk=https://risk.example/?a=b&c=d;key={key}")
    assert list(found) == ["ops", "risk"]
    assert (found["ops"].url, found["ops"].form, found["ops"].key()) == (SECRET, "slack", None)
    assert found["risk"].url == "https://risk.example/?a=b&c=d"
    assert found["risk"].key() == b"0123456789abcdef"
    key.write_text("another key of 26 letters.")
    assert found["risk"].key() == b"another key of 26 letters.", "a key may be changed while workers run"
    assert parse_webhooks("") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SECRET, "has no name"),
        (f"={SECRET}", "has no name"),
        (f"a b={SECRET}", "has no name"),
        (f"a={SECRET};form=teams", "the form is one of json, slack"),
        (f"a={SECRET};colour=red", "an option is one of"),
        (f"a={SECRET};form", "an option is one of"),
        (f"a={SECRET};form=json;form=slack", "once"),
        (f"a={SECRET};plain=no", "plain=yes"),
        (f"a={SECRET};key=/no/such/file", "cannot be read"),
        (f"a={SECRET} a={SECRET}", "two webhooks are called a"),
        ("a=ftp://S3CRET.example", "no http or https URL"),
        ("a=https://", "no http or https URL"),
        ("a=https://x.example:S3CRET/", "no http or https URL"),
        ("a=https://x.exämple/S3CRET", "no http or https URL"),
        ("a=https://user:S3CRET@x.example/", "user or password"),
        ("a=http://x.example/S3CRET", "use https"),
        (" ".join(f"a{n}={SECRET}" for n in range(17)), "at most 16"),
    ],
)
def test_what_is_wrong_is_told_without_the_address(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as an error of its own nor among those of all settings."""
    with pytest.raises(InvalidInput, match=told) as caught:
        parse_webhooks(text)
    monkeypatch.setenv("WORKERS_WEBHOOKS", text)
    with pytest.raises(SettingsError, match="WORKERS_WEBHOOKS") as listed:
        settings.load()
    for error in (caught.value, listed.value):
        assert "S3CRET" not in str(error)
        assert "S3CRET" not in repr(error)


def test_short_key_is_refused(tmp_path: Path) -> None:
    """Signatures that can be guessed prove nothing."""
    key = tmp_path / "key"
    key.write_text("short")
    with pytest.raises(InvalidInput, match="shorter than 16"):
        parse_webhooks(f"a={SECRET};key={key}")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/x", "http://x.example/;plain=yes"]
)
def test_plain_http_is_for_this_machine_or_for_who_asks_for_it(url: str) -> None:
    """Where the token in the address is not on a network, or somebody said that it may be."""
    assert parse_webhooks(f"a={url}")["a"].url.startswith("http://")


def test_address_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the settings, not in the webhook."""
    monkeypatch.setenv("WORKERS_WEBHOOKS", f"ops={SECRET}")
    config = settings.load()
    assert "S3CRET" not in repr(config)
    assert "S3CRET" not in repr(config.webhooks_by_name["ops"])
