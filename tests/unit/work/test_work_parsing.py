"""A ManifestWork is read leniently: what is wrong with one manifest, or one object's options, hurts that alone."""

from typing import Any

import orjson
import pytest

from federation.model.errors import Invalid
from federation.model.works import Config, Identifier, Propagation, StrategyType
from federation.work import ordering, parsing, pointers


def work(manifests: list[Any], **spec: Any) -> Any:
    return parsing.read("w", orjson.dumps({"workload": {"manifests": manifests}, **spec}), uid="u", generation=3)


def config_map(name: str = "c", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "n", **metadata},
        "data": {"a": "b"},
    }


def test_a_manifest_without_what_only_a_server_sets() -> None:
    item = config_map(uid="x", resourceVersion="1", creationTimestamp=None, managedFields=[], ownerReferences=[{}])
    found = work([{**item, "status": {"x": 1}}]).manifests[0]
    assert found.problem == ""
    assert orjson.loads(found.content) == config_map()
    assert (found.group, found.version, found.kind, found.namespace, found.name) == ("", "v1", "ConfigMap", "n", "c")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        pytest.param(7, "must be a map", id="no-map"),
        pytest.param({"kind": "ConfigMap"}, "apiVersion", id="no-version"),
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "name", id="no-name"),
        pytest.param(config_map(labels={"a": 1}), "labels", id="number-as-label"),
        pytest.param({**config_map(), "apiVersion": "a/b/../c"}, "apiVersion", id="no-group"),
    ],
)
def test_a_bad_manifest_hurts_only_itself(item: Any, problem: str) -> None:
    found = work([item, config_map("good")])
    assert found.problem == ""
    assert problem in found.manifests[0].problem
    assert found.manifests[1].problem == ""


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"executor": {"subject": {"type": "ServiceAccount"}}}, id="executor-without-account"),
        pytest.param({"executor": {"subject": {"type": "User"}}}, id="executor-of-another-type"),
        pytest.param({"deleteOption": {"propagationPolicy": "Background"}}, id="unknown-policy"),
    ],
)
def test_what_concerns_the_work_as_a_whole_is_a_problem_of_all_of_it(spec: Any) -> None:
    assert work([config_map()], **spec).problem


def test_options_with_a_mistake_are_a_problem_of_their_object() -> None:
    mine = {"resourceIdentifier": {"resource": "configmaps", "namespace": "n", "name": "c"}}
    other = {"resourceIdentifier": {"resource": "configmaps", "namespace": "n", "name": "d"}}
    strategy = {"type": "ServerSideApply", "serverSideApply": {"fieldManager": "somebody"}}
    found = work(
        [config_map()],
        manifestConfigs=[{**mine, "updateStrategy": strategy}, {**other, "updateStrategy": {"type": "CreateOnly"}}],
    )
    assert "must begin with work-agent" in found.options_for(Identifier("", "configmaps", "n", "c")).problem
    assert found.options_for(Identifier("", "configmaps", "n", "d")).strategy.type is StrategyType.CREATE_ONLY
    assert found.options_for(Identifier("", "secrets", "n", "d")).strategy.type is StrategyType.UPDATE


def test_of_several_entries_for_an_object_each_part_counts_where_it_is_said_first() -> None:
    def entry(name: str, namespace: str = "*", **said: Any) -> dict[str, Any]:
        return {"resourceIdentifier": {"resource": "configmaps", "namespace": namespace, "name": name}, **said}

    feedback = [{"type": "JSONPaths", "jsonPaths": [{"name": "k", "path": ".data.k"}]}]
    rules = [{"type": "CEL", "condition": "Complete", "celExpressions": ["true"]}]
    found = work(
        [config_map()],
        manifestConfigs=[
            entry("c*", feedbackRules=feedback),
            entry("c", "n", updateStrategy={"type": "CreateOnly"}, feedbackRules=[{"type": "WellKnownStatus"}]),
            entry("*", updateStrategy={"type": "ReadOnly"}, conditionRules=rules),
        ],
    )
    mine = found.options_for(Identifier("", "configmaps", "n", "c"))
    assert mine.strategy.type is StrategyType.CREATE_ONLY
    assert [each.name for each in mine.feedback.paths] == ["k"]
    assert mine.completes
    assert found.options_for(Identifier("", "configmaps", "n", "x")).strategy.type is StrategyType.READ_ONLY
    assert found.options_for(Identifier("", "secrets", "n", "c")).strategy.type is StrategyType.UPDATE


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("*", "anything", True),
        ("job*", "job1", True),
        ("job*", "ajob1", False),
        ("*-x", "a-x", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a.c", "abc", False),
    ],
)
def test_a_star_stands_for_any_text(pattern: str, text: str, fits: bool) -> None:
    assert Config(Identifier("", "r", "", pattern)).fits(Identifier("", "r", "", text)) is fits


