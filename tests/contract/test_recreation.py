"""Recreating what may not change, on the fake and on a real API server: what the unit tests of recreation rest on."""

from collections.abc import Mapping
from typing import Any

import msgspec

from federation.controllers import push
from federation.controllers.outcomes import Outcome, Target
from federation.core import manifest
from federation.model.conditions import PropagationStatus
from federation.model.failures import FailureKind
from federation.model.plan import Apply, Recreation
from tests.contract.worlds import CONFIGMAPS, World
from tests.fakes import proven

BACKGROUND = {"propagationPolicy": "Background"}
"""Nobody collects garbage here: in the foreground a ConfigMap would stay."""


def applying(body: Mapping[str, Any], uid: str = "") -> Apply:
    content, digest = manifest.digest(body)
    leave = Recreation(content, BACKGROUND) if uid else None
    return Apply(content, digest, "v1", uid=uid, recreation=leave)


async def pushed(world: World, value: str, uid: str = "", **others: str) -> Outcome:
    action = applying(world.body(immutable=True, data={"a": value, **others}), uid)
    return await push.carry_out(action, Target(world.member, CONFIGMAPS, world.where, prove=proven))


async def test_a_change_that_is_refused_makes_room_for_a_new_object(world: World) -> None:
    first = await pushed(world, "b")
    assert first.metadata is not None
    outcome = await pushed(world, "c", first.metadata.uid)
    assert (outcome.status, outcome.recreating) == (PropagationStatus.WAITING_FOR_REMOVAL, True)
    assert await world.value(CONFIGMAPS, "data", "a") is None
    again = await pushed(world, "c")
    assert again.status is PropagationStatus.OK
    assert await world.value(CONFIGMAPS, "data", "a") == "c"


async def test_a_key_more_or_less_is_a_change_too(world: World) -> None:
    first = await pushed(world, "b", more="x")
    assert first.metadata is not None
    uid = first.metadata.uid
    assert (await pushed(world, "b", uid, more="x")).status is PropagationStatus.OK
    assert (await pushed(world, "b", uid)).recreating
    again = await pushed(world, "b")
    assert again.metadata is not None
    assert (await pushed(world, "b", again.metadata.uid, other="x")).recreating


async def test_what_somebody_else_has_a_share_in_stays(world: World) -> None:
    first = await pushed(world, "b")
    assert first.metadata is not None
    await world.post(CONFIGMAPS, {"metadata": {"annotations": {"theirs": "x"}}})
    await world.apply(world.body(), manager="somebody")  # a share in metadata is none in the object
    assert (await pushed(world, "c", first.metadata.uid)).recreating
    second = await pushed(world, "b")
    assert second.metadata is not None
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": world.namespace}}
    await world.apply({**body, "data": {"a": "b"}}, manager="somebody")
    outcome = await pushed(world, "c", second.metadata.uid)
    assert (outcome.status, outcome.failure) == (PropagationStatus.UPDATE_FAILED, None)
    assert '"somebody" owns .data.a there' in outcome.message
    assert await world.value(CONFIGMAPS, "data", "a") == "b"


async def test_without_the_namespace_nothing_could_be_created(world: World) -> None:
    name = msgspec.structs.replace(world.where, namespace=f"{world.namespace}-missing")
    body = world.body()
    body["metadata"]["namespace"] = name.namespace
    answer = await world.member.would_create(CONFIGMAPS, name, manifest.digest(body)[0])
    assert answer is not None
    assert answer.kind is FailureKind.NAMESPACE_MISSING
