"""Clusters in pull mode: from a federated object to a work at the hub, and from what its agent says to the line."""

import asyncio
from typing import Any, Self

import pytest

from federation.controllers import handingover
from federation.controllers.deletionrecords import DeletionRecords
from federation.controllers.deletions import Deletions
from federation.controllers.pulling import Pulling
from federation.controllers.triggers import StoredSink
from federation.core.proof import Proof
from federation.kube import decoding
from federation.model import marks, works
from federation.model.conditions import ConditionType, PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.observations import BY_WORK
from federation.model.plan import HANDED_OVER
from federation.model.resources import KUBEFED_CONFIGS, ObjectName
from federation.model.works import Propagation
from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.store import Store
from tests.fakes import PROOF
from tests.fakeworks import FakeWorks
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

CONFIG = ObjectName(marks.SYSTEM_NAMESPACE, marks.CONFIG)
SINCE = "its agent has not been heard since 2026-01-01T00:00:00Z"


class PullRig(Rig):
    """Beside members that are written to, some whose agents fetch."""

    def __init__(
        self, *pulled: str, pushed: tuple[str, ...] = (), works: FakeWorks | None = None, **others: Any
    ) -> None:
        super().__init__(*pushed, **others)
        self.pulled = pulled
        self.works = works or FakeWorks(*pulled)
        self.pulling = Pulling(
            self.world,
            self.works,
            self.works,
            sync=self.sync,
            fanout=self.fanout,
            pushing=self.pushing,
            limit=FleetLimit(),
            proves_push=self.proves_push,
            left=self.has_works,
        )

    async def proves_push(self, name: str) -> Proof | None:
        return None if name in self.pulling else PROOF

    def has_works(self, name: str) -> None:
        self.pulling.release(name)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        for name in self.pulled:
            self.label(name, {})
            self.serve(name)
        await settle()
        return self

    async def __aexit__(self, *rest: object) -> None:
        await self.pulling.close()
        await super().__aexit__(*rest)

    def serve(self, name: str, *, silent: bool = False, **metadata: Any) -> None:
        offline = {"type": "Offline", "status": "True" if silent else "False", "message": SINCE if silent else ""}
        stored = StoredObject(
            Metadata(name, self.world.namespace, uid=f"cluster-{name}", **metadata),
            spec={"syncMode": "Pull"},
            status={"conditions": [offline]},
        )
        self.pulling.serve(stored)

    def place(self, *clusters: str, **others: Any) -> None:
        self.put(clusters=clusters or (*self._names, *self.pulled), **others)


@virtual
async def test_an_object_becomes_a_work_and_its_status_the_line() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        assert rig.works.manifest("p1")["data"] == {"a": "b"}
        assert rig.works.manifest("p1")["metadata"]["labels"] == {marks.MANAGED_LABEL: "true"}
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": PropagationStatus.PENDING}
        rig.works.says(rig.works.only("p1"))
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": ""}
        assert rig.condition(ConditionType.READY)["status"] == "True"
        assert rig.track().applied["p1"].owned_digest == BY_WORK
        assert not rig.track().handed
        assert rig.works.calls == [f"create {rig.works.only('p1')}"]  # one write for the object and cluster


@virtual
async def test_a_change_is_one_write_and_counts_when_the_agent_says_so() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        rig.works.calls.clear()
        rig.place(template={"data": {"a": "c"}})
        await asyncio.sleep(60)
        assert rig.works.calls == [f"merge {name}"]
        assert rig.lines() == {"p1": PropagationStatus.PENDING}
        assert rig.works.manifest("p1")["data"] == {"a": "c"}
        rig.works.says(name, "False", "a webhook says no")
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": PropagationStatus.UPDATE_FAILED}
        rig.works.says(name)
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": ""}
        assert rig.works.calls == [f"merge {name}"]


@virtual
async def test_somebody_who_changes_a_work_is_overruled() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await settle()
        rig.works.change(name, [])
        await settle()
        assert rig.works.manifest("p1")["data"] == {"a": "b"}


@virtual
async def test_what_agents_say_within_some_seconds_is_one_write_of_the_status() -> None:
    async with PullRig("p1", "p2") as rig:
        rig.place()
        await asyncio.sleep(4)
        assert "clusters" not in rig.stored().get("status", {})  # type: ignore[union-attr]
        for name in list(rig.works.works):
            rig.works.says(name)
            await asyncio.sleep(2)
        assert rig.lines() == {"p1": "", "p2": ""}
        version = rig.stored()["metadata"]["resourceVersion"]  # type: ignore[index]
        await asyncio.sleep(60)
        assert rig.stored()["metadata"]["resourceVersion"] == version  # type: ignore[index]


