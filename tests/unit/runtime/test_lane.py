"""One member's lane: bounded, pausing, recovering; nothing is lost by a pause and nothing runs after closing."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.lane import PAUSE_BASE, PAUSE_CAP, TRIP_AFTER, Evidence, Lane
from federation.runtime.tasks import Tasks
from federation.runtime.waiting import URGENT_RUN
from tests.unit.virtualtime import settle, virtual

CONCURRENCY = 4

Answer = tuple[Evidence, float | None]
OK: Answer = (Evidence.ANSWERED, None)
FAILED: Answer = (Evidence.FAILED, None)


class Member:
    """Answers each run after `takes` seconds with what `answer` says then; remembers when what ran."""

    def __init__(self, answer: Callable[[str], Answer] = lambda key: OK, takes: float = 0.0) -> None:
        self.answer = answer
        self.takes = takes
        self.runs: list[tuple[float, str]] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        self.tasks = Tasks()
        self.lane = lane(self, CONCURRENCY)

    async def run(self, key: str) -> Answer:
        self.runs.append((asyncio.get_running_loop().time(), key))
        self.running[key] += 1
        assert self.running[key] == 1, "the same key twice at a time"
        self.most = max(self.most, self.running.total())
        try:
            await asyncio.sleep(self.takes)
            return self.answer(key)
        finally:
            self.running[key] -= 1

    def done(self) -> list[str]:
        return [key for _, key in self.runs]

    def submit(self, count: int, *, urgent: bool = False) -> None:
        for number in range(count):
            self.lane.submit(f"k{number}", urgent=urgent)


def lane(member: Member, concurrency: int) -> Lane[str]:
    """A lane in which every key is a kind of its own: what one kind does to another is test_lane_kinds."""
    return Lane("m1", member.run, member.tasks.spawn, concurrency=concurrency, kind=lambda key: key, limit=FleetLimit())


@virtual
async def test_all_is_done_within_the_bound() -> None:
    member = Member(takes=1.0)
    member.submit(10)
    await asyncio.sleep(0.5)
    assert (member.running.total(), len(member.lane)) == (CONCURRENCY, 10)
    await asyncio.sleep(10)
    assert sorted(member.done()) == sorted(f"k{number}" for number in range(10))
    assert member.most == CONCURRENCY
    assert (len(member.lane), len(member.tasks)) == (0, 0)


@virtual
async def test_a_key_handed_in_while_it_runs_runs_again() -> None:
    member = Member(takes=1.0)
    member.lane.submit("a")
    await asyncio.sleep(0.5)
    member.lane.submit("a")
    assert "a" in member.lane
    await asyncio.sleep(5)
    assert member.done() == ["a", "a"]
    assert "a" not in member.lane


@virtual
async def test_urgent_keys_overtake() -> None:
    member = Member(takes=1.0)
    member.submit(8)
    await settle()
    member.lane.submit("urgent", urgent=True)
    await asyncio.sleep(10)
    assert member.done()[CONCURRENCY] == "urgent"


@virtual
async def test_urgent_keys_do_not_starve_the_rest() -> None:
    """Users change more than the member can take: drift is still put back."""
    member = Member(takes=1.0)
    member.lane.submit("drift")
    for number in range(100):
        for each in range(2 * CONCURRENCY):
            member.lane.submit(f"u{number}-{each}", urgent=True)
        await asyncio.sleep(1.0)
        if "drift" in member.done():
            break
        member.lane.submit("drift")
    assert "drift" in member.done()[: CONCURRENCY + URGENT_RUN + 1]


@virtual
async def test_withdrawn_work_is_not_done() -> None:
    member = Member(takes=1.0)
    member.submit(6)
    await asyncio.sleep(0.5)
    assert not member.lane.withdraw("k0")  # under way
    assert member.lane.withdraw("k5")
    await asyncio.sleep(5)
    assert "k5" not in member.done()


@virtual
async def test_one_hiccup_of_all_in_flight_trips_once() -> None:
    """Sixteen time-outs of one moment are one reason to pause, not a dozen that lead straight to the longest."""
    member = Member(lambda key: FAILED, takes=10.0)
    member.lane = lane(member, 16)
    member.submit(16)
    member.lane.submit("next")
    await asyncio.sleep(10.0)
    await settle()
    assert "next" not in member.done()
    member.answer = lambda key: OK
    await asyncio.sleep(PAUSE_BASE)
    assert not member.lane.paused
    assert member.done()[-1] == "next"


@virtual
async def test_half_open_one_run_decides_however_wide_the_lane_is() -> None:
    member = Member(lambda key: FAILED)
    member.lane = lane(member, 1024)
    member.submit(TRIP_AFTER)
    await settle()
    assert member.lane.paused
    for number in range(10):
        member.lane.submit(f"n{number}")
    member.takes = 5.0
    await asyncio.sleep(PAUSE_BASE + 1)
    assert member.running.total() == 1


@virtual
async def test_a_breaker_opens_longer_each_time_and_lets_one_probe() -> None:
    member = Member(lambda key: FAILED)
    for number in range(TRIP_AFTER + 8):
        member.lane.submit(f"k{number}")
    await asyncio.sleep(600)
    times = [when for when, _ in member.runs]
    burst = [when for when in times if when == 0]
    assert TRIP_AFTER <= len(burst) <= TRIP_AFTER + CONCURRENCY
    probes = times[len(burst) :]
    gaps = [later - earlier for earlier, later in zip([0.0, *probes], probes, strict=False)]
    for attempt, gap in enumerate(gaps):
        ceiling = min(PAUSE_CAP, PAUSE_BASE * 2**attempt)
        assert ceiling / 2 <= gap <= ceiling + 0.001  # one run per pause
    assert len(member.runs) == TRIP_AFTER + 8


@virtual
async def test_a_member_that_is_back_gets_its_concurrency_back_without_new_work() -> None:
    """What waits must not be worked off one by one because nobody hands in anything new."""
    member = Member(lambda key: FAILED)
    member.submit(TRIP_AFTER)
    await settle()
    assert member.lane.paused
    member.answer, member.takes, member.runs = (lambda key: OK), 1.0, []
    for number in range(40):
        member.lane.submit(f"n{number}")
    await asyncio.sleep(PAUSE_BASE + 40 / CONCURRENCY + 4)
    assert len(member.runs) == 40
    assert member.most == CONCURRENCY


@virtual
async def test_a_failure_with_retry_after_pauses_that_long() -> None:
    answers = iter([(Evidence.FAILED, 7.0)])
    member = Member(lambda key: next(answers, OK))
    member.submit(1)
    await settle()
    assert member.lane.paused
    member.lane.submit("next")
    await asyncio.sleep(6.9)
    assert len(member.runs) == 1
    await asyncio.sleep(0.2)
    when, key = member.runs[1]
    assert key == "next"
    assert when == pytest.approx(7.0)


@virtual
async def test_throttled_without_a_time_waits_a_second() -> None:
    answers = iter([(Evidence.THROTTLED, None)])
    member = Member(lambda key: next(answers, OK))
    member.submit(1)
    await settle()
    member.submit(1)
    await asyncio.sleep(0.9)
    assert member.done() == ["k0"]
    await asyncio.sleep(0.2)
    assert member.done() == ["k0", "k0"]


@virtual
async def test_the_longer_of_two_pauses_counts() -> None:
    member = Member(lambda key: (Evidence.FAILED, {"k0": 5.0, "k1": 2.0}[key]), takes=1.0)
    member.submit(2)
    await asyncio.sleep(5.5)
    assert member.lane.paused
    await asyncio.sleep(1.0)
    assert not member.lane.paused


@virtual
async def test_unavailable_with_retry_after_pauses_at_once() -> None:
    member = Member(lambda key: (Evidence.FAILED, 3.0))
    member.submit(1)
    await settle()
    assert member.lane.paused


@virtual
async def test_runs_that_need_no_call_say_nothing_of_the_member() -> None:
    member = Member(lambda key: FAILED)
    member.submit(TRIP_AFTER - 1)
    await settle()
    member.answer = lambda key: (Evidence.NOTHING, None)
    member.lane.submit("nothing")
    await settle()
    member.answer = lambda key: FAILED
    member.lane.submit("last straw")
    await settle()
    assert member.lane.paused


@virtual
async def test_an_answer_forgets_failures() -> None:
    member = Member(lambda key: FAILED)
    member.submit(TRIP_AFTER - 1)
    await settle()
    member.answer = lambda key: OK
    member.lane.submit("good")
    await settle()
    member.answer = lambda key: FAILED
    member.submit(TRIP_AFTER - 1)
    await settle()
    assert not member.lane.paused


@virtual
async def test_resume_goes_on_at_once() -> None:
    member = Member(lambda key: FAILED)
    member.submit(TRIP_AFTER)
    await settle()
    member.answer = lambda key: OK
    member.lane.submit("waits")
    await settle()
    assert member.done()[-1] != "waits"
    member.lane.resume()
    await settle()
    assert member.done()[-1] == "waits"
    assert not member.lane.paused


@virtual
async def test_closed_it_takes_nothing_and_runs_nothing_more() -> None:
    member = Member(takes=1.0)
    member.submit(6)
    await asyncio.sleep(0.5)
    member.lane.submit("k0")  # runs: would run again
    member.lane.close()
    member.lane.submit("more")
    await asyncio.sleep(5)
    assert member.done() == ["k0", "k1", "k2", "k3"]
    assert len(member.lane) == 0


@virtual
async def test_closing_ends_a_pause_and_its_timer() -> None:
    member = Member(lambda key: FAILED)
    member.submit(TRIP_AFTER)
    await settle()
    member.lane.close()
    assert not member.lane.paused
    await asyncio.sleep(2 * PAUSE_CAP)
    assert len(member.runs) == TRIP_AFTER


@virtual
async def test_a_bug_in_a_run_costs_that_run_only() -> None:
    def answer(key: str) -> Answer:
        if key == "k1":
            raise ValueError("a bug")
        return OK

    member = Member(answer)
    member.submit(10)
    await settle()
    assert sorted(member.done()) == sorted(f"k{number}" for number in range(10))
    assert (len(member.lane), len(member.tasks)) == (0, 0)
    member.lane.submit("after")
    await settle()
    assert member.done()[-1] == "after"


@virtual
async def test_cancelled_before_it_was_closed_it_starts_no_others() -> None:
    member = Member(takes=100.0)
    member.submit(10)
    await asyncio.sleep(1)
    await member.tasks.cancel()
    await settle()
    assert (len(member.tasks), len(member.lane)) == (0, 10 - CONCURRENCY)
    assert len(member.runs) == CONCURRENCY


@virtual
async def test_cancelling_its_tasks_leaves_none() -> None:
    member = Member(takes=100.0)
    member.submit(10)
    await asyncio.sleep(1)
    member.lane.close()
    assert await member.tasks.finish(1.0) == CONCURRENCY
    await settle()
    assert len(member.tasks) == 0
    assert len(member.lane) == 0
