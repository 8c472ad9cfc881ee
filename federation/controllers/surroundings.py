"""What of the hub is in no namespace, its Namespaces and CustomResourceDefinitions, followed with scope Cluster.

With scope Namespaced the controller has rights in its own namespace alone. Nothing that it does there depends on these:
a FederatedNamespace, which copies labels of the hub's Namespace, is not federated, and what waits for a type to be
served tries again by itself.
"""

from collections.abc import Callable
from typing import Protocol

from federation.controllers.ports import OnChange, Sink, Watch
from federation.controllers.world import World
from federation.model.failures import FailureKind
from federation.model.federated import Metadata
from federation.model.resources import CRDS, NAMESPACES, Resource
from federation.runtime.tasks import Tasks


class MetadataWatches(Protocol):
    """How they are followed at the hub."""

    def metadata(self, resource: Resource, sink: Sink[Metadata], on_change: OnChange) -> Watch:
        """Metadata of every object of one resource."""


class Surroundings:
    """Both collections. `refused` is called with why the hub does not let us follow one, "" when it does."""

    def __init__(
        self,
        world: World,
        watches: MetadataWatches,
        *,
        namespaces: Sink[Metadata],
        definitions: Sink[Metadata],
        refused: Callable[[str], None],
    ) -> None:
        self._refused = refused
        self._world = world
        self._watches = watches
        self._sinks = {NAMESPACES: namespaces, CRDS: definitions}
        self._open: list[Watch] = []
        self._following = Tasks()

    async def follow(self) -> None:
        """Follow them, or not any more, as the scope that is in force says."""
        if self._world.settings.namespaced:
            self._open = []
            await self._following.cancel()
            self._refused("")
        elif not self._open:
            for resource, sink in self._sinks.items():
                watch = self._watches.metadata(resource, sink, self._changed)
                self._open.append(watch)
                self._following.keep(watch.run, f"watch:hub:{resource.qualified}")

    def _changed(self, _: Watch) -> None:
        failures = [watch.failure for watch in self._open if watch.failure is not None]
        missing = [each.message for each in failures if each.kind is FailureKind.RIGHT_MISSING]
        self._refused(missing[0] if missing else "")

    def kick(self) -> None:
        """Nothing of it waits for a definition."""

    def renew(self) -> None:
        """List both again: the hub was restored."""
        for watch in self._open:
            watch.renew()

    async def close(self) -> None:
        """Stop following."""
        self._open = []
        await self._following.cancel()
