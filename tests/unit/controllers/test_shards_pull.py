"""Clusters in pull mode beside several shards: the one that coordinates writes their works, and tells of them."""

import asyncio

from federation.controllers.pulling import Pulling
from federation.controllers.world import World
from federation.core.proof import Proof
from federation.model.conditions import PropagationStatus
from federation.model.federated import Metadata, StoredObject
from federation.runtime.fleetlimit import FleetLimit
from tests.fakes import PROOF
from tests.fakeworks import FakeWorks
from tests.unit.controllers.shardrig import Fleet, ShardRig
from tests.unit.virtualtime import virtual


async def pushes(name: str) -> Proof | None:
    return PROOF


def pulls(rig: ShardRig, works: FakeWorks, *names: str) -> Pulling:
    """The shard writes works of these clusters."""
    pulling = Pulling(
        rig.world,
        works,
        works,
        sync=rig.sync,
        fanout=rig.fanout,
        pushing=rig.pushing,
        limit=FleetLimit(),
        proves_push=pushes,
    )
    for name in names:
        pulling.serve(StoredObject(Metadata(name, World().namespace, uid=f"cluster-{name}"), spec={"syncMode": "Pull"}))
    return pulling


@virtual
async def test_one_object_in_clusters_of_both_modes_and_of_all_shards() -> None:
    async with Fleet(a=0, b=1, c=2) as fleet:
        works = FakeWorks("p")
        pulling = pulls(fleet.rigs[0], works, "p")
        fleet.put(clusters="abcp")
        await asyncio.sleep(60)
        assert fleet.holders() == {"a", "b", "c"}
        assert fleet.lines() == {**dict.fromkeys("abc", ""), "p": PropagationStatus.PENDING}
        works.says(works.only("p"))
        await asyncio.sleep(60)
        assert fleet.lines() == dict.fromkeys("abcp", "")
        assert fleet.ready()["status"] == "True"
        fleet.delete()
        await asyncio.sleep(60)
        assert fleet.holders() == set()
        assert fleet.stored() is not None, "the agent has not removed the copy yet"
        works.let_go_of(works.only("p"))
        await asyncio.sleep(60)
        assert fleet.stored() is None
        await pulling.close()
