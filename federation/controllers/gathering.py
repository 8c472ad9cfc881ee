"""Read the facts of one federated object at one moment: memory in, a value for planning out. Never awaits."""

import functools
from collections.abc import Mapping

from federation.controllers.facts import Track, TypeState, World
from federation.core import parsing, placement, versions
from federation.core.planning import Applied, Facts, NamespaceFacts, Trouble
from federation.model.clusters import Cluster, Missing, Observation
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, Metadata
from federation.model.marks import NAMESPACE_TYPE
from federation.model.resources import ObjectName
from federation.model.words import Word

REMEMBERED = 10_000
"""Namespaces whose placement is remembered."""


class Gatherer:
    """Builds Facts. Placement of a namespace is computed once per FederatedNamespace and fleet, not once per object."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clusters: dict[str, Cluster] = {}
        self._clusters_version = -1
        self._namespaces: dict[str, tuple[str, int, frozenset[str] | str]] = {}

    def gather(self, state: TypeState, federated: FederatedObject, track: Track) -> Facts:
        """The facts of one object."""
        world = self._world
        target = state.target_name(federated.where)
        namespaced = state.type.target.namespaced and not world.settings.namespaced
        host_namespace: Metadata | Missing | None = None
        if state.type.is_namespace:
            # The Namespace that it lives in exists: one that no list has told of is unknown, not without labels.
            host_namespace = world.host_namespaces.get(ObjectName("", federated.metadata.name)) or Missing.UNKNOWN
        return Facts(
            type=state.type,
            object=federated,
            clusters=self.clusters(),
            observe=functools.partial(_observe, state, target),
            trouble=functools.partial(_trouble, state),
            served=functools.partial(_served, state),
            applied=_believed(track),
            namespace=self._namespace(federated.metadata.namespace) if namespaced else None,
            host_namespace=host_namespace,
            unsure=frozenset(track.unsure),
            adopt=world.settings.adopt_resources,
        )

    def clusters(self) -> dict[str, Cluster]:
        """Every joined cluster; the same dict until something about one changes."""
        if self._clusters_version != self._world.clusters_version:
            self._clusters = self._world.clusters
            self._clusters_version = self._world.clusters_version
        return self._clusters

    def _namespace(self, namespace: str) -> NamespaceFacts:
        state = self._world.types.get(NAMESPACE_TYPE)
        if state is None:
            return NamespaceFacts(
                Missing.UNKNOWN,
                lambda cluster: Missing.UNKNOWN,
                "federation of namespaces is not enabled: run `fedctl enable namespaces`",
            )
        observe = functools.partial(_observe, state, ObjectName("", namespace))
        if not state.objects.synced:
            return NamespaceFacts(Missing.UNKNOWN, observe)
        where = ObjectName(namespace, namespace)
        federated = state.objects.get(where)
        if federated is None and where not in state.gone:
            return NamespaceFacts(Missing.UNKNOWN, observe)  # left out of a list: see absences
        if federated is None or federated.metadata.deletion_timestamp is not None:
            return NamespaceFacts(None, observe)
        selected = self._selected(namespace, federated)
        if isinstance(selected, str):
            return NamespaceFacts(Missing.UNKNOWN, observe, selected)
        return NamespaceFacts(selected, observe)

    def _selected(self, namespace: str, federated: FederatedObject) -> frozenset[str] | str:
        version, fleet = federated.metadata.resource_version, self._world.clusters_version
        known = self._namespaces.get(namespace)
        if known is not None and known[:2] == (version, fleet):
            return known[2]
        selected: frozenset[str] | str
        try:
            spec = parsing.spec(federated.spec, namespaces=True)
            selected = placement.select(spec.placement, self.clusters().values())
        except Invalid as error:
            selected = f"FederatedNamespace {namespace!r} is invalid: {error}"
        if len(self._namespaces) >= REMEMBERED:
            self._namespaces.clear()  # namespaces that are gone are never asked for again
        self._namespaces[namespace] = (version, fleet, selected)
        return selected


def _believed(track: Track) -> Mapping[str, Applied]:
    """What was applied, without what is to be applied again."""
    if not track.recheck:
        return track.applied
    return {
        cluster: applied._replace(entry="") if cluster in track.recheck else applied
        for cluster, applied in track.applied.items()
    }


def _observe(state: TypeState, target: ObjectName, cluster: str) -> Observation:
    holdings = state.holdings.get(cluster)
    return Missing.UNKNOWN if holdings is None else holdings.observe(target)


def _trouble(state: TypeState, cluster: str) -> Trouble | None:
    holdings = state.holdings.get(cluster)
    if holdings is None:
        return Trouble(Word.PENDING, "the cluster's objects have not been listed yet")
    trouble = holdings.trouble
    if trouble is not None and trouble.word is Word.VERSION_UNAVAILABLE and holdings.served == ():
        return Trouble(trouble.word, versions.unavailable("", state.type.target, ()))
    return trouble


def _served(state: TypeState, cluster: str) -> tuple[str, ...] | None:
    holdings = state.holdings.get(cluster)
    return holdings.served if holdings is not None else None
