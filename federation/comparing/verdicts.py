"""From medians to a verdict for each claim. Pure: `rules` says what is compared, `differences` what a difference is.

Push is compared with every way of pull under the same places. Worse somewhere and better nowhere supports a claim,
better somewhere and worse nowhere refutes it, both depends on what tells the two apart. A claim that push refutes, or
that makes no difference, is supported for KubeFed only where at least half of what compares of KubeFed's own figures is
worse than pull's, and nothing better.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from federation.comparing import differences, wording
from federation.comparing.claims import Claim
from federation.comparing.differences import Comparison, Outcome
from federation.comparing.model import Subject
from federation.comparing.rules import RULES, Decider, Rule
from federation.comparing.summary import Measured, Summary

_Which = Callable[[str], bool]

PULLS = (Subject.PULL.value, Subject.PULL_BUNDLED.value)
KUBEFED = "kubefed"
"""How the name of a KubeFed begins, in any letters: of the reference's, and of one that somebody measured."""


class Word(StrEnum):
    """What is said of a claim."""

    SUPPORTS = "supports"
    REFUTES = "refutes"
    KUBEFED = "supports for KubeFed only"
    DEPENDS = "depends on"
    SAME = "no difference"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one claim."""

    claim: Claim
    word: Word
    on: str = ""
    """Of DEPENDS: on what, in words."""
    compared: tuple[Comparison, ...] = ()
    """Push beside each way of pull."""
    kubefed: tuple[Comparison, ...] = ()
    """KubeFed beside pull, where that is possible."""
    enough: Measured | None = None
    """Of push, where it alone decides."""
    why_not: str = ""
    """Of UNKNOWN: why nothing can be said."""

    @property
    def text(self) -> str:
        """The word, and on what."""
        return f"{self.word}: {self.on}" if self.on else str(self.word)


def by_rule(summary: Summary, claim: Claim, rule: Rule) -> Verdict:
    """Of a claim that comparisons decide."""
    pushes = of_push(summary, claim.scenario)
    compared = tuple(_pairs(summary, claim.scenario, rule.deciders, pushes, _is_pull))
    kubefed = tuple(_beside_pull(summary, claim.scenario, rule.deciders))
    enough = _enough(rule, pushes)
    if enough:
        return Verdict(claim, Word.REFUTES, compared=compared, kubefed=kubefed, enough=enough)
    outcomes = {each.outcome for each in compared} - {Outcome.APART}
    if not outcomes:
        return Verdict(
            claim, Word.UNKNOWN, compared=compared, kubefed=kubefed, why_not=why_not(summary, claim.scenario)
        )
    if {Outcome.WORSE, Outcome.BETTER} <= outcomes:
        return Verdict(claim, Word.DEPENDS, on=depends(compared), compared=compared, kubefed=kubefed)
    if Outcome.WORSE in outcomes:
        return Verdict(claim, Word.SUPPORTS, compared=compared, kubefed=kubefed)
    word = Word.REFUTES if Outcome.BETTER in outcomes else Word.SAME
    of_kubefed = [each.outcome for each in kubefed if each.outcome is not Outcome.APART]
    if of_kubefed and Outcome.BETTER not in of_kubefed and of_kubefed.count(Outcome.WORSE) * 2 >= len(of_kubefed):
        word = Word.KUBEFED
    return Verdict(claim, word, compared=compared, kubefed=kubefed)


def of_push(summary: Summary, scenario: str) -> list[Measured]:
    """What was measured of push: on the first machine where it was."""
    return _of(summary, scenario, lambda subject: subject == Subject.PUSH)


def why_not(summary: Summary, scenario: str) -> str:
    """Why there is no verdict, in words."""
    subjects = [subject for subject in summary.subjects(scenario) if subject == Subject.PUSH or _is_pull(subject)]
    failed = [f"{one.step.subject}: {one.why or one.state}" for one in summary.unfinished(scenario)]
    reasons = f" ({'; '.join(dict.fromkeys(failed))})" if failed else ""
    if not any(each.step.scenario == scenario for run in summary.runs for each in run.steps):
        return f"the scenario {scenario} was no part of this run"
    if not subjects:
        return f"the scenario {scenario} was not run to its end{reasons}"
    if len(subjects) == 1:
        return f"only {subjects[0]} was measured, and a verdict needs push beside pull{reasons}"
    least = max((decider.least for decider in RULES[scenario].deciders), default=0)
    if least:
        return f"push and pull were not both measured with {least:g} members or more{reasons}"
    return f"push and pull were not measured under the same places, or only in times on different machines{reasons}"


def _is_pull(subject: str) -> bool:
    return subject in PULLS


def is_kubefed(subject: str) -> bool:
    """Whether it is a KubeFed, by its name."""
    return subject.lower().startswith(KUBEFED)


def _of(summary: Summary, scenario: str, which: _Which) -> list[Measured]:
    found = [each for key, each in summary.measured.items() if key.scenario == scenario and which(key.subject)]
    machines = list(dict.fromkeys((summary.machine, *(run.machine.identity for run in summary.runs))))
    for machine in machines:
        there = [each for each in found if each.key.machine == machine]
        if there:
            return there
    return []


def _pairs(
    summary: Summary, scenario: str, deciders: Sequence[Decider], ones: Sequence[Measured], which: _Which
) -> Iterator[Comparison]:
    """Each decider's figure beside the same of every subject that `which` selects."""
    others: dict[str, list[Measured]] = defaultdict(list)
    for subject in dict.fromkeys(key.subject for key in summary.measured if which(key.subject)):
        others[subject] = _of(summary, scenario, subject.__eq__)
    for decider in deciders:
        for found in others.values():
            pairs = [
                (one, other)
                for one in _selected(ones, decider)
                for other in _selected(found, decider)
                if one.key.at == other.key.at
            ]
            for one, other in _largest(pairs, decider):
                yield differences.compare(summary, one, other)