def test_a_pattern_of_a_hub_that_means_harm_is_one_pass() -> None:
    pattern, text = "*a" * 120 + "b", "a" * 250
    assert not Config(Identifier("", "r", "", pattern)).fits(Identifier("", "r", "", text))


def test_ignored_fields_that_cannot_be_read_have_a_reason_of_their_own() -> None:
    entry = {"resourceIdentifier": {"resource": "configmaps", "namespace": "n", "name": "c"}}
    ignored = [{"condition": "OnSpokePresent", "jqPathExpressions": [".a | .b"]}]
    strategy = {"type": "ServerSideApply", "serverSideApply": {"ignoreFields": ignored}}
    found = work([config_map()], manifestConfigs=[{**entry, "updateStrategy": strategy}])
    options = found.options_for(Identifier("", "configmaps", "n", "c"))
    assert options.reason == "AppliedManifestSSAIgnoreFieldError"
    assert "jqPathExpressions[0]" in options.problem


def test_server_side_apply_is_not_forced_unless_asked_for() -> None:
    entry = {"resourceIdentifier": {"resource": "configmaps", "namespace": "n", "name": "c"}}
    ignored = [
        {"condition": "OnSpokePresent", "jsonPaths": [".spec.replicas"], "jsonPointers": ["/metadata/labels/a~1b"]},
        {"condition": "OnSpokeChange", "jqPathExpressions": ['.spec.template.spec.containers[0]["image"]']},
    ]
    strategy = {"type": "ServerSideApply", "serverSideApply": {"ignoreFields": ignored}}
    found = work([config_map()], manifestConfigs=[{**entry, "updateStrategy": strategy}])
    options = found.options_for(Identifier("", "configmaps", "n", "c"))
    assert options.problem == ""
    assert not options.strategy.force
    assert options.strategy.manager == "work-agent"
    assert options.strategy.ignored_when_present == (("spec", "replicas"), ("metadata", "labels", "a/b"))
    assert options.strategy.ignored_when_changed == (("spec", "template", "spec", "containers", "0", "image"),)


def test_a_secrets_string_data_is_written_as_data_so_that_a_key_that_goes_is_taken_away() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}}
    found = work([{**secret, "stringData": {"p": "x"}}, {**secret, "stringData": {"p": 1}}])
    content = orjson.loads(found.manifests[0].content)
    assert content["data"] == {"p": "eA=="}
    assert "stringData" not in content
    assert "must be a string" in found.manifests[1].problem


@pytest.mark.parametrize("text", [".spec.containers[*].image", "..image", ".a | .b", ".a[?(@.b==1)]", ".", ""])
def test_what_may_be_several_fields_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        pointers.of_path(text, "f")


def test_which_objects_stay() -> None:
    rule = {"resource": "configmaps", "namespace": "n", "name": "c"}
    option = {"propagationPolicy": "SelectivelyOrphan", "selectivelyOrphans": {"orphaningRules": [rule]}}
    found = work([config_map()], deleteOption=option)
    assert found.propagation is Propagation.SELECTIVELY_ORPHAN
    assert found.orphaned(Identifier("", "configmaps", "n", "c"))
    assert not found.orphaned(Identifier("", "configmaps", "n", "d"))
    assert work([], deleteOption={"propagationPolicy": "Orphan"}).orphaned(Identifier("", "a", "", "b"))


def test_manifests_in_the_order_of_their_kinds_and_then_of_the_spec() -> None:
    kinds = [("v1", "Foo"), ("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "Bar"), ("v1", "Namespace")]
    found = work([{"apiVersion": version, "kind": kind, "metadata": {"name": "x"}} for version, kind in kinds])
    assert [each.kind for each in ordering.ordered(found.manifests)] == [
        "Namespace",
        "Service",
        "Deployment",
        "Foo",
        "Bar",
    ]


def test_what_is_no_spec_is_said() -> None:
    assert parsing.read("w", b"[]").problem
    assert parsing.read("w", b"{").problem
    assert parsing.read("w", b"").problem == ""
