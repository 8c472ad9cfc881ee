"""What an upgrade of a type does: findings one by one, objects that break, and the command."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from typegen import upgrades, validation
from typegen.cli import main

OLD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": {"type": "string", "maxLength": 20},
                "tier": {"type": "string", "enum": ["a", "b"]},
                "size": {"type": "integer", "minimum": 1},
                "tags": {"type": "array", "items": {"type": "string"}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "rules": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    },
}


def changed(path: str, **fields: Any) -> dict[str, Any]:
    """OLD with keywords of the node at `path` set, or removed where the value is None."""
    result = copy.deepcopy(OLD)
    node: Any = result
    for step in filter(None, path.split(".")):
        node = (
            node["items"]
            if step == "[]"
            else node["additionalProperties"]
            if step == "{}"
            else node["properties"][step]
        )
    for name, value in fields.items():
        keyword = {"rules": "x-kubernetes-validations", "list": "x-kubernetes-list-type"}.get(name, name)
        if value is None:
            node.pop(keyword, None)
        else:
            node[keyword] = value
    return result


def without(name: str, **more: Any) -> dict[str, Any]:
    known = {key: child for key, child in OLD["properties"]["spec"]["properties"].items() if key != name}
    return changed("spec", properties={**known, **more})


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("new", "path", "severity", "message"),
    [
        pytest.param(without("tier"), "spec.tier", "stored", "the field is gone", id="removed"),
        pytest.param(
            without("tier", tiers={**TEXT, "enum": ["a"]}),
            "spec.tier",
            "stored",
            "looks renamed to tiers",
            id="renamed",
        ),
        pytest.param(without("", extra=TEXT), "spec.extra", "members", "the field is new", id="added"),
        pytest.param(
            changed("spec", required=["host", "size"]), "spec", "stored", "size is now required", id="required"
        ),
        pytest.param(
            changed("spec", required=None), "spec", "members", "host is no longer required", id="not-required"
        ),
        pytest.param(
            changed("spec.size", type="string"), "spec.size", "stored", "now string, until now integer", id="type"
        ),
        pytest.param(
            changed("spec.size", type="number"), "spec.size", "members", "the type is now number", id="type-wider"
        ),
        pytest.param(changed("spec.tier", enum=["a"]), "spec.tier", "stored", "b no longer allowed", id="enum-gone"),
        pytest.param(
            changed("spec.tier", enum=["a", "b", "c"]), "spec.tier", "members", "c allowed now", id="enum-more"
        ),
        pytest.param(changed("spec.host", enum=["a"]), "spec.host", "stored", "only a are allowed now", id="enum-new"),
        pytest.param(
            changed("spec.tier", enum=None), "spec.tier", "members", "any value is allowed now", id="enum-none"
        ),
        pytest.param(
            changed("spec.host", maxLength=10), "spec.host", "stored", "is now 10, until now 20", id="shorter"
        ),
        pytest.param(changed("spec.host", maxLength=30), "spec.host", "members", "maxLength is now 30", id="longer"),
        pytest.param(changed("spec.size", minimum=None), "spec.size", "members", "minimum is gone", id="no-minimum"),
        pytest.param(changed("spec.tags", maxItems=3), "spec.tags", "stored", "maxItems is now 3", id="max-items"),
        pytest.param(changed("spec.host", pattern="^a"), "spec.host", "stored", "pattern is now ^a", id="pattern"),
        pytest.param(changed("spec.host", format="ipv4"), "spec.host", "stored", "format is now ipv4", id="format"),
        pytest.param(changed("spec.host", nullable=True), "spec.host", "members", "null is now allowed", id="nullable"),
        pytest.param(changed("spec.tags", list="set"), "spec.tags", "stored", "the list is now set", id="list-type"),
        pytest.param(
            changed("spec", rules=[{"rule": "self.host != ''"}]),
            "spec",
            "stored",
            "CEL rule is new: self.host",
            id="cel",
        ),
        pytest.param(changed("spec", oneOf=[{"required": ["tier"]}]), "spec", "stored", "oneOf is new", id="one-of"),
        pytest.param(
            changed("spec.open", **{"x-kubernetes-preserve-unknown-fields": None}),
            "spec.open",
            "stored",
            "unknown fields are no longer kept",
            id="closed",
        ),
        pytest.param(
            changed("spec.open", properties={"x": TEXT}),
            "spec.open.x",
            "stored",
            "was free and is now checked",
            id="described",
        ),
        pytest.param(
            changed("spec.size", **{"x-kubernetes-int-or-string": True}),
            "spec.size",
            "members",
            "the type is now integer or string",
            id="either",
        ),
        pytest.param(changed("spec.size", default=3), "spec.size", "harmless", "the default is now 3", id="default"),
        pytest.param(
            changed("spec.rules.[].name", maxLength=3),
            "spec.rules[].name",
            "stored",
            "maxLength is now 3",
            id="in-a-list",
        ),
        pytest.param(changed("spec.labels.{}", maxLength=3), "spec.labels{}", "stored", "maxLength", id="in-a-map"),
    ],
)
def test_one_change_is_one_finding(new: dict[str, Any], path: str, severity: str, message: str) -> None:
    ((found_path, found_severity, text),) = upgrades.schemas(OLD, new)
    assert (found_path, found_severity) == (f"spec.template.{path}", severity)
    assert message in text


@pytest.mark.parametrize("new", [OLD, changed("status", type="string"), changed("spec.host", description="New words.")])
def test_words_and_status_are_no_change(new: dict[str, Any]) -> None:
    assert list(upgrades.schemas(OLD, new)) == []


def test_a_default_makes_a_required_field_optional() -> None:
    old = changed("spec.host", default="x")
    assert ("spec.template.spec", "stored", "host is now required") in list(upgrades.schemas(old, OLD))


VALUES = st.fixed_dictionaries(
    {"host": st.text(max_size=25)},
    optional={
        "tier": st.sampled_from(["a", "b", "c"]),
        "size": st.integers(-1, 5) | st.text(max_size=1),
        "tags": st.lists(st.sampled_from("ab"), max_size=4),
        "rules": st.lists(st.fixed_dictionaries({"name": st.text(max_size=5)}), max_size=2),
    },
)
CHANGES = [
    without("tier"), without("", extra=TEXT), changed("spec", required=["host", "size"]),
    changed("spec", required=None),
    changed("spec.size", type="string"), changed("spec.tier", enum=["a"]), changed("spec.tier", enum=["a", "b", "c"]),
    changed("spec.host", maxLength=10), changed("spec.size", minimum=None), changed("spec.tags", list="set"),
    changed("spec.rules.[].name", maxLength=3),
]  # fmt: skip


@given(VALUES, st.sampled_from(CHANGES))
def test_what_is_not_said_to_break_does_not(value: dict[str, Any], new: dict[str, Any]) -> None:
    """An object valid before and not after means that a finding said `stored`; and the other way round `members`."""
    before = not any(validation.problems(OLD, {"spec": value}))
    after = not any(validation.problems(new, {"spec": value}))
    severities = {severity for _, severity, _ in upgrades.schemas(OLD, new)}
    if before and not after:
        assert "stored" in severities
    if after and not before:
        assert severities & {"members", "stored"}


def crd(schema: dict[str, Any], version: str = "v1", **spec: Any) -> dict[str, Any]:
    one = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Site", "plural": "sites", "singular": "site"}
    body = {"group": "x.example.com", "scope": "Namespaced", "names": names, "versions": [one], **spec}
    metadata = {"name": "sites.x.example.com"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": body,
    }  # fmt: skip


def site(name: str, template: dict[str, Any], overrides: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    spec = {"template": template, "placement": {"clusters": []}, "overrides": overrides or []}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedSite", "metadata": metadata, "spec": spec}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(crd(OLD)))
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(crd(changed("spec.host", maxLength=5))))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def diff(folder: Path, *more: str) -> Result:
    return run("diff", str(folder / "old.yaml"), str(folder / "new.yaml"), *more)


def test_exit_codes(folder: Path) -> None:
    assert diff(folder).exit_code == 1
    assert run("diff", str(folder / "old.yaml"), str(folder / "old.yaml")).exit_code == 0
    assert run("diff", str(folder / "old.yaml"), str(folder / "nowhere.yaml")).exit_code == 2
    (folder / "new.yaml").write_text("{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {}}")
    assert diff(folder).exit_code == 2


def test_the_findings_as_text_and_json(folder: Path) -> None:
    assert diff(folder).stdout == (
        "breaks stored objects:\n"
        "  sites.x.example.com (v1): spec.template.spec.host: maxLength is now 5, until now 20\n"
    )
    (finding,) = json.loads(diff(folder, "-o", "json").stdout)["findings"]
    assert finding == {
        "type": "sites.x.example.com",
        "versions": ["v1"],
        "path": "spec.template.spec.host",
        "severity": "stored",
        "message": "maxLength is now 5, until now 20",
    }


def test_the_objects_that_break_are_named(folder: Path) -> None:
    override = {"clusterName": "east", "clusterOverrides": [{"path": "/spec/host", "value": "x"}]}
    objects = [
        site("short", {"spec": {"host": "abc"}}),
        site("long", {"spec": {"host": "abcdef"}}),
        site("wrong-before", {"spec": {"host": 5}}),
        site("overridden", {"spec": {"host": "abc"}}, [override]),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}},
    ]
    (folder / "apps.yaml").write_text(yaml.safe_dump_all(objects))
    found = json.loads(diff(folder, "-o", "json", "--objects", str(folder / "apps.yaml")).stdout)["objects"]
    assert [(each["object"], each["path"], each["certain"]) for each in found] == [
        ("FederatedSite shop/long", "spec.template.spec.host", True),
        ("FederatedSite shop/overridden", "spec.template.spec.host", False),
    ]
    text = diff(folder, "--objects", str(folder / "apps.yaml")).stdout
    assert "apps.yaml: FederatedSite shop/long: spec.template.spec.host: 6 characters, at most 5 are allowed" in text
    assert "may break: the override for east sets it" in text


@pytest.mark.parametrize(
    ("new", "pointer", "value", "reported"),
    [
        pytest.param(changed("spec.rules.[].name", maxLength=3), "/spec/rules", [{"name": "x"}], True, id="below"),
        pytest.param(changed("spec.rules.[].name", maxLength=3), "/spec/rules", [{}], False, id="below-and-not-set"),
        pytest.param(without("rules"), "/spec/rules/0/name", "x", True, id="gone-above"),
        pytest.param(changed("spec.open", type="string"), "/spec/open/x", 1, True, id="type-above"),
        pytest.param(changed("spec", required=["host", "size"]), "/spec/tier", "a", False, id="required-above"),
        pytest.param(changed("spec", rules=[{"rule": "true"}]), "/spec/tier", "a", False, id="rule-above"),
    ],
)
def test_what_an_override_sets_may_break(folder: Path, new: Any, pointer: str, value: Any, reported: bool) -> None:
    (folder / "new.yaml").write_text(yaml.safe_dump(crd(new)))
    override = {"clusterName": "east", "clusterOverrides": [{"path": pointer, "op": "add", "value": value}]}
    (folder / "apps.yaml").write_text(yaml.safe_dump(site("shop", {"spec": {"host": "a", "size": 2}}, [override])))
    text = diff(folder, "--objects", str(folder / "apps.yaml")).stdout
    assert ("the override for east sets it" in text) is reported, text


def test_no_object_breaks_is_said(folder: Path) -> None:
    (folder / "apps.yaml").write_text(yaml.safe_dump(site("short", {"spec": {"host": "abc"}})))
    assert diff(folder, "--objects", str(folder / "apps.yaml")).stdout.endswith("no object breaks.\n")


def test_a_new_rule_may_break_what_it_reaches(folder: Path) -> None:
    rule = {"rule": "size(self) < 3"}
    (folder / "new.yaml").write_text(yaml.safe_dump(crd(changed("spec.rules", rules=[rule]))))
    reached = site("reached", {"spec": {"host": "a", "rules": [{"name": "x"}]}})
    (folder / "apps.yaml").write_text(yaml.safe_dump_all([reached, site("not", {"spec": {"host": "a"}})]))
    found = json.loads(diff(folder, "-o", "json", "--objects", str(folder / "apps.yaml")).stdout)["objects"]
    assert [(each["object"], each["certain"]) for each in found] == [("FederatedSite shop/reached", False)]


@pytest.mark.parametrize(
    ("new", "severity", "message"),
    [
        pytest.param(crd(OLD, "v2"), "stored", "v1 is no longer served", id="version-gone"),
        pytest.param(crd(OLD, "v2"), "harmless", "v2 is new", id="version-new"),
        pytest.param(crd(OLD, "v2"), "members", "templates without apiVersion become v2, until now v1", id="preferred"),
        pytest.param(crd(OLD, "v2"), "harmless", "members store objects as v2", id="storage"),
        pytest.param(crd(OLD, scope="Cluster"), "stored", "the type is now cluster-wide", id="scope"),
        pytest.param(
            crd(OLD, names={"kind": "Place", "plural": "sites"}), "stored", "the kind is now Place", id="kind"
        ),
        pytest.param({"kind": "ConfigMap"}, "stored", "the type does not exist any more", id="type-gone"),
    ],
)
def test_names_and_versions(folder: Path, new: dict[str, Any], severity: str, message: str) -> None:
    (folder / "new.yaml").write_text(yaml.safe_dump(new))
    found = json.loads(diff(folder, "-o", "json").stdout)["findings"]
    assert any(each["severity"] == severity and message in each["message"] for each in found)


def test_an_object_of_a_version_no_longer_served(folder: Path) -> None:
    (folder / "new.yaml").write_text(yaml.safe_dump(crd(OLD, "v2")))
    objects = [
        site("named", {"apiVersion": "x.example.com/v1", "spec": {"host": "a"}}),
        site("unnamed", {"spec": {"host": "a"}}),
    ]
    (folder / "apps.yaml").write_text(yaml.safe_dump_all(objects))
    found = json.loads(diff(folder, "-o", "json", "--objects", str(folder / "apps.yaml")).stdout)["objects"]
    assert [each["object"] for each in found] == ["FederatedSite shop/named"]


class TestExplain:
    def test_a_field(self, folder: Path) -> None:
        result = run("explain", "Site.spec", str(folder / "old.yaml"))
        assert result.exit_code == 0
        assert "KIND:       FederatedSite\nVERSION:    types.kubefed.io/v1beta1\n" in result.stdout
        assert "FIELD: spec.template.spec <Object>" in result.stdout
        assert "  host\t<string> -required-\n" in result.stdout
        assert "  labels\t<map[string]string>\n" in result.stdout
        assert "  rules\t<[]Object>\n" in result.stdout
        assert "  tier\t<string>\n  enum: a, b\n" in result.stdout

    @pytest.mark.parametrize("path", ["sites.spec.rules.name", "Site.spec.rules[].name"])
    def test_lists_are_looked_through(self, folder: Path, path: str) -> None:
        result = run("explain", path, str(folder / "old.yaml"))
        assert "FIELD: spec.template.spec.rules.name <string>" in result.stdout

    def test_recursive(self, folder: Path) -> None:
        result = run("explain", "Site", "--recursive", str(folder / "old.yaml"))
        assert "  spec\t<Object>\n    host\t<string> -required-\n" in result.stdout

    @pytest.mark.parametrize(
        ("field", "code", "message"),
        [
            pytest.param("Site.spec.hots", 2, "no field hots in spec.template.spec, did you mean host?", id="near"),
            pytest.param("Site.spec.zzz", 2, "; it has host, labels, open, rules, size, tags, tier", id="far"),
            pytest.param("Other", 1, "no type in the sources is called other", id="kind"),
        ],
    )
    def test_mistakes(self, folder: Path, field: str, code: int, message: str) -> None:
        result = run("explain", field, str(folder / "old.yaml"))
        assert result.exit_code == code
        assert message in result.stderr


def test_int_or_string_spelt_out_is_no_change() -> None:
    either: dict[str, Any] = {"x-kubernetes-int-or-string": True}
    spelt_out = {**either, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    old, new = ({"type": "object", "properties": {"a": node}} for node in (either, spelt_out))
    assert [*upgrades.schemas(old, new), *upgrades.schemas(new, old)] == []


def test_a_name_may_be_narrowed() -> None:
    def named(length: int) -> dict[str, Any]:
        name = {"type": "string", "maxLength": length}
        return {**OLD, "properties": {**OLD["properties"], "metadata": obj(name)}}

    def obj(name: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", "properties": {"name": name}}

    assert list(upgrades.schemas(named(9), named(4))) == [
        ("metadata.name", "stored", "maxLength is now 4, until now 9")
    ]
    assert list(upgrades.schemas(OLD, named(4))) == [("metadata.name", "stored", "maxLength is now 4")]
