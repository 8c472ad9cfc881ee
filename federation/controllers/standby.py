"""A standby: follows at the hub what a leader follows there, keeps it as it is, and hands it over when it leads.

What is kept are the objects as the hub shows them and up to which version. A controller that begins takes them in as if
it had just listed them, and its watches go on from there. So it begins with nothing in mind that another controller has
done meanwhile, as after a restart; only its lists are there already. Nothing is decided or written, and members are
asked nothing unless the settings say so (`ahead`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import structlog

from federation.controllers.ahead import Ahead, Kept
from federation.controllers.ports import OnChange, Sink
from federation.controllers.typeconfigs import is_followed, read
from federation.core import configuration
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.failures import Failure
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.resources import (
    CRDS,
    KUBEFED_CLUSTERS,
    KUBEFED_CONFIGS,
    LEASES,
    NAMESPACES,
    PREFERENCES,
    ROLLOUTS,
    SECRETS,
    TYPE_CONFIGS,
    ObjectName,
    Resource,
)
from federation.model.settings import SCHEDULER, Settings
from federation.runtime.tasks import Tasks

T = TypeVar("T")

_SURROUNDINGS = (NAMESPACES, CRDS)
"""What is followed where the scope is Cluster; see controllers.surroundings."""

log = structlog.get_logger()


class Followed(Protocol):
    """A collection that is followed; see kube.reflector."""

    synced: bool
    failure: Failure | None

    @property
    def version(self) -> str:
        """The resourceVersion up to which it was observed; "" where a list is needed."""

    async def run(self) -> None:
        """Follow it until cancelled."""

    def kick(self) -> None:
        """Try again at once."""


class StandbyWatches(Protocol):
    """How collections of the hub are followed; see kube.watches."""

    def federated(self, enabled: FederatedType, sink: Sink[FederatedObject], on_change: OnChange) -> Followed:
        """Federated objects of one type."""

    def system(self, resource: Resource, sink: Sink[StoredObject]) -> Followed:
        """Objects of one resource in the system namespace."""

    def stored(
        self, resource: Resource, namespace: str, sink: Sink[StoredObject], on_change: OnChange, *, name: str = ""
    ) -> Followed:
        """Objects of one resource in a namespace ("" for all); with `name` that one alone."""

    def metadata(self, resource: Resource, sink: Sink[Metadata]) -> Followed:
        """Metadata of every object of one resource."""


class Held(Generic[T]):
    """The objects of one collection. `changed` is called when one of them, or all, may be others."""

    def __init__(self, name: Callable[[T], ObjectName], changed: Callable[[], None] = lambda: None) -> None:
        self.objects: dict[ObjectName, T] = {}
        self._name = name
        self._changed = changed

    def replace(self, items: Iterable[T]) -> None:
        """A whole list."""
        self.objects = {self._name(item): item for item in items}
        self._changed()

    def upsert(self, item: T) -> None:
        """One object."""
        self.objects[self._name(item)] = item
        self._changed()

    def remove(self, item: T) -> None:
        """One object is gone."""
        self.objects.pop(self._name(item), None)
        self._changed()


class _One(NamedTuple):
    """One collection: what is held, its watch, and the task of it."""

    held: Held[Any]
    watch: Followed
    tasks: Tasks


class Standby:
    """Keeps what a leader needs of the hub. `elected` is called with each state of the Lease of this name."""

    def __init__(
        self,
        watches: StandbyWatches,
        *,
        namespace: str,
        lease: str,
        settings: Settings,
        elected: Callable[[StoredObject | None], None],
        ahead: Ahead | None = None,
    ) -> None:
        self.settings = settings
        """As the KubeFedConfig says; the last valid ones while it is invalid."""
        self._watches = watches
        self._namespace = namespace
        self._lease = ObjectName(namespace, lease)
        self._elected = elected
        self._ahead = ahead
        self._fixed: dict[str, _One] = {}
        self._by_scope: dict[str, _One] = {}
        """What is followed as the settings and the FederatedTypeConfigs say."""
        self._aligning: asyncio.Handle | None = None
        self._closing = Tasks()

    def follow(self) -> None:
        """Begin."""
        namespace, watches = self._namespace, self._watches
        for resource in (KUBEFED_CONFIGS, TYPE_CONFIGS):
            held: Held[StoredObject] = Held(_where, self._changed)
            self._keep(self._fixed, resource.collection(namespace), held, watches.system(resource, held))
        for resource in (SECRETS, KUBEFED_CLUSTERS):
            held = Held(_where, self._changed)
            self._keep(self._fixed, resource.collection(namespace), held, watches.system(resource, held))
        lease: Held[StoredObject] = Held(_where, lambda: self._elected(lease.objects.get(self._lease)))
        watch = watches.stored(LEASES, namespace, lease, lambda _: None, name=self._lease.name)
        self._keep(self._fixed, LEASES.collection(namespace), lease, watch)

    def ready(self) -> str:
        """ "" when everything is kept that a leader begins with, else what is not."""
        for path, one in (self._fixed | self._by_scope).items():
            if not one.watch.synced and one.watch.failure is None:
                return f"{path} has not been listed yet"
        return ""

    async def hand_over(self) -> dict[str, Kept]:
        """Stop following, and give away what was kept, by the paths of the collections."""
        if self._aligning is not None:
            self._aligning.cancel()
        every = self._fixed | self._by_scope
        self._fixed, self._by_scope = {}, {}
        copies = await self._ahead.hand_over() if self._ahead is not None else {}
        await asyncio.gather(self._closing.cancel(), *(one.tasks.cancel() for one in every.values()))
        return copies | {
            path: Kept(list(one.held.objects.values()), one.watch.version)
            for path, one in every.items()
            if one.watch.synced and one.watch.version
        }

    async def close(self) -> None:
        """Stop following."""
        await self.hand_over()

    def _keep(self, where: dict[str, _One], path: str, held: Held[Any], watch: Followed) -> None:
        tasks = Tasks()
        tasks.keep(watch.run, f"standby:{path}")
        where[path] = _One(held, watch, tasks)

    def _kick(self) -> None:
        """A CustomResourceDefinition has changed: what could not be followed may be there now."""
        for one in self._by_scope.values():
            if one.watch.failure is not None:
                one.watch.kick()

    def _changed(self) -> None:
        if self._aligning is None:  # once for all that come together
            self._aligning = asyncio.get_running_loop().call_soon(self._align)

    def _align(self) -> None:
        """Follow what the settings and the FederatedTypeConfigs ask for, and nothing else of it."""
        self._aligning = None
        if KUBEFED_CONFIGS.collection(self._namespace) not in self._fixed:
            return
        self._take_settings()
        wanted = self._wanted()
        for path in [path for path in self._by_scope if path not in wanted]:
            self._closing.spawn(self._by_scope.pop(path).tasks.cancel(), f"standby:{path}")
        for path, what in wanted.items():
            if path in self._by_scope:
                continue
            if what in _SURROUNDINGS:
                held: Held[Any] = Held(_named, self._kick if what == CRDS else _nothing)
                watch = self._watches.metadata(what, held)
            elif isinstance(what, Resource):
                held = Held(_where)
                watch = self._watches.stored(what, self._scope, held, lambda _: None)
            else:
                held = Held(_federated)
                watch = self._watches.federated(what, held, lambda _: None)
            self._keep(self._by_scope, path, held, watch)
        if self._ahead is not None:
            self._ahead.align(
                self.settings,
                self._fixed[KUBEFED_CLUSTERS.collection(self._namespace)].held.objects,
                self._fixed[SECRETS.collection(self._namespace)].held.objects,
                [each for each in wanted.values() if isinstance(each, FederatedType)],
            )

    def _take_settings(self) -> None:
        configs = self._fixed[KUBEFED_CONFIGS.collection(self._namespace)].held.objects
        found = configs.get(ObjectName(self._namespace, marks.CONFIG))
        try:
            self.settings = configuration.settings(None if found is None or found.broken else found.spec)
        except Invalid as error:
            log.debug("KubeFedConfig invalid", detail=str(error))

    @property
    def _scope(self) -> str:
        return self._namespace if self.settings.namespaced else ""

    def _wanted(self) -> Mapping[str, FederatedType | Resource]:
        """The collections by path: those of federated types, and others that the same scope holds for."""
        others = [ROLLOUTS, PREFERENCES] if SCHEDULER in self.settings.features else [ROLLOUTS]
        wanted: dict[str, FederatedType | Resource] = {each.collection(self._scope): each for each in others}
        if not self.settings.namespaced:
            wanted |= {each.collection(): each for each in _SURROUNDINGS}
        for stored in self._fixed[TYPE_CONFIGS.collection(self._namespace)].held.objects.values():
            try:
                enabled = read(stored, self.settings, self._namespace)
            except Invalid:
                continue
            if is_followed(stored, enabled, self.settings):
                wanted[enabled.federated.collection(enabled.namespace)] = enabled
        return wanted


def _where(item: StoredObject) -> ObjectName:
    return item.where


def _federated(item: FederatedObject) -> ObjectName:
    return item.where


def _named(item: Metadata) -> ObjectName:
    return ObjectName(item.namespace, item.name)


def _nothing() -> None:
    """Nothing follows from it."""
