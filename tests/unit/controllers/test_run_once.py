"""What has run to completion in a cluster and is gone does not run there again, unless its template changes.

The members' Jobs report as kube-controller-manager does (tried on 1.36): managedFields of their status show which
fields it has, never a value.
"""

import asyncio

import pytest

from federation.core import run_once
from federation.model.federated import FederatedType
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import ObjectName, Resource
from tests.unit.controllers.rig import GROUP, WEB, Rig
from tests.unit.virtualtime import settle, virtual

JOBS = FederatedType(
    "jobs.batch",
    Resource("batch", "v1", "Job", "jobs", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedJob", "federatedjobs", namespaced=True),
)
TASKS = FederatedType(
    "tasks.example.com",
    Resource("example.com", "v1", "Task", "tasks", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedTask", "federatedtasks", namespaced=True),
)
TEMPLATE = {"spec": {"parallelism": 1}}
LABEL = ("metadata", "labels", MANAGED_LABEL)
RUNNING = ("active", "ready", "startTime", "terminating", "uncountedTerminatedPods")
COMPLETE = ("completionTime", "conditions", "ready", "startTime", "succeeded", "terminating")
FAILED = ("conditions", "failed", "ready", "startTime", "terminating")
SUSPENDED = ("conditions", "ready", "terminating")
RESUMED = (*RUNNING, "conditions")


def messages(rig: Rig, enabled: FederatedType = JOBS) -> dict[str, str]:
    body = rig.stored(WEB, enabled)
    assert body is not None
    return {each["name"]: each.get("message", "") for each in body["status"]["clusters"]}


def runs(rig: Rig, enabled: FederatedType = JOBS) -> bool:
    return rig.members["m1"].value(enabled.target, WEB, "spec", "parallelism") is not None


async def ran(rig: Rig, *status: str, enabled: FederatedType = JOBS, **metadata: object) -> None:
    """It is pushed, reports this status, and is deleted in the member."""
    rig.put(WEB, TEMPLATE, enabled=enabled, metadata=metadata)
    await settle()
    member = rig.members["m1"]
    if status:
        member.report(enabled.target, WEB, *status)
    member.remove(enabled.target, WEB)
    await asyncio.sleep(30)


@pytest.mark.parametrize("status", [COMPLETE, FAILED], ids=["complete", "failed"])
@virtual
async def test_a_job_that_has_finished_and_is_gone_does_not_run_again(status: tuple[str, ...]) -> None:
    """Its ttlSecondsAfterFinished, or somebody who tidies up."""
    async with Rig("m1", types=(JOBS,)) as fleet:
        await ran(fleet, *status)
        assert not runs(fleet)
        assert messages(fleet) == {"m1": run_once.MESSAGE}
        assert fleet.condition("Ready", WEB, JOBS)["status"] == "True"
        await asyncio.sleep(3600)
        assert not runs(fleet)


@pytest.mark.parametrize(
    "status", [(), RUNNING, SUSPENDED, RESUMED], ids=["no-status", "running", "suspended", "resumed"]
)
@virtual
async def test_one_that_was_deleted_before_it_had_finished_is_put_back(status: tuple[str, ...]) -> None:
    async with Rig("m1", types=(JOBS,)) as fleet:
        await ran(fleet, *status)
        assert runs(fleet)
        assert messages(fleet) == {"m1": ""}


@virtual
async def test_one_that_has_only_lost_our_label_is_there_still_and_gets_it_back() -> None:
    """Its watch shows the same as for one that is gone. When its object is deleted, it goes, too."""
    async with Rig("m1", types=(JOBS,)) as fleet:
        fleet.put(WEB, TEMPLATE, enabled=JOBS)
        await settle()
        member = fleet.members["m1"]
        member.report(JOBS.target, WEB, *COMPLETE)
        await settle()
        member.unset(JOBS.target, WEB, LABEL)
        await asyncio.sleep(30)
        assert (member.value(JOBS.target, WEB, *LABEL), messages(fleet)) == ("true", {"m1": ""})
        fleet.delete(WEB, JOBS)
        await asyncio.sleep(30)
        assert not runs(fleet)


@virtual
async def test_one_that_is_gone_is_asked_for_once() -> None:
    async with Rig("m1", types=(JOBS,)) as fleet:
        await ran(fleet, *COMPLETE)
        fleet.quiet()
        await asyncio.sleep(3600)
        assert fleet.asked == {}
        assert messages(fleet) == {"m1": run_once.MESSAGE}


@virtual
async def test_another_template_runs() -> None:
    async with Rig("m1", types=(JOBS,)) as fleet:
        await ran(fleet, *COMPLETE)
        fleet.put(WEB, {"metadata": {"annotations": {"again": "1"}}, **TEMPLATE}, enabled=JOBS)
        await settle()
        assert runs(fleet)
        assert messages(fleet) == {"m1": ""}


@virtual
async def test_a_cluster_that_is_placed_anew_runs_it_and_so_does_a_new_object() -> None:
    async with Rig("m1", types=(JOBS,)) as fleet:
        await ran(fleet, *COMPLETE)
        fleet.put(WEB, TEMPLATE, clusters=(), enabled=JOBS)
        await settle()
        fleet.put(WEB, TEMPLATE, enabled=JOBS)
        await settle()
        assert runs(fleet)
        fleet.members["m1"].report(JOBS.target, WEB, *COMPLETE)
        fleet.members["m1"].remove(JOBS.target, WEB)
        await settle()
        assert not runs(fleet)
        fleet.delete(WEB, JOBS)
        await asyncio.sleep(30)
        assert fleet.stored(WEB, JOBS) is None
        fleet.put(WEB, TEMPLATE, enabled=JOBS)
        await settle()
        assert runs(fleet)


@virtual
async def test_it_holds_across_restarts_also_where_nobody_saw_it_go() -> None:
    async with Rig("m1", types=(JOBS,)) as before:
        before.put(WEB, TEMPLATE, enabled=JOBS)
        await settle()
    before.members["m1"].remove(JOBS.target, WEB)
    async with Rig("m1", types=(JOBS,), after=before) as after:
        await asyncio.sleep(60)
        assert not runs(after)
        assert messages(after) == {"m1": run_once.MESSAGE}
    async with Rig("m1", types=(JOBS,), after=after) as again:
        again.quiet()
        await asyncio.sleep(60)
        assert not runs(again)
        assert (again.hub.writes, messages(again)) == ([], {"m1": run_once.MESSAGE})


@pytest.mark.parametrize(
    ("said_so", "again"), [({}, True), ({"kubefed.io/run-once": "true"}, False)], ids=["like-any-other", "once"]
)
@virtual
async def test_other_types_run_once_where_their_user_asks_for_it(said_so: dict[str, str], again: bool) -> None:
    async with Rig("m1", types=(TASKS,)) as fleet:
        await ran(fleet, enabled=TASKS, annotations=said_so)
        assert runs(fleet, TASKS) is again


@virtual
async def test_a_job_may_be_kept_running_by_its_user() -> None:
    async with Rig("m1", types=(JOBS,)) as fleet:
        await ran(fleet, *COMPLETE, annotations={"kubefed.io/run-once": "false"})
        assert runs(fleet)


@pytest.mark.parametrize(
    ("policy", "expected"), [("Never", True), ("OnFailure", True), ("Always", False), (None, False)]
)
def test_pods_that_are_not_restarted(policy: str | None, expected: bool) -> None:
    pods = FederatedType("pods", Resource("", "v1", "Pod", "pods", namespaced=True), JOBS.federated)
    assert run_once.runs_once({}, pods, {"spec": {"restartPolicy": policy}}) is expected


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_runs_in_another_cluster_that_joins_under_a_name_of_before(restarted: bool) -> None:
    """What a status says about a cluster is not about the next one of that name, however it came."""

    @virtual
    async def test() -> None:
        async with Rig("m1", "m2", types=(JOBS,)) as rig:
            await ran(rig, *COMPLETE)
            assert not runs(rig)
            if not restarted:
                rig.leave("m1")
                rig.join("m1", ready=None)
                await asyncio.sleep(5)
                body = rig.stored(WEB, JOBS)
                assert body is not None
                assert next(each for each in body["status"]["clusters"] if each["name"] == "m1")["status"] == "Pending"
                rig.see("m1", ready=True)
                await asyncio.sleep(30)
                assert runs(rig)
                return
        rig.hub.sinks.clear()
        again = Rig("m1", "m2", types=(JOBS,), after=rig, newcomers=("m1",))
        async with again:
            await asyncio.sleep(30)
            assert runs(again)
            again.delete(WEB, JOBS)
            await asyncio.sleep(30)
            assert (again.stored(WEB, JOBS), again.members["m1"].objects) == (None, {})

    test()


PODS = FederatedType(
    "pods",
    Resource("", "v1", "Pod", "pods", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedPod", "federatedpods", namespaced=True),
)


@pytest.mark.parametrize(
    ("status", "again"),
    [((), True), (("conditions", "phase"), True), (("conditions", "phase", "startTime"), False)],
    ids=["no-node", "unschedulable", "started"],
)
@virtual
async def test_a_pod_that_no_node_ever_started_has_not_run(status: tuple[str, ...], again: bool) -> None:
    template = {"spec": {"parallelism": 1, "restartPolicy": "Never"}}
    async with Rig("m1", types=(PODS,)) as fleet:
        fleet.put(WEB, template, enabled=PODS)
        await settle()
        if status:
            fleet.members["m1"].report(PODS.target, WEB, *status)
        fleet.members["m1"].remove(PODS.target, WEB)
        await asyncio.sleep(30)
        assert runs(fleet, PODS) is again


@virtual
async def test_a_job_that_goes_before_its_creation_is_answered_has_not_run() -> None:
    async with Rig("m1", types=(JOBS,)) as fleet:
        member = fleet.members["m1"]
        seen: list[ObjectName] = []

        def gone(verb: str, name: ObjectName) -> None:
            if not seen:
                seen.append(name)
                member.remove(JOBS.target, name)

        member.lost = gone
        fleet.put(WEB, TEMPLATE, enabled=JOBS)
        await asyncio.sleep(30)
        assert seen == [WEB]
        assert runs(fleet)
