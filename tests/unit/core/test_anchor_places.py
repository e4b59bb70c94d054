"""Places for anchors: taken apart as people write them, refused clearly, and never with a password in the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import AnchorPlace, InvalidInput
from killswitch.core.endpoint import SCHEMES

SECRET = "s3cr@et-tail"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_of_redis_is_taken_and_shown_without_its_password(scheme: str) -> None:
    """One list says what a URL of Redis is, here as for the switch."""
    rest = {"unix": "/run/s", "redis": "host:1/0", "rediss": "host:1/0"}.get(scheme, "host:26379/m/0")
    place = AnchorPlace.parse(f"{scheme}://:{SECRET}@{rest}")
    assert place.endpoint is not None
    assert place.endpoint.password == SECRET
    for shown in (str(place), repr(place)):
        assert "s3cr" not in shown
        assert "tail" not in shown


def test_places_are_taken_apart() -> None:
    """A path, this host's syslog, a socket of one, and a host of one with its port."""
    assert AnchorPlace.parse("/var/lib/a@b.jsonl").path == "/var/lib/a@b.jsonl"
    assert AnchorPlace.parse("syslog:").syslog == "/dev/log"
    assert AnchorPlace.parse("syslog:/run/x").syslog == "/run/x"
    assert AnchorPlace.parse("syslog://loghost").syslog == ("loghost", 514)
    assert AnchorPlace.parse("syslog://loghost:99/").syslog == ("loghost", 99)


@pytest.mark.parametrize(
    "text",
    [
        "syslog://user:s3cret@host:abc", "syslog://user:s3cret@host:514", "syslog://host:514/s3cret",
        "syslog://redis://:s3cret@host", "syslog://[s3cret", "https://logs.example/s3cret", "s3cret://x",
        "ftp://user:s3cret@host", "https://a@b/s3cret", "redis://user:s3cret/x@host", "redis:/:s3cret@host",
        "rediss+sentinel://:s3cret@host", "REDISS+SENTINEL://:s3cret@host", " ", "a\0s3cret",
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused_without_being_quoted(text: str) -> None:
    """A password or the token of an address may be anywhere in it; the remedy is there all the same."""
    with pytest.raises(InvalidInput, match="write") as caught:
        AnchorPlace.parse(text)
    assert "s3c" not in str(caught.value)


@given(st.sampled_from(["", "redis", "rediss+sentinel", "syslog", "https", "unix"]), st.text(max_size=30))
def test_no_text_whatever_it_is_gets_into_an_error(scheme: str, rest: str) -> None:
    """Of any address that has a user in it nothing is shown."""
    shown = ""
    try:
        shown = str(AnchorPlace.parse(f"{scheme}://u:c4n4ry@{rest}"))
    except InvalidInput as error:
        shown = str(error)
    assert "c4n4ry" not in shown
