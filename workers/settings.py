"""Settings of a fleet worker, from `WORKERS_*` variables, `.env` and secret files; every violation shown at once.

The queue's Redis (`WORKERS_QUEUE_URL`) is not the switch's: RQ changes the timeouts of the pool it is given and
lives with other tenants, while the switch's server has to answer at once. The switch has its own settings,
`KILLSWITCH_*`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError
from redis.connection import parse_url

from killswitch import InvalidInput, Scope, SettingsError, SinkAddress, source_faults
from workers.notices.webhook import Webhook, parse_webhooks
from workers.wording import Violation, violations

__all__ = ["WorkerSettings", "load"]

Words = Annotated[tuple[str, ...], NoDecode]
"""A comma-separated list in the environment."""

_NOT_IN_URL = frozenset({"decode_responses", "encoding", "retry", "retry_on_timeout", "retry_on_error"})
"""RQ reads binary replies only, and a repeated command could claim two jobs."""
_FILES_IN_URL = {
    "queue_tls_ca_file": "ssl_ca_certs",
    "queue_tls_cert_file": "ssl_certfile",
    "queue_tls_key_file": "ssl_keyfile",
}
"""How redis-py calls these files in a URL; every other of its TLS options would loosen something."""
_SECRETS_DIR = "/run/secrets"
_SECRET = frozenset({"queue_url", "queue_password", "venue_url", "webhooks"})
"""Whose values are not shown: they hold passwords and tokens."""


class WorkerSettings(BaseSettings):
    """What one worker process needs to know. Frozen: a running worker is not reconfigured."""

    model_config = SettingsConfigDict(
        env_prefix="WORKERS_",
        env_file=".env",
        env_file_encoding="utf-8-sig",
        extra="ignore",
        frozen=True,
        validate_default=True,
    )

    queue_url: str = Field(
        "redis://localhost:6379/1",
        repr=False,
        description="Redis of the job queue: redis, rediss or unix URL. Keep it apart from the switch's Redis.",
    )
    queue_password: str = Field(
        "", repr=False, description="Its password, where the URL has none; best given as a secret file."
    )
    queue_tls_ca_file: str = Field(
        "", description="Authorities that are trusted with a rediss URL (PEM); none: those of the system."
    )
    queue_tls_cert_file: str = Field("", description="This worker's certificate (PEM), where that Redis asks for one.")
    queue_tls_key_file: str = Field("", description="Its key (PEM, no passphrase); none: it is with the certificate.")
    prefix: str = Field(
        "workers",
        pattern=r"^[A-Za-z0-9_.{}-]{1,64}$",
        description="Prefix of the fleet's own keys there; the same for all.",
    )
    queues: Words = Field(
        ("cleanup", "engines"),
        description="Queues to serve, in this order. An engine keeps its worker busy, so cleanup comes first.",
    )
    ungated_queues: Words = Field(
        ("cleanup",), description="Queues served also while the switch is engaged. Every other queue is gated."
    )
    scopes: Words = Field((), description="Scopes the worker follows besides those of its engine.")
    poll_ms: int = Field(200, ge=10, le=10_000, description="How often an idle worker looks at its queues.")
    ownership_ms: int = Field(
        10_000,
        ge=300,
        le=600_000,
        description="Life of an engine's ownership lease without renewal; a takeover may take twice this.",
    )
    heartbeat_ms: int = Field(10_000, ge=50, le=60_000, description="How often the RQ heartbeats are sent.")
    record_ttl_s: int = Field(
        90, ge=2, le=3600, description="Life of the RQ records of a running job without heartbeat."
    )
    drain_s: float = Field(
        20.0,
        gt=0,
        le=600,
        description="Longest time from SIGTERM to the end of the process; keep the stop grace longer.",
    )
    result_ttl_s: int = Field(86_400, ge=1, description="How long results of finished jobs are kept.")
    id_file: Path | None = Field(None, description="File that holds this worker's id while it runs, for `health`.")
    venue_url: str = Field(
        "", description="Venue process that orders go to, unix:///path or tcp://host:port; none: one in each worker."
    )
    venue_name: str = Field(
        "venue",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="What the fleet calls that venue; the same in KILLSWITCH_SINKS of whoever engages.",
    )
    admission_journal: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="Journal through which engines send, admitted by Redis; needs WORKERS_VENUE_URL and a gateway.",
    )
    webhooks: str = Field(
        "",
        repr=False,
        description="Who is told of changes: `name=https://…`, with `;form=slack` or `;key=FILE`, a blank between two. "
        "Addresses hold tokens: best a secret file.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")

    @field_validator("queues", "ungated_queues", "scopes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word for word in (part.strip() for part in value.split(",")) if word)
        return value

    @field_validator("queue_url")
    @classmethod
    def _url(cls, value: str) -> str:
        shape = "write redis://host:port/db, rediss://host:port/db or unix:///path?db=0"
        try:
            found = parse_url(value)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):
            # Not what it says: where the @host was forgotten, the password is taken for a port, and quoted.
            raise ValueError(f"it cannot be read: {shape}") from None
        if {"username", "password"} & set(parse_qs(urlsplit(value).query)):
            raise ValueError("user and password stand before the @, or the latter in WORKERS_QUEUE_PASSWORD")
        if any(name.startswith("ssl") for name in set(found) - set(_FILES_IN_URL.values())):
            raise ValueError("it has TLS options: name files in WORKERS_QUEUE_TLS_CA_FILE, _CERT_FILE and _KEY_FILE")
        if not (found.get("host") or found.get("path")):
            raise ValueError(f"it names no host and no socket: {shape}")
        if strange := sorted(set(found) & _NOT_IN_URL):
            raise ValueError(f"{', '.join(strange)} must not be set in the URL, jobs would be lost: leave it out")
        return value

    @field_validator("venue_url")
    @classmethod
    def _venue(cls, value: str) -> str:
        try:
            if value and str(SinkAddress.parse(value)).endswith(":0"):
                raise ValueError("it has the port 0: name the one that the venue listens on")
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("webhooks")
    @classmethod
    def _webhooks(cls, value: str) -> str:
        try:
            parse_webhooks(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return value

    @property
    def webhooks_by_name(self) -> Mapping[str, Webhook]:
        """Who is told of changes."""
        return parse_webhooks(self.webhooks)

    @field_validator("queues")
    @classmethod
    def _some_queue(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"{','.join(value)!r} must name at least one queue, each once: write cleanup,engines")
        return value

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            try:
                Scope.parse(word)
            except InvalidInput as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        # RQ's registries count whole seconds, so a record may look up to one second older than it is.
        if self.heartbeat_ms * 2 > (self.record_ttl_s - 1) * 1000:
            raise ValueError(
                f"heartbeat_ms ({self.heartbeat_ms}) is too slow for record_ttl_s ({self.record_ttl_s}): two must fit "
                "with a second to spare, or a healthy job looks abandoned: raise WORKERS_RECORD_TTL_S"
            )
        return self

    @model_validator(mode="after")
    def _journal_leads_somewhere(self) -> Self:
        if self.admission_journal and not self.venue_url:
            raise ValueError(
                f"admission_journal is {self.admission_journal}, but there is no venue_url: a gateway cannot reach the "
                "venue inside of a worker: set WORKERS_VENUE_URL"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_meant(self) -> Self:
        files = (self.queue_tls_ca_file, self.queue_tls_cert_file, self.queue_tls_key_file)
        if any(files) and self.queue_url.startswith("redis://"):
            raise ValueError("queue_tls_*_file is set, but queue_url speaks no TLS: write rediss://, or leave them out")
        if self.queue_tls_key_file and not self.queue_tls_cert_file:
            raise ValueError("queue_tls_key_file is set without queue_tls_cert_file: name the certificate as well")
        return self

    @property
    def queue_address(self) -> str:
        """The URL with the separate password and the files filled in: a secret, never to be shown."""
        given = parts = urlsplit(self.queue_url)
        user, _, place = parts.netloc.rpartition("@")
        if self.queue_password and ":" not in user:
            parts = parts._replace(netloc=f"{user}:{quote(self.queue_password, safe='')}@{place}")
        files = {word: getattr(self, name) for name, word in _FILES_IN_URL.items() if getattr(self, name)}
        if parts.scheme == "rediss" and files:
            parts = parts._replace(query="&".join(filter(None, (parts.query, urlencode(files)))))
        if parts == given:
            return self.queue_url
        # Not geturl(): of unix:///path it keeps one slash on some Pythons.
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"

    def gated(self, queue: str) -> bool:
        """Whether jobs of `queue` start only while the gate is open."""
        return queue not in self.ungated_queues


def load(**overrides: object) -> WorkerSettings:
    """The settings from the environment, with `overrides` (given on the command line) in front.

    Raises:
        SettingsError: one or more rules are broken; every violation is named with its variable.
    """
    secrets = os.environ.get("KILLSWITCH_SECRETS_DIR", _SECRETS_DIR)
    misspelt = _misspelt()
    try:
        overrides.setdefault("_secrets_dir", secrets if Path(secrets).is_dir() else None)
        found = WorkerSettings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = map(_line, violations(error, _SECRET))
        raise SettingsError((*lines, *misspelt)) from None
    except (OSError, UnicodeError, SourceError) as error:
        faults = source_faults(map("WORKERS_{}".format, WorkerSettings.model_fields), secrets)
        raise SettingsError(faults or (f"the files of settings cannot be read: {error}",)) from None
    if misspelt:
        raise SettingsError(tuple(misspelt))
    return found


def _misspelt() -> list[str]:
    """Variables that are nearly a setting. Others may be an orchestrator's, like WORKERS_PORT."""
    known = {f"WORKERS_{name.upper()}" for name in WorkerSettings.model_fields}
    lines = []
    for name in sorted(os.environ):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85) if name.startswith("WORKERS_") else []
        if name not in known and near:
            lines.append(f"{name}: is not a setting; did you mean {near[0]}?")
    return lines


def _line(found: Violation) -> str:
    name = f"WORKERS_{str(found.location[0]).upper()}" if found.location else "WORKERS_*"
    return f"{name}: {found.text}"
