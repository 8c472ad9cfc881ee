"""Whether an object is well by its own status: one row for each way of being well, or not."""

from typing import Any

import pytest

from federation.core import workloads
from federation.model.resources import Resource

DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
STATEFUL_SET = Resource("apps", "v1", "StatefulSet", "statefulsets", namespaced=True)
DAEMON_SET = Resource("apps", "v1", "DaemonSet", "daemonsets", namespaced=True)
JOB = Resource("batch", "v1", "Job", "jobs", namespaced=True)
POD = Resource("", "v1", "Pod", "pods", namespaced=True)
CRD = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
WIDGET = Resource("example.io", "v1", "Widget", "widgets", namespaced=True)
SERVICE = Resource("", "v1", "Service", "services", namespaced=True)
CLAIM = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
REPLICA_SET = Resource("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


def item(status: Any = None, *, spec: Any = None, generation: int = 1, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"generation": generation, **metadata}, "spec": spec or {}, "status": status}


def condition(kind: str, status: str, reason: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason}


def replicas(updated: int, available: int, replicas: int | None = None, **more: Any) -> dict[str, Any]:
    counts = {"updatedReplicas": updated, "availableReplicas": available, "replicas": replicas or updated}
    return {"observedGeneration": 1, **counts, **more}


THREE = {"replicas": 3}


