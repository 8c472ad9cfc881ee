"""Clusters in pull mode in fedctl plan, explain and diff: by their works, and by nothing that is not at the hub."""

import asyncio
import copy
import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from federation.cli import explained
from federation.kube.connection import Answer
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, Key, ObjectName
from federation.model.works import BUNDLE_LABEL, HUB_LABEL, MANIFEST_WORKS
from federation.preview.changes import Change, Field, Kind
from federation.preview.handed import UNSEEN, WorksObserver
from federation.preview.sightings import Silent
from federation.seeing import diffing, explaining
from federation.seeing.diffing import Compared
from federation.seeing.explaining import Known
from federation.seeing.standing import Outlook
from tests.fakehub import FakeHub
from tests.fakeworks import MANAGER, FakeWorks
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB
from tests.unit.controllers.test_pulling import SINCE, PullRig
from tests.unit.preview import stage as stages
from tests.unit.virtualtime import settle, virtual

TYPES = (FEDERATED_NAMESPACES, CONFIGMAPS)
KEY = Key(CONFIGMAPS.name, *WEB)
FETCHES = "its agent fetches it"


class Host:
    """The hub's API server, as far as works go."""

    name = "host"

    def __init__(self, works: FakeWorks) -> None:
        self._works = works
        self.refuses = False

    async def request(
        self, method: str, path: str, params: Mapping[str, str] | None = None, **_: Any
    ) -> Answer | Failure:
        assert method == "GET"
        if self.refuses:
            return Failure(FailureKind.RIGHT_MISSING, "manifestworks is forbidden", 403)
        shared = []
        for name, work in self._works.works.items():
            whole = {**work, "metadata": {**work["metadata"], "name": name.name, "namespace": name.namespace}}
            if path == MANIFEST_WORKS.path(name):
                return Answer(200, orjson.dumps(whole))
            if BUNDLE_LABEL in work["metadata"]["labels"] and path == MANIFEST_WORKS.collection(name.namespace):
                shared.append(whole)
        if params is not None:
            assert params["labelSelector"] == f"{HUB_LABEL}={MANAGER},{BUNDLE_LABEL}=true"
            return Answer(200, orjson.dumps({"kind": "ManifestWorkList", "metadata": {}, "items": shared}))
        return Failure(FailureKind.NOT_FOUND, "not found", 404)


class PlanRig(PullRig):
    def serve(self, name: str, *, silent: bool = False, **metadata: Any) -> None:
        offline = {"type": "Offline", "status": "True" if silent else "False", "message": SINCE if silent else ""}
        where = ObjectName(marks.SYSTEM_NAMESPACE, name)
        self.hub.put(KUBEFED_CLUSTERS, where, spec={"syncMode": "Pull"}, status={"conditions": [offline]})
        super().serve(name, silent=silent, **metadata)

    async def federate(self) -> None:
        """The namespace is there."""
        self.put(NS, clusters=("p1",), enabled=FEDERATED_NAMESPACES)
        await settle()
        self.works.says(self.works.only("p1"))
        await asyncio.sleep(60)

    @property
    def work(self) -> ObjectName:
        """The work of the object."""
        (found,) = (name for name in self.works.works if name.name.startswith("configmaps"))
        return found

    async def planned(self, change: Any, *, refuses: bool = False, silent: bool = False) -> Change | None:
        """What becomes of the object in p1 by a change at the hub."""
        live, new = self.hub, FakeHub()
        new.objects = copy.deepcopy(live.objects)
        self.hub = new
        change()
        self.hub = live
        wish = stages.wish(live, new, CONFIGMAPS.federated, WEB)
        host = Host(self.works)
        host.refuses = refuses
        observer = WorksObserver(host, "p1", MANAGER)  # type: ignore[arg-type]
        away = frozenset({"p1"} if silent else ())
        found = await stages.plan(live, [wish], TYPES, {}, observers={"p1": observer}, silent=away)
        return found.get((CONFIGMAPS.name, WEB, "p1"))

    async def standing(self, *, anew: bool = False) -> Any:
        """How the object stands in p1."""
        hub = replace(stages.snapshot(self.hub, TYPES), uid="0123abcd-0000")
        outlook = Outlook.of(hub, anew=anew)
        (found,) = await outlook.read_works(Host(self.works), "p1", [KEY])  # type: ignore[arg-type]
        return outlook, found

    async def told(self) -> dict[str, Any]:
        """What explain says of p1."""
        outlook, found = await self.standing()
        stored = self.stored()
        assert stored is not None
        (record,) = explaining.document(Known(outlook, KEY, stored, standings={"p1": found}), ["p1"])["clusters"]
        return dict(record)


