"""Three controllers that share a hub's clusters by shards: each member is served by one of them at a time.

Shard 0 coordinates and has no cluster here, m1 is shard 1's and m2 shard 2's, by their labels. Each controller has a
User-Agent of its own, so that the proxies before hub and members tell whose each write is. The Lease is short.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from federation.core import leadership, reports
from federation.core.reports import Report
from federation.joining import invitations, setup
from federation.kube.connection import MERGE_PATCH
from federation.model import marks
from federation.model.failures import Failure
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import (
    CONFIG_MAPS,
    KUBEFED_CLUSTERS,
    LEASES,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    ObjectName,
    Resource,
)
from federation.model.works import MANIFEST_WORKS
from federation.playground.faults import Logged
from federation.registration import heartbeats
from federation.registration import names as lease_names
from tests.clusters.faulty import Faulty
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, FEDERATED_NAMESPACES, Controller, eventually
from tests.clusters.pulling import Pulled, Use
from tests.clusters.several import Changes, kill, lead_by, on_machine, writes
from tests.clusters.steps import Unlike, create, gone
from typegen import templates

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHARDS = 3
LEASE = {"leaseDuration": "6s", "renewDeadline": "4s", "retryPeriod": "1s"}
SECONDS = 6.0
AGENTS = ("controller-red", "controller-green", "controller-blue")
_ROLES: dict[str, Resource] = {"Role": ROLES, "RoleBinding": ROLE_BINDINGS}


class Trio:
    """Three controllers behind the proxies of `faulty`."""

    def __init__(self, faulty: Faulty, directory: Path) -> None:
        self.faulty = faulty
        self._directory = directory
        self.each = {agent: self.made(agent) for agent in AGENTS}

    def made(self, agent: str, shards: int = SHARDS) -> Controller:
        directory = self._directory / agent
        directory.mkdir()
        before = on_machine(agent)
        return Controller(self.faulty.directory / "kubeconfig", directory, agent=agent, before=before, shards=shards)

    async def start(self) -> None:
        host = self.faulty.host
        for right in rights():
            await host.apply(_ROLES[right["kind"]], right)
        await self.label("m1", "1")
        await self.label("m2", "2")
        await lead_by(self.faulty, LEASE)
        for each in self.each.values():
            await asyncio.to_thread(each.start, ready=False)
        for each in self.each.values():  # three at once, on a machine that may be busy
            await asyncio.to_thread(each.wait_ready, 60.0)
        await self.until_even()
        await self.faulty.settle()

    async def stop(self) -> None:
        await kill(self.each.values())
        for name in ("m1", "m2"):
            await self.label(name, None)
            annotations = {marks.SERVED_ANNOTATION: None}
            await self.faulty.host.patch(
                KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, name, {"metadata": {"annotations": annotations}}
            )
        await self.faulty.configure({"leaderElect": dict.fromkeys(LEASE)})
        for right in rights():
            await self.faulty.host.delete(_ROLES[right["kind"]], SYSTEM_NAMESPACE, right["metadata"]["name"])
        for index in range(1, SHARDS):
            await self.faulty.host.delete(CONFIG_MAPS, SYSTEM_NAMESPACE, f"kubefed-controller-shard-{index}")
            await self.faulty.host.delete(LEASES, SYSTEM_NAMESPACE, leadership.lease_name(index))
        for name in (leadership.lease_name(), leadership.REPLICAS):
            await self.faulty.host.delete(LEASES, SYSTEM_NAMESPACE, name)

    async def label(self, cluster: str, shard: str | None) -> None:
        labels = {"metadata": {"labels": {marks.SHARD_LABEL: shard}}}
        await self.faulty.host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster, labels)

    async def holders(self) -> dict[int, str]:
        """The User-Agent of each shard's holder."""
        found = {}
        for index in range(SHARDS):
            lease = await self.faulty.host.get(LEASES, SYSTEM_NAMESPACE, leadership.lease_name(index))
            holder = str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")
            for agent, controller in self.each.items():
                if controller.process is not None and f"-{controller.pid}-" in holder:
                    found[index] = agent
        return found

    async def until_even(self) -> dict[int, str]:
        """Until each holds one."""

        async def even() -> dict[int, str]:
            found = await self.holders()
            return found if len(set(found.values())) == SHARDS else {}

        return dict(await eventually(even, within=40.0, seen="each controller holds one shard"))

    async def until_held_without(self, agent: str) -> dict[int, str]:
        """Until every shard has a holder that is not this one."""

        async def held() -> dict[int, str]:
            found = await self.holders()
            return found if len(found) == SHARDS and agent not in found.values() else {}

        return dict(await eventually(held, within=SECONDS + 5, seen=f"every shard is held, and none by {agent}"))

    async def reports(self, shard: int) -> list[Report]:
        """What a shard reports of objects, those of earlier tests that are still going included."""
        where = f"kubefed-controller-shard-{shard}"
        data = (await self.faulty.host.get(CONFIG_MAPS, SYSTEM_NAMESPACE, where) or {}).get("data") or {}
        found = [reports.decode(text) for name, text in data.items() if name.startswith(reports.PREFIX)]
        return [each for each in found if each is not None]

    def writes(self, agent: str) -> list[Logged]:
        """What this controller has sent to the hub or a member that is no read; the election aside."""
        return writes(self.faulty.proxies, agent)

    def pushers(self, namespace: str) -> dict[str, set[str]]:
        """Who has written ConfigMaps in each member."""
        return {
            member: {
                each.user_agent.partition("/")[0] for each in proxy.requests.writes() if each.namespace == namespace
            }
            for member, proxy in (("m1", self.faulty.to_m1), ("m2", self.faulty.to_m2))
        }


