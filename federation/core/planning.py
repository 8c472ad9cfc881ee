"""Decide what every cluster should get: facts in, one Plan out. The middle of an event's road.

The order is KubeFed's: template, retained fields, overrides, managed label, and only then the comparison with what
the member holds. Two rules stand above it: unknown is not absent (a cluster that cannot be asked gets a Wait, never a
Delete), and what nobody changed is kept (two plannings of the same facts, the second says Keep everywhere).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, assert_never

from federation.core import claims, manifest, parsing, placement, recreation, versions
from federation.model import marks
from federation.model.clusters import Cluster, Missing, Observation, Observed
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, FederatedType, Metadata, Spec
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Plan, Refuse, Release, Wait
from federation.model.words import Propagation, Word

UNSURE = "?"
"""In place of an entry's digest, which it never equals, after an apply without answer: it is to be applied anew."""


class Applied(NamedTuple):
    """What we last applied to one cluster: digests of the manifest and of our managedFields entry afterwards."""

    digest: str
    entry: str
    generation: int = 0


class Trouble(NamedTuple):
    """Why one cluster's collection cannot be followed now."""

    word: Word
    message: str


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """The federation of the namespace that an object lives in.

    `selected`: the clusters its FederatedNamespace selects; None when there is no FederatedNamespace; Missing.UNKNOWN
    while that cannot be told, with a `message` when somebody has to mend something first.
    `observe` says whether a cluster holds the namespace already.
    """

    selected: frozenset[str] | Missing | None
    observe: Callable[[str], Observation]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a plan is made from, read at one moment.

    `remembered` are clusters that hold, or may hold, a copy by what we applied and what the status says.
    `namespace` is None for cluster-scoped objects and for FederatedNamespaces. `unsure` are clusters where a create or
    a claim was sent that may have come to pass though nobody has seen it (no answer, or its event is still to come).
    `served` are the versions of the type that a cluster serves, None where that is not known.
    """

    type: FederatedType
    object: FederatedObject
    clusters: Mapping[str, Cluster]
    observe: Callable[[str], Observation]
    applied: Mapping[str, Applied] = field(default_factory=dict)
    trouble: Callable[[str], Trouble | None] = lambda cluster: None
    served: Callable[[str], tuple[str, ...] | None] = lambda cluster: None
    namespace: NamespaceFacts | None = None
    host_namespace: Metadata | Missing | None = None
    unsure: frozenset[str] = frozenset()
    adopt: bool = True


def plan(facts: Facts) -> Plan:
    """The plan for one federated object. Never raises on user input: what is wrong becomes part of the plan."""
    meta = facts.object.metadata
    if meta.deletion_timestamp is not None:
        return _plan_deletion(facts)
    if facts.type.is_namespace and meta.name != meta.namespace:
        return _refused(facts, "metadata.name", f"must be the name of the namespace it lives in, {meta.namespace!r}")
    try:
        spec = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace)
        host = facts.host_namespace
        if spec.template is None and isinstance(host, Missing):
            return Plan(meta.generation, undecided=True)  # without its labels the members' would be taken away
        base = manifest.base(
            spec, facts.type, facts.object.where, host_namespace=None if isinstance(host, Missing) else host
        )
    except Invalid as error:
        return _refused(facts, error.field, error.message)
    selected = placement.select(spec.placement, facts.clusters.values())
    reason, message = Propagation.OK, ""
    if facts.namespace is not None:
        within = facts.namespace.selected
        if within is Missing.UNKNOWN:
            # Nothing may be concluded, least of all that copies should go: what is there stays as it is.
            if not facts.namespace.message:
                return Plan(meta.generation, undecided=True)
            held = _holding(facts, Word.CACHED_RETRIEVAL_FAILED, facts.namespace.message)
            return replace(held, reason=Propagation.NAMESPACE_NOT_FEDERATED, message=facts.namespace.message)
        if within is None:
            reason = Propagation.NAMESPACE_NOT_FEDERATED
            message = (
                f"namespace {meta.namespace!r} has no FederatedNamespace: create one named {meta.namespace!r} in it"
            )
        selected &= within if isinstance(within, frozenset) else frozenset()
    actions: dict[str, Action] = {}
    shared = _Shared(facts, spec, base)
    for name, cluster in facts.clusters.items():
        if name in selected:
            actions[name] = _hold(facts, cluster, shared)
        elif (action := _clear(facts, cluster, options=None)) is not None:
            actions[name] = action
    finalized = marks.SYNC_FINALIZER in meta.finalizers
    return Plan(
        generation=meta.generation,
        actions=actions,
        selected=selected,
        reason=reason,
        message=message,
        finalizer=True if not finalized and _leaves_traces(facts, actions) else None,
        warnings=base.warnings,
        unjoined=placement.unknown(spec.placement, facts.clusters.values()),
    )


def _leaves_traces(facts: Facts, actions: Mapping[str, Action]) -> bool:
    """Whether something of ours is to be taken back from a member before the object may go."""
    return any(isinstance(action, Apply | Claim | Keep) for action in actions.values()) or any(
        _claimed(facts, name) for name in actions
    )


def _claimed(facts: Facts, name: str) -> bool:
    observed = facts.observe(name)
    return isinstance(observed, Observed) and observed.claimed


class _Shared:
    """The manifest of the clusters without overrides, made once; the others get their own."""

    def __init__(self, facts: Facts, spec: Spec, base: manifest.Base) -> None:
        self._facts = facts
        self._spec = spec
        self._base = base
        self._common: dict[str, _Made] = {}

    def manifest_for(self, cluster: Cluster) -> "_Made":
        operations = self._spec.overrides.get(cluster.name)
        if cluster.is_host and self._facts.type.is_namespace and self._spec.template is None:
            # The host's Namespace is the template: applied to itself, a label taken off it would come back as drift.
            bare = manifest.base(self._spec, self._facts.type, self._facts.object.where, host_namespace=None)
            return self._at(cluster, manifest.finish(bare, operations or ()))
        if operations:
            return self._at(cluster, manifest.finish(self._base, operations))
        version = self._version(cluster, self._base.body)
        common = self._common.get(version)
        if common is None:
            common = self._common[version] = self._make(manifest.finish(self._base, ()), version)
        return common

    def _at(self, cluster: Cluster, body: dict[str, Any]) -> "_Made":
        return self._make(body, self._version(cluster, body))

    def _version(self, cluster: Cluster, body: Mapping[str, Any]) -> str:
        """The apiVersion that the cluster is given. Raises _VersionUnavailable."""
        wanted: str = body["apiVersion"]
        served = self._facts.served(cluster.name)
        if served is None:
            return wanted
        target = self._facts.type.target
        version = wanted.rpartition("/")[2]
        chosen = versions.choose(version, self._facts.type, served)
        if chosen is None:
            raise _VersionUnavailable(versions.unavailable(version, target, served))
        return wanted if chosen == version else replace(target, version=chosen).api_version

    def _make(self, body: dict[str, Any], api_version: str) -> "_Made":
        if body["apiVersion"] != api_version:
            body = {**body, "apiVersion": api_version}
        retain = self._spec.retain_replicas
        replicas = manifest.replicas_of(body) if retain else None
        without = manifest.without_replicas(body) if replicas is not None else body
        content, digest = manifest.digest(without)
        return _Made(body, content, digest, retain, replicas, api_version)


class _VersionUnavailable(Exception):
    """The cluster serves no version of the type under which this manifest can be pushed; says which it does serve."""


class _Made(NamedTuple):
    body: dict[str, Any]
    content: bytes
    """JSON of the manifest; without replicas when they are the member's own."""
    digest: str
    retain: bool
    replicas: int | None
    """What to create with, when replicas are retained afterwards."""
    api_version: str

    def creation(self) -> bytes:
        """JSON of the manifest where nothing is yet."""
        return self.content if self.replicas is None else manifest.digest(self.body)[0]


