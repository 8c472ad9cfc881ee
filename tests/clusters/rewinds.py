"""Clusters whose etcd can be put back to an earlier state, as a restore from a backup does; and a fleet of them.

Clusters of one playground share an etcd, so each of these is a playground of its own. A snapshot is a copy of the data
of an etcd that stands still, which is what one finds after it was killed. `rewind` puts it back: while the API server
goes on running, or with it restarted; with revisions that are behind, or that have `overtaken` the old ones, as after
`etcdutl snapshot restore --bump-revision` and with any hub that is busy before the controller comes back.
"""

import asyncio
import base64
import http.client
import itertools
import json
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from federation.joining import setup, tokens
from federation.joining.contexts import Contexts
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, ObjectName
from federation.playground import access, binaries, commands, launching, layout, processes
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground
from federation.playground.layout import ETCD, Layout
from tests.clusters import sessions
from tests.clusters.harness import (
    CONFIGMAPS,
    ENABLED,
    FEDERATED_CONFIGMAPS,
    Api,
    Controller,
    condition,
    eventually,
    federated,
    federated_namespace,
    ready,
)

SPARE = 500
"""Revisions by which the old ones are overtaken."""
HEALTH = {"period": "1s", "failureThreshold": 3, "successThreshold": 1, "timeout": "2s"}


