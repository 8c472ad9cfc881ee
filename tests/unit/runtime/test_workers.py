"""The table from a reconcile's outcome to when its key comes again."""

import asyncio
import itertools
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from federation.model.errors import ApiFailure, Unusable
from federation.model.failures import Failure, FailureKind
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Crew, Workers
from tests.unit.virtualtime import virtual


def refused(retry_after: float | None = None) -> ApiFailure:
    return ApiFailure(Failure(FailureKind.UNAVAILABLE, "503", 503, retry_after=retry_after), "status")


class Reconciler:
    """Raises what `fails` says for the n-th run of a key; remembers when each key ran."""

    def __init__(self, fails: Callable[[str, int], Exception | None], workers: int = 1) -> None:
        self.fails = fails
        self.runs: dict[str, list[float]] = {}
        self.queue: KeyQueue[str] = KeyQueue()
        self.tasks = Tasks()
        shared = Workers("test", self.queue, self.process)
        self.shared = shared
        for number in range(workers):
            self.tasks.keep(shared.serve, f"worker:{number}")

    async def process(self, key: str) -> None:
        runs = self.runs.setdefault(key, [])
        runs.append(asyncio.get_running_loop().time())
        error = self.fails(key, len(runs))
        if error is not None:
            raise error

    def gaps(self, key: str) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.runs[key])]


@virtual
async def test_success_comes_again_only_when_something_changes() -> None:
    reconciler = Reconciler(lambda key, run: None)
    reconciler.queue.add("a")
    await asyncio.sleep(86400)
    assert reconciler.runs == {"a": [0.0]}
    await reconciler.tasks.cancel()


@virtual
async def test_refused_by_the_hub_comes_again_ever_later_until_it_passes() -> None:
    reconciler = Reconciler(lambda key, run: refused() if run <= 12 else None)
    reconciler.queue.add("a")
    await asyncio.sleep(3600)
    gaps = reconciler.gaps("a")
    assert len(gaps) == 12
    for attempt, gap in enumerate(gaps):
        ceiling = min(60.0, 0.2 * 2**attempt)
        assert ceiling / 2 <= gap <= ceiling + 1e-6
    reconciler.runs.clear()
    reconciler.fails = lambda key, run: refused() if run == 1 else None
    reconciler.queue.add("a")
    await asyncio.sleep(60)
    assert reconciler.gaps("a")[0] <= 0.2  # the success before was the end of that series
    await reconciler.tasks.cancel()


@virtual
async def test_retry_after_is_obeyed() -> None:
    reconciler = Reconciler(lambda key, run: refused(retry_after=17.0) if run == 1 else None)
    reconciler.queue.add("a")
    await asyncio.sleep(60)
    assert reconciler.gaps("a") == [pytest.approx(17.0)]
    await reconciler.tasks.cancel()


@pytest.mark.parametrize(
    "error", [pytest.param(KeyError("a bug"), id="bug"), pytest.param(Unusable("a file"), id="unusable")]
)
def test_a_poison_key_delays_only_itself(error: Exception) -> None:
    @virtual
    async def test() -> None:
        reconciler = Reconciler(lambda key, run: error if key == "poison" else None)
        with capture_logs() as logs:
            for turn in range(20):
                reconciler.queue.add("poison" if turn % 2 else "fine")
                await asyncio.sleep(0)
            await asyncio.sleep(3600)
        assert len(reconciler.runs["fine"]) >= 1
        gaps = reconciler.gaps("poison")
        assert max(gaps) <= 960
        assert gaps[-1] > 100  # ever rarer
        said = [entry for entry in logs if entry["event"] == "reconcile failed"]
        assert len(said) == len(reconciler.runs["poison"])
        assert {entry["key"] for entry in said} == {"poison"}
        await reconciler.tasks.cancel()

    test()


@virtual
async def test_gone_keys_leave_nothing_behind() -> None:
    reconciler = Reconciler(lambda key, run: [refused(), ValueError("a bug"), None][min(run, 3) - 1])
    for number in range(50):
        reconciler.queue.add(f"k{number}")
    await asyncio.sleep(3600)
    assert not reconciler.shared._refused._failures
    assert not reconciler.shared._broken._failures
    assert (reconciler.queue.later, reconciler.queue.idle) == (0, True)
    await reconciler.tasks.cancel()


@virtual
async def test_a_key_added_while_it_fails_comes_at_once_and_is_not_lost() -> None:
    reconciler: Reconciler

    def fails(key: str, run: int) -> Exception | None:
        if run == 1:
            reconciler.queue.add(key)
            return refused(retry_after=100.0)
        return None

    reconciler = Reconciler(fails)
    reconciler.queue.add("a")
    await asyncio.sleep(50)
    assert len(reconciler.runs["a"]) == 2
    await reconciler.tasks.cancel()


@virtual
async def test_cancelled_in_the_middle_the_key_is_given_back() -> None:
    queue: KeyQueue[str] = KeyQueue()

    async def process(key: str) -> None:
        await asyncio.sleep(3600)

    tasks = Tasks()
    tasks.keep(Workers("test", queue, process).serve, "worker")
    queue.add("a")
    await asyncio.sleep(1)
    assert "a" in queue
    await tasks.cancel()
    assert queue.idle


async def test_a_key_that_comes_back_at_once_leaves_the_loop_to_others() -> None:
    def again(key: str, run: int) -> None:
        if run < 100_000:
            reconciler.queue.add(key)

    reconciler = Reconciler(again)
    reconciler.queue.add("a")
    for _ in range(10):
        await asyncio.sleep(0)
    assert 1 <= len(reconciler.runs["a"]) <= 10
    await reconciler.tasks.cancel()


@virtual
async def test_a_crew_grows_and_shrinks_while_it_works() -> None:
    queue: KeyQueue[str] = KeyQueue()
    running, most = 0, 0

    async def process(key: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1.0)
        running -= 1

    tasks = Tasks()
    crew = Crew(Workers("crew", queue, process), tasks)
    for size in (3, 1, 8, 2):
        crew.resize(size)
        await asyncio.sleep(1.5)
        for number in range(20):
            queue.add(f"{size}-{number}")
        most = 0
        await asyncio.sleep(20.5)
        assert (most, len(crew)) == (size, size)
    for number in range(30):
        queue.add(f"busy-{number}")
    crew.resize(6)
    await asyncio.sleep(0.5)
    crew.resize(1)  # all are busy: they end after what they have
    await asyncio.sleep(1.1)
    most = running
    await asyncio.sleep(40)
    assert (most, len(crew), len(queue)) == (1, 1, 0)
    await tasks.cancel()
    assert len(crew) == 0
