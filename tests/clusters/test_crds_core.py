"""The CRDs of core.kubefed.io and scheduling.kubefed.io tried: KubeFed's YAML passes, mistakes do not."""

import base64
import copy
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from federation.playground.clusters import Playground
from tests.clusters.crds_server import Object, Server
from typegen import templates

CORE = "/apis/core.kubefed.io/v1beta1/namespaces/default"
SCHEDULING = "/apis/scheduling.kubefed.io/v1alpha1/namespaces/default"
PATHS = {
    "KubeFedCluster": f"{CORE}/kubefedclusters",
    "FederatedTypeConfig": f"{CORE}/federatedtypeconfigs",
    "KubeFedConfig": f"{CORE}/kubefedconfigs",
    "ReplicaSchedulingPreference": f"{SCHEDULING}/replicaschedulingpreferences",
}


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Iterator[Server]:
    server = Server(playground.clusters["m3"], trust)
    definitions = templates.core_crds()
    server.establish(definitions)
    yield server
    server.remove(definitions)


def cluster(**spec: Any) -> Object:
    return {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "KubeFedCluster",
        "metadata": {"name": "cluster1", "labels": {"region": "eu"}},
        "spec": {"apiEndpoint": "https://10.0.0.7:6443", "secretRef": {"name": "cluster1-token"}, **spec},
    }


def type_config(name: str = "deployments.apps", **spec: Any) -> Object:
    return {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "FederatedTypeConfig",
        "metadata": {"name": name},
        "spec": {
            "federatedType": {
                "group": "types.kubefed.io",
                "kind": "FederatedDeployment",
                "pluralName": "federateddeployments",
                "scope": "Namespaced",
                "version": "v1beta1",
            },
            "propagation": "Enabled",
            "targetType": {
                "group": "apps",
                "kind": "Deployment",
                "pluralName": "deployments",
                "scope": "Namespaced",
                "version": "v1",
            },
            **spec,
        },
    }


def changed(obj: Object, **fields: Any) -> Object:
    """`obj` with some fields set (`spec__targetType__kind=""`); ... takes the field away."""
    result = copy.deepcopy(obj)
    for path, value in fields.items():
        *parents, last = path.split("__")
        node = result
        for name in parents:
            node = node[name]
        if value is ...:
            del node[last]
        else:
            node[last] = value
    return result


def config(name: str = "kubefed", **spec: Any) -> Object:
    return {"apiVersion": "core.kubefed.io/v1beta1", "kind": "KubeFedConfig", "metadata": {"name": name}, "spec": spec}


def preference(**spec: Any) -> Object:
    return {
        "apiVersion": "scheduling.kubefed.io/v1alpha1",
        "kind": "ReplicaSchedulingPreference",
        "metadata": {"name": "test-deployment"},
        "spec": {"targetKind": "FederatedDeployment", "totalReplicas": 9, **spec},
    }


PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n").decode()
KUBEFED_DEFAULTS: Object = {
    "scope": "Cluster",
    "controllerDuration": {"availableDelay": "20s", "unavailableDelay": "60s", "cacheSyncTimeout": "5m"},
    "leaderElect": {
        "leaseDuration": "15s",
        "renewDeadline": "10s",
        "retryPeriod": "5s",
        "resourceLock": "configmaps",
    },
    "featureGates": [
        {"name": "PushReconciler", "configuration": "Enabled"},
        {"name": "RawResourceStatusCollection", "configuration": "Disabled"},
        {"name": "SchedulerPreferences", "configuration": "Enabled"},
        {"name": "CrossClusterServiceDiscovery", "configuration": "Disabled"},
        {"name": "FederatedIngress", "configuration": "Enabled"},
    ],
    "clusterHealthCheck": {"period": "10s", "failureThreshold": 3, "successThreshold": 1, "timeout": "3s"},
    "syncController": {"maxConcurrentReconciles": 1, "adoptResources": "Enabled"},
    "statusController": {"maxConcurrentReconciles": 1},
}

