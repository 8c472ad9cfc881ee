"""What a shard that does not coordinate tells the one that does: a ConfigMap of reports, many objects with one write.

A report stays until the object's status says the same, or the object is gone. So nothing is lost when the coordinating
shard has another holder, and at rest the ConfigMap is empty. A holder that begins empties it first: what is there is of
the one before, and everything is looked at anew. All of it together is bounded: what has no room waits until others
have been acknowledged, and those take turns that never are, because their statuses have no room for every line. What
confirms a deletion goes before all others. Every write has the version that was seen as its condition, so that a late
one of a holder before is noticed, and what it left is taken out.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import msgspec
import orjson
import structlog

from federation.controllers.ports import HubPort
from federation.controllers.tracks import Track
from federation.core import proof, reports, shards
from federation.core.holds import Held
from federation.core.reports import Report
from federation.core.shards import Shard
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject
from federation.model.plan import Plan
from federation.model.resources import CONFIG_MAPS, Key, ObjectName
from federation.model.status import ClusterStatus
from federation.runtime import backoff

MOST, GROWN = 640 * 1024, 900 * 1024
"""Bytes of all reports together, and what those that are there may grow to. An object of the API has 1 MiB at the most,
and every write brings all of it."""
PAUSE, SMALL = 0.5, 64 * 1024
"""Seconds between two writes of little, and for each so many bytes once more: every write stores all that is there."""
TURN = 60.0
"""Seconds after which a report that nobody has acknowledged gives way to others that wait for room."""
LATER = 2.0
"""Seconds until what was acknowledged is taken out, where there is nothing else to write."""
UNWRITTEN = "this shard's reports cannot be written: statuses do not show what it does, and deletions wait for it"

log = structlog.get_logger()


class Outbox:
    """The reports of one shard. `served` are the clusters that it serves; `wake` is Sync.changed."""

    def __init__(self, hub: HubPort, where: ObjectName, shard: Shard, served: Set[str]) -> None:
        self.wake: Callable[[Key], None] = lambda key: None
        self.began: dict[str, Any] = {}
        """What the holder before has told of deletions that it holds."""
        self._hub = hub
        self._where = where
        self._shard = shard
        self._served = served
        self._stored: dict[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._keys: dict[Key, str] = {}
        self._confirmed: set[Key] = set()
        self._since: dict[str, float] = {}
        """When each report that is stored came to be as it is (monotonic)."""
        self._behind: set[str] = set()
        """Those that are stored and have had their turn."""
        self._fleet = ""
        self._news = asyncio.Event()
        self._written = float("-inf")
        self._known = self._exists = False
        """Whether `_stored` is what the hub has, and whether it has the ConfigMap."""
        self._version = ""
        """Its resourceVersion."""

    @property
    def shards(self) -> int:
        """How many there are."""
        return self._shard.number

    # --- what is told -------------------------------------------------------------------------------------------------

    def report(
        self,
        key: Key,
        federated: FederatedObject,
        track: Track,
        plan: Plan,
        lines: Sequence[ClusterStatus],
        *,
        stalled: Set[str],
        deletions: Held | None,
    ) -> None:
        """Say what there is of an object in this shard's clusters, unless its status says the same."""
        self._confirmed.discard(key)
        if reports.acknowledged(track.status, plan.generation, lines, self._served):
            self.forget(key)
            return
        report = Report(
            key.type,
            key.namespace,
            key.name,
            plan.generation,
            lines=tuple(lines),
            stalled=tuple(sorted(stalled)),
            held_reason=deletions.reason.value if deletions else "",
            held_message=deletions.message if deletions else "",
            held=deletions.clusters if deletions else (),
        )
        self._put(key, federated.metadata.uid, report)

    def confirm(self, key: Key, federated: FederatedObject, plan: Plan) -> None:
        """Nothing is left of an object that is being deleted, in any cluster that this shard serves."""
        deleted = federated.metadata.deletion_timestamp
        if deleted is None or deleted == proof.GONE_UNSEEN:
            return  # nothing waits for it
        self._confirmed.add(key)
        report = Report(key.type, key.namespace, key.name, plan.generation, deleted=deleted, fleet=self._now())
        self._put(key, federated.metadata.uid, report)

    def forget(self, key: Key) -> None:
        """There is nothing to say of this object: it is gone, or its status says it."""
        self._confirmed.discard(key)
        uid = self._keys.pop(key, None)
        if uid is not None and self._wanted.pop(reports.PREFIX + uid, None) is not None:
            self._news.set()

    def fleet_changed(self) -> None:
        """This shard serves other clusters now: what it has confirmed is to be seen anew."""
        self._fleet = ""
        for key in list(self._confirmed):
            self.forget(key)
            self.wake(key)

    def tell_deletions(self, what: Mapping[str, Any]) -> None:
        """What is held of deletions, for people."""
        if what:
            self._wanted[reports.DELETIONS] = orjson.dumps(what).decode()
        else:
            self._wanted.pop(reports.DELETIONS, None)
        self._news.set()

    def _put(self, key: Key, uid: str, report: Report) -> None:
        before = self._keys.get(key)
        if before is not None and before != uid:
            self._wanted.pop(reports.PREFIX + before, None)
        self._keys[key] = uid
        name, text = reports.PREFIX + uid, reports.encode(report)
        if self._wanted.get(name) != text:
            self._wanted[name] = text
            self._news.set()

    def _now(self) -> str:
        self._fleet = self._fleet or shards.fleet(self._served, self._shard.number)
        return self._fleet

    # --- at the hub ---------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Empty it, but for what people are told. Waits for the hub."""
        attempt = 0
        while (failure := await self._look(began=True) or await self._write()) is not None:
            wait = backoff.delay(attempt, base=0.2, cap=5.0)
            attempt += 1
            log.warning(UNWRITTEN, name=self._where.name, reason=failure.message, again_in_s=round(wait, 1))
            await asyncio.sleep(wait)

    def renew(self) -> None:
        """The hub has gone back in time: what is stored there may be older than what was written."""
        self._known = False
        self._news.set()

    async def serve(self) -> None:
        """Write what is new, until cancelled."""
        attempt = 0
        while True:
            if self._known and self._next() == self._stored:
                await self._await_news()
            self._news.clear()
            if self._known and not self._says_more():
                await self._rest(LATER)  # what was acknowledged is taken out with the next report, or later
            await asyncio.sleep(max(0.0, self._written + self._pause() - time.monotonic()))
            failure = None if self._known else await self._look()
            failure = failure or await self._write()
            if failure is None or failure.kind is FailureKind.VERSION_CONFLICT:
                attempt = 0
                continue
            log.warning(UNWRITTEN, name=self._where.name, reason=failure.message)
            await asyncio.sleep(backoff.delay(attempt, base=0.2, cap=5.0))
            attempt += 1

    async def finish(self) -> None:
        """Write what is left, at the end."""
        for _ in range(2):
            if (None if self._known else await self._look()) is not None or not self._says_more():
                return
            failure = await self._write()
            if failure is None or failure.kind is not FailureKind.VERSION_CONFLICT:
                return

    async def _look(self, *, began: bool = False) -> Failure | None:
        """Read what is stored."""
        found = await self._hub.read(CONFIG_MAPS, self._where)
        if isinstance(found, Failure) and found.kind is not FailureKind.NOT_FOUND:
            return found
        self._exists = not isinstance(found, Failure)
        self._stored = {} if isinstance(found, Failure) else dict(found.data)
        self._version = "" if isinstance(found, Failure) else found.metadata.resource_version
        self._known = True
        if began:
            self._wanted = {reports.NUMBER: str(self._shard.number)}
            if told := self._stored.get(reports.DELETIONS):
                self._wanted[reports.DELETIONS] = told
                self.began = _read(told)
        return None

    async def _await_news(self) -> None:
        """Wait until there is something to say, or others have had their turn.

        While something is told it is looked at ever so often: somebody may have taken it out, and nobody would say it
        again. At rest nothing is asked.
        """
        tells = bool(self._wanted.keys() - {reports.NUMBER})
        try:
            async with asyncio.timeout(TURN if tells else None):
                await self._news.wait()
        except TimeoutError:
            self._known = False
        self._give_way()

    def _give_way(self) -> None:
        """Where some wait for room, what has had its turn comes after them."""
        if self._wanted.keys() <= self._next().keys():
            return
        now = time.monotonic()
        for name in [name for name, since in self._since.items() if now - since >= TURN and name in self._wanted]:
            self._wanted[name] = self._wanted.pop(name)
            self._behind.add(name)

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until there is something to say."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._says_more() and self._known and loop.time() < until:
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return
            self._news.clear()

    def _pause(self) -> float:
        return PAUSE * (1 + sum(map(_size, self._next().values())) / SMALL)

    def _says_more(self) -> bool:
        return any(self._stored.get(name) != text for name, text in self._next().items())

    def _next(self) -> dict[str, str]:
        """What is to be stored: as much of what is wanted as there is room for. Confirmations go first, then what is
        there already and has not had its turn.

        One that has no room any more, because it is longer than before, waits with the others, and what is there of it
        goes: an older report must not be taken for this one.
        """
        found, total = dict[str, str](), 0
        first = {reports.PREFIX + self._keys[key] for key in self._confirmed}
        there = self._stored.keys() - self._behind

        def rank(name: str) -> int:
            return 0 if name in first or not _is_report(name) else 1 if name in there else 2

        for name in sorted(self._wanted, key=rank):
            size = _size(self._wanted[name])
            most = MOST if rank(name) > 1 else GROWN
            if _is_report(name) and total + size > most and len(found) > 1:
                continue
            total += size
            found[name] = self._wanted[name]
        return found

    async def _write(self) -> Failure | None:
        following = self._next()
        changes: dict[str, str | None] = {name: None for name in self._stored if name not in following}
        changes.update((name, text) for name, text in following.items() if self._stored.get(name) != text)
        if not changes:
            return None
        self._written = time.monotonic()
        failure = await (self._change(changes) if self._exists else self._create(following))
        # Of a write without an answer it is not known whether it is stored; of one that has made it, in which version.
        self._known = failure is None and self._exists
        if failure is None:
            self._stored, self._exists = following, True
            self._behind -= changes.keys()
            self._since = {name: since for name, since in self._since.items() if name in following}
            self._since |= {name: self._written for name in changes.keys() & following.keys() if _is_report(name)}
        return failure

    async def _change(self, changes: Mapping[str, str | None]) -> Failure | None:
        body = {"metadata": {"resourceVersion": self._version}, "data": changes}
        answer = await self._hub.merge(CONFIG_MAPS, self._where, orjson.dumps(body))
        if isinstance(answer, Failure):
            return answer
        self._version = answer.resource_version
        return None

    async def _create(self, data: Mapping[str, str]) -> Failure | None:
        metadata = {"name": self._where.name, "namespace": self._where.namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        return await self._hub.create(CONFIG_MAPS, self._where.namespace, body)


def _is_report(name: str) -> bool:
    return name.startswith(reports.PREFIX)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _read(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}