class Rewindable:
    """One real cluster with an etcd of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self._directory = directory
        self._files = Layout(directory)
        self._numbers = itertools.count(1)
        self.up()

    def up(self) -> None:
        """Start what does not run."""
        Playground.up(self._directory, [self.name], controller_manager=[self.name], report=lambda _: None)

    @property
    def playground(self) -> Playground:
        """The playground that it is alone in."""
        return Playground.open(self._directory)

    @property
    def cluster(self) -> LocalCluster:
        """As it is now."""
        return Playground.open(self._directory).clusters[self.name]

    def revision(self) -> int:
        """etcd's present revision."""
        return int(self._etcd("range", {"key": _key("none")})["header"]["revision"])

    def snapshot(self) -> Path:
        """A copy of etcd's data as of now."""
        made = self._directory.parent / "snapshots" / f"{self.name}-{next(self._numbers)}"
        etcd = processes.find(self._files.etcd.pid)
        assert etcd is not None
        processes.send(etcd, signal.SIGSTOP)
        try:
            shutil.copytree(self._files.etcd.data, made)
        finally:
            processes.send(etcd, signal.SIGCONT)
        return made

    def rewind(self, snapshot: Path, *, restart: bool = True, overtake: bool = False) -> None:
        """Put etcd's data back; it serves when this returns, and so does the API server.

        `restart`: with the API server, as Kubernetes asks for, else that goes on running. `overtake`: as somebody else
        writes into etcd, its revisions are beyond the old ones before an API server is started on it.
        """
        before = self.revision()
        if restart:
            Playground.open(self._directory).kill(self.name)
        self._kill_etcd()
        shutil.rmtree(self._files.etcd.data)
        shutil.copytree(snapshot, self._files.etcd.data)
        self._start_etcd()
        assert self.revision() <= before
        if overtake:
            self._write(before + SPARE - self.revision())
            assert self.revision() > before
        self.up()

    def restart(self) -> None:
        """The API server, killed and started."""
        Playground.open(self._directory).restart(self.name)

    def restart_etcd(self) -> None:
        """etcd, killed and started with the data that it had."""
        self._kill_etcd()
        self._start_etcd()
        self.up()

    def compact(self) -> None:
        """Forget all revisions before the present one."""
        self._etcd("compaction", {"revision": str(self.revision()), "physical": True})

    def _kill_etcd(self) -> None:
        etcd = processes.find(self._files.etcd.pid)
        assert etcd is not None
        processes.stop([etcd], grace=0)

    def _start_etcd(self) -> None:
        record = layout.load(self._files)
        assert record is not None
        binary = binaries.find([ETCD])[ETCD]
        launching.etcd(
            self._files.etcd,
            record.etcd_port,
            command=lambda port: commands.etcd(binary, self._files.etcd, port),
            move=lambda: pytest.fail("etcd's port is taken"),
            mark=str(self._files.directory),
        )

    def _write(self, count: int) -> None:
        for number in range(count):
            self._etcd("put", {"key": _key("overtaking"), "value": _key(str(number))})

    def _etcd(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        record = layout.load(self._files)
        assert record is not None
        connection = http.client.HTTPConnection("127.0.0.1", record.etcd_port, timeout=10)
        try:
            connection.request("POST", f"/v3/kv/{what}", body=json.dumps(body))
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def _key(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Restorable:
    """A hub and two members, each of which can be rewound, and a controller with its own rights."""

    def __init__(self, directory: Path, clusters: Sequence[Rewindable]) -> None:
        self.hub, self.one, self.two = clusters
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        self.controller = Controller(directory / "controller.kubeconfig", directory)
        self.host, self.m1, self.m2 = (Api(each.cluster) for each in clusters)

    async def set_up(self) -> None:
        """Install, join and enable, as tests.clusters.fleets."""
        clusters = [each.cluster for each in (self.hub, self.one, self.two)]
        # One certificate authority for each: a context names its own.
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_bytes(access.kubeconfig(clusters))
        everything_goes = setup.NOTHING_HELD
        await setup.everything(str(self.kubeconfig), "hub", ["m1", "m2"], ENABLED, settings=everything_goes)
        async with Contexts(str(self.kubeconfig)) as contexts:
            account = ObjectName(SYSTEM_NAMESPACE, "kubefed-controller")
            token = (await tokens.request(await contexts.open("hub"), account)).token
        own = self.directory / "controller.kubeconfig"
        own.touch(mode=0o600)
        own.write_bytes(access.kubeconfig([replace(clusters[0], token=token, name="host")]))
        await self.host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", {"spec": {"clusterHealthCheck": HEALTH}})

    async def start(self) -> None:
        """A controller that follows both members."""
        if self.controller.process is None:
            await asyncio.to_thread(self.controller.start)
        await self.settle()

    async def stop(self) -> None:
        """kill -9."""
        await asyncio.to_thread(self.controller.kill)

    async def close(self) -> None:
        """End what is ours; the clusters stay."""
        await self.stop()
        for api in (self.host, self.m1, self.m2):
            await api.connection.close()

    async def settle(self) -> None:
        """Until both members are Ready."""

        async def both() -> bool:
            states = [await self.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name) for name in ("m1", "m2")]
            return all(condition(each, "Ready").get("status") == "True" for each in states)

        await eventually(both, within=60.0, seen="both members Ready")

    async def snapshot(self, cluster: Rewindable) -> Path:
        """Its etcd as it is now."""
        return await asyncio.to_thread(cluster.snapshot)

    async def rewind(
        self, cluster: Rewindable, snapshot: Path, *, restart: bool = True, overtake: bool = False
    ) -> None:
        """Put its etcd back."""
        await asyncio.to_thread(cluster.rewind, snapshot, restart=restart, overtake=overtake)

    async def make(self, namespace: str, name: str, value: str, *clusters: str) -> None:
        """A FederatedConfigMap with {a: value}, or its change to that; in both members where none is named."""
        placed = list(clusters or ("m1", "m2"))
        body = federated(FEDERATED_CONFIGMAPS, namespace, name, {"data": {"a": value}}, clusters=placed)
        await self.host.apply(FEDERATED_CONFIGMAPS, body)

    async def federate(self, namespace: str) -> None:
        """A namespace in both members."""
        await federated_namespace(self.host, namespace, ["m1", "m2"])

    async def until_ready(self, namespace: str, *names: str) -> None:
        """Until these FederatedConfigMaps are Ready."""

        async def all_ready() -> bool:
            return all([ready(await self.host.get(FEDERATED_CONFIGMAPS, namespace, name)) for name in names])

        await eventually(all_ready, within=40.0, seen=f"{namespace}: {names} Ready")

    async def values(self, api: Api, namespace: str) -> dict[str, str]:
        """What a member holds there: {name: value}."""
        items = await api.items(CONFIGMAPS, namespace)
        return {each["metadata"]["name"]: each["data"]["a"] for each in items if "a" in (each.get("data") or {})}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def restorable(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Restorable]:
    """Three clusters that can be rewound, a controller that is started by each test, and no proxies."""
    with sessions.directories() as directory:
        with ThreadPoolExecutor(3) as several:
            made = [several.submit(Rewindable, directory / name, name) for name in ("hub", "m1", "m2")]
        fleet = Restorable(tmp_path_factory.mktemp("restorable"), [each.result() for each in made])
        try:
            await fleet.set_up()
            yield fleet
        finally:
            await fleet.close()
