"""What `fedctl enable --check` found, as a table or for programs, and its exit code."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from federation.cli import failing, options, printing

if TYPE_CHECKING:
    from federation.joining.checking import Fit

_HEADER = ("CLUSTER", "TYPE", "FINDING", "VERSIONS", "PATH", "MESSAGE")
FITS = "Fits"
UNKNOWN = "Unknown"


def show(fits: Sequence["Fit"], output: str | None) -> None:
    """A row for each finding, and one for what fits; `output` is json, yaml or None for the table."""
    if output:
        printing.emit(
            [{"fits": all(map(_fits, fits)), "clusters": [_record(fit) for fit in fits]}], output, single=True
        )
        return
    if fits:
        printing.table(_HEADER, [row for fit in fits for row in _rows(fit)])


def report(fits: Sequence["Fit"]) -> int:
    """Print a summary on stderr; the exit code: 0 when all fit, 1 when some do not, 3 when some were not compared."""
    if not fits:
        options.report("no cluster has joined, so there is nothing to compare with")
        return 0
    bad = sum(bool(fit.misfits) for fit in fits)
    unknown = sum(bool(fit.problem) for fit in fits)
    if bad:
        options.report(f"{bad} of {len(fits)} do not fit; nothing was changed")
        options.report("next: upgrade the type in these members first, or leave out of templates what they refuse")
    if unknown:
        options.report(f"{unknown} of {len(fits)} could not be compared; nothing was changed")
    if bad:
        return failing.FAILED
    return failing.PARTIAL if unknown else 0


def _fits(fit: "Fit") -> bool:
    return not fit.misfits and not fit.problem


def _rows(fit: "Fit") -> list[tuple[str, ...]]:
    serves = ",".join(fit.serves)
    if fit.problem:
        return [(fit.cluster, fit.type, UNKNOWN, serves, "", fit.problem)]
    if not fit.misfits:
        return [(fit.cluster, fit.type, FITS, serves, "", "")]
    return [
        (fit.cluster, fit.type, each.kind, ",".join(each.versions), each.path, each.message) for each in fit.misfits
    ]


def _record(fit: "Fit") -> dict[str, Any]:
    record: dict[str, Any] = {"cluster": fit.cluster, "type": fit.type, "fits": _fits(fit), "serves": list(fit.serves)}
    if fit.problem:
        record["problem"] = fit.problem
    record["findings"] = [
        {"finding": str(each.kind), "versions": list(each.versions), "path": each.path, "message": each.message}
        for each in fit.misfits
    ]
    return record
