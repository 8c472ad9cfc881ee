"""What one write of a federated object's status costs the hub, by the form of the status and of the request.

One real API server with etcd; a FederatedConfigMap in so many clusters, whose lines all change with every write. CPU is
the API server's, one watch of the objects being open, as a controller has it.

usage: python -m e2e.bench.status_forms [CLUSTERS...]
"""

import asyncio
import copy
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from e2e import running
from federation.comparing import meter
from federation.comparing.client import MERGE, Client
from federation.comparing.configmaps import PAD
from federation.playground.clusters import Playground

CRDS = Path(__file__).parents[1] / "gitops" / "types" / "configmaps.yaml"
SIZES = (2, 100, 1000)
SECONDS = 1.5
"""Of the API server's CPU that each form is measured for, at least."""
STAMP = "2026-01-01T00:00:00Z"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

FORMS = {
    "list map": ("map", "schema", "full", "merge"),
    "list map, common fingerprint": ("map", "schema", "common", "merge"),
    "atomic": ("atomic", "schema", "full", "merge"),
    "atomic, no schema of status": ("atomic", "open", "full", "merge"),
    "atomic, common fingerprint": ("atomic", "schema", "common", "merge"),
    "the same, no schema of status": ("atomic", "open", "common", "merge"),
    "the same, PUT": ("atomic", "schema", "common", "put"),
    "the same, JSON patch": ("atomic", "schema", "common", "json"),
    "the same, server-side apply": ("atomic", "schema", "common", "apply"),
}


def definition(kind: str, schema: str) -> dict[str, Any]:
    """The CRD of FederatedConfigMaps in a group of its own, with status.clusters as asked."""
    documents: Iterator[dict[str, Any]] = yaml.safe_load_all(CRDS.read_text())
    crd = copy.deepcopy(next(each for each in documents if each["kind"] == "CustomResourceDefinition"))
    group = f"{kind}-{schema}.example.com"
    crd["metadata"] = {"name": f"federatedconfigmaps.{group}"}
    crd["spec"]["group"] = group
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    if schema == "open":
        properties["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return crd
    clusters = properties["status"]["properties"]["clusters"]
    clusters.pop("x-kubernetes-list-map-keys", None)
    clusters["x-kubernetes-list-type"] = kind
    if kind == "map":
        clusters["x-kubernetes-list-map-keys"] = ["name"]
    return crd


def status(clusters: int, turn: int, form: str) -> dict[str, Any]:
    """A healthy status that differs from the last turn's in every line."""
    fingerprint = f"{turn:08d}.k61R_CTm"
    lines: list[dict[str, Any]] = [{"name": f"member-{number:04d}"} for number in range(clusters)]
    for line in lines if form == "full" else lines[:1]:
        line["fingerprint"] = fingerprint
    message = f"{clusters} clusters have applied generation {turn}"
    return {
        "observedGeneration": turn,
        "conditions": [
            {"type": kind, "status": "True", "message": message, "lastUpdateTime": STAMP, "lastTransitionTime": STAMP}
            for kind in ("Propagation", "Ready")
        ],
        "clusters": lines,
    }


async def write(client: Client, path: str, how: str, body: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """One write of the status; the object as answered."""
    if how == "merge":
        answer = await client.send("PATCH", f"{path}/status", {"status": body}, MERGE)
    elif how == "put":
        answer = await client.send("PUT", f"{path}/status", {**known, "status": body})
    elif how == "json":
        operations = [{"op": "add", "path": "/status", "value": body}]
        answer = await client.send("PATCH", f"{path}/status", operations, JSON_PATCH)
    else:
        names = {key: known[key] for key in ("apiVersion", "kind")}
        content = {**names, "metadata": {"name": known["metadata"]["name"]}, "status": body}
        answer = await client.send("PATCH", f"{path}/status?fieldManager=bench&force=true", content, APPLY)
    found: dict[str, Any] = orjson.loads(answer)
    return found


async def measure(client: Client, pid: int, name: str, clusters: int) -> dict[str, Any]:
    """CPU per write in ms, and bytes of the stored object: all, managedFields, status."""
    kind, schema, form, how = FORMS[name]
    api = f"/apis/{kind}-{schema}.example.com/v1beta1"
    collection = f"{api}/namespaces/default/federatedconfigmaps"
    known = {
        "apiVersion": f"{kind}-{schema}.example.com/v1beta1",
        "kind": "FederatedConfigMap",
        "metadata": {"name": f"{form}-{how}-{clusters}"},
        "spec": {
            "template": {"data": {"pad": PAD}},
            "placement": {"clusters": [{"name": f"member-{number:04d}"} for number in range(clusters)]},
        },
    }
    path = f"{collection}/{known['metadata']['name']}"  # type: ignore[index]
    known = orjson.loads(await client.send("POST", collection, known))
    watch = asyncio.create_task(_follow(client, collection, known["metadata"]["resourceVersion"]))
    turns = 0
    for turn in range(1, 4):
        known = await write(client, path, how, status(clusters, turn, form), known)
    began = meter.cpu([pid])
    while (used := meter.cpu([pid]) - began) < SECONDS:
        for _ in range(5):
            turns += 1
            known = await write(client, path, how, status(clusters, turns + 3, form), known)
    watch.cancel()
    stored = orjson.loads(await client.send("GET", path))
    await client.send("DELETE", path)
    return {
        "cpu_ms": round(used / turns * 1000, 2),
        "bytes": len(orjson.dumps(stored)),
        "managed_fields": len(orjson.dumps(stored["metadata"]["managedFields"])),
        "status": len(orjson.dumps(stored["status"])),
    }


async def _follow(client: Client, collection: str, version: str) -> None:
    async for _ in client.watch(collection, version):
        pass


async def run(playground: Playground, sizes: list[int]) -> None:
    """All forms and sizes; one line of JSON each."""
    (cluster,) = playground.clusters.values()
    pid = next(row.pid for row in playground.status() if row.process == "kube-apiserver" and row.pid)
    async with Client(cluster) as client:
        for kind, schema in sorted({form[:2] for form in FORMS.values()}):
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await client.send("POST", path, definition(kind, schema))
        await asyncio.sleep(10)
        for clusters in sizes:
            for name in FORMS:
                found = await measure(client, pid, name, clusters)
                sys.stdout.write(orjson.dumps({"clusters": clusters, "form": name, **found}).decode() + "\n")
                sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Measure, in a playground that is removed at the end."""
    if not all(each.isdecimal() for each in arguments):
        return running.explained(__doc__, arguments) or 0
    running.interrupt_on_signals()
    directory = Path(tempfile.mkdtemp(prefix="federation-status-"))
    try:
        started = Playground.up(directory / "playground", ("hub",), report=lambda _: None)
        asyncio.run(run(started, [int(each) for each in arguments] or list(SIZES)))
    finally:
        Playground(directory / "playground", report=lambda _: None).down()
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