@virtual
async def test_an_agent_that_takes_longer_is_reported_as_pending() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await asyncio.sleep(12)
        assert rig.lines() == {"p1": PropagationStatus.PENDING}


@virtual
async def test_a_change_that_was_taken_back_comes_to_rest() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await settle()
        rig.works.calls.clear()
        rig.works.change(name, [rig.works.manifest("p1")])
        await asyncio.sleep(60)
        rig.works.says(name)
        await asyncio.sleep(60)
        assert rig.works.calls == [f"merge {name}"] * 2  # the second one notes the generation that there is
        assert rig.lines() == {"p1": ""}


@virtual
async def test_push_and_pull_side_by_side_and_an_override() -> None:
    async with PullRig("p1", pushed=("m1",)) as rig:
        overrides = [
            {"clusterName": "p1", "clusterOverrides": [{"path": "/data/a", "value": "x"}]},
        ]
        rig.place(spec={"overrides": overrides})
        await settle()
        assert rig.data("m1") == "b"
        assert rig.works.manifest("p1")["data"] == {"a": "x"}


@virtual
async def test_without_a_cluster_in_pull_mode_nothing_is_followed() -> None:
    async with PullRig(pushed=("m1",)) as rig:
        rig.place()
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": ""}
        assert rig.works.watched == 0
        assert rig.works.calls == []


@virtual
async def test_the_object_goes_when_the_agent_has_removed_the_copy() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        rig.delete()
        await asyncio.sleep(60)
        assert "deletionTimestamp" in rig.works.works[name]["metadata"]
        assert rig.works.works[name]["spec"]["deleteOption"] == {"propagationPolicy": "Foreground"}
        assert rig.lines() == {"p1": PropagationStatus.WAITING_FOR_REMOVAL}
        assert rig.stored() is not None
        rig.serve("p1", silent=True)
        await asyncio.sleep(60)
        (line,) = rig.stored()["status"]["clusters"]  # type: ignore[index]
        assert SINCE in line["message"]
        assert [call.split()[0] for call in rig.works.calls] == ["create", "patch", "delete"]
        rig.works.let_go_of(name)
        await asyncio.sleep(60)
        assert rig.stored() is None
        assert len(rig.works.proven) == 1


@virtual
async def test_a_removal_that_its_agent_carries_out_is_not_reported_twice() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        before = rig.stored()
        rig.delete()
        await asyncio.sleep(20)
        assert "deletionTimestamp" in rig.works.works[name]["metadata"]
        assert rig.lines() == {"p1": ""}
        assert rig.stored()["status"] == before["status"]  # type: ignore[index]
        rig.works.let_go_of(name)
        await asyncio.sleep(1)
        assert rig.stored() is None


@virtual
async def test_a_work_waits_for_its_agent_though_it_was_not_fetched_yet() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.serve("p1", silent=True)
        rig.delete()
        await asyncio.sleep(60)
        assert "deletionTimestamp" in rig.works.works[name]["metadata"]
        (line,) = rig.stored()["status"]["clusters"]  # type: ignore[index]
        assert SINCE in line["message"]
        rig.works.let_go_of(name)
        await asyncio.sleep(60)
        assert rig.stored() is None


@virtual
async def test_a_work_that_was_lost_is_written_again_to_be_deleted() -> None:
    """Its agent holds the copy until the hub says that it is to go; an object that is gone by then could not say so."""
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        refused = Failure(FailureKind.NAMESPACE_TERMINATING, "it is being deleted", 403)
        rig.works.fails = lambda verb, _: refused if verb == "create" else None
        rig.works.lose(name)
        rig.delete()
        await asyncio.sleep(60)
        assert rig.works.works == {}
        assert rig.stored() is not None
        rig.works.fails = lambda *_: None
        await asyncio.sleep(600)
        work = rig.works.works[name]
        assert work["spec"]["workload"]["manifests"] == []
        assert "deletionTimestamp" in work["metadata"]
        assert work["metadata"]["annotations"][works.DELETED_ANNOTATION]
        assert rig.lines() == {"p1": PropagationStatus.WAITING_FOR_REMOVAL}
        rig.works.let_go_of(name)
        await asyncio.sleep(60)
        assert rig.stored() is None
        assert rig.works.works == {}


