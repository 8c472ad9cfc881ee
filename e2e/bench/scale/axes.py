"""Where a value stands on an axis, and which values are marked on it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` at the pixel `begin` to `high` at the pixel `end`, evenly or by orders of magnitude."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool
    ticks: Sequence[float]

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, here = (
            (math.log10(self.low), math.log10(self.high), math.log10(value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return round(self.begin + (here - low) / (high - low) * (self.end - self.begin), 1)


def sizes(values: Sequence[float], begin: float, end: float, *, room: float) -> Axis:
    """Of the sizes of fleets: a mark at each, unless it had less than `room` pixels."""
    known = sorted(set(values)) or [1.0]
    axis = Axis(known[0] / 1.4, known[-1] * 1.4, begin, end, logarithmic=True, ticks=())
    marked: list[float] = []
    for value in reversed(known):  # the largest fleet is the one that is asked for
        if not marked or axis.at(marked[-1]) - axis.at(value) >= room:
            marked.append(value)
    return Axis(axis.low, axis.high, begin, end, logarithmic=True, ticks=marked[::-1])


def linear(values: Sequence[float], begin: float, end: float) -> Axis:
    """From 0 to a round number above all."""
    highest = max(values, default=0.0) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(each * magnitude for each in (1, 2, 2.5, 5, 10) if each * magnitude * 5 >= highest)
    count = math.ceil(highest / step - 1e-9)
    return Axis(0.0, step * count, begin, end, logarithmic=False, ticks=[step * number for number in range(count + 1)])


def logarithmic(values: Sequence[float], begin: float, end: float) -> Axis:
    """From 1, 2 or 5 times a power of ten below all positive values to another one above them."""
    positive = [value for value in values if value > 0] or [1.0]
    steps = [
        float(f"{each}e{power}")
        for power in range(math.floor(math.log10(min(positive))) - 1, math.ceil(math.log10(max(positive))) + 2)
        for each in (1, 2, 5)
    ]
    low = max(step for step in steps if step < min(positive))
    high = min(step for step in steps if step > max(positive))
    ticks = [step for step in steps if low <= step <= high]
    return Axis(low, high, begin, end, logarithmic=True, ticks=ticks)
