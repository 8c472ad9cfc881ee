"""One kind's trouble in a lane is its own: others go on, whatever is answered, asked or not answered to it."""

import asyncio
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.runtime.fleetlimit import FleetLimit
from federation.runtime.lane import PAUSE_CAP, RESERVED, TRIP_AFTER, Evidence, Hold, Lane
from federation.runtime.tasks import Tasks
from tests.unit.virtualtime import settle, virtual

CONCURRENCY = 16
OK = (Evidence.ANSWERED, None)
ERRED = (Evidence.ERRED, None)


class Member:
    """Keys are `kind/name`; `answers` says what becomes of a kind's runs and `takes` how long they take."""

    def __init__(self, concurrency: int = CONCURRENCY) -> None:
        self.answers: dict[str, tuple[Evidence, float | None]] = defaultdict(lambda: OK)
        self.takes: dict[str, float] = defaultdict(float)
        self.runs: list[tuple[float, str]] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        self.trips = 0
        self.tasks = Tasks()
        self.lane: Lane[str] = Lane(
            "m1",
            self.run,
            self.tasks.spawn,
            concurrency=concurrency,
            kind=lambda key: key.split("/")[0],
            limit=FleetLimit(),
            on_trip=self.on_trip,
        )

    def on_trip(self) -> None:
        self.trips += 1

    async def run(self, key: str) -> tuple[Evidence, float | None]:
        kind = key.split("/", maxsplit=1)[0]
        self.runs.append((asyncio.get_running_loop().time(), key))
        self.running[key] += 1
        assert self.running[key] == 1, "the same key twice at a time"
        self.most = max(self.most, self.running.total())
        try:
            await asyncio.sleep(self.takes[kind])
            return self.answers[kind]
        finally:
            self.running[key] -= 1

    def submit(self, kind: str, count: int, *, urgent: bool = False) -> None:
        for number in range(count):
            self.lane.submit(f"{kind}/{number}", urgent=urgent)

    def done(self, kind: str) -> int:
        return sum(1 for _, key in self.runs if key.startswith(f"{kind}/"))


@virtual
async def test_a_kind_that_is_broken_delays_no_other() -> None:
    """A thousand objects of a type whose conversion webhook is down; somebody changes objects of another type."""
    member = Member()
    member.answers["widgets"] = ERRED
    member.submit("widgets", 1000)
    for number in range(100):
        when = asyncio.get_running_loop().time()
        member.lane.submit(f"configmaps/{number}", urgent=number % 2 == 0)
        await settle()
        assert member.runs[-1] == (when, f"configmaps/{number}")
        await asyncio.sleep(1.0)
    assert not member.lane.paused
    assert TRIP_AFTER <= member.done("widgets") <= TRIP_AFTER + CONCURRENCY + 12
    assert member.trips >= 1


@virtual
async def test_a_kind_that_hangs_leaves_room_for_others() -> None:
    member = Member()
    member.answers["widgets"], member.takes["widgets"] = ERRED, 10.0
    member.submit("widgets", 1000)
    await asyncio.sleep(1)
    assert member.running.total() == CONCURRENCY - CONCURRENCY // RESERVED
    for number in range(30):
        member.lane.submit(f"configmaps/{number}")
        await settle()
        assert member.runs[-1][1] == f"configmaps/{number}"
        await asyncio.sleep(1)


@virtual
async def test_a_kind_that_is_well_again_gets_everything_done() -> None:
    member = Member()
    member.answers["widgets"] = ERRED
    member.submit("widgets", 500)
    await asyncio.sleep(60)
    assert len(member.lane) == 500 - member.done("widgets")
    before = member.done("widgets")
    member.answers["widgets"] = OK
    await asyncio.sleep(PAUSE_CAP + 1)
    assert member.done("widgets") == 500
    assert member.done("widgets") - before == 500 - before
    assert (len(member.lane), len(member.lane._limited)) == (0, 0)


