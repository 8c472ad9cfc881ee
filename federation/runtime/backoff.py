"""How long to wait before the next try: exponential with full-width jitter below it, one counter per key."""

import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


def delay(attempt: int, *, base: float, cap: float, roll: Callable[[], float] = random.random) -> float:
    """Seconds before try number `attempt` (0 is the first retry): half fixed, half random, so that herds spread."""
    ceiling = min(cap, base * 2.0 ** min(attempt, 32))
    return ceiling / 2 + roll() * ceiling / 2


class Backoff(Generic[K]):
    """Counts failures in a row per key."""

    def __init__(self, *, base: float, cap: float, roll: Callable[[], float] = random.random) -> None:
        self._base = base
        self._cap = cap
        self._roll = roll
        self._failures: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Count one more failure; the seconds to wait."""
        attempt = self._failures.get(key, 0)
        self._failures[key] = attempt + 1
        return delay(attempt, base=self._base, cap=self._cap, roll=self._roll)

    def forget(self, key: K) -> None:
        """A success, or the key is gone."""
        self._failures.pop(key, None)
