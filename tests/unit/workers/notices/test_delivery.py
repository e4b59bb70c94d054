"""Posting a notice: bounded, verified, to where the settings say and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from killswitch import clock
from tests.support.certificates import Authority
from tests.support.receiver import Receiver
from workers.notices import delivery
from workers.notices.delivery import Undelivered, deliver
from workers.notices.notice import trial_notice
from workers.notices.webhook import Webhook, parse_webhooks

NOTICE = trial_notice("killswitch", "test-1")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def hook(url: str, **options: str) -> Webhook:
    """A webhook called ops at `url`."""
    return parse_webhooks(f"ops={url}" + "".join(f";{name}={value}" for name, value in options.items()))["ops"]


def test_notice_arrives_with_its_id_and_a_signature_that_holds(tmp_path: Path) -> None:
    """A receiver can tell a repetition by the id, and who sent it, and when, by the signature."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    with Receiver() as receiver:
        assert deliver(hook(receiver.url, key=str(key)), NOTICE) == 200
        (post,) = receiver.posts
    assert (post.path, post.id, post.headers["X-Killswitch-Event"]) == ("/hook/T0KEN", "test-1", "test")
    assert post.headers["Content-Type"].startswith("application/json")
    signed = post.headers["X-Killswitch-Timestamp"].encode() + b"." + post.body
    wanted = hmac.new(b"0123456789abcdef", signed, hashlib.sha256).hexdigest()
    assert post.headers["X-Killswitch-Signature"] == f"v1={wanted}"
    assert abs(int(post.headers["X-Killswitch-Timestamp"]) * 1000 - clock.wall_ms()) < 60_000


@pytest.mark.parametrize(
    ("status", "lasting"),
    [(400, True), (401, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)],
)
def test_refusal_says_whether_trying_again_helps(status: int, lasting: bool) -> None:
    """A receiver that is busy or broken is asked again, one that does not want it is not."""
    with Receiver(status) as receiver, pytest.raises(Undelivered, match=f"it answered {status}") as caught:
        deliver(hook(receiver.url), NOTICE)
    assert caught.value.lasting is lasting


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://127.0.0.1:{port}/elsewhere", "gopher://x/"])
def test_redirect_is_not_followed(target: str) -> None:
    """Whoever answers there does not choose where notices go next."""
    with Receiver() as other, Receiver(302) as receiver:
        receiver.headers["Location"] = target.format(port=other.server.server_address[1])
        with pytest.raises(Undelivered, match="redirects are not followed") as caught:
            deliver(hook(receiver.url), NOTICE)
        assert other.posts == []
    assert caught.value.lasting


def drips(handler: BaseHTTPRequestHandler) -> bool:
    """Answers a byte now and then, for ever."""
    try:
        while True:
            handler.wfile.write(b"H")
            handler.wfile.flush()
            clock.sleep(0.05)
    except OSError:
        return True


def hangs(handler: BaseHTTPRequestHandler) -> bool:
    """Answers nothing, until the other side gives up."""
    handler.connection.recv(1)
    return True


def pours(handler: BaseHTTPRequestHandler) -> bool:
    """A header without an end."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        return True


@pytest.mark.parametrize("behaves", [drips, hangs, pours])
def test_receiver_that_does_not_end_costs_no_more_than_the_limit(
    behaves: Callable[[BaseHTTPRequestHandler], bool],
) -> None:
    """The whole delivery is bounded, whatever the receiver does, and its thread ends with it."""
    before = set(threading.enumerate())
    with Receiver(before=behaves) as receiver:
        began_ns = clock.now_ns()
        with pytest.raises(Undelivered) as caught:
            deliver(hook(receiver.url), NOTICE, limit_s=0.4)
        assert clock.now_ns() - began_ns < 5_000_000_000
        assert not caught.value.lasting
        for thread in set(threading.enumerate()) - before:
            if thread.name == "worker-webhook":
                thread.join(10)
                assert not thread.is_alive()


def test_name_server_that_does_not_answer_costs_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up a name cannot be told to hurry, so it is left behind."""
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(30) and [])
    try:
        with pytest.raises(Undelivered, match=r"no answer within 0\.3 s"):
            deliver(Webhook("ops", "https://nowhere.example/T0KEN"), NOTICE, limit_s=0.3)
    finally:
        answered.set()


def test_certificate_of_nobody_that_is_trusted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And taken once its authority is trusted; for another name it is refused all the same."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("receiver", hosts="IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Receiver() as receiver:
        receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
        url = receiver.url.replace("http://", "https://")
        with pytest.raises(Undelivered, match="certificate is not trusted"):
            deliver(hook(url), NOTICE)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        assert deliver(hook(url), NOTICE) == 200
        with pytest.raises(Undelivered, match="certificate is not trusted"):
            deliver(hook(url.replace("127.0.0.1", "localhost")), NOTICE)


def test_nothing_that_goes_wrong_tells_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the error nor its traceback's texts: logs and job records are read by many."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/T0KEN", "https://no-such-name.invalid/T0KEN"):
        with pytest.raises(Undelivered) as caught:
            deliver(hook(url), NOTICE)
        for told in (str(caught.value), repr(caught.value), caught.value.why):
            assert "T0KEN" not in told
            assert "no-such-name" not in told
        assert caught.value.__cause__ is None
    monkeypatch.setattr(delivery, "body", lambda *_: b"x")
    silly = Receiver(before=lambda handler: bool(handler.wfile.write(b"T0KEN\r\n\r\n")))
    with silly as receiver, pytest.raises(Undelivered, match="did not answer in HTTP"):
        deliver(hook(receiver.url), NOTICE)


def test_proxy_of_the_environment_is_used_and_not_for_who_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many trading hosts reach the outside through one only."""
    with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.server.server_address[1]}")
        assert deliver(hook("http://chat.example/T0KEN", plain="yes"), NOTICE) == 200
        assert proxy.posts[0].path == "http://chat.example/T0KEN"
        assert base64.b64decode(proxy.posts[0].headers["Proxy-Authorization"].removeprefix("Basic ")) == b"user:p@ss"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert deliver(hook(receiver.url), NOTICE) == 200
        assert len(receiver.posts) == len(proxy.posts) == 1


def test_key_that_was_taken_away_keeps_the_notice(tmp_path: Path) -> None:
    """An unsigned notice is not sent where a signed one is expected; once the key is back it is."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    with Receiver() as receiver:
        webhook = hook(receiver.url, key=str(key))
        key.unlink()
        with pytest.raises(Undelivered, match="cannot be read") as caught:
            deliver(webhook, NOTICE)
        assert receiver.posts == []
    assert not caught.value.lasting
