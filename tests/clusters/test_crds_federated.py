"""Federated types on a real API server: made from its own OpenAPI and from CRDs, tried with samples and mistakes."""

import copy
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.playground.clusters import Playground
from tests.clusters.crds_server import DEFINITIONS, Object, Server
from typegen import definitions as typegen_definitions
from typegen import discovery, documents, federate, openapi
from typegen.model import Generated, Options

ROOT = Path(__file__).parents[2]
CRDS = (ROOT / "tests/unit/typegen/crds", ROOT / "e2e/gitops/crds")
TYPES = "/apis/types.kubefed.io/v1beta1/namespaces/default"
CORE_TYPES = ("configmaps", "secrets", "services", "namespaces", "serviceaccounts", "pods", "persistentvolumeclaims")
OTHER_TYPES = {
    "apps/v1": ("deployments", "statefulsets", "daemonsets", "replicasets"),
    "batch/v1": ("jobs", "cronjobs"),
    "networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "rbac.authorization.k8s.io/v1": ("roles", "rolebindings", "clusterroles"),
    "apiextensions.k8s.io/v1": ("customresourcedefinitions",),
    "policy/v1": ("poddisruptionbudgets",),
    "autoscaling/v2": ("horizontalpodautoscalers",),
}


@pytest.fixture(scope="module")
def bare(playground: Playground, trust: ssl.SSLContext) -> Server:
    return Server(playground.clusters["m3"], trust)


@pytest.fixture(scope="module")
def built_in(bare: Server) -> list[Generated]:
    made = []
    for group_version, plurals in {"v1": CORE_TYPES, **OTHER_TYPES}.items():
        root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        known = discovery.resources(bare.get(root))
        document = bare.get(f"/openapi/v3{root}")
        made += [federate.from_openapi(document, discovery.find(known, plural)) for plural in plurals]
    return made


@pytest.fixture(scope="module")
def definitions() -> list[Object]:
    found = (each.document for each in documents.read([str(folder) for folder in CRDS]))
    return [document for document in found if typegen_definitions.is_definition(document)]


@pytest.fixture(scope="module")
def custom(definitions: list[Object]) -> list[Generated]:
    return [federate.from_crd(definition) for definition in definitions]


@pytest.fixture(scope="module")
def server(
    bare: Server, built_in: list[Generated], custom: list[Generated], definitions: list[Object]
) -> Iterator[Server]:
    everything = [*definitions, *(made.crd for made in (*built_in, *custom))]
    bare.establish(everything)
    yield bare
    bare.remove(everything)


def test_every_schema_is_structural(server: Server, built_in: list[Generated], custom: list[Generated]) -> None:
    for made in (*built_in, *custom):
        stored = server.get(f"{DEFINITIONS}/{made.crd['metadata']['name']}")
        conditions = {each["type"] for each in stored["status"]["conditions"]}
        assert conditions == {"Established", "NamesAccepted"}
        assert stored["spec"]["versions"] == made.crd["spec"]["versions"], "the server drops no word of the schema"


def test_discovery_and_the_document_agree(bare: Server) -> None:
    for root in ("/api/v1", "/apis/apps/v1"):
        listed = {(each.plural, each.kind, each.namespaced, each.scale) for each in discovery.resources(bare.get(root))}
        read = {
            (each.plural, each.kind, each.namespaced, each.scale)
            for each in openapi.resources(bare.get(f"/openapi/v3{root}"))
        }
        assert read <= listed
        assert listed - read <= {("bindings", "Binding", True, "")}


def test_aggregated_discovery_says_the_same(bare: Server) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    grouped = bare.call("GET", "/apis", accept=accept).body
    apps = {each for each in discovery.resources(grouped) if each.group == "apps"}
    assert apps == set(discovery.resources(bare.get("/apis/apps/v1")))


NAMES = {"Namespace": "default", "Policy": "policy-sample"}


def federated(kind: str, template: Object | None, **spec: Any) -> Object:
    body = spec if template is None else {"template": template, **spec}
    metadata = {"name": NAMES.get(kind, "sample")}
    return {
        "apiVersion": "types.kubefed.io/v1beta1",
        "kind": f"Federated{kind}",
        "metadata": metadata,
        "spec": body,
    }


