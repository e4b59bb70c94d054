"""Structured logs: one JSON object a line on stdout, one event per decision that matters, none per ordinary tick.

Text for people (start-up, refusals) goes to stderr, so a log shipper reads stdout and nothing else.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, TextIO

import structlog

__all__ = ["Logger", "configure", "get"]

Logger = structlog.typing.FilteringBoundLogger
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str = "info", stream: TextIO | None = None, **context: Any) -> None:
    """Send structlog and the standard library's records to `stream` (default stdout) as JSON lines.

    `context` is added to every line of this process. Records of other packages below WARNING are dropped: what RQ
    says about a job is said by this fleet's own events.
    """
    stream = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer(serializer=_dumps)
    structlog.configure(
        processors=[_adder(context), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_adder(context), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("rq.worker", "rq.job", "rq.queue", "rq.registry"):
        logging.getLogger(name).setLevel(max(logging.WARNING, _LEVELS[level]))


def get(**context: Any) -> Logger:
    """A logger that adds `context` to its lines."""
    logger: Logger = structlog.get_logger(**context)
    return logger


def _adder(context: dict[str, Any]) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**context, **event}

    return add


def _dumps(value: Any, **options: Any) -> str:
    options.setdefault("default", str)
    return json.dumps(value, **options)
