"""The hub as far as a plan reads it, and the controller's world that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from federation.controllers import clusterreports, typeconfigs
from federation.controllers.revisions import Stored
from federation.controllers.tracks import Track
from federation.controllers.world import Member, TypeState, World
from federation.core import configuration, cordons
from federation.core.restoration import Hold
from federation.kube import decoding
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.observations import Cluster
from federation.model.resources import ObjectName
from federation.model.settings import Settings

Document = Mapping[str, Any]
Objects = Mapping[str, Mapping[ObjectName, FederatedObject]]


@dataclass(frozen=True, slots=True)
class Hub:
    """One state of the hub. `clusters`, `configs` and `config` are the KubeFedClusters, FederatedTypeConfigs and the
    KubeFedConfig; `namespaces` are those of the hub itself that were read, `objects` the federated objects by type.
    `unfederated` are namespaces that have no FederatedNamespace, as far as they were asked for. `rollouts` are the
    FederatedRollouts that objects name; `unread` says of those that could not be read why."""

    uid: str
    namespace: str = marks.SYSTEM_NAMESPACE
    clusters: Mapping[str, StoredObject] = field(default_factory=dict)
    configs: Mapping[str, StoredObject] = field(default_factory=dict)
    config: StoredObject | None = None
    namespaces: Mapping[str, Metadata] = field(default_factory=dict)
    objects: Objects = field(default_factory=dict)
    unfederated: frozenset[str] = frozenset()
    rollouts: Mapping[ObjectName, StoredObject] = field(default_factory=dict)
    unread: Mapping[ObjectName, str] = field(default_factory=dict)
    contents: Mapping[ObjectName, Stored] = field(default_factory=dict)

    @property
    def manager(self) -> str:
        """The controller's field manager in members."""
        return marks.field_manager(self.uid, self.namespace)

    @property
    def settings(self) -> Settings:
        """Those of its KubeFedConfig, as a controller reads it that has just started."""
        if self.config is None:
            return Settings()
        try:
            if self.config.broken:
                raise Invalid("", self.config.broken)
            return configuration.settings(self.config.spec)
        except Invalid:
            return configuration.cautious(self.config.spec)

    def types(self, settings: Settings) -> dict[str, FederatedType]:
        """The types whose objects are pushed."""
        known = self.known_types(settings)
        return {
            name: enabled
            for name, enabled in known.items()
            if typeconfigs.is_followed(self.configs[name], enabled, settings)
        }

    def known_types(self, settings: Settings) -> dict[str, FederatedType]:
        """Every type that has a FederatedTypeConfig, whether its objects are pushed or not."""
        found = {}
        for name, stored in self.configs.items():
            try:
                found[name] = typeconfigs.read(stored, settings, self.namespace)
            except Invalid:
                continue  # the controller pushes nothing of it, and reports that
        return found

    def unfollowed(self, name: str, settings: Settings) -> str:
        """Why nothing of a type is pushed; "" where its objects are."""
        return typeconfigs.unfollowed(self.configs.get(name), settings, self.namespace)


def stored(document: Document) -> StoredObject:
    """A document of the hub as the controller reads it."""
    return decoding.stored(orjson.dumps(document))


def federated(document: Document) -> FederatedObject:
    """A federated object's document, likewise."""
    return decoding.federated(orjson.dumps(document))


def deleted(item: FederatedObject, at: str) -> FederatedObject | None:
    """The object when somebody has deleted it; None where nothing holds it. `at` is an RFC 3339 time."""
    meta = item.metadata
    if not meta.finalizers:
        return None
    since = meta.deletion_timestamp or at
    return msgspec.structs.replace(item, metadata=msgspec.structs.replace(meta, deletion_timestamp=since))


def world(hub: Hub, settings: Settings, before: "World | None" = None) -> World:
    """The world of a controller that knows this state of the hub, and nothing of any member yet.

    Every cluster counts as one that answers: whether it does is found out when it is visited. What was applied is what
    the stored statuses say; of an object that is in the world `before`, what that says of it.
    """
    made = World(
        settings=settings,
        namespace=hub.namespace,
        system_namespaces=marks.SYSTEM_NAMESPACES | {hub.namespace},
        recovery=_recovery(hub.config),
        clusters_version=1,
    )
    made.members = {name: Member(cluster(each, hub.uid)) for name, each in hub.clusters.items()}
    for metadata in hub.namespaces.values():
        made.host_namespaces.put(ObjectName("", metadata.name), metadata)
    made.host_namespaces.listed()
    for name, enabled in hub.types(settings).items():
        state = made.types[name] = TypeState(enabled)
        known = before.types.get(name) if before is not None else None
        for where, item in hub.objects.get(name, {}).items():
            if enabled.namespace not in {"", where.namespace}:
                continue  # it is not followed there
            state.objects.put(where, item)
            state.tracks[where] = _track(item, made, known, where, new=before is not None)
        state.objects.listed()
        if enabled.is_namespace:
            state.gone = {ObjectName(each, each) for each in hub.unfederated}
    return made


def _track(item: FederatedObject, made: World, known: TypeState | None, where: ObjectName, *, new: bool) -> Track:
    track = known.tracks.get(where) if known is not None else None
    if track is not None and track.uid == item.metadata.uid:
        return track
    return Track.begin(item, made.members, from_the_start=new and known is not None)


def cluster(found: StoredObject, hub_uid: str) -> Cluster:
    """A KubeFedCluster as planning sees it, one that answers."""
    meta = found.metadata
    return Cluster(
        meta.name,
        dict(meta.labels),
        ready=True,
        is_host=meta.annotations.get(marks.IDENTITY_ANNOTATION) == hub_uid,
        cordon=cordons.reason(meta.annotations),
        pulls=found.pulls,
        silent=clusterreports.silence(found) if found.pulls else "",
    )


def _recovery(config: StoredObject | None) -> Hold | None:
    """The hold of removals after the hub was restored, as the controller reports it."""
    found = config.status.get("recovery") if config is not None else None
    if not isinstance(found, dict) or found.get("held") is not True:
        return None
    return Hold(str(found.get("id", "")), str(found.get("since", "")), str(found.get("message", "")))
