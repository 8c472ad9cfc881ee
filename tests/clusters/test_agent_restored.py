"""The work agent when its hub, or its member, was put back to a backup: etcd's data of an earlier time, as it is.

An agent that runs all the while sees a server that has gone back. What the hub says counts, but for what it does not
know any more, which is held; what the member has lost is put right.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from federation.model.resources import CONFIG_MAPS
from federation.model.works import HELD_ANNOTATION, MANIFEST_WORKS
from federation.playground.faults import Fault
from tests.clusters import sessions
from tests.clusters.agents import Pull
from tests.clusters.harness import eventually
from tests.clusters.rewinds import Rewindable
from tests.clusters.steps import gone

pytestmark = pytest.mark.timeout(280)

ROADS = [pytest.param({}, id="behind"), pytest.param({"overtake": True}, id="overtaken")]
"""API servers are started anew, as Kubernetes asks for: one that goes on shows its watches nothing of a restore."""


class Two(NamedTuple):
    """A hub and a member that can be rewound."""

    hub: Rewindable
    member: Rewindable


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with sessions.directories() as directory:
        with ThreadPoolExecutor(2) as several:
            made = [several.submit(Rewindable, directory / name, name) for name in ("hub", "member")]
        yield Two(*(each.result() for each in made))


@pytest.fixture
async def pull(two: Two, tmp_path: Path) -> AsyncIterator[Pull]:
    hub, member = ((each.playground, each.name) for each in two)
    made = Pull(two.hub.playground, tmp_path, hub=hub, member=member)
    await made.set_up()
    try:
        await made.start()
        yield made
    finally:
        await made.tear_down()


async def shows(pull: Pull, name: str, value: str) -> None:
    """The member's object has this value, in time: an agent may have to stand for its Lease again."""

    async def found() -> bool:
        stored = await pull.member.get(CONFIG_MAPS, pull.namespace, name)
        return stored is not None and stored.get("data") == {"k": value}

    try:
        await eventually(found, within=90.0, seen=f"{name}: {value}")
    except pytest.fail.Exception as failure:
        pytest.fail(f"{failure}; log: {pull.agent.log[-4000:]}")


async def set_to(pull: Pull, value: str, *names: str) -> None:
    """Works of one object each, which are applied."""
    for name in names:
        await pull.work(name, pull.object(name, data={"k": value}))
    for name in names:
        await pull.until(name)


async def held(pull: Pull, *names: str) -> None:
    """Exactly these works are held."""

    async def found() -> bool:
        records = [await pull.record(name) for name in ("changed", "young", "ended", "steady")]
        said = {
            each["spec"]["manifestWorkName"]
            for each in records
            if each is not None and HELD_ANNOTATION in each["metadata"].get("annotations", {})
        }
        return said == set(names)

    await eventually(found, within=120.0, seen=f"held: {names}")


async def history(pull: Pull, restored: Rewindable) -> Path:
    """A backup, and what went on after it."""
    await set_to(pull, "old", "changed", "ended", "steady")
    await asyncio.sleep(6.0)  # what is wanted is kept
    snapshot = await asyncio.to_thread(restored.snapshot)
    await set_to(pull, "new", "changed", "young")
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "ended")
    await pull.gone("ended")
    await gone(pull.member, CONFIG_MAPS, pull.namespace, "ended")
    return snapshot


@pytest.mark.parametrize("road", ROADS)
async def test_a_hub_of_yesterday_counts_but_for_what_it_does_not_know(
    pull: Pull, two: Two, road: dict[str, Any]
) -> None:
    snapshot = await history(pull, two.hub)
    young = await pull.member.get(CONFIG_MAPS, pull.namespace, "young")
    await asyncio.to_thread(two.hub.rewind, snapshot, **road)
    await shows(pull, "changed", "old")
    await shows(pull, "ended", "old")  # the hub wants it again, as it knows
    await held(pull, "young")
    await shows(pull, "young", "new")
    await pull.member.patch(CONFIG_MAPS, pull.namespace, "young", {"data": {"k": "somebody"}})
    await shows(pull, "young", "new")
    await set_to(pull, "newest", "changed", "young")  # another work of its name: it has the object from now on
    await held(pull)
    after = await pull.member.get(CONFIG_MAPS, pull.namespace, "young")
    assert young is not None
    assert after is not None
    assert (after["metadata"]["uid"], after["data"]) == (young["metadata"]["uid"], {"k": "newest"})
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "young")
    await pull.gone("young")
    assert await pull.member.get(CONFIG_MAPS, pull.namespace, "young") is None


@pytest.mark.parametrize("road", ROADS)
async def test_a_member_of_yesterday_is_put_right(pull: Pull, two: Two, road: dict[str, Any]) -> None:
    snapshot = await history(pull, two.member)
    await asyncio.to_thread(two.member.rewind, snapshot, **road)
    await shows(pull, "changed", "new")
    await shows(pull, "young", "new")
    await shows(pull, "steady", "old")
    await held(pull, "ended")  # its object is back, and no word of the hub about it
    await set_to(pull, "newest", "changed", "young")
    await pull.member.patch(CONFIG_MAPS, pull.namespace, "steady", {"data": {"k": "somebody"}})
    await shows(pull, "steady", "old")


async def test_a_hub_of_yesterday_found_after_a_cut_and_a_restart(pull: Pull, two: Two) -> None:
    snapshot = await history(pull, two.hub)
    assert await asyncio.to_thread(pull.agent.stop) == 0
    pull.to_host.inject(Fault("refuse"))
    await asyncio.to_thread(two.hub.rewind, snapshot)
    await pull.start(**{"federation.agent.membership.HUB_PATIENCE": 1.0})
    await pull.member.patch(CONFIG_MAPS, pull.namespace, "changed", {"data": {"k": "somebody"}})
    await shows(pull, "changed", "new")  # the hub is not heard: what was kept counts
    pull.mend()
    await shows(pull, "changed", "old")
    await held(pull, "young")
    await shows(pull, "young", "new")
