"""Whatever happens, in whatever order: once it is over, every member holds exactly what the hub says.

Half a minute of random acts in `make test`, as many minutes as you like by `make soak`. A failing run names its seed;
FEDERATION_SEED=<seed> draws the same acts again (the machine's timing is not in the seed).
"""

import asyncio
import os
import random
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.clusters import chaos
from tests.clusters.faulty import Faulty

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTES = float(os.environ.get("SOAK_MINUTES") or 0)
ROUND = 25.0
"""Seconds of acts between two healings."""


def _seeds() -> Iterator[int]:
    given = os.environ.get("FEDERATION_SEED")
    yield int(given) if given else random.SystemRandom().randrange(10**6)
    ends = time.monotonic() + MINUTES * 60
    while time.monotonic() < ends:
        yield random.SystemRandom().randrange(10**6)


@pytest.mark.timeout(MINUTES * 60 + 300)
async def test_every_member_ends_with_what_the_hub_says(faulty: Faulty) -> None:
    """Lost: nothing. Seen in the end: every object Ready, and then silence."""
    for seed in _seeds():
        print(f"seed {seed}")  # noqa: T201 - the one thing that a failing run must say
        await _one(faulty, seed)


async def _one(faulty: Faulty, seed: int) -> None:
    namespaces = tuple(f"chaos-{uuid.uuid4().hex[:8]}" for _ in range(2))
    run = chaos.Chaos(faulty, namespaces, seed)
    try:
        await run.begin()
        await run.run(ROUND)
        assert len(run.reported) > ROUND / 2, "too few acts to show anything"
        await run.heal()
        await _until_right(run, seed)
        await _until_silent(faulty, namespaces, seed)
    finally:
        await chaos.forget(faulty, namespaces)


async def _until_right(run: chaos.Chaos, seed: int) -> None:
    ends = time.monotonic() + 120
    while differences := await run.differences():
        if time.monotonic() > ends:
            pytest.fail(f"seed {seed}: " + "\n".join([*differences[:20], "acts:", *run.reported[-60:]]))
        await asyncio.sleep(0.5)


async def _until_silent(faulty: Faulty, namespaces: tuple[str, ...], seed: int) -> None:
    """A fleet at rest is written to by nobody."""
    ends = time.monotonic() + 60
    while True:
        faulty.forget_requests()
        await asyncio.sleep(3)
        written = [
            (proxy.cluster.name, each.verb, each.resource, each.name)
            for proxy in faulty.proxies
            for each in proxy.requests.writes()
            if each.namespace in namespaces and not each.resource.startswith("events")
        ]
        if not written:
            return
        if time.monotonic() > ends:
            pytest.fail(f"seed {seed}: still written after everything is right: {written[:20]}")
