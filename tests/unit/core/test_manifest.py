"""From a template to what a member should hold: order, what is left out, identity, digests, duplicates."""

import base64
import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import manifest, parsing
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Operation, Spec
from federation.model.resources import ObjectName, Resource

WHERE = ObjectName("shop", "web")


def _type(name: str, group: str, version: str, kind: str, *, namespaced: bool = True) -> FederatedType:
    plural = name.partition(".")[0]
    federated = Resource("types.kubefed.io", "v1beta1", f"Federated{kind}", f"federated{plural}", namespaced=namespaced)
    return FederatedType(name, Resource(group, version, kind, plural, namespaced=namespaced), federated)


DEPLOYMENTS = _type("deployments.apps", "apps", "v1", "Deployment")
CONFIG_MAPS = _type("configmaps", "", "v1", "ConfigMap")
SECRETS = _type("secrets", "", "v1", "Secret")
SERVICES = _type("services", "", "v1", "Service")
CLUSTER_ROLES = _type(
    "clusterroles.rbac.authorization.k8s.io",
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRole",
    namespaced=False,
)
NAMESPACES = _type("namespaces", "", "v1", "Namespace", namespaced=False)


def _base(template: dict[str, Any] | None, kind: FederatedType = CONFIG_MAPS, **host: Any) -> manifest.Base:
    return manifest.base(Spec(template), kind, WHERE, host_namespace=Metadata("shop", **host) if host else None)


def _made(
    template: dict[str, Any] | None, *operations: Operation, kind: FederatedType = CONFIG_MAPS, **host: Any
) -> dict[str, Any]:
    return manifest.finish(_base(template, kind, **host), operations)


def _identity(**metadata: Any) -> dict[str, Any]:
    return {"name": "web", "namespace": "shop", "labels": {"kubefed.io/managed": "true"}, **metadata}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param({}, {}, id="empty"),
        pytest.param({"data": {"k": "v"}}, {"data": {"k": "v"}}, id="content"),
        pytest.param(
            {"data": {"k": None, "l": "v"}, "binaryData": None, "status": {"x": 1}},
            {"data": {"k": None, "l": "v"}},
            id="null-fields-and-status-go-null-values-of-a-map-are-empty-to-the-server",
        ),
        pytest.param(
            {"spec": [{"a": None, "b": [None, 1]}], "x": {"status": 1}},
            {"spec": [{"b": [None, 1]}], "x": {"status": 1}},
            id="null-list-elements-and-inner-status-stay",
        ),
        pytest.param(
            {"metadata": {"name": "other", "namespace": "other", "generateName": "x-", "labels": None}},
            {},
            id="identity-is-the-federated-object's",
        ),
        pytest.param(
            {
                "metadata": {
                    "uid": "u",
                    "resourceVersion": "1",
                    "generation": 1,
                    "creationTimestamp": None,
                    "managedFields": [],
                    "selfLink": "/x",
                    "deletionTimestamp": "now",
                }
            },
            {},
            id="server-set-metadata-goes",
        ),
    ],
)
def test_template_to_manifest(template: dict[str, Any], expected: dict[str, Any]) -> None:
    assert _made(template) == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _identity(), **expected}


def test_labels_and_annotations_travel_key_by_key_without_marks() -> None:
    made = _made(
        {
            "metadata": {
                "labels": {"app": "x", "kubefed.io/managed": "false"},
                "annotations": {
                    "note": "y",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}",
                    "kubefed.io/orphan": "true",
                    "kubefed.io/deleteoption": "{}",
                    "kubefed.io/recreate": "true",
                    "kubefed.io/claimed-by-99999999": "kubefed-99999999",
                },
            }
        }
    )
    assert made["metadata"] == _identity(labels={"app": "x", "kubefed.io/managed": "true"}, annotations={"note": "y"})


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        pytest.param({"finalizers": ["x"]}, "an override may set them", id="finalizers"),
        pytest.param({"ownerReferences": []}, "owners are not in the member", id="owners"),
        pytest.param({"clusterName": "x"}, "clusterName is not propagated", id="anything-else"),
    ],
)
def test_what_is_left_out_is_told(metadata: dict[str, Any], words: str) -> None:
    base = _base({"metadata": metadata})
    assert len(base.warnings) == 1
    assert words in base.warnings[0]
    assert base.body["metadata"] == {"name": "web", "namespace": "shop"}


