"""Every placement is applied once more within its period, whatever else comes, goes or is away."""

import asyncio

from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName
from tests.unit.controllers.rig import Rig
from tests.unit.virtualtime import settle, virtual

PERIOD = 1000.0


def name_of(number: int) -> ObjectName:
    return ObjectName("ns", f"web-{number}")


@virtual
async def test_nobody_waits_longer_than_the_period_however_many_come_and_go() -> None:
    """Ten stay, a hundred others come and go all the time: those that stay have their turn in every period."""
    async with Rig("m1") as rig:
        stay = [name_of(number) for number in range(10)]
        for name in stay:
            rig.put(name)
        await settle(400)
        rig.tasks.keep(lambda: rig.sync.reassert(PERIOD), "reassert")
        last = dict.fromkeys((f"apply {name}" for name in stay), 0.0)
        longest = 0.0
        for second in range(0, 4000, 10):
            rig.put(name_of(1000 + second), clusters=("m1",))
            if second >= 1000:
                rig.delete(name_of(second))
            rig.quiet()
            await asyncio.sleep(10)
            for call in rig.members["m1"].calls:
                if call in last:
                    longest = max(longest, second + 10 - last[call])
                    last[call] = second + 10.0
        assert all(4000 - at <= PERIOD for at in last.values())
        assert longest <= PERIOD + 10


@virtual
async def test_what_is_away_at_its_turn_has_it_when_it_answers() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await settle()
        rig.see("m2", ready=False)
        await asyncio.sleep(5)
        rig.quiet()
        rounds = rig.tasks.spawn(rig.sync.reassert(PERIOD), "reassert")
        for _ in range(int(PERIOD) + 1):
            await asyncio.sleep(0 if rig.asked else 1)
        rounds.cancel()
        await asyncio.sleep(60)
        assert rig.asked == {"m1": ["apply ns/web"]}
        rig.see("m2", ready=True)
        await asyncio.sleep(5)
        assert rig.asked["m2"] == ["apply ns/web"]
        assert rig.track().recheck == set()
        await asyncio.sleep(60)
        assert len(rig.asked["m2"]) == 1


@virtual
async def test_a_turn_that_the_member_refuses_is_reported_and_taken_again() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        fake.fails = lambda verb, name: Failure(FailureKind.DENIED, "policy", 403)
        rig.track().recheck = {"m1"}
        rig.fanout.everything()
        await asyncio.sleep(60)
        assert rig.lines() == {"m1": "UpdateFailed"}
        fake.fails = lambda verb, name: None
        await asyncio.sleep(1000)
        assert (rig.lines(), rig.track().recheck) == ({"m1": ""}, set())


@virtual
async def test_it_goes_on_with_nothing_to_do() -> None:
    async with Rig("m1") as rig:
        rig.tasks.keep(lambda: rig.sync.reassert(PERIOD), "reassert")
        await asyncio.sleep(3 * PERIOD)
        rig.put()
        await settle()
        rig.quiet()
        await asyncio.sleep(PERIOD)
        assert set(rig.asked["m1"]) == {"apply ns/web"}
