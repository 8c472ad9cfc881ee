"""Files of the past: each old group, kind, field and form gets a word with what to write instead, nothing else does.

What is old is an error where no supported server takes it, a warning where a member may still.
"""

from typing import Any

import pytest

from federation.federating import oldapis, outdated
from federation.joining import assessments


def federated(kind: str, template: Any = None, group: str = "types.kubefed.io", **spec: Any) -> dict[str, Any]:
    body = spec | ({"template": template} if template is not None else {})
    return {"apiVersion": f"{group}/v1beta1", "kind": kind, "metadata": {"name": "web"}, "spec": body}


def words(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in (*outdated.document(found), *outdated.federated(found, None))]


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("types.kubefed.k8s.io/v1beta1", "FederatedConfigMap", "write types.kubefed.io/v1beta1"),
        ("types.kubefed.k8s.io/v1alpha1", "FederatedConfigMap", "write types.kubefed.io/v1beta1"),
        ("types.federation.k8s.io/v1alpha1", "FederatedConfigMap", "write types.kubefed.io/v1beta1"),
        ("core.kubefed.k8s.io/v1beta1", "KubeFedConfig", "write core.kubefed.io/v1beta1"),
        ("scheduling.kubefed.k8s.io/v1alpha1", "ReplicaSchedulingPreference", "write scheduling.kubefed.io"),
        (
            "scheduling.federation.k8s.io/v1alpha1",
            "ReplicaSchedulingPreference",
            "write scheduling.kubefed.io/v1alpha1",
        ),
        ("multiclusterdns.kubefed.io/v1alpha1", "ServiceDNSRecord", "leave it out"),
        ("multiclusterdns.kubefed.k8s.io/v1alpha1", "IngressDNSRecord", "leave it out"),
        ("federation/v1beta1", "Cluster", "fedctl join makes them"),
        ("clusterregistry.k8s.io/v1alpha1", "Cluster", "fedctl join makes them"),
        ("core.kubefed.io/v1beta1", "KubefedCluster", "write KubeFedCluster"),
        ("core.kubefed.io/v1alpha1", "PropagatedVersion", "leave it out, nothing reads it"),
        ("core.federation.k8s.io/v1alpha1", "FederatedIngress", "write types.kubefed.io/v1beta1"),
        ("core.federation.k8s.io/v1alpha1", "FederatedDeploymentPlacement", "spec.placement of FederatedDeployment"),
    ],
)
def test_what_was_kubefeds(api_version: str, kind: str, expected: str) -> None:
    found = list(outdated.document({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}))
    assert found
    assert all(each.refused for each in found)
    assert any(expected in each.message for each in found)


@pytest.mark.parametrize("group", ["types.kubefed.io", "types.kubefed.k8s.io"])
def test_what_kubefed_wrote_of_a_collected_status_is_left_out(group: str) -> None:
    found = {"apiVersion": f"{group}/v1alpha1", "kind": "FederatedServiceStatus", "clusterStatus": []}
    (old,) = outdated.document(found)
    assert old.message.endswith("leave it out, nothing reads it")
    of_a_user = {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedStatus", "spec": {}}
    assert words(of_a_user) == []


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("types.kubefed.io/v1beta1", "FederatedConfigMap"),
        ("core.kubefed.io/v1beta1", "KubeFedCluster"),
        ("core.kubefed.io/v1beta1", "FederatedTypeConfig"),
        ("scheduling.kubefed.io/v1alpha1", "ReplicaSchedulingPreference"),
        ("federation.example.com/v1", "Cluster"),
        ("apps/v1", "Deployment"),
        ("v1", "ConfigMap"),
        ("", ""),
    ],
)
def test_what_is_of_today_gets_no_word(api_version: str, kind: str) -> None:
    found: dict[str, Any] = {"apiVersion": api_version, "kind": kind}
    assert words(found) == []
    assert list(outdated.plain(found)) == []


def test_placement_and_override_before_0_1() -> None:
    overrides = [{"clusterName": "a", "clusterOverrides": [{"path": "spec.replicas", "value": 3}, {"path": "/spec/x"}]}]
    found = federated("FederatedDeployment", placement={"clusterNames": ["a", "b"]}, overrides=overrides)
    assert words(found) == [
        ("spec.placement.clusterNames", "clusterNames is old: write clusters: [{name: a}, {name: b}]"),
        ("spec.overrides[0].clusterOverrides[0].path", "a path with dots is old: write /spec/replicas"),
    ]


def test_a_type_config_before_0_1() -> None:
    spec = {
        "target": {"version": "v1", "kind": "ConfigMap"},
        "namespaced": True,
        "propagationEnabled": True,
        "comparisonField": "ResourceVersion",
    }
    found = {"apiVersion": "core.kubefed.k8s.io/v1alpha1", "kind": "FederatedTypeConfig", "spec": spec}
    assert [path for path, _ in words(found)] == [
        "apiVersion",
        "spec.target",
        "spec.namespaced",
        "spec.comparisonField",
        "spec.propagationEnabled",
    ]


