"""Faults of the hub and of the controller itself: conflicts, outages, partial lists, frozen processes, late storage.

While the hub is away the members stay as they are, and what a member's admin changes is still put back. A controller
that starts lists before it acts: half a list, a refused list or an empty one deletes nothing. Numbers are those of the
fault table in docs/faults.md.
"""

import asyncio
import functools
import os
import signal
import ssl
from typing import Any

import pytest

from federation.model.marks import SYNC_FINALIZER, SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS
from federation.playground.clusters import Playground
from federation.playground.faults import Fault
from tests.clusters.crds_server import Server
from tests.clusters.faulty import Faulty, passed, tried, unchanged
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, Api, eventually, federated, line

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEDERATED = "federatedconfigmaps.types.kubefed.io"
EMPTY = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'


async def in_both(faulty: Faulty, namespace: str, *names: str) -> None:
    """Federated ConfigMaps with {a: b} that both members hold, and a request log that starts now."""
    await faulty.federate(namespace)
    for name in names:
        await faulty.make(namespace, name)
    for name in names:
        await faulty.until_ready(namespace, name)
    faulty.forget_requests()


def untouched(faulty: Faulty, namespace: str) -> bool:
    """No write about this namespace was even tried at a member."""
    return not any(tried(proxy, namespace=namespace) for proxy in (faulty.to_m1, faulty.to_m2))


@pytest.mark.parametrize("code", [409, 500, 503])
async def test_refused_status_is_written_later(faulty: Faulty, namespace: str, code: int) -> None:
    """5, 6: the hub refuses three status writes. Members have the object at once; the status is told later."""
    await in_both(faulty, namespace, "first")
    refused = faulty.to_host.inject(
        Fault("status", verb="patch", resource=f"{FEDERATED}/status", namespace=namespace, code=code, times=3)
    )
    await faulty.make(namespace, "web")
    await faulty.until_ready(namespace, "web")
    assert refused.hits == 3
    for proxy in (faulty.to_m1, faulty.to_m2):
        assert [each.code for each in passed(proxy, namespace=namespace)] == [201]
    assert faulty.hub_writes()["patch", f"{FEDERATED}/status", "web"] == 1


@pytest.mark.parametrize("code", [409, 503])
async def test_nothing_is_pushed_before_its_finalizer_is_there(
    faulty: Faulty, namespace: str, code: int, playground: Playground, trust: ssl.SSLContext
) -> None:
    """5: the hub refuses the finalizer. No member gets the object, or its deletion could be missed; then both do.

    The API server has not added it either: its policy leaves alone what the controller's account writes.
    """
    await in_both(faulty, namespace, "first")
    refused = faulty.to_host.inject(
        Fault("status", verb="patch", resource=FEDERATED, namespace=namespace, name="web", code=code)
    )
    host = Server(playground.clusters["host"], trust)
    body = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"])
    account = {"impersonate": f"system:serviceaccount:{SYSTEM_NAMESPACE}:kubefed-controller", "group": "system:masters"}
    path = FEDERATED_CONFIGMAPS.collection(namespace)
    made = await asyncio.to_thread(functools.partial(host.call, "POST", path, body, **account))
    assert "finalizers" not in made.body["metadata"]
    await eventually(lambda: _true(refused.hits >= 2))
    assert untouched(faulty, namespace)
    faulty.to_host.clear()
    stored = await faulty.until_ready(namespace, "web")
    assert stored["metadata"]["finalizers"] == [SYNC_FINALIZER]


async def test_user_and_controller_write_at_once(faulty: Faulty, namespace: str) -> None:
    """5: a user changes an object twenty times as fast as the hub takes it. The last word holds, in both members."""
    await in_both(faulty, namespace, "web")
    for number in range(20):
        await faulty.change(namespace, "web", str(number))
    await faulty.until_ready(namespace, "web")
    for api, proxy in ((faulty.m1, faulty.to_m1), (faulty.m2, faulty.to_m2)):
        await faulty.until_held(api, namespace, "web", "19")
        assert len(passed(proxy, namespace=namespace)) <= 20


