"""Statuses of copies in clusters in pull mode: from what agents report into what push reports of its members."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from federation.controllers.healthchecks import BEYOND, UNREPORTED, HealthChecks
from federation.controllers.workloadlooks import WorkloadLooks
from federation.model.observations import ObservedWork
from federation.model.resources import Key
from federation.model.statusrules import StatusCollection
from tests.unit.controllers.rig import WEB
from tests.unit.controllers.test_collecting import DEPLOYMENTS, SETTLED, healthy, line, put, report, status, written
from tests.unit.controllers.test_pulling import PullRig
from tests.unit.virtualtime import settle, virtual

KEY = Key(DEPLOYMENTS.name, *WEB)


def shows(ready: int, of: int = 3, generation: int = 0, **more: Any) -> dict[str, Any]:
    """A Deployment in a member."""
    counts = {**status(ready, of), "observedGeneration": generation, **more}
    return {"metadata": {"generation": generation}, "spec": {"replicas": of}, "status": counts}


def rig_of(*pulled: str, collection: StatusCollection | None = DEPLOYMENTS.collection, **more: Any) -> PullRig:
    return PullRig(*pulled, types=(replace(DEPLOYMENTS, collection=collection),), **more)


def place(rig: PullRig, *clusters: str, **more: Any) -> None:
    put(rig, clusters=clusters, **more)


@virtual
async def test_what_an_agent_reports_is_collected_as_in_push_mode() -> None:
    async with rig_of("p1", pushed=("m1",)) as rig:
        place(rig, "p1", "m1")
        await settle()
        rig.works.says(rig.works.only("p1"), shows=shows(3))
        report(rig, "m1", status(3))
        await asyncio.sleep(SETTLED + 20)
        assert line(rig, "p1")["remoteStatus"] == line(rig, "m1")["remoteStatus"] == status(3)
        assert (line(rig, "p1")["ready"], line(rig, "m1")["ready"]) == ("3/3", "3/3")
        assert written(rig)["summary"] == {
            "desired": 6,
            "ready": 6,
            "updated": 6,
            "unhealthyClusters": 0,
            "unknownClusters": 0,
        }
        assert healthy(rig)[0] == "True"
        rig.works.says(rig.works.only("p1"), shows=shows(1))
        await asyncio.sleep(SETTLED + 20)
        assert line(rig, "p1")["ready"] == "1/3"
        assert healthy(rig)[0] == "False"


@virtual
async def test_what_is_not_reported_is_unknown_and_never_no() -> None:
    async with rig_of("p1") as rig:
        place(rig, "p1")
        await settle()
        rig.works.says(rig.works.only("p1"))
        await asyncio.sleep(90)
        assert "ready" not in line(rig, "p1")
        assert written(rig)["summary"]["unknownClusters"] == 1
        assert healthy(rig)[0] == "Unknown"


@virtual
async def test_while_an_agent_is_silent_what_was_known_stays_and_counts_as_unknown() -> None:
    async with rig_of("p1") as rig:
        place(rig, "p1")
        await settle()
        rig.works.says(rig.works.only("p1"), shows=shows(3))
        await asyncio.sleep(SETTLED + 20)
        rig.serve("p1", silent=True)
        await asyncio.sleep(90)
        assert line(rig, "p1")["ready"] == "3/3"
        assert written(rig)["summary"]["unknownClusters"] == 1
        assert healthy(rig)[0] == "Unknown"


@virtual
async def test_it_is_switched_on_and_off_live() -> None:
    async with rig_of("p1", collection=None) as rig:
        place(rig, "p1")
        await settle()
        name = rig.works.only("p1")
        assert "feedbackRules" not in rig.works.works[name]["spec"]["manifestConfigs"][0]
        rig.works.says(name)
        await asyncio.sleep(60)
        for collection, ready in ((StatusCollection(), "3/3"), (None, None)):
            state = rig.world.types[DEPLOYMENTS.name]
            state.type = replace(state.type, collection=collection)
            rig.pulling.realign()
            rig.fanout.whole_type(DEPLOYMENTS.name)
            await asyncio.sleep(30)
            asked = rig.works.works[name]["spec"]["manifestConfigs"][0].get("feedbackRules")
            assert (asked is not None) is (collection is not None)
            rig.works.says(name, shows=shows(3))
            await asyncio.sleep(90)
            assert line(rig, "p1").get("ready") == ready


@virtual
async def test_a_controller_that_is_started_again_finds_what_was_reported() -> None:
    async with rig_of("p1") as rig:
        place(rig, "p1")
        await settle()
        rig.works.says(rig.works.only("p1"), shows=shows(3))
        await asyncio.sleep(SETTLED + 20)
        before = line(rig, "p1")
    rig.works.calls.clear()
    async with rig_of("p1", after=rig, works=rig.works) as again:
        await asyncio.sleep(120)
        assert line(again, "p1") == before
        assert healthy(again)[0] == "True"
        assert again.works.calls == []


@virtual
@pytest.mark.parametrize(
    ("shown", "gates", "why"),
    [
        pytest.param(None, (), UNREPORTED, id="nothing-reported"),
        pytest.param(shows(3), (), "", id="well"),
        pytest.param(shows(1), (), "1 of 3 replicas are available", id="unwell"),
        pytest.param(shows(3), ("object.status.readyReplicas == 3",), "", id="gate"),
        pytest.param(shows(3), ("has(object.status.other)",), "is not true", id="gate-that-is-not-met"),
        pytest.param(shows(3), ("object.spec.paused == true",), BEYOND, id="gate-beyond-the-status"),
        pytest.param(shows(3), ("object['spec'].paused",), BEYOND, id="gate-beyond-the-status-in-another-way"),
        pytest.param(shows(3, more="x" * 2000), (), "", id="large-status"),
        pytest.param(shows(3, more="x" * 2000), ("!has(object.status.more)",), BEYOND, id="gate-on-a-large-status"),
    ],
)
async def test_a_rollout_sees_what_was_reported(shown: Any, gates: tuple[str, ...], why: str) -> None:
    async with rig_of("p1") as rig:
        place(rig, "p1")
        await settle()
        rig.works.says(rig.works.only("p1"), shows=shown)
        await settle()
        checks = HealthChecks(rig.world, lambda where: None)
        checks.unhealthy(WEB, KEY, "p1", gates)
        await checks.tasks.finish(60.0)
        found = checks.unhealthy(WEB, KEY, "p1", gates)
        assert found.endswith(why) if why else not found


@virtual
async def test_a_preference_sees_what_was_reported() -> None:
    async with rig_of("p1") as rig:
        place(rig, "p1")
        await settle()
        name = rig.works.only("p1")
        looks = WorkloadLooks(rig.world, lambda where: None)
        state = rig.world.types[DEPLOYMENTS.name]

        def shown() -> Any:
            work = state.copies["p1"].observe(WEB)
            assert isinstance(work, ObservedWork)
            return looks.shown(WEB, state, "p1", work)

        rig.works.says(name)
        assert shown() is None
        rig.works.says(name, shows=shows(3))
        assert (shown().replicas, shown().ready, shown().problem) == (3, 3, "")
        rig.works.says(name, shows=shows(1))
        assert shown().ready == 1
        assert "it is in pull mode" in shown().problem
