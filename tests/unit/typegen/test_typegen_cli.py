"""The command line: what goes where, exit codes, and what it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from typegen.cli import main

HERE = Path(__file__).parent
CRDS = HERE / "crds"
OPENAPI = HERE / "openapi/example_v1.json"


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["write", *arguments], input=stdin, catch_exceptions=False)


def files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)


def test_a_folder_becomes_a_folder(tmp_path: Path) -> None:
    result = run(str(CRDS), "-o", str(tmp_path / "new/types"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert files(tmp_path / "new/types") == [
        *(f"{name}.features.example.com.yaml" for name in ("blobs", "bundles", "fleets", "gates")),
        "kustomization.yaml",
        "members/rbac.yaml",
        "policies.features.example.com.yaml",
        "rbac-host.yaml",
        "shops.features.example.com.yaml",
    ]
    kustomization = yaml.safe_load((tmp_path / "new/types/kustomization.yaml").read_text())
    assert [(tmp_path / "new/types" / name).is_file() for name in kustomization["resources"]] == [True] * 7
    assert "note: policies.features.example.com: spec.template: CEL rule left out" in result.stderr


def test_standard_input_becomes_standard_output() -> None:
    text = (CRDS / "gates.yaml").read_text() + "\n---\nkind: ConfigMap\napiVersion: v1\n"
    result = run("-", stdin=text)
    assert result.exit_code == 0
    assert [each["kind"] for each in yaml.safe_load_all(result.stdout)] == [
        "CustomResourceDefinition",
        "FederatedTypeConfig",
        "ClusterRole",
    ]
    result = run("-", "--aggregate-to", "view,edit", stdin=text)
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(result.stdout) if each["kind"] == "ClusterRole"]
    assert [name.rpartition(":")[0] for name in names] == ["kubefed-controller", "kubefed:view", "kubefed:edit"]
    result = run("-", "--aggregate-to", "owner", stdin=text)
    assert (result.exit_code, "--aggregate-to: 'owner' is not" in result.stderr) == (2, True)


def test_with_scope_namespaced_there_are_roles_in_one_namespace(tmp_path: Path) -> None:
    where = ("--scope", "Namespaced", "--system-namespace", "team")
    assert run(str(CRDS), "--only", "Gate", "--only", "Policy", "-o", str(tmp_path), *where).exit_code == 0
    made = [
        each
        for name in ("rbac-host.yaml", "members/rbac.yaml")
        for each in yaml.safe_load_all((tmp_path / name).read_text())
    ]
    assert {(each["kind"], each["metadata"]["namespace"]) for each in made} == {
        ("Role", "team"),
        ("RoleBinding", "team"),
    }
    rules = [rule for each in made if each["metadata"]["name"].endswith("types") for rule in each.get("rules", ())]
    assert rules[0] == {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["team"], "verbs": ["get"]}
    result = run("-", "--scope", "World", stdin="")
    assert result.exit_code == 2


def test_built_in_types_are_named() -> None:
    result = run(str(OPENAPI), "--only", "Workload")
    assert result.exit_code == 0
    assert result.stdout.startswith("# FederatedWorkload, the federated form of Workload in apps.example.com/v1.\n")
    assert "# Not carried over from the target, or not as it was:\n#   spec.template" in result.stdout


def test_options_reach_the_files() -> None:
    result = run(
        str(CRDS),
        *("--only", "shops.features.example.com", "--version", "v2alpha1", "--federated-group", "fed.example.com"),
        *("--federated-version", "v2", "--system-namespace", "fed"),
    )
    crd, type_config, *_ = yaml.safe_load_all(result.stdout)
    assert crd["metadata"]["name"] == "federatedshops.fed.example.com"
    assert type_config["metadata"]["namespace"] == "fed"
    assert type_config["spec"]["targetType"]["version"] == "v2alpha1"
    assert type_config["spec"]["federatedType"]["version"] == "v2"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        pytest.param(
            (), "", 2, "error: missing argument 'SOURCE...', and there is no typegen.yaml here\n", id="no-source"
        ),
        pytest.param(("nowhere.yaml",), "", 2, "error: nowhere.yaml: cannot be read", id="no-file"),
        pytest.param(("-",), "a: 1\na: 2", 2, "error: <stdin>:2:1: field 'a' is given twice", id="twice"),
        pytest.param(("-",), "a: 1", 1, "nothing to federate in -", id="no-crd"),
        pytest.param((str(OPENAPI),), "", 1, "name the built-in types", id="openapi-without-only"),
        pytest.param(
            ("-",),
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x.y}}",
            1,
            "error: <stdin>: x.y: spec is missing",
            id="no-spec",
        ),
        pytest.param(("-", "--descriptions", "some"), "", 2, "error: invalid value for '--descriptions'", id="choice"),
        pytest.param(
            ("-", "--system-namespace", "Bad Name"), "", 2, "system namespace 'Bad Name' is not a DNS", id="namespace"
        ),
        pytest.param(("-", "--member-account", "a_b"), "", 2, "member account 'a_b' is not a DNS name", id="account"),
    ],
)
def test_errors(arguments: tuple[str, ...], stdin: str, code: int, message: str) -> None:
    result = run(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_one_bad_crd_does_not_stop_the_others(tmp_path: Path) -> None:
    bad = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x.y}, spec: {}}"
    (tmp_path / "bad.yaml").write_text(bad)
    result = run(str(tmp_path), str(CRDS), "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "error: " in result.stderr
    assert len(list((tmp_path / "out").glob("*.features.example.com.yaml"))) == 6


def test_two_types_of_one_name_are_never_written_over_each_other(tmp_path: Path) -> None:
    gate = yaml.safe_load((CRDS / "gates.yaml").read_text())
    gate["metadata"]["name"], gate["spec"]["group"] = "gates.other.example.com", "other.example.com"
    (tmp_path / "other.json").write_text(json.dumps(gate))
    result = run(str(tmp_path), str(CRDS / "gates.yaml"), "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert (
        "gates.other.example.com and gates.features.example.com would both have the kind FederatedGate in "
        "types.kubefed.io: give one another name, such as --name gates.other.example.com=FederatedOtherGate"
        in result.stderr
    )
    assert list((tmp_path / "out").glob("*")) == [], "neither is the other's loser by accident"
    solved = run(
        *(str(tmp_path / "other.json"), str(CRDS / "gates.yaml"), "-o", str(tmp_path / "out")),
        *("--name", "gates.other.example.com=FederatedOtherGate"),
    )
    assert solved.exit_code == 0
    crd, _ = yaml.safe_load_all((tmp_path / "out/gates.other.example.com.yaml").read_text())
    assert crd["metadata"]["name"] == "federatedothergates.types.kubefed.io"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom federation.cli.generator import main\nsys.argv = ['typegen', 'write', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'yaml', 'jinja2', 'federation.kube', 'federation.model', 'kubernetes_asyncio', 'aiohttp'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert "typegen write crds/ -o federated/" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"
