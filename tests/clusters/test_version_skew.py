"""Version skew lived through (15): members whose CustomResourceDefinitions differ from the hub's and from each other.

A rolling upgrade of three members around an upgrade of the hub, a definition that is missing, comes, goes and comes
back, and versions that nobody may exchange. The controller is never restarted.
"""

import asyncio
import copy
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from federation.joining import enabling
from federation.model.failures import Failure
from federation.model.marks import EQUIVALENT_ANNOTATION, SYSTEM_NAMESPACE
from federation.model.resources import CRDS, TYPE_CONFIGS, Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    DEPLOYMENTS,
    FEDERATED_DEPLOYMENTS,
    TYPES,
    Api,
    condition,
    eventually,
    federated_namespace,
    line,
)
from tests.clusters.steps import Federated, cluster_condition, create, gone, holds, make, type_status
from tests.clusters.test_sync_kinds import install

GEARS = Resource("skew.example.com", "v1", "Gear", "gears", namespaced=True)
FEDERATED_GEARS = Resource(TYPES, "v1beta1", "FederatedGear", "federatedgears", namespaced=True)
NAME = GEARS.qualified
ALL = ["m1", "m2", "m3"]
TEETH = {"teeth": {"type": "integer"}}
BOTH = {**TEETH, "colour": {"type": "string"}}
UPGRADE = 30.0
"""Seconds within which a member's upgrade is noticed: two readings of discovery, a probe apart."""


def version(name: str, fields: dict[str, Any], *, storage: bool = False, served: bool = True) -> dict[str, Any]:
    """One version of the CRD."""
    spec = {"type": "object", "properties": fields}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {"name": name, "served": served, "storage": storage, "schema": schema}


def crd(*versions: dict[str, Any]) -> dict[str, Any]:
    """Gears, in these versions."""
    names = {"kind": GEARS.kind, "listKind": "GearList", "plural": GEARS.plural, "singular": "gear"}
    return {
        "apiVersion": CRDS.api_version,
        "kind": CRDS.kind,
        "metadata": {"name": NAME},
        "spec": {"group": GEARS.group, "scope": "Namespaced", "names": names, "versions": list(versions)},
    }


OLD = crd(version("v1", TEETH, storage=True))
BETWEEN = crd(version("v1", BOTH), version("v2", BOTH, storage=True))
NEW = crd(version("v1", BOTH, served=False), version("v2", BOTH, storage=True))