@virtual
async def test_orphans_are_let_go_of_by_the_work_itself() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        rig.works.calls.clear()
        stored = rig.stored()
        assert stored is not None
        rig.hub.put(
            CONFIGMAPS.federated, WEB, spec=stored["spec"], metadata={"annotations": {marks.ORPHAN_ANNOTATION: "true"}}
        )
        rig.delete()
        await asyncio.sleep(60)
        assert rig.works.works[name]["spec"]["deleteOption"] == {"propagationPolicy": "Orphan"}
        assert [call.split()[0] for call in rig.works.calls][-1] == "delete"
        rig.works.let_go_of(name)
        await asyncio.sleep(60)
        assert rig.stored() is None


@pytest.mark.parametrize("policy", [Propagation.ORPHAN, Propagation.FOREGROUND])
@virtual
async def test_a_work_that_was_written_since_it_was_seen_is_told_what_to_do_with_its_copy(policy: Propagation) -> None:
    """It was seen to say so already, and the write by which it says otherwise has not been seen yet."""
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        work = rig.works.works[name]
        other = Propagation.FOREGROUND if policy is Propagation.ORPHAN else Propagation.ORPHAN
        work["spec"]["deleteOption"] = {"propagationPolicy": other}
        rig.works.fetch(name)
        outcome = await handingover.remove(rig.works, name, work["metadata"]["uid"], policy, PROOF)
        assert outcome.removed == ("released" if policy is Propagation.ORPHAN else "deleted")
        assert "deletionTimestamp" in work["metadata"]
        assert work["spec"]["deleteOption"] == {"propagationPolicy": policy}


@virtual
async def test_a_cluster_that_is_placed_no_more_loses_its_work_and_no_other() -> None:
    async with PullRig("p1", "p2") as rig:
        rig.place()
        await settle()
        for name in list(rig.works.works):
            rig.works.says(name)
        await asyncio.sleep(60)
        rig.place("p1")
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": "", "p2": PropagationStatus.WAITING_FOR_REMOVAL}
        rig.works.let_go_of(rig.works.only("p2"))
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": ""}


@virtual
async def test_what_was_to_be_deleted_and_is_wanted_again_says_so_no_more() -> None:
    """The note of a deletion that the hub did not carry out must not speak for one that nobody here asks for."""
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        refused = Failure(FailureKind.RIGHT_MISSING, "no", 403)
        rig.works.fails = lambda verb, _: refused if verb == "delete" else None
        rig.put(clusters=())
        await settle()
        assert rig.works.works[name]["metadata"]["annotations"][works.DELETED_ANNOTATION]
        rig.place()
        await asyncio.sleep(60)
        assert works.DELETED_ANNOTATION not in rig.works.works[name]["metadata"]["annotations"]
        assert rig.lines() == {"p1": ""}


@virtual
async def test_a_silent_agent_is_said_and_nothing_goes() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        rig.works.says(rig.works.only("p1"))
        await asyncio.sleep(60)
        rig.serve("p1", silent=True)
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": PropagationStatus.CLUSTER_NOT_READY}
        rig.place(template={"data": {"a": "c"}})  # it is written all the same
        await asyncio.sleep(60)
        assert rig.works.manifest("p1")["data"] == {"a": "c"}
        rig.serve("p1")
        rig.works.says(rig.works.only("p1"))
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": ""}
        assert not any(call.startswith("delete") for call in rig.works.calls)


@virtual
async def test_a_controller_that_is_started_again_writes_nothing() -> None:
    async with PullRig("p1", "p2") as first:
        first.place()
        await settle()
        first.works.says(first.works.only("p1"))
        await asyncio.sleep(60)
        assert first.lines() == {"p1": "", "p2": PropagationStatus.PENDING}
    first.works.calls.clear()
    first.hub.writes.clear()
    async with PullRig("p1", "p2", works=first.works, after=first) as rig:
        await asyncio.sleep(60)
        assert rig.works.calls == []
        assert rig.lines() == {"p1": "", "p2": PropagationStatus.PENDING}
        rig.works.says(rig.works.only("p2"))
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": "", "p2": ""}


@virtual
async def test_a_work_that_the_hub_has_lost_is_written_again_by_its_name() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        rig.works._end(name)
        await asyncio.sleep(60)
        assert rig.works.only("p1") == name
        assert rig.works.works[name]["metadata"]["uid"] == "work-2"


