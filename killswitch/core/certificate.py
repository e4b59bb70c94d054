"""When a certificate ends, read from its own text: what nobody asks a library for that is not there otherwise."""

from __future__ import annotations

import base64
import binascii
import re

__all__ = ["ends_ms"]

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]{1,65536}?)-----END CERTIFICATE-----")
_MOMENT = re.compile(r"(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])([0-5]\d)([0-5]\d)Z", re.ASCII)
_SEQUENCE, _CONTEXT_0, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the DER element at `at`, and where the next one begins. Raises IndexError, ValueError."""
    tag, length, begin = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 3:
            raise ValueError("no length that a certificate has")
        length, begin = int.from_bytes(data[begin : begin + count]), begin + count
    if begin + length > len(data):
        raise ValueError("cut off")
    return tag, data[begin : begin + length], begin + length


def _moment_ms(tag: int, text: str) -> int:
    """UTCTime has two digits for the year, and those from 50 on are of the last century."""
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    year, month, day, hour, minute, second = map(int, found.groups())
    # Days since 1970-01-01, with years that begin in March, so that the odd day is the last. The module that knows this
    # takes longer to load than an engagement.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719_468
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000


def ends_ms(pem: str) -> int | None:
    """When the first certificate in `pem` ends, in milliseconds since the Unix epoch; None where there is none that can
    be read. It is not checked: that is for whoever verifies the connection."""
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        _, certificate, _ = _element(base64.b64decode(found[1]), 0)
        _, body, _ = _element(certificate, 0)
        at = 0
        tag, _, after = _element(body, at)
        if tag == _CONTEXT_0:  # the version, where it is told
            at = after
        for _ in range(3):  # serial number, algorithm, issuer
            _, _, at = _element(body, at)
        tag, validity, _ = _element(body, at)
        if tag != _SEQUENCE:
            return None
        _, _, at = _element(validity, 0)
        tag, end, _ = _element(validity, at)
        return _moment_ms(tag, end.decode("ascii"))
    except (IndexError, ValueError, OverflowError, binascii.Error):
        return None