async def test_hub_away_and_back(faulty: Faulty, namespace: str) -> None:
    """10: the hub cannot be reached. Members stay; drift is still put back from what is known; /livez and /readyz hold.

    When it is back, what users did meanwhile is done. Lost: nothing; deleted: nothing that was not asked for.
    """
    await in_both(faulty, namespace, "drifting", "changed", "deleted", "kept")
    faulty.to_host.inject(Fault("refuse"))
    await faulty.m1.patch(CONFIGMAPS, namespace, "drifting", {"data": {"a": "drifted"}})
    await faulty.until_held(faulty.m1, namespace, "drifting", "b")
    await faulty.change(namespace, "changed", "c")
    await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "deleted")
    await asyncio.sleep(2.0)
    assert {each.name for each in tried(faulty.to_m1, namespace=namespace)} == {"drifting"}
    assert tried(faulty.to_m2, namespace=namespace) == []
    for path in ("/livez", "/readyz"):
        assert (await asyncio.to_thread(faulty.controller.health, path))[0] == 200
    faulty.to_host.clear()
    await faulty.until_held(faulty.m1, namespace, "changed", "c")
    await faulty.until_held(faulty.m2, namespace, "deleted", None)
    await eventually(lambda: _released(faulty, namespace, "deleted"))
    await faulty.until_ready(namespace, "changed")
    assert "kept" not in {each.name for each in tried(faulty.to_m1, namespace=namespace)}


async def test_hub_killed_and_started(faulty: Faulty, namespace: str) -> None:
    """10: the hub's API server dies and is started again. Nothing is written to any member, the hub neither."""
    await in_both(faulty, namespace, "web")
    await faulty.quiet()
    faulty.forget_requests()
    await faulty.kill("host")
    await asyncio.sleep(1.0)
    await faulty.revive("host")
    await faulty.settle()
    await faulty.change(namespace, "web", "c")
    await faulty.until_ready(namespace, "web")
    for proxy in (faulty.to_m1, faulty.to_m2):
        assert [(each.verb, each.code) for each in passed(proxy, namespace=namespace)] == [("apply", 200)]
    assert set(_ours(faulty, namespace)) == {("patch", f"{FEDERATED}/status", "web")}


async def test_controller_started_while_the_hub_is_away(faulty: Faulty, namespace: str) -> None:
    """10: a controller that starts without its hub waits, alive and not ready, and touches nothing."""
    await in_both(faulty, namespace, "web")
    faulty.to_host.inject(Fault("refuse"))
    await faulty.restart(wait=False)
    await eventually(lambda: _health(faulty, "/livez", 200))
    await faulty.change(namespace, "web", "c")
    await asyncio.sleep(1.5)
    assert await _health(faulty, "/readyz", 503)
    assert untouched(faulty, namespace)
    faulty.to_host.clear()
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    assert await _health(faulty, "/readyz", 200)


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        pytest.param("kubefedclusters.core.kubefed.io", "status", id="clusters-refused"),
        pytest.param("kubefedclusters.core.kubefed.io", "cut", id="clusters-cut"),
        pytest.param("kubefedclusters.core.kubefed.io", "empty", id="clusters-empty"),
        pytest.param("secrets", "status", id="secrets-refused"),
        pytest.param("secrets", "empty", id="secrets-empty"),
        pytest.param("federatedtypeconfigs.core.kubefed.io", "status", id="types-refused"),
        pytest.param("federatedtypeconfigs.core.kubefed.io", "empty", id="types-empty"),
        pytest.param("federatednamespaces.types.kubefed.io", "status", id="namespaces-refused"),
        pytest.param("federatednamespaces.types.kubefed.io", "cut", id="namespaces-cut"),
        pytest.param("federatednamespaces.types.kubefed.io", "empty", id="namespaces-empty"),
        pytest.param(FEDERATED, "cut", id="objects-cut"),
        pytest.param(FEDERATED, "empty", id="objects-empty"),
        pytest.param("namespaces", "status", id="host-namespaces-refused"),
        pytest.param("namespaces", "empty", id="host-namespaces-empty"),
    ],
)
async def test_start_lists_before_it_acts(faulty: Faulty, namespace: str, resource: str, kind: str) -> None:
    """10: at the start the hub refuses one list, breaks it off, or answers an empty one. Nothing is deleted anywhere.

    Once the hub tells the truth all is as before, with no write to a member. (Statuses name the clusters that its list
    left out, so that these are asked for by name.)
    """
    await in_both(faulty, namespace, "web")
    await faulty.quiet()
    before = [await api.get(CONFIGMAPS, namespace, "web") for api in (faulty.m1, faulty.m2)]
    faulty.controller.kill()
    faulty.forget_requests()
    match kind:
        case "status":
            lying = faulty.to_host.inject(Fault("status", verb="list", resource=resource, code=503))
        case "cut":
            lying = faulty.to_host.inject(Fault("cut", verb="list", resource=resource))
        case _:
            lying = faulty.to_host.inject(Fault("status", verb="list", resource=resource, code=200, body=EMPTY))
            # From resourceVersion 1 it would hear the truth too soon.
            faulty.to_host.inject(Fault("status", verb="watch", resource=resource, code=503))
    await faulty.restart(wait=False)
    await eventually(lambda: _true(lying.hits >= 1))
    await asyncio.sleep(1.0)
    assert untouched(faulty, namespace)
    faulty.to_host.clear()
    if kind == "empty":  # the watch from resourceVersion 1 could go on without ever listing again
        faulty.to_host.inject(Fault("expire", verb="watch", resource=resource, times=1))
    await faulty.settle()
    await faulty.quiet()
    assert [await api.get(CONFIGMAPS, namespace, "web") for api in (faulty.m1, faulty.m2)] == before
    assert untouched(faulty, namespace)
    stored = await faulty.until_ready(namespace, "web")
    assert {line(stored, cluster).get("status") for cluster in ("m1", "m2")} == {None}


