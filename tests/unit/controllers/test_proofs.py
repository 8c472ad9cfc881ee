"""Before something is removed from a member the hub is asked; what it says decides, whatever is remembered."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest

from federation.controllers import proofs, readings
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, TYPE_CONFIGS, Key, ObjectName
from federation.runtime.store import Store
from tests.fakehub import Contact
from tests.unit.controllers.rig import CONFIGMAPS, DATA, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

AWAY = Failure(FailureKind.UNREACHABLE, "connection refused")
UNSERVED = Failure(FailureKind.TYPE_MISSING, "404: not served", 404)
NAMELESS = Failure(FailureKind.NOT_FOUND, "404 of a proxy", 404)
LOST = Failure(FailureKind.UNREACHABLE, "gone")


async def away_then(rig: Rig, change: Callable[[], object], back: Callable[[], object]) -> None:
    """A change is observed while m1 is away; it is taken back while nobody is told; then m1 answers."""
    rig.see("m1", ready=False, message="away")
    await settle()
    change()
    await settle()
    rig.hub.delay_events = True
    rig.contact.lose()
    back()
    rig.quiet()
    rig.hub.reads.clear()
    rig.see("m1", ready=True)
    await settle()
    await asyncio.sleep(5.0)


def place(rig: Rig, *clusters: str, name: ObjectName = WEB, enabled: Any = CONFIGMAPS) -> None:
    rig.put(name, clusters=clusters, enabled=enabled, template=DATA if enabled is CONFIGMAPS else None)


def removed(rig: Rig, member: str = "m1") -> list[str]:
    return [what for what, _ in rig.members[member].proven]


def asked(rig: Rig, name: ObjectName = WEB) -> int:
    """How often the hub was asked for a federated ConfigMap."""
    return rig.hub.reads.count(f"federatedconfigmaps {name}")


# --- what the hub says otherwise


@virtual
async def test_an_objects_placement_is_taken_back() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        await away_then(rig, lambda: place(rig, "m2"), lambda: place(rig, "m1", "m2"))
        assert removed(rig) == []
        assert rig.data("m1") == "b"
        rig.hub.deliver()
        rig.contact.regain()
        await settle()
        assert removed(rig) == []
        assert rig.lines() == {"m1": "", "m2": ""}


@virtual
async def test_a_namespaces_placement_is_taken_back() -> None:
    """The namespace itself stays, and so does what is in it."""
    async with Rig("m1", "m2", types=(FEDERATED_NAMESPACES, CONFIGMAPS)) as rig:
        rig.put(NS, enabled=FEDERATED_NAMESPACES)
        rig.put()
        await settle()

        def within(*clusters: str) -> Callable[[], None]:
            return lambda: place(rig, *clusters, name=NS, enabled=FEDERATED_NAMESPACES)

        await away_then(rig, within("m2"), within("m1", "m2"))
        assert removed(rig) == []
        rig.hub.deliver()
        await settle()
        assert removed(rig) == []
        assert rig.lines() == rig.lines(NS, FEDERATED_NAMESPACES) == {"m1": "", "m2": ""}


@virtual
async def test_a_clusters_label_is_taken_away_and_put_back() -> None:
    async with Rig("m1", "m2") as rig:
        rig.see("m1", labels={"region": "eu"})
        rig.put_selected(WEB, {"matchLabels": {"region": "eu"}})
        await settle()
        await away_then(rig, lambda: rig.see("m1", labels={}, ready=False), lambda: rig.label("m1", {"region": "eu"}))
        assert removed(rig) == []
        rig.see("m1", labels={"region": "eu"})
        await asyncio.sleep(5.0)
        assert removed(rig) == []
        assert rig.lines() == {"m1": ""}


@virtual
async def test_a_federated_namespace_is_deleted_and_made_again() -> None:
    async with Rig("m1", types=(FEDERATED_NAMESPACES, CONFIGMAPS)) as rig:
        rig.put(NS, enabled=FEDERATED_NAMESPACES)
        rig.put()
        await settle()
        finalizers = ["others.example.com/hold"]

        def again() -> None:
            rig.hub.objects.pop((FEDERATED_NAMESPACES.federated.qualified, NS))
            rig.put(NS, enabled=FEDERATED_NAMESPACES)

        def delete() -> None:
            rig.hub.put(FEDERATED_NAMESPACES.federated, NS, metadata={"finalizers": finalizers})
            rig.delete(NS, FEDERATED_NAMESPACES)

        await away_then(rig, delete, again)
        assert removed(rig) == []
        rig.hub.deliver()
        rig.contact.regain()
        await settle()
        await asyncio.sleep(20.0)
        assert removed(rig) == []
        assert rig.data("m1") == "b"


@virtual
async def test_an_object_is_deleted_by_force_and_made_again() -> None:
    """Its deletion was observed, and the contact lost; the hub has another object of its name now."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()

        def again() -> None:
            rig.hub.objects.pop((CONFIGMAPS.federated.qualified, WEB))
            rig.put()

        await away_then(rig, rig.delete, again)
        assert removed(rig) == []
        rig.hub.deliver()
        await settle()
        assert rig.lines() == {"m1": ""}
        assert removed(rig) == []


