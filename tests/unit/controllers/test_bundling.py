"""Several objects in one work: which work they go to, what is one write, and what hurts one object alone."""

import asyncio
import copy
from dataclasses import replace
from typing import Any

from federation.core import bundles
from federation.model import marks
from federation.model import works as names
from federation.model.conditions import ConditionType, PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName
from tests.fakeworks import MANAGER, FakeWorks
from tests.unit.controllers.rig import CONFIGMAPS
from tests.unit.controllers.test_pulling import PullRig
from tests.unit.virtualtime import settle, virtual

FIRST = bundles.name(MANAGER, ())
A, B, C, D = (ObjectName("ns", each) for each in "abcd")


class BundleRig(PullRig):
    """Works have up to `limit` bytes of objects."""

    def __init__(self, *pulled: str, limit: int = 100_000, **others: Any) -> None:
        super().__init__(*pulled, **others)
        self.limit(limit)

    def limit(self, most: int) -> None:
        self.world.settings = replace(self.world.settings, bundle_bytes=most)

    async def placed(self, *names_: ObjectName) -> None:
        for name in names_:
            self.place(name=name)
        await asyncio.sleep(5)
        self.works.applies()
        await asyncio.sleep(60)
        self.works.calls.clear()

    @property
    def kinds(self) -> list[str]:
        return [call.split()[0] for call in self.works.calls]

    def where(self, cluster: str = "p1") -> ObjectName:
        return self.works.only(cluster)

    def annotation(self, name: str) -> Any:
        return self.works.works[self.where()]["metadata"]["annotations"].get(name)


@virtual
async def test_what_waits_together_is_one_write_and_one_line_each() -> None:
    async with BundleRig("p1", "p2") as rig:
        for name in (A, B, C):
            rig.place(name=name)
        await asyncio.sleep(5)
        assert {cluster: rig.works.contents(cluster) for cluster in ("p1", "p2")} == {
            "p1": {FIRST: ["a", "b", "c"]},
            "p2": {FIRST: ["a", "b", "c"]},
        }
        assert len(rig.works.calls) <= 4  # who comes first is written at once, the others together
        rig.works.says(ObjectName("p1", FIRST))
        await asyncio.sleep(20)
        assert rig.lines(A) == {"p1": "", "p2": PropagationStatus.PENDING}
        rig.works.says(ObjectName("p2", FIRST))
        await asyncio.sleep(60)
        assert [rig.lines(name) for name in (A, B, C)] == [{"p1": "", "p2": ""}] * 3
        assert rig.condition(ConditionType.READY, A)["status"] == "True"


@virtual
async def test_a_change_sends_one_manifest_and_touches_nobody_elses_line() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B, C)
        before = rig.stored(A)["metadata"]["resourceVersion"]  # type: ignore[index]
        rig.place(name=B, template={"data": {"a": "c"}})
        await asyncio.sleep(60)
        assert rig.kinds == ["edit"]
        manifests = rig.works.works[rig.where()]["spec"]["workload"]["manifests"]
        assert [each["data"]["a"] for each in manifests] == ["b", "c", "b"]
        assert rig.lines(B) == {"p1": PropagationStatus.PENDING}
        assert rig.lines(A) == {"p1": ""}
        rig.works.applies()
        await asyncio.sleep(60)
        assert rig.lines(B) == {"p1": ""}
        assert rig.stored(A)["metadata"]["resourceVersion"] == before  # type: ignore[index]
        assert rig.kinds == ["edit"]


@virtual
async def test_one_goes_with_a_note_and_is_gone_when_its_agent_says_so() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B)
        rig.delete(A)
        await asyncio.sleep(60)
        assert rig.works.contents("p1") == {FIRST: ["b"]}
        assert rig.kinds == ["edit"]
        assert [
            (each.resource, each.name)
            for each in bundles.taken_out({names.TAKEN_ANNOTATION: rig.annotation(names.TAKEN_ANNOTATION)})
        ] == [("configmaps", "a")]
        assert rig.lines(A) == {"p1": PropagationStatus.WAITING_FOR_REMOVAL}
        rig.works.applies()
        await asyncio.sleep(60)
        assert rig.stored(A) is None
        assert rig.lines(B) == {"p1": ""}
        await rig.placed(A, C)
        assert sorted(rig.works.contents("p1")[FIRST]) == ["a", "b", "c"]  # the hole is used again
        assert rig.annotation(names.TAKEN_ANNOTATION) == "[]"
        assert rig.lines(A) == {"p1": ""}


