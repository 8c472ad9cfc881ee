"""When a timer is due."""

import asyncio
import math


def due(timer: asyncio.Handle) -> float:
    """The loop time at which it is due, -inf where that is now.

    uvloop makes a handle without a time of a call whose time has come already: a loop that is late asks for such.
    """
    when = getattr(timer, "when", None)
    return float(when()) if when is not None else -math.inf