async def test_a_list_without_clusters_makes_no_object_go_before_its_copies(faulty: Faulty, namespace: str) -> None:
    """10: at the start no KubeFedCluster is listed, and a user deletes the object while one of its members is down."""
    await in_both(faulty, namespace, "web")
    await faulty.quiet()
    faulty.controller.kill()
    clusters = KUBEFED_CLUSTERS.qualified
    lying = faulty.to_host.inject(Fault("status", verb="list", resource=clusters, code=200, body=EMPTY))
    faulty.to_host.inject(Fault("status", verb="watch", resource=clusters, code=503))
    faulty.to_m2.inject(Fault("refuse"))
    await faulty.restart(wait=False)
    await eventually(lambda: _true(lying.hits >= 1))
    await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "web")
    await eventually(lambda: _gone(faulty.m1, namespace, "web"))
    await asyncio.sleep(5.0)
    assert await faulty.host.get(FEDERATED_CONFIGMAPS, namespace, "web") is not None
    faulty.to_m2.clear()
    await eventually(lambda: _gone(faulty.m2, namespace, "web"))
    faulty.to_host.clear()


@pytest.mark.parametrize("kind", ["status", "cut"])
async def test_start_knows_each_member_before_it_acts(faulty: Faulty, namespace: str, kind: Any) -> None:
    """10: at the start m1 cannot be listed. What is there is neither deleted nor made again; m2 goes on."""
    await in_both(faulty, namespace, "web")
    await faulty.quiet()
    faulty.controller.kill()
    faulty.forget_requests()
    lying = faulty.to_m1.inject(Fault(kind, verb="list", resource="configmaps", code=503 if kind == "status" else 0))
    await faulty.restart(wait=False)
    await eventually(lambda: _true(lying.hits >= 2))
    await faulty.change(namespace, "web", "c")
    await faulty.until_held(faulty.m2, namespace, "web", "c")
    assert tried(faulty.to_m1, namespace=namespace) == []
    faulty.to_m1.clear()
    await faulty.until_ready(namespace, "web")
    assert [(each.verb, each.code) for each in passed(faulty.to_m1, namespace=namespace)] == [("apply", 200)]


