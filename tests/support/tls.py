"""A real server behind TLS that wants to see certificates, and settings for it. Debian's make: the wheel has no TLS."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from killswitch import Settings
from tests.support.agents import FAST
from tests.support.certificates import Authority
from tests.support.server import RealServer, binary

__all__ = ["PASSWORD", "TlsServer", "free_port", "listens"]

PASSWORD = "s3cret-canary"


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TlsServer:
    """Debian's redis-server with TLS that wants a client's certificate, and a password."""

    def __init__(self, authority: Authority) -> None:
        program = binary("redis")
        if program is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("redis-server is not on PATH")
        self.authority = authority
        self.port = free_port()
        cert, key = authority.issue("server")
        self.files = authority.issue("client")
        options = {
            "tls-port": str(self.port),
            "tls-cert-file": str(cert),
            "tls-key-file": str(key),
            "tls-ca-cert-file": str(authority.ca_file),
        }
        self.server = RealServer(program, options=options)
        self.server.cli("ACL", "SETUSER", "trader", "on", f">{PASSWORD}", "~*", "&*", "+@all")

    def settings(self, **changes: Any) -> Settings:
        """Settings of somebody with a certificate."""
        values = {
            "redis_url": f"rediss://trader:{PASSWORD}@localhost:{self.port}/0",
            "tls_ca_file": str(self.authority.ca_file),
            "tls_cert_file": str(self.files[0]),
            "tls_key_file": str(self.files[1]),
            "actor": "tester",
            **FAST,
        }
        return Settings(**{**values, **changes})

    def environment(self) -> dict[str, str]:
        """The same as variables, without what the tests alone have set."""
        settings = self.settings()
        names = ("redis_url", "tls_ca_file", "tls_cert_file", "tls_key_file")
        return {f"KILLSWITCH_{name.upper()}": getattr(settings, name) for name in names}

    def serve(self, cert: Path, key: Path) -> None:
        """Has the server use another certificate, from the next connection on."""
        answer = self.server.cli("CONFIG", "SET", "tls-cert-file", str(cert), "tls-key-file", str(key))
        assert answer == "OK"
