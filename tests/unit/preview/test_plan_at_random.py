"""On random objects and fleets: what a plan says is what the controller then does, object by object, and nothing else.

The plan is made by the code of `fedctl plan` on the fakes; then the same change is made at the hub, and the controller
itself brings it to the members. What became of every object in every member is compared with what was said.
"""

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName, Resource
from federation.preview.changes import WRITES, Kind
from tests.fakehub import FakeHub
from tests.fakes import FakeMember
from tests.ownership import Stored
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, Rig
from tests.unit.preview import stage
from tests.unit.virtualtime import settle, virtual

MEMBERS = ("m1", "m2", "m3")
NAMES = (ObjectName("ns", "web"), ObjectName("ns", "db"))
TYPES = (FEDERATED_NAMESPACES, CONFIGMAPS)
LONG = 120.0
"""Seconds within which the controller has done everything."""
ALIKE = {
    Kind.CREATE: {"create"},
    Kind.ADOPT: {"create"},
    Kind.CHANGE: {"change", "create"},
    Kind.RECREATE: {"change"},
    Kind.DELETE: {"delete"},
    Kind.RELEASE: {"release", "delete"},
}
"""What may be expected of a member that does not answer where this is done in the end."""
ANOTHER_HUB = "kubefed-ffffffff"
REFUSED = Failure(FailureKind.DENIED, "no more than five of them", 403)

State = dict[tuple[str, ObjectName, str], Stored]

EVERYWHERE = {"clusters": [{"name": each} for each in MEMBERS], "clusterSelector": None}
PLACES = st.one_of(
    st.just(EVERYWHERE),
    st.frozensets(st.sampled_from(MEMBERS)).map(
        lambda names: {"clusters": [{"name": each} for each in sorted(names)], "clusterSelector": None}
    ),
    st.sampled_from(["eu", "us"]).map(
        lambda region: {"clusters": None, "clusterSelector": {"matchLabels": {"region": region}}}
    ),
)
CONTENTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), min_size=1, max_size=3)
NOTES = st.lists(
    st.sampled_from(
        [
            (marks.ORPHAN_ANNOTATION, "true"),
            (marks.RECREATE_ANNOTATION, "true"),
            (marks.TAKEOVER_ANNOTATION, "IfNoDiff"),
            (marks.TAKEOVER_ANNOTATION, "Never"),
            (marks.DRIFT_ANNOTATION, "Report"),
            (marks.DELETION_ANNOTATION, "Orphan"),
            (marks.DELETION_ANNOTATION, "Never"),  # which is none
        ]
    ),
    max_size=2,
).map(dict)
OBJECTS = st.fixed_dictionaries({"place": PLACES, "data": CONTENTS, "immutable": st.booleans(), "notes": NOTES})
ONE_OR_NONE = st.sampled_from([None, *MEMBERS])
PLACE = st.tuples(st.sampled_from(NAMES), st.sampled_from(MEMBERS))
OVERRIDES = st.sampled_from([None, "m1", "m2"])
FLEETS = st.fixed_dictionaries(
    {
        "regions": st.tuples(*[st.sampled_from(["eu", "us"]) for _ in MEMBERS]),
        "space": PLACES,
        "objects": st.dictionaries(st.sampled_from(NAMES), OBJECTS, min_size=1, max_size=2),
        "strangers": st.dictionaries(PLACE, st.tuples(CONTENTS, st.booleans()), max_size=3),
        "drifts": st.dictionaries(PLACE, CONTENTS, max_size=2),
    }
)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(NAMES), OBJECTS, OVERRIDES),
        st.tuples(st.just("edit"), st.sampled_from(NAMES), CONTENTS, NOTES),
        st.tuples(st.just("delete"), st.sampled_from(NAMES)),
        st.tuples(st.just("space"), PLACES),
        st.tuples(st.just("unfederate")),
        st.tuples(st.just("relabel"), st.sampled_from(MEMBERS), st.sampled_from(["eu", "us"])),
        st.tuples(st.just("cordon"), st.sampled_from(MEMBERS)),
    ),
    min_size=1,
    max_size=3,
)


