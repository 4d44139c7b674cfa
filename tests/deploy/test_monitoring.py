"""Every query of rules and dashboard names what is exported, and the rules do what they say."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from auralink.engine.telemetry.catalogue import CATALOGUE, LATENCY_MS, exported_names

from ..engine.telemetry.promtool import promtool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "aic.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "auralink-aic.json"
# What Prometheus itself makes.
OWN = {"up", "ALERTS"}
ALERTS = {
    "AicFallbackRateHigh",
    "AicInferenceLatencyHigh",
    "AicBreakerOpen",
    "AicQueueSaturated",
    "AicNoModelReady",
    "AicModelRejected",
    "AicWorkerRestarts",
    "AicEventLoopLag",
    "AicRedisDegraded",
    "AicDbBufferDropping",
    "AicSessionStuckReconnecting",
    "AicRssGrowth",
    "AicTargetMissing",
    "AicErrorBudgetBurn",
    "AicCertExpiry",
}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries_of_the_dashboard() -> Iterator[tuple[str, str]]:
    """Title and expression."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def metrics_in(expression: str) -> set[str]:
    """Names of metrics, by their place in the grammar of PromQL: neither function nor label."""
    bare = re.sub(r'"[^"]*"|\'[^\']*\'', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"label_values\(([^,]+),[^)]*\)", r"\1", bare)
    words = re.findall(
        r"(?<![0-9a-zA-Z_:])[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()(?![a-zA-Z0-9_:])", bare
    )
    return {word for word in words if word not in ("and", "or", "unless", "bool", "offset")}


def labels_in(expression: str) -> Iterator[tuple[str, str]]:
    """Metric and label of every matcher."""
    for name, matchers in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}", expression):
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers):
            yield name, label


def test_the_parser_of_this_test_finds_names() -> None:
    expression = 'sum by (le, kind) (rate(a_b{x="no_label"}[5m])) / on (i) c > 2 and d or absent(e)'

    assert metrics_in(expression) == {"a_b", "c", "d", "e"}
    assert list(labels_in('a{x="1", y=~"2"} + b{z!="3"}')) == [("a", "x"), ("a", "y"), ("b", "z")]


def test_every_rule_names_metrics_that_are_exported() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}

    for rule in rules():
        unknown = metrics_in(rule["expr"]) - exported_names() - recorded - OWN
        assert not unknown, rule.get("alert", rule.get("record"))


def test_every_query_of_the_dashboard_names_metrics_that_are_exported() -> None:
    for title, expression in queries_of_the_dashboard():
        assert metrics_in(expression), title
        assert metrics_in(expression) <= exported_names() | OWN, title


def test_every_label_of_a_query_is_one_that_the_metric_has() -> None:
    by_name = {name: metric for metric in CATALOGUE for name in _series(metric)}
    expressions = [rule["expr"] for rule in rules()] + [e for _, e in queries_of_the_dashboard()]

    for expression in expressions:
        for name, label in labels_in(expression):
            if name in by_name:
                allowed = {*by_name[name].labels, "le", "instance"}
                assert label in allowed, f"{name}{{{label}}}"


def _series(metric: Any) -> list[str]:
    return [metric.name, *(f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))]


def test_the_slo_is_a_bucket_that_exists() -> None:
    assert 25 in LATENCY_MS


def test_alerts_have_the_agreed_names_a_severity_and_a_runbook() -> None:
    found = [rule for rule in rules() if "alert" in rule]
    handbook = (ROOT / "docs" / "operations.md").read_text("utf-8")

    assert {rule["alert"] for rule in found} == ALERTS
    for rule in found:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor == rule["alert"].lower()
        assert f"#### {rule['alert']}\n" in handbook


def test_every_alert_has_a_unit_test_that_sees_it_fire_and_one_that_does_not() -> None:
    text = (RULES.parent / "aic.rules.test.yml").read_text("utf-8")
    checks = [check for one in yaml.safe_load(text)["tests"] for check in one["alert_rule_test"]]

    assert {one["alertname"] for one in checks if one["exp_alerts"]} == ALERTS


def test_promtool_accepts_the_rules_and_their_unit_tests_pass() -> None:
    for command in (["check", "rules", "aic.rules.yml"], ["test", "rules", "aic.rules.test.yml"]):
        done = subprocess.run(
            [promtool(), *command], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["prometheus.yml", "kubernetes.yml"])
def test_promtool_accepts_the_configurations(name: str, tmp_path: Path) -> None:
    config = yaml.safe_load((RULES.parent / name).read_text("utf-8"))
    for job in config["scrape_configs"]:
        # Debian builds Prometheus without the discovery of Kubernetes: the rest is checked.
        if job.pop("kubernetes_sd_configs", None) is not None:
            job["static_configs"] = [{"targets": ["stand-in:8000"]}]
    (tmp_path / name).write_text(yaml.safe_dump(config))

    done = subprocess.run(
        [promtool(), "check", "config", "--syntax-only", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_engines_are_scraped_once_by_every_way_to_find_them() -> None:
    for name in ("prometheus.yml", "kubernetes.yml"):
        (job,) = yaml.safe_load((RULES.parent / name).read_text("utf-8"))["scrape_configs"]
        assert job["job_name"] == "auralink-aic"  # which the rule AicTargetMissing asks for


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    taken: dict[tuple[int, int], str] = {}

    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} on {taken[x, y]}"
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_promtool_can_parse_every_query_of_the_dashboard(tmp_path: Path) -> None:
    queries = []
    for number, (_, expression) in enumerate(queries_of_the_dashboard()):
        if expression.startswith("label_values"):
            continue
        plain = expression.replace("$__rate_interval", "5m").replace("$__range", "1h")
        plain = plain.replace("$instance", ".*")
        queries.append({"record": f"query:{number}", "expr": plain})
    (tmp_path / "queries.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]})
    )

    done = subprocess.run(
        [promtool(), "check", "rules", str(tmp_path / "queries.yml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout + done.stderr