def _hold(facts: Facts, cluster: Cluster, shared: _Shared) -> Action:
    name = cluster.name
    if not cluster.ready:
        return _unready(cluster)
    if (trouble := facts.trouble(name)) is not None:
        return Wait(trouble.word, trouble.message)
    observed = facts.observe(name)
    if facts.namespace is not None and (waiting := _await_namespace(facts.namespace, name)) is not None:
        return waiting
    try:
        made = shared.manifest_for(cluster)
    except Invalid as error:
        return Refuse(Word.APPLY_OVERRIDES_FAILED, f"{error.field}: {error.message}")
    except _VersionUnavailable as error:
        return Wait(Word.VERSION_UNAVAILABLE, str(error))
    match observed:
        case Missing.UNKNOWN:
            return Wait(Word.PENDING, "the cluster's objects have not been listed yet")
        case Missing.ABSENT:
            return Apply(
                made.creation(),
                made.digest,
                made.api_version,
                create_only=not facts.adopt,
                hand_over=made.replicas,
                retain_replicas=made.retain,
                first=True,
            )
        case Observed():
            return _update(facts, name, observed, made)
        case _:
            assert_never(observed)


def _unready(cluster: Cluster) -> Wait:
    if cluster.ready is None:
        return Wait(Word.PENDING, "the cluster has not been probed yet")
    return Wait(Word.CLUSTER_NOT_READY, cluster.message)


