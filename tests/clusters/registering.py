"""Steps of the registration tests: tokens, requests made by hand, and an API as whoever holds a certificate."""

import asyncio
import dataclasses
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from federation.joining import accepting, invitations, requests, setup, tokens
from federation.joining import registering as registration
from federation.joining.accepting import Wanted
from federation.joining.contexts import Contexts
from federation.joining.invitations import Made
from federation.kube.connection import Answer, Connection
from federation.kube.endpoint import Endpoint
from federation.kube.tls import Trust
from federation.model.failures import Failure, FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    CERTIFICATE_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    KUBEFED_CLUSTERS,
    NAMESPACES,
    SECRETS,
    ObjectName,
    Resource,
)
from federation.playground import access
from federation.playground.access import LocalCluster
from federation.playground.relay import Relay
from federation.registration import asking, certificates, names
from federation.registration import invitations as words
from tests.clusters.fleets import Fleet
from tests.clusters.harness import Api, Controller, _free_port, condition, eventually

HOME = words.namespace(SYSTEM_NAMESPACE)
RULES_REVIEWS = Resource("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False)
Rules = set[tuple[str, str, str, str]]


def cluster_name() -> str:
    """A name that no other test has: clusters in pull mode have a namespace of their name at the hub."""
    return f"edge-{secrets.token_hex(4)}"


async def token(fleet: Fleet, *patterns: str, seconds: int = 3600) -> Made:
    """A bootstrap token, as `fedctl token create` makes it."""
    async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
        host = await contexts.open("host")
        return await invitations.create(
            host, SYSTEM_NAMESPACE, seconds=seconds, patterns=patterns, server="", report=setup.quiet
        )


def bearer(made: Made) -> str:
    """The token itself."""
    return words.decode(made.word).bearer


async def ask(api: Api, cluster: str, agent: str, key: bytes, **spec: Any) -> str | Failure:
    """Create the request of an agent; its name, or why the hub refuses. `spec` are fields that are another's."""
    name = f"{cluster}-{secrets.token_hex(4)}"
    body = asking.manifest(name, cluster, certificates.request(key, cluster, agent))
    body["spec"] |= spec
    answer = await api.connection.request("POST", CERTIFICATE_REQUESTS.collection(), body=orjson.dumps(body))
    return answer if isinstance(answer, Failure) else name


async def accept(fleet: Fleet, cluster: str, **how: Any) -> None:
    """As `fedctl accept`, until the certificate is issued."""
    async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
        host = await contexts.open("host")
        asked = await accepting.accept(host, Wanted(cluster, SYSTEM_NAMESPACE, **how), setup.quiet)
        await accepting.wait_issued(host, asked)


async def issued(api: Api, name: str) -> bytes:
    """The certificate of a request; b"" while there is none."""
    found = await api.get(CERTIFICATE_REQUESTS, "", name)
    status = (found or {}).get("status") or {}
    return asking._bytes(status.get("certificate"))


class Agent(Api):
    """The hub's API as whoever has this certificate."""

    def __init__(self, hub: LocalCluster, certificate: bytes, key: bytes) -> None:
        super().__init__(hub)
        self.name = hub.name
        endpoint = Endpoint(hub.url, Trust(hub.ca_pem.encode(), certificate, key))
        self.connection = Connection(hub.name, endpoint, agent="tests")


async def allowed(api: Api, namespace: str) -> Rules:
    """All that whoever this is may do there, as the API server lists it: (group, resource, name, verb)."""
    body = {"apiVersion": RULES_REVIEWS.api_version, "kind": RULES_REVIEWS.kind, "spec": {"namespace": namespace}}
    found = await api.create(RULES_REVIEWS, body)
    assert found["status"]["incomplete"] is False
    return {
        (group, resource, name, verb)
        for rule in found["status"]["resourceRules"]
        for group in rule.get("apiGroups", [""])
        for resource in rule.get("resources", [])
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    }


QUICK = {"federation.agent.heartbeat.PERIOD": 1.0, "federation.agent.heartbeat.LOOK": 1.0}
"""Seconds of an agent's heartbeat."""
EVERYBODY: Rules = {
    ("authorization.k8s.io", "selfsubjectaccessreviews", "", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "", "create"),
    ("authentication.k8s.io", "selfsubjectreviews", "", "create"),
}
"""What Kubernetes lets everybody do who is known to it: ask who he is and what he may."""

ASKING: Rules = {("certificates.k8s.io", "certificatesigningrequests", "", verb) for verb in ("create", "get")}


async def refused(api: Api, method: str, path: str, body: Mapping[str, Any] | None = None, **how: Any) -> bool:
    """Whether the API server says that this is not allowed."""
    content = orjson.dumps(body) if body is not None else None
    answer: Answer | Failure = await api.connection.request(method, path, body=content, **how)
    return isinstance(answer, Failure) and answer.kind is FailureKind.RIGHT_MISSING


def path(resource: Resource, namespace: str, name: str) -> str:
    """An object's path."""
    return resource.path(ObjectName(namespace, name))


class Registering(Controller):
    """A process of `fedctl agent run` that registers by itself; in the member it has the agent's rights alone."""

    def __init__(self, member: Path, namespace: str, directory: Path, **constants: float) -> None:
        super().__init__(member, directory, namespace=namespace, constants=constants)
        self._log = directory / "agent.log"

    def start(self, *, ready: bool = True) -> None:
        """Start it; `ready`: wait until it has its membership."""
        self._metrics, self._health = _free_port(), _free_port()
        changes = ""
        for full, value in self.constants.items():
            module, _, constant = full.rpartition(".")
            changes += f"importlib.import_module({module!r}).{constant} = {value!r}; "
        line = ["agent", "run", "--kubeconfig", str(self._kubeconfig), "--namespace", self._namespace]
        line += ["--metrics-bind-address", f"127.0.0.1:{self._metrics}"]
        line += ["--health-probe-bind-address", f"127.0.0.1:{self._health}", "--log-level", "debug"]
        program = f"import importlib, sys; from federation.cli import root; {changes}sys.exit(root.run({line!r}))"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)  # noqa: S603
        if ready:
            self.wait_ready()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Edge:
    """A cluster that is to be a member in pull mode, with an agent's namespace of its own there.

    Unless told otherwise it is m3, by a name that no other test has.
    """

    def __init__(self, fleet: Fleet, directory: Path, *, cluster: str = "", context: str = "m3") -> None:
        self.fleet = fleet
        self.cluster, self.context = cluster or cluster_name(), context
        self.namespace = f"agent-{self.cluster}"
        self.host, self.member = (Api(fleet.playground.clusters[each]) for each in ("host", context))
        self.relay = Relay(_free_port(), int(fleet.playground.clusters["host"].url.rpartition(":")[2]))
        """A way to the hub that can be cut."""
        self.hub = self.relay.url
        """The hub's address for the agent."""
        self.config = directory / "member.kubeconfig"
        self.agent = Registering(self.config, self.namespace, directory, **QUICK)
        self.id = ""
        """The id that its agent asks with; "" before `register`."""

    async def __aenter__(self) -> "Edge":
        await self.relay.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.agent.kill()
        for kind in (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES):
            await self.member.delete(kind, "", f"kubefed-work-agent:{self.namespace}")
        await self.member.delete(NAMESPACES, "", self.namespace)
        await self.relay.cut()
        await self.host.connection.close()
        await self.member.connection.close()

    async def register(self, made: Made, name: str = "", **changes: Any) -> registration.Plan:
        """As `fedctl register` does; then the agent has a kubeconfig of its own account."""
        wanted = registration.Wanted(
            name=name or self.cluster,
            hub=self.hub,
            invitation=words.decode(made.word),
            pins=made.pins,
            namespace=self.namespace,
            **changes,
        )
        plan = await registration.register(self.member.connection, wanted, setup.quiet)
        self.id = plan.agent
        await self.credentials()
        return plan

    async def credentials(self) -> None:
        """Write the kubeconfig of the agent's own account, as a pod would have it."""
        own = await tokens.request(self.member.connection, ObjectName(self.namespace, "work-agent"))
        self.config.touch(mode=0o600)
        member = dataclasses.replace(self.fleet.playground.clusters[self.context], token=own.token)
        self.config.write_bytes(access.kubeconfig([member]))

    async def start(self, *, ready: bool = True) -> None:
        """Start the agent."""
        await asyncio.to_thread(lambda: self.agent.start(ready=ready))

    async def asks(self) -> bool:
        """Whether a request of its agent waits at the hub; before `register`, of any agent for this cluster."""
        found = await requests.read(self.host.connection, SYSTEM_NAMESPACE, self.cluster)
        return any(each.waits and self.id in ("", each.decision.agent) for each in found)

    async def accept(self) -> None:
        """Once it asks, accept its agent, and no other that may ask for the same name."""
        await eventually(self.asks, within=60.0)
        await accept(self.fleet, self.cluster, agent=self.id)

    async def is_ready(self, status: str = "True") -> bool:
        """Whether the KubeFedCluster's Ready is so."""
        found = await self.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, self.cluster)
        return condition(found, "Ready").get("status") == status

    async def secret(self, name: str = names.HUB_SECRET) -> dict[str, Any] | None:
        """One of the agent's Secrets."""
        return await self.member.get(SECRETS, self.namespace, name)