def path_of(kind: str) -> str:
    plural = {"Policy": "policies", "NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}.get(kind)
    scope = "/apis/types.kubefed.io/v1beta1" if kind in ("Policy", "ClusterRole") else TYPES
    return f"{scope}/federated{plural or kind.lower() + 's'}"


POD: Object = {
    "metadata": {"labels": {"app": "nginx"}, "creationTimestamp": None},
    "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
}
DEPLOYMENT: Object = {
    "metadata": {"labels": {"app": "nginx"}},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "nginx"}}, "template": POD},
}
CLUSTERS: Object = {"clusters": [{"name": "cluster2"}, {"name": "cluster1"}]}
OVERRIDES: list[Object] = [
    {
        "clusterName": "cluster2",
        "clusterOverrides": [
            {"path": "/spec/replicas", "value": 5},
            {"path": "/spec/template/spec/containers/0/image", "value": "nginx:1.17.0-alpine"},
            {"path": "/metadata/annotations", "op": "add", "value": {"foo": "bar"}},
            {"path": "/metadata/annotations/foo", "op": "remove"},
            {"path": "/apiVersion", "op": "", "value": "apps/v1"},
        ],
    },
    {"clusterName": "cluster1"},
]


def deep(template: Object, path: str, value: Any) -> Object:
    """A copy of `template` with one place changed; numbers in the path are list indices."""
    result = copy.deepcopy(template)
    *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
    node: Any = result
    for step in parents:
        node = node[step]
    node[last] = value
    return result


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(federated("Deployment", DEPLOYMENT, placement=CLUSTERS, overrides=OVERRIDES), id="deployment"),
        pytest.param(federated("Deployment", DEPLOYMENT, retainReplicas=True), id="retain-replicas"),
        pytest.param(
            federated("Deployment", {"apiVersion": "apps/v1", "kind": "Deployment", **DEPLOYMENT}), id="with-kind"
        ),
        pytest.param(
            federated(
                "Deployment",
                {
                    **DEPLOYMENT,
                    "metadata": {
                        "name": "nginx",
                        "namespace": "default",
                        "creationTimestamp": None,
                        "uid": "6f1",
                        "resourceVersion": "17",
                        "generation": 2,
                        "annotations": {"a": "b"},
                        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
                        "ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "6"}],
                        "finalizers": ["example.com/f"],
                    },
                    "status": {},
                },
            ),
            id="exported-from-a-cluster",
        ),
        pytest.param(
            federated(
                "Deployment",
                deep(
                    DEPLOYMENT,
                    "spec.template.spec.containers.0",
                    {
                        "name": "a",
                        "image": "b",
                        "resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}, "requests": {"cpu": 1, "memory": "5e6"}},
                        "ports": [
                            {"containerPort": 53, "protocol": "TCP"},
                            {"containerPort": 53, "protocol": "UDP"},
                            {"containerPort": 80},
                        ],
                        "livenessProbe": {"httpGet": {"port": "http"}},
                        "readinessProbe": {"httpGet": {"port": 80}},
                        "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": {"key": "k"}}}],
                    },
                ),
            ),
            id="quantities-ports-probes",
        ),
        pytest.param(
            federated("ConfigMap", {"data": {"A": "ala ma kota"}}, placement={"clusterSelector": {}}), id="configmap"
        ),
        pytest.param(
            federated(
                "ConfigMap",
                {"binaryData": {"b": "AAECAw=="}, "immutable": True},
                placement={
                    "clusterSelector": {
                        "matchLabels": {"region": "eu"},
                        "matchExpressions": [
                            {"key": "tier", "operator": "In", "values": ["edge"]},
                            {"key": "old", "operator": "DoesNotExist"},
                        ],
                    }
                },
            ),
            id="configmap-selector",
        ),
        pytest.param(federated("ConfigMap", {}, placement={"clusters": []}), id="configmap-nowhere"),
        pytest.param(
            federated("Secret", {"data": {"A": "YWxhIG1hIGtvdGE="}, "type": "Opaque", "stringData": {"b": "c"}}),
            id="secret",
        ),
        pytest.param(
            federated(
                "Service",
                {
                    "spec": {
                        "selector": {"app": "nginx"},
                        "type": "NodePort",
                        "ports": [
                            {"name": "http", "port": 80, "targetPort": "web"},
                            {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                            {"name": "dns-tcp", "port": 53},
                        ],
                    },
                    "status": {"loadBalancer": {}},
                },
            ),
            id="service",
        ),
        pytest.param(federated("Namespace", None, placement=CLUSTERS), id="namespace-without-template"),
        pytest.param(federated("Namespace", {"metadata": {"labels": {"a": "b"}}}, placement=CLUSTERS), id="namespace"),
        pytest.param(
            federated("ServiceAccount", {"imagePullSecrets": [{"name": "a"}], "secrets": [{"name": "a"}]}), id="account"
        ),
        pytest.param(
            federated("Job", {"spec": {"template": {"spec": {**POD["spec"], "restartPolicy": "Never"}}}}), id="job"
        ),
        pytest.param(
            federated(
                "Ingress",
                {
                    "spec": {
                        "rules": [
                            {
                                "host": "a.example.com",
                                "http": {
                                    "paths": [
                                        {
                                            "path": "/",
                                            "pathType": "Prefix",
                                            "backend": {"service": {"name": "a", "port": {"number": 80}}},
                                        }
                                    ]
                                },
                            }
                        ]
                    }
                },
            ),
            id="ingress",
        ),
        pytest.param(
            federated("ClusterRole", {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
            id="cluster-role",
        ),
    ],
)
def test_kubefed_yaml_applies_unchanged(server: Server, obj: Object) -> None:
    path = path_of(obj["kind"].removeprefix("Federated"))
    created = server.create(path, obj)
    assert created.code == 201, created.body
    applied = server.apply(path, obj, dryRun="All")
    assert applied.code == 201, applied.body
    if "containers" not in str(obj) and obj["kind"] != "FederatedService":
        assert applied.body["spec"] == obj["spec"], "nothing is added that the user did not write"


def test_the_only_default_that_is_stored_is_a_key_of_a_list(server: Server) -> None:
    template = deep(DEPLOYMENT, "spec.template.spec.containers.0.ports", [{"containerPort": 80}])
    stored = server.create(path_of("Deployment"), federated("Deployment", template)).body["spec"]["template"]
    wanted = deep(template, "spec.template.spec.containers.0.ports", [{"containerPort": 80, "protocol": "TCP"}])
    assert stored["spec"] == wanted["spec"] | {
        "template": {**wanted["spec"]["template"], "metadata": stored["spec"]["template"]["metadata"]}
    }


@pytest.mark.parametrize(
    ("obj", "field", "message"),
    [
        pytest.param(
            federated("Deployment", deep(DEPLOYMENT, "spec.replicas", "three")),
            "spec.template.spec.replicas",
            'must be of type integer: "string"',
            id="type",
        ),
        pytest.param(
            federated("Deployment", deep(DEPLOYMENT, "spec.template.spec.containers.0.imagePullPolicy", "Sometimes")),
            "spec.template.spec.template.spec.containers[0].imagePullPolicy",
            'supported values: "Always", "IfNotPresent", "Never"',
            id="enum",
        ),
        pytest.param(
            federated("Deployment", deep(DEPLOYMENT, "spec.template.spec.containers.0", {"image": "nginx"})),
            "spec.template.spec.template.spec.containers[0].name",
            "Required value",
            id="required",
        ),
        pytest.param(
            federated("Deployment", {"metadata": {"labels": {"a": "b"}}, "spec": {"template": POD}}),
            "spec.template.spec.selector",
            "Required value",
            id="selector",
        ),
        pytest.param(
            federated(
                "Deployment",
                deep(
                    DEPLOYMENT,
                    "spec.template.spec.containers.0.env",
                    [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                ),
            ),
            "spec.template.spec.template.spec.containers[0].env[1]",
            'Duplicate value: {"name":"A"}',
            id="env-twice",
        ),
        pytest.param(
            federated(
                "Deployment",
                deep(DEPLOYMENT, "spec.template.spec.containers.0.resources", {"limits": {"cpu": "lots"}}),
            ),
            "spec.template.spec.template.spec.containers[0].resources.limits.cpu",
            "should match",
            id="quantity",
        ),
        pytest.param(
            federated(
                "Deployment",
                deep(DEPLOYMENT, "spec.template.spec.containers.0.resources", {"limits": {"cpu": ["1"]}}),
            ),
            "spec.template.spec.template.spec.containers[0].resources.limits.cpu",
            "at most 0 items",
            id="quantity-list",
        ),
        pytest.param(
            federated("Secret", {"data": {"A": "not base64!"}}), "spec.template.data.A", "type byte", id="base64"
        ),
        pytest.param(
            federated("ConfigMap", {"data": {"A": 5}}),
            "spec.template.data.A",
            'must be of type string: "integer"',
            id="data",
        ),
        pytest.param(
            federated("ConfigMap", {"metadata": {"labels": {"a": 1}}}),
            "spec.template.metadata.labels.a",
            "must be of type string",
            id="label",
        ),
        pytest.param(federated("ConfigMap", None), "spec.template", "Required value", id="no-template"),
        pytest.param(
            federated("ConfigMap", {}, placement={"clusters": ["cluster1"]}),
            "spec.placement.clusters[0]",
            "must be of type object",
            id="cluster-as-text",
        ),
        pytest.param(
            federated("ConfigMap", {}, placement={"clusters": [{}]}),
            "spec.placement.clusters[0].name",
            "Required value",
            id="cluster-without-name",
        ),
        pytest.param(
            federated(
                "ConfigMap",
                {},
                placement={"clusterSelector": {"matchExpressions": [{"key": "a", "operator": "Equals"}]}},
            ),
            "spec.placement.clusterSelector.matchExpressions[0].operator",
            'supported values: "In", "NotIn", "Exists", "DoesNotExist"',
            id="operator",
        ),
        pytest.param(
            federated(
                "ConfigMap", {}, placement={"clusterSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}
            ),
            "spec.placement.clusterSelector.matchExpressions[0]",
            "In and NotIn need values",
            id="operator-without-values",
        ),
        pytest.param(
            federated("ConfigMap", {}, overrides=[{"clusterName": "a"}, {"clusterName": "a"}]),
            "spec.overrides[1]",
            'Duplicate value: {"clusterName":"a"}',
            id="cluster-twice",
        ),
        pytest.param(
            federated("ConfigMap", {}, overrides=[{"clusterOverrides": []}]),
            "spec.overrides[0].clusterName",
            "Required value",
            id="override-without-cluster",
        ),
        *(
            pytest.param(
                federated("ConfigMap", {}, overrides=[{"clusterName": "a", "clusterOverrides": operations}]),
                field,
                message,
                id=name,
            )
            for name, operations, field, message in (
                (
                    "path-twice",
                    [{"path": "/data/a", "value": "1"}, {"path": "/data/a", "value": "2"}],
                    "spec.overrides[0].clusterOverrides[1]",
                    'Duplicate value: {"path":"/data/a"}',
                ),
                ("no-path", [{"value": 1}], "spec.overrides[0].clusterOverrides[0].path", "Required value"),
                (
                    "path-no-pointer",
                    [{"path": "data"}],
                    "spec.overrides[0].clusterOverrides[0].path",
                    "should match '^/'",
                ),
                (
                    "operation",
                    [{"op": "move", "path": "/a"}],
                    "spec.overrides[0].clusterOverrides[0].op",
                    'supported values: "add", "replace", "remove"',
                ),
                *(
                    (
                        f"path{path.replace('/', '-')}",
                        [{"path": "/data"}, {"path": path, "value": "x"}],
                        "spec.overrides[0].clusterOverrides[1].path",
                        "are the same in every cluster and cannot be overridden",
                    )
                    for path in ("/kind", "/metadata/name", "/metadata/namespace", "/metadata/generateName")
                ),
            )
        ),
    ],
)
def test_mistakes_are_refused_where_they_are(server: Server, obj: Object, field: str, message: str) -> None:
    answer = server.create(path_of(obj["kind"].removeprefix("Federated")), obj)
    assert answer.code == 422, answer.body
    assert field in answer.causes
    assert message in answer.causes[field]


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        pytest.param(
            federated("Deployment", deep(DEPLOYMENT, "spec.template.spec.containers.0.imagee", "x")),
            "spec.template.spec.template.spec.containers[0].imagee",
            id="in-the-template",
        ),
        pytest.param(
            federated("ConfigMap", {"metadata": {"label": {}}}), "spec.template.metadata.label", id="in-its-metadata"
        ),
        pytest.param(federated("ConfigMap", {}, placements={}), "spec.placements", id="in-the-spec"),
        pytest.param(federated("ConfigMap", {}, retainReplicas=True), "spec.retainReplicas", id="without-replicas"),
    ],
)
def test_an_unknown_field_is_named(server: Server, obj: Object, field: str) -> None:
    answer = server.create(path_of(obj["kind"].removeprefix("Federated")), obj)
    assert answer.code == 400
    assert f'unknown field "{field}"' in answer.body["message"]


WEBSITE: Object = {"domain": "shop.example.com", "image": "site:1.0"}
POLICY: Object = {"owner": "me", "high": 5}
SAME_VERDICT = [
    pytest.param("Gate", {"port": 80, "surge": "25%", "memory": "5Gi", "weights": {"a": 1, "b": "5%"}}, "", id="gate"),
    pytest.param("Gate", {"port": "http", "memory": 5}, "", id="gate-text"),
    pytest.param("Gate", {"port": True}, "spec.port", id="gate-bool"),
    pytest.param("Gate", {"port": 80, "memory": "5Ti"}, "spec.memory", id="gate-pattern"),
    pytest.param("Gate", {"port": 80, "weights": {"a": "x"}}, "spec.weights.a", id="gate-pattern-in-map"),
    pytest.param("Gate", {}, "spec.port", id="gate-required"),
    pytest.param(
        "Blob",
        {"values": [1, {"a": None}], "config": {"level": "low", "x": 1}, "parts": [{"name": "a", "y": [{}]}], "z": 1},
        "spec.z",
        id="blob-unknown-where-fields-are-known",
    ),
    pytest.param("Blob", {"values": {"a": [1]}, "config": {"level": "low", "x": {}}}, "", id="blob"),
    pytest.param("Blob", {"config": {"level": "middle"}}, "spec.config.level", id="blob-enum"),
    pytest.param("Blob", {"parts": [{"x": 1}]}, "spec.parts[0].name", id="blob-required"),
    pytest.param("Fleet", {"ships": [{"name": "a"}, {"name": "a", "deck": "lower"}]}, "", id="fleet"),
    pytest.param("Fleet", {"ships": [{"name": "a"}, {"name": "a"}]}, "spec.ships[1]", id="fleet-key-twice"),
    pytest.param("Fleet", {"ships": [{"name": "a"}], "mode": None, "harbour": None}, "", id="fleet-null-means-absent"),
    pytest.param("Fleet", {"ships": [{"name": "a"}], "flags": ["x", "x"]}, "spec.flags[1]", id="fleet-set"),
    pytest.param("Fleet", {"ships": []}, "spec.ships", id="fleet-min-items"),
    pytest.param("Fleet", {"ships": [{"name": "a", "crew": 0}]}, "spec.ships[0].crew", id="fleet-minimum"),
    pytest.param("Policy", POLICY, "", id="policy"),
    pytest.param("Policy", {**POLICY, "low": 6}, "spec", id="policy-rule"),
    pytest.param("Policy", {**POLICY, "high": 0}, "spec", id="policy-rule-over-default"),
    pytest.param("Policy", {**POLICY, "limits": {"max-count": 100}}, "spec", id="policy-escaped-name"),
    pytest.param("Policy", {**POLICY, "limits": {}}, "", id="policy-default-inside"),
    pytest.param("Policy", {**POLICY, "namespace": "none"}, "spec.namespace", id="policy-reserved-word"),
    pytest.param("Policy", {**POLICY, "steps": [{"name": "a"}]}, "", id="policy-default-in-list"),
    pytest.param(
        "Policy", {**POLICY, "steps": [{"name": "a", "kind": "Deny"}]}, "spec.steps", id="policy-rule-in-list"
    ),
    pytest.param("Policy", {**POLICY, "steps": [{"name": "Allow"}]}, "spec.steps[0]", id="policy-rule-on-item"),
    pytest.param("Policy", {**POLICY, "owner": ""}, "", id="policy-root-rule"),
    pytest.param("Bundle", {"reference": "a", "expires": None}, "", id="bundle"),
    pytest.param(
        "Bundle",
        {"inline": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"x": 1}}},
        "",
        id="bundle-embedded",
    ),
    pytest.param("Bundle", {"inline": {"kind": "Pod"}}, "spec.inline.apiVersion", id="bundle-embedded-unnamed"),
    pytest.param("Bundle", {}, "spec", id="bundle-one-of"),
    pytest.param("Bundle", {"reference": "a", "both": "b"}, "spec", id="bundle-not"),
    pytest.param("Bundle", {"reference": "a", "size": 1001}, "spec.size", id="bundle-all-of"),
    pytest.param("Bundle", {"reference": "a", "retry": {}}, "", id="bundle-any-of-with-default"),
    pytest.param("Shop", {"size": 5}, "", id="shop"),
    pytest.param("Shop", {"size": "5"}, "spec.size", id="shop-type"),
    pytest.param("Website", WEBSITE, "", id="website"),
    pytest.param("Website", {**WEBSITE, "tier": "critical"}, "spec", id="website-rule-over-two-defaults"),
    pytest.param("Website", {**WEBSITE, "tier": "critical", "replicas": 2}, "", id="website-critical"),
    pytest.param("Website", {**WEBSITE, "image": "site:latest"}, "spec.image", id="website-rule"),
    pytest.param("Website", {**WEBSITE, "publish": "daily"}, "spec.publish", id="website-pattern"),
]


