"""The hub's side of a membership: a sink of its works, our finalizer on them, and since when nothing was heard."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import orjson

from federation.agent import metrics
from federation.agent.keeper import Keeper
from federation.agent.world import WorkState, World
from federation.kube.connection import Connection
from federation.kube.hub import HubWriter
from federation.kube.works import WorkObject
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import ObjectName
from federation.model.works import COMPLETE, MANIFEST_WORKS, WORK_FINALIZER
from federation.work import holding, status

_COMPLETE = f'"{COMPLETE}"'.encode()

Wake = Callable[[str, bool], None]
"""Called with a work that is new, has changed or is gone, and whether it goes before others."""


class HubSide:
    """The works of one cluster at its hub. `report` is called with works whose status somebody else has written."""

    def __init__(
        self, connection: Connection, world: World, keeper: Keeper, *, wake: Wake, report: Callable[[str], None]
    ) -> None:
        self._hub = HubWriter(connection)
        self._world = world
        self._keeper = keeper
        self._wake = wake
        self._report = report
        self._finalizers = metrics.HUB_WRITES.labels(world.cluster, "finalizer")
        self._statuses = metrics.HUB_WRITES.labels(world.cluster, "status")
        self._records: dict[str, frozenset[str]] = {}

    # --- as a sink ----------------------------------------------------------------------------------------------------

    def replace(self, items: Iterable[WorkObject]) -> None:
        """There are these works and no others."""
        first = not self._world.listed
        names = set()
        for item in items:
            names.add(item.metadata.name)
            self._take(item, urgent=not first)
        self._world.listed = True
        for state in list(self._world.works.values()):
            if state.name not in names:
                state.item = None
                self._wake(state.name, False)

    def upsert(self, item: WorkObject) -> None:
        """A work, new or changed: somebody waits for it."""
        self._take(item, urgent=True)

    def remove(self, item: WorkObject) -> None:
        """A work is gone. That it was being deleted is proof enough; that it is gone is not."""
        name = item.metadata.name
        self._note(name, {})
        state = self._world.works.get(name)
        if state is None or state.uid != item.metadata.uid:
            return
        meta = item.metadata
        if meta.deletion_timestamp is not None and holding.is_meant(meta.labels, meta.annotations):
            state.leaving = True
            self._keeper.changed(state)
        state.item = None
        self._wake(name, True)

    def _take(self, item: WorkObject, *, urgent: bool) -> None:
        name = item.metadata.name
        self._note(name, item.metadata.annotations)
        state = self._world.state(name)
        was_live, was_leaving = state.live, state.leaving
        if state.learn(item) or not was_live:
            self._wake(name, urgent)
            if state.leaving != was_leaving:
                self._keeper.changed(state)
        written = bytes(item.status)
        if written == state.status:
            return
        known, state.status = state.status, written
        if _COMPLETE in written:
            state.run = state.run.union(status.run(orjson.loads(written)))
        if known and not state.leaving and orjson.loads(known) != orjson.loads(written or b"{}"):
            self._report(name)

    def _note(self, name: str, annotations: dict[str, str]) -> None:
        """What a work records of others that were deleted on purpose."""
        found = holding.forgotten([annotations])
        if self._records.get(name, frozenset()) == found:
            return
        self._records[name] = found
        self._world.forgotten = frozenset().union(*self._records.values())
        for state in self._world.works.values():
            if state.item is None and state.uid in self._world.forgotten:
                self._wake(state.name, True)

    # --- writes -------------------------------------------------------------------------------------------------------

    async def finalize(self, state: WorkState) -> None:
        """Our finalizer is on the work before anything of it is applied. Raises ApiFailure."""
        item = state.item
        if item is None or WORK_FINALIZER in item.metadata.finalizers:
            return
        answer = await self._hub.set_finalizers(
            MANIFEST_WORKS, item.metadata, (*item.metadata.finalizers, WORK_FINALIZER)
        )
        self._finalizers.inc()
        if isinstance(answer, Failure):
            raise ApiFailure(answer, f"adding the finalizer to the work {state.name}")
        _learn(state, answer)

    async def let_go(self, state: WorkState) -> None:
        """Nothing of the work is left in the member: it may go. Raises ApiFailure."""
        item = state.item
        if item is None or item.metadata.deletion_timestamp is None or WORK_FINALIZER not in item.metadata.finalizers:
            return
        left = [each for each in item.metadata.finalizers if each != WORK_FINALIZER]
        same = {"uid": item.metadata.uid, "resourceVersion": item.metadata.resource_version}
        # What goes with this write needs no managedFields, which are a third of what it costs the hub.
        managed: dict[str, Any] = {} if left else {"managedFields": [{}]}
        body = orjson.dumps({"metadata": {"finalizers": left, **managed, **same}})
        answer = await self._hub.merge(MANIFEST_WORKS, ObjectName(self._world.cluster, state.name), body)
        self._finalizers.inc()
        if isinstance(answer, Failure) and answer.kind is not FailureKind.NOT_FOUND:
            raise ApiFailure(answer, f"removing the finalizer from the work {state.name}")

    async def set_status(self, state: WorkState, written: bytes) -> None:
        """Write the status, JSON. Raises ApiFailure."""
        where = ObjectName(self._world.cluster, state.name)
        body = b'{"metadata":{"uid":' + orjson.dumps(state.uid) + b'},"status":' + written + b"}"
        answer = await self._hub.set_status(MANIFEST_WORKS, where, body)
        self._statuses.inc()
        if isinstance(answer, Failure):
            if answer.kind in (FailureKind.NOT_FOUND, FailureKind.UID_MISMATCH):
                return  # the watch will show what has become of it
            raise ApiFailure(answer, f"writing the status of the work {state.name}")
        state.status = written


def _learn(state: WorkState, answer: Metadata) -> None:
    """What the answer to a write of ours shows, before the watch does: it is not written twice."""
    item = state.item
    if item is not None and item.metadata.uid == answer.uid:
        version, finalizers = answer.resource_version, answer.finalizers
        state.item = WorkObject(msgspec.structs.replace(item.metadata, resource_version=version, finalizers=finalizers))