@virtual
async def test_one_kind_alone_may_be_wide_and_its_excess_waits_in_line() -> None:
    member = Member()
    member.takes["configmaps"] = 1.0
    member.submit("configmaps", 300)
    await settle()
    assert member.running.total() == CONCURRENCY - CONCURRENCY // RESERVED
    await asyncio.sleep(30)
    assert member.done("configmaps") == 300
    assert (len(member.lane), len(member.lane._limited)) == (0, 0)


@virtual
async def test_what_asks_for_patience_is_the_kind() -> None:
    """An aggregated API that says 503 and Retry-After, or 429, speaks for itself alone."""
    member = Member()
    member.answers["widgets"] = (Evidence.ERRED, 7.0)
    member.submit("widgets", 1)
    await settle()
    member.lane.submit("widgets/again")
    member.lane.submit("configmaps/0")
    await asyncio.sleep(6.9)
    assert [key for _, key in member.runs] == ["widgets/0", "configmaps/0"]
    await asyncio.sleep(0.2)
    assert member.runs[-1][1] == "widgets/again"


@virtual
async def test_two_kinds_that_are_throttled_are_the_member() -> None:
    member = Member()
    member.answers["a"] = member.answers["b"] = (Evidence.THROTTLED, 5.0)
    member.submit("a", 1)
    await settle()
    pauses = [member.lane.paused]
    member.submit("b", 1)
    await settle()
    pauses.append(member.lane.paused)
    assert pauses == [False, True]
    member.lane.submit("c/0")
    await asyncio.sleep(4.9)
    assert member.done("c") == 0
    await asyncio.sleep(0.2)
    assert member.done("c") == 1


@virtual
async def test_not_reached_at_all_is_the_member_whatever_the_kind() -> None:
    member = Member()
    for kind in "abcde":
        member.answers[kind] = (Evidence.FAILED, None)
        member.submit(kind, 1)
    await settle()
    assert member.lane.paused
    member.lane.resume()
    await settle()
    assert member.done("a") == 1


@virtual
async def test_when_the_probe_fails_too_the_member_is_left_in_peace() -> None:
    member = Member()
    member.lane.probe_failed()
    assert not member.lane.paused  # nothing failed here: a lost probe alone stops no writes
    member.answers["widgets"] = ERRED
    member.submit("widgets", TRIP_AFTER)
    await settle()
    member.lane.probe_failed()
    member.lane.submit("configmaps/0")
    await settle()
    assert member.done("configmaps") == 0
    member.lane.resume()
    await settle()
    assert member.done("configmaps") == 1


@virtual
async def test_withdrawing_the_one_that_may_run_lets_the_next_run() -> None:
    member = Member()
    member.answers["widgets"] = ERRED
    member.submit("widgets", TRIP_AFTER + 10)
    await settle()
    waiting = [f"widgets/{number}" for number in range(TRIP_AFTER + 10) if f"widgets/{number}" in member.lane]
    assert waiting
    member.lane._pause_for(100.0, "test")  # the member's own pause keeps what the kind lets go in the line
    await asyncio.sleep(PAUSE_CAP + 1)
    assert member.lane.withdraw(waiting[0])
    member.answers["widgets"] = OK
    await asyncio.sleep(200)
    assert set(waiting[1:]) <= {key for _, key in member.runs}
    assert waiting[0] not in [key for _, key in member.runs]


@virtual
async def test_resized_while_it_runs() -> None:
    member = Member()
    member.takes["a"] = member.takes["b"] = 1.0
    member.submit("a", 40)
    member.submit("b", 40)
    member.lane.resize(2)
    await asyncio.sleep(2.5)
    member.most = 0
    await asyncio.sleep(4)
    assert member.most <= 2
    member.lane.resize(24)
    await asyncio.sleep(10)
    assert member.most > CONCURRENCY
    assert member.done("a") == member.done("b") == 40


