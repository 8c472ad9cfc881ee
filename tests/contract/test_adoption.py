"""Adopted objects: whatever was made by whichever tool in whichever version, what leaves the template leaves them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import orjson
import pytest

from federation.controllers import push
from federation.controllers.outcomes import Target
from federation.core import manifest
from federation.kube.connection import expect
from federation.model.conditions import PropagationStatus
from federation.model.plan import Apply
from federation.model.resources import Resource
from federation.playground.access import LocalCluster
from tests.contract.worlds import CONFIGMAPS, US, RealWorld
from tests.fakes import proven

pytestmark = pytest.mark.clusters

AUTOSCALERS = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True)
WIDGETS = Resource("adoption.example.com", "v1", "Widget", "widgets", namespaced=True)
APPLY = "application/apply-patch+yaml"


@pytest.fixture
async def real(server: LocalCluster) -> AsyncIterator[RealWorld]:
    async with RealWorld(server) as real:
        yield real


async def pushed(world: RealWorld, resource: Resource, content: Mapping[str, Any], **others: Any) -> None:
    body, digest = manifest.digest(world.body(resource, **content))
    action = Apply(body, digest, resource.api_version, **others)
    outcome = await push.carry_out(action, Target(world.member, resource, world.where, prove=proven))
    assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")


async def applied(world: RealWorld, resource: Resource, content: Mapping[str, Any], manager: str) -> None:
    """`kubectl apply --server-side`."""
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "web"}, **content}
    params = {"fieldManager": manager}
    where = resource.path(world.where)
    expect(
        await world.connection.request("PATCH", where, body=orjson.dumps(body), content_type=APPLY, params=params),
        "apply",
    )


async def uid(world: RealWorld, resource: Resource) -> str:
    return (await world.read(resource)).uid


async def test_what_was_applied_by_somebody_goes_with_the_template(real: RealWorld) -> None:
    await applied(real, CONFIGMAPS, {"data": {"a": "b", "gone": "x", "theirs": "y"}}, "kubectl")
    await applied(real, CONFIGMAPS, {"data": {"gone": "x"}}, "another")
    await pushed(real, CONFIGMAPS, {"data": {"a": "b", "gone": "x"}})
    assert await real.owners("data", "gone") == {US}
    await pushed(real, CONFIGMAPS, {"data": {"a": "b"}}, uid=await uid(real, CONFIGMAPS))
    assert await real.value(CONFIGMAPS, "data") == {"a": "b", "theirs": "y"}


@pytest.mark.parametrize("manager", ["kubectl", "kubectl-create"])
async def test_what_was_made_in_another_version_goes_with_the_template(real: RealWorld, manager: str) -> None:
    """scaleTargetRef is one leaf in autoscaling/v1 and three fields in v2."""
    older = replace(AUTOSCALERS, version="v1")
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 5}
    if manager == "kubectl":
        await applied(real, older, {"spec": {**spec, "minReplicas": 2}}, manager)
    else:
        body = {"apiVersion": older.api_version, "kind": older.kind, "spec": {**spec, "minReplicas": 2}}
        await real.post(older, body, manager=manager)
    await pushed(real, AUTOSCALERS, {"spec": {**spec, "minReplicas": 2}})
    await pushed(real, AUTOSCALERS, {"spec": spec}, uid=await uid(real, AUTOSCALERS))
    assert await real.value(AUTOSCALERS, "spec", "minReplicas") == 1  # the default
    assert await real.owners("spec", "scaleTargetRef", resource=AUTOSCALERS) == {US}


SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "nullable": {"type": "string", "nullable": True},
                "defaulted": {"type": "string", "default": "d"},
                "both": {"type": "string", "nullable": True, "default": "d"},
                "plain": {"type": "string"},
                "words": {"type": "object", "additionalProperties": {"type": "string"}},
                "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "list": {"type": "array", "items": {"type": "string", "nullable": True}},
                "parts": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "deep": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
            },
        }
    },
}


@pytest.mark.parametrize(
    "spec",
    [
        {"nullable": None},
        {"defaulted": None},
        {"both": None},
        {"plain": None},
        {"words": None},
        {"words": {"a": None, "b": "c"}},
        {"values": None},
        {"values": {"limits": {"cpu": None}}},
        {"values": {"l": [None, {"a": None}]}},
        {"list": ["a", None]},
        {"parts": [{"a": None}, {"a": "b"}]},
        {"deep": {"a": None, "b": None}},
        {"deep": None, "plain": None, "nullable": None, "values": {"a": None}},
    ],
    ids=lambda spec: orjson.dumps(spec).decode(),
)
async def test_a_custom_types_null_means_what_it_means_to_a_post(real: RealWorld, spec: Mapping[str, Any]) -> None:
    """Its schema says what that is: kept, left out, or the default."""
    await real.install(WIDGETS, SCHEMA)
    name = msgspec.structs.replace(real.where, name="posted")
    await real.post(WIDGETS, {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind, "spec": spec}, name=name)
    posted = expect(await real.connection.request("GET", WIDGETS.path(name)), "get").json()["spec"]
    await pushed(real, WIDGETS, {"spec": spec})
    assert await real.value(WIDGETS, "spec") == posted
    await pushed(real, WIDGETS, {"spec": {**spec, "plain": "x"}}, uid=await uid(real, WIDGETS))
    assert await real.value(WIDGETS, "spec") == {**posted, "plain": "x"}