class Gears:
    """A hub and three members that will not agree on what a Gear is."""

    def __init__(self, fleet: Fleet, host: Api, members: dict[str, Api], namespace: str, directory: Path) -> None:
        self.fleet = fleet
        self.host = host
        self.members = members
        self.namespace = namespace
        self.reported: dict[str, list[str]] = {}
        self._directory = directory

    async def upgrade_hub(self, definition: dict[str, Any]) -> None:
        """`typegen write` of the new definition, and what it wrote applied to the hub."""
        source = self._directory / "crd.yaml"
        source.write_text(yaml.safe_dump(definition))
        command = (
            str(Path(sys.executable).with_name("typegen")),
            "write",
            str(source),
            "-o",
            str(self._directory / "types"),
        )
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for document in yaml.safe_load_all((self._directory / "types" / f"{NAME}.yaml").read_text()):
            resource = CRDS if document["kind"] == CRDS.kind else TYPE_CONFIGS
            await self.host.apply(resource, document, manager="git")
        await type_status(self.host, NAME, propagationController="Running")

    async def place(self, name: str, teeth: int, clusters: list[str] | None = None, **options: Any) -> Federated:
        """A FederatedGear that is Ready everywhere."""
        template = {"spec": {"teeth": teeth}}
        return await make(
            self.host, FEDERATED_GEARS, self.namespace, name, template, clusters=clusters or ALL, **options
        )

    async def held(self, cluster: str, name: str, resource: Resource = GEARS) -> dict[str, Any] | None:
        """What a member holds, read in any version that it serves."""
        return await self.members[cluster].get(resource, self.namespace, name)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Write down every state that a status tells meanwhile: Ready and what the clusters say."""
        path = FEDERATED_GEARS.collection(self.namespace)
        version = (await self.host.connection.read(path))["metadata"]["resourceVersion"]

        async def read(version: str) -> None:
            while True:  # the hub's own upgrade ends watches, too
                params = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "600"}
                pending = b""
                async with self.host.connection.stream(path, params, accept="application/json") as stream:
                    assert not isinstance(stream, Failure)
                    async for chunk in stream:
                        *whole, pending = (pending + chunk).split(b"\n")
                        for text in whole:
                            event = orjson.loads(text)
                            version = event["object"]["metadata"]["resourceVersion"]
                            self._note(f"{event['type']} " if event["type"] != "MODIFIED" else "", event["object"])

        reading = asyncio.create_task(read(version))
        try:
            yield
        finally:
            assert not reading.done(), reading.exception()
            reading.cancel()

    def _note(self, kind: str, stored: dict[str, Any]) -> None:
        words = [f"{each['name']}={each.get('status', '')}" for each in stored.get("status", {}).get("clusters") or ()]
        message = f"{kind}Ready={condition(stored, 'Ready').get('status')} {' '.join(words)}"
        reported = self.reported.setdefault(stored["metadata"]["name"], [])
        if not reported or reported[-1] != message:
            reported.append(message)


@pytest.fixture
async def gears(fleet: Fleet, host: Api, namespace: str, tmp_path: Path) -> AsyncIterator[Gears]:
    """Three members and a hub that know version v1; afterwards none knows any."""
    async with fleet.api("m1") as m1, fleet.api("m2") as m2, fleet.api("m3") as m3:
        members = {"m1": m1, "m2": m2, "m3": m3}
        async with AsyncExitStack() as leaving:
            leaving.push_async_callback(_undefined, members.values())
            leaving.push_async_callback(host.delete, CRDS, "", f"{FEDERATED_GEARS.plural}.{TYPES}")
            leaving.push_async_callback(fleet.disable, NAME)
            leaving.push_async_callback(fleet.unjoin, "m3")
            await _undefined(members.values())  # what a first try that was cut off has left
            await install(OLD, *members.values())
            await fleet.enable(enabling.Request(crd=OLD))
            await fleet.join("m3")
            await cluster_condition(host, "m3", "Ready", "True")
            await type_status(host, NAME, propagationController="Running")
            await federated_namespace(host, namespace, ALL)
            leaving.push_async_callback(_removed, host)
            yield Gears(fleet, host, members, namespace, tmp_path)


async def _undefined(members: Iterable[Api]) -> None:
    for member in members:
        await member.delete(CRDS, "", NAME)
        await gone(member, CRDS, "", NAME)


async def _removed(host: Api) -> None:
    made = [found["metadata"] for found in await host.items(FEDERATED_GEARS)]
    for each in made:
        await host.delete(FEDERATED_GEARS, each["namespace"], each["name"])
    for each in made:
        await gone(host, FEDERATED_GEARS, each["namespace"], each["name"])


@pytest.mark.timeout(300)
async def test_a_rolling_upgrade_of_three_members_loses_nothing_and_flaps_nowhere(gears: Gears) -> None:
    """m3 leads, the hub follows, m1 and m2 lag; then they are upgraded one by one, and the old version goes.

    Lost: nothing; every copy is the object that it was (uid). The user sees Ready True throughout for what all members
    can hold, and for a template with a new field the members that do not know it yet, with the field's name.
    """
    names = [f"gear-{number}" for number in range(8)]
    for number, name in enumerate(names):
        await gears.place(name, number)
    uids = {(at, name): (await gears.held(at, name) or {})["metadata"]["uid"] for at in ALL for name in names}

    async with gears.watched():
        await install(BETWEEN, gears.members["m3"])  # a member leads
        await gears.upgrade_hub(BETWEEN)
        stored = await gears.host.get(TYPE_CONFIGS, SYSTEM_NAMESPACE, NAME)
        assert stored is not None
        assert stored["metadata"]["annotations"][EQUIVALENT_ANNOTATION] == "v2,v1"
        assert stored["spec"]["targetType"]["version"] == "v2"

        # Members that lag are still served: a change reaches all three, each in its version.
        changed = Federated(gears.host, FEDERATED_GEARS, gears.namespace, names[0])
        await changed.change({"template": {"spec": {"teeth": 100}}})
        for at in ALL:
            await holds(
                gears.members[at], GEARS, gears.namespace, names[0], lambda found: found["spec"]["teeth"] == 100
            )

        # A field that only the new definition has: refused by name where it is not known, and the old copy stays.
        painted = Federated(gears.host, FEDERATED_GEARS, gears.namespace, names[1])
        await painted.patch({"spec": {"template": {"spec": {"colour": "red"}}}})
        for at in ("m1", "m2"):
            refused = await painted.reports(at, "UpdateFailed")
            same = f"same as {'m2' if at == 'm1' else 'm1'}"
            assert refused["message"] == same or ".spec.colour: field not declared in schema" in refused["message"]
            kept = await gears.held(at, names[1])
            assert kept is not None
            assert kept["spec"] == {"teeth": 1}
        assert condition(await painted.get(), "Stalled") == {}  # upgrades will mend it, not its user
        await painted.reports("m3")
        await holds(
            gears.members["m3"], GEARS, gears.namespace, names[1], lambda found: found["spec"]["colour"] == "red"
        )

        # The members follow, one by one; each takes what it refused as soon as it can.
        await install(BETWEEN, gears.members["m1"])
        await _painted(gears, "m1", names[1])
        await install(NEW, gears.members["m3"])  # meanwhile the first drops the old version
        await install(NEW, gears.members["m2"])  # and the last leaps
        await _painted(gears, "m2", names[1])
        await painted.settled()
        await changed.change({"template": {"spec": {"teeth": 101}}})

    new = Resource(GEARS.group, "v2", GEARS.kind, GEARS.plural, namespaced=True)
    for (at, name), uid in uids.items():
        found = await gears.held(at, name, new)
        assert found is not None, (at, name)
        assert found["metadata"]["uid"] == uid, (at, name)
    for name in names[2:]:
        assert set(gears.reported.get(name, [])) <= {"Ready=True m1= m2= m3="}, gears.reported
    painted_was = [each.partition(" ")[0] for each in gears.reported[names[1]]]
    assert [ready for ready, _ in itertools.groupby(painted_was)] == ["Ready=True", "Ready=False", "Ready=True"]
    assert "Traceback" not in gears.fleet.controller.log


async def _painted(gears: Gears, cluster: str, name: str) -> None:
    async def arrived() -> object:
        for number in ("v2", "v1"):
            resource = Resource(GEARS.group, number, GEARS.kind, GEARS.plural, namespaced=True)
            answer = await gears.members[cluster].connection.request(
                "GET", f"{resource.collection(gears.namespace)}/{name}"
            )
            body = getattr(answer, "body", b"")
            if b'"colour":"red"' in body:
                return True
        return False

    await eventually(arrived, within=UPGRADE, seen=f"{name} in {cluster} has the new field")


async def test_a_definition_that_is_missing_concerns_one_cluster_until_it_comes(gears: Gears) -> None:
    """15: one member lacks the type. The others are served; objects can be deleted; the type's coming is enough."""
    m2 = gears.members["m2"]
    await m2.delete(CRDS, "", NAME)
    await gone(m2, CRDS, "", NAME)
    made = await create(
        gears.host, FEDERATED_GEARS, gears.namespace, "lone", {"spec": {"teeth": 3}}, clusters=["m1", "m2"]
    )
    missing = "the cluster does not serve gears.skew.example.com: install its CustomResourceDefinition there"
    await made.reports("m2", "VersionUnavailable", missing)
    await made.reports("m1")
    assert (await gears.held("m1", "lone") or {})["spec"] == {"teeth": 3}

    short = await create(
        gears.host, FEDERATED_GEARS, gears.namespace, "short", {"spec": {"teeth": 4}}, clusters=["m1", "m2"]
    )
    await short.reports("m2", "VersionUnavailable")
    await short.delete()
    await short.gone()  # nothing can be in m2: nothing is waited for
    assert await gears.held("m1", "short") is None

    await install(OLD, m2)
    await holds(m2, GEARS, gears.namespace, "lone")
    stored = await made.settled()
    assert line(stored, "m2").get("message", "") == ""


