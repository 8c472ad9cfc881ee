"""The tables of the report, as data. Pure."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from federation.comparing import contract, differences, growth, telling, wording
from federation.comparing.differences import Comparison, Outcome
from federation.comparing.figures import FIGURES
from federation.comparing.model import Finding, State
from federation.comparing.references import THEN
from federation.comparing.summary import At, Measured, Summary, named
from federation.comparing.verdicts import PULLS
from federation.comparing.wording import Number, Said


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in it, and smaller below it."""

    said: Said = ()
    small: Said = ()
    """Numbers without a source are the least and the greatest of the rounds of the median above them."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below heads; `caption` says what the cells are."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


MEDIANS = "Median of the rounds; below it the least and the greatest of them."
ONCE = "Of one round, so without a spread: what is not double is no difference, but for counts."
_NONE = Cell(("not measured",))


def of_figures(summary: Summary, measured: Sequence[Measured]) -> Table:
    """Medians and ranges: a row for each figure and place, a column for each subject, then push beside each pull."""
    columns = list(dict.fromkeys((each.key.machine, each.key.subject) for each in measured))
    rows: dict[tuple[str, str, At], dict[tuple[str, str], Measured]] = {}
    for each in measured:
        key = each.key
        rows.setdefault((key.figure, key.part, key.at), {})[key.machine, key.subject] = each
    pushes = [column for column in columns if column[1] == "push"]
    pulls = [column for column in columns if column[1] in PULLS] if pushes else []
    heads = [_head(summary, machine, subject) for machine, subject in columns]
    heads += [f"push ÷ {_head(summary, *column)}" for column in pulls]
    once = all(len(each.rounds) == 1 for each in measured)
    return Table(
        ("", *heads),
        tuple(
            (
                Cell((_row_name(*row),)),
                *(_value(row[0], column[1], found.get(column), once=once) for column in columns),
                *(_beside(summary, found.get(pushes[0]), found.get(column)) for column in pulls),
            )
            for row, found in rows.items()
        ),
        ONCE if once else MEDIANS,
    )


def elsewhere(summary: Summary, references: Summary, scenario: str) -> Table | None:
    """What others' figures are in counts and in proportion to the bare client, beside those of here that compare."""
    theirs = [each for key, each in references.measured.items() if key.scenario == scenario]
    mine = [
        each
        for key, each in summary.measured.items()
        if (key.scenario, key.machine) == (scenario, summary.machine) and _carries(summary, each)
    ]
    shown = [each for each in theirs if _carries(references, each)]
    wanted = {(each.key.figure, each.key.at) for each in shown if each.key.subject != THEN}
    if not wanted:
        return None
    columns = list(dict.fromkeys((each.key.machine, each.key.subject) for each in [*mine, *shown]))
    columns = [column for column in columns if column[1] != THEN]
    table = {(each.key.machine, each.key.subject, each.key.figure, each.key.at): each for each in [*mine, *theirs]}
    rivals = _rivals(theirs)
    every = _ordered(theirs)
    ratios = [row for row in every if any(_pair(table, rival, *row) for rival in rivals)]
    rows = [row for row in every if row in wanted or row in ratios]
    return Table(
        (
            "",
            *(subject if machine == summary.machine else f"{subject}, elsewhere" for machine, subject in columns),
            *(f"{subject} ÷ {THEN}" for _, subject in rivals),
        ),
        tuple(
            (
                Cell((_row_name(figure, "", at, bare=_is_cpu(figure)),)),
                *(_by_bare(summary, references, table.get((*column, figure, at))) for column in columns),
                *(_then(_pair(table, rival, figure, at)) for rival in rivals),
            )
            for figure, at in rows
        ),
        "Counts as they are; CPU in terms of the bare client's on the same machine. The last columns are ratios of "
        "medians measured in turn on one machine, which was another one than this report's.",
    )


