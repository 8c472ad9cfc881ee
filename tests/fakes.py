"""A member in memory, with server-side apply good enough for pushes. Kept honest by tests/contract.

What it does not know: schemas, admission, fields that may not change (but data where `immutable` is true), list
merging (a list is one value), other API versions of one object. Every event goes to the sinks at once, before its
write's answer, or with `delay_events` when `deliver` is called.
"""

import asyncio
import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from federation.controllers.ports import Sink
from federation.core import times
from federation.core.managedfields import PartialMetadata
from federation.core.proof import Proof
from federation.kube.members import Whole, Written
from federation.model.failures import Cause, Failure, FailureKind
from federation.model.resources import ObjectName, Resource
from tests.ownership import IDENTITY, LABEL, REPLICAS, Entry, Path, Stored, conflict, leaves, not_found, paths_of

EPOCH = 1_800_000_000
"""The time of the members' clocks when the loop's own is 0."""
PROOF = Proof(by="test")


async def proven() -> Proof:
    """The hub wants it so, whatever it is."""
    return PROOF


class FakeMember:
    """One member cluster. `calls` is what it was asked.

    `fails` may answer a call in its place, `lost` after it was carried out; while `gate` is closed nothing is answered.
    """

    def __init__(self, manager: str = "kubefed-0123abcd", namespaces: Sequence[str] = ("ns",)) -> None:
        self.manager = manager
        self.namespaces = set(namespaces)
        self.objects: dict[tuple[str, ObjectName], Stored] = {}
        self.sinks: dict[str, Sink[Any]] = {}
        self.wholes: dict[str, Callable[[bytes], Any]] = {}
        """How objects are read of types that are followed whole, for their statuses."""
        self.calls: list[str] = []
        self.deleted_with: list[dict[str, Any]] = []
        self.proven: list[tuple[str, Proof]] = []
        self.fails: Callable[[str, ObjectName], Failure | None] = lambda verb, name: None
        self.lost: Callable[[str, ObjectName], Failure | None] = lambda verb, name: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.delay_events = False
        self.drops: set[Path] = set()
        self.rewrites: dict[Path, Any] = {}
        self.others: dict[str, str] = {}
        """What of others is in a namespace."""
        self.stuck: list[float] | Failure = []
        """Since when pods have been unschedulable."""
        self._shown: set[tuple[str, ObjectName]] = set()
        self._delayed: list[tuple[str, str, Any]] = []
        self._versions = itertools.count(2)
        self._uids = itertools.count(1)

    # --- MemberPort

    async def apply(
        self,
        resource: Resource,
        name: ObjectName,
        body: bytes,
        *,
        force: bool,
        manager: str | None = None,
        whole: bool = False,
        dry_run: bool = False,
    ) -> Written | Failure:
        manager = manager or self.manager
        verb = f"{'would-' if dry_run else ''}apply{'!' if force else ''}{manager.removeprefix(self.manager)}"
        if (failure := await self._asked(verb, name)) is not None:
            return failure
        if dry_run:
            return self._would_apply(resource, name, body, manager, force=force, whole=whole)
        answer = self._apply(resource, name, orjson.loads(body), manager, force=force)
        if whole and isinstance(answer, Written):
            answer = Written(
                answer.created, answer.metadata, orjson.dumps(self._content(self.objects[resource.qualified, name]))
            )
        return self.lost(verb, name) or answer

    async def patch(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Written | Failure:
        if (failure := await self._asked("patch", name)) is not None:
            return failure
        stored = self.objects.get((resource.qualified, name))
        if stored is None:
            return not_found(resource, name)
        for operation in operations:
            if operation["path"] == "/metadata/resourceVersion" and operation["value"] != str(stored.version):
                return conflict("the object has been modified")
        for operation in operations:
            if operation["path"] == "/metadata/managedFields":
                entries = [entry for entry in operation["value"] if entry]
                stored.entries = [
                    Entry(
                        entry["manager"],
                        entry["operation"],
                        set(paths_of(entry["fieldsV1"])),
                        entry.get("subresource", ""),
                        entry.get("time", ""),
                    )
                    for entry in entries
                ]
            elif operation["op"] == "remove":
                self._drop(stored, tuple(part.replace("~1", "/") for part in operation["path"].split("/")[1:]))
        self._changed(resource, stored)
        return Written(False, stored.metadata())

    async def would_create(self, resource: Resource, name: ObjectName, body: bytes) -> Failure | None:
        if (failure := await self._asked("would-create", name)) is not None:
            return failure
        if (resource.qualified, name) in self.objects:
            return Failure(FailureKind.ALREADY_EXISTS, f"{name} already exists", 409, "AlreadyExists")
        return self._refused(resource, name, None)

    async def let_go(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]], proof: Proof
    ) -> Written | Failure:
        self.proven.append((f"let-go {name}", proof))
        return await self.patch(resource, name, operations)

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
        stored = self.objects.get((resource.qualified, name))
        if stored is None:
            return None
        if stored.uid != uid:
            return Failure(FailureKind.UID_MISMATCH, "UID in precondition", 409)
        if version not in {"", str(stored.version)}:
            return conflict("the ResourceVersion in the precondition does not match")
        self.deleted_with.append(dict(options))
        self.remove(resource, name)
        return self.lost("delete", name)

    async def read(self, resource: Resource, name: ObjectName) -> PartialMetadata | Failure:
        if (failure := await self._asked("read", name)) is not None:
            return failure
        stored = self.objects.get((resource.qualified, name))
        return stored.metadata() if stored is not None else not_found(resource, name)

    async def read_replicas(self, resource: Resource, name: ObjectName) -> int | Failure:
        if (failure := await self._asked("replicas", name)) is not None:
            return failure
        stored = self.objects.get((resource.qualified, name))
        return int(stored.values[REPLICAS]) if stored is not None else not_found(resource, name)

    async def read_whole(self, resource: Resource, name: ObjectName) -> Whole | Failure:
        if (failure := await self._asked("whole", name)) is not None:
            return failure
        stored = self.objects.get((resource.qualified, name))
        return (
            not_found(resource, name)
            if stored is None
            else Whole(stored.metadata(resource.api_version), self._content(stored))
        )

    async def would_become(
        self, resource: Resource, name: ObjectName, operations: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | Failure:
        if (failure := await self._asked("would-become", name)) is not None:
            return failure
        stored = self.objects.get((resource.qualified, name))
        if stored is None:
            return not_found(resource, name)
        content = self._content(stored)
        for operation in operations:
            *parents, last = operation["path"].split("/")[1:]
            node = content
            for parent in parents:
                node = node.setdefault(parent, {})
            if operation["op"] == "remove":
                del node[last]
            else:
                node[last] = operation["value"]
        if resource.plural == "deployments":
            content.setdefault("spec", {}).setdefault("replicas", 1)
        return content

    async def others_in(self, namespace: str, types: Sequence[Resource]) -> str:
        if (failure := await self._asked("others", ObjectName("", namespace))) is not None:
            return f"is not known to be empty: {failure.message}"
        return self.others.get(namespace, "")

    async def unschedulable(self, namespace: str, selector: str) -> Sequence[float] | Failure:
        failure = await self._asked("pods", ObjectName(namespace, selector))
        return failure or (self.stuck if isinstance(self.stuck, Failure) else list(self.stuck))

    # --- somebody in the member

    def post(self, resource: Resource, name: ObjectName, body: Mapping[str, Any], manager: str = "human") -> Stored:
        """Create, or change like a PUT or PATCH: what changes belongs to `manager` afterwards."""
        stored = self.objects.get((resource.qualified, name))
        if stored is None:
            stored = self.objects[resource.qualified, name] = Stored(name, f"uid-{next(self._uids)}", 0)
        changed = {path for path, value in leaves(body) if stored.values.get(path, stored) != value}
        for entry in stored.entries:
            entry.paths -= changed
        own = next((each for each in stored.entries if (each.manager, each.operation) == (manager, "Update")), None)
        if own is None:
            stored.entries.append(own := Entry(manager, "Update", set()))
        own.paths |= changed
        stored.values.update(leaves(body))
        stored.entries = [entry for entry in stored.entries if entry.paths]
        self._changed(resource, stored)
        return stored

    def report(self, resource: Resource, name: ObjectName, *fields: str) -> None:
        """A controller writes these fields of its status, and no others any more."""
        stored = self.objects[resource.qualified, name]
        stored.entries = [entry for entry in stored.entries if entry.subresource != "status"]
        paths: set[Path] = {("status", field) for field in fields}
        stored.entries.append(Entry("kube-controller-manager", "Update", paths, "status"))
        self._changed(resource, stored)

    def set_status(self, resource: Resource, name: ObjectName, status: Mapping[str, Any]) -> None:
        """A controller there writes the whole status."""
        stored = self.objects[resource.qualified, name]
        stored.values = {path: value for path, value in stored.values.items() if path[0] != "status"}
        stored.values.update({("status", field): value for field, value in status.items()})
        self._changed(resource, stored)

    def unset(self, resource: Resource, name: ObjectName, path: Path) -> None:
        """Take a field away."""
        stored = self.objects[resource.qualified, name]
        self._drop(stored, path)
        self._changed(resource, stored)

    def rewind_versions(self, version: int) -> None:
        """Its store counts from here again."""
        self._versions = itertools.count(version + 1)

    def touch(self, resource: Resource, name: ObjectName) -> None:
        """What `objects` has is shown as a change."""
        self._changed(resource, self.objects[resource.qualified, name])

    def remove(self, resource: Resource, name: ObjectName) -> None:
        """Delete, as far as finalizers allow."""
        stored = self.objects[resource.qualified, name]
        if stored.values.get(("metadata", "finalizers")):
            stored.deleting = True
            self._changed(resource, stored)
            return
        del self.objects[resource.qualified, name]
        stored.version = next(self._versions)
        self._notify(resource, stored, labelled=False)

    def value(self, resource: Resource, name: ObjectName, *path: str) -> Any:
        """One field; None when it or the object is not there."""
        stored = self.objects.get((resource.qualified, name))
        return None if stored is None else stored.values.get(path)

    def follow(self, resource: Resource, sink: Sink[Any], whole: Callable[[bytes], Any] | None = None) -> None:
        """List by the existence of our label, then watch; `whole` reads whole objects, for their statuses."""
        self.sinks[resource.qualified] = sink
        self.wholes.pop(resource.qualified, None)
        if whole is not None:
            self.wholes[resource.qualified] = whole
        shown = [self.objects[where] for where in sorted(self._shown) if where[0] == resource.qualified]
        sink.replace([self._seen(resource.qualified, each) for each in shown])

    def _seen(self, what: str, stored: Stored) -> Any:
        """As a watch shows it."""
        whole = self.wholes.get(what)
        if whole is None:
            return stored.metadata()
        return whole(orjson.dumps({**self._content(stored), "metadata": stored.metadata_json()}))

    def deliver(self) -> None:
        """Deliver the delayed events to the sinks."""
        delayed, self._delayed = self._delayed, []
        for kind, what, metadata in delayed:
            sink = self.sinks.get(what)
            if sink is not None:
                (sink.remove if kind == "DELETED" else sink.upsert)(metadata)

    # ---

    def _content(self, stored: Stored) -> dict[str, Any]:
        found: dict[str, Any] = {"metadata": {"name": stored.name.name}}
        for path, value in stored.values.items():
            if path not in self.drops:
                node = found
                for step in path[:-1]:
                    node = node.setdefault(step, {})
                node[path[-1]] = self.rewrites.get(path, value)
        return found

    async def _asked(self, verb: str, name: ObjectName) -> Failure | None:
        self.calls.append(f"{verb} {name}")
        await asyncio.sleep(0)
        await self.gate.wait()
        return self.fails(verb, name)

    def _apply(
        self, resource: Resource, name: ObjectName, body: dict[str, Any], manager: str, *, force: bool
    ) -> Written | Failure:
        meta = body["metadata"]
        version, uid = meta.pop("resourceVersion", ""), meta.pop("uid", "")
        wanted = {path: value for path, value in leaves(body) if path not in IDENTITY}
        stored = self.objects.get((resource.qualified, name))
        if (failure := self._refused(resource, name, stored, uid, version)) is not None:
            return failure
        created = stored is None
        if stored is None:
            stored = self.objects[resource.qualified, name] = Stored(name, f"uid-{next(self._uids)}", 0)
            if resource.plural == "namespaces":
                self.namespaces.add(name.name)
        elif not stored.entries:
            stored.entries.append(Entry("before-first-apply", "Update", set(stored.values)))
        before = (dict(stored.values), [(each.manager, set(each.paths)) for each in stored.entries])
        own = next((each for each in stored.entries if (each.manager, each.operation) == (manager, "Apply")), None)
        others = [each for each in stored.entries if each is not own]
        differing = {path for path, value in wanted.items() if stored.values.get(path, value) != value}
        against = [(path, each.manager) for each in others for path in sorted(each.paths & differing)]
        if against and not force:
            causes = tuple(Cause("." + ".".join(path), who, "FieldManagerConflict") for path, who in against)
            return Failure(FailureKind.FIELD_CONFLICT, "conflict", 409, "Conflict", causes)
        leaving = (own.paths if own is not None else set()) - set(wanted) - {path for e in others for path in e.paths}
        if stored.values.get(("immutable",)) is True and any(
            path[0] == "data" for path in differing | leaving | (set(wanted) - set(stored.values))
        ):
            return Failure(FailureKind.INVALID, "data: Forbidden: field is immutable when `immutable` is set", 422)
        for each in others:
            each.paths -= differing
        for path in leaving:
            self._drop(stored, path)
        if own is None:
            stored.entries.append(own := Entry(manager, "Apply", set()))
        own.paths = set(wanted)
        stored.values.update(wanted)
        if created or before[0] != stored.values:
            own.time = times.rfc3339(EPOCH + asyncio.get_running_loop().time())
        stored.entries = [each for each in stored.entries if each.paths]
        if created or before != (stored.values, [(each.manager, each.paths) for each in stored.entries]):
            self._changed(resource, stored)
        return Written(created, stored.metadata())

    def _would_apply(
        self, resource: Resource, name: ObjectName, body: bytes, manager: str, *, force: bool, whole: bool
    ) -> Written | Failure:
        """What an apply answers, on a copy that nobody watches."""
        copied = FakeMember(self.manager, tuple(self.namespaces))
        copied.drops, copied.rewrites = self.drops, self.rewrites
        where = (resource.qualified, name)
        if where in self.objects:
            copied.objects[where] = copy.deepcopy(self.objects[where])
            copied._versions = itertools.count(self.objects[where].version, 0)  # nothing is stored, so it stays
        answer = copied._apply(resource, name, orjson.loads(body), manager, force=force)
        if not whole or isinstance(answer, Failure):
            return answer
        return Written(answer.created, answer.metadata, orjson.dumps(copied._content(copied.objects[where])))

    def _refused(
        self, resource: Resource, name: ObjectName, stored: Stored | None, uid: str = "", version: str = ""
    ) -> Failure | None:
        if stored is None:
            if uid:
                return Failure(FailureKind.UID_MISMATCH, "uid mismatch", 409)
            if resource.namespaced and name.namespace not in self.namespaces:
                return Failure(FailureKind.NAMESPACE_MISSING, f"namespaces {name.namespace!r} not found", 404)
            return None
        if uid and uid != stored.uid:
            return Failure(FailureKind.UID_MISMATCH, "metadata.uid: field is immutable", 422)
        return None if version in {"", "0", str(stored.version)} else conflict("the object has been modified")

    def _drop(self, stored: Stored, path: Path) -> None:
        stored.values.pop(path, None)
        for entry in stored.entries:
            entry.paths.discard(path)
        stored.entries = [entry for entry in stored.entries if entry.paths]

    def _changed(self, resource: Resource, stored: Stored) -> None:
        stored.version = next(self._versions)
        if resource.plural == "deployments":
            stored.values.setdefault(REPLICAS, 1)
        self._notify(resource, stored, labelled=LABEL in stored.values)

    def _notify(self, resource: Resource, stored: Stored, *, labelled: bool) -> None:
        where = (resource.qualified, stored.name)
        if not labelled and where not in self._shown:
            return
        kind = ("MODIFIED" if where in self._shown else "ADDED") if labelled else "DELETED"
        (self._shown.add if labelled else self._shown.discard)(where)
        self._delayed.append((kind, resource.qualified, self._seen(resource.qualified, stored)))
        if not self.delay_events:
            self.deliver()
