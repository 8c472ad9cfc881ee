"""The chart as Helm reads it: it refuses values that it does not know, and gives what `fedctl init` applies."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import render
from federation.joining import finalizing, installing
from federation.playground.errors import PlaygroundError
from tests import gotools

MODULE, VERSION = "helm.sh/helm/v4/cmd/helm", "v4.3.2"
NAMESPACE = "kube-federation-system"
IMAGE = "registry.example.com/federation:0.1.0"
THE_IMAGE = {"controllermanager": {"controller": {"repository": "registry.example.com", "tag": "0.1.0"}}}
EVERYTHING = {
    **{each: {"enabled": True} for each in ("serviceMonitor", "prometheusRule", "dashboard")},
    "finalizerPolicy": {"enabled": True},
}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def helm() -> Path:
    """Its path."""
    try:
        return gotools.find(MODULE, VERSION)
    except (subprocess.CalledProcessError, PlaygroundError, OSError) as error:
        pytest.skip(f"helm cannot be had here: {error}")


def run(helm: Path, *arguments: object, values: Any = None) -> subprocess.CompletedProcess[str]:
    """One run, with values on stdin."""
    more = ("-f", "-") if values is not None else ()
    return subprocess.run(  # noqa: S603 - our own command
        [str(helm), *map(str, arguments), *more],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(helm: Path, values: Any) -> list[dict[str, Any]]:
    """The objects, CRDs first."""
    ran = run(
        helm, "template", "fed", render.CHART, "--namespace", NAMESPACE, "--include-crds", "--skip-tests", values=values
    )
    assert ran.returncode == 0, ran.stderr
    return [each for each in yaml.safe_load_all(ran.stdout) if each]


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """By kind, namespace and name."""
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in objects}


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["as it is", "everything"])
def test_lint_finds_nothing(helm: Path, values: Any) -> None:
    ran = run(helm, "lint", "--strict", render.CHART, "--namespace", NAMESPACE, values=values)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("scope", ["Cluster", "Namespaced"])
def test_init_applies_what_the_chart_renders(helm: Path, scope: str, shards: int) -> None:
    """But for the namespace, which Helm makes itself."""
    manager = THE_IMAGE["controllermanager"]
    replicas = max(2, shards)  # the chart's own value, which its reader sets beside the number of shards
    values = {"shards": shards, "controller": {**manager["controller"], "replicaCount": replicas}}
    chart = by_name(rendered(helm, {"controllermanager": values, "global": {"scope": scope}}))
    init = by_name(installing.manifests(NAMESPACE, installing.Wanted(image=IMAGE, scope=scope, shards=shards)))
    assert set(init) - set(chart) == {("Namespace", "", NAMESPACE)}
    assert set(chart) - set(init) == set()
    for name in set(chart) & set(init):
        assert chart[name] == init[name], name


def test_the_finalizer_policy_is_the_same(helm: Path) -> None:
    """But for the order of the system namespaces, of which Helm's own may be there twice."""

    def plain(manifest: Any) -> Any:
        names = re.compile(r'\["[a-z"\-, ]*\]')
        return names.sub(
            lambda found: repr(sorted(set(json.loads(found[0])))), json.dumps(manifest).replace('\\"', '"')
        )

    chart = by_name(rendered(helm, {"finalizerPolicy": {"enabled": True}}))
    for name, wanted in by_name([dict(each) for each in finalizing.manifests(NAMESPACE, "kubefed-controller")]).items():
        assert plain(chart[name]) == plain(wanted)


def test_what_is_for_monitoring_comes_when_it_is_asked_for(helm: Path) -> None:
    kinds = {"ServiceMonitor", "PrometheusRule", "Service", "ConfigMap"}
    assert kinds & {each["kind"] for each in rendered(helm, {})} == set()
    made = {each["kind"]: each for each in rendered(helm, EVERYTHING) if each["kind"] in kinds}
    assert set(made) == kinds
    board = json.loads(made["ConfigMap"]["data"]["federation.json"])
    assert board == json.loads((render.CHART / "dashboards/federation.json").read_text())
    (group,) = made["PrometheusRule"]["spec"]["groups"]
    for rule in group["rules"]:
        assert f'{{job="kubefed-controller",namespace="{NAMESPACE}"' in rule["expr"]
        assert "$" not in rule["expr"]
    summaries = [rule["annotations"]["summary"] for rule in group["rules"]]
    assert any("{{ $labels.cluster }}" in text for text in summaries), "Prometheus fills them in, not Helm"
    service = made["Service"]
    assert service["metadata"]["labels"].items() >= made["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items()
    assert service["metadata"]["name"] == "kubefed-controller", "the job that alerts and dashboard name"


def test_a_network_policy_can_name_who_scrapes_and_where_the_controller_goes(helm: Path) -> None:
    def policy(**values: Any) -> dict[str, Any] | None:
        made = rendered(helm, {"networkPolicy": values})
        return next((each["spec"] for each in made if each["kind"] == "NetworkPolicy"), None)

    assert policy(enabled=False) is None
    nobody = policy(metricsFrom=[])
    assert nobody is not None
    assert nobody["ingress"] == [{"ports": [{"port": "health"}]}]
    rule = {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
    limited = policy(egress=[rule])
    assert limited is not None
    assert limited["egress"] == [rule]


def test_one_replica_needs_no_budget(helm: Path) -> None:
    made = rendered(helm, {"controllermanager": {"controller": {"replicaCount": 1}}})
    assert "PodDisruptionBudget" not in {each["kind"] for each in made}


def test_several_shards_are_told_to_the_controller_with_the_rights_for_their_reports(helm: Path) -> None:
    role = ("Role", NAMESPACE, "kubefed-controller-shards")
    one, three = (by_name(rendered(helm, {"controllermanager": {"shards": number}})) for number in (1, 3))
    deployment = ("Deployment", NAMESPACE, "kubefed-controller")
    arguments = [each[deployment]["spec"]["template"]["spec"]["containers"][0]["args"] for each in (one, three)]
    assert arguments[1] == [*arguments[0], "--shards=3"]
    assert role not in one
    assert set(three) - set(one) == {role, ("RoleBinding", NAMESPACE, "kubefed-controller-shards")}


def closed(schema: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every object of the schema that has names of its own. `global` is a parent chart's, too."""
    found = [path] if schema.get("properties") and path != ("global",) else []
    for name, inner in schema.get("properties", {}).items():
        found += closed(inner, (*path, name))
    return found


SCHEMA = json.loads((render.CHART / "values.schema.json").read_text())


@pytest.mark.parametrize("path", closed(SCHEMA), ids=".".join)
def test_a_value_that_is_not_known_is_refused(helm: Path, path: tuple[str, ...]) -> None:
    values: Any = {"unheardOf": 1}
    for name in reversed(path):
        values = {name: values}
    ran = run(helm, "template", "fed", render.CHART, values=values)
    assert ran.returncode != 0
    assert "unheardOf" in ran.stderr


@pytest.mark.parametrize(
    "values",
    [
        {"controllermanager": {"controller": {"tag": "latest"}}},
        {"controllermanager": {"clusterHealthCheckPeriod": "soon"}},
        {"controllermanager": {"shards": 0}},
        {"controllermanager": {"shards": 17}},
        {"serviceMonitor": {"enabled": "yes"}},
        {"networkPolicy": {"metricsFrom": "all"}},
        {"controllermanager": {"featureGates": {"Federation": "Enabled"}}},
    ],
)
def test_a_wrong_value_is_refused(helm: Path, values: Any) -> None:
    assert run(helm, "template", "fed", render.CHART, values=values).returncode != 0
