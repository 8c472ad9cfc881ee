"""The work agent on real API servers: each strategy, deletion, drift, feedback. Works are written by the test."""

from typing import Any

import orjson
import pytest

from federation.kube.connection import MERGE_PATCH
from federation.model.failures import Failure
from federation.model.resources import ObjectName, Resource
from federation.model.works import AGENT_LABEL, MANIFEST_WORKS, WORK_FINALIZER
from tests.clusters.agents import Pull, of_manifest, pull
from tests.clusters.harness import CONFIGMAPS, DEPLOYMENTS, condition, eventually, never
from tests.clusters.steps import gone, holds

__all__ = ["pull"]

JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)


async def test_a_work_is_applied_reported_and_removed(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}), pull.object("b", data={"k": "2"}))
    work = await pull.until("w")
    assert work["metadata"]["finalizers"] == [WORK_FINALIZER]
    assert condition(work, "Applied")["reason"] == "AppliedManifestWorkComplete"
    assert condition(work, "Available")["reason"] == "ResourcesAvailable"
    assert of_manifest(work, "a", "Applied")["reason"] == "AppliedManifestComplete"
    assert of_manifest(work, "a", "Available")["reason"] == "ResourceAvailable"
    assert [each["resourceMeta"]["ordinal"] for each in work["status"]["resourceStatus"]["manifests"]] == [0, 1]
    found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert found is not None
    assert found["data"] == {"k": "1"}
    record = await pull.record("w")
    assert record is not None
    assert record["metadata"]["name"].endswith("-w")
    assert [each["name"] for each in record["status"]["appliedResources"]] == ["a", "b"]
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["uid"], owner.get("controller")) == (record["metadata"]["uid"], None)
    assert AGENT_LABEL in found["metadata"]["labels"]

    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.gone("w")
    assert await pull.member.get(CONFIGMAPS, pull.namespace, "a") is None
    assert await pull.member.get(CONFIGMAPS, pull.namespace, "b") is None
    assert await pull.record("w") is None


async def test_what_a_work_names_no_more_goes_and_what_changes_is_applied(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1", "l": "1"}), pull.object("b"))
    await pull.until("w")
    await pull.work("w", pull.object("a", data={"k": "2"}), pull.object("c"))
    await pull.until("w")
    assert (await pull.member.get(CONFIGMAPS, pull.namespace, "a") or {})["data"] == {"k": "2"}
    await holds(pull.member, CONFIGMAPS, pull.namespace, "c")
    await gone(pull.member, CONFIGMAPS, pull.namespace, "b")
    record = await pull.record("w")
    assert record is not None
    assert sorted(each["name"] for each in record["status"]["appliedResources"]) == ["a", "c"]


async def test_drift_is_repaired_and_nothing_is_written_at_rest(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}))
    await pull.until("w")
    await pull.member.patch(CONFIGMAPS, pull.namespace, "a", {"data": {"k": "somebody", "own": "stays"}})

    async def repaired() -> Any:
        found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
        return found if found and found["data"] == {"k": "1", "own": "stays"} else None

    await eventually(repaired)
    before = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    await pull.member.delete(CONFIGMAPS, pull.namespace, "a")

    async def created_anew() -> Any:
        found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
        return found and before and found["metadata"]["uid"] != before["metadata"]["uid"]

    await eventually(created_anew)
    await pull.member.patch(CONFIGMAPS, pull.namespace, "a", {"metadata": {"labels": {AGENT_LABEL: None}}})

    async def labelled() -> Any:
        found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
        return found and AGENT_LABEL in found["metadata"].get("labels", {})

    await eventually(labelled)

    async def at_rest() -> bool:
        counts = [pull.count(f"federation_agent_{side}_writes_total") for side in ("member", "hub")]
        for _ in range(4):
            await never(nothing, during=1.0)
            if [pull.count(f"federation_agent_{side}_writes_total") for side in ("member", "hub")] != counts:
                return False
        return True

    async def nothing() -> bool:
        return False

    await eventually(at_rest, within=40.0)


async def test_one_bad_manifest_hurts_only_itself(pull: Pull) -> None:
    await pull.start()
    bad = pull.object("bad", data={"k": {"not": "text"}})
    missing = pull.object("x", "Widget", "example.io/v1")
    await pull.work("w", bad, missing, pull.object("good"))
    work = await pull.until("w", status="False", reason="AppliedManifestWorkFailed")
    assert of_manifest(work, "good", "Applied")["status"] == "True"
    assert of_manifest(work, "bad", "Applied")["reason"] == "AppliedManifestFailed"
    assert "does not serve Widget" in of_manifest(work, "x", "Applied")["message"]
    assert of_manifest(work, "x", "Available")["status"] == "Unknown"
    await holds(pull.member, CONFIGMAPS, pull.namespace, "good")


