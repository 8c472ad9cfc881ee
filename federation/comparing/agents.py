"""The members of a fleet in pull mode: their agents, the rights that registration would give those, and heartbeats.

The agents have tokens of accounts at the hub in place of certificates, because nothing signs certificates here; their
heartbeat is sent from here. All else is as `fedctl register` leaves it.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import orjson

from federation.comparing.client import APPLY, MERGE, Client, together
from federation.comparing.fleet import CLUSTERS, FEDCTL, HOST, Fleet, quiet
from federation.joining import agents, applying, invitations, tokens
from federation.joining.contexts import Contexts
from federation.kube.connection import Connection
from federation.model.marks import CONFIG, SYSTEM_NAMESPACE
from federation.model.resources import (
    KUBEFED_CONFIGS,
    LEASES,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    ObjectName,
    Resource,
)
from federation.model.works import GROUP, MANIFEST_WORKS
from federation.playground import access, processes
from federation.registration import heartbeats, names

RULES = [
    {
        "apiGroups": [GROUP],
        "resources": ["manifestworks"],
        "verbs": ["get", "list", "watch", "update", "patch"],
    },
    {"apiGroups": [GROUP], "resources": ["manifestworks/status"], "verbs": ["update", "patch"]},
]
READY = 120.0
"""Seconds until an agent is ready, and until a cluster is."""
_AT_ONCE = 8
_BEATS = "bench"
"""Who holds the Leases, and writes them."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A process of `fedctl agent run`, by its endpoints."""

    process: subprocess.Popen[bytes]
    log: Path
    health: str
    metrics: str

    def wait(self, path: str) -> None:
        """Until an endpoint of its health ("livez", "readyz") answers. Raises RuntimeError with the end of its log."""
        ends = time.monotonic() + READY
        while not access.reachable(f"{self.health}/{path}"):
            if self.process.poll() is not None or time.monotonic() > ends:
                tail = "\n".join(self.log.read_text().splitlines()[-10:])
                raise RuntimeError(f"the agent at {self.health} does not answer {path}:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if it has not ended within 15 s."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(directory: Path, name: str, *arguments: str) -> Agent:
    """Start one as its users do; its log is `name`.agent.log in the directory."""
    health, metrics = (f"127.0.0.1:{port}" for port in processes.free_ports(set(), 2))
    log = directory / f"{name}.agent.log"
    command = [
        *(str(FEDCTL), "agent", "run"),
        *(f"--health-probe-bind-address={health}", f"--metrics-bind-address={metrics}"),
        *arguments,
    ]
    with log.open("ab") as output:
        started = subprocess.Popen(  # noqa: S603 - our own command
            command, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    return Agent(started, log, f"http://{health}", f"http://{metrics}/metrics")


class Agents:
    """All members of a fleet in pull mode, while it is entered; the controller runs. `together`: one process for all.

    Afterwards they are in push mode again, and nothing of pull mode is left at the hub but its definitions.
    """

    def __init__(self, fleet: Fleet, directory: Path, *, together: bool = False) -> None:
        self._fleet = fleet
        self._directory = directory
        self._together = together
        self._agents: list[Agent] = []
        self._stack = AsyncExitStack()

    @property
    def pids(self) -> list[int]:
        """The agents' processes, in the order of the members."""
        return [each.process.pid for each in self._agents]

    @property
    def metrics(self) -> list[str]:
        """The URL of each process's metrics."""
        return [each.metrics for each in self._agents]

    async def __aenter__(self) -> Self:
        self._host = await self._stack.enter_async_context(Client(self._fleet.cluster(HOST)))
        try:
            await self._prepare()
            self._beating = asyncio.create_task(self._beats())
            await asyncio.to_thread(self._start)
            await self._mode("Pull")
            await self._ready()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:  # else the fleet is taken down
                await self._mode("Push")
                await self._no_works()
        finally:
            await self._end()

    async def _end(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in self._agents))
        self._agents.clear()
        if hasattr(self, "_beating"):
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await self._stack.aclose()

    # --- what registration does ------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        async with Contexts(str(self._fleet.playground.kubeconfig)) as contexts:
            host = await contexts.open(HOST)
            await invitations.prepare(host, SYSTEM_NAMESPACE, quiet)
            await together((self._register(contexts, host, name) for name in self._fleet.members), _AT_ONCE)

    async def _register(self, contexts: Contexts, host: Connection, name: str) -> None:
        """One cluster's namespace, account and Lease at the hub, and its agent's account in the member."""
        member = await contexts.open(name)
        for manifest in agents.manifests(self._targets()):
            await applying.apply(member, manifest)
        subject = {"kind": "ServiceAccount", "name": "agent", "namespace": name}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"}
        await applying.apply(host, _object(NAMESPACES, name))
        for manifest in (
            _object(SERVICE_ACCOUNTS, "agent", name),
            _object(ROLES, "agent", name, rules=RULES),
            _object(ROLE_BINDINGS, "agent", name, roleRef=role, subjects=[subject]),
        ):
            await applying.apply(host, manifest)
        await self._beat(name)
        for path, cluster, connection, account in (
            (self._hub(name), HOST, host, ObjectName(name, "agent")),
            (self._member(name), name, member, ObjectName(agents.NAMESPACE, "work-agent")),
        ):
            granted = await tokens.request(connection, account)
            path.touch(mode=0o600)
            path.write_bytes(access.kubeconfig([replace(self._fleet.cluster(cluster), token=granted.token)]))

    def _targets(self) -> list[tuple[str, str]]:
        """Group and plural of what the agent writes in its member."""
        return [(group, plural) for plural, _, group in (each.partition(".") for each in self._fleet.types)]

    def _hub(self, name: str) -> Path:
        return self._directory / f"{name}.hub.kubeconfig"

    def _member(self, name: str) -> Path:
        return self._directory / f"{name}.kubeconfig"

    async def _beat(self, name: str) -> None:
        path = LEASES.path(ObjectName(name, names.LEASE))
        lease = _object(LEASES, names.LEASE, name, spec=dict(heartbeats.spec(_BEATS, time.time())))
        await self._host.send("PATCH", f"{path}?fieldManager={_BEATS}&force=true", lease, APPLY)

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(names.LEASE_SECONDS / 2)
            for name in self._fleet.members:
                await self._beat(name)

    # --- the agents ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """As their users run them: `fedctl agent run`; returns when each is ready."""
        if self._together:
            path = self._directory / "memberships.json"
            path.write_bytes(
                orjson.dumps(
                    [
                        {"cluster": name, "hubKubeconfig": str(self._hub(name)), "kubeconfig": str(self._member(name))}
                        for name in self._fleet.members
                    ]
                )
            )
            self._run("all", f"--memberships={path}")
            return
        for name in self._fleet.members:
            hub, member = self._hub(name), self._member(name)
            self._run(name, f"--cluster={name}", f"--hub-kubeconfig={hub}", f"--kubeconfig={member}")

    def _run(self, name: str, *arguments: str) -> None:
        agent = start(self._directory, name, *arguments)
        self._agents.append(agent)
        agent.wait("readyz")

    # --- the mode --------------------------------------------------------------------------------------------------

    async def configure(self, spec: Mapping[str, Any]) -> None:
        """Merge into the KubeFedConfig's spec."""
        path = KUBEFED_CONFIGS.path(ObjectName(SYSTEM_NAMESPACE, CONFIG))
        await self._host.send("PATCH", path, {"spec": spec}, MERGE)

    async def _mode(self, mode: str) -> None:
        body = {"spec": {"syncMode": mode}}
        await together(self._host.send("PATCH", f"{CLUSTERS}/{name}", body, MERGE) for name in self._fleet.members)

    async def _ready(self) -> None:
        ends = time.monotonic() + READY
        while True:
            unready = [
                item["metadata"]["name"]
                for item in (await self._host.get(CLUSTERS))["items"]
                if item["spec"].get("syncMode") != "Pull" or not _is_ready(item)
            ]
            if not unready:
                return
            if time.monotonic() > ends:
                raise TimeoutError(f"not Ready in pull mode: {', '.join(unready[:5])}")
            await asyncio.sleep(0.5)

    async def _no_works(self) -> None:
        """The agents have let go of all copies, which push has now."""
        ends = time.monotonic() + READY
        while (await self._host.get(f"{MANIFEST_WORKS.collection()}?limit=1"))["items"]:
            if time.monotonic() > ends:
                raise TimeoutError("works are left after the clusters have come back to push mode")
            await asyncio.sleep(0.5)


def _object(resource: Resource, name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **content}


def _is_ready(cluster: dict[str, Any]) -> bool:
    conditions: Sequence[dict[str, Any]] = (cluster.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
