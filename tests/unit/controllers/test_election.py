"""Election by a Lease: who leads when, and that the fence of one is shut before another leads, whatever happens."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from federation.controllers.election import Elector
from federation.core import leadership
from federation.kube import decoding
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata, StoredObject
from federation.model.resources import LEASES, ObjectName, Resource
from federation.model.settings import LeaderElection
from federation.runtime.fence import Fence, Instant
from tests.fakehub import FakeHub
from tests.unit.virtualtime import virtual

WHERE = ObjectName("system", leadership.lease_name())
NUMBERS = LeaderElection(15.0, 10.0, 5.0)
T = TypeVar("T")

AWAY = Failure(FailureKind.UNREACHABLE, "refused")


class Way:
    """One candidate's way to the hub: slow, cut in either direction, or refused."""

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        self.there: Callable[[], float] = lambda: 0.0
        self.back: Callable[[], float] = lambda: 0.0
        self.away = False
        self.muted = False
        self.asked = 0

    async def read(self, resource: Resource, name: ObjectName) -> StoredObject | Failure:
        return await self._pass(lambda: self.hub.read(resource, name))

    async def create(self, resource: Resource, namespace: str, body: Any) -> Failure | None:
        return await self._pass(lambda: self.hub.create(resource, namespace, body))

    async def merge(self, resource: Resource, name: ObjectName, body: bytes) -> Metadata | Failure:
        return await self._pass(lambda: self.hub.merge(resource, name, body))

    async def _pass(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T | Failure:
        self.asked += 1
        if self.away:
            return AWAY
        await asyncio.sleep(self.there())
        answering = asyncio.ensure_future(ask())  # whoever asked may have given up
        answer = await answering
        if self.muted:
            await asyncio.sleep(3600)
        await asyncio.sleep(self.back())
        return answer


class Candidate:
    """An elector with its way, its clocks and its fence."""

    def __init__(self, hub: FakeHub, name: str, numbers: LeaderElection = NUMBERS) -> None:
        self.way = Way(hub)
        self.suspended = self.wall = 0.0
        self.numbers = numbers
        self.ended = ""
        self.fence = Fence(self.clock)
        self.resumed = 0
        self.gone: set[str] = set()
        self.elector = Elector(
            self.way,
            self.fence,
            where=WHERE,
            identity=name,
            numbers=lambda: self.numbers,
            gone=lambda holder: holder in self.gone,
            clock=self.clock,
        )
        self.elector.resumed = self._resume
        self.task: asyncio.Task[None] | None = None

    def clock(self) -> Instant:
        now = asyncio.get_running_loop().time()
        return Instant(now, now + self.suspended, 1_800_000_000.0 + now + self.suspended + self.wall)

    def _resume(self) -> None:
        self.resumed += 1

    async def _run(self) -> None:
        await self.elector.stand()
        self.ended = await self.elector.keep()

    def start(self) -> "Candidate":
        self.task = asyncio.ensure_future(self._run())
        return self

    async def stop(self) -> None:
        await self.kill()
        await self.elector.release()

    async def kill(self) -> None:
        """It does nothing more; the fence, of a dead process, is of no interest."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def leads(self) -> bool:
        return self.elector.leads and self.fence.open


def spec(hub: FakeHub) -> dict[str, Any]:
    found = hub.get(LEASES, WHERE)
    assert found is not None
    return dict(found["spec"])


def watch(hub: FakeHub, *candidates: Candidate) -> None:
    """Have them see the Lease as a watch shows it."""

    class Sink:
        def replace(self, items: Any) -> None:
            for item in items:
                self.upsert(item)

        def upsert(self, item: Any) -> None:
            for each in candidates:
                each.elector.seen(item)

        def remove(self, item: Any) -> None:
            for each in candidates:
                each.elector.seen(None)

    hub.follow(LEASES, Sink(), decoding.stored)


@virtual
async def test_one_that_is_alone_leads_at_once_and_renews() -> None:
    hub = FakeHub()
    one = Candidate(hub, "one")
    assert await one.elector.attempt()
    assert asyncio.get_running_loop().time() == 0
    assert one.way.asked == 3
    one.task = asyncio.ensure_future(one._run())
    await asyncio.sleep(61)
    assert one.leads
    assert len(hub.writes) == 1 + 1 + 12, "the creation, and one write in five seconds"
    assert spec(hub)["holderIdentity"] == "one"
    await one.kill()


@virtual
async def test_another_takes_over_when_the_lease_has_ended() -> None:
    hub = FakeHub()
    one, two = Candidate(hub, "one").start(), Candidate(hub, "two").start()
    await asyncio.sleep(1)
    watch(hub, two)
    await asyncio.sleep(22)
    assert one.leads
    await one.kill()
    led = []
    for seconds in (15 - 3 - 0.5, 0.7):  # the last renewal was at 20 s
        await asyncio.sleep(seconds)
        led.append(two.leads)
    assert led == [False, True]
    assert spec(hub)["leaseTransitions"] == 1
    await two.kill()


@virtual
async def test_a_lease_that_is_given_back_is_taken_at_once() -> None:
    hub = FakeHub()
    one, two = Candidate(hub, "one").start(), Candidate(hub, "two").start()
    await asyncio.sleep(7)
    watch(hub, two)
    await asyncio.sleep(5)
    await one.stop()
    assert not one.fence.open
    await asyncio.sleep(0.1)
    assert two.leads
    await two.stop()
    assert spec(hub)["holderIdentity"] == ""
    assert spec(hub)["leaseDurationSeconds"] == 1


@virtual
async def test_a_process_that_has_surely_ended_is_not_waited_for() -> None:
    hub = FakeHub()
    one = Candidate(hub, "one").start()
    await asyncio.sleep(1)
    await one.kill()
    two = Candidate(hub, "two")
    two.gone.add("one")
    assert await two.elector.attempt()


@virtual
async def test_without_the_hub_writes_are_held_and_go_on_when_it_is_back() -> None:
    hub = FakeHub()
    one = Candidate(hub, "one").start()
    await asyncio.sleep(12)
    one.way.away = True
    with capture_logs() as logs:
        await asyncio.sleep(7.9)
        assert one.leads, "the last renewal was at 10 s"
        await asyncio.sleep(0.2)
        assert not one.fence.open
        await asyncio.sleep(60)
        one.way.away = False
        await asyncio.sleep(1.1)
    assert one.leads
    assert one.resumed == 1
    assert [each["event"] for each in logs] == [
        "the Lease was not renewed",
        "writes are held: the Lease could end",
        "writes go on: the Lease was renewed",
    ]
    await one.kill()


@virtual
async def test_a_hub_that_hangs_is_asked_twice_before_the_fence_shuts() -> None:
    hub = FakeHub()
    one = Candidate(hub, "one").start()
    await asyncio.sleep(1)
    one.way.there = lambda: 3600.0
    await asyncio.sleep(7)
    one.way.there = lambda: 0.0
    await asyncio.sleep(1.9)
    assert one.leads
    assert one.resumed == 0
    await asyncio.sleep(5)
    assert one.leads
    await one.kill()


@virtual
async def test_an_answer_that_was_lost_is_found_by_reading() -> None:
    """The claim was carried out, and nobody said so: the Lease is ours, and the fence opens by the next claim."""
    hub = FakeHub()
    one = Candidate(hub, "one")
    one.way.muted = True
    one.start()
    await asyncio.sleep(12)
    assert not one.fence.open
    one.way.muted = False
    await asyncio.sleep(10)
    assert one.leads
    assert spec(hub)["leaseTransitions"] == 0
    await one.kill()


@virtual
async def test_who_finds_another_leading_ends_and_never_opens_its_fence_again() -> None:
    hub = FakeHub()
    one, two = Candidate(hub, "one").start(), Candidate(hub, "two").start()
    await asyncio.sleep(1)
    one.way.away = True
    await asyncio.sleep(30)
    assert (one.fence.open, two.leads) == (False, True)
    one.way.away = False
    await asyncio.sleep(10)
    assert one.ended == "two leads"
    assert not one.elector.leads
    assert two.leads
    await one.stop()
    assert spec(hub)["holderIdentity"] == "two", "it has nothing to give back"
    await two.kill()


@pytest.mark.parametrize("edit", [{"metadata": {"annotations": {"a": "b"}}}, {"spec": {"renewTime": "yesterday"}}])
def test_an_edited_lease_is_still_ours(edit: dict[str, Any]) -> None:
    @virtual
    async def test() -> None:
        hub = FakeHub()
        one = Candidate(hub, "one").start()
        await asyncio.sleep(7)
        hub.put(LEASES, WHERE, **edit)
        await asyncio.sleep(13)
        assert one.leads
        assert one.resumed == 0
        await one.kill()

    test()


@virtual
async def test_a_lease_that_was_deleted_is_made_again_and_nobody_takes_it_in_between() -> None:
    hub = FakeHub()
    one, two = Candidate(hub, "one").start(), Candidate(hub, "two").start()
    await asyncio.sleep(7)
    watch(hub, two)
    del hub.objects[LEASES.qualified, WHERE]
    two.elector.seen(None)
    await asyncio.sleep(30)
    assert (one.leads, two.leads) == (True, False)
    await one.kill()
    await two.kill()


@virtual
async def test_a_lease_of_a_restored_hub_is_taken_again_by_who_leads() -> None:
    hub = FakeHub()
    old = Candidate(hub, "old").start()
    await asyncio.sleep(1)
    snapshot = hub.snapshot()
    await old.kill()
    one = Candidate(hub, "one").start()
    await asyncio.sleep(20)
    two = Candidate(hub, "two").start()
    await asyncio.sleep(2)
    hub.restore(snapshot)
    await asyncio.sleep(30)
    assert (one.leads, two.leads) == (True, False)
    assert spec(hub)["leaseTransitions"] == 1
    await one.kill()
    await two.kill()


@virtual
async def test_a_jump_of_the_clock_costs_one_renewal() -> None:
    hub = FakeHub()
    one = Candidate(hub, "one").start()
    await asyncio.sleep(2)
    one.wall = 3600.0
    assert not one.fence.open
    await asyncio.sleep(0.01)
    assert one.leads
    assert one.resumed == 1
    await one.kill()


@virtual
async def test_other_numbers_take_effect_with_the_next_renewal() -> None:
    hub = FakeHub()
    one = Candidate(hub, "one").start()
    await asyncio.sleep(1)
    one.numbers = LeaderElection(60.0, 40.0, 20.0)
    await asyncio.sleep(5)
    assert spec(hub)["leaseDurationSeconds"] == 60
    assert one.fence.left > 35
    assert one.fence.slack == 20
    await one.kill()


@virtual
async def test_a_right_that_is_missing_is_said_and_waited_for() -> None:
    hub = FakeHub()
    denied = Failure(FailureKind.RIGHT_MISSING, "leases is forbidden", 403)
    hub.fails = lambda verb, name: denied
    one = Candidate(hub, "one")
    with capture_logs() as logs:
        one.start()
        await asyncio.sleep(60)
    assert one.elector.problem == "leases is forbidden"
    assert not one.fence.open
    assert [each["event"] for each in logs] == ["the Lease cannot be read or written"]
    hub.fails = lambda verb, name: None
    await asyncio.sleep(6)
    assert one.leads
    assert one.elector.problem == ""
    await one.kill()


# --- whatever happens


class Trial:
    """Several candidates, and everything that may go wrong on their ways."""

    def __init__(self, seed: int) -> None:
        self.roll = random.Random(seed)
        self.hub = FakeHub()
        self.candidates: list[Candidate] = []
        self.number = 0
        self.snapshot: Any = None
        self.led: set[str] = set()

    def add(self) -> None:
        self.number += 1
        made = Candidate(self.hub, f"c{self.number}")
        made.way.there = lambda: self.roll.choice([0.0, 0.01, 0.2, self.roll.random() * 4])
        made.way.back = lambda: self.roll.choice([0.0, 0.01, 0.2, self.roll.random() * 4])
        self.candidates.append(made.start())

    async def happen(self, what: str) -> None:
        each = self.roll.choice(self.candidates)
        match what:
            case "away":
                each.way.away = not each.way.away
            case "mute":
                each.way.muted = not each.way.muted
            case "suspend":
                each.suspended += self.roll.random() * 60
            case "clock":
                each.wall += self.roll.uniform(-4000, 4000)
            case "kill" | "stop":
                await (each.kill() if what == "kill" else each.stop())
                self.candidates.remove(each)
                self.add()
            case "backup":
                held = self.hub.get(LEASES, WHERE)
                if held is not None and held["spec"]["holderIdentity"]:
                    self.snapshot = self.hub.snapshot()
            case "restore" if self.snapshot is not None:
                await self.restore()
            case "heal":
                for one in self.candidates:
                    one.way.away = one.way.muted = False

    async def restore(self) -> None:
        """API servers are stopped meanwhile, for longer than renewDeadline (docs/safety.md says why that counts)."""
        before = [(each, each.way.away) for each in self.candidates]
        for each in self.candidates:
            each.way.away = True
        for _ in range(220):
            await asyncio.sleep(0.05)
            self.check()
        self.hub.restore(self.snapshot, bump=10_000)
        self.snapshot = None
        for each, was in before:
            each.way.away = was

    async def run(self, happenings: list[tuple[str, float]]) -> None:
        for _ in range(3):
            self.add()
        for what, seconds in happenings:
            await self.happen(what)
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                await asyncio.sleep(0.05)
                self.check()
        await self.happen("heal")
        for each in self.candidates:
            each.way.there = each.way.back = lambda: 0.01
        for _ in range(1_200):
            await asyncio.sleep(0.05)
            self.check()
            for each in [each for each in self.candidates if each.ended]:
                self.candidates.remove(each)  # it is started anew, and then it is one that was never ended
        leads = [each for each in self.candidates if each.leads]
        assert len(leads) == 1 or not self.candidates, "in the end somebody leads"
        for each in self.candidates:
            await each.kill()

    def check(self) -> None:
        passes = [each.elector.identity for each in self.candidates if each.fence.open]
        self.led.update(passes)
        assert len(passes) <= 1, f"two may write: {passes}"


HAPPENINGS = ("away", "mute", "suspend", "clock", "kill", "stop", "backup", "restore", "heal", "nothing")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    happenings=st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.floats(0.1, 20.0)), max_size=14),
)
def test_never_may_two_write(seed: int, happenings: list[tuple[str, float]]) -> None:
    """Slow, cut and mute ways to the hub, suspended machines, clocks that jump, kills, restarts, a restored hub."""

    @virtual
    async def test() -> None:
        with capture_logs():
            await Trial(seed).run(happenings)

    test()


@virtual
async def test_a_lease_that_only_a_watch_has_shown_is_known() -> None:
    """A process is ready when it could lead; it asks for nothing that it was told."""
    hub = FakeHub()
    first, second = Candidate(hub, "a").start(), Candidate(hub, "b")
    await asyncio.sleep(1)
    watch(hub, second)
    second.start()
    await asyncio.sleep(1)
    assert second.elector.leader == "a"
    assert second.elector.problem == ""
    assert second.way.asked == 0
    for each in (first, second):
        await each.kill()
