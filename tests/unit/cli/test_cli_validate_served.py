"""`fedctl validate --served CLUSTER=PATH`: what each cluster would be given, against what that cluster serves."""

import contextlib
import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.cli import printing, root
from typegen import federate

SPEC: dict[str, Any] = {
    "size": {"type": "integer", "maximum": 9},
    "colour": {"type": "string", "enum": ["red", "green"]},
    "tags": {"type": "array", "items": {"type": "string"}},
}
CLUSTERS = "".join(
    f"""\
apiVersion: core.kubefed.io/v1beta1
kind: KubeFedCluster
metadata: {{name: {name}, namespace: kube-federation-system, labels: {{tier: {tier}}}}}
spec: {{apiEndpoint: "https://{name}.example.com", secretRef: {{name: {name}}}}}
---
"""
    for name, tier in (("east", "edge"), ("west", "core"))
)
HOME = """\
apiVersion: types.kubefed.io/v1beta1
kind: FederatedNamespace
metadata: {name: shop, namespace: shop}
spec:
  placement: {clusterSelector: {}}
"""
WIDGET = """\
apiVersion: types.kubefed.io/v1beta1
kind: FederatedWidget
metadata:
  name: w
  namespace: shop
spec:
  template:
    spec:
      size: 3
      colour: red
  placement:
    clusters:
      - name: east
      - name: west
  overrides:
    - clusterName: east
      clusterOverrides:
        - path: /spec/size
          value: 5
        - op: add
          path: /spec/tags
          value: [a]
"""
GVK = "x-kubernetes-group-version-kind"


def crd(*versions: str, required: tuple[str, ...] = (), without: str = "", **changes: dict[str, Any]) -> dict[str, Any]:
    """Widgets, in these versions; of the spec's fields `changes` are keywords that are other."""
    fields = {name: {**child, **changes.get(name, {})} for name, child in SPEC.items() if name != without}
    spec = {"type": "object", "required": list(required), "properties": fields}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [
                {"name": name, "served": True, "storage": index == 0, "schema": schema}
                for index, name in enumerate(versions or ("v1",))
            ],
        },
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "widgets.yaml").write_text(printing.yaml_documents(federate.from_crd(crd()).manifests))
    (tmp_path / "types" / "namespaces.yaml").write_text(
        """\
apiVersion: core.kubefed.io/v1beta1
kind: FederatedTypeConfig
metadata: {name: namespaces, namespace: kube-federation-system}
spec:
  targetType: {version: v1, kind: Namespace, pluralName: namespaces, scope: Cluster}
  federatedType: {group: types.kubefed.io, version: v1beta1, kind: FederatedNamespace, scope: Namespaced}
  propagation: Enabled
"""
    )
    (tmp_path / "clusters.yaml").write_text(CLUSTERS)
    (tmp_path / "apps.yaml").write_text(f"{WIDGET}---\n{HOME}")
    (tmp_path / "members").mkdir()
    return tmp_path


def validate(*arguments: object) -> tuple[int, list[str], str]:
    """Exit code, the findings of the members, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = root.run(["validate", *map(str, arguments)])
    reported = [line for line in out.getvalue().splitlines() if "no CRD of FederatedNamespace" not in line]
    return code, reported, err.getvalue()


def served(repository: Path, cluster: str, *documents: Any) -> list[str]:
    """The cluster's files below members/, and the option that names them."""
    path = repository / "members" / f"{cluster}.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return ["--served", f"{cluster}={path}"]


def test_what_every_cluster_takes_is_silent(repository: Path) -> None:
    arguments = [*served(repository, "east", crd()), *served(repository, "west", crd(required=("size",)))]
    assert validate(repository, *arguments)[:2] == (0, [])


@pytest.mark.parametrize(
    ("cluster", "there", "line", "message"),
    [
        pytest.param(
            "west", crd(without="colour"), 10, "spec.template.spec.colour: west: spec.colour: unknown field", id="field"
        ),
        pytest.param(
            "west",
            crd(colour={"enum": ["green"]}),
            10,
            "spec.template.spec.colour: west: spec.colour: 'red' is none of green",
            id="enum",
        ),
        pytest.param(
            "east",
            crd(size={"maximum": 4}),
            18,
            "spec.overrides[0].clusterOverrides[0]: east: spec.size: 5 is above the maximum, 4",
            id="override",
        ),
        pytest.param(
            "east",
            crd(without="tags"),
            20,
            "spec.overrides[0].clusterOverrides[1]: east: spec.tags: unknown field",
            id="field-of-an-override",
        ),
        pytest.param(
            "west", crd(required=("tags",)), 8, "spec.template.spec: west: spec: tags is missing", id="required"
        ),
        pytest.param(
            "west", crd("v2"), 7, "spec.template: west: the cluster serves widgets.example.com as v2", id="version"
        ),
    ],
)
def test_what_one_cluster_refuses(repository: Path, cluster: str, there: Any, line: int, message: str) -> None:
    code, lines, _ = validate(repository, *served(repository, cluster, there))
    assert code == 1
    assert len(lines) == 1, lines
    assert re.match(rf".*apps\.yaml:{line}: error: FederatedWidget shop/w: ", lines[0]), lines[0]
    assert message in lines[0]


