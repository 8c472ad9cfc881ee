"""Timers of both event loops have a time, also those that are due at once."""

import asyncio
import math
from collections.abc import Callable

import pytest
import uvloop

from federation.runtime import timers


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-5, 5.0])
def test_due(new_loop: Callable[[], asyncio.AbstractEventLoop], seconds: float) -> None:
    """A time that has come is in the past, another one is that which was asked for."""
    loop = new_loop()
    try:
        asked = loop.time() + seconds
        found = timers.due(loop.call_at(asked, lambda: None))
    finally:
        loop.close()
    assert found == -math.inf or found == pytest.approx(asked, abs=0.01)
    assert (found > loop.time() + 1) == (seconds > 1)
