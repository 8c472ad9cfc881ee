"""A FederatedRollout as its user wrote it: what is read of it, and which field is named where it is wrong."""

from typing import Any

import pytest

from federation.core import rolloutspec, staging
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import Metadata, StoredObject
from federation.model.rollouts import Amount, Entry, Record, Stage, Window, Wish

STAGE = {"name": "a", "clusters": ["m1"]}


def stored(spec: Any, status: Any = None, **annotations: str) -> StoredObject:
    marked = {f"kubefed.io/rollout-{name}": value for name, value in annotations.items()}
    return StoredObject(Metadata(name="safe", namespace="ns", annotations=marked), spec, status or {})


def test_everything_that_can_be_said() -> None:
    spec = {
        "paused": True,
        "revisionHistoryLimit": 3,
        "stages": [
            {
                "name": "canary",
                "clusterSelector": {"matchLabels": {"tier": "canary"}},
                "amount": "10%",
                "windows": [{"days": ["Mon", "Fri"], "start": "22:30", "duration": "6h"}],
                "gates": {
                    "soak": "10m",
                    "maxUnhealthy": 1,
                    "approval": True,
                    "expressions": [{"type": "pods", "expression": "a"}, {"type": "pods", "expression": "b"}],
                },
            },
            {"name": "b", "clusters": ["m1", "m2"], "amount": 1},
        ],
    }
    objects = (Entry("configmaps", "b"), Entry("configmaps", "a"))
    assert rolloutspec.wish(stored(spec, approved="3/canary", undone="2"), objects) == Wish(
        stages=(
            Stage(
                "canary",
                selector={"matchLabels": {"tier": "canary"}},
                amount=Amount(10, share=True),
                soak=600,
                tolerate=1,
                approval=True,
                windows=(Window(frozenset({0, 4}), 22 * 60 + 30, 360),),
                gates={"pods": ("a", "b")},
            ),
            Stage("b", names=("m1", "m2"), amount=Amount(1)),
        ),
        objects=(objects[1], objects[0]),
        paused=True,
        approved=(3, "canary"),
        undone=2,
        history=3,
    )


@pytest.mark.parametrize("text", ["", "x", "3", "3/", "/canary", "3/canary/x", "9999999999/a", "-1/a"])
def test_an_approval_that_names_nothing_approves_nothing(text: str) -> None:
    assert rolloutspec.wish(stored({"stages": [STAGE]}, approved=text, undone=text), ()).approved == (0, "")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.stages"),
        ({"stages": {}}, "spec.stages"),
        ({"stages": [{"clusters": ["m1"]}]}, "spec.stages[0].name"),
        ({"stages": [{"name": "A", "clusters": ["m1"]}]}, "spec.stages[0].name"),
        ({"stages": [{"name": "rest", "clusters": ["m1"]}]}, "spec.stages[0].name"),
        ({"stages": [STAGE, STAGE]}, "spec.stages[1].name"),
        ({"stages": [{"name": "a"}]}, "spec.stages[0]"),
        ({"stages": [{**STAGE, "clusterSelector": {}}]}, "spec.stages[0]"),
        ({"stages": [{"name": "a", "clusters": []}]}, "spec.stages[0].clusters"),
        ({"stages": [{"name": "a", "clusters": [1]}]}, "spec.stages[0].clusters[0]"),
        ({"stages": [{"name": "a", "clusterSelector": {"x": 1}}]}, "spec.stages[0].clusterSelector.x"),
        ({"stages": [{**STAGE, "amount": 0}]}, "spec.stages[0].amount"),
        ({"stages": [{**STAGE, "amount": True}]}, "spec.stages[0].amount"),
        ({"stages": [{**STAGE, "amount": "0%"}]}, "spec.stages[0].amount"),
        ({"stages": [{**STAGE, "amount": "200%"}]}, "spec.stages[0].amount"),
        ({"stages": [{**STAGE, "gates": {"soak": 10}}]}, "spec.stages[0].gates.soak"),
        ({"stages": [{**STAGE, "gates": {"maxUnhealthy": -1}}]}, "spec.stages[0].gates.maxUnhealthy"),
        ({"stages": [{**STAGE, "gates": {"approval": "yes"}}]}, "spec.stages[0].gates.approval"),
        ({"stages": [{**STAGE, "windows": [{"start": "24:00", "duration": "1h"}]}]}, "spec.stages[0].windows[0].start"),
        (
            {"stages": [{**STAGE, "windows": [{"start": "23:00", "duration": "10s"}]}]},
            "spec.stages[0].windows[0].duration",
        ),
        (
            {"stages": [{**STAGE, "windows": [{"start": "23:00", "duration": "1h", "days": ["Noday"]}]}]},
            "spec.stages[0].windows[0].days[0]",
        ),
        ({"stages": [STAGE], "paused": "no"}, "spec.paused"),
        ({"stages": [STAGE], "revisionHistoryLimit": 99}, "spec.revisionHistoryLimit"),
    ],
)
def test_what_is_wrong_is_named(spec: Any, field: str) -> None:
    with pytest.raises(Invalid) as error:
        rolloutspec.wish(stored(spec), ())
    assert error.value.field == field


def test_too_many_objects_are_refused_as_a_whole() -> None:
    objects = [Entry("configmaps", f"n{number}") for number in range(rolloutspec.OBJECTS + 1)]
    with pytest.raises(Invalid, match="65 federated objects"):
        rolloutspec.wish(stored({"stages": [STAGE]}), objects)


@pytest.mark.parametrize("record", [{"good": "x"}, {"released": [{}]}, {"revisions": [{"number": 1, "verdict": "?"}]}])
def test_a_record_that_is_none_is_no_empty_record(record: Any) -> None:
    with pytest.raises(Invalid):
        rolloutspec.record(stored({}, {"record": record}))
    assert rolloutspec.record(stored({}, {})) == Record()


# --- contents


def test_the_placement_is_no_part_of_a_content() -> None:
    one = b'{"template":{"data":{"a":"b"}},"placement":{"clusters":[{"name":"m1"}]}}'
    two = b'{"placement":{"clusterSelector":{}},"template":{"data":{"a":"b"}}}'
    other = b'{"template":{"data":{"a":"c"}},"placement":{"clusters":[{"name":"m1"}]}}'
    assert staging.digest(one) == staging.digest(two) != staging.digest(other)
    assert staging.digest(b"null") == staging.digest(b"{") == ""


def test_a_content_comes_back_as_it_was() -> None:
    spec = b'{"template":{"data":{"a":"b"}},"retainReplicas":true,"placement":{"clusters":[]}}'
    digest = staging.digest(spec)
    content = staging.unpacked(staging.packed(spec), digest, 7, namespaces=False)
    assert (content.digest, content.generation) == (digest, 7)
    assert content.spec.template == {"data": {"a": "b"}}
    assert content.spec.retain_replicas
    assert "b" not in repr(content).replace(digest, "")


@pytest.mark.parametrize("text", ["", "!", "AAAA", staging.packed(b'{"template":{"data":{"a":"other"}}}')])
def test_a_content_that_somebody_changed_is_none(text: str) -> None:
    with pytest.raises(Invalid):
        staging.unpacked(text, staging.digest(b'{"template":{"data":{"a":"b"}}}'), 1, namespaces=False)


def test_the_marks_are_read_where_fedctl_writes_them() -> None:
    assert marks.APPROVED_ANNOTATION == "kubefed.io/rollout-approved"
    assert marks.UNDONE_ANNOTATION == "kubefed.io/rollout-undone"
