"""Moments for what many want to do at the same time, and what would be too much together."""

import asyncio


class Spacing:
    """Gives everybody who asks a moment of his own: `delay` seconds from now, and `gap` seconds after the one before.

    So whoever is alone waits for `delay`, and a crowd is spread over as many gaps as it has members.
    """

    def __init__(self, delay: float, gap: float) -> None:
        self._delay = delay
        self._gap = gap
        self._latest = float("-inf")

    def next(self) -> float:
        """The next moment, by the clock of the event loop."""
        self._latest = max(asyncio.get_running_loop().time() + self._delay, self._latest + self._gap)
        return self._latest
