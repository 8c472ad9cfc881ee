"""What holds of a pool whatever happens to it: requests, probes and watches that end well or badly or are given up,
connections that cannot be opened, that take long or end at any moment, and a pool that is closed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

import pytest

from federation.kube.dialing import Dialer
from federation.kube.pool import FEW, HANGS, KEPT_BEYOND, MOST, Pool
from federation.kube.sockets import Sockets
from federation.kube.transport import HttpConnection
from tests.unit.kube.test_pool import Dialing, Faked
from tests.unit.virtualtime import settle, virtual

MOMENT = 1e-6
"""Seconds in which all that is due has happened: the virtual clock stands still until then."""


class Kind(Enum):
    """Who uses a connection."""

    REQUEST = auto()
    PROBE = auto()
    WATCH = auto()


class End(Enum):
    """What becomes of a use."""

    WELL = auto()
    CLOSED_AFTERWARDS = auto()
    ON_ANOTHER = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Start:
    """So many want a connection, for so long."""

    many: int
    kind: Kind
    seconds: float
    end: End


@dataclass(frozen=True, slots=True)
class GiveUp:
    """One of those who wait for a connection or use one is cancelled."""

    which: int


@dataclass(frozen=True, slots=True)
class Lose:
    """The server closes one of the connections."""

    which: int


@dataclass(frozen=True, slots=True)
class Dial:
    """From now on opening a connection takes so long; it fails, or the connection ends at once."""

    seconds: float
    fails: bool
    lost: bool


@dataclass(frozen=True, slots=True)
class Pass:
    """Time passes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """The pool is closed."""


Step = Start | GiveUp | Lose | Dial | Pass | Close


class _Dialing(Dialing):
    """Fails as long as it is told to."""

    failing = False

    async def dial(self, lost: Callable[[Any], None], *, watch: bool = False) -> Faked:
        connection = await super().dial(lost, watch=watch)
        if self.failing:
            connection.close()
            raise OSError("no")
        return connection


class Walk:
    """One pool, those who use it, and what they hold. `limited`: the server is near and nothing hangs."""

    def __init__(self, *, limited: bool) -> None:
        self.dialing = _Dialing()
        self.sockets = Sockets(lambda: 10_000)
        self.pool = Pool(cast("Dialer", self.dialing), self.sockets)
        self.limited = limited
        self.closed = False
        self.tasks: list[asyncio.Task[None]] = []
        self.held: Counter[Any] = Counter()
        self.waiting = self.requests = 0

    async def take_steps(self, steps: Iterable[Step], roll: random.Random) -> None:
        for step in steps:
            await self.take_step(step)
            if roll.random() < 0.4:
                await asyncio.sleep(MOMENT)
                self.check()
            else:
                await settle(roll.choice([0, 1, 2]))
        self.dialing.takes, self.dialing.failing, self.dialing.lost = 0.0, False, False
        await asyncio.sleep(60.0)
        assert all(task.done() for task in self.tasks), "one is forgotten"
        for task in self.tasks:
            if not task.cancelled():
                task.result()
        self.check()

    async def take_step(self, step: Step) -> None:
        match step:
            case Start():
                self.tasks += [asyncio.create_task(self.use(step)) for _ in range(step.many)]
            case GiveUp(which):
                if running := [task for task in self.tasks if not task.done()]:
                    running[which % len(running)].cancel()
            case Lose(which):
                if living := self.living():
                    living[which % len(living)].close()
            case Dial(seconds, fails, lost):
                self.dialing.takes, self.dialing.failing, self.dialing.lost = seconds, fails, lost
            case Pass(seconds):
                await asyncio.sleep(seconds)
            case Close():
                self.closed = True
                self.pool.close()

    def living(self) -> list[Faked]:
        return [connection for connection in self.dialing.opened if not connection.closed]

    def check(self) -> None:
        living = self.living()
        assert self.pool.open == len(living)
        assert self.pool.idle == sum(not self.held[connection] for connection in living), "one is nobody's"
        assert self.sockets.waiting == (self.waiting > 0)
        assert not self.waiting or self.requests >= self.pool.most, "one waits though there is room"

    async def use(self, start: Start) -> None:
        try:
            if start.kind is Kind.WATCH:
                await self.exchange(await self.pool.take_for_watch(), start)
            elif start.kind is Kind.PROBE:
                idle = self.pool.take_idle(urgent=True) or await self.pool.wait(urgent=True)
                await self.exchange(idle or await self.pool.open_new(urgent=True), start)
            else:
                await self.request(start)
        except OSError:
            pass  # it was lost or could not be opened, or the pool is closed; nothing else may happen to it

    async def request(self, start: Start) -> None:
        connection = self.pool.take_idle()
        if connection is None:
            self.waiting += 1
            try:
                connection = await self.pool.wait()
            finally:
                self.waiting -= 1
        self.requests += 1
        try:
            if connection is None:
                assert not self.limited or self.requests <= FEW, "one more than may be"
                connection = await self.pool.open_new()
            await self.exchange(connection, start)
        finally:
            self.requests -= 1

    async def exchange(self, connection: HttpConnection, start: Start) -> None:
        connection = await self.answered(connection, start)
        if start.end is End.ON_ANOTHER:
            connection = await self.answered(await self.pool.take_another(connection), start)
        connection.uses += 1
        if start.end is End.CLOSED_AFTERWARDS:
            cast("Any", connection).reusable = False
        self.pool.give_back(connection, timed=start.kind is not Kind.WATCH)

    async def answered(self, connection: HttpConnection, start: Start) -> HttpConnection:
        self.held[connection] += 1
        assert self.held[connection] == 1, "two use one connection"
        connection.sent = asyncio.get_running_loop().time()
        try:
            await asyncio.sleep(start.seconds)
            if connection.closed or start.end is End.BROKEN:
                raise ConnectionResetError
        except BaseException:
            self.pool.drop(connection)
            raise
        finally:
            self.held[connection] -= 1
        return connection

    async def check_end(self) -> None:
        """Nothing is left of what happened: as many requests as may be find room at once, and no more."""
        if self.closed:
            assert self.pool.open == 0
            with pytest.raises(ConnectionAbortedError):
                await self.pool.take_for_watch()
            return
        await asyncio.sleep(100.0)
        assert (self.pool.open, self.pool.idle, self.sockets.waiting) == (0, 0, 0)
        most = self.pool.most
        assert FEW <= most <= MOST
        more = [asyncio.create_task(self.request(Start(1, Kind.REQUEST, HANGS / 2, End.WELL))) for _ in range(most + 3)]
        await asyncio.sleep(MOMENT)
        assert (self.requests, self.waiting, self.pool.open) == (most, 3, most)
        await asyncio.gather(*more)


