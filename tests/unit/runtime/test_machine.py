"""Which process holds something, and whether it has ended: only what is sure counts."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from federation.runtime import machine
from federation.runtime.machine import Process

pytestmark = pytest.mark.skipif(not machine.this_process().machine, reason="this system does not tell")


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[bytes], Process]]:
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = machine.this_process()
    started = machine._started(running.pid)
    assert started is not None
    yield running, here._replace(pid=running.pid, started=started)
    running.kill()
    running.wait()
    if running.stdin is not None:
        running.stdin.close()


def test_a_name_says_which_process_it_is() -> None:
    here = machine.this_process()
    assert machine.named(here.name("a1b2")) == here
    assert not machine.ended(here)


@pytest.mark.parametrize(
    "name",
    ["", "host", "host_5f0c0c9e-6b0f-4d2a-2f9a5f6b7c8d", "host_ab-12-34", "_ab-1-2-3", "host_ab-99999999999-1-c"],
)
def test_names_of_other_programs_tell_nothing(name: str) -> None:
    assert machine.named(name) is None


def test_a_process_ends(other: tuple[subprocess.Popen[bytes], Process]) -> None:
    running, process = other
    assert not machine.ended(process)
    running.kill()
    while machine._stat(running.pid)[:1] not in ([], ["Z"]):
        pass
    assert machine.ended(process), "it is a zombie, which runs no more"
    running.wait()
    assert machine.ended(process)


def test_another_process_has_its_number_now(other: tuple[subprocess.Popen[bytes], Process]) -> None:
    _, process = other
    assert machine.ended(process._replace(started=process.started - 1))


@pytest.mark.parametrize("changed", [{"host": "another"}, {"machine": "0"}, {"machine": "abc123"}])
def test_of_other_machines_nothing_is_known(changed: dict[str, str]) -> None:
    assert not machine.ended(Process(**{**machine.this_process()._replace(pid=1 << 30)._asdict(), **changed}))
