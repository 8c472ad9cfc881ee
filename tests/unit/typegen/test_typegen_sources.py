"""What typegen reads: CRDs, OpenAPI and discovery documents, YAML; and that nonsense is an error that names it."""

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.typegen import projects
from typegen import definitions, discovery, documents, federate, names, openapi
from typegen.model import ApiResource, Options, Unusable

HERE = Path(__file__).parent
DOCUMENT: dict[str, Any] = json.loads((HERE / "openapi/example_v1.json").read_text())
WORKLOAD = ApiResource(
    "apps.example.com", "v1", "Workload", "workloads", "workload", namespaced=True, scale=".spec.replicas"
)
SHAPE = ApiResource("apps.example.com", "v1", "Shape", "shapes", "shape", namespaced=False)


def crd(name: str) -> dict[str, Any]:
    return next(iter(documents.read([str(HERE / f"crds/{name}.yaml")]))).document


class TestOpenapi:
    def test_resources_are_read_from_the_paths(self) -> None:
        assert openapi.resources(DOCUMENT) == (SHAPE, WORKLOAD)

    def test_references_are_followed_and_the_words_of_a_crd_used(self) -> None:
        target = openapi.target(DOCUMENT, WORKLOAD)
        assert target.schema is not None
        spec = target.schema["properties"]["spec"]
        assert spec["description"] == "What is wanted."
        assert spec["required"] == ["template", "selector"]
        assert spec["properties"]["selector"]["x-kubernetes-map-type"] == "atomic"
        strategy = spec["properties"]["strategy"]
        assert "x-kubernetes-unions" not in strategy
        assert "x-kubernetes-patch-strategy" not in strategy
        assert strategy["properties"]["maxSurge"] == {
            "description": "A number or text.",
            "x-kubernetes-int-or-string": True,
        }
        container = spec["properties"]["template"]["properties"]["containers"]["items"]
        assert container["properties"]["name"] == {"type": "string"}, "an empty default of a required field is none"
        ports = container["properties"]["ports"]["items"]["properties"]
        assert ports["protocol"] == {"type": "string", "default": "TCP"}
        assert ports["weight"]["default"] == 1
        assert spec["properties"]["template"]["properties"]["metadata"]["properties"]["labels"]["type"] == "object"

    @pytest.mark.parametrize("each", [1, 2, 12], ids=["a-chain", "twice-as-many-each-time", "each-of-each"])
    def test_definitions_that_would_become_more_than_any_type_has_are_refused(self, each: int) -> None:
        """A member's document is a server's word: what it refers to is inlined, and grows with every level."""
        count = 2_000 if each == 1 else 60

        def refer(at: int) -> dict[str, str]:
            return {"$ref": f"#/components/schemas/A{at % count}"}

        schemas = {
            f"A{at}": {"type": "object", "properties": {f"p{i}": refer(at + 1 + i) for i in range(each)}}
            for at in range(count)
        }
        kind = [{"group": SHAPE.group, "version": SHAPE.version, "kind": SHAPE.kind}]
        shape = {"type": "object", "properties": {"spec": refer(0)}, "x-kubernetes-group-version-kind": kind}
        document = {"openapi": "3.0.0", "components": {"schemas": {**schemas, "Shape": shape}}}
        with pytest.raises(Unusable, match="more than any type has"):
            openapi.target(document, SHAPE)

    def test_a_key_that_may_be_empty_keeps_its_default_and_one_that_may_be_absent_is_none(self) -> None:
        target = openapi.target(DOCUMENT, WORKLOAD)
        assert target.schema is not None
        template = target.schema["properties"]["spec"]["properties"]["template"]["properties"]
        assert template["pullSecrets"]["items"]["properties"]["name"] == {"type": "string", "default": ""}
        assert template["mounts"]["x-kubernetes-list-type"] == "atomic"
        assert "x-kubernetes-list-map-keys" not in template["mounts"]
        assert any(caution.path == "spec.template.mounts" for caution in target.cautions)

    def test_recursion_ends_with_a_caution(self) -> None:
        target = openapi.target(DOCUMENT, SHAPE)
        assert target.schema is not None
        free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        assert target.schema["properties"]["spec"]["properties"]["parts"]["items"] == free
        assert "spec.parts[]: ShapeSpec contains itself: unchecked from here on" in map(str, target.cautions)

    def test_bytes_are_no_list(self) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["components"]["schemas"]["com.example.apps.v1.ShapeSpec"]["properties"]["caBundle"] = {
            "type": "string",
            "format": "byte",
            "x-kubernetes-list-type": "atomic",
        }
        schema: Any = openapi.target(document, SHAPE).schema
        assert schema["properties"]["spec"]["properties"]["caBundle"] == {"type": "string", "format": "byte"}

    def test_nothing_is_said_about_status(self) -> None:
        target = openapi.target(DOCUMENT, WORKLOAD)
        assert target.status is not None, "its schema is there, for remoteStatus"
        assert not any(caution.path.startswith("status") for caution in target.cautions)

    @pytest.mark.parametrize(
        ("document", "resource", "message"),
        [
            pytest.param({"swagger": "1.2"}, SHAPE, "not an OpenAPI document", id="version-1"),
            pytest.param({}, SHAPE, "not an OpenAPI document", id="empty"),
            pytest.param({"openapi": "3.0.0"}, SHAPE, "does not define Shape in apps.example.com/v1", id="no-schemas"),
            pytest.param(
                DOCUMENT, names.federated(SHAPE, Options()), "does not define FederatedShape", id="other-kind"
            ),
            pytest.param({"openapi": "3.0.0", "components": {"schemas": {"a": 5}}}, SHAPE, "cannot be read", id="lies"),
        ],
    )
    def test_errors(self, document: dict[str, Any], resource: ApiResource, message: str) -> None:
        with pytest.raises(Unusable, match=message):
            openapi.target(document, resource)

    def test_a_reference_to_nothing_is_named(self) -> None:
        broken = copy.deepcopy(DOCUMENT)
        del broken["components"]["schemas"]["com.example.apps.v1.Container"]
        with pytest.raises(
            Unusable, match=r"spec\.template\.containers\[\]: .* refers to com.example.apps.v1.Container"
        ):
            openapi.target(broken, WORKLOAD)


