"""A staged rollout on the road of an object: who is written, when, and what survives a restart; hub and members in
memory."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from federation.controllers.ports import OnChange, Sink
from federation.controllers.rollouts import Rollouts
from federation.kube import decoding
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, StoredObject
from federation.model.resources import REVISIONS, ROLLOUTS, ObjectName, Resource
from federation.model.settings import PUSHER
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.unit.controllers.rig import CONFIGMAPS, GROUP, WEB, Rig
from tests.unit.virtualtime import settle, virtual

WIDGETS = FederatedType(
    "widgets.example.io",
    Resource("example.io", "v1", "Widget", "widgets", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedWidget", "federatedwidgets", namespaced=True),
)
SECRETS = FederatedType(
    "secrets",
    Resource("", "v1", "Secret", "secrets", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True),
)
ROLLOUT = ObjectName("ns", "safe")
LABEL = {"labels": {marks.ROLLOUT_LABEL: "safe"}}
A, B, C = ({"data": {"a": each}} for each in "ABC")
STAGES = [{"name": "canary", "clusters": ["m1"], "gates": {"soak": "60s"}}, {"name": "second", "clusters": ["m2"]}]


def _clock() -> float:
    return time.time()  # of the virtual loop: not bound before it runs


class _Watch:
    failure: Failure | None = None
    synced = True
    contact = 0.0

    def __init__(self, lists: Callable[[], None]) -> None:
        self._lists = lists

    async def run(self) -> None:
        await asyncio.Event().wait()

    def kick(self) -> None:
        """Nothing waits."""

    def renew(self) -> None:
        """Lists again."""
        self._lists()


class Staged(Rig):
    """A rig with the controller of rollouts, as app wires it."""

    def __init__(self, *members: str, listed: bool = True, **options: Any) -> None:
        super().__init__(*members, **options)
        self.world.rollouts.home = "ns"
        self.rollouts = Rollouts(self.world, self.hub, self, events=self.events, wake=self.sync.changed, now=_clock)
        self._listed = listed
        self._deciding = Tasks()

    def stored(self, *args: Any, **options: Any) -> Any:
        """Follow (as the controller asks), or what the hub has of a federated object (as tests do)."""
        if args and args[0] == ROLLOUTS:
            return self.watch(*args)
        return super().stored(*args, **options)

    def watch(self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange) -> _Watch:
        self.sink = sink
        if self._listed:
            self.hub.follow(ROLLOUTS, sink, decoding.stored)
        return _Watch(lambda: self.hub.follow(ROLLOUTS, sink, decoding.stored))

    async def __aenter__(self) -> "Staged":
        await self.rollouts.follow()
        self._deciding.keep(Workers("rollouts", self.rollouts.queue, self.rollouts.process).serve, "rollouts")
        await super().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._deciding.cancel()
        await self.rollouts.close()
        await super().__aexit__()

    def ask(self, stages: Any = None, annotations: dict[str, Any] | None = None, **spec: Any) -> None:
        """A user's FederatedRollout."""
        metadata = {"metadata": {"annotations": annotations}} if annotations else {}
        self.hub.put(ROLLOUTS, ROLLOUT, spec={"stages": stages or STAGES, **spec}, **metadata)

    @property
    def record(self) -> dict[str, Any]:
        return dict((self.hub.get(ROLLOUTS, ROLLOUT) or {}).get("status", {}).get("record", {}))

    @property
    def state(self) -> str:
        conditions = (self.hub.get(ROLLOUTS, ROLLOUT) or {}).get("status", {}).get("conditions", [{}])
        return str(conditions[0].get("reason"))

    @property
    def values(self) -> Any:
        """What every member has."""
        return tuple(self.data(name) if WEB in _names(self, name) else None for name in self._names)

    @property
    def revisions(self) -> int:
        return sum(what == REVISIONS.qualified for what, _ in self.hub.objects)


def _names(rig: Rig, member: str) -> set[ObjectName]:
    return {name for what, name in rig.members[member].objects if what == CONFIGMAPS.target.qualified}


async def spread(rig: Staged) -> None:
    """A is everywhere, as the first good revision."""
    rig.put(template=A)
    await settle()
    rig.ask()
    rig.put(template=A, metadata=LABEL)
    await asyncio.sleep(5)
    assert (rig.state, rig.values, rig.record["good"]) == ("Complete", ("A", "A", "A"), 1)
    rig.quiet()


@virtual
async def test_the_label_on_what_is_spread_already_writes_to_no_member() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        rig.put(template=A)
        await settle()
        rig.quiet()
        rig.ask()
        rig.put(template=A, metadata=LABEL)
        await asyncio.sleep(600)
        assert (rig.asked, rig.state, rig.revisions) == ({}, "Complete", 1)
        assert rig.condition("Ready")["status"] == "True"


