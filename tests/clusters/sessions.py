"""A directory of this test session's own, for real control planes; what a killed session left running is taken down."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from federation.playground import binaries, locks, processes
from federation.playground.clusters import Playground

_ROOT = Path(tempfile.gettempdir(), f"federation-tests-{os.getuid()}")


@contextmanager
def directory() -> Iterator[Path]:
    """Where one playground can be brought up; it is down and gone afterwards."""
    with directories() as own:
        yield own / "playground"


@contextmanager
def directories() -> Iterator[Path]:
    """Where several can be, each in a folder of its own, beside other files."""
    me = processes.identify(os.getpid())
    assert me is not None
    own = _ROOT / uuid.uuid4().hex[:8]
    _ROOT.mkdir(mode=0o700, exist_ok=True)
    with locks.hold(_ROOT / ".lock", lambda _: None):  # another session may be clearing or beginning
        _clear_leftovers()
        own.mkdir()
        processes.remember(me, own / "owner.pid")
    try:
        yield own
    finally:
        _clear(own)


def prepare(session: pytest.Session, here: Path) -> None:
    """Get the binaries before the first test's clock starts, if any test below `here` runs: compiling takes minutes.

    Tests on simulated members say so in their names ("many") or use the fixture `simulated`.
    """
    running = [item for item in session.items if here in item.path.parents]
    if session.config.option.collectonly or not running:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    simulated = any("many" in each.nodeid or "simulated" in getattr(each, "fixturenames", ()) for each in running)
    names = (*binaries.NAMES, binaries.MANY) if simulated else binaries.NAMES
    binaries.ensure(names, reporter.write_line if reporter else print)


def _clear_leftovers() -> None:
    for left in _ROOT.glob("*/"):
        if processes.find(left / "owner.pid") is None:
            _clear(left)


def _clear(own: Path) -> None:
    for each in (*own.glob("*/playground.json"), *own.glob("federation/playground/*/playground.json")):
        Playground(each.parent, report=lambda _: None).down()
    Playground(own / "playground", report=lambda _: None).down()  # also what has no record yet
    shutil.rmtree(own)
