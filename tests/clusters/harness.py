"""What controller tests need: an API of each cluster, a controller process to start and kill, and patience.

`Api` speaks as cluster admin through federation.kube. `Controller` is a real process of the controller, with its log
and metrics. `eventually` polls until a check passes, and fails with what was last seen.
"""

import asyncio
import base64
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import orjson
import pytest
import yaml

from federation.core import leadership
from federation.kube.connection import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Answer, Connection, expect
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.failures import Failure, FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import LEASES, NAMESPACES, ObjectName, Resource
from federation.playground import access
from federation.playground.access import LocalCluster

TYPES = "types.kubefed.io"
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
FEDERATED_NAMESPACES = Resource(TYPES, "v1beta1", "FederatedNamespace", "federatednamespaces", namespaced=True)
FEDERATED_CONFIGMAPS = Resource(TYPES, "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
FEDERATED_SECRETS = Resource(TYPES, "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True)
FEDERATED_SERVICES = Resource(TYPES, "v1beta1", "FederatedService", "federatedservices", namespaced=True)
FEDERATED_DEPLOYMENTS = Resource(TYPES, "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True)

_AGENTS = ("federation.app.AGENT", "federation.kube.gates.AGENT")

_PATIENCE = 60.0
"""Seconds that an API server has, for its own reasons, to do what a test asks for."""

ENABLED = ("namespaces", "configmaps", "secrets", "services", "deployments.apps")


class Api:
    """One cluster's API as its admin, for one test (one event loop). Use as an async context manager."""

    def __init__(self, cluster: LocalCluster, *, token: str | None = None) -> None:
        credentials = Credentials(f"Bearer {token or cluster.token}")
        endpoint = Endpoint(cluster.url, Trust(ca=cluster.ca_pem.encode()), credentials)
        self.connection = Connection(cluster.name, endpoint, agent="tests")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    def shown(self, stored: dict[str, Any]) -> dict[str, Any]:
        """An object as tests see it."""
        return stored

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None when there is none."""
        answer = await self.ask("GET", resource.path(ObjectName(namespace, name)))
        if isinstance(answer, Failure) and answer.kind in {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}:
            return None
        return self.shown(expect(answer).json())

    async def items(self, resource: Resource, namespace: str = "") -> list[dict[str, Any]]:
        """All objects."""
        path = resource.collection(namespace)
        return [self.shown(each) for each in expect(await self.ask("GET", path), path).json()["items"]]

    async def create(self, resource: Resource, body: Mapping[str, Any], namespace: str = "") -> dict[str, Any]:
        """POST."""
        path = resource.collection(namespace)
        return self.shown(expect(await self.ask("POST", path, body=orjson.dumps(body)), path).json())

    async def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge patch."""
        path = resource.path(ObjectName(namespace, name))
        answer = await self.ask("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH)
        return self.shown(expect(answer, path).json())

    async def json_patch(self, resource: Resource, namespace: str, name: str, body: list[Any]) -> dict[str, Any]:
        """JSON patch."""
        path = resource.path(ObjectName(namespace, name))
        answer = await self.ask("PATCH", path, body=orjson.dumps(body), content_type=JSON_PATCH)
        return self.shown(expect(answer, path).json())

    async def apply(
        self, resource: Resource, body: Mapping[str, Any], *, manager: str = "tests", force: bool = True
    ) -> dict[str, Any]:
        """Server-side apply."""
        metadata = body["metadata"]
        path = resource.path(ObjectName(metadata.get("namespace", ""), metadata["name"]))
        answer = await self.ask(
            "PATCH",
            path,
            params={"fieldManager": manager, "force": str(force).lower()},
            body=orjson.dumps(body),
            content_type=APPLY_PATCH,
        )
        return self.shown(expect(answer, path).json())

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """DELETE; already gone is fine."""
        answer = await self.ask("DELETE", resource.path(ObjectName(namespace, name)))
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            expect(answer)

    async def ask(self, method: str, path: str, **request: Any) -> Answer | Failure:
        """Ask, and again as long as the server answers that it has done nothing and will have time later (429).

        For a while after its start it says so of a type whose objects it has not read yet.
        """
        ends = time.monotonic() + _PATIENCE
        while True:
            answer = await self.connection.request(method, path, **request)
            if not isinstance(answer, Failure) or answer.kind is not FailureKind.THROTTLED or time.monotonic() > ends:
                return answer
            await asyncio.sleep(answer.retry_after or 1.0)


async def eventually(
    check: Callable[[], Awaitable[Any]], *, within: float = 20.0, every: float = 0.05, seen: str = ""
) -> Any:
    """The first truthy answer of `check`; the test fails when there is none within the time.

    A busy machine is given longer, up to twice as long: the time is over when it has passed and also as many looks were
    made as a machine at rest makes in it. So a limit still finds what waits for the next of some period.
    """
    begins = time.monotonic()
    looks, last = 0, None
    while (passed := time.monotonic() - begins) < within or (passed < 2 * within and looks < within / every / 1.5):
        looks += 1
        last = await check()
        if last:
            return last
        await asyncio.sleep(every)
    pytest.fail(f"not within {within:g} s: {seen or getattr(check, '__name__', check)}; last seen: {last!r}")


async def never(check: Callable[[], Awaitable[Any]], *, during: float = 1.5, every: float = 0.05) -> None:
    """`check` stays falsy for a while."""
    ends = time.monotonic() + during
    while time.monotonic() < ends:
        seen = await check()
        if seen:
            pytest.fail(f"should not have happened: {seen!r}")
        await asyncio.sleep(every)


class Controller:
    """A controller process. `start` returns when it is ready; `log` is everything it said.

    `constants` are set in the process before it runs, by their full names: how long it waits, where a test cannot wait.
    `shards` is how many there are.
    `agent` is its User-Agent, where a test tells several apart. `before` is run in the process before anything else.
    """

    def __init__(
        self,
        kubeconfig: Path,
        directory: Path,
        *,
        context: str = "host",
        level: str = "debug",
        constants: Mapping[str, float] | None = None,
        agent: str = "",
        before: str = "",
        namespace: str = SYSTEM_NAMESPACE,
        shards: int = 1,
    ) -> None:
        self._namespace = namespace
        self._kubeconfig = kubeconfig
        self._context = context
        self._level = level
        self.constants = dict(constants or {})
        self._agent = agent
        self._before = f"{before}; " if before else ""
        self._shards = shards
        self._log = directory / "controller.log"
        self._metrics = self._health = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Everything that was logged so far, over all starts."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until /readyz says ok."""
        self._metrics, self._health = _free_port(), _free_port()
        changes = ""
        agents: dict[str, object] = dict.fromkeys(_AGENTS, self._agent) if self._agent else {}
        for full, value in (self.constants | agents).items():
            module, _, constant = full.rpartition(".")
            changes += f"importlib.import_module({module!r}).{constant} = {value!r}; "
        shards = f"shards={self._shards}, " if self._shards > 1 else ""  # controllers before shards know no such option
        program = (
            f"{self._before}import importlib, sys; from federation import app; {changes}sys.exit(app.main(app.Options("
            f"kubeconfig={str(self._kubeconfig)!r}, context={self._context!r}, log_level={self._level!r}, "
            f"namespace={self._namespace!r}, "
            f"{shards}"
            f"metrics_address='127.0.0.1:{self._metrics}', health_address='127.0.0.1:{self._health}')))"
        )
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)  # noqa: S603
        if ready:
            self.wait_ready()

    def wait_ready(self, within: float = 30.0) -> None:
        """Until /readyz says ok."""
        assert self.process is not None
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            if self.process.poll() is not None:
                pytest.fail(f"the controller ended with {self.process.returncode}:\n{self.log[-4000:]}")
            if self.health("/readyz")[0] == 200:
                return
            time.sleep(0.05)
        pytest.fail(f"the controller is not ready within {within:g} s:\n{self.log[-4000:]}")

    def health(self, path: str) -> tuple[int, str]:
        """Code and text of /livez or /readyz; (0, "") when nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> str:
        """The text of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def kill(self) -> None:
        """SIGKILL. Its Lease is free at once: who is started next need not wait for its end, as in test_leading."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._free_lease(self.process.pid)
            self.process = None

    def _free_lease(self, pid: int) -> None:
        """Say in the Lease that nobody holds it, if it is the dead process's and the hub answers."""
        hub = _hub(self._kubeconfig)
        trust = access.tls(hub.ca_pem)
        path = LEASES.path(ObjectName(self._namespace, leadership.lease_name()))
        code, answer = access.request(hub, "GET", path, trust, timeout=2.0)
        if code != HTTPStatus.OK or f"-{pid}-" not in str(orjson.loads(answer)["spec"].get("holderIdentity")):
            return
        body = orjson.dumps({"spec": {"holderIdentity": ""}})
        access.request(hub, "PATCH", path, trust, body=body, content_type=MERGE_PATCH, timeout=2.0)

    def stop(self, within: float = 15.0) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(within)
        self.process = None
        return code


def _hub(kubeconfig: Path) -> LocalCluster:
    """The cluster of a kubeconfig that `access.kubeconfig` made of one."""
    read = yaml.safe_load(kubeconfig.read_text())
    cluster, user = read["clusters"][0], read["users"][0]["user"]
    ca = base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
    return LocalCluster(cluster["name"], cluster["cluster"]["server"], user["token"], ca)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def federated(
    resource: Resource,
    namespace: str,
    name: str,
    template: Mapping[str, Any] | None,
    *,
    clusters: list[str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A federated object. `clusters` becomes placement.clusters; other spec fields as keywords."""
    body: dict[str, Any] = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }
    if template is not None:
        body["spec"]["template"] = template
    if clusters is not None:
        body["spec"]["placement"] = {"clusters": [{"name": cluster} for cluster in clusters]}
    return body


def condition(stored: Mapping[str, Any] | None, kind: str) -> dict[str, Any]:
    """One condition of an object's status; {} when it is not there."""
    conditions = ((stored or {}).get("status") or {}).get("conditions") or []
    return next((dict(found) for found in conditions if found["type"] == kind), {})


def ready(stored: Mapping[str, Any] | None) -> bool:
    """Ready is True for the object's present generation."""
    found = condition(stored, "Ready")
    generation = ((stored or {}).get("metadata") or {}).get("generation")
    return found.get("status") == "True" and found.get("observedGeneration") == generation


def line(stored: Mapping[str, Any] | None, cluster: str) -> dict[str, Any]:
    """status.clusters[] of one cluster; {} when it is not there."""
    lines = ((stored or {}).get("status") or {}).get("clusters") or []
    return next((dict(found) for found in lines if found["name"] == cluster), {})


async def federated_namespace(host: Api, name: str, clusters: list[str]) -> None:
    """A namespace at the host, federated to these clusters."""
    await host.apply(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await host.apply(FEDERATED_NAMESPACES, federated(FEDERATED_NAMESPACES, name, name, None, clusters=clusters))