LIST = {
    "kind": "APIResourceList",
    "groupVersion": "apps/v1",
    "resources": [
        {
            "name": "deployments",
            "singularName": "deployment",
            "namespaced": True,
            "kind": "Deployment",
            "shortNames": ["deploy"],
        },
        {"name": "deployments/scale", "namespaced": True, "kind": "Scale", "group": "autoscaling", "version": "v1"},
        {"name": "deployments/status", "namespaced": True, "kind": "Deployment"},
        {"name": "daemonsets", "singularName": "", "namespaced": True, "kind": "DaemonSet", "shortNames": ["ds"]},
    ],
}
GROUPS = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "serving.knative.dev"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "services",
                            "responseKind": {"group": "serving.knative.dev", "version": "v1", "kind": "Service"},
                            "scope": "Namespaced",
                            "singularResource": "service",
                            "shortNames": ["ksvc"],
                            "subresources": [{"subresource": "status"}],
                        }
                    ],
                }
            ],
        }
    ],
}
DEPLOYMENTS = ApiResource(
    "apps",
    "v1",
    "Deployment",
    "deployments",
    "deployment",
    namespaced=True,
    short_names=("deploy",),
    scale=".spec.replicas",
)
SERVICES = ApiResource("", "v1", "Service", "services", "service", namespaced=True, short_names=("svc",))


class TestDiscovery:
    def test_a_list_of_one_group_version(self) -> None:
        daemon_sets = ApiResource(
            "apps", "v1", "DaemonSet", "daemonsets", "daemonset", namespaced=True, short_names=("ds",)
        )
        assert discovery.resources(LIST) == (DEPLOYMENTS, daemon_sets)

    def test_aggregated_discovery(self) -> None:
        (service,) = discovery.resources(GROUPS)
        assert service.qualified == "services.serving.knative.dev"
        assert (service.namespaced, service.short_names, service.scale) == (True, ("ksvc",), "")

    @pytest.mark.parametrize("name", ["Deployment", "deployments", "deployment", "deploy", "deployments.apps"])
    def test_find(self, name: str) -> None:
        assert discovery.find(discovery.resources(LIST), name) == DEPLOYMENTS

    def test_two_groups_must_be_told_apart(self) -> None:
        known = (SERVICES, *discovery.resources(GROUPS))
        with pytest.raises(Unusable, match=r"ambiguous: name one of services, services\.serving\.knative\.dev"):
            discovery.find(known, "service")
        assert discovery.find(known, "svc") == SERVICES
        assert discovery.find(known, "services.serving.knative.dev") == known[1]

    @pytest.mark.parametrize(
        "document", [{}, {"kind": "Status"}, {"kind": "APIResourceList", "resources": [{}]}, {"kind": LIST}]
    )
    def test_nonsense(self, document: dict[str, Any]) -> None:
        with pytest.raises(Unusable, match="discovery document"):
            discovery.resources(document)

    def test_unknown(self) -> None:
        with pytest.raises(Unusable, match="no API resource is called 'pod'"):
            discovery.find(discovery.resources(LIST), "pod")


