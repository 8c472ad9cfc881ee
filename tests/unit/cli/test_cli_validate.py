"""`fedctl validate`: every finding has file, line and field; what is right is silent."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from federation.cli import printing, root
from typegen import federate

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 1, "maximum": 9},
                                    "colour": {"type": "string", "enum": ["red", "green"]},
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "host": {"type": "string", "pattern": "^[a-z.]+$"},
                                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
                                },
                                "x-kubernetes-validations": [{"rule": "self.size != 7", "message": "not seven"}],
                            }
                        },
                    }
                },
            }
        ],
    },
}
NAMESPACE_TYPE = """\
apiVersion: core.kubefed.io/v1beta1
kind: FederatedTypeConfig
metadata: {name: namespaces, namespace: kube-federation-system}
spec:
  targetType: {version: v1, kind: Namespace, pluralName: namespaces, scope: Cluster}
  federatedType: {group: types.kubefed.io, version: v1beta1, kind: FederatedNamespace, scope: Namespaced}
  propagation: Enabled
"""
CLUSTERS = """\
apiVersion: core.kubefed.io/v1beta1
kind: KubeFedCluster
metadata: {name: east, namespace: kube-federation-system, labels: {tier: edge}}
spec: {apiEndpoint: "https://east.example.com", secretRef: {name: east}}
---
apiVersion: core.kubefed.io/v1beta1
kind: KubeFedCluster
metadata: {name: west, namespace: kube-federation-system}
spec: {apiEndpoint: "https://west.example.com", secretRef: {name: west}}
"""
NAMESPACE = """\
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
    metadata:
      labels: {a: b}
    spec:
      size: 3
      colour: red
      port: http
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


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    types = tmp_path / "types"
    types.mkdir()
    (types / "widgets.yaml").write_text(printing.yaml_documents(federate.from_crd(CRD).manifests))
    (types / "namespaces.yaml").write_text(NAMESPACE_TYPE)
    (tmp_path / "clusters.yaml").write_text(CLUSTERS)
    apps = tmp_path / "apps"
    apps.mkdir()
    (apps / "a-namespace.yaml").write_text(NAMESPACE)
    (apps / "widget.yaml").write_text(WIDGET)
    return tmp_path


