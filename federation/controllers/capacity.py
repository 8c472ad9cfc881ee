"""How many connections the fleet needs, counted before they are opened, and said when the process may not have as many.

Where they run out, the last members are the ones that are not watched, some time after the start: whoever runs the
controller should read it at once, with the number that would do.
"""

import asyncio
from collections.abc import Callable

import structlog

from federation.controllers.world import World
from federation.model import bounds
from federation.runtime import metrics

HUB = 16
"""Connections to the hub beside one for each type: of the system's own watches, and for requests."""
REQUESTS = 2
"""Connections to a member beside one for each type. A burst takes more where there are more, and gives them back."""
PERIOD = 5.0
"""Seconds between two counts."""

log = structlog.get_logger()


def needed(members: int, types: int) -> int:
    """Connections that so many members and types need."""
    watches = types * (members + 1)
    requests = REQUESTS * members + HUB
    return max(watches + requests, -(-watches * bounds.FOR_REQUESTS // (bounds.FOR_REQUESTS - 1)))


class Capacity:
    """Compares what is needed with what may be open; `most` returns that, `files` how many open files would do.

    What the process needs is what all its controllers do (of several shards, each for the members that it serves).
    """

    def __init__(self, world: World, most: Callable[[], int], files: Callable[[int], int]) -> None:
        self._world = world
        self._most = most
        self._files = files
        self._reported = 0

    @property
    def needed(self) -> int:
        """Connections that this controller needs."""
        return needed(self._served, len(self._world.types))

    @property
    def _served(self) -> int:
        return sum(each.cluster.shard is None for each in self._world.members.values())

    def count(self) -> int:
        """Count now, and report a lack that was not reported yet. What is needed."""
        most, count = self._most(), max(self.needed, int(metrics.CONNECTIONS_NEEDED.value() or 0))
        metrics.CONNECTIONS_MOST.set(most)
        if count <= most:
            self._reported = 0
        elif count > self._reported + self._reported // 10:  # while a fleet joins, not once for each
            self._reported = count
            log.error(
                "members and types need more connections than can be opened: raise the limit of open files",
                needed=count,
                most=most,
                members=self._served,
                types=len(self._world.types),
                open_files_needed=self._files(count),
            )
        return count

    async def serve(self) -> None:
        """Count, until cancelled, while members and types come and go."""
        while True:
            await asyncio.sleep(PERIOD)
            self.count()
