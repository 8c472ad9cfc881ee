"""What policies rest on: dry runs of an apply, and ownership that moves to a second manager."""

import asyncio
from typing import Any

import orjson
import pytest

from federation.controllers import comparing, push
from federation.controllers.outcomes import Outcome, Target
from federation.core import ignoring, manifest
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Compare
from federation.model.policies import Pointer, Takeover
from federation.model.resources import SECRETS, ObjectName, Resource
from tests.contract.test_pushes import applying, pushed
from tests.contract.worlds import CONFIGMAPS, DEPLOYMENTS, OTHER_HUB, US, FakeWorld, World

IGNORED = marks.ignored_manager(US)


# --- a dry run -------------------------------------------------------------------------------------------------------


async def test_a_dry_run_answers_as_an_apply_and_writes_nothing(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}))
    before = await world.read()
    body = orjson.dumps(world.body(data={"a": "c"}))
    would = await world.member.apply(CONFIGMAPS, world.where, body, force=False, whole=True, dry_run=True)
    assert not isinstance(would, Failure)
    content = would.content()
    assert content is not None
    assert content["data"] == {"a": "c"}
    assert await world.read() == before
    assert await world.value(CONFIGMAPS, "data", "a") == "b"


async def test_a_dry_run_names_whose_fields_it_would_take(world: World) -> None:
    await world.post(CONFIGMAPS, {"data": {"a": "theirs"}}, manager="kubectl-edit")
    body = orjson.dumps(world.body(data={"a": "ours"}))
    would = await world.member.apply(CONFIGMAPS, world.where, body, force=False, dry_run=True)
    assert isinstance(would, Failure)
    assert would.kind is FailureKind.FIELD_CONFLICT
    assert [(each.field, each.manager) for each in would.causes] == [(".data.a", "kubectl-edit")]


# --- takeover: IfNoDiff ----------------------------------------------------------------------------------------------


def careful(body: dict[str, Any]) -> Apply:
    return applying(body, create_only=True, takeover=Takeover.IF_NO_DIFF, first=True)


@pytest.mark.parametrize(
    ("theirs", "ours", "says"),
    [
        pytest.param({"a": "b"}, {"a": "b"}, "", id="equal"),
        pytest.param({"a": "b", "own": "x"}, {"a": "b"}, "", id="more-of-theirs"),
        pytest.param({"a": "c"}, {"a": "b"}, '.data.a (set by "human")', id="another-value"),
        pytest.param({"x": "y"}, {"a": "b"}, ".data.a", id="a-field-is-missing"),
    ],
)
@pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS], ids=["configmap", "secret"])
async def test_taken_over_only_where_nothing_differs(
    world: World, resource: Resource, theirs: dict[str, str], ours: dict[str, str], says: str
) -> None:
    encoded = {"a": "YQ==", "b": "Yg==", "c": "Yw==", "x": "eA==", "y": "eQ=="}
    secret = resource is SECRETS
    held, wanted = (
        {key: encoded[value] if secret else value for key, value in data.items()} for data in (theirs, ours)
    )
    await world.post(resource, {"data": held})
    before = await world.read(resource)
    outcome = await pushed(world, careful(world.body(resource, data=wanted)), resource)
    if not says:
        assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")
        assert await world.owners("data", "a", resource=resource) == {US}
        assert await world.owners("metadata", "labels", marks.MANAGED_LABEL, resource=resource) == {US}
    else:
        assert outcome.status is PropagationStatus.ALREADY_EXISTS
        assert outcome.message.endswith(f"because these fields differ: {says}")
        assert await world.read(resource) == before
    for key, value in held.items():
        assert await world.value(resource, "data", key) == value


async def test_another_hubs_is_not_taken_over(world: World) -> None:
    await world.apply(world.body(data={"a": "b"}), manager=OTHER_HUB)
    outcome = await pushed(world, careful(world.body(data={"a": "b"})))
    assert outcome.status is PropagationStatus.ALREADY_EXISTS
    assert OTHER_HUB in outcome.message
    assert await world.owners("data", "a") == {OTHER_HUB}


