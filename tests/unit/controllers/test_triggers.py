"""From what watches bring to keys: who is woken by what, and who is not."""

import asyncio
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
import pytest

from federation.controllers.copies import Copies
from federation.controllers.fanout import LONGEST_MOMENT, Fanout
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.tracks import Setback, Track
from federation.controllers.triggers import ChangeSink, FederatedSink
from federation.controllers.world import Member, TypeState, World
from federation.core.managedfields import PartialMetadata
from federation.kube import decoding
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.federated import FederatedObject, Metadata
from federation.model.observations import Applied, Cluster, Missing, Observed
from federation.model.plan import Plan
from federation.model.resources import Key, ObjectName
from federation.model.status import Status
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES
from tests.unit.virtualtime import virtual

US = "kubefed-0123abcd"


@dataclass
class Woken:
    """Remembers keys; an urgent one with `!`."""

    keys: list[str] = field(default_factory=list)

    def __call__(self, key: Key, *, urgent: bool = False, clusters: Set[str] = frozenset()) -> None:
        self.keys.append(f"{key}{'!' if urgent else ''}")

    def since(self) -> list[str]:
        keys, self.keys = self.keys, []
        return keys


class NoFanout(Fanout):
    """Remembers what would be woken."""

    def __init__(self) -> None:
        super().__init__(World(), lambda key, **_: None)
        self.asked: list[str] = []

    def everything(self) -> None:
        self.asked.append("everything")

    def whole_type(self, type_name: str) -> None:
        self.asked.append(type_name)

    def namespace(self, namespace: str) -> None:
        self.asked.append(f"in {namespace}")

    def copies(self, cluster: str, type_name: str = "") -> None:
        self.asked.append(f"{type_name} of {cluster}")


def federated(name: str = "web", namespace: str = "ns", **meta: Any) -> FederatedObject:
    return FederatedObject(Metadata(**{"name": name, "namespace": namespace, "uid": "u", "generation": 1, **meta}))


# --- federated objects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "keys"),
    [
        pytest.param(federated(), [], id="the-same"),
        pytest.param(federated(resource_version="9", labels={"a": "b"}), [], id="labels"),
        pytest.param(FederatedObject(federated().metadata, status=msgspec.Raw(b"{}")), [], id="our-status"),
        pytest.param(federated(finalizers=(marks.SYNC_FINALIZER,)), [], id="our-finalizer-added"),
        pytest.param(federated(generation=2), ["configmaps ns/web!"], id="spec"),
        pytest.param(federated(annotations={marks.ORPHAN_ANNOTATION: "true"}), ["configmaps ns/web!"], id="annotation"),
        pytest.param(federated(deletion_timestamp="now"), ["configmaps ns/web!"], id="deletion"),
        pytest.param(federated(uid="u2"), ["configmaps ns/web!"], id="created-anew"),
        pytest.param(federated("other"), ["configmaps ns/other!"], id="another"),
    ],
)
def test_what_wakes_a_federated_object(after: FederatedObject, keys: list[str]) -> None:
    woken, state = Woken(), TypeState(CONFIGMAPS)
    sink = FederatedSink(state, woken, NoFanout(), World())
    sink.replace([federated()])
    assert woken.since() == ["configmaps ns/web"]  # the first list: calm
    sink.upsert(after)
    assert woken.since() == keys
    assert state.objects.get(after.where) is after
    assert state.objects.synced


def test_a_finalizer_taken_away_by_somebody_wakes() -> None:
    woken = Woken()
    sink = FederatedSink(TypeState(CONFIGMAPS), woken, NoFanout(), World())
    sink.replace([federated(finalizers=(marks.SYNC_FINALIZER,))])
    woken.since()
    sink.upsert(federated())
    assert woken.since() == ["configmaps ns/web!"]


def test_a_later_list_wakes_what_changed_and_what_is_gone() -> None:
    woken, state = Woken(), TypeState(CONFIGMAPS)
    sink = FederatedSink(state, woken, NoFanout(), World())
    sink.replace([federated("same"), federated("changed"), federated("gone")])
    woken.since()
    sink.replace([federated("same"), federated("changed", generation=2), federated("new")])
    assert sorted(woken.since()) == ["configmaps ns/changed!", "configmaps ns/gone!", "configmaps ns/new!"]
    assert sorted(name.name for name in state.objects) == ["changed", "new", "same"]
    sink.remove(federated("new"))
    assert woken.since() == ["configmaps ns/new!"]


def test_a_federated_namespace_wakes_what_is_in_it() -> None:
    woken, fanout = Woken(), NoFanout()
    sink = FederatedSink(TypeState(FEDERATED_NAMESPACES), woken, fanout, World())
    sink.replace([federated("ns")])
    assert "everything" in fanout.asked  # now it is known which namespaces are not federated
    fanout.asked.clear()
    sink.upsert(federated("ns", generation=2))
    sink.upsert(federated("ns", generation=2))
    sink.remove(federated("ns"))
    assert fanout.asked == ["in ns", "in ns"]


# --- copies in members --------------------------------------------------------------------------------------------