@pytest.mark.parametrize(("kind", "spec", "refused"), SAME_VERDICT)
def test_a_template_is_judged_as_the_target_is(
    server: Server, custom: list[Generated], kind: str, spec: Object, refused: str
) -> None:
    target = next(made.target for made in custom if made.target.kind == kind)
    where = "" if kind == "Policy" else "/namespaces/default"
    plain = {"apiVersion": target.api_version, "kind": kind, "metadata": {"name": NAMES["Policy"]}, "spec": spec}
    own = server.create(f"/apis/{target.api_version}{where}/{target.plural}", plain)
    wrapped = server.create(path_of(kind), federated(kind, {"spec": spec}))
    if kind == "Policy" and spec.get("owner") == "":
        refused = ""
        assert (own.code, list(own.causes)) == (422, [""]), "the rule at the target's root"
        assert (wrapped.code, list(wrapped.causes)) == (422, ["spec.template"]), "is one at the template's"
    elif refused:
        assert (own.code, wrapped.code) in ((422, 422), (400, 400))
        named = own.body["message"] if own.code == 400 else str(own.causes)
        assert refused in named
        assert f"spec.template.{refused}" in (wrapped.body["message"] if wrapped.code == 400 else str(wrapped.causes))
    else:
        assert (own.code, wrapped.code) == (201, 201), (own.body, wrapped.body)


