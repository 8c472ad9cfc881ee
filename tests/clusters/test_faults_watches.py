"""Faults of watches: cut, expired, silent, ended at once, unreadable. Lost is nothing, written little.

Numbers are those of the fault table in docs/faults.md. Drift in a member is the probe: it is only noticed by a watch.
"""

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest

from federation.kube.connection import METADATA_LIST, expect
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import KUBEFED_CLUSTERS, TYPE_CONFIGS, Resource
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault, Kind
from tests.clusters.faulty import Faulty, passed, unchanged
from tests.clusters.harness import CONFIGMAPS, FEDERATED_CONFIGMAPS, FEDERATED_NAMESPACES, Api, eventually, line
from tests.clusters.steps import cluster_condition

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def in_both(faulty: Faulty, namespace: str, *names: str) -> None:
    """Federated ConfigMaps with {a: b} that both members hold, and a request log that starts now."""
    await faulty.federate(namespace)
    for name in names:
        await faulty.make(namespace, name)
    for name in names:
        await faulty.until_ready(namespace, name)
    faulty.forget_requests()


async def edit(api: Api, namespace: str, name: str, value: str) -> None:
    """Somebody in the member changes our field."""
    await api.patch(CONFIGMAPS, namespace, name, {"data": {"a": value}})


def relists(proxy: FaultProxy, resource: str) -> int:
    return len(proxy.requests.where(verb="list", resource=resource))


async def test_member_watch_cut_in_a_line_resumes(faulty: Faulty, namespace: str) -> None:
    """1: the line that tells of drift is cut in half. Lost: nothing; put back once, without another list.

    The user sees nothing: Ready stays as it is.
    """
    await in_both(faulty, namespace, "web")
    cut = faulty.to_m1.inject(Fault("cut", verb="watch", resource="configmaps", times=1))
    before = await faulty.stored(namespace, "web")
    await edit(faulty.m1, namespace, "web", "drifted")
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    assert cut.hits == 1
    assert relists(faulty.to_m1, "configmaps") == 0
    assert len(faulty.to_m1.requests.where(verb="watch", resource="configmaps")) == 1
    applied = passed(faulty.to_m1, namespace=namespace)
    # Unforced, which names whose change it was, and forced.
    assert [(each.verb, each.code) for each in applied] == [("apply", 409), ("apply", 200)]
    await faulty.until_ready(namespace, "web")
    after = await faulty.stored(namespace, "web")
    assert _since(after) == _since(before)


