"""Real control planes for every test below: one playground per test session, brought up when the first test asks.

`playground`: host, m1, m2, m3, each with a kube-controller-manager; share it, one namespace per test.
`breakable`: the same, for tests that kill, pause or add; mended after the test.
`namespace`: a name nobody else uses; what a test makes under it is deleted from every cluster afterwards.
"""

import asyncio
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.playground import access
from federation.playground.clusters import DEFAULT_NAMES, Playground
from tests.clusters import modes, sessions
from tests.clusters.faulty import faulty, station
from tests.clusters.fleets import Fleet, fleet, host, m1, m2, quick
from tests.clusters.modes import mode

__all__ = ["faulty", "fleet", "host", "m1", "m2", "mode", "quick", "station"]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real processes on a shared machine: a test that fails gets a second try, and the closing line counts it.

    What is wrong fails twice. A rerun in the closing line is a finding, too; the summary says what had failed.

    Modules that run `fedctl init` on the shared host come first: its last federation has the controllers' rights there,
    so that the controller of `fleet`, which lives to the end, would be without.
    """
    items[:] = [item for item in items if modes.runs(item)]
    ours = [item for item in items if _HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.clusters)
        item.add_marker(pytest.mark.flaky(reruns=1))
        item.add_marker(pytest.mark.timeout(300))  # of both tries, with what a module sets up and puts back
    modes.mark(ours)
    installing = {item.path for item in ours if "site" in getattr(item, "fixturenames", ())}
    ordered = iter(sorted(ours, key=lambda item: item.path not in installing))
    items[:] = [next(ordered) if _HERE in item.path.parents else item for item in items]


def pytest_collection_finish(session: pytest.Session) -> None:
    sessions.prepare(session, _HERE)


def _up(directory: Path) -> Playground:
    return Playground.up(directory, controller_manager=DEFAULT_NAMES, report=lambda _: None)


@pytest.fixture(scope="session")
def playground() -> Iterator[Playground]:
    with sessions.directory() as directory:
        yield _up(directory)


@pytest.fixture
def breakable(playground: Playground) -> Iterator[Playground]:
    yield playground
    _up(playground.directory)


@pytest.fixture(scope="module", autouse=True)
def put_back() -> Iterator[None]:
    """What a module leaves on the shared fleet is no other module's business."""
    yield
    if Fleet.shared is not None:
        asyncio.run(Fleet.shared.put_back())


@pytest.fixture(scope="session")
def trust(playground: Playground) -> ssl.SSLContext:
    """Trusts the playground's servers, and its fault proxies."""
    return access.tls(playground.clusters["host"].ca_pem)


@pytest.fixture
def namespace(playground: Playground, trust: ssl.SSLContext) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:10]}"
    yield name
    for cluster in playground.clusters.values():
        if cluster.apiserver_pid is not None:
            access.request(cluster, "DELETE", f"/api/v1/namespaces/{name}", trust)
            # No kubelet ends a Pod that a test has given a node: without this its namespace would stay.
            access.request(cluster, "DELETE", f"/api/v1/namespaces/{name}/pods?gracePeriodSeconds=0", trust)
