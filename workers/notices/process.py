"""The parts put together: what a worker process runs beside its jobs, and the trial of webhooks from a shell."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping

from killswitch import RecordFeed, Settings
from workers import queues
from workers.notices.delivery import Undelivered, deliver
from workers.notices.herald import Herald
from workers.notices.notice import trial_notice
from workers.notices.outbox import Outbox
from workers.notices.webhook import Webhook
from workers.settings import WorkerSettings

__all__ = ["telling", "try_out"]

_TIMEOUT_S = 2.0


@contextlib.contextmanager
def telling(config: WorkerSettings, switch: Settings, name: str) -> Iterator[None]:
    """Has changes told while the block runs, where the settings name somebody to tell."""
    if not config.webhooks_by_name:
        yield
        return
    with contextlib.closing(queues.connect(config.queue_address, _TIMEOUT_S)) as connection:
        outbox = Outbox(connection, name, config.prefix)
        herald = Herald(RecordFeed(switch), outbox, config.webhooks_by_name, switch.prefix)
        herald.start()
        try:
            yield
        finally:
            herald.stop()


def try_out(webhooks: Mapping[str, Webhook], prefix: str, say: Callable[[str], None]) -> bool:
    """Sends a test to each and says what it answered; whether all took it."""
    taken = True
    for name, webhook in webhooks.items():
        try:
            status = deliver(webhook, trial_notice(prefix, f"test-{secrets.token_hex(8)}"))
            say(f"{name} ({webhook.form}): delivered, it answered {status}")
        except Undelivered as error:
            taken = False
            say(f"{name} ({webhook.form}): not delivered: {error.why}")
    return taken
