"""The shipped rules and examples: valid, tested by promtool, and about metrics, alerts and pages that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.exporter.catalogue import CATALOGUE
from tests.support.monitoring import MONITORING, program
from tests.support.processes import ROOT
from tests.unit.ops.scraping import everything

RULES = MONITORING / "killswitch.rules.yml"
DASHBOARD = MONITORING / "grafana-dashboard.json"
CASES = sorted(Path(__file__).parent.glob("*.test.yml"))

pytestmark = pytest.mark.monitoring


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """One tool, to its end."""
    return subprocess.run(words, input=given, capture_output=True, text=True, timeout=170)


def rules() -> list[dict[str, str]]:
    """Every rule of the file: its keys and the plain values beside them, on the levels that this test needs."""
    found = []
    for block in re.split(r"\n\s+- (?=alert: |record: )", RULES.read_text())[1:]:
        pairs = re.findall(r"(?:^|\n)\s*(alert|record|summary|description|runbook): *(.*)", block)
        severity = re.search(r"severity: (\w+)", block)
        found.append({**dict(pairs), "severity": severity[1] if severity else "", "text": block})
    return found


ALERTS = sorted({rule["alert"] for rule in rules() if "alert" in rule})


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_rules_pass_their_unit_tests(case: Path) -> None:
    """Each alert fires when it should, not before and not after, with the text that people get."""
    done = run(program("promtool"), "test", "rules", str(case))
    assert done.returncode == 0, done.stdout + done.stderr


def test_unit_tests_notice_a_rule_that_was_changed(tmp_path: Path) -> None:
    """A green run of promtool means something: two seconds more, and the case of that alert fails."""
    old = "expr: killswitch_up == 0\n        for: 5s"
    text = RULES.read_text()
    assert old in text
    (tmp_path / "ops/monitoring").mkdir(parents=True)
    (tmp_path / "ops/monitoring" / RULES.name).write_text(text.replace(old, old.replace("5s", "7s")))
    (tmp_path / "tests/monitoring").mkdir(parents=True)
    (case,) = (path for path in CASES if path.name == "seconds.test.yml")
    shutil.copy(case, tmp_path / "tests/monitoring")
    done = run(program("promtool"), "test", "rules", str(tmp_path / "tests/monitoring" / case.name))
    assert done.returncode == 1, "promtool found nothing wrong"
    assert "SwitchUnreachable" in done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    """No alert is shipped untried."""
    text = "\n".join(path.read_text() for path in CASES)
    silent = re.findall(rf"\{{ eval_time: \w+, alertname: {alert} \}}", text)
    firing = re.findall(rf"alertname: {alert}\n\s+exp_alerts:\n\s+- exp_labels", text)
    assert silent, "no case in which it is silent"
    assert firing, "no case in which it fires"


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_so_how_urgent_it_is_and_where_to_read_on(rule: dict[str, str]) -> None:
    """The link leads to a section of the runbook that is there."""
    assert rule["severity"] in ("page", "warning", "info")
    assert rule["summary"]
    page, _, anchor = rule["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text()


def test_runbook_explains_no_alert_that_is_not_there() -> None:
    """A section of an alert that was removed goes with it."""
    _, _, text = (ROOT / "docs/runbook.md").read_text().partition("\n## When an alert fires\n")
    assert sorted(re.findall(r"^### (\w+)$", text, re.M)) == ALERTS


def known_names() -> set[str]:
    """Every name that an expression may ask for."""
    names = {metric.name for metric in CATALOGUE} | {rule["record"] for rule in rules() if "record" in rule}
    endings = ("_bucket", "_count", "_sum")
    return names | {metric.name + end for metric in CATALOGUE if metric.kind == "histogram" for end in endings}


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=lambda path: path.name)
def test_rules_and_dashboard_ask_for_metrics_that_there_are(path: Path) -> None:
    """A misspelt name would be an alert that never fires and a panel that stays empty."""
    asked = set(re.findall(r"\bkillswitch[_:][a-z0-9_:]+", re.sub(r"record: \S+", "", path.read_text())))
    assert asked - known_names() == set()
    assert len(asked) > 20


def test_metrics_please_the_linter() -> None:
    """Names, units, types and help follow the conventions of Prometheus."""
    done = run(program("promtool"), "check", "metrics", given=everything().text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_examples_are_valid() -> None:
    """Both tools take their configuration as it is shipped."""
    for words in (
        (program("promtool"), "check", "config", *map(str, sorted(MONITORING.glob("prometheus.*.yml")))),
        (program("amtool"), "check-config", str(MONITORING / "alertmanager.example.yml")),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pager"), ("warning", "desk"), ("info", "desk")])
def test_alerts_are_routed_by_how_urgent_they_are(severity: str, receiver: str) -> None:
    """A page reaches the pager, all else the desk."""
    file = f"--config.file={MONITORING / 'alertmanager.example.yml'}"
    done = run(program("amtool"), "config", "routes", "test", file, f"severity={severity}", "alertname=X")
    assert done.stdout.split() == [receiver], done.stderr


def test_dashboard_names_no_installation() -> None:
    """It is imported anywhere: one fixed uid, no numbers of a database, every source through the variable."""
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    assert board["uid"] == "trading-killswitch"
    assert "id" not in board
    uids = set(re.findall(r'"uid": "([^"]+)"', DASHBOARD.read_text()))
    assert uids == {"trading-killswitch", "${datasource}"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