async def test_a_definition_that_is_removed_and_installed_anew_brings_its_objects_back(gears: Gears) -> None:
    """A chart is uninstalled and installed again: the member's objects went with it. They come back, without a word."""
    made = await gears.place("phoenix", 5)
    before = (await gears.held("m1", "phoenix") or {})["metadata"]["uid"]
    await gears.members["m1"].delete(CRDS, "", NAME)
    await gone(gears.members["m1"], CRDS, "", NAME)
    await made.reports("m1", "VersionUnavailable")
    await install(OLD, gears.members["m1"])
    back = await holds(gears.members["m1"], GEARS, gears.namespace, "phoenix")
    assert back["metadata"]["uid"] != before
    await made.settled()


async def test_versions_that_are_not_equivalent_are_never_exchanged(gears: Gears) -> None:
    """A webhook converts: only a person knows what v2 means in v1. The copy stays; an override says what to do."""
    made = await gears.place("strict", 6)
    converted = copy.deepcopy(BETWEEN)
    converted["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:9/convert"},
        },
    }
    await gears.upgrade_hub(converted)
    await made.reports("m1", "VersionUnavailable", "the cluster serves gears.skew.example.com as v1, not as v2")
    assert (await gears.held("m1", "strict") or {})["spec"] == {"teeth": 6}
    overrides = [
        {"clusterName": at, "clusterOverrides": [{"path": "/apiVersion", "op": "add", "value": "skew.example.com/v1"}]}
        for at in ALL
    ]
    await made.change({"overrides": overrides})
    await made.change({"template": {"spec": {"teeth": 7}}})
    await holds(gears.members["m1"], GEARS, gears.namespace, "strict", lambda found: found["spec"]["teeth"] == 7)
    await made.patch({"spec": {"overrides": None, "placement": {"clusters": [{"name": "m2"}]}}})
    await gone(gears.members["m1"], GEARS, gears.namespace, "strict")  # what cannot be pushed can be removed
    await made.reports("m2", "VersionUnavailable")


async def test_a_field_that_a_member_takes_and_does_not_keep_is_named(host: Api, m1: Api, namespace: str) -> None:
    """A built-in type's field whose feature gate is off: applied, ours, and not there. The user is told, once."""
    await federated_namespace(host, namespace, ["m1"])
    labels = {"app": "gated"}
    pod = {"containers": [{"name": "a", "image": "i"}], "schedulingGroup": {"podGroupName": "g"}}
    template = {
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
    }
    made = await make(host, FEDERATED_DEPLOYMENTS, namespace, "gated", template, clusters=["m1"])
    reported = await made.reports("m1", "", "this cluster leaves out .spec.template.spec.schedulingGroup:")
    assert "schedulingGroup" not in str((await m1.get(DEPLOYMENTS, namespace, "gated") or {})["spec"])
    await made.patch({"spec": {"template": {"spec": {"template": {"spec": {"schedulingGroup": None}}}}}})
    stored = await made.settled()
    assert line(stored, "m1").get("message", "") == "" != reported["message"]
