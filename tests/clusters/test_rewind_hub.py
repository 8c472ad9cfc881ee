"""A hub whose etcd was put back to a snapshot: it is recognised, and what it does not know stays in the members."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from federation.controllers.continuity import NAME
from federation.core.restoration import APPROVED_ANNOTATION
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CONFIGS, LEASES, NAMESPACES
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    Api,
    condition,
    eventually,
    never,
)
from tests.clusters.rewinds import Restorable, restorable
from tests.clusters.steps import Federated

__all__ = ["restorable"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(280)]

NOTED = 7.0
"""Seconds after which our Lease has noted what users did: continuity.SHORTEST and restoration.SLACK, and some."""


class Story(NamedTuple):
    """A hub's snapshot, and two namespaces: of one the snapshot has an older state, of the other nothing."""

    snapshot: Path
    namespace: str
    younger: str


async def history(fleet: Restorable) -> Story:
    """Objects before a snapshot, and what users did after it: changed, moved, deleted and made anew, and new ones."""
    namespace, younger = (f"test-{uuid.uuid4().hex[:8]}" for _ in range(2))
    await fleet.start()
    if condition(await config(fleet), "HubRestored").get("status") == "True":
        await approve(fleet, await until_recognised(fleet))  # of a test that failed
    await fleet.federate(namespace)
    for name in ("changed", "replaced", "steady"):
        await fleet.make(namespace, name, "old")
    await fleet.make(namespace, "moved", "old", "m1")
    await fleet.until_ready(namespace, "changed", "replaced", "moved", "steady")
    snapshot = await fleet.snapshot(fleet.hub)
    await asyncio.sleep(NOTED)
    await fleet.federate(younger)
    await fleet.make(younger, "young", "new")
    await fleet.make(namespace, "young", "new")
    await fleet.make(namespace, "changed", "new")
    await fleet.make(namespace, "moved", "new", "m2")
    await fleet.host.delete(FEDERATED_CONFIGMAPS, namespace, "replaced")

    async def gone() -> bool:
        return await fleet.host.get(FEDERATED_CONFIGMAPS, namespace, "replaced") is None

    await eventually(gone, within=40.0)
    await fleet.make(namespace, "replaced", "new")
    await fleet.until_ready(namespace, "changed", "replaced", "moved", "young")
    await fleet.until_ready(younger, "young")
    own = {"metadata": {"name": "own", "namespace": younger}, "data": {"a": "users"}}
    for api in (fleet.m1, fleet.m2):
        await api.create(CONFIGMAPS, own, younger)
    await asyncio.sleep(NOTED)
    return Story(snapshot, namespace, younger)


async def config(fleet: Restorable) -> dict[str, Any]:
    found = await fleet.host.get(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed")
    assert found is not None
    return found


async def until_recognised(fleet: Restorable, within: float = 30.0) -> str:
    """The id of the hold, once the KubeFedConfig has the condition."""

    async def reached() -> object:
        stored = await config(fleet)
        held = condition(stored, "HubRestored").get("status") == "True"
        return stored["status"]["recovery"]["id"] if held else None

    return str(await eventually(reached, within=within, seen="HubRestored"))


async def approve(fleet: Restorable, hold: str) -> None:
    """As `fedctl recovery approve` does; what is left of it for the next test is mended, too."""
    body = {"metadata": {"annotations": {APPROVED_ANNOTATION: hold}}}
    await fleet.host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, "kubefed", body)

    async def ended() -> object:
        found = condition(await config(fleet), "HubRestored")
        return (found.get("status"), found.get("reason")) == ("False", "Approved")

    await eventually(ended, within=30.0, seen="HubRestored False")


async def held_by(api: Api, namespace: str) -> dict[str, str]:
    """What a member holds: {name: value}."""
    items = await api.items(CONFIGMAPS, namespace)
    return {each["metadata"]["name"]: each["data"]["a"] for each in items if "a" in (each.get("data") or {})}


ROADS = [
    pytest.param({}, False, id="behind"),
    pytest.param({"overtake": True}, False, id="overtaken"),
    pytest.param({"restart": False}, False, id="apiserver-runs"),
    pytest.param({"restart": False, "overtake": True}, False, id="apiserver-runs-overtaken"),
    pytest.param({}, True, id="controller-restarted"),
]


