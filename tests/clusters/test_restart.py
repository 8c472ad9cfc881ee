"""A controller that is killed, stopped and started: nothing is lost, nothing is done twice, and users go first."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from federation.controllers import continuity
from federation.core import sharing, summary
from federation.model.resources import EVENTS
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    FEDERATED_SECRETS,
    Api,
    eventually,
    federated,
    federated_namespace,
    ready,
)
from tests.clusters.steps import Federated, alone, holds, make, names, writes

MANY = 50
FLOOD = 600
LABELS = {
    "controller",
    "result",
    "le",
    "name",
    "host",
    "method",
    "code",
    "verb",
    "cluster",
    "type",
    "reason",
    # prometheus-client's own
    "generation",
    "implementation",
    "major",
    "minor",
    "patchlevel",
    "version",
}


def _recorded(item: dict[str, Any], cluster: str) -> bool:
    """Whether the stored status records what was applied there."""
    lines = sharing.owned(summary.parse(orjson.dumps(item.get("status"))).clusters)
    return any(line.name == cluster and line.fingerprint for line in lines)


@pytest.fixture
async def running(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet; its controller runs again afterwards, whatever the test did to it."""
    yield fleet
    process = fleet.controller.process
    if process is None or process.poll() is not None:
        fleet.controller.start()


async def make_many(host: Api, namespace: str, number: int, clusters: list[str]) -> None:
    """That many federated ConfigMaps, without waiting for anything."""
    gate = asyncio.Semaphore(16)

    async def one(index: int) -> None:
        async with gate:
            body = federated(
                FEDERATED_CONFIGMAPS, namespace, f"n{index}", {"data": {"n": f"{index}"}}, clusters=clusters
            )
            await host.create(FEDERATED_CONFIGMAPS, body, namespace)

    await asyncio.gather(*(one(index) for index in range(number)))


async def all_ready(host: Api, namespace: str, number: int) -> list[dict[str, object]]:
    """Every federated ConfigMap there, once all are Ready."""

    async def reported() -> object:
        items = await host.items(FEDERATED_CONFIGMAPS, namespace)
        return items if len(items) == number and all(ready(item) for item in items) else []

    return list(await eventually(reported, within=60.0, every=0.2, seen=f"{number} objects Ready"))


async def versions(api: Api, namespace: str) -> dict[str, str]:
    """resourceVersion of every ConfigMap of ours there."""
    return {
        item["metadata"]["name"]: item["metadata"]["resourceVersion"]
        for item in await api.items(CONFIGMAPS, namespace)
        if item["metadata"]["name"] != "kube-root-ca.crt"
    }


