"""Raw data to medians with their spread, for each figure of each subject under each place. Pure.

A round is what repeats: a step's values become one number (a percentile of a latency, the median of other trials), and
the median and the range are those over the rounds. One round has no range.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from federation.comparing import counting
from federation.comparing.figures import FIGURES
from federation.comparing.model import Ended, Place, Run, Sample, State

At = tuple[tuple[str, int | float | str], ...]
"""A place, in the order of its keys."""

PARTS: Mapping[str, tuple[float, int]] = {"p50": (0.5, 1), "p95": (0.95, 20), "p99": (0.99, 100), "max": (1.0, 1)}
"""Of a latency: the share of the values that are not above it, and how many values a round must have for it. With fewer
than 20 values the 95th percentile would be their maximum by another name."""

LATENCIES = frozenset({"latency", "member_latency"})


@dataclass(frozen=True, slots=True)
class Key:
    """What a median is of. `subject` as `named` says."""

    machine: str
    scenario: str
    subject: str
    figure: str
    part: str = ""
    """Of PARTS; empty for figures that are no latencies."""
    at: At = ()

    @property
    def where(self) -> dict[str, int | float | str]:
        """The place."""
        return dict(self.at)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure: its value in each round, in order."""

    key: Key
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.rounds)

    @property
    def low(self) -> float:
        """The least of the rounds."""
        return min(self.rounds)

    @property
    def high(self) -> float:
        """The greatest of the rounds."""
        return max(self.rounds)

    def in_terms_of(self, bare: Sequence[float]) -> "Measured":
        """Every round in terms of every measurement of the bare client, so that the range has the spread of both."""
        return Measured(self.key, tuple(value / part for value in self.rounds for part in bare))


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is known of some runs. The first run's machine is the one that verdicts are about."""

    runs: Sequence[Run]
    measured: Mapping[Key, Measured]

    @property
    def machine(self) -> str:
        """The identity of the first run's."""
        return self.runs[0].machine.identity

    def of(self, scenario: str, figure: str, *, part: str = "", subject: str = "", machine: str = "") -> list[Measured]:
        """Those of a figure, in the order of their places; empty arguments select all."""
        return [
            each
            for key, each in self.measured.items()
            if (key.scenario, key.figure) == (scenario, figure)
            and part in ("", key.part)
            and subject in ("", key.subject)
            and machine in ("", key.machine)
        ]

    def subjects(self, scenario: str = "", machine: str = "") -> list[str]:
        """That something was measured of, in the order of the runs."""
        return list(
            dict.fromkeys(
                key.subject for key in self.measured if scenario in ("", key.scenario) and machine in ("", key.machine)
            )
        )

    def bare(self, machine: str, phase: object) -> list[float]:
        """CPU ms per object of the bare client there, each time that it was measured."""
        return [
            value
            for run in self.runs
            if run.machine.identity == machine
            for value in run.bare_ms.get(str(phase), ())
            if value > 0
        ]

    def unfinished(self, scenario: str) -> list[Ended]:
        """Steps that did not do all, and so count for nothing."""
        return [
            ended
            for run in self.runs
            for ended in run.steps
            if ended.step.scenario == scenario and ended.state is not State.DONE
        ]


def summarise(runs: Sequence[Run]) -> Summary:
    """The medians. Only steps that were done count. Raises ValueError for a figure or a finding that nobody knows."""
    if not runs:
        raise ValueError("there is no run to make a report of")
    rounds: dict[Key, dict[tuple[int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    names = named(runs)
    for number, run in enumerate(runs):
        for sample in _samples(run):
            if sample.figure not in FIGURES:
                raise ValueError(f"{sample.scenario}: the figure {sample.figure!r} is not known")
            subject = names[number][sample.subject]
            key = Key(run.machine.identity, sample.scenario, subject, sample.figure, at=_place(sample.at))
            rounds[key][number, sample.round].extend(sample.values)
    _add_sums(rounds)
    measured = [each for key, values in rounds.items() for each in _measured(key, values)]
    return Summary(runs, {each.key: each for each in sorted(measured, key=_Order(list(rounds)))})


def named(runs: Sequence[Run]) -> list[dict[str, str]]:
    """What the report calls the subjects of each run. One name means one thing: a subject that a run of the same
    machine has measured in other versions gets the run's number."""
    taken: dict[tuple[str, str], Mapping[str, str]] = {}
    found: list[dict[str, str]] = []
    for number, run in enumerate(runs, start=1):
        names = {}
        for subject in dict.fromkeys(ended.step.subject for ended in run.steps):
            versions = taken.setdefault((run.machine.identity, subject), run.versions)
            names[subject] = subject if versions == run.versions else f"{subject} (run {number})"
        found.append(names)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The least of `values` that at least `share` of them are not above (nearest rank): always a value that was
    measured."""
    ranked = sorted(values)
    return ranked[math.ceil(share * len(ranked)) - 1]


def _samples(run: Run) -> Iterator[Sample]:
    done = [ended for ended in run.steps if ended.state is State.DONE]
    for ended in done:
        yield from ended.samples
    yield from counting.counted([finding for ended in done for finding in ended.findings])


def _place(at: Place) -> At:
    return tuple(sorted(at.items()))


def _add_sums(rounds: dict[Key, dict[tuple[int, int], list[float]]]) -> None:
    """The figures that are sums of others, of the rounds that have them all."""
    for figure in FIGURES.values():
        if not figure.sums:
            continue
        for key in [key for key in rounds if key.figure == figure.sums[0]]:
            parts = [
                rounds.get(Key(key.machine, key.scenario, key.subject, name, at=key.at), {}) for name in figure.sums
            ]
            for number in [number for number in parts[0] if all(number in part for part in parts)]:
                total = sum(statistics.median(part[number]) for part in parts)
                rounds[Key(key.machine, key.scenario, key.subject, figure.name, at=key.at)][number] = [total]


def _measured(key: Key, rounds: Mapping[tuple[int, int], Sequence[float]]) -> Iterator[Measured]:
    values = [rounds[number] for number in sorted(rounds) if rounds[number]]
    if not values:
        return
    if key.figure not in LATENCIES:
        yield Measured(key, tuple(statistics.median(each) for each in values))
        return
    for part, (share, least) in PARTS.items():
        if min(len(each) for each in values) >= least:
            one = Key(key.machine, key.scenario, key.subject, key.figure, part, key.at)
            yield Measured(one, tuple(percentile(each, share) for each in values))


class _Order:
    """The order in a report: as the runs came, and places from small to large."""

    def __init__(self, keys: Iterable[Key]) -> None:
        keys = list(keys)
        self._machines = list(dict.fromkeys(key.machine for key in keys))
        self._subjects = list(dict.fromkeys(key.subject for key in keys))
        self._figures = list(FIGURES)
        self._parts = ["", *PARTS]

    def __call__(self, each: Measured) -> tuple[object, ...]:
        key = each.key
        return (
            self._machines.index(key.machine),
            key.scenario,
            self._figures.index(key.figure),
            self._parts.index(key.part),
            [(name, isinstance(value, str), phase_order(value)) for name, value in key.at],
            self._subjects.index(key.subject),
        )


PHASES = ("create", "update", "delete", "rest")


def phase_order(value: int | float | str) -> tuple[float, str]:
    """Sorts numbers by value, phases as they follow each other, and other words by letters."""
    if not isinstance(value, str):
        return float(value), ""
    return (float(PHASES.index(value)), "") if value in PHASES else (len(PHASES), value)