Step = tuple[str, str, int]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["submit", "urgent", "withdraw", "break", "mend", "hang", "pass"]),
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 30),
        ),
        max_size=80,
    )
)
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost_whatever_happens(steps: list[Step]) -> None:
    """Every key that was handed in and not withdrawn afterwards is run, once its kind is well."""

    @virtual
    async def test() -> None:
        member = Member(concurrency=4)
        wanted: dict[str, int] = {}
        for step, kind, number in steps:
            key = f"{kind}/{number}"
            match step:
                case "submit" | "urgent":
                    wanted[key] = len(member.runs)
                    member.lane.submit(key, urgent=step == "urgent")
                case "withdraw":
                    if member.lane.withdraw(key) and key not in member.lane:
                        wanted.pop(key, None)
                case "break":
                    member.answers[kind] = (Evidence.ERRED, None if number % 3 else float(number))
                case "mend":
                    member.answers[kind], member.takes[kind] = OK, 0.0
                case "hang":
                    member.takes[kind] = float(number)
                case "pass":
                    await asyncio.sleep(number)
        member.answers.clear()
        member.takes.clear()
        await asyncio.sleep(200)
        for key, since in wanted.items():
            assert key in [each for _, each in member.runs[since:]] or member.lane.withdraw(key) is False
        assert (len(member.lane), dict(member.lane._running)) == (0, {})
        assert not any(len(each) or each.paused for each in member.lane._limited.values())

    test()


@pytest.mark.parametrize("answer", [ERRED, OK])
@virtual
async def test_closed_it_takes_nothing_and_leaves_no_timer(answer: tuple[Evidence, float | None]) -> None:
    member = Member()
    member.answers["widgets"] = answer
    member.submit("widgets", 100)
    await settle()
    member.lane.close()
    runs = len(member.runs)
    await asyncio.sleep(100)
    assert len(member.runs) <= runs + CONCURRENCY
    assert len(member.lane) == 0


@virtual
async def test_a_lane_says_what_holds_a_key_back() -> None:
    answers: dict[str, Evidence] = {}
    gate = asyncio.Event()

    async def run(key: tuple[str, int]) -> tuple[Evidence, float | None]:
        await gate.wait()
        return answers.get(key[0], Evidence.ANSWERED), None

    tasks = Tasks()
    lane: Lane[tuple[str, int]] = Lane(
        "m1", run, tasks.spawn, concurrency=4, kind=lambda key: key[0], limit=FleetLimit()
    )
    for number in range(20):
        lane.submit(("a", number))
    lane.submit(("b", 0))
    assert {lane.hold(("a", number)) for number in range(20)} == {None}  # many, but none has failed
    assert lane.hold(("c", 0)) is None
    answers["a"] = Evidence.ERRED
    gate.set()
    await asyncio.sleep(0.1)
    assert lane.hold(("a", 19)) is Hold.KIND
    assert lane.hold(("a", 0)) is None  # it ran, and is here no more
    answers["b"] = Evidence.FAILED
    for number in range(20):
        lane.submit(("b", number))
    await asyncio.sleep(0.1)
    assert lane.paused
    assert lane.hold(("b", 19)) is Hold.CLUSTER
    answers.clear()
    await asyncio.sleep(120)
    assert len(lane) == 0
    await tasks.cancel()


@virtual
async def test_a_kind_that_recovers_starts_slowly() -> None:
    """A server that was starved gets one more run for each that it has answered, not all that wait at once."""
    running: list[int] = []
    well = False
    now = 0

    async def run(_: str) -> tuple[Evidence, float | None]:
        nonlocal now
        now += 1
        running.append(now)
        await asyncio.sleep(1.0)
        now -= 1
        return (Evidence.ANSWERED if well else Evidence.ERRED), None

    tasks = Tasks()
    lane: Lane[str] = Lane("m1", run, tasks.spawn, concurrency=16, kind=lambda key: key[0], limit=FleetLimit())
    for number in range(TRIP_AFTER):
        lane.submit(f"a{number}")
    await asyncio.sleep(1.5)
    well = True
    running.clear()
    for number in range(200):
        lane.submit(f"a{number}")
    await asyncio.sleep(60)
    assert running[:2] == [1, 1], "one decides whether it is back"
    grown = [next(place for place, many in enumerate(running) if many >= size) for size in (2, 4, 8, 14)]
    assert all(place >= size - 1 for place, size in zip(grown, (2, 4, 8, 14), strict=True)), running
    assert max(running) == 14
    assert len(lane) == 0