@pytest.mark.parametrize(
    ("name", "owner", "field"),
    [
        pytest.param("policy-a", "me", "", id="valid"),
        pytest.param("other-a", "me", "the name must begin with policy-", id="name"),
        pytest.param("policy-a", "policy-a", "spec.template.spec.owner", id="name-and-field"),
    ],
)
def test_rules_about_the_targets_name_are_rules_about_the_federated_objects(
    server: Server, name: str, owner: str, field: str
) -> None:
    obj = federated("Policy", {"spec": {**POLICY, "owner": owner}})
    answer = server.create(path_of("Policy"), {**obj, "metadata": {"name": name}})
    assert answer.code == (422 if field else 201), answer.body
    assert field in str(answer.causes)


def test_an_immutable_field_of_the_target_is_immutable_in_the_template(server: Server) -> None:
    path = path_of("Policy")
    obj = federated("Policy", {"spec": POLICY})
    assert server.apply(path, obj).code == 201
    try:
        answer = server.apply(path, federated("Policy", {"spec": {**POLICY, "grade": "B"}}))
        assert answer.code == 422
        assert "grade is immutable" in answer.causes["spec.template.spec"]
        same = server.apply(path, federated("Policy", {"spec": {**POLICY, "grade": "A"}}))
        assert same.code == 200, "A was the default, so nothing changes"
    finally:
        server.call("DELETE", f"{path}/policy-sample")


