"""The report of a look through the record: a violation and what is only noted are never mistaken."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch.core.findings import AuditFinding, Kind, Verification
from ops.auditing.telling import verification_lines
from ops.render import Paint

NOTE = next(kind for kind in Kind if not kind.violation)
VIOLATION = next(kind for kind in Kind if kind.violation)


def found(kind: Kind) -> AuditFinding:
    """One finding of this kind."""
    return AuditFinding(kind, 1, 1, "1-1", "1-1", "")


def look(**changes: Any) -> Verification:
    """A look that found nothing."""
    fields: dict[str, Any] = dict.fromkeys(("entries", "unsealed", "unsealed_ms", "position", "keyed", "unchecked"), 0)
    fields |= {"link": "", "first_id": "", "last_id": "", "anchors": 1, "findings": (), "notes": (), "counts": {}}
    return Verification(**{**fields, **changes})


@pytest.mark.parametrize(
    ("violations", "head"),
    [((), "  noted, and no violation:"), ((found(VIOLATION),), "  noted, and no violation, besides what is altered:")],
)
def test_notes_stand_under_a_heading_that_says_so(violations: tuple[AuditFinding, ...], head: str) -> None:
    """Beside violations they are a second table; without notes there is no heading."""
    lines = verification_lines(look(findings=violations, notes=(found(NOTE),)), Paint(False))
    at = lines.index(head)
    assert str(NOTE) in "".join(lines[at:])
    assert str(VIOLATION) not in "".join(lines[at:])
    assert not any("noted" in line for line in verification_lines(look(findings=violations), Paint(False)))


@pytest.mark.parametrize(
    ("age_ms", "text"), [(17_400, "  1 entry not sealed yet, it is 17.4 s old"), (0, "  1 entry not sealed yet")]
)
def test_a_tail_has_an_age_only_where_there_is_a_present(age_ms: int, text: str) -> None:
    """An export was made at some time that nobody knows."""
    assert text in verification_lines(look(unsealed=1, unsealed_ms=age_ms), Paint(False))
