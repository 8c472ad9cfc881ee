"""What the controller writes to the hub, on the fake and on a real API server: locking, finalizers, status, events."""

import orjson
import pytest

from federation.core import proof
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, Metadata, StoredObject
from federation.model.marks import SYNC_FINALIZER
from federation.model.resources import EVENTS, ObjectName, Resource
from tests.contract.worlds import CONFIGMAPS, DEPLOYMENTS, World

OTHER = "example.com/other"


def kind(outcome: object) -> FailureKind | None:
    return outcome.kind if isinstance(outcome, Failure) else None


async def stored(world: World) -> Metadata:
    """A Deployment at the hub, as its user made it."""
    world_body = world.deployment(replicas=2)
    await world.put(DEPLOYMENTS, world_body)
    return await touched(world)


async def touched(world: World) -> Metadata:
    """Its metadata now: an empty patch changes nothing."""
    answer = await world.hub.merge(DEPLOYMENTS, world.where, b"{}")
    assert isinstance(answer, Metadata)
    return answer


async def test_a_finalizer_is_added_under_the_version_that_was_read(world: World) -> None:
    first = await stored(world)
    added = await world.hub.set_finalizers(DEPLOYMENTS, first, (SYNC_FINALIZER,))
    assert isinstance(added, Metadata)
    assert added.finalizers == (SYNC_FINALIZER,)
    assert (added.uid, added.generation) == (first.uid, first.generation)
    assert added.resource_version != first.resource_version
    stale = await world.hub.set_finalizers(DEPLOYMENTS, first, ())
    assert kind(stale) is FailureKind.VERSION_CONFLICT
    assert (await touched(world)).finalizers == (SYNC_FINALIZER,)
    assert isinstance(await world.hub.set_finalizers(DEPLOYMENTS, added, ()), Metadata)


async def test_a_patch_that_changes_nothing_writes_nothing(world: World) -> None:
    first = await stored(world)
    again = await world.hub.set_finalizers(DEPLOYMENTS, first, ())
    assert isinstance(again, Metadata)
    assert again.resource_version == first.resource_version


async def test_the_last_finalizer_lets_go_of_what_is_deleted(world: World) -> None:
    going = await world.finalized([SYNC_FINALIZER, OTHER])
    assert going.deletion_timestamp is not None
    assert going.finalizers == (SYNC_FINALIZER, OTHER)
    held = await world.hub.set_finalizers(CONFIGMAPS, going, (OTHER,))
    assert isinstance(held, Metadata)
    gone = await world.hub.set_finalizers(CONFIGMAPS, held, ())
    assert isinstance(gone, Metadata)
    assert kind(await world.hub.set_finalizers(CONFIGMAPS, held, ())) is FailureKind.NOT_FOUND


async def test_a_status_moves_the_version_and_not_the_generation(world: World) -> None:
    first = await stored(world)
    told = await world.hub.set_status(DEPLOYMENTS, world.where, b'{"status":{"observedGeneration":1,"replicas":2}}')
    assert isinstance(told, Metadata)
    assert told.generation == first.generation
    assert told.resource_version != first.resource_version
    again = await world.hub.set_status(DEPLOYMENTS, world.where, b'{"status":{"observedGeneration":1}}')
    assert isinstance(again, Metadata)
    assert again.resource_version == told.resource_version


async def test_a_spec_moves_the_generation(world: World) -> None:
    first = await stored(world)
    answer = await world.hub.merge(DEPLOYMENTS, world.where, b'{"spec":{"replicas":5}}')
    assert isinstance(answer, Metadata)
    assert answer.generation == first.generation + 1


async def test_a_null_takes_away(world: World) -> None:
    await stored(world)
    body = orjson.dumps({"metadata": {"annotations": {"a": "b", "c": "d"}}})
    assert isinstance(await world.hub.merge(DEPLOYMENTS, world.where, body), Metadata)
    answer = await world.hub.merge(DEPLOYMENTS, world.where, b'{"metadata":{"annotations":{"a":null}}}')
    assert isinstance(answer, Metadata)
    assert answer.annotations == {"c": "d"}


