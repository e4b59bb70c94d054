"""Operators at one switch all at once, each writing down when it asked, when it was answered, and what.

An engagement is asked for once: without an answer nobody knows, which is a fact of its own. A reset is repeated under
its operation id, as the controller does, and counts as one operation from its first word to its last.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Sequence

from killswitch import Controller, EpochConflict, Settings, StoreRefused, StoreUnavailable
from killswitch.clock import now_ns, sleep
from killswitch.core.reasons import Code
from killswitch.store.keys import Keys
from killswitch.store.switch import SwitchStore
from killswitch.store.wire import connect
from tests.random.linearizability import Operation

__all__ = ["Client", "run_clients"]


class Client:
    """One operator at `url`, with a plan of its own from `seed`; `history` is what it saw."""

    def __init__(self, name: str, url: str, seed: int) -> None:
        self.name = name
        self.history: list[Operation] = []
        self._chance = random.Random(seed)
        self._settings = Settings(redis_url=url, actor=name, timeout_ms=1500)
        self._control = Controller(self._settings)
        self._known = 1
        self._in_doubt = False

    def act(self) -> None:
        """One operation, begun now; one that was never sent leaves no trace."""
        kind = self._chance.choices(["engage", "reset", "read"], [2, 4, 3])[0]
        if self._in_doubt:
            kind = "read"  # until the server is back: a crowd of unknown outcomes explains anything
        argument = self._known if kind == "reset" else 0
        call = now_ns()
        result: object
        try:
            result = {"engage": self._engage, "reset": self._reset, "read": self._read}[kind]()
        except StoreUnavailable as error:
            if kind != "read" and error.code is not Code.UNREACHABLE:
                self.history.append(Operation(kind, call, None, argument, None, self.name))
            self._in_doubt = True
            sleep(0.005)
            return
        except StoreRefused:
            return  # loading its file: nothing was done
        if result is not None:
            self.history.append(Operation(kind, call, now_ns(), argument, result, self.name))

    def _engage(self) -> int:
        with contextlib.closing(connect(self._settings.endpoint, 1.0, self.name)) as wire:
            change = SwitchStore(wire, Keys("killswitch")).engage(None, "race", self.name, f"{now_ns():x}", "test")
        self._known = change.epoch
        return change.epoch

    def _reset(self) -> int:
        try:
            epoch = self._control.reset(self._known, "race", self.name).epoch
        except EpochConflict as conflict:
            self._known = conflict.current
            return -conflict.current
        self._known = epoch
        return epoch

    def _read(self) -> tuple[str, int] | None:
        status = self._control.status()
        if status.trouble is not None:
            return None  # read with plain commands, one after the other: not one moment
        self._known = status.switch.epoch
        self._in_doubt = False
        return str(status.switch.mode), status.switch.epoch


def run_clients(
    clients: Sequence[Client], operations: int, meanwhile: Callable[[], list[Operation]]
) -> list[Operation]:
    """Each client goes on until it has seen `operations` things and `meanwhile` is done; everything that was seen."""
    done = threading.Event()

    def work(client: Client) -> None:
        while len(client.history) < operations or not done.is_set():
            client.act()

    threads = [threading.Thread(target=work, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        besides = meanwhile()
    finally:
        done.set()
    for thread in threads:
        thread.join()
    return besides + [operation for client in clients for operation in client.history]