def validate(*arguments: object) -> tuple[int, list[str], str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = root.run(["validate", *map(str, arguments)])
    return code, out.getvalue().splitlines(), err.getvalue()


def test_what_is_right_is_silent_and_cel_is_named(repository: Path) -> None:
    code, lines, err = validate(repository)
    missing = "no CRD of FederatedNamespace among the files"
    assert code == 0
    assert len(lines) == 1
    assert missing in lines[0]
    assert "2 federated objects checked" in err
    assert "FederatedWidget: CEL rules are checked by the API server only: spec.template.spec" in err
    assert "clusterOverrides" not in err
    assert validate(repository, "--strict")[0] == 1


@pytest.mark.parametrize(
    ("old", "new", "line", "severity", "path", "message"),
    [
        pytest.param("size: 3", "size: three", 11, "error", "spec.template.spec.size", "expected integer", id="type"),
        pytest.param("size: 3", "size: 30", 11, "error", "spec.template.spec.size", "above the maximum", id="bound"),
        pytest.param("      size: 3\n", "", 10, "error", "spec.template.spec", "size is missing", id="required"),
        pytest.param("red", "blue", 12, "error", "spec.template.spec.colour", "none of red, green", id="enum"),
        pytest.param("http", "[1]", 13, "error", "spec.template.spec.port", "integer or a string", id="int-or-string"),
        pytest.param("port: http", "host: A", 13, "error", "spec.template.spec.host", "does not match", id="pattern"),
        pytest.param("colour: red", "color: red", 12, "error", "spec.template.spec.color", "colour?", id="unknown"),
        pytest.param("name: w\n", "nam: w\n", 4, "error", "metadata.nam", "did you mean name?", id="metadata"),
        pytest.param("a: b", "a: 1", 9, "error", "spec.template.metadata.labels.a", "expected string", id="label"),
        pytest.param(
            "path: /spec/size", "path: /speck/size", 21, "error", "clusterOverrides[0].path", "no member", id="misfit"
        ),
        pytest.param(
            "path: /spec/size", "path: /spec/sise", 21, "warning", "clusterOverrides[0].path", "and so adds it",
            id="misspelt",
        ),
        pytest.param("value: 5", "value: 50", 21, "error", "clusterOverrides[0]", "above the maximum", id="result"),
        pytest.param("[a]", "[a, b, c]", 23, "error", "clusterOverrides[1]", "at most 2", id="result-of-the-second"),
        pytest.param("/spec/size", "spec/size", 21, "error", "clusterOverrides[0].path", "not match", id="pointer"),
        pytest.param(
            "/spec/size", "/metadata/name", 21, "error", "clusterOverrides[0].path", "cannot be overridden", id="name"
        ),
        pytest.param("op: add", "op: put", 23, "error", "clusterOverrides[1].op", "none of add", id="op"),
        pytest.param(
            "clusterName: east", "clusterName: esat", 19, "error", "spec.overrides[0].clusterName", "no cluster esat",
            id="override-nowhere",
        ),
        pytest.param("- name: west", "- name: vest", 17, "error", "clusters[1].name", "no cluster vest", id="cluster"),
        pytest.param("- name: east", "- name: west", 19, "warning", "clusterName", "not in the placement", id="unmet"),
        pytest.param(
            "    clusters:\n      - name: east\n      - name: west\n",
            "    clusterSelector: {matchLabels: {tier: x}}\n",
            15,
            "warning",
            "spec.placement.clusterSelector",
            "no cluster carries",
            id="selects-none",
        ),
        pytest.param(
            "      labels: {a: b}", "      finalizers: [x.io/y]", 9, "warning", "metadata.finalizers", "not propagated",
            id="finalizers",
        ),
        pytest.param(
            "  name: w\n", "  name: w\n  annotations: {kubefed.io/deleteoption: x}\n", 5, "error",
            "metadata.annotations[kubefed.io/deleteoption]", "must be JSON", id="annotation",
        ),
        pytest.param(
            "  name: w\n", "  name: w\n  annotations: {kubefed.io/takeover: never}\n", 5, "error",
            "metadata.annotations[kubefed.io/takeover]", "must be one of Always, IfNoDiff, Never", id="policy",
        ),
        pytest.param("v1beta1", "v1", 1, "error", "apiVersion", "v1beta1 is", id="version"),
        pytest.param("FederatedWidget", "FederatedGadget", 2, "error", "kind", "no type FederatedGadget", id="kind"),
        pytest.param("namespace: shop", "namespace: store", 5, "warning", "metadata.namespace", "store", id="homeless"),
        pytest.param("name: w\n", "name: W\n", 4, "error", "metadata.name", "must be lower case", id="name"),
        pytest.param("  name: w\n", "", 3, "error", "metadata", "metadata.name is required", id="nameless"),
    ],
)  # fmt: skip
def test_findings(  # noqa: PLR0917
    repository: Path, old: str, new: str, line: int, severity: str, path: str, message: str
) -> None:
    file = repository / "apps" / "widget.yaml"
    assert old in WIDGET
    file.write_text(WIDGET.replace(old, new, 1))
    code, lines, _ = validate(repository)
    found = [each for each in lines if each.startswith(f"{file}:{line}: {severity}: ") and path in each]
    assert found, lines
    assert any(message in each for each in found), found
    assert code == (1 if any(": error: " in each for each in lines) else 0)
    if severity == "error":
        assert code == 1


def test_one_mistake_is_told_once(repository: Path) -> None:
    (repository / "apps" / "widget.yaml").write_text(WIDGET.replace("op: add", "op: put").replace("size: 3", "size: x"))
    _, lines, _ = validate(repository)
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 2, errors


def test_a_namespace_cuts_the_placement(repository: Path) -> None:
    home = NAMESPACE.replace("{clusterSelector: {}}", "{clusterSelector: {matchLabels: {tier: edge}}}")
    (repository / "apps" / "a-namespace.yaml").write_text(home)
    _, lines, _ = validate(repository)
    assert any("FederatedNamespace shop is not placed in west" in line and "widget.yaml:14" in line for line in lines)


def test_in_namespaced_scope_nobody_misses_a_federated_namespace(repository: Path) -> None:
    (repository / "apps" / "a-namespace.yaml").unlink()
    assert any("no FederatedNamespace shop" in line for line in validate(repository)[1])
    config = "apiVersion: core.kubefed.io/v1beta1\nkind: KubeFedConfig\nmetadata: {name: kubefed}\n"
    (repository / "config.yaml").write_text(f"{config}spec: {{scope: Namespaced}}\n")
    assert validate(repository)[:2] == (0, [])


def test_a_pasted_status_is_a_warning(repository: Path) -> None:
    path = repository / "apps" / "widget.yaml"
    path.write_text(path.read_text() + "status:\n  clusters: nonsense\n  conditions: [3]\n")
    code, lines, _ = validate(repository)
    assert code == 0
    (line,) = [each for each in lines if "widget.yaml" in each]
    assert "warning: " in line
    assert "only the controller writes status, it is ignored here: leave it out [outdated]" in line


def test_old_groups_are_told_once_with_todays(repository: Path) -> None:
    old = WIDGET.replace("types.kubefed.io", "types.kubefed.k8s.io")
    (repository / "apps" / "old.yaml").write_text(old.replace("name: web", "name: old"))
    code, lines, _ = validate(repository)
    assert code == 1
    assert [line for line in lines if "old.yaml" in line and "[outdated]" in line]
    assert not [line for line in lines if "old.yaml" in line and "[outdated]" not in line]


def test_the_same_object_twice(repository: Path) -> None:
    (repository / "apps" / "z.yaml").write_text(WIDGET)
    code, lines, _ = validate(repository)
    assert code == 1
    assert [line for line in lines if "twice" in line and f"{repository}/apps/z.yaml:4" in line]


def test_types_elsewhere_and_targets_without_a_federated_crd(repository: Path, tmp_path: Path) -> None:
    apps, types = repository / "apps", repository / "types"
    code, lines, _ = validate(apps)
    assert code == 1
    assert sum("no type" in line for line in lines) == 2
    assert validate(apps, "--types", types)[0] == 0
    code, lines, _ = validate(apps, "--types", types, "--clusters", "east")
    assert code == 1
    assert any("no cluster west; there are east" in line for line in lines)
    made = federate.from_crd(CRD)
    (types / "widgets.yaml").write_text(printing.yaml_documents([CRD, made.type_config]))
    (apps / "widget.yaml").write_text(WIDGET.replace("size: 3", "size: x"))
    code, lines, _ = validate(apps, "--types", types)
    assert code == 1
    assert any("widget.yaml:11: error: FederatedWidget shop/w: spec.template.spec.size" in line for line in lines)


def test_the_apis_own_kinds_are_checked(repository: Path) -> None:
    (repository / "clusters.yaml").write_text(CLUSTERS.replace("apiEndpoint", "endpoint", 1))
    (repository / "types" / "namespaces.yaml").write_text(NAMESPACE_TYPE.replace("types.kubefed.io", "nodot"))
    config = "apiVersion: core.kubefed.io/v1beta1\nkind: KubeFedConfig\nmetadata: {name: kubefed}\n"
    lease = "spec:\n  leaderElect: {leaseDuration: 1s, renewDeadline: 2s}\n"
    (repository / "config.yaml").write_text(config + lease)
    code, lines, _ = validate(repository)
    assert code == 1
    text = "\n".join(lines)
    assert "clusters.yaml:4: error: KubeFedCluster kube-federation-system/east: spec" in text
    assert re.search(r"namespaces.yaml:6: error: .*spec.federatedType.group: ", text)
    assert re.search(r"config.yaml:5: error: .*leaseDuration", text)


def test_broken_files_are_findings_and_the_rest_is_checked(repository: Path) -> None:
    (repository / "apps" / "broken.yaml").write_text("a: 1\na: 2\n")
    (repository / "apps" / "widget.yaml").write_text(WIDGET.replace("red", "blue"))
    code, lines, _ = validate(repository)
    assert code == 1
    assert any(line.startswith(f"{repository}/apps/broken.yaml:2: error: ") and "[syntax]" in line for line in lines)
    assert any("blue" in line for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["/nowhere/at/all"], id="path"),
        pytest.param([".", "--types", "/nowhere/at/all"], id="types"),
        pytest.param([], id="nothing"),
        pytest.param([".", "--clusters", "A b"], id="cluster"),
        pytest.param([".", "-o", "xml"], id="format"),
    ],
)
def test_what_cannot_be_checked_is_exit_code_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, lines, err = validate(*arguments)
    assert (code, lines) == (2, [])
    assert err.startswith("error: ")