@virtual
async def test_a_stray_copy_has_an_object_again() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.hub.put(CONFIGMAPS.federated, WEB, metadata={"finalizers": []})
        await settle()
        rig.hub.delay_events = True
        lane = rig.world.members["m1"].lane
        assert lane is not None
        rig.hub.objects.pop((CONFIGMAPS.federated.qualified, WEB))
        rig.world.types["configmaps"].objects.drop(WEB)
        rig.world.types["configmaps"].vanished(WEB)
        rig.members["m1"].gate.clear()
        rig.sync.changed(Key("configmaps", *WEB))
        await asyncio.sleep(5.5)  # the release is on its way: it reads first
        rig.put()
        rig.members["m1"].gate.set()
        await settle()
        await asyncio.sleep(5.0)
        assert [what for what in removed(rig) if what.startswith("let-go")] == []
        assert rig.data("m1") == "b"


@virtual
async def test_leave_to_recreate_is_taken_back() -> None:
    """The member refuses the change; the user's leave to recreate was taken back while nobody was told."""
    async with Rig("m1") as rig:
        immutable = {"immutable": True, "data": {"a": "b"}}
        leave = {"annotations": {marks.RECREATE_ANNOTATION: "true"}}
        rig.put(template=immutable, metadata=leave)
        await settle()
        rig.see("m1", ready=False, message="away")
        await settle()
        rig.put(template={"immutable": True, "data": {"a": "c"}})
        await settle()
        rig.hub.delay_events = True
        rig.hub.put(CONFIGMAPS.federated, WEB, metadata={"annotations": {marks.RECREATE_ANNOTATION: None}})
        rig.see("m1", ready=True)
        await settle()
        await asyncio.sleep(5.0)
        assert removed(rig) == []
        assert rig.data("m1") == "b"


# --- a hub that cannot be asked


@pytest.mark.parametrize("failure", [AWAY, UNSERVED, NAMELESS], ids=["away", "type-not-served", "nameless-404"])
@virtual
async def test_a_hub_that_does_not_answer_deletes_nothing(failure: Failure) -> None:
    """The removal waits, its line says for what, and it is done soon after the hub answers."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.hub.fails = lambda verb, name: failure if verb == "read" else None
        place(rig, "m2")
        await settle()
        await asyncio.sleep(30.0)
        assert removed(rig) == []
        assert rig.lines() == {"m1": "WaitingForRemoval", "m2": ""}
        assert "the hub, asked whether the federated object still says so" in message(rig, "m1")
        assert 3 <= asked(rig) <= 12
        assert rig.data("m1") == "b"
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(20.0)
        assert removed(rig) == [f"delete {WEB}"]
        assert rig.lines() == {"m2": ""}


def message(rig: Rig, cluster: str) -> str:
    lines = (rig.stored() or {})["status"]["clusters"]
    return str(next(line.get("message", "") for line in lines if line["name"] == cluster))


@virtual
async def test_a_member_is_not_blamed_for_its_hub() -> None:
    """Its lane goes on: other objects are written there while removals wait."""
    async with Rig("m1", "m2", concurrency=2) as rig:
        names = [ObjectName("ns", f"web-{number}") for number in range(20)]
        for name in names:
            rig.put(name)
        await asyncio.sleep(30.0)
        rig.hub.fails = lambda verb, name: AWAY if verb == "read" else None
        for name in names:
            place(rig, "m2", name=name)
        await settle()
        rig.put(ObjectName("ns", "new"))
        await asyncio.sleep(1.0)
        assert rig.data("m1", name=ObjectName("ns", "new")) == "b"
        lane = rig.world.members["m1"].lane
        assert lane is not None
        assert not lane.paused
        assert removed(rig) == []


@virtual
async def test_an_older_hub_deletes_nothing() -> None:
    """As of one that was restored from a backup; what its watch brings then decides."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        where = (CONFIGMAPS.federated.qualified, WEB)
        old = copy.deepcopy(rig.hub.objects[where])
        rig.see("m1", ready=False)
        await asyncio.sleep(5.0)
        place(rig, "m2")
        await asyncio.sleep(5.0)
        rig.hub.objects[where] = old
        rig.see("m1", ready=True)
        await asyncio.sleep(60.0)
        assert removed(rig) == []
        assert rig.data("m1") == "b"


