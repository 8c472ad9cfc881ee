"""Compare the figures of a run with their limits: a sentence for each that is wrong. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

NOT_READY_WITHIN = 45.0
"""Seconds: three failed probes, 10 s apart with a tenth of jitter, of 3 s each at most."""
ONCE = {"created": {1}, "updated": {1}, "deleted": {1}, "untouched": {0}}
"""Writes of each object at the member that returned."""
LANE = 16
"""The most writes at one member at the same time."""
GROWTH = 1.25


def findings(measured: Mapping[str, Any], objects: int) -> list[str]:
    """What is wrong; [] when all is well. `objects` is how many the hub holds at most."""
    return [*_outage(measured["outage"], objects), *_return(measured["return"])]


def _outage(outage: Mapping[str, Any], objects: int) -> Iterator[str]:
    after = outage["not_ready_after_s"]
    if after is None or after > NOT_READY_WITHIN:
        yield f"the member counted as not ready after {after} s"
    if [move for move in outage["ready_moves"] if not move.startswith("True")] != ["False ClusterNotReachable"]:
        yield f"its Ready moved: {', '.join(outage['ready_moves'])}"
    heartbeats = outage["seconds"] / 240 + 3
    if outage["cluster_writes"] > heartbeats:
        yield f"{outage['cluster_writes']} writes about the member, more than a heartbeat"
    if outage["still_hub_writes"] != [1]:
        yield f"objects that nobody touched were written {outage['still_hub_writes']} times at the hub, not once"
    yield from outage["healthy_surprises"]
    seen = outage["samples"]
    if max(each["waiting"] for each in seen) > objects or max(each["later"] for each in seen) > objects:
        yield "the queue held more than one entry for each key"
    settled = [each for each in seen if each["at"] > outage["began_at"] + NOT_READY_WITHIN]
    if not settled:
        yield "the outage was over before the member counted as away"
        return
    if max(each["lane"] for each in settled) > 0:
        yield "keys wait in the lane of a member that is away"
    if settled[-1]["rss"] > settled[0]["rss"] * GROWTH:
        yield f"memory grew from {settled[0]['rss']} to {settled[-1]['rss']} MB"


def _return(back: Mapping[str, Any]) -> Iterator[str]:
    for kind, times in back["writes_per_object"].items():
        if not set(times) <= ONCE[kind]:
            yield f"{kind} objects were written so often (times: objects): {times}"
    due = back["due"]
    if back["applies"] != due["created"] + due["updated"]:
        yield f"{back['applies']} applies for {due['created'] + due['updated']} objects"
    if back["deletes"] != due["deleted"]:
        yield f"{back['deletes']} deletes for {due['deleted']} objects"
    if back["most_in_flight"] > LANE + 4:
        yield f"{back['most_in_flight']} writes at once at the member that returned"
    yield from back["healthy_surprises"]
    if back["writes_at_rest"]:
        yield f"{back['writes_at_rest']} writes while nobody did anything"
    yield from back["differences"]
