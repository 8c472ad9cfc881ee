"""A plain object to its federated one, and back: what the controller renders of it is the object that went in."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import manifest, parsing
from federation.federating import catalogue, cleaning, wishes, wrapping
from federation.federating.wishes import Wish
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata
from federation.model.resources import ObjectName


def typed(document: dict[str, Any]) -> FederatedType:
    return catalogue.default_type(document)


def wrap(document: dict[str, Any], wish: Wish | None = None) -> wrapping.Wrapped:
    before = copy.deepcopy(document)
    made = wrapping.wrap(document, typed(document), wish or Wish())
    assert document == before
    return made


def rendered(document: dict[str, Any]) -> dict[str, Any]:
    """What the controller makes of a federated object for a cluster without overrides, without its own label."""
    template = document["spec"].get("template", {})
    kind = document["kind"].removeprefix("Federated")
    version = KINDS[kind]
    type_ = typed({"apiVersion": version, "kind": kind})
    spec = parsing.spec(orjson.dumps(document["spec"]), namespaces=type_.is_namespace)
    metadata = document["metadata"]
    body = manifest.finish(
        manifest.base(spec, type_, ObjectName(metadata.get("namespace", ""), metadata["name"]), host_namespace=None), ()
    )
    assert body["metadata"]["labels"].pop(marks.MANAGED_LABEL) == "true"
    if not body["metadata"]["labels"]:
        del body["metadata"]["labels"]
    if not type_.target.namespaced or "namespace" not in metadata:
        body["metadata"].pop("namespace", None)
    assert template or type_.is_namespace
    return body


KINDS = {
    "ConfigMap": "v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "Ingress": "networking.k8s.io/v1",
    "Widget": "example.com/v1beta1",
    "Role": "rbac.authorization.k8s.io/v1",
}
BODIES: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"on": "yes", "a": "1e3", "lines": "a\nb\n"}, "binaryData": {"b": "AAE="}},
    "Secret": {"type": "Opaque", "data": {"token": "czNjcjN0"}, "immutable": True},
    "Service": {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}},
    "ServiceAccount": {"automountServiceAccountToken": False},
    "Deployment": {
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
            },
        }
    },
    "Job": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": []}}}},
    "Ingress": {"spec": {"rules": [{"host": "a.example.com"}]}},
    "Widget": {"size": 3, "nested": {"deep": [1, [2], {"three": None}]}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_federating_and_rendering_gives_the_object_back(kind: str) -> None:
    document = {
        "apiVersion": KINDS[kind],
        "kind": kind,
        "metadata": {"name": "web", "namespace": "shop", "labels": {"a/b": "c"}, "annotations": {"note": "x"}},
        **BODIES[kind],
    }
    made = wrap(document)
    assert made.remarks == ()
    assert rendered(made.document) == document


json = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
fields = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda key: key not in ("apiVersion", "kind", "metadata", "status")),
    json,
    max_size=4,
)


@given(fields, st.dictionaries(st.text("abc", min_size=1), st.text("xyz"), max_size=2))
def test_any_custom_resource_comes_back(body: dict[str, Any], labels: dict[str, str]) -> None:
    metadata = {"name": "web", "namespace": "shop"} | ({"labels": labels} if labels else {})
    document = {"apiVersion": "example.com/v1beta1", "kind": "Widget", "metadata": metadata, **body}
    if list(document) == ["apiVersion", "kind", "metadata"] and not labels:
        document["spec"] = {}
    assert rendered(wrap(document).document) == document


def test_keys_keep_their_order_and_identity_moves_out() -> None:
    document = {
        "kind": "ConfigMap",
        "data": {"z": "1", "a": "2"},
        "metadata": {"annotations": {"n": "1"}, "labels": {"l": "1"}, "namespace": "shop", "name": "web"},
        "apiVersion": "v1",
        "binaryData": {},
    }
    made = wrap(document).document
    assert list(made) == ["apiVersion", "kind", "metadata", "spec"]
    assert made["metadata"] == {"name": "web", "namespace": "shop"}
    assert list(made["spec"]["template"]) == ["data", "metadata", "binaryData"]
    assert list(made["spec"]["template"]["data"]) == ["z", "a"]
    assert list(made["spec"]["template"]["metadata"]) == ["annotations", "labels"]
    assert made["spec"]["placement"] == {"clusterSelector": {"matchLabels": {}}}


def test_another_version_of_the_type_stays_in_the_template() -> None:
    type_ = typed({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"})
    old = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {}}
    made = wrapping.wrap(old, type_, Wish()).document
    assert made["spec"]["template"]["apiVersion"] == "autoscaling/v1"
    same = wrapping.wrap({**old, "apiVersion": "autoscaling/v2"}, type_, Wish()).document
    assert "apiVersion" not in same["spec"]["template"]


STORED = {"uid": "1", "resourceVersion": "7", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z"}


def stored(kind: str, **body: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", "managedFields": [{"manager": "kubectl"}], **STORED}
    return {"apiVersion": KINDS.get(kind, "v1"), "kind": kind, "metadata": metadata, "status": {"x": 1}, **body}


@pytest.mark.parametrize(
    ("document", "template", "message"),
    [
        pytest.param(
            stored(
                "Service",
                spec={
                    "clusterIP": "10.0.0.1",
                    "clusterIPs": ["10.0.0.1"],
                    "ipFamilies": ["IPv4"],
                    "ipFamilyPolicy": "SingleStack",
                    "ports": [{"port": 80, "nodePort": 30000}],
                    "type": "NodePort",
                },
            ),
            {"spec": {"ports": [{"port": 80}], "type": "NodePort"}},
            ["clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy, nodePort left out"],
            id="service",
        ),
        pytest.param(
            stored("Service", spec={"clusterIP": "None", "clusterIPs": ["None"]}),
            {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}},
            [],
            id="headless",
        ),
        pytest.param(
            stored(
                "Job",
                spec={
                    "selector": {"matchLabels": {"controller-uid": "1"}},
                    "template": {"metadata": {"labels": {"controller-uid": "1", "job-name": "web"}}, "spec": {}},
                },
            ),
            {"spec": {"template": {"spec": {}}}},
            ["spec.selector left out"],
            id="job",
        ),
        pytest.param(
            stored("PersistentVolumeClaim", spec={"volumeName": "pv-1", "storageClassName": "fast"}),
            {"spec": {"storageClassName": "fast"}},
            ["spec.volumeName left out"],
            id="claim",
        ),
        pytest.param(
            stored("PersistentVolume", spec={"claimRef": {}, "nfs": {}}),
            {"spec": {"nfs": {}}},
            ["spec.claimRef left out"],
            id="volume",
        ),
        pytest.param(stored("Pod", spec={"nodeName": "n1"}), {"spec": {}}, ["spec.nodeName left out"], id="pod"),
        pytest.param(stored("ServiceAccount", secrets=[{"name": "web-token"}]), {}, ["secrets left out"], id="account"),
    ],
)
def test_what_the_host_gave_is_left_out(document: dict[str, Any], template: Any, message: list[str]) -> None:
    made = cleaning.clean(document)
    assert {key: value for key, value in made.template.items() if key != "apiVersion"} == template
    assert len(made.dropped) == len(message)
    for sentence, wanted in zip(made.dropped, message, strict=True):
        assert wanted in sentence


def test_in_a_file_a_cluster_ip_is_a_wish() -> None:
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}, "spec": {"clusterIP": "10.0.0.10"}}
    assert cleaning.clean(document).template["spec"] == {"clusterIP": "10.0.0.10"}


def test_finalizers_and_owners_go_with_a_word_and_noise_without() -> None:
    document = stored("ConfigMap", data={})
    document["metadata"] |= {
        "finalizers": ["example.com/x"],
        "ownerReferences": [{"name": "o"}],
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "deployment.kubernetes.io/revision": "3",
            "kubefed.io/claimed-by-99999999": "kubefed-99999999",
        },
        "labels": {"kubefed.io/managed": "true"},
    }
    made = wrap(document)
    assert made.document["spec"]["template"] == {"data": {}}
    assert [each.split()[0] for each in made.remarks] == ["metadata.finalizers", "metadata.ownerReferences"]


def test_words_for_whoever_applies_stay_on_the_federated_object() -> None:
    annotations = {
        "argocd.argoproj.io/sync-wave": "2",
        "internal.config.kubernetes.io/index": "1",
        "kubefed.io/orphan": "true",
        "kubefed.io/recreate": "true",
        "kubefed.io/takeover": "IfNoDiff",
        "kubefed.io/drift": "Report",
        "kubefed.io/ignore-fields": '["/spec/replicas"]',
        "kubefed.io/deletion": "Orphan",
        "team": "web",
    }
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": annotations}}
    made = wrap(document).document
    assert made["spec"]["template"]["metadata"] == {"annotations": {"team": "web"}}
    assert made["metadata"]["annotations"] == {key: annotations[key] for key in annotations if key != "team"}


def test_a_namespace_is_federated_in_itself_without_a_template() -> None:
    made = wrap({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}}}).document
    assert made["metadata"] == {"name": "shop", "namespace": "shop"}
    assert list(made["spec"]) == ["placement"]
    spec = parsing.spec(orjson.dumps(made["spec"]), namespaces=True)
    type_ = typed({"apiVersion": "v1", "kind": "Namespace"})
    host = Metadata("shop", labels={"a": "b", "kubernetes.io/metadata.name": "shop"})
    body = manifest.base(spec, type_, ObjectName("shop", "shop"), host_namespace=host).body
    assert body["metadata"]["labels"] == {"a": "b"}


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"replicas": 3, "paused": True, "args": ["a"]},
}


def test_an_override_replaces_what_is_there_and_adds_what_is_not() -> None:
    changes = wishes.changes(
        ["east:/spec/replicas=5", "east:/spec/minReadySeconds=9", "east:/spec/paused-", "west:/spec/args/-=b"]
    )
    made = wrap(DEPLOYMENT, Wish(("east",), changes=changes)).document
    assert made["spec"]["placement"] == {"clusters": [{"name": "east"}]}
    assert made["spec"]["overrides"] == [
        {
            "clusterName": "east",
            "clusterOverrides": [
                {"path": "/spec/replicas", "value": 5},
                {"op": "add", "path": "/spec/minReadySeconds", "value": 9},
                {"op": "remove", "path": "/spec/paused"},
            ],
        },
        {"clusterName": "west", "clusterOverrides": [{"op": "add", "path": "/spec/args/-", "value": "b"}]},
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        pytest.param("east:/spec/nothing/deep=1", "nothing", id="no-parent"),
        pytest.param("east:/spec/gone-", "has no member", id="remove-nothing"),
        pytest.param("east:/metadata/name=x", "cannot be overridden", id="identity"),
        pytest.param("east:/metadata/labels=[1]", "must be a map", id="wrong-labels"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(word: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        wrap(DEPLOYMENT, Wish(changes=wishes.changes([word])))


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param({"metadata": {"generateName": "web-"}}, "metadata.generateName", id="generated"),
        pytest.param({"metadata": {}}, "metadata.name", id="nameless"),
        pytest.param({}, "metadata.name", id="without-metadata"),
        pytest.param({"metadata": {"name": "a", "labels": []}}, "metadata.labels", id="labels"),
        pytest.param({"metadata": {"name": "a", "labels": {"a": 1}}}, "spec.template.metadata.labels[a]", id="number"),
    ],
)
def test_what_cannot_be_federated(document: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        wrap({"apiVersion": "v1", "kind": "ConfigMap", **document})
    assert caught.value.field == field


def test_a_number_no_server_takes_is_refused() -> None:
    with pytest.raises(Invalid, match="cannot be sent"):
        wrap({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": 2**80}})


def test_a_name_that_no_custom_resource_may_have_is_refused() -> None:
    """A ClusterRole may be called so, the FederatedClusterRole in which it would stand may not."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:x"}}
    with pytest.raises(Invalid, match=r"metadata.name: .*system:x.* must be lower case"):
        wrap(role)
