"""Whole pushes, on the fake and on a real API server: what the unit tests of controllers.push rest on."""

from collections.abc import Mapping
from typing import Any

import msgspec

from federation.controllers import push
from federation.controllers.outcomes import Contest, Outcome, Target
from federation.core import managedfields, manifest, ownership
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Claim, Delete, Push, Release
from federation.model.resources import Resource
from tests.contract.worlds import CONFIGMAPS, DEPLOYMENTS, OTHER_HUB, US, World
from tests.fakes import proven

REPLICAS = ("spec", "replicas")


async def pushed(world: World, action: Push, resource: Resource = CONFIGMAPS) -> Outcome:
    return await push.carry_out(action, Target(world.member, resource, world.where, prove=proven))


def applying(body: Mapping[str, Any], **others: Any) -> Apply:
    content, digest = manifest.digest(body)
    return Apply(content, digest, str(body["apiVersion"]), **others)


async def test_drift_is_taken_back_from_whoever_made_it(world: World) -> None:
    action = applying(world.body(data={"a": "b"}))
    await pushed(world, action)
    await world.post(CONFIGMAPS, {"data": {"a": "theirs", "kept": "x"}}, manager="kubectl-edit")
    outcome = await pushed(world, applying(world.body(data={"a": "b"}), uid=(await world.read()).uid))
    assert outcome.contest == Contest(("kubectl-edit",), (".data.a",))
    assert (await world.value(CONFIGMAPS, "data", "a"), await world.value(CONFIGMAPS, "data", "kept")) == ("b", "x")


async def test_adopted_it_is_ours_alone_and_the_rest_theirs(world: World) -> None:
    await world.post(CONFIGMAPS, {"data": {"a": "b", "theirs": "x"}}, manager="kubectl-create")
    assert (await pushed(world, applying(world.body(data={"a": "b"})))).status is PropagationStatus.OK
    assert await world.owners("data", "a") == {US}
    await pushed(world, applying(world.body(), uid=(await world.read()).uid))
    assert (await world.value(CONFIGMAPS, "data", "a"), await world.value(CONFIGMAPS, "data", "theirs")) == (None, "x")


async def test_with_adoption_disabled_it_stays(world: World) -> None:
    await world.post(CONFIGMAPS, {"data": {"a": "theirs"}})
    outcome = await pushed(world, applying(world.body(data={"a": "b"}), create_only=True))
    assert outcome.status is PropagationStatus.ALREADY_EXISTS
    assert await world.value(CONFIGMAPS, "data", "a") == "theirs"
    assert not (await world.seen()).owned_digest


async def test_what_kubefed_made_is_taken_over(world: World) -> None:
    await world.post(CONFIGMAPS, world.body(data={"a": "b", "old": "x"}), manager="controller-manager")
    action = applying(world.body(data={"a": "b"}), uid=(await world.read()).uid, legacy=True)
    assert (await pushed(world, action)).status is PropagationStatus.OK
    assert await world.value(CONFIGMAPS, "data", "old") is None


async def test_another_hub_is_left_alone(world: World) -> None:
    body = world.body(data={"a": "b"})
    await world.apply(body, manager=OTHER_HUB)
    outcome = await pushed(world, applying(body))
    assert outcome.status is PropagationStatus.ALREADY_EXISTS
    assert await world.owners("data", "a") == {OTHER_HUB}