def test_broken_types_are_exit_code_2(repository: Path) -> None:
    (repository / "types" / "namespaces.yaml").write_text(NAMESPACE_TYPE.replace("version: v1,", ""))
    code, _, err = validate(repository / "apps", "--types", repository / "types")
    assert code == 2
    assert "namespaces.yaml:5" in err


def test_github_annotations(repository: Path) -> None:
    (repository / "apps" / "widget.yaml").write_text(WIDGET.replace("red", '"50%\\nblue"'))
    code, lines, _ = validate(repository, "--output", "github")
    assert code == 1
    (line,) = [each for each in lines if each.startswith("::error ")]
    file = f"{repository}/apps/widget.yaml"
    assert line.startswith(f"::error file={file},line=12,title=FederatedWidget shop/w%3A spec.template.spec.colour::")
    assert "50%25" in line


def test_sarif(repository: Path) -> None:
    (repository / "apps" / "widget.yaml").write_text(WIDGET.replace("red", "blue"))
    code, lines, err = validate(repository, "--output", "sarif")
    assert (code, err) == (1, "")
    log = json.loads("\n".join(lines))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} <= rules
    (error,) = [result for result in run["results"] if result["level"] == "error"]
    place = error["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("apps/widget.yaml")
    assert place["region"] == {"startLine": 12}
    notes = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert any("CEL" in note for note in notes)