def rights() -> list[dict[str, Any]]:
    """Those that the chart grants for several shards."""
    return templates.documents("host/shards.yaml", namespace=SYSTEM_NAMESPACE)


@pytest_asyncio.fixture(loop_scope="module")
async def trio(faulty: Faulty, tmp_path: Path) -> AsyncIterator[Trio]:
    made = Trio(faulty, tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def test_each_shard_serves_its_clusters_and_one_writes_statuses(trio: Trio, namespace: str) -> None:
    faulty, holders = trio.faulty, await trio.holders()
    await faulty.federate(namespace)
    names = [f"web-{number}" for number in range(20)]
    faulty.forget_requests()
    await asyncio.gather(*(faulty.make(namespace, name) for name in names))
    for name in names:
        await faulty.until_ready(namespace, name)
    assert trio.pushers(namespace) == {"m1": {holders[1]}, "m2": {holders[2]}}
    written = [
        each
        for each in faulty.to_host.requests.writes()
        if each.resource.startswith("federatedconfigmaps") and each.namespace == namespace
    ]
    assert {each.user_agent.partition("/")[0] for each in written} == {holders[0]}
    statuses = Counter(each.name for each in written if each.resource.endswith("/status"))
    assert set(statuses) <= set(names)
    # One where all reports come soon; each that takes longer than it is waited for is told by itself.
    assert max(statuses.values()) <= SHARDS
    reported = [each for each in faulty.to_host.requests.writes() if each.resource == "configmaps"]
    assert len(reported) < 2 * len(names), "one write reports several copies"

    async def acknowledged() -> object:
        left = [each for number in (1, 2) for each in await trio.reports(number) if each.namespace == namespace]
        return Unlike({each.name: each for each in left}) if left else True

    await eventually(acknowledged, seen="every report is acknowledged and taken out")
    await asyncio.gather(*(faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, name) for name in names))
    for api in (faulty.m1, faulty.m2):
        await faulty.until_held(api, namespace, names[-1], None)

    async def gone() -> bool:
        return not await faulty.host.items(FEDERATED_CONFIGMAPS, namespace)

    await eventually(gone, seen="every object is gone")


async def test_the_shard_of_a_killed_controller_is_served_by_another(trio: Trio, namespace: str) -> None:
    faulty, holders = trio.faulty, await trio.holders()
    await faulty.federate(namespace)
    names = [f"web-{number}" for number in range(10)]
    in_m1 = Changes(faulty.m1, namespace)
    for name in names:
        await faulty.make(namespace, name)
    for name in names:
        await faulty.until_ready(namespace, name)
    uids = {name: (await faulty.m1.get(CONFIGMAPS, namespace, name) or {})["metadata"]["uid"] for name in names}
    await asyncio.to_thread(trio.each[holders[1]].kill)
    faulty.forget_requests()
    await faulty.change(namespace, "web-3", "c")
    await faulty.until_held(faulty.m2, namespace, "web-3", "c", within=3.0)
    await faulty.until_held(faulty.m1, namespace, "web-3", "c", within=SECONDS + 5)
    await faulty.until_ready(namespace, "web-3")
    await in_m1.stop()
    assert {name: in_m1.times[name] for name in names} == dict.fromkeys(names, 1) | {"web-3": 2}
    for name in names:
        found = await faulty.m1.get(CONFIGMAPS, namespace, name) or {}
        assert found["metadata"]["uid"] == uids[name]
    assert not trio.writes(holders[1])


