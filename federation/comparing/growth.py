"""How a cost grows with the members: a law fitted to the medians, and where it bends. Pure.

Two laws of two numbers each: a straight line (a fixed cost, and one for each member) and a power (what doubling the
members multiplies it by). Both are fitted to relative errors, because a noise of a tenth is as likely at 1 ms as at
1,000; the one whose errors are smaller is shown, with them. More numbers would fit anything that a laptop can measure.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from federation.comparing.differences import TIMED, Threshold
from federation.comparing.summary import Measured

FEWEST = 3
"""Sizes that a fit needs: any two points lie on a line."""

BEND = Threshold(
    "exponent between neighbouring sizes",
    1.5,
    "beyond a cost that doubles with the members, and halfway to one that quadruples; the least that the ranges "
    "leave, and of one round, which has no range, a quarter less",
)


_NOTHING = 1e-9
"""Of the first value: a fixed cost cannot be negative, but for what the machine's arithmetic makes of none."""
_DIGITS = 9
"""Of the sum of squares: of two laws that fit as well as each other no noise chooses; the line is the simpler."""


FITS = Threshold(
    "relative error of a law at any size",
    0.25,
    "as much as two measurements of the same may differ; a law that is further off is not one, and that is said",
)


class Law(StrEnum):
    """Of growth over n members."""

    LINE = "a + b·n"
    POWER = "a·n^b"


@dataclass(frozen=True, slots=True)
class Fit:
    """A law and its two numbers."""

    law: Law
    a: float
    b: float
    residuals: tuple[tuple[float, float], ...]
    """Members, and by which part of itself the measured median is above the law."""

    def at(self, members: float) -> float:
        """What it says for so many members."""
        return self.a + self.b * members if self.law is Law.LINE else self.a * members**self.b

    @property
    def worst(self) -> float:
        """The greatest of the residuals, without its sign."""
        return max(abs(part) for _, part in self.residuals)


def sizes(measured: Sequence[Measured]) -> list[tuple[float, Measured]]:
    """By members, from few to many."""
    found = [(float(each.key.where["members"]), each) for each in measured if "members" in each.key.where]
    return sorted(found, key=lambda pair: pair[0])


def lines(measured: Iterable[Measured]) -> dict[tuple[tuple[str, int | float | str], ...], list[Measured]]:
    """Those that differ by nothing but the members, by all else of their places."""
    found: dict[tuple[tuple[str, int | float | str], ...], list[Measured]] = {}
    for each in measured:
        if "members" in each.key.where:
            found.setdefault(tuple(pair for pair in each.key.at if pair[0] != "members"), []).append(each)
    return found


def fit(measured: Sequence[Measured]) -> Fit | None:
    """The better law, a line only where its fixed cost is none or more; None for fewer than FEWEST sizes, and where
    something is not above 0."""
    points = [(members, each.median) for members, each in sizes(measured)]
    if len({members for members, _ in points}) < FEWEST or any(m <= 0 or value <= 0 for m, value in points):
        return None
    line, power = _line(points), _power(points)
    laws = [line, power] if line.a >= -_NOTHING * points[0][1] else [power]
    return min(laws, key=lambda one: round(sum(part**2 for _, part in one.residuals), _DIGITS))


def bend(measured: Sequence[Measured]) -> float | None:
    """The fewest members from which on a cost grows by more than BEND, for sure: from the greatest of the rounds at one
    size to the least at the next, or by a quarter less where there is one round and so no range. None if it never
    does."""
    points = sizes(measured)
    for (few, before), (many, after) in itertools.pairwise(points):
        if before.high > 0 and after.low > 0 and many > few:
            margin = TIMED.value if min(len(before.rounds), len(after.rounds)) == 1 else 1.0
            exponent = math.log(after.low / before.high / margin) / math.log(many / few)
            if exponent > BEND.value:
                return many
    return None


def _power(points: Sequence[tuple[float, float]]) -> Fit:
    logs = [(math.log(members), math.log(value)) for members, value in points]
    slope, begin = _least_squares([(1.0, x, y) for x, y in logs])
    a = math.exp(begin)
    return Fit(Law.POWER, a, slope, _residuals(points, lambda members: a * members**slope))


def _line(points: Sequence[tuple[float, float]]) -> Fit:
    slope, begin = _least_squares([(1 / value**2, members, value) for members, value in points])
    return Fit(Law.LINE, begin, slope, _residuals(points, lambda members: begin + slope * members))


def _least_squares(points: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Slope and beginning of the line through weighted points (weight, x, y)."""
    weight = sum(w for w, _, _ in points)
    middle_x = sum(w * x for w, x, _ in points) / weight
    middle_y = sum(w * y for w, _, y in points) / weight
    slope = sum(w * (x - middle_x) * (y - middle_y) for w, x, y in points) / sum(
        w * (x - middle_x) ** 2 for w, x, _ in points
    )
    return slope, middle_y - slope * middle_x


def _residuals(points: Sequence[tuple[float, float]], law: Callable[[float], float]) -> tuple[tuple[float, float], ...]:
    return tuple((members, (value - law(members)) / value) for members, value in points)