@pytest.mark.parametrize(
    ("kind", "template", "field"),
    [
        pytest.param(CONFIG_MAPS, {"kind": "Secret"}, "spec.template.kind", id="other-kind"),
        pytest.param(DEPLOYMENTS, {"apiVersion": "v1"}, "spec.template.apiVersion", id="other-group"),
        pytest.param(CONFIG_MAPS, {"apiVersion": "apps/v1"}, "spec.template.apiVersion", id="group-for-core"),
        pytest.param(CONFIG_MAPS, {"metadata": []}, "spec.template.metadata", id="metadata-a-list"),
        pytest.param(CONFIG_MAPS, {"metadata": {"labels": "x"}}, "spec.template.metadata.labels", id="labels-a-string"),
        pytest.param(
            CONFIG_MAPS, {"metadata": {"labels": {"a": 1}}}, "spec.template.metadata.labels[a]", id="label-a-number"
        ),
        pytest.param(
            CONFIG_MAPS,
            {"metadata": {"annotations": {"a": True}}},
            "spec.template.metadata.annotations[a]",
            id="annotation-a-boolean",
        ),
    ],
)
def test_a_template_that_cannot_be_of_this_type(kind: FederatedType, template: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        _base(template, kind)
    assert caught.value.field == field


def test_another_version_of_the_same_group_is_the_templates_to_choose() -> None:
    assert _made({"apiVersion": "apps/v1beta2"}, kind=DEPLOYMENTS)["apiVersion"] == "apps/v1beta2"
    assert _made({"kind": "Deployment"}, kind=DEPLOYMENTS)["apiVersion"] == "apps/v1"


def test_cluster_scoped_objects_have_no_namespace() -> None:
    assert "namespace" not in _made({"metadata": {"namespace": "x"}}, kind=CLUSTER_ROLES)["metadata"]


def test_the_hosts_namespace_is_copied_without_marks_and_keys_of_a_clusters_own_platform() -> None:
    made = _made(
        None,
        kind=NAMESPACES,
        labels={
            "team": "shop",
            "kubernetes.io/metadata.name": "shop",
            "kubefed.io/managed": "true",
            "pod-security.kubernetes.io/enforce": "privileged",
            "scheduling.k8s.io/pool": "x",
            "field.cattle.io/projectId": "p-1",
        },
        annotations={
            "owner": "x",
            "openshift.io/sa.scc.uid-range": "1000/10000",
            "k8s.io.example.com/ours": "x",
            "kubefed.io/copy-namespace-metadata": "true",
            "argocd.argoproj.io/tracking-id": "x",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "kubefed.io/claimed-by-99999999": "kubefed-99999999",
        },
    )
    assert made == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "web",
            "labels": {"team": "shop", "kubefed.io/managed": "true"},
            "annotations": {"owner": "x", "k8s.io.example.com/ours": "x"},
        },
    }
    assert _made(None, kind=NAMESPACES)["metadata"] == {"name": "web", "labels": {"kubefed.io/managed": "true"}}


def test_what_is_copied_gives_way_and_what_is_asked_for_does_not() -> None:
    """A conflict over a copied label costs that label; one over an override costs nothing."""
    base = _base(None, kind=NAMESPACES, labels={"team": "a", "tier": "b", "site": "c"}, annotations={"owner": "x"})
    body = manifest.finish(base, [Operation("replace", "/metadata/labels/site", "two")])
    yields = manifest.yielding(base, body)
    assert yields == {("labels", "team"), ("labels", "tier"), ("annotations", "owner")}
    content = manifest.digest(body)[0]
    left, still = manifest.given_way(content, yields, [".metadata.labels.team", ".metadata.labels.site"])
    assert orjson.loads(left)["metadata"]["labels"] == {"tier": "b", "site": "two", "kubefed.io/managed": "true"}
    assert still == {("labels", "tier"), ("annotations", "owner")}
    assert manifest.given_way(left, still, [".metadata.labels.site"]) == (left, frozenset())


