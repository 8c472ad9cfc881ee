"""What `typegen list` prints: one line per type in the sources, made or refused."""

import json
from collections.abc import Sequence

from typegen.gathering import Gathered

_HEAD = ("TYPE", "VERSION", "SCOPE", "FEDERATED AS", "NOTES")


def types(gathered: Gathered) -> str:
    """A table as kubectl prints them; the note of a type is why it cannot be made."""
    rows = [
        (
            piece.target.qualified,
            piece.target.version,
            "Namespaced" if piece.target.namespaced else "Cluster",
            f"{piece.federated.kind}.{piece.federated.group}",
            f"{len(piece.cautions)} not carried over" if piece.cautions else "",
        )
        for piece in gathered.made
    ]
    rows += [(refusal.name or refusal.source, "", "", "-", refusal.reason) for refusal in gathered.refused]
    return aligned([_HEAD, *sorted(rows)])


def types_json(gathered: Gathered) -> str:
    """The same for programs: a list of objects, sorted by type; with a `reason` when a type cannot be federated."""
    found = [
        {
            "type": piece.target.qualified,
            "kind": piece.target.kind,
            "version": piece.target.version,
            "namespaced": piece.target.namespaced,
            "federatedKind": piece.federated.kind,
            "federatedResource": piece.federated.qualified,
            "source": piece.source,
            "cautions": [{"path": each.path, "message": each.message} for each in piece.cautions],
        }
        for piece in gathered.made
    ]
    found += [{"type": each.name, "source": each.source, "reason": each.reason} for each in gathered.refused]
    return json.dumps(sorted(found, key=lambda each: (each["type"], each["source"])), indent=2) + "\n"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns with three spaces between them, without trailing spaces."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)
