"""The job that delivers one notice: what it takes for delivered, for to be tried again, and for lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import redis
from pydantic import BaseModel, ConfigDict, Field

from killswitch import clock
from workers import logs
from workers.notices.delivery import Undelivered, deliver
from workers.notices.notice import Notice
from workers.notices.outbox import Outbox
from workers.notices.webhook import Webhook
from workers.spec import parse

__all__ = ["Desk", "NoticeSpec"]

_log = logs.get()


class NoticeSpec(BaseModel):
    """Tell `webhook`, by its name in the settings of the worker, of `notice`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: Annotated[str, Field(max_length=32)]
    notice: Notice


class Desk:
    """Delivers to `webhooks`, and keeps account in `outbox`. On the worker's main thread."""

    def __init__(self, webhooks: Mapping[str, Webhook], outbox: Outbox) -> None:
        self._webhooks = webhooks
        self._outbox = outbox

    def send(self, document: Any, job_id: str, tries_left: int) -> dict[str, Any]:
        """One try; the result of the job. It may arrive twice, so it carries an id by which the receiver knows it.

        Raises:
            InvalidInput: the job is not of the agreed form.
            Undelivered: it did not arrive; the job is tried again while it has tries left, and then has failed.
        """
        spec = parse(NoticeSpec, document)
        notice, began_ns = spec.notice, clock.now_ns()
        log = _log.bind(webhook=spec.webhook, notice=notice.id, about=notice.event)
        webhook = self._webhooks.get(spec.webhook)
        try:
            if webhook is None:
                raise Undelivered(spec.webhook, "it is not in WORKERS_WEBHOOKS of this worker")
            status = deliver(webhook, notice)
        except Undelivered as error:
            if tries_left and not error.lasting:
                log.warning("notice_not_delivered_yet", why=error.why, tries_left=tries_left)
                raise
            self._account(self._outbox.given_up, spec.webhook, job_id)
            log.error("notice_undelivered", why=error.why)
            if error.lasting:
                return {"delivered": False, "why": error.why}  # RQ would try again what was raised
            raise
        self._account(self._outbox.delivered, spec.webhook, job_id)
        log.info("notice_delivered", status=status, took_ms=(clock.now_ns() - began_ns) // clock.NS_PER_MS)
        return {"delivered": True, "status": status}

    @staticmethod
    def _account(count: Callable[[str, str], None], webhook: str, job_id: str) -> None:
        try:
            count(webhook, job_id)
        except redis.RedisError as error:
            # It arrived, or did not, whatever the books say; the entry goes by itself after a while.
            _log.warning("notice_not_counted", webhook=webhook, reason=str(error))
