"""The demo's judgement, without clusters: what counts as seen, what is shown, and that its story holds together."""

from pathlib import Path
from typing import Any

import pytest

from e2e.demo import checkout, scenario, table, world
from e2e.demo.__main__ import observe
from e2e.demo.clusters import EDGE, MEMBERS, DemoError
from e2e.demo.observe import Where

WANTED = world.holding("ConfigMap settings", ["berlin"], {"/data/currency": "EUR"})
HERE: Where = ("ConfigMap settings", "berlin")


def item(**fields: Any) -> dict[str, Any]:
    return {"metadata": fields.pop("metadata", {}), **fields}


@pytest.mark.parametrize(
    ("seen", "silent", "message"),
    [
        pytest.param({HERE: item(data={"currency": "EUR"})}, (), [], id="as-it-should-be"),
        pytest.param({}, (), ["an object with /data/currency = 'EUR'; seen nothing"], id="missing"),
        pytest.param(
            {HERE: item(data={"currency": "XXX"})}, (), ["/data/currency = 'EUR'; seen 'XXX'"], id="wrong-value"
        ),
        pytest.param({HERE: item()}, (), ["/data/currency = 'EUR'; seen None"], id="no-such-field"),
        pytest.param(
            {HERE: item(data={"currency": "EUR"}, metadata={"deletionTimestamp": "now"})},
            (),
            ["seen one that is being deleted"],
            id="going",
        ),
        pytest.param(
            {HERE: item(data={"currency": "EUR"}), ("Secret key", "paris"): item()},
            (),
            ["Secret key in paris: expected nothing; seen an object"],
            id="what-nobody-asked-for",
        ),
        pytest.param({}, ("berlin",), [], id="a-member-that-is-meant-to-be-down"),
        pytest.param({}, ("paris",), ["seen nothing"], id="another-member-down"),
    ],
)
def test_differences(seen: dict[Where, dict[str, Any]], silent: tuple[str, ...], message: list[str]) -> None:
    found = [str(each) for each in world.differences(WANTED, seen, silent)]
    assert len(found) == len(message)
    assert all(text in line for text, line in zip(message, found, strict=True))


@pytest.mark.parametrize("seen", [{}, {"key": "other-canary"}], ids=["missing", "another-value"])
def test_a_secrets_values_are_not_shown(seen: dict[str, str]) -> None:
    where: Where = ("Secret payment", "berlin")
    wanted = world.holding(where[0], [where[1]], {"/data/key": "canary"})
    (found,) = world.differences(wanted, {where: item(data=seen)} if seen else {}, ())
    assert "/data/key" in str(found)
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        pytest.param("/spec/ports/0/port", 80, id="list"),
        pytest.param("/spec/ports/1/port", None, id="beyond-the-list"),
        pytest.param("/spec/missing/deeper", None, id="beyond-a-scalar"),
        pytest.param("/spec/type/deeper", None, id="into-text"),
    ],
)
def test_read(pointer: str, value: Any) -> None:
    assert world.read({"spec": {"ports": [{"port": 80}], "type": "ClusterIP"}}, pointer) == value


def test_without_takes_an_object_from_some_members_only() -> None:
    before = world.holding("ConfigMap news", ["berlin", "paris"]) | world.holding("Secret key", ["paris"])
    after = world.without(before, "ConfigMap news", ["paris"])
    assert set(after) == {("ConfigMap news", "berlin"), ("Secret key", "paris")}
    assert len(before) == 3


def test_a_secret_is_shown_by_its_keys_alone() -> None:
    assert table.summary("Secret", {"data": {"key": "bm90LWEtcmVhbC1rZXk="}}) == "keys: key"


def test_every_yaml_of_the_story_is_read_strictly_and_names_its_kind() -> None:
    own = [path for folder in ("changes", "wrong") for path in sorted((checkout.HERE / folder).glob("*.yaml"))]
    sample = [checkout.SAMPLE / folder for folder in ("crds", "types", "clusters", "apps/shop")]
    read = [document for path in (*own, *sample) for document in checkout.documents(path)]
    assert len(read) >= 40
    assert all(document["kind"] and document["metadata"]["name"] for document in read)


