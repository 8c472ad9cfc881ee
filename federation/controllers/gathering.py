"""Read the facts of one federated object at one moment: memory in, a value for planning out. Never awaits."""

import functools
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from typing import TypeVar

import msgspec

from federation.controllers import pacing
from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import parsing, versions
from federation.core.elsewhere import NOTHING_SAID as NO_OTHER_SHARD
from federation.core.facts import Facts, NamespaceFacts
from federation.core.placement import Selections
from federation.model import marks
from federation.model.conditions import Phase, PropagationStatus
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, Metadata
from federation.model.marks import NAMESPACE_TYPE
from federation.model.observations import Applied, Cluster, Missing, Observation
from federation.model.plan import Refuse, Wait
from federation.model.resources import ObjectName

T = TypeVar("T")

_LONG = 128 << 10
"""Bytes of a spec that take tens of milliseconds to plan, made of the smallest values."""
_LONG_TOGETHER = 2 << 20
"""Bytes of all manifests of an object that do."""
_TO_COME = {Phase.UNDER_WAY, Phase.CLUSTER_AWAY, Phase.REMOVING}
_NOT_ENABLED = "federation of namespaces is not enabled: run `fedctl enable namespaces`"
REMEMBERED = 10_000
"""Namespaces whose placement is remembered."""