def of_growth(lines: Iterable[tuple[str, str, Sequence[Measured]]]) -> Table | None:
    """The law that fits each subject's cost best, and by how much each size is off it; of telling.update_lines."""
    fits = [(f"{subject}, {place}", growth.fit(line), line) for subject, place, line in lines]
    found = [(name, fit, line) for name, fit, line in fits if fit]
    if not found:
        return None
    sizes = sorted({members for _, fit, _ in found for members, _ in fit.residuals})
    rows = []
    for subject, fit, each in found:
        keys = " ".join(wording.name(one.key) for one in each)
        residuals = dict(fit.residuals)
        cells = [
            Cell((Number(part, f"{wording.shown(part * 100)} %", f"residual-{size:g} {keys}"),))
            if (part := residuals.get(size)) is not None
            else _NONE
            for size in sizes
        ]
        rows.append((Cell((subject,)), Cell(telling.law(fit, each)), *cells, _further(fit, each, keys)))
    return Table(
        ("", "Hub CPU grows as", *(f"{size:,.0f} members" for size in sizes), "Extrapolated"),
        tuple(rows),
        "By which part of itself each measured median lies above the law. Whatever is said of more members than were "
        "measured is extrapolated: the law goes on there, if nothing bends.",
    )


_TIMES = 10
"""The claim's own number: how far the law is followed beyond what was measured."""


def _further(fit: growth.Fit, line: Sequence[Measured], keys: str) -> Cell:
    """What the law says of ten times the members."""
    if fit.worst > growth.FITS.value:
        return Cell(("no law to follow",))
    members = _TIMES * growth.sizes(line)[-1][0]
    value = fit.at(members)
    number = Number(value, f"{wording.shown(value)} ms", f"fit-at-{members:g} {keys}")
    return Cell((number,), (f"{members:,.0f} members",))


_HEADS = {
    "hub_says": "the hub says",
    "valid_days": "valid, days",
    "seconds": "seconds",
    "writes": "can write there",
    "percent": "% of its CPU",
}


def of_rows(summary: Summary, scenario: str) -> list[Table]:
    """What was found and is no number, as it was in the first round of each subject."""
    tables = []
    for kind in contract.FOUND.get(scenario, ()):
        found = list(_found(summary, scenario, kind.ABOUT))
        if found and kind in _SIDE_BY_SIDE:
            tables.append(_side_by_side(found, *_SIDE_BY_SIDE[kind]))
        elif found:
            facts = list(found[0][1].facts)
            heads = ("", *(_HEADS.get(fact, fact.replace("_", " ")) for fact in facts))
            body = tuple(
                (
                    Cell((_whose(subject, finding),)),
                    *(Cell((_fact(place, fact, finding.facts.get(fact)),)) for fact in facts),
                )
                for subject, finding, place in found
            )
            tables.append(Table(heads, body, _FIRST))
    return tables


_FIRST = "As found in the first round; the raw data have them all."
_Found = tuple[str, Finding, str]


def _side_by_side(found: Sequence[_Found], fact: str, cell: Callable[[Finding, str], Cell]) -> Table:
    """A row for each thing that was tried, a column for each subject."""
    subjects = list(dict.fromkeys(subject for subject, _, _ in found))
    names = dict.fromkeys(str(finding.facts[fact]) for _, finding, _ in found)
    cells = {(subject, str(finding.facts[fact])): cell(finding, place) for subject, finding, place in found}
    rows = tuple(
        (Cell((wording.capital(name),)), *(cells.get((subject, name), _NONE) for subject in subjects)) for name in names
    )
    return Table(("", *subjects), rows, _FIRST)


def _whose(subject: str, finding: Finding) -> str:
    place = wording.place(dict(sorted(finding.at.items())))
    return f"{subject}, {place}" if place else subject


def _upgrade(finding: Finding, place: str) -> Cell:
    says = str(finding.facts["hub_says"] or "the hub says nothing")
    if not finding.facts["broke"]:
        return Cell(("changes arrive",), (says,) if finding.facts["hub_says"] else ())
    return Cell(("broken for ", _fact(place, "seconds", finding.facts["seconds"]), " s"), (says,))


def _fault(finding: Finding, place: str) -> Cell:
    facts = finding.facts
    if not facts["shown"]:
        return Cell(("not shown",))
    after, by = (_fact(place, fact, facts[fact]) for fact in ("seconds", "commands"))
    return Cell(("after ", after, " s, commands: ", by), (f"{facts['where']}: {facts['says']}",))


_SIDE_BY_SIDE: Mapping[type[contract.Row], tuple[str, Callable[[Finding, str], Cell]]] = {
    contract.Upgrade: ("step", _upgrade),
    contract.Fault: ("fault", _fault),
}


