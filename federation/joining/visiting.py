"""Visit many members, some at a time. What came of each visit is in the members' order, however long each has taken."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from federation.joining.applying import Report

AT_ONCE = 8
PROGRESS = 2.0
"""Seconds between two lines that report how far it is; a few members need none."""

M = TypeVar("M")
R = TypeVar("R")


async def visit(
    members: Sequence[M],
    one: Callable[[M], Awaitable[R]],
    report: Report,
    doing: str,
    *,
    at_once: int = AT_ONCE,
) -> list[R]:
    """The results of `one`, which returns failures as values: an exception ends all visits. `doing` says what it is."""
    found: dict[int, R] = {}
    slots, loop = asyncio.Semaphore(at_once), asyncio.get_running_loop()
    reported = loop.time()

    async def take(number: int, member: M) -> None:
        nonlocal reported
        async with slots:
            found[number] = await one(member)
        if loop.time() - reported >= PROGRESS and len(found) < len(members):
            reported = loop.time()
            report(f"[{len(found)}/{len(members)}] members: {doing}")

    async with asyncio.TaskGroup() as group:
        for number, member in enumerate(members):
            group.create_task(take(number, member))
    return [found[number] for number in range(len(members))]
