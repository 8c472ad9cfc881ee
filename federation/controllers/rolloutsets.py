"""What one rollout is about, read at one moment: its objects, and the clusters where they are placed.

Memory in, values for core.rollouts out, as gathering does for one object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from federation.controllers.gathering import Gatherer
from federation.controllers.healthchecks import HealthChecks
from federation.controllers.revisions import Stored
from federation.controllers.rolloutindex import Published, RolloutIndex, What
from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import staging
from federation.core.staging import Content
from federation.model.federated import FederatedObject
from federation.model.plan import Action, Keep, KeepOlder
from federation.model.resources import Key, ObjectName
from federation.model.rollouts import Entry, Place, Record

Named = Mapping[Key, tuple[Entry, FederatedObject]]
"""The objects that name a rollout."""
Gates = Mapping[str, tuple[str, ...]]
"""The expressions of a stage, by type."""


class RolloutSets:
    """Reads the sets of all rollouts."""

    def __init__(self, world: World, checks: HealthChecks) -> None:
        self._world = world
        self._index: RolloutIndex = world.rollouts
        self._checks = checks
        self._gatherer = Gatherer(world)

    def objects(self, where: ObjectName, record: Record, stored: Stored) -> Named | None:
        """The objects that name it; None while one that is known of may be there and was not listed yet.

        Known of are those of the newest revision, and, where there is no record, those of which something is stored.
        """
        newest = record.revision(record.target or record.good)
        keys = self._expected(where, [each.what for each in newest.objects] if newest is not None else stored)
        if keys is None:
            return None
        found: dict[Key, tuple[Entry, FederatedObject]] = {}
        for key in sorted(keys | self._index.named(where)):
            state = self._world.types.get(key.type)
            item = state.objects.get(ObjectName(key.namespace, key.name)) if state is not None else None
            if state is None or item is None or self._index.rollout_of(item) != where:
                self._index.forget(where, key)
            elif item.metadata.deletion_timestamp is None and not item.broken and not staging.refusal(state.type):
                digest = self._index.digest(key, item)
                meta = item.metadata
                found[key] = (Entry(key.type, key.name, meta.uid, digest, meta.generation), item)
        return {key: each for key, each in found.items() if each[0].content}

    def _expected(self, where: ObjectName, known: Iterable[What]) -> set[Key] | None:
        keys = set()
        for name, object_name, _ in known:
            state = self._world.types.get(name)
            if state is None:
                continue
            if not state.objects.synced:
                return None
            keys.add(Key(name, where.namespace if state.type.federated.namespaced else "", object_name))
        return keys

    def places(
        self, where: ObjectName, published: Published, found: Named, gates: Gates, stored: Stored
    ) -> dict[str, Place] | None:
        """The clusters where the objects are placed, as of what is published; None while one is being planned.

        `stored` are contents that clusters may have; of interest only where there is no record.
        """
        places: dict[str, Place] = {}
        refused, target = "", published.record.target
        released = {name for name, revision in published.record.holds.items() if revision == target}
        for key, (entry, item) in found.items():
            state = self._world.types[key.type]
            track = state.tracks.get(item.where)
            if track is None or track.plan is None or track.stale or track.planning or track.uid != entry.uid:
                return None
            plan = track.plan
            if plan.reason:
                refused = f"{key.type} {key.name} is refused: {plan.reason.value}"  # its own status reports why
                continue
            if plan.staged != published.serial or plan.generation != item.metadata.generation:
                return None
            had = self._had(state, item, track, entry, stored)
            for cluster in plan.selected & self._world.members.keys():
                place = self._place(cluster, track, entry, had.get(cluster), places.get(cluster))
                if cluster in released and place.ready and not place.unhealthy:
                    unhealthy = self._checks.unhealthy(where, key, cluster, gates.get(key.type, ()))
                    place = replace(place, unhealthy=unhealthy)
                places[cluster] = place
        if refused:  # a set changes together, or not at all
            return {name: replace(place, unhealthy=place.unhealthy or refused) for name, place in places.items()}
        return places

    def _had(
        self, state: TypeState, item: FederatedObject, track: Track, entry: Entry, stored: Stored
    ) -> Mapping[str, Content]:
        contents = stored.get(entry.what)
        if not contents:
            return {}
        facts = self._gatherer.gather(state, item, track, staged=False)
        return staging.had(facts, sorted(contents, key=lambda each: each.digest != entry.content))

    def _place(self, cluster: str, track: Track, entry: Entry, had: Content | None, before: Place | None) -> Place:
        """A cluster with one more object of the set; `had` is the content that it has of that, where it is known."""
        seen, applied = self._world.members[cluster].cluster, track.applied.get(cluster)
        same = (
            _is_present(track.actions.get(cluster))
            or (had is not None and had.digest == entry.content)
            or (applied is not None and applied.known and applied.generation == entry.generation)
        )
        has = before.has if before is not None else ()
        if had is not None:
            has = (*has, entry if same else Entry(*entry.what, had.digest, had.generation))
        return Place(
            cluster,
            seen.labels,
            seen.ready is True,
            before.unhealthy if before is not None else "",
            older=(applied is not None and not same) or (before is not None and before.older),
            copies=applied is not None and (before is None or before.copies),
            has=has,
            cordoned=seen.cordon is not None,
        )


def _is_present(action: Action | None) -> bool:
    """Whether a cluster has the present content of an object."""
    return isinstance(action, Keep) and not isinstance(action, KeepOlder)
