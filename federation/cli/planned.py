"""How a plan is shown: for people, as a summary, or for programs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import options, printing, visible

if TYPE_CHECKING:
    from federation.preview.making import Made

_SIGNS = {
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "adopt": ("&", "yellow"),
    "recreate": ("±", "red"),
    "delete": ("-", "red"),
    "release": ("<", "yellow"),
    "claim": ("*", "yellow"),
    "refuse": ("!", "red"),
    "wait": (".", ""),
    "unknown": ("?", "magenta"),
    "none": (" ", ""),
}
"""What stands before a line of each kind, and its colour."""
_WORDS = {"refuse": "refused", "unknown": "unknown", "wait": "waits"}
NAMED = 5
"""Clusters that a line names; of more, how many there are."""
FIELDS = 20
"""Fields that are shown of one change."""


def show(made: "Made", output: str | None, *, values: bool) -> None:
    """Print it in the format that was asked for."""
    from federation.preview import document  # noqa: PLC0415

    found = document.of(made, values=values)
    if output in ("json", "yaml"):
        printing.emit([found], output, single=True)
        return
    if output != "summary":
        coloured = printing.coloured()
        for line, colour in _lines(found):
            if coloured and colour:
                click.secho(printing.plain(line), fg=colour, color=True, file=visible.raw(sys.stdout))
            else:
                click.echo(printing.plain(line))
    for line in summary(found):
        click.echo(printing.plain(line))
    for problem in found["problems"]:
        options.report(f"warning: {printing.plain(problem)}")


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in found["hub"]:
        if each["change"] == "none" and not each.get("notes"):
            continue
        sign, colour = _SIGNS[each["change"]]
        yield (
            f"{sign} hub: {each['kind']} {_where(each)}{'' if each['change'] == 'none' else ' ' + each['change']}",
            colour,
        )
        yield from _fields(each, "    ")
        for note in each.get("notes", ()):
            yield f"    note: {note}", "yellow"
    for each in found["objects"]:
        yield f"{each['type']} {_where(each)}", ""
        for change in each["changes"]:
            yield from _change(change)


def _change(change: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = change["change"]
    sign, colour = _SIGNS[kind]
    word = _WORDS.get(kind, kind)
    if kind == "unknown" and change.get("expected"):
        word = f"unknown, as far as the hub knows: {change['expected']}"
    if kind == "wait" and change.get("expected"):
        word = f"later: {change['expected']}"
    parts = [f"  {sign} {word} in {_clusters(change['clusters'])}"]
    if change.get("because"):
        parts.append(f"because {change['because']}")
    if change.get("message"):
        parts.append(change["message"])
    if change.get("held"):
        parts.append(f"held until `fedctl deletions approve`: {change['held']}")
    text = ": ".join(parts)
    yield text + (" (under way already, without this change)" if change.get("pending") else ""), colour
    yield from _fields(change, "      ")


def _fields(record: Mapping[str, Any], indent: str) -> Iterator[tuple[str, str]]:
    fields = record.get("fields", [])
    for each in fields[:FIELDS]:
        if "before" not in each:
            yield f"{indent}{each['path']}", "yellow"
        elif each["before"] is None:
            yield f"{indent}{each['path']} + {each['after']}", "green"
        elif each["after"] is None:
            yield f"{indent}{each['path']} - {each['before']}", "red"
        else:
            yield f"{indent}{each['path']} {each['before']} -> {each['after']}", "yellow"
    if len(fields) > FIELDS:
        yield f"{indent}and {len(fields) - FIELDS} more fields", ""


def summary(found: Mapping[str, Any]) -> Iterator[str]:
    """How much a plan's document changes, and who does not answer."""
    hub = [each for each in found["hub"] if each["change"] != "none"]
    counts = found["summary"]
    if not found["changes"]:
        yield "no changes"
    else:
        parts = [f"{count} to {name}" for name, count in counts.items() if name not in ("refuse", "wait", "unknown")]
        parts += [f"{counts[name]} {_WORDS[name]}" for name in ("refuse", "wait", "unknown") if name in counts]
        yield f"{len(hub)} at the hub; in members: {', '.join(parts) or 'nothing'}"
    for word, section in (("unknown", "unknown"), ("done once the controller reaches it", "unready")):
        by_reason: dict[str, list[str]] = {}
        for cluster, why in found[section].items():
            by_reason.setdefault(why, []).append(cluster)
        for why, clusters in by_reason.items():
            yield f"{word}: {_clusters(clusters)}: {why}"


def _clusters(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} clusters ({', '.join(names[:2])}, ...)"


def _where(each: Mapping[str, Any]) -> str:
    return f"{each['namespace']}/{each['name']}" if each.get("namespace") else str(each["name"])
