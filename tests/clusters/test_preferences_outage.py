"""A member that does not answer keeps its replicas; with failover it has none once others are ready in their place."""

import asyncio

import pytest

from tests.clusters.faulty import Faulty
from tests.clusters.harness import federated_namespace, never
from tests.clusters.steps import Federated
from tests.clusters.test_preferences import deployment, numbers, prefer, run, says, spread

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_outage_moves_nothing_until_it_is_asked_for(faulty: Faulty, namespace: str) -> None:
    """m1's API server is stopped. Lost: nothing."""
    host = faulty.host
    await federated_namespace(host, namespace, ["m1", "m2"])
    web: Federated = await deployment(host, namespace)
    await prefer(host, namespace, 4, rebalance=True)
    await spread(web, m1=2, m2=2)
    await run(faulty.m1, namespace, 2)
    await run(faulty.m2, namespace, 2)
    faulty.pause("m1")
    await faulty.until_cluster("m1", "False")

    async def moved() -> object:
        found = numbers(await web.get())
        return found if found != {"m1": 2, "m2": 2} else None

    await never(moved, during=3)
    await prefer(host, namespace, 6, rebalance=True)
    await spread(web, m1=2, m2=4)
    await prefer(host, namespace, 6, rebalance=True, failover={"after": "5s"})
    await spread(web, m1=2, m2=6)
    await says(host, namespace, "Ready", "Moving")
    await asyncio.sleep(1)
    assert numbers(await web.get()) == {"m1": 2, "m2": 6}
    await run(faulty.m2, namespace, 6)
    await spread(web, within=40, m1=0, m2=6)
    await says(host, namespace, "Ready", "Scheduled")
    faulty.resume("m1")
    await faulty.until_cluster("m1", "True")
    await spread(web, within=40, m1=3, m2=3)
