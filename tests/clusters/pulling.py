"""A cluster in pull mode as a part of the fleet: its KubeFedCluster, its agent's process, and its heartbeats.

`pulled` is a Pull whose cluster the fleet's controller serves; the controller has the rights that registration gives
it, and the test beats for the agent, which is not registered.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from federation.joining import invitations, setup
from federation.model.failures import Failure
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, LEASES, NAMESPACES
from federation.model.works import APPLIED_WORKS, MANIFEST_WORKS
from federation.registration import heartbeats, names
from tests.clusters.agents import Pull
from tests.clusters.fleets import Fleet
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, Api, eventually
from tests.clusters.steps import Unlike, create, gone

BEAT = 2.0
"""Seconds between two beats."""


class Pulled(Pull):
    """One such cluster, `cluster`; what is federated lives in `namespace`, at the hub and in the member."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        super().__init__(fleet.playground, directory)
        self.fleet = fleet
        self._beating: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """The controller serves it from now on."""
        await self.prepare()
        body = {
            "apiVersion": KUBEFED_CLUSTERS.api_version,
            "kind": KUBEFED_CLUSTERS.kind,
            "metadata": {"name": self.cluster},
            "spec": {"syncMode": "Pull"},
        }
        await self.host.create(KUBEFED_CLUSTERS, body, SYSTEM_NAMESPACE)

    async def prepare(self) -> None:
        """The controller has its rights, and the agent is heard."""
        await invitations.prepare(self.host.connection, SYSTEM_NAMESPACE, setup.quiet)

        async def listed() -> bool:
            for api, resource in ((self.host, MANIFEST_WORKS), (self.member, APPLIED_WORKS)):
                if isinstance(await api.connection.request("GET", resource.collection()), Failure):
                    return False  # the store of a definition that is new begins
            return True

        await eventually(listed)
        await self.host.create(LEASES, {"metadata": {"name": names.LEASE}, "spec": self._beat()}, self.cluster)
        self.beat()
        await self.host.create(NAMESPACES, {"metadata": {"name": self.namespace}})

    def _beat(self) -> dict[str, Any]:
        return dict(heartbeats.spec("test", time.time(), seconds=4))

    def beat(self) -> None:
        """The agent is heard from now on."""
        self._beating = asyncio.create_task(self._beats())

    async def silence(self) -> None:
        """It is not heard any more."""
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating

    async def _beats(self) -> None:
        while True:
            await self.host.patch(LEASES, self.cluster, names.LEASE, {"spec": self._beat()})
            await asyncio.sleep(BEAT)

    async def federate(self, kind: Any, name: str, template: Any = None, **spec: Any) -> None:
        """A federated object that is placed in this cluster alone."""
        await create(self.host, kind, self.namespace, name, template, clusters=[self.cluster], **spec)

    async def line(self, kind: Any, name: str, status: str = "", within: float = 60.0) -> dict[str, Any]:
        """Its line of this object, once it has this status; "" is applied."""

        async def reached() -> Any:
            found = await self.host.get(kind, self.namespace, name)
            for each in ((found or {}).get("status") or {}).get("clusters") or ():
                if each["name"] == self.cluster and each.get("status", "") == status:
                    return {"status": "", "message": "", **each}
            return None

        try:
            found: dict[str, Any] = await eventually(reached, within=within)
        except pytest.fail.Exception as failure:
            stored = await self.host.get(kind, self.namespace, name)
            works = await self.works()
            pytest.fail(
                f"{failure}; status: {(stored or {}).get('status')}; "
                f"works: {[(each['metadata']['name'], each.get('status')) for each in works]}; "
                f"controller: {self.fleet.controller.log[-3000:]}; agent: {self.agent.log[-2000:]}"
            )
        return found

    async def works(self) -> list[dict[str, Any]]:
        """Those that it has at the hub."""
        return await self.host.items(MANIFEST_WORKS, self.cluster)

    async def moves(self, mode: str) -> None:
        """Into push mode, or pull mode."""
        await self.host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, self.cluster, {"spec": {"syncMode": mode}})

    async def leave(self) -> None:
        """Nothing of it is left at the hub."""
        await self.silence()
        await self.host.delete(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, self.cluster)
        await self.host.delete(NAMESPACES, "", self.namespace)


class Use:
    """What a user does with ConfigMaps in one cluster: makes them, and changes them one after the other."""

    def __init__(self, pulled: Pulled) -> None:
        self._pulled = pulled
        self._one_by_one = asyncio.Lock()
        self.values: dict[str, str] = {}

    async def change(self) -> None:
        """One object more, and another value in one that is there."""
        async with self._one_by_one:
            number = len(self.values)
            self.values[f"web-{number}"] = "new"
            await self._pulled.federate(FEDERATED_CONFIGMAPS, f"web-{number}", {"data": {"a": "new"}})
            changed = f"web-{number // 2}"
            self.values[changed] = f"changed-{number}"
            body = {"spec": {"template": {"data": {"a": self.values[changed]}}}}
            await self._pulled.host.patch(FEDERATED_CONFIGMAPS, self._pulled.namespace, changed, body)

    async def while_it(self, doing: Awaitable[None]) -> None:
        """Go on before, during and after something."""
        going = asyncio.ensure_future(doing)
        for _ in range(4):
            await self.change()
            await asyncio.sleep(0.2)
        await going

    async def copies(self) -> dict[str, dict[str, Any]]:
        """What the member has of them."""
        found = await self._pulled.member.items(CONFIGMAPS, self._pulled.namespace)
        return {each["metadata"]["name"]: each for each in found if each["metadata"]["name"] in self.values}

    async def until_arrived(self) -> None:
        """Until the member has all as they are wanted, and their lines say so."""
        if not self.values:
            await self.change()

        async def arrived() -> object:
            found = {name: each.get("data", {}).get("a") for name, each in (await self.copies()).items()}
            return True if found == self.values else Unlike({"found": found, "wanted": self.values})

        await eventually(arrived, within=60.0, seen="every change is in the member")
        for name in self.values:
            await self._pulled.line(FEDERATED_CONFIGMAPS, name)

    async def delete(self) -> None:
        """All of them, until the member has none."""
        host, namespace = self._pulled.host, self._pulled.namespace
        for name in self.values:
            await host.delete(FEDERATED_CONFIGMAPS, namespace, name)
        for name in self.values:
            await gone(host, FEDERATED_CONFIGMAPS, namespace, name)
        assert await self.copies() == {}


@pytest.fixture
async def pulled(fleet: Fleet, host: Api, tmp_path: Path) -> AsyncIterator[Pulled]:
    made = Pulled(fleet, tmp_path)
    await made.set_up()
    try:
        await made.join()
        await made.start()
        yield made
    finally:
        await made.leave()
        await made.tear_down()
