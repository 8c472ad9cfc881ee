"""The logs of many Pods in many members as one stream of lines: in the members' order; followed, as they come."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.joining import applying
from federation.joining.applying import Report
from federation.joining.errors import Refused
from federation.joining.fleet import Member
from federation.joining.reaching import Reach, Way
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure, FederationError
from federation.seeing import asking, logs, owned
from federation.seeing.asking import How
from federation.seeing.labels import Matches
from federation.seeing.logs import Options, Source
from federation.seeing.owned import Owned, Tree

LOOK = 5.0
"""Seconds between two looks for new Pods while logs are followed."""
_AHEAD = 2000
"""Lines of one member that are read ahead of those that are printed before them."""

Emit = Callable[[Source, str], None]
Find = Callable[[Connection], Awaitable[Tree]]


class _Lines:
    """The lines of one member, in order; its reader waits where many are not printed yet, its end never does."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[tuple[Source, str] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)

    async def put(self, source: Source, line: str) -> None:
        await self._room.acquire()
        self._lines.put_nowait((source, line))

    def end(self) -> None:
        self._lines.put_nowait(None)

    async def get(self) -> tuple[Source, str] | None:
        """The next one; None at the end."""
        self._room.release()
        return await self._lines.get()


@dataclass(slots=True)
class Streaming:
    """One run. `find` gives what is looked at in a member, `matches` cuts it by labels; no more than `most` containers
    are followed at a time. `failed` are the members of which something could not be read."""

    find: Find
    options: Options
    emit: Emit
    report: Report
    matches: Matches | None = None
    most: int = 100
    failed: set[str] = field(default_factory=set)
    shown: int = 0
    """Containers that were found."""
    _open: int = 0
    _refused: set[str] = field(default_factory=set)

    async def run(self, reach: Reach, members: Sequence[Member], how: How) -> None:
        """Print what there is; followed, until it is cancelled, or all that is followed has come to its end."""
        if self.options.follow:
            silent = await asking.ask(reach, members, how, self._follow, self.report, at_once=max(1, len(members)))
            self.failed |= silent.keys()
            return
        queues = {each.name: _Lines() for each in members}

        async def one(member: Member, way: Way) -> None:
            await self._once(member.name, way.connection, queues[member.name])

        def ended(member: Member) -> None:
            queues[member.name].end()

        asked = asyncio.create_task(asking.ask(reach, members, how, one, self.report, after=ended))
        printing = asyncio.create_task(self._print(list(queues.values())))
        try:
            # One that has failed is the end of both: the other would wait for it.
            done, _ = await asyncio.wait({asked, printing}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await _end([asked, printing])
        self.failed |= asked.result().keys()

    # --- once ----------------------------------------------------------------------------------------------------

    async def _print(self, queues: Sequence[_Lines]) -> None:
        for queue in queues:
            while (line := await queue.get()) is not None:
                self.emit(*line)

    async def _once(self, cluster: str, connection: Connection, queue: _Lines) -> None:
        for pod in self._chosen(await self._tree(cluster, connection)):
            for source in await self._sources(cluster, connection, pod):
                try:
                    async for line in logs.read(connection, source, self.options):
                        await queue.put(source, line)
                except ApiFailure as error:
                    self._fail(cluster, error)

    # --- followed ------------------------------------------------------------------------------------------------

    async def _follow(self, member: Member, way: Way) -> None:
        cluster, connection = member.name, way.connection
        tree = await self._tree(cluster, connection)
        followed: dict[tuple[str, str], asyncio.Task[None]] = {}
        away = ""
        try:
            while True:
                for pod in self._chosen(tree):
                    for source in await self._new(cluster, connection, pod, followed):
                        task = asyncio.create_task(self._stream(connection, source))
                        followed[source.pod.uid, source.container] = task
                running = [task for task in followed.values() if not task.done()]
                for task in set(followed.values()) - set(running):
                    task.result()  # a bug, or nobody reads the output any more
                if not running and await _has_ended(connection, tree):
                    return
                await asyncio.wait(running, timeout=LOOK) if running else await asyncio.sleep(LOOK)
                try:
                    await owned.grow(connection, tree)
                    away = ""
                except ApiFailure as error:
                    if away != str(error):
                        away = str(error)
                        self.report(f"warning: {cluster}: {asking.said(cluster, error)}; it is asked again")
        finally:
            await _end(list(followed.values()))

    async def _new(
        self, cluster: str, connection: Connection, pod: Owned, followed: dict[tuple[str, str], asyncio.Task[None]]
    ) -> list[Source]:
        """The containers of a Pod that are not followed yet."""
        if any(uid == pod.uid for uid, _ in followed):
            return []
        found = await self._sources(cluster, connection, pod)
        room = self.most - self._open
        if len(found) > room:
            what = f"more than {self.most} containers would be followed"
            if not followed and not self._open:
                raise Refused(what, "name fewer, or raise --max-log-requests")
            self._say(cluster, f"{what}: the rest is left out; --max-log-requests raises that")
            found = found[: max(0, room)]
        self._open += len(found)
        return found

    async def _stream(self, connection: Connection, source: Source) -> None:
        try:
            async for line in logs.read(connection, source, self.options):
                self.emit(source, line)
        except FederationError as error:
            self._fail(source.cluster, error)
        finally:
            self._open -= 1

    # -------------------------------------------------------------------------------------------------------------

    async def _tree(self, cluster: str, connection: Connection) -> Tree:
        tree = await self.find(connection)
        for what, why in tree.refused.items():
            self._say(cluster, f"{what} may not be listed, so that what they are is not known: {why}")
        return tree

    def _chosen(self, tree: Tree) -> list[Owned]:
        return [pod for pod in tree.pods if self.matches is None or self.matches(pod.labels)]

    async def _sources(self, cluster: str, connection: Connection, pod: Owned) -> list[Source]:
        try:
            found = await logs.sources(connection, cluster, pod, self.options, self.report)
        except FederationError as error:
            self._fail(cluster, error)
            return []
        self.shown += len(found)
        return found

    def _fail(self, cluster: str, error: FederationError) -> None:
        self._say(cluster, asking.said(cluster, error))

    def _say(self, cluster: str, what: str) -> None:
        """Report what could not be read, once."""
        self.failed.add(cluster)
        if what not in self._refused:
            self._refused.add(what)
            self.report(f"warning: {cluster}: {what}")


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs, and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _has_ended(connection: Connection, tree: Tree) -> bool:
    """Whether nothing more can come: what is followed is a Job that has come to its end."""
    roots = [each for each in tree.objects.values() if not set(each.owners) & tree.objects.keys()]
    if len(roots) != 1 or roots[0].resource.qualified != owned.JOBS.qualified:
        return False
    try:
        found = await applying.find(connection, roots[0].resource, roots[0].where)
    except ApiFailure:
        return False
    conditions = ((found or {}).get("status") or {}).get("conditions") or ()
    kinds = {"Complete", "Failed"}
    return any(
        isinstance(each, dict) and each.get("type") in kinds and each.get("status") == "True" for each in conditions
    )
