"""What a copy owns in its member: ReplicaSets, Pods and the like, found by their owner references.

Metadata alone are read. What refers to an owner is in the owner's namespace; a Namespace owns what is in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core import builtin, scrubbing
from federation.joining import answers, applying
from federation.kube import connection as http
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import NAMESPACES, PERSISTENT_VOLUME_CLAIMS, PODS, ObjectName, Resource
from federation.seeing.labels import Matches

_APPS, _BATCH = ("apps", "v1"), ("batch", "v1")
DEPLOYMENTS = Resource(*_APPS, "Deployment", "deployments", namespaced=True)
REPLICA_SETS = Resource(*_APPS, "ReplicaSet", "replicasets", namespaced=True)
STATEFUL_SETS = Resource(*_APPS, "StatefulSet", "statefulsets", namespaced=True)
DAEMON_SETS = Resource(*_APPS, "DaemonSet", "daemonsets", namespaced=True)
JOBS = Resource(*_BATCH, "Job", "jobs", namespaced=True)
CRON_JOBS = Resource(*_BATCH, "CronJob", "cronjobs", namespaced=True)
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced=True)

_BELOW: Mapping[str, Sequence[Resource]] = {
    DEPLOYMENTS.qualified: (REPLICA_SETS, PODS),
    REPLICA_SETS.qualified: (PODS,),
    STATEFUL_SETS.qualified: (PODS, PERSISTENT_VOLUME_CLAIMS),
    DAEMON_SETS.qualified: (PODS,),
    JOBS.qualified: (PODS,),
    CRON_JOBS.qualified: (JOBS, PODS),
    SERVICES.qualified: (SLICES,),
}
_WORKLOADS = (
    *(DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, CRON_JOBS, JOBS, REPLICA_SETS),
    *(SERVICES, SLICES, PERSISTENT_VOLUME_CLAIMS, PODS),
)
"""What objects of a custom type may own."""
_NOT_THERE = frozenset({FailureKind.TYPE_MISSING, FailureKind.NAMESPACE_MISSING, FailureKind.NOT_FOUND})


def below(target: Resource) -> Sequence[Resource]:
    """The types of what an object of this type may own, owners of others first."""
    if target.qualified in _BELOW:
        return _BELOW[target.qualified]
    return () if builtin.has(target.group) or not target.namespaced else _WORKLOADS


@dataclass(frozen=True, slots=True)
class Owned:
    """One object of a member."""

    resource: Resource
    where: ObjectName
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    """The uids of its owners."""

    @property
    def label(self) -> str:
        """As kubectl names it: `pod/web-0`."""
        return f"{self.resource.kind.lower()}/{self.where.name}"


@dataclass(slots=True)
class Tree:
    """A copy and what it owns, by uid; `whole`: everything in the namespace. `others` are the uids of what was read and
    is not owned. `refused` are types that may not be read, each with the reason."""

    namespace: str
    kinds: Sequence[Resource] = ()
    objects: dict[str, Owned] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    whole: bool = False

    @property
    def pods(self) -> list[Owned]:
        """The Pods, by name."""
        found = (each for each in self.objects.values() if each.resource == PODS)
        return sorted(found, key=lambda each: each.where)

    def take(self, found: Iterable[Owned]) -> None:
        """Add what is owned by what is in the tree, in whatever order it comes."""
        waiting = list(found)
        while waiting:
            owned = [each for each in waiting if self.whole or any(uid in self.objects for uid in each.owners)]
            if not owned:
                self.others.update(each.uid for each in waiting)
                return
            self.objects |= {each.uid: each for each in owned}
            waiting = [each for each in waiting if each.uid not in self.objects]

    def cut(self, matches: Matches) -> None:
        """Leave those whose labels match."""
        self.objects = {uid: each for uid, each in self.objects.items() if matches(each.labels)}


async def tree(connection: Connection, enabled: FederatedType, where: ObjectName) -> Tree:
    """A copy and what it owns; empty where there is no copy. Raises ApiFailure where the copy cannot be read."""
    target = enabled.target
    if target.qualified == NAMESPACES.qualified:
        made = Tree(where.name, (PODS,), whole=True)
    else:
        made = Tree(where.namespace, below(target))
        root = None
        for version in dict.fromkeys((target.version, *enabled.equivalent)):  # a member may serve but one of them
            root = root or await _read(connection, replace(target, version=version), where)
        if root is None:
            return made
        made.objects[root.uid] = root
    await grow(connection, made)
    return made


async def pods(connection: Connection, namespace: str) -> Tree:
    """All Pods of a namespace."""
    made = Tree(namespace, (PODS,), whole=True)
    await grow(connection, made)
    return made


async def grow(connection: Connection, known: Tree, *, forget: bool = True) -> None:
    """Read the types below once more, and take in what is owned; `forget` what is gone. Raises ApiFailure."""
    found: list[Owned] = []
    for resource in known.kinds:
        try:
            items = await applying.listing(connection, resource, known.namespace, accept=http.METADATA_LIST)
        except ApiFailure as error:
            if error.failure.kind is FailureKind.RIGHT_MISSING:
                known.refused[resource.qualified] = scrubbing.line(error.failure.message)
                continue
            if error.failure.kind in _NOT_THERE:
                continue
            raise
        found += [of(resource, each) for each in items]
    there = {each.uid for each in found}
    known.others.clear()
    for uid, each in list(known.objects.items()) if forget else ():
        if each.resource in known.kinds and each.resource.qualified not in known.refused and uid not in there:
            del known.objects[uid]
    known.take(found)


async def one(connection: Connection, known: Tree, resource: Resource, name: str) -> Owned | None:
    """An object of the tree's namespace by name, taken in where it is owned; None where it is not there."""
    found = await _read(connection, resource, ObjectName(known.namespace, name))
    if found is not None:
        known.take([found])
        if found.uid in known.others and not known.others.issuperset(found.owners):
            await grow(connection, known, forget=False)  # its owner is new, too
    return found


def of(resource: Resource, item: Mapping[str, Any]) -> Owned:
    """From an object's metadata."""
    metadata = item["metadata"]
    references = metadata.get("ownerReferences")
    owners = references if isinstance(references, list) else ()
    labels = metadata.get("labels")
    return Owned(
        resource,
        ObjectName(str(metadata.get("namespace") or ""), str(metadata["name"])),
        str(metadata.get("uid") or ""),
        labels if isinstance(labels, dict) else {},
        tuple(str(each["uid"]) for each in owners if isinstance(each, dict) and each.get("uid")),
    )


async def _read(connection: Connection, resource: Resource, where: ObjectName) -> Owned | None:
    answer = await applying.request(connection, "GET", resource.path(where), accept=http.METADATA)
    doing = f"{connection.name}: get {applying.label(resource, where)}"
    if isinstance(answer, Failure):
        if answer.kind in _NOT_THERE:
            return None
        raise ApiFailure(answer, doing)
    return of(resource, answers.kubernetes_object(answer.json(doing), doing))
