"""Who gets which connection, and when: few are shared, nobody waits for those that hang, and idle ones are closed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from federation.kube import pool as pools
from federation.kube.dialing import Dialer
from federation.kube.pool import FEW, HANGS, KEPT, KEPT_BEYOND, MOST, Pool
from federation.kube.sockets import Sockets
from federation.kube.transport import HttpConnection
from tests.unit.virtualtime import settle, virtual


class Faked:
    """A connection without a socket."""

    def __init__(self, lost: Callable[[Any], None]) -> None:
        self.uses = 0
        self.sent = asyncio.get_running_loop().time()
        self.idle_since = 0.0
        self.counted = self.closed = False
        self.reusable = True
        self._lost = lost

    def close(self) -> None:
        if not self.closed:
            self.closed, self.reusable = True, False
            asyncio.get_running_loop().call_soon(self._lost, self)

    abort = close


class Dialing:
    """Opens connections without sockets; `takes` seconds for each."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.opened: list[Faked] = []
        self.watches = 0
        self.fails: list[Exception] = []
        self.lost = False
        """Connections end before the one who asked for them takes a turn."""
        self.kept = 0

    async def dial(self, lost: Callable[[Any], None], *, watch: bool = False) -> Faked:
        await asyncio.sleep(self.takes)
        if self.fails:
            raise self.fails.pop()
        connection = Faked(lost)
        self.opened.append(connection)
        self.watches += watch
        if self.lost:
            connection.closed, connection.reusable = True, False
            lost(connection)
        return connection

    def keep_session(self, connection: Faked) -> None:
        self.kept += 1


class Fleet:
    """One pool, and requests on it."""

    def __init__(self, *, few: int = FEW, takes: float = 0.0, sockets: Sockets | None = None) -> None:
        self.dialing = Dialing(takes)
        self.sockets = sockets or Sockets(lambda: 1_000)
        self.pool = Pool(cast("Dialer", self.dialing), self.sockets, few=few)
        self.order: list[str] = []

    async def take(self, *, urgent: bool = False) -> HttpConnection:
        connection = self.pool.take_idle(urgent=urgent) or await self.pool.wait(urgent=urgent)
        return connection if connection is not None else await self.pool.open_new(urgent=urgent)

    async def request(self, name: str, seconds: float, *, urgent: bool = False) -> None:
        connection = await self.take(urgent=urgent)
        self.order.append(name)
        connection.sent = asyncio.get_running_loop().time()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.pool.drop(connection)
            raise
        connection.uses += 1
        self.pool.give_back(connection)

    def start(self, name: str, seconds: float, **how: Any) -> asyncio.Task[None]:
        return asyncio.create_task(self.request(name, seconds, **how))

    @property
    def opened(self) -> int:
        return len(self.dialing.opened)


@contextlib.contextmanager
def closing(*tasks: asyncio.Task[None]) -> Iterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


@virtual
async def test_many_requests_share_few_connections_first_come_first_served() -> None:
    fleet = Fleet()
    names = [f"r{number}" for number in range(40)]
    await asyncio.gather(*(fleet.request(name, 0.01) for name in names))
    assert fleet.order == names
    assert (fleet.opened, fleet.pool.idle, fleet.pool.open) == (FEW, FEW, FEW)


@virtual
async def test_one_after_the_other_they_use_one_connection() -> None:
    fleet = Fleet()
    for number in range(20):
        await fleet.request(f"r{number}", 0.01)
    assert fleet.opened == 1
    assert fleet.dialing.kept == 1


@virtual
async def test_the_newest_is_used_first_and_the_others_grow_old() -> None:
    fleet = Fleet()
    await asyncio.gather(*(fleet.request(f"r{number}", 0.01) for number in range(FEW)))
    for _ in range(int(KEPT) + 20):
        await fleet.request("one", 0.01)
        await asyncio.sleep(1)
    assert (fleet.opened, fleet.pool.open) == (FEW, 1)


@virtual
async def test_idle_connections_are_closed_before_an_api_server_closes_them() -> None:
    fleet = Fleet()
    await fleet.request("one", 0.01)
    await asyncio.sleep(KEPT - 1)
    assert fleet.pool.open == 1
    await asyncio.sleep(KEPT_BEYOND + 1)
    assert (fleet.pool.open, fleet.dialing.opened[0].closed) == (0, True)
    assert KEPT + KEPT_BEYOND <= 90, "kube-apiserver's idle timeout"


