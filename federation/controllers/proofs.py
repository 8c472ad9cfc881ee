"""Ask the hub, right before something is removed from a member, whether it still says so; used by executing.

What a removal rests on (its Basis) is read by name (`readings`) and judged (core.proof). Where the hub says otherwise,
its answer is taken in as if its watch had brought it, and the object is planned anew. Where it cannot be asked nothing
is removed: the removal waits and is tried again.

The deletion of a federated object itself needs no question while the watch that has shown it goes on; neither do the
type, the cluster's being joined and the settings while theirs do. Nothing is asked while nothing is to be removed.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from federation.controllers import kubefedconfig
from federation.controllers.outcomes import Prove
from federation.controllers.ports import HubPort, Watch
from federation.controllers.readings import Readings
from federation.controllers.world import TypeState, World
from federation.core import holds, managedfields, proof
from federation.core.proof import Answer, Cause, Doubt, Live, Proof
from federation.core.restoration import Witness
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.marks import NAMESPACE_TYPE
from federation.model.plan import Apply, Basis, Command, Delete, Release, RemovalCause
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, TYPE_CONFIGS, ObjectName, Resource
from federation.runtime import metrics
from federation.runtime.store import Store

STEADY = 2.0
"""Seconds that a watch must have been open again: what it has missed is taken in by then."""

_BY_CONTACT = Proof(by="contact")
_proven_by_contact = metrics.PROOFS.labels("contact")


class _Case(NamedTuple):
    """One removal: of one object's copy, from one cluster, resting on this."""

    state: TypeState
    name: ObjectName
    cluster: str
    basis: Basis
    deletion: bool


class _Followed(NamedTuple):
    """A collection of the system namespace, its watch, and whom to tell of a change."""

    store: Store[StoredObject]
    watch: Watch
    notify: Callable[[str], None]