class Gatherer:
    """Builds Facts. Placement of a namespace is computed once per FederatedNamespace and fleet, not once per object."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clusters: dict[str, Cluster] = {}
        self._clusters_version = -1
        self._selections = Selections(self._clusters)
        self._namespaces: dict[str, tuple[str, int, frozenset[str] | str, bool]] = {}

    def gather(
        self,
        state: TypeState,
        federated: FederatedObject,
        track: Track,
        only: Set[str] | None = None,
        *,
        staged: bool = True,
    ) -> Facts:
        """The facts of one object, in all clusters or in a few `only`; without its rollout where not `staged`."""
        world, clusters = self._world, self.clusters()
        if only is not None:
            clusters = {name: clusters[name] for name in only if name in clusters}
        target = state.target_name(federated.where)
        around = (
            state.copies.items()
            if only is None
            else [(each, state.copies[each]) for each in only & state.copies.keys()]
        )
        # One lookup for each member, 0.06 us: an index by object would be some hundred bytes for each of them.
        present = frozenset([name for name, copies in around if target in copies.objects])
        host_namespace: Metadata | Missing | None = None
        if state.type.is_namespace:
            # The Namespace that it lives in exists: one that no list has shown is unknown, not without labels.
            host_namespace = world.host_namespaces.get(ObjectName("", federated.metadata.name)) or Missing.UNKNOWN
        return Facts(
            type=state.type,
            object=federated,
            clusters=clusters,
            observe=functools.partial(_observe, state, target),
            unobservable=functools.partial(_unobservable, state),
            served=functools.partial(_served, state),
            applied=_applied(track),
            namespace=self.namespace(state, federated.metadata.namespace),
            host_namespace=host_namespace,
            unconfirmed=frozenset(track.unconfirmed),
            guessed=frozenset(track.guessed),
            from_the_start=track.from_the_start,
            interrupted=frozenset(track.interrupted),
            vanished=frozenset(track.vanished),
            present=present,
            staged=world.rollouts.staged(state, federated)
            if staged and marks.ROLLOUT_LABEL in federated.metadata.labels
            else None,
            elsewhere=NO_OTHER_SHARD if world.sharding is None else world.sharding.says(world, federated, track.status),
            selections=self._selections,
            adopt=world.settings.adopt_resources,
            policies=world.settings.policies,
            system_namespaces=world.system_namespaces,
        )

    def clusters(self) -> dict[str, Cluster]:
        """Every joined cluster; the same dict until something about one changes."""
        if self._clusters_version != self._world.clusters_version:
            self._clusters = self._world.clusters
            self._clusters_version = self._world.clusters_version
            self._selections = Selections(self._clusters)
        return self._clusters

    def namespace(self, state: TypeState, namespace: str) -> NamespaceFacts | None:
        """The federation of a namespace, as it bounds the objects of a type in it; None where nothing does."""
        return self._namespace(namespace) if state.type.in_namespaces else None

    def _namespace(self, namespace: str) -> NamespaceFacts:
        state = self._world.types.get(NAMESPACE_TYPE)
        if state is None:
            # With scope Namespaced nothing is wrong: the object's type is about to be followed anew, without this one.
            wrong = "" if self._world.settings.namespaced else _NOT_ENABLED
            return NamespaceFacts(Missing.UNKNOWN, lambda cluster: Missing.UNKNOWN, wrong)
        observe = functools.partial(_observe, state, ObjectName("", namespace))
        if not state.objects.synced:
            return NamespaceFacts(Missing.UNKNOWN, observe)
        where = ObjectName(namespace, namespace)
        federated = state.objects.get(where)
        if federated is None and where not in state.gone:
            return NamespaceFacts(Missing.UNKNOWN, observe)  # left out of a list: see absences
        if federated is None:
            return NamespaceFacts(None, observe, change=f"FederatedNamespace {namespace!r} is not there")
        if federated.metadata.deletion_timestamp is not None:
            change = f"FederatedNamespace {namespace!r} is being deleted"
            return NamespaceFacts(None, observe, change=change, metadata=federated.metadata)
        selected, by_labels = self._selected(namespace, federated)
        if isinstance(selected, str):
            return NamespaceFacts(Missing.UNKNOWN, observe, selected)
        change = f"FederatedNamespace {namespace!r} (generation {federated.metadata.generation})"
        system = namespace in self._world.system_namespaces
        exists = functools.partial(_exists, state, where, system)
        return NamespaceFacts(
            selected, observe, change=change, by_labels=by_labels, metadata=federated.metadata, exists=exists
        )

    def _selected(self, namespace: str, federated: FederatedObject) -> tuple[frozenset[str] | str, bool]:
        """The clusters, or why that is not understood; and whether they are selected by their labels."""
        version, fleet = federated.metadata.resource_version, self._world.clusters_version
        known = self._namespaces.get(namespace)
        if known is not None and known[:2] == (version, fleet):
            return known[2:]
        selected: frozenset[str] | str
        by_labels = False
        try:
            if federated.broken:
                raise Invalid("", federated.broken)
            spec = parsing.spec(federated.spec, namespaces=True)
            self.clusters()
            selected = self._selections.of(spec.placement)
            by_labels = spec.placement.clusters is None and spec.placement.selector is not None
        except Invalid as error:
            selected = f"FederatedNamespace {namespace!r} is invalid: {error}"
        if len(self._namespaces) >= REMEMBERED:
            self._namespaces.clear()  # namespaces that are gone are never asked for again
        self._namespaces[namespace] = (version, fleet, selected, by_labels)
        return selected, by_labels


def takes_long(facts: Facts) -> bool:
    """Whether planning of these facts is to be done beside the event loop: of `settled` ones."""
    spec, clusters = facts.object.spec, len(facts.clusters)
    size = len(memoryview(spec))
    if size >= _LONG or size * (1 + clusters) < _LONG_TOGETHER:
        return size >= _LONG
    return size * (1 + min(bytes(spec).count(b'"clusterName"'), clusters)) >= _LONG_TOGETHER


def settled(facts: Facts) -> Facts:
    """The same facts, read for every cluster now: a plan that takes its time is of one moment all the same."""
    names = {*facts.clusters, *facts.applied}
    namespace = facts.namespace
    if namespace is not None:
        observe, exists = _known(namespace.observe, names), _known(namespace.exists, names)
        namespace = replace(namespace, observe=observe, exists=exists)
    return replace(
        facts,
        observe=_known(facts.observe, names),
        unobservable=_known(facts.unobservable, names),
        served=_known(facts.served, names),
        applied=dict(facts.applied),
        namespace=namespace,
    )


def _known(ask: Callable[[str], T], names: Iterable[str]) -> Callable[[str], T]:
    return {name: ask(name) for name in names}.__getitem__


def _applied(track: Track) -> Mapping[str, Applied]:
    """What was applied, without what is to be applied again."""
    if not track.recheck:
        return track.applied
    return {
        cluster: msgspec.structs.replace(applied, owned_digest="") if cluster in track.recheck else applied
        for cluster, applied in track.applied.items()
    }


def _observe(state: TypeState, target: ObjectName, cluster: str) -> Observation:
    copies = state.copies.get(cluster)
    return Missing.UNKNOWN if copies is None else copies.observe(target)


def will_not_come(track: Track, cluster: str) -> bool:
    """Whether a namespace is not made in a cluster by its own push: its spec or the cluster refuses it, or it is there
    and somebody has it. A cluster that is away or slow has not refused it."""
    if track.plan is not None and track.plan.reason:
        return True
    action, setback = track.actions.get(cluster), track.setbacks.get(cluster)
    if isinstance(action, Wait | Refuse) and action.status.phase not in _TO_COME:
        return True
    return setback is not None and (setback.status.phase is Phase.TAKEN or setback.pace in pacing.REFUSED)


def _exists(state: TypeState, where: ObjectName, system: bool, cluster: str) -> bool:
    """Whether objects need not wait for our copy of their namespace: it is there without us, or only a push shows it.

    It is a system namespace; its own push does not make it there; namespaces cannot be listed there. Where it is
    missing after all, the objects' own pushes fail.
    """
    if system:
        return True
    copies, track = state.copies.get(cluster), state.tracks.get(where)
    if (
        copies is not None
        and copies.unobservable is not None
        and copies.unobservable.status is PropagationStatus.RETRIEVAL_FAILED
    ):
        return True
    return track is not None and will_not_come(track, cluster)


def _unobservable(state: TypeState, cluster: str) -> Wait | None:
    copies = state.copies.get(cluster)
    if copies is None:
        return Wait(PropagationStatus.PENDING, "the cluster's objects have not been listed yet")
    waiting = copies.unobservable
    if waiting is not None and waiting.status is PropagationStatus.VERSION_UNAVAILABLE and copies.served == ():
        return Wait(waiting.status, versions.unavailable("", state.type.target, ()))
    return waiting


def _served(state: TypeState, cluster: str) -> tuple[str, ...] | None:
    copies = state.copies.get(cluster)
    return copies.served if copies is not None else None