@pytest.mark.parametrize(
    ("resource", "found", "why"),
    [
        (DEPLOYMENT, item(replicas(3, 3), spec=THREE), ""),
        (DEPLOYMENT, item(replicas(1, 1)), ""),
        (DEPLOYMENT, item(replicas(0, 0), spec={"replicas": 0}), ""),
        (DEPLOYMENT, item(), "its controller has not seen it yet"),
        (DEPLOYMENT, item(replicas(3, 3), spec=THREE, generation=2), "its controller has not seen the change yet"),
        (DEPLOYMENT, item(replicas(1, 3, 4), spec=THREE), "1 of 3 replicas are updated"),
        (DEPLOYMENT, item(replicas(3, 3, 4), spec=THREE), "1 old replicas are still there"),
        (DEPLOYMENT, item(replicas(3, 2), spec=THREE), "2 of 3 replicas are available"),
        (
            DEPLOYMENT,
            item(
                replicas(3, 3, conditions=[condition("Progressing", "False", "ProgressDeadlineExceeded")]), spec=THREE
            ),
            "ProgressDeadlineExceeded",
        ),
        (
            DEPLOYMENT,
            item(replicas(3, 3, conditions=[condition("ReplicaFailure", "True", "FailedCreate")]), spec=THREE),
            "replicas cannot be made: FailedCreate",
        ),
        (DEPLOYMENT, item(replicas(3, 3), spec=THREE, deletionTimestamp="2026-01-01T00:00:00Z"), "it is being deleted"),
        (STATEFUL_SET, item({"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 3}, spec=THREE), ""),
        (
            STATEFUL_SET,
            item(
                {"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a"}, spec=THREE
            ),
            "1 of 3 replicas are updated",
        ),
        (STATEFUL_SET, item({"observedGeneration": 1, "readyReplicas": 2}, spec=THREE), "2 of 3 replicas are ready"),
        (
            STATEFUL_SET,
            item(
                {"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a"},
                spec={**THREE, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            ),
            "",
        ),
        (
            DAEMON_SET,
            item(
                {
                    "observedGeneration": 1,
                    "desiredNumberScheduled": 2,
                    "updatedNumberScheduled": 2,
                    "numberAvailable": 1,
                }
            ),
            "1 of 2 are available",
        ),
        (DAEMON_SET, item({"observedGeneration": 1, "desiredNumberScheduled": 2}), "0 of 2 are updated"),
        (DAEMON_SET, item({"observedGeneration": 1, "desiredNumberScheduled": 0}), ""),
        (JOB, item({"conditions": [condition("Complete", "True")]}), ""),
        (JOB, item({"conditions": [condition("Failed", "True", "Deadline")]}), "it failed: Deadline"),
        (JOB, item({"active": 1}), "it has not completed yet"),
        (JOB, item(spec={"suspend": True}), ""),
        (POD, item({"phase": "Running", "conditions": [condition("Ready", "True")]}), ""),
        (POD, item({"phase": "Succeeded"}), ""),
        (POD, item({"phase": "Pending"}), "it is not ready"),
        (POD, item({"phase": "Failed"}), "it failed"),
        (CRD, item({"conditions": [condition("Established", "True"), condition("NamesAccepted", "True")]}), ""),
        (CRD, item({}), "it is not established"),
        (
            CRD,
            item({"conditions": [condition("NamesAccepted", "False", "PluralConflict")]}),
            "its names are not accepted: PluralConflict",
        ),
        (SERVICE, item({}, spec={"type": "ClusterIP"}), ""),
        (SERVICE, item({}), ""),
        (SERVICE, item({"loadBalancer": {}}, spec={"type": "LoadBalancer"}), "it has no address yet"),
        (SERVICE, item({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}, spec={"type": "LoadBalancer"}), ""),
        (CLAIM, item({"phase": "Pending"}), "it is not bound"),
        (CLAIM, item({"phase": "Bound"}), ""),
        (WIDGET, item(), ""),
        (WIDGET, item({"conditions": [condition("Ready", "True")]}), ""),
        (WIDGET, item({"conditions": [condition("Ready", "Unknown", "Starting")]}), "Ready is not True: Starting"),
        (WIDGET, item({"conditions": [condition("Available", "False")]}), "Available is not True"),
        (
            WIDGET,
            item({"conditions": [condition("Ready", "True"), condition("Stalled", "True", "Stuck")]}),
            "it is stalled: Stuck",
        ),
        (WIDGET, item({"conditions": [condition("Ready", "False", "pass word=hunter2")]}), "Ready is not True"),
        (WIDGET, {"metadata": "odd", "status": [1]}, ""),
        (WIDGET, item({"conditions": {"Ready": True}, "observedGeneration": "x"}), ""),
        (DEPLOYMENT, item({"observedGeneration": 1, "updatedReplicas": "3"}, spec={"replicas": "3"}), ""),
    ],
)  # fmt: skip
def test_unhealthy(resource: Resource, found: dict[str, Any], why: str) -> None:
    assert workloads.unhealthy(resource, found) == why


@pytest.mark.parametrize(
    ("resource", "found", "counts"),
    [
        (DEPLOYMENT, item({"readyReplicas": 2, "updatedReplicas": 3}, spec=THREE), (3, 2, 3)),
        (DEPLOYMENT, item({}), (1, 0, 0)),
        (DEPLOYMENT, item(replicas(3, 3, readyReplicas=3), spec=THREE, generation=2), (3, 3, 0)),
        (STATEFUL_SET, item({"readyReplicas": 3, "updatedReplicas": 1, "replicas": 3}, spec=THREE), (3, 3, 1)),
        (
            STATEFUL_SET,
            item({"readyReplicas": 3, "replicas": 3, "currentRevision": "a", "updateRevision": "a"}, spec=THREE),
            (3, 3, 3),
        ),
        (
            DAEMON_SET,
            item({"desiredNumberScheduled": 4, "numberReady": 2, "updatedNumberScheduled": 3}),
            (4, 2, 3),
        ),
        (REPLICA_SET, item({"readyReplicas": 2, "replicas": 3}, spec=THREE), (3, 2, 3)),
        (JOB, item({"succeeded": 2, "active": 1}, spec={"completions": 5, "parallelism": 2}), (5, 2, 5)),
        (JOB, item({"active": 1}, spec={"parallelism": 2}), (2, 0, 2)),
        (JOB, item({"succeeded": 1}), (1, 1, 1)),
        (SERVICE, item({}, spec={"type": "LoadBalancer"}), (1, 0, 1)),
        (SERVICE, item({}), (1, 1, 1)),
        (CLAIM, item({"phase": "Bound"}), (1, 1, 1)),
        (WIDGET, item({"conditions": [condition("Ready", "False")]}), (1, 0, 1)),
        (WIDGET, {"metadata": "odd", "status": [1]}, (1, 1, 1)),
        (DEPLOYMENT, item({"readyReplicas": "2", "updatedReplicas": True}, spec={"replicas": "x"}), (0, 0, 0)),
    ],
)  # fmt: skip
def test_counts(resource: Resource, found: dict[str, Any], counts: tuple[int, int, int]) -> None:
    assert workloads.counts(resource, found, well=not workloads.unhealthy(resource, found)) == counts


@pytest.mark.parametrize(
    ("resource", "known"), [(DEPLOYMENT, True), (POD, True), (WIDGET, True), (CRD, True), (CONFIG_MAP, False)]
)
def test_only_a_status_that_can_say_something_is_read(resource: Resource, known: bool) -> None:
    assert workloads.is_known(resource) is known
