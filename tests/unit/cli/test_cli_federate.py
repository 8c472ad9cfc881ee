"""`fedctl federate -f` and `kubefed-krm`: files and pipes, no cluster."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.cli import printing, reading, root

TYPE = """\
apiVersion: core.kubefed.io/v1beta1
kind: FederatedTypeConfig
metadata: {name: deployments.apps, namespace: kube-federation-system}
spec:
  targetType: {group: apps, version: v1, kind: Deployment, pluralName: deployments, scope: Namespaced}
  federatedType: {group: fed.example.com, version: v1, kind: FederatedDeployment, scope: Namespaced}
"""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 3}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, finalizers: [example.com/x]}
data: {on: "yes", exponent: "1e3"}
"""
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, properties: {size: {type: integer}}}}
"""


def fedctl(*arguments: str) -> tuple[int, list[Any], str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = root.run(arguments)
    return code, [document.value for document in reading.parse(out.getvalue(), "stdout")], err.getvalue()


def write(folder: Path, **files: str) -> str:
    for name, text in files.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
    return str(folder)


def test_documents_keep_their_order_and_others_pass(tmp_path: Path) -> None:
    local = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {config.kubernetes.io/local-config: 'true'}}\n"
    )
    made = "apiVersion: fed.example.com/v1\nkind: FederatedDeployment\nmetadata: {name: x, namespace: shop}\n"
    files = write(tmp_path / "apps", a="---\n".join((made, WEB, local)), b=TYPE)
    code, documents, err = fedctl(
        "federate", "-f", files, "--placement", "east,west", "--override", "east:/spec/replicas=5"
    )
    assert code == 0, err
    assert [document["kind"] for document in documents] == [
        "FederatedDeployment",
        "FederatedDeployment",
        "Secret",
        "FederatedTypeConfig",
    ]
    assert documents[1] == {
        "apiVersion": "fed.example.com/v1",
        "kind": "FederatedDeployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "template": {"spec": {"replicas": 3}},
            "placement": {"clusters": [{"name": "east"}, {"name": "west"}]},
            "overrides": [{"clusterName": "east", "clusterOverrides": [{"path": "/spec/replicas", "value": 5}]}],
        },
    }
    assert "no FederatedNamespace shop" in err


def test_with_files_other_flags_have_no_effect_as_in_kubefedctl(tmp_path: Path) -> None:
    path = write(tmp_path, settings=SETTINGS)
    code, (plain,), _ = fedctl("federate", "-f", path)
    assert code == 0
    code, (same,), err = fedctl("federate", "-f", path, "-n", "elsewhere", "-c", "-s", "pods", "--dry-run")
    assert code == 0
    assert same == plain
    assert "note: --namespace, --contents, --skip-api-resources: no effect with -f" in err


def test_without_types_kubefeds_names_are_taken(tmp_path: Path) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    files = write(tmp_path, all="---\n".join((namespace, SETTINGS)))
    code, documents, err = fedctl("federate", "-f", files)
    assert code == 0
    assert [document["kind"] for document in documents] == ["Namespace", "FederatedNamespace", "FederatedConfigMap"]
    assert documents[2]["apiVersion"] == "types.kubefed.io/v1beta1"
    assert documents[2]["spec"]["template"]["data"] == {"true": "yes", "exponent": "1e3"}
    assert "KubeFed's names are assumed" in err
    assert "all.yaml:5: ConfigMap shop/settings: metadata.finalizers left out" in err
    assert "FederatedNamespace" not in err


def test_a_type_that_the_files_do_not_know_is_refused_with_its_line(tmp_path: Path) -> None:
    apps = write(tmp_path / "apps", all="---\n".join((WEB, SETTINGS)))
    code, documents, err = fedctl("federate", "-f", apps, "--types", write(tmp_path / "types", a=TYPE))
    assert (code, documents) == (2, [])
    assert "all.yaml:6: v1 ConfigMap has no federated type" in err


def test_lists_are_taken_apart(tmp_path: Path) -> None:
    items = [yaml.safe_load(WEB), yaml.safe_load(SETTINGS)]
    files = write(tmp_path, all=yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))
    code, documents, _ = fedctl("federate", "-f", files)
    assert code == 0
    assert [document["metadata"]["name"] for document in documents] == ["web", "settings"]


def test_enable_type_makes_the_types_of_crds_at_hand(tmp_path: Path) -> None:
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 1}\n"
    crds, apps = write(tmp_path / "crds", widget=CRD), write(tmp_path / "apps", widget=widget)
    code, documents, _ = fedctl("federate", "-f", apps, "--types", crds, "--enable-type")
    assert code == 0
    assert [document["kind"] for document in documents] == [
        "CustomResourceDefinition",
        "FederatedTypeConfig",
        "FederatedWidget",
    ]
    code, documents, err = fedctl("federate", "-f", apps, "--types", crds)
    assert (code, documents) == (2, [])
    assert "example.com/v1 Widget has no federated type" in err


@pytest.mark.parametrize(
    ("text", "options", "where"),
    [
        pytest.param(WEB, ["--override", "east:/spec/a/b=1"], "all.yaml:1", id="override"),
        pytest.param(WEB.replace("name: web", "generateName: web-"), [], "all.yaml:3", id="generated"),
        pytest.param(WEB + "---\n" + WEB, [], "all.yaml:6", id="twice"),
        pytest.param("a: 1\n", [], "all.yaml:1", id="no-object"),
        pytest.param("kind: [\n", [], "all.yaml:2", id="no-yaml"),
        pytest.param("", [], "no document", id="empty"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, options: list[str], where: str) -> None:
    code, documents, err = fedctl("federate", "-f", write(tmp_path, all=text), *options)
    assert (code, documents) == (2, [])
    assert where in err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["deployment"], id="no-name"),
        pytest.param(["deployment", "web", "-f", "x"], id="both"),
        pytest.param(["deployment", "web", "--types", "x"], id="types-of-a-host"),
        pytest.param(["-f", "x", "--placement", "a", "--cluster-selector", "b=c"], id="two-placements"),
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    code, _, err = fedctl("federate", *arguments)
    assert code == 2
    assert "next: fedctl federate --help" in err


OLD_INGRESS = """\
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  rules:
  - http:
      paths:
      - backend: {serviceName: web, servicePort: 80}
