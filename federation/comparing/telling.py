"""The paragraph of a verdict: why it is so, from the figures that decided it. Pure.

Nothing here is a fixed sentence about the result: each is made from a comparison, and each number knows its source.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from federation.comparing import bending, growth, verdicts, wording
from federation.comparing.differences import Comparison, Outcome
from federation.comparing.summary import Key, Measured, Summary
from federation.comparing.verdicts import Verdict, Word
from federation.comparing.wording import Number, Said

_MOST = 3
"""Differences that a paragraph tells of; the table has them all."""


def why(summary: Summary, verdict: Verdict) -> list[Said]:
    """Sentences."""
    if verdict.why_not:
        return [(f"Not measured: {verdict.why_not}.",)]
    sentences = [*_enough(verdict), *_differences(verdict), *_same(verdict), *_apart(verdict)]
    if verdict.claim.scenario == "bend":
        sentences += _bends(summary)
    if verdict.claim.scenario in ("growth", "bend"):
        sentences += _growth(summary, verdict.claim.scenario)
    return [*sentences, *_kubefed(verdict)]


def figures(summary: Summary, verdict: Verdict) -> list[Said]:
    """Two or three figures for the first table: of push, and of every way of pull beside it."""
    chosen: dict[str, Key] = {}
    for each in [*_told(verdict), *verdict.compared]:
        if each.outcome is not Outcome.APART:
            chosen.setdefault(each.one.key.figure, each.one.key)
    lines = [_line([each for each in verdict.compared if each.one.key == key]) for key in chosen.values()]
    if verdict.enough and verdict.enough.key.figure not in chosen:
        lines.insert(0, (f"{_named(verdict.enough)}: push ", wording.median(verdict.enough)))
    if verdict.why_not:
        return [*lines[:_MOST], (verdict.why_not,)]
    return lines[:_MOST] or list(_bends(summary))


def _line(compared: Sequence[Comparison]) -> Said:
    """As "hub CPU (8 members): push 15 ms, pull 31 ms, pull-bundled 12 ms"."""
    first = compared[0]
    one, *_ = _two(first)
    rest = [part for each in compared for part in _two(each)[1:]]
    return (f"{_named(first.one)}: push ", one, *rest)


def _told(verdict: Verdict) -> list[Comparison]:
    """What differs, the greatest first, but where push is worse before where it is better if a claim is supported."""
    differ = [each for each in verdict.compared if each.outcome in (Outcome.WORSE, Outcome.BETTER)]
    ranked = sorted(differ, key=_size, reverse=True)
    if verdict.word is not Word.DEPENDS:
        return ranked
    worse = [each for each in ranked if each.outcome is Outcome.WORSE]
    better = [each for each in ranked if each.outcome is Outcome.BETTER]
    first = [each for pair in zip(worse, better, strict=False) for each in pair]
    return first + [each for each in ranked if each not in first]


def _size(comparison: Comparison) -> float:
    ratio = comparison.ratio
    return abs(math.log(ratio)) if ratio and math.isfinite(ratio) else math.inf


def _named(measured: Measured) -> str:
    place = wording.place(measured.key.where)
    label = wording.label(measured.key.figure, measured.key.part)
    return f"{label} ({place})" if place else label


def _two(each: Comparison) -> Said:
    """As "15 ms, pull 31 ms"; in terms of the bare client across machines."""
    unit = " times the bare client" if each.by_bare else ""
    one, other = (_by_bare(m) if each.by_bare else wording.median(m) for m in (each.one, each.other))
    return one, f"{unit}, {each.other.key.subject} ", other, unit


def _by_bare(measured: Measured) -> Number:
    return Number(measured.median, wording.shown(measured.median), f"bare {wording.name(measured.key)}")


def _enough(verdict: Verdict) -> Iterator[Said]:
    if verdict.enough:
        of = verdict.enough
        yield f"Whatever pull does, push does not do this: {wording.label(of.key.figure)} ", wording.median(of), "."


def _differences(verdict: Verdict) -> Iterator[Said]:
    """The greatest of each figure, and the names of the others."""
    told: set[tuple[str, str, Outcome]] = set()
    others: dict[tuple[Outcome, str], list[Measured]] = defaultdict(list)
    for each in _told(verdict):
        key = (each.one.key.figure, each.other.key.subject, each.outcome)
        if len(told) < _MOST and key not in told:
            told.add(key)
            yield (wording.capital(f"{_named(each.one)}: push "), *_two(each), *_times(each), ".")
        else:
            others[each.outcome, each.other.key.subject].append(each.one)
    for (outcome, subject), measured in sorted(others.items()):
        yield (f"Push is {outcome} than {subject} in these, too: {_names(measured)}.",)


def _names(measured: Iterable[Measured]) -> str:
    """As "hub CPU (8 members, update; 8 members, delete) and hub memory (8 members)"."""
    places: dict[str, list[str]] = defaultdict(list)
    for each in measured:
        place = wording.place(each.key.where)
        label = wording.label(each.key.figure, each.key.part)
        if place not in places[label]:
            places[label].append(place)
    return wording.listed([f"{label} ({'; '.join(where)})" if any(where) else label for label, where in places.items()])


def _times(each: Comparison) -> Said:
    ranges = () if each.by_bare else _ranges(each)
    if not each.ratio or not math.isfinite(each.ratio):
        return ranges
    if each.by_bare:
        return ()
    return (" (push is ", wording.ratio(each.one, each.other), f" times {each.other.key.subject}", *ranges, ")")


def _ranges(comparison: Comparison) -> Said:
    if min(len(comparison.one.rounds), len(comparison.other.rounds)) < 2:
        return ("; one round has no spread",)
    if all(each.low == each.high for each in (comparison.one, comparison.other)):
        return ("; the same in every round",)
    return (
        "; ranges ",
        wording.low(comparison.one),
        " to ",
        wording.high(comparison.one),
        " and ",
        wording.low(comparison.other),
        " to ",
        wording.high(comparison.other),
    )


def _same(verdict: Verdict) -> Iterator[Said]:
    same: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for each in verdict.compared:
        if each.outcome is Outcome.SAME:
            same[each.other.key.subject, each.why].append(each.one)
    for (subject, reason), measured in same.items():
        yield (f"No difference to {subject}, because {reason}: {_names(measured)}.",)


def _apart(verdict: Verdict) -> Iterator[Said]:
    apart = [each for each in verdict.compared if each.outcome is Outcome.APART]
    if apart:
        names = _names(each.one for each in apart)
        yield (f"Not compared, because they were {apart[0].why}: {names}.",)


def _kubefed(verdict: Verdict) -> Iterator[Said]:
    told: dict[str, Comparison] = {}
    for each in sorted(verdict.kubefed, key=_size, reverse=True):
        if each.outcome is not Outcome.APART:
            told.setdefault(each.one.key.figure, each)
    for each in list(told.values())[:2]:
        unit = " times its bare client" if each.by_bare else ""
        one, other = (_by_bare(m) if each.by_bare else wording.median(m) for m in (each.one, each.other))
        elsewhere = ", measured elsewhere" if each.one.key.machine != each.other.key.machine else ""
        yield (
            f"{each.one.key.subject}{elsewhere}: {_named(each.one)} ",
            one,
            f"{unit}, {each.other.key.subject} ({wording.place(each.other.key.where)}) ",
            other,
            f"{unit}: {'no difference' if each.outcome is Outcome.SAME else f'KubeFed is {each.outcome}'}.",
        )


def _bends(summary: Summary) -> Iterator[Said]:
    for one in bending.reached(summary):
        by = f", by {_named(one.by)}" if one.by else ""
        yield (wording.capital(f"{one.subject} {one.says}{by}."),)


def _growth(summary: Summary, scenario: str) -> Iterator[Said]:
    """How hub CPU grows for each subject on the first machine, and where a straight comparison ends."""
    pushes = verdicts.of_push(summary, scenario)
    machine = pushes[0].key.machine if pushes else summary.machine
    for subject, place, line in update_lines(summary, scenario, machine):
        fit = growth.fit(line)
        if fit:
            grows = "grows as" if fit.worst <= growth.FITS.value else "follows no simple law; the nearest is"
            yield (f"Hub CPU ({place}) in {subject} {grows} ", *law(fit, line), ".")


def update_lines(summary: Summary, scenario: str, machine: str) -> Iterator[tuple[str, str, list[Measured]]]:
    """Hub CPU of updates over members: subject, the rest of the place, and the line. Of the first phase that there is,
    where nothing was updated."""
    for subject in summary.subjects(scenario, machine):
        found = growth.lines(summary.of(scenario, "hub_side_cpu", subject=subject, machine=machine))
        phases = [dict(at).get("phase") for at in found]
        phase = "update" if "update" in phases else next(iter(phases), None)
        for at, line in found.items():
            if dict(at).get("phase") == phase:
                yield subject, wording.place(dict(at)), line


def law(fit: growth.Fit, line: Sequence[Measured]) -> Said:
    """As "0.2·n^0.9 (off by 4 % at most)", n being the members."""
    of = " ".join(wording.name(each.key) for each in line)
    a = Number(fit.a, wording.shown(fit.a), f"fit-a {of}")
    b = Number(fit.b, wording.shown(fit.b), f"fit-b {of}")
    worst = Number(fit.worst, f"{wording.shown(fit.worst * 100)} %", f"fit-worst {of}")
    formula: Said = (a, "·n^", b, " ms")
    if fit.law is growth.Law.LINE:
        formula = (b, "·n ms") if a.text == "0" else (a, " + ", b, "·n ms")
    return (*formula, " for n members (off by ", worst, " at most)")