@virtual
async def test_a_new_object_goes_through_the_stages() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        rig.ask()
        rig.put(template=A, metadata=LABEL)
        await asyncio.sleep(30)
        assert rig.values == ("A", None, None)
        assert set(rig.asked) == {"m1"}
        assert rig.lines() == {"m1": "", "m2": "HeldByRollout", "m3": "HeldByRollout"}
        await asyncio.sleep(60)
        assert (rig.values, rig.state) == (("A", "A", "A"), "Complete")


@virtual
async def test_a_change_goes_stage_by_stage_and_the_record_is_written_before_any_member_is() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.hub.fails = lambda verb, name: (
            Failure(FailureKind.UNAVAILABLE, "503", 503) if verb == "status" and name == ROLLOUT else None
        )
        rig.put(template=B)
        await asyncio.sleep(120)
        assert (rig.asked, rig.values) == ({}, ("A", "A", "A"))
        rig.hub.fails = lambda verb, name: None
        for _ in range(70):  # until the hub is asked again
            await asyncio.sleep(0 if rig.asked else 1)
        await asyncio.sleep(5)
        assert (set(rig.asked), rig.values) == ({"m1"}, ("B", "A", "A"))
        assert rig.lines() == {"m1": "", "m2": "", "m3": ""}
        ready = rig.condition("Ready")
        assert (ready["status"], ready["reason"]) == ("False", "HeldByRollout")
        assert "revision 2, stage canary" in ready["message"]
        lines = {line["name"]: line.get("generation", 0) for line in (rig.stored() or {})["status"]["clusters"]}
        assert lines == {"m1": 0, "m2": 1, "m3": 1}
        await asyncio.sleep(70)
        assert (rig.values, rig.state) == (("B", "B", "B"), "Complete")
        assert rig.condition("Ready")["status"] == "True"


@virtual
async def test_who_waits_is_held_to_its_own_revision() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        assert rig.values == ("B", "A", "A")
        rig.members["m2"].post(CONFIGMAPS.target, WEB, {"data": {"a": "drift"}})
        rig.members["m3"].remove(CONFIGMAPS.target, WEB)
        await asyncio.sleep(5)
        assert rig.values == ("B", "A", "A")


@virtual
async def test_nothing_is_done_or_asked_at_rest() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.hub.reads.clear()
        await asyncio.sleep(7200)
        assert (rig.asked, rig.hub.writes, rig.hub.reads) == ({}, [], [])
        assert rig.rollouts.queue.idle
        assert not rig.rollouts.queue.later


@virtual
async def test_waiting_for_days_costs_no_write_and_no_request() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.ask([{"name": "canary", "clusters": ["m1"], "gates": {"approval": True}}])
        rig.put(template=B)
        await asyncio.sleep(30)
        assert (rig.state, rig.values) == ("WaitingForApproval", ("B", "A", "A"))
        rig.quiet()
        await asyncio.sleep(3600)
        assert (rig.asked, rig.hub.writes) == ({}, [])
        rig.ask(annotations={marks.APPROVED_ANNOTATION: "2/canary"})
        await asyncio.sleep(10)
        assert rig.values == ("B", "B", "B")


@virtual
async def test_a_restart_in_mid_run_goes_on_by_the_record_and_writes_nobody_else() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.ask([{"name": "canary", "clusters": ["m1"], "gates": {"approval": True}}])
        rig.put(template=B)
        await asyncio.sleep(30)
        rig.quiet()
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(60)
        assert (again.asked, again.values) == ({}, ("B", "A", "A"))
        again.members["m2"].post(CONFIGMAPS.target, WEB, {"data": {"a": "drift"}})
        await asyncio.sleep(5)
        assert again.values == ("B", "A", "A")
        again.ask(annotations={marks.APPROVED_ANNOTATION: "2/canary"})
        await asyncio.sleep(10)
        assert again.values == ("B", "B", "B")


@virtual
async def test_until_rollouts_are_listed_nothing_is_planned() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        rig.quiet()
    async with Staged("m1", "m2", "m3", after=rig, listed=False) as again:
        await asyncio.sleep(600)
        assert (again.asked, again.values) == ({}, ("B", "A", "A"))
        again.hub.follow(ROLLOUTS, again.sink, decoding.stored)
        await asyncio.sleep(70)
        assert again.values == ("B", "B", "B")


@virtual
async def test_without_a_rollout_of_the_name_nothing_changes() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.hub.delete(ROLLOUTS, ROLLOUT)
        rig.put(template=B)
        await asyncio.sleep(60)
        assert (rig.asked, rig.values) == ({}, ("A", "A", "A"))
        assert "there is no FederatedRollout ns/safe" in rig.condition("Ready")["message"]
        rig.put(template=B, metadata={"labels": {marks.ROLLOUT_LABEL: None}})
        await asyncio.sleep(10)
        assert rig.values == ("B", "B", "B")