async def test_a_deployment_that_somebody_applied_as_it_is_in_the_template(world: World) -> None:
    """Its defaults were filled in there, and are nobody's difference."""
    if isinstance(world, FakeWorld):
        pytest.skip("it fills in no defaults")
    body = world.deployment(replicas=2)
    del body["metadata"]["labels"]
    await world.apply(body, DEPLOYMENTS, manager="kubectl")
    outcome = await pushed(world, careful(world.deployment(replicas=2)), DEPLOYMENTS)
    assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")
    # The same, made by a POST, whose maker owns the defaults, too; and one value that differs.
    await world.remove(DEPLOYMENTS)
    body = world.deployment(replicas=2)
    body["metadata"].pop("labels", None)
    await world.post(DEPLOYMENTS, body)
    outcome = await pushed(world, careful(world.deployment(replicas=3)), DEPLOYMENTS)
    assert outcome.status is PropagationStatus.ALREADY_EXISTS
    assert '.spec.replicas (set by "human")' in outcome.message
    assert (await pushed(world, careful(world.deployment(replicas=2)), DEPLOYMENTS)).status is PropagationStatus.OK


# --- drift: Report ---------------------------------------------------------------------------------------------------


async def compared(world: World, body: dict[str, Any], resource: Resource = CONFIGMAPS) -> Outcome:
    content, digest = manifest.digest(body)
    action = Compare((await world.read(resource)).uid, content, digest, "", resource.api_version)
    return await comparing.compare(action, Target(world.member, resource, world.where))


async def test_what_somebody_changed_is_named_and_stays(world: World) -> None:
    body = world.body(data={"a": "b", "c": "d"})
    await world.apply(body)
    assert (await compared(world, body)).status is PropagationStatus.OK
    await world.post(CONFIGMAPS, {"data": {"a": "theirs"}}, manager="kubectl-edit")
    before = await world.read()
    outcome = await compared(world, body)
    assert outcome.status is PropagationStatus.DRIFTED
    assert outcome.message.startswith('"kubectl-edit" in this cluster changed .data.a; ')
    assert await world.read() == before
    await world.post(CONFIGMAPS, {"data": {"a": "b"}}, manager="kubectl-edit")
    assert (await compared(world, body)).status is PropagationStatus.OK, "put back, by whomever"


async def test_what_somebody_removed_is_named(world: World) -> None:
    body = world.body(data={"a": "b", "c": "d"})
    await world.apply(body)
    await world.unset(CONFIGMAPS, "data", "c")
    outcome = await compared(world, body)
    assert outcome.status is PropagationStatus.DRIFTED
    assert outcome.message.startswith(".data.c in this cluster differs from what was applied: somebody removed it")
    assert await world.value(CONFIGMAPS, "data", "c") is None


async def test_a_secret_is_compared_without_its_values(world: World) -> None:
    body = world.body(SECRETS, data={"a": "YQ==", "c": "Yw=="})
    await world.apply(body, SECRETS)
    assert (await compared(world, body, SECRETS)).status is PropagationStatus.OK
    await world.unset(SECRETS, "data", "c")
    outcome = await compared(world, body, SECRETS)
    assert outcome.status is PropagationStatus.DRIFTED
    assert outcome.message.startswith(".data.c in this cluster differs from what was applied")
    await asyncio.sleep(1.1)  # the time of our entry is in whole seconds
    other = {**body, "data": {"a": "YQ=="}}
    await world.apply(other, SECRETS)
    await asyncio.sleep(1.1)
    older = {**body, "data": {"a": "Yg=="}}
    outcome = await compared(world, older, SECRETS)
    assert outcome.status is PropagationStatus.DRIFTED
    assert outcome.message.startswith(".data in this cluster differs")
    assert "Yg==" not in outcome.message


async def test_older_values_under_our_own_name_are_named(world: World) -> None:
    """As after a restore of the member: nobody but us owns anything, and the values are not those of the manifest."""
    await world.apply(world.body(data={"a": "older", "c": "d"}))
    outcome = await compared(world, world.body(data={"a": "b", "c": "d"}))
    assert outcome.status is PropagationStatus.DRIFTED
    assert outcome.message.startswith(".data.a in this cluster differs from what was applied")
    assert await world.value(CONFIGMAPS, "data", "a") == "older"


# --- ignoreFields ----------------------------------------------------------------------------------------------------


def ignoring_fields(body: dict[str, Any], *pointers: Pointer, uid: str = "") -> Apply:
    """As planning makes it: a creation has the fields, an update has not."""
    left, present = ignoring.without(body, pointers)
    content, digest = manifest.digest(left)
    created = manifest.digest(body)[0]
    return Apply(
        content if uid else created, digest, body["apiVersion"], uid=uid, first=not uid, changed=True, ignored=present
    )