async def test_a_stopped_shard_keeps_a_deletion_waiting_and_writes_nothing_when_it_wakes(
    trio: Trio, namespace: str
) -> None:
    faulty, holders = trio.faulty, await trio.holders()
    await faulty.federate(namespace)
    for name in ("kept", "going"):
        await faulty.make(namespace, name)
        await faulty.until_ready(namespace, name)
    stopped = trio.each[holders[2]]
    os.kill(stopped.pid, signal.SIGSTOP)
    faulty.forget_requests()
    await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "going")
    await faulty.until_held(faulty.m1, namespace, "going", None)
    found = await faulty.stored(namespace, "going")
    assert marks.SYNC_FINALIZER in found["metadata"]["finalizers"], "nobody has confirmed that m2 has no copy"
    await faulty.change(namespace, "kept", "c")
    await faulty.until_held(faulty.m1, namespace, "kept", "c", within=3.0)
    await trio.until_held_without(holders[2])
    await faulty.until_held(faulty.m2, namespace, "going", None, within=20.0)
    await faulty.until_held(faulty.m2, namespace, "kept", "c", within=20.0)

    async def gone() -> bool:
        return await faulty.host.get(FEDERATED_CONFIGMAPS, namespace, "going") is None

    await eventually(gone, seen="the object is gone")
    await faulty.until_ready(namespace, "kept")
    before = trio.writes(holders[2])
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.process is not None
    assert await asyncio.to_thread(stopped.process.wait, 20) == 1, "it ends, to be started anew"
    assert trio.writes(holders[2]) == before


async def test_a_cluster_moves_and_a_replica_is_added_without_a_gap(trio: Trio, namespace: str) -> None:
    """A user goes on all the while; every change arrives, and no copy is written twice."""
    faulty = trio.faulty
    await faulty.federate(namespace)
    names: list[str] = []
    in_m1, in_m2 = (Changes(api, namespace) for api in (faulty.m1, faulty.m2))
    over = asyncio.Event()

    async def use() -> None:
        while not over.is_set():
            names.append(f"web-{len(names)}")
            await faulty.make(namespace, names[-1])
            await asyncio.sleep(0.1)

    using = asyncio.ensure_future(use())
    try:
        await trio.label("m1", "2")

        async def moved() -> bool:
            found = await faulty.host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m1") or {}
            return bool(found["metadata"]["annotations"].get(marks.SERVED_ANNOTATION) == f"2/{SHARDS}")

        await eventually(moved, seen="m1 is served by shard 2")
        holders = await trio.holders()
        away = trio.each[holders[1]]
        assert await asyncio.to_thread(away.stop) == 0
        await trio.until_held_without(holders[1])
        await asyncio.to_thread(away.start)
        await trio.until_even()
        waiting = trio.made("controller-other", shards=2)
        await asyncio.to_thread(waiting.start)
        trio.each["controller-other"] = waiting
        await asyncio.sleep(1.0)
    finally:
        over.set()
        await using
    for name in names:
        await faulty.until_ready(namespace, name)
    for each in (in_m1, in_m2):
        await each.stop()
        assert {name: each.times[name] for name in names} == dict.fromkeys(names, 1), "written once, and never again"
    assert not trio.writes("controller-other"), "it was started for another number of shards"


