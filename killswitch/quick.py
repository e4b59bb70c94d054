"""The fast path: engaging from a shell before anything else is loaded, and whatever else is misconfigured.

Only what an engagement needs is read: address, password, prefix, who, and how long to wait. From the same sources as
`Settings`, in the same order, without pydantic; a contract test holds both together. A setting that an engagement does
not need can not stop it, however broken: whoever uses this loads `Settings` afterwards and reports what it says.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module

from killswitch.clock import now_ns
from killswitch.core.endpoint import Endpoint, TlsFiles, parse_url
from killswitch.core.modes import SWITCH, InvalidInput, Scope
from killswitch.core.words import NO_REASON, check_reason, tidy
from killswitch.errors import SettingsError
from killswitch.sources import default_actor, read_source, source_fault
from killswitch.store.attempts import attempt_twice
from killswitch.store.bounded import durability
from killswitch.store.keys import Keys
from killswitch.store.switch import Durability, SwitchStore
from killswitch.store.wire import Wire

__all__ = ["Press", "Target", "engage", "read_target"]

ENV_PREFIX = "killswitch_"
SECRETS_DIR = "/run/secrets"
DOTENV = ".env"
DEFAULT_URL = "redis://localhost:6379/0"
DEFAULT_PREFIX = "killswitch"
DEFAULT_TIMEOUT_MS = 2000
_ACTOR_MAX = 128
_PREFIX_RULE = re.compile(r"[A-Za-z0-9_.{}-]{1,64}(:[A-Za-z0-9_.{}-]{1,64}){0,3}")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the switch is (`endpoint`, from `url`) and who presses it. `timeout_ms` bounds the whole engagement.
    `warnings` name what was wrong and did not matter."""

    endpoint: Endpoint
    url: str = field(repr=False)
    prefix: str
    actor: str
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    warnings: tuple[str, ...] = ()

    @property
    def keys(self) -> Keys:
        """The names under this prefix."""
        return Keys(self.prefix)


@dataclass(frozen=True, slots=True)
class Press:
    """An engagement that Redis has confirmed, at `engaged_ns` (`clock.now_ns`). `epoch` 0: set, not recorded yet.
    `means` tells how, as `Change.means` does. `durability` is None until it was asked for, and where it could not be
    had. `operation`: its id on record."""

    epoch: int
    scope: str
    was: str
    state: str
    actor: str
    reason: str
    repeated: bool
    engaged_ns: int
    durability: Durability | None = None
    means: str = "function"
    operation: str = ""


_DAMAGED = "\ufffd"  # stands where bytes are not UTF-8


