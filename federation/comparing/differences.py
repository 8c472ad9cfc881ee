"""Whether two measured figures differ, and how subjects' costs grow. Pure; its thresholds stand in every report."""

from dataclasses import dataclass
from enum import StrEnum

from federation.comparing.figures import FIGURES, Read
from federation.comparing.summary import Measured, Summary


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that decides, and why it is that."""

    name: str
    value: float
    why: str


TIMED = Threshold(
    "ratio of medians, times and CPU and memory",
    1.25,
    "one subject measured twice on a shared machine differs by up to a fifth; less than a quarter is no difference",
)
COUNTED = Threshold(
    "ratio of medians, counts",
    1.1,
    "requests and bytes are exact, but for a retry or a heartbeat that falls into the phase or beside it",
)
ONE_ROUND = Threshold(
    "ratio of medians, times and CPU and memory of one round",
    2.0,
    "one round has no spread, so nothing says what it would be next time; it has to be double to be a difference",
)
ELSEWHERE = Threshold(
    "ratio of medians, CPU in terms of the bare client on two machines",
    2.0,
    "machines differ by more than speed, and the bare client itself by up to half with how warm it is",
)
THRESHOLDS = (TIMED, COUNTED, ONE_ROUND, ELSEWHERE)

OVERLAP = "the ranges over the rounds overlap"


class Outcome(StrEnum):
    """Of a comparison, for the first of the two."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "no difference"
    APART = "not comparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first (`one`) beside the `other`, under one place."""

    one: Measured
    other: Measured
    outcome: Outcome
    why: str = ""
    """Of SAME and APART."""
    by_bare: bool = False
    """Both are in proportion to the bare client of their machines, as `one` and `other` are then."""

    @property
    def ratio(self) -> float | None:
        """The first's median in terms of the other's; None where that is 0."""
        return self.one.median / self.other.median if self.other.median else None


def compare(summary: Summary, one: Measured, other: Measured) -> Comparison:
    """On one machine as measured. Across machines counts as they are, CPU by ratio to the bare client, times never."""
    figure = FIGURES[one.key.figure]
    if one.key.machine != other.key.machine and not figure.portable:
        bares = [summary.bare(each.key.machine, each.key.where.get("phase")) for each in (one, other)]
        if figure.read is not Read.PROCESS or figure.unit not in ("ms/object", "ms/placement") or not all(bares):
            return Comparison(one, other, Outcome.APART, "measured on different machines")
        one, other = (each.in_terms_of(bare) for each, bare in zip((one, other), bares, strict=True))
        return _judged(one, other, by_bare=True)
    return _judged(one, other, by_bare=False)


def _judged(one: Measured, other: Measured, *, by_bare: bool) -> Comparison:
    figure = FIGURES[one.key.figure]
    least = COUNTED
    if by_bare:
        least = ELSEWHERE
    elif figure.varies:
        least = ONE_ROUND if min(len(one.rounds), len(other.rounds)) == 1 else TIMED
    if one.low <= other.high and other.low <= one.high:
        return Comparison(one, other, Outcome.SAME, _overlap(one, other), by_bare)
    less, more = sorted((one.median, other.median))
    if more < less * least.value:
        return Comparison(one, other, Outcome.SAME, f"the medians' ratio is below {least.value:g}", by_bare)
    worse = (one.median > other.median) == figure.less_is_better
    return Comparison(one, other, Outcome.WORSE if worse else Outcome.BETTER, "", by_bare)


def _overlap(one: Measured, other: Measured) -> str:
    return "they are equal" if len({*one.rounds, *other.rounds}) == 1 else OVERLAP
