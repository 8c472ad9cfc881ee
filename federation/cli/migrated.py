"""How a migration is shown: checks, types, steps; and what became of members' objects."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from federation.cli import printing, visible

if TYPE_CHECKING:
    from federation.migrating.deciding import Decision
    from federation.migrating.facts import Facts, TypeFacts
    from federation.migrating.members import Verified
    from federation.migrating.proving import Difference

_COLOURS = {
    "warning": "yellow",
    "unknown": "yellow",
    "failed": "red",
    "ok": "green",
    "done": "green",
    "to do": "yellow",
}
NAMED = 20
"""Differences of one member that are shown; of more, how many there are."""
_HEADER = ("CLUSTER", "BEFORE", "NOW", "SAME", "CHANGED", "RECREATED", "GONE", "NEW", "TAKEN-OVER")


def show(facts: "Facts", decision: "Decision", output: str | None) -> None:
    """Print what was found and what is left to do."""
    from federation.migrating import document  # noqa: PLC0415

    if output:
        printing.emit([document.of(facts, decision)], output, single=True)
        return
    click.echo(printing.plain(f"KubeFed at {facts.host}, namespace {facts.namespace}"))
    for check in decision.checks:
        _line(str(check.grade), f"{check.name}: {check.message}")
        if check.hint:
            click.echo(printing.plain(f"           next: {check.hint}"))
    click.echo()
    rows = [
        (each.name, str(each.counted.objects), "Enabled" if each.propagation else "Disabled", _current(each))
        for each in facts.types
    ]
    if rows:
        printing.table(("TYPE", "OBJECTS", "PROPAGATION", "CRD"), rows)
        click.echo()
    for planned in decision.steps:
        _line(str(planned.state), f"{planned.step}: {planned.what[0]}")
        for more in planned.what[1:]:
            click.echo(printing.plain(f"             {more}"))
    following = decision.next
    if decision.refused:
        click.echo("next: mend what has failed, then run fedctl migrate again")
    elif following is not None:
        flag = str(following.step)
        click.echo(f"next: {f'fedctl migrate {flag}' if flag.startswith('--') else flag}")
    else:
        click.echo("next: nothing must be done; see the optional steps")


def show_proofs(proofs: "Sequence[Verified]", output: str | None) -> None:
    """Print what became of members' objects."""
    from federation.migrating import document  # noqa: PLC0415

    if output:
        printing.emit([document.of_proofs(proofs)], output, single=True)
        return
    printing.table(_HEADER, [_row(each) for each in proofs])
    for each in proofs:
        for line in _details(each):
            click.echo(printing.plain(line))


def _row(proof: "Verified") -> tuple[str, ...]:
    from federation.migrating.proving import Fate  # noqa: PLC0415

    found = proof.compared
    if found is None:
        return (proof.cluster, *(["?"] * (len(_HEADER) - 1)))
    fates = (Fate.SAME, Fate.CHANGED, Fate.RECREATED, Fate.GONE, Fate.NEW)
    counts = (found.before, found.now, *(found.count(fate) for fate in fates), found.taken)
    return (proof.cluster, *map(str, counts))


def _details(proof: "Verified") -> Iterator[str]:
    if proof.compared is None:
        yield f"{proof.cluster}: unknown: {proof.why}"
        return
    differences = proof.compared.differences
    yield from (f"{proof.cluster}: {_difference(each)}" for each in differences[:NAMED])
    if len(differences) > NAMED:
        yield f"{proof.cluster}: and {len(differences) - NAMED} more"


def _difference(each: "Difference") -> str:
    parts = f" in {', '.join(each.parts)}" if each.parts else ""
    writers = f"; since then written by {', '.join(each.writers)}" if each.writers else ""
    return f"{each.key} {each.fate}{parts}{writers}"


def _current(each: "TypeFacts") -> str:
    return "left as it is" if each.problem else "older" if each.outdated else "current"


def _line(word: str, text: str) -> None:
    line = printing.plain(f"  {word:<8} {text}")
    if printing.coloured() and word in _COLOURS:
        click.secho(line, fg=_COLOURS[word], color=True, file=visible.raw(sys.stdout))
    else:
        click.echo(line)
