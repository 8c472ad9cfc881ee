"""Whatever is edited, paused, undone, killed or drifts: no member is ever given what the hub's record does not name."""

import asyncio
import random
from typing import Any

import orjson
import pytest

from federation.core import staging
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ROLLOUTS, ObjectName, Resource
from tests.unit.controllers.rig import CONFIGMAPS, WEB
from tests.unit.controllers.test_staged_rollouts import LABEL, ROLLOUT, A, Staged
from tests.unit.virtualtime import virtual

MEMBERS = ("m1", "m2", "m3", "m4")
STAGES = [
    {"name": "canary", "clusters": ["m1"], "gates": {"soak": "20s"}},
    {"name": "half", "clusterSelector": {}, "amount": "50%", "gates": {"approval": True}},
]


def content(value: str) -> str:
    return staging.digest(orjson.dumps({"template": {"data": {"a": value}}}))


def named(rig: Staged, member: str) -> str:
    """The content that the record, as the hub has it now, names for a cluster."""
    record = rig.record
    holds = {each["name"]: each["revision"] for each in record.get("released", [])}
    number = holds.get(member, record.get("good"))
    revision: dict[str, Any] = next(
        (each for each in record.get("revisions", []) if each["number"] == number), {"objects": []}
    )
    return next((str(each["content"]) for each in revision["objects"]), "")


def guard(rig: Staged, wrong: list[str], given: dict[str, str]) -> None:
    """Every write of every member is compared with the record of that moment; what it does not name is `wrong`.

    `given` is what each member was given last: that may be put right also while the hub has no record.
    """
    for member in MEMBERS:
        fake = rig.members[member]
        apply = fake.apply

        async def checked(
            resource: Resource, name: ObjectName, body: bytes, *, member: str = member, apply: Any = apply, **rest: Any
        ) -> Any:
            asked = content(orjson.loads(body)["data"]["a"])
            if asked != (named(rig, member) or given.get(member)):
                wrong.append(f"{member}: {body!r}")  # an exception here would be a failed push
            given[member] = asked
            return await apply(resource, name, body, **rest)

        fake.__dict__["apply"] = checked


async def disturb(rig: Staged, roll: random.Random) -> None:
    """One thing that happens."""
    member = roll.choice(MEMBERS)
    target = rig.record.get("target") or rig.record.get("good") or 0
    match roll.randrange(10):
        case 0 | 1 | 2:
            rig.put(template={"data": {"a": roll.choice("ABCD")}})
        case 3:
            rig.ask(STAGES, paused=roll.choice([True, False]))
        case 4:
            rig.ask(STAGES, {marks.UNDONE_ANNOTATION: roll.choice([str(target), None])})
        case 5 | 6:
            rig.ask(STAGES, {marks.APPROVED_ANNOTATION: f"{target}/half"})
        case 7:
            rig.see(member, ready=roll.choice([True, False]))
        case 8:
            if rig.members[member].value(CONFIGMAPS.target, WEB, "data", "a") is not None:
                rig.members[member].post(CONFIGMAPS.target, WEB, {"data": {"a": "drift"}})
        case 9:
            refuses = roll.choice(["status", "create", ""])
            rig.hub.fails = lambda verb, name: (
                Failure(FailureKind.UNAVAILABLE, "503", 503) if verb == refuses and name.name != "web" else None
            )
    await asyncio.sleep(roll.choice([0.0, 0.1, 2.0, 30.0]))


@pytest.mark.parametrize("seed", range(12))
def test_no_write_without_a_record(seed: int) -> None:
    @virtual
    async def run() -> None:
        wrong: list[str] = []
        given = dict.fromkeys(MEMBERS, content("A"))
        roll = random.Random(seed)
        rig = Staged(*MEMBERS)
        async with rig:
            rig.put(template=A)
            await asyncio.sleep(1)
            rig.ask(STAGES)
            rig.put(template=A, metadata=LABEL)
            await asyncio.sleep(5)
            assert rig.record["good"] == 1
        for _ in range(3):
            if roll.randrange(2):
                rig.hub.put(ROLLOUTS, ROLLOUT, status={"record": None})  # while no controller runs
            rig = Staged(*MEMBERS, after=rig)
            async with rig:
                guard(rig, wrong, given)
                for _ in range(12):
                    await disturb(rig, roll)
        assert wrong == []
        rig = Staged(*MEMBERS, after=rig)
        async with rig:
            rig.hub.fails = lambda verb, name: None
            for member in MEMBERS:
                rig.see(member, ready=True)
            rig.ask(STAGES, {marks.UNDONE_ANNOTATION: None}, paused=False)
            rig.put(template={"data": {"a": "Z"}})
            await asyncio.sleep(120)
            rig.ask(STAGES, {marks.APPROVED_ANNOTATION: f"{rig.record['target']}/half"})
            await asyncio.sleep(120)
            assert rig.values == ("Z", "Z", "Z", "Z")
            assert (rig.hub.get(ROLLOUTS, ROLLOUT) or {})["status"]["conditions"][0]["status"] == "True"

    run()
