"""After any change of a template, an object is what a new one would be, and what a PUT would make of it.

Random changes of many types on a real API server. What was defaulted from the old manifest must not stay beside the new
one: unions (strategies, probes, volumes), derived defaults (policyTypes, imagePullPolicy, completions), defaults nested
in a custom type. Allowed to differ is only what the API server itself allocated. CHANGES says how many changes of
each type are made (default 6, more in `make soak`), CHANGES_SEED which.
"""

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from federation.controllers import clearing, push
from federation.controllers.outcomes import Outcome, Target
from federation.core import managedfields, manifest
from federation.kube.connection import APPLY_PATCH, expect
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply
from federation.model.resources import ObjectName, Resource
from federation.playground.access import LocalCluster
from tests.contract.changes import TYPES
from tests.contract.changes_custom import EMPTIED, GADGETS, HOLLOW, SCHEMA, WIDGETS
from tests.contract.dice import SELECTOR, Content, Dice
from tests.contract.worlds import US, RealWorld

pytestmark = pytest.mark.clusters

COUNT = int(os.environ.get("CHANGES", "6"))
SEED = int(os.environ.get("CHANGES_SEED", "9"))
ALLOCATED = {"clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"}
"""A Service's: kept as long as its type has them."""
MADE_AT_CREATION = {"selector", "batch.kubernetes.io/controller-uid", "controller-uid", "completions"}
"""A Job's: they name its own uid, or may not change."""
OWN_NAME = {"batch.kubernetes.io/job-name", "job-name"}


@pytest.fixture
async def real(server: LocalCluster) -> AsyncIterator[RealWorld]:
    async with RealWorld(server) as real:
        await real.install(WIDGETS, SCHEMA)
        await real.install(GADGETS, HOLLOW)
        yield real


@dataclass
class Copy:
    """One object of a type at a member, as pushes see it, and its twin that is written by PUT."""

    world: RealWorld
    resource: Resource
    name: str = field(default_factory=lambda: f"x{uuid.uuid4().hex[:8]}")
    uid: str = ""

    def where(self, suffix: str = "") -> ObjectName:
        return ObjectName(self.world.namespace if self.resource.namespaced else "", self.name + suffix)

    def body(self, content: Content, suffix: str = "") -> Content:
        made = self.world.body(self.resource, **{k: v for k, v in content.items() if k != "metadata"})
        made["metadata"]["name"] = self.name + suffix
        labels = {**made["metadata"]["labels"], **content.get("metadata", {}).get("labels", {})}
        return {**made, "metadata": {**made["metadata"], "labels": labels}}

    async def push(self, content: Content, **others: Any) -> Outcome:
        body, digest = manifest.digest(self.body(content))
        action = Apply(body, digest, self.resource.api_version, uid=self.uid, changed=bool(self.uid), **others)
        target = Target(self.world.member, self.resource, self.where())
        outcome = await push.carry_out(action, target)
        while outcome.failure is not None and outcome.failure.kind is FailureKind.VERSION_CONFLICT:
            outcome = await push.carry_out(action, target)  # the API server itself writes statuses of flow schemas
        if outcome.metadata is not None:
            self.uid = outcome.metadata.uid
        return outcome

    async def made(self, content: Content, by: str) -> None:
        """Somebody makes it: by a create, by server-side apply, or KubeFed, which set our label."""
        body = self.body(content)
        if by != "KubeFed":
            del body["metadata"]["labels"]["kubefed.io/managed"]
        there, connection = self.resource.collection(self.where().namespace), self.world.connection
        if by == "apply":
            path, params = self.resource.path(self.where()), {"fieldManager": "kubectl"}
            answer = await connection.request(
                "PATCH", path, body=orjson.dumps(body), params=params, content_type=APPLY_PATCH
            )
        else:
            answer = await connection.request("POST", there, body=orjson.dumps(body), params={"fieldManager": by})
        expect(answer, by)
        if by == "KubeFed":
            self.uid = (await self.world.member.read(self.resource, self.where())).uid  # type: ignore[union-attr]

    async def now(self, suffix: str = "") -> Content:
        answer = expect(await self.world.connection.request("GET", self.resource.path(self.where(suffix))), "get")
        return self.compared(answer.json())

    async def fresh(self, content: Content) -> Content | Failure:
        """What a new object would be."""
        body = self.body(content)
        metadata = {name: value for name, value in body["metadata"].items() if name != "name"}
        answer = await self.world.connection.request(
            "POST",
            self.resource.collection(self.world.namespace if self.resource.namespaced else ""),
            body=orjson.dumps({**body, "metadata": {**metadata, "generateName": "fresh-"}}),
            params={"dryRun": "All"},
        )
        return answer if isinstance(answer, Failure) else self.compared(answer.json())

    async def put(self, content: Content) -> Content | Failure:
        """What a PUT makes of the twin, as `kubectl replace` sends it."""
        path, body = self.resource.path(self.where("-put")), self.body(content, "-put")
        there = await self.world.connection.request("GET", path)
        if isinstance(there, Failure):
            answer = await self.world.connection.request(
                "POST", self.resource.collection(self.where().namespace), body=orjson.dumps(body)
            )
        else:
            body["metadata"]["resourceVersion"] = there.json()["metadata"]["resourceVersion"]
            answer = await self.world.connection.request("PUT", path, body=orjson.dumps(body))
        return answer if isinstance(answer, Failure) else self.compared(answer.json())

    def compared(self, found: Content) -> Content:
        """What is compared: all but metadata, status and what the API server allocates."""
        drop = ALLOCATED if self.resource.plural == "services" else set()
        if self.resource.plural == "jobs":
            drop = MADE_AT_CREATION | OWN_NAME
        content = {name: value for name, value in found.items() if name not in {"metadata", "status"}}
        if self.resource is GADGETS:
            spec = content.get("spec", {})
            content["spec"] = {name: value for name, value in spec.items() if name not in EMPTIED or value != []}
        cleaned = without(content, drop)
        assert isinstance(cleaned, dict)
        return cleaned