@pytest.mark.parametrize(("how", "restarted"), ROADS)
async def test_a_restored_hub_deletes_nothing(
    restorable: Restorable,
    how: dict[str, bool],
    restarted: bool,
) -> None:
    """Whatever the revisions: nothing leaves a member, what the hub says is applied, and after approval the rest."""
    fleet = restorable
    story = await history(fleet)
    if restarted:
        await fleet.stop()
    await fleet.rewind(fleet.hub, story.snapshot, **how)
    if restarted:
        await fleet.start()
    hold = await until_recognised(fleet)

    async def all_there() -> object:
        here = {"changed", "replaced", "steady", "young"}
        held = [set(await held_by(api, story.namespace)) for api in (fleet.m1, fleet.m2)]
        beside = [await held_by(api, story.younger) for api in (fleet.m1, fleet.m2)]
        # Between the two, m1 gets back what was moved away from it.
        there = held[0] - {"moved"} == here and held[1] == {*here, "moved"}
        return there and beside == 2 * [{"young": "new", "own": "users"}]

    if not how.get("restart", True):
        # Its lists are still of the store before; as Kubernetes asks for, somebody restarts it at last.
        async with asyncio.timeout(60):
            for _ in range(20):
                assert await all_there()
                await asyncio.sleep(0.5)
        await asyncio.to_thread(fleet.hub.restart)

    async def applied() -> object:
        one, two = [await held_by(api, story.namespace) for api in (fleet.m1, fleet.m2)]
        here = {"changed": "old", "replaced": "old", "steady": "old", "young": "new"}
        # The restored hub places it in m1 alone; the copy in m2 stays as it was.
        return one == {**here, "moved": "old"} and two == {**here, "moved": "new"}

    await eventually(applied, within=40.0, seen="the hub's content in the members, and all that it does not know")
    await asyncio.sleep(12.0)
    assert await applied()
    for api in (fleet.m1, fleet.m2):
        assert await held_by(api, story.younger) == {"young": "new", "own": "users"}
        namespace = await api.get(NAMESPACES, "", story.younger)
        assert namespace is not None
        assert "deletionTimestamp" not in namespace["metadata"]
    moved = Federated(fleet.host, FEDERATED_CONFIGMAPS, story.namespace, "moved")
    assert "fedctl recovery" in (await moved.reports("m2", "WaitingForRemoval"))["message"]
    assert "federation_hub_restored 1.0" in await asyncio.to_thread(fleet.controller.metrics)
    assert "hub restored: removals are held" in fleet.controller.log
    # Of an API server that was restarted late, what it shows then is another state once more.
    await approve(fleet, await until_recognised(fleet) if how.get("restart") is False else hold)

    async def removed() -> object:
        return "moved" not in await held_by(fleet.m2, story.namespace)

    await eventually(removed, within=40.0, seen="the approved removal")
    for api in (fleet.m1, fleet.m2):
        # What the hub has lost is nobody's now: it stays, and so does what users have beside it.
        assert await held_by(api, story.younger) == {"young": "new", "own": "users"}


async def test_a_deletion_by_name_is_done_meanwhile_and_a_restart_keeps_the_hold(restorable: Restorable) -> None:
    """A user who sees the restored hub and deletes an object there is obeyed; nothing else goes, restart or not."""
    fleet = restorable
    story = await history(fleet)
    await fleet.rewind(fleet.hub, story.snapshot)
    hold = await until_recognised(fleet)
    await asyncio.sleep(1.5)  # a deletionTimestamp has whole seconds
    await fleet.host.delete(FEDERATED_CONFIGMAPS, story.namespace, "steady")

    async def gone() -> object:
        held = [await held_by(api, story.namespace) for api in (fleet.m1, fleet.m2)]
        return not any("steady" in each for each in held)

    await eventually(gone, within=40.0, seen="deleted by name")
    await fleet.stop()
    await fleet.start()

    async def lost() -> object:
        return "moved" not in await held_by(fleet.m2, story.namespace)

    await never(lost, during=15.0, every=0.5)
    assert await until_recognised(fleet) == hold
    await approve(fleet, hold)
    await eventually(lost, within=40.0)


async def test_what_is_no_restore_raises_no_alarm(restorable: Restorable) -> None:
    """An API server is restarted, its etcd killed and compacted. At rest nothing is written."""
    fleet = restorable
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    await fleet.start()
    await fleet.federate(namespace)
    await fleet.make(namespace, "web", "a")
    await fleet.until_ready(namespace, "web")
    await asyncio.to_thread(fleet.hub.restart)
    await fleet.make(namespace, "web", "b")
    await fleet.until_ready(namespace, "web")
    await asyncio.to_thread(fleet.hub.restart_etcd)
    await fleet.make(namespace, "web", "c")
    await fleet.until_ready(namespace, "web")
    await asyncio.to_thread(fleet.hub.compact)
    await fleet.make(namespace, "web", "d", "m1")
    await fleet.until_ready(namespace, "web")

    async def gone() -> object:
        return await fleet.m2.get(CONFIGMAPS, namespace, "web") is None

    await eventually(gone, within=30.0, seen="an ordinary removal")
    await asyncio.sleep(NOTED)
    before = await fleet.host.get(LEASES, SYSTEM_NAMESPACE, NAME)
    await asyncio.sleep(15.0)
    assert await fleet.host.get(LEASES, SYSTEM_NAMESPACE, NAME) == before
    assert condition(await config(fleet), "HubRestored").get("status") != "True"
    assert "hub restored" not in fleet.controller.log.rpartition("controller started")[2]


