"""The manifests of one federated object: one for all clusters without overrides, and one for each that has some.

Made by planning, once per object; a cluster is given the version that it serves, and its own replicas where they are
retained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from federation.core import ignoring, manifest, versions
from federation.model import bounds
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Operation, Spec
from federation.model.observations import Cluster
from federation.model.plan import Keep, KeepOlder
from federation.model.policies import Pointer

Served = Callable[[str], tuple[str, ...] | None]
"""The versions of the type that a cluster serves; None where that is not known."""


class VersionUnavailable(Exception):
    """The cluster serves no version of the type in which this manifest fits; the message names those that it serves."""


class Made(NamedTuple):
    """One cluster's manifest."""

    body: dict[str, Any]
    content: bytes
    """JSON of the manifest; without replicas when they are the member's own."""
    digest: str
    retain: bool
    replicas: int | None
    """What to create with, when replicas are retained afterwards."""
    api_version: str
    yields: frozenset[tuple[str, str]] = frozenset()
    ignored: tuple[Pointer, ...] = ()
    """The fields that `content` does not have, because they are left alone once the object is there."""
    generation: int = 0
    """The object's generation that had this manifest, where that is an older one (0: it is not)."""

    def creation(self) -> bytes:
        """JSON of the manifest where nothing is yet."""
        return self.content if self.replicas is None and not self.ignored else manifest.digest(self.body)[0]

    def kept(self, owned: str, rivals: tuple[str, ...] = (), note: str = "") -> Keep:
        """The cluster has it; `owned` is the digest of what we own there."""
        if self.generation:
            return KeepOlder(self.digest, owned, rivals, note, self.generation)
        return Keep(self.digest, owned, rivals, note)


class Variants:
    """The manifest of the clusters without overrides, made once per version; the others get their own.

    `generation` is the object's that had this spec, where it is an older one.
    """

    def __init__(
        self,
        spec: Spec,
        base: manifest.Base,
        served: Served,
        ignored: tuple[Pointer, ...] = (),
        generation: int = 0,
    ) -> None:
        self._spec = spec
        self._base = base
        self._served = served
        self._ignored = ignored
        self._generation = generation
        self._common: dict[str, Made] = {}
        self._size = 0

    def manifest_for(self, cluster: Cluster) -> Made:
        """What this cluster should hold. Raises Invalid for an override that does not fit, and VersionUnavailable."""
        operations = self._spec.overrides.get(cluster.name, ())
        if cluster.is_host and self._base.copied:
            # The host's Namespace is the template: applied to itself, a label taken off it would come back as drift.
            bare = manifest.base(self._spec, self._base.type, self._base.where, host_namespace=None)
            return self._own(cluster, bare, operations)
        if operations:
            return self._own(cluster, self._base, operations)
        version = self._version(cluster, self._base.body)
        common = self._common.get(version)
        if common is None:
            common = self._common[version] = self._make(self._base, manifest.finish(self._base, ()), (), version)
        return common

    def overriding(self, cluster: Cluster) -> tuple[int, dict[str, Any], Sequence[Operation]]:
        """The place of a cluster's overrides in the spec, the manifest before them, and the operations; none: ()."""
        operations = self._spec.overrides.get(cluster.name, ())
        place = list(self._spec.overrides).index(cluster.name) if operations else 0
        return place, self._base.body, operations

    def _own(self, cluster: Cluster, base: manifest.Base, operations: Sequence[Operation]) -> Made:
        if self._size > bounds.LARGEST_MANIFESTS:
            limit = bounds.LARGEST_MANIFESTS >> 20
            raise Invalid(
                "spec.overrides", f"make manifests of more than {limit} MiB together: make the template smaller"
            )
        body = manifest.finish(base, operations)
        made = self._make(base, body, operations, self._version(cluster, body))
        self._size += len(made.content)
        return made

    def _version(self, cluster: Cluster, body: Mapping[str, Any]) -> str:
        """The apiVersion that the cluster is given. Raises VersionUnavailable."""
        type_: FederatedType = self._base.type
        wanted: str = body["apiVersion"]
        served = self._served(cluster.name)
        if served is None:
            return wanted
        version = wanted.rpartition("/")[2]
        chosen = versions.choose(version, type_, served)
        if chosen is None:
            raise VersionUnavailable(versions.unavailable(version, type_.target, served))
        return wanted if chosen == version else replace(type_.target, version=chosen).api_version

    def _make(
        self, base: manifest.Base, body: dict[str, Any], operations: Sequence[Operation], api_version: str
    ) -> Made:
        if body["apiVersion"] != api_version:
            body = {**body, "apiVersion": api_version}
        given, ignored = ignoring.without(body, self._ignored) if self._ignored else (body, ())
        retain = self._spec.retain_replicas and not manifest.overrides_replicas(operations)
        replicas = manifest.replicas_of(given) if retain else None
        without = manifest.without_replicas(given) if replicas is not None else given
        content, digest = manifest.digest(without)
        yields = manifest.yielding(base, given)
        return Made(body, content, digest, retain, replicas, api_version, yields, ignored, self._generation)
