"""The breaks are kept fit: each still finds its text and the tests it names; the runner knows a survivor."""

from __future__ import annotations

import pytest

from tests.mutation import __main__ as runner
from tests.mutation.base import Mutant


@pytest.mark.parametrize("mutant", runner.all_mutants(), ids=lambda mutant: mutant.name)
def test_a_break_still_fits_the_code(mutant: Mutant) -> None:
    """The text it changes stands there once, the change is one, and the tests that must notice exist."""
    assert runner.broken(mutant) != (runner.ROOT / mutant.path).read_text(encoding="utf-8")
    assert mutant.tests
    for argument in mutant.tests:
        path, _, name = argument.partition("::")
        if not argument.startswith("-") and ("/" in path or path.endswith(".py")):
            assert (runner.ROOT / path).exists(), argument
            assert name.partition("[")[0].rpartition("::")[2] in (runner.ROOT / path).read_text() if name else True


CLOSING = Mutant(
    name="example",
    breaks="S4",
    path="killswitch/core/lease.py",
    old="    return sent_ns + bound * _NS_PER_MS\n",
    new="    return sent_ns + 2 * bound * _NS_PER_MS\n",
    tests=("tests/unit/core/test_rules.py",),
)


def test_the_runner_knows_who_noticed_and_who_did_not() -> None:
    """A doubled lease is noticed by the rules of the lease, and not by a test that never looks at it."""
    verdict, _, by = runner.run(CLOSING)
    assert (verdict, by.partition("::")[0]) == ("noticed", "tests/unit/core/test_rules.py")
    blind = Mutant(**{**{name: getattr(CLOSING, name) for name in CLOSING.__slots__}, "tests": ("tests/history",)})
    assert runner.run(blind)[0] == "SURVIVED"


def test_tests_that_are_red_anyway_notice_nothing() -> None:
    """A break is not called noticed by a test that fails without it."""
    red = Mutant(**{**{name: getattr(CLOSING, name) for name in CLOSING.__slots__}, "tests": ("--no-such-option",)})
    assert runner.run(red)[0] == "UNCLEAR"


def test_a_break_whose_text_is_gone_is_refused() -> None:
    """A break that would change nothing is an error, not a survivor nobody looks at."""
    gone = Mutant("gone", "S4", "killswitch/core/lease.py", "no such text", "", ("tests/history",))
    with pytest.raises(ValueError, match="0 times"):
        runner.broken(gone)
