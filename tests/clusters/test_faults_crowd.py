"""Hundreds of clusters that fail at once, each with another long message (faults.md 21): nothing is lost in the crowd.

The hub and the controller are real, and so are two members beside the crowd (see `crowd`). What a person sees is one
status within its budget, with right counts; what the controller does meanwhile is everything else.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from federation.core import budget
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS
from tests.clusters.crowd import Crowd
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    Api,
    condition,
    eventually,
    federated_namespace,
    ready,
)
from tests.clusters.steps import Federated, Unlike, create, holds, names

COUNT = 300
NAMES = [f"crowd-{number:03d}" for number in range(COUNT)]
PATIENCE = 90.0


def refusal(member: str) -> str:
    """What a policy's author may write, in any language; longer than a message may be in a status."""
    message = "このクラスターのポリシーにより、この構成マップの作成は許可されていません。" * 20
    return f'admission webhook "policy.example.com" denied the request: {member}: {message}'


@pytest.fixture
async def crowd(fleet: Fleet, host: Api) -> AsyncIterator[Crowd]:
    """Joined and Ready; gone again afterwards."""
    async with Crowd(NAMES, fleet.playground.ca, refusal) as made:
        for resource, found in ((SECRETS, made.secrets()), (KUBEFED_CLUSTERS, made.clusters())):
            await asyncio.gather(*(host.create(resource, each, SYSTEM_NAMESPACE) for each in found))

        async def answering() -> object:
            found = await host.items(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE)
            reported = [condition(each, "Ready").get("status") for each in found if each["metadata"]["name"] in NAMES]
            return reported.count("True") == COUNT or Unlike(ready=reported.count("True"), known=len(reported))

        try:
            await eventually(answering, within=PATIENCE, every=0.5, seen="the whole crowd Ready")
            yield made
        finally:
            for resource in (KUBEFED_CLUSTERS, SECRETS):
                await asyncio.gather(*(host.delete(resource, SYSTEM_NAMESPACE, name) for name in NAMES))

            async def left() -> bool:
                found = await host.items(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE)
                return not names(found).intersection(NAMES)

            await eventually(left, within=PATIENCE, every=0.3, seen="the whole crowd gone")


async def settled(made: Federated) -> dict[str, Any]:
    """As `Federated.settled`, with the patience that hundreds of clusters take on a small machine."""

    async def reported() -> object:
        stored = await made.get()
        return stored if ready(stored) else Unlike(condition(stored, "Ready"))

    return dict(await eventually(reported, within=PATIENCE, every=0.3, seen=f"{made} Ready"))


def lines(stored: dict[str, Any], word: str) -> list[dict[str, Any]]:
    found = (stored.get("status") or {}).get("clusters") or []
    return [each for each in found if each.get("status", "") == word]


@pytest.mark.timeout(300)
async def test_hundreds_of_long_messages_fit_count_right_and_hold_nobody_up(
    crowd: Crowd, host: Api, m1: Api, namespace: str
) -> None:
    """Nothing is lost: each cluster has its line and its own words, cut; others are served at once; it heals."""
    crowd.refused.add("doomed")
    everywhere = ["m1", *NAMES]
    await federated_namespace(host, namespace, everywhere)
    doomed = await create(host, FEDERATED_CONFIGMAPS, namespace, "doomed", {"data": {"a": "b"}}, clusters=everywhere)

    async def all_reported() -> object:
        stored = await doomed.get()
        failing = lines(stored, "CreationFailed")
        return stored if len(failing) == COUNT else Unlike(failing=len(failing))

    stored = await eventually(all_reported, within=PATIENCE, every=0.3, seen="every refusal told")
    status = stored["status"]
    assert len(orjson.dumps(status)) <= budget.TOTAL
    assert sum(len(refusal(name).encode()) for name in NAMES) > 2 * budget.TOTAL, "it could not have said it all"
    assert [each["name"] for each in status["clusters"]] == sorted(everywhere)
    for each in lines(stored, "CreationFailed"):
        assert f"denied the request: {each['name']}: " in each["message"]
        assert each["message"].endswith("…")
    reported = condition(stored, "Ready")
    counted = f"1 of {COUNT + 1} clusters have applied generation 1; crowd-000: CreationFailed"
    assert (reported["status"], reported["reason"]) == ("False", "CheckClusters")
    assert reported["message"].startswith(counted)
    assert reported["message"].endswith(f"and {COUNT - 3} more")
    assert condition(stored, "Stalled") == {}, "a policy may change"

    # Tried again and again, and told once: the status is not written anew for the same words.
    version, tries = stored["metadata"]["resourceVersion"], sum(crowd.tries.values())

    async def tried_again() -> bool:
        return sum(crowd.tries.values()) >= tries + COUNT

    await eventually(tried_again, within=PATIENCE, every=0.3, seen="every member tried once more")
    assert (await doomed.get())["metadata"]["resourceVersion"] == version

    # Reconciling goes on: for other objects in the same clusters, and for this one where it is let in.
    fine = await create(host, FEDERATED_CONFIGMAPS, namespace, "fine", {"data": {"a": "b"}}, clusters=everywhere)
    served = await settled(fine)
    assert len(crowd.holding("configmaps", f"{namespace}/fine")) == COUNT
    assert condition(served, "Ready")["message"] == f"{COUNT + 1} clusters have applied generation 1"
    await doomed.patch({"spec": {"template": {"data": {"a": "c"}}}})
    await holds(m1, CONFIGMAPS, namespace, "doomed", lambda found: found["data"] == {"a": "c"})

    # And it heals, all of it: the next change is let in.
    crowd.refused.clear()
    await doomed.patch({"spec": {"template": {"data": {"a": "d"}}}})
    healed = await settled(doomed)
    assert condition(healed, "Ready")["message"].startswith(f"{COUNT + 1} clusters have applied generation 3")
    assert len(crowd.holding("configmaps", f"{namespace}/doomed")) == COUNT
    assert len(orjson.dumps(healed["status"])) < budget.TOTAL // 4
    await doomed.delete()

    async def gone() -> bool:
        return not await doomed.get()

    await eventually(gone, within=PATIENCE, every=0.3, seen="doomed gone, and its finalizer with it")
    assert crowd.holding("configmaps", f"{namespace}/doomed") == []