@virtual
async def test_somebody_elses_work_of_this_name_is_left_alone() -> None:
    async with PullRig("p1") as first:
        first.place()
        await settle()
        name = first.works.only("p1")
    foreign = FakeWorks("p1")
    foreign.works[name] = {"metadata": {"uid": "theirs", "generation": 1, "resourceVersion": "7"}, "spec": {}}
    foreign.relist = lambda: foreign._sink.replace([])  # type: ignore[method-assign, union-attr]
    async with PullRig("p1", works=foreign) as rig:
        rig.place()
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": PropagationStatus.ALREADY_EXISTS}
        assert foreign.works[name]["spec"] == {}


@virtual
async def test_a_work_of_ours_that_is_not_seen_yet_is_no_obstacle() -> None:
    """The watch is late: the object changes before it has shown the work that was just written."""
    async with PullRig("p1") as rig:
        shown: list[ObjectName] = []

        def late(name: ObjectName) -> None:
            shown.append(name)

        show, rig.works._show = rig.works._show, late  # type: ignore[method-assign]
        rig.place()
        await settle()
        rig.place(template={"data": {"a": "c"}})
        await asyncio.sleep(2)
        assert rig.lines() in ({}, {"p1": PropagationStatus.PENDING}), "nobody is told that it is another's"
        assert [call.split()[0] for call in rig.works.calls][:3] == ["create", "create", "read"]
        rig.works._show = show  # type: ignore[method-assign]
        show(shown[0])
        await asyncio.sleep(2)
        assert rig.works.manifest("p1")["data"] == {"a": "c"}
        rig.works.says(rig.works.only("p1"))
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": ""}


@virtual
async def test_a_hub_that_refuses_is_asked_again() -> None:
    async with PullRig("p1") as rig:
        failures = [Failure(FailureKind.UNAVAILABLE, "the store is away", code=503)]
        rig.works.fails = lambda verb, name: failures.pop() if failures else None
        rig.place()
        await asyncio.sleep(60)
        assert [call.split()[0] for call in rig.works.calls] == ["create", "create"]
        assert rig.lines() == {"p1": PropagationStatus.PENDING}


@virtual
async def test_a_cordon_holds_the_work() -> None:
    async with PullRig("p1") as rig:
        rig.serve("p1", annotations={marks.CORDON_ANNOTATION: "maintenance"})
        rig.place()
        await asyncio.sleep(60)
        assert not rig.works.works
        assert rig.lines() == {"p1": PropagationStatus.CLUSTER_CORDONED}
        rig.serve("p1")
        await asyncio.sleep(60)
        assert rig.works.manifest("p1")["data"] == {"a": "b"}


