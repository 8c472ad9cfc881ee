"""Keys in line: coalesced, serial per key, urgent first, never lost, and no more memory than keys."""

import asyncio
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.runtime.keyqueue import SHORTEST, KeyQueue
from federation.runtime.waiting import SLACK, URGENT_RUN
from tests.unit.virtualtime import settle, virtual

K = TypeVar("K")


def taken(queue: KeyQueue[K]) -> list[K]:
    """Everything in its order; each key is given back at once."""
    keys = []
    while (key := queue.take_nowait()) is not None:
        keys.append(key)
        queue.done(key)
    return keys


@pytest.mark.parametrize(
    ("added", "order"),
    [
        pytest.param(["a", "b", "a"], ["a", "b"], id="coalesced"),
        pytest.param(["a", "b!"], ["b", "a"], id="urgent-first"),
        pytest.param(["a", "b", "c", "b!"], ["b", "a", "c"], id="moved-up-when-it-becomes-urgent"),
        pytest.param(["a!", "b!", "a"], ["a", "b"], id="stays-urgent"),
        pytest.param(["a", "b", "b!", "a!"], ["b", "a"], id="urgent-keys-in-the-order-they-became-urgent"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_order(added: list[str], order: list[str]) -> None:
    queue: KeyQueue[str] = KeyQueue()
    for key in added:
        queue.add(key.rstrip("!"), urgent=key.endswith("!"))
    assert len(queue) == len(order)
    assert taken(queue) == order
    assert queue.idle


def test_a_key_in_work_runs_once_more_and_never_twice_at_a_time() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    assert queue.take_nowait() == "a"
    queue.add("a")
    queue.add("a", urgent=True)
    queue.add("a")
    queue.add("b")
    assert "a" in queue
    assert queue.take_nowait() == "b"
    assert queue.take_nowait() is None
    queue.add("c")
    queue.done("a")
    assert taken(queue) == ["a", "c"]  # urgent, as one of those who added it meanwhile said
    queue.done("b")
    assert queue.idle


def test_withdrawn_keys_do_not_come() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for key in "abc":
        queue.add(key)
    assert queue.withdraw("b")
    assert not queue.withdraw("b")
    queue.take_nowait()
    queue.add("a")
    assert not queue.withdraw("a")  # it runs; only its second run is taken back
    queue.done("a")
    assert taken(queue) == ["c"]


def test_withdrawn_and_added_again_it_comes_once() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    queue.add("a", urgent=True)
    queue.withdraw("a")
    queue.add("a")
    assert taken(queue) == ["a"]


def test_changes_of_mind_do_not_pile_up() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("kept")
    for turn in range(10 * SLACK):
        queue.add("a", urgent=turn % 2 == 0)
        queue.withdraw("a")
    assert queue._waiting.places <= 2 * len(queue) + SLACK
    assert taken(queue) == ["kept"]


@virtual
async def test_drained_is_everything_that_would_still_come() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for key in ("running", "waiting", "urgent"):
        queue.add(key)
    assert queue.take_nowait() == "running"
    queue.add("running")
    queue.add("urgent", urgent=True)
    queue.add_after("later", 5)
    assert sorted(queue.drain()) == ["later", "running", "urgent", "waiting"]
    queue.done("running")
    await asyncio.sleep(10)
    assert queue.idle
    assert queue.take_nowait() is None
    assert queue.later == 0


@virtual
async def test_the_earliest_time_counts() -> None:
    loop = asyncio.get_running_loop()
    queue: KeyQueue[str] = KeyQueue()
    queue.add_after("a", 30)
    queue.add_after("a", 10)
    queue.add_after("a", 20)
    assert (queue.later, len(queue)) == (1, 0)
    assert await queue.take() == "a"
    assert loop.time() == pytest.approx(10)
    queue.done("a")
    await asyncio.sleep(60)
    assert queue.idle


@virtual
async def test_a_wait_of_less_than_a_tick_is_a_wait() -> None:
    """Timers fire up to a tick early: who then asks for the rest of it does not spin."""
    loop = asyncio.get_running_loop()
    queue: KeyQueue[str] = KeyQueue()
    queue.add_after("a", 1e-12)
    assert await queue.take() == "a"
    assert loop.time() == pytest.approx(SHORTEST)


@virtual
async def test_a_key_that_is_due_while_in_work_comes_afterwards() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    await queue.take()
    queue.add_after("a", 1)
    await asyncio.sleep(2)
    assert queue.take_nowait() is None
    queue.done("a")
    assert queue.take_nowait() == "a"


@virtual
async def test_every_added_key_wakes_a_taker() -> None:
    queue: KeyQueue[str] = KeyQueue()
    takers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await settle()
    for key in "abc":
        queue.add(key)
    assert sorted(await asyncio.gather(*takers)) == ["a", "b", "c"]


@virtual
async def test_a_taker_cancelled_as_it_is_woken_passes_the_key_on() -> None:
    queue: KeyQueue[str] = KeyQueue()
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    await settle()
    queue.add("a")
    first.cancel()
    await settle()
    assert first.cancelled()
    assert second.done()
    assert second.result() == "a"


@virtual
async def test_cancelled_takers_take_no_keys() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for _ in range(5):
        taker = asyncio.create_task(queue.take())
        await settle()
        taker.cancel()
        await settle()
    queue.add("a")
    assert await queue.take() == "a"
    assert not queue._takers


@virtual
async def test_rest_ends_when_idle_or_after_its_time() -> None:
    loop = asyncio.get_running_loop()
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    await queue.rest(1.0)
    assert loop.time() == pytest.approx(1.0, abs=0.03)
    taken(queue)
    await queue.rest(1.0)
    assert loop.time() == pytest.approx(1.0, abs=0.03)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "urgent", "take", "done", "withdraw"]), st.integers(min_value=0, max_value=4)
        ),
        max_size=80,
    )
)
def test_no_key_is_lost_doubled_or_run_twice_at_a_time(steps: list[tuple[str, int]]) -> None:
    queue: KeyQueue[int] = KeyQueue()
    wanted: set[int] = set()  # what must still come
    running: set[int] = set()
    for step, key in steps:
        match step:
            case "add" | "urgent":
                queue.add(key, urgent=step == "urgent")
                wanted.add(key)
            case "withdraw":
                queue.withdraw(key)
                wanted.discard(key)
            case "take":
                got = queue.take_nowait()
                assert (got is None) == (not wanted - running)
                if got is not None:
                    assert got in wanted
                    assert got not in running
                    wanted.discard(got)
                    running.add(got)
            case _:
                if key in running:
                    running.discard(key)
                    queue.done(key)
    for key in list(running):
        queue.done(key)
    left = taken(queue)
    assert len(left) == len(set(left))
    assert set(left) == wanted
    assert queue.idle


