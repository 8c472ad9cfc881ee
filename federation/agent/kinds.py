"""The kinds that works name: which resource each is in the member, and the objects of it that are watched.

A kind is watched from when it is first applied, by our label alone, until no work has an object of it any more. Answers
to our own applies count as observations, too: of two the newer one counts.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import msgspec

from federation.agent import rewinding
from federation.core import checks, managedfields
from federation.kube import works
from federation.kube.connection import Connection
from federation.kube.reflector import Reflector
from federation.kube.works import Seen
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource
from federation.model.works import Identifier
from federation.runtime.tasks import Tasks
from federation.work.copies import Copy

AGAIN = 1.0
"""Seconds after which the member is asked again which types of an API version it has, where one was missing."""

SWEEP = 60.0
"""Seconds between two looks for kinds that are not needed any more. At the second such look they are let go of."""

Named = Mapping[tuple[str, str], Set[ObjectName]]
"""The objects that works have, by their kind's group and resource."""
Changed = Callable[[Identifier, bool], None]
"""Called with an object that changed, and whether more than its status did."""


class _Served(msgspec.Struct, gc=False):
    name: str
    kind: str = ""
    namespaced: bool = False


class _ResourceList(msgspec.Struct, gc=False):
    resources: tuple[_Served, ...] = ()


_lists = msgspec.json.Decoder(_ResourceList)


class Kind:
    """One resource: its objects with our label. It is a sink of its reflector."""

    def __init__(self, resource: Resource, changed: Changed) -> None:
        self.resource = resource
        self.copies: dict[ObjectName, Copy] = {}
        self.synced = asyncio.Event()
        self.whole = False
        self.asked: set[ObjectName] = set()
        """Objects of which more than their metadata is needed."""
        self.reflector: Reflector[Seen] | None = None
        self.task: asyncio.Task[None] | None = None
        self._changed = changed
        self._listed = 0

    def what(self, where: ObjectName) -> Identifier:
        """The name of one of its objects."""
        return Identifier(self.resource.group, self.resource.plural, where.namespace, where.name)

    def listing(self) -> None:
        """A list begins."""

    def listed(self, version: str) -> None:
        """It shows the collection as of this version."""
        self._listed = managedfields.number(version)

    def replace(self, items: Iterable[Seen]) -> None:
        """There are these objects and no others, but for what was applied since."""
        found = {item.where: item.copy for item in items}
        for where, copy in list(self.copies.items()):
            if where not in found and copy.version <= self._listed:
                del self.copies[where]
                self._changed(self.what(where), True)
        for where, copy in found.items():
            known = self.copies.get(where)
            if known is None or known.uid != copy.uid or known.version <= self._listed:
                self._set(where, copy)  # also an older one: then the member was restored
        self.synced.set()

    def upsert(self, item: Seen) -> None:
        """An object, new or changed."""
        self._put(item.where, item.copy)

    def remove(self, item: Seen) -> None:
        """It is gone, or has lost our label."""
        known = self.copies.get(item.where)
        if known is not None and known.uid == item.copy.uid and known.version <= item.copy.version:
            del self.copies[item.where]
            self._changed(self.what(item.where), True)

    def learn(self, where: ObjectName, copy: Copy) -> None:
        """What the answer to an apply of ours shows; it wakes nobody."""
        known = self.copies.get(where)
        if known is None or copy.version >= known.version or known.uid != copy.uid:
            # What was read before the apply shows nothing of it: it is reported when the watch has shown it.
            same = known is not None and (known.uid, known.version) == (copy.uid, copy.version)
            content = known.content if known is not None and same else b""
            self.copies[where] = msgspec.structs.replace(copy, content=content)

    def rewound(self) -> None:
        """The member was restored: what was seen before is not newer than what it shows from now on."""
        self._listed = 0
        self.copies = {where: msgspec.structs.replace(copy, version=0) for where, copy in self.copies.items()}

    def forget(self, where: ObjectName) -> None:
        """The member says that there is no such object."""
        self.copies.pop(where, None)

    def _put(self, where: ObjectName, copy: Copy) -> None:
        known = self.copies.get(where)
        if known is not None and known.uid == copy.uid and known.version > copy.version:
            return
        self._set(where, copy)

    def _set(self, where: ObjectName, copy: Copy) -> None:
        known = self.copies.get(where)
        self.copies[where] = copy
        if known is None or _facts(known) != _facts(copy):
            self._changed(self.what(where), True)
        elif known.content != copy.content:
            self._changed(self.what(where), False)