async def test_storage_that_is_only_now_made(faulty: Faulty, namespace: str) -> None:
    """18: lists of a type that was enabled a moment ago are answered 429 `storage is (re)initializing`, wait 1 s.

    The controller waits as told and starts. No error status, no crash; the user sees Ready.
    """
    await in_both(faulty, namespace, "web")
    faulty.controller.kill()
    faulty.forget_requests()
    busy = faulty.to_host.inject(
        Fault("status", verb="list", resource=FEDERATED, code=429, retry_after=1, body=_REINITIALISING, times=2)
    )
    await faulty.restart()
    await faulty.make(namespace, "new")
    await faulty.until_ready(namespace, "new")
    await faulty.until_ready(namespace, "web")
    assert busy.hits == 2
    assert "reconcile failed" not in faulty.controller.log
    assert {each.name for each in tried(faulty.to_m1, namespace=namespace)} == {"new"}


async def test_frozen_controller_goes_on(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: the controller's machine stands still for a while. What happened meanwhile is done."""
    await in_both(faulty, namespace, "drifting", "changed", "deleted")
    os.kill(faulty.controller.pid, signal.SIGSTOP)
    try:
        await faulty.m1.delete(CONFIGMAPS, namespace, "drifting")
        await faulty.change(namespace, "changed", "c")
        await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "deleted")
        await asyncio.sleep(5.0)
    finally:
        os.kill(faulty.controller.pid, signal.SIGCONT)
    await faulty.until_held(faulty.m1, namespace, "drifting", "b")
    await faulty.until_held(faulty.m2, namespace, "changed", "c")
    await faulty.until_held(faulty.m2, namespace, "deleted", None)
    await faulty.until_ready(namespace, "changed")


async def test_frozen_etcd_loses_nothing(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: etcd, under hub and members, stands still during fifty creations. Each is made once."""
    names = [f"web-{number}" for number in range(50)]
    await in_both(faulty, namespace, "first")
    for name in names:
        await faulty.make(namespace, name)
    etcd = faulty.playground.etcd_pid
    assert etcd is not None
    os.kill(etcd, signal.SIGSTOP)
    try:
        await asyncio.sleep(4.0)
    finally:
        os.kill(etcd, signal.SIGCONT)
    for name in names:
        await faulty.until_ready(namespace, name, within=60.0)
    for proxy in (faulty.to_m1, faulty.to_m2):
        created = [each.name for each in passed(proxy, namespace=namespace) if each.code == 201]
        assert len(created) == len(set(created)) <= len(names)
        assert passed(proxy, namespace=namespace, verb="delete") == []


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_killed_controller_finishes_what_it_began(faulty: Faulty, namespace: str, after: int) -> None:
    """10: kill -9 after so many creations reached m1, and a new start. Each object is made once in each member."""
    names = [f"web-{number}" for number in range(20)]
    await in_both(faulty, namespace, "first")
    for name in names:
        await faulty.make(namespace, name)
    await faulty.to_m1.until(lambda _: len(passed(faulty.to_m1, namespace=namespace)) > after)
    await faulty.restart()
    for name in names:
        await faulty.until_ready(namespace, name)
    for proxy in (faulty.to_m1, faulty.to_m2):
        created = [each.name for each in passed(proxy, namespace=namespace) if each.code == 201]
        assert len(created) == len(set(created))
    await unchanged(lambda: _true(len(passed(faulty.to_m1, namespace=namespace))), during=1.5)


_REINITIALISING = (
    b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"storage is (re)initializing",'
    b'"reason":"TooManyRequests","details":{"retryAfterSeconds":1},"code":429}'
)


def _ours(faulty: Faulty, namespace: str) -> list[tuple[str, str, str]]:
    """Writes at the hub about this namespace that passed; events aside."""
    return [
        (each.verb, each.resource, each.name)
        for each in passed(faulty.to_host, namespace=namespace)
        if each.resource != "events"
    ]


async def _gone(api: Api, namespace: str, name: str) -> bool:
    return await api.get(CONFIGMAPS, namespace, name) is None


async def _true(value: object) -> object:
    return value


async def _health(faulty: Faulty, path: str, code: int) -> bool:
    return (await asyncio.to_thread(faulty.controller.health, path))[0] == code


async def _released(faulty: Faulty, namespace: str, name: str) -> bool:
    return await faulty.host.get(FEDERATED_CONFIGMAPS, namespace, name) is None