async def test_kinds_in_order_with_a_namespace_and_a_definition_of_the_same_work(pull: Pull) -> None:
    await pull.start()
    namespace, group = f"{pull.namespace}-own", "agents.example.io"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": "widgets"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    metadata = {"name": "x", "namespace": namespace}
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": metadata, "spec": {"size": 1}}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    await pull.work("w", widget, definition, space)
    await pull.until("w")
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.gone("w", within=60.0)


@pytest.mark.parametrize("exists", [False, True], ids=["absent", "exists"])
async def test_create_only_leaves_what_is_there(pull: Pull, exists: bool) -> None:
    await pull.start()
    if exists:
        await pull.member.create(CONFIGMAPS, pull.object("a", data={"k": "theirs"}), pull.namespace)
    config = pull.config("a", updateStrategy={"type": "CreateOnly"})
    await pull.work("w", pull.object("a", data={"k": "ours"}), manifestConfigs=[config])
    await pull.until("w")
    found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert found is not None
    assert found["data"] == {"k": "theirs" if exists else "ours"}
    assert len(found["metadata"]["ownerReferences"]) == 1
    await pull.member.patch(CONFIGMAPS, pull.namespace, "a", {"data": {"k": "changed"}})
    await pull.work("w", pull.object("a", data={"k": "newer"}), manifestConfigs=[config])
    await pull.until("w")
    assert (await pull.member.get(CONFIGMAPS, pull.namespace, "a") or {})["data"] == {"k": "changed"}


async def test_read_only_looks_and_reports_and_touches_nothing(pull: Pull) -> None:
    await pull.start(**{"federation.agent.reconciling.LOOK": (0.5, 1.0)})  # type: ignore[arg-type]
    rules = [{"type": "JSONPaths", "jsonPaths": [{"name": "k", "path": ".data.k"}]}]
    config = pull.config("a", updateStrategy={"type": "ReadOnly"}, feedbackRules=rules)
    await pull.work("w", pull.object("a"), manifestConfigs=[config])
    await pull.until("w", "Available", "False", reason="ResourcesNotAvailable")
    await pull.member.create(CONFIGMAPS, pull.object("a", data={"k": "theirs"}), pull.namespace)
    work = await pull.until("w", "Available", "True")
    values = work["status"]["resourceStatus"]["manifests"][0]["statusFeedback"]["values"]
    assert values == [{"name": "k", "fieldValue": {"type": "String", "string": "theirs"}}]
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.gone("w")
    found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert found is not None
    assert "labels" not in found["metadata"]


async def test_server_side_apply_gives_way_unless_forced(pull: Pull) -> None:
    await pull.start()
    await pull.member.apply(CONFIGMAPS, pull.object("a", data={"k": "theirs"}), manager="somebody")
    settings: dict[str, Any] = {"fieldManager": "work-agent-x"}
    config = pull.config("a", updateStrategy={"type": "ServerSideApply", "serverSideApply": settings})
    await pull.work("w", pull.object("a", data={"k": "ours"}), manifestConfigs=[config])
    work = await pull.until("w", status="False")
    assert of_manifest(work, "a", "Applied")["reason"] == "ApplyConflict"
    assert "somebody" in of_manifest(work, "a", "Applied")["message"]
    settings["force"] = True
    await pull.work("w", pull.object("a", data={"k": "ours"}), manifestConfigs=[config])
    await pull.until("w")
    found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert found is not None
    assert found["data"] == {"k": "ours"}
    assert "work-agent-x" in {each["manager"] for each in found["metadata"]["managedFields"]}


def deployment(pull: Pull, replicas: int, image: str = "a") -> dict[str, Any]:
    labels = {"app": "x"}
    container = {"name": "c", "image": image}
    return pull.object(
        "x",
        "Deployment",
        "apps/v1",
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    )


