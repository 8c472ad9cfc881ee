"""Read what a preference is decided from: its federated object, and the clusters where that may be. Never awaits."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from federation.controllers.gathering import Gatherer
from federation.controllers.workloadlooks import WorkloadLooks
from federation.controllers.world import Member, TypeState, World
from federation.core import placement, preferencespec, schedules, times
from federation.core.schedules import Asked
from federation.model import marks
from federation.model.federated import Placement, Spec, StoredObject
from federation.model.observations import Cluster, Missing, Observed
from federation.model.preferences import Place, Preference, Shortage, Standing
from federation.model.resources import ObjectName
from federation.runtime.store import Store

UNBOUNDED = "no FederatedNamespace federates its namespace: nothing is propagated until one does"


@dataclass(frozen=True, slots=True)
class Situation:
    """The clusters where an object may be, as `places`, of all that have `joined`.

    `unknown`: what bounds it has not been read yet. `unprobed`: nor have all clusters been asked once. `note` is
    something about its namespace that its user should know."""

    places: tuple[Place, ...] = ()
    joined: Set[str] = frozenset()
    unknown: bool = False
    unprobed: bool = False
    note: str = ""


class PreferenceFacts:
    """Gathers places. `clusters` are the KubeFedClusters, `now` gives seconds of the epoch."""

    def __init__(
        self, world: World, looks: WorkloadLooks, clusters: Store[StoredObject], now: Callable[[], float]
    ) -> None:
        self._world = world
        self._looks = looks
        self._clusters = clusters
        self._now = now
        self._gatherer = Gatherer(world)
        self._silent: dict[str, float] = {}
        self._known: dict[str, tuple[object, ...]] = {}

    def is_another(self, name: str) -> bool:
        """Whether a cluster is another than when this was asked before, as far as preferences see it: one that is
        probed again and again is not."""
        member, stored = self._world.members.get(name), self._stored(name)
        cluster = member.cluster if member is not None else None
        seen: tuple[object, ...] = ()
        if cluster is not None:
            seen = (cluster.ready, cluster.labels, cluster.cordon, cluster.silent)
        if stored is not None:
            seen += (self._draining(name), _since(stored))
        if self._known.get(name) == seen:
            return False
        if seen:
            self._known[name] = seen
        else:
            self._known.pop(name, None)
        return True

    def state(self, kind: str) -> TypeState | None:
        """The type that a targetKind means; None where none of that kind is enabled."""
        for name, each in self._world.types.items():
            if each.type.federated.kind == kind and name in preferencespec.TARGETS:
                return each
        return None

    def situation(
        self,
        where: ObjectName,
        wish: Preference,
        state: TypeState,
        spec: Spec,
        *,
        written: Mapping[str, int],
        shortages: Mapping[str, Shortage],
    ) -> Situation:
        """The places of one object."""
        clusters = self._gatherer.clusters()
        around = self._gatherer.namespace(state, where.namespace)
        selected = around.selected if around is not None else Missing.ABSENT
        if selected is Missing.UNKNOWN and around is not None and not around.message:
            return Situation(unknown=True)
        bound = selected if isinstance(selected, frozenset) else None
        asked = schedules.asked(spec, clusters)
        names = sorted(self._candidates(wish, spec, clusters))
        within = [
            self._place(name, wish, state, where, asked.get(name), written.get(name), shortages.get(name), bound)
            for name in names
        ]
        self._looks.keep(where, set(names))
        note = UNBOUNDED if around is not None and selected is None else around.message if around is not None else ""
        unprobed = any(clusters[name].ready is None for name in names)
        return Situation(tuple(within), clusters.keys(), unprobed=unprobed, note=note)

    @staticmethod
    def _candidates(wish: Preference, spec: Spec, clusters: Mapping[str, Cluster]) -> frozenset[str]:
        if not wish.intersect:
            return frozenset(clusters)
        return placement.select(Placement(selector=spec.placement.selector), clusters)

    def _place(  # noqa: PLR0917 - private, called once
        self,
        name: str,
        wish: Preference,
        state: TypeState,
        where: ObjectName,
        asked: Asked | None,
        written: int | None,
        shortage: Shortage | None,
        bound: frozenset[str] | None,
    ) -> Place:
        member = self._world.members[name]
        bounds = wish.bounds(name) if bound is None or name in bound else None
        number = asked.replicas if asked is not None else 0
        scheduled = asked is not None and asked.override is not None and asked.override == written
        standing, silent_for = self._standing(name, member, state)
        shown, runs = None, 0 if asked is None else None
        if standing is Standing.ANSWERS:
            observed = state.copies[name].observe(where)
            if isinstance(observed, Observed):
                shown = self._looks.shown(where, state, name, observed)
                runs = shown.ready if shown is not None else None
            elif observed is Missing.ABSENT:
                runs = 0
            else:
                runs = None
        return Place(
            name,
            bounds,
            number,
            scheduled=scheduled,
            runs=runs,
            standing=standing,
            silent_for=silent_for,
            draining=self._draining(name),
            shown=shown,
            shortage=shortage,
        )

    def _standing(self, name: str, member: Member, state: TypeState) -> tuple[Standing, float]:
        copies = state.copies.get(name)
        if member.cluster.ready is not True or member.cluster.silent:
            return Standing.SILENT, self._silent_for(name)
        self._silent.pop(name, None)
        if copies is None or copies.unobservable is not None:
            return Standing.SILENT, 0.0  # it answers, but not about this type
        return (Standing.ANSWERS if member.cluster.cordon is None else Standing.CORDONED), 0.0

    def _silent_for(self, name: str) -> float:
        """By its condition Ready, which outlives us; before that is written by what we have seen ourselves."""
        now = self._now()
        seen = self._silent.setdefault(name, now)
        stored = self._stored(name)
        then = times.moment(_since(stored)) if stored is not None else None
        return max(0.0, now - (seen if then is None else min(seen, then.timestamp())))

    def _draining(self, name: str) -> bool:
        stored = self._stored(name)
        return stored is not None and stored.metadata.annotations.get(marks.DRAIN_ANNOTATION, "false") != "false"

    def _stored(self, name: str) -> StoredObject | None:
        return self._clusters.get(ObjectName(self._world.namespace, name))


def _since(stored: StoredObject) -> object:
    """Since when a KubeFedCluster has not been Ready, as its condition says; None where it is."""
    for condition in stored.conditions:
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return condition.get("lastTransitionTime")
    return None