@virtual
async def test_with_the_last_one_the_work_goes() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B)
        rig.delete(A)
        rig.delete(B)
        await asyncio.sleep(60)
        work = rig.works.works[rig.where()]
        assert "deletionTimestamp" in work["metadata"]
        assert work["metadata"]["annotations"][names.DELETED_ANNOTATION]
        assert rig.lines(A) == {"p1": PropagationStatus.WAITING_FOR_REMOVAL}
        rig.works.let_go_of(rig.where())
        await asyncio.sleep(60)
        assert rig.stored(A) is None
        assert rig.stored(B) is None


@virtual
async def test_one_that_is_orphaned_is_said_to_stay_before_it_goes() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B)
        stored = rig.stored(A)
        assert stored is not None
        annotations = {"annotations": {marks.ORPHAN_ANNOTATION: "true"}}
        rig.hub.put(CONFIGMAPS.federated, A, spec=stored["spec"], metadata=annotations)
        rig.delete(A)
        await asyncio.sleep(10)
        rule = {"group": "", "resource": "configmaps", "namespace": "ns", "name": "a"}
        option = {"propagationPolicy": "SelectivelyOrphan", "selectivelyOrphans": {"orphaningRules": [rule]}}
        assert rig.works.works[rig.where()]["spec"]["deleteOption"] == option
        assert rig.works.contents("p1") == {FIRST: ["a", "b"]}
        rig.works.applies()
        await asyncio.sleep(60)
        assert rig.works.contents("p1") == {FIRST: ["b"]}
        assert rig.works.works[rig.where()]["spec"]["deleteOption"] == option
        rig.works.applies()
        await asyncio.sleep(60)
        assert rig.stored(A) is None


@virtual
async def test_what_the_hub_refuses_hurts_itself_alone() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A)
        rig.place(name=B, template={"metadata": {"labels": {"refused": "yes"}}, "data": {}})
        for name in (C, D):
            rig.place(name=name)
        await asyncio.sleep(5)
        assert sorted(rig.works.contents("p1")[FIRST]) == ["a", "c", "d"]
        rig.works.applies()
        await asyncio.sleep(60)
        assert rig.lines(B) == {"p1": PropagationStatus.CREATION_FAILED}
        assert [rig.lines(name) for name in (A, C, D)] == [{"p1": ""}] * 3


@virtual
async def test_works_are_filled_up_to_their_size_and_large_ones_are_alone() -> None:
    async with BundleRig("p1", limit=2_000) as rig:
        large = {"data": {"a": "x" * 3_000}}
        for number in range(8):
            rig.place(name=ObjectName("ns", f"o{number}"))
        rig.place(name=A, template=large)
        await asyncio.sleep(5)
        found = rig.works.contents("p1")
        assert ["a"] in found.values()
        assert FIRST in found
        assert sorted(name for some in found.values() for name in some) == ["a", *(f"o{each}" for each in range(8))]
        assert len(found) < 9


@virtual
async def test_the_setting_moves_nothing() -> None:
    async with BundleRig("p1", limit=0) as rig:
        await rig.placed(A)
        (single,) = rig.works.contents("p1")
        rig.limit(100_000)
        await rig.placed(B, C)
        assert rig.works.contents("p1") == {single: ["a"], FIRST: ["b", "c"]}
        rig.limit(0)
        await rig.placed(D)
        rig.place(name=B, template={"data": {"a": "c"}})
        await asyncio.sleep(60)
        assert rig.kinds == ["edit"]
        assert rig.works.contents("p1")[FIRST] == ["b", "c"]
        assert rig.works.contents("p1")[single] == ["a"]
        assert len(rig.works.contents("p1")) == 3


@virtual
async def test_who_is_started_anew_writes_nothing_and_knows_what_is_where() -> None:
    async with BundleRig("p1") as first:
        await first.placed(A, B)
        fake: FakeWorks = first.works
    async with BundleRig("p1", works=fake, after=first) as rig:
        await asyncio.sleep(60)
        assert fake.calls == []
        rig.place(name=B, template={"data": {"a": "c"}})
        rig.delete(A)
        await asyncio.sleep(60)
        assert rig.works.contents("p1") == {FIRST: ["b"]}
        fake.applies()
        await asyncio.sleep(60)
        assert rig.lines(B) == {"p1": ""}
        assert rig.stored(A) is None


@virtual
async def test_somebody_who_changes_a_work_is_overruled() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B, C)
        manifests = rig.works.works[rig.where()]["spec"]["workload"]["manifests"]
        changed = [{**manifests[2], "data": {"a": "evil"}}, manifests[0], {**manifests[0], "metadata": {"name": "x"}}]
        rig.works.change(rig.where(), changed)
        await asyncio.sleep(60)
        work = rig.works.works[rig.where()]
        assert sorted(rig.works.contents("p1")[FIRST]) == ["a", "b", "c"]
        assert all(each["data"] == {"a": "b"} for each in work["spec"]["workload"]["manifests"])
        assert rig.annotation(names.TAKEN_ANNOTATION) == "[]"  # nothing of it may go
        rig.works.applies()
        await asyncio.sleep(60)
        rig.works.calls.clear()
        await asyncio.sleep(60)
        assert rig.works.calls == []
        assert [rig.lines(name) for name in (A, B, C)] == [{"p1": ""}] * 3