@given(
    st.integers(1, 12),
    st.lists(st.integers(0, 3), min_size=140, max_size=140),
    st.lists(st.integers(0, 11), max_size=20),
)
@settings(deadline=None)
def test_no_key_waits_longer_than_the_bound_however_many_urgent_ones_come(
    calm: int, arrivals: list[int], moved_up: list[int]
) -> None:
    """Sustained load of users' changes, more than is taken: the rest still have their turn, each by its place."""
    queue: KeyQueue[str] = KeyQueue()
    for number in range(calm):
        queue.add(f"calm{number}")
    for number in moved_up:
        queue.add(f"calm{number % calm}", urgent=number % 3 == 0)
    place = {f"calm{number}": number for number in range(calm)}
    urgent = 0
    for take, more in enumerate(arrivals):
        for _ in range(more + 1):
            queue.add(f"urgent{urgent}", urgent=True)
            urgent += 1
        key = queue.take_nowait()
        assert key is not None
        queue.done(key)
        before = place.pop(key, None)
        if before is not None:
            assert take < (before + 1) * (URGENT_RUN + 1) + len(moved_up)
    assert not place


def test_an_urgent_key_waits_for_one_other_at_most() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for number in range(1000):
        queue.add(f"restart{number}")
    for number in range(URGENT_RUN):
        queue.add(f"first{number}", urgent=True)
    order = [queue.take_nowait() for _ in range(URGENT_RUN)]
    queue.add("a user's", urgent=True)
    order += [queue.take_nowait(), queue.take_nowait()]
    assert order[-2:] == ["restart0", "a user's"]
