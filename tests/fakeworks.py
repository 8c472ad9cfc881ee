"""The hub's ManifestWorks in memory, and an agent that does as it is told; for tests in virtual time.

Patches go by the uid that they carry, as at an API server; a spec that changes is a generation more. Every event goes
to the sink at once.
"""

import asyncio
import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from federation.controllers.ports import OnChange, Sink
from federation.core import works
from federation.core.managedfields import PartialMetadata
from federation.core.proof import Proof
from federation.core.works import SeenWork
from federation.kube import handedworks
from federation.kube.members import Whole, Written
from federation.model import works as names
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource
from federation.model.works import Identifier
from federation.work import feedback, parsing
from tests.fakes import FakeMember

MANAGER = "kubefed-0123abcd"


class FakeWorks(FakeMember):
    """All works of a hub, by cluster and name. `calls` and `fails` as in FakeMember."""

    def __init__(self, *clusters: str) -> None:
        super().__init__(MANAGER, clusters)
        self.works: dict[ObjectName, dict[str, Any]] = {}
        self.watched = self.asked = 0
        self._sink: Sink[SeenWork] | None = None
        self._next = itertools.count(1)

    # --- WorksPort

    async def create(self, name: ObjectName, body: bytes) -> Written | Failure:
        if (failure := await self._asked("create", name)) is not None:
            return failure
        if name.namespace not in self.namespaces:
            return Failure(FailureKind.NAMESPACE_MISSING, f"namespaces {name.namespace!r} not found", 404)
        if name in self.works:
            return Failure(FailureKind.ALREADY_EXISTS, "already exists", 409)
        wanted = orjson.loads(body)
        if any("refused" in each["metadata"].get("labels", {}) for each in wanted["spec"]["workload"]["manifests"]):
            return Failure(FailureKind.INVALID, "a manifest is refused", 422)
        identity = {"uid": f"work-{next(self._next)}", "generation": 1}
        self.works[name] = {"metadata": {**wanted["metadata"], **identity}, "spec": wanted["spec"], "status": {}}
        self._show(name)
        return Written(True, self._metadata(name))

    async def merge(self, name: ObjectName, body: bytes) -> Written | Failure:
        if (failure := await self._asked("merge", name)) is not None:
            return failure
        wanted, work = orjson.loads(body), self.works.get(name)
        if work is None:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        if work["metadata"]["uid"] != wanted["metadata"]["uid"]:
            return Failure(FailureKind.UID_MISMATCH, "UID in precondition", 409)
        if work["spec"] != wanted["spec"]:
            work["metadata"]["generation"] += 1
        work["spec"] = wanted["spec"]
        for key in ("labels", "annotations"):
            merged = {**work["metadata"].get(key, {}), **wanted["metadata"][key]}
            work["metadata"][key] = {each: value for each, value in merged.items() if value is not None}
        self._show(name)
        return Written(False, self._metadata(name))

    async def edit(
        self, name: ObjectName, operations: Sequence[Mapping[str, Any]], *, secret: bool
    ) -> Written | Failure:
        if (failure := await self._asked("edit", name)) is not None:
            return failure
        if name not in self.works:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        before = self.works[name]
        work = copy.deepcopy(before)
        try:
            for each in operations:
                patch(work, each)
                work["metadata"].pop("managedFields", None)
        except ValueError as error:
            return Failure(FailureKind.INVALID, str(error), 422)
        if any("refused" in each["metadata"].get("labels", {}) for each in work["spec"]["workload"]["manifests"]):
            return Failure(FailureKind.INVALID, "a manifest is refused", 422)
        work["metadata"]["generation"] += work["spec"] != before["spec"]
        self.works[name] = work
        self._show(name)
        return Written(False, self._metadata(name))

    async def read_whole(self, resource: Resource, name: ObjectName) -> Whole | Failure:
        if (failure := await self._asked("read whole", name)) is not None:
            return failure
        if name not in self.works:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        content = copy.deepcopy(self.works[name])
        content["metadata"] |= {"name": name.name, "namespace": name.namespace}
        return Whole(self._metadata(name), content, 1)

    # --- MemberPort

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        if (failure := await self._asked("patch", name)) is not None:
            return failure
        work = self.works[name]
        for each in operations:
            if each["op"] == "test":
                assert work["metadata"]["uid"] == each["value"]
            elif each["path"] == "/metadata/managedFields":
                assert each["value"] == [{}]
            elif each["op"] == "add":
                annotation = each["path"].removeprefix("/metadata/annotations/").replace("~1", "/")
                work["metadata"]["annotations"][annotation] = each["value"]
            else:
                assert each["path"] == "/spec/deleteOption/propagationPolicy"
                option = work["spec"]["deleteOption"]
                work["metadata"]["generation"] += option["propagationPolicy"] != each["value"]
                option["propagationPolicy"] = each["value"]
        self._show(name)
        return Written(False, self._metadata(name))

    async def delete(
        self,
        resource: Resource,
        name: ObjectName,
        uid: str,
        options: Mapping[str, Any],
        proof: Proof,
        *,
        version: str = "",
    ) -> Failure | None:
        self.proven.append((f"delete {name}", proof))
        if (failure := await self._asked("delete", name)) is not None:
            return failure
        work = self.works.get(name)
        if work is None:
            return None
        if work["metadata"]["uid"] != uid:
            return Failure(FailureKind.UID_MISMATCH, "UID in precondition", 409)
        if work["metadata"].get("finalizers"):
            work["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._show(name)
        else:
            self._end(name)
        return None

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        if (failure := await self._asked("read", name)) is not None:
            return failure
        if name not in self.works:
            return Failure(FailureKind.NOT_FOUND, "not found", 404)
        return self._metadata(name)

    # --- Works

    def watch(self, sink: Sink[SeenWork], on_change: OnChange) -> "FakeWatch":
        self.watched += 1
        self._sink = sink
        return FakeWatch(self)

    async def any(self) -> bool | None:
        self.asked += 1
        return bool(self.works)

    def relist(self) -> None:
        """Its first list ends."""
        if self._sink is not None:
            self._sink.replace([self._seen_work(name) for name in self.works])

    # --- the agent of a cluster, or somebody at the hub

    def only(self, cluster: str) -> ObjectName:
        """The one work of a cluster."""
        (found,) = (name for name in self.works if name.namespace == cluster)
        return found

    def manifest(self, cluster: str) -> Any:
        """The one manifest of the one work of a cluster."""
        (found,) = self.works[self.only(cluster)]["spec"]["workload"]["manifests"]
        return found

    def fetch(self, name: ObjectName) -> None:
        """The agent has seen it."""
        self.works[name]["metadata"]["finalizers"] = [names.WORK_FINALIZER]
        self._show(name)

    def says(
        self, name: ObjectName, status: str = "True", message: str = "", shows: Mapping[str, Any] | None = None
    ) -> None:
        """The agent says what came of it, and what it was asked for of the copy that it `shows`."""
        self.fetch(name)
        work = self.works[name]
        applied = {
            "type": "Applied",
            "status": status,
            "reason": "Because",
            "message": message,
            "observedGeneration": work["metadata"]["generation"],
        }
        whats = [each["resourceIdentifier"] for each in work["spec"]["manifestConfigs"]]
        more = self._feedback(name, applied, shows) if shows is not None else {}
        manifests = [{"resourceMeta": what, "conditions": [applied]} | more for what in whats]
        work["status"] = {"conditions": [applied], "resourceStatus": {"manifests": manifests}}
        self._show(name)

    def _feedback(self, name: ObjectName, applied: Any, item: Mapping[str, Any]) -> dict[str, Any]:
        read = parsing.read(name.name, orjson.dumps(self.works[name]["spec"]))
        (manifest,) = read.manifests
        said = self.works[name]["spec"]["manifestConfigs"][0]["resourceIdentifier"]
        options = read.options_for(Identifier(said["group"], said["resource"], said["namespace"], said["name"]))
        found = feedback.values(options.feedback, manifest, item)
        synced = {"type": "StatusFeedbackSynced", "status": "False" if found.problem else "True"}
        return {"conditions": [applied, synced], "statusFeedback": {"values": list(found.values)}}

    def applies(self) -> None:
        """The agents apply all that is wanted."""
        for name in self.works:
            self.says(name)

    def contents(self, cluster: str) -> dict[str, list[str]]:
        """The names of the objects that are in each work of a cluster."""
        return {
            name.name: [each["metadata"]["name"] for each in work["spec"]["workload"]["manifests"]]
            for name, work in self.works.items()
            if name.namespace == cluster
        }

    def let_go_of(self, name: ObjectName) -> None:
        """The agent has removed the copy of a work that is being deleted, or left it, and takes its finalizer off."""
        assert "deletionTimestamp" in self.works[name]["metadata"]
        self._end(name)

    def lose(self, name: ObjectName) -> None:
        """It is gone, and nothing shows why: as with its namespace, or by a hub that was restored."""
        self._end(name)

    def change(self, name: ObjectName, manifests: list[Any]) -> None:
        """Somebody changes its spec."""
        work = self.works[name]
        work["spec"] = {**work["spec"], "workload": {"manifests": manifests}}
        work["metadata"]["generation"] += 1
        self._show(name)

    # ---

    def _metadata(self, name: ObjectName) -> PartialMetadata:
        found = {**self.works[name]["metadata"], "name": name.name, "namespace": name.namespace}
        return msgspec.json.decode(orjson.dumps(found), type=works.WorkMetadata)

    def _seen_work(self, name: ObjectName) -> SeenWork:
        work = self.works[name]
        metadata = {**work["metadata"], "name": name.name, "namespace": name.namespace}
        return handedworks.collection(MANAGER).decode(orjson.dumps({**work, "metadata": metadata}))

    def _show(self, name: ObjectName) -> None:
        self.works[name]["metadata"]["resourceVersion"] = str(next(self._versions))
        if self._sink is not None:
            self._sink.upsert(self._seen_work(name))

    def _end(self, name: ObjectName) -> None:
        self.works[name]["metadata"]["resourceVersion"] = str(next(self._versions))
        seen = self._seen_work(name)
        del self.works[name]
        if self._sink is not None:
            self._sink.remove(seen)


def patch(work: dict[str, Any], operation: Mapping[str, Any]) -> None:
    """One operation of a JSON patch. Raises ValueError where a test fails."""
    *way, last = (each.replace("~1", "/") for each in operation["path"].split("/")[1:])
    holder: Any = work
    for each in way:
        holder = holder[int(each)] if isinstance(holder, list) else holder[each]
    at: Any = int(last) if isinstance(holder, list) and last != "-" else last
    match operation["op"]:
        case "test":
            if (holder[at] if isinstance(holder, list) else holder.get(at)) != operation["value"]:
                raise ValueError(f"testing value {operation['path']} failed: test failed")
        case "remove":
            del holder[at]
        case "add" if at == "-":
            holder.append(operation["value"])
        case "add" if isinstance(holder, list):
            holder.insert(at, operation["value"])
        case _:
            holder[at] = operation["value"]


class FakeWatch:
    """The watch of them: its list ends as soon as it runs."""

    failure: Failure | None = None
    synced = False
    contact = 0.0
    open = True
    breaks = 0
    since = 0.0
    restored = 0
    version = ""

    def __init__(self, owner: FakeWorks) -> None:
        self._owner = owner

    async def run(self) -> None:
        self._owner.relist()
        self.synced = True
        await asyncio.Event().wait()

    def kick(self) -> None:
        pass

    def renew(self) -> None:
        self._owner.relist()