async def test_a_cluster_in_pull_mode_is_the_coordinating_shards(trio: Trio, namespace: str) -> None:
    """Beside members of the other shards; a test has its agent's part."""
    faulty, host, cluster = trio.faulty, trio.faulty.host, f"pull-{namespace}"
    holders = await trio.holders()
    await invitations.prepare(host.connection, SYSTEM_NAMESPACE, setup.quiet)
    await host.create(NAMESPACES, {"metadata": {"name": cluster}})
    try:
        body = {
            "apiVersion": KUBEFED_CLUSTERS.api_version,
            "kind": KUBEFED_CLUSTERS.kind,
            "metadata": {"name": cluster},
            "spec": {"syncMode": "Pull"},
        }
        await host.create(KUBEFED_CLUSTERS, body, SYSTEM_NAMESPACE)
        beat = dict(heartbeats.spec("test", time.time(), seconds=600))
        await host.create(LEASES, {"metadata": {"name": lease_names.LEASE}, "spec": beat}, cluster)
        clusters = ["m1", "m2", cluster]
        await host.create(NAMESPACES, {"metadata": {"name": namespace}})
        await create(host, FEDERATED_NAMESPACES, namespace, namespace, None, clusters=clusters)
        names = [namespace, "web"]
        template = {"data": {"k": "1"}}
        await create(host, FEDERATED_CONFIGMAPS, namespace, "web", template, clusters=clusters)
        done: set[str] = set()

        async def applied() -> bool:
            """As its agent would, of each work once."""
            listed = await host.connection.request("GET", MANIFEST_WORKS.collection(cluster))
            if isinstance(listed, Failure):
                return False  # the store of a definition that is new begins
            for work in listed.json()["items"]:
                meta = work["metadata"]
                if meta["name"] not in done:
                    condition = {"type": "Applied", "status": "True", "reason": "Test", "message": ""}
                    condition |= {
                        "observedGeneration": meta["generation"],
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }
                    path = f"{MANIFEST_WORKS.path(ObjectName(cluster, meta['name']))}/status"
                    patch = orjson.dumps({"status": {"conditions": [condition]}})
                    answer = await host.connection.request("PATCH", path, body=patch, content_type=MERGE_PATCH)
                    assert not isinstance(answer, Failure), answer
                    done.add(meta["name"])
            return len(done) == len(names)

        async def let_go() -> bool:
            """As its agent would, once the copies are gone."""
            going = [
                each for each in await host.items(MANIFEST_WORKS, cluster) if "deletionTimestamp" in each["metadata"]
            ]
            for work in going:
                await host.patch(MANIFEST_WORKS, cluster, work["metadata"]["name"], {"metadata": {"finalizers": None}})
            return bool(going)

        await eventually(applied, within=90.0, seen="a work of the namespace and one of the object")
        await faulty.until_ready(namespace, "web")
        assert trio.pushers(namespace) == {"m1": {holders[1]}, "m2": {holders[2]}}
        for resource, name in ((FEDERATED_CONFIGMAPS, "web"), (FEDERATED_NAMESPACES, namespace)):
            await host.delete(resource, namespace, name)
            await eventually(let_go, within=60.0, seen="works that are deleted")
            await gone(host, resource, namespace, name)
        assert await host.items(MANIFEST_WORKS, cluster) == []
    finally:
        await host.delete(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, cluster)
        await host.delete(NAMESPACES, "", cluster)


async def test_a_cluster_moves_to_pull_mode_and_back_beside_several_shards(
    trio: Trio, namespace: str, tmp_path: Path
) -> None:
    """A user goes on all the while: every change arrives, no copy is made anew, and one at a time serves the cluster.

    It is shard 1's in push mode, and shard 0's, as all works are, in pull mode.
    """
    faulty, fleet = trio.faulty, trio.faulty.fleet
    moving = Pulled(fleet, tmp_path)
    await moving.set_up()
    joined = False
    try:
        await moving.prepare()
        await fleet.join(moving.cluster, context="m3", **{marks.SHARD_LABEL: "1"})
        joined = True
        await moving.federate(FEDERATED_NAMESPACES, moving.namespace)
        used = Use(moving)
        await used.until_arrived()
        before = await used.copies()
        faulty.forget_requests()

        await used.while_it(moving.moves("Pull"))
        await moving.start()

        async def handed() -> bool:
            return len(await moving.works()) == len(used.values) + 1

        await eventually(handed, within=60.0, seen="a work of each object, and of the namespace")
        await used.until_arrived()
        await used.while_it(used.change())
        await used.until_arrived()
        holders = await trio.holders()
        of_works = [each for each in faulty.to_host.requests.writes() if each.resource.startswith("manifestworks")]
        assert {each.user_agent.partition("/")[0] for each in of_works} == {holders[0]}, "the coordinating shard's"

        await used.while_it(moving.moves("Push"))

        async def let_go() -> object:
            return (
                Unlike({each["metadata"]["name"]: each for each in found}) if (found := await moving.works()) else True
            )

        await eventually(let_go, within=60.0, seen="no works")
        await used.while_it(used.change())
        await used.until_arrived()
        after = await used.copies()
        for name, copy in before.items():
            assert after[name]["metadata"]["uid"] == copy["metadata"]["uid"]
        assert {each["manager"] for copy in after.values() for each in copy["metadata"]["managedFields"]} == {
            each["manager"] for copy in before.values() for each in copy["metadata"]["managedFields"]
        }
        stored = await faulty.cluster(moving.cluster)
        assert stored["metadata"]["annotations"][marks.SERVED_ANNOTATION] == f"1/{SHARDS}"
        await used.delete()
    finally:
        if joined:
            await moving.moves("Push")
            await fleet.unjoin(moving.cluster, context="m3")
        await moving.leave()
        await moving.tear_down()
