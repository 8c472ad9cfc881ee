"""The virtual clock itself: it jumps, it ends what would wait for ever, and it notices a loop that spins."""

import asyncio
import time

import pytest

from tests.unit import virtualtime
from tests.unit.virtualtime import EPOCH, settle, virtual


@virtual
async def test_time_passes_only_by_sleeping() -> None:
    assert (time.monotonic(), time.time()) == (0.0, EPOCH)
    await asyncio.sleep(3600)
    assert time.monotonic() == pytest.approx(3600)
    assert time.time() == pytest.approx(EPOCH + 3600)


@virtual
async def test_timers_fire_in_their_order() -> None:
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    loop.call_later(2, seen.append, "late")
    loop.call_later(1, seen.append, "early")
    await asyncio.sleep(3)
    assert seen == ["early", "late"]


def test_waiting_for_nothing_ends_the_test() -> None:
    @virtual
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing is left to happen"):
        forever()


def test_a_loop_that_spins_ends_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtualtime, "LONGEST_RUN", 100)

    @virtual
    async def spin() -> None:
        await settle(1000)

    with pytest.raises(RuntimeError, match="spins"):
        spin()
