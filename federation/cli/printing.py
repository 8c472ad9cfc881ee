"""What verbs print on stdout: YAML, JSON, names, and tables, coloured on a terminal only."""

import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_WORDS = {
    "True": "green",
    "Running": "green",
    "Applied": "green",
    "Fits": "green",
    "False": "red",
    "Offline": "red",
    "Unknown": "yellow",
}


def yaml_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """Documents as kubectl prints them: `---` between, keys in their order, block style.

    Text that YAML 1.1 or 1.2 would take for something else (`no`, `0o17`, `0E0`) is quoted.
    """
    import yaml  # noqa: PLC0415 (only who prints YAML pays for it)

    dumper = _dumper()
    return "---\n".join(
        yaml.dump(document, Dumper=dumper, sort_keys=False, default_flow_style=False, width=120, allow_unicode=True)
        for document in documents
    )


@functools.cache
def _dumper() -> type[Any]:
    import yaml  # noqa: PLC0415

    from federation.cli import reading  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        """The safe dumper, which knows both YAMLs' bare words; no aliases, and lines of text as lines."""

        def ignore_aliases(self, _: Any) -> bool:
            return True

        def represent_text(self, text: str) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, Dumper.represent_text)
    reading.add_resolvers(Dumper)
    # kubectl reads YAML 1.1, where these are bools too; PyYAML, which forgot them, would leave them bare.
    Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))
    return Dumper


def emit(documents: Sequence[Mapping[str, Any]], form: str, *, single: bool = False) -> None:
    """Print documents as `yaml` or `json`; several become a List, as kubectl does, unless YAML can part them."""
    if form == "yaml":
        click.echo(yaml_documents(documents), nl=False)
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

    console = Console(soft_wrap=True, highlight=False, force_terminal=True)
    for index, line in enumerate(lines):
        text = Text(line, style="bold" if headers and index == 0 else "")
        for word, style in _WORDS.items():
            text.highlight_regex(rf"(?<=\s){word}(?=\s|$)", style)
        console.print(text)


def layout(header: Sequence[str], rows: Sequence[Sequence[str]], *, headers: bool = True) -> list[str]:
    """The table's lines, in kubectl's manner: three spaces between columns, none at the end, `<none>` never empty."""
    shown = [[_cell(cell) for cell in row] for row in rows]
    every = [list(header), *shown] if headers else shown
    widths = [max((len(row[column]) for row in every), default=0) for column in range(len(header))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]


def coloured() -> bool:
    """Whether stdout wants colour: a terminal, unless NO_COLOR is set; FORCE_COLOR insists."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def _cell(text: str) -> str:
    # A member's message may hold anything; a table is one line per row and sends no escape codes to the terminal.
    return "".join(character if character.isprintable() else " " for character in text) or "<none>"
