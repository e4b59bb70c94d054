"""All settings of the switch, read once, checked as a whole, every violation shown at once.

Sources, first found wins: arguments, environment `KILLSWITCH_*`, the file `.env` in the working directory, one file
per setting (`killswitch_redis_password` and so on) in the directory KILLSWITCH_SECRETS_DIR, default /run/secrets.
Files are UTF-8.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from killswitch.core.anchor import AnchorPlace
from killswitch.core.endpoint import Endpoint, TlsFiles, parse_url
from killswitch.core.lease import LONGEST_LEASE_MS
from killswitch.core.sinks import SinkAddress, parse_sinks
from killswitch.core.watch import Timing
from killswitch.errors import SettingsError
from killswitch.sources import ENCODING, default_actor, read_source, source_faults

__all__ = ["DEFAULT_PREFIX", "DEFAULT_URL", "ENV_PREFIX", "SECRETS_DIR", "Settings"]

ENV_PREFIX = "KILLSWITCH_"
SECRETS_DIR = "/run/secrets"
DEFAULT_URL = "redis://localhost:6379/0"
DEFAULT_PREFIX = "killswitch"

_PREFIX_RULE = re.compile(r"[A-Za-z0-9_.{}-]{1,64}(:[A-Za-z0-9_.{}-]{1,64}){0,3}")
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)
_DURATIONS = ("lease_ms", "renew_ms", "patience_ms", "beat_ms", "retain_ms")
_SHORTEST_KEY = 16
_INTEGER = TypeAdapter(int)
_OTHER_VARIABLES = frozenset({"KILLSWITCH_SECRETS_DIR", "KILLSWITCH_TEST_DATA"})


class Settings(BaseSettings):
    """Settings of the switch. Each field is read from `KILLSWITCH_<NAME>`.

    Raises:
        SettingsError: one or more rules are broken; all of them are listed.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", env_file_encoding=ENCODING, extra="ignore", frozen=True
    )

    redis_url: Annotated[
        str,
        Field(
            repr=False,
            description="Where the switch's Redis is: redis, rediss, unix, redis+sentinel or rediss+sentinel URL.",
        ),
    ] = DEFAULT_URL
    redis_password: Annotated[
        str, Field(repr=False, description="Password, where the URL has none; best given as a secret file.")
    ] = ""
    tls_ca_file: Annotated[
        str, Field(description="Authorities that are trusted with a rediss URL (PEM); none: those of the system.")
    ] = ""
    tls_cert_file: Annotated[str, Field(description="This client's certificate (PEM), where Redis asks for one.")] = ""
    tls_key_file: Annotated[
        str, Field(description="Its key (PEM, no passphrase); none: it is in the file of the certificate.")
    ] = ""
    prefix: Annotated[str, Field(description="Begins every key. On Redis Cluster use `{killswitch}`.")] = DEFAULT_PREFIX
    lease_ms: Annotated[
        int,
        Field(ge=50, le=LONGEST_LEASE_MS, description="How long a permission may be believed after it was asked for."),
    ] = 1000
    renew_ms: Annotated[int, Field(ge=5, le=20_000, description="Time between two renewals of the lease.")] = 250
    patience_ms: Annotated[
        int, Field(ge=5, le=30_000, description="How long Redis may take to answer before the connection is dropped.")
    ] = 500
    beat_ms: Annotated[int, Field(ge=10, le=60_000, description="Time between two heartbeats.")] = 1000
    retain_ms: Annotated[
        int,
        Field(ge=1000, le=86_400_000, description="Silence after which a worker leaves the membership."),
    ] = 300_000
    timeout_ms: Annotated[
        int, Field(ge=50, le=60_000, description="How long an operator's command waits for an answer of Redis.")
    ] = 2000
    rung: Annotated[
        Literal["auto", "bcast", "tracking", "keyspace", "polling"],
        Field(description="How changes are noticed; `auto` takes the best that the server offers."),
    ] = "auto"
    on_failover: Annotated[
        Literal["halt", "resume", "reassert"],
        Field(
            description="What a restarted or failed-over Redis means; `killswitch init` puts it on record for all. "
            "`halt`: closed until somebody resets. `resume`: trading goes on. `reassert`: it goes on, but a stop that "
            "was lost is put back by the first worker that had seen it."
        ),
    ] = "halt"
    persons: Annotated[
        int | None,
        Field(
            ge=1,
            le=2,
            description="How many persons a permission takes, 1 or 2; `killswitch init` puts it on record for all. "
            "Unset: as it is on record, which is 1 where nothing is. Back from 2 to 1 takes two.",
        ),
    ] = None
    sinks: Annotated[
        str,
        Field(description="Order sinks that can be fenced: `name=unix:///path,other=tcp://host:port`. No passwords."),
    ] = ""
    actor: Annotated[str, Field(max_length=128, description="Who is on record; default user@host.")] = ""
    audit_key: Annotated[
        str,
        Field(repr=False, description="Key of the seals of the record, 16 characters or more; best a secret file."),
    ] = ""
    anchors: Annotated[
        str,
        Field(repr=False, description="Where heads of the record are copied: paths and URLs, with blanks between."),
    ] = ""

    def __init__(self, **values: Any) -> None:
        directory = os.environ.get("KILLSWITCH_SECRETS_DIR", SECRETS_DIR)
        values.setdefault("_secrets_dir", directory if Path(directory).is_dir() else None)
        names = [ENV_PREFIX + field.upper() for field in type(self).model_fields]
        try:
            strangers = _strangers(values, type(self).model_fields)
            super().__init__(**values)
        except SettingsError as error:
            raise SettingsError((*error.violations, *strangers)) from None
        except (OSError, UnicodeError, SourceError) as error:
            faults = source_faults(names, values["_secrets_dir"], values.get("_env_file", ".env"))
            raise SettingsError(faults or (f"the files of settings cannot be read: {error}",)) from None
        if strangers:
            raise SettingsError(tuple(strangers))

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        if not _PREFIX_RULE.fullmatch(value) or "state" in value.split(":"):
            raise ValueError(
                "must be 1 to 64 letters, digits or _ . - { }, in parts joined by colons, none of which is 'state'"
            )
        return value

    @field_validator("persons", mode="before")
    @classmethod
    def _nothing_is_as_it_is(cls, value: object) -> object:
        return None if value == "" else value  # as `KILLSWITCH_PERSONS=${PERSONS:-}` gives it

    @field_validator("redis_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parse_url(value)
        return value

    @field_validator("sinks")
    @classmethod
    def _check_sinks(cls, value: str) -> str:
        parse_sinks(value)
        return value

    @field_validator("audit_key")
    @classmethod
    def _check_audit_key(cls, value: str) -> str:
        if value and len(value) < _SHORTEST_KEY:
            raise ValueError(f"has {len(value)} characters: a key that cannot be guessed has {_SHORTEST_KEY} or more")
        return value

    @field_validator("anchors")
    @classmethod
    def _check_anchors(cls, value: str) -> str:
        for text in value.split():
            AnchorPlace.parse(text)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _check_as_a_whole(cls, data: Any, handler: ModelWrapValidatorHandler[Settings]) -> Settings:
        # The rules between fields are tried also where some field breaks its own, so that nothing is found only later.
        bad: set[object] = set()
        lines: list[str] = []
        data = {name: value.lstrip("\ufeff") if isinstance(value, str) else value for name, value in data.items()}
        try:
            made = handler(data)
        except ValidationError as error:
            bad = {item["loc"][0] for item in error.errors()}
            lines = [_explain(item) for item in error.errors()]
        given = {name: data.get(name, cls.model_fields[name].default) for name in _DURATIONS if name not in bad}
        lines += _between({name: _INTEGER.validate_python(value) for name, value in given.items()})
        if not lines and (mistake := made.endpoint.tls_mistake):
            lines = [mistake]
        if lines:
            raise SettingsError(tuple(lines))
        return made

    @property
    def endpoint(self) -> Endpoint:
        """The URL taken apart, with the separate password filled in."""
        place = parse_url(self.redis_url).with_password(self.redis_password)
        return place.with_tls(TlsFiles(self.tls_ca_file, self.tls_cert_file, self.tls_key_file))

    @property
    def sink_addresses(self) -> dict[str, SinkAddress]:
        """Where the order sinks are, by name."""
        return parse_sinks(self.sinks)

    @property
    def anchor_places(self) -> tuple[AnchorPlace, ...]:
        """Where heads of the record are copied to."""
        return tuple(map(AnchorPlace.parse, self.anchors.split()))

    @property
    def timing(self) -> Timing:
        """The durations that the watcher needs."""
        return Timing(self.lease_ms, self.renew_ms, self.beat_ms, self.patience_ms)

    @property
    def who(self) -> str:
        """The actor, or user@host where none is set."""
        return self.actor or default_actor()


def _between(known: dict[str, int]) -> list[str]:
    """What the durations break between each other; a rule about one that is not known cannot be broken."""
    lease, renew, patience, beat, retain = (known.get(name) for name in _DURATIONS)
    found = []
    if lease and renew and renew * 3 > lease:
        found.append(
            f"KILLSWITCH_RENEW_MS={renew} is more than a third of KILLSWITCH_LEASE_MS={lease}: one lost renewal would "
            "close the gate; lower it or raise the lease"
        )
    if lease and renew and patience and renew + patience > lease:
        found.append(
            f"KILLSWITCH_PATIENCE_MS={patience} and KILLSWITCH_RENEW_MS={renew} together exceed "
            f"KILLSWITCH_LEASE_MS={lease}: a silent Redis would be noticed only after the lease; lower one"
        )
    if beat and retain and retain < 3 * beat:
        found.append(
            f"KILLSWITCH_RETAIN_MS={retain} is less than three beats (KILLSWITCH_BEAT_MS={beat}): living workers would "
            "drop out of the membership; raise it"
        )
    return found


def _explain(item: Any) -> str:
    text = str(item["msg"]).removeprefix("Value error, ")
    name = ENV_PREFIX + str(item["loc"][0]).upper()
    secret = any(word in name for word in ("URL", "PASSWORD", "SINKS", "AUDIT_KEY", "ANCHORS"))
    shown = "" if secret else f"={item['input']!r:.60}"
    return f"{name}{shown}: {text[:1].lower()}{text[1:]}"


def _strangers(given: dict[str, Any], known: dict[str, Any]) -> list[str]:
    """A misspelt name would silently leave a default in force, so it is refused, wherever it was written. Raises
    OSError or UnicodeError where `.env` cannot be read."""
    names = {ENV_PREFIX + field.upper() for field in known} | _OTHER_VARIABLES
    file = given.get("_env_file", ".env") or os.devnull
    written = _ASSIGNED.findall(read_source(file)) if Path(file).is_file() else []
    lines = [
        _stranger(name, names)
        for name in sorted({*os.environ, *written})
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in names
    ]
    return lines + [_stranger(name, set(known)) for name in given if not name.startswith("_") and name not in known]


def _stranger(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name.upper() if name.upper().startswith(ENV_PREFIX) else name, names, n=1)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "; remove it")
