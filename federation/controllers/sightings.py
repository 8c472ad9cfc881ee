"""What was seen of one type's federated objects at the hub: by it continuity recognises a hub that went back in time.

Called by the sink of their watch (triggers). What looks older than it was is only suspected, and is read by name.
"""

from federation.controllers.world import World
from federation.core import managedfields, restoration
from federation.core.restoration import Witness
from federation.model.federated import FederatedObject
from federation.model.resources import Resource


class Sightings:
    """Of one collection."""

    def __init__(self, world: World, resource: Resource) -> None:
        self._world = world
        self._resource = resource
        self._seen = self._before = self._listed = 0
        self._taken = self._asked = world.restores

    def listing(self) -> None:
        """A list is asked for: it must not be older than what was seen of the collection until now.

        The first one of a restored hub is: what was seen before it is of another time.
        """
        self._asked = self._world.restores
        if self._taken != self._asked:
            self._seen = 0
        self._before = self._seen

    def listed(self, version: str) -> None:
        """The list that follows is of this resourceVersion."""
        self._listed = managedfields.number(version)
        if restoration.list_is_older(self._before, self._listed) and self._world.newest is not None:
            self._world.suspect(self._world.newest)
        self._seen = max(self._seen, self._listed)

    def taken(self) -> None:
        """All of it was taken in."""
        self._taken = self._asked

    def reverted(self, before: FederatedObject, item: FederatedObject) -> bool:
        """Whether a list shows an object as it was earlier, its spec perhaps another one of the same generation."""
        old, new = _version(before), _version(item)
        if old == new:
            return False
        if self._taken != self._asked:
            return True  # the hub was restored
        if restoration.object_is_older(old, new, self._listed):
            self._world.suspect(self._witness(before, old))
        return 0 < new < old

    def note(self, before: FederatedObject | None, item: FederatedObject) -> None:
        """An object as it is now: the hub has changed, and this may be its newest one."""
        version = _version(item)
        if before is not None and _version(before) == version:
            return
        self._world.moved += 1
        self._seen = max(self._seen, version)
        newest = self._world.newest
        if newest is None or version > newest.version:
            self._world.newest = self._witness(item, version)

    def gone(self) -> None:
        """One object is gone."""
        self._world.moved += 1

    def _witness(self, item: FederatedObject, version: int) -> Witness:
        return Witness(self._resource, item.where, item.metadata.uid, version)


def _version(item: FederatedObject) -> int:
    return managedfields.number(item.metadata.resource_version)