def test_a_folder_is_read_as_its_kustomization_lists_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name, resources in ((".", ["b.yaml", "inner"]), ("inner", ["a.yaml"])):
        (tmp_path / name / "kustomization.yaml").write_text(f"{{kind: Kustomization, resources: {resources}}}\n")
    for path in ("b.yaml", "inner/a.yaml", "inner/left-out.yaml"):
        (tmp_path / path).write_text(f"{{kind: ConfigMap, metadata: {{name: {path}}}}}\n")
    found = [document["metadata"]["name"] for document in checkout.documents(tmp_path)]
    assert found == ["b.yaml", "inner/a.yaml"]


def test_what_only_kustomize_can_make_is_refused_with_the_reason() -> None:
    with pytest.raises(DemoError, match=r"blog/ to be applied as it is(?s:.*)transformers"):
        list(checkout.documents(checkout.SAMPLE / "apps" / "blog"))


def test_an_edit_gives_whole_documents_and_later_edits_start_from_it() -> None:
    tree = checkout.Checkout()
    (web,) = tree.edit("changes/override.yaml")
    assert web["spec"]["overrides"][0]["clusterName"] == "paris"
    assert web["spec"]["template"]["spec"]["replicas"] == 2
    web, news = tree.edit("changes/release.yaml")
    assert world.read(web, f"/spec/template{scenario.IMAGE}") == f"{scenario.WEB}:2.0"
    assert web["spec"]["overrides"], "the edit before is kept"
    assert news["spec"]["template"] == tree.edit("changes/removal.yaml")[0]["spec"]["template"]
    assert web in tree.read(checkout.APP)
    (tokyo,) = tree.edit("changes/move.yaml")
    assert (tokyo["metadata"]["labels"], "apiEndpoint" in tokyo["spec"]) == ({"region": "eu"}, True)
    fresh = checkout.Checkout().read(checkout.APP)
    assert [each for each in fresh if "overrides" in each.get("spec", {})] == [], (
        "files and other trees stay as they are"
    )


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        pytest.param({"a": "b"}, {"a": "c"}, {"a": "c"}, id="changed"),
        pytest.param({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}, id="added"),
        pytest.param({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}, id="removed"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": "c"}, id="list-by-text"),
        pytest.param({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}, id="nested"),
        pytest.param({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}, id="lists-as-a-whole"),
        pytest.param({"e": None}, {"a": 1}, {"e": None, "a": 1}, id="null-that-was-there"),
        pytest.param({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}, id="null-in-what-is-new"),
        pytest.param(["a"], {"a": "b"}, {"a": "b"}, id="map-for-list"),
    ],
)
def test_merge_patches_as_rfc_7386_gives_them(value: Any, patch: Any, result: Any) -> None:
    assert checkout.merged(value, patch) == result


def test_every_step_changes_the_world_or_says_what_else_is_looked_at() -> None:
    same = [
        step.title
        for before, step in zip(scenario.STEPS, scenario.STEPS[1:], strict=False)
        if step.world == before.world
    ]
    # These end as they began: meddling is seen, then undone; tokyo catches up; refusals and a revert change nothing.
    assert same == [scenario.STEPS[number].title for number in (3, 5, 6, 8, 10)]
    assert set(scenario.STEPS[-1].world) == {("Namespace shop", EDGE)}, "what an agent lets go of"
    assert {cluster for step in scenario.STEPS for _, cluster in step.world} == set(MEMBERS)


class Blind:
    """A stage on which nothing ever happens."""

    class Eyes:
        objects: dict[Where, dict[str, Any]] = {}  # noqa: RUF012 - never changed
        silent = frozenset({"paris"})

        async def until(self, check: Any, within: float) -> bool:
            del within
            return bool(check())

    observer = Eyes()


async def test_a_step_that_does_not_happen_ends_with_what_was_expected_and_what_was_seen() -> None:
    async def nothing(_: Any) -> None:
        return None

    step = scenario.Step("settings arrive", nothing, WANTED, within=3.0)
    with pytest.raises(DemoError) as caught:
        await observe(Blind(), step)  # type: ignore[arg-type]
    assert caught.value.expected == "settings arrive, within 3 s"
    assert "ConfigMap settings in berlin: expected an object with /data/currency = 'EUR'; seen nothing" in str(
        caught.value
    )
    assert "API server in paris: expected an answer; seen none" in str(caught.value)


async def test_a_member_that_is_meant_to_be_down_is_not_waited_for() -> None:
    async def nothing(_: Any) -> None:
        return None

    await observe(Blind(), scenario.Step("nothing in berlin", nothing, {}, down=("paris",)))  # type: ignore[arg-type]