CONFIG_MAPS = type_config(
    "configmaps",
    federatedType={
        "group": "types.kubefed.io",
        "kind": "FederatedConfigMap",
        "pluralName": "federatedconfigmaps",
        "scope": "Namespaced",
        "version": "v1beta1",
    },
    targetType={"kind": "ConfigMap", "pluralName": "configmaps", "scope": "Namespaced", "version": "v1"},
)
NAMESPACES = type_config(
    "namespaces",
    federatedType={
        "group": "types.kubefed.io",
        "kind": "FederatedNamespace",
        "pluralName": "federatednamespaces",
        "scope": "Namespaced",
        "version": "v1beta1",
    },
    targetType={"kind": "Namespace", "pluralName": "namespaces", "scope": "Cluster", "version": "v1"},
)


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(cluster(), id="cluster"),
        pytest.param(
            cluster(caBundle=PEM, proxyURL="socks5://proxy:1080", disabledTLSValidations=["*"]),
            id="cluster-all-fields",
        ),
        pytest.param(
            cluster(disabledTLSValidations=["SubjectName", "ValidityPeriod"], proxyURL=""), id="cluster-two-checks-off"
        ),
        pytest.param(cluster(apiEndpoint="https://[fd00::1]:6443/k8s/clusters/c-1"), id="cluster-ipv6-and-path"),
        pytest.param(cluster(apiEndpoint="10.0.0.7:6443"), id="cluster-without-a-scheme"),
        pytest.param(cluster(syncMode="Pull"), id="cluster-that-pulls-now"),
        pytest.param(changed(cluster(), spec={"syncMode": "Pull"}), id="cluster-that-pulls"),
        pytest.param(type_config(), id="type-config"),
        pytest.param(CONFIG_MAPS, id="type-config-core-group"),
        pytest.param(NAMESPACES, id="type-config-namespaces"),
        pytest.param(
            changed(
                type_config(statusCollection="Enabled"),
                spec__targetType__pluralName=...,
                spec__targetType__group=...,
                spec__federatedType__pluralName=...,
            ),
            id="type-config-names-left-out",
        ),
        pytest.param(
            type_config(
                statusType={
                    "group": "types.kubefed.io",
                    "kind": "FederatedDeploymentStatus",
                    "pluralName": "federateddeploymentstatuses",
                    "scope": "Namespaced",
                    "version": "v1alpha1",
                }
            ),
            id="type-config-status-type",
        ),
        pytest.param(changed(CONFIG_MAPS, spec__targetType__group=""), id="type-config-empty-group"),
        pytest.param(config(), id="config-empty"),
        pytest.param(config(**KUBEFED_DEFAULTS), id="config-kubefed-defaults"),
        pytest.param(config(leaderElect={"leaseDuration": "1m30.5s"}), id="config-one-field"),
        pytest.param(
            config(controllerDuration={"availableDelay": "+.5m", "unavailableDelay": "5µs"}), id="config-gos-durations"
        ),
        pytest.param(preference(), id="preference"),
        pytest.param(
            preference(
                rebalance=True,
                intersectWithClusterSelector=True,
                clusters={"*": {"weight": 1}, "cluster1": {"minReplicas": 2, "maxReplicas": 8, "weight": 3}, "c2": {}},
            ),
            id="preference-clusters",
        ),
    ],
)
def test_kubefed_yaml_applies_unchanged(server: Server, obj: Object) -> None:
    assert server.create(PATHS[obj["kind"]], obj).code == 201
    applied = server.apply(PATHS[obj["kind"]], obj, dryRun="All")
    assert applied.code == 201
    assert applied.body["spec"] == obj["spec"], "nothing is pruned, nothing added"


