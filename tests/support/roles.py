"""A role on a real server: a switch of its own, a user under the very rules printed, an administrator who sees."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from killswitch import Agent, Settings, quick
from killswitch.core.endpoint import parse_url
from killswitch.core.reasons import Code
from killswitch.core.roles import ROLES, AclUser
from killswitch.errors import StoreRefused
from killswitch.store.keys import Keys
from killswitch.store.switch import STOPWORD
from killswitch.store.wire import Wire, connect
from tests.support.agents import CALM, FAST
from tests.support.library import Library
from tests.support.server import RealServer

__all__ = ["SCOPE", "SECRET_HASH", "Bench", "bench"]


SECRET_HASH = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # sha256 of "secret"
SCOPE = "symbol:EURUSD"
_NUMBER = itertools.count(1)


@dataclass(slots=True)
class Bench:
    """One role at work: `user` is its connection, `admin` sees and may everything."""

    server: RealServer
    admin: Library
    user: Wire
    name: str

    @property
    def keys(self) -> Keys:
        return self.admin.keys

    @property
    def url(self) -> str:
        return f"unix://{self.name}:secret@{self.server.socket_path}"

    def may(self, *words: str | bytes | int) -> bool:
        """Whether the user's command is let through; any refusal but that of the ACL is a bug of the test."""
        try:
            self.user.call(*words)
        except StoreRefused as error:
            if error.code is Code.REDIS_DENIED:
                return False
            if error.code is not Code.REDIS_REFUSED:
                raise
        return True

    def settings(self) -> Settings:
        return Settings(redis_url=self.url, prefix=self.keys.prefix, actor="tester", **{**FAST, **CALM})

    def agent(self, *scopes: str) -> Agent:
        """An agent of the administrator's, not yet started."""
        settings = Settings(redis_url=self.server.unix_url, prefix=self.keys.prefix, actor="root", **{**FAST, **CALM})
        return Agent(settings, scopes)

    def target(self) -> quick.Target:
        return quick.Target(parse_url(self.url), self.url, self.keys.prefix, "tester")


@contextlib.contextmanager
def bench(server: RealServer, role: str, worker: str = "*") -> Iterator[Bench]:
    """A fresh switch that says SAFE, with one lost member and one admitted order, and a user of `role`."""
    number = next(_NUMBER)
    prefix, name = f"t{number}", f"{role}.{number}"
    with contextlib.closing(connect(parse_url(server.unix_url), 5.0)) as root:
        admin = Library(root, prefix)
        root.call("SET", admin.keys.stopword, STOPWORD)
        admin.permit()
        admin.beat("lost", closed=False, held=1)
        admin.admit(admin.ledger_epoch(), "o-1")
        made = AclUser(ROLES[role], name, prefix, worker, password_hash=SECRET_HASH)
        root.call(*made.command.split())
        with contextlib.closing(connect(parse_url(f"unix://{name}:secret@{server.socket_path}"), 5.0)) as user:
            yield Bench(server, admin, user, name)