def test_scale_status_and_columns(server: Server) -> None:
    path = path_of("Deployment")
    assert server.apply(path, federated("Deployment", DEPLOYMENT, placement=CLUSTERS)).code == 201
    try:
        scaled = server.call("PATCH", f"{path}/sample/scale", {"spec": {"replicas": 7}}, "merge-patch+json")
        assert scaled.code == 200
        assert server.get(f"{path}/sample")["spec"]["template"]["spec"]["replicas"] == 7
        moment = "2026-11-24T08:00:00Z"
        status = {
            "observedGeneration": 1,
            "conditions": [
                {
                    "type": "Propagation",
                    "status": "False",
                    "reason": "CheckClusters",
                    "lastUpdateTime": moment,
                    "lastTransitionTime": moment,
                },
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "CheckClusters",
                    "message": "1 of 2 clusters",
                    "observedGeneration": 1,
                    "lastTransitionTime": moment,
                },
            ],
            "clusters": [
                {"name": "cluster1", "fingerprint": "abc.def", "remoteStatus": {"replicas": 3, "x": [{"y": 1}]}},
                {"name": "cluster2", "status": "UpdateFailed", "message": "quota", "generation": 1},
            ],
        }
        patched = server.call("PATCH", f"{path}/sample/status", {"status": status}, "merge-patch+json")
        assert patched.code == 200, patched.body
        assert patched.body["status"] == status, "no word of the controller's is pruned"
        table = server.call("GET", f"{path}/sample", accept="application/json;as=Table;g=meta.k8s.io;v=v1").body
        columns = [column["name"] for column in table["columnDefinitions"]]
        cells = dict(zip(columns, table["rows"][0]["cells"], strict=True))
        assert (cells["APPLIED"], cells["REASON"], cells["MESSAGE"]) == ("False", "CheckClusters", "1 of 2 clusters")
    finally:
        server.call("DELETE", f"{path}/sample")


