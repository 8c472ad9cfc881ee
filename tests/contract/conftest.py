"""The same cases on the member and hub in memory, on a real kube-apiserver and on a simulated member.

`world` is one after the other; what runs on processes carries the marker `clusters`. One real API server and the one
that is many are enough, without a controller manager: nothing here waits for anybody but the API server.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from federation.playground import commands
from federation.playground.access import LocalCluster
from federation.playground.clusters import Playground
from tests.clusters import sessions
from tests.contract.worlds import FakeWorld, RealWorld, World

_HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(item.get_closest_marker("clusters") for item in session.items if _HERE in item.path.parents):
        sessions.prepare(session, _HERE)


@pytest.fixture(scope="session")
def ground() -> Iterator[Path]:
    with sessions.directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def server(ground: Path) -> LocalCluster:
    return Playground.up(ground, ("m1",), report=lambda _: None).clusters["m1"]


@pytest.fixture(scope="session")
def simulated(ground: Path) -> Iterator[LocalCluster]:
    """The first of two: the second's name begins with its name, as its keys in etcd must not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "MANY_PROGRESS", "1s")
        yield Playground.up(ground, (), simulated=("s1", "s10"), report=lambda _: None).clusters["s1"]


@pytest.fixture(
    params=[
        "fake",
        pytest.param("real", marks=pytest.mark.clusters),
        pytest.param("many", marks=pytest.mark.clusters),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    async with RealWorld(request.getfixturevalue({"real": "server", "many": "simulated"}[request.param])) as real:
        yield real
