"""A fleet whose every connection passes a fault proxy: hub, m1 and m2 as the controller sees them, not as tests do.

`station` is one per test module: it takes the shared fleet's controller down, puts a proxy before the hub and each
member, and starts a controller of its own behind them, with health checks that take seconds. `faulty` gives a test the
station, and mends whatever the test left broken: faults, paused and killed processes, a controller that is gone.
"""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, NAMESPACES, Resource
from federation.playground import access
from federation.playground.clusters import Playground
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault, Logged
from tests.clusters import steps
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    ENABLED,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    Controller,
    condition,
    eventually,
    federated,
    federated_namespace,
    line,
    ready,
)

HEALTH = {"period": "1s", "failureThreshold": 3, "successThreshold": 1, "timeout": "2s"}
HUB_WATCHES = 6 + len(ENABLED)
PROBED = "/api/v1/namespaces/kube-system"
PATIENCE = 40.0


class Faulty:
    """The hub and two members, directly (`host`, `m1`, `m2`) and by the controller's way (`to_host`, ...)."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self.fleet = fleet
        self.playground: Playground = fleet.playground
        self.directory = directory
        self.host, self.m1, self.m2 = (fleet.api(name) for name in ("host", "m1", "m2"))
        clusters, ca = self.playground.clusters, self.playground.ca
        self.to_host, self.to_m1, self.to_m2 = (FaultProxy(clusters[name], ca) for name in ("host", "m1", "m2"))
        self.controller = Controller(directory / "kubeconfig", directory)
        self._broken = False

    @property
    def proxies(self) -> tuple[FaultProxy, ...]:
        """All three."""
        return self.to_host, self.to_m1, self.to_m2

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Proxies, short health checks, members by way of their proxies, and a controller."""
        for proxy in self.proxies:
            await proxy.start()
        account = yaml.safe_load(self.fleet.kubeconfig.read_text())["users"][0]["user"]["token"]
        cluster = dataclasses.replace(self.to_host.cluster, token=account)
        (self.directory / "kubeconfig").write_bytes(access.kubeconfig([cluster]))
        await self.configure({"clusterHealthCheck": HEALTH})
        for name, proxy in (("m1", self.to_m1), ("m2", self.to_m2)):
            await self.point(name, proxy.url)
        await self.restart()
        await self.settle()

    async def stop(self) -> None:
        """Everything as it was, so that the fleet's own controller finds its members again."""
        self.controller.kill()
        for name in ("m1", "m2"):
            await self.point(name, self.playground.clusters[name].url)
        await self.configure({"clusterHealthCheck": dict.fromkeys(HEALTH)})
        for proxy in self.proxies:
            await proxy.stop()
        for api in (self.host, self.m1, self.m2):
            await api.connection.close()

    async def mend(self) -> None:
        """Take all faults back, wake or start what is paused or dead, and wait until the controller follows all."""
        if self._broken:
            await asyncio.to_thread(Playground.up, self.playground.directory, report=lambda _: None)
            self._broken = False
        for proxy in self.proxies:
            # A connection that was made silent stays silent: break them all once.
            proxy.inject(Fault("refuse"))
            proxy.clear()
        ended = self.controller.process.poll() if self.controller.process is not None else None
        if self.controller.process is None or ended is not None or self.controller.constants:
            self.controller.constants.clear()
            await self.restart()
        await self.settle()
        assert ended is None, f"the controller ended by itself with {ended}:\n{self.controller.log[-4000:]}"

    async def restart(self, *, wait: bool = True, **constants: float) -> None:
        """kill -9 and start. `constants` are seconds: idle_limit of watches, push_deadline, hub_silence."""
        self.controller.kill()
        self.controller.constants |= {_CONSTANTS[name]: value for name, value in constants.items()}
        await asyncio.to_thread(self.controller.start, ready=False)
        if wait:
            await asyncio.to_thread(self.controller.wait_ready, 60.0)

    async def kill(self, cluster: str) -> None:
        """SIGKILL its API server."""
        self._broken = True
        await asyncio.to_thread(self.playground.kill, cluster)

    async def revive(self, cluster: str) -> None:
        """Start it again."""
        await asyncio.to_thread(self.playground.restart, cluster)

    def pause(self, cluster: str) -> None:
        """SIGSTOP its API server: it accepts connections and answers nothing."""
        self._broken = True
        self.playground.pause(cluster)

    def resume(self, cluster: str) -> None:
        """SIGCONT."""
        self.playground.resume(cluster)

    async def settle(self) -> None:
        """Until both members are Ready and every watch is open."""

        async def followed() -> object:
            if self.to_host.open_watches() < HUB_WATCHES:
                return False
            if min(proxy.open_watches() for proxy in (self.to_m1, self.to_m2)) < len(ENABLED):
                return False
            return [await self.cluster_state(name) for name in ("m1", "m2")] == ["True", "True"]

        await eventually(followed, within=90.0, seen="both members Ready and followed")

    async def configure(self, spec: Mapping[str, Any]) -> None:
        """Merge into the KubeFedConfig's spec."""
        await self.host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": spec})

    async def point(self, cluster: str, url: str) -> None:
        """Where a KubeFedCluster says its API server is."""
        await steps.point(self.host, cluster, {"apiEndpoint": url})

    # -- looking -----------------------------------------------------------------------------------------------------

    async def cluster(self, name: str) -> dict[str, Any]:
        """A KubeFedCluster."""
        stored = await self.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name)
        assert stored is not None
        return stored

    async def cluster_state(self, name: str) -> str:
        """status of its Ready condition."""
        return str(condition(await self.cluster(name), "Ready").get("status"))

    async def until_cluster(self, name: str, status: str) -> dict[str, Any]:
        """Its Ready condition once it has this status."""

        async def reached() -> object:
            found = condition(await self.cluster(name), "Ready")
            return found if found.get("status") == status else None

        return dict(await eventually(reached, within=PATIENCE, seen=f"{name} Ready {status}"))

    async def stored(self, namespace: str, name: str, resource: Resource = FEDERATED_CONFIGMAPS) -> dict[str, Any]:
        """A federated object that exists."""
        found = await self.host.get(resource, namespace, name)
        assert found is not None
        return found

    async def until_ready(
        self, namespace: str, name: str, resource: Resource = FEDERATED_CONFIGMAPS, within: float = PATIENCE
    ) -> dict[str, Any]:
        """A federated object once Ready is True for its present generation."""
        last: dict[str, Any] = {}

        async def reached() -> object:
            last["object"] = found = await self.host.get(resource, namespace, name)
            return found if ready(found) else None

        try:
            found = await eventually(reached, within=within, seen=f"{namespace}/{name} Ready")
        except pytest.fail.Exception as failure:
            reported = (last["object"] or {}).get("status")
            pytest.fail(f"{failure}; status: {reported}")
        await self.answered()
        return dict(found)

    async def until_line(
        self, namespace: str, name: str, cluster: str, status: str, resource: Resource = FEDERATED_CONFIGMAPS
    ) -> dict[str, Any]:
        """status.clusters[] of one cluster once it has this word."""

        async def reached() -> object:
            found = line(await self.host.get(resource, namespace, name), cluster)
            return found if found.get("status", "") == status and found else None

        found = await eventually(reached, within=PATIENCE, seen=f"{namespace}/{name} in {cluster}: {status}")
        await self.answered()
        return dict(found)

    # -- doing -------------------------------------------------------------------------------------------------------

    async def federate(self, namespace: str, clusters: tuple[str, ...] = ("m1", "m2")) -> None:
        """A namespace that both members hold."""
        await federated_namespace(self.host, namespace, list(clusters))

    async def make(
        self, namespace: str, name: str, value: str = "b", clusters: tuple[str, ...] = ("m1", "m2"), **spec: Any
    ) -> None:
        """A FederatedConfigMap whose data is {a: value}."""
        body = federated(FEDERATED_CONFIGMAPS, namespace, name, {"data": {"a": value}}, clusters=list(clusters), **spec)
        await self.host.create(FEDERATED_CONFIGMAPS, body, namespace)

    async def change(self, namespace: str, name: str, value: str) -> None:
        """Another value in its template."""
        await self.host.patch(FEDERATED_CONFIGMAPS, namespace, name, {"spec": {"template": {"data": {"a": value}}}})

    async def place(self, namespace: str, name: str, *clusters: str) -> None:
        """Other clusters by name."""
        placement = {"clusters": [{"name": cluster} for cluster in clusters]}
        await self.host.patch(FEDERATED_CONFIGMAPS, namespace, name, {"spec": {"placement": placement}})

    async def until_held(
        self, api: Api, namespace: str, name: str, value: str | None, within: float = PATIENCE
    ) -> dict[str, Any] | None:
        """A member's ConfigMap once its value is this; None waits until it is gone."""
        found: dict[str, Any] | None = None

        async def reached() -> object:
            nonlocal found
            found = await api.get(CONFIGMAPS, namespace, name)
            return found is None if value is None else found is not None and found["data"] == {"a": value}

        await eventually(reached, within=within, seen=f"{namespace}/{name} in {api.connection.name} is {value!r}")
        await self.answered()
        return found

    # -- counting ----------------------------------------------------------------------------------------------------

    async def answered(self) -> None:
        """Until the requests that made what was just read are logged."""
        for proxy in self.proxies:
            await proxy.answered()

    def forget_requests(self) -> None:
        """Count from here."""
        for proxy in self.proxies:
            proxy.requests.clear()

    def hub_writes(self) -> Counter[tuple[str, str, str]]:
        """Writes at the hub that passed, by (verb, resource, name); events aside."""
        found = (each for each in self.to_host.requests.writes() if not each.resource.startswith("events"))
        return Counter((each.verb, each.resource, each.name) for each in found)

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the controller's metrics, summed over labels not named."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        total = 0.0
        for each in self.controller.metrics().splitlines():
            head, _, value = each.rpartition(" ")
            found, _, rest = head.partition("{")
            if found == name and wanted <= set(rest.rstrip("}").split(",")):
                total += float(value)
        return total

    async def count(self, name: str, **labels: str) -> float:
        """`metric`, without blocking the loop that the proxies live in."""
        return await asyncio.to_thread(self.metric, name, **labels)

    async def tidy(self) -> None:
        """Until what earlier tests made here is gone: a namespace takes seconds to go, and wakes keys while it does.

        Namespaces that other tests left behind for good, with finalizers of types that no controller serves, wake none.
        """

        async def gone() -> bool:
            namespaces = await self.host.items(NAMESPACES)
            going = {each["metadata"]["name"] for each in namespaces if each["metadata"].get("deletionTimestamp")}
            ours = [*await self.host.items(FEDERATED_CONFIGMAPS), *await self.host.items(FEDERATED_NAMESPACES)]
            return not any(each["metadata"]["namespace"] in going for each in ours)

        await eventually(gone, within=90.0, every=0.3, seen="no namespace with ours in it is being deleted")

    async def quiet(self, *, during: float = 0.7) -> None:
        """Until no key was looked at for a while: what earlier tests left has been cleared away."""
        looked = -1.0
        async with asyncio.timeout(60):
            while looked != (looked := await self.count(_RECONCILES, controller="sync")):  # noqa: ASYNC110
                await asyncio.sleep(during)