@virtual
async def test_a_change_that_somebody_took_back_comes_to_rest() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B)
        rig.works.change(rig.where(), rig.works.works[rig.where()]["spec"]["workload"]["manifests"])
        await asyncio.sleep(60)
        rig.works.applies()
        await asyncio.sleep(60)
        rig.works.calls.clear()
        await asyncio.sleep(60)
        assert rig.works.calls == []
        assert [rig.lines(name) for name in (A, B)] == [{"p1": ""}] * 2


def lose_the_answer(rig: BundleRig) -> None:
    """The next create is made, has no answer, and the watch does not show it before it lists again."""
    real = rig.works.create

    async def create(name: ObjectName, body: bytes) -> Any:
        rig.works.create = real  # type: ignore[method-assign]
        sink, rig.works._sink = rig.works._sink, None
        await real(name, body)
        rig.works._sink = sink
        return Failure(FailureKind.TIMED_OUT, "no answer")

    rig.works.create = create  # type: ignore[method-assign]


@virtual
async def test_a_write_without_an_answer_is_not_made_elsewhere() -> None:
    async with BundleRig("p1") as rig:
        lose_the_answer(rig)
        rig.place(name=A)
        await asyncio.sleep(60)
        rig.works.relist()
        await asyncio.sleep(60)
        rig.works.applies()
        await asyncio.sleep(60)
        assert rig.works.contents("p1") == {FIRST: ["a"]}
        assert rig.lines(A) == {"p1": ""}


@virtual
async def test_what_may_have_been_written_is_looked_for_before_it_counts_as_gone() -> None:
    async with BundleRig("p1") as rig:
        lose_the_answer(rig)
        rig.place(name=A)
        await asyncio.sleep(0.2)
        rig.delete(A)
        await asyncio.sleep(60)
        assert rig.stored(A) is not None
        work = rig.works.works[rig.where()]
        assert "deletionTimestamp" in work["metadata"]
        rig.works.let_go_of(rig.where())
        await asyncio.sleep(60)
        assert rig.stored(A) is None


@virtual
async def test_a_work_of_somebody_else_with_the_name_is_left_alone() -> None:
    async with BundleRig("p1") as rig:
        theirs = ObjectName("p1", FIRST)
        rig.works.works[theirs] = {
            "metadata": {"uid": "theirs", "generation": 1},
            "spec": {"workload": {"manifests": []}},
        }
        rig.place(name=A)
        await asyncio.sleep(60)
        assert rig.works.works[theirs]["metadata"]["uid"] == "theirs"
        assert [some for name, some in rig.works.contents("p1").items() if name != FIRST] == [["a"]]


@virtual
async def test_a_removal_without_an_answer_is_made_again() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B, C)
        rig.works.fails = lambda verb, _: Failure(FailureKind.TIMED_OUT, "no") if verb == "edit" else None
        rig.delete(A)
        await asyncio.sleep(3)
        assert rig.works.contents("p1") == {FIRST: ["a", "b", "c"]}
        rig.works.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert rig.works.contents("p1") == {FIRST: ["b", "c"]}


@virtual
async def test_a_cluster_that_moves_to_push_is_let_go_of_whole() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B)
        rig.pulling.leave("p1")
        rig.pulling.release("p1")
        await settle()
        work = rig.works.works[rig.where()]
        assert "deletionTimestamp" in work["metadata"]
        assert work["spec"]["deleteOption"]["propagationPolicy"] == "Orphan"
        assert work["metadata"]["annotations"][names.MOVES_ANNOTATION] == "true"


@virtual
async def test_a_hub_that_is_put_back_to_a_backup_loses_nothing() -> None:
    async with BundleRig("p1") as rig:
        await rig.placed(A, B)
        where = rig.where()
        older = copy.deepcopy(rig.works.works[where])
        await rig.placed(C)
        rig.place(name=A, template={"data": {"a": "c"}})
        await asyncio.sleep(120)
        rig.works.works[where] = older
        rig.works.relist()
        await asyncio.sleep(120)
        rig.works.applies()
        await asyncio.sleep(120)
        assert rig.works.contents("p1") == {FIRST: ["a", "b", "c"]}
        assert rig.works.works[where]["spec"]["workload"]["manifests"][0]["data"] == {"a": "c"}
        assert rig.annotation(names.TAKEN_ANNOTATION) == "[]"
        assert [rig.lines(name) for name in (A, B, C)] == [{"p1": ""}] * 3