@virtual
async def test_undo_puts_the_good_revision_back_and_writes_no_federated_object() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        assert rig.values == ("B", "A", "A")
        rig.quiet()
        rig.ask(annotations={marks.UNDONE_ANNOTATION: "2"})
        await asyncio.sleep(10)
        assert (rig.values, rig.state, set(rig.asked)) == (("A", "A", "A"), "Undone", {"m1"})
        assert (rig.stored() or {})["spec"]["template"] == B
        await asyncio.sleep(3600)
        assert rig.values == ("A", "A", "A")
        rig.put(template=C)
        await asyncio.sleep(10)
        assert rig.values == ("C", "A", "A")


@virtual
async def test_a_change_in_mid_run_supersedes() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(30)
        rig.put(template=C)
        await asyncio.sleep(20)
        assert rig.values == ("C", "A", "A")
        await asyncio.sleep(50)
        assert rig.values == ("C", "C", "C")
        assert [each["verdict"] for each in rig.record["revisions"]] == ["Good", "Superseded", "Good"]
        assert any(event["reason"] == "RolloutSuperseded" for event in rig.hub.events)


@virtual
async def test_a_cluster_that_joins_in_mid_run_gets_what_its_stage_has() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        rig.put_selected(WEB, {})
        await settle()
        rig.ask()
        rig.hub.put(CONFIGMAPS.federated, WEB, spec={"template": A}, metadata=LABEL)
        await asyncio.sleep(90)
        assert rig.values == ("A", "A", "A")
        rig.hub.put(CONFIGMAPS.federated, WEB, spec={"template": B})
        await asyncio.sleep(10)
        rig._names = (*rig._names, "m4")
        rig.join("m4")
        await asyncio.sleep(10)
        assert rig.values == ("B", "A", "A", "A")
        await asyncio.sleep(70)
        assert rig.values == ("B", "B", "B", "B")


@virtual
async def test_secrets_are_refused_and_nothing_of_them_is_stored() -> None:
    async with Staged("m1", "m2", types=(CONFIGMAPS, SECRETS)) as rig:
        rig.ask()
        rig.put(template={"stringData": {"a": "hush"}}, enabled=SECRETS, metadata=LABEL)
        await asyncio.sleep(60)
        assert (rig.asked, rig.revisions) == ({}, 0)
        assert "Secrets cannot be staged" in rig.condition("Ready", enabled=SECRETS)["message"]


@virtual
async def test_a_canary_that_never_becomes_well_stops_everything_behind_it() -> None:
    async with Staged("m1", "m2", "m3", types=(CONFIGMAPS, WIDGETS)) as rig:
        rig.ask()
        rig.put(template={"spec": {"v": 1}}, enabled=WIDGETS, metadata=LABEL)
        await asyncio.sleep(5)
        well = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        ill = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Crashing"}]}}
        rig.members["m1"].post(WIDGETS.target, WEB, ill)
        await asyncio.sleep(7200)
        assert set(rig.asked) == {"m1"}
        assert rig.state == "WaitingForHealth"
        message = (rig.hub.get(ROLLOUTS, ROLLOUT) or {})["status"]["conditions"][0]["message"]
        assert "Crashing" in message
        rig.members["m1"].post(WIDGETS.target, WEB, well)
        await asyncio.sleep(90)
        assert set(rig.asked) == {"m1", "m2", "m3"}


@pytest.mark.parametrize("spec", [{"stages": []}, {"stages": [{"name": "rest", "clusters": ["m1"]}]}])
def test_what_is_wrong_with_a_rollout_releases_nothing(spec: Any) -> None:
    @virtual
    async def run() -> None:
        async with Staged("m1", "m2", "m3") as rig:
            await spread(rig)
            rig.hub.put(ROLLOUTS, ROLLOUT, spec=spec)
            rig.put(template=B)
            await asyncio.sleep(60)
            assert (rig.asked, rig.values, rig.state) == ({}, ("A", "A", "A"), "InvalidSpec")

    run()


@virtual
async def test_a_revision_that_somebody_deleted_leaves_who_waits_as_it_is() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        rig.put(template=B)
        await asyncio.sleep(10)
        for what, name in list(rig.hub.objects):
            if what == REVISIONS.qualified:
                del rig.hub.objects[what, name]
        rig.quiet()
    async with Staged("m1", "m2", "m3", after=rig) as again:
        await asyncio.sleep(30)
        assert (again.asked, again.values) == ({}, ("B", "A", "A"))
        await asyncio.sleep(60)
        assert again.values == ("B", "B", "B")