def partial(
    name: str = "web",
    *,
    namespace: str = "ns",
    version: int = 5,
    uid: str = "u1",
    label: str = "true",
    fields: dict[str, Any] | None = None,
    deleting: bool = False,
    others: tuple[str, ...] = (),
) -> PartialMetadata:
    owned = [(US, fields or {"f:data": {"f:a": {}}}), *((other, {"f:metadata": {}}) for other in others)]
    entries = [
        {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": each} for manager, each in owned
    ]
    meta: dict[str, Any] = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}
    meta |= {"labels": {marks.MANAGED_LABEL: label}, "managedFields": entries}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return decoding.partial(orjson.dumps({"metadata": meta}))


class OneCopy:
    """One member's copies of one type, with one federated object and its track."""

    def __init__(self, kind: Any = CONFIGMAPS, *, pending: bool = False, tracked: bool = True) -> None:
        self.state, self.woken, self.fanout = TypeState(kind), Woken(), NoFanout()
        self.copies = self.state.copies["m1"] = Copies()
        self.sink = CopiesSink("m1", US, self.state, self.copies, wake=self.woken, fanout=self.fanout)
        self.name = ObjectName("ns", "ns" if kind.is_namespace else "web")
        self.state.objects.put(self.name, federated(self.name.name))
        self.track = Track("u", Status(), {}, Plan(1))
        if tracked:
            self.state.tracks[self.name] = self.track
        if pending:
            self.track.pending = {"m1"}

    def listed(self, *items: PartialMetadata) -> "OneCopy":
        self.sink.replace(items)
        self.woken.since()
        self.fanout.asked.clear()
        return self

    def seen(self) -> Observed:
        observed = self.copies.objects.get(ObjectName("ns", "web"))
        assert observed is not None
        return observed


OTHER_FIELDS: dict[str, Any] = {"f:data": {"f:b": {}}}


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        pytest.param(partial(version=6), [], id="somebody-elses-field"),
        pytest.param(partial(version=6, fields=OTHER_FIELDS), ["configmaps ns/web"], id="our-entry-changed"),
        pytest.param(partial(version=6, label="false"), ["configmaps ns/web"], id="managed-false"),
        pytest.param(partial(version=6, deleting=True), ["configmaps ns/web"], id="deletion-begun"),
        pytest.param(partial(version=6, uid="u2"), ["configmaps ns/web"], id="created-anew"),
        pytest.param(partial(version=4, fields=OTHER_FIELDS), [], id="older-than-what-an-answer-showed"),
        pytest.param(partial("stranger", version=6), [], id="nobodys-object"),
    ],
)
def test_what_wakes_an_object(event: PartialMetadata, keys: list[str]) -> None:
    copy = OneCopy().listed(partial())
    copy.sink.upsert(event)
    assert copy.woken.since() == keys


def test_our_own_write_coming_back_wakes_nobody() -> None:
    copy = OneCopy().listed()
    after = partial(version=6, fields=OTHER_FIELDS)
    copy.track.applied["m1"] = Applied("digest", entry_of(after))
    copy.sink.upsert(after)
    assert copy.woken.since() == []
    assert copy.seen().version == 6


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        pytest.param((), ("kubefed-99999999-claim",), True, id="claimed"),
        pytest.param(("kubefed-99999999-claim",), (), True, id="withdrawn"),
        pytest.param((), ("kubefed-99999999",), True, id="shared"),
        pytest.param(("kubefed-99999999",), (), True, id="given-up"),
        pytest.param(("kubefed-99999999",), ("kubefed-99999999-claim",), False, id="the-same-hub"),
        pytest.param(("kubefed-99999999-claim",), ("kubefed-99999999-claim", "hpa"), False, id="reported-already"),
        pytest.param((), ("hpa",), False, id="no-hub"),
    ],
)
def test_other_hubs_wake_though_nothing_of_ours_moved(
    before: tuple[str, ...], after: tuple[str, ...], woken: bool
) -> None:
    copy = OneCopy().listed(partial(others=before))
    copy.track.applied["m1"] = Applied("digest", entry_of(partial()))
    copy.sink.upsert(partial(version=6, others=after))
    assert bool(copy.woken.since()) is woken


def entry_of(item: PartialMetadata) -> str:
    from federation.core import managedfields  # noqa: PLC0415 - the same digest as the sink's

    return managedfields.observe(item, US).owned_digest


def test_while_our_write_is_under_way_the_lane_compares() -> None:
    copy = OneCopy(pending=True).listed(partial())
    copy.sink.upsert(partial(version=6, fields=OTHER_FIELDS))
    assert copy.woken.since() == []
    assert copy.seen().version == 6
    copy.sink.upsert(partial(version=7, deleting=True))
    assert copy.woken.since() == ["configmaps ns/web"]


@pytest.mark.parametrize("deleting", [True, False])
def test_gone_wakes_and_first_of_all_who_waits_for_it(deleting: bool) -> None:
    copy = OneCopy().listed(partial())
    copy.track.plan = Plan(1, deleting=deleting)
    copy.sink.remove(partial(version=7))
    assert copy.woken.since() == [f"configmaps ns/web{'!' if deleting else ''}"]
    assert copy.copies.observe(ObjectName("ns", "web")) is Missing.ABSENT
    copy.sink.remove(partial(version=7))
    assert copy.woken.since() == []


