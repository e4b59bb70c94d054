"""A row of evidence for every test here that draws its examples: how many there were, and what they were about."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from tests.evidence.drawn import drawn


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a test that passed."""
    report = yield
    function = getattr(item, "obj", None)
    if report.when == "call" and report.passed and function is not None and is_hypothesis_test(function):
        made_for = getattr(item, "callspec", None)
        server = made_for.params.get("server_kind", "") if made_for is not None else ""
        drawn(function, server, function._hypothesis_internal_use_settings.max_examples)
    return report
