"""Whether a cluster is there, by a source that is no probe: a Lease that somebody in the cluster renews.

Nothing of this needs access to the cluster: no credentials, no watch of it, no request to it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from federation.controllers.presence import Presence
from federation.core import health
from federation.model.conditions import ClusterConditionType, ClusterReason, HostRefusesReason, PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime.tasks import Tasks
from tests.unit.controllers.rig import Rig
from tests.unit.virtualtime import virtual

LASTS = 30.0
"""Seconds for which a renewal counts."""
AWAY = health.Probe(ClusterReason.NOT_REACHABLE, "its Lease was not renewed for long")


class Lease:
    """A presence.Source."""

    def __init__(self) -> None:
        self.renewed = asyncio.get_running_loop().time()
        self.unheard = False
        self.looks = 0
        self.backs: list[bool] = []
        self.region = "here"

    def renew(self) -> None:
        self.renewed = asyncio.get_running_loop().time()

    async def look(self) -> health.Probe | None:
        if self.unheard:
            return None
        return health.READY if asyncio.get_running_loop().time() - self.renewed < LASTS else AWAY

    async def looked(self) -> None:
        self.looks += 1

    def back(self, *, away: bool) -> None:
        self.backs.append(away)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"region": self.region}

    @property
    def news(self) -> object:
        return self.region

    def with_conditions(self, conditions: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        return health.with_condition(conditions, ClusterConditionType.SYNCED, ("True", "Heard", ""), now)


@asynccontextmanager
async def present(rig: Rig) -> AsyncIterator[tuple[Presence, Lease]]:
    """m1 of the rig, as a Lease says it is."""
    presence = Presence("m1", rig.world, rig.hub, fanout=rig.fanout, retry=rig.sync.retries.cluster, events=rig.events)
    where = ObjectName(rig.world.namespace, "m1")
    presence.observe(StoredObject(Metadata(where.name, where.namespace, uid="c1", resource_version="1")))
    presence.begin(again=False)
    source, tasks = Lease(), Tasks()
    tasks.keep(lambda: presence.run(source), "presence")
    try:
        yield presence, source
    finally:
        await tasks.cancel()


def stored(rig: Rig) -> dict[str, Any]:
    found: dict[str, Any] = (rig.hub.get(KUBEFED_CLUSTERS, ObjectName(rig.world.namespace, "m1")) or {})["status"]
    return found


def ready(rig: Rig) -> bool | None:
    return rig.world.members["m1"].cluster.ready


@virtual
async def test_a_cluster_is_there_while_its_source_says_so() -> None:
    async with Rig("m1") as rig, present(rig) as (_, lease):
        assert ready(rig) is None
        rig.put()
        await asyncio.sleep(5)
        assert ready(rig) is True
        assert rig.lines() == {"m1": ""}
        await asyncio.sleep(300)
        assert ready(rig) is False
        assert rig.lines() == {"m1": PropagationStatus.CLUSTER_NOT_READY}
        conditions = {each["type"]: each["status"] for each in stored(rig)["conditions"]}
        assert conditions == {"Ready": "False", "Offline": "True", "Synced": "True"}
        assert (stored(rig)["region"], lease.backs) == ("here", [])
        lease.renew()
        await asyncio.sleep(15)
        assert ready(rig) is True
        assert lease.backs == [True]
        await asyncio.sleep(5)
        assert rig.lines() == {"m1": ""}


@virtual
async def test_a_source_that_shows_nothing_changes_nothing() -> None:
    """The hub could not be asked for the Lease: that is no evidence of the cluster."""
    async with Rig("m1") as rig, present(rig) as (_, lease):
        await asyncio.sleep(5)
        lease.unheard = True
        looks = lease.looks
        await asyncio.sleep(600)
        assert lease.looks > looks
        assert ready(rig) is True


@virtual
async def test_a_report_is_made_again_when_the_source_has_news() -> None:
    async with Rig("m1") as rig, present(rig) as (presence, lease):
        await asyncio.sleep(5)
        lease.region = "there"
        presence.request_look()
        await asyncio.sleep(1)
        assert stored(rig)["region"] == "there"


@virtual
async def test_what_the_host_refuses_is_reported_by_any_source() -> None:
    async with Rig("m1") as rig, present(rig) as (presence, lease):
        await asyncio.sleep(5)
        presence.host_refuses(HostRefusesReason.IDENTITY, Failure(FailureKind.DENIED, "a policy says no"))
        presence.request_look()
        await asyncio.sleep(1)
        refused = [each for each in stored(rig)["conditions"] if each["type"] == ClusterConditionType.HOST_REFUSES]
        assert [each["status"] for each in refused] == ["True"]
        presence.host_refuses(HostRefusesReason.IDENTITY, None)
        presence.request_look()
        lease.renew()
        await asyncio.sleep(1)
        assert ClusterConditionType.HOST_REFUSES not in {each["type"] for each in stored(rig)["conditions"]}