def test_a_type_config_of_a_removed_version() -> None:
    target = {"group": "extensions", "version": "v1beta1", "kind": "Ingress"}
    found = {"apiVersion": "core.kubefed.io/v1beta1", "kind": "FederatedTypeConfig", "spec": {"targetType": target}}
    ((path, message),) = words(found)
    assert path == "spec.targetType.version"
    assert "write networking.k8s.io/v1" in message


OLD_BACKEND = {"serviceName": "web", "servicePort": 80}
NEW_BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


def ingress(backend: Any, **path: Any) -> dict[str, Any]:
    return {"spec": {"rules": [{"http": {"paths": [{"path": "/", "backend": backend} | path]}}]}}


@pytest.mark.parametrize("version", ["extensions/v1beta1", "networking.k8s.io/v1beta1", "networking.k8s.io/v1", ""])
def test_the_old_ingress(version: str) -> None:
    template = ingress(OLD_BACKEND) | ({"apiVersion": version} if version else {})
    reported = dict(words(federated("FederatedIngress", template)))
    at = "spec.template.spec.rules[0].http.paths[0]"
    assert reported[f"{at}.backend"].endswith("write backend: {service: {name: web, port: {number: 80}}}")
    assert "needs a pathType" in reported[f"{at}.pathType"]
    assert ("spec.template.apiVersion" in reported) is ("beta" in version)


def test_the_old_ingress_whole() -> None:
    template = {"spec": {"backend": {"serviceName": "web", "servicePort": "http"}}}
    reported = dict(words(federated("FederatedIngress", template)))
    expected = "write defaultBackend: {service: {name: web, port: {name: http}}}"
    assert reported["spec.template.spec.backend"].endswith(expected)


def test_the_new_ingress_gets_no_word() -> None:
    template = ingress(NEW_BACKEND, pathType="Prefix") | {"apiVersion": "networking.k8s.io/v1"}
    assert words(federated("FederatedIngress", template)) == []


def test_somebody_elses_ingress_gets_no_word() -> None:
    template = ingress(OLD_BACKEND) | {"apiVersion": "ingress.example.com/v1"}
    assert words(federated("FederatedIngress", template)) == []


@pytest.mark.parametrize(("key", "removed"), oldapis.REMOVED.items(), ids=[" ".join(key) for key in oldapis.REMOVED])
def test_every_removed_api_has_its_word(key: tuple[str, str], removed: oldapis.Removed) -> None:
    api_version, kind = key
    template = {"apiVersion": api_version, "spec": {"selector": {}}}
    (old,) = list(outdated.federated(federated(f"Federated{kind}", template), None))
    assert old.path == "spec.template.apiVersion"
    assert f"write {removed.now or removed.instead}" in old.message
    assert removed.now.rpartition("/")[2] != api_version.rpartition("/")[2] or removed.now != api_version
    assert old.refused is (removed.removed <= outdated.OLDEST_MEMBER)
    assert next(iter(outdated.plain({"apiVersion": api_version, "kind": kind}))).path == "apiVersion"
    assert (removed.now, kind) not in oldapis.REMOVED


def test_a_workload_without_selector() -> None:
    template = {"apiVersion": "extensions/v1beta1", "spec": {"rollbackTo": {"revision": 1}, "template": {}}}
    reported = dict(words(federated("FederatedDeployment", template)))
    assert reported.keys() == {
        "spec.template.apiVersion",
        "spec.template.spec.rollbackTo",
        "spec.template.spec.selector",
    }


def test_an_autoscaler() -> None:
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 60}},
        {"type": "Pods", "pods": {"metricName": "rps", "targetAverageValue": "10"}},
        "nonsense",
    ]
    template = {"apiVersion": "autoscaling/v2beta1", "spec": {"metrics": metrics}}
    reported = dict(words(federated("FederatedHorizontalPodAutoscaler", template)))
    expected = "write target: {type: Utilization, averageUtilization: 60}"
    assert reported["spec.template.spec.metrics[0].resource.targetAverageUtilization"].endswith(expected)
    assert reported["spec.template.spec.metrics[1].pods.metricName"].endswith("write metric: {name: rps}")


def test_kubefed_v1s_annotations() -> None:
    found = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"annotations": {"federation.alpha.kubernetes.io/cluster-selector": "[]", "mine": "x"}},
    }
    (old,) = list(outdated.plain(found))
    assert "write spec.placement.clusterSelector" in old.message
    assert not old.refused


def test_what_a_member_may_still_serve_is_the_same_as_for_join() -> None:
    assert outdated.OLDEST_MEMBER == assessments.OLDEST_MEMBER


@pytest.mark.parametrize("spec", [None, 3, [], {"template": 3}, {"template": {"spec": []}}, {"overrides": [1, {}]}])
@pytest.mark.parametrize("kind", ["FederatedIngress", "FederatedTypeConfig", "FederatedDeployment"])
def test_nonsense_is_somebody_elses_to_refuse(kind: str, spec: Any) -> None:
    assert words({"apiVersion": "types.kubefed.io/v1beta1", "kind": kind, "spec": spec}) == []
