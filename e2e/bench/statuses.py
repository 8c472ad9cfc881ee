"""What status collection costs the controller for each placement: CPU of one settled change, and memory.

A Deployment's status changes in three steps in every member, as when it is rolled out, and is reported once. The same
events are taken in without collection, too, as metadata, because such a watch brings them as well: the difference is
what collection costs. By `pipeline`, so what hub and members do is the making of their answers alone; events are made
beforehand. CPU is the process's own time, memory is counted by tracemalloc, in a run of its own.

usage: python -m e2e.bench.statuses [OBJECTS MEMBERS]
"""

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from e2e.bench.pipeline import MANAGER, NAMESPACE, STAMP, TYPE, Pipeline
from federation.core import cadence
from federation.model.resources import ObjectName, Resource
from federation.model.statusrules import StatusCollection

DEPLOYMENTS = replace(
    TYPE, name="deployments.apps", target=Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
)
FORMS: dict[str, StatusCollection | None] = {
    "off": None,
    "summary": StatusCollection(),
    "remoteStatus": StatusCollection(raw=True),
}
REPLICAS = 3
_QUIET = cadence.QUIET + cadence.BETWEEN_NEWS + 0.1


def main(arguments: Sequence[str]) -> None:
    """Measure every form, and print a line for each."""
    objects, members = (int(each) for each in arguments or ("100", "100"))
    before = dict.fromkeys(("ms", "bytes"), 0.0)
    for form, collection in FORMS.items():
        found = asyncio.run(_cpu(collection, objects, members)) | asyncio.run(_memory(collection, objects, members))
        if collection is None:
            before = found
        more = {name: round(found[name] - before[name], 4) for name in ("ms", "bytes")}
        sys.stdout.write(f"{form}: {found}, more than off: {more}\n")


async def _cpu(collection: StatusCollection | None, objects: int, members: int) -> dict[str, float]:
    """`ms` of CPU for each placement, `events` of it for taking in events; `writes` for each object."""
    pipeline = await _placed(collection, objects, members)
    events = list(_events(pipeline, objects, whole=collection is not None))
    writes, began = pipeline.status_writes, time.process_time()
    for cluster, content in events:
        pipeline.watches[cluster](content)
    taken = time.process_time()
    await asyncio.sleep(_QUIET)
    await pipeline.report()
    ended = time.process_time()
    placements = objects * members
    return {
        "ms": round((ended - began) * 1e3 / placements, 4),
        "events": round((taken - began) * 1e3 / placements, 4),
        "writes": (pipeline.status_writes - writes) / objects,
    }


async def _memory(collection: StatusCollection | None, objects: int, members: int) -> dict[str, float]:
    """`bytes` that stay for each placement."""
    tracemalloc.start()
    pipeline = await _placed(collection, objects, members)
    for cluster, content in _events(pipeline, objects, whole=collection is not None):
        pipeline.watches[cluster](content)
    await asyncio.sleep(_QUIET)
    await pipeline.report()
    pipeline.forget()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {"bytes": round(size / objects / members)}


async def _placed(collection: StatusCollection | None, objects: int, members: int) -> Pipeline:
    pipeline = Pipeline(members, replace(DEPLOYMENTS, collection=collection))
    await pipeline.place(objects)
    await asyncio.sleep(_QUIET)
    await pipeline.report()
    if pipeline.placed() != objects * members:
        raise RuntimeError(f"{pipeline.placed()} of {objects * members} placements were made")
    return pipeline


def _events(pipeline: Pipeline, objects: int, *, whole: bool) -> Iterator[tuple[str, bytes]]:
    """Which member shows what: each object as it is while it is rolled out, step by step."""
    state = pipeline.world.types[DEPLOYMENTS.name]
    for step in range(1, REPLICAS + 1):
        for number in range(objects):
            for cluster in pipeline.names:
                where = ObjectName(NAMESPACE, f"item-{number}")
                observed = state.copies[cluster].objects.get(where)
                assert observed is not None
                shown = _deployment(where.name, observed.uid, observed.version + step, step)
                yield cluster, orjson.dumps(shown if whole else {"metadata": shown["metadata"]})


def _deployment(name: str, uid: str, version: int, ready: int) -> dict[str, Any]:
    """A small Deployment as an API server shows it."""
    labels = {"app": "bench", "kubefed.io/managed": "true"}
    container = {
        "name": "web",
        "image": "registry.example.com/shop/web:1.2.3",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    pod = {"containers": [container], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "x"}
    condition = {"status": "True", "lastUpdateTime": STAMP, "lastTransitionTime": STAMP}
    status = {
        "observedGeneration": 1,
        "replicas": REPLICAS,
        "updatedReplicas": REPLICAS,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": [
            condition | {"type": "Available", "reason": "MinimumReplicasAvailable", "message": "Deployment has it."},
            condition
            | {"type": "Progressing", "reason": "ReplicaSetUpdated", "message": f'"{name}-5d9c" is at {ready}.'},
        ],
    }
    fields = {"f:metadata": {"f:labels": {f"f:{key}": {} for key in labels}}, "f:data": {"f:pad": {}, "f:version": {}}}
    of_status: dict[str, Any] = {f"f:{key}": {} for key in status}
    entries = [
        _entry(MANAGER, "Apply", fields),
        _entry("kube-controller-manager", "Update", {"f:status": of_status}) | {"subresource": "status"},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": STAMP,
            "labels": labels,
            "managedFields": entries,
        },
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": "bench"}},
            "template": {"metadata": {"labels": {"app": "bench"}}, "spec": pod},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        },
        "status": status,
    }


def _entry(manager: str, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    entry = {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": STAMP}
    return entry | {"fieldsType": "FieldsV1", "fieldsV1": fields}


if __name__ == "__main__":
    main(sys.argv[1:])