class TestDefinitions:
    def test_the_preferred_version_is_taken(self) -> None:
        target = definitions.target(crd("shops"), Options())
        assert (target.resource.version, target.resource.scale) == ("v1", ".spec.size")
        assert sorted(target.others) == ["v1beta1", "v2alpha1"]

    def test_another_version_may_be_chosen(self) -> None:
        target = definitions.target(crd("shops"), Options(version="v2alpha1"))
        assert (target.resource.version, target.resource.scale) == ("v2alpha1", "")
        assert target.others == {}, "who asks for one version gets that one alone"

    def test_a_deprecated_version_is_the_last_choice(self) -> None:
        shops = crd("shops")
        shops["spec"]["versions"] = [version for version in shops["spec"]["versions"] if version["name"] != "v1"]
        assert definitions.target(shops, Options()).resource.version == "v2alpha1"

    @pytest.mark.parametrize(
        ("api_version", "keeps", "loose"),
        [
            pytest.param("v1", None, False, id="v1"),
            pytest.param("v1", True, True, id="v1-keeping"),
            pytest.param("v1beta1", None, True, id="v1beta1"),
            pytest.param("v1beta1", False, False, id="v1beta1-not-keeping"),
        ],
    )
    def test_unknown_fields_are_kept_where_the_api_server_keeps_them(
        self, api_version: str, keeps: bool | None, loose: bool
    ) -> None:
        gates = crd("gates")
        gates["apiVersion"] = f"apiextensions.k8s.io/{api_version}"
        if keeps is not None:
            gates["spec"]["preserveUnknownFields"] = keeps
        schema: Any = definitions.target(gates, Options()).schema
        assert bool(schema["properties"]["spec"].get("x-kubernetes-preserve-unknown-fields")) is loose

    def test_the_old_api_version_is_repaired(self) -> None:
        old = {
            "apiVersion": "apiextensions.k8s.io/v1beta1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "version": "v1",
                "names": {"kind": "Thing", "plural": "things"},
                "scope": "Namespaced",
                "subresources": {"scale": {"specReplicasPath": ".spec.replicas"}},
                "validation": {"openAPIV3Schema": {"properties": {"spec": {"properties": {"a": {}}}}}},
            },
        }
        target = definitions.target(old, Options())
        assert (target.resource.version, target.resource.scale) == ("v1", ".spec.replicas")
        assert [str(caution) for caution in target.cautions] == ["spec.a: not checked from here on: type is missing"]
        assert (target.schema or {})["properties"]["spec"] == {
            "type": "object",
            "properties": {"a": {"x-kubernetes-preserve-unknown-fields": True}},
            "x-kubernetes-preserve-unknown-fields": True,
        }, "fields without a schema are kept at every depth"
        del old["spec"]["validation"]  # type: ignore[attr-defined]
        bare = definitions.target(old, Options())
        assert bare.schema is None
        assert "no schema" in bare.cautions[0].message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            pytest.param({"kind": "Deployment"}, "not a CustomResourceDefinition: .* Deployment", id="kind"),
            pytest.param({"spec": None}, "gates.features.example.com: spec is missing", id="no-spec"),
            pytest.param({"spec.versions": []}, "no version is served", id="no-version"),
            pytest.param({"spec.versions.0.served": False}, "no version is served", id="not-served"),
            pytest.param({"spec.names": None}, "spec.names is missing", id="no-names"),
            pytest.param({"spec.names.kind": ""}, "spec.names.kind is missing", id="no-kind"),
            pytest.param({"spec.scope": "World"}, "spec.scope is 'World', expected Namespaced or Cluster", id="scope"),
            pytest.param(
                {"spec.versions.0.schema.openAPIV3Schema.properties.spec.type": ["object", "null"]},
                "type must be text",
                id="type",
            ),
            pytest.param(
                {"spec.versions.0.schema.openAPIV3Schema.properties.spec.type": None},
                "spec: type is missing",
                id="null-type",
            ),
            pytest.param(
                {"spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.port": {}},
                r"the schema of v1 is not structural: spec\.port: type is missing",
                id="not-structural",
            ),
        ],
    )
    def test_errors(self, change: dict[str, Any], message: str) -> None:
        broken = crd("gates")
        for path, value in change.items():
            node: Any = broken
            *parents, last = path.split(".")
            for step in parents:
                node = node[int(step) if step.isdigit() else step]
            node[last] = value
        with pytest.raises(Unusable, match=message):
            definitions.target(broken, Options())

    def test_an_unserved_version_is_refused(self) -> None:
        with pytest.raises(Unusable, match="version v7 is not served, only v2alpha1, v1, v1beta1"):
            definitions.target(crd("shops"), Options(version="v7"))


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        found += places(child, (*path, key))
    return found


