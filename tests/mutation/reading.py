"""Breaks of what is read back: what an entry says, what an export shows, where heads are copied to, what `down` saw."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_TOLD = "killswitch/core/told.py"
_AUDITING = "killswitch/control/auditing.py"
_ANCHOR = "killswitch/core/anchor.py"
_PLACES = "tests/unit/core/test_anchor_places.py"

MUTANTS = (
    Mutant(
        "renewed-is-a-stop", "A2", _TOLD,
        "    if renewed and by_function:\n", "    if False:\n",
        ("tests/integration/test_cli_diff.py", "-k", "in_order"),
        "under every dead man's switch the record is called altered, so nobody believes it when it is",
    ),
    Mutant(
        "words-are-a-permission", "P10", _TOLD,
        'by_function = via != "" and via not in _AS_FOUND', "by_function = True",
        ("tests/unit/core/test_told.py", "tests/unit/workers/notices/test_forms.py"),
        "a stop by somebody's own words is told as a permission",
    ),
    Mutant(
        "beginning-is-enough", "P10", _TOLD,
        "_LIMITED.fullmatch(text)", "_LIMITED.match(text)",
        ("tests/unit/workers/notices/test_forms.py", "-k", "letter"),
        "a webhook says SAFE of what closes every gate",
    ),
    Mutant(
        "key-is-not-asked", "P10", "workers/notices/notice.py",
        'return told.under(switch).mode if told.maybe and same else None', "return None",
        ("tests/unit/workers/notices/test_forms.py", "-k", "by_hand"),
        "a permission by hand is told as a stop, while the fleet trades",
    ),
    Mutant(
        "before-is-explained", "P10", "ops/pressing.py",
        "state_words(press.was)", 'state_words(press.was, "command")',
        ("tests/integration/test_cli.py", "-k", "before_is_called"),
        "whoever engages is told that trading was permitted, though it was stopped",
    ),
    Mutant(
        "shown-values-are-believed", "A2", _AUDITING,
        "            if names := shown_apart(line, item, wall_text):\n", "            if names := ():\n",
        ("tests/integration/test_cli_export.py", "-k", "found"),
        "an export in which the actor was exchanged passes as whole",
    ),
    Mutant(
        "told-twice-is-taken", "A2", "killswitch/core/exporting.py",
        "return tuple(sorted(wrong | twice))", "return tuple(sorted(wrong))",
        ("tests/property/test_exporting.py", "-k", "made_of"),
        "people read the first of two actors, programs the second",
    ),
    Mutant(
        "place-is-quoted", "P10", _ANCHOR,
        'f"a place for anchors {rule}:', 'f"{path} {rule}:',
        (_PLACES, "tests/integration/test_secrets.py", "-k", "place or command"),
        "the token of an address is in the log of whoever mistyped it",
    ),
    Mutant(
        "own-list-of-schemes", "P10", _ANCHOR,
        "scheme.lower() in SCHEMES", "scheme in SCHEMES[:4]",
        (_PLACES,),
        "a sentinel's address with TLS is no place, and its password is half shown",
    ),
    Mutant(
        "own-server-by-another-name", "A3", _AUDITING,
        "            return there == server_run_id(wire)\n", "            return False\n",
        ("tests/integration/test_cli_audit.py", "-k", "another_redis"),
        "the anchor falls with the server that it is to speak against",
    ),
    Mutant(
        "engaged-by-somebody-else", "A1", "ops/commands/deadman.py",
        '[:_REASON_MAX], actor)', '[:_REASON_MAX])',
        ("tests/integration/test_cli_deadman.py", "-k", "engages_where"),
        "the stop of a dead man's switch is on record under a name that had no part in it",
    ),
    Mutant(
        "unseen-is-down", "P11", "ops/launching/down.py",
        "Exit.UNREACHABLE if gone else Exit.FAILED", "Exit.DONE if gone else Exit.FAILED",
        ("tests/unit/ops/test_down.py",),
        "a script goes on although a worker may still run an engine",
    ),
    Mutant(
        "launch-replaces-the-library", "P11", "ops/rehearsal/places.py",
        "    if found.verdict not in (Grade.OK, Grade.SKIP):\n", "    if False:\n",
        ("tests/integration/test_launch_phases.py", "-k", "another_release"),
        "the fleet of another prefix closes while a launch says that it changed nothing",
    ),
    Mutant(
        "late-news-is-left", "P6", "killswitch/hooks.py",
        "                    if not self._waiting:\n", "                    if True:\n",
        ("tests/unit/test_hooks.py", "-k", "thread_ends"),
        "an agent that was closed and started again does not tell that it closed",
    ),
)  # fmt: skip
