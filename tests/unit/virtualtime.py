"""Tests in virtual time: an event loop whose clock jumps to the next timer whenever nothing else is left to do.

`@virtual` runs an async test on such a loop, with time.monotonic and time.time telling the loop's time, so that
backoff, hysteresis and deadlines are exact and cost nothing. No real sockets: a loop that jumps does not wait for them.
"""

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

import pytest

P = ParamSpec("P")

EPOCH = 1_800_000_000.0
"""time.time() when a virtual loop starts; its own time and time.monotonic() start at 0."""
LONGEST_RUN = 200_000
"""Turns of the loop at one moment before a test is said to spin."""


class _Jump(selectors.SelectSelector):
    """Never waits: the time that select was told to wait has passed when it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is left to happen: every task waits for something that never comes")
        self._turns = 0 if timeout else self._turns + 1
        if self._turns > LONGEST_RUN:
            self._turns = 0
            raise RuntimeError(f"the loop spins: {LONGEST_RUN} turns and no time has passed")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def pass_time(self, seconds: float) -> None:
        """Time passes within this step, as in one that computes."""
        self._jump.now += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """At once: a loop that jumps would not wait for a thread either."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in virtual time. Fixtures work, async ones aside."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.MonkeyPatch.context() as patch:
            loop = runner.get_loop()
            patch.setattr(time, "monotonic", loop.time)
            patch.setattr(time, "time", lambda: EPOCH + loop.time())
            runner.run(test(*args, **kwargs))

    return run


async def settle(turns: int = 50) -> None:
    """Let everything that is due run, without time passing."""
    for _ in range(turns):
        await asyncio.sleep(0)
