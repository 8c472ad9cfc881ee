"""A custom type is upgraded under objects that are applied: what managedFields say of a version that is gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest

from federation.kube.connection import APPLY_PATCH, MERGE_PATCH, Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.members import MemberWriter, Written
from federation.kube.tls import Trust
from federation.model.failures import Failure
from federation.model.resources import CRDS, ObjectName, Resource
from federation.playground.access import LocalCluster

pytestmark = pytest.mark.clusters

V1, V2 = (Resource("shop.example.com", version, "Gadget", "gadgets", namespaced=True) for version in ("v1", "v2"))
WHERE = ObjectName("default", "web")
DEFINITION = ObjectName("", "gadgets.shop.example.com")


class Upgraded:
    """One API server with the type, of which `serve` changes the versions."""

    def __init__(self, cluster: LocalCluster) -> None:
        trust = Trust(cluster.ca_pem.encode())
        endpoint = Endpoint(cluster.url, trust, Credentials(f"Bearer {cluster.token}"))
        self.connection = Connection("m1", endpoint, agent="tests")
        self.writer = MemberWriter(self.connection, "us")

    async def serve(self, *versions: str) -> None:
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": DEFINITION.name},
            "spec": {
                "group": V1.group,
                "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
                "scope": "Namespaced",
                "versions": [_version(name, stored=name == versions[-1]) for name in versions],
            },
        }
        path = CRDS.path(DEFINITION)
        await self._send("PATCH", f"{path}?fieldManager=admin&force=true", body, APPLY_PATCH)
        for resource in (V1, V2):
            async with asyncio.timeout(30):
                while (await self._serves(resource)) is not (resource.version in versions):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    async def drop_v1(self) -> None:
        """As an admin does it: all objects are written as v2 once, and then nothing is stored as v1."""
        await self._send("PATCH", V2.path(WHERE), {"metadata": {"annotations": {"stored-as": "v2"}}}, MERGE_PATCH)
        status = {"status": {"storedVersions": ["v2"]}}
        await self._send("PATCH", f"{CRDS.path(DEFINITION)}/status", status, MERGE_PATCH)
        await self.serve("v2")

    async def apply(self, resource: Resource, **spec: Any) -> Written | Failure:
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": WHERE.name, "namespace": WHERE.namespace},
            "spec": spec,
        }
        return await self.writer.apply(resource, WHERE, orjson.dumps(body), force=True)

    async def edit(self, resource: Resource, **spec: Any) -> None:
        """Somebody else writes."""
        await self._send("PATCH", f"{resource.path(WHERE)}?fieldManager=somebody", {"spec": spec}, MERGE_PATCH)

    async def held(self) -> Any:
        answer = await self.connection.request("GET", V2.path(WHERE))
        assert not isinstance(answer, Failure), answer
        return answer.json()

    async def _serves(self, resource: Resource) -> bool:
        return not isinstance(await self.connection.request("GET", resource.collection("default")), Failure)

    async def _send(self, method: str, path: str, body: Any, kind: str) -> None:
        answer = await self.connection.request(method, path, body=orjson.dumps(body), content_type=kind)
        assert not isinstance(answer, Failure), answer


def _version(name: str, *, stored: bool) -> dict[str, Any]:
    fields = {each: {"type": "string"} for each in ("size", "note", *(("colour",) if name == "v2" else ()))}
    spec = {"type": "object", "properties": fields}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {"name": name, "served": True, "storage": stored, "schema": schema}


@pytest.fixture
async def upgraded(server: LocalCluster) -> AsyncIterator[Upgraded]:
    made = Upgraded(server)
    await made.serve("v1")
    yield made
    await made.connection.request("DELETE", CRDS.path(DEFINITION))
    async with asyncio.timeout(60):
        while await made._serves(V1) or await made._serves(V2):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await made.connection.close()


async def test_applies_go_on_when_the_version_of_the_last_one_is_gone(upgraded: Upgraded) -> None:
    assert isinstance(await upgraded.apply(V1, size="1", note="ours"), Written)
    await upgraded.edit(V1, size="2")
    await upgraded.serve("v1", "v2")
    await upgraded.drop_v1()
    written = await upgraded.apply(V2, size="3")
    assert isinstance(written, Written), written
    held = await upgraded.held()
    assert held["spec"] == {"size": "3"}, "what we do not name any more is gone: it was ours in v1, too"
    assert _versions(held) == {"shop.example.com/v2"}
    assert _owners(held, "f:size") == {"us"}


async def test_a_field_that_our_last_version_does_not_have_can_be_set(upgraded: Upgraded) -> None:
    assert isinstance(await upgraded.apply(V1, size="1", note="ours"), Written)
    await upgraded.serve("v1", "v2")
    written = await upgraded.apply(V2, size="1", colour="red")
    assert isinstance(written, Written), written
    assert (await upgraded.held())["spec"] == {"size": "1", "colour": "red"}


async def test_a_dry_run_changes_nothing(upgraded: Upgraded) -> None:
    assert isinstance(await upgraded.apply(V1, size="1"), Written)
    await upgraded.serve("v1", "v2")
    await upgraded.drop_v1()
    before = await upgraded.held()
    body = {"apiVersion": V2.api_version, "kind": V2.kind, "metadata": {"name": WHERE.name}, "spec": {"size": "2"}}
    refused = await upgraded.writer.apply(V2, WHERE, orjson.dumps(body), force=True, dry_run=True)
    assert isinstance(refused, Failure)
    assert await upgraded.held() == before


def _versions(held: Any) -> set[str]:
    return {entry["apiVersion"] for entry in held["metadata"]["managedFields"]}


def _owners(held: Any, field: str) -> set[str]:
    entries: Sequence[Any] = held["metadata"]["managedFields"]
    return {entry["manager"] for entry in entries if field in entry["fieldsV1"].get("f:spec", {})}
