"""AppliedManifestWorks: for each work a record in the member of what was applied, to which applied objects refer.

What is to be applied is recorded first, so that nothing that was applied is ever without a record. One write records
both halves where the definition has no subresource for its status, as ours; where it has one (Open Cluster Management's
own definition), the status is a second write. An object's uid is recorded when the record is next written.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec
import orjson

from federation.agent import metrics, rewinding
from federation.agent.world import WorkState, World
from federation.core import managedfields
from federation.kube import decoding
from federation.kube.connection import JSON, MERGE_PATCH, Answer, Connection
from federation.kube.reflector import Reflector
from federation.kube.watches import Watches
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import ObjectName
from federation.model.works import APPLIED_WORKS, HELD_ANNOTATION, AppliedResource, AppliedWork
from federation.runtime.store import Store
from federation.work import identity


class Records:
    """The records of one agent, and a sink of their watch. `wake` is called with works whose record changed."""

    def __init__(self, connection: Connection, world: World, wake: Callable[[str], None]) -> None:
        self._connection = connection
        self._world = world
        self._wake = wake
        self._subresource = False
        self._version = 0
        self._listed: Store[bool] = Store()
        self._writes = metrics.WRITES.labels(world.cluster, "record")

    @property
    def synced(self) -> bool:
        """Whether they were listed."""
        return self._listed.synced

    def reflector(self, rewound: Callable[[], None]) -> Reflector[StoredObject]:
        """Their watch. `rewound` is called when it shows that the member was restored from a backup."""

        def forget() -> None:
            for state in self._world.works.values():
                if state.applied is not None:
                    self._world.hold(state, replace(state.applied, version=""))
            rewound()

        noticed = rewinding.noticing(forget)
        return Watches(self._connection, "").stored(APPLIED_WORKS, "", self, noticed, relists=rewinding.relists())

    # --- as a sink ----------------------------------------------------------------------------------------------------

    def listing(self) -> None:
        """A list begins."""

    def listed(self, version: str) -> None:
        """It shows the collection as of this version."""
        self._version = managedfields.number(version)

    def replace(self, items: Iterable[StoredObject]) -> None:
        """There are these and no others."""
        found = {item.metadata.name for item in items if self._take(item, self._version)}
        for state in list(self._world.works.values()):
            if state.applied is not None and state.applied.name not in found:
                self._lost(state)
        self._listed.listed()

    def upsert(self, item: StoredObject) -> None:
        """One that is new or has changed."""
        self._take(item)

    def remove(self, item: StoredObject) -> None:
        """One that is gone."""
        for state in (self._world.works.get(self._name(identity.read(item))),):
            if state is not None and state.applied is not None and state.applied.uid == item.metadata.uid:
                self._lost(state)

    def _take(self, item: StoredObject, listed: int = 0) -> bool:
        """Whether it is this agent's. `listed`: the version of the list that it is in, or 0."""
        applied = identity.read(item)
        if applied.agent != self._world.agent_id or item.broken:
            return False
        state = self._world.state(self._name(applied))
        before = state.applied
        seen = managedfields.number(before.version) if before is not None and before.uid == applied.uid else 0
        if seen > max(managedfields.number(applied.version), listed):
            return True  # our own write has shown more
        self._world.hold(state, applied)
        if before is None or before.uid != applied.uid or before.let_go != applied.let_go or not state.known:
            self._wake(state.name)
        return True

    def _name(self, applied: AppliedWork) -> str:
        """The work's own name; of a record of another hub that of the record, which no work can have beside it."""
        return applied.work if applied.hub_hash == self._world.hub_hash else applied.name

    def _lost(self, state: WorkState) -> None:
        """Somebody deleted the record. What is wanted is recorded, and referred to it, anew."""
        self._world.hold(state, None)
        if not state.known:
            self._world.drop(state)
        else:
            self._wake(state.name)

    # --- writes -------------------------------------------------------------------------------------------------------

    async def ensure(self, state: WorkState, resources: Sequence[AppliedResource]) -> AppliedWork:
        """The work's record, with these objects in it. Raises Invalid for a name that is too long, and ApiFailure."""
        applied = state.applied
        if applied is None:
            world = self._world
            name = identity.applied_name(world.hub_hash, state.name)
            applied = AppliedWork(name, "", "", world.hub_hash, world.agent_id, state.name, tuple(resources))
            return await self._create(state, applied)
        if {_place(each) for each in resources} <= {_place(each) for each in applied.resources}:
            return applied
        return await self.write(state, applied, resources)

    async def write(self, state: WorkState, applied: AppliedWork, resources: Sequence[AppliedResource]) -> AppliedWork:
        """The record with exactly these objects."""
        body = orjson.dumps({"metadata": {"uid": applied.uid}, "status": identity.status(resources)})
        path = APPLIED_WORKS.path(ObjectName("", applied.name)) + ("/status" if self._subresource else "")
        found = await self._read(await self._connection.request("PATCH", path, body=body, content_type=MERGE_PATCH))
        self._writes.inc()
        if len(found.resources) < len(resources) and not self._subresource:
            self._subresource = True
            return await self.write(state, applied, resources)
        self._world.hold(state, found)
        return found

    async def mark_held(self, state: WorkState, why: str) -> None:
        """Say at the record why nothing is deleted; "" where nothing is held."""
        applied = state.applied
        if applied is None or applied.held == why:
            return
        body = orjson.dumps({"metadata": {"annotations": {HELD_ANNOTATION: why or None}}})
        path = APPLIED_WORKS.path(ObjectName("", applied.name))
        found = await self._read(await self._connection.request("PATCH", path, body=body, content_type=MERGE_PATCH))
        self._writes.inc()
        self._world.hold(state, found)

    async def delete(self, applied: AppliedWork) -> None:
        """Nothing of the work is left in the member. What still refers to the record would be collected with it."""
        path = APPLIED_WORKS.path(ObjectName("", applied.name))
        if applied.finalizers:  # of Open Cluster Management's agent, which had it before
            body = orjson.dumps({"metadata": {"uid": applied.uid, "finalizers": None}})
            await self._connection.request("PATCH", path, body=body, content_type=MERGE_PATCH)
            self._writes.inc()
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": applied.uid}}
        answer = await self._connection.request("DELETE", path, body=orjson.dumps(options))
        self._writes.inc()
        if isinstance(answer, Failure) and answer.kind not in (FailureKind.NOT_FOUND, FailureKind.UID_MISMATCH):
            raise ApiFailure(answer, f"deleting the record {applied.name}")

    async def _create(self, state: WorkState, applied: AppliedWork) -> AppliedWork:
        body = orjson.dumps(identity.body(applied))
        answer = await self._connection.request("POST", APPLIED_WORKS.collection(), body=body, accept=JSON)
        self._writes.inc()
        if isinstance(answer, Failure) and answer.kind is FailureKind.ALREADY_EXISTS:
            path = APPLIED_WORKS.path(ObjectName("", applied.name))
            found = await self._read(await self._connection.request("GET", path))
            if found.agent != self._world.agent_id:
                message = f"the record {applied.name} is of another agent"
                raise ApiFailure(Failure(FailureKind.ALREADY_EXISTS, message, retry_after=60.0))
            self._world.hold(state, found)
            return await self.ensure(state, _merged(found.resources, applied.resources))
        found = await self._read(answer)
        if len(found.resources) < len(applied.resources):  # the definition has a subresource for the status
            return await self.write(state, replace(found), applied.resources)
        self._world.hold(state, found)
        return found

    async def _read(self, answer: Answer | Failure) -> AppliedWork:
        if isinstance(answer, Failure):
            raise ApiFailure(answer, "writing the record of a work")
        try:
            return identity.read(await decoding.stored.read(answer.body))
        except msgspec.MsgspecError:
            failure = Failure(FailureKind.UNEXPECTED, "the member's answer is no AppliedManifestWork")
            raise ApiFailure(failure) from None


def _place(resource: AppliedResource) -> tuple[object, str]:
    return resource.what, resource.version


def _merged(before: Iterable[AppliedResource], more: Iterable[AppliedResource]) -> tuple[AppliedResource, ...]:
    found = {each.what: each for each in before}
    for each in more:
        found.setdefault(each.what, each)
    return tuple(found.values())