@virtual
async def test_a_probe_waits_for_no_write() -> None:
    fleet = Fleet()
    writes = [fleet.start(f"w{number}", 5.0) for number in range(FEW * 2)]
    await asyncio.sleep(0.1)
    with closing(*writes):
        await asyncio.wait_for(fleet.request("probe", 0.01, urgent=True), 0.1)
        assert fleet.opened == FEW + 1
        for _ in range(3):  # its connection is kept for it
            await fleet.request("probe", 0.01, urgent=True)
        assert fleet.opened == FEW + 1
        assert fleet.order[:FEW] == [f"w{number}" for number in range(FEW)]
        assert fleet.order[FEW:] == ["probe"] * 4


@virtual
async def test_a_server_that_is_far_gets_more_connections() -> None:
    fleet = Fleet()
    await fleet.request("first", 0.09)
    tasks = [fleet.start(f"r{number}", 0.1) for number in range(20)]
    await asyncio.sleep(0.05)
    assert fleet.opened == 8
    await asyncio.gather(*tasks)
    farther = Fleet()
    await farther.request("first", 1.0)
    await asyncio.gather(*(farther.request(f"r{number}", 1.0) for number in range(50)))
    assert farther.opened == MOST


@virtual
async def test_a_slow_response_does_not_make_a_near_server_a_far_one() -> None:
    fleet = Fleet()
    await fleet.request("near", 0.005)
    for _ in range(3):
        await fleet.request("slow", 0.3)
    assert fleet.pool.most == FEW
    await asyncio.sleep(2 * pools.BEST)
    for _ in range(2):  # now it is slow for good
        await fleet.request("slow", 0.09)
        await asyncio.sleep(pools.BEST)
    assert fleet.pool.most == 8


@virtual
async def test_where_none_comes_back_everybody_gets_one() -> None:
    fleet = Fleet()
    hanging = [fleet.start(f"h{number}", 1_000.0) for number in range(14)]
    await asyncio.sleep(0.01)
    began = asyncio.get_running_loop().time()
    with closing(*hanging):
        await fleet.request("other", 0.01)
        assert asyncio.get_running_loop().time() - began == pytest.approx(HANGS, abs=0.1)
        assert fleet.order[-1] == "other"
        assert (fleet.opened, fleet.sockets.waiting) == (15, 0)
        began = asyncio.get_running_loop().time()
        for _ in range(10):
            await fleet.request("other", 0.01)
        assert asyncio.get_running_loop().time() - began < 2 * HANGS, "those that hang are known"
    await settle()
    await asyncio.sleep(KEPT_BEYOND * 2 + 1)
    assert (fleet.pool.most, fleet.sockets.waiting) == (FEW, 0)
    assert fleet.pool.open <= FEW + 1


@virtual
async def test_where_requests_wait_for_many_servers_it_is_an_overload() -> None:
    sockets = Sockets(lambda: 10_000)
    fleets = [Fleet(sockets=sockets) for _ in range(1 + 4 * pools.MANY)]
    slow = [fleet.start(f"r{number}", HANGS * 4) for fleet in fleets for number in range(FEW + 12)]
    await asyncio.sleep(0.01)
    assert sockets.waiting == len(fleets)
    await asyncio.gather(*slow)
    assert [fleet.opened for fleet in fleets] == [FEW] * (pools.MANY + 1) + [pools.CROWDED] * (3 * pools.MANY)
    assert sockets.waiting == 0


@virtual
async def test_slow_is_not_hanging() -> None:
    fleet = Fleet()
    await fleet.request("near", 0.001)
    await asyncio.gather(*(fleet.request(f"r{number}", HANGS * 0.9) for number in range(40)))
    assert fleet.opened == FEW


@virtual
async def test_whoever_gives_up_leaves_his_place() -> None:
    fleet = Fleet()
    first = [fleet.start(f"w{number}", 0.3) for number in range(FEW)]
    await asyncio.sleep(0)
    waiting = [fleet.start(f"late{number}", 0.1) for number in range(3)]
    await asyncio.sleep(0.1)
    waiting[0].cancel()
    await settle()
    await asyncio.gather(*first)
    await asyncio.gather(*waiting[1:])
    assert fleet.order[FEW:] == ["late1", "late2"]


@virtual
async def test_a_connection_that_comes_too_late_goes_to_the_next() -> None:
    """Cancelled in the same turn of the loop in which its connection came."""
    fleet = Fleet(few=1)
    connection = await fleet.take()
    first, second = fleet.start("first", 0.1), fleet.start("second", 0.1)
    await settle()
    connection.uses += 1
    fleet.pool.give_back(connection)
    first.cancel()
    await second
    assert (fleet.order, fleet.opened) == (["second"], 1)


