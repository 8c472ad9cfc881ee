"""The meter's arithmetic, and when an observer's goal is reached."""

import asyncio
from collections import Counter

from federation.comparing import meter, observer
from federation.comparing.client import together


def test_only_writes_of_the_named_resources_count() -> None:
    made = {
        "PATCH federatedconfigmaps.types.kubefed.io": 2,
        "PATCH federatedconfigmaps.types.kubefed.io/status": 3,
        "LIST federatedconfigmaps.types.kubefed.io": 50,
        "POST events": 7,
        "POST configmaps": 100,
    }
    assert meter.writes(made, ("federatedconfigmaps", "events")) == 12


def test_between_leaves_out_what_did_not_change() -> None:
    assert meter.between(Counter(a=1, b=2), Counter(a=1, b=5, c=1)) == {"b": 3, "c": 1}


async def test_a_goal_is_reached_when_the_last_member_holds_it() -> None:
    goal = observer._Open({"one": "2", "two": None}, {("m1", "one"), ("m2", "one"), ("m1", "two")})
    for member, name, version in (("m1", "one", "1"), ("m1", "one", "2"), ("m2", "one", "2"), ("m1", "other", "2")):
        goal.observe(member, name, version)
    assert not goal.reached.is_set()
    goal.observe("m1", "two", None)
    assert goal.reached.is_set()


async def test_together_runs_everything_so_many_at_a_time() -> None:
    running, most, done = 0, 0, 0

    async def work() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1

    await together((work() for _ in range(50)), at_once=4)
    assert (most, done) == (4, 50)
