"""Server-side apply as we lean on it, documented or not: the same cases on the fake and on a real API server."""

import msgspec
import orjson
import pytest

from federation.core import conflicts, managedfields, manifest, ownership
from federation.core.managedfields import PartialMetadata
from federation.kube.members import Written
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import (
    CLUSTER_ROLES,
    NAMESPACES,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    ObjectName,
    Resource,
)
from tests.contract.worlds import CONFIGMAPS, DEPLOYMENTS, OTHER_HUB, US, World
from tests.fakes import PROOF

REPLICAS = ("spec", "replicas")
LABEL = ("metadata", "labels", marks.MANAGED_LABEL)
WIDGETS = Resource("contract.example.com", "v1", "Widget", "widgets", namespaced=True)
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)


def kind(outcome: object) -> FailureKind | None:
    return outcome.kind if isinstance(outcome, Failure) else None


def written(outcome: object) -> Written:
    assert isinstance(outcome, Written), outcome
    return outcome


# --- preconditions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "resource",
    [CONFIGMAPS, SECRETS, SERVICES, SERVICE_ACCOUNTS, ROLES, CLUSTER_ROLES, NAMESPACES, DEPLOYMENTS, WIDGETS],
    ids=lambda resource: resource.plural,
)
async def test_version_1_creates_only_where_nothing_is(world: World, resource: Resource) -> None:
    """Undocumented: apply with resourceVersion "1"."""
    if resource is WIDGETS:
        await world.serve(resource)
    content = {"spec": {"ports": [{"port": 80}]}} if resource is SERVICES else {}
    body = world.deployment() if resource is DEPLOYMENTS else world.body(resource, **content)
    name = ObjectName(world.namespace, "web") if resource.namespaced else ObjectName("", f"{world.namespace}-web")
    body["metadata"]["name"] = name.name
    once = manifest.addressed(manifest.digest(body)[0], resource_version="1")
    first = written(await world.member.apply(resource, name, once, force=False))
    assert first.created
    changed = manifest.digest({**body, "metadata": {**body["metadata"], "annotations": {"a": "b"}}})[0]
    again = await world.member.apply(resource, name, manifest.addressed(changed, resource_version="1"), force=False)
    assert kind(again) is FailureKind.VERSION_CONFLICT
    found = await world.member.read(resource, name)
    assert isinstance(found, PartialMetadata)
    assert found.resource_version == first.metadata.resource_version
    await world.remove(resource, name)


async def test_a_uid_refuses_what_is_not_the_same_object(world: World) -> None:
    body = world.body(data={"a": "b"})
    absent = {**body, "metadata": {**body["metadata"], "uid": "11111111-1111-1111-1111-111111111111"}}
    assert kind(await world.apply(absent)) is FailureKind.UID_MISMATCH
    first = written(await world.apply(body))
    assert kind(await world.apply(absent)) is FailureKind.UID_MISMATCH
    same = {**body, "metadata": {**body["metadata"], "uid": first.metadata.uid}}
    assert not written(await world.apply(same)).created


async def test_a_namespace_that_is_missing(world: World) -> None:
    name = ObjectName(f"{world.namespace}-missing", "web")
    body = {**world.body(), "metadata": {"name": "web", "namespace": name.namespace}}
    outcome = await world.member.apply(CONFIGMAPS, name, orjson.dumps(body), force=False)
    assert kind(outcome) is FailureKind.NAMESPACE_MISSING
    assert kind(await world.member.read(CONFIGMAPS, name)) is FailureKind.NOT_FOUND


# --- answers --------------------------------------------------------------------------------------------------------


async def test_answers_are_metadata_and_say_whether_it_was_created(world: World) -> None:
    first = written(await world.apply(world.body(data={"a": "b"})))
    assert first.created
    assert first.metadata.uid
    assert first.metadata.name == "web"
    assert first.metadata.labels.managed == "true"
    assert [(entry.manager, entry.operation) for entry in first.metadata.managed_fields] == [(US, "Apply")]
    assert not written(await world.apply(world.body(data={"a": "c"}))).created


