"""Ask the hub by name before something counts as gone that only a list leaves out; used by sync, clusters and types.

A watch's DELETED event is proof, and so is a deletionTimestamp. A list that leaves out what was there is neither: an
object with our finalizer cannot vanish without a deletionTimestamp, so the list may lie (a proxy's empty answer, a
store restored from a backup) and what would follow from it are deletions. One GET decides: a 404 that names the object
is gone (a proxy's does not, nor that of a server which does not serve the type yet), the object itself is remembered
again, anything else raises ApiFailure, and the key comes back.
"""

from collections.abc import Awaitable, Callable, Iterable

from federation.controllers.ports import HubPort
from federation.controllers.world import TypeState, World
from federation.core import proof
from federation.model.errors import ApiFailure
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.marks import NAMESPACE_TYPE
from federation.model.resources import ObjectName, Resource
from federation.runtime.store import Store


class Absences:
    """Confirms absences at one hub."""

    def __init__(self, world: World, hub: HubPort) -> None:
        self._world = world
        self._hub = hub
        self.cluster_left: Callable[[str], Awaitable[bool]] = _nobody_asks
        """Clusters.left."""

    async def clusters_left(self, names: Iterable[str]) -> bool:
        """Whether all these clusters, which a stored status names, have left; False: a list had left one out."""
        for name in sorted(set(names) - self._world.members.keys()):
            if not await self.cluster_left(name):
                return False
        return True

    async def federated_namespace(self, state: TypeState, namespace: str) -> bool:
        """Before an object of `state` is planned: is it known whether its namespace is federated?

        True when a FederatedNamespace was found that no list had contained. Raises ApiFailure while it cannot be known.
        """
        around = self._world.types.get(NAMESPACE_TYPE)
        where = ObjectName(namespace, namespace)
        if not state.type.in_namespaces or around is None or not around.objects.synced or where in around.gone:
            return False
        return around.objects.get(where) is None and not await self.confirmed(around, where)

    async def vanished(self, state: TypeState, where: ObjectName) -> bool:
        """Whether an object that is not in the store can be forgotten: one that a list left out is asked for first."""
        return where not in state.missing or await self.confirmed(state, where)

    async def confirmed(self, state: TypeState, where: ObjectName) -> bool:
        """Whether the hub has no such federated object; one that it has is put back into the store."""
        lists = -1
        while lists != state.objects.lists:  # a list that was taken in meanwhile may be newer than the answer
            lists = state.objects.lists
            state.missing.add(where)
            found = await self._hub.read_federated(state.type.federated, where)
            if where not in state.missing:
                return state.objects.get(where) is None  # its watch has reported meanwhile, and is newer
        if not isinstance(found, Failure):
            state.missing.discard(where)
            state.objects.put(where, found)
            return False
        if not proof.names(found, state.type.federated, where):
            raise ApiFailure(found, f"{state.type.federated.kind} {where}")
        state.vanished(where)
        return True


async def _nobody_asks(name: str) -> bool:
    return True


async def gone(hub: HubPort, store: Store[StoredObject], resource: Resource, where: ObjectName) -> bool:
    """Whether the hub has no such object of its system namespace; one that it has is put back into the store."""
    known = (-1, -1)
    while known != (store.lists, store.drops):  # what was learnt meanwhile may be newer than the answer
        known = store.lists, store.drops
        found = await hub.read(resource, where)
        if store.get(where) is not None:
            return False
    if isinstance(found, Failure):
        if not proof.names(found, resource, where):
            raise ApiFailure(found, f"{resource.kind} {where.name}")
        return True
    store.put(where, found)
    return False