class Prover:
    """Proves removals at one hub."""

    def __init__(self, world: World, hub: HubPort) -> None:
        self._world = world
        self._hub = hub
        self._readings = Readings(hub)
        self._followed: dict[Resource, _Followed] = {}
        self.confirmed: Callable[[], Awaitable[str]] = _unbroken
        """Continuity.confirmed: why it is not known that the hub has not gone back in time, or ""."""
        self.contradicted: Callable[[str, Sequence[tuple[Resource, ObjectName]], int], Awaitable[str]] = _whole
        """Continuity.contradicted."""

    def follow(
        self, resource: Resource, store: Store[StoredObject], watch: Watch, notify: Callable[[str], None]
    ) -> None:
        """Which of the types, the clusters and the settings are known, and whether contact goes on."""
        self._followed[resource] = _Followed(store, watch, notify)

    def of(self, action: Command, state: TypeState, name: ObjectName, cluster: str) -> Prove | None:
        """How to prove what this action may remove; None where it removes nothing."""
        if isinstance(action, Apply):
            if action.recreation is None:
                return None
            case = _Case(state, name, cluster, action.recreation.basis, deletion=False)
        elif isinstance(action, Delete | Release) and action.reason is not None:
            deletion = action.reason.cause is RemovalCause.DELETION
            case = _Case(state, name, cluster, action.reason.basis, deletion)
        else:
            return None
        return functools.partial(self._prove, case)

    async def _prove(self, case: _Case) -> Proof | Doubt:
        if (held := self._held(case)) is not None:
            return held
        judged = await self._judged(case)
        if isinstance(judged, Proof) and judged is not _BY_CONTACT and (why := await self.confirmed()):
            return _unknown(why)
        if isinstance(judged, Proof) and (why := await self._newer(case)):
            return _unknown(why)
        # While the hub was asked, it may have been recognised as restored, or the cluster cordoned: that is planned.
        member = self._world.members.get(case.cluster)
        if isinstance(judged, Proof) and member is not None and member.cluster.cordon is not None:
            return Doubt(proof.Cause.STALE, "the cluster was cordoned")
        return self._held(case) or judged

    def _held(self, case: _Case) -> Doubt | None:
        """That removals are held now, whatever was planned: the next plan has it."""
        restraints, federated = self._world.restraints, case.state.objects.get(case.name)
        about = federated.metadata if federated is not None else Metadata(case.name.name, case.name.namespace)
        why = self._world.protection(case.state.type, about)
        why = why or (holds.why(about, restraints) if restraints else "")
        return Doubt(Cause.STALE, why) if why else None

    async def _newer(self, case: _Case) -> str:
        """Ask whether a copy that no status records is newer than the hub; "" or why that is not known."""
        state, copies, track = case.state, case.state.copies.get(case.cluster), case.state.tracks.get(case.name)
        observed = copies.objects.get(state.target_name(case.name)) if copies is not None else None
        applied = track.applied.get(case.cluster) if track is not None else None
        if case.deletion or observed is None or not observed.owned_digest:
            return ""
        if applied is not None and applied.known and applied.shown_by(observed):
            return ""
        deciding = [
            (state.type.federated, case.name),
            (KUBEFED_CLUSTERS, ObjectName(self._world.namespace, case.cluster)),
        ]
        if (around := self._world.types.get(NAMESPACE_TYPE)) is not None and state.type.in_namespaces:
            deciding.append((around.type.federated, _namespace_of(case.name)))
        what = f"the copy of {state.type.federated.kind} {case.name} in {case.cluster}"
        return await self.contradicted(what, deciding, observed.applied_at)

    async def _judged(self, case: _Case) -> Proof | Doubt:
        state, name, planned = case.state, case.name, case.basis.object
        if case.deletion and planned is not None and state.shown_deleted(name, planned.uid):
            _proven_by_contact.inc()
            return _BY_CONTACT
        breaks = state.watch.breaks if state.watch is not None else 0
        known = self._known(case.cluster)
        live = await self._live(case, known)
        judged = proof.judge(case.basis, live, deletion=case.deletion, known_cluster=known)
        if isinstance(judged, Proof):
            judged = await self._configured(case) or judged
        if isinstance(judged, Doubt):
            metrics.PROOFS.labels(judged.cause.value).inc()
            if judged.cause is Cause.OLDER and planned is not None:
                self._world.suspect(_witness(state, planned))
            await self._take_in(case, judged.moved)
            return judged
        metrics.PROOFS.labels("answer").inc()
        if case.deletion and planned is not None and name in state.deletions:
            state.deletions[name] = planned.uid, breaks
        return judged

    async def _live(self, case: _Case, known: str) -> Live:
        """The hub's answers about what the removal rests on; `known` is the version of the KubeFedCluster."""
        around = self._around(case)
        if around is None and case.basis.on_namespace:
            gone = Failure(FailureKind.TYPE_MISSING, "federation of namespaces is not enabled any more")
            return Live(await self._federated(case.state, case.name, case.basis.object), gone)
        where = ObjectName(self._world.namespace, case.cluster)
        answers = await asyncio.gather(
            self._federated(case.state, case.name, case.basis.object),
            _nothing() if around is None else self._federated(around, _namespace_of(case.name), case.basis.namespace),
            _nothing() if case.basis.labels is None else self._readings.metadata(KUBEFED_CLUSTERS, where, known),
        )
        return Live(*answers)

    async def _federated(self, state: TypeState, name: ObjectName, planned: Metadata | None) -> Answer:
        return await self._readings.federated(state, name, planned.resource_version if planned is not None else "")

    def _around(self, case: _Case) -> TypeState | None:
        """Where the FederatedNamespace is found, if it decides."""
        return self._world.types.get(NAMESPACE_TYPE) if case.basis.on_namespace else None

    # --- types, clusters, settings

    async def _configured(self, case: _Case) -> Doubt | None:
        """Whether a type that was disabled, a cluster that has left, or other settings are only not known yet."""
        names = {
            TYPE_CONFIGS: case.state.type.name,
            KUBEFED_CLUSTERS: case.cluster,
            KUBEFED_CONFIGS: kubefedconfig.NAME,
        }
        for resource, name in names.items():
            followed = self._followed.get(resource)
            if followed is not None and not _steady(followed.watch):
                doubt = await self._compared(resource, followed, ObjectName(self._world.namespace, name))
                if doubt is not None:
                    return doubt
        return None

    async def _compared(self, resource: Resource, followed: _Followed, where: ObjectName) -> Doubt | None:
        what, stored = f"{resource.kind} {where.name}", followed.store.get(where)
        known = stored.metadata if stored is not None else None
        live = await self._readings.metadata(resource, where, known.resource_version if known is not None else "")
        if known is None and (live is proof.Absent.ABSENT or _unserved(live)):
            return None
        doubt = proof.unchanged(what, known, live)
        if doubt is not None and doubt.moved:
            await self._take_in_stored(resource, where)
        return doubt

    def _known(self, cluster: str) -> str:
        """The version of a KubeFedCluster whose labels are known."""
        followed = self._followed.get(KUBEFED_CLUSTERS)
        stored = followed.store.get(ObjectName(self._world.namespace, cluster)) if followed is not None else None
        return stored.metadata.resource_version if stored is not None else ""

    # --- what the hub says otherwise

    async def _take_in(self, case: _Case, moved: frozenset[str]) -> None:
        around = self._around(case)
        if "object" in moved:
            await self._take_in_federated(case.state, case.name)
        if "namespace" in moved and around is not None:
            await self._take_in_federated(around, _namespace_of(case.name))
        if "cluster" in moved:
            await self._take_in_stored(KUBEFED_CLUSTERS, ObjectName(self._world.namespace, case.cluster))

    async def _take_in_federated(self, state: TypeState, name: ObjectName) -> None:
        """What the hub has of one federated object, where it is newer than what is known."""
        intake, resource = state.intake, state.type.federated
        if intake is None:
            return
        found = await self._hub.read_federated(resource, name)
        known = state.objects.get(name)
        if isinstance(found, Failure):
            if known is not None and proof.names(found, resource, name):
                intake.left_out(name)
        elif known is None or proof.newer(found.metadata, known.metadata):
            intake.upsert(intake.kept(found))

    async def _take_in_stored(self, resource: Resource, where: ObjectName) -> None:
        followed = self._followed.get(resource)
        if followed is None:
            return
        found = await self._hub.read(resource, where)
        known = followed.store.get(where)
        if not isinstance(found, Failure) and (known is None or proof.newer(found.metadata, known.metadata)):
            followed.store.put(where, found)
            followed.notify(where.name)


def _steady(watch: Watch) -> bool:
    return watch.open and time.monotonic() - watch.since >= STEADY


def _unserved(live: Answer) -> bool:
    return isinstance(live, Failure) and live.kind is FailureKind.TYPE_MISSING


def _namespace_of(name: ObjectName) -> ObjectName:
    return ObjectName(name.namespace, name.namespace)


def _witness(state: TypeState, planned: Metadata) -> Witness:
    version = managedfields.number(planned.resource_version)
    return Witness(state.type.federated, ObjectName(planned.namespace, planned.name), planned.uid, version)


async def _unbroken() -> str:
    return ""


async def _whole(what: str, deciding: Sequence[tuple[Resource, ObjectName]], applied_at: int) -> str:
    return ""


def _unknown(why: str) -> Doubt:
    return Doubt(Cause.SILENT, f"not removed: whether the hub was restored from a backup is not known: {why}")


async def _nothing() -> Metadata | None:
    return None