@pytest.mark.parametrize(
    ("cluster", "schema"),
    [
        pytest.param("west", {"tags": {"default": []}}, id="the-cluster-fills-it-in"),
        pytest.param("east", {}, id="an-override-mends-it"),
    ],
)
def test_what_the_template_lacks_may_be_there_all_the_same(
    repository: Path, cluster: str, schema: dict[str, Any]
) -> None:
    there = crd(required=("tags",), **schema)
    assert validate(repository, *served(repository, cluster, there))[:2] == (0, [])


def test_an_equivalent_version_is_what_counts(repository: Path) -> None:
    (repository / "types" / "widgets.yaml").write_text(
        printing.yaml_documents(federate.from_crd(crd("v1", "v1beta1")).manifests)
    )
    assert validate(repository, *served(repository, "west", crd("v1beta1")))[:2] == (0, [])
    code, lines, _ = validate(repository, *served(repository, "west", crd("v1beta1", without="colour")))
    assert code == 1
    assert "unknown field" in lines[0]


def test_only_where_it_is_placed(repository: Path) -> None:
    apps = repository / "apps.yaml"
    for placement, code in (
        ("    clusters:\n      - name: east\n", 0),
        ("    clusterSelector: {matchLabels: {tier: edge}}\n", 0),
        ("    clusterSelector: {}\n", 1),
    ):
        apps.write_text(
            f"{WIDGET}---\n{HOME}".replace("    clusters:\n      - name: east\n      - name: west\n", placement)
        )
        assert validate(repository, *served(repository, "west", crd(without="colour")))[0] == code


def test_a_crd_that_is_not_among_a_clusters_files_is_a_warning(repository: Path) -> None:
    other = copy.deepcopy(crd())
    other["spec"]["names"] = {"kind": "Gadget", "plural": "gadgets"}
    code, lines, _ = validate(repository, *served(repository, "west", other))
    assert code == 0
    assert (
        "warning: FederatedWidget shop/w: spec.placement: west: its files do not define widgets.example.com" in lines[0]
    )


def test_an_openapi_document_says_what_is_served(repository: Path) -> None:
    definition = crd(without="colour")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    gvk = {"group": "example.com", "version": "v1", "kind": "Widget"}
    collection = "/apis/example.com/v1/namespaces/{namespace}/widgets"
    document = {
        "openapi": "3.0.0",
        "paths": {collection: {"get": {"x-kubernetes-action": "list", GVK: gvk}}},
        "components": {"schemas": {"com.example.v1.Widget": {**definition, GVK: [gvk]}}},
    }
    path = repository / "members" / "west.json"
    path.write_text(json.dumps(document))
    code, lines, _ = validate(repository, "--served", f"west={path}")
    assert code == 1
    assert "west: spec.colour: unknown field" in lines[0]


def test_the_clusters_files_are_not_taken_for_the_hubs(repository: Path) -> None:
    """Below PATH and different from each other, they would be one CRD that stands in the files twice."""
    code, lines, _ = validate(
        repository, *served(repository, "east", crd()), *served(repository, "west", crd("v1", "v2"))
    )
    assert (code, lines) == (0, [])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        pytest.param("west", "--served: expected CLUSTER=PATH, found west", id="no-path"),
        pytest.param("=members", "--served: expected CLUSTER=PATH", id="no-cluster"),
        pytest.param("west=nowhere", "nowhere: does not exist", id="nowhere"),
    ],
)
def test_wrong_options(repository: Path, option: str, message: str) -> None:
    code, _, err = validate(repository, "--served", option)
    assert code == 2
    assert message in err


def test_a_crd_that_is_none_is_an_error(repository: Path) -> None:
    broken = crd()
    broken["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["type"] = 5
    code, _, err = validate(repository, *served(repository, "west", broken))
    assert code == 2
    assert "error: --served west: widgets.example.com" in err
