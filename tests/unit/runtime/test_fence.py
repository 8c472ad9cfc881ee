"""The fence: open for as long as was agreed on, by three clocks, and shut before anything passes that came too late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.runtime.fence import JUMP, Fence, Instant

START = Instant(1_000.0, 2_000.0, 1_800_000_000.0)


class Clock:
    """Three clocks that are moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> Instant:
        return self.at

    def move(self, monotonic: float = 0.0, boottime: float | None = None, wall: float | None = None) -> None:
        """By so many seconds; the others as the first."""
        boot = monotonic if boottime is None else boottime
        self.at = Instant(
            self.at.monotonic + monotonic,
            self.at.boottime + boot,
            self.at.wall + (max(monotonic, boot) if wall is None else wall),
        )


class Write:
    """A write that is under way."""

    def __init__(self) -> None:
        self.recalled = 0

    def recall(self) -> None:
        self.recalled += 1


def opened(seconds: float = 10.0) -> tuple[Fence, Clock]:
    clock = Clock()
    fence = Fence(clock)
    fence.extend(clock(), seconds)
    return fence, clock


def test_it_is_shut_at_first() -> None:
    fence = Fence()
    assert not fence.open
    assert fence.left == 0


@pytest.mark.parametrize(
    ("moved", "still"),
    [
        pytest.param({"monotonic": 9.9}, True, id="before the end"),
        pytest.param({"monotonic": 10.0}, False, id="the process was stopped"),
        pytest.param({"monotonic": 0.1, "boottime": 10.0}, False, id="the machine was suspended"),
        pytest.param({"monotonic": 0.1, "wall": 0.1 + JUMP * 1.1}, False, id="the virtual machine was frozen"),
        pytest.param({"monotonic": 0.1, "wall": 3600.0}, False, id="the wall clock was set ahead"),
        pytest.param({"monotonic": 0.1, "wall": -3600.0}, True, id="the wall clock was set back"),
        pytest.param({"monotonic": 9.0, "wall": 9.5}, True, id="the wall clock is slewed"),
        pytest.param({"monotonic": 11.0, "wall": -3600.0}, False, id="set back, and too late"),
    ],
)
def test_it_shuts_by_whichever_clock_shows_that_it_is_time(moved: dict[str, float], still: bool) -> None:
    fence, clock = opened()
    write = Write()
    fence.enter(write)
    clock.move(**moved)
    assert fence.open is still
    assert write.recalled == (not still)
    assert (fence.left > 0) is still


def test_a_jump_is_told_and_a_renewal_opens_it_again() -> None:
    fence, clock = opened()
    doubts: list[str] = []
    fence.doubted = lambda: doubts.append("jumped")
    clock.move(0.1, wall=3600.0)
    assert not fence.open
    assert not fence.open
    assert doubts == ["jumped"]
    fence.extend(clock(), 10.0)
    assert fence.open


def test_what_has_its_answer_is_not_recalled() -> None:
    fence, _ = opened()
    answered, waiting = Write(), Write()
    fence.enter(answered)
    fence.enter(waiting)
    fence.leave(answered)
    fence.shut()
    fence.shut()
    assert (answered.recalled, waiting.recalled) == (0, 1)


@given(
    seconds=st.floats(0.1, 60.0),
    steps=st.lists(
        st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 30.0), st.floats(-100.0, 100.0), st.booleans()), max_size=12
    ),
)
def test_it_is_never_open_later_than_was_agreed(seconds: float, steps: list[tuple[float, float, float, bool]]) -> None:
    """Whatever the clocks do: no longer by the clock that counts all time, and not across a jump of the wall clock."""
    clock = Clock()
    fence = Fence(clock)
    began: Instant | None = None
    for monotonic, suspended, wall, extends in steps:
        if extends:
            began = clock()
            fence.extend(began, seconds)
        clock.move(monotonic, monotonic + suspended, monotonic + suspended + wall)
        if fence.open:
            assert began is not None
            assert clock.at.boottime - began.boottime < seconds
            assert (clock.at.wall - began.wall) - (clock.at.boottime - began.boottime) <= JUMP + 1e-3