def _selected(measured: Iterable[Measured], decider: Decider) -> list[Measured]:
    return [
        each
        for each in measured
        if (each.key.figure, each.key.part) == (decider.figure, decider.part)
        and decider.where.items() <= each.key.where.items()
    ]


def _largest(pairs: list[tuple[Measured, Measured]], decider: Decider) -> list[tuple[Measured, Measured]]:
    if not decider.largest:
        return pairs
    sized = [(float(pair[0].key.where.get(decider.largest, 0)), pair) for pair in pairs]
    most = max([decider.least, *(size for size, _ in sized)])
    return [pair for size, pair in sized if size == most]


def _beside_pull(summary: Summary, scenario: str, deciders: Sequence[Decider]) -> Iterator[Comparison]:
    """KubeFed beside pull, for the places that decide; with as many members as was measured of it, or nearly."""
    pulls = _of(summary, scenario, _is_pull)
    subjects = [key.subject for key in summary.measured if is_kubefed(key.subject)]
    for subject in dict.fromkeys(subjects):
        found = [each for key, each in summary.measured.items() if (key.scenario, key.subject) == (scenario, subject)]
        for decider in deciders:
            pairs = [(pull, pull) for pull in _selected(pulls, decider)]
            for pull, _ in _largest(pairs, decider):
                nearest = _nearest(_selected(found, decider), pull)
                if nearest:
                    yield _bounded(differences.compare(summary, nearest, pull))


def _nearest(measured: Sequence[Measured], to: Measured) -> Measured | None:
    """The one of as many members, or of the next fewer, or of the next more; all else of the place is the same."""

    def rest(each: Measured) -> dict[str, object]:
        return {key: value for key, value in each.key.at if key != "members"}

    def distance(each: Measured) -> tuple[bool, float]:
        has, wanted = (float(one.key.where.get("members", 0)) for one in (each, to))
        return has > wanted, abs(has - wanted)

    return min((each for each in measured if rest(each) == rest(to)), key=distance, default=None)


def _bounded(comparison: Comparison) -> Comparison:
    """Fewer members cost no more than many: KubeFed's figure of fewer is a lower bound, and one of more an upper."""
    has, wanted = (float(each.key.where.get("members", 0)) for each in (comparison.one, comparison.other))
    proves = {Outcome.WORSE: has <= wanted, Outcome.BETTER: has >= wanted, Outcome.SAME: has == wanted}
    if proves.get(comparison.outcome, True):
        return comparison
    return Comparison(comparison.one, comparison.other, Outcome.APART, "not as many members", comparison.by_bare)


def _enough(rule: Rule, pushes: Sequence[Measured]) -> Measured | None:
    if not rule.enough:
        return None
    found = [each for each in pushes if each.key.figure == rule.enough.figure]
    if found and all(rule.enough.met(each.low if rule.enough.at_least else each.high) for each in found):
        return found[-1]
    return None


_KEYS = ("members", "clusters", "phase", "cut", "with", "figure")
_NAMES = {
    "members": ("the number of members", "at"),
    "clusters": ("the number of clusters", "at"),
    "phase": ("the kind of change", "in"),
    "cut": ("what is cut", "in"),
    "with": ("the way of pull", "than"),
    "figure": ("what counts", "in"),
}
"""What it is called, and the word before its values."""


def depends(compared: Sequence[Comparison]) -> str:
    """What tells where push is worse from where it is better: the first key that does by itself, or both lists."""
    decided = [each for each in compared if each.outcome in (Outcome.WORSE, Outcome.BETTER)]
    for key in _KEYS:
        values: Mapping[str, set[Outcome]] = defaultdict(set)
        for each in decided:
            values[_value(each, key)].add(each.outcome)
        if len(values) > 1 and all(len(outcomes) == 1 for outcomes in values.values()):
            what, word = _NAMES[key]
            return f"{what} ({_sides({value: min(outcomes) for value, outcomes in values.items()}, word)})"
    return f"what counts ({_sides({_value(each, ''): each.outcome for each in decided}, 'in')})"


def _value(comparison: Comparison, key: str) -> str:
    one = comparison.one.key
    if key == "with":
        return comparison.other.key.subject
    if key == "figure":
        return wording.label(one.figure, one.part)
    if key:
        return wording.place({key: one.where[key]}) if key in one.where else ""
    place = wording.place(one.where)
    return (
        wording.label(one.figure, one.part)
        + (f" at {place}" if place else "")
        + f" beside {comparison.other.key.subject}"
    )


def _sides(outcomes: Mapping[str, Outcome], word: str) -> str:
    worse, better = (
        wording.listed([value for value, outcome in outcomes.items() if outcome is side])
        for side in (Outcome.WORSE, Outcome.BETTER)
    )
    return f"push is worse {word} {worse}; better {word} {better}"