def put(hub: FakeHub, name: ObjectName, wanted: Mapping[str, Any], override: str | None = None) -> None:
    template: dict[str, Any] = {"data": dict(wanted["data"])}
    if wanted["immutable"]:
        template["immutable"] = True
    changes = [{"clusterName": override, "clusterOverrides": [{"path": "/data", "value": {"own": override}}]}]
    # A PUT: what is not in the document is gone.
    hub.put(CONFIGMAPS.federated, name, spec=None, metadata={"annotations": None})
    spec = {"template": template, "placement": wanted["place"], **({"overrides": changes} if override else {})}
    hub.put(CONFIGMAPS.federated, name, spec=spec, metadata={"annotations": dict(wanted["notes"])})


def change(hub: FakeHub, each: tuple[Any, ...]) -> tuple[Resource, ObjectName]:
    """Make one change at the hub; what it is of."""
    match each:
        case "put", name, wanted, override:
            put(hub, name, wanted, override)
            return CONFIGMAPS.federated, name
        case "edit", name, data, notes:
            stored = hub.get(CONFIGMAPS.federated, name)
            if stored is not None:
                template = {**stored["spec"]["template"], "data": None}
                hub.put(CONFIGMAPS.federated, name, spec={"template": template}, metadata={"annotations": None})
                hub.put(CONFIGMAPS.federated, name, spec={"template": {"data": data}}, metadata={"annotations": notes})
            return CONFIGMAPS.federated, name
        case "delete", name:
            if hub.get(CONFIGMAPS.federated, name) is not None:
                hub.delete(CONFIGMAPS.federated, name)
            return CONFIGMAPS.federated, name
        case "space", place:
            hub.put(FEDERATED_NAMESPACES.federated, NS, spec={"placement": place})
            return FEDERATED_NAMESPACES.federated, NS
        case ("unfederate",):
            if hub.get(FEDERATED_NAMESPACES.federated, NS) is not None:
                hub.delete(FEDERATED_NAMESPACES.federated, NS)
            return FEDERATED_NAMESPACES.federated, NS
        case "relabel", member, region:
            name = ObjectName(marks.SYSTEM_NAMESPACE, member)
            hub.put(KUBEFED_CLUSTERS, name, metadata={"labels": {"region": region}})
            return KUBEFED_CLUSTERS, name
        case "cordon", member:
            name = ObjectName(marks.SYSTEM_NAMESPACE, member)
            hub.put(KUBEFED_CLUSTERS, name, metadata={"annotations": {marks.CORDON_ANNOTATION: "true"}})
            return KUBEFED_CLUSTERS, name
    raise AssertionError(each)


def state(members: Mapping[str, FakeMember]) -> State:
    """Everything that all members have."""
    return {
        (qualified, where, name): copy.deepcopy(stored)
        for name, member in members.items()
        for (qualified, where), stored in member.objects.items()
    }


def became(before: Stored | None, after: Stored | None) -> Kind | None:
    """What was done to one object."""
    label = ("metadata", "labels", marks.MANAGED_LABEL)
    if before is None:
        return Kind.CREATE if after is not None else None
    if after is None:
        return Kind.DELETE
    if before.uid != after.uid:
        return Kind.RECREATE
    ours, is_ours = (each.values.get(label) == "true" for each in (before, after))
    if ours != is_ours:
        return Kind.RELEASE if ours else Kind.ADOPT
    content = [
        {path: value for path, value in each.values.items() if path[0] != "metadata"} for each in (before, after)
    ]
    return Kind.CHANGE if content[0] != content[1] else None


def taken_over(rig: Rig) -> None:
    """The controller learns of what became of the KubeFedClusters."""
    for name in MEMBERS:
        stored = rig.hub.get(KUBEFED_CLUSTERS, ObjectName(marks.SYSTEM_NAMESPACE, name))
        assert stored is not None
        cordon = (stored["metadata"].get("annotations") or {}).get(marks.CORDON_ANNOTATION)
        rig.take_in(name, labels=dict(stored["metadata"]["labels"]), cordon="" if cordon else None)


def twin(hub: FakeHub) -> FakeHub:
    """The hub's storage, of which nobody is told."""
    made = FakeHub()
    made.restore(hub.snapshot(), bump=1_000)
    return made


@settings(max_examples=250, deadline=None)
@given(fleet=FLEETS, changes=CHANGES, refused=ONE_OR_NONE, silent=ONE_OR_NONE)
def test_what_is_planned_is_what_is_done(
    fleet: Mapping[str, Any], changes: list[tuple[Any, ...]], refused: str | None, silent: str | None
) -> None:
    compare(fleet, changes, refused, silent)