def without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: without(child, names) for name, child in value.items() if name not in names}
    if isinstance(value, list):
        return [without(child, names) for child in value]
    return value


@pytest.mark.parametrize("plural", TYPES)
async def test_a_changed_object_is_what_a_new_one_would_be(real: RealWorld, plural: str) -> None:
    kind = TYPES[plural]
    dice = Dice(SEED)
    copy = Copy(real, kind.resource)
    for _ in range(COUNT + 1):
        content = kind.make(dice)
        fresh = await copy.fresh(content)
        if isinstance(fresh, Failure):
            continue  # made up so that no API server takes it
        put = await copy.put(content)
        outcome = await copy.push(content)
        if isinstance(put, Failure):
            assert outcome.status is PropagationStatus.OK or outcome.failure is not None
            if outcome.status:
                copy = Copy(real, kind.resource)  # may not be changed so by anybody: begin anew
                continue
        assert (outcome.status, outcome.message, outcome.dropped) == (PropagationStatus.OK, "", ""), content
        held = await copy.now()
        assert held == fresh
        if not isinstance(put, Failure):
            assert held == put


@pytest.mark.parametrize("by", ["create", "apply", "KubeFed"])
@pytest.mark.parametrize("plural", TYPES)
async def test_an_object_that_somebody_else_made_changes_like_our_own(real: RealWorld, plural: str, by: str) -> None:
    """Once it is adopted as it is: then what its maker left to defaulting is nobody's."""
    kind = TYPES[plural]
    dice = Dice(SEED + 1)
    for _ in range(COUNT // 2):
        copy, first, second = Copy(real, kind.resource), kind.make(dice), kind.make(dice)
        if isinstance(await copy.fresh(first), Failure) or isinstance(await copy.fresh(second), Failure):
            continue
        await copy.made(first, by)
        adopted = await copy.push(first, legacy=by == "KubeFed", first=True)
        assert (adopted.status, adopted.message) == (PropagationStatus.OK, ""), first
        outcome = await copy.push(second)
        if outcome.status and isinstance(await copy.put(first), dict) and isinstance(await copy.put(second), Failure):
            continue  # nobody may change it so
        assert (outcome.status, outcome.message, outcome.dropped) == (PropagationStatus.OK, "", ""), (first, second)
        assert await copy.now() == await copy.fresh(second), (first, second)


async def test_a_map_that_becomes_empty_in_one_that_becomes_empty_with_it(real: RealWorld) -> None:
    """KubeFed owned the defaults in both; to the schema, what an apply leaves of them is null."""
    content: Content = {"spec": {"tls": {}}}
    copy = Copy(real, TYPES["widgets"].resource)
    await copy.made(content, "KubeFed")
    adopted = await copy.push(content, legacy=True, first=True)
    assert (adopted.status, adopted.message) == (PropagationStatus.OK, "")
    assert await copy.now() == await copy.fresh(content)


async def test_killed_between_its_two_writes_the_next_apply_heals(real: RealWorld) -> None:
    """The leftovers are ours then, and our entry is not the remembered one: either manifest is applied once more."""
    kind = TYPES["deployments"]
    spec = {"selector": SELECTOR, "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD}}
    old, new = {"spec": spec}, {"spec": {**spec, "strategy": {"type": "Recreate"}}}
    for following in (new, old):
        copy = Copy(real, kind.resource)
        before = (await copy.push(old)).metadata
        whole = await real.member.read_whole(kind.resource, copy.where())
        assert not isinstance(whole, Failure)
        body, _ = manifest.digest(copy.body(new))
        await clearing.clear(real.member, kind.resource, copy.where(), body, uid=copy.uid)
        after = await real.member.read(kind.resource, copy.where())
        assert before is not None
        assert not isinstance(after, Failure)
        assert after.generation == before.generation, "nothing but the owner has changed"
        assert managedfields.observe(after, US).owned_digest != managedfields.observe(before, US).owned_digest
        outcome = await copy.push(following)
        assert (outcome.status, outcome.message) == (PropagationStatus.OK, "")
        assert await copy.now() == await copy.fresh(following)


POD = {"containers": [{"name": "c", "image": "web:1"}]}
