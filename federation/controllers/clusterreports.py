"""Tell people how a member is: the status of its KubeFedCluster, and events of what has changed in it."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import structlog

from federation.controllers.ports import EventPoster, HubPort
from federation.model.conditions import ClusterConditionType
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import KUBEFED_CLUSTERS

Conditions = Iterable[Mapping[str, Any]]

log = structlog.get_logger()


class ClusterReports:
    """Those of one cluster."""

    def __init__(self, name: str, hub: HubPort, events: EventPoster) -> None:
        self._name = name
        self._hub = hub
        self._events = events
        self._unreported: FailureKind | None = None

    async def write(self, stored: StoredObject, ours: Mapping[str, Any]) -> StoredObject | Failure | None:
        """Have the hub store these fields of the status, where it has them otherwise; the next probe tries again.

        The object as it is then; None: there was nothing to write. `ours` has all conditions.
        """
        status = {**stored.status, **ours}
        if status == stored.status:
            return None
        answer = await self._hub.set_status(KUBEFED_CLUSTERS, stored.where, orjson.dumps({"status": ours}))
        if isinstance(answer, Failure):
            if self._unreported is not answer.kind:
                log.warning("cluster status not written", cluster=self._name, reason=answer.message)
            self._unreported = answer.kind
            return answer
        self._unreported = None
        before, now = stored.conditions, ours["conditions"]
        self._emit_ready(stored.metadata, before, now)
        self._emit_cordon(stored.metadata, before, now)
        self._emit_refusal(stored.metadata, before, now)
        return StoredObject(answer, stored.spec, status)

    def tell(self, metadata: Metadata, reason: str, message: str, *, kind: str = "Warning") -> None:
        """An event of the KubeFedCluster."""
        self._events.about(KUBEFED_CLUSTERS, metadata, kind, reason, message)

    def _emit_ready(self, metadata: Metadata, before: Conditions, now: Conditions) -> None:
        was, ready = (found(each, ClusterConditionType.READY) for each in (before, now))
        if was.get("status") != ready.get("status") and (was or ready.get("status") != "True"):
            self._events.cluster_changed(metadata, ready)

    def _emit_cordon(self, metadata: Metadata, before: Conditions, now: Conditions) -> None:
        was, cordoned = (found(each, ClusterConditionType.CORDONED) for each in (before, now))
        if bool(was) == bool(cordoned):
            return
        if cordoned:
            self.tell(metadata, "Cordoned", cordoned["message"], kind="Normal")
        else:
            self.tell(metadata, "Uncordoned", "may be written to again", kind="Normal")

    def _emit_refusal(self, metadata: Metadata, before: Conditions, now: Conditions) -> None:
        """The host does not store something of the cluster."""
        was, refused = (found(each, ClusterConditionType.HOST_REFUSES) for each in (before, now))
        if refused and refused.get("message") != was.get("message"):
            log.warning("host refuses", cluster=self._name, what=refused["reason"], reason=refused["message"])
            self.tell(metadata, refused["reason"], refused["message"])


def found(conditions: Conditions, kind: ClusterConditionType) -> Mapping[str, Any]:
    """One condition; {} when there is none."""
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def silence(stored: StoredObject) -> str:
    """Why nothing is heard of what a cluster in pull mode holds, by its KubeFedCluster (heartbeats): its agent is
    silent, or cannot reach the cluster's API server. "" while all is well."""
    offline = found(stored.conditions, ClusterConditionType.OFFLINE)
    if offline.get("status") == "True":
        return str(offline.get("message") or "its agent has not been heard")
    ready = found(stored.conditions, ClusterConditionType.READY)
    return str(ready.get("message") or "") if ready.get("status") in ("Unknown", "False") else ""
