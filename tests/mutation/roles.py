"""Breaks of roles, transport, secrets and of what hostile text may do."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_ROLES = "killswitch/core/roles.py"
_SWITCH = "killswitch/store/switch.py"
_TLS = "killswitch/store/tls.py"
_TABLE = ("tests/integration/test_roles.py", "-k", "redis and engage-only")
_ONLY = "tests/integration/test_engage_only.py"
_TLS_TESTS = "tests/integration/test_tls.py"
_TEXT = "tests/property/test_hostile_text.py"

MUTANTS = (
    Mutant(
        "engage-only-deletes-scopes",
        "roles",
        _ROLES,
        '            Grant("del", "@:state"),\n            Grant("copy"',
        '            Grant("del", "@:state @:state:*"),\n            Grant("copy"',
        _TABLE,
        "who may only stop lifts the stop of a scope: an absent one follows the switch",
    ),
    Mutant(
        "engage-only-appends",
        "roles",
        _ROLES,
        '            Grant("copy", "%R~@:stopword %W~@:state:*"),\n',
        '            Grant("copy", "%R~@:stopword %W~@:state:*"),\n            Grant("append", "@:state"),\n',
        (_ONLY, "-k", "redis and these_alone"),
        "after a DEL, APPEND of SAFE permits",
    ),
    Mutant(
        "engage-only-copies-the-note",
        "roles",
        _ROLES,
        '            Grant("copy", "%R~@:stopword %W~@:state:*"),\n',
        '            Grant("copy", "%R~@:note %R~@:stopword %W~@:state:*"),\n',
        (_ONLY, "-k", "redis and looser"),
        "a note that says SAFE is copied onto a scope that was stopped",
    ),
    Mutant(
        "worker-writes-the-state",
        "roles P9",
        _ROLES,
        '    Grant("publish", channels="@:acks"),\n)\n_DRILLS',
        '    Grant("publish", channels="@:acks"),\n    Grant("set", "@:state"),\n)\n_DRILLS',
        ("tests/integration/test_roles.py", "-k", "redis and worker"),
        "a stolen credential of any worker permits trading",
    ),
    Mutant(
        "repair-asks-for-more-than-it-may",
        "roles",
        "killswitch/store/lua/common.lua",
        "  while redis.call('RENAMENX', key,",
        "  while redis.call('EXISTS', key .. ':damaged:' .. show(now)) == 1 do now = now + 1 end\n"
        "  while redis.call('RENAMENX', key,",
        ("tests/integration/test_roles.py", "-k", "redis and in_the_way"),
        "one SET by hand on the seals, and nobody but an operator can seal again",
    ),
    Mutant(
        "worker-may-not-ask-for-its-score",
        "roles P6",
        _ROLES,
        "zrangebyscore zscore ",
        "zrangebyscore ",
        ("tests/integration/test_roles.py", "-k", "redis and row_was_lost"),
        "what a beat does about a row that was lost is refused under the printed rules",
    ),
    Mutant(
        "stop-ends-at-a-refused-set",
        "P1 roles",
        _SWITCH,
        "                return self._last_resort(scope, note_text(actor, reason), told)",
        "                raise told from None",
        (_ONLY, "-k", "redis and out_of_memory"),
        "who may only stop can not, and nobody can while Redis is full and has no library",
    ),
    Mutant(
        "stop-word-is-not-looked-at",
        "roles",
        _SWITCH,
        "        if not text.startswith(Mode.ENGAGED):",
        "        if not text:",
        ("tests/contract/test_store.py", "-k", "stop_word"),
        "a stop word that somebody changed to SAFE is put into a scope by a command that stops",
    ),
    Mutant(
        "a-flush-is-taken-for-the-stop",
        "P6",
        "killswitch/control/quiescence.py",
        'self.looks > 0 or as_text(caller.call("GET", self._keys.note)) == self._task.note',
        "True",
        (_ONLY, "-k", "redis and flush"),
        "QUIET although the membership was flushed together with the state",
    ),
    Mutant(
        "any-name-will-do",
        "transport",
        _TLS,
        "    context.minimum_version",
        "    context.check_hostname = False\n    context.minimum_version",
        (_TLS_TESTS, "-k", "another_name"),
        "whoever has any certificate of the authority is taken for the switch's Redis",
    ),
    Mutant(
        "expiry-is-not-looked-at",
        "P4 transport",
        "killswitch/store/line.py",
        "        if self._wire.expires_ms and wall_ms() >= self._wire.expires_ms:",
        "        if False:",
        (_TLS_TESTS, "-k", "outlive"),
        "workers go on trading when nobody can connect any more to stop them",
    ),
    Mutant(
        "certificates-read-once",
        "transport",
        _TLS,
        "def client_context(files: TlsFiles) -> ssl.SSLContext:\n",
        "import functools\n\n\n@functools.cache\ndef client_context(files: TlsFiles) -> ssl.SSLContext:\n",
        (_TLS_TESTS, "-k", "until_it_is_renewed"),
        "a renewed certificate needs a restart of the whole fleet",
    ),
    Mutant(
        "queue-url-quoted",
        "secrets",
        "workers/settings.py",
        "        except (ValueError, TypeError):\n"
        "            # Not what it says: where the @host was forgotten, the password is taken for a port, and quoted.\n"
        '            raise ValueError(f"it cannot be read: {shape}") from None',
        '        except (ValueError, TypeError) as error:\n            raise ValueError(f"{error}: {shape}") from None',
        ("tests/integration/test_secrets.py", "-k", "however"),
        "a password without its @host is taken for a port, and printed",
    ),
    Mutant(
        "address-shows-its-user",
        "secrets",
        "workers/commands/common.py",
        'netloc=parts.netloc.rpartition("@")[2], query="", fragment=""',
        'query="", fragment=""',
        ("tests/integration/test_secrets.py", "-k", "process_list"),
        "the log of every worker begins with the password of the queue",
    ),
    Mutant(
        "reasons-of-a-gate-as-they-are",
        "hostile text",
        "killswitch/core/answer.py",
        "printable(row.text[8:].strip())",
        "row.text[8:].strip()",
        (_TEXT, "-k", "closed_gate"),
        "a state with a line break writes lines into the log of every trading program",
    ),
    Mutant(
        "server-words-as-they-are",
        "hostile text",
        "killswitch/errors.py",
        "        reason = printable(reason)  #",
        "        reason = str(reason)  #",
        (_TEXT, "-k", "words_of_a_server"),
        "an error text of a server draws on the operator's terminal",
    ),
    Mutant(
        "completion-of-anything",
        "hostile text",
        "ops/options.py",
        "(state.scope for state in known if _is_scope(state.scope))",
        "(state.scope for state in known)",
        ("tests/integration/test_hostile_redis.py", "-k", "redis and completion"),
        "a worker's made-up scope is put into the line that an operator is about to send off",
    ),
    Mutant(
        "a-line-break-stops-no-fleet",
        "P1 hostile text",
        "killswitch/quick.py",
        '    reason, who = tidy(reason, NO_REASON), tidy(actor or "", target.actor)',
        '    reason, who = check_reason(reason, "the reason"), tidy(actor or "", target.actor)',
        ("tests/contract/test_quick.py", "-k", "redis and whatever_the_words"),
        "a pasted line break in the reason, and the fleet trades on",
    ),
)
