"""A member does not keep a field of what it took, or keeps another value: reported, remembered, checked again later."""

import asyncio

import msgspec

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
LEFT_OUT = "this cluster leaves out .spec.gated: it takes the object and does not keep these fields"
CHANGED = "this cluster keeps other values in .spec.gated.name than asked for: a policy or webhook there changes them"


def rig(after: Rig | None = None) -> Rig:
    return Rig("m1", "m2", types=(JOBS,), after=after)


def put(rig: Rig, template: object = TEMPLATE, name: str = "web") -> None:
    rig.put(msgspec.structs.replace(WEB, name=name), template, enabled=JOBS)


def messages(rig: Rig) -> dict[str, str]:
    body = rig.stored(WEB, JOBS)
    assert body is not None
    return {each["name"]: each.get("message", "") for each in body["status"]["clusters"]}


@virtual
async def test_a_dropped_field_is_reported_where_it_was_dropped() -> None:
    async with rig() as fleet:
        fleet.members["m2"].drops = {GATED}
        put(fleet)
        await settle()
        assert messages(fleet) == {"m1": "", "m2": LEFT_OUT}
        assert fleet.condition("Ready", WEB, JOBS)["status"] == "True"
        put(fleet, {"spec": {"parallelism": 2, "gated": None}})
        await settle()
        assert messages(fleet) == {"m1": "", "m2": ""}


@virtual
async def test_the_answer_to_the_apply_shows_it_without_a_request_more() -> None:
    async with rig() as fleet:
        put(fleet)
        await settle()
        assert fleet.asked["m1"] == ["apply ns/web"]


@virtual
async def test_a_value_that_the_member_changes_is_reported_and_not_fought() -> None:
    """An admission webhook that sets another registry: managedFields say that the image is ours all the same."""
    async with rig() as fleet:
        fleet.members["m2"].rewrites = {("spec", "gated", "name"): "mirror/x"}
        put(fleet)
        await settle()
        assert messages(fleet) == {"m1": "", "m2": CHANGED}
        assert fleet.condition("Ready", WEB, JOBS)["status"] == "True"
        fleet.quiet()
        await asyncio.sleep(600)
        assert fleet.asked == {}
        put(fleet, {"spec": {"parallelism": 3, "gated": None}})
        await settle()
        assert messages(fleet) == {"m1": "", "m2": ""}


@virtual
async def test_an_upgrade_of_the_member_is_a_reason_to_apply_and_look_again() -> None:
    async with rig() as fleet:
        member = fleet.members["m2"]
        member.drops = {GATED}
        put(fleet)
        await settle()
        member.drops = set()
        fleet.sync.retries.cluster("m2", JOBS.name)
        await asyncio.sleep(5)
        assert messages(fleet)["m2"] == LEFT_OUT
        fleet.sync.retries.cluster("m2", JOBS.name, upgraded=True)
        await asyncio.sleep(5)
        assert messages(fleet) == {"m1": "", "m2": ""}


@virtual
async def test_a_restart_remembers_and_asks_nobody() -> None:
    async with rig() as before:
        before.members["m2"].drops = {GATED}
        put(before)
        await settle()
    async with rig(after=before) as after:
        after.quiet()
        await asyncio.sleep(60)
        assert messages(after) == {"m1": "", "m2": LEFT_OUT}
        assert (after.asked, after.hub.writes) == ({}, [])
