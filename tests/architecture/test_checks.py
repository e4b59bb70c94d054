"""Each check of the project's shape, shown a small bad sample: a check that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.architecture import checks

Check = Callable[[str], Iterable[str]]


def _submit(text: str) -> Iterable[str]:
    return checks.calls(text, "submit")


def _time(text: str) -> Iterable[str]:
    return checks.imports(text, "time")


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        (checks.too_long, "x\n" * 300),
        (checks.long_functions, "@mark\ndef f():\n" + "    x\n" * 68),
        (checks.long_functions, "class A:\n    async def f(self):\n" + "        x\n" * 69),
        (_time, "import os, time"),
        (_time, "from time import sleep"),
        (_time, "def f():\n    import time as t"),
        (checks.hidden_imports, "def f():\n    if x:\n        from a import b"),
        (_submit, "broker.submit(order, token=1)"),
        (_submit, "send = self.broker.submit\nsend(order)"),
        (checks.opening, '"""Says little."""'),
        (checks.opening, "x = 'Invariant'"),
        (checks.lua_header, "local x = 1"),
        (checks.forbidden, "see /wo" + "rk/main/x"),
        (checks.forbidden, "cd /ho" + "me/alice"),
        (checks.forbidden, "from https://py" + "pi.org/simple"),
        (checks.forbidden, "as asked for in issu" + "e #12"),
        (checks.forbidden, "written by Chat" + "GPT"),
        (checks.unpinned, "redis==8.1.0"),
        (checks.unpinned, "redis>=8.1.0 \\\n    --hash=sha256:00"),
        (checks.unpinned, "--index-url somewhere\nredis==8.1.0 \\\n    --hash=sha256:00"),
        (checks.unpinned, "redis==8.1.0 \\\n    --hash=sha256:00\n    # from file://x"),
    ],
)
def test_a_check_complains_about_a_bad_sample(check: Check, bad: str) -> None:
    """Every check finds what it is there for."""
    assert list(check(bad))


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (checks.too_long, "x\n" * 299),
        (checks.long_functions, "def f():\n" + "    x\n" * 68),
        (_time, "from datetime import time\nimport timeit\nfrom .time import x"),
        (checks.hidden_imports, "import a\nclass B:\n    def f(self): ..."),
        (_submit, "def submit(self, order): ...\nsubmit = 1"),
        (checks.opening, '"""A gate.\n\nInvariant: closed at first."""'),
        (checks.lua_header, "-- ks_read: reads."),
        (checks.forbidden, "the issue is at /tmp or /workers/main; see tests/home/readme, ./root and 3 issues"),
        (
            checks.unpinned,
            "# made by ops/lock\nredis==8.1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n    # via rq",
        ),
    ],
)
def test_a_check_is_content_with_a_good_sample(check: Check, good: str) -> None:
    """No check complains about what is allowed."""
    assert list(check(good)) == []