def test_a_change_there_ends_the_wait_of_what_failed_there() -> None:
    copy = OneCopy().listed(partial())
    setback = copy.track.setbacks["m1"] = Setback(PropagationStatus.UPDATE_FAILED, "no", "digest", not_before=1e9)
    copy.sink.upsert(partial(version=6, fields=OTHER_FIELDS))
    assert setback.not_before == 0.0


def test_a_first_list_tells_every_object_and_a_later_one_only_what_differs() -> None:
    copy = OneCopy()
    assert copy.copies.observe(copy.name) is Missing.UNKNOWN
    copy.sink.replace([partial()])
    assert copy.fanout.asked == ["configmaps of m1"]
    copy.listed(partial())
    copy.sink.replace([partial()])
    assert (copy.woken.since(), copy.fanout.asked) == ([], [])
    copy.sink.replace([partial(version=9)])
    assert copy.woken.since() == ["configmaps ns/web"]
    copy.sink.replace([])
    assert copy.woken.since() == ["configmaps ns/web"]
    assert copy.copies.observe(copy.name) is Missing.ABSENT


def test_a_list_is_believed_even_when_it_is_older() -> None:
    """A member restored from a backup counts from an older version on: events alone would be taken for outdated."""
    copy = OneCopy().listed(partial(version=500))
    copy.sink.upsert(partial(version=400, fields=OTHER_FIELDS))
    assert copy.seen().version == 500
    copy.sink.replace([partial(version=400, fields=OTHER_FIELDS)])
    assert copy.seen().version == 400
    assert copy.woken.since() == ["configmaps ns/web"]


def test_a_namespace_that_appears_or_goes_wakes_what_is_in_it() -> None:
    copy = OneCopy(FEDERATED_NAMESPACES).listed()
    copy.sink.upsert(partial("ns", namespace=""))
    copy.sink.upsert(partial("ns", namespace="", version=6))
    copy.sink.remove(partial("ns", namespace="", version=7))
    assert copy.fanout.asked == ["in ns", "in ns"]


def test_an_object_that_was_not_planned_yet_is_woken_too() -> None:
    copy = OneCopy(tracked=False).listed()
    copy.sink.upsert(partial())
    assert copy.woken.since() == ["configmaps ns/web"]


def test_the_gauges_count_what_is_there() -> None:
    """By type and by cluster, counted when they are asked for: answers to our own writes put objects in, too."""

    def gauge() -> int:
        world = World(types={"configmaps": copy.state})
        assert world.placements("m1") == copy.state.placements
        return copy.state.placements

    copy = OneCopy().listed(partial())
    assert gauge() == 1
    copy.copies.objects.put(ObjectName("ns", "two"), copy.seen())  # an answer to our write
    copy.sink.upsert(partial("two"))
    assert gauge() == 2
    copy.sink.remove(partial())
    copy.sink.remove(partial())
    assert gauge() == 1


# --- many at once ---------------------------------------------------------------------------------------------------


def fleet(objects: int) -> tuple[World, Woken, Fanout]:
    world, woken = World(), Woken()
    for kind in (CONFIGMAPS, FEDERATED_NAMESPACES):
        state = world.types[kind.name] = TypeState(kind)
        for number in range(objects):
            name = ObjectName(f"ns-{number % 2}", f"web-{number}")
            state.objects.put(name, federated(name.name, name.namespace))
    world.members = {name: Member(Cluster(name)) for name in ("m1", "m2")}
    return world, woken, Fanout(world, woken)


@virtual
async def test_many_reasons_of_one_moment_wake_each_object_once() -> None:
    _, woken, fanout = fleet(4)
    for _ in range(100):
        fanout.everything()
    assert woken.since() == []
    await asyncio.sleep(LONGEST_MOMENT)
    assert len(woken.keys) == len(set(woken.keys)) == 8
    assert not fanout._due
    woken.since()
    fanout.everything()
    await asyncio.sleep(LONGEST_MOMENT)
    assert len(woken.since()) == 8


@virtual
async def test_a_namespace_wakes_what_is_in_it_and_namespaced() -> None:
    _, woken, fanout = fleet(4)
    fanout.namespace("ns-1")
    fanout.whole_type("unknown")
    await asyncio.sleep(LONGEST_MOMENT)
    assert sorted(woken.since()) == ["configmaps ns-1/web-1!", "configmaps ns-1/web-3!"]


@virtual
async def test_what_went_meanwhile_is_not_woken() -> None:
    world, woken, fanout = fleet(4)
    fanout.everything()
    del world.types[CONFIGMAPS.name]
    await asyncio.sleep(LONGEST_MOMENT)
    assert {key.partition(" ")[0] for key in woken.since()} == {FEDERATED_NAMESPACES.name}


def test_any_change_is_a_change() -> None:
    changes: list[int] = []
    sink = ChangeSink(lambda: changes.append(1))
    sink.replace([])
    sink.upsert(Metadata(name="a"))
    sink.remove(Metadata(name="a"))
    assert len(changes) == 3