async def test_fields_that_are_ignored_when_present_stay_the_members(pull: Pull) -> None:
    await pull.start()
    ignored = [{"condition": "OnSpokePresent", "jsonPaths": [".spec.replicas"]}]
    strategy = {"type": "ServerSideApply", "serverSideApply": {"force": True, "ignoreFields": ignored}}
    config = pull.config("x", "deployments", "apps", updateStrategy=strategy)
    await pull.work("w", deployment(pull, 2), manifestConfigs=[config])
    await pull.until("w")
    await holds(pull.member, DEPLOYMENTS, pull.namespace, "x", lambda found: found["spec"]["replicas"] == 2)
    await pull.work("w", deployment(pull, 3, "b"), manifestConfigs=[config])
    await pull.until("w")
    found = await pull.member.get(DEPLOYMENTS, pull.namespace, "x")
    assert found is not None
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "b"
    assert found["spec"]["replicas"] == 2
    await pull.member.patch(DEPLOYMENTS, pull.namespace, "x", {"spec": {"replicas": 5}})

    async def reset() -> bool:
        now = await pull.member.get(DEPLOYMENTS, pull.namespace, "x")
        return now is None or now["spec"]["replicas"] != 5

    await never(reset, during=2.0)


async def test_fields_that_are_ignored_when_changed_come_back_with_another_manifest(pull: Pull) -> None:
    await pull.start()
    ignored = [{"condition": "OnSpokeChange", "jsonPointers": ["/spec/replicas"]}]
    strategy = {"type": "ServerSideApply", "serverSideApply": {"force": True, "ignoreFields": ignored}}
    config = pull.config("x", "deployments", "apps", updateStrategy=strategy)
    await pull.work("w", deployment(pull, 2), manifestConfigs=[config])
    await pull.until("w")
    await pull.member.patch(DEPLOYMENTS, pull.namespace, "x", {"spec": {"replicas": 5}})

    async def reset() -> bool:
        now = await pull.member.get(DEPLOYMENTS, pull.namespace, "x")
        return now is None or now["spec"]["replicas"] != 5

    await never(reset, during=2.0)
    await pull.work("w", deployment(pull, 3), manifestConfigs=[config])
    await holds(pull.member, DEPLOYMENTS, pull.namespace, "x", lambda found: found["spec"]["replicas"] == 3)


async def test_feedback_and_conditions_follow_the_object(pull: Pull) -> None:
    await pull.start(**{"federation.agent.reporting.SPACING": 0.5})
    rule = {"type": "CEL", "condition": "Progressing", "celExpressions": ["object.spec.replicas < 3"]}
    config = pull.config("x", "deployments", "apps", feedbackRules=[{"type": "WellKnownStatus"}], conditionRules=[rule])
    await pull.work("w", deployment(pull, 2), manifestConfigs=[config])
    await pull.until("w", "Progressing", "True", reason="ConditionRulesAggregated")

    async def reported() -> Any:
        work = await pull.stored("w")
        values = work and work["status"]["resourceStatus"]["manifests"][0].get("statusFeedback", {}).get("values", ())
        return {each["name"]: each["fieldValue"].get("integer") for each in values or ()}.get("Replicas") == 2

    await eventually(reported, within=30.0)
    await pull.work("w", deployment(pull, 3), manifestConfigs=[config])
    await pull.until("w", "Progressing", "False")


@pytest.mark.parametrize("policy", ["Orphan", "SelectivelyOrphan"])
async def test_objects_that_stay_lose_our_marks_and_nothing_else(pull: Pull, policy: str) -> None:
    await pull.start()
    option: dict[str, Any] = {"propagationPolicy": policy}
    if policy == "SelectivelyOrphan":
        option["selectivelyOrphans"] = {"orphaningRules": [pull.config("a")["resourceIdentifier"]]}
    await pull.work("w", pull.object("a", data={"k": "1"}), pull.object("b"))
    await pull.until("w")
    before = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    await pull.work("w", pull.object("a", data={"k": "1"}), pull.object("b"), deleteOption=option)
    await pull.until("w")
    await holds(pull.member, CONFIGMAPS, pull.namespace, "a", lambda found: "ownerReferences" not in found["metadata"])
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.gone("w")
    found = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert found is not None
    assert before is not None
    assert found["metadata"]["uid"] == before["metadata"]["uid"]
    assert found["data"] == {"k": "1"}
    assert AGENT_LABEL not in found["metadata"].get("labels", {})
    other = await pull.member.get(CONFIGMAPS, pull.namespace, "b")
    assert (other is not None) == (policy == "Orphan")