def _await_namespace(namespace: NamespaceFacts, cluster: str) -> Wait | None:
    match namespace.observe(cluster):
        case Observed(deleting=True):
            return Wait(Word.PENDING, "the namespace is being deleted in this cluster")
        case Observed():
            return None
        case Missing.ABSENT:
            return Wait(Word.PENDING, "waiting for the namespace to be created in this cluster")
        case _:
            return Wait(Word.PENDING, "the cluster's namespaces have not been listed yet")


def _update(facts: Facts, name: str, observed: Observed, made: _Made) -> Action:
    if observed.deleting:
        return Wait(Word.PENDING, "the object is being deleted in this cluster; it is created again once it is gone")
    if not observed.managed:
        if observed.claimed and not observed.entry:
            return Release(observed.uid, keep_label=True)
        return Wait(
            Word.MANAGED_LABEL_FALSE, f'label {marks.MANAGED_LABEL} is not "true" there: somebody keeps us away'
        )
    applied = facts.applied.get(name)
    same = applied is not None and applied.digest == made.digest and applied.entry == observed.entry
    if observed.other_hub:
        kept = Keep(made.digest, observed.entry, claims.rivals(observed)) if same and observed.entry else None
        return claims.beside(observed, kept, ours_before=applied is not None)
    if same and not observed.claimed:
        return Keep(made.digest, observed.entry, observed.claims)
    hand_over = None
    if made.retain and observed.owns_replicas:
        # A number that is not the last applied meets our own entry; the push then reads what it is.
        hand_over = made.replicas if made.replicas is not None else 0
    return Apply(
        made.content,
        made.digest,
        made.api_version,
        uid=observed.uid,
        hand_over=hand_over,
        retain_replicas=made.retain,
        legacy=observed.legacy,
        first=applied is None,
        recreation=recreation.allow(
            facts.object.metadata.annotations,
            facts.type,
            made.creation,
            digest=made.digest,
            applied=applied.digest if applied is not None else None,
        ),
    )