async def fedctl_recovery(fleet: Restorable, *arguments: str, code: int = 0) -> Ran:
    """`fedctl recovery ...` as the admin of all clusters."""
    more = ("--kubeconfig", str(fleet.kubeconfig), "--host-cluster-context", "hub")
    ran = await asyncio.to_thread(fedctl, "recovery", *arguments, *more)
    assert ran.code == code, f"exit code {ran.code}:\n{ran.err}{ran.out}"
    return ran


async def test_fedctl_shows_what_is_lost_and_takes_it_back(restorable: Restorable) -> None:
    """status lists what is held, overwritten and lost; adopt makes what is lost anew; approve ends the hold."""
    fleet = restorable
    story = await history(fleet)

    async def found() -> dict[str, Any]:
        return dict(json.loads((await fedctl_recovery(fleet, "status", "-o", "json")).out))

    def named(several: list[dict[str, Any]]) -> set[tuple[str, str, tuple[str, ...]]]:
        here = {story.namespace: "older", story.younger: "younger"}
        return {
            (here[each["namespace"]], each["name"] if each["type"] == "configmaps" else "", tuple(each["clusters"]))
            for each in several
            if each["namespace"] in here
        }

    older = {("older", name, ("m1", "m2")) for name in ("changed", "replaced")}
    assert named((await found())["newer"]) == set()
    await fleet.stop()
    await fleet.rewind(fleet.hub, story.snapshot)
    # Nobody has acted on the restored hub yet: this is what would be overwritten.
    threatened = (await found())["newer"]
    assert named(threatened) == older
    assert all(each["applied"] > each["written"] for each in threatened)
    await fleet.start()
    hold = await until_recognised(fleet)

    async def complete() -> object:
        shown = await found()
        return (
            named(shown["removals"]) == {("older", "moved", ("m2",))}
            and named(shown["overwritten"]) == older
            and named(shown["newer"]) == set()
            and shown
        )

    shown = await eventually(complete, within=60.0, every=1.0, seen="what is held and overwritten")
    assert (shown["held"], shown["id"]) == (True, hold)
    told = {(each["name"], each["applied"]) for each in shown["overwritten"] if each["namespace"] == story.namespace}
    assert told == {(each["name"], each["applied"]) for each in threatened}
    both = ("m1", "m2")
    assert named(shown["lost"]) == {("older", "young", both), ("younger", "young", both), ("younger", "", both)}
    table = (await fedctl_recovery(fleet, "status")).out
    assert "lost" in table
    assert "moved" in table
    refused = await fedctl_recovery(fleet, "adopt", "configmap", "none", "-n", story.younger, code=1)
    assert "is not lost" in refused.err
    rehearsed = await fedctl_recovery(fleet, "adopt", "--all", "--dry-run=server")
    assert rehearsed.err.count("(dry run)") >= 3
    assert await fleet.host.get(FEDERATED_CONFIGMAPS, story.namespace, "young") is None
    await fedctl_recovery(fleet, "adopt", "--all")
    await fleet.until_ready(story.younger, "young")
    await fleet.until_ready(story.namespace, "young")
    taken_back = await fleet.host.get(FEDERATED_CONFIGMAPS, story.namespace, "young")
    assert taken_back is not None
    assert taken_back["spec"]["template"] == {"data": {"a": "new"}}
    assert taken_back["spec"]["placement"]["clusters"] == [{"name": "m1"}, {"name": "m2"}]
    assert named((await found())["lost"]) == set()
    await fedctl_recovery(fleet, "approve", "configmap", "moved", "-n", story.namespace)

    async def removed() -> object:
        return "moved" not in await held_by(fleet.m2, story.namespace)

    await eventually(removed, within=30.0)
    await fedctl_recovery(fleet, "approve", "--all")

    async def ended() -> object:
        return condition(await config(fleet), "HubRestored").get("status") == "False"

    await eventually(ended, within=30.0)
    assert (await fedctl_recovery(fleet, "approve", "--all", code=1)).err
    for api in (fleet.m1, fleet.m2):
        assert await held_by(api, story.younger) == {"young": "new", "own": "users"}