def _since(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """Its conditions, whenever its status was written last."""
    return [each | {"lastUpdateTime": ""} for each in stored["status"]["conditions"]]


async def test_hub_watch_cut_in_a_line_resumes(faulty: Faulty, namespace: str) -> None:
    """1: the line that tells of a user's change is cut in half. Lost: nothing; one apply per member, no other list."""
    await in_both(faulty, namespace, "web")
    resource = "federatedconfigmaps.types.kubefed.io"
    cut = faulty.to_host.inject(Fault("cut", verb="watch", resource=resource, times=1))
    await faulty.change(namespace, "web", "c")
    await faulty.until_ready(namespace, "web")
    for api, proxy in ((faulty.m1, faulty.to_m1), (faulty.m2, faulty.to_m2)):
        await faulty.until_held(api, namespace, "web", "c")
        assert [(each.verb, each.code) for each in passed(proxy, namespace=namespace)] == [("apply", 200)]
    assert cut.hits == 1
    assert relists(faulty.to_host, resource) == 0


@pytest.mark.parametrize("how", ["event", "answer"])
async def test_expired_watch_lists_again_and_sees_what_is_gone(faulty: Faulty, namespace: str, how: str) -> None:
    """2: 410 as an ERROR event and as HTTP 410, after an object vanished unseen. Lost: nothing.

    One list, the missing deletion is found in it, the object is made again; the metric counts the list.
    """
    await in_both(faulty, namespace, "gone", "kept")
    faulty.to_m1.inject(Fault("status", verb="watch", resource="configmaps", code=503))
    faulty.to_m1.cut_watches("configmaps")
    await eventually(lambda: _zero(faulty.to_m1.open_watches("configmaps")))
    await faulty.m1.delete(CONFIGMAPS, namespace, "gone")
    counted = await faulty.count("federation_relists_total", cluster="m1", reason="expired")
    faulty.to_m1.clear()
    faulty.forget_requests()
    kind: Kind = "expire" if how == "event" else "status"
    expired = Fault(kind, verb="watch", resource="configmaps", code=410, times=1)
    faulty.to_m1.inject(expired)
    await faulty.until_held(faulty.m1, namespace, "gone", "b")
    await faulty.until_ready(namespace, "gone")
    assert relists(faulty.to_m1, "configmaps") == 1
    assert await faulty.count("federation_relists_total", cluster="m1", reason="expired") == counted + 1
    assert [(each.name, each.code) for each in passed(faulty.to_m1, namespace=namespace)] == [("gone", 201)]


async def test_expired_hub_watch_lists_again(faulty: Faulty, namespace: str) -> None:
    """2: the hub's watch expires while a user creates, changes and deletes. Lost: nothing."""
    await in_both(faulty, namespace, "changed", "deleted")
    resource = "federatedconfigmaps.types.kubefed.io"
    faulty.to_host.inject(Fault("status", code=503, verb="watch", resource=resource))
    faulty.to_host.cut_watches(resource)
    await eventually(lambda: _zero(faulty.to_host.open_watches(resource)))
    await faulty.make(namespace, "created")
    await faulty.change(namespace, "changed", "c")
    await faulty.host.delete(FEDERATED_CONFIGMAPS, namespace, "deleted")
    faulty.to_host.clear()
    faulty.to_host.inject(Fault("expire", verb="watch", resource=resource, times=1))
    await faulty.until_held(faulty.m2, namespace, "created", "b")
    await faulty.until_held(faulty.m2, namespace, "changed", "c")
    await faulty.until_held(faulty.m2, namespace, "deleted", None)
    await eventually(lambda: _absent(faulty, namespace, "deleted"))


async def test_silent_watch_is_noticed(faulty: Faulty, namespace: str) -> None:
    """3: a half-open connection: no FIN, no bytes. Noticed by the idle limit (85 s; 2 s here), resumed, nothing lost.

    No list is needed: the watch goes on from its last resourceVersion.
    """
    await faulty.restart(idle_limit=2.0)
    await faulty.settle()
    await in_both(faulty, namespace, "web")
    silent = faulty.to_m1.inject(Fault("blackhole", verb="watch", resource="configmaps"))
    assert silent.hits == 1
    await edit(faulty.m1, namespace, "web", "drifted")
    faulty.to_m1.clear()
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    assert relists(faulty.to_m1, "configmaps") == 0


async def test_silent_watch_at_the_hub_is_noticed(faulty: Faulty, namespace: str) -> None:
    """3: the same between controller and hub, for every watch at once: a user's change still arrives."""
    await faulty.restart(idle_limit=2.0)
    await faulty.settle()
    await in_both(faulty, namespace, "web")
    faulty.to_host.inject(Fault("blackhole", verb="watch"))
    await faulty.change(namespace, "web", "c")
    faulty.to_host.clear()
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    await faulty.until_ready(namespace, "web")


@pytest.mark.timeout(300)
async def test_half_open_connections_are_noticed_in_90_seconds(faulty: Faulty, namespace: str) -> None:
    """3, with the limit that users have: every watch, of the hub and of both members, goes silent without a FIN.

    Each is opened again within 90 s (and ten for a loaded machine; by themselves watches end after 240 to 360 s), goes
    on from its last resourceVersion without a list, and what happened in the silence is put right: drift, a deletion,
    a user's change. One watch of m2 stays silent: its cluster stays Ready, and condition Synced says which type it is.
    """
    assert faulty.controller.constants == {}
    await in_both(faulty, namespace, "drifted", "deleted", "changed")
    silent = Fault("blackhole", verb="watch")
    struck = [(proxy, Counter(proxy.watched()), proxy.inject(silent)) for proxy in faulty.proxies]
    assert all(injected.hits >= watches.total() > 0 for _, watches, injected in struck)
    for proxy in faulty.proxies:
        proxy.clear()
    faulty.to_m2.inject(Fault("blackhole", verb="watch", resource="secrets"))
    faulty.forget_requests()
    await edit(faulty.m1, namespace, "drifted", "mine")
    await faulty.m1.delete(CONFIGMAPS, namespace, "deleted")
    await faulty.change(namespace, "changed", "c")

    async def opened() -> object:
        return all(watches - asked(proxy) == Counter() for proxy, watches, _ in struck)

    await eventually(opened, within=100.0, every=0.5, seen="every silent watch is asked for again")
    await faulty.until_held(faulty.m1, namespace, "drifted", "b")
    await faulty.until_held(faulty.m1, namespace, "deleted", "b")
    await faulty.until_held(faulty.m1, namespace, "changed", "c")
    lists = [each for proxy, _, _ in struck for each in proxy.requests.where(verb="list")]
    followed = {resource for _, watches, _ in struck for resource in watches}
    assert [each for each in lists if each.resource in followed] == []  # others are read now and then, as nodes
    await cluster_condition(faulty.host, "m2", "Synced", "False", reason="WatchFailed", message="secrets: ")
    await faulty.until_cluster("m2", "True")  # one type's trouble is its own
    faulty.to_m2.clear()
    await cluster_condition(faulty.host, "m2", "Synced", "True")
    await faulty.until_ready(namespace, "changed")
    await faulty.until_held(faulty.m2, namespace, "changed", "c")


def asked(proxy: FaultProxy) -> Counter[str]:
    """Requests for a watch by resource, whatever came of them."""
    return Counter(each.resource for each in proxy.requests.where(verb="watch"))


async def test_watches_that_end_at_once_are_not_asked_in_a_loop(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: a proxy ends every watch as soon as it is opened. Asked slower and slower, and nothing lost."""
    await in_both(faulty, namespace, "web")
    ended = faulty.to_m1.inject(Fault("status", verb="watch", resource="configmaps", code=200, body=b""))
    faulty.to_m1.cut_watches("configmaps")
    await eventually(lambda: _true(ended.hits > 4))
    await asyncio.sleep(2.0)
    assert ended.hits < 9
    await edit(faulty.m1, namespace, "web", "drifted")
    faulty.to_m1.clear()
    await faulty.until_held(faulty.m1, namespace, "web", "b")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>gateway</html>\n", id="html"),
        pytest.param(b'{"type":"MODIFIED","object":{"metadata":{"name":3}}}\n', id="wrong-types"),
        pytest.param(b'{"type":"MODIFIED"}\n', id="no-object"),
        pytest.param(b"\xff\xfe\n", id="no-utf8"),
    ],
)
async def test_unreadable_watch_lists_again(faulty: Faulty, namespace: str, body: bytes) -> None:
    """Beyond the table: a line that is no event. What was in it is unknown, so the controller lists again."""
    await in_both(faulty, namespace, "web")
    lying = faulty.to_m1.inject(Fault("status", verb="watch", resource="configmaps", code=200, body=body, times=2))
    faulty.to_m1.cut_watches("configmaps")
    await edit(faulty.m1, namespace, "web", "drifted")
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    await eventually(lambda: _true(lying.hits == 2))
    assert relists(faulty.to_m1, "configmaps") >= 1
    assert "reconcile failed" not in faulty.controller.log


async def test_list_cut_half_way_changes_nothing(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: the list after a 410 breaks off in the middle. Half a list is no list: nothing is written."""
    await in_both(faulty, namespace, *(f"web-{number}" for number in range(5)))
    cut = faulty.to_m1.inject(Fault("cut", verb="list", resource="configmaps", times=3))
    faulty.to_m1.inject(Fault("expire", verb="watch", resource="configmaps", times=1))
    await eventually(lambda: _true(cut.hits == 3))
    await eventually(lambda: _true(faulty.to_m1.open_watches("configmaps") == 1))
    await unchanged(lambda: _true(passed(faulty.to_m1, namespace=namespace)), during=1.0)
    assert passed(faulty.to_m1, namespace=namespace) == []


async def test_empty_list_from_a_member_loses_nothing(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: a member answers an empty list where there are objects. They are applied again, unchanged."""
    await in_both(faulty, namespace, "web")
    before = await faulty.m1.get(CONFIGMAPS, namespace, "web")
    empty = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
    faulty.to_m1.inject(Fault("status", verb="list", resource="configmaps", code=200, body=empty, times=1))
    lied = faulty.to_m1.inject(Fault("expire", verb="watch", resource="configmaps", times=2))
    await eventually(lambda: _true(lied.hits == 2 and faulty.to_m1.open_watches("configmaps") == 1))
    await eventually(lambda: _true(passed(faulty.to_m1, namespace=namespace)))
    stored = await faulty.until_ready(namespace, "web")
    after = await faulty.m1.get(CONFIGMAPS, namespace, "web")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert passed(faulty.to_m1, namespace=namespace, verb="delete") == []
    assert line(stored, "m1").get("status") is None


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(FEDERATED_NAMESPACES, id="federatednamespaces"),
        pytest.param(FEDERATED_CONFIGMAPS, id="federatedconfigmaps"),
        pytest.param(KUBEFED_CLUSTERS, id="kubefedclusters"),
        pytest.param(TYPE_CONFIGS, id="federatedtypeconfigs"),
    ],
)
@pytest.mark.parametrize("restarted", [False, True], ids=["relist", "start"])
async def test_empty_list_from_the_hub_removes_nothing(
    faulty: Faulty, namespace: str, resource: Resource, restarted: bool
) -> None:
    """Beyond the table: the hub answers 200 and an empty list where there is everything, and watches go on from there.

    What a list leaves out counts as gone when the hub says so for its name. Lost: nothing; no copy is touched, and no
    status (but that a start which has never heard of a cluster says so); what users do goes on, of clusters and types
    that a start has never heard of once a list names them.
    """
    await in_both(faulty, namespace, "web")
    before = [await api.get(CONFIGMAPS, namespace, "web") for api in (faulty.m1, faulty.m2)]
    real = await faulty.host.connection.read(resource.collection())
    empty = {"kind": "List", "apiVersion": "v1", "metadata": real["metadata"], "items": []}
    lie = Fault("status", verb="list", resource=resource.qualified, code=200, body=orjson.dumps(empty), times=1)
    lied = faulty.to_host.inject(lie)
    if restarted:
        await faulty.restart()
    else:
        faulty.to_host.inject(Fault("expire", verb="watch", resource=resource.qualified, times=1))
    await eventually(lambda: _true(lied.hits == 1 and faulty.to_host.open_watches(resource.qualified) == 1))
    await asyncio.sleep(3.0)
    unheard = restarted and resource in {KUBEFED_CLUSTERS, TYPE_CONFIGS}
    written = [passed(proxy, namespace=namespace) for proxy in (faulty.to_m1, faulty.to_m2, faulty.to_host)]
    assert written[:2] == [[], []]
    assert written[2] == [] or unheard
    assert [await api.get(CONFIGMAPS, namespace, "web") for api in (faulty.m1, faulty.m2)] == before
    if unheard:
        faulty.to_host.inject(Fault("expire", verb="watch", resource=resource.qualified, times=1))
    await faulty.settle()
    await faulty.change(namespace, "web", "c")
    await faulty.until_ready(namespace, "web")
    for api in (faulty.m1, faulty.m2):
        await faulty.until_held(api, namespace, "web", "c")


async def test_member_restored_from_a_backup_is_listed_anew(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: m1 counts from an older resourceVersion on. It takes a watch from the future and says nothing.

    Its API server has to be started again for that; then its count is compared with ours. Lost: nothing but the time
    until then.
    """
    await in_both(faulty, namespace, "web")
    answer = await faulty.m1.connection.request(
        "GET", CONFIGMAPS.collection(), params={"labelSelector": MANAGED_LABEL}, accept=METADATA_LIST
    )
    ahead = expect(answer).json()
    ahead["metadata"]["resourceVersion"] = str(int(ahead["metadata"]["resourceVersion"]) + 10**6)
    reported = Fault("status", verb="list", resource="configmaps", code=200, body=orjson.dumps(ahead), times=1)
    listed = faulty.to_m1.inject(reported)
    faulty.to_m1.inject(Fault("expire", verb="watch", resource="configmaps", times=1))
    await eventually(lambda: _true(listed.hits == 1 and faulty.to_m1.open_watches("configmaps") == 1))
    counted = await faulty.count("federation_relists_total", cluster="m1", reason="restored")
    await edit(faulty.m1, namespace, "web", "drifted")
    await unchanged(lambda: faulty.m1.get(CONFIGMAPS, namespace, "web"), during=2.0)
    await faulty.kill("m1")
    await faulty.until_cluster("m1", "False")
    await faulty.revive("m1")
    await faulty.until_held(faulty.m1, namespace, "web", "b", within=60.0)
    assert await faulty.count("federation_relists_total", cluster="m1", reason="restored") == counted + 1
    assert passed(faulty.to_m1, namespace=namespace, verb="delete") == []


async def _zero(count: int) -> bool:
    return count == 0


async def _true(value: object) -> object:
    return value


async def _absent(faulty: Faulty, namespace: str, name: str) -> bool:
    return await faulty.host.get(FEDERATED_CONFIGMAPS, namespace, name) is None
