"""Identities of all joined clusters: what each has shown, what is on record, and who owns which (core.identities)."""

from collections.abc import Callable
from typing import Any

import orjson
import structlog

from federation.controllers.ports import HubPort
from federation.core import identities
from federation.core.identities import Accepted, Claimant, Contested, Taken, Waiting
from federation.model import marks
from federation.model.conditions import HostRefusesReason
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime.store import Store

log = structlog.get_logger()


class Identities:
    """Decides which cluster an identity belongs to. `request_probe(name)` is called when a cluster's answer may have
    changed, because another cluster has shown its identity or has left. `refused(name, what, failure)` when the hub did
    not store its record, and with None when it did.
    """

    def __init__(
        self,
        hub: HubPort,
        objects: Store[StoredObject],
        namespace: str,
        request_probe: Callable[[str], None],
        refused: Callable[[str, HostRefusesReason, Failure | None], None],
    ) -> None:
        self._hub = hub
        self._objects = objects
        self._namespace = namespace
        self._request_probe = request_probe
        self._refused = refused
        self._shown: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._waiting: set[str] = set()
        self._marked: set[tuple[str, str]] = set()

    def silent(self, name: str) -> None:
        """The cluster did not answer, or cannot be asked."""
        if name not in self._shown:
            self._shown[name] = ""
            self._wake_waiting()

    def forget(self, name: str) -> None:
        """The cluster has left, or has another connection now: what it has shown counts no longer."""
        for uid in [uid for uid, owner in self._owners.items() if owner == name]:
            del self._owners[uid]
        self._shown.pop(name, None)
        self._waiting.discard(name)
        self._marked = {mark for mark in self._marked if mark[0] != name}
        self._wake_waiting()

    async def claim(self, name: str, uid: str) -> str | None:
        """The cluster shows this identity. "" when it is its own, else why not; None: wait, it will be asked again."""
        news = name not in self._shown
        self._shown[name] = uid
        if news:
            self._wake_waiting()
        stored = self._objects.get(ObjectName(self._namespace, name))
        if stored is None:
            return "the KubeFedCluster is gone"
        me = _claimant(stored, uid)
        if me.recorded and not any(self._shown.get(other) == uid for other in me.unanswered):
            return await self._accept(me, uid, ())  # as nearly always: no look at all the others
        others = self._others(name)
        match identities.assess(me, uid, others.values()):
            case Taken(by=owner):
                return _joined_already(owner)
            case Contested(others=names):
                await self._contest(uid, [me, *(others[other] for other in names)])
                return _contested(uid, sorted({name, *names}), self._namespace)
            case Waiting():
                self._waiting.add(name)
                return None
            case Accepted(unanswered=unanswered):
                return await self._accept(me, uid, unanswered)

    async def _accept(self, me: Claimant, uid: str, unanswered: tuple[str, ...]) -> str:
        owner = self._owners.get(uid)
        if owner is None:  # of several that have it on record, the first by name
            on_record = (
                where.name
                for where, stored in self._objects.items()
                if stored.metadata.annotations.get(marks.IDENTITY_ANNOTATION) == uid
            )
            owner = min(on_record, default=me.name)
        if owner != me.name:
            return _joined_already(owner)
        self._owners[uid] = owner
        if me.recorded:
            self._refused(me.name, HostRefusesReason.IDENTITY, None)
        else:
            await self._record(me.name, recorded=uid, unanswered=unanswered, contested=None)
        return ""

    async def _contest(self, uid: str, claimants: list[Claimant]) -> None:
        """Take an identity from all clusters that claim it, and record that on each, for the next start."""
        self._owners.pop(uid, None)
        for claimant in claimants:
            mark = (claimant.name, uid)
            if claimant.contested == uid and not claimant.recorded:
                self._marked.discard(mark)
            elif mark not in self._marked and await self._record(
                claimant.name, recorded=None, unanswered=(), contested=uid
            ):
                self._marked.add(mark)
                log.warning("identity contested", cluster=claimant.name, identity=uid)
                if claimant is not claimants[0]:
                    self._request_probe(claimant.name)

    async def _record(
        self, name: str, *, recorded: str | None, unanswered: tuple[str, ...], contested: str | None
    ) -> bool:
        annotations = {
            marks.IDENTITY_ANNOTATION: recorded,
            marks.UNANSWERED_ANNOTATION: ",".join(unanswered) or None,
            marks.CONTESTED_ANNOTATION: contested,
        }
        body = orjson.dumps({"metadata": {"annotations": annotations}})
        answer = await self._hub.merge(KUBEFED_CLUSTERS, ObjectName(self._namespace, name), body)
        self._refused(name, HostRefusesReason.IDENTITY, answer if isinstance(answer, Failure) else None)
        if isinstance(answer, Failure):
            log.info("identity not noted", cluster=name, reason=answer.message)  # the next probe tries again
        return not isinstance(answer, Failure)

    def _wake_waiting(self) -> None:
        """Once every cluster without a record has been asked, probe again those that wait for that."""
        if self._waiting and not any(
            where.name not in self._shown
            and marks.IDENTITY_ANNOTATION not in stored.metadata.annotations
            and stored.metadata.deletion_timestamp is None
            for where, stored in self._objects.items()
        ):
            waiting, self._waiting = self._waiting, set()
            for name in waiting:
                self._request_probe(name)

    def _others(self, name: str) -> dict[str, Claimant]:
        return {
            where.name: _claimant(stored, self._shown.get(where.name))
            for where, stored in self._objects.items()
            if where.name != name and (stored.metadata.deletion_timestamp is None or where.name in self._shown)
        }


def _claimant(stored: StoredObject, shown: str | None) -> Claimant:
    noted: dict[str, Any] = stored.metadata.annotations
    return Claimant(
        stored.metadata.name,
        recorded=noted.get(marks.IDENTITY_ANNOTATION, ""),
        unanswered=frozenset(filter(None, noted.get(marks.UNANSWERED_ANNOTATION, "").split(","))),
        contested=noted.get(marks.CONTESTED_ANNOTATION, ""),
        shown=shown,
    )


def _joined_already(owner: str) -> str:
    return f"this cluster is already joined as {owner!r}: one of the two must be unjoined"


def _contested(uid: str, names: list[str], namespace: str) -> str:
    return (
        f"{' and '.join(names)} show the same identity {uid}, which none has on record: one may be pretending. "
        f"Unjoin all but one, or record it on the right one: kubectl annotate kubefedcluster -n {namespace} NAME "
        f"{marks.IDENTITY_ANNOTATION}={uid}"
    )
