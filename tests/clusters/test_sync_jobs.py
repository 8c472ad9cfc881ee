"""What runs once, with Kubernetes' own controllers in the members: Jobs that end and that their TTL removes, CronJobs.

There are no nodes: a test writes into the status of a Pod that it has ended, as a kubelet would.
"""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from federation.core import run_once
from federation.kube.connection import MERGE_PATCH, expect
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import TYPES, Api, eventually, federated_namespace, never
from tests.clusters.steps import Federated, gone, holds, make, type_status

pytestmark = pytest.mark.usefixtures("mode")

JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)
CRON_JOBS = Resource("batch", "v1", "CronJob", "cronjobs", namespaced=True)
PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
FEDERATED_JOBS = Resource(TYPES, "v1beta1", "FederatedJob", "federatedjobs", namespaced=True)
FEDERATED_CRON_JOBS = Resource(TYPES, "v1beta1", "FederatedCronJob", "federatedcronjobs", namespaced=True)
POD = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c"}]}}


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def enabled(fleet: Fleet) -> AsyncIterator[None]:
    await fleet.enable(JOBS.qualified, CRON_JOBS.qualified)
    async with fleet.api("host") as host:
        for each in (JOBS, CRON_JOBS):
            await type_status(host, each.qualified, propagationController="Running")
    yield
    await fleet.disable(JOBS.qualified, CRON_JOBS.qualified)


@pytest.fixture(autouse=True)
async def placed(host: Api, m1: Api, namespace: str) -> None:
    await federated_namespace(host, namespace, ["m1"])
    await holds(m1, Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True), namespace, "default")


async def begin(host: Api, namespace: str, **spec: Any) -> Federated:
    return await make(host, FEDERATED_JOBS, namespace, "once", {"spec": {"template": POD, **spec}}, clusters=["m1"])


async def finish(api: Api, namespace: str) -> None:
    """The Job's Pod has succeeded, and the Job is complete."""

    async def started() -> object:
        return await api.items(PODS, namespace)

    for pod in await eventually(started, seen="the Job's Pod"):
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
        body = orjson.dumps({"status": {"phase": "Succeeded"}})
        expect(await api.connection.request("PATCH", path, body=body, content_type=MERGE_PATCH))


def complete(stored: dict[str, Any]) -> bool:
    return "completionTime" in stored["status"]


async def test_a_job_that_its_ttl_removed_runs_again_with_another_template_only(
    fleet: Fleet, host: Api, m1: Api, namespace: str
) -> None:
    job = await begin(host, namespace, ttlSecondsAfterFinished=1)
    await finish(m1, namespace)
    await gone(m1, JOBS, namespace, "once")
    await job.reports("m1", message=run_once.MESSAGE)
    fleet.controller.kill()
    fleet.controller.start()
    await never(lambda: m1.get(JOBS, namespace, "once"), during=3.0)
    await job.reports("m1", message=run_once.MESSAGE)
    await job.patch({"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}})
    await holds(m1, JOBS, namespace, "once")


async def test_a_job_that_is_deleted_while_it_runs_is_put_back(host: Api, m1: Api, namespace: str) -> None:
    job = await begin(host, namespace)
    before = await holds(m1, JOBS, namespace, "once", lambda found: found["status"].get("active"))
    await m1.delete(JOBS, namespace, "once")
    await holds(m1, JOBS, namespace, "once", lambda found: found["metadata"]["uid"] != before["metadata"]["uid"])
    await job.settled()


async def test_a_finished_job_that_lost_our_label_gets_it_back(host: Api, m1: Api, namespace: str) -> None:
    """It has not gone, and goes with its federated object."""
    job = await begin(host, namespace)
    await finish(m1, namespace)
    before = await holds(m1, JOBS, namespace, "once", complete)
    await m1.patch(JOBS, namespace, "once", {"metadata": {"labels": {MANAGED_LABEL: None}}})
    stored = await holds(m1, JOBS, namespace, "once", lambda found: MANAGED_LABEL in found["metadata"]["labels"])
    assert stored["metadata"]["uid"] == before["metadata"]["uid"]
    assert await job.reports("m1") == {"name": "m1", "fingerprint": (await job.reports("m1"))["fingerprint"]}
    await job.delete()
    await gone(m1, JOBS, namespace, "once")


async def test_the_jobs_of_a_cron_job_are_the_members_own(host: Api, m1: Api, namespace: str) -> None:
    """They have neither our label nor anything of ours, and go with their CronJob."""
    template = {
        "metadata": {"labels": {"app": "cron"}},
        "spec": {"schedule": "@yearly", "jobTemplate": {"spec": {"template": POD}}},
    }
    cron = await make(host, FEDERATED_CRON_JOBS, namespace, "cron", template, clusters=["m1"])
    stored = await holds(m1, CRON_JOBS, namespace, "cron")
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "cron", "uid": stored["metadata"]["uid"]}
    child = {
        "metadata": {"name": "child", "ownerReferences": [owner | {"controller": True}]},
        "spec": {"template": POD},
    }
    made = await m1.create(JOBS, child, namespace)
    await never(_changed(m1, namespace, made["metadata"]["uid"]), during=3.0)
    await cron.delete()
    await gone(m1, JOBS, namespace, "child")


def _changed(api: Api, namespace: str, uid: str) -> Any:
    async def changed() -> object:
        found = await api.get(JOBS, namespace, "child")
        labels = (found or {"metadata": {}})["metadata"].get("labels", {})
        return found is None or found["metadata"]["uid"] != uid or MANAGED_LABEL in labels

    return changed