async def test_a_field_is_set_at_creation_and_left_alone_afterwards(world: World) -> None:
    pointer = ("data", "c")
    await pushed(world, ignoring_fields(world.body(data={"a": "b", "c": "d"}), pointer))
    assert (await world.owners("data", "a"), await world.owners("data", "c")) == ({US}, {IGNORED})
    uid = (await world.read()).uid
    await pushed(world, ignoring_fields(world.body(data={"a": "new", "c": "new"}), pointer, uid=uid))
    assert (await world.value(CONFIGMAPS, "data", "a"), await world.value(CONFIGMAPS, "data", "c")) == ("new", "d")
    await world.post(CONFIGMAPS, {"data": {"c": "theirs"}}, manager="scaler")
    outcome = await pushed(world, ignoring_fields(world.body(data={"a": "again", "c": "new"}), pointer, uid=uid))
    assert (outcome.status, outcome.contest) == (PropagationStatus.OK, None)
    assert await world.value(CONFIGMAPS, "data", "c") == "theirs"
    assert await world.owners("data", "c") == {"scaler"}


async def test_ignored_no_more_it_is_ours_again(world: World) -> None:
    await pushed(world, ignoring_fields(world.body(data={"a": "b", "c": "d"}), ("data", "c")))
    uid = (await world.read()).uid
    await pushed(world, applying(world.body(data={"a": "b", "c": "e"}), uid=uid, changed=True))
    assert (await world.value(CONFIGMAPS, "data", "c"), await world.owners("data", "c")) == ("e", {US})
    await pushed(world, applying(world.body(data={"a": "b"}), uid=uid, changed=True))
    assert await world.value(CONFIGMAPS, "data", "c") is None


async def test_fields_in_lists_and_required_ones(world: World) -> None:
    """An image is required: a manifest without one is taken because the object has it."""
    if isinstance(world, FakeWorld):
        pytest.skip("a list is one value there")
    image = ("spec", "template", "spec", "containers", "0", "image")
    replicas = ("spec", "replicas")
    await pushed(world, ignoring_fields(world.deployment(replicas=3), image, replicas), DEPLOYMENTS)
    assert await world.owners("spec", "replicas", resource=DEPLOYMENTS) == {IGNORED}
    uid = (await world.read(DEPLOYMENTS)).uid
    outcome = await pushed(
        world, ignoring_fields(world.deployment(replicas=1, paused=True), image, replicas, uid=uid), DEPLOYMENTS
    )
    assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")
    assert await world.value(DEPLOYMENTS, "spec", "replicas") == 3
    assert await world.value(DEPLOYMENTS, "spec", "paused") is True
    containers = await world.value(DEPLOYMENTS, "spec", "template", "spec", "containers")
    assert [each["image"] for each in containers] == ["i"]


async def test_what_is_one_value_to_the_api_server_cannot_be_ignored_in_part(world: World) -> None:
    if isinstance(world, FakeWorld):
        pytest.skip("it knows no schemas")
    label = ("spec", "selector", "matchLabels", "app")
    created = await pushed(world, ignoring_fields(world.deployment(replicas=3), label), DEPLOYMENTS)
    assert created.status is PropagationStatus.FIELD_RETENTION_FAILED
    assert 'has "/spec/selector" as one value' in created.message
    uid = (await world.read(DEPLOYMENTS)).uid
    before = await world.read(DEPLOYMENTS)
    again = await pushed(world, ignoring_fields(world.deployment(replicas=4), label, uid=uid), DEPLOYMENTS)
    assert again.status is PropagationStatus.FIELD_RETENTION_FAILED
    assert await world.read(DEPLOYMENTS) == before, "nothing is written"


async def test_switched_on_for_a_copy_that_is_there(world: World) -> None:
    await pushed(world, applying(world.body(data={"a": "b", "c": "d"})))
    uid = (await world.read()).uid
    await pushed(world, ignoring_fields(world.body(data={"a": "b", "c": "new"}), ("data", "c"), uid=uid))
    assert (await world.value(CONFIGMAPS, "data", "c"), await world.owners("data", "c")) == ("d", {IGNORED})


async def test_an_object_that_is_taken_over_keeps_its_value(world: World) -> None:
    await world.post(CONFIGMAPS, {"data": {"a": "theirs", "c": "theirs"}})
    await push.carry_out(
        ignoring_fields(world.body(data={"a": "b", "c": "d"}), ("data", "c")),
        Target(world.member, CONFIGMAPS, ObjectName(world.namespace, "web")),
    )
    assert (await world.value(CONFIGMAPS, "data", "a"), await world.value(CONFIGMAPS, "data", "c")) == ("b", "theirs")
    assert await world.owners("data", "c") == {"human"}
