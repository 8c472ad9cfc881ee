"""Deletions that are more than go by themselves are said to be held, by the controller's own counting."""

from typing import Any

import pytest

from federation.controllers.world import Track, TypeState, World
from federation.core.deletiongroups import Place
from federation.model import marks
from federation.model.federated import FederatedObject, Metadata
from federation.model.observations import Observed
from federation.model.plan import Basis, Delete, RemovalCause, RemovalReason
from federation.model.resources import Key, ObjectName
from federation.model.settings import DeletionBudget, Settings
from federation.preview import held
from federation.preview.changes import Change, Findings, Kind
from federation.preview.held import Counts, Wanted
from federation.preview.sightings import by_record
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES
from tests.unit.virtualtime import virtual

SPACE = Key(marks.NAMESPACE_TYPE, "ns", "ns")


def key(number: int) -> Key:
    return Key("configmaps", "ns", f"c{number}")


def world(*, deleted: bool = False, budget: DeletionBudget | None = None) -> World:
    made = World(Settings(deletion_budget=budget or DeletionBudget()))
    for enabled in (FEDERATED_NAMESPACES, CONFIGMAPS):
        made.types[enabled.name] = TypeState(enabled)
    at = "2026-01-01T00:00:00Z" if deleted else None
    for each in (SPACE, *map(key, range(30))):
        meta = Metadata(name=each.name, namespace="ns", uid=each.name, generation=2, deletion_timestamp=at)
        item = FederatedObject(meta)
        state = made.types[each.type]
        state.objects.put(item.where, item)
        state.tracks[item.where] = Track.begin(item)
    return made


def wanted(*keys: Key, cause: RemovalCause = RemovalCause.PLACEMENT, clusters: tuple[str, ...] = ("m1",)) -> Wanted:
    made = Wanted()
    for each in keys:
        basis = Basis(Metadata(name=each.name, namespace="ns", uid=each.name, generation=2))
        for cluster in clusters:
            made.add(each, cluster, Delete("u", reason=RemovalReason(cause, "x", basis=basis)))
    return made


COUNTS = Counts({("configmaps", "ns"): (30, 60), ("namespaces", "ns"): (1, 2)})


@pytest.mark.parametrize(
    ("many", "cause", "more", "why"),
    [
        (5, RemovalCause.PLACEMENT, {}, ""),
        (7, RemovalCause.PLACEMENT, {}, "7 of 60 copies of configmaps would be deleted, and 6 go by themselves"),
        (
            7,
            RemovalCause.DELETION,
            {"deleted": True},
            "7 of 30 federated objects of configmaps would be deleted, and 5 go by themselves",
        ),
        (7, RemovalCause.DELETION, {"deleted": True, "budget": DeletionBudget(by_name=False)}, ""),
        (7, RemovalCause.PLACEMENT, {"budget": DeletionBudget(minimum=7)}, ""),
        (7, RemovalCause.PLACEMENT, {"budget": DeletionBudget(enabled=False)}, ""),
    ],
)
def test_more_than_go_by_themselves(many: int, cause: RemovalCause, more: dict[str, Any], why: str) -> None:
    @virtual
    async def check() -> None:
        found = held.reasons(world(**more), wanted(*map(key, range(many)), cause=cause), COUNTS)
        assert len(found) == (many if why else 0)
        assert not why or {each["m1"] for each in found.values()} == {why}

    check()


@pytest.mark.parametrize("others", ["", 'has Pod "db" in it', None])
def test_a_namespace_with_objects_of_others(others: str | None) -> None:
    @virtual
    async def check() -> None:
        then, leaving = world(), wanted(SPACE)
        then.types[marks.NAMESPACE_TYPE].copies["m1"] = by_record({})
        then.types["configmaps"].copies["m1"] = by_record({})
        then.types[marks.NAMESPACE_TYPE].copies["m1"].objects.put(
            ObjectName("", "ns"), Observed("u", 1, "d", managed=True)
        )
        if others is not None:
            leaving.others[Place("m1", "ns")] = others
        found = held.reasons(then, leaving, COUNTS)
        if others == "":
            assert found == {}
        else:
            assert (others or "is not known to be empty") in found[SPACE]["m1"]

    check()


def test_only_deletions_are_marked() -> None:
    findings = Findings()
    for cluster in ("m1", "m2"):
        findings.add(SPACE, cluster, Change(Kind.DELETE))
    findings.add(SPACE, "m3", Change(Kind.CREATE))
    findings.add(SPACE, "m4", Change(Kind.UNKNOWN, expected="delete"))
    findings.hold(SPACE, {"m1": "too many", "m4": "too many"})
    assert [(change.kind, change.held, clusters) for _, change, clusters in findings] == [
        (Kind.CREATE, "", ["m3"]),
        (Kind.DELETE, "too many", ["m1"]),
        (Kind.DELETE, "", ["m2"]),
        (Kind.UNKNOWN, "too many", ["m4"]),
    ]
