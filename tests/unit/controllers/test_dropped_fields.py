"""A member takes an object and does not keep a field of it: looked at once, told, remembered, tried after upgrades."""

import asyncio

from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import Resource
from tests.unit.controllers.rig import GROUP, WEB, Rig
from tests.unit.virtualtime import settle, virtual

JOBS = FederatedType(
    "jobs.batch",
    Resource("batch", "v1", "Job", "jobs", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedJob", "federatedjobs", namespaced=True),
)
TEMPLATE = {"spec": {"parallelism": 2, "gated": {"name": "x"}}}
GATED = ("spec", "gated", "name")
TOLD = "this cluster leaves out .spec.gated: it takes the object and does not keep these fields"

UNREADABLE = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")


def rig(after: Rig | None = None) -> Rig:
    return Rig("m1", "m2", types=(JOBS,), after=after)


def put(rig: Rig, template: object = TEMPLATE, name: str = "web") -> None:
    rig.put(WEB._replace(name=name), template, enabled=JOBS)


def said(rig: Rig) -> dict[str, str]:
    body = rig.stored(WEB, JOBS)
    assert body is not None
    return {each["name"]: each.get("message", "") for each in body["status"]["clusters"]}


@virtual
async def test_a_dropped_field_is_told_where_it_was_dropped() -> None:
    async with rig() as fleet:
        fleet.members["m2"].drops = {GATED}
        put(fleet)
        await settle()
        assert said(fleet) == {"m1": "", "m2": TOLD}
        assert fleet.condition("Ready", WEB, JOBS)["status"] == "True"
        put(fleet, {"spec": {"parallelism": 2, "gated": None}})
        await settle()
        assert said(fleet) == {"m1": "", "m2": ""}


@virtual
async def test_what_a_cluster_keeps_is_looked_at_once() -> None:
    async with rig() as fleet:
        put(fleet)
        await settle()
        assert fleet.asked["m1"] == ["apply ns/web", "whole ns/web"]
        fleet.quiet()
        put(fleet, name="other")
        put(fleet, {"spec": {"parallelism": 5, "gated": {"name": "y"}}})
        await settle()
        assert [each for each in fleet.asked["m1"] if each.startswith("whole")] == []
        assert len(fleet.asked["m1"]) == 2


@virtual
async def test_an_upgrade_of_the_member_is_a_reason_to_apply_and_look_again() -> None:
    async with rig() as fleet:
        member = fleet.members["m2"]
        member.drops = {GATED}
        put(fleet)
        await settle()
        member.drops = set()
        fleet.sync.cluster_answers("m2", JOBS.name)
        await asyncio.sleep(5)
        assert said(fleet)["m2"] == TOLD
        fleet.sync.cluster_answers("m2", JOBS.name, upgraded=True)
        await asyncio.sleep(5)
        assert said(fleet) == {"m1": "", "m2": ""}


@virtual
async def test_a_restart_remembers_and_asks_nobody() -> None:
    async with rig() as before:
        before.members["m2"].drops = {GATED}
        put(before)
        await settle()
    async with rig(after=before) as after:
        after.quiet()
        await asyncio.sleep(60)
        assert said(after) == {"m1": "", "m2": TOLD}
        assert (after.asked, after.hub.writes) == ({}, [])


@virtual
async def test_an_object_that_cannot_be_read_was_pushed_all_the_same() -> None:
    async with rig() as fleet:
        fleet.members["m2"].drops = {GATED}
        fleet.members["m2"].fails = lambda verb, name: UNREADABLE if verb == "whole" else None
        put(fleet)
        await settle()
        assert said(fleet) == {"m1": "", "m2": ""}
        assert fleet.condition("Ready", WEB, JOBS)["status"] == "True"
