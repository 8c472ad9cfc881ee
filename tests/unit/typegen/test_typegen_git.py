"""What a repository does with typegen: check, list, typegen.yaml, one's own templates, names that clash."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from typegen import settings, templates
from typegen.cli import main
from typegen.model import Unusable

HERE = Path(__file__).parent
CRDS = HERE / "crds"
OPENAPI = HERE / "openapi/example_v1.json"


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CRDS, tmp_path / "crds")
    content = {
        "sources": ["crds"],
        "output": "types",
        "exclude": ["b*"],
        "types": {"gates.features.example.com": {"kind": "FederatedDoor", "plural": "federateddoors"}},
    }
    (tmp_path / "typegen.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestSettings:
    def test_the_file_alone_repeats_everything(self, repository: Path) -> None:
        assert run("write").exit_code == 0
        assert (repository / "types/gates.features.example.com.yaml").read_text().startswith("# FederatedDoor, ")
        assert not (repository / "types/bundles.features.example.com.yaml").exists()
        again = run("check")
        assert (again.exit_code, again.stdout) == (0, "")

    def test_its_paths_are_its_own_folders(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        assert run("write", "--config", str(repository / "typegen.yaml")).exit_code == 0
        assert (repository / "types/kustomization.yaml").is_file()

    def test_flags_come_before_it(self, repository: Path) -> None:
        result = run("write", "-o", "-", "--only", "Gate", "--federated-group", "x.example.com")
        crd = next(yaml.safe_load_all(result.stdout))
        assert crd["metadata"]["name"] == "federateddoors.x.example.com"

    def test_with_a_source_it_is_not_read(self, repository: Path) -> None:
        crd = next(yaml.safe_load_all(run("write", "crds", "--only", "Gate").stdout))
        assert crd["spec"]["names"]["kind"] == "FederatedGate"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            pytest.param("source: [a]", "sources is missing", id="missing"),
            pytest.param("sources: [a]\nonyl: [b]", "onyl: unknown field, did you mean only?", id="misspelt"),
            pytest.param("sources: a", "sources: 'a', expected array", id="text-for-list"),
            pytest.param("sources: []", "sources: 0 items, at least 1 are needed", id="empty"),
            pytest.param("sources: [a]\ndescriptions: some", "is none of auto, keep, short, drop", id="enum"),
            pytest.param(
                "sources: [a]\ntypes: {x.y: {kinds: F}}",
                "types.x.y.kinds: unknown field, did you mean kind?",
                id="type",
            ),
            pytest.param("sources: [a]\n---\nsources: [b]", "2 documents, expected one", id="two"),
            pytest.param("", "0 documents, expected one", id="none"),
            pytest.param("sources: [a]\nsources: [b]", "'sources' is given twice", id="twice"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "typegen.yaml").write_text(content)
        result = run("write", "--config", str(tmp_path / "typegen.yaml"))
        assert result.exit_code == 2
        assert message in result.stderr
        assert "typegen.yaml" in result.stderr

    def test_every_field_of_the_shipped_schema_is_read(self) -> None:
        shape: dict[str, Any] = settings.schema()["properties"]
        own = {"sources", "output", "only", "groups", "exclude", "types"}
        assert set(shape) == own | set(settings._OPTIONS)
        assert set(shape["types"]["additionalProperties"]["properties"]) == set(settings._TYPE_OPTIONS)

    @pytest.mark.parametrize("text", ["x", "x=", "=F", "x=/p"])
    def test_a_name_needs_its_form(self, text: str) -> None:
        with pytest.raises(Unusable, match=r"is not of the form PLURAL\.GROUP=KIND"):
            settings.named(text)


class TestCheck:
    def test_a_difference_is_shown_as_a_diff(self, repository: Path) -> None:
        run("write")
        path = repository / "types/gates.features.example.com.yaml"
        path.write_text(path.read_text().replace("FederatedDoorList", "DoorList"))
        result = run("check")
        assert result.exit_code == 1
        assert "-    listKind: DoorList\n+    listKind: FederatedDoorList\n" in result.stdout
        assert result.stdout.startswith("--- types/gates.features.example.com.yaml\n+++ types/gates.features")

    def test_a_missing_and_a_leftover_file_are_differences(self, repository: Path) -> None:
        run("write")
        (repository / "types/gates.features.example.com.yaml").unlink()
        (repository / "crds/shops.yaml").unlink()
        (repository / "types/own.yaml").write_text("kind: ConfigMap\n")
        result = run("check")
        assert result.exit_code == 1
        assert "--- /dev/null\n+++ types/gates.features.example.com.yaml (would be written)\n" in result.stdout
        assert "--- types/shops.features.example.com.yaml\n+++ /dev/null\n" in result.stdout
        assert "own.yaml" not in result.stdout

    def test_prune_removes_only_what_typegen_wrote(self, repository: Path) -> None:
        run("write")
        (repository / "crds/shops.yaml").unlink()
        (repository / "types/own.yaml").write_text("kind: ConfigMap\n")
        kept = run("write")
        assert "shops.features.example.com.yaml: no longer made from these sources; --prune removes it" in kept.stderr
        assert (repository / "types/shops.features.example.com.yaml").exists()
        run("write", "--prune")
        assert not (repository / "types/shops.features.example.com.yaml").exists()
        assert (repository / "types/own.yaml").exists()
        assert run("check").exit_code == 0

    def test_a_refused_types_file_is_kept(self, repository: Path) -> None:
        run("write")
        (repository / "crds/shops.yaml").write_text(
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition}"
        )
        result = run("write", "--prune")
        assert result.exit_code == 1
        assert (repository / "types/shops.features.example.com.yaml").exists()
        assert "prune" not in result.stderr

    def test_folder_and_sources_may_be_named(self, tmp_path: Path) -> None:
        run("write", str(CRDS), "-o", str(tmp_path))
        assert run("check", str(tmp_path), str(CRDS)).exit_code == 0
        assert run("check", str(tmp_path), str(CRDS), "--descriptions", "drop").exit_code == 1

    def test_a_file_that_is_right_is_not_touched(self, repository: Path) -> None:
        run("write")
        before = {path: path.stat().st_mtime_ns for path in (repository / "types").rglob("*.yaml")}
        run("write")
        assert {path: path.stat().st_mtime_ns for path in (repository / "types").rglob("*.yaml")} == before


class TestList:
    def test_types_and_reasons(self, tmp_path: Path) -> None:
        bad = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": {}}
        (tmp_path / "bad.json").write_text(json.dumps({**bad, "metadata": {"name": "bad.example.com"}}))
        result = run("list", str(CRDS), str(tmp_path))
        assert result.exit_code == 1
        lines = result.stdout.splitlines()
        assert lines[0].split() == ["TYPE", "VERSION", "SCOPE", "FEDERATED", "AS", "NOTES"]
        assert any(line.startswith("gates.features.example.com ") and "FederatedGate" in line for line in lines)
        assert any("bad.example.com: no version is served" in line for line in lines)

    def test_built_in_types_need_not_be_named(self) -> None:
        found = json.loads(run("list", str(OPENAPI), "-o", "json").stdout)
        assert [each["type"] for each in found] == ["shapes.apps.example.com", "workloads.apps.example.com"]

    def test_a_type_that_cannot_be_created_is_refused(self, tmp_path: Path) -> None:
        document = json.loads(OPENAPI.read_text())
        del document["paths"]["/apis/apps.example.com/v1/shapes"]["post"]
        (tmp_path / "api.json").write_text(json.dumps(document))
        result = run("list", str(tmp_path))
        assert "shapes.apps.example.com cannot be federated: it cannot be created" in result.stdout


class TestSources:
    def test_a_rendering_with_other_objects_between(self) -> None:
        other = "kind: Service\napiVersion: v1\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}\n"
        text = (
            "---\n# Source: chart/a.yaml\n---\n" + other + "---\n" + (CRDS / "gates.yaml").read_text() + "---\n" + other
        )
        assert run("write", "-", stdin=text).stdout == run("write", str(CRDS / "gates.yaml")).stdout

    def test_the_same_crd_twice_is_one(self) -> None:
        assert run("write", str(CRDS), str(CRDS)).stdout == run("write", str(CRDS)).stdout

    def test_one_crd_in_two_forms_is_refused(self, tmp_path: Path) -> None:
        gate = yaml.safe_load((CRDS / "gates.yaml").read_text())
        gate["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["more"] = {"type": "string"}
        (tmp_path / "gates.json").write_text(json.dumps(gate))
        result = run("write", str(CRDS / "gates.yaml"), str(tmp_path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert "gates.features.example.com is defined twice and differently" in result.stderr

    @pytest.mark.parametrize("flag", ["--only", "--exclude"])
    def test_only_and_exclude(self, flag: str) -> None:
        listed = json.loads(run("list", str(CRDS), flag, "Gate", "-o", "json").stdout)
        assert ("gates.features.example.com" in [each["type"] for each in listed]) is (flag == "--only")

    def test_an_openapi_index_is_no_document(self, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text(
            json.dumps({"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api"}}})
        )
        result = run("write", "--openapi", str(tmp_path / "index.json"), "--only", "Pod")
        assert result.exit_code == 1
        assert "only the index of /openapi/v3: save /openapi/v2" in result.stderr

    def test_a_version_2_document_makes_the_same_type(self, tmp_path: Path) -> None:
        text = OPENAPI.read_text().replace("#/components/schemas/", "#/definitions/")
        document = json.loads(text)
        schemas = document.pop("components")["schemas"]
        del document["openapi"]
        (tmp_path / "v2.json").write_text(json.dumps({**document, "swagger": "2.0", "definitions": schemas}))
        new = run("write", "--openapi", str(OPENAPI), "--only", "Workload")
        old = run("write", "--openapi", str(tmp_path / "v2.json"), "--only", "Workload")
        assert (old.exit_code, old.stdout) == (0, new.stdout)

    def test_of_versions_in_several_documents_the_preferred_one_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text(
            OPENAPI.read_text()
            .replace("apps.example.com/v1", "apps.example.com/v2beta1")
            .replace('"version": "v1"', '"version": "v2beta1"')
        )
        both = ["write", str(tmp_path), str(OPENAPI), "--only", "Shape"]
        _, type_config, *_ = yaml.safe_load_all(run(*both).stdout)
        assert type_config["spec"]["targetType"]["version"] == "v1"
        _, type_config, *_ = yaml.safe_load_all(run(*both, "--version", "v2beta1").stdout)
        assert type_config["spec"]["targetType"]["version"] == "v2beta1"

    def test_federated_types_and_kubefeds_own_are_passed_over(self, tmp_path: Path) -> None:
        run("write", str(CRDS / "gates.yaml"), "-o", str(tmp_path), "--federated-group", "fed.example.com")
        (tmp_path / "core.yaml").write_text(yaml.safe_dump_all(templates.core_crds()))
        result = run("write", str(tmp_path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert "nothing to federate" in result.stderr

    def test_discovery_beside_it_adds_short_names(self, tmp_path: Path) -> None:
        entry = {"name": "shapes", "kind": "Shape", "shortNames": ["shp"], "namespaced": False}
        listed = {"kind": "APIResourceList", "groupVersion": "apps.example.com/v1", "resources": [entry]}
        (tmp_path / "discovery.json").write_text(json.dumps(listed))
        crd = next(yaml.safe_load_all(run("write", str(OPENAPI), str(tmp_path), "--only", "Shape").stdout))
        assert crd["spec"]["names"]["shortNames"] == ["fshp"]


class TestMisspelt:
    def test_a_type_that_is_nowhere_is_an_error(self) -> None:
        result = run("write", str(CRDS), "--only", "Gate", "--only", "Gtae")
        assert result.exit_code == 1
        assert result.stdout.startswith("# FederatedGate")
        assert result.stderr == "error: --only: no type in the sources is called gtae\n"

    def test_so_is_one_that_is_given_a_name(self) -> None:
        result = run("write", str(CRDS / "gates.yaml"), "--name", "gate.features.example.com=FederatedDoor/doors")
        assert result.exit_code == 1
        assert "error: types: no type in the sources is called gate.features.example.com" in result.stderr

    def test_a_group_that_is_nowhere(self) -> None:
        result = run("write", str(CRDS), "--group", "other.example.com")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "error: --group: no type in the sources has a group other.example.com\n"

    def test_also_beside_one_that_is_there(self) -> None:
        result = run("write", str(CRDS / "gates.yaml"), "--group", "features.*", "--group", "*.kubernetes.io")
        assert (result.exit_code, result.stdout.startswith("# FederatedGate")) == (1, True)
        assert result.stderr == "error: --group: no type in the sources has a group *.kubernetes.io\n"

    @pytest.mark.parametrize(
        "path", ["nope.field", "spec.prot", "weights{}", "kubernetes.io", "gates.features.kubernetes.io", "spec."]
    )
    def test_an_optional_field_that_no_type_has(self, path: str) -> None:
        result = run("write", str(CRDS / "gates.yaml"), "--optional", path)
        assert (result.exit_code, result.stdout.startswith("# FederatedGate")) == (1, True)
        assert result.stderr == f"error: --optional: no selected type has a field {path}\n"

    @pytest.mark.parametrize("path", ["spec.port", "spec.surge", "*"])
    def test_an_optional_field_that_one_of_the_types_has(self, path: str) -> None:
        assert run("write", str(CRDS), "--optional", path).exit_code == 0

    def test_an_optional_field_of_one_type(self, tmp_path: Path) -> None:
        config = tmp_path / "typegen.yaml"
        types = {"gates.features.example.com": {"optional": ["spec.hots"]}}
        config.write_text(json.dumps({"sources": [str(CRDS / "gates.yaml")], "output": "-", "types": types}))
        result = run("write", "--config", str(config), "-o", "-")
        assert result.exit_code == 1
        assert result.stderr == "error: types: gates.features.example.com: optional: it has no field spec.hots\n"


def test_the_pre_commit_hooks_are_commands_of_typegen() -> None:
    hooks = yaml.safe_load((HERE.parents[2] / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["typegen-check", "typegen-write"]
    for hook in hooks:
        program, *command = hook["entry"].split()
        assert program == "typegen"
        assert run(*command, "--help").exit_code == 0


class TestClashes:
    @staticmethod
    def write(folder: Path, **names: Any) -> None:
        crd = yaml.safe_load((CRDS / "gates.yaml").read_text())
        crd["spec"]["group"] = "other.example.com"
        crd["spec"]["names"] = {**crd["spec"]["names"], **names}
        crd["metadata"]["name"] = f"{crd['spec']['names']['plural']}.other.example.com"
        (folder / "other.json").write_text(json.dumps(crd))

    @pytest.mark.parametrize(
        ("names", "output"),
        [
            pytest.param({}, "would both have the kind FederatedGate", id="all"),
            pytest.param({"plural": "doors", "singular": "door"}, "would both have the kind FederatedGate", id="kind"),
            pytest.param({"kind": "Door", "singular": "door"}, "have the name federatedgates", id="plural"),
        ],
    )
    def test_both_are_named_and_neither_is_written(self, tmp_path: Path, names: dict[str, str], output: str) -> None:
        self.write(tmp_path, **names)
        result = run("write", str(CRDS / "gates.yaml"), str(tmp_path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert output in result.stderr

    def test_a_short_name_stays_with_the_first(self, tmp_path: Path) -> None:
        self.write(tmp_path, plural="aisles", kind="Aisle", singular="aisle", shortNames=["gate", "sh", "ai"])
        result = run("write", str(CRDS), str(tmp_path))
        assert result.exit_code == 0
        kept = {
            each["spec"]["names"]["plural"]: each["spec"]["names"].get("shortNames")
            for each in yaml.safe_load_all(result.stdout)
            if each["kind"] == "CustomResourceDefinition"
        }
        assert kept["federatedaisles"] == ["fgate", "fsh", "fai"]
        assert kept["federatedshops"] == ["fstore"]
        assert "metadata: short name fsh left out, aisles.other.example.com has it" in result.stderr

    def test_a_chosen_kind_brings_its_plural(self) -> None:
        result = run("write", str(CRDS / "policies.yaml"), "--name", "policies.features.example.com=FederatedMyPolicy")
        crd = next(yaml.safe_load_all(result.stdout))
        assert crd["spec"]["names"]["plural"] == "federatedmypolicies"

    def test_or_asks_for_it(self) -> None:
        result = run("write", str(CRDS / "policies.yaml"), "--name", "policies.features.example.com=Rule")
        assert "the plural of Rule is not clear: give it, too, as Rule/PLURAL" in result.stderr


class TestTemplates:
    def test_a_file_of_ones_own_replaces_typegens(self, tmp_path: Path) -> None:
        (tmp_path / "types").mkdir()
        (tmp_path / "types/roles.yaml").write_text(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"
            "metadata: {name: {{ federated.plural | quote }}}\nrules: []\n"
        )
        result = run("write", str(CRDS / "gates.yaml"), "--templates", str(tmp_path))
        *_, role = yaml.safe_load_all(result.stdout)
        assert role["metadata"]["name"] == "federatedgates"
        plain = run("write", str(CRDS / "gates.yaml"))
        assert result.stdout.splitlines()[:50] == plain.stdout.splitlines()[:50]

    def test_the_frame_may_be_changed_too(self, tmp_path: Path) -> None:
        (tmp_path / "types").mkdir()
        own = Path(templates.__file__).parent.parent / "templates/types/federated.yaml"
        (tmp_path / "types/federated.yaml").write_text(own.read_text().replace("[federated{%", "[federated, ours{%"))
        crd = next(yaml.safe_load_all(run("write", str(CRDS / "gates.yaml"), "--templates", str(tmp_path)).stdout))
        assert "ours" in crd["spec"]["names"]["categories"]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            pytest.param("other.yaml", "", "no template in it; it may hold types/federated.yaml", id="nothing-used"),
            pytest.param("types/federated.yaml", "{% if %}", "types/federated.yaml:1: ", id="syntax"),
            pytest.param("types/federated.yaml", "{{ nothing }}", "'nothing' is undefined", id="undefined"),
            pytest.param("types/federated.yaml", "a: 1\nb: {{ c.d }}", "types/federated.yaml:2: 'c' is", id="line"),
            pytest.param("types/federated.yaml", "a: [", "its output is not YAML", id="no-yaml"),
            pytest.param("types/federated.yaml", "a: 1", "is not a manifest, kind is missing", id="no-manifest"),
            pytest.param("types/federated.yaml", "kind: X", "expected a CustomResourceDefinition", id="no-crd"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        result = run("write", str(CRDS / "gates.yaml"), "--templates", str(tmp_path))
        assert result.exit_code in (1, 2)
        assert message in result.stderr
