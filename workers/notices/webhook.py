"""Where notices go: the setting WORKERS_WEBHOOKS, taken apart.

An address usually holds a token, so it is a secret: it is never logged, shown, quoted in an error or written into a
queue. Jobs carry a webhook's name only, and each worker looks the address up in its own settings: whoever can write
into the queue's Redis leads nobody elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from killswitch import InvalidInput

__all__ = ["FORMS", "Webhook", "parse_webhooks"]

FORMS = ("json", "slack")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_OPTIONS = ("form", "key", "plain")
_MOST = 16
_SHORTEST_KEY = 16
_SHAPE = "write name=https://host/path, with ;form=slack or ;key=/file if wanted, and a blank before the next"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver. `form` is what it understands, `key_file` holds the key that its notices are signed with."""

    name: str
    url: str = field(repr=False)
    form: str = "json"
    key_file: Path | None = None

    def key(self) -> bytes | None:
        """The key as it is now, so that it may be changed while workers run.

        Raises:
            InvalidInput: the file cannot be read, or holds less than 16 characters.
        """
        if self.key_file is None:
            return None
        try:
            found = self.key_file.read_bytes().strip()
        except OSError as error:
            raise InvalidInput(f"{self.name}: the key file {self.key_file} cannot be read: {error.strerror}") from None
        if len(found) < _SHORTEST_KEY:
            raise InvalidInput(f"{self.name}: the key in {self.key_file} is shorter than {_SHORTEST_KEY} characters")
        return found


def parse_webhooks(text: str) -> Mapping[str, Webhook]:
    """The webhooks by name, from words `name=url[;form=slack][;key=FILE][;plain=yes]`.

    Raises:
        InvalidInput: what is wrong, without any address.
    """
    found: dict[str, Webhook] = {}
    for number, word in enumerate(text.split(), 1):
        webhook = _webhook(word, number)
        if webhook.name in found:
            raise InvalidInput(f"two webhooks are called {webhook.name}: give each a name of its own")
        found[webhook.name] = webhook
    if len(found) > _MOST:
        raise InvalidInput(f"there are {len(found)} webhooks, at most {_MOST} are served")
    return MappingProxyType(found)


def _webhook(word: str, number: int) -> Webhook:
    name, equals, rest = word.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise InvalidInput(f"number {number} has no name of letters, digits, _ and - before a =: {_SHAPE}")
    url, *options = rest.split(";")
    given: dict[str, str] = {}
    for option in options:
        what, _, value = option.partition("=")
        if what not in _OPTIONS or not value or what in given:
            raise InvalidInput(f"{name}: an option is one of {', '.join(_OPTIONS)}, with a value and once: {_SHAPE}")
        given[what] = value
    form = given.get("form", "json")
    if form not in FORMS:
        raise InvalidInput(f"{name}: the form is one of {', '.join(FORMS)}")
    if "plain" in given and given["plain"] != "yes":
        raise InvalidInput(f"{name}: plain=yes allows http without TLS; leave it out otherwise")
    _check_url(name, url, plain="plain" in given)
    webhook = Webhook(name, url, form, Path(given["key"]) if "key" in given else None)
    webhook.key()
    return webhook


def _check_url(name: str, url: str, *, plain: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or not url.isascii() or not url.isprintable() or parts.scheme not in ("https", "http"):
        raise InvalidInput(f"{name}: its address is no http or https URL of printable ASCII: {_SHAPE}")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(f"{name}: its address holds a user or password: put a token into the path instead")
    if parts.scheme == "http" and not (plain or _on_this_machine(host)):
        raise InvalidInput(f"{name}: http goes over the network unprotected: use https, or allow it with ;plain=yes")


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