class _Sources:
    """Environment, `.env`, secret files; each is read when the ones before it did not say.

    `trouble` says of what was asked for why it is not known; `noted` what is wrong and was got round.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environment = {name.lower(): value for name, value in environ.items()}
        self._secrets = environ.get("KILLSWITCH_SECRETS_DIR", SECRETS_DIR)
        self._dotenv: Mapping[str, str | None] | None = None
        self._env_fault = ""
        self.trouble: list[str] = []
        self.noted: list[str] = []

    def find(self, name: str) -> str | None:
        """The value of setting `name`, None where no source has it."""
        variable = ENV_PREFIX + name
        value = self._environment.get(variable)
        if value is None:
            value = self._from_dotenv(variable)
        return self._from_secrets(variable) if value is None else value

    def _from_dotenv(self, variable: str) -> str | None:
        if self._dotenv is None:
            self._dotenv = self._read_dotenv() if os.path.isfile(DOTENV) else {}
        value = self._dotenv.get(variable)
        if value is None or not self._env_fault or _DAMAGED not in value:
            return value
        self.trouble.append(f"{variable.upper()} is not known: {self._env_fault}")
        return None

    def _read_dotenv(self) -> Mapping[str, str | None]:
        """What stands in it. A line in another encoding makes its own value unknown, not those of the others."""
        try:
            try:
                text = read_source(DOTENV)
            except UnicodeError as error:
                self._env_fault = source_fault(DOTENV, error)
                text = read_source(DOTENV, errors="replace")
                self.noted.append(self._env_fault)
        except (OSError, UnicodeError) as error:
            self.trouble.append(source_fault(DOTENV, error))
            return {}
        # Imported only here: it costs more than the engagement.
        found = import_module("dotenv").dotenv_values(stream=io.StringIO(text))
        return {name.lower(): value for name, value in found.items()}

    def _from_secrets(self, variable: str) -> str | None:
        folder = os.path.expanduser(self._secrets)
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):  # none there
            return None
        except OSError as error:
            self.trouble.append(source_fault(folder, error))
            return None
        # Only files that lie in the folder itself: a link that leads out of it is not followed.
        inside = os.path.realpath(folder) + os.sep
        for path in (os.path.join(folder, name) for name in names if name.lower() == variable):
            if os.path.isfile(path) and os.path.realpath(path).startswith(inside):
                try:
                    return read_source(path).strip()
                except (OSError, UnicodeError) as error:
                    self.trouble.append(source_fault(path, error))
            break
        return None


def _actor(given: str, warnings: list[str]) -> str:
    """A name for the record. A bad one is replaced: who pressed must not decide whether it works."""
    if (name := _usable(given)) is not None:
        return name
    if given:
        warnings.append(f"KILLSWITCH_ACTOR is no usable name (one line of at most {_ACTOR_MAX} characters)")
    return _usable(default_actor()) or "unknown"


def _usable(name: str) -> str | None:
    try:
        return check_reason(name, "the actor") if name and len(name) <= _ACTOR_MAX else None
    except InvalidInput:
        return None


def _timeout_ms(text: str | None) -> int:
    try:
        value = int(text or DEFAULT_TIMEOUT_MS)
    except ValueError:
        return DEFAULT_TIMEOUT_MS
    return value if 50 <= value <= 60_000 else DEFAULT_TIMEOUT_MS


def read_target(environ: Mapping[str, str] | None = None) -> Target:
    """Where the switch is, from `environ` (default: the process's own), `.env` and the secret files.

    Raises:
        SettingsError: the address or the prefix is not valid, or unknown because its source cannot be read; engaging
            some other switch would be worse than saying so.
    """
    sources = _Sources(os.environ if environ is None else environ)
    url, prefix = sources.find("redis_url"), sources.find("prefix")
    violations = list(sources.trouble)
    prefix = DEFAULT_PREFIX if prefix is None else prefix
    url = DEFAULT_URL if url is None else url
    if not _PREFIX_RULE.fullmatch(prefix) or "state" in prefix.split(":"):
        violations.append(
            f"KILLSWITCH_PREFIX={prefix!r:.60}: must be 1 to 64 letters, digits or _ . - {{ }}, in parts joined by "
            "colons, none of which is 'state'"
        )
    try:
        endpoint = parse_url(url)
        if endpoint.tls:
            names = ("tls_ca_file", "tls_cert_file", "tls_key_file")
            endpoint = endpoint.with_tls(TlsFiles(*(sources.find(name) or "" for name in names)))
    except InvalidInput as error:
        violations.append(f"KILLSWITCH_REDIS_URL: {error}")
    if violations:
        raise SettingsError(tuple(violations))
    password, given = sources.find("redis_password") or "", sources.find("actor") or ""
    timeout_ms = _timeout_ms(sources.find("timeout_ms"))
    warnings = [*sources.noted, *sources.trouble]
    actor = _actor(given, warnings)
    return Target(endpoint.with_password(password), url, prefix, actor, timeout_ms, tuple(warnings))


def engage(
    target: Target,
    reason: str,
    actor: str | None = None,
    scope: Scope | None = None,
    on_engaged: Callable[[Press], None] | None = None,
) -> Press:
    """Stops the fleet, or the part `scope` names. `on_engaged` hears of it before the durability is asked for. Reason
    and actor may be any text; the record, and the answer, hold as much of it as is one plain line.

    Raises:
        StoreRefused: Redis refuses even a plain SET, and what a user has who may only stop.
        StoreUnavailable: no answer; whether it was written is unknown unless the code is UNREACHABLE.
    """
    reason, who = tidy(reason, NO_REASON), tidy(actor or "", target.actor)
    operation = os.urandom(8).hex()

    def press(wire: Wire) -> Press:
        change = SwitchStore(wire, target.keys).engage(scope, reason, who, operation, "command")
        made = Press(
            epoch=change.epoch,
            scope=str(scope or SWITCH),
            was=change.was,
            state=change.state,
            actor=who,
            reason=reason,
            repeated=change.repeated,
            engaged_ns=now_ns(),
            means=change.means,
            operation=operation,
        )
        # From here on nothing raises: the stop is set, and what is not known is told as not known.
        if on_engaged is not None:
            on_engaged(made)
        return replace(made, durability=durability(wire, target.keys))

    return attempt_twice(target.endpoint, target.timeout_ms / 1000, "killswitch-engage", press)
