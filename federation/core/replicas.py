"""Spread replicas over clusters: how many each is to have. Pure; called by scheduling.

KubeFed's rules, in its order: first the minima, those of large weights first; then, without rebalancing, what runs
already; then the rest by weight, up to the maxima and to the room that clusters have shown to have; clusters of weight
0 get none of it. What nobody has room for is asked for all the same where a maximum allows it, because room may come
(KubeFed's overflow). What differs from KubeFed is rounding: KubeFed rounded every share up, in order, until nothing was
left (5 over 4 equal clusters: 2, 2, 1, 0). Here every share is rounded up or down, and one replica more never takes one
from a cluster. That is Balinski's and Young's quota method: the next replica goes to a cluster that has fewer than its
share of the total with that replica; of those, to the one whose next replica is due first.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, TypeVar

Number = TypeVar("Number", int, Fraction)

LARGE = 5_000
"""Replicas up to which they are given one by one, beside whole rounds. More are divided at once, where one replica more
in all may move another one: nobody sees that in thousands, and one by one takes some microseconds each."""
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619


@dataclass(frozen=True, slots=True)
class Share:
    """What one cluster may have: `least`, `most` (None: no limit) and `weight` as the preference says, `room` for no
    more than so many (None: unknown), and `keeps` as many as run there as long as the total allows it."""

    name: str
    weight: int = 0
    least: int = 0
    most: int | None = None
    room: int | None = None
    keeps: int = 0


def plan(total: int, shares: Iterable[Share], key: str) -> dict[str, int]:
    """How many replicas each cluster is to have: `total` in all, or less where maxima or weights allow no more.

    `key` is the object's namespace/name: equal weights are served in the order of a hash of both names, as in KubeFed.
    """
    ordered = sorted(shares, key=lambda share: (-share.weight, _hash(share.name + key), share.name))
    numbers = dict.fromkeys((share.name for share in ordered), 0)
    left = _give_minima(total, ordered, numbers, crowded=False)
    left = _keep(left, ordered, numbers)
    left = _by_weight(left, ordered, numbers, [_smaller(share.most, share.room) for share in ordered])
    if left:
        left = _give_minima(left, ordered, numbers, crowded=True)
        _by_weight(left, ordered, numbers, [share.most for share in ordered])
    return numbers


def _give_minima(left: int, ordered: Sequence[Share], numbers: dict[str, int], *, crowded: bool) -> int:
    """Give each its minimum, within its room unless `crowded`; what is left."""
    for share in ordered:
        least = share.least if share.most is None else min(share.least, share.most)
        wanted = least if crowded or share.room is None else min(least, share.room)
        given = min(left, max(0, wanted - numbers[share.name]))
        numbers[share.name] += given
        left -= given
    return left


def _keep(left: int, ordered: Sequence[Share], numbers: dict[str, int]) -> int:
    """Leave each what it runs. Where that is more than there is left, all give up by weight, and those without any
    first."""
    kept = [
        replace(share, most=_smaller(_smaller(share.most, share.room), share.keeps))
        for share in ordered
        if share.keeps > numbers[share.name]
    ]
    left = _by_weight(left, kept, numbers, [share.most for share in kept])
    unweighted = [replace(share, weight=1) for share in kept if not share.weight]
    return _by_weight(left, unweighted, numbers, [share.most for share in unweighted])


def _by_weight(left: int, shares: Sequence[Share], numbers: dict[str, int], most: Sequence[int | None]) -> int:
    """Give what is left by weight, so that what each has beyond its minimum is in proportion; what is left then."""
    base = {share.name: min(share.least, numbers[share.name]) for share in shares}
    slots = [
        _Slot(order, share.weight, numbers[share.name] - base[share.name], high and max(0, high - base[share.name]))
        for order, (share, high) in enumerate(zip(shares, most, strict=True))
        if share.weight > 0 and (high is None or high > numbers[share.name])
    ]
    given = _fill(left, slots)
    for slot, number in zip(slots, given, strict=True):
        numbers[shares[slot.order].name] = base[shares[slot.order].name] + number
    return left - sum(given) + sum(slot.low for slot in slots)


class _Slot(NamedTuple):
    """A cluster in one division: it has `low` and may have up to `high` (None: any number)."""

    order: int
    weight: int
    low: int
    high: int | None


def _fill(amount: int, slots: Sequence[_Slot]) -> list[int]:
    """Divide `amount` beside what they have; each one's number afterwards."""
    capacity = None if any(slot.high is None for slot in slots) else sum((slot.high or 0) - slot.low for slot in slots)
    if capacity is not None:
        amount = min(amount, capacity)
    if not slots or amount <= 0:
        return [slot.low for slot in slots]
    divisor = math.gcd(*(slot.weight for slot in slots))
    slots = [slot._replace(weight=slot.weight // divisor) for slot in slots]
    begun, left = _whole_rounds(amount, slots)
    return _at_once(left, begun) if left > LARGE else _one_by_one(left, begun)


def _whole_rounds(amount: int, slots: Sequence[_Slot]) -> tuple[list[_Slot], int]:
    """Give as often as there is enough for all, to each its weight; who has more already waits for the others.

    There every share is a whole number, so that to give one by one would have come to the same.
    """

    def given(rounds: int) -> list[int]:
        return [_within(slot.weight * rounds, slot) for slot in slots]

    least, most = 0, amount + max(slot.low for slot in slots) + 1
    had = sum(slot.low for slot in slots)
    while most - least > 1:
        middle = (least + most) // 2
        if sum(given(middle)) - had <= amount:
            least = middle
        else:
            most = middle
    numbers = given(least)
    return [slot._replace(low=number) for slot, number in zip(slots, numbers, strict=True)], amount - sum(numbers) + had


class _Level:
    """How full all are, as water in vessels: at level v each has weight * v, at least `low` and at most `high`.

    Levels are counted in 1/`unit`, of which every vessel's are whole numbers. `begun` had been poured in at level
    `base`; since then it rises by unit / `width` with each one.
    """

    def __init__(self, slots: Sequence[_Slot]) -> None:
        self.unit = math.lcm(*(slot.weight for slot in slots))
        self._base = self._width = 0
        self._begun = Fraction(0)
        self._until: float = -1
        self._events = [(self.of(slot, slot.low), slot.weight) for slot in slots]
        self._events += [(self.of(slot, slot.high), -slot.weight) for slot in slots if slot.high is not None]
        heapq.heapify(self._events)

    def of(self, slot: _Slot, number: int) -> int:
        """The level at which a vessel has so much."""
        return number * (self.unit // slot.weight)

    def _rise(self, amount: int) -> tuple[int, int]:
        """How far beyond `base` the level is when so much was poured in, in all: numerator and denominator."""
        while amount > self._until:
            self._base, self._begun = self._events[0][0], self._next()
            self._width += heapq.heappop(self._events)[1]
            self._until = math.inf if not self._events else math.floor(self._next()) if self._width else -1
        begun = self._begun
        return (amount * begun.denominator - begun.numerator) * self.unit, begun.denominator * self._width

    def _next(self) -> Fraction:
        """How much had been poured in at the next event."""
        return self._begun + Fraction((self._events[0][0] - self._base) * self._width, self.unit)

    def at(self, amount: int) -> Fraction:
        """The level when so much was poured in, in all. There must be room for it."""
        return self._base + Fraction(*self._rise(amount)) if amount else Fraction(self._base)

    def below(self, amount: int) -> int:
        """The highest level below that one which is a whole number."""
        numerator, denominator = self._rise(amount)
        return self._base - (-numerator // denominator) - 1


def _one_by_one(amount: int, slots: Sequence[_Slot]) -> list[int]:
    numbers = [slot.low for slot in slots]
    if not amount:
        return numbers
    level = _Level(slots)
    early = [(level.of(slot, slot.low), place) for place, slot in enumerate(slots) if slot.high != slot.low]
    heapq.heapify(early)
    due: list[tuple[int, int]] = []
    for given in range(1, amount + 1):
        at = level.below(given)
        while early and early[0][0] <= at:
            place = heapq.heappop(early)[1]
            heapq.heappush(due, (level.of(slots[place], numbers[place] + 1), place))
        place = heapq.heappop(due)[1]
        numbers[place] += 1
        slot = slots[place]
        if slot.high is None or numbers[place] < slot.high:
            heapq.heappush(early, (level.of(slot, numbers[place]), place))
    return numbers


def _at_once(amount: int, slots: Sequence[_Slot]) -> list[int]:
    level = _Level(slots)
    at = level.at(amount) / level.unit
    shares = [_within(slot.weight * at, slot) for slot in slots]
    numbers = [int(share) for share in shares]
    rest = amount - sum(number - slot.low for number, slot in zip(numbers, slots, strict=True))
    order = sorted(range(len(slots)), key=lambda place: (numbers[place] - shares[place], place))
    for place in order[:rest]:
        numbers[place] += 1
    return numbers


def _within(share: Number, slot: _Slot) -> Number:
    share = max(share, type(share)(slot.low))
    return share if slot.high is None else min(share, type(share)(slot.high))


def _smaller(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _hash(text: str) -> int:
    """FNV-1, 32 bits: KubeFed's."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = (value * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return value