@virtual
async def test_a_connection_that_fails_makes_room() -> None:
    fleet = Fleet(few=1)
    connection = await fleet.take()
    waiting = fleet.start("next", 0.1)
    await settle()
    fleet.pool.drop(connection)
    await waiting
    assert (fleet.opened, fleet.pool.open) == (2, 1)


@virtual
async def test_one_that_cannot_be_opened_makes_room() -> None:
    fleet = Fleet(few=1, takes=0.1)
    fleet.dialing.fails = [OSError("no")]
    first, second = fleet.start("first", 0.1), fleet.start("second", 0.1)
    with pytest.raises(OSError, match="no"):
        await first
    await second
    assert fleet.order == ["second"]


@virtual
async def test_one_that_is_not_reusable_is_closed() -> None:
    fleet = Fleet()
    connection = cast("Any", await fleet.take())
    connection.reusable = False
    fleet.pool.give_back(connection)
    await settle()
    assert (connection.closed, fleet.pool.idle, fleet.pool.open) == (True, 0, 0)


@virtual
async def test_one_that_the_server_closes_while_it_is_idle_is_gone() -> None:
    fleet = Fleet()
    await fleet.request("one", 0.01)
    fleet.dialing.opened[0].close()
    await settle()
    assert (fleet.pool.idle, fleet.pool.open) == (0, 0)
    await fleet.request("two", 0.01)
    assert fleet.opened == 2


@virtual
async def test_another_for_one_that_was_closed_takes_no_more_room() -> None:
    fleet = Fleet(few=1)
    connection = await fleet.take()
    connection = await fleet.pool.take_another(connection)
    waiting = fleet.start("next", 0.1)
    await asyncio.sleep(0.01)
    assert (fleet.opened, fleet.order) == (2, [])
    fleet.pool.give_back(connection)
    await waiting
    assert fleet.opened == 2


@virtual
async def test_watches_take_nothing_from_requests() -> None:
    fleet = Fleet()
    watches = [await fleet.pool.take_for_watch() for _ in range(30)]
    assert fleet.dialing.watches == 30
    await asyncio.gather(*(fleet.request(f"r{number}", 0.01) for number in range(FEW)))
    assert fleet.opened == 30 + FEW
    for watch in watches[:2]:  # it ended in good order: the next one goes on there
        fleet.pool.give_back(watch, timed=False)
        assert await fleet.pool.take_for_watch() is watch
    assert fleet.pool.most == FEW


@virtual
async def test_closed_it_opens_nothing() -> None:
    fleet = Fleet(few=1, takes=0.1)
    opening = fleet.start("opening", 0.1)
    waiting = fleet.start("waiting", 0.1)
    await asyncio.sleep(0.05)
    fleet.pool.close()
    for task in (opening, waiting):
        with pytest.raises(ConnectionAbortedError):
            await task
    with pytest.raises(ConnectionAbortedError):
        await fleet.pool.take_for_watch()
    await settle()
    assert fleet.pool.open == 0


@virtual
async def test_at_the_limit_of_the_process_idle_connections_make_room() -> None:
    fleet = Fleet()
    await asyncio.gather(*(fleet.request(f"r{number}", 0.01) for number in range(3)))
    fleet.pool.close_idle()
    await settle()
    assert (fleet.pool.idle, fleet.pool.open, fleet.dialing.opened[0].closed) == (2, 2, True)


@virtual
async def test_one_that_ends_while_it_is_opened_is_not_kept() -> None:
    fleet = Fleet(few=1)
    fleet.dialing.lost = True
    for _ in range(3):
        fleet.pool.drop(await fleet.take())
    fleet.pool.give_back(await fleet.pool.take_for_watch(), timed=False)
    assert (fleet.opened, fleet.pool.open, fleet.pool.idle) == (4, 0, 0)


@virtual
async def test_those_that_wait_are_served_when_a_server_turns_out_to_be_far() -> None:
    fleet = Fleet()
    await asyncio.gather(*(fleet.request(f"r{number}", 0.2) for number in range(60)))
    assert fleet.opened == MOST


@virtual
async def test_a_server_that_closes_after_each_response_does_not_hang() -> None:
    fleet = Fleet()
    open_at_once = 0

    async def request() -> None:
        nonlocal open_at_once
        connection = cast("Any", await fleet.take())
        open_at_once = max(open_at_once, fleet.pool.open)
        connection.sent = asyncio.get_running_loop().time()
        await asyncio.sleep(0.04)
        connection.reusable = False
        fleet.pool.give_back(connection)
        await settle()

    await asyncio.gather(*(request() for _ in range(200)))
    assert (fleet.opened, open_at_once) == (200, FEW)
