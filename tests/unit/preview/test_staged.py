"""Under a staged rollout: what a plan says is what the controller then does at once, and what waits for which stage."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.model import marks
from federation.model.federated import FederatedType
from federation.model.resources import KUBEFED_CLUSTERS, REVISIONS, ROLLOUTS, ObjectName, Resource
from federation.model.rollouts import Entry, Place, Record, Released, Revision, Stage, Verdict, Window, Wish
from federation.preview import staged
from federation.preview.changes import WRITES, Change, Kind
from federation.preview.hub import Hub
from tests.fakehub import FakeHub
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB
from tests.unit.controllers.test_staged_rollouts import LABEL, ROLLOUT, A, Staged
from tests.unit.preview import stage
from tests.unit.preview.test_plan_at_random import became, state, taken_over, twin
from tests.unit.virtualtime import virtual

# --- what is decided --------------------------------------------------------------------------------------------------

SAFE = ObjectName("shop", "safe")
NOW = 1_800_000_000.0
"""A Friday, 08:00 UTC."""
CANARY = Stage("canary", names=("m1",), soak=600.0)
EUROPE = Stage("europe", selector={"matchLabels": {"region": "eu"}}, approval=True)
NOBODY = Stage("nobody", names=("m9",))
SATURDAYS = Window(frozenset({5}), 0, 60)
OLD, NEW = Entry("configmaps", "web", "u", "old"), Entry("configmaps", "web", "u", "new")
NEVER = Record()
GOOD = Record((Revision(1, Verdict.GOOD, objects=(OLD,)),), good=1)
RUNNING = Record(
    (*GOOD.revisions, Revision(2, Verdict.RUNNING, objects=(NEW,))),
    good=1,
    target=2,
    released=(Released("m1", 2),),
    stage="canary",
    begun="2027-01-15T07:00:00Z",
)
SOAKED = Record(
    RUNNING.revisions, 1, 2, RUNNING.released, "canary", "2027-01-15T07:00:00Z", healthy_since="2027-01-15T07:00:10Z"
)
REJECTED = Record((*GOOD.revisions, Revision(2, Verdict.REJECTED, objects=(NEW,))), good=1)
PLACES = {
    name: Place(name, {"region": region}, copies=True)
    for name, region in (("m1", "eu"), ("m2", "eu"), ("m3", "us"), ("m4", "us"))
}
NO_COPIES = {name: replace(each, copies=False) for name, each in PLACES.items()}
OLDER = {name: replace(each, older=True) for name, each in PLACES.items()}
STAGE = "waits for stage {} of FederatedRollout shop/safe"
BEHIND = {"m2": "europe", "m3": "rest", "m4": "rest"}
"""What each cluster waits for, once the canary is released."""


def wish(*stages: Stage, content: Entry = NEW, **more: Any) -> Wish:
    return Wish(stages=stages or (CANARY, EUROPE), objects=(content,), **more)


@pytest.mark.parametrize(
    ("asked", "record", "places", "released", "waits"),
    [
        pytest.param(wish(), GOOD, PLACES, {"m1"}, BEHIND, id="a-change"),
        pytest.param(wish(content=OLD), GOOD, PLACES, set(), {}, id="no-change"),
        pytest.param(wish(), RUNNING, PLACES, {"m1"}, BEHIND, id="under-way"),
        pytest.param(wish(content=OLD), RUNNING, PLACES, set(), {}, id="a-revert"),
        pytest.param(wish(), SOAKED, PLACES, {"m1", "m2"}, {"m3": "rest", "m4": "rest"}, id="the-soak-is-over"),
        pytest.param(
            wish(replace(CANARY, soak=0.0, tolerate=1), EUROPE),
            GOOD,
            PLACES,
            {"m1", "m2"},
            {"m3": "rest", "m4": "rest"},
            id="a-canary-that-may-be-unwell",
        ),
        pytest.param(
            wish(replace(CANARY, windows=(SATURDAYS,)), EUROPE),
            GOOD,
            PLACES,
            set(),
            {"m1": "canary", **BEHIND},
            id="outside-its-window",
        ),
        pytest.param(
            wish(CANARY, replace(EUROPE, windows=(SATURDAYS,))), GOOD, PLACES, {"m1"}, BEHIND, id="a-later-one"
        ),
        pytest.param(wish(), NEVER, NO_COPIES, {"m1"}, BEHIND, id="a-new-object"),
        pytest.param(wish(), NEVER, PLACES, set(), {}, id="the-label-on-what-is-spread"),
        pytest.param(wish(), NEVER, OLDER, {"m1"}, BEHIND, id="the-label-with-a-change"),
        pytest.param(
            wish(Stage("first", selector={}, amount=None, soak=1.0)), GOOD, PLACES, set(PLACES), {}, id="all-at-once"
        ),
    ],
)
def test_who_is_released_now_and_what_the_others_wait_for(
    asked: Wish, record: Record, places: Mapping[str, Place], released: set[str], waits: Mapping[str, str]
) -> None:
    found = staged.decide(SAFE, asked, record, places, NOW)
    target = found.record.target
    assert {name for name, number in found.record.holds.items() if target and number == target} == released
    closed = found.record.stage if asked.stages[0].windows else ""
    expected = {name: STAGE.format(each) for name, each in waits.items()}
    assert found.waits == {
        name: f"{text}, and its next window" if waits[name] == closed else text for name, text in expected.items()
    }


@pytest.mark.parametrize(
    ("asked", "record", "released", "why"),
    [
        pytest.param(wish(paused=True), GOOD, set(), "FederatedRollout shop/safe, which is paused", id="paused"),
        pytest.param(wish(undone=2), REJECTED, set(), "revision 2 was taken back", id="undone"),
        pytest.param(wish(NOBODY), GOOD, set(), "stage nobody selects no cluster", id="nobody-first"),
        pytest.param(wish(CANARY, NOBODY), GOOD, {"m1"}, "stage nobody selects no cluster", id="nobody-behind-it"),
    ],
)
def test_what_stands_in_the_way_of_all_others(asked: Wish, record: Record, released: set[str], why: str) -> None:
    found = staged.decide(SAFE, asked, record, PLACES, NOW)
    assert found.record.holds.keys() == released
    assert found.waits == {}
    assert why in found.why("m3")


# --- compared with the controller -------------------------------------------------------------------------------------

MEMBERS = ("m1", "m2", "m3")
TYPES = (FEDERATED_NAMESPACES, CONFIGMAPS)
SHORT = 10.0
"""Seconds within which the controller has done what it does at once; no gate opens in them."""
SOAK = {"soak": "1h"}
STAGES: list[list[dict[str, Any]]] = [
    [{"name": "canary", "clusters": ["m1"], "gates": SOAK}],
    [
        {"name": "canary", "clusters": ["m2"], "gates": {"approval": True}},
        {"name": "half", "clusterSelector": {"matchLabels": {"region": "eu"}}, "amount": "50%", "gates": SOAK},
    ],
    [{"name": "canary", "clusterSelector": {}, "amount": 1, "gates": SOAK}],
    [{"name": "canary", "clusters": ["m1"], "gates": {"approval": True}}, {"name": "nobody", "clusters": ["m9"]}],
]
STEPS = st.one_of(
    st.tuples(st.just("data"), st.sampled_from("ABC")),
    st.tuples(st.just("place"), st.frozensets(st.sampled_from(MEMBERS), min_size=1)),
    st.tuples(st.just("paused"), st.booleans()),
    st.tuples(st.just("stages"), st.sampled_from(STAGES)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("approve")),
    st.tuples(st.just("label"), st.booleans()),
    st.tuples(st.just("relabel"), st.sampled_from(MEMBERS), st.sampled_from(["eu", "us"])),
)


def step(hub: FakeHub, each: tuple[Any, ...]) -> tuple[Resource, ObjectName]:
    """One thing that a user does at the hub; what it is of."""
    record = (hub.get(ROLLOUTS, ROLLOUT) or {}).get("status", {}).get("record", {})
    number = record.get("target") or record.get("good") or 0
    match each:
        case "data", value:
            hub.put(CONFIGMAPS.federated, WEB, spec={"template": {"data": {"a": value}}})
        case "place", names:
            placement = {"clusters": [{"name": name} for name in sorted(names)]}
            hub.put(CONFIGMAPS.federated, WEB, spec={"placement": placement})
        case "label", there:
            label = {marks.ROLLOUT_LABEL: "safe" if there else None}
            hub.put(CONFIGMAPS.federated, WEB, metadata={"labels": label})
        case "relabel", member, region:
            name = ObjectName(marks.SYSTEM_NAMESPACE, member)
            hub.put(KUBEFED_CLUSTERS, name, metadata={"labels": {"region": region}})
            return KUBEFED_CLUSTERS, name
        case "paused" | "stages", value:
            hub.put(ROLLOUTS, ROLLOUT, spec={each[0]: value})
            return ROLLOUTS, ROLLOUT
        case ("undo",):
            hub.put(ROLLOUTS, ROLLOUT, metadata={"annotations": {marks.UNDONE_ANNOTATION: str(number)}})
            return ROLLOUTS, ROLLOUT
        case ("approve",):
            text = f"{number}/{record.get('stage')}"
            hub.put(ROLLOUTS, ROLLOUT, metadata={"annotations": {marks.APPROVED_ANNOTATION: text}})
            return ROLLOUTS, ROLLOUT
    return CONFIGMAPS.federated, WEB


@settings(max_examples=120, deadline=None)
@given(
    stages=st.sampled_from(STAGES),
    before=st.lists(STEPS, max_size=2),
    planned=st.lists(STEPS, min_size=1, max_size=2),
    regions=st.tuples(*[st.sampled_from(["eu", "us"]) for _ in MEMBERS]),
)
def test_what_is_planned_is_what_is_done(
    stages: list[dict[str, Any]],
    before: list[tuple[Any, ...]],
    planned: list[tuple[Any, ...]],
    regions: tuple[str, ...],
) -> None:
    compare(stages, before, planned, regions)


@virtual
async def compare(
    stages: list[dict[str, Any]],
    before: list[tuple[Any, ...]],
    planned: list[tuple[Any, ...]],
    regions: tuple[str, ...],
) -> None:
    rig = Staged(*MEMBERS, types=TYPES)
    rig.members = {name: FakeMember(namespaces=()) for name in MEMBERS}
    async with rig:
        await spread(rig, stages, regions)
        for each in before:
            step(rig.hub, each)
            taken_over(rig)
            await asyncio.sleep(60)
        later = twin(rig.hub)
        concerned = dict.fromkeys(step(later, each) for each in planned)
        wishes = [stage.wish(rig.hub, later, resource, name) for resource, name in concerned]
        old = state(rig.members)
        said = await stage.plan(rig.hub, wishes, TYPES, rig.members, pending=True, now=time.time())
        assert state(rig.members) == old, "a plan writes nothing"

        for each in planned:
            step(rig.hub, each)
        taken_over(rig)
        await asyncio.sleep(SHORT)
        check(rig, {name: said.get((CONFIGMAPS.name, WEB, name)) for name in MEMBERS}, old, concerned)


async def spread(rig: Staged, stages: list[dict[str, Any]], regions: tuple[str, ...]) -> None:
    """A is everywhere, as the first good revision."""
    for name, region in zip(MEMBERS, regions, strict=True):
        rig.see(name, labels={"region": region})
    rig.put(NS, clusters=MEMBERS, enabled=FEDERATED_NAMESPACES)
    rig.put(template=A)
    await asyncio.sleep(60)
    rig.ask(stages)
    rig.put(template=A, metadata=LABEL)
    await asyncio.sleep(60)
    assert (rig.state, rig.values, rig.record["good"]) == ("Complete", ("A", "A", "A"), 1)


def check(
    rig: Staged, said: Mapping[str, Change | None], before: Any, concerned: Mapping[tuple[Resource, ObjectName], None]
) -> None:
    """Compare, in every member."""
    after, document = state(rig.members), rig.hub.get(CONFIGMAPS.federated, WEB)
    assert document is not None
    wanted = document["spec"]["template"]["data"]["a"]
    placed = {each["name"] for each in document["spec"]["placement"]["clusters"]}
    for name, change in said.items():
        what = ("configmaps", WEB, name)
        done = became(before.get(what), after.get(what))
        writes = change.kind if change is not None and change.kind in WRITES else None
        assert done == writes, (name, change, rig.record, rig.state)
        behind = name in placed and rig.data(name) != wanted if what in after else name in placed
        if behind and (CONFIGMAPS.federated, WEB) in concerned:
            assert change is not None, (name, rig.record)
            assert "FederatedRollout" in change.message, (name, change)
            assert change.kind is Kind.WAIT or writes is not None, (name, change)
            assert change.kind is not Kind.WAIT or change.expected in {Kind.CREATE, Kind.CHANGE}


@pytest.mark.parametrize("stages", STAGES, ids=["canary", "two", "any-one", "nobody-second"])
@pytest.mark.parametrize("before", [[], [("undo",)], [("undo",), ("data", "D")]], ids=["mid-run", "undone", "again"])
@pytest.mark.parametrize("kept", [True, False], ids=["contents", "no-contents"])
@pytest.mark.parametrize("value", ["A", "B", "C"])
@virtual
async def test_a_record_that_is_lost_is_made_anew_in_the_plan_as_by_a_controller_that_starts(
    *, stages: list[dict[str, Any]], before: list[tuple[Any, ...]], kept: bool, value: str
) -> None:
    """While no controller runs the status is emptied, and somebody plans a change, applies it and starts one."""
    rig = Staged(*MEMBERS, types=TYPES)
    rig.members = {name: FakeMember(namespaces=()) for name in MEMBERS}
    async with rig:
        await spread(rig, stages, ("eu", "eu", "us"))
        for each in [("data", "B"), *before]:
            step(rig.hub, each)
            await asyncio.sleep(30)
    rig.hub.put(ROLLOUTS, ROLLOUT, status=None)
    for what in [each for each in rig.hub.objects if not kept and each[0] == REVISIONS.qualified]:
        del rig.hub.objects[what]
    later, old = twin(rig.hub), state(rig.members)
    concerned = {step(later, ("data", value)): None}
    wishes = [stage.wish(rig.hub, later, CONFIGMAPS.federated, WEB)]
    said = await stage.plan(rig.hub, wishes, TYPES, rig.members, pending=True, now=time.time())
    step(rig.hub, ("data", value))
    async with Staged(*MEMBERS, types=TYPES, after=rig) as again:
        await asyncio.sleep(SHORT)
        check(again, {name: said.get((CONFIGMAPS.name, WEB, name)) for name in MEMBERS}, old, concerned)


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "unread", "waiting", "why"),
    [
        pytest.param(REVISIONS, "", {"m2", "m3"}, "waits for stage rest", id="what-it-is-held-to-is-gone"),
        pytest.param(ROLLOUTS, "", set(MEMBERS), "there is no FederatedRollout ns/safe", id="its-rollout-is-gone"),
        pytest.param(None, "is forbidden", set(MEMBERS), "cannot be read: is forbidden", id="no-right-to-read-it"),
    ],
)
@virtual
async def test_who_is_not_known_to_be_released_waits(
    monkeypatch: pytest.MonkeyPatch, gone: Resource | None, unread: str, waiting: set[str], why: str
) -> None:
    rig = Staged(*MEMBERS, types=TYPES)
    rig.members = {name: FakeMember(namespaces=()) for name in MEMBERS}
    async with rig:
        await spread(rig, STAGES[0], ("eu", "eu", "us"))
        later = twin(rig.hub)
        step(later, ("data", "B"))
        wishes = [stage.wish(rig.hub, later, CONFIGMAPS.federated, WEB)]
        for what in [each for each in rig.hub.objects if gone is not None and each[0] == gone.qualified]:
            del rig.hub.objects[what]
        read = stage.snapshot

        def snapshot(hub: FakeHub, types: Sequence[FederatedType]) -> Hub:
            return replace(read(hub, types), unread={ROLLOUT: unread} if unread else {})

        monkeypatch.setattr(stage, "snapshot", snapshot)
        said = await stage.plan(rig.hub, wishes, TYPES, rig.members)
        held = {cluster: each for (_, _, cluster), each in said.items() if each.kind is Kind.WAIT}
        assert held.keys() == waiting
        assert {each.expected for each in held.values()} == {Kind.CHANGE}
        assert all(why in each.message for each in held.values())
