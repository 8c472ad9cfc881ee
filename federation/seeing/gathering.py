"""The Events of many members as one list, the oldest first, and then as they come."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from federation.joining import fleet
from federation.joining.applying import Report
from federation.joining.fleet import Member
from federation.joining.reaching import Reach, Way
from federation.kube.connection import Connection
from federation.model.resources import EVENTS
from federation.seeing import asking, events, labels, owned, subjects
from federation.seeing.asking import How
from federation.seeing.events import Event, Interest
from federation.seeing.watching import Watching


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks for: Events about an object by KIND and NAME, or of a namespace. `since`: of the last so many
    seconds, 0: all. `types` are Normal and Warning; none: both."""

    kind: str = ""
    name: str = ""
    selector: str = ""
    since: float = 0.0
    types: frozenset[str] = frozenset()
    everywhere: bool = False


Look = Callable[[Connection], Awaitable[Interest]]


async def prepare(
    reach: Reach, wanted: Wanted, namespace: str, clusters: Sequence[str]
) -> tuple[Sequence[Member], Look]:
    """The members to ask, and how to find out in each what is of interest. Raises Refused, Invalid, ApiFailure."""
    matches = labels.matcher(wanted.selector) if wanted.selector else None
    if wanted.kind:
        subject = await subjects.find(reach, wanted.kind, wanted.name, namespace)
        members = subjects.chosen(subject.known, subject.members(), clusters)
        whole = subject.type.is_namespace

        async def about(connection: Connection) -> Interest:
            if whole and matches is None:  # everything in it, whatever it is about
                return Interest(subject.where.name, since=wanted.since, types=wanted.types)
            tree = await owned.tree(connection, subject.type, subject.target)
            return Interest(tree.namespace, tree, wanted.since, wanted.types, matches)

        return members, about
    known = await fleet.read(reach.host, reach.namespace)
    members = subjects.chosen(known, known.members, clusters)

    async def within(connection: Connection) -> Interest:
        tree = await owned.pods(connection, namespace) if matches is not None else None
        place = "" if wanted.everywhere else namespace
        return Interest(place, tree, wanted.since, wanted.types, matches)

    return members, within


@dataclass(slots=True)
class Gathering:
    """One run: what was `found`, and the members that `failed` to tell all."""

    look: Look
    report: Report
    found: list[Event] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    async def once(self, reach: Reach, members: Sequence[Member], how: How) -> None:
        """Read those that there are."""

        async def one(member: Member, way: Way) -> None:
            interest = await self._interest(member.name, way.connection)
            self.found += await events.read(_events(way.connection, interest), member.name, interest)

        silent = await asking.ask(reach, members, how, one, self.report)
        self.failed |= silent.keys()
        self.found.sort(key=lambda each: each.order)

    async def follow(
        self,
        reach: Reach,
        members: Sequence[Member],
        how: How,
        begin: Callable[[Sequence[Event]], None],
        come: Callable[[Event], None],
    ) -> None:
        """Call `begin` with those that there are when every member has answered, or is late; then `come` with each."""
        waiting = {each.name for each in members}
        listed = asyncio.Event()

        def heard(name: str) -> None:
            waiting.discard(name)
            if not waiting and not listed.is_set():
                self.found.sort(key=lambda each: each.order)
                begin(self.found)
                listed.set()

        async def one(member: Member, way: Way) -> None:
            connection = way.connection
            interest = await self._interest(member.name, connection)
            watching = _events(connection, interest)
            self.found += await events.read(watching, member.name, interest)
            heard(member.name)
            await listed.wait()
            async for event in events.follow(watching, member.name, interest):
                come(event)

        def after(member: Member) -> None:
            heard(member.name)

        if not members:
            heard("")
        silent = await asking.ask(reach, members, how, one, self.report, at_once=max(1, len(members)), after=after)
        self.failed |= silent.keys()

    async def _interest(self, cluster: str, connection: Connection) -> Interest:
        interest = await self.look(connection)
        for what, why in interest.tree.refused.items() if interest.tree is not None else ():
            self.failed.add(cluster)
            self.report(f"warning: {cluster}: {what} may not be listed, so that their events are not shown: {why}")
        return interest


def _events(connection: Connection, interest: Interest) -> Watching:
    return Watching(connection, EVENTS, interest.namespace)