@virtual
async def test_a_plan_says_what_the_work_will_be() -> None:
    async with PlanRig("p1", types=TYPES) as rig:
        await rig.federate()
        assert await rig.planned(lambda: rig.place("p1")) == Change(Kind.CREATE, message=FETCHES)
        rig.place("p1")
        await settle()
        rig.works.says(rig.work)
        await asyncio.sleep(60)
        calls = list(rig.works.calls)
        change = await rig.planned(lambda: rig.place("p1", template={"data": {"a": "c"}}))
        assert change == Change(Kind.CHANGE, (Field(".data.a", '"b"', '"c"'),), FETCHES)
        assert await rig.planned(lambda: rig.place("p1")) is None
        gone = await rig.planned(lambda: rig.hub.put(CONFIGMAPS.federated, WEB, spec={"placement": {"clusters": []}}))
        assert gone is not None
        assert gone.kind is Kind.DELETE
        assert "does not select the cluster" in gone.because
        notes = {"annotations": {marks.DELETION_ANNOTATION: "Orphan"}}
        options = await rig.planned(lambda: rig.place("p1", metadata=notes))
        assert options == Change(Kind.CHANGE, (), "its work is written again; the manifest stays as it is")
        rig.serve("p1", silent=True)
        late = await rig.planned(lambda: rig.place("p1", template={"data": {"a": "c"}}))
        assert late is not None
        assert late.message == f"{FETCHES}; {SINCE}"
        assert rig.works.calls == calls, "nothing is written"


@virtual
async def test_works_that_the_user_may_not_read_are_unknown_and_what_would_come_is_said() -> None:
    async with PlanRig("p1", types=TYPES) as rig:
        await rig.federate()
        rig.place("p1")
        await settle()
        rig.works.says(rig.work)
        await asyncio.sleep(60)
        with pytest.raises(Silent, match="cannot be read at the hub: manifestworks is forbidden"):
            await rig.planned(lambda: rig.place("p1", template={"data": {"a": "c"}}), refuses=True)
        change = await rig.planned(lambda: rig.place("p1", template={"data": {"a": "c"}}), silent=True)
        assert change is not None
        assert (change.kind, change.expected) == (Kind.UNKNOWN, Kind.CHANGE)


@virtual
async def test_explain_says_where_an_object_is_on_its_way() -> None:
    now = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    async with PlanRig("p1", types=TYPES) as rig:
        await rig.federate()
        rig.place("p1")
        assert (await rig.told())["way"] == {"stage": "not written"}
        await settle()
        name = rig.work
        place = f"{name.namespace}/{name.name}"
        assert (await rig.told())["way"] == {"stage": "written", "work": place}
        rig.works.says(name, "False", "a webhook says no")
        assert (await rig.told())["way"] == {"stage": "not applied", "message": "a webhook says no", "work": place}
        rig.works.says(name)
        await asyncio.sleep(60)
        told = await rig.told()
        assert told["way"] == {"stage": "applied", "work": place}
        assert told["unknown"] == UNSEEN
        assert told["now"] == {"change": "none", "message": "its work is as it should be"}
        assert told["manifest"]["data"] == {"a": "b"}
        rig.serve("p1", silent=True)
        told = await rig.told()
        assert told["way"]["silent"] == SINCE
        lines = list(explained._cluster(told, now, manifest=False))
        assert f"on its way: ManifestWork {place}: applied; {SINCE}" in lines


@virtual
async def test_a_diff_is_with_the_work_and_says_so() -> None:
    async with PlanRig("p1", types=TYPES) as rig:
        await rig.federate()
        rig.place("p1")
        await settle()
        name = rig.work
        rig.works.says(name)
        await asyncio.sleep(60)

        async def compared() -> Compared:
            outlook, standing = await rig.standing(anew=True)
            found = Compared()
            diffing.take(outlook, standing, found)
            return found

        same = await compared()
        assert (same.pairs, same.failed) == ([], {})
        assert same.notes == [f"p1: {KEY}: compared with its work (applied): {UNSEEN}"]
        manifest = copy.deepcopy(rig.works.works[name]["spec"]["workload"]["manifests"][0])
        manifest["data"] = {"a": "somebody"}
        rig.works.works[name]["spec"]["workload"]["manifests"] = [manifest]
        rig.works.works[name]["metadata"]["generation"] += 1
        (pair,) = (await compared()).pairs
        assert pair.before is not None
        assert pair.after is not None
        assert (pair.before["data"], pair.after["data"]) == ({"a": "somebody"}, {"a": "b"})


@virtual
async def test_an_object_that_shares_its_work_is_seen_as_one_with_a_work_of_its_own() -> None:
    async with PlanRig("p1", types=TYPES) as rig:
        await rig.federate()
        rig.world.settings = replace(rig.world.settings, bundle_bytes=100_000)
        rig.place("p1", name=ObjectName(WEB.namespace, "other"))
        rig.place("p1")
        await asyncio.sleep(5)
        (name,) = (name for name in rig.works.works if name.name.startswith("bundle"))
        rig.works.says(name)
        await asyncio.sleep(60)
        told = await rig.told()
        assert told["way"] == {"stage": "applied", "work": f"{name.namespace}/{name.name}"}
        assert told["now"] == {"change": "none", "message": "its work is as it should be"}
        change = await rig.planned(lambda: rig.place("p1", template={"data": {"a": "c"}}))
        assert change == Change(Kind.CHANGE, (Field(".data.a", '"b"', '"c"'),), FETCHES)
        gone = await rig.planned(lambda: rig.hub.put(CONFIGMAPS.federated, WEB, spec={"placement": {"clusters": []}}))
        assert gone is not None
        assert gone.kind is Kind.DELETE