@virtual
async def test_an_object_waits_for_the_work_of_its_namespace() -> None:
    async with PullRig("p1", types=(CONFIGMAPS, FEDERATED_NAMESPACES)) as rig:
        rig.place()
        await settle()
        assert not rig.works.works
        rig.put(NS, clusters=("p1",), enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(60)
        kinds = [work["spec"]["workload"]["manifests"][0]["kind"] for work in rig.works.works.values()]
        assert kinds == ["Namespace", "ConfigMap"]
        assert rig.track().actions["p1"] == HANDED_OVER


@pytest.mark.parametrize("fetched", [True, False])
def test_moving_a_cluster_keeps_what_was_pushed(fetched: bool) -> None:
    @virtual
    async def moved() -> None:
        async with PullRig("p1", pushed=("m1",)) as rig:
            rig.works.namespaces.add("m1")
            rig.place("m1")
            await asyncio.sleep(60)
            uid = rig.members["m1"].objects[CONFIGMAPS.target.qualified, WEB].uid
            member = rig.world.members.pop("m1")
            rig.world.types[CONFIGMAPS.name].copies.pop("m1")
            assert member.lane is not None
            for _ in rig.sync.forget_cluster("m1", member.lane.drain(), moves=True):
                pass
            rig.serve("m1")
            await asyncio.sleep(60)
            assert rig.lines() == {"m1": PropagationStatus.PENDING}
            assert rig.track().applied["m1"].known
            assert rig.members["m1"].objects[CONFIGMAPS.target.qualified, WEB].uid == uid
            name = rig.works.only("m1")
            if not fetched:
                rig.delete()
                await asyncio.sleep(60)
                assert name in rig.works.works  # its agent would remove nothing that it has not applied
                assert rig.stored() is not None
            rig.works.says(name)
            await asyncio.sleep(60)
            if fetched:
                assert rig.lines() == {"m1": ""}
                rig.delete()
                await asyncio.sleep(60)
            rig.works.let_go_of(name)
            await asyncio.sleep(60)
            assert rig.stored() is None

    moved()


@virtual
async def test_a_cluster_that_is_written_to_again_keeps_its_copies() -> None:
    async with PullRig("p1") as rig:
        rig.place()
        await settle()
        name = rig.works.only("p1")
        rig.works.says(name)
        await asyncio.sleep(60)
        waited = rig.pulling.leave("p1")
        assert waited == []
        for _ in rig.sync.forget_cluster("p1", waited, moves=True):
            pass
        rig.pulling.release("p1")
        rig.join("p1")
        await asyncio.sleep(60)
        assert rig.works.works[name]["spec"]["deleteOption"] == {"propagationPolicy": "Orphan"}
        assert "deletionTimestamp" in rig.works.works[name]["metadata"]
        assert rig.data("p1") == "b"
        assert rig.lines() == {"p1": ""}
        rig.works.let_go_of(name)
        await asyncio.sleep(60)
        assert rig.lines() == {"p1": ""}
        assert [call.split()[0] for call in rig.works.calls] == ["create", "patch", "delete"]


@virtual
async def test_what_a_controller_before_us_has_not_let_go_of_is_let_go_of() -> None:
    """No cluster is in pull mode any more; works of one that has left are not touched."""
    async with PullRig("m1", "gone") as first:
        first.place()
        await settle()
        for each in ("m1", "gone"):
            first.works.fetch(first.works.only(each))
    first.works.calls.clear()

    class Later(PullRig):
        async def proves_push(self, name: str) -> Proof | None:
            return PROOF if name == "m1" else None

    async with Later(works=first.works) as rig:
        await asyncio.sleep(60)
        assert (rig.works.asked, rig.works.watched) == (0, 1)
        rig.pulling.look()
        await asyncio.sleep(60)
        assert rig.works.asked == 1
        assert [call.split()[:2] for call in rig.works.calls] == [
            ["patch", str(rig.works.only("m1"))],
            ["delete", str(rig.works.only("m1"))],
        ]
        left = rig.works.works[rig.works.only("m1")]
        assert left["metadata"]["annotations"][works.MOVES_ANNOTATION] == "true"
        assert left["spec"]["deleteOption"] == {"propagationPolicy": "Orphan"}
        rig.works.let_go_of(rig.works.only("m1"))
        await asyncio.sleep(60)
        assert [name.namespace for name in rig.works.works] == ["gone"]


@virtual
async def test_without_works_nothing_is_followed_where_pull_mode_was_asked_for() -> None:
    async with PullRig(pushed=("m1",)) as rig:
        rig.pulling.look()
        await asyncio.sleep(60)
        assert (rig.works.asked, rig.works.watched) == (1, 0)


@virtual
async def test_deletions_are_counted_as_those_of_push() -> None:
    """As many at once as wait for a person in push mode (test_deletion_budget)."""
    async with PullRig("p1", "p2") as rig:
        rig.hub.put(KUBEFED_CONFIGS, CONFIG)
        configs: Store[StoredObject] = Store()
        deletions = Deletions(rig.world, rig.sync.changed)
        records = DeletionRecords(
            rig.world, rig.hub, configs, deletions, events=rig.events, where=CONFIG, now=lambda: "2026-01-01T10:00:00Z"
        )
        rig.hub.follow(KUBEFED_CONFIGS, StoredSink(configs, records.observed), decoding.stored)
        records.begin()
        rig.sync.hold_deletions(deletions)
        rig.tasks.keep(deletions.serve, "deletions")
        names = [ObjectName("ns", f"o{number}") for number in range(40)]
        for each in names:
            rig.put(each, clusters=("p1", "p2"))
        await settle()
        for work in list(rig.works.works):
            rig.works.says(work)
        await asyncio.sleep(70)  # within a window of the start nothing goes that does not come alone
        rig.works.calls.clear()
        for each in names:
            rig.put(each, clusters=("p1",))
        await asyncio.sleep(60)
        assert [call.split()[0] for call in rig.works.calls] == ["patch", "delete"]  # the first one came alone
        assert {rig.lines(each)["p2"] for each in names} == {PropagationStatus.WAITING_FOR_REMOVAL}
        held = [each for each in names if rig.condition(ConditionType.DELETIONS_HELD, each)]
        assert len(held) == 39
        assert {rig.condition(ConditionType.DELETIONS_HELD, each)["reason"] for each in held} == {"OverBudget"}
