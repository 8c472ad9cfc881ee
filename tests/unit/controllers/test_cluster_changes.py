"""A change of one cluster plans anew what it can alter, and nothing else."""

import asyncio

import pytest

from federation.controllers import fanout
from federation.controllers.tracks import Track
from federation.core import planning
from federation.core.facts import Facts
from federation.model.conditions import PropagationStatus
from federation.model.plan import Plan, Wait
from federation.model.resources import ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, Rig
from tests.unit.virtualtime import virtual


class Plans:
    """The names of the objects that were planned."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def since(self) -> set[str]:
        names, self.names = set(self.names), []
        return names


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    made, real = Plans(), planning.plan

    def plan(facts: Facts) -> Plan:
        made.names.append(facts.object.metadata.name)
        return real(facts)

    monkeypatch.setattr(planning, "plan", plan)
    return made


async def moment(plans: Plans) -> set[str]:
    """What was planned in the moment after a change."""
    await asyncio.sleep(fanout.LONGEST_MOMENT)
    return plans.since()


async def fleet(rig: Rig, plans: Plans) -> None:
    """Objects placed in m1, in m2, in what is labelled edge, and in a cluster that has not joined."""
    rig.see("m1", labels={"tier": "edge"})
    rig.see("m2", labels={"tier": "core"})
    rig.put(ObjectName("ns", "one"), clusters=("m1",))
    rig.put(ObjectName("ns", "two"), clusters=("m2",))
    rig.put(ObjectName("ns", "absent"), clusters=("m2", "m9"))
    rig.put_selected(ObjectName("ns", "edge"), {"matchLabels": {"tier": "edge"}})
    rig.put_selected(ObjectName("ns", "far"), {"matchLabels": {"tier": "far"}})
    await moment(plans)


@virtual
async def test_readiness_concerns_what_is_there(plans: Plans) -> None:
    async with Rig("m1", "m2") as rig:
        await fleet(rig, plans)
        rig.see("m1", ready=False, message="no answer")
        assert await moment(plans) == {"one", "edge"}
        rig.see("m1", ready=False, message="no answer for a minute")
        assert await moment(plans) == {"one", "edge"}
        rig.see("m1", ready=True)
        assert await moment(plans) == {"one", "edge"}
        rig.see("m1", ready=True, message="answers again")
        assert await moment(plans) == set()


@virtual
async def test_labels_concern_what_they_select_now_or_did(plans: Plans) -> None:
    async with Rig("m1", "m2") as rig:
        await fleet(rig, plans)
        rig.see("m2", labels={"tier": "core", "flap": "1"})
        assert await moment(plans) == {"far"}, "it selects no cluster, of which its status tells the number"
        rig.see("m2", labels={"tier": "edge"})
        assert await moment(plans) == {"edge", "far"}
        assert rig.data("m2", name=ObjectName("ns", "edge")) == "b"
        rig.see("m2", labels={})
        await moment(plans)
        assert rig.data("m2", name=ObjectName("ns", "edge")) is None


@virtual
async def test_a_cluster_that_joins_or_leaves(plans: Plans) -> None:
    async with Rig("m1", "m2") as rig:
        await fleet(rig, plans)
        rig.join("m9", labels={"tier": "edge"})
        assert await moment(plans) == {"absent", "edge", "far"}
        assert rig.lines(ObjectName("ns", "absent")) == {"m2": "", "m9": ""}
        rig.leave("m9")
        assert await moment(plans) == {"absent", "edge", "far"}
        assert rig.lines(ObjectName("ns", "edge")) == {"m1": ""}


@virtual
async def test_a_change_that_is_taken_back_at_once_is_a_change(plans: Plans) -> None:
    """The object was planned in between: it would wait for the cluster for ever."""
    async with Rig("m1", "m2") as rig:
        await fleet(rig, plans)
        rig.see("m1", ready=False, message="no answer")
        rig.put(ObjectName("ns", "one"), clusters=("m1",), template={"data": {"a": "c"}})
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.track(ObjectName("ns", "one")).actions["m1"] == Wait(
            PropagationStatus.CLUSTER_NOT_READY, "no answer"
        )
        rig.see("m1", ready=True)
        await asyncio.sleep(5)
        assert rig.data("m1", name=ObjectName("ns", "one")) == "c"
        assert rig.lines(ObjectName("ns", "one")) == {"m1": ""}


@virtual
async def test_what_changes_while_a_plan_is_made_needs_another(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts were read before, and the last plan names only the clusters of the spec before."""
    async with Rig("m1") as rig:
        name = ObjectName("ns", "late")
        rig.put(name, clusters=("m1",))
        await moment(plans)
        entered, go, real = asyncio.Event(), asyncio.Event(), rig.sync._decide

        async def slow(facts: Facts, track: Track, *, aside: bool) -> Plan | None:
            plan = await real(facts, track, aside=aside)
            entered.set()
            await go.wait()
            return plan

        monkeypatch.setattr(rig.sync, "_decide", slow)
        rig.put(name, clusters=("m1", "m2"))
        await entered.wait()
        rig.join("m2")
        await asyncio.sleep(5)
        go.set()
        await asyncio.sleep(5)
        assert rig.lines(name) == {"m1": "", "m2": ""}


@virtual
async def test_many_clusters_at_once_plan_everything_once(plans: Plans) -> None:
    names = [f"m{number}" for number in range(fanout.MANY + 1)]
    async with Rig(*names) as rig:
        rig.put(ObjectName("ns", "one"), clusters=("m1",))
        rig.put(ObjectName("ns", "none"), clusters=())
        await moment(plans)
        for name in names:
            rig.see(name, labels={"a": "b"})
        await asyncio.sleep(fanout.LONGEST_MOMENT)
        assert sorted(plans.names) == ["none", "one"]


@virtual
async def test_objects_follow_when_labels_alter_their_namespace(plans: Plans) -> None:
    async with Rig("m1", "m2", types=(FEDERATED_NAMESPACES, CONFIGMAPS)) as rig:
        rig.see("m2", labels={"tier": "core"})
        rig.put_selected(NS, {"matchLabels": {"tier": "edge"}}, enabled=FEDERATED_NAMESPACES)
        rig.put(ObjectName("ns", "two"), clusters=("m2",))
        await asyncio.sleep(5)
        assert rig.lines(ObjectName("ns", "two")) == {}
        rig.see("m2", labels={"tier": "edge"})
        await asyncio.sleep(5)
        assert rig.lines(ObjectName("ns", "two")) == {"m2": ""}
        await moment(plans)
        rig.see("m1", labels={"flap": "1"})
        assert await moment(plans) == set()
        rig.see("m2", labels={})
        await asyncio.sleep(5)
        assert rig.data("m2", name=ObjectName("ns", "two")) is None