async def test_an_apply_that_changes_nothing_writes_nothing(world: World) -> None:
    first = written(await world.apply(world.body(data={"a": "b"})))
    for force in (False, True):
        again = written(await world.apply(world.body(data={"a": "b"}), force=force))
        assert again.metadata.resource_version == first.metadata.resource_version
        assert managedfields.observe(again.metadata, US) == managedfields.observe(first.metadata, US)


# --- conflicts ------------------------------------------------------------------------------------------------------


async def test_a_conflict_names_the_field_and_its_manager_and_changes_nothing(world: World) -> None:
    await world.apply(world.body(data={"a": "b", "c": "d"}))
    await world.post(CONFIGMAPS, {"data": {"a": "theirs"}}, manager="kubectl-edit")
    outcome = await world.apply(world.body(data={"a": "b", "c": "e"}))
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.FIELD_CONFLICT
    assert [(cause.field, cause.manager) for cause in outcome.causes] == [(".data.a", "kubectl-edit")]
    assert conflicts.assess(outcome, US) == conflicts.Foreign(("kubectl-edit",), (".data.a",))
    assert await world.value(CONFIGMAPS, "data", "c") == "d"
    await world.apply(world.body(data={"a": "b"}), force=True)
    assert await world.owners("data", "a") == {US}


