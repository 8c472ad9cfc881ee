"""A pull cluster for a test: a namespace at the hub, an agent's namespace in the member, and the agent's real process.

The agent has nothing at the hub but the rights of its own namespace, and reaches both clusters through fault proxies.
Works are written by the test, as somebody else's controller would.
"""

import asyncio
import dataclasses
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from federation.joining import agents, applying, tokens
from federation.model.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CRDS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    ObjectName,
)
from federation.model.works import APPLIED_WORKS, KEPT_LABEL, MANIFEST_WORKS
from federation.playground import access
from federation.playground.clusters import Playground
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault
from tests.clusters.harness import Api, Controller, _free_port, condition, eventually
from typegen import templates

MEMBER = "m3"
RIGHTS = [
    {
        "apiGroups": ["work.open-cluster-management.io"],
        "resources": ["manifestworks"],
        "verbs": ["get", "list", "watch", "update", "patch"],
    },
    {
        "apiGroups": ["work.open-cluster-management.io"],
        "resources": ["manifestworks/status"],
        "verbs": ["update", "patch"],
    },
]
"""Of an agent at the hub, in its namespace."""
TARGETS = [
    ("", "configmaps"),
    ("", "namespaces"),
    ("", "secrets"),
    ("agents.example.io", "widgets"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apps", "deployments"),
    ("batch", "jobs"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "roles"),
]
"""What the agent may do in the member: the types that works of these tests have."""


class Agent(Controller):
    """An agent process. `start`, `stop`, `kill`, `log`, `health` and `metrics` are those of a controller's."""

    def __init__(
        self, hub: Path, member: Path, cluster: str, namespace: str, directory: Path, **constants: float
    ) -> None:
        super().__init__(hub, directory, namespace=namespace, constants=constants)
        self._member = member
        self._cluster = cluster
        self._log = directory / "agent.log"
        self.others: list[Agent] = []
        """Further memberships that this process carries."""

    @property
    def wanted(self) -> str:
        """The membership, as the source text of a running.Wanted."""
        config = f"{str(self._kubeconfig)!r}, {str(self._member)!r}"
        return f"running.Wanted({self._cluster!r}, {config}, namespace={self._namespace!r})"

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until /readyz says ok."""
        self._metrics, self._health = _free_port(), _free_port()
        changes = ""
        for full, value in self.constants.items():
            module, _, constant = full.rpartition(".")
            changes += f"importlib.import_module({module!r}).{constant} = {value!r}; "
        wanted = ", ".join(each.wanted for each in (self, *self.others))
        program = (
            f"import importlib, sys; from federation.agent import running; {changes}"
            f"sys.exit(running.main(running.Options([{wanted}], log_level='debug', "
            f"metrics_address='127.0.0.1:{self._metrics}', health_address='127.0.0.1:{self._health}')))"
        )
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)  # noqa: S603
        if ready:
            self.wait_ready()

    def kill(self) -> None:
        """SIGKILL. Its Lease is free at once, because it was a process of this machine."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Pull:
    """One cluster at the hub, and the member that it is: of the playground, or of playgrounds of their own."""

    def __init__(
        self,
        playground: Playground,
        directory: Path,
        *,
        hub: tuple[Playground, str] | None = None,
        member: tuple[Playground, str] | None = None,
    ) -> None:
        name = uuid.uuid4().hex[:8]
        self.playground, self.directory = playground, directory
        self.cluster, self.agents = f"pull-{name}", f"agent-{name}"
        self.namespace = f"work-{name}"
        """In the member, for what works have."""
        places = (hub or (playground, "host"), member or (playground, MEMBER))
        self.host, self.member = (Api(where.clusters[each]) for where, each in places)
        self.to_host, self.to_member = (FaultProxy(where.clusters[each], where.ca) for where, each in places)
        self.hub_config, self.member_config = directory / "hub.kubeconfig", directory / "member.kubeconfig"
        self.agent = Agent(self.hub_config, self.member_config, self.cluster, self.agents, directory)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Definitions, namespaces, the agent's account at the hub, and the proxies."""
        for definition in templates.work_crds(hub=True):
            await self.host.apply(CRDS, definition)
        for manifest in agents.manifests(TARGETS, namespace=self.agents):
            await self.member.apply(applying.resource_of(manifest), manifest)

        async def served() -> bool:
            stored = [
                await self.host.get(CRDS, "", f"{MANIFEST_WORKS.plural}.{MANIFEST_WORKS.group}"),
                await self.member.get(CRDS, "", f"{APPLIED_WORKS.plural}.{APPLIED_WORKS.group}"),
            ]
            return all(condition(each, "Established").get("status") == "True" for each in stored)

        await eventually(served)
        await self.host.create(NAMESPACES, {"metadata": {"name": self.cluster}})
        await self.member.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        await self.host.create(SERVICE_ACCOUNTS, {"metadata": {"name": "agent"}}, self.cluster)
        await self.host.create(ROLES, {"metadata": {"name": "agent"}, "rules": RIGHTS}, self.cluster)
        subject = {"kind": "ServiceAccount", "name": "agent", "namespace": self.cluster}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"}
        binding = {"metadata": {"name": "agent"}, "roleRef": role, "subjects": [subject]}
        await self.host.create(ROLE_BINDINGS, binding, self.cluster)
        granted = await tokens.request(self.host.connection, ObjectName(self.cluster, "agent"))
        own = await tokens.request(self.member.connection, ObjectName(self.agents, "work-agent"))
        await self.to_host.start()
        await self.to_member.start()
        for path, proxy, token in (
            (self.hub_config, self.to_host, granted.token),
            (self.member_config, self.to_member, own.token),
        ):
            path.touch(mode=0o600)
            path.write_bytes(access.kubeconfig([dataclasses.replace(proxy.cluster, token=token)]))

    async def start(self, **constants: float) -> None:
        """Start the agent and wait until it is ready."""
        self.agent.constants |= constants
        await asyncio.to_thread(self.agent.start)

    async def tear_down(self) -> None:
        """End the agent, and take away what is left, finalizers first."""
        self.agent.kill()
        for work in await self.host.items(MANIFEST_WORKS, self.cluster):
            name = work["metadata"]["name"]
            await self.host.patch(MANIFEST_WORKS, self.cluster, name, {"metadata": {"finalizers": None}})
            await self.host.delete(MANIFEST_WORKS, self.cluster, name)
        for record in await self.member.items(APPLIED_WORKS):
            if record["spec"].get("agentID") == f"{self.agents}/{self.cluster}":
                await self.member.delete(APPLIED_WORKS, "", record["metadata"]["name"])
        await self.host.delete(NAMESPACES, "", self.cluster)
        for kind in (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES):
            await self.member.delete(kind, "", f"kubefed-work-agent:{self.agents}")
        for name in (self.agents, self.namespace):
            await self.member.delete(NAMESPACES, "", name)
        await self.to_host.stop()
        await self.to_member.stop()
        await self.host.connection.close()
        await self.member.connection.close()

    def cut(self) -> None:
        """The agent's way to the hub is gone."""
        self.to_host.inject(Fault("refuse"))

    def mend(self) -> None:
        """It is there again."""
        self.to_host.clear()

    # --- works --------------------------------------------------------------------------------------------------------

    def object(self, name: str, kind: str = "ConfigMap", api_version: str = "v1", **content: Any) -> dict[str, Any]:
        """An object in the test's namespace of the member."""
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}

    def config(self, name: str, resource: str = "configmaps", group: str = "", **config: Any) -> dict[str, Any]:
        """An entry of manifestConfigs."""
        identifier = {"group": group, "resource": resource, "namespace": self.namespace, "name": name}
        return {"resourceIdentifier": identifier, **config}

    async def work(self, name: str, *manifests: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
        """Create a ManifestWork, or replace its spec."""
        body = {"workload": {"manifests": list(manifests)}, **spec}
        if await self.host.get(MANIFEST_WORKS, self.cluster, name) is None:
            return await self.host.create(
                MANIFEST_WORKS,
                {
                    "apiVersion": MANIFEST_WORKS.api_version,
                    "kind": "ManifestWork",
                    "metadata": {"name": name},
                    "spec": body,
                },
                self.cluster,
            )
        return await self.host.json_patch(
            MANIFEST_WORKS, self.cluster, name, [{"op": "replace", "path": "/spec", "value": body}]
        )

    async def stored(self, name: str) -> dict[str, Any] | None:
        """The work as the hub has it."""
        return await self.host.get(MANIFEST_WORKS, self.cluster, name)

    async def until(
        self, name: str, kind: str = "Applied", status: str = "True", within: float = 30.0, **like: str
    ) -> Any:
        """The work once a condition of its present generation is so."""

        async def reached() -> Any:
            found = await self.stored(name)
            said = condition(found, kind)
            if found is None or said.get("observedGeneration") != found["metadata"]["generation"]:
                return None
            return found if said.get("status") == status and like.items() <= said.items() else None

        try:
            return await eventually(reached, within=within, seen=f"{name} {kind} {status} {like}")
        except pytest.fail.Exception as failure:
            stored = await self.stored(name)
            pytest.fail(f"{failure}; status: {(stored or {}).get('status')}; log: {self.agent.log[-3000:]}")

    async def gone(self, name: str, within: float = 30.0) -> None:
        """The work is gone from the hub."""

        async def absent() -> bool:
            return await self.stored(name) is None

        try:
            await eventually(absent, within=within)
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}; log: {self.agent.log[-3000:]}")

    async def record(self, work: str) -> dict[str, Any] | None:
        """The AppliedManifestWork of a work."""
        found = [
            each
            for each in await self.member.items(APPLIED_WORKS)
            if each["spec"].get("manifestWorkName") == work
            and each["spec"]["agentID"] == f"{self.agents}/{self.cluster}"
        ]
        return found[0] if found else None

    async def kept(self) -> list[dict[str, Any]]:
        """The Secrets in which the agent keeps what is wanted."""
        return [
            each for each in await self.member.items(SECRETS, self.agents) if KEPT_LABEL in each["metadata"]["labels"]
        ]

    def count(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.agent.metrics().splitlines():
            if line.startswith(f"{metric}{{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rpartition(" ")[2])
        return total


def of_manifest(work: Mapping[str, Any], name: str, kind: str) -> dict[str, Any]:
    """A condition of one of a work's objects."""
    for each in work["status"]["resourceStatus"]["manifests"]:
        if each["resourceMeta"]["name"] == name:
            return condition({"status": each}, kind)
    return {}


@pytest.fixture
async def pull(playground: Playground, tmp_path: Path) -> AsyncIterator[Pull]:
    made = Pull(playground, tmp_path)
    await made.set_up()
    try:
        yield made
    finally:
        await made.tear_down()
