"""Posting one notice to one webhook, once, in bounded time.

The address is a secret and the receiver a stranger: certificates are verified, no redirect is followed, of the answer
only its status counts, and no error tells more than what kind it was. All of it (looking up the name, connecting, TLS,
sending, the answer) happens on a thread of its own and has one limit together: a name server that does not answer and a
receiver that answers a byte a second cost a worker no longer than that.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from killswitch import InvalidInput, KillSwitchError, __version__, clock
from workers.notices.forms import body, signed
from workers.notices.notice import Notice
from workers.notices.webhook import Webhook

__all__ = ["LIMIT_S", "Undelivered", "deliver"]

LIMIT_S = 5.0
"""Longest time for one delivery."""
_STEP_S = 3.0
"""Longest silence while connecting, and while waiting for the answer."""
_AGAIN = frozenset({408, 425, 429})
_MOST_ANSWER = 4096


class Undelivered(KillSwitchError):
    """The webhook called `webhook` did not take a notice; `why` says what kind of failure it was. `lasting`: trying
    again would not help."""

    def __init__(self, webhook: str, why: str, lasting: bool = False) -> None:
        super().__init__(webhook, why, lasting)
        self.webhook = webhook
        self.why = why
        self.lasting = lasting

    def __str__(self) -> str:
        return f"webhook {self.webhook}: {self.why}"


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int = 0
    why: str = ""


def deliver(webhook: Webhook, notice: Notice, limit_s: float = LIMIT_S) -> int:
    """Posts `notice`; the status of the answer. It may arrive twice under the same id, should the answer be lost.

    Raises:
        Undelivered: it did not arrive, or nobody knows whether it did.
    """
    payload = body(notice, webhook.form)
    try:
        signature = signed(payload, webhook.key(), clock.wall_ms() // 1000)
    except InvalidInput as error:
        raise Undelivered(webhook.name, str(error)) from None
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"killswitch/{__version__}",
        "Idempotency-Key": notice.id,
        "X-Killswitch-Event": notice.event,
        **signature,
    }
    attempt = _Attempt(urlsplit(webhook.url), payload, headers)
    attempt.start()
    attempt.join(limit_s)
    outcome = attempt.outcome
    if outcome is None:
        attempt.abandon()
        raise Undelivered(webhook.name, f"no answer within {limit_s:g} s")
    if outcome.why:
        raise Undelivered(webhook.name, outcome.why)
    if 200 <= outcome.status < 300:
        return outcome.status
    moved = ", and redirects are not followed" if 300 <= outcome.status < 400 else ""
    lasting = outcome.status < 500 and outcome.status not in _AGAIN
    raise Undelivered(webhook.name, f"it answered {outcome.status}{moved}", lasting)


class _Attempt(threading.Thread):
    """One try. `outcome` is there once it has come to an end."""

    def __init__(self, url: SplitResult, payload: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(name="worker-webhook", daemon=True)
        self.outcome: _Outcome | None = None
        self._url = url
        self._payload = payload
        self._headers = headers
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        try:
            self.outcome = _Outcome(status=self._post())
        except Exception as error:
            self.outcome = _Outcome(why=_why(error))

    def abandon(self) -> None:
        """It took too long: its connection is cut, which ends it, unless it still waits for a name."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _post(self) -> int:
        connection, target, more = _connect(self._url)
        self._connection = connection
        try:
            connection.request("POST", target, self._payload, {**self._headers, **more})
            response = connection.getresponse()
            response.read(_MOST_ANSWER)
            return response.status
        finally:
            connection.close()


def _connect(url: SplitResult) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """A connection that is not open yet, by way of the proxy of the environment where there is one, the target of the
    request, and the headers that are for the proxy."""
    host, secure = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if secure else 80)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    context = ssl.create_default_context() if secure else None
    if context is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    proxy = urlsplit(getproxies().get(url.scheme, ""))
    if not proxy.hostname or proxy_bypass(host):
        return _opened(host, port, context), path, {}
    through, pass_on = _opened(proxy.hostname, proxy.port or 3128, context), _credentials(proxy)
    if secure:
        through.set_tunnel(host, port, pass_on)
        return through, path, {}
    return through, f"http://{url.netloc}{path}", pass_on


def _opened(host: str, port: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=_STEP_S)
    return http.client.HTTPSConnection(host, port, timeout=_STEP_S, context=context)


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _why(error: Exception) -> str:
    """What kind of failure it was, in words of ours: the error's own may quote the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (ssl.SSLError, "TLS failed"),
        (socket.gaierror, "its name is not known"),
        (TimeoutError, "it did not answer in time"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionError, "the connection broke"),
        (http.client.HTTPException, "it did not answer in HTTP"),
    )
    for kind, words in kinds:
        if isinstance(error, kind):
            return words
    return f"it cannot be reached ({type(error).__name__})"