async def test_a_claim_is_seen_by_both_and_moves_nothing(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    before = managedfields.observe(await world.read(), OTHER_HUB)
    assert (await pushed(world, Claim(before.uid, OTHER_HUB))).status is PropagationStatus.OK
    after = managedfields.observe(await world.read(), OTHER_HUB)
    assert after == msgspec.structs.replace(before, version=after.version, claims=(US,))
    assert (await world.seen()).claimed
    assert await world.value(CONFIGMAPS, "metadata", "annotations", marks.claim_annotation(US)) == US
    again = await pushed(world, Claim(before.uid, OTHER_HUB))
    assert again.metadata is not None
    assert int(again.metadata.resource_version) == after.version  # said twice it is written once


async def test_the_holder_goes_on_beside_a_claim(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    await pushed(world, Claim((await world.read()).uid, OTHER_HUB))
    written = await world.apply(world.body(data={"a": "c"}), manager=OTHER_HUB)
    assert not isinstance(written, Failure)
    assert managedfields.observe(written.metadata, OTHER_HUB).claims == (US,)
    assert await world.value(CONFIGMAPS, "data", "a") == "c"


async def test_a_claim_makes_no_object(world: World) -> None:
    outcome = await pushed(world, Claim("11111111-2222-3333-4444-555555555555", OTHER_HUB))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.UID_MISMATCH
    assert isinstance(await world.member.read(CONFIGMAPS, world.where), Failure)


async def test_a_claim_on_one_that_was_made_anew_is_refused(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    uid = (await world.read()).uid
    await world.remove(CONFIGMAPS)
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    outcome = await pushed(world, Claim(uid, OTHER_HUB))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.UID_MISMATCH
    assert not (await world.seen()).claimed


async def test_equal_values_are_given_up_with_the_claim(world: World) -> None:
    body = world.body(data={"a": "b"})
    await world.apply(body, manager=OTHER_HUB)
    await world.apply(body)
    shared = await world.seen()
    assert (shared.other_hub, bool(shared.owned_digest)) == (OTHER_HUB, True)
    assert (await pushed(world, Claim(shared.uid, OTHER_HUB, shared=True))).status is PropagationStatus.OK
    after = await world.seen()
    assert (after.owned_digest, after.other_hub, after.managed, after.claimed) == ("", OTHER_HUB, True, True)
    assert await world.owners("data", "a") == {OTHER_HUB}


async def test_a_claim_withdrawn_leaves_nothing(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    before = await world.seen()
    await pushed(world, Claim(before.uid, OTHER_HUB))
    assert (await pushed(world, Release(before.uid, keep_label=True))).status is PropagationStatus.OK
    after = await world.seen()
    assert after == msgspec.structs.replace(before, version=after.version)
    assert await world.value(CONFIGMAPS, "metadata", "annotations", marks.claim_annotation(US)) is None


async def test_a_claim_goes_with_the_annotation_whoever_takes_it_off(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    await pushed(world, Claim((await world.read()).uid, OTHER_HUB))
    await world.unset(CONFIGMAPS, "metadata", "annotations", marks.claim_annotation(US))
    assert not (await world.seen()).claimed


async def test_what_the_other_hub_orphaned_is_ours_without_a_claim(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    await pushed(world, Claim((await world.read()).uid, OTHER_HUB))
    operations = ownership.release_patch(await world.read(), OTHER_HUB)
    assert operations is not None
    assert not isinstance(await world.member.patch(CONFIGMAPS, world.where, operations), Failure)
    assert (await pushed(world, applying(world.body(data={"a": "ours"}), first=True))).status is PropagationStatus.OK
    after = await world.seen()
    assert (after.claimed, after.other_hub, bool(after.owned_digest)) == (False, "", True)
    assert await world.owners("data", "a") == {US}


async def test_a_hub_that_is_gone_for_good_is_taken_off_by_hand(world: World) -> None:
    """docs/push.md gives this patch to users; nobody owns anything afterwards, and the label still says managed."""
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    uid = (await world.read()).uid
    await pushed(world, Claim(uid, OTHER_HUB))
    key = marks.claim_annotation(US).replace("/", "~1")
    by_hand: list[Mapping[str, Any]] = [
        {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
        {"op": "remove", "path": f"/metadata/annotations/{key}"},
    ]
    assert not isinstance(await world.member.patch(CONFIGMAPS, world.where, by_hand), Failure)
    seen = await world.seen()
    assert (seen.managed, seen.owned_digest, seen.other_hub, seen.claimed) == (True, "", "", False)
    assert (
        await pushed(world, applying(world.body(data={"a": "ours"}), uid=uid, first=True))
    ).status is PropagationStatus.OK
    assert await world.owners("data", "a") == {US}
    assert await world.value(CONFIGMAPS, "data", "a") == "ours"


async def test_replicas_are_the_members_own_after_creation(world: World) -> None:
    created = await pushed(
        world, applying(world.deployment(replicas=3), hand_over=3, retain_replicas=True), DEPLOYMENTS
    )
    assert created.status is PropagationStatus.OK
    uid = (await world.read(DEPLOYMENTS)).uid
    await pushed(world, applying(world.deployment(paused=True), uid=uid, retain_replicas=True), DEPLOYMENTS)
    assert await world.value(DEPLOYMENTS, *REPLICAS) == 3
    await world.post(DEPLOYMENTS, {"spec": {"replicas": 7}}, manager="hpa")
    await pushed(world, applying(world.deployment(paused=False), uid=uid, retain_replicas=True), DEPLOYMENTS)
    assert await world.value(DEPLOYMENTS, *REPLICAS) == 7


async def test_retention_that_is_switched_on_later_keeps_the_number(world: World) -> None:
    await pushed(world, applying(world.deployment(replicas=3)), DEPLOYMENTS)
    uid = (await world.read(DEPLOYMENTS)).uid
    later = applying(world.deployment(paused=True), uid=uid, hand_over=5, retain_replicas=True)
    assert (await pushed(world, later, DEPLOYMENTS)).status is PropagationStatus.OK
    assert await world.value(DEPLOYMENTS, *REPLICAS) == 3


async def test_adopted_replicas_stay(world: World) -> None:
    await world.post(DEPLOYMENTS, world.deployment(replicas=9) | {"metadata": {"labels": {"a": "b"}}}, manager="cli")
    action = applying(world.deployment(replicas=3), hand_over=3, retain_replicas=True)
    assert (await pushed(world, action, DEPLOYMENTS)).status is PropagationStatus.OK
    assert await world.value(DEPLOYMENTS, *REPLICAS) == 9


async def test_released_another_may_take_it_up(world: World) -> None:
    await pushed(world, applying(world.body(data={"a": "b"})))
    assert (await pushed(world, Release((await world.read()).uid))).status is PropagationStatus.OK
    after = await world.seen()
    assert (after.owned_digest, after.managed) == ("", False)
    assert await world.value(CONFIGMAPS, "data", "a") == "b"
    assert (await pushed(world, applying(world.body(data={"a": "c"})))).status is PropagationStatus.OK


async def test_a_create_that_may_have_come_to_pass_is_looked_for(world: World) -> None:
    assert (await pushed(world, Delete(""))).status is PropagationStatus.OK
    await pushed(world, applying(world.body(data={"a": "b"})))
    assert (await pushed(world, Delete(""))).status is PropagationStatus.OK
    assert await world.value(CONFIGMAPS, "data", "a") is None
    await world.post(CONFIGMAPS, {"data": {"a": "theirs"}, "metadata": {"labels": {marks.MANAGED_LABEL: "true"}}})
    await pushed(world, Delete(""))
    assert await world.value(CONFIGMAPS, "data", "a") == "theirs"
