"""Fixtures of a whole federation, imported by the test modules that use it.

`fleet` is one per test session: the playground with the API installed, m1 and m2 joined, the usual types enabled and
one controller running with nothing but the rights of its own service account. Tests share it, each in a namespace of
its own; a test that breaks the controller or a cluster mends it before it ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federation.joining import disabling, enabling, joins, leaving, objects, setup, tokens
from federation.joining.contexts import Contexts
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    CERTIFICATE_REQUESTS,
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    NAMESPACES,
    TYPE_CONFIGS,
    ObjectName,
    Resource,
)
from federation.model.works import AGENT_LABEL, APPLIED_WORKS, HASH_ANNOTATION
from federation.playground import access
from federation.playground.clusters import Playground
from federation.registration import invitations
from tests.clusters.harness import ENABLED, Api, Controller, eventually
from tests.clusters.steps import Unlike, configure

_HOME = invitations.namespace(SYSTEM_NAMESPACE)
"""Of the bootstrap accounts: where it is, the controller follows requests and Leases of clusters in pull mode."""


class Marked(Api):
    """A member's API which leaves out what an agent marks its copies with, beside the hub's own label."""

    def shown(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Without the agent's label and annotation, and without the record of the work as its owner."""
        metadata = stored.get("metadata", {})
        for field, key in (("labels", AGENT_LABEL), ("annotations", HASH_ANNOTATION)):
            if metadata.get(field, {}).pop(key, None) is not None and not metadata[field]:
                del metadata[field]
        owners = [each for each in metadata.get("ownerReferences", ()) if each["kind"] != APPLIED_WORKS.kind]
        if "ownerReferences" in metadata:
            metadata["ownerReferences"] = owners
            if not owners:
                del metadata["ownerReferences"]
        return stored


