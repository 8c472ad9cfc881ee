"""The demo's judgement, without clusters: what counts as seen, what is shown, and that its story holds together."""

from typing import Any

import pytest

from e2e.demo import scenario, stage, table, world
from e2e.demo.__main__ import observe
from e2e.demo.clusters import MEMBERS, DemoError
from e2e.demo.observe import Where

WANTED = world.holding("ConfigMap settings", ["berlin"], {"/data/currency": "EUR"})
HERE: Where = ("ConfigMap settings", "berlin")


def item(**fields: Any) -> dict[str, Any]:
    return {"metadata": fields.pop("metadata", {}), **fields}


@pytest.mark.parametrize(
    ("seen", "silent", "said"),
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
def test_differences(seen: dict[Where, dict[str, Any]], silent: tuple[str, ...], said: list[str]) -> None:
    found = [str(each) for each in world.differences(WANTED, seen, silent)]
    assert len(found) == len(said)
    assert all(text in line for text, line in zip(said, found, strict=True))


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
    read = [document for folder in ("apps", "changes", "wrong") for document in stage.documents(stage.FOLDER / folder)]
    assert len(read) >= 12
    assert all(document["kind"] and document["metadata"]["name"] for document in read)


def test_every_step_changes_the_world_or_says_what_else_is_looked_at() -> None:
    same = [
        step.title
        for before, step in zip(scenario.STEPS, scenario.STEPS[1:], strict=False)
        if step.world == before.world
    ]
    # These end as they began: meddling is seen, then undone; tokyo catches up; refusals change nothing.
    assert same == [scenario.STEPS[3].title, scenario.STEPS[5].title, scenario.STEPS[6].title]
    assert scenario.STEPS[-1].world == {}
    assert {cluster for step in scenario.STEPS for _, cluster in step.world} == set(MEMBERS)


class Blind:
    """A stage on which nothing ever happens."""

    class Eyes:
        objects: dict[Where, dict[str, Any]] = {}  # noqa: RUF012 - never changed
        silent = frozenset({"paris"})

        async def until(self, check: Any, within: float) -> bool:
            del within
            return bool(check())

    sight = Eyes()


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
