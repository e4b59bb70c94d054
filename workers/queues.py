"""Putting work on the fleet's queues: place an engine, cancel what one left behind, submit an order decided elsewhere.

    engines  gated: jobs start only while the switch permits trading
    cleanup  never gated: cancel, flatten, reconcile, tell others go on while engaged

Specifications are checked before they are enqueued, so a mistake is the caller's error and not a failed job.
"""

from __future__ import annotations

import re
import ssl
from typing import Any
from uuid import uuid4

import redis
import rq
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer

from workers.allow import CANCEL_ORDERS, RUN_ENGINE, SEND_NOTICE, SUBMIT_ORDER, FleetJob
from workers.spec import CancelSpec, EngineSpec, IntentSpec, parse

__all__ = [
    "CLEANUP", "ENGINES", "ENGINE_JOB", "TRIES_AFTER_S", "cancel_orders", "connect", "open_queue", "place_engine",
    "send_notice", "submit_order",
]  # fmt: skip

ENGINES = "engines"
CLEANUP = "cleanup"
ENGINE_JOB = "engine-"
"""Begins the id of every job that places an engine."""
_RESULT_TTL_S = 86_400
_NOTICE_TTL_S = 3600
_SHORT_JOB_S = 60
_NO_LIMIT = -1
TRIES_AFTER_S = [1, 2, 5, 10, 30, 60, 120, 300, 600]
"""A notice that did not arrive is tried again after so many seconds, then so many more: for 19 minutes in all."""


def connect(url: str, timeout_s: float = 5.0) -> redis.Redis:
    """A client of its own for the queue's Redis: binary replies (RQ needs them), short timeouts, no repeated writes,
    and with a rediss URL name and authority verified, in TLS 1.2 or newer.

    redis-py repeats a command after a lost reply unless told otherwise; a repeated claim would take two jobs.
    """
    strict: dict[str, Any] = {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }
    return redis.Redis.from_url(
        url,
        **(strict if url.startswith("rediss:") else {}),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )


def open_queue(connection: redis.Redis, name: str = ENGINES) -> Queue:
    """The queue `name` with the fleet's serializer and job class."""
    return Queue(name, connection=connection, serializer=JSONSerializer, job_class=FleetJob)


def place_engine(
    connection: redis.Redis, spec: dict[str, Any], *, queue: str = ENGINES, pipeline: Pipeline | None = None
) -> Job:
    """Enqueues an engine. It starts when a worker is free and its gate is open, and runs without time limit.

    Placing is no intent to trade: an engine placed before a halt starts after it. Its signals are made then. With a
    `pipeline` it is enqueued when that is executed.

    Raises:
        InvalidInput: the specification breaks a rule.
    """
    checked = parse(EngineSpec, spec)
    return open_queue(connection, queue).enqueue_call(
        RUN_ENGINE,
        args=(checked.model_dump(mode="json"),),
        timeout=_NO_LIMIT,
        result_ttl=_RESULT_TTL_S,
        job_id=f"{ENGINE_JOB}{checked.name}-{uuid4().hex[:8]}",
        description=f"engine {checked.name} on {checked.symbol}",
        pipeline=pipeline,
    )


def cancel_orders(
    connection: redis.Redis, spec: dict[str, Any], *, queue: str = CLEANUP, job_id: str | None = None
) -> Job:
    """Enqueues the cancelling of an engine's working orders. Runs while engaged, too. Raises InvalidInput."""
    checked = parse(CancelSpec, spec)
    return open_queue(
        connection, queue
    ).enqueue_call(
        CANCEL_ORDERS,
        args=(checked.model_dump(mode="json", exclude_none=True),),
        timeout=_SHORT_JOB_S,
        result_ttl=_RESULT_TTL_S,
        failure_ttl=_RESULT_TTL_S,  # a venue that is away for days would fill the registry of failed jobs
        job_id=job_id or f"cancel-{checked.engine}-{uuid4().hex[:8]}",
        description=f"cancel orders of engine {checked.engine}",
        at_front=True,  # before telling others: a receiver that is slow must not hold up a cancel
    )


def send_notice(connection: redis.Redis, webhook: str, notice: dict[str, Any], *, pipeline: Pipeline) -> Job:
    """Enqueues the telling of `notice` to `webhook`, by its name; with the execution of `pipeline`."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"notice-{webhook}-{notice['id']}")
    return open_queue(connection, CLEANUP).enqueue_call(
        SEND_NOTICE,
        args=({"webhook": webhook, "notice": notice},),
        timeout=_SHORT_JOB_S,
        result_ttl=_NOTICE_TTL_S,
        failure_ttl=_RESULT_TTL_S,
        job_id=name,
        description=f"tell {webhook} of {notice['id']}",
        retry=rq.Retry(max=len(TRIES_AFTER_S), interval=TRIES_AFTER_S),
        pipeline=pipeline,
    )


def submit_order(connection: redis.Redis, spec: dict[str, Any], *, queue: str = ENGINES) -> Job:
    """Enqueues an order decided under `spec["epoch"]`; once the switch was touched it is refused as stale.

    The result is a JSON object either way: {"accepted": true, ...} or {"accepted": false, "code": ..., "reason": ...}.

    Raises:
        InvalidInput: the specification breaks a rule.
    """
    checked = parse(IntentSpec, spec)
    return open_queue(connection, queue).enqueue_call(
        SUBMIT_ORDER,
        args=(checked.model_dump(mode="json"),),
        timeout=_SHORT_JOB_S,
        result_ttl=_RESULT_TTL_S,
        job_id=f"order-{uuid4().hex[:12]}",
        description=f"order {checked.client_id} made under epoch {checked.epoch}",
    )
