"""What a member took and did not keep, or keeps otherwise."""

import tracemalloc
from typing import Any

import pytest

from federation.core import drops
from federation.core.drops import Dropped
from federation.model.resources import Resource

NAMED = {"f:spec": {"f:list": {'k:{"name":"a"}': {"f:name": {}}}, "f:set": {'v:"a"': {}}}}


def compared(asked: Any, held: Any, **metadata: Any) -> Dropped:
    manifest = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", **metadata}, "spec": asked}
    return drops.compare(manifest, {**manifest, "metadata": {"name": "x", "uid": "u"}, "spec": held}, NAMED)


@pytest.mark.parametrize(
    ("asked", "held", "kept"),
    [
        pytest.param(
            {"a": 1, "b": {"c": "d"}}, {"a": 1, "b": {"c": "d", "e": 1}, "f": 2}, Dropped(), id="all-and-more"
        ),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, Dropped((".spec.a.c",)), id="left-out"),
        pytest.param({"a": {"b": 1}, "ab": 1}, {}, Dropped((".spec",)), id="outermost"),
        pytest.param({"a": 0, "b": False, "c": "", "d": [], "e": None}, {"x": 1}, Dropped(), id="empty-says-nothing"),
        pytest.param(
            {"a": "x", "b": [1]}, {"a": "y", "b": [2]}, Dropped((), (".spec.a", ".spec.b[]")), id="other-values"
        ),
        pytest.param(
            {"args": ["a"]}, {"args": ["a", "b"]}, Dropped((), (".spec.args",)), id="a-list-that-is-one-value"
        ),
        pytest.param(
            {"list": [{"name": "a", "image": "web"}]},
            {"list": [{"name": "sidecar"}, {"name": "a", "image": "mirror/web"}]},
            Dropped((), (".spec.list[].image",)),
            id="elements-by-their-keys",
        ),
        pytest.param(
            {"list": [{"name": "a"}]}, {"list": [{"name": "b"}]}, Dropped((), (".spec.list[]",)), id="another"
        ),
        pytest.param({"set": ["a", "b"]}, {"set": ["b", "c", "a"]}, Dropped(), id="a-set"),
        pytest.param({"set": ["a", "b"]}, {"set": ["a"]}, Dropped((), (".spec.set",)), id="not-in-the-set"),
        pytest.param({"a": True}, {"a": 1}, Dropped(), id="python-takes-true-for-one"),
        pytest.param({"a": {"b": 1}}, {"a": "b"}, Dropped((), (".spec.a",)), id="another-type"),
    ],
)
def test_what_became_of_a_manifest(asked: Any, held: Any, kept: Dropped) -> None:
    assert compared(asked, held) == kept


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("1000m", "1"),
        (0.5, "500m"),
        (2, "2"),
        ("1024Mi", "1Gi"),
        ("1e3", "1k"),
        (1.0, 1),
        ("2026-01-01T00:00:00+01:00", "2025-12-31T23:00:00Z"),
        ("YWJj\nZGVm\n", "YWJjZGVm"),
        ("x\n", "x"),
    ],
)
def test_another_way_to_write_a_value_is_no_other_value(asked: Any, held: Any) -> None:
    assert compared({"a": asked}, {"a": held}) == Dropped()
    assert compared({"a": asked}, {"a": "other"}) == Dropped((), (".spec.a",))


def test_labels_and_annotations_are_looked_at_too() -> None:
    assert compared({}, {}, labels={"team": "a"}) == Dropped((".metadata.labels",))


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        pytest.param(Dropped(), "", id="nothing"),
        pytest.param(
            Dropped((".spec.a", ".spec.ab")),
            "this cluster leaves out .spec.a, .spec.ab: it takes the object and does not keep these fields",
            id="left-out",
        ),
        pytest.param(
            Dropped(tuple(f".spec.f{number}" for number in range(7))),
            "this cluster leaves out .spec.f0, .spec.f1, .spec.f2, .spec.f3, .spec.f4 and 2 more: "
            "it takes the object and does not keep these fields",
            id="many",
        ),
        pytest.param(
            Dropped((".spec.a",), (".spec.b",)),
            "this cluster leaves out .spec.a: it takes the object and does not keep these fields; "
            "this cluster keeps other values in .spec.b than asked for: a policy or webhook there changes them",
            id="both",
        ),
    ],
)
def test_what_a_cluster_says(kept: Dropped, said: str) -> None:
    assert drops.message(kept) == said
    assert drops.from_message(f"another word; {said}") == said
    assert not drops.from_message("another word")


@pytest.mark.parametrize(
    ("group", "plural", "worth"),
    [
        pytest.param("apps", "deployments", True, id="apps"),
        pytest.param("", "services", True, id="core"),
        pytest.param("example.com", "widgets", True, id="custom"),
        pytest.param("", "configmaps", False, id="data-only"),
        pytest.param("", "secrets", False, id="secrets-are-never-read"),
    ],
)
def test_types_whose_objects_are_looked_at(group: str, plural: str, worth: bool) -> None:
    assert drops.has_defaulted_fields(Resource(group, "v1", "Kind", plural, namespaced=True)) is worth


def test_names_of_any_length_take_no_memory_of_their_own() -> None:
    """One map of a name of half a megabyte, thousands of members that the cluster keeps otherwise."""
    name, members = "k" * 500_000, range(20_000)
    tracemalloc.start()
    kept = compared({name: {f"a{at}": at + 1 for at in members}}, {name: {f"a{at}": -at for at in members}})
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()
    assert len(kept.changed) == 1
    assert len(drops.message(kept)) < 400