class Kinds:
    """All kinds of one member."""

    def __init__(self, connection: Connection, agent: str, tasks: Tasks, changed: Changed) -> None:
        self._connection = connection
        self._agent = agent
        self._tasks = tasks
        self._changed = changed
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._served: dict[tuple[str, str], Mapping[str, Resource]] = {}
        self._read: dict[tuple[str, str], float] = {}
        self._reading = asyncio.Lock()
        self._relists = rewinding.relists()
        self._idle: frozenset[tuple[str, str]] = frozenset()

    def copy(self, what: Identifier) -> Copy | None:
        """The object as it was last observed; None where there is none with our label."""
        kind = self._kinds.get((what.group, what.resource))
        return kind.copies.get(what.where) if kind is not None else None

    def known(self, what: Identifier) -> bool:
        """Whether the objects of its kind have been listed, so that one that is not there is absent."""
        kind = self._kinds.get((what.group, what.resource))
        return kind is not None and kind.synced.is_set()

    def learn(self, what: Identifier, copy: Copy) -> None:
        """What the answer to an apply of ours shows."""
        kind = self._kinds.get((what.group, what.resource))
        if kind is not None:
            kind.learn(what.where, copy)

    def forget(self, what: Identifier) -> None:
        """There is no such object."""
        kind = self._kinds.get((what.group, what.resource))
        if kind is not None:
            kind.forget(what.where)

    def follow(self, resource: Resource, where: ObjectName, *, whole: bool) -> None:
        """Watch the kind from now on; with `whole` this object is needed whole."""
        key = (resource.group, resource.plural)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(resource, self._changed)
            self._start(kind)
        if not whole:
            kind.asked.discard(where)
        elif where not in kind.asked:
            kind.asked.add(where)
            if kind.whole:
                if kind.reflector is not None and where in kind.copies:
                    kind.reflector.renew()  # what was left out of it is to be read
            else:
                kind.whole = True
                self._start(kind)

    async def serve(self, named: Callable[[], Named]) -> None:
        """Let go of what works do not need any more, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            self.sweep(named())

    def sweep(self, named: Named) -> None:
        """One look: a kind of which works have no object is watched no more, one that nobody asks about not as a whole.

        What is found so for the first time is left: an object may be made anew in a moment.
        """
        idle = set()
        for key, kind in list(self._kinds.items()):
            kind.asked &= named.get(key, set())
            if key in named and (kind.asked or not kind.whole):
                continue
            idle.add(key)
            if key not in self._idle:
                continue
            if key in named:
                kind.whole = False
                self._start(kind)
            else:
                del self._kinds[key]
                if kind.task is not None:
                    kind.task.cancel()
        self._idle = frozenset(idle)

    async def synced(self, seconds: float) -> None:
        """Wait until all kinds were listed, at most so long."""
        waits = [asyncio.ensure_future(kind.synced.wait()) for kind in self._kinds.values()]
        if waits:
            _, left = await asyncio.wait(waits, timeout=seconds)
            for each in left:
                each.cancel()

    async def resolve(self, group: str, version: str, kind: str) -> Resource | Failure:
        """The resource of a kind in the member. TYPE_MISSING where it does not serve it, now."""
        key = (group, version)
        async with self._reading:
            found = self._served.get(key, {}).get(kind)
            if found is not None:
                return found
            if key in self._served and time.monotonic() - self._read[key] < AGAIN:
                return _missing(group, version, kind)
            listed = await self._list(group, version)
            if isinstance(listed, Failure):
                if listed.kind not in (FailureKind.TYPE_MISSING, FailureKind.NOT_FOUND):
                    return listed
                listed = {}
            self._served[key], self._read[key] = listed, time.monotonic()
            return listed.get(kind) or _missing(group, version, kind)

    async def resource(self, what: Identifier, version: str) -> Resource | Failure:
        """The resource of an object that was applied."""
        kind = self._kinds.get((what.group, what.resource))
        if kind is not None:
            return kind.resource
        found = await self.resolve(what.group, version, "")
        if isinstance(found, Failure) and found.kind is not FailureKind.TYPE_MISSING:
            return found
        for each in self._served.get((what.group, version), {}).values():
            if each.plural == what.resource:
                return each
        return _missing(what.group, version, what.resource)

    def _start(self, kind: Kind) -> None:
        if kind.task is not None:
            kind.task.cancel()
        asked = kind.asked
        collection = works.labelled(kind.resource, self._agent, whole=kind.whole, asked=lambda where: where in asked)
        noticed = rewinding.noticing(kind.rewound)
        kind.reflector = Reflector(self._connection, collection, kind, relists=self._relists, on_change=noticed)
        kind.task = self._tasks.keep(kind.reflector.run, f"watch:{kind.resource.qualified}")

    async def _list(self, group: str, version: str) -> dict[str, Resource] | Failure:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        answer = await self._connection.request("GET", path, largest=bounds.LARGEST_DISCOVERY)
        if isinstance(answer, Failure):
            return answer
        try:
            served = _lists.decode(answer.body).resources
        except (ValueError, RecursionError):
            return Failure(FailureKind.UNEXPECTED, "the member's list of resources cannot be read")
        return {
            each.kind: Resource(group, version, each.kind, each.name, each.namespaced)
            for each in served
            if "/" not in each.name and checks.is_dns_1123(each.name)
        }


def _facts(copy: Copy) -> tuple[Any, ...]:
    return copy.uid, copy.deleting, copy.owners, copy.owned, copy.hash, copy.broken


def _missing(group: str, version: str, kind: str) -> Failure:
    api_version = f"{group}/{version}" if group else version
    return Failure(FailureKind.TYPE_MISSING, f"this cluster does not serve {kind} in {api_version}", 404)