async def test_killed_in_the_middle_of_fifty_creates(
    running: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """The next start finishes the rest; what was there is not written again, and what was told is not even sent."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).settled()
    await alone(
        host, namespace, FEDERATED_NAMESPACES, FEDERATED_CONFIGMAPS
    )  # the members' counters count for everybody
    creating = asyncio.create_task(make_many(host, namespace, MANY, ["m1", "m2"]))

    async def begun() -> bool:
        return len(await versions(m1, namespace)) >= 5

    await eventually(begun, every=0.01)
    running.controller.kill()
    await creating
    before = {api: await versions(api, namespace) for api in (m1, m2)}
    assert len(before[m1]) < MANY or len(before[m2]) < MANY, "it was killed too late to show anything"
    reported = {
        cluster: sum(_recorded(item, cluster) for item in await host.items(FEDERATED_CONFIGMAPS, namespace))
        for cluster in ("m1", "m2")
    }
    counted = {api: (await writes(api))["APPLY", "configmaps"] for api in (m1, m2)}
    running.controller.start()
    await all_ready(host, namespace, MANY)
    for api, cluster in ((m1, "m1"), (m2, "m2")):
        after = await versions(api, namespace)
        assert len(after) == MANY
        assert {name: after[name] for name in before[api]} == before[api], "what was there was written again"
        sent = (await writes(api))["APPLY", "configmaps"] - counted[api]
        assert sent <= MANY - reported[cluster]


async def test_a_restart_of_a_settled_fleet_writes_nothing(
    running: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Neither hub nor members: no apply, no patch, no event; every resourceVersion is as it was."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    await make_many(host, namespace, 20, ["m1", "m2"])
    await make(host, FEDERATED_SECRETS, namespace, "s", {"stringData": {"k": "v"}}, clusters=["m1"])
    await all_ready(host, namespace, 20)
    await alone(host, namespace, FEDERATED_NAMESPACES, FEDERATED_CONFIGMAPS)
    assert running.controller.stop() == 0

    async def stored() -> list[object]:
        """resourceVersions everywhere, and which events there are."""
        hub = await host.items(FEDERATED_CONFIGMAPS, namespace)
        return [
            *[await versions(api, namespace) for api in (m1, m2)],
            {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in hub},
            names(await host.items(EVENTS, namespace)),
        ]

    async def requests() -> dict[tuple[str, str, str], int]:
        """What the controller might have sent: Kubernetes' own controllers neither apply nor patch here."""
        return {
            (api.connection.name, verb, resource): count
            for api in (host, m1, m2)
            for (verb, resource), count in (await writes(api)).items()
            if verb in {"APPLY", "PATCH"} and not resource.startswith("events")
        }

    stored_before, requests_before = await stored(), await requests()
    running.controller.start()
    probe = await make(host, FEDERATED_CONFIGMAPS, namespace, "probe", {"data": {}}, clusters=[])
    await probe.delete()
    await probe.gone()
    await asyncio.sleep(3.0)  # longer than a status may wait for clusters that keep silent
    assert await stored() == stored_before
    grown = {key: count - requests_before.get(key, 0) for key, count in (await requests()).items()}
    expected = {("host", "PATCH", "federatedconfigmaps/status"): 1}  # of `probe`
    assert {key: count for key, count in grown.items() if count} == expected


async def test_a_users_change_goes_before_a_restarts_flood(running: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """While hundreds of drifted objects are put back after a start, a change made now does not queue behind them.

    All clusters of a playground share one etcd, so resourceVersions order what happened in all of them.
    """
    await federated_namespace(host, namespace, ["m1"])
    await make_many(host, namespace, FLOOD, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await all_ready(host, namespace, FLOOD + 1)
    running.controller.kill()
    gate = asyncio.Semaphore(16)

    async def drift(index: int) -> None:
        async with gate:
            await m1.patch(CONFIGMAPS, namespace, f"n{index}", {"data": {"n": "edited"}})

    await asyncio.gather(*(drift(index) for index in range(FLOOD)))
    edited = await versions(m1, namespace)
    running.controller.start(ready=False)

    async def begun() -> bool:
        now = await versions(m1, namespace)
        return any(now[name] != version for name, version in edited.items())

    await eventually(begun, every=0.01)
    asked = int((await web.patch({"spec": {"template": {"data": {"a": "now"}}}}))["metadata"]["resourceVersion"])
    answered = await holds(m1, CONFIGMAPS, namespace, "web", lambda found: found["data"] == {"a": "now"})
    done = int(answered["metadata"]["resourceVersion"])
    items = await all_ready(host, namespace, FLOOD + 1)
    assert items

    async def put_back() -> bool:
        return all(
            item["data"]["n"] != "edited"
            for item in await m1.items(CONFIGMAPS, namespace)
            if "n" in item.get("data", {})
        )

    await eventually(put_back, within=60.0, every=0.2)
    flood = sorted(int(version) for name, version in (await versions(m1, namespace)).items() if name != "web")
    between = sum(asked < version < done for version in flood)
    after = sum(version > done for version in flood)
    # In one line it would have come last, with none of the flood after it.
    assert after >= FLOOD // 6, f"{between} of the flood went first, {after} after it"


async def test_sigterm_in_the_middle_of_work_ends_well(
    running: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Exit 0 within 10 s, and the next controller finishes what was begun."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    creating = asyncio.create_task(make_many(host, namespace, MANY, ["m1", "m2"]))

    async def begun() -> bool:
        return bool(await versions(m1, namespace))

    await eventually(begun, every=0.01)
    code = await asyncio.to_thread(running.controller.stop, 10.0)
    assert code == 0
    await creating
    running.controller.start()
    await all_ready(host, namespace, MANY)
    for api in (m1, m2):
        assert len(await versions(api, namespace)) == MANY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_before_it_is_ready_ends_it_too(running: Fleet, number: signal.Signals) -> None:
    """Whatever it waits for at its start."""
    running.controller.kill()
    running.controller.start(ready=False)
    process = running.controller.process
    assert process is not None

    async def listens() -> bool:
        return running.controller.health("/livez")[0] != 0

    await eventually(listens, every=0.01)
    process.send_signal(number)
    assert await asyncio.to_thread(process.wait, 10.0) == 0
    running.controller.process = None


async def test_health_endpoints(running: Fleet) -> None:
    """/livez and /readyz say ok, and nothing else is served there."""
    assert running.controller.health("/livez") == (200, "ok\n")
    assert running.controller.health("/readyz") == (200, "ok\n")
    assert running.controller.health("/other")[0] == 404


async def test_metrics_have_controller_runtimes_names_and_no_objects(
    running: Fleet, host: Api, m1: Api, namespace: str
) -> None:
    """Labels by cluster and type; the name of no object, namespace or user is in them."""
    await federated_namespace(host, namespace, ["m1"])
    await make(host, FEDERATED_CONFIGMAPS, namespace, "very-own-name", {"data": {"a": "b"}}, clusters=["m1"])
    text = running.controller.metrics()
    for name in (
        'controller_runtime_reconcile_total{controller="sync",result="success"}',
        "controller_runtime_reconcile_errors_total",
        "controller_runtime_reconcile_time_seconds_bucket",
        'workqueue_depth{name="sync"}',
        'rest_client_requests_total{code="200"',
        'federation_pushes_total{cluster="m1",result="ok"}',
        'federation_type_pushes_total{result="ok",type="configmaps"}',
        'federation_cluster_ready{cluster="m1"} 1.0',
        'federation_placements{cluster="m1"}',
        'federation_type_placements{type="configmaps"}',
        "process_cpu_seconds_total",
    ):
        assert name in text, name
    labels = set(re.findall(r"[{,](\w+)=\"", text))
    assert labels <= LABELS, labels - LABELS
    assert namespace not in text
    assert "very-own-name" not in text
    adds = re.search(r'^workqueue_adds_total\{name="sync"\} (\S+)', text, re.MULTILINE)
    assert adds is not None
    assert float(adds[1]) > 0


async def test_an_idle_fleet_costs_watches_and_probes_only(running: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """Nothing but GET is sent to anybody, the leader's Lease aside, and no key is worked on."""
    await federated_namespace(host, namespace, ["m1"])
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await alone(host, namespace, FEDERATED_NAMESPACES, FEDERATED_CONFIGMAPS)
    running.controller.kill()  # with the timers of what tests before deleted
    running.controller.start()
    # Longer than a status may wait, and than until our Lease notes, once, what was listed at the start.
    await asyncio.sleep(continuity.SHORTEST + 2.5)

    def spent() -> tuple[dict[str, float], float]:
        text = running.controller.metrics()
        asked = {
            found["labels"]: float(found["count"])
            for found in re.finditer(
                r"^rest_client_requests_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", text, re.MULTILINE
            )
            if 'method="GET"' not in found["labels"]
        }
        turns = re.search(
            r'^controller_runtime_reconcile_total\{controller="sync",result="success"\} (\S+)', text, re.MULTILINE
        )
        assert turns is not None
        return asked, float(turns[1])

    renewal = next(labels for labels in spent()[0] if 'host="hub"' in labels and 'method="PATCH"' in labels)
    before, turns = spent()
    await asyncio.sleep(3.0)
    after = spent()
    assert after[0].pop(renewal) - before.pop(renewal) <= 1
    assert after == (before, turns)


async def test_logs_are_json_and_tell_what_was_done(running: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """Every line is an object with level, time and a constant event; drift that was put back is one of them."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    await m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "edited"}})
    await holds(m1, CONFIGMAPS, namespace, "web", lambda found: found["data"] == {"a": "b"})
    await web.settled()

    async def reported() -> object:
        lines = [json.loads(each) for each in running.controller.log.splitlines()]
        return [each for each in lines if each.get("key") == f"configmaps {namespace}/web"]

    (drift,) = [each for each in await eventually(reported) if each["event"] == "drift put back"]
    assert drift["cluster"] == "m1"
    assert drift["fields"] == [".data.a"]
    assert drift["manager"]
    for each in running.controller.log.splitlines():
        parsed = orjson.loads(each)
        assert {"event", "level", "timestamp"} <= set(parsed)
        # uvloop calls a TLS connection that is dropped with something to send, at a stop, a fatal error.
        assert parsed["level"] != "error" or parsed.get("logger") == "asyncio", parsed


async def test_no_token_is_ever_logged(running: Fleet) -> None:
    """At level debug, over all starts: no JSON web token, no bearer, no key."""
    log = running.controller.log
    assert "eyJ" not in log
    assert "Bearer " not in log
    assert "PRIVATE KEY" not in log
