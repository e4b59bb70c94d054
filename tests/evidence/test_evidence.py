"""The page of evidence says what the rows say, and names only checks that exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evidence import page, record
from tests.evidence.properties import PROPERTIES


def test_the_page_is_what_the_rows_say() -> None:
    """Nobody edits a figure by hand, and no new row is left out."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text, page.read_rows()) == text, "run: python -m tests.evidence"


def test_a_changed_row_changes_the_page() -> None:
    """The comparison above bites."""
    text = page.PAGE.read_text(encoding="utf-8")
    rows = page.read_rows()
    assert rows
    assert page.rendered(text, rows[1:]) != text


def test_every_named_test_exists() -> None:
    """A property that names a test which is gone would look covered."""
    for found in PROPERTIES:
        for test in found.tests:
            assert (page.ROOT / test).exists(), f"{found.prop}: {test}"


def test_every_property_is_checked_or_says_why_not() -> None:
    """No row of the page is empty."""
    assert {found.prop for found in PROPERTIES} >= {f"P{n}" for n in range(1, 12)} | {f"S{n}" for n in range(1, 17)}
    checks = page._model_checks()
    for found in PROPERTIES:
        assert found.open or page._checked(found, page.read_rows(), checks) != "nothing", found.prop


def test_a_row_is_appended_as_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of several runs stand under each other; without the variable nothing is written."""
    file = tmp_path / "rows.jsonl"
    monkeypatch.setenv(record.VARIABLE, str(file))
    record.record("faults", fault="a")
    record.record("faults", fault="b|c")
    monkeypatch.delenv(record.VARIABLE)
    record.record("faults", fault="d")
    assert [json.loads(line)["fault"] for line in file.read_text().splitlines()] == ["a", "b|c"]
