"""A federation that somebody else runs: any controller with KubeFed's API, measured where it stands.

Its processes must run on this machine, or their accounting cannot be read. What cannot be reached is not counted, and a
note says so.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from federation.comparing import yardstick
from federation.comparing.accounting import Federation
from federation.comparing.client import Client
from federation.comparing.etcd import Etcd
from federation.comparing.model import Run
from federation.comparing.site import Site
from federation.comparing.workload import Workload
from federation.kube import kubeconfig, tls
from federation.kube.endpoint import Endpoint
from federation.model.errors import Invalid
from federation.playground.access import LocalCluster

CONTROLLER, AGENT = "controller", "agent"
"""Names of processes that are no cluster's: `controller`, `controller-2`, `agent-east`."""


@dataclass(frozen=True, slots=True)
class Pids:
    """Processes by what they are; several of one are counted together."""

    controller: tuple[int, ...]
    agents: tuple[int, ...]
    servers: Mapping[str, tuple[int, ...]]
    """Of API servers, by their cluster's context."""


def pids(text: str, host: str, members: Sequence[str]) -> Pids:
    """From `controller=1,host=2,m1=3,agent-m1=4`. Raises Invalid for names and numbers that are wrong or missing."""
    controller: list[int] = []
    agents: list[int] = []
    servers: dict[str, tuple[int, ...]] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        name, equals, number = entry.partition("=")
        if not equals or not number.isdecimal():
            raise Invalid("--pids", f"{entry!r} is not NAME=PID")
        if not Path(f"/proc/{number}/stat").exists():
            raise Invalid("--pids", f"{name}: there is no process {number} on this machine")
        if name in (host, *members):
            servers[name] = (*servers.get(name, ()), int(number))
        elif name.partition("-")[0] in (CONTROLLER, AGENT):
            (controller if name.startswith(CONTROLLER) else agents).append(int(number))
        else:
            known = ", ".join((CONTROLLER, f"{AGENT}-NAME", host, *members))
            raise Invalid("--pids", f"{name!r} is none of {known}")
    missing = [name for name in (host, *members) if name not in servers] + ([] if controller else [CONTROLLER])
    if missing:
        raise Invalid("--pids", f"the process of {', '.join(missing)} is not named")
    return Pids(tuple(controller), tuple(agents), servers)


class Standing:
    """It, as a scenario's ground. Use as an async context manager."""

    def __init__(self, paths: str, host: str, members: Sequence[str], of: Pids, *, etcd: str, keys: str) -> None:
        self._paths = paths
        self._host = host
        self._members = tuple(members)
        self._pids = of
        self._etcd = etcd
        self._keys = keys
        self._stack = AsyncExitStack()
        self._namespaces = 0
        self._endpoints: dict[str, Endpoint] = {}

    async def __aenter__(self) -> Self:
        for name in (self._host, *self._members):
            self._endpoints[name] = await kubeconfig.from_kubeconfig(self._paths, name)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def hub_keys(self) -> str:
        """What the hub's keys in etcd begin with."""
        return self._keys

    @asynccontextmanager
    async def federation(self, subject: str, members: int, kind: str = "real") -> AsyncIterator[Federation]:
        """It, whatever was asked for."""
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(self._client(name)) for name in (self._host, *self._members)]
            servers = self._pids.servers
            yield Federation(
                host=clients[0],
                members=clients[1:],
                names=self._members,
                hub_pids=servers[self._host],
                controller_pids=self._pids.controller,
                member_pids=[pid for name in self._members for pid in servers[name]],
                agent_pids=self._pids.agents,
                etcds=[await stack.enter_async_context(Etcd(self._etcd))] if self._etcd else (),
                agents=len(self._pids.agents),
            )

    def workload(self, of: Federation, *, kinds: tuple[str, ...] = ("ConfigMap",)) -> Workload:
        """A namespace that is not there yet."""
        self._namespaces += 1
        return Workload(of, f"compare-{self._pids.controller[0]}-{self._namespaces}", kinds=kinds)

    async def site(self) -> Site:
        """There is none: what others run is not cut, broken or robbed."""
        raise RuntimeError("this is measured only where the clusters are the comparison's own")

    async def bare(self, objects: int) -> Mapping[str, float]:
        """The bare client, where members are reached by tokens: it has no certificate of its own."""
        clusters = []
        for name in self._members:
            endpoint = self._endpoints[name]
            scheme, _, token = endpoint.credentials.header.partition(" ")
            if scheme != "Bearer" or endpoint.trust.ca is None:
                return {}
            cluster = LocalCluster(name, endpoint.server, token, endpoint.trust.ca.decode())
            clusters.append((cluster, self._pids.servers[name][0]))
        return (await yardstick.run(clusters, objects))["client"]

    async def clear(self) -> None:
        """It is not ours to be put back."""

    def _client(self, name: str) -> Client:
        endpoint = self._endpoints[name]
        cluster = LocalCluster(name, endpoint.server, "", "")
        return Client(cluster, trusting=tls.context(endpoint.trust), authorization=endpoint.credentials.header)

    def notes(self, run: Run) -> list[str]:
        """What was not counted."""
        found = ["Watches that API servers have by themselves are among those counted: they were running already."]
        if not self._etcd:
            found.append("Keys and bytes in etcd were not counted: no etcd was named (--etcd).")
        if not run.bare_ms:
            found.append(
                "The bare client did not run, for it needs tokens for the members: nothing is put in proportion."
            )
        return found
