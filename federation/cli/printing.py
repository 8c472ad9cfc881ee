"""What verbs print on stdout: YAML, JSON, names, and tables, coloured on a terminal only."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from federation.cli import visible
from typegen.kubeyaml import writing

_WORDS = {
    "True": "green",
    "Running": "green",
    "Applied": "green",
    "Fits": "green",
    "False": "red",
    "Offline": "red",
    "Unknown": "yellow",
    "Nowhere": "yellow",
}


def yaml_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """Documents as kubectl prints them: `---` between, keys in their order, block style.

    Text that YAML 1.1 or 1.2 would read as something else (`no`, `0o17`, `0E0`) is quoted.
    """
    return "---\n".join(writing.dump([document]) for document in documents)


def emit(documents: Sequence[Mapping[str, Any]], form: str, *, single: bool = False) -> None:
    """Print documents as `yaml`, each after a `---`, or as `json`: several as a List, as kubectl does."""
    if form == "yaml":  # each begins with `---`, so that several runs may write to one file
        click.echo("".join(f"---\n{yaml_documents([each])}" for each in documents), nl=False)
        return
    value: Any = documents[0] if single else {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def readable(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object without managedFields, as kubectl shows it."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    return {**found, "metadata": metadata}


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, headers: bool = True) -> None:
    """Print columns padded to their widest cell; colour on a terminal only, and never colour alone."""
    lines = layout(header, rows, headers=headers)
    if not coloured():
        for line in lines:
            click.echo(line)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=visible.raw(sys.stdout), soft_wrap=True, highlight=False, force_terminal=True)
    for index, line in enumerate(lines):
        text = Text(line, style="bold" if headers and index == 0 else "")
        for word, style in _WORDS.items():
            text.highlight_regex(rf"(?<=\s){word}(?=\s|$)", style)
        console.print(text)


def layout(header: Sequence[str], rows: Sequence[Sequence[str]], *, headers: bool = True) -> list[str]:
    """The table's lines, as kubectl prints them: three spaces between columns, none at the end, `<none>` for empty."""
    shown = [[_cell(cell) for cell in row] for row in rows]
    every = [list(header), *shown] if headers else shown
    widths = [max((len(row[column]) for row in every), default=0) for column in range(len(header))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]


def coloured() -> bool:
    """Whether to use colour: on a terminal or with FORCE_COLOR, never with NO_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def plain(text: str) -> str:
    """Text from outside, as one line without control characters, which a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cell(text: str) -> str:
    return plain(text) or "<none>"
