"""Identities of all joined clusters: what each has shown, what is on record, and who owns which (core.identities)."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import orjson
import structlog

from federation.controllers.claimants import Claimants
from federation.controllers.ports import HubPort
from federation.core import identities
from federation.core.identities import Accepted, Claimant, Contested, Taken, Waiting
from federation.model import marks
from federation.model.conditions import HostRefusesReason
from federation.model.failures import Failure
from federation.model.federated import StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime.store import Store

AT_ONCE = 20
"""Clusters that are probed again together once all others have been asked."""
SPREAD = 0.001
"""Seconds for each of those that are probed again after them."""

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
        self._namespace = namespace
        self._request_probe = request_probe
        self._refused = refused
        self._claimants = Claimants(objects, namespace)
        self._owners: dict[str, str] = {}
        self._owned: dict[str, set[str]] = {}
        self._waiting: set[str] = set()
        self._marked: dict[str, set[str]] = {}

    def observed(self, name: str) -> None:
        """A KubeFedCluster appeared, changed or went."""
        self._claimants.observed(name)

    def silent(self, name: str) -> None:
        """The cluster did not answer, or cannot be asked."""
        if self._claimants.shown(name) is None:
            self._claimants.shows(name, "")
            self._wake_waiting()

    def forget(self, name: str) -> None:
        """The cluster has left, or has another connection now: what it has shown counts no longer."""
        for uid in self._owned.pop(name, ()):
            del self._owners[uid]
        self._claimants.shows(name, None)
        self._waiting.discard(name)
        self._marked.pop(name, None)
        self._wake_waiting()

    async def claim(self, name: str, uid: str) -> str | None:
        """The cluster shows this identity. "" when it is its own, else why not; None: wait, it will be asked again."""
        news = self._claimants.shown(name) is None
        self._claimants.shows(name, uid)
        if news:
            self._wake_waiting()
        me = self._claimants.get(name)
        if me is None:
            return "the KubeFedCluster is gone"
        if me.recorded and not any(self._claimants.shown(other) == uid for other in me.unanswered):
            return await self._accept(me, uid, ())  # as nearly always: no look at the others
        others = self._claimants.concerned(me, uid)
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
            owner = min(self._claimants.on_record(uid), default=me.name)
        if owner != me.name:
            return _joined_already(owner)
        self._owners[uid] = owner
        self._owned.setdefault(owner, set()).add(uid)
        if me.recorded:
            self._refused(me.name, HostRefusesReason.IDENTITY, None)
        else:
            await self._record(me.name, recorded=uid, unanswered=unanswered, contested=None)
        return ""

    async def _contest(self, uid: str, claimants: list[Claimant]) -> None:
        """Take an identity from all clusters that claim it, and record that on each, for the next start."""
        owner = self._owners.pop(uid, None)
        if owner is not None:
            self._owned[owner].discard(uid)
        for claimant in claimants:
            marked = self._marked.setdefault(claimant.name, set())
            if claimant.contested == uid and not claimant.recorded:
                marked.discard(uid)
            elif uid not in marked and await self._record(claimant.name, recorded=None, unanswered=(), contested=uid):
                marked.add(uid)
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
        if self._waiting and self._claimants.all_asked:
            waiting, self._waiting = self._waiting, set()
            self._wake_some(iter(waiting))

    def _wake_some(self, waiting: Iterator[str]) -> None:
        """Thousands of probes at one moment would be one long step of the loop."""
        some = list(itertools.islice(waiting, AT_ONCE))
        for name in some:
            self._request_probe(name)
        if len(some) == AT_ONCE:
            asyncio.get_running_loop().call_later(AT_ONCE * SPREAD, self._wake_some, waiting)


def _joined_already(owner: str) -> str:
    return f"this cluster is already joined as {owner!r}: one of the two must be unjoined"


def _contested(uid: str, names: list[str], namespace: str) -> str:
    return (
        f"{' and '.join(names)} show the same identity {uid}, which none has on record: one may be pretending. "
        f"Unjoin all but one, or record it on the right one: kubectl annotate kubefedcluster -n {namespace} NAME "
        f"{marks.IDENTITY_ANNOTATION}={uid}"
    )