SLOW = 0.04
"""Seconds of a use that is no sign of a far server, nor of one that hangs."""


def _steps(roll: random.Random, uses: Sequence[float], ends: Sequence[End], *, dials: bool) -> Iterator[Step]:
    """Steps in which a use takes one of `uses` seconds, and so does opening a connection where `dials`."""
    pauses = [0.0, 0.01, SLOW, 0.3, 1.0, KEPT_BEYOND + 1]
    kinds = [*[Kind.REQUEST] * 4, Kind.PROBE, Kind.WATCH]
    for _ in range(roll.randrange(5, 60)):
        match roll.randrange(8):
            case 0:
                for _ in range(roll.randrange(1, 6)):
                    yield GiveUp(roll.randrange(50))
            case 1:
                yield Lose(roll.randrange(50))
            case 2 if dials:
                yield Dial(roll.choice(uses), roll.random() < 0.3, roll.random() < 0.3)
            case 3 | 4:
                yield Pass(roll.choice(pauses))
            case _:
                yield Start(roll.choice([1, 1, 2, 6, 20]), roll.choice(kinds), roll.choice(uses), roll.choice(ends))
    if roll.random() < 0.3:
        yield Close()
        yield Start(1, Kind.REQUEST, 0.0, End.WELL)


@pytest.mark.parametrize("seed", range(150))
@virtual
async def test_nothing_is_lost_or_used_twice_and_nobody_waits_for_nothing(seed: int) -> None:
    roll = random.Random(seed)
    walk = Walk(limited=False)
    await walk.take_steps(_steps(roll, [0.0, 0.001, SLOW, 0.2, 2.0], list(End), dials=True), roll)
    await walk.check_end()


@pytest.mark.parametrize("seed", range(75))
@virtual
async def test_where_nothing_hangs_there_are_no_more_than_there_may_be(seed: int) -> None:
    roll = random.Random(seed)
    walk = Walk(limited=True)
    ends = [End.WELL, End.CLOSED_AFTERWARDS, End.ON_ANOTHER]
    await walk.take_steps(_steps(roll, [0.0, 0.001, SLOW], ends, dials=False), roll)
    await walk.check_end()