def _found(summary: Summary, scenario: str, about: str) -> Iterable["_Found"]:
    names = named(summary.runs)
    for number, run in enumerate(summary.runs):
        done = [ended for ended in run.steps if ended.state is State.DONE and ended.step.scenario == scenario]
        first: dict[str, int] = {}
        for ended in done:
            first.setdefault(ended.step.subject, ended.step.round)
        index: dict[str, int] = {}
        for finding in (each for ended in done for each in ended.findings):
            if finding.about == about and finding.round == first[finding.subject]:
                subject = names[number][finding.subject]
                index[subject] = index.get(subject, -1) + 1
                place = f"{run.machine.identity}/{scenario}/{subject}/{about}/{index[subject]}".replace(" ", "_")
                yield subject, finding, place


def _fact(place: str, fact: str, value: str | float | bool | None) -> str | Number:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "for ever" if fact == "valid_days" else "never"
    if isinstance(value, str):
        return value or "nothing"
    return Number(float(value), wording.shown(float(value)), f"fact {place}/{fact}")


def _head(summary: Summary, machine: str, subject: str) -> str:
    return subject if machine == summary.machine else f"{subject}, on another machine"


def _row_name(figure: str, part: str, at: At, *, bare: bool = False) -> str:
    unit = "times the bare client" if bare else wording.axis(figure)
    place = wording.place(dict(at))
    return wording.capital(f"{wording.label(figure, part)}, {unit}" + (f" ({place})" if place else ""))


def _value(figure: str, subject: str, measured: Measured | None, *, once: bool) -> Cell:
    if measured is None:
        return Cell(("has none",)) if figure.startswith("agent") and subject == "push" else _NONE
    if len(measured.rounds) == 1:
        return Cell((wording.median(measured),), () if once else ("one round, no spread",))
    least, greatest = (replace(number(measured), of="") for number in (wording.low, wording.high))
    return Cell((wording.median(measured),), (least, " to ", greatest))


def _beside(summary: Summary, one: Measured | None, other: Measured | None) -> Cell:
    if one is None or other is None:
        return Cell()
    found = differences.compare(summary, one, other)
    if found.outcome is Outcome.APART:
        return Cell(("not comparable",), (found.why,))
    return Cell(_ratio(found), (str(found.outcome),))


def _ratio(found: Comparison) -> Said:
    if not found.ratio or not math.isfinite(found.ratio):
        return ()
    if found.by_bare:
        text = wording.shown(found.ratio)
        return (Number(found.ratio, text, f"bare-ratio {wording.name(found.one.key)} {wording.name(found.other.key)}"),)
    return (wording.ratio(found.one, found.other),)


def _carries(summary: Summary, measured: Measured) -> bool:
    """Whether it says something on another machine."""
    if FIGURES[measured.key.figure].portable:
        return True
    return _is_cpu(measured.key.figure) and bool(summary.bare(measured.key.machine, measured.key.where.get("phase")))


def _by_bare(summary: Summary, references: Summary, measured: Measured | None) -> Cell:
    if measured is None:
        return Cell()
    if FIGURES[measured.key.figure].portable:
        return Cell((wording.median(measured),))
    of = summary if measured.key.machine == summary.machine else references
    bare = of.bare(measured.key.machine, measured.key.where.get("phase"))
    if not bare:
        return Cell()
    value = measured.in_terms_of(bare).median
    return Cell((Number(value, wording.shown(value), f"bare {wording.name(measured.key)}"),))


_Keyed = Mapping[tuple[str, str, str, At], Measured]


def _rivals(theirs: Iterable[Measured]) -> list[tuple[str, str]]:
    """Those that were measured in turn with this project's push."""
    subjects = dict.fromkeys((each.key.machine, each.key.subject) for each in theirs)
    return [(machine, subject) for machine, subject in subjects if subject != THEN and (machine, THEN) in subjects]


def _pair(table: _Keyed, rival: tuple[str, str], figure: str, at: At) -> tuple[Measured, Measured] | None:
    one, other = table.get((*rival, figure, at)), table.get((rival[0], THEN, figure, at))
    return (one, other) if one and other and other.median else None


def _then(pair: tuple[Measured, Measured] | None) -> Cell:
    return Cell((wording.ratio(*pair),)) if pair else Cell()


def _ordered(measured: Iterable[Measured]) -> list[tuple[str, At]]:
    figures = list(FIGURES)
    found = dict.fromkeys((each.key.figure, each.key.at) for each in measured)
    return sorted(found, key=lambda row: figures.index(row[0]))


def _is_cpu(figure: str) -> bool:
    """Whether the bare client's CPU is what it is put in proportion with."""
    return FIGURES[figure].unit == "ms/object" and figure.endswith("_cpu")
