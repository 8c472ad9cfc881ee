"""Deletions that are more than go by themselves are said to be held, by the controller's own counting."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import times
from federation.core.deletiongroups import Place
from federation.model import marks
from federation.model.federated import DatedMetadata, FederatedObject, Metadata
from federation.model.observations import Applied, Observed
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


def dated(name: str, age: timedelta) -> DatedMetadata:
    created = datetime.fromtimestamp(time.time(), UTC) - age
    return DatedMetadata(name=name, namespace="", uid=name, creation_timestamp=created.isoformat())


@pytest.mark.parametrize("cause", [RemovalCause.PLACEMENT, RemovalCause.DELETION])
@pytest.mark.parametrize(
    ("namespaced", "hours", "goes"), [(True, 0, True), (True, 1, False), (True, -24, False), (False, 0, False)]
)
def test_a_young_control_plane_of_one_namespace_holds_nothing(
    cause: RemovalCause, *, namespaced: bool, hours: int, goes: bool
) -> None:
    """As the controller does; a clock that is a day behind makes nothing young."""

    @virtual
    async def check() -> None:
        then, config = world(), dated("kubefed", timedelta(hours=hours))
        then.settings = replace(then.settings, namespaced=namespaced)
        applied_now(then)
        if cause is RemovalCause.DELETION:
            deleted_now(then)
        found = held.reasons(then, wanted(*map(key, range(12)), cause=cause), COUNTS, config)
        assert (found == {}) is goes

    check()


def applied_now(then: World) -> None:
    """m1 has a copy of each, which was made just now."""
    state, at = then.types["configmaps"], int(time.time())
    state.copies["m1"] = by_record({where: Applied("d", "o", 2, at) for where in state.objects})


def deleted_now(then: World) -> None:
    state = then.types["configmaps"]
    for where, item in list(state.objects.items()):
        meta = msgspec.structs.replace(item.metadata, deletion_timestamp=times.rfc3339(time.time()))
        state.objects.put(where, msgspec.structs.replace(item, metadata=meta))


@pytest.mark.parametrize(("minutes", "goes"), [(1, True), (11, False)])
def test_what_is_deleted_in_young_namespaces_is_counted_for_each_of_them(*, minutes: int, goes: bool) -> None:
    """Four objects in each of four: more than go by themselves together, and not of one of them."""

    @virtual
    async def check() -> None:
        then, keys = World(Settings()), []
        state = then.types["configmaps"] = TypeState(CONFIGMAPS)
        for place in range(4):
            then.host_namespaces.put(ObjectName("", f"n{place}"), dated(f"n{place}", timedelta(minutes=minutes)))
            for number in range(4):
                keys.append(Key("configmaps", f"n{place}", f"c{number}"))
                item = FederatedObject(Metadata(name=f"c{number}", namespace=f"n{place}", uid=str(keys[-1])))
                state.objects.put(item.where, item)
                state.tracks[item.where] = Track.begin(item)
        applied_now(then)
        deleted_now(then)
        counts = Counts({("configmaps", f"n{place}"): (4, 4) for place in range(4)})
        found = held.reasons(then, wanted(*keys, cause=RemovalCause.DELETION), counts)
        assert (found == {}) is goes

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
