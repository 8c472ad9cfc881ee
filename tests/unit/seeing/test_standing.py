"""On random objects and fleets, which the controller has brought to its members: what explain and diff say of them is
what the controller goes by, and neither writes anything."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings

from federation.core import differences
from federation.model import marks
from federation.model.plan import Keep
from federation.model.resources import Key, ObjectName
from federation.preview.changes import Kind
from federation.preview.rehearsing import Stage
from federation.seeing import diffing, explaining, selection
from federation.seeing.diffing import Compared
from federation.seeing.explaining import Known
from federation.seeing.standing import Outlook, Standing
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, NS, Rig
from tests.unit.preview import stage as stages
from tests.unit.preview.test_plan_at_random import FLEETS, MEMBERS, TYPES, begin, state
from tests.unit.virtualtime import virtual


async def standings(rig: Rig, outlook: Outlook, key: Key) -> dict[str, Standing]:
    """How an object stands in every cluster that is concerned."""
    found = {}
    for name in outlook.concerned(key):
        member = rig.members[name]
        stage = Stage(name, stages.DryFake(member), own=False, sides={})
        (found[name],) = await outlook.look(stage, [key], stages.FakeObserver(member))
    return found


def keys(fleet: Mapping[str, Any]) -> list[Key]:
    return [Key(CONFIGMAPS.name, *name) for name in fleet["objects"]]


@settings(max_examples=40, deadline=None)
@given(fleet=FLEETS)
def test_what_is_said_is_what_the_controller_goes_by(fleet: Mapping[str, Any]) -> None:
    compare(fleet)


@virtual
async def compare(fleet: Mapping[str, Any]) -> None:
    rig = Rig(*MEMBERS, types=TYPES)
    rig.members = {name: FakeMember(namespaces=()) for name in MEMBERS}
    async with rig:
        await begin(rig, fleet)
        before = state(rig.members)
        hub = stages.snapshot(rig.hub, TYPES)
        for key in keys(fleet):
            await explained(rig, Outlook.of(hub), key)
            await differs(rig, Outlook.of(hub, anew=True), key)
        assert state(rig.members) == before, "nothing is written"


async def explained(rig: Rig, outlook: Outlook, key: Key) -> None:
    found = await standings(rig, outlook, key)
    track = rig.world.types[key.type].tracks[ObjectName(key.namespace, key.name)]
    assert track.plan is not None
    space = outlook.world.types[marks.NAMESPACE_TYPE].objects.get(NS)
    chosen = selection.of(outlook.facts(key), space)
    valid = not track.plan.reason
    if valid:
        assert {name for name, each in chosen.items() if each.selected} == track.plan.selected
    stored = rig.hub.get(CONFIGMAPS.federated, ObjectName(key.namespace, key.name))
    assert stored is not None
    document = explaining.document(Known(outlook, key, stored, standings=found), MEMBERS)
    told = {each["cluster"]: each for each in document["clusters"]}
    for name, standing in found.items():
        if valid and isinstance(track.actions.get(name), Keep):
            assert told[name]["now"]["change"] == "none", told[name]
            assert "different" not in told[name]
        for each in told[name].get("different", ()):
            assert each["why"]
        assert (standing.made is not None) is ("manifest" in told[name]) or chosen[name].selected is False


async def differs(rig: Rig, outlook: Outlook, key: Key) -> None:
    """A pair is found where what is there is not what should be, and nowhere else."""
    compared = Compared()
    found = await standings(rig, outlook, key)
    for standing in found.values():
        diffing.take(outlook, standing, compared)
    pairs = {each.name.partition(".")[0] for each in compared.pairs}
    for name, standing in found.items():
        stored = rig.members[name].objects.get((CONFIGMAPS.target.qualified, ObjectName(key.namespace, key.name)))
        data = {path: value for path, value in (stored.values if stored else {}).items() if path[0] == "data"}
        if standing.made is not None and standing.change is not None and standing.change.kind is Kind.CREATE:
            assert name in pairs
            assert stored is None
        elif standing.change is None and stored is not None and standing.made is not None:
            assert name not in pairs
            sent = {("data", field): value for field, value in standing.made.body.get("data", {}).items()}
            assert sent.items() <= data.items(), "what others add is theirs"
        elif standing.change is not None and standing.change.kind in {Kind.CHANGE, Kind.ADOPT, Kind.DELETE}:
            assert name in pairs


def test_what_is_compared_of_an_object() -> None:
    one = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x", "uid": "1"}, "data": {"a": "b"}}
    same = {**one, "metadata": {"name": "x", "uid": "2", "managedFields": [], "generation": 4}, "status": {"s": 1}}
    assert diffing.pair("m1", one, same, secret=False) is None
    found = diffing.pair("m1", one, None, secret=False)
    assert found is not None
    assert found.name == "m1.v1.ConfigMap.x"
    assert found.after is None
    long = {**one, "metadata": {"name": "x" * 300, "namespace": "a/b"}}
    made = diffing.pair("m1", None, long, secret=False)
    assert made is not None
    assert len(made.name) < 255
    assert "/" not in made.name
    assert differences.of_objects(one, same) == ()