async def test_what_somebody_made_anew_under_the_name_is_not_deleted(pull: Pull) -> None:
    await pull.start()
    await pull.work("w", pull.object("a", data={"k": "1"}))
    await pull.until("w")
    await pull.host.patch(MANIFEST_WORKS, pull.cluster, "w", {"spec": {"workload": {"manifests": []}}})
    await gone(pull.member, CONFIGMAPS, pull.namespace, "a")
    await pull.member.create(CONFIGMAPS, pull.object("a", data={"k": "theirs"}), pull.namespace)
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.gone("w")
    await holds(pull.member, CONFIGMAPS, pull.namespace, "a")


async def test_two_works_that_name_one_object(pull: Pull) -> None:
    await pull.start()
    await pull.work("first", pull.object("a", data={"k": "1"}))
    await pull.until("first")
    await pull.work("same", pull.object("a", data={"k": "1"}))
    await pull.until("same")
    await holds(
        pull.member, CONFIGMAPS, pull.namespace, "a", lambda found: len(found["metadata"]["ownerReferences"]) == 2
    )
    await pull.work("other", pull.object("a", data={"k": "2"}))
    work = await pull.until("other", status="False")
    message = of_manifest(work, "a", "Applied")["message"]
    # Which of the two that share it: the older one, and both may be of the same second.
    assert message in [f'ManifestWork "{name}" has this object, with another content' for name in ("first", "same")]
    before = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert before is not None
    for name in ("first", "same"):
        await pull.host.delete(MANIFEST_WORKS, pull.cluster, name)
        await pull.gone(name)
    await pull.until("other")
    after = await pull.member.get(CONFIGMAPS, pull.namespace, "a")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["data"] == {"k": "2"}
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "other")
    await pull.gone("other")
    assert await pull.member.get(CONFIGMAPS, pull.namespace, "a") is None


async def test_two_works_with_field_managers_of_their_own_share_an_object(pull: Pull) -> None:
    await pull.start()
    for number in ("1", "2"):
        settings = {"fieldManager": f"work-agent-{number}"}
        config = pull.config("a", updateStrategy={"type": "ServerSideApply", "serverSideApply": settings})
        await pull.work(f"w{number}", pull.object("a", data={f"k{number}": number}), manifestConfigs=[config])
        await pull.until(f"w{number}")
    both = {"k1": "1", "k2": "2"}
    await holds(pull.member, CONFIGMAPS, pull.namespace, "a", lambda found: found["data"] == both)
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w1")
    await pull.gone("w1")
    await holds(pull.member, CONFIGMAPS, pull.namespace, "a", lambda found: found["data"] == {"k2": "2"})


async def test_a_job_that_has_run_is_left_as_it_is_and_not_run_again(pull: Pull) -> None:
    await pull.start(**{"federation.agent.reporting.SPACING": 0.5})
    identifier = {"group": "batch", "resource": "jobs", "namespace": "*", "name": "j*"}
    rule = {"type": "WellKnownConditions", "condition": "Complete"}
    configs = [{"resourceIdentifier": identifier, "conditionRules": [rule]}]

    def job(image: str) -> dict[str, Any]:
        spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}
        return pull.object("job", "Job", "batch/v1", spec={"suspend": True, "template": {"spec": spec}})

    await pull.work("w", job("a"), manifestConfigs=configs)
    await pull.until("w", "Complete", "False", message="Job is not finished")
    failed = [{"type": kind, "status": "True"} for kind in ("FailureTarget", "Failed")]
    body = {"status": {"startTime": "2026-01-01T00:00:00Z", "conditions": failed}}
    path = f"{JOBS.path(ObjectName(pull.namespace, 'job'))}/status"
    answer = await pull.member.connection.request("PATCH", path, body=orjson.dumps(body), content_type=MERGE_PATCH)
    assert not isinstance(answer, Failure), answer
    await pull.until("w", "Complete", message="Job is finished")
    await pull.work("w", job("b"), manifestConfigs=configs)  # which no API server would take for a Job
    work = await pull.until("w", "Complete")
    applied = condition(work, "Applied")
    assert applied["status"] == "True"
    assert applied["observedGeneration"] < work["metadata"]["generation"]
    await pull.member.delete(JOBS, pull.namespace, "job")
    work = await pull.until("w", "Available", "False")
    assert condition(work, "Complete")["status"] == "True"
    pull.agent.kill()
    await pull.start()

    async def again() -> bool:
        return await pull.member.get(JOBS, pull.namespace, "job") is not None

    await never(again, during=3.0)
    await pull.host.delete(MANIFEST_WORKS, pull.cluster, "w")
    await pull.gone("w")
