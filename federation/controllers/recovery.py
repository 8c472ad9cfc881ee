"""A hub that was restored from a backup: hold removals, tell people, and end the hold when one of them says so.

`begin` is called by continuity and waits for nothing: when it returns, every plan and every lane holds removals
(core.holds), all of the hub is on its way to be listed anew, and everything is planned anew. What the restored hub says
is applied meanwhile. The hold is kept in our Lease, so that a controller that starts has it before it acts; the
KubeFedConfig's status tells people, and its annotation is how they approve.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
import structlog

from federation.controllers.fanout import Fanout
from federation.controllers.ports import EventPoster, HubPort
from federation.controllers.world import World
from federation.core import restoration, times
from federation.core.restoration import Hold, Overwritten
from federation.model.conditions import HubRestoredReason
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import KUBEFED_CONFIGS, Key, ObjectName
from federation.runtime import metrics
from federation.runtime.store import Store

CONDITION = "HubRestored"
AGAIN = 10.0
"""Seconds between two writes of the status, or two tries."""
MOST_NAMED = 1_000
"""Overwritten copies that the status names, as many as its schema allows; more are counted."""
_SETTLED = {FailureKind.NOT_FOUND, FailureKind.RIGHT_MISSING, FailureKind.TYPE_MISSING, FailureKind.INVALID}

log = structlog.get_logger()


class Ended(NamedTuple):
    """A hold that is over, and why."""

    hold: Hold
    reason: HubRestoredReason
    why: str


class Recovery:
    """The hold, if there is one. `renew` has all of the hub listed anew, `stop` ends this process."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        configs: Store[StoredObject],
        *,
        fanout: Fanout,
        events: EventPoster,
        where: ObjectName,
        now: Callable[[], str],
        renew: Callable[[], None],
        stop: Callable[[str], None],
    ) -> None:
        self._world = world
        self._hub = hub
        self._configs = configs
        self._fanout = fanout
        self._events = events
        self._where = where
        self._now = now
        self._renew = renew
        self._stop = stop
        self._ended: Ended | None = None
        self._overwritten: dict[tuple[Key, str], str] = {}
        """With the time at which the newer content had been applied (RFC 3339)."""
        self._count = 0
        self._resumes = False
        self._told = True
        self._written = float("-inf")
        self._news = asyncio.Event()

    # --- what continuity recognises --------------------------------------------------------------------------------

    def begin(self, hold: Hold, *, known: bool) -> None:
        """Removals are held from now on."""
        self._world.recovery = hold
        self._world.restores += 1
        self._world.newest = None  # what was seen until now is of another time
        self._world.suspected.clear()
        self._ended = None
        self._overwritten.clear()
        self._count = 0
        self._resumes = known
        log.error("hub restored: removals are held", id=hold.id, since=hold.since, reason=hold.why, known=known)
        if not known:
            metrics.HUB_RESTORATIONS.inc()
            self._event("Warning", f"{hold.why}. Nothing is removed from members: fedctl recovery status")
        self._tell_soon()
        self._renew()
        self._fanout.recheck()

    def end(self, why: str) -> None:
        """Another controller has ended it."""
        self._finish(HubRestoredReason.APPROVED, why)

    def _tell_soon(self) -> None:
        """On the KubeFedConfig, and in our Lease."""
        self._told = False
        self._news.set()
        self._world.noticed.set()

    def exchanged(self, uid: str) -> None:
        """What is there now is another hub: for its members this controller is another manager, and begins as such."""
        self._stop(f"the hub's address leads to another cluster now: its kube-system namespace has uid {uid}")

    # --- what people say -------------------------------------------------------------------------------------------

    def observed(self, name: str) -> None:
        """The KubeFedConfig has changed."""
        hold, stored = self._world.recovery, self._configs.get(self._where)
        if name != self._where.name or hold is None or stored is None:
            return
        if restoration.approved(hold, stored.metadata.annotations):
            self._finish(HubRestoredReason.APPROVED, "removals were approved (fedctl recovery approve)")

    def _finish(self, reason: HubRestoredReason, why: str) -> None:
        hold = self._world.recovery
        if hold is None:
            return
        self._world.recovery = None
        self._ended = Ended(hold, reason, why)
        for state in self._world.types.values():
            state.reverted.clear()
        log.warning("recovery ended: removals go on", id=hold.id, reason=why)
        self._event("Normal", f"{why}: removals go on")
        self._written = float("-inf")
        self._tell_soon()
        self._fanout.everything()

    # --- what came of it -------------------------------------------------------------------------------------------

    def overwritten(self, key: Key, cluster: str, applied_at: int) -> None:
        """A member had newer content than the restored hub, applied at this time, and has the hub's now."""
        if self._world.recovery is None or (key, cluster) in self._overwritten:
            return
        self._count += 1
        applied = times.rfc3339(applied_at) if applied_at else ""
        log.warning(
            "newer content overwritten by that of the restored hub", key=str(key), cluster=cluster, applied_at=applied
        )
        if len(self._overwritten) < MOST_NAMED:
            self._overwritten[key, cluster] = applied
        self._told = False

    def _resume(self, hold: Hold, stored: StoredObject) -> None:
        """Of a hold that an earlier controller began, or another: what that has told stays told."""
        recovery = stored.status.get("recovery")
        if not isinstance(recovery, dict) or recovery.get("id") != hold.id:
            return
        told = restoration.told(recovery)
        before = {(Key(each.type, *each.where), each.cluster): each.applied for each in told.named}
        self._count = told.copies + sum(each not in before for each in self._overwritten)
        self._overwritten = dict([*before.items(), *self._overwritten.items()][:MOST_NAMED])

    async def serve(self) -> None:
        """Tell people, and end the hold when its time is over, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._news.wait()
            self._news.clear()
            await self.turn()

    async def turn(self) -> None:
        """Do what is due."""
        self.observed(self._where.name)  # it may have been approved before this controller knew of the hold
        hold, seconds = self._world.recovery, self._world.settings.recovery_hold
        if hold is not None and restoration.over(hold, self._now(), seconds):
            self._finish(HubRestoredReason.TIME_OVER, f"the hold has lasted {seconds:g} s (spec.recovery.holdDuration)")
        if not self._told and time.monotonic() - self._written >= AGAIN:
            await self._tell()

    async def _tell(self) -> None:
        stored = self._configs.get(self._where)
        if stored is None:
            return  # there is no object to tell it on; the log and our Lease say it
        self._written = time.monotonic()
        self._told = True
        if self._world.reports:
            return  # the coordinating shard recognises it, too, and tells
        hold = self._ended.hold if self._ended is not None else self._world.recovery
        if self._resumes and hold is not None:
            self._resume(hold, stored)
            self._resumes = False
        body = orjson.dumps({"status": self._status(stored)})
        answer = await self._hub.set_status(KUBEFED_CONFIGS, self._where, body)
        if isinstance(answer, Failure):
            self._told = answer.kind in _SETTLED
            log.warning("status of the KubeFedConfig not written", reason=answer.message)

    def _status(self, stored: StoredObject) -> Mapping[str, Any]:
        hold, ended = self._world.recovery, self._ended
        if ended is not None:
            about, reason, message = ended.hold, ended.reason, ended.why
        elif hold is not None:
            about, reason = hold, HubRestoredReason.RESTORED
            message = f"{hold.why}. Nothing is removed from members until `fedctl recovery approve`"
        else:
            return {}
        before = next((each for each in stored.conditions if each.get("type") == CONDITION), {})
        status = "True" if hold is not None else "False"
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        condition = {
            "type": CONDITION,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since or self._now(),
            "observedGeneration": stored.metadata.generation,
        }
        others = [each for each in stored.conditions if each.get("type") != CONDITION]
        overwritten = [
            Overwritten(key.type, ObjectName(key.namespace, key.name), cluster, applied).document()
            for (key, cluster), applied in self._overwritten.items()
        ]
        recovery = {
            "id": about.id,
            "since": about.since,
            "message": about.why,
            "held": hold is not None,
            "overwrittenCopies": self._count,
            "overwritten": overwritten,
        }
        return {"conditions": [*others, condition], "recovery": recovery}

    def _event(self, kind: str, message: str) -> None:
        stored = self._configs.get(self._where)
        if stored is not None:
            self._events.about(KUBEFED_CONFIGS, stored.metadata, kind, CONDITION, message)
