"""Real control planes for every test below: one playground per test session, brought up when the first test asks.

`playground`: host, m1, m2, m3, each with a kube-controller-manager; share it, one namespace per test.
`breakable`: the same, for tests that kill, pause or add; mended after the test.
`namespace`: a name nobody else uses; what a test makes under it is deleted from every cluster afterwards.
"""

import os
import shutil
import ssl
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.playground import access, binaries, locks, processes
from federation.playground.clusters import DEFAULT_NAMES, Playground
from tests.clusters.faulty import faulty, station
from tests.clusters.fleets import fleet, host, m1, m2

__all__ = ["faulty", "fleet", "host", "m1", "m2", "station"]

_HERE = Path(__file__).parent
_ROOT = Path(tempfile.gettempdir(), f"federation-tests-{os.getuid()}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.clusters)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the binaries before the first test's clock starts: compiling takes minutes, once."""
    if session.config.option.collectonly or not any(_HERE in item.path.parents for item in session.items):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    binaries.ensure(binaries.NAMES, reporter.write_line if reporter else print)


def _clear_leftovers() -> None:
    """Take down what a killed test session left running."""
    for left in _ROOT.glob("*/"):
        if processes.find(left / "owner.pid") is None:
            Playground(left / "playground", report=lambda _: None).down()
            shutil.rmtree(left)


def _up(directory: Path) -> Playground:
    return Playground.up(directory, controller_manager=DEFAULT_NAMES, report=lambda _: None)


@pytest.fixture(scope="session")
def playground() -> Iterator[Playground]:
    me = processes.identify(os.getpid())
    assert me is not None
    own = _ROOT / uuid.uuid4().hex[:8]
    _ROOT.mkdir(mode=0o700, exist_ok=True)
    with locks.hold(_ROOT / ".lock", lambda _: None):  # another session may be clearing or beginning
        _clear_leftovers()
        own.mkdir()
        processes.remember(me, own / "owner.pid")
    directory = own / "playground"
    try:
        yield _up(directory)
    finally:
        Playground(directory, report=lambda _: None).down()
        shutil.rmtree(own)


@pytest.fixture
def breakable(playground: Playground) -> Iterator[Playground]:
    yield playground
    _up(playground.directory)


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
