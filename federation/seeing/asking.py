"""Ask several members, some at a time: one that does not answer is said at once, and the others go on."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from federation.core import scrubbing
from federation.joining import visiting
from federation.joining.applying import Report
from federation.joining.fleet import Member
from federation.joining.reaching import Reach, Way
from federation.model.errors import FederationError

AT_ONCE = 32
"""Members that are asked at a time: some of a thousand hang until their deadline."""

One = Callable[[Member, Way], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class How:
    """How members are reached. `stored`: with the credentials that the hub has stored, not with the user's own.
    `timeout`: seconds for a member's first answer."""

    stored: bool = False
    timeout: float = 10.0


def said(cluster: str, error: FederationError) -> str:
    """A failure as one line, without the cluster in front, which is said anyway."""
    return scrubbing.line(str(error)).removeprefix(f"{cluster}: ")


async def ask(
    reach: Reach,
    members: Sequence[Member],
    how: How,
    one: One,
    report: Report,
    *,
    at_once: int = AT_ONCE,
    after: Callable[[Member], None] | None = None,
    of_works: Callable[[Member], Awaitable[None]] | None = None,
) -> dict[str, str]:
    """Call `one` with the way to each member, and `after` when it is done with, answered or not; why those did not
    answer that did not, by name. `of_works` is called in its place with those in pull mode, which the hub cannot ask.
    """
    silent: dict[str, str] = {}

    async def visit(member: Member) -> None:
        try:
            if of_works is not None and member.pulls:
                await of_works(member)
                return
            async with AsyncExitStack() as lent:
                await one(member, await reach.way(member, lent, stored=how.stored, timeout=how.timeout))
        except FederationError as error:
            silent[member.name] = said(member.name, error)
            report(f"warning: {member.name}: {silent[member.name]}; the others go on")
        finally:
            if after is not None:
                after(member)

    await visiting.visit(members, visit, report, "asked", at_once=at_once)
    return silent