# --- what it costs


@virtual
async def test_a_removal_costs_one_question_for_all_clusters() -> None:
    names = [f"m{number}" for number in range(1, 31)]
    async with Rig(*names) as rig:
        rig.put()
        await settle()
        rig.hub.reads.clear()
        place(rig, "m1")
        await settle()
        assert all(removed(rig, name) == [f"delete {WEB}"] for name in names[1:])
        assert rig.hub.reads == [f"federatedconfigmaps {WEB}"]


@virtual
async def test_a_deletion_that_was_watched_costs_none() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.hub.reads.clear()
        rig.delete()
        await settle()
        assert removed(rig) == removed(rig, "m2") == [f"delete {WEB}"]
        assert rig.hub.reads == []
        assert rig.stored() is None


@virtual
async def test_a_deletion_is_asked_for_where_contact_was_lost_since() -> None:
    """Once: the hub's own word counts until contact is lost again."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.see("m1", ready=False)
        rig.see("m2", ready=False)
        await settle()
        rig.delete()
        await settle()
        rig.contact.lose()
        rig.contact.regain()
        rig.hub.reads.clear()
        rig.see("m1", ready=True)
        await asyncio.sleep(5.0)
        assert (removed(rig), asked(rig)) == ([f"delete {WEB}"], 1)
        rig.see("m2", ready=True)
        await asyncio.sleep(5.0)
        assert (removed(rig, "m2"), asked(rig)) == ([f"delete {WEB}"], 1)
        assert rig.stored() is None


@virtual
async def test_many_removals_are_proven_by_a_list() -> None:
    """300 objects leave a cluster: a few questions, then lists, and each removal is asked for once at most."""
    count = 300
    async with Rig("m1", "m2") as rig:
        names = [ObjectName("ns", f"web-{number}") for number in range(count)]
        for name in names:
            rig.put(name)
        await asyncio.sleep(30.0)
        rig.hub.reads.clear()
        for name in names:
            place(rig, "m2", name=name)
        await asyncio.sleep(30.0)
        assert len(removed(rig)) == count
        lists = rig.hub.reads.count("federatedconfigmaps ns") + rig.hub.reads.count("federatedconfigmaps *")
        assert 1 <= lists <= 2
        assert len(rig.hub.reads) < count / 4


@virtual
async def test_a_list_is_no_proof_of_an_absence() -> None:
    """Objects that a list leaves out are asked for by name, whatever else it has."""
    async with Rig("m1", "m2") as rig:
        names = [ObjectName("ns", f"web-{number}") for number in range(60)]
        for name in names:
            rig.put(name)
        await asyncio.sleep(30.0)
        lists = rig.hub.list_metadata

        async def partial(resource: Any, namespace: str) -> Any:
            found = await lists(resource, namespace)
            return found if isinstance(found, Failure) else found[:30]

        rig.hub.list_metadata = partial  # type: ignore[method-assign]
        rig.hub.reads.clear()
        for name in names:
            place(rig, "m2", name=name)
        await asyncio.sleep(30.0)
        assert len(removed(rig)) == 60
        assert len([each for each in rig.hub.reads if "/" in each]) >= 30


@virtual
async def test_a_list_that_fails_leaves_questions_by_name() -> None:
    async with Rig("m1", "m2") as rig:
        names = [ObjectName("ns", f"web-{number}") for number in range(60)]
        for name in names:
            rig.put(name)
        await asyncio.sleep(30.0)
        rig.hub.fails = lambda verb, name: AWAY if verb == "list" else None
        for name in names:
            place(rig, "m2", name=name)
        await asyncio.sleep(30.0)
        assert len(removed(rig)) == 60


@virtual
async def test_nothing_is_asked_where_nothing_is_removed() -> None:
    async with Rig("m1", "m2") as rig:
        rig.hub.reads.clear()
        rig.put()
        await settle()
        rig.put(template={"data": {"a": "c"}})
        await settle()
        rig.members["m1"].unset(CONFIGMAPS.target, WEB, ("data", "a"))
        await settle()
        assert rig.hub.reads == []


# --- types, clusters and settings


async def unsteady(
    rig: Rig,
    resource: Any,
    name: str,
    notify: Callable[[str], None] = lambda name: None,
    *,
    gone: bool = False,
    **changes: Any,
) -> Contact:
    """A collection of the system namespace is known, its watch was lost, and the hub's object has changed since."""
    where = ObjectName(rig.world.namespace, name)
    store: Store[StoredObject] = Store()
    rig.hub.put(resource, where, spec={"a": 1})
    found = await rig.hub.read(resource, where)
    assert not isinstance(found, Failure)
    store.put(where, found)
    contact = Contact()
    contact.lose()
    rig.sync.prover.follow(resource, store, contact, notify)
    if gone:
        del rig.hub.objects[resource.qualified, where]
    elif changes:
        rig.hub.put(resource, where, **changes)
    return contact


