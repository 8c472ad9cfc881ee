"""`fedctl plan` on real API servers: what it says beforehand is what the controller then does, and it writes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, NAMESPACES, Resource
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_NAMESPACES,
    FEDERATED_SECRETS,
    Api,
    federated,
    federated_namespace,
)
from tests.clusters.steps import Federated, create, gone, holds, make, writes

DATA = {"data": {"a": "b"}}
BOTH = ["m1", "m2"]


class Planner:
    """Plans as a user does, with files of its own."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self._fleet = fleet
        self._directory = directory

    def file(self, *documents: Mapping[str, Any]) -> str:
        path = self._directory / f"{len(list(self._directory.iterdir()))}.json"
        path.write_bytes(b"\n---\n".join(orjson.dumps(each) for each in documents))
        return str(path)

    async def run(self, verb: str, *arguments: str, kubeconfig: Path | None = None) -> Ran:
        at = ("--kubeconfig", str(kubeconfig or self._fleet.playground.kubeconfig), "--host-cluster-context", "host")
        ran = await asyncio.to_thread(fedctl, verb, *arguments, *at)
        assert "Traceback" not in ran.err
        return ran

    async def plan(
        self, *documents: Mapping[str, Any], options: tuple[str, ...] = (), code: int = 1, **how: Any
    ) -> dict[str, Any]:
        """The plan as JSON."""
        ran = await self.run("plan", "-f", self.file(*documents), "-o", "json", *options, **how)
        assert ran.code == code, ran
        return dict(json.loads(ran.out))


@pytest.fixture
def planner(fleet: Fleet, tmp_path: Path) -> Planner:
    return Planner(fleet, tmp_path)


def changes(plan: Mapping[str, Any], name: str, kind: str = "") -> list[dict[str, Any]]:
    """What a plan says of one object."""
    return [
        change
        for each in plan["objects"]
        if each["name"] == name and each["type"] == (kind or each["type"])
        for change in each["changes"]
    ]


def kinds(plan: Mapping[str, Any], name: str) -> dict[str, list[str]]:
    """Change to clusters."""
    return {each["change"]: each["clusters"] for each in changes(plan, name)}


def wrapped(namespace: str, name: str, template: Any, clusters: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    return federated(FEDERATED_CONFIGMAPS, namespace, name, template, clusters=clusters or BOTH, **spec)


async def test_what_is_created_changed_adopted_and_deleted(
    planner: Planner, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    await federated_namespace(host, namespace, BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "changed", DATA, clusters=BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "leaving", DATA, clusters=BOTH)
    await make(host, FEDERATED_CONFIGMAPS, namespace, "same", DATA, clusters=BOTH)
    await m2.create(CONFIGMAPS, {"metadata": {"name": "fresh", "namespace": namespace}, "data": {"own": "x"}}, namespace)
    documents = [
        wrapped(namespace, "fresh", DATA),
        wrapped(namespace, "changed", {"data": {"a": "c", "n": "1"}}),
        wrapped(namespace, "leaving", DATA, ["m1"]),
        wrapped(namespace, "same", DATA),
    ]
    before = [await writes(api) for api in (m1, m2)]
    at_hub = await host.items(FEDERATED_CONFIGMAPS, namespace)
    plan = await planner.plan(*documents)
    assert kinds(plan, "fresh") == {"create": ["m1"], "adopt": ["m2"]}
    assert changes(plan, "fresh")[1]["fields"] == [{"path": ".data.a", "before": None, "after": '"b"'}]
    (changed,) = changes(plan, "changed")
    assert changed["clusters"] == BOTH
    assert changed["fields"] == [
        {"path": ".data.a", "before": '"b"', "after": '"c"'},
        {"path": ".data.n", "before": None, "after": '"1"'},
    ]
    (leaving,) = changes(plan, "leaving")
    assert (leaving["change"], leaving["clusters"]) == ("delete", ["m2"])
    assert "spec.placement.clusters of generation 2 does not select the cluster" in leaving["because"]
    assert kinds(plan, "same") == {}
    assert plan["summary"] == {"create": 1, "change": 2, "adopt": 1, "delete": 1}
    assert [each["change"] for each in plan["hub"]] == ["create", "change", "change", "none"]

    assert await host.items(FEDERATED_CONFIGMAPS, namespace) == at_hub
    assert {name for name in ("fresh",) if await m1.get(CONFIGMAPS, namespace, name)} == set()
    assert (await m2.get(CONFIGMAPS, namespace, "leaving")) is not None
    del before

    for document in documents:
        await host.apply(FEDERATED_CONFIGMAPS, document, namespace)
    await holds(m1, CONFIGMAPS, namespace, "fresh")
    await holds(m2, CONFIGMAPS, namespace, "fresh", lambda each: each["data"] == {"own": "x", "a": "b"})
    await holds(m2, CONFIGMAPS, namespace, "changed", lambda each: each["data"] == {"a": "c", "n": "1"})
    await gone(m2, CONFIGMAPS, namespace, "leaving")
    for name in ("fresh", "changed", "leaving", "same"):
        await Federated(host, FEDERATED_CONFIGMAPS, namespace, name).settled()
    assert (await planner.plan(*documents, code=0))["changes"] is False
