"""Watch over the hub's line of time: read our Lease, write it when the hub has changed, and recognise a restored hub.

The Lease is read every PERIOD, and before removals. It is written at most every SHORTEST, and only when something that
we follow has changed at the hub: nothing is written at no load. What it shows is judged by core.restoration. A hub that
has gone back begins a hold of removals (recovery), in one step, so that nothing is removed between the two.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import orjson
import structlog

from federation.controllers.ports import HubPort
from federation.controllers.world import World
from federation.core import restoration, times
from federation.core.restoration import Hold, Record, Witness
from federation.model.failures import Failure, FailureKind
from federation.model.resources import LEASES, NAMESPACES, Key, ObjectName, Resource
from federation.runtime import backoff

NAME = "kubefed-controller-hub-state"
"""Our Lease. It is not the one by which controllers elect a leader: that is renewed all the time."""
PERIOD = 10.0
"""Seconds within which a restored hub is recognised."""
SHORTEST = 5.0
"""Seconds between two writes: a backup that is younger than the last one differs by what happened since."""
PAUSE = 0.5
"""Seconds until what is noticed is looked at: more may come with it."""
CONFIRMATION = 3.0
"""Seconds for the hub to answer before a removal, which holds a place in its member's lane meanwhile."""
PATIENCE = 20.0
"""Seconds that a controller without the right to the Lease waits for it when it starts."""
SOON = 60.0
"""Seconds that copies which were overwritten are remembered, until the hub is recognised as restored."""
MOST_REMEMBERED = 20_000
"""Such copies."""
MOST_ASKED = 1_000
"""Of them, those that the hub is asked for, to find out whether it was."""
_ANOTHER = "another cluster answers at the hub's address"
_GONE = {FailureKind.NOT_FOUND, FailureKind.NAMESPACE_MISSING}
_UNREADABLE = {FailureKind.UNEXPECTED, FailureKind.INVALID, FailureKind.TOO_LARGE}
_NO_RIGHT = {FailureKind.RIGHT_MISSING, FailureKind.TYPE_MISSING}

log = structlog.get_logger()


class Reaction(Protocol):
    """What follows from what is recognised; see recovery. None of it waits."""

    def begin(self, hold: Hold, *, known: bool) -> None:
        """Removals are held from now on. `known`: an earlier controller, or another, has recognised it."""

    def end(self, why: str) -> None:
        """They are not held any more."""

    def exchanged(self, uid: str) -> None:
        """The hub's address leads to another cluster."""

    def overwritten(self, key: Key, cluster: str, applied_at: int) -> None:
        """A member had newer content than the restored hub, applied at this time, and has the hub's now."""


class _Overwrote(NamedTuple):
    """A copy that was overwritten: when what was there had been applied, whether the hub is to be asked, and how long
    it is remembered (monotonic)."""

    applied_at: int
    ask: bool
    until: float


