"""Keys that wait for their turn, at the hub, in a lane or with their kind: which one is next.

Urgent keys (what a user just changed) go before the rest, so that a restart's thousands of unchanged keys delay nobody,
but not without end: of URGENT_RUN + 1 keys that are taken while others wait, one is the oldest of the others.

Nobody's single change waits for somebody else's bulk. Flows (namespaces) take turns: Kubernetes' API Priority and
Fairness does the same by its flow distinguisher. In a flow the oldest is next; but while LONG urgent keys or more wait
there, every other time it is the newest: it is more probably the change that somebody waits for, and of a bulk it does
not matter which object is first. So a key before which n others of its flow wait is taken within 2 * (n + 1) turns of
its flow.
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

URGENT_RUN = 8
"""Urgent keys that are taken in a row while others wait: sustained urgent load leaves them a ninth of the turns."""
LONG = 16
"""From so many urgent keys of a flow on, every other one that is taken is the newest."""
SLACK = 64
"""Withdrawn keys that may stay in the lines before they are cleared."""


def one_flow(_: Hashable) -> Hashable:
    """All keys are of one flow."""
    return None


class _Line(deque[K]):
    """The keys of one flow. It may contain keys that do not wait any more."""

    newest = False
    """Whether the newest is next, if the line is long."""


class Waiting(Generic[K]):
    """Each key once. `flow` gives the flow of a key."""

    def __init__(self, flow: Callable[[K], Hashable] = one_flow) -> None:
        self._flow = flow
        self._keys: dict[K, bool] = {}
        """Whether each is urgent."""
        self._urgent: dict[Hashable, _Line[K]] = {}
        """In the order of their turns, as are the others."""
        self._calm: dict[Hashable, _Line[K]] = {}
        self._places = 0
        self._run = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: K) -> bool:
        return key in self._keys

    @property
    def places(self) -> int:
        """Places in the lines, those of withdrawn keys included."""
        return self._places

    def add(self, key: K, *, urgent: bool = False) -> bool:
        """Whether it is new here. One that waits already is moved up when `urgent` and it was not."""
        before = self._keys.get(key)
        if before is not None and (before or not urgent):
            return False
        self._keys[key] = urgent
        lines = self._urgent if urgent else self._calm
        flow = self._flow(key)
        line = lines.get(flow)
        if line is None:
            lines[flow] = _Line((key,))
        else:
            line.append(key)
        self._places += 1
        return before is None

    def take(self) -> tuple[K, bool] | None:
        """The next key, which waits no longer, and whether it is urgent; None when nothing waits."""
        if not self._keys:
            return None
        if self._run >= URGENT_RUN and (key := self._next(urgent=False)) is not None:
            self._run = 0
            return key, False
        if (key := self._next(urgent=True)) is not None:
            self._run += 1
            return key, True
        self._run = 0
        key = self._next(urgent=False)
        return (key, False) if key is not None else None

    def withdraw(self, key: K) -> bool:
        """It waits no longer; whether it did."""
        waited = self._keys.pop(key, None) is not None
        if self._places > 2 * len(self._keys) + SLACK:
            self._compact()
        return waited

    def drain(self) -> list[K]:
        """All keys; none waits any longer."""
        keys = list(self._keys)
        self._keys.clear()
        self._urgent.clear()
        self._calm.clear()
        self._places = 0
        return keys

    def _next(self, *, urgent: bool) -> K | None:
        lines = self._urgent if urgent else self._calm
        while lines:
            flow = next(iter(lines))
            line = lines[flow]
            found = None
            while line and found is None:
                newest = urgent and line.newest and len(line) >= LONG
                key = line.pop() if newest else line.popleft()
                self._places -= 1
                if self._keys.get(key) is urgent:  # else it was moved up or withdrawn meanwhile
                    found = key
            if not line:
                del lines[flow]
            elif len(lines) > 1:
                del lines[flow]
                lines[flow] = line  # the next turn is another flow's
            if found is not None:
                del self._keys[found]
                line.newest = not line.newest
                return found
        return None

    def _compact(self) -> None:
        """Clear the lines of withdrawn keys, or a line that nobody takes from would grow with every change of mind."""
        self._places = 0
        for lines, urgent in ((self._urgent, True), (self._calm, False)):
            for flow, line in list(lines.items()):
                kept = dict.fromkeys(key for key in line if self._keys.get(key) is urgent)
                self._places += len(kept)
                if kept:
                    lines[flow] = _Line(kept)
                else:
                    del lines[flow]
