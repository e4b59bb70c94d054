"""From a stop to the pager, with the real tools and the shipped files: engage, scrape, alert, webhook received.

Everything is started once: Redis, a worker, the exporter, Prometheus, Alertmanager and whoever is told. Intervals are
those of the examples, made shorter. The tests build on each other, in the order in which they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from killswitch import Agent, Auditor, Blocked, DrillVerdict, Observer, Verdict, clock
from tests.support import agents
from tests.support.agents import open_epoch
from tests.support.exporter import Exporter
from tests.support.monitoring import MONITORING, Daemon, Prometheus, Webhook, free_port, program, start_alertmanager
from tests.support.server import RealServer, binary
from tests.support.switch import Switch
from tests.support.waiting import eventually
from workers.histogram import Histogram
from workers.latency import latency_text
from workers.report import STAGES

pytestmark = pytest.mark.monitoring

PATIENCE_S = 60.0
SCOPE = "symbol:EURUSD"
CALM = {
    "killswitch_deadman_left_seconds",
    "killswitch_permission_left_seconds",
    "killswitch_scrape_failures_total",
    "killswitch_renewals_refused",
}
"""What queries of the dashboard ask for that come to nothing here, as they do while all is well."""


class Scene:
    """A switch that is watched, and an engine that tells its worker's agent what it did."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        made = binary("redis")
        assert made is not None
        self.server = RealServer(made)
        stack.callback(self.server.stop)
        self.switch = Switch(self.server, folder)
        stack.callback(self.switch.close)
        self.switch.permit()
        self.agent: Agent = self.switch.agent([SCOPE], engine="e1", worker_id="w1", **agents.CALM)
        self._ticks = 0
        self._latency = {stage: Histogram() for stage in STAGES}
        self.exporter = stack.enter_context(Exporter(Observer(self.switch.settings()).look))
        self.webhook = Webhook()
        stack.callback(self.webhook.stop)
        pager = f"http://127.0.0.1:{self.webhook.port}"
        port = free_port()
        quickly = {"group_interval: 5s": "group_interval: 200ms", "group_wait: 10s": "group_wait: 0s"}
        changes = {"http://127.0.0.1:9501": pager, "group_interval: 1m": "group_interval: 200ms", **quickly}
        self.alertmanager: Daemon = start_alertmanager(folder, port, **changes)
        stack.callback(self.alertmanager.stop)
        self.prometheus = Prometheus(
            folder,
            **{
                "evaluation_interval: 1s": "evaluation_interval: 200ms",
                "scrape_interval: 1s": "scrape_interval: 500ms",
                "scrape_timeout: 1s": "scrape_timeout: 500ms",
                "127.0.0.1:9464": f"127.0.0.1:{self.exporter.port}",
                "127.0.0.1:9093": f"127.0.0.1:{port}",
            },
        )
        stack.callback(self.prometheus.stop)

    def trade(self) -> None:
        """The engine has done some more."""
        self._ticks += 100
        for number, histogram in enumerate(self._latency.values()):
            histogram.record_all(range(300 + number, 100_000, 7_000))
        counts = dict.fromkeys(("signals", "orders", "fills", "cancelled"), self._ticks // 10)
        self.agent.annotate(ticks=self._ticks, latency=latency_text(self._latency), **counts)

    def until(self, expr: str, why: str) -> list[dict[str, Any]]:
        """The samples of `expr`, once there are any; the engine goes on meanwhile."""

        def found() -> list[dict[str, Any]]:
            self.trade()
            clock.sleep(0.05)
            return self.prometheus.query(expr)

        return eventually(found, timeout_s=PATIENCE_S, why=why)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything, running."""
    for names in (("redis-server",), ("prometheus",), ("prometheus-alertmanager", "alertmanager")):
        program(*names)
    with ExitStack() as stack:
        made = Scene(tmp_path_factory.mktemp("monitoring"), stack)
        open_epoch(made.agent)
        made.until('killswitch_worker_state{worker="w1",state="open"} == 1', "Prometheus has seen the worker trade")
        yield made


def test_a_stop_reaches_whoever_is_on_call_with_scope_actor_and_reason(scene: Scene) -> None:
    """Nothing is told while trading is permitted; a stop of a part is told to the desk, one of everything to the pager;
    both say who and why; and both are over once trading is permitted again."""
    control, webhook = scene.switch.control, scene.webhook
    assert webhook.heard == []
    epoch = control.engage("bad prices", "alice", scope=SCOPE).epoch
    heard = eventually(
        lambda: webhook.alerts("/desk", "firing", alertname="ScopeEngaged", scope=SCOPE),
        timeout_s=PATIENCE_S,
        why="the desk hears of the stop",
    )
    assert heard[0]["annotations"]["description"] == "By alice (library): bad prices"
    control.reset(epoch, "checked", "bob", scope=SCOPE)
    outcome = control.engage("fat finger", "carol", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    heard = eventually(
        lambda: webhook.alerts("/pager", "firing", alertname="SwitchEngaged", scope="switch"),
        timeout_s=PATIENCE_S,
        why="the pager hears of the stop",
    )
    assert heard[0]["annotations"]["description"] == "By carol (library): fat finger"
    assert heard[0]["annotations"]["runbook"] == "docs/runbook.md#switchengaged"
    for _ in range(3):
        with pytest.raises(Blocked):
            scene.agent.gate.signal()
    scene.until('killswitch_worker_blocked_checks_total{code="engaged",gate="1"} >= 3', "refused checks are counted")
    control.reset(outcome.epoch, "checked", "bob")
    open_epoch(scene.agent)
    eventually(
        lambda: webhook.alerts("/pager", "resolved", alertname="SwitchEngaged"),
        timeout_s=PATIENCE_S,
        why="the pager hears that it is over",
    )
    paged = {
        alert["labels"]["alertname"] for path, body in webhook.heard if path == "/pager" for alert in body["alerts"]
    }
    assert paged == {"SwitchEngaged"}, "the stop of a part wakes nobody"


def queries() -> list[str]:
    """Every expression of the dashboard, with its variables filled in."""
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    found += [item["expr"] for item in board["annotations"]["list"]]
    for variable in board["templating"]["list"]:
        if label := re.fullmatch(r"label_values\((\w+), (\w+)\)", variable.get("definition", "")):
            found.append(f"count by ({label[2]}) ({label[1]})")
    values = {"$__rate_interval": "5s", "$instance": ".*", "$stage": "tick_to_order"}
    for name, value in values.items():
        found = [expr.replace(name, value) for expr in found]
    return found


def test_every_query_of_the_dashboard_is_answered_by_prometheus(scene: Scene) -> None:
    """Each is valid and shows something, except those that are empty while all is well."""
    scene.switch.control.engage("for the screen", scope="strategy:other")
    Auditor(scene.switch.settings()).seal()
    assert scene.switch.control.drill().verdict is DrillVerdict.PASSED
    wanted = queries()
    assert len(wanted) > 40
    for expr in wanted:
        assert "$" not in expr, expr
        if any(name in expr for name in CALM):
            scene.prometheus.query(expr)
        else:
            scene.until(expr, f"there is something to show for {expr}")


def test_every_rule_is_evaluated_without_an_error(scene: Scene) -> None:
    """What promtool holds to be valid may still fail on real data, as a match of many with many does."""
    groups = scene.prometheus.get("/api/v1/rules")["data"]["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len(found) > 30
    assert [(rule["name"], rule.get("lastError")) for rule in found if rule["health"] != "ok"] == []


def test_redis_dying_keeps_the_stop_and_pages(scene: Scene) -> None:
    """The alert of a stop does not resolve because nobody can look any more, and that nobody can is told as well."""
    scene.switch.control.engage("really", "dave")
    scene.until('ALERTS{alertname="SwitchEngaged",alertstate="firing"}', "the stop is an alert")
    scene.server.kill9()
    scene.until("killswitch_up == 0", "Prometheus has seen that Redis is away")
    assert scene.prometheus.query("killswitch_mode") == []
    assert scene.prometheus.query('ALERTS{alertname="SwitchEngaged",alertstate="firing"}')
    eventually(
        lambda: scene.webhook.alerts("/pager", "firing", alertname="SwitchUnreachable"),
        timeout_s=PATIENCE_S,
        why="the pager hears that Redis is away",
    )
    assert scene.prometheus.query('ALERTS{alertname="SwitchEngaged",alertstate="firing"}')