class Fleet:
    """A host, two joined members, and a controller."""

    shared: "Fleet | None" = None
    """The one of this test session, once a test has asked for it."""

    def __init__(self, playground: Playground, directory: Path) -> None:
        self.playground = playground
        self.directory = directory
        self.members = ("m1", "m2")
        self.pulled: Collection[str] = ()
        """Those that agents serve (`modes`)."""
        self.kubeconfig = directory / "controller.kubeconfig"
        self.controller = Controller(self.kubeconfig, directory)
        self.settings: dict[str, Any] = {}
        """The KubeFedConfig's spec."""

    async def set_up(self) -> None:
        """Install, join and enable as a user would, and log the controller in as its own service account."""
        kubeconfig = str(self.playground.kubeconfig)
        await setup.everything(kubeconfig, "host", self.members, ENABLED, settings=setup.NOTHING_HELD)
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            account = ObjectName(SYSTEM_NAMESPACE, "kubefed-controller")
            token = (await tokens.request(await contexts.open("host"), account)).token
        cluster = replace(self.playground.clusters["host"], token=token)
        async with self.api("host") as host:
            self.settings = (await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed") or {})["spec"]
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_bytes(access.kubeconfig([cluster]))

    async def enable(self, *requests: str | enabling.Request) -> None:
        """Enable more types, as `fedctl enable` does."""
        made = [each if isinstance(each, enabling.Request) else enabling.Request(name=each) for each in requests]
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            await enabling.enable(contexts, await contexts.open("host"), SYSTEM_NAMESPACE, made, setup.quiet)

    async def disable(self, *names: str) -> None:
        """Disable types, as `fedctl disable` does; their federated CRDs stay."""
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            await disabling.disable(contexts, await contexts.open("host"), SYSTEM_NAMESPACE, names, setup.quiet)

    async def join(self, name: str, context: str = "", **labels: str) -> None:
        """Join a cluster of the playground, as `fedctl join` does; `context` when it is not named as the cluster."""
        wanted = objects.Wanted(name, "host", labels=labels, error_on_existing=False)
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            await joins.join(await contexts.open("host"), await contexts.open(context or name), wanted, setup.quiet)

    async def unjoin(self, name: str, context: str = "") -> None:
        """Let a cluster go, as `fedctl unjoin` does."""
        async with Contexts(str(self.playground.kubeconfig)) as contexts:
            leaving_ = leaving.Leaving(name, "host")
            await leaving.leave(
                await contexts.open("host"), await contexts.open(context or name), leaving_, setup.quiet
            )

    async def put_back(self) -> None:
        """As the first test found it: members, settings, enabled types, and nothing that is still being deleted.

        Or the next module meets what it knows nothing of: a cluster that is not Ready holds up its rollouts, and what
        is being deleted counts where it looks at what a deletion budget holds. A controller that follows registration
        asks the hub for more than one that does not, where a module counts that.
        """
        async with self.api("host") as host:
            for cluster in await host.items(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE):
                if cluster["metadata"]["name"] not in self.members:
                    await host.delete(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster["metadata"]["name"])
            for request in await host.items(CERTIFICATE_REQUESTS):  # one could be accepted as a later module's
                await host.delete(CERTIFICATE_REQUESTS, "", request["metadata"]["name"])
            await host.delete(NAMESPACES, "", _HOME)
            config = await host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed")
            if config is not None and config["spec"] != self.settings:
                change = [{"op": "replace", "path": "/spec", "value": self.settings}]
                await host.json_patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", change)

            async def gone() -> object:
                found = await self._going(host)
                return Unlike({f"{resource.plural} {each}": each for resource, each in found}) if found else True

            with contextlib.suppress(pytest.fail.Exception):
                await eventually(gone, within=45.0, every=0.3)
            for resource, where in await self._going(host):  # as of a namespace that a member holds for good
                with contextlib.suppress(ApiFailure):
                    await host.patch(resource, where.namespace, where.name, {"metadata": {"finalizers": None}})
            await eventually(gone, every=0.3, seen="nothing of the module on the shared host")
            await self._disable_more(host)

    async def _disable_more(self, host: Api) -> None:
        """Types that tests have enabled, where none of their objects is left: nobody would let go of it afterwards."""
        for name, resource in (await _enabled(host)).items():
            if name in ENABLED:
                continue

            async def none(resource: Resource = resource) -> bool:
                return not await _there(host, resource)

            with contextlib.suppress(pytest.fail.Exception):
                await eventually(none, within=45.0, every=0.3)
                await self.disable(name)

    async def _going(self, host: Api) -> list[tuple[Resource, ObjectName]]:
        """What should go, and what is being deleted, of all types that are federated."""
        clusters = await host.items(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE)
        found = [(KUBEFED_CLUSTERS, each) for each in clusters if each["metadata"]["name"] not in self.members]
        home = await host.get(NAMESPACES, "", _HOME)
        found += [(NAMESPACES, home)] if home is not None else []
        for resource in (await _enabled(host)).values():
            there = await _there(host, resource)
            found += [(resource, each) for each in there if each["metadata"].get("deletionTimestamp")]
        metas = [(resource, each["metadata"]) for resource, each in found]
        return [(resource, ObjectName(meta.get("namespace", ""), meta["name"])) for resource, meta in metas]

    def api(self, name: str) -> Api:
        """An API for the running event loop; use as an async context manager."""
        return (Marked if name in self.pulled else Api)(self.playground.clusters[name])


async def _enabled(host: Api) -> dict[str, Resource]:
    """The federated types by the names of their FederatedTypeConfigs."""
    found = {}
    for each in await host.items(TYPE_CONFIGS, SYSTEM_NAMESPACE):
        said = each["spec"]["federatedType"]
        resource = Resource(said["group"], said["version"], said["kind"], said["pluralName"], True)
        found[str(each["metadata"]["name"])] = resource
    return found


async def _there(host: Api, resource: Resource) -> list[dict[str, Any]]:
    """The objects of a type; none where a test has taken its definition away."""
    try:
        return await host.items(resource)
    except ApiFailure as error:
        if error.failure.kind not in {FailureKind.NOT_FOUND, FailureKind.TYPE_MISSING}:
            raise
        return []


@pytest.fixture(scope="session")
def fleet(playground: Playground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(playground, tmp_path_factory.mktemp("fleet"))
    asyncio.run(made.set_up())
    made.controller.start()
    Fleet.shared = made
    try:
        yield made
    finally:
        Fleet.shared = None
        if made.controller.process is not None:
            made.controller.kill()


@pytest.fixture
async def host(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("host") as api:
        yield api


@pytest.fixture
async def m1(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("m1") as api:
        yield api


@pytest.fixture
async def m2(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("m2") as api:
        yield api


@pytest.fixture
async def quick(host: Api) -> AsyncIterator[None]:
    """Probes every second, and two failures decide."""
    await configure(host, {"clusterHealthCheck": {"period": "1s", "failureThreshold": 2, "timeout": "1s"}})
    yield
    await configure(host, {"clusterHealthCheck": None})
