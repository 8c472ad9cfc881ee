"""The chart's alerts ask for metrics that the controller has, with labels that these have."""

import re

import pytest
import yaml

import federation.app  # noqa: F401 - everything that has metrics
from charts import alerts, render
from federation.runtime import metrics

NAMED = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_THE_SCRAPE = {"pod", "namespace", "job", "instance", "le"}
EXPRESSIONS = [(alert.name, alert.expression) for alert in alerts.ALERTS]


def known() -> dict[str, str]:
    """Every name that /metrics can show -> its type."""
    text = "".join(metrics.steps())
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    return found | {f"{name}{end}": kind for name, kind in found.items() if kind == "histogram" for end in ("_bucket",)}


def labels(name: str) -> set[str]:
    """The labels of a metric, as the code declares them."""
    plain = name.removesuffix("_bucket")
    for each in vars(metrics).values():
        own = getattr(each, "name", None) or getattr(each, "_name", None)
        if own and plain in (own, f"{own}_total"):
            return set(getattr(each, "_labelnames", ()) or getattr(each, "_labels", ()))
    raise AssertionError(name)


@pytest.mark.parametrize(("what", "expression"), EXPRESSIONS)
def test_metrics_and_labels_exist(what: str, expression: str) -> None:
    names = NAMED.findall(expression)
    assert names, what
    assert set(names) <= set(known()), what
    assert expression.count("{$") == len(names), f"{what}: every metric is of this release's controllers"
    every = OF_THE_SCRAPE.union(*(labels(name) for name in names))
    grouped = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    compared = {label for text in re.findall(r"\{\$,([^}]*)\}", expression) for label in re.findall(r"(\w+)[!=]", text)}
    assert grouped | compared <= every, what


def test_counters_are_counted_by_their_rate_and_gauges_are_not() -> None:
    for what, expression in EXPRESSIONS:
        for name in NAMED.findall(expression):
            rated = re.search(rf"(rate|increase)\({name}\{{", expression) is not None
            assert rated == (known()[name] != "gauge"), what


@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_texts_name_labels_that_are_left(alert: alerts.Alert) -> None:
    used = set(re.findall(r"\{\{ \$labels\.(\w+) \}\}", alert.summary))
    grouped = {label.strip() for group in GROUPED.findall(alert.expression) for label in group.split(",")}
    left = grouped or OF_THE_SCRAPE.union(*(labels(name) for name in NAMED.findall(alert.expression)))
    assert used <= left


def test_alerts_are_called_differently_and_say_what_to_do() -> None:
    assert len({alert.name for alert in alerts.ALERTS}) == len(alerts.ALERTS)
    assert {alert.severity for alert in alerts.ALERTS} <= {"critical", "warning", "info"}
    assert all(alert.summary.endswith((".", "objects.")) and alert.do for alert in alerts.ALERTS)


def test_no_rule_of_the_chart_has_a_wildcard() -> None:
    for name in ("rbac.yaml", "user-roles.yaml"):
        text = re.sub(r"(?m)^\{\{.*\}\}$", "", (render.CHART / "templates" / name).read_text())
        for document in yaml.safe_load_all(text):
            for rule in (document or {}).get("rules") or ():
                assert "*" not in [*rule.get("apiGroups", ()), *rule["resources"], *rule["verbs"]], document["metadata"]
