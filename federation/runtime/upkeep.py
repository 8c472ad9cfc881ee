"""What a process has once, however many controllers it runs (one for each shard that it holds): its event loop's
lateness is measured, and its garbage collected."""

from collections.abc import Callable
from dataclasses import dataclass

from federation.runtime.garbage import Garbage
from federation.runtime.lateness import Lateness
from federation.runtime.tasks import Tasks


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """One controller's: whether it has nothing to do just now, and how much has left it so far."""

    idle: Callable[[], bool]
    left: Callable[[], int]


class Upkeep:
    """Of this process; `serve` keeps it going."""

    def __init__(self) -> None:
        self.lateness = Lateness()
        self._shares: set[Share] = set()
        self._ended = 0
        """How much had left the controllers that have ended."""
        self._garbage = Garbage(self._idle, self._left)

    def serve(self, tasks: Tasks) -> None:
        """Measure and collect until these tasks end."""
        tasks.keep(self.lateness.serve, "lateness")
        tasks.keep(self._garbage.serve, "garbage")

    def begin(self, share: Share) -> None:
        """A controller begins."""
        self._shares.add(share)

    def end(self, share: Share) -> None:
        """It has ended: all that it had has left."""
        if share in self._shares:
            self._shares.discard(share)
            self._ended += share.left()

    def _idle(self) -> bool:
        return all(each.idle() for each in self._shares)

    def _left(self) -> int:
        return self._ended + sum(each.left() for each in self._shares)