_RECONCILES = "controller_runtime_reconcile_total"
_CONSTANTS = {
    "idle_limit": "federation.kube.reflector.IDLE_LIMIT",
    "push_deadline": "federation.kube.members.PUSH_DEADLINE",
}


def tried(proxy: FaultProxy, *, namespace: str, verb: str | None = None, name: str | None = None) -> list[Logged]:
    """Requests about what is in a namespace, or about the namespace itself, that were no reads."""
    return [
        each
        for each in proxy.requests
        if namespace in (each.namespace, each.name)
        and each.verb not in ("get", "list", "watch")
        and verb in (None, each.verb)
        and name in (None, each.name)
    ]


def passed(proxy: FaultProxy, *, namespace: str, verb: str | None = None, name: str | None = None) -> list[Logged]:
    """Those of `tried` that reached the API server."""
    return [each for each in tried(proxy, namespace=namespace, verb=verb, name=name) if each.passed]


async def unchanged(read: Callable[[], Awaitable[object]], *, during: float) -> None:
    """What is read stays the same for some seconds."""
    first = await read()
    ends = asyncio.get_running_loop().time() + during
    while asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(0.1)
        assert await read() == first


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def station(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faulty]:
    if fleet.controller.process is not None:
        await asyncio.to_thread(fleet.controller.stop)
    made = Faulty(fleet, tmp_path_factory.mktemp("faulty"))
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        await asyncio.to_thread(fleet.controller.start)


@pytest_asyncio.fixture(loop_scope="module")
async def faulty(station: Faulty) -> AsyncIterator[Faulty]:
    station.forget_requests()
    yield station
    await station.mend()