@virtual
async def test_a_list_that_our_own_write_has_overtaken_takes_nobody_back() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        old = decoding.stored(orjson.dumps(rig.hub.get(ROLLOUTS, ROLLOUT)))
        rig.put(template=B)
        await asyncio.sleep(5)
        assert rig.values == ("B", "A", "A")
        rig.sink.replace([old])
        await asyncio.sleep(10)
        assert rig.values == ("B", "A", "A")
        await asyncio.sleep(60)
        assert rig.values == ("B", "B", "B")


@virtual
async def test_what_waits_for_its_stage_is_no_event_of_each_object() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        rig.ask()
        rig.put(template=A, metadata=LABEL)
        await asyncio.sleep(200)
        reasons = {event["reason"] for event in rig.hub.events}
        assert reasons == {"RolloutStarted", "StageReleased", "RolloutComplete"}


@virtual
async def test_an_expression_holds_the_next_stage_until_it_is_true() -> None:
    pytest.importorskip("celpy")
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        asks = {"type": "configmaps", "expression": "has(object.data.well) && object.data.well == 'yes'"}
        rig.ask([{"name": "canary", "clusters": ["m1"], "gates": {"expressions": [asks]}}])
        rig.put(template=B)
        await asyncio.sleep(600)
        assert (rig.values, rig.state) == (("B", "A", "A"), "WaitingForHealth")
        rig.members["m1"].post(CONFIGMAPS.target, WEB, {"data": {"well": "yes"}})
        await asyncio.sleep(10)
        assert rig.values == ("B", "B", "B")


@virtual
async def test_an_expression_that_cannot_be_used_releases_nothing() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        asks = {"type": "configmaps", "expression": "object.data.well =="}
        rig.ask([{"name": "canary", "clusters": ["m1"], "gates": {"expressions": [asks]}}])
        rig.put(template=B)
        await asyncio.sleep(600)
        assert (rig.asked, rig.values, rig.state) == ({}, ("A", "A", "A"), "InvalidSpec")


@virtual
async def test_an_object_that_is_refused_holds_its_set() -> None:
    async with Staged("m1", "m2", "m3", types=(CONFIGMAPS, WIDGETS)) as rig:
        await spread(rig)
        wrong = {"kind": "Gadget", "spec": {}}
        rig.put(template=wrong, enabled=WIDGETS, metadata=LABEL)
        rig.put(template=B)
        await asyncio.sleep(600)
        assert (rig.values, rig.state) == (("B", "A", "A"), "WaitingForHealth")


@virtual
async def test_a_content_that_was_deleted_and_comes_again_is_known_again() -> None:
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        for what, name in list(rig.hub.objects):
            if what == REVISIONS.qualified:
                del rig.hub.objects[what, name]
        rig.put(template=B)
        await asyncio.sleep(120)
        assert rig.values == ("B", "B", "B")
        rig.put(template=A)
        await asyncio.sleep(120)
        rig.put(template=C)
        await asyncio.sleep(10)
        rig.members["m2"].remove(CONFIGMAPS.target, WEB)
        await asyncio.sleep(10)
        assert rig.values == ("C", "A", "A")


@pytest.mark.parametrize("record", [None, {"good": "x"}, {"revisions": []}])
def test_a_record_that_somebody_emptied_is_written_back_and_nobody_is_released(record: Any) -> None:
    @virtual
    async def run() -> None:
        async with Staged("m1", "m2", "m3") as rig:
            await spread(rig)
            rig.put(template=B)
            await asyncio.sleep(10)
            before = rig.record
            rig.quiet()
            rig.hub.put(ROLLOUTS, ROLLOUT, status={"record": None})
            rig.hub.put(ROLLOUTS, ROLLOUT, status={"record": record})
            await asyncio.sleep(10)
            assert (rig.asked, rig.values, rig.record) == ({}, ("B", "A", "A"), before)

    run()


@virtual
async def test_while_nothing_is_pushed_a_rollout_stays_where_it_is() -> None:
    """Feature gate PushReconciler is off, and with it every type: its set is not empty, but unknown."""
    async with Staged("m1", "m2", "m3") as rig:
        await spread(rig)
        on, types = rig.world.settings, dict(rig.world.types)
        rig.put(template=B, metadata=LABEL)
        await asyncio.sleep(10)
        assert (rig.state, rig.values) == ("Soaking", ("B", "A", "A"))
        rig.world.settings = replace(on, features=on.features - {PUSHER})
        rig.world.types.clear()
        rig.rollouts.observed(ROLLOUT)
        before = rig.record
        await asyncio.sleep(600)
        assert (rig.state, rig.values, rig.record) == ("Soaking", ("B", "A", "A"), before)
        rig.world.types.update(types)
        rig.world.settings = on
        await asyncio.sleep(600)
        assert (rig.state, rig.values) == ("Complete", ("B", "B", "B"))