@pytest.mark.parametrize(
    ("obj", "field", "message"),
    [
        pytest.param(cluster(apiEndpoint="h:6443/x"), "spec.apiEndpoint", "must be an https URL", id="a-path"),
        pytest.param(cluster(caBundle="eA=="), "spec.caBundle", "must be whole PEM certificates", id="ca"),
        pytest.param(cluster(secretRef={"name": "a/b"}), "spec.secretRef.name", "should match", id="secret"),
        pytest.param(cluster(apiEndpoint="http://a:1"), "spec.apiEndpoint", "must be an https URL", id="http"),
        pytest.param(cluster(apiEndpoint="https://:1"), "spec.apiEndpoint", "with a host", id="no-host"),
        pytest.param(changed(cluster(), spec__apiEndpoint=...), "spec.apiEndpoint", "Required", id="no-endpoint"),
        pytest.param(changed(cluster(), spec__secretRef=...), "spec.secretRef", "Required", id="no-secret"),
        pytest.param(changed(cluster(), spec={"syncMode": "Push"}), "spec.secretRef", "Required", id="push-to-nowhere"),
        pytest.param(cluster(syncMode="pull"), "spec.syncMode", "Unsupported value", id="no-such-mode"),
        pytest.param(cluster(secretRef={}), "spec.secretRef.name", "Required", id="no-secret-name"),
        pytest.param(cluster(secretRef={"name": ""}), "spec.secretRef.name", "at least 1", id="empty-secret-name"),
        pytest.param(cluster(caBundle="PEM!"), "spec.caBundle", "type byte", id="ca-bundle-not-base64"),
        pytest.param(cluster(proxyURL="ftp://a"), "spec.proxyURL", "must be an http, https or socks5", id="proxy"),
        pytest.param(
            cluster(disabledTLSValidations=["*", "SubjectName"]),
            "spec.disabledTLSValidations",
            "must stand alone",
            id="tls-star-and-more",
        ),
        pytest.param(
            cluster(disabledTLSValidations=["SubjectName", "SubjectName"]),
            "spec.disabledTLSValidations[1]",
            "Duplicate value",
            id="tls-twice",
        ),
        pytest.param(
            cluster(disabledTLSValidations=["Everything"]),
            "spec.disabledTLSValidations[0]",
            'supported values: "*", "SubjectName", "ValidityPeriod"',
            id="tls-unknown",
        ),
        pytest.param(changed(cluster(), spec=...), "spec", "Required", id="cluster-no-spec"),
        pytest.param(
            changed(type_config(), spec__federatedType__group="types"),
            "spec.federatedType.group",
            "at least one dot, e.g. types.kubefed.io",
            id="federated-group-without-dot",
        ),
        pytest.param(
            changed(type_config(), spec__federatedType__group=...),
            "spec.federatedType.group",
            "Required",
            id="no-group",
        ),
        pytest.param(
            changed(type_config(), spec__targetType__version=""), "spec.targetType.version", "at least 1", id="version"
        ),
        pytest.param(
            changed(type_config(), spec__targetType__kind=""), "spec.targetType.kind", "at least 1", id="empty-kind"
        ),
        pytest.param(
            changed(type_config(), spec__targetType__kind="Deploy_ment"),
            "spec.targetType.kind",
            "should match",
            id="kind",
        ),
        pytest.param(
            changed(type_config(), spec__federatedType__pluralName=""),
            "spec.federatedType.pluralName",
            "at least 1",
            id="empty-plural",
        ),
        pytest.param(
            changed(type_config(), spec__federatedType__pluralName="Federated"),
            "spec.federatedType.pluralName",
            "should match",
            id="plural-not-a-label",
        ),
        pytest.param(
            changed(type_config(), spec__targetType__scope="Global"),
            "spec.targetType.scope",
            'supported values: "Namespaced", "Cluster"',
            id="scope",
        ),
        pytest.param(
            type_config(propagation="On"),
            "spec.propagation",
            'supported values: "Enabled", "Disabled"',
            id="propagation",
        ),
        pytest.param(
            type_config(statusCollection="yes"), "spec.statusCollection", "Unsupported value", id="status-collection"
        ),
        pytest.param(type_config("deployments.extensions"), "", "metadata.name must be", id="name-of-other-group"),
        pytest.param(type_config("deploy.apps"), "", "metadata.name must be", id="name-of-other-plural"),
        pytest.param(
            changed(type_config("deployments.extensions"), spec__targetType__pluralName=...),
            "",
            "metadata.name must be",
            id="name-of-other-group-without-plural",
        ),
        pytest.param(
            changed(type_config(), spec__federatedType__scope="Cluster"), "spec", "must be the same", id="scopes-differ"
        ),
        pytest.param(
            config(controllerDuration={"availableDelay": "0s"}),
            "spec.controllerDuration.availableDelay",
            "above zero",
            id="zero-duration",
        ),
        pytest.param(
            config(clusterHealthCheck={"period": "ten"}),
            "spec.clusterHealthCheck.period",
            "should match",
            id="duration",
        ),
        pytest.param(
            config(clusterHealthCheck={"failureThreshold": 0}),
            "spec.clusterHealthCheck.failureThreshold",
            "greater than or equal to 1",
            id="zero-threshold",
        ),
        pytest.param(
            config(leaderElect={"leaseDuration": "10s"}), "spec.leaderElect", "longer than renewDeadline", id="lease"
        ),
        pytest.param(
            config(leaderElect={"retryPeriod": "10s"}), "spec.leaderElect", "longer than retryPeriod", id="retry"
        ),
        pytest.param(
            config(syncController={"maxConcurrentReconciles": 0}),
            "spec.syncController.maxConcurrentReconciles",
            "greater than or equal to 1",
            id="no-workers",
        ),
        pytest.param(
            config(syncController={"adoptResources": "yes"}),
            "spec.syncController.adoptResources",
            "Unsupported value",
            id="adopt",
        ),
        pytest.param(
            config(featureGates=[{"name": "Teleport", "configuration": "Enabled"}]),
            "spec.featureGates[0].name",
            "Unsupported value",
            id="feature-gate",
        ),
        pytest.param(
            config(scope="Global"), "spec.scope", 'supported values: "Cluster", "Namespaced"', id="config-scope"
        ),
        pytest.param(preference(targetKind="Deployment"), "spec.targetKind", "must be a federated kind", id="target"),
        pytest.param(preference(totalReplicas=-1), "spec.totalReplicas", "greater than or equal to 0", id="negative"),
        pytest.param(
            changed(preference(), spec__totalReplicas=...), "spec.totalReplicas", "Required value", id="no-total"
        ),
        pytest.param(
            preference(clusters={"c": {"minReplicas": 3, "maxReplicas": 2}}),
            "spec.clusters[c]",
            "minReplicas must not be above maxReplicas",
            id="min-above-max",
        ),
    ],
)
def test_mistakes_are_refused_where_they_are(server: Server, obj: Object, field: str, message: str) -> None:
    answer = server.create(PATHS[obj["kind"]], obj)
    assert answer.code == 422, answer.body
    assert field in answer.causes
    assert message in answer.causes[field]


