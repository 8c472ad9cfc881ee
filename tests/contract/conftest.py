"""The same cases on the member and hub in memory and on a real kube-apiserver.

`world` is one after the other; what is real carries the marker `clusters`. One API server is enough, without a
controller manager: nothing here waits for anybody but the API server.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground
from tests.clusters import sessions
from tests.contract.worlds import FakeWorld, RealWorld, World

_HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    if any("real" in item.nodeid for item in session.items if _HERE in item.path.parents):
        sessions.prepare(session, _HERE)


@pytest.fixture(scope="session")
def server() -> Iterator[LocalCluster]:
    with sessions.directory() as directory:
        yield Playground.up(directory, ("m1",), report=lambda _: None).clusters["m1"]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.clusters)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    async with RealWorld(request.getfixturevalue("server")) as real:
        yield real