DISABLED = {"spec": {"a": 2}}
GOING = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}}


@pytest.mark.parametrize(
    ("resource", "name", "changes"),
    [
        pytest.param(TYPE_CONFIGS, "configmaps", DISABLED, id="type-disabled"),
        pytest.param(TYPE_CONFIGS, "configmaps", GOING, id="type-going"),
        pytest.param(KUBEFED_CLUSTERS, "m1", GOING, id="cluster-going"),
    ],
)
@virtual
async def test_what_is_followed_no_longer_keeps_its_copies(resource: Any, name: str, changes: dict[str, Any]) -> None:
    """The type was disabled, or the cluster unjoined, and its watch has not said so yet: the hub's answer does."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        told: list[str] = []

        def followed_no_longer(name: str) -> None:
            told.append(name)
            rig.leave("m1") if resource is KUBEFED_CLUSTERS else rig.world.types.pop(name)

        await unsteady(rig, resource, name, followed_no_longer, **changes)
        place(rig, "m2")
        await asyncio.sleep(5.0)
        assert (removed(rig), told) == ([], [name])
        assert rig.data("m1") == "b"


@pytest.mark.parametrize(("resource", "name"), [(TYPE_CONFIGS, "configmaps"), (KUBEFED_CLUSTERS, "m1")])
@virtual
async def test_what_the_hub_has_no_more_keeps_its_copies(resource: Any, name: str) -> None:
    """Whoever follows it finds that out for itself; until then nothing is removed."""
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        await unsteady(rig, resource, name, gone=True)
        place(rig, "m2")
        await asyncio.sleep(5.0)
        assert removed(rig) == []


@virtual
async def test_what_is_as_it_was_lets_the_removal_go() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        await unsteady(rig, TYPE_CONFIGS, "configmaps")
        await unsteady(rig, KUBEFED_CLUSTERS, "m1")
        place(rig, "m2")
        await settle()
        assert removed(rig) == [f"delete {WEB}"]


@virtual
async def test_watches_that_go_on_are_not_asked_for() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        contact = await unsteady(rig, TYPE_CONFIGS, "configmaps", spec={"a": 2})
        contact.regain()
        await asyncio.sleep(proofs.STEADY)
        rig.hub.reads.clear()
        place(rig, "m2")
        await settle()
        assert removed(rig) == [f"delete {WEB}"]
        assert rig.hub.reads == [f"federatedconfigmaps {WEB}"]


# --- sharing


@virtual
async def test_an_answer_is_shared_for_a_moment_only() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        asking = readings.Readings(rig.hub)
        resource = CONFIGMAPS.federated
        rig.hub.reads.clear()
        first = await asyncio.gather(*(asking.metadata(resource, WEB) for _ in range(5)))
        assert len(set(map(id, first))) == len(rig.hub.reads) == 1
        place(rig)
        assert await asking.metadata(resource, WEB) is first[0]
        await asyncio.sleep(readings.MOMENT + 0.01)
        later = await asking.metadata(resource, WEB)
        assert isinstance(later, Metadata)
        assert isinstance(first[0], Metadata)
        assert later.generation == first[0].generation + 1


@virtual
async def test_who_waits_for_another_is_not_left_alone() -> None:
    """Whoever asked is cancelled: the others get no answer, and no error either."""
    async with Rig("m1") as rig:
        asking = readings.Readings(rig.hub)
        first = asyncio.create_task(asking.metadata(NAMESPACES, ObjectName("", "x")))
        second = asyncio.create_task(asking.metadata(NAMESPACES, ObjectName("", "x")))
        await asyncio.sleep(0)
        first.cancel()
        answer = await second
        assert isinstance(answer, Failure)


@virtual
async def test_a_silent_hub_is_left_alone_for_a_moment() -> None:
    async with Rig("m1") as rig:
        asking = readings.Readings(rig.hub)
        rig.hub.fails = lambda verb, name: LOST
        rig.hub.reads.clear()
        for number in range(10):
            assert await asking.metadata(NAMESPACES, ObjectName("", f"x{number}")) == LOST
        assert len(rig.hub.reads) == 1
        await asyncio.sleep(readings.SILENCE)
        rig.hub.fails = lambda verb, name: None
        await asking.metadata(NAMESPACES, ObjectName("", "y"))
        assert len(rig.hub.reads) == 2