@pytest.mark.parametrize("verb", ["status", "merge", "finalizers"])
async def test_what_is_not_there_cannot_be_written(world: World, verb: str) -> None:
    nowhere = Metadata(name="nowhere", namespace=world.namespace, uid="u", resource_version="1")
    name = ObjectName(world.namespace, "nowhere")
    match verb:
        case "status":
            outcome = await world.hub.set_status(DEPLOYMENTS, name, b'{"status":{"observedGeneration":1}}')
        case "merge":
            outcome = await world.hub.merge(DEPLOYMENTS, name, b'{"metadata":{"labels":{"a":"b"}}}')
        case _:
            outcome = await world.hub.set_finalizers(DEPLOYMENTS, nowhere, ())
    assert kind(outcome) is FailureKind.NOT_FOUND


async def test_what_is_there_is_read_whole(world: World) -> None:
    first = await stored(world)
    found = await world.hub.read(DEPLOYMENTS, world.where)
    assert isinstance(found, StoredObject)
    assert (found.metadata.uid, found.metadata.resource_version) == (first.uid, first.resource_version)
    assert found.spec["replicas"] == 2
    federated = await world.hub.read_federated(DEPLOYMENTS, world.where)
    assert isinstance(federated, FederatedObject)
    assert orjson.loads(bytes(federated.spec))["replicas"] == 2
    nowhere = ObjectName(world.namespace, "nowhere")
    assert kind(await world.hub.read(DEPLOYMENTS, nowhere)) is FailureKind.NOT_FOUND
    assert kind(await world.hub.read_federated(DEPLOYMENTS, nowhere)) is FailureKind.NOT_FOUND
    elsewhere = ObjectName("no-such-namespace", "web")
    assert kind(await world.hub.read_federated(DEPLOYMENTS, elsewhere)) is FailureKind.NOT_FOUND


async def test_what_proves_a_removal_is_read_as_metadata(world: World) -> None:
    """By name and in a list; a 404 names what is not there, also where its namespace is not."""
    first = await stored(world)
    found = await world.hub.read_metadata(DEPLOYMENTS, world.where)
    assert isinstance(found, Metadata)
    assert (found.uid, found.resource_version, found.generation) == (first.uid, first.resource_version, 1)
    for namespace in (world.namespace, ""):
        listed = await world.hub.list_metadata(DEPLOYMENTS, namespace)
        assert not isinstance(listed, Failure)
        assert [each.uid for each in listed if each.namespace == world.namespace] == [first.uid]
    for space in (world.namespace, "no-such-namespace"):
        where = ObjectName(space, "nowhere")
        nowhere = await world.hub.read_metadata(DEPLOYMENTS, where)
        assert proof.answered(nowhere, DEPLOYMENTS, where) is proof.Absent.ABSENT


@pytest.mark.parametrize("world", [pytest.param("real", marks=pytest.mark.clusters)], indirect=True)
async def test_a_type_that_is_not_served_shows_no_absence(world: World) -> None:
    """Neither a group that nobody has defined, nor a resource or a version of one that is there."""
    for group, version, plural in (
        ("nobody.example.com", "v1", "nothings"),
        ("apps", "v1", "nothings"),
        ("apps", "v9", "deployments"),
    ):
        resource = Resource(group, version, "Nothing", plural, namespaced=True)
        where = ObjectName(world.namespace, "web")
        answer = proof.answered(await world.hub.read_metadata(resource, where), resource, where)
        assert isinstance(answer, Failure), (group, version, plural)


async def test_an_event_is_posted(world: World) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "web.", "namespace": world.namespace},
        "involvedObject": {"kind": "Deployment", "namespace": world.namespace, "name": "web"},
        "reason": "Propagated",
        "message": "m",
        "type": "Normal",
    }
    assert await world.hub.create(EVENTS, world.namespace, event) is None
