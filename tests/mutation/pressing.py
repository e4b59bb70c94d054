"""Breaks of the red button's surroundings: who, why and how long, lost words, and a stop that nobody follows."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_STREAMS = "tests/integration/test_cli_streams.py"

MUTANTS = (
    Mutant(
        "nobody-is-quiet",
        "P6",
        "killswitch/control/quiescence.py",
        '"" if concerned else nobody_there(members, self._task.scope)',
        '"" if members else nobody_there(members, self._task.scope)',
        ("tests/integration/test_scopes.py", "-k", "nobody_follows"),
        "a stop of a misspelt scope is called QUIET while what was meant trades on",
    ),
    Mutant(
        "directory-is-asked",
        "P8",
        "killswitch/sources.py",
        '        user = f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"\n',
        '        user = __import__("pwd").getpwuid(os.getuid()).pw_name\n',
        ("tests/contract/test_quick.py", "-k", "directory_of_users"),
        "an engagement waits for a directory of users that is on the network that has failed",
    ),
    Mutant(
        "full-disk-is-an-error",
        "P8",
        "ops/console.py",
        "        except (OSError, ValueError) as error:\n            self._divert(stream)\n",
        "        except ZeroDivisionError as error:\n            self._divert(stream)\n",
        (_STREAMS, "-k", "uncertain_whatever"),
        "a script reads of a stop that stands that nothing was changed",
    ),
    Mutant(
        "closed-streams-stay-closed",
        "P8",
        "ops/console.py",
        "        _open_streams()\n        self.json",
        "        self.json",
        (_STREAMS, "-k", "by_its_code"),
        "a command that was started with closed streams ends in a traceback that nobody sees, and does nothing",
    ),
    Mutant(
        "lost-result-is-a-success",
        "A3",
        "ops/cli.py",
        "int(Exit.UNWRITTEN) if console.lost and",
        "int(Exit.UNWRITTEN) if False and",
        (_STREAMS, "-k", "no_success"),
        "cron keeps half a record and calls it whole",
    ),
    Mutant(
        "odd-wait-refuses",
        "P8",
        "ops/options.py",
        "        if math.isnan(found):\n",
        "        if math.isnan(found):\n            self.fail(text)\n",
        ("tests/integration/test_cli_input.py", "-k", "decide_nothing"),
        "a slip in how long to wait keeps the fleet trading",
    ),
)
