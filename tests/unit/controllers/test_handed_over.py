"""A way to a cluster by which commands are handed over: that they were applied is learned later, from what is observed.

The carrier here stands for one that writes to the hub what an agent in the cluster fetches, and `Reported` for planning
that looks at what the agent has reported. Everything between is the controller's own.
"""

import asyncio
from dataclasses import replace

import pytest

from federation.controllers.learning import Turn
from federation.controllers.outcomes import Outcome, Prove, failed
from federation.core import propagation
from federation.core.facts import Facts
from federation.model.conditions import ConditionType, PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.observations import Cluster
from federation.model.plan import HANDED_OVER, Action, Aim, Command, Keep, Wait
from federation.model.resources import Key
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

KEY = Key(CONFIGMAPS.name, *WEB)


class Handing:
    """A Carrier without a cluster behind it; the first of its answers are the `failures`."""

    manager = "kubefed"

    def __init__(self, *failures: Failure) -> None:
        self.given: list[Command] = []
        self._failures = list(failures)

    async def carry_out(self, turn: Turn, prove: Prove | None) -> Outcome:
        self.given.append(turn.action)
        if self._failures:
            return failed(self._failures.pop(0), "create")
        return Outcome(handed_over=True)


class Reported:
    """Decides for one cluster by what it was handed last; `report` is what it says of that, None while nothing."""

    def __init__(self, patch: pytest.MonkeyPatch, cluster: str) -> None:
        self.report: Action | None = None
        decide = propagation.decide

        def decided(facts: Facts, about: Cluster, *rest: object) -> Action:
            if about.name == cluster and self.report is not None:
                return self.report
            return decide(facts, about, *rest)  # type: ignore[arg-type]

        patch.setattr(propagation, "decide", decided)


def hand_over(rig: Rig, name: str, *failures: Failure) -> Handing:
    carrier = rig.world.members[name].carrier = Handing(*failures)
    return carrier


@virtual
async def test_what_is_handed_over_is_pending_until_it_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = Reported(monkeypatch, "m2")
    async with Rig("m1", "m2") as rig:
        carrier = hand_over(rig, "m2")
        rig.put()
        await settle()
        track = rig.track()
        assert [command.aim for command in carrier.given] == [Aim.CREATE]
        assert rig.asked.keys() == {"m1"}
        assert track.actions["m2"] == HANDED_OVER
        assert (track.handed, track.unconfirmed) == ({"m2"}, {"m2"})
        reported.report = HANDED_OVER
        assert rig.lines() == {}  # one write when all have answered
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": "", "m2": PropagationStatus.PENDING}
        assert rig.condition(ConditionType.READY)["reason"] == "Progressing"
        reported.report = Keep("digest", "owned")
        rig.sync.changed(KEY, clusters={"m2"})
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": "", "m2": ""}
        assert rig.condition(ConditionType.READY)["status"] == "True"
        assert (track.applied["m2"].digest, track.applied["m2"].owned_digest) == ("digest", "owned")
        assert not track.handed
        assert len(carrier.given) == 1


@virtual
async def test_a_report_within_a_moment_costs_one_write_of_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = Reported(monkeypatch, "m1")
    async with Rig("m1") as rig:
        hand_over(rig, "m1")
        rig.put()
        await settle()
        reported.report = Keep("digest", "owned")
        rig.sync.changed(KEY, clusters={"m1"})
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": ""}
        assert [write for write in rig.hub.writes if "status" in write] == [rig.hub.writes[-1]]


@virtual
async def test_a_report_of_a_failure_is_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = Reported(monkeypatch, "m1")
    async with Rig("m1") as rig:
        carrier = hand_over(rig, "m1")
        rig.put()
        await settle()
        reported.report = Wait(PropagationStatus.CREATION_FAILED, "a webhook there says no")
        rig.sync.changed(KEY, clusters={"m1"})
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": PropagationStatus.CREATION_FAILED}
        assert rig.track().handed == {"m1"}
        assert len(carrier.given) == 1  # what is written for the agent is there still


@virtual
async def test_what_cannot_be_handed_over_is_tried_again() -> None:
    async with Rig("m1") as rig:
        carrier = hand_over(rig, "m1", Failure(FailureKind.UNAVAILABLE, "the store is away", code=503))
        rig.put()
        await asyncio.sleep(60)
        assert len(carrier.given) == 2
        assert rig.track().handed == {"m1"}
        assert not rig.track().setbacks


@virtual
async def test_a_change_is_handed_over_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = Reported(monkeypatch, "m1")
    async with Rig("m1") as rig:
        carrier = hand_over(rig, "m1")
        rig.put()
        await settle()
        reported.report = Keep("digest", "owned")
        rig.sync.changed(KEY, clusters={"m1"})
        await asyncio.sleep(60)
        reported.report = replace(carrier.given[0], body=b"{}", digest="other")  # type: ignore[type-var]
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert rig.track().handed == {"m1"}
        assert rig.track().applied["m1"].digest == "digest"  # until it says that it has the other
        assert len(carrier.given) == 2


@virtual
async def test_a_cluster_that_leaves_is_forgotten() -> None:
    async with Rig("m1", "m2") as rig:
        hand_over(rig, "m2")
        rig.put()
        await settle()
        rig.leave("m2")
        await asyncio.sleep(60)
        assert not rig.track().handed
        assert rig.lines() == {"m1": ""}