class Continuity:
    """Our Lease at the hub. `holder` names this process in it."""

    def __init__(
        self,
        world: World,
        hub: HubPort,
        reaction: Reaction,
        *,
        hub_uid: str,
        namespace: str,
        holder: str,
        now: Callable[[], str],
    ) -> None:
        self._world = world
        self._hub = hub
        self._reaction = reaction
        self._hub_uid = hub_uid
        self._namespace = namespace
        self._where = ObjectName(namespace, NAME)
        self._holder = holder
        self._now = now
        self._known: Record | None = None
        self._count = 0
        self._noted = -1
        self._stored: str | None = ""
        self._written = self._checked = float("-inf")
        self._lock = asyncio.Lock()
        self._without_right = self._denied = self._exchanged = False
        self._vouched = ""
        self._overwrote: dict[tuple[Key, str], _Overwrote] = {}
        self._started = time.time()

    async def begin(self) -> None:
        """Know what our Lease says, before anything is done: a hold may be in force. Waits for the hub."""
        attempt, began = 0, time.monotonic()
        while why := await self._look():
            if self._denied and time.monotonic() - began >= PATIENCE:
                # Else nothing could be removed any more after an upgrade without its roles.
                self._without_right = True
                log.warning(
                    "a restored hub is not recognised",
                    reason=why,
                    next="grant the right to our Lease: by fedctl init, or with the chart",
                )
                return
            wait = backoff.delay(attempt, base=0.2, cap=5.0)
            attempt += 1
            log.warning("our Lease cannot be read", reason=why, again_in_s=round(wait, 1))
            await asyncio.sleep(wait)

    async def contradicted(self, what: str, deciding: Sequence[tuple[Resource, ObjectName]], applied_at: int) -> str:
        """Whether a copy, that is to be removed and that no status records, is newer than all that decides about it.

        Then the hub was restored while no controller was running: the hold begins. `deciding` are the objects that
        decide; that one of them is gone shows it, too. "", or why it is not known.
        """
        if self._world.recovery is not None or not restoration.unvouched(applied_at, self._vouched, self._started):
            return ""
        written: list[str] = []
        for resource, name in deciding:
            found = await self._hub.written(resource, name)
            if not isinstance(found, Failure):
                written += found
            elif found.kind not in _GONE:
                return f"the hub does not answer: {found.message}"
        if written and not restoration.outlives(applied_at, written):
            return ""
        async with self._lock:
            if self._world.recovery is None:
                at = times.rfc3339(applied_at)
                self._recognise(f"{what} was applied at {at}, which is later than anything that the hub knows of it")
        return ""

    def overwrote(self, key: Key, cluster: str, applied_at: int) -> None:
        """An apply has changed a copy that was newer than is recorded, or whose object has just gone back.

        Where the hub is recognised as restored soon, that was newer content; where no controller was running then, it
        shows a restored hub (`turn` asks for it).
        """
        known = len(self._overwrote)
        if known < MOST_REMEMBERED:
            ask = applied_at > 0 and known < MOST_ASKED
            self._overwrote[key, cluster] = _Overwrote(applied_at, ask, time.monotonic() + SOON)

    async def _examine_overwritten(self) -> None:
        """Not with the lock: `contradicted` takes it."""
        for (key, cluster), each in list(self._overwrote.items()):
            state = self._world.types.get(key.type)
            if each.ask and state is not None and self._world.recovery is None:
                resource, name = state.type.federated, ObjectName(key.namespace, key.name)
                what = f"the copy of {resource.kind} {name} in {cluster}"
                if await self.contradicted(what, [(resource, name)], each.applied_at):
                    return  # the hub is asked again
                self._overwrote[key, cluster] = each._replace(ask=False)
            if self._world.recovery is not None:
                self._reaction.overwritten(key, cluster, each.applied_at)
            if self._world.recovery is not None or time.monotonic() > each.until:
                self._overwrote.pop((key, cluster), None)

    async def serve(self) -> None:
        """Read and write it, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHORTEST):
                    await self._world.noticed.wait()
                    await asyncio.sleep(PAUSE)
            self._world.noticed.clear()
            await self.turn()

    async def turn(self) -> None:
        """Do what is due."""
        if self._overwrote:
            await self._examine_overwritten()
        async with self._lock:
            now = time.monotonic()
            if self._due(now):
                # Revisions of a restored hub are counted anew: by chance the one that we know may be there again.
                if not await self._check() and self._due(now):
                    await self._write()
            elif self._world.suspected or now - self._checked >= PERIOD - PAUSE:
                await self._check()

    async def confirmed(self) -> str:
        """Whether the hub's line of time is unbroken, as of an answer that was asked for after this call.

        "", or why that is not known. Of many that ask at once, one asks the hub.
        """
        asked = time.monotonic()
        try:
            async with asyncio.timeout(CONFIRMATION), self._lock:
                if self._checked >= asked and not self._world.suspected:
                    return ""
                return await self._check()
        except TimeoutError:
            return f"the hub does not answer within {CONFIRMATION:g} s"

    def _due(self, now: float) -> bool:
        """Whether the Lease is to be written now: a hold at once, that the hub has changed after a while."""
        if self._known is None or self._exchanged:
            return False
        if self._stored != _id(self._world.recovery):
            return True
        return self._world.moved != self._noted and now - self._written >= SHORTEST

    # --- with the lock ------------------------------------------------------------------------------------------------

    async def _look(self) -> str:
        async with self._lock:
            return await self._check()

    async def _check(self) -> str:
        """Read the Lease and judge it; "" or why it could not be read."""
        if self._exchanged:
            return _ANOTHER
        began = time.monotonic()
        found = await self._hub.read(LEASES, self._where)
        if isinstance(found, Failure):
            doubt = await self._without_lease() if found.kind in _GONE else self._unreadable(found)
        else:
            doubt = await self._judge(restoration.read(found))
        if not doubt:
            self._checked, self._denied = began, False
            self._without_right = self._without_right and self._known is None
        return doubt

    def _unreadable(self, failure: Failure) -> str:
        """An API server that has just started refuses everybody for a moment: that is no right that is missing."""
        self._denied = failure.kind in _NO_RIGHT
        if self._denied and self._without_right:
            return ""
        return f"the hub does not answer: {failure.message}"

    async def _judge(self, found: Record) -> str:
        known = self._known
        if known is None:
            self._take(found)
            self._vouched = found.renewed
            self._stored = found.hold.id if found.hold is not None else None
            if found.hold is not None:
                self._reaction.begin(found.hold, known=True)
            return ""
        why = restoration.went_back(known, found)
        if why and found.uid != known.uid:
            # Somebody may have deleted it, and another controller made it anew.
            doubt, why = await self._corroborated(why)
            if doubt:
                return doubt
        if why:
            self._known = found
            self._recognise(why)
            return ""
        doubt, why = await self._examined()
        if doubt:
            return doubt
        if why:
            self._known = found
            self._recognise(why)
        elif found.version != known.version:
            self._follow(known, found)
        return ""

    def _take(self, found: Record) -> None:
        self._known = found
        self._count = max(self._count, found.count)

    def _follow(self, known: Record, found: Record) -> None:
        """Another controller of this hub has written it: what it has recognised or ended holds here, too."""
        self._take(found)
        mine = self._world.recovery
        if _id(found.hold) == _id(mine):
            self._stored = _id(mine)
        elif found.hold is not None and found.hold != known.hold:
            self._stored = found.hold.id
            self._reaction.begin(found.hold, known=True)
        elif mine is not None and found.hold is None and self._stored == mine.id:
            self._stored = None
            self._reaction.end("another controller of this hub has ended the hold")

    def _recognise(self, why: str) -> None:
        """In one step: what was decided before this is not carried out any more."""
        self._stored = ""  # whatever it says of a hold is of another time
        self._vouched = ""  # what members have shows nothing new from now on
        hold = Hold(uuid.uuid4().hex[:8], self._now(), why)
        self._reaction.begin(hold, known=False)

    async def _without_lease(self) -> str:
        """There is none: the first controller makes it, and one that somebody deleted is made again."""
        if self._known is not None:
            doubt, why = await self._corroborated("its Lease is gone")
            if doubt:
                return doubt
            self._known = None
            if why:
                self._recognise(why)
            else:
                log.warning("our Lease was deleted: it is made again", name=NAME, namespace=self._namespace)
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": NAME, "namespace": self._namespace, **self._annotated()},
            "spec": self._spec(),
        }
        refused = await self._hub.create(LEASES, self._namespace, body)
        if refused is not None and refused.kind is not FailureKind.ALREADY_EXISTS:
            return self._unreadable(refused)
        found = await self._hub.read(LEASES, self._where)
        if isinstance(found, Failure):
            return f"the hub does not answer: {found.message}"
        record = restoration.read(found)
        if refused is None:
            self._take(record)
            self._stored, self._noted, self._written = _id(record.hold), self._world.moved, time.monotonic()
            return ""
        return await self._judge(record)

    async def _corroborated(self, why: str) -> tuple[str, str]:
        """Whether the hub has lost more than our Lease: (why that is not known, why it was restored)."""
        found = await self._hub.read(NAMESPACES, ObjectName("", "kube-system"))
        if isinstance(found, Failure):
            return f"the hub does not answer: {found.message}", ""
        if found.metadata.uid != self._hub_uid:
            self._exchanged = True  # nothing is written there, nor held: it is not ours
            self._reaction.exchanged(found.metadata.uid)
            return _ANOTHER, ""
        witness = self._world.newest
        if witness is not None:
            doubt, older = await self._asked(witness)
            return doubt, f"{why}, and {older}" if older else ""
        return "", ""

    async def _examined(self) -> tuple[str, str]:
        """The same, of objects that a list has shown older than they are known to be."""
        while self._world.suspected:
            witness = next(iter(self._world.suspected))
            doubt, why = await self._asked(witness)
            if doubt or why:
                return doubt, why
            self._world.suspected.discard(witness)
        return "", ""

    async def _asked(self, witness: Witness) -> tuple[str, str]:
        state = next((each for each in self._world.types.values() if each.type.federated == witness.resource), None)
        if state is None:
            return "", ""  # its type is not followed any more: it shows nothing
        found = await self._hub.read_federated(witness.resource, witness.name)
        if not isinstance(found, Failure):
            return "", restoration.older(witness, found)
        if found.kind not in _GONE:
            # One that cannot be read must not stand in the way of all removals.
            return "" if found.kind in _UNREADABLE else f"the hub does not answer: {found.message}", ""
        held = state.objects.get(witness.name)
        if held is None or held.metadata.uid != witness.uid or not restoration.cannot_vanish(held.metadata):
            return "", ""  # its watch has reported meanwhile that it goes, or is about to
        return "", f"{witness.resource.kind} {witness.name} is gone without having been deleted"

    async def _write(self) -> None:
        """Note in the Lease that the hub has changed, and the hold. That it is as we left it is a condition."""
        known, moved, recovery = self._known, self._world.moved, self._world.recovery
        if known is None:
            return  # `_check` makes it
        began = self._written = time.monotonic()
        same = {"uid": known.uid, "resourceVersion": str(known.version)}
        body = orjson.dumps({"metadata": {**same, **self._annotated()}, "spec": self._spec()})
        answer = await self._hub.merge(LEASES, self._where, body)
        if isinstance(answer, Failure):
            if answer.kind in {*_GONE, FailureKind.VERSION_CONFLICT, FailureKind.UID_MISMATCH}:
                self._written = float("-inf")
                await self._check()
            return
        self._count += 1
        self._noted, self._checked, self._stored = moved, began, _id(recovery)
        version = int(answer.resource_version) if answer.resource_version.isdecimal() else 0
        self._known = Record(answer.uid, version, self._count, self._now(), recovery)

    def _annotated(self) -> dict[str, object]:
        written = restoration.annotations(self._count + 1, self._world.recovery)
        return {"annotations": {name: value for name, value in written.items() if value is not None or self._known}}

    def _spec(self) -> dict[str, str]:
        return {"holderIdentity": self._holder, "renewTime": self._now().replace("Z", ".000000Z")}


def _id(hold: Hold | None) -> str | None:
    return hold.id if hold is not None else None