"""


def test_an_old_api_is_refused_with_what_to_write(tmp_path: Path) -> None:
    files = write(tmp_path, all=OLD_INGRESS)
    code, out, err = fedctl("federate", "-f", files)
    assert (code, out) == (2, [])
    assert "all.yaml:1: Ingress shop/web: apiVersion: extensions/v1beta1 Ingress is old" in err
    assert "write backend: {service: {name: web, port: {number: 80}}}" in err


def test_kubefeds_old_group_is_refused_with_todays(tmp_path: Path) -> None:
    text = "apiVersion: types.kubefed.k8s.io/v1beta1\nkind: FederatedConfigMap\nmetadata: {name: a, namespace: b}\n"
    code, out, err = fedctl("federate", "-f", write(tmp_path, all=text))
    assert (code, out) == (2, [])
    assert "types.kubefed.k8s.io/v1beta1 is old: write types.kubefed.io/v1beta1" in err


def test_what_members_may_still_serve_is_federated_with_a_warning(tmp_path: Path) -> None:
    text = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a, namespace: b}\nspec: {}\nstatus: {a: 1}\n"
    code, out, err = fedctl("federate", "-f", write(tmp_path, all=text))
    assert code == 0
    assert [each["kind"] for each in out] == ["FederatedCronJob"]
    assert "status" not in out[0]["spec"]["template"]
    assert "warning: " in err
    assert "batch/v1beta1 CronJob is old, Kubernetes 1.25 removed it: write batch/v1" in err


def krm(text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from federation.cli import krm; krm.main()"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603


def resource_list(types: str) -> str:
    (settings,) = reading.parse(SETTINGS, "settings")
    config = {"apiVersion": "fn.kubefed.io/v1", "kind": "Federate", "spec": {"types": yaml.safe_load(types)}}
    document = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "functionConfig": config}
    return printing.yaml_documents([{**document, "items": [settings.value]}])


def test_the_krm_function_as_a_process() -> None:
    done = krm(resource_list("[{apiVersion: v1, kind: ConfigMap}]"))
    assert done.returncode == 0, done.stderr
    (document,) = reading.parse(done.stdout, "stdout")
    (item,) = document.value["items"]
    assert item["spec"]["template"] == {"data": {"true": "yes", "exponent": "1e3"}}
    assert done.stderr.startswith("warning: ConfigMap shop/settings: metadata.finalizers")

    done = krm(resource_list("[]"))
    assert done.returncode == 1
    assert "no types: name them here" in done.stderr

    done = krm("a: 1\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ResourceList" in done.stderr