def _clear(facts: Facts, cluster: Cluster, *, options: Mapping[str, Any] | None) -> Action | None:
    """What to do where the object should not be; None when nothing is there."""
    name = cluster.name
    remembered = name in facts.applied or name in facts.unsure
    if not cluster.ready:
        return _unready(cluster) if remembered or _claimed(facts, name) else None
    observed = facts.observe(name)
    match observed:
        case Missing.ABSENT:
            if name not in facts.unsure:
                return None
            return Release("") if facts.type.is_namespace and cluster.is_host else _removal(facts, "", options)
        case Missing.UNKNOWN:
            return Wait(Word.WAITING_FOR_REMOVAL, "the cluster's objects cannot be listed") if remembered else None
        case Observed():
            if claims.outstanding(observed, unsure=name in facts.unsure):
                return Release(observed.uid, keep_label=True)
            if not observed.managed or (observed.other_hub and not observed.entry):
                return None
            if not observed.entry and not observed.legacy:
                return None
            if observed.other_hub:
                return Release(observed.uid, keep_label=True)
            if facts.type.is_namespace and cluster.is_host:
                # Never deleted by us; one that its owner deletes waits for us, not we for it.
                return None if observed.deleting else Release(observed.uid)
            if observed.deleting:
                return Wait(Word.WAITING_FOR_REMOVAL, "deleted; its finalizers hold it")
            return _removal(facts, observed.uid, options)
        case _:
            assert_never(observed)


def _removal(facts: Facts, uid: str, options: Mapping[str, Any] | None) -> Action:
    if options is None:
        try:
            options = parsing.deletion_options(facts.object.metadata.annotations)
        except Invalid as error:
            return Refuse(Word.DELETION_FAILED, f"{error.field}: {error.message}")
    return Delete(uid, options)


def _plan_deletion(facts: Facts) -> Plan:
    meta = facts.object.metadata
    if marks.SYNC_FINALIZER not in meta.finalizers:
        return Plan(meta.generation, deleting=True)  # others hold it; our part is done
    orphan = meta.annotations.get(marks.ORPHAN_ANNOTATION) == "true"
    wanted = _selected_or_none(facts)
    actions: dict[str, Action] = {}
    for name, cluster in facts.clusters.items():
        action = _clear(facts, cluster, options=None)
        if action is None and (not cluster.ready or facts.observe(name) is Missing.UNKNOWN) and name in wanted:
            # It may hold a copy that a controller pushed and had no time to note.
            action = Wait(Word.WAITING_FOR_REMOVAL, cluster.message or "the cluster's objects have not been listed yet")
        if orphan and isinstance(action, Delete | Refuse):
            observed = facts.observe(name)
            action = Release(observed.uid if isinstance(observed, Observed) else "")
        if isinstance(action, Wait) and action.word is Word.CLUSTER_NOT_READY:
            action = Wait(Word.WAITING_FOR_REMOVAL, action.message)
        if action is not None:
            actions[name] = action
    return Plan(
        generation=meta.generation,
        actions=actions,
        finalizer=None if actions else False,
        deleting=True,
    )


def _selected_or_none(facts: Facts) -> frozenset[str]:
    try:
        spec = parsing.spec(facts.object.spec, namespaces=facts.type.is_namespace)
    except Invalid:
        return frozenset()  # an object that never could be planned was never pushed
    return placement.select(spec.placement, facts.clusters.values())


def _refused(facts: Facts, where: str, message: str) -> Plan:
    """The object as a whole cannot be understood: say so, and touch nothing that is there."""
    held = _holding(facts, Word.COMPUTE_RESOURCE_FAILED, f"{where}: {message}" if where else message)
    reason = Propagation.COMPUTE_PLACEMENT_FAILED if where.startswith("spec.placement") else Propagation.INVALID
    return replace(held, reason=reason, message=f"{where}: {message}" if where else message)


def _holding(facts: Facts, word: Word, message: str) -> Plan:
    actions: dict[str, Action] = {name: Wait(word, message) for name in facts.applied if name in facts.clusters}
    return Plan(facts.object.metadata.generation, actions, selected=frozenset(actions))
