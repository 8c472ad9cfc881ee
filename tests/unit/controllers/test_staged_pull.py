"""A staged rollout over clusters of both modes: one in pull mode is well when its agent has reported that."""

import asyncio
from dataclasses import replace
from typing import Any

from federation.model import marks
from federation.model.resources import ROLLOUTS
from tests.unit.controllers.rig import WEB
from tests.unit.controllers.test_collecting import DEPLOYMENTS, status
from tests.unit.controllers.test_pulling import PullRig
from tests.unit.controllers.test_staged_rollouts import ROLLOUT, Staged
from tests.unit.virtualtime import virtual

WORKLOADS = replace(DEPLOYMENTS, collection=None)
STAGES = [{"name": "canary", "clusters": ["p1"], "gates": {"soak": "30s"}}, {"name": "second", "clusters": ["m1"]}]


class Both(PullRig, Staged):
    """m1 is written to, the agent of p1 fetches."""

    def change(self, image: str) -> None:
        labels = {"labels": {marks.ROLLOUT_LABEL: "safe"}}
        template = {"spec": {"replicas": 2, "image": image}}
        self.put(enabled=WORKLOADS, template=template, clusters=("p1", "m1"), metadata=labels)

    def says(self, ready: int | None) -> None:
        """The agent has applied it; of its status it has reported so much."""
        shows: dict[str, Any] | None = None
        if ready is not None:
            shows = {"metadata": {"generation": 0}, "spec": {"replicas": 2}, "status": status(ready, 2)}
        self.works.says(self.works.only("p1"), shows=shows)

    def images(self) -> Any:
        """What the work of p1 has, and what m1 has."""
        found = self.works.manifest("p1")["spec"]["image"] if self.works.works else None
        member = self.members["m1"]
        there = (WORKLOADS.target.qualified, WEB) in member.objects
        return found, member.value(WORKLOADS.target, WEB, "spec", "image") if there else None


@virtual
async def test_a_stage_in_pull_mode_waits_for_what_its_agent_reports() -> None:
    async with Both("p1", pushed=("m1",), types=(WORKLOADS,)) as rig:
        rig.hub.put(ROLLOUTS, ROLLOUT, spec={"stages": STAGES})
        rig.change("a")
        await asyncio.sleep(120)
        assert rig.images() == ("a", None), "nobody has said that it is applied"
        rig.says(None)
        await asyncio.sleep(120)
        assert rig.images() == ("a", None), "nobody knows whether it is well"
        rig.says(1)
        await asyncio.sleep(120)
        assert rig.images() == ("a", None), "it is not well"
        rig.says(2)
        await asyncio.sleep(120)
        assert rig.images() == ("a", "a")
        rig.members["m1"].set_status(WORKLOADS.target, WEB, status(2, 2))
        await asyncio.sleep(120)
        assert rig.state == "Complete"
        rig.change("b")
        await asyncio.sleep(120)
        assert rig.images() == ("b", "a")
        rig.says(2)
        await asyncio.sleep(120)
        assert rig.images() == ("b", "b")
