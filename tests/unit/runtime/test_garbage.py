"""Cyclic garbage: what was set aside is not looked at again and again, and is collected all the same, in the end."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

from federation.runtime import garbage
from federation.runtime.garbage import PERIOD, Garbage
from tests.unit.virtualtime import virtual


class Knot:
    """An object that refers to itself: no reference count ever frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def knots(count: int) -> tuple[list[Knot], list["weakref.ref[Knot]"]]:
    made = [Knot() for _ in range(count)]
    return made, [weakref.ref(each) for each in made]


def alive(refs: list["weakref.ref[Knot]"]) -> int:
    return sum(ref() is not None for ref in refs)


async def aged(made: list[Knot]) -> None:
    """Until the collector has set them aside."""
    frozen = gc.get_freeze_count()
    for _ in range(garbage.ROUNDS):
        gc.collect(1)
    await asyncio.sleep(1)
    assert made
    assert gc.get_freeze_count() >= frozen + len(made)


def test_what_is_alive_is_looked_at_once() -> None:
    made, refs = knots(1_000)
    garbage.everything()
    assert len(gc.get_objects()) < 1_000, "what a collection would look at now"
    del made
    assert garbage.recent() == 0
    assert alive(refs) == 1_000
    assert garbage.everything() >= 1_000
    assert alive(refs) == 0


@virtual
async def test_recent_cycles_are_collected_soon() -> None:
    task = asyncio.create_task(Garbage(lambda: False).serve())
    await asyncio.sleep(0)
    made, refs = knots(100)
    del made
    for _ in range(garbage.ROUNDS):
        gc.collect(1)
    await asyncio.sleep(1)
    assert alive(refs) == 0
    task.cancel()


@pytest.mark.parametrize(("idle", "within"), [(True, 200.0), (False, 1_000.0)])
def test_old_cycles_are_collected_in_the_end(*, idle: bool, within: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing is to be done, and in the end also when there always is something."""
    monkeypatch.setattr(garbage, "RARELY", 200.0)
    monkeypatch.setattr(garbage, "AT_LEAST", 1_000.0)

    @virtual
    async def test() -> None:
        task = asyncio.create_task(Garbage(lambda: idle).serve())
        await asyncio.sleep(1)
        made, refs = knots(100)
        await aged(made)
        del made
        await asyncio.sleep(within - 60)
        assert alive(refs) == 100
        await asyncio.sleep(120)
        assert alive(refs) == 0
        task.cancel()

    test()


@virtual
async def test_what_a_burst_makes_is_set_aside_unlooked_at() -> None:
    """In one turn of the loop, in which the collector has none; its cycles are found by the look at everything."""
    task = asyncio.create_task(Garbage(lambda: False).serve())
    await asyncio.sleep(0)
    frozen = gc.get_freeze_count()
    made, refs = knots(100)
    for _ in range(garbage.CROWD):
        gc.collect(1)
    assert gc.get_freeze_count() >= frozen + 100
    assert made
    del made
    assert garbage.everything() >= 100
    assert alive(refs) == 0
    task.cancel()


@virtual
async def test_what_has_left_is_collected_sooner() -> None:
    left = 0
    task = asyncio.create_task(Garbage(lambda: True, lambda: left).serve())
    await asyncio.sleep(1)
    made, refs = knots(100)
    await aged(made)
    del made
    await asyncio.sleep(garbage.SOON)
    assert alive(refs) == 100
    left = 99
    await asyncio.sleep(PERIOD)
    assert alive(refs) == 100, "it is not worth a look at everything yet"
    left = 100
    await asyncio.sleep(PERIOD)
    assert alive(refs) == 0
    task.cancel()


def test_memory_does_not_grow_with_what_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again cycles are set aside while they live: none stays for good."""
    monkeypatch.setattr(garbage, "RARELY", 100.0)

    @virtual
    async def test() -> None:
        task = asyncio.create_task(Garbage(lambda: True).serve())
        await asyncio.sleep(1)
        kept: list[weakref.ref[Knot]] = []
        counts = []
        for _ in range(10):  # each goes through all that other tests have left in this process
            made, refs = knots(200)
            await aged(made)
            kept += refs
            del made
            await asyncio.sleep(100)
            counts.append(alive(kept))
        assert max(counts) <= 400
        task.cancel()

    test()


@virtual
async def test_python_collects_by_itself_again_afterwards() -> None:
    before = gc.get_threshold()
    task = asyncio.create_task(Garbage(lambda: True).serve())
    await asyncio.sleep(1)
    assert gc.get_threshold()[2] > 1_000_000
    assert gc.get_freeze_count() > 0
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
