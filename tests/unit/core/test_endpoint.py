"""Redis URLs: taken apart exactly, refused clearly, and never with a password in the text."""

from __future__ import annotations

import pytest

from killswitch.core.endpoint import Endpoint, parse_url
from killswitch.core.modes import InvalidInput


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", Endpoint("redis", (("h", 6379),))),
        ("redis://h:1/2", Endpoint("redis", (("h", 1),), db=2)),
        ("redis://h:1?db=3", Endpoint("redis", (("h", 1),), db=3)),
        ("rediss://u:p@h/0", Endpoint("rediss", (("h", 6379),), username="u", password="p")),
        ("redis://:p%40%2F@h", Endpoint("redis", (("h", 6379),), password="p@/")),
        ("redis://[::1]:7", Endpoint("redis", (("::1", 7),))),
        ("unix:///tmp/s", Endpoint("unix", path="/tmp/s")),
        ("unix://u:p@/tmp/s%20x?db=4", Endpoint("unix", path="/tmp/s x", db=4, username="u", password="p")),
        ("redis+sentinel://a,b:2/m", Endpoint("redis+sentinel", (("a", 26379), ("b", 2)), master="m")),
        ("redis+sentinel://:p@a/m/5", Endpoint("redis+sentinel", (("a", 26379),), db=5, password="p", master="m")),
    ],
)
def test_good_url_is_taken_apart(url: str, expected: Endpoint) -> None:
    """Each part arrives where it belongs, defaults filled in."""
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("", "scheme"),
        ("localhost:6379", "scheme"),
        ("http://h", "scheme"),
        ("redis://", "names no host"),
        ("redis://:6379", "names no host"),
        ("redis://h:port", "bad host or port"),
        ("redis://h:99999", "bad host or port"),
        ("redis://h:0", "port 0"),
        ("redis://[::1", "cannot be read"),
        ("redis://a,b", "several hosts"),
        ("redis://h/x", "not a number"),
        ("redis://h/-1", "not a number"),
        ("redis://h/" + "9" * 5000, "not a number"),
        ("redis://h/\u0661", "not a number"),
        ("redis://h/1/2", "too many path parts"),
        ("unix://", "no socket path"),
        ("unix://tmp/s", "no socket path"),
        ("unix:///tmp/s?db=x", "not a number"),
        ("redis+sentinel://a", "no sentinel master"),
        ("redis+sentinel://a/m/1/2", "too many path parts"),
    ],
)
def test_bad_url_is_refused_with_rule_and_remedy(url: str, rule: str) -> None:
    """One line that says what is wrong and how a URL is written."""
    with pytest.raises(InvalidInput, match=rule) as caught:
        parse_url(url)
    assert "redis://[user:password@]host:port/db" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@h:1/0",
        "redis://u:sec/ret@h:1/0",
        "redis://u:12/secret@h",
        "redis://:se#secret@h",
        "redis://u:12#secret@h",
        "redis://u:12?secret@h",
        "redis://:secret",
        "redis://u:secret",
        "rediss://u:secret@h:port",
        "redis://u:secret@h/db",
        "redis://u:secret@h/1/2",
        "unix://u:secret@tmp/s",
        "unix://u:secret",
        "http://u:secret@h",
        "secret:x@h",
        "redis+sentinel://u:secret@h",
    ],
)
def test_password_that_was_written_wrongly_is_not_in_the_refusal(url: str) -> None:
    """Also a URL that is taken apart at the wrong place does not show its password."""
    with pytest.raises(InvalidInput) as caught:
        parse_url(url)
    for part in ("secret", "sec", "ret@"):
        assert part not in str(caught.value)


def test_separate_password_is_used_where_the_url_has_none() -> None:
    """The URL's own password wins."""
    assert parse_url("redis://h").with_password("x").password == "x"
    assert parse_url("redis://:own@h").with_password("x").password == "own"
    assert parse_url("redis://h").with_password("").password == ""


def test_address_for_people_has_no_credentials() -> None:
    """str() names the place only."""
    assert str(parse_url("redis://u:p@h:1/2")) == "redis://h:1/2"
    assert str(parse_url("unix://u:p@/s?db=2")) == "unix:///s"
    assert str(parse_url("redis+sentinel://u:p@a,b/m")) == "redis+sentinel://a:26379,b:26379/m"
