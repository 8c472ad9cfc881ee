"""What each membership of a process costs: the process's CPU time, divided by what each has had to do.

One event loop serves them all, so that no clock shows what is whose. A request is what nearly all work begins or ends
with: each membership is charged in the proportion of its requests, and what is used while none has sent any is charged
to all alike.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from federation.agent import metrics

PERIOD = 5.0
"""Seconds between two divisions."""


class Charged(Protocol):
    """One membership."""

    @property
    def cluster(self) -> str:
        """Its cluster, as metrics name it."""

    @property
    def requests(self) -> int:
        """How many requests it has sent."""


def divided(seconds: float, sent: Mapping[str, int]) -> dict[str, float]:
    """So many seconds, by the requests that each cluster has sent meanwhile."""
    total = sum(sent.values())
    if not total:
        return dict.fromkeys(sent, seconds / len(sent)) if sent else {}
    return {cluster: seconds * count / total for cluster, count in sent.items()}


class Shares:
    """Charges the memberships; the list may grow."""

    def __init__(self, memberships: Sequence[Charged]) -> None:
        self._memberships = memberships
        self._used = 0.0
        self._sent: dict[str, int] = {}

    async def serve(self) -> None:
        """Divide until cancelled."""
        while True:
            self.charge(time.process_time())
            await asyncio.sleep(PERIOD)

    def charge(self, used: float) -> None:
        """`used` is the CPU time of the process until now, in seconds."""
        now = {each.cluster: each.requests for each in self._memberships}
        if now:
            since = {cluster: max(0, count - self._sent.get(cluster, 0)) for cluster, count in now.items()}
            for cluster, seconds in divided(used - self._used, since).items():
                metrics.CPU.labels(cluster).inc(seconds)
            self._used, self._sent = used, now