@pytest.mark.parametrize("kind", PATHS)
def test_an_unknown_field_is_refused(server: Server, kind: str) -> None:
    obj = {"KubeFedCluster": cluster(), "FederatedTypeConfig": type_config(), "KubeFedConfig": config()}.get(
        kind, preference()
    )
    answer = server.create(PATHS[kind], changed(obj, spec__surprise=1))
    assert answer.code == 400
    assert 'unknown field "spec.surprise"' in answer.body["message"]


def test_a_cluster_shows_kubefeds_columns(server: Server) -> None:
    path = PATHS["KubeFedCluster"]
    assert server.apply(path, cluster()).code in (200, 201)
    status = {
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "ClusterReady",
                "message": "/healthz responded with ok",
                "lastProbeTime": "2026-11-24T08:00:00Z",
                "lastTransitionTime": "2026-11-24T08:00:00Z",
            },
            {"type": "Fresh", "status": "Unknown"},
        ],
        "kubernetesVersion": "v1.36.3",
        "region": "eu-west",
        "zones": ["a", "b"],
    }
    patched = server.call("PATCH", f"{path}/cluster1/status", {"status": status}, "merge-patch+json")
    assert patched.code == 200
    assert patched.body["status"] == status
    table = server.call("GET", f"{path}/cluster1", accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    columns = [column["name"] for column in table.body["columnDefinitions"]]
    assert {"AGE", "READY", "KUBERNETES-VERSION", "PROBED"} <= set(columns)
    cells = dict(zip(columns, table.body["rows"][0]["cells"], strict=True))
    assert (cells["READY"], cells["KUBERNETES-VERSION"]) == ("True", "v1.36.3")
    server.call("DELETE", f"{path}/cluster1")
