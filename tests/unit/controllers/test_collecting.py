"""Members' statuses in those of federated objects: what is written, how often, and what an outage or a restart does."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from federation.controllers.copies import Copies
from federation.controllers.statuses import Statuses
from federation.controllers.world import TypeState
from federation.core import cadence
from federation.model.failures import Cause, Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import ObjectName, Resource
from federation.model.statusrules import StatusCollection
from tests.unit.controllers.rig import CONFIGMAPS, GROUP, WEB, Rig
from tests.unit.virtualtime import settle, virtual

RAW = StatusCollection(raw=True)
DEPLOYMENTS = FederatedType(
    "deployments.apps",
    Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True),
    collection=RAW,
)
WRITE = "status ns/web"
SETTLED = cadence.QUIET + 1.0


def status(ready: int, of: int = 3, **more: Any) -> dict[str, Any]:
    counts = {"observedGeneration": 0, "replicas": of, "updatedReplicas": of, "readyReplicas": ready}
    return {**counts, "availableReplicas": ready, **more}


def report(rig: Rig, cluster: str, found: Mapping[str, Any], name: ObjectName = WEB) -> None:
    rig.members[cluster].set_status(DEPLOYMENTS.target, name, found)


def put(rig: Rig, replicas: int = 3, **changes: Any) -> None:
    rig.put(enabled=DEPLOYMENTS, template={"spec": {"replicas": replicas}}, **changes)


def written(rig: Rig) -> dict[str, Any]:
    return dict((rig.stored(enabled=DEPLOYMENTS) or {}).get("status", {}))


def line(rig: Rig, cluster: str) -> dict[str, Any]:
    return next(dict(each) for each in written(rig)["clusters"] if each["name"] == cluster)


def healthy(rig: Rig) -> tuple[str, str]:
    found = rig.condition("Healthy", enabled=DEPLOYMENTS)
    return found.get("status", ""), found.get("message", "")


def rig_of(*members: str, enabled: FederatedType = DEPLOYMENTS, **more: Any) -> Rig:
    return Rig(*members, types=(enabled,), **more)


class Unlisted(Rig):
    """The first list of m2 does not end."""

    def follow(self, name: str, state: TypeState) -> None:
        if name != "m2":
            super().follow(name, state)
            return
        state.copies[name] = Copies()
        state.copies[name].statuses = Statuses()


async def collect(rig: Rig, collection: StatusCollection | None) -> None:
    """What Types and Following do when a FederatedTypeConfig asks for other statuses."""
    state = rig.world.types[DEPLOYMENTS.name]
    state.type = replace(state.type, collection=collection)
    for name in rig.world.members:
        rig.follow(name, state)
    rig.fanout.whole_type(DEPLOYMENTS.name)
    await asyncio.sleep(SETTLED)


@virtual
async def test_a_settled_change_is_one_write_more() -> None:
    async with rig_of("m1", "m2") as rig:
        put(rig)
        await settle()
        assert rig.hub.writes.count(WRITE) == 1
        for step in range(4):
            for cluster in ("m1", "m2"):
                report(rig, cluster, status(step))
            await asyncio.sleep(0.3)
        await asyncio.sleep(SETTLED)
        assert rig.hub.writes.count(WRITE) == 2
        assert line(rig, "m1")["remoteStatus"] == status(3)
        assert line(rig, "m1")["ready"] == "3/3"
        assert "unhealthy" not in line(rig, "m1")
        assert written(rig)["summary"] == {
            "desired": 6, "ready": 6, "updated": 6, "unhealthyClusters": 0, "unknownClusters": 0,
        }  # fmt: skip
        assert healthy(rig) == ("True", "2 clusters are healthy")
        rig.quiet()
        await asyncio.sleep(120)
        assert not rig.hub.writes


@virtual
async def test_a_rolling_update_of_a_hundred_members_is_at_most_a_write_a_second() -> None:
    names = [f"m{number:03d}" for number in range(100)]
    async with rig_of(*names) as rig:
        put(rig)
        await settle()
        for name in names:
            report(rig, name, status(3))
        await asyncio.sleep(10)
        rig.quiet()
        for step in range(300):  # 30 s in which some member reports something all the time
            report(rig, names[step % 100], status(step % 3, updatedReplicas=step % 4))
            await asyncio.sleep(0.1)
        during = rig.hub.writes.count(WRITE)
        assert 30 / cadence.LONGEST_NEWS - 2 <= during <= 30
        for name in names:
            report(rig, name, status(3))
        await asyncio.sleep(10)
        assert healthy(rig) == ("True", "100 clusters are healthy")
        assert written(rig)["summary"]["ready"] == 300


@virtual
async def test_no_two_writes_of_one_second_while_pushes_and_statuses_mix() -> None:
    """Of a hundred clusters, each new spec is applied and reported while statuses go on changing."""
    names = [f"m{number:03d}" for number in range(100)]
    async with rig_of(*names) as rig:
        put(rig)
        await asyncio.sleep(5)
        times: list[float] = []
        send = rig.hub.set_status

        async def noted(*arguments: Any) -> Any:
            times.append(asyncio.get_running_loop().time())
            return await send(*arguments)

        rig.hub.set_status = noted  # type: ignore[assignment, method-assign]
        for step in range(200):
            report(rig, names[step % 100], status(step % 3))
            if step % 40 == 0:
                put(rig, replicas=3 + step // 40)
            await asyncio.sleep(0.1)
        assert len(times) > 3
        assert min(later - before for before, later in itertools.pairwise(times)) >= 1.0


@virtual
async def test_what_says_nothing_new_writes_nothing() -> None:
    async with rig_of("m1") as rig:
        put(rig)
        await settle()
        report(rig, "m1", status(3))
        await asyncio.sleep(SETTLED)
        rig.quiet()
        for _ in range(5):
            rig.members["m1"].touch(DEPLOYMENTS.target, WEB)  # another version, the same status
            await asyncio.sleep(2)
        report(rig, "m1", dict(reversed(status(3).items())))
        await asyncio.sleep(SETTLED)
        assert not rig.hub.writes


@virtual
async def test_heartbeats_are_no_news() -> None:
    """They are reported with the next news, and no restart writes them."""

    def beat(second: int, ready: int = 3) -> dict[str, Any]:
        times = {"lastHeartbeatTime": f"2026-01-01T00:00:{second:02}Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        return status(ready, conditions=[{"type": "Available", "status": "True", **times}])

    async with rig_of("m1") as rig:
        put(rig)
        await settle()
        report(rig, "m1", beat(0))
        await asyncio.sleep(SETTLED)
        rig.quiet()
        for second in range(1, 20):
            report(rig, "m1", beat(second))
            await asyncio.sleep(1)
        assert not rig.hub.writes
    async with rig_of("m1", after=rig) as again:
        await asyncio.sleep(10)
        assert not again.hub.writes
        report(again, "m1", beat(30, ready=2))
        await asyncio.sleep(SETTLED)
        assert line(again, "m1")["remoteStatus"] == beat(30, ready=2)
        again.quiet()
        await asyncio.sleep(SETTLED)
        assert not rig.hub.writes


@virtual
async def test_a_restart_writes_nothing() -> None:
    async with rig_of("m1", "m2") as before:
        put(before)
        await settle()
        for name in ("m1", "m2"):
            report(before, name, status(3, conditions=[{"type": "Available", "status": "True", "x": None}], rate=1.0))
        await asyncio.sleep(SETTLED)
        assert "x" not in line(before, "m1")["remoteStatus"]["conditions"][0]
    before.quiet()
    async with rig_of("m1", "m2", after=before) as rig:
        await asyncio.sleep(60)
        assert not rig.hub.writes
        report(rig, "m2", status(1))
        await asyncio.sleep(SETTLED)
        assert healthy(rig) == ("False", "1 of 2 clusters are not healthy; m2: 1 of 3 replicas are available")


@virtual
async def test_after_a_restart_a_member_that_is_not_listed_yet_keeps_its_line() -> None:
    async with rig_of("m1", "m2") as before:
        put(before)
        await settle()
        for name in ("m1", "m2"):
            report(before, name, status(3))
        await asyncio.sleep(SETTLED)
    before.quiet()
    kept = line(before, "m2")
    async with Unlisted("m1", "m2", types=(DEPLOYMENTS,), after=before) as rig:
        await asyncio.sleep(20)
        report(rig, "m1", status(3, observedGeneration=1))
        await asyncio.sleep(5)
        assert not rig.hub.writes, "the others are waited for"
        assert line(rig, "m2") == kept
        await asyncio.sleep(30)
        assert written(rig)["summary"]["unknownClusters"] == 1
        assert line(rig, "m1")["remoteStatus"]["observedGeneration"] == 1
        assert line(rig, "m2") == kept
        report(rig, "m1", status(2))
        await asyncio.sleep(SETTLED)
        assert line(rig, "m1")["ready"] == "2/3", "that one is not waited for again"


@virtual
async def test_an_outage_leaves_what_was_known_and_says_that_it_is_not_known_now() -> None:
    async with rig_of("m1", "m2") as rig:
        put(rig)
        await settle()
        for name in ("m1", "m2"):
            report(rig, name, status(3))
        await asyncio.sleep(SETTLED)
        rig.see("m2", ready=False, message="no answer")
        await asyncio.sleep(5)
        report(rig, "m1", status(2))
        await asyncio.sleep(SETTLED)
        assert line(rig, "m2")["status"] == "ClusterNotReady"
        assert line(rig, "m2")["remoteStatus"] == status(3)
        assert written(rig)["summary"]["unknownClusters"] == 1
        assert written(rig)["summary"]["desired"] == 3
        assert healthy(rig)[0] == "False"
        report(rig, "m1", status(3))
        await asyncio.sleep(SETTLED)
        assert healthy(rig) == ("Unknown", "the status is not known of m2")
        rig.see("m2", ready=True)
        await asyncio.sleep(SETTLED + 5)
        assert healthy(rig) == ("True", "2 clusters are healthy")


@virtual
async def test_healthy_is_of_the_generation_that_was_applied() -> None:
    """Right after a push the members still report what was before: that is no answer for the new generation."""
    async with rig_of("m1") as rig:
        put(rig)
        await settle()
        report(rig, "m1", status(3))
        await asyncio.sleep(SETTLED)
        before = rig.condition("Healthy", enabled=DEPLOYMENTS)["observedGeneration"]
        rig.members["m1"].delay_events = True
        put(rig, replicas=5)
        await settle()
        assert written(rig)["observedGeneration"] == before + 1
        assert rig.condition("Healthy", enabled=DEPLOYMENTS)["observedGeneration"] == before
        rig.members["m1"].delay_events = False
        rig.members["m1"].deliver()
        await asyncio.sleep(SETTLED)
        assert rig.condition("Healthy", enabled=DEPLOYMENTS)["observedGeneration"] == before + 1
        assert healthy(rig) == ("False", "1 of 1 clusters are not healthy; m1: 3 of 5 replicas are updated")


@virtual
async def test_a_cluster_without_a_copy_is_not_healthy() -> None:
    async with rig_of("m1", "m2") as rig:
        rig.members["m2"].fails = lambda verb, _: (
            Failure(FailureKind.DENIED, "no", 403) if verb.startswith("apply") else None
        )
        put(rig)
        await settle()
        report(rig, "m1", status(3))
        await asyncio.sleep(SETTLED + 3)
        assert healthy(rig) == ("False", "1 of 2 clusters are not healthy; m2: it has no copy")


@virtual
async def test_it_is_switched_on_and_off_live() -> None:
    async with rig_of("m1", "m2", enabled=replace(DEPLOYMENTS, collection=None)) as rig:
        put(rig)
        await settle()
        report(rig, "m1", status(3))
        await asyncio.sleep(SETTLED)
        assert rig.hub.writes.count(WRITE) == 1
        assert "summary" not in written(rig)
        assert not healthy(rig)[0]
        await collect(rig, StatusCollection())
        assert healthy(rig)[0] == "False"
        assert line(rig, "m1")["ready"] == "3/3"
        assert "remoteStatus" not in line(rig, "m1")
        await collect(rig, RAW)
        assert line(rig, "m1")["remoteStatus"] == status(3)
        await collect(rig, StatusCollection())
        assert "remoteStatus" not in line(rig, "m1")
        assert line(rig, "m1")["ready"] == "3/3"
        rig.quiet()
        await collect(rig, None)
        assert rig.hub.writes.count(WRITE) == 1
        assert set(written(rig)) == {"observedGeneration", "conditions", "clusters"}
        assert set(line(rig, "m1")) <= {"name", "fingerprint"}
        assert rig.track(enabled=DEPLOYMENTS).statuses is None
        assert not rig.asked, "nothing was written to members"


@virtual
async def test_what_the_hub_refuses_is_not_sent_again_until_it_is_another() -> None:
    async with rig_of("m1", "m2") as rig:
        put(rig)
        await settle()
        attempts = 0
        send = rig.hub.set_status

        async def strict(resource: Resource, name: ObjectName, body: bytes) -> Any:
            nonlocal attempts
            attempts += 1
            if b'"odd"' in body:
                cause = Cause("status.clusters[1].remoteStatus.readyReplicas")
                return Failure(FailureKind.INVALID, "refused", 422, causes=(cause,))
            return await send(resource, name, body)

        rig.hub.set_status = strict  # type: ignore[method-assign]
        report(rig, "m1", status(3))
        report(rig, "m2", {"readyReplicas": "odd"})
        await asyncio.sleep(SETTLED)
        assert attempts == 2
        assert "remoteStatus" not in line(rig, "m2")
        assert line(rig, "m2")["message"] == "its remoteStatus is left out: the hub refuses it at readyReplicas"
        assert line(rig, "m1")["remoteStatus"] == status(3)
        report(rig, "m1", status(2))
        await asyncio.sleep(SETTLED)
        assert attempts == 3
        report(rig, "m2", status(3))
        await asyncio.sleep(SETTLED)
        assert attempts == 4
        assert line(rig, "m2")["remoteStatus"] == status(3)
        assert "message" not in line(rig, "m2")


@virtual
async def test_too_large_a_status_is_left_out_and_says_so() -> None:
    async with rig_of("m1") as rig:
        put(rig)
        await settle()
        report(rig, "m1", status(3, conditions=[{"message": "x" * 40_000}]))
        await asyncio.sleep(SETTLED)
        assert "remoteStatus" not in line(rig, "m1")
        assert line(rig, "m1")["ready"] == "3/3"
        assert "39 KiB are more than the 32" in line(rig, "m1")["message"]
        assert rig.condition("Ready", enabled=DEPLOYMENTS)["status"] == "True"


@virtual
async def test_a_copy_that_goes_takes_its_status_along() -> None:
    async with rig_of("m1", "m2") as rig:
        put(rig)
        await settle()
        for name in ("m1", "m2"):
            report(rig, name, status(3))
        await asyncio.sleep(SETTLED)
        put(rig, clusters=("m1",))
        await asyncio.sleep(SETTLED)
        assert [each["name"] for each in written(rig)["clusters"]] == ["m1"]
        assert written(rig)["summary"]["desired"] == 3
        copies = rig.world.types[DEPLOYMENTS.name].copies["m2"]
        assert copies.statuses is not None
        assert not copies.statuses.items
        assert copies.statuses.size == 0


@pytest.mark.parametrize("collection", [None, RAW])
@virtual
async def test_a_type_without_statuses_costs_no_write(collection: StatusCollection | None) -> None:
    async with rig_of("m1", enabled=replace(CONFIGMAPS, collection=collection)) as rig:
        rig.put()
        await asyncio.sleep(10)
        assert rig.hub.writes.count(WRITE) == 1
        status = (rig.stored() or {})["status"]
        assert set(status) == {"observedGeneration", "conditions", "clusters"}
        assert {each["type"] for each in status["conditions"]} == {"Propagation", "Ready"}
        assert not rig.world.status_news
