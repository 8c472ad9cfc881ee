"""Samples of the controller's own metrics: queues, lanes, memory, CPU."""

import asyncio
import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from federation.comparing import meter
from federation.comparing.fleet import Fleet

_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. `at` is seconds since the run began, `cpu` seconds of CPU so far, `rss` MB."""

    at: float
    rss: float
    cpu: float
    waiting: int
    later: int
    lane: int
    reconciles: int
    lag: float


class Exposition:
    """The parsed text of /metrics."""

    def __init__(self, text: str) -> None:
        self._samples = [
            (name, dict(_LABEL.findall(labels)), float(value)) for name, labels, value in _SAMPLE.findall(text)
        ]

    def total(self, name: str, /, **labels: str) -> float:
        """One metric, summed over the labels that are not named."""
        return sum(
            value
            for found, own, value in self._samples
            if found == name and all(own.get(label) == wanted for label, wanted in labels.items())
        )


async def exposition(fleet: Fleet) -> Exposition:
    """The controller's metrics now."""

    def read() -> str:
        with urllib.request.urlopen(fleet.metrics_url, timeout=10) as answer:  # noqa: S310 - our own http URL
            return str(answer.read().decode())

    return Exposition(await asyncio.to_thread(read))


async def look(fleet: Fleet, absent: str, began: float) -> Sample:
    """One sample."""
    exposed = await exposition(fleet)
    return Sample(
        at=round(time.monotonic() - began, 1),
        rss=round(meter.resident(fleet.controller), 1),
        cpu=round(meter.cpu([fleet.controller]), 2),
        waiting=int(exposed.total("workqueue_depth", name="sync")),
        later=int(exposed.total("federation_queue_later", name="sync")),
        lane=int(exposed.total("federation_lane_depth", cluster=absent)),
        reconciles=int(exposed.total("controller_runtime_reconcile_total", controller="sync")),
        lag=exposed.total("federation_event_loop_lag_seconds"),
    )


def percentiles(seconds: list[float]) -> Mapping[str, float]:
    """p50, p95 and the longest, in ms; {} without any."""
    if not seconds:
        return {}
    ordered = sorted(each * 1e3 for each in seconds)
    return {
        "count": len(ordered),
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)], 1),
        "max_ms": round(ordered[-1], 1),
    }