@virtual
async def compare(
    fleet: Mapping[str, Any], changes: list[tuple[Any, ...]], refused: str | None, silent: str | None
) -> None:
    rig = Rig(*MEMBERS, types=TYPES)
    rig.members = {name: FakeMember(namespaces=()) for name in MEMBERS}
    async with rig:
        await begin(rig, fleet)
        if refused is not None:
            rig.members[refused].fails = lambda verb, name: REFUSED if "apply" in verb and name.name == "db" else None
        later = twin(rig.hub)
        concerned = dict.fromkeys(change(later, each) for each in changes)
        wishes = [stage.wish(rig.hub, later, resource, name) for resource, name in concerned]
        before = state(rig.members)
        away = frozenset({silent} if silent else ())
        said = await stage.plan(rig.hub, wishes, TYPES, rig.members, silent=away)
        assert state(rig.members) == before, "a plan writes nothing"

        for each in changes:
            change(rig.hub, each)
        taken_over(rig)
        await asyncio.sleep(LONG)
        after = state(rig.members)
        check(said, before, after, rig, away)


async def begin(rig: Rig, fleet: Mapping[str, Any]) -> None:
    """The fleet as it is before the change, with nothing left to do."""
    for name, region in zip(MEMBERS, fleet["regions"], strict=True):
        rig.see(name, labels={"region": region})
    rig.hub.put(FEDERATED_NAMESPACES.federated, NS, spec={"placement": fleet["space"]})
    for (name, member), (data, of_another_hub) in fleet["strangers"].items():
        rig.members[member].namespaces.add("ns")
        if of_another_hub:
            labels = {"metadata": {"labels": {marks.MANAGED_LABEL: "true"}}, "data": data}
            await rig.members[member].apply(
                CONFIGMAPS.target, name, orjson.dumps(labels), force=True, manager=ANOTHER_HUB
            )
        else:
            rig.members[member].post(CONFIGMAPS.target, name, {"data": data})
    for name, wanted in fleet["objects"].items():
        put(rig.hub, name, wanted)
    await settle()
    await asyncio.sleep(LONG)
    for (name, member), data in fleet["drifts"].items():
        if (CONFIGMAPS.target.qualified, name) in rig.members[member].objects:
            rig.members[member].post(CONFIGMAPS.target, name, {"data": data})
    await asyncio.sleep(LONG)


def check(said: stage.Found, before: State, after: State, rig: Rig, away: frozenset[str]) -> None:
    """Compare, for every object in every member."""
    of_type = {each.target.qualified: each for each in TYPES}
    done: dict[tuple[str, ObjectName, str], Kind] = {}
    for qualified, where, member in {*before, *after}:
        found = became(before.get((qualified, where, member)), after.get((qualified, where, member)))
        if found is not None:
            enabled: FederatedType = of_type[qualified]
            name = ObjectName(where.name, where.name) if enabled.is_namespace else where
            done[enabled.name, name, member] = found
    expected = {what: each.kind for what, each in said.items() if each.kind in WRITES and each.kind is not Kind.CLAIM}
    unknown = {what: each.expected for what, each in said.items() if each.kind is Kind.UNKNOWN}
    for what in [each for each in done if each[2] in away]:
        # By what the hub has on record, which knows nothing of strangers.
        assert unknown.get(what) in ALIKE[done.pop(what)], (what, unknown)
    assert not away or all(what[2] not in away for what in expected), "nothing else is said of who does not answer"
    assert done == expected, {what: rig.lines(what[1], _type(what[0])) for what in {*done, *expected}}
    for what, each in said.items():
        if each.kind is Kind.CHANGE:
            kind, name, member = what
            assert kind == CONFIGMAPS.name
            old, new = (found["configmaps", name, member].values for found in (before, after))
            differing = {path for path in {*old, *new} if path[0] != "metadata" and old.get(path) != new.get(path)}
            outermost = {f".{path[0]}" for path in differing}
            shown = {field.path for field in each.fields}
            assert {f".{path.split('.')[1]}" for path in shown} == outermost, (shown, differing)


def _type(name: str) -> FederatedType:
    return next(each for each in TYPES if each.name == name)