def test_a_key_longer_than_a_cause_may_be_gives_way_too() -> None:
    key = "a" * 190 + ".example.com/" + "b" * 60
    base = _base(None, kind=NAMESPACES, labels={key: "x"})
    body = manifest.finish(base, ())
    cause = f".metadata.labels.{key}"[:200]
    left, still = manifest.given_way(manifest.digest(body)[0], manifest.yielding(base, body), [cause])
    assert (orjson.loads(left)["metadata"]["labels"], still) == ({"kubefed.io/managed": "true"}, frozenset())


@pytest.mark.parametrize(
    ("operation", "wins"),
    [
        (Operation("replace", "/spec/replicas", 5), True),
        (Operation("add", "/spec", {"replicas": 5}), True),
        (Operation("remove", "/spec/replicas"), False),
        (Operation("replace", "/spec/paused", True), False),
        (Operation("replace", "/metadata/labels/spec", "replicas"), False),
    ],
)
def test_overrides_of_replicas(operation: Operation, wins: bool) -> None:
    assert manifest.overrides_replicas([operation]) is wins


def test_a_namespaces_template_wins_over_the_host() -> None:
    made = _made({"metadata": {"labels": {"a": "b"}}}, kind=NAMESPACES, labels={"team": "shop"})
    assert made["metadata"]["labels"] == {"a": "b", "kubefed.io/managed": "true"}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        pytest.param([Operation("replace", "/data/k", "w")], {"data": {"k": "w"}}, id="content"),
        pytest.param([Operation("add", "/immutable", None)], {"data": {"k": "v"}}, id="null-is-absent"),
        pytest.param([Operation("add", "/data/n", None)], {"data": {"k": "v", "n": None}}, id="null-in-a-map"),
        pytest.param(
            [Operation("add", "/metadata/labels", {"x": None})],
            {"data": {"k": "v"}, "metadata": _identity(labels={"x": "", "kubefed.io/managed": "true"})},
            id="null-label",
        ),
        pytest.param(
            [Operation("add", "/data/n", {"x": [{"y": None}]})], {"data": {"k": "v", "n": {"x": [{}]}}}, id="deep-null"
        ),
        pytest.param([Operation("add", "/status", {"x": 1})], {"data": {"k": "v"}}, id="status-goes"),
        pytest.param(
            [Operation("add", "/metadata/annotations", {"a": "b"})],
            {"data": {"k": "v"}, "metadata": _identity(annotations={"a": "b"})},
            id="annotations-as-in-kubefeds-guide",
        ),
        pytest.param(
            [Operation("add", "/metadata/labels", {"kubefed.io/managed": "false", "x": "y"})],
            {"data": {"k": "v"}, "metadata": _identity(labels={"x": "y", "kubefed.io/managed": "true"})},
            id="the-managed-label-is-ours",
        ),
        pytest.param(
            [Operation("add", "/metadata/finalizers", ["x/y"])],
            {"data": {"k": "v"}, "metadata": _identity(finalizers=["x/y"])},
            id="an-override-may-set-finalizers",
        ),
        pytest.param(
            [Operation("replace", "/metadata", {"name": "evil", "namespace": "evil", "uid": "u"})],
            {"data": {"k": "v"}},
            id="identity-again",
        ),
        pytest.param([Operation("remove", "/metadata")], {"data": {"k": "v"}}, id="metadata-removed"),
        pytest.param([Operation("replace", "/apiVersion", "v1")], {"data": {"k": "v"}}, id="same-version"),
    ],
)
def test_overrides_then_label_then_identity(operations: list[Operation], expected: dict[str, Any]) -> None:
    made = _made({"data": {"k": "v"}}, *operations)
    assert made == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _identity(), **expected}


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        pytest.param(Operation("replace", "/spec/x"), "clusterOverrides[0].path", id="missing"),
        pytest.param(Operation("replace", "/metadata", "x"), "clusterOverrides: metadata", id="metadata-a-string"),
        pytest.param(
            Operation("add", "/metadata/labels", {"a": 1}), "clusterOverrides: metadata.labels[a]", id="label-a-number"
        ),
        pytest.param(Operation("replace", "/apiVersion", "apps/v1"), "clusterOverrides: apiVersion", id="other-group"),
        pytest.param(Operation("replace", "/apiVersion", 1), "clusterOverrides: apiVersion", id="version-a-number"),
    ],
)
def test_an_override_that_makes_no_object(operation: Operation, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        _made({}, operation)
    assert caught.value.field == field


def test_the_base_serves_every_cluster_unchanged() -> None:
    base = _base({"metadata": {"labels": {"a": "b"}}, "data": {"k": "v"}})
    before = copy.deepcopy(base.body)
    first = manifest.finish(base, [Operation("replace", "/data/k", "1"), Operation("add", "/metadata/labels/c", "d")])
    second = manifest.finish(base, ())
    assert first["data"] == {"k": "1"}
    assert second["metadata"]["labels"] == {"a": "b", "kubefed.io/managed": "true"}
    assert base.body == before


def test_string_data_is_written_as_data() -> None:
    made = _made(
        {"data": {"k": "b2xk", "l": "bA=="}, "stringData": {"k": "new"}},
        Operation("add", "/stringData/m", "ü"),
        kind=SECRETS,
    )
    assert "stringData" not in made
    assert made["data"] == {
        "k": base64.b64encode(b"new").decode(),
        "l": "bA==",
        "m": base64.b64encode("ü".encode()).decode(),
    }


def test_a_wrong_string_data_is_refused_without_its_value() -> None:
    with pytest.raises(Invalid) as caught:
        _made({"stringData": {"k": {"canary": "hunter2"}}}, kind=SECRETS)
    assert (caught.value.field, caught.value.message) == ("stringData[k]", "must be a string, not a map")


def _pod(**lists: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": lists}}}


def _container(**lists: Any) -> dict[str, Any]:
    return _pod(containers=[{"name": "c", **lists}])


@pytest.mark.parametrize(
    ("kind", "template", "field"),
    [
        pytest.param(
            DEPLOYMENTS,
            _container(env=[{"name": "A"}, {"name": "B"}, {"name": "A"}]),
            "spec.template.spec.template.spec.containers[0].env[2]",
            id="env",
        ),
        pytest.param(
            DEPLOYMENTS,
            _container(ports=[{"containerPort": 53}, {"containerPort": 53, "protocol": "TCP"}]),
            "spec.template.spec.template.spec.containers[0].ports[1]",
            id="container-ports-default-to-tcp",
        ),
        pytest.param(
            DEPLOYMENTS,
            _container(volumeMounts=[{"mountPath": "/a", "name": "x"}, {"mountPath": "/a", "name": "y"}]),
            "spec.template.spec.template.spec.containers[0].volumeMounts[1]",
            id="mounts",
        ),
        pytest.param(
            DEPLOYMENTS,
            _pod(containers=[{"name": "c"}, {"name": "c"}]),
            "spec.template.spec.template.spec.containers[1]",
            id="containers",
        ),
        pytest.param(
            DEPLOYMENTS,
            _pod(initContainers=[{"name": "i", "env": [{"name": "A"}, {"name": "A"}]}]),
            "spec.template.spec.template.spec.initContainers[0].env[1]",
            id="init-env",
        ),
        pytest.param(
            DEPLOYMENTS,
            _pod(volumes=[{"name": "v"}, {"name": "v"}]),
            "spec.template.spec.template.spec.volumes[1]",
            id="volumes",
        ),
        pytest.param(
            DEPLOYMENTS,
            _pod(topologySpreadConstraints=[{"topologyKey": "z"}, {"topologyKey": "z"}, {}]),
            "spec.template.spec.template.spec.topologySpreadConstraints[1]",
            id="spread",
        ),
        pytest.param(
            _type("cronjobs.batch", "batch", "v1", "CronJob"),
            {"spec": {"jobTemplate": _container(env=[{"name": "A"}, {"name": "A"}])}},
            "spec.template.spec.jobTemplate.spec.template.spec.containers[0].env[1]",
            id="cronjob",
        ),
        pytest.param(
            SERVICES,
            {"spec": {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}},
            "spec.template.spec.ports[2]",
            id="service-ports",
        ),
        pytest.param(
            _type("serviceaccounts", "", "v1", "ServiceAccount"),
            {"secrets": [{"name": "s"}, {"name": "s"}]},
            "spec.template.secrets[1]",
            id="account-secrets",
        ),
    ],
)
def test_duplicate_keys_are_ours_to_find(kind: FederatedType, template: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match="rename or remove one") as caught:
        _base(template, kind)
    assert caught.value.field == field


def test_a_duplicate_that_an_override_makes() -> None:
    with pytest.raises(Invalid) as caught:
        _made(
            _container(env=[{"name": "A"}]),
            Operation("add", "/spec/template/spec/containers/0/env/-", {"name": "A"}),
            kind=DEPLOYMENTS,
        )
    assert caught.value.field == "clusterOverrides: result.spec.template.spec.containers[0].env[1]"


@pytest.mark.parametrize(
    ("kind", "template"),
    [
        pytest.param(
            SERVICES, {"spec": {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}}, id="tcp-and-udp-are-two"
        ),
        pytest.param(
            _type("rollouts.argoproj.io", "argoproj.io", "v1", "Rollout"),
            _container(env=[{"name": "A"}, {"name": "A"}]),
            id="custom-resources-have-their-schema",
        ),
        pytest.param(DEPLOYMENTS, _pod(containers=[{}, {}, "x", None]), id="nameless-or-odd-is-the-server's-to-say"),
        pytest.param(DEPLOYMENTS, {"spec": {"template": "x"}}, id="odd-shape"),
    ],
)
def test_what_is_no_duplicate(kind: FederatedType, template: dict[str, Any]) -> None:
    assert _base(template, kind).body["spec"] == template["spec"]


def test_the_digest_tells_contents_apart_and_knows_no_order() -> None:
    one = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n", "labels": {"a": "1", "b": "2"}}, "z": 1, "y": 2}
    other = {"y": 2, "z": 1, "metadata": {"labels": {"b": "2", "a": "1"}, "name": "n"}, "kind": "X", "apiVersion": "v1"}
    assert manifest.digest(one) == manifest.digest(other)
    content, digest = manifest.digest(one)
    assert content.startswith(b'{"metadata":{"labels":{"a":"1","b":"2"},"name":"n"},"apiVersion":')
    assert len(digest) == 8
    assert manifest.digest({**one, "z": 2})[1] != digest


def test_preconditions_are_put_into_encoded_content() -> None:
    content, _ = manifest.digest(_made({"data": {'{"metadata":{': "x"}}))
    assert manifest.addressed(content) is content
    plain = orjson.loads(content)
    addressed = orjson.loads(manifest.addressed(content, uid='u"1'))
    assert addressed == {**plain, "metadata": {**plain["metadata"], "uid": 'u"1'}}
    created = orjson.loads(manifest.addressed(content, resource_version="1"))
    assert created["metadata"]["resourceVersion"] == "1"
    with pytest.raises(ValueError, match="digest"):
        manifest.addressed(b'{"kind":"X"}', uid="u")


@pytest.mark.parametrize(
    ("body", "replicas"),
    [
        pytest.param({"spec": {"replicas": 3, "x": 1}}, 3, id="set"),
        pytest.param({"spec": {"replicas": 0}}, 0, id="zero-is-a-number"),
        pytest.param({"spec": {}}, None, id="absent"),
        pytest.param({"spec": {"replicas": True}}, None, id="boolean"),
        pytest.param({"spec": {"replicas": "3"}}, None, id="string"),
        pytest.param({"spec": []}, None, id="odd-spec"),
        pytest.param({}, None, id="no-spec"),
    ],
)
def test_replicas(body: dict[str, Any], replicas: int | None) -> None:
    before = copy.deepcopy(body)
    assert manifest.replicas_of(body) == replicas
    without = manifest.without_replicas(body)
    assert not isinstance(without.get("spec"), dict) or "replicas" not in without["spec"]
    assert body == before


def test_the_digest_without_replicas_does_not_depend_on_them() -> None:
    digests = {
        manifest.digest(manifest.without_replicas(_made({"spec": {"replicas": n, "x": 1}}, kind=DEPLOYMENTS)))[1]
        for n in range(4)
    }
    assert len(digests) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_an_override_may_add_to_labels_and_annotations_that_the_template_has_empty() -> None:
    base = _base({"metadata": {"labels": {}, "annotations": {}}})
    added = manifest.finish(base, [Operation("replace", "/metadata/labels/a", "1")])
    noted = manifest.finish(base, [Operation("replace", "/metadata/annotations/a", "1")])
    assert added["metadata"] == _identity(labels={"a": "1", "kubefed.io/managed": "true"})
    assert noted["metadata"] == _identity(annotations={"a": "1"})
    assert manifest.finish(base, ())["metadata"] == _identity()


def _has_null_member(value: Any, name: str = "") -> bool:
    """Outside of maps that hold the user's own keys."""
    if isinstance(value, dict):
        return any((item is None and name != "data") or _has_null_member(item, key) for key, item in value.items())
    return isinstance(value, list) and any(_has_null_member(item) for item in value)


@given(st.dictionaries(st.sampled_from(["data", "spec", "status", "metadata", "x"]), VALUES, max_size=5))
def test_any_template_gives_a_clean_manifest_or_a_named_refusal(template: dict[str, Any]) -> None:
    before = copy.deepcopy(template)
    spec = parsing.spec(orjson.dumps({"template": template}))
    try:
        made = manifest.finish(manifest.base(spec, CONFIG_MAPS, WHERE, host_namespace=None), ())
    except Invalid as error:
        made = {"refused": error.field}
    assert "refused" in made or (
        made["kind"] == "ConfigMap"
        and made["metadata"]["name"] == "web"
        and made["metadata"]["labels"]["kubefed.io/managed"] == "true"
        and "status" not in made
        and not _has_null_member(made)
    )
    assert made.get("refused", "spec.template.metadata").startswith("spec.template.metadata")
    assert template == before


WIDGETS = FederatedType(
    "widgets.example.com",
    Resource("example.com", "v1", "Widget", "widgets", namespaced=True),
    Resource("types.kubefed.io", "v1beta1", "FederatedWidget", "federatedwidgets", namespaced=True),
)
NULLS = {"spec": {"values": {"limits": {"cpu": None}}, "l": [{"a": None}], "n": None}}


def test_a_custom_types_nulls_are_its_schemas() -> None:
    """Helm's `cpu: null` takes a default away: only the type knows what a null says."""
    assert _made(NULLS, kind=WIDGETS)["spec"] == NULLS["spec"]
    assert _made({}, Operation("add", "/spec", NULLS["spec"]), kind=WIDGETS)["spec"] == NULLS["spec"]


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        pytest.param({"spec.n"}, {"values": {"limits": {"cpu": None}}, "l": [{"a": None}]}, id="a-field"),
        pytest.param(
            {"spec.values.limits.cpu", "spec.l[0].a"}, {"values": {"limits": {}}, "l": [{}], "n": None}, id="deep"
        ),
        pytest.param({"spec.values", "spec.other", ""}, None, id="nothing-that-is-null"),
    ],
)
def test_nulls_that_were_refused_go_and_no_others(refused: set[str], left: dict[str, Any] | None) -> None:
    content = manifest.digest(_made(NULLS, kind=WIDGETS))[0]
    without = manifest.without_refused(content, refused, None)
    assert (None if without is None else orjson.loads(without)["spec"]) == left
