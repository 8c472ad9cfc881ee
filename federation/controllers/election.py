"""Election by a Lease: stand for it, renew it, give it back; and open the fence for as long as it surely holds.

The holder's own clock starts before a renewal is sent, that of all others when they have seen it: so nobody takes the
Lease before the fence of its holder has shut. Which is the case after renewDeadline; what is left until the end of the
Lease is for what is under way. Every write has the resourceVersion that was seen as its condition, so that of two that
take it one fails.

A holder whose Lease cannot be renewed writes nothing from then on, but it is still the holder, and goes on when the hub
answers, unless another one has taken it. That is the end of this process's time.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import orjson
import structlog

from federation.controllers.numbering import LeaseHub, Numbering
from federation.core import classification, leadership
from federation.core.leadership import Lease, Standing
from federation.core.shards import Shard
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.resources import LEASES, ObjectName
from federation.model.settings import LeaderElection
from federation.runtime import backoff, metrics
from federation.runtime.fence import Fence, Instant

MARGIN = 1.0
"""Seconds after which a renewal that a watch has not shown is looked for."""
SHORTEST = 0.5
"""Seconds that a request about the Lease gets at least."""
AGAIN = 1.0
"""Seconds, at most, until a renewal that failed is tried again."""
LATER = 0.001
"""Seconds after its end at which the fence is looked at: timers are not more exact."""
RELEASE = 1.0
"""Seconds that giving the Lease back may take."""
CAP = 5.0
"""Seconds, at most, between two tries to read a Lease while the hub does not answer."""
_CHANGED = {FailureKind.VERSION_CONFLICT, FailureKind.UID_MISMATCH, FailureKind.NOT_FOUND, FailureKind.ALREADY_EXISTS}
_GONE = {FailureKind.NOT_FOUND}

log = structlog.get_logger()


class Lost(Exception):
    """Another one leads."""


class Elector:
    """One Lease and one candidate. `stand` until it leads, then `keep`; `release` at the end.

    `numbers` gives the settings in force; `gone` says of a holder's name whether its process has surely ended.
    `seen` is for a watch of the Lease, so that a release is noticed at once; without one it is read when it ends.
    `numbering` knows how many shards there are, of which this is one.
    """

    def __init__(
        self,
        hub: LeaseHub,
        fence: Fence,
        *,
        where: ObjectName,
        identity: str,
        numbers: Callable[[], LeaderElection],
        gone: Callable[[str], bool] = lambda holder: False,
        clock: Callable[[], Instant],
        numbering: Numbering | None = None,
    ) -> None:
        self.identity = identity
        self.leads = False
        self.problem = "the Lease has not been read yet"
        """Why the Lease could not be read or written the last time; "" where it could."""
        self.resumed: Callable[[], None] = lambda: None
        """Called when writes go on after they were held."""
        self.invited: Callable[[], float] = lambda: 0.0
        """Seconds until a Lease that is free may be taken: others may have fewer shards."""
        self._numbering = numbering or Numbering(hub, where.namespace, Shard(0, 1))
        self._hub = hub
        self._fence = fence
        self._where = where
        self._numbers = numbers
        self._gone = gone
        self._clock = clock
        self._lease: Lease | None = None
        """As it was last seen, or as we left it."""
        self._since = 0.0
        """When it was first seen like that (monotonic seconds): its holder is said to have renewed it then."""
        self._known = False
        """Whether `_lease` is to be believed; else it is read before anything is decided."""
        self._distrusted = False
        """Whether it has gone back in time: who led until then may count on it all the same."""
        self._wake = asyncio.Event()
        self._told = self._conflict = self._mark = ""
        self._failures = 0
        self._held = False
        self._ends: asyncio.TimerHandle | None = None
        fence.doubted = self._doubt
        metrics.LEADS.labels(where.name).set(0)

    @property
    def leader(self) -> str:
        """The holder's name as it was last seen; "" where there is none."""
        return self._lease.holder if self._lease is not None else ""

    def seen(self, stored: StoredObject | None) -> None:
        """A watch shows the Lease, or that there is none. What we have written ourselves is not taken from it."""
        if self.leads:
            return
        found = leadership.read(stored) if stored is not None else None
        if found is not None and self._lease is not None and _older(found, self._lease):
            return
        if found is None:
            self._known = False  # it is read, and missed only if it is not there then
        else:
            self._note(found)
            self.problem = ""
        self._wake.set()

    # --- as a candidate -----------------------------------------------------------------------------------------------

    async def attempt(self) -> bool:
        """Take the Lease if it can be taken now; whether this process leads."""
        return await self._try() is None

    async def stand(self, lock: "AbstractAsyncContextManager[Any] | None" = None) -> None:
        """Wait until this process leads. Of several electors that have one `lock`, one at a time takes its turn."""
        while True:
            async with lock or contextlib.nullcontext():
                wait = await self._try()
            if wait is None:
                return
            # A watch shows each renewal, so that nothing is read while one leads.
            if not await self._rest(min(wait, self._numbers().retry_period + MARGIN)):
                self._known = False

    async def _try(self) -> float | None:
        """One turn: None when we lead, else the seconds until the next."""
        if not self._known:
            found = await self._read()
            if isinstance(found, Failure):
                return self._failed(found)
            self._miss() if found is None else self._note(found)
        lease, settings = self._lease, self._numbers()
        if lease is not None and (lease.holder or self._distrusted) and lease.holder != self.identity:
            self._tell(lease.holder)
            left = self._since + leadership.promised(lease, settings) - time.monotonic()
            if left > 0 and not (lease.holder and self._gone(lease.holder)):
                self._failures = 0
                return left
        if (wait := self.invited()) > 0:
            return wait
        if why := await self._numbering.conflict(lease.shards if lease is not None else ""):
            self._tell_conflict(why)
            return settings.retry_period
        return await self._claim(lease if lease is not None and lease.uid else None, settings)

    async def _claim(self, lease: Lease | None, settings: LeaderElection) -> float | None:
        at = self._clock()
        self._mark = self._numbering.claimed(lease.shards if lease is not None else "")
        took = await self._write(lease, leadership.claim(lease, self.identity, settings, time.time()))
        self._known = False
        if isinstance(took, Failure):
            # Where another one was faster, and where no answer came: what is there now decides.
            return self._overtaken() if took.kind in _CHANGED else self._failed(took)
        if took.holder != self.identity:
            return self._overtaken()
        if not self._numbering.settled(took.shards):
            agreed = await self._agree(took, settings)
            if not isinstance(agreed, Lease):
                return agreed
            took = agreed
        self._lease, self._known, self._conflict = took, True, ""
        self._open(at, settings)
        self.leads = True
        metrics.LEADS.labels(self._where.name).set(1)
        log.info(
            "leads",
            lease=self._where.name,
            identity=self.identity,
            before=leadership.host(lease.holder) if lease is not None and lease.holder else "nobody",
        )
        return None

    async def _agree(self, took: Lease, settings: LeaderElection) -> Lease | float:
        """Whether nobody acts by another number of shards, now that ours can be seen; else it is given back."""
        why = await self._numbering.conflict(took.shards)
        self._mark = self._numbering.own
        agreed = why or await self._write(took, leadership.claim(took, self.identity, settings, time.time()))
        if isinstance(agreed, Lease):
            return agreed
        self._mark = took.shards
        await self._write(took, leadership.release(time.time()), RELEASE)
        self._tell_conflict(agreed if isinstance(agreed, str) else agreed.message)
        return settings.retry_period

    def _tell_conflict(self, why: str) -> None:
        if self._conflict != why:
            self._conflict = why
            log.warning("waits: another number of shards is in force", lease=self._where.name, reason=why)

    def _note(self, found: Lease) -> None:
        before = self._lease
        if before is None or (before.version, before.holder, before.uid) != (found.version, found.holder, found.uid):
            self._since = time.monotonic()
            self._distrusted = before is not None and leadership.went_back(found, before)
        self._lease, self._known = found, True

    def _miss(self) -> None:
        """There is none. One that was there a moment ago was deleted: its holder may count on it all the same."""
        if self._lease is not None:
            self._lease = replace(self._lease, uid="", version="")
        self._known = True

    def _tell(self, holder: str) -> None:
        if holder and self._told != holder:
            self._told = holder
            log.info("stands by", lease=self._where.name, leader=leadership.host(holder), identity=self.identity)

    def _failed(self, failure: Failure) -> float:
        if failure.message != self.problem:
            log.warning("the Lease cannot be read or written", lease=self._where.name, reason=failure.message)
        self.problem = failure.message
        self._failures += 1
        return backoff.delay(self._failures - 1, base=0.2, cap=CAP)

    def _overtaken(self) -> float:
        self._failures += 1
        return backoff.delay(self._failures - 1, base=0.02, cap=1.0)

    # --- as the leader ------------------------------------------------------------------------------------------------

    async def keep(self) -> str:
        """Renew it until another one leads; returns why this process does not any more."""
        wait = self._numbers().retry_period
        while True:
            await self._rest(min(wait, self._fence.left + LATER) if self._fence.open else wait)
            self._hold()
            try:
                wait = await self._renew()
            except Lost as lost:
                self._end()
                return str(lost)

    async def release(self) -> None:
        """Give it back, so that another one leads at once. Nothing is written from now on."""
        leads, lease = self.leads, self._lease
        self._end()
        self._known = False
        if not leads or lease is None:
            return
        answer = await self._write(lease, leadership.release(time.time()), RELEASE)
        if isinstance(answer, Failure):
            log.warning("the Lease was not given back", lease=self._where.name, reason=answer.message)
        else:
            log.info("the Lease was given back", lease=self._where.name)

    async def _renew(self) -> float:
        """One renewal; the seconds until the next. Raises Lost."""
        settings, lease = self._numbers(), self._lease
        deadline = settings.retry_period / 2  # so that there is time for another try
        at = self._clock()
        if not self._known:
            found = await self._read(deadline)
            if isinstance(found, Failure):
                return self._not_renewed(found, settings)
            lease = self._judged(found)
        renewed = await self._write(lease, leadership.claim(lease, self.identity, settings, time.time()), deadline)
        if isinstance(renewed, Failure):
            self._known = False
            return self._overtaken() if renewed.kind in _CHANGED else self._not_renewed(renewed, settings)
        self._lease, self._known = renewed, renewed.holder == self.identity
        if not self._known:
            return self._overtaken()
        self._open(at, settings)
        if self._held:
            self._held = False
            log.info("writes go on: the Lease was renewed", lease=self._where.name)
            self.resumed()
        return settings.retry_period

    def _judged(self, found: Lease | None) -> Lease | None:
        """The Lease that a renewal goes on from; None: it is made anew. Raises Lost."""
        mine = self._lease
        if found is None:
            if not self._fence.open:
                raise Lost("its Lease was deleted")
            log.warning("the Lease was deleted: it is made again", lease=self._where.name)
            return None
        standing = leadership.standing(found, mine) if mine is not None else Standing.LOST
        if standing is Standing.LOST or (standing is Standing.OLDER and not self._fence.open):
            raise Lost(
                f"{leadership.host(found.holder)} leads" if found.holder else "somebody has taken its Lease away"
            )
        if standing is Standing.OLDER:
            log.warning("the Lease has gone back in time: it is taken again", lease=self._where.name)
        if mine is None:
            return replace(found, holder=self.identity)
        transitions = max(found.transitions, mine.transitions)
        return replace(found, holder=self.identity, acquired=mine.acquired, transitions=transitions)

    def _not_renewed(self, failure: Failure, settings: LeaderElection) -> float:
        if not self.problem:
            log.warning("the Lease was not renewed", lease=self._where.name, reason=failure.message)
        self.problem = failure.message
        return min(AGAIN, settings.retry_period)

    def _open(self, at: Instant, settings: LeaderElection) -> None:
        self._fence.slack = settings.lease_duration - settings.renew_deadline
        self._fence.extend(at, settings.renew_deadline)
        self.problem, self._failures = "", 0
        if self._ends is not None:
            self._ends.cancel()
        # Writes find the fence shut by themselves; those that are under way are recalled.
        self._ends = asyncio.get_running_loop().call_later(settings.renew_deadline + LATER, self._hold)

    def _hold(self) -> None:
        if self.leads and not self._fence.open and not self._held:
            self._held = True
            if self.problem:
                log.warning("writes are held: the Lease could end", lease=self._where.name, reason=self.problem)

    def _doubt(self) -> None:
        """The wall clock has jumped: perhaps this machine stood still, and its clocks with it."""
        log.info("the clock has jumped: the Lease is renewed before anything more is written", lease=self._where.name)
        self._wake.set()

    def _end(self) -> None:
        self.leads = False
        if self._ends is not None:
            self._ends.cancel()
        self._fence.shut()
        metrics.LEADS.labels(self._where.name).set(0)

    # --- at the hub ---------------------------------------------------------------------------------------------------

    async def _rest(self, seconds: float) -> bool:
        """Wait so long, or until something has happened to the Lease; whether it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        woken = self._wake.is_set()
        self._wake.clear()
        return woken

    async def _read(self, deadline: float = CAP) -> Lease | Failure | None:
        """The Lease as it is now; None where there is none."""
        try:
            async with asyncio.timeout(max(SHORTEST, deadline)):
                found = await self._hub.read(LEASES, self._where)
        except TimeoutError:
            return classification.timed_out(deadline)
        if isinstance(found, Failure) and found.kind not in _GONE:
            return found
        self.problem = ""
        return None if isinstance(found, Failure) else leadership.read(found)

    async def _write(self, lease: Lease | None, spec: dict[str, Any], deadline: float = CAP) -> Lease | Failure:
        """Make it so if it is as it was seen; as it is then."""
        try:
            async with asyncio.timeout(max(SHORTEST, deadline)):
                return await (self._create(spec) if lease is None else self._change(lease, spec))
        except TimeoutError:
            return classification.timed_out(deadline)

    async def _change(self, lease: Lease, spec: dict[str, Any]) -> Lease | Failure:
        same: dict[str, Any] = {"uid": lease.uid, "resourceVersion": lease.version}
        if lease.shards != self._mark:
            same["annotations"] = {marks.SHARDS_ANNOTATION: self._mark or None}
        answer = await self._hub.merge(LEASES, self._where, orjson.dumps({"metadata": same, "spec": spec}))
        if isinstance(answer, Failure):
            return answer
        return Lease(
            uid=answer.uid,
            version=answer.resource_version,
            holder=spec["holderIdentity"],
            seconds=spec["leaseDurationSeconds"],
            acquired=spec.get("acquireTime", lease.acquired),
            renewed=spec["renewTime"],
            transitions=spec.get("leaseTransitions", lease.transitions),
            shards=self._mark,
        )

    async def _create(self, spec: dict[str, Any]) -> Lease | Failure:
        metadata: dict[str, Any] = {"name": self._where.name, "namespace": self._where.namespace}
        if self._mark:
            metadata["annotations"] = {marks.SHARDS_ANNOTATION: self._mark}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        refused = await self._hub.create(LEASES, self._where.namespace, body)
        if refused is not None:
            return refused
        found = await self._hub.read(LEASES, self._where)
        return found if isinstance(found, Failure) else leadership.read(found)


def _older(found: Lease, known: Lease) -> bool:
    """Whether a watch shows what was before: its revisions are those of one resource."""
    versions = found.version, known.version
    return found.uid == known.uid and all(each.isdecimal() for each in versions) and int(versions[0]) < int(versions[1])
