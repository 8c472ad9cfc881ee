"""Fixtures of a whole federation, imported by the test modules that use it.

`fleet` is one per test session: the playground with the API installed, m1 and m2 joined, the usual types enabled and
one controller running. Tests share it, each in a namespace of its own; a test that breaks the controller or a cluster
mends it before it ends.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from federation.joining import setup
from federation.playground.clusters import Playground
from tests.clusters.harness import ENABLED, Api, Controller


class Fleet:
    """A host, two joined members, and a controller."""

    def __init__(self, playground: Playground, directory: Path) -> None:
        self.playground = playground
        self.directory = directory
        self.members = ("m1", "m2")
        self.controller = Controller(playground.kubeconfig, directory)

    def api(self, name: str) -> Api:
        """An API for the running event loop; use as an async context manager."""
        return Api(self.playground.clusters[name])


@pytest.fixture(scope="session")
def fleet(playground: Playground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(playground, tmp_path_factory.mktemp("fleet"))
    asyncio.run(setup.everything(str(playground.kubeconfig), "host", made.members, ENABLED))
    made.controller.start()
    try:
        yield made
    finally:
        if made.controller.process is not None:
            made.controller.kill()


@pytest.fixture
async def host(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("host") as api:
        yield api


@pytest.fixture
async def m1(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("m1") as api:
        yield api


@pytest.fixture
async def m2(fleet: Fleet) -> AsyncIterator[Api]:
    async with fleet.api("m2") as api:
        yield api
