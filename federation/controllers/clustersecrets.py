"""The Secrets of joined clusters: which may be used, which are about to change, and the place that each is bound to.

Owned by `clusters`. A KubeFedCluster and its Secret are two objects, which come and go in any order: a live member is
used as it was until both have changed, or some seconds have passed.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import structlog

from federation.controllers import absences
from federation.controllers.member import JoinedMember
from federation.controllers.ports import HubPort
from federation.core import binding
from federation.model.conditions import HostRefusesReason
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.resources import SECRETS, ObjectName
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.store import Store

WITHOUT_SECRET = 5.0
"""Seconds that a live member may be without its Secret: an unjoin, or a tool that deletes a folder, takes the two in
any order, and what comes through two watches comes in any order, too."""
HALF_CHANGED = 5.0
"""Seconds that a live member's Secret may be bound to another place than its KubeFedCluster: a join changes both."""

log = structlog.get_logger()


class ClusterSecrets:
    """What is remembered of them. `refused` is called with what the hub did not store (None: it did)."""

    def __init__(
        self,
        hub: HubPort,
        secrets: Store[StoredObject],
        queue: KeyQueue[str],
        refused: Callable[[str, HostRefusesReason, Failure | None], None],
    ) -> None:
        self._hub = hub
        self._secrets = secrets
        self._queue = queue
        self._refused = refused
        self._without_secret: dict[str, float] = {}
        self._misfit: dict[str, float] = {}
        self._unrecorded: set[str] = set()

    def forget(self, name: str) -> None:
        """A cluster has left."""
        self._without_secret.pop(name, None)
        self._misfit.pop(name, None)

    async def leaves(self, joined: JoinedMember, stored: StoredObject, secret: StoredObject | None) -> bool:
        """Whether a live member's Secret has just gone: most likely its KubeFedCluster is about to go as well."""
        name = joined.name
        if secret is not None or joined.gate is None:
            self._without_secret.pop(name, None)
            return False
        now = time.monotonic()
        since = self._without_secret.setdefault(name, now)
        if now - since < WITHOUT_SECRET:
            self._queue.add_after(name, WITHOUT_SECRET - (now - since))
            return True
        where = ObjectName(stored.metadata.namespace, stored.secret_name)
        if not await absences.gone(self._hub, self._secrets, SECRETS, where):
            self._queue.add(name)  # a list had left it out
            return True
        return stored.metadata.deletion_timestamp is not None  # the KubeFedCluster goes, too: nothing to do

    def awaits_the_other(self, joined: JoinedMember, *, refused: bool) -> bool:
        """Whether a live member's Secret and KubeFedCluster do not fit each other for a moment only.

        A join changes one after the other. Meanwhile the member is used as it was: nothing new is sent anywhere.
        """
        name = joined.name
        if not refused or joined.gate is None:
            self._misfit.pop(name, None)
            return False
        now = time.monotonic()
        since = self._misfit.setdefault(name, now)
        if now - since >= HALF_CHANGED:
            return False
        self._queue.add_after(name, HALF_CHANGED - (now - since))
        return True

    async def gone(self, stored: StoredObject) -> bool:
        """Whether the hub does not have the Secret that a KubeFedCluster names: a list may have left it out."""
        where = ObjectName(stored.metadata.namespace, stored.secret_name)
        return not where.name or await absences.gone(self._hub, self._secrets, SECRETS, where)

    async def bind(self, name: str, secret: StoredObject, spec: Mapping[str, Any]) -> None:
        """A member has answered as itself: bind its credentials to this place, where nobody has done so yet."""
        if binding.ANNOTATION in secret.metadata.annotations:
            self._refused(name, HostRefusesReason.PLACE, None)
            return
        annotations = {binding.ANNOTATION: binding.record(spec)}
        metadata = {"annotations": annotations, "resourceVersion": secret.metadata.resource_version}
        answer = await self._hub.merge(SECRETS, secret.where, orjson.dumps({"metadata": metadata}))
        self._refused(name, HostRefusesReason.PLACE, answer if isinstance(answer, Failure) else None)
        if not isinstance(answer, Failure):
            self._unrecorded.discard(name)
            log.info("credentials bound to their place", cluster=name)
        elif name not in self._unrecorded:
            self._unrecorded.add(name)  # each probe tries again
            log.warning("credentials not bound to their place", cluster=name, reason=answer.message)


def refusal(name: str, stored: StoredObject, secret: StoredObject) -> str:
    """Why the Secret's credentials must not be sent where the KubeFedCluster points; "" when they may."""
    found = secret.metadata
    credentials = binding.Credentials(secret.where, found.annotations, secret.data, secret.type, found.generate_name)
    return binding.mismatch(name, stored.spec, credentials)