SAMPLES = [
    *(crd(path.stem) for path in sorted((HERE / "crds").glob("*.yaml"))),
    *(project.crd for project in projects.load().values()),
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=3),
    st.sampled_from(["[]", "{}", "[{}]", '["a"]', '{"a": {}}']).map(json.loads),
)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_broken_crd_is_an_error_or_a_type_never_a_crash(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(SAMPLES)))
    for place in data.draw(st.lists(st.sampled_from(places(document)), min_size=1, max_size=2)):
        node = document
        try:
            for step in place[:-1]:
                node = node[step]
            node[place[-1]] = data.draw(JUNK)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    with contextlib.suppress(Unusable):
        assert federate.from_crd(document).crd


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_lying_openapi_document_is_an_error_or_a_type_never_a_crash(data: st.DataObject) -> None:
    document = copy.deepcopy(DOCUMENT)
    place = data.draw(st.sampled_from(places(document)))
    node: Any = document
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = data.draw(JUNK)
    with contextlib.suppress(Unusable):
        for resource in openapi.resources(document):
            assert federate.from_openapi(document, resource).crd


class TestDocuments:
    def test_scalars_mean_what_kubectl_makes_of_them(self) -> None:
        text = (
            "{a: on, b: 1:30, c: 2026-01-01, d: 0o17, e: 1e3, f: ~, g: yes, h: 0x1F, i: 1.5, j: '1', 1: true, true: x}"
        )
        (found,) = documents.parse(text, "t")
        assert found.document == {
            "a": True,
            "b": "1:30",
            "c": "2026-01-01",
            "d": 15,
            "e": 1000,
            "f": None,
            "g": True,
            "h": 31,
            "i": 1.5,
            "j": "1",
            "1": True,
            "true": "x",
        }

    def test_documents_lists_and_anchors(self) -> None:
        text = (
            "---\na: &x {b: 1}\nc: *x\n---\n---\nkind: List\nitems: [{d: 1}, {kind: List, items: [{e: {<<: {f: 1}}}]}]"
        )
        found = [each.document for each in documents.parse(text, "t")]
        assert found == [{"a": {"b": 1}, "c": {"b": 1}}, {"d": 1}, {"e": {"f": 1}}]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            pytest.param("a: 1\nb: 2\na: 3\n", r"t:3:1: field 'a' is given twice", id="duplicate"),
            pytest.param("a:\n\t- b\n", r"t:2:1: found character", id="tab"),
            pytest.param("a: [1", r"t:2:1: did not find", id="unclosed"),
            pytest.param("- 1\n", "t: a document is a list, expected a mapping", id="list"),
            pytest.param("just words", "t: a document is a str, expected a mapping", id="words"),
            pytest.param("a: !!python/object/apply:os.system [ls]", r"t:1:4: the tag .* is not JSON's", id="tag"),
            pytest.param("a: *nobody", r"t:1:4: the alias \*nobody has no anchor", id="alias"),
            pytest.param('{"a": 1,}\x07', "t:1: ", id="control-character"),
        ],
    )
    def test_errors_name_the_place(self, text: str, message: str) -> None:
        with pytest.raises(documents.Unreadable, match=message):
            list(documents.parse(text, "t"))

    def test_folders_are_read_in_order(self, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        (tmp_path / "b/c.json").write_text('{"at": 2}')
        (tmp_path / "a.yml").write_text("at: 1\n---\nat: 1.5")
        (tmp_path / "z.txt").write_text("not: [yaml")
        assert [each.document["at"] for each in documents.read([str(tmp_path)])] == [1, 1.5, 2]

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(documents.Unreadable, match=r"nowhere\.yaml: cannot be read"):
            list(documents.read([str(tmp_path / "nowhere.yaml")]))

    def test_a_binary_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(documents.Unreadable, match=r"a\.yaml: cannot be read"):
            list(documents.read([str(tmp_path)]))
