"""The end of a certificate, read from its text: right for real ones, and nothing for whatever is none."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch.clock import wall_ms
from killswitch.core.certificate import ends_ms
from tests.support.certificates import Authority


def pem(data: bytes) -> str:
    """`data` in the form in which certificates are kept."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(data).decode()}-----END CERTIFICATE-----\n"


def element(tag: int, content: bytes) -> bytes:
    """One DER element of at most 127 bytes."""
    return bytes([tag, len(content)]) + content


def certificate(end: bytes, tag: int = 0x17, version: bool = True) -> bytes:
    """As much of a certificate as is looked at."""
    validity = element(0x30, element(tag, b"260101000000Z") + element(tag, end))
    head = element(0xA0, b"\x02\x01\x02") if version else b""
    return element(0x30, element(0x30, head + element(2, b"\x01") + element(0x30, b"") + element(0x30, b"") + validity))


def test_end_of_a_real_certificate_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    """Of the first in a file that holds several, with words around them."""
    authority = Authority(tmp_path)
    cert, _ = authority.issue("a", seconds=3600)
    text = f"subject=a\n{cert.read_text()}{authority.ca_file.read_text()}"
    found = ends_ms(text)
    assert found is not None
    assert abs(found - wall_ms() - 3_600_000) < 60_000


@pytest.mark.parametrize(
    ("end", "tag", "year"),
    [(b"491231235959Z", 0x17, 2049), (b"500101000000Z", 0x17, 1950), (b"20990101000000Z", 0x18, 2099)],
)
def test_both_forms_of_time_are_read(end: bytes, tag: int, year: int) -> None:
    """Two digits for the year mean 1950 to 2049."""
    for version in (True, False):
        found = ends_ms(pem(certificate(end, tag, version)))
        assert found is not None
        assert datetime.fromtimestamp(found / 1000, UTC).year == year


@given(seconds=st.integers(-631_152_000, 2_524_607_999))
def test_moment_is_counted_as_the_calendar_does(seconds: int) -> None:
    """Leap years and the ends of months included, from 1950 to 2049."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%y%m%d%H%M%SZ")
    assert ends_ms(pem(certificate(text.encode()))) == seconds * 1000


@given(data=st.binary(max_size=60) | st.builds(lambda n: certificate(b"300101000000Z")[:n], st.integers(0, 60)))
def test_what_is_no_certificate_has_no_end(data: bytes) -> None:
    """Cut off, damaged or something else: nothing is made up, and nothing raised."""
    found = ends_ms(pem(data))
    assert found is None or data == certificate(b"300101000000Z")
    assert ends_ms(data.decode("latin-1")) is None
    assert ends_ms(pem(certificate(b"not a time...", 0x17))) is None