async def test_managed_false_is_a_conflict_of_the_label(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    await world.post(CONFIGMAPS, {"metadata": {"labels": {marks.MANAGED_LABEL: "false"}}})
    outcome = await world.apply(world.body(data={"a": "b"}))
    assert isinstance(outcome, Failure)
    assert conflicts.assess(outcome, US) == conflicts.ManagedFalse()


async def test_a_label_that_was_removed_comes_back_unforced(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    await world.unset(CONFIGMAPS, *LABEL)
    assert written(await world.apply(world.body(data={"a": "b"}))).metadata.labels.managed == "true"


async def test_equal_values_are_owned_together(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    await world.apply(world.body(data={"a": "b"}))
    assert await world.owners("data", "a") == {US, OTHER_HUB}
    assert (await world.seen()).other_hub == OTHER_HUB
    outcome = await world.apply(world.body(data={"a": "c"}))
    assert isinstance(outcome, Failure)
    assert conflicts.assess(outcome, US) == conflicts.OtherHub(OTHER_HUB, (".data.a",))


async def test_ownership_that_was_wiped(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    wipe = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    await world.member.patch(CONFIGMAPS, world.where, wipe)
    assert (await world.seen()).owned_digest == ""
    outcome = await world.apply(world.body(data={"a": "c"}))
    assert isinstance(outcome, Failure)
    assert {cause.manager for cause in outcome.causes} == {"before-first-apply"}


# --- what leaving out does ------------------------------------------------------------------------------------------


async def test_what_only_we_own_goes_when_it_is_left_out(world: World) -> None:
    await world.apply(world.body(data={"a": "b", "c": "d"}))
    await world.post(CONFIGMAPS, {"data": {"theirs": "x"}})
    await world.apply(world.body(data={"a": "b"}))
    assert await world.value(CONFIGMAPS, "data", "a") == "b"
    assert await world.value(CONFIGMAPS, "data", "c") is None
    assert await world.value(CONFIGMAPS, "data", "theirs") == "x"


async def test_what_somebody_else_owns_too_stays(world: World) -> None:
    """Why adoption subtracts our paths from theirs."""
    await world.post(CONFIGMAPS, {"data": {"a": "b"}}, manager="kubectl-create")
    await world.apply(world.body(data={"a": "b"}))
    assert await world.owners("data", "a") == {US, "kubectl-create"}
    await world.apply(world.body())
    assert await world.value(CONFIGMAPS, "data", "a") == "b"
    assert await world.owners("data", "a") == {"kubectl-create"}


async def test_replicas_left_out_fall_to_one(world: World) -> None:
    await world.apply(world.deployment(replicas=3), DEPLOYMENTS)
    await world.apply(world.deployment(), DEPLOYMENTS)
    assert await world.value(DEPLOYMENTS, *REPLICAS) == 1


async def test_replicas_of_a_second_manager_stay(world: World) -> None:
    first = written(await world.apply(world.deployment(replicas=3), DEPLOYMENTS))
    assert (await world.seen(DEPLOYMENTS)).owns_replicas
    second = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": world.namespace, "uid": first.metadata.uid},
        "spec": {"replicas": 3},
    }
    assert not isinstance(await world.apply(second, DEPLOYMENTS, manager=f"{US}-replicas"), Failure)
    await world.apply(world.deployment(), DEPLOYMENTS)
    assert await world.value(DEPLOYMENTS, *REPLICAS) == 3
    assert await world.owners(*REPLICAS, resource=DEPLOYMENTS) == {f"{US}-replicas"}
    assert not (await world.seen(DEPLOYMENTS)).owns_replicas
    assert await world.member.read_replicas(DEPLOYMENTS, world.where) == 3


async def test_a_second_manager_with_another_number_meets_our_entry(world: World) -> None:
    await world.apply(world.deployment(replicas=3), DEPLOYMENTS)
    second = {**world.deployment(), "spec": {"replicas": 5}}
    del second["metadata"]["labels"]
    outcome = await world.apply(second, DEPLOYMENTS, manager=f"{US}-replicas")
    assert isinstance(outcome, Failure)
    assert [(cause.field, cause.manager) for cause in outcome.causes] == [(".spec.replicas", US)]


# --- drift ----------------------------------------------------------------------------------------------------------


async def test_our_entry_shrinks_when_somebody_changes_or_removes_what_is_ours(world: World) -> None:
    first = managedfields.observe(written(await world.apply(world.body(data={"a": "b", "c": "d"}))).metadata, US)
    await world.post(CONFIGMAPS, {"data": {"a": "theirs"}})
    edited = await world.seen()
    assert edited.owned_digest not in {first.owned_digest, ""}
    assert edited.version > first.version
    await world.post(CONFIGMAPS, {"data": {"a": "b"}})  # set back: it is theirs all the same
    assert (await world.seen()).owned_digest == edited.owned_digest
    await world.unset(CONFIGMAPS, "data", "c")
    assert (await world.seen()).owned_digest not in {first.owned_digest, edited.owned_digest, ""}
    again = managedfields.observe(
        written(await world.apply(world.body(data={"a": "b", "c": "d"}), force=True)).metadata, US
    )
    assert again.owned_digest == first.owned_digest


async def test_our_entry_stays_when_somebody_changes_what_is_not_ours(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    first = await world.seen()
    await world.post(CONFIGMAPS, {"data": {"theirs": "x"}, "metadata": {"annotations": {"seen": "1"}}})
    await world.post(CONFIGMAPS, {"data": {"a": "b"}})  # the same value
    after = await world.seen()
    assert after == msgspec.structs.replace(first, version=after.version)
    assert after.version > first.version


async def test_created_anew_nothing_is_ours(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    first = await world.seen()
    await world.remove(CONFIGMAPS)
    await world.post(CONFIGMAPS, world.body(data={"a": "b"}))
    after = await world.seen()
    assert after.uid != first.uid
    assert (after.owned_digest, after.managed, after.legacy) == ("", True, True)


# --- patches --------------------------------------------------------------------------------------------------------


async def test_a_patch_of_ownership_needs_the_present_version(world: World) -> None:
    await world.post(CONFIGMAPS, {"data": {"a": "b"}}, manager="kubectl-create")
    stale = written(await world.apply(world.body(data={"a": "b"}))).metadata
    patch = ownership.subtract_patch(stale, US)
    assert patch is not None
    await world.post(CONFIGMAPS, {"data": {"theirs": "x"}})
    assert kind(await world.member.patch(CONFIGMAPS, world.where, patch)) is FailureKind.VERSION_CONFLICT
    patch = ownership.subtract_patch(await world.read(), US)
    assert patch is not None
    written(await world.member.patch(CONFIGMAPS, world.where, patch))
    assert await world.owners("data", "a") == {US}


async def test_kubefeds_entry_can_be_taken_over(world: World) -> None:
    await world.post(CONFIGMAPS, world.body(data={"a": "b", "old": "x"}), manager="controller-manager")
    assert (await world.seen()).legacy
    patch = ownership.union_patch(await world.read(), US)
    assert patch is not None
    written(await world.member.patch(CONFIGMAPS, world.where, patch))
    written(await world.apply(world.body(data={"a": "b"})))
    assert await world.value(CONFIGMAPS, "data", "old") is None
    assert not (await world.seen()).legacy


async def test_released_it_is_nobodys_and_stays(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    patch = ownership.release_patch(await world.read(), US)
    assert patch is not None
    written(await world.member.patch(CONFIGMAPS, world.where, patch))
    after = await world.seen()
    assert (after.owned_digest, after.managed) == ("", False)
    assert await world.value(CONFIGMAPS, "data", "a") == "b"


async def test_a_patch_of_what_is_gone(world: World) -> None:
    patch = [{"op": "remove", "path": "/metadata/labels/a"}]
    assert kind(await world.member.patch(CONFIGMAPS, world.where, patch)) is FailureKind.NOT_FOUND


# --- deletes --------------------------------------------------------------------------------------------------------


async def test_a_delete_names_whom_it_means(world: World) -> None:
    first = written(await world.apply(world.body(data={"a": "b"}))).metadata
    other = await world.member.delete(CONFIGMAPS, world.where, "11111111-1111-1111-1111-111111111111", {}, PROOF)
    assert kind(other) is FailureKind.UID_MISMATCH
    assert (
        await world.member.delete(CONFIGMAPS, world.where, first.uid, {"propagationPolicy": "Background"}, PROOF)
        is None
    )
    assert kind(await world.member.read(CONFIGMAPS, world.where)) is FailureKind.NOT_FOUND
    assert await world.member.delete(CONFIGMAPS, world.where, first.uid, {}, PROOF) is None


async def test_finalizers_hold_what_is_deleted(world: World) -> None:
    first = written(await world.apply(world.body(data={"a": "b"}))).metadata
    await world.post(CONFIGMAPS, {"metadata": {"finalizers": ["example.com/held"]}})
    assert await world.member.delete(CONFIGMAPS, world.where, first.uid, {}, PROOF) is None
    assert (await world.seen()).deleting
    assert not written(await world.apply(world.body(data={"a": "b"}))).created  # applying is still allowed
    assert (await world.seen()).deleting
    await world.unset(CONFIGMAPS, "metadata", "finalizers")


# --- watches --------------------------------------------------------------------------------------------------------


async def test_a_watch_by_the_labels_existence_sees_false(world: World) -> None:
    """With the selector `=true` a "false" would look like a deletion."""
    await world.apply(world.body(data={"a": "b"}))
    await world.post(CONFIGMAPS, {"data": {"a": "b"}}, name=ObjectName(world.namespace, "stranger"))
    events = await world.follow(CONFIGMAPS)
    assert "web" in events.told[0]
    assert "stranger" not in events.told[0]
    del events.told[:]
    await world.post(CONFIGMAPS, {"metadata": {"labels": {marks.MANAGED_LABEL: "false"}}})
    await world.unset(CONFIGMAPS, *LABEL)
    await world.post(CONFIGMAPS, {"metadata": {"labels": {"other": "x"}}})
    await world.post(CONFIGMAPS, {"metadata": {"labels": {marks.MANAGED_LABEL: "true"}}})
    await world.remove(CONFIGMAPS)
    await world.until(lambda: len(events.told) >= 4)
    assert events.told == ["+web:false", "-web", "+web:true", "-web"]