def test_a_fleet_of_overrides_is_accepted(server: Server) -> None:
    overrides = [
        {"clusterName": f"cluster-{number}", "clusterOverrides": [{"path": "/data/a", "value": str(number)}]}
        for number in range(2000)
    ]
    many = [{"clusterName": "a", "clusterOverrides": [{"path": f"/data/{n}", "value": "x"} for n in range(400)]}]
    for chosen in (overrides, many):
        answer = server.create(path_of("ConfigMap"), federated("ConfigMap", {}, overrides=chosen))
        assert answer.code == 201, answer.body


def test_short_names_and_category(server: Server) -> None:
    listed = server.get("/apis/types.kubefed.io/v1beta1")["resources"]
    short = {each["name"]: each.get("shortNames") for each in listed}
    assert short["federateddeployments"] == ["fdeploy"]
    assert short["federatedconfigmaps"] == ["fcm"]
    assert short["federatedshops"] == ["fsh", "fstore"]
    assert all("federated" in each["categories"] for each in listed if "/" not in each["name"])


def test_a_custom_resource_from_its_openapi_document(server: Server, custom: list[Generated]) -> None:
    """What a hub says of a CRD makes the same type as the CRD, but for combinators and value formats it lacks."""
    document = server.get("/openapi/v3/apis/demo.example.com/v1")
    website = next(made for made in custom if made.target.kind == "Website")
    made = federate.from_openapi(document, website.target, Options())
    assert made.crd["spec"]["names"] == website.crd["spec"]["names"]
    template = made.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][
        "template"
    ]
    wanted = website.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][
        "template"
    ]
    assert set(template["properties"]["spec"]["properties"]) == set(wanted["properties"]["spec"]["properties"])
    assert made.type_config == website.type_config
