"""`typegen diff` and `typegen explain`: what a new form of a type does to objects, and what fields a type has."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from typegen import cli_sources

if TYPE_CHECKING:
    from typegen.affected import Broken
    from typegen.upgrades import Finding


@click.command()
@click.argument("old")
@click.argument("new")
@cli_sources.options
@click.option("--objects", multiple=True, metavar="PATH", help="Federated YAML in git: name the objects that break.")
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def diff(old: str, new: str, objects: tuple[str, ...], form: str, **chosen: Any) -> None:
    """Show what the CRDs in NEW, instead of those in OLD, do to federated objects.

    Each finding names type, path and severity: breaks stored objects, breaks some members during the roll-out, or
    harmless. Exit code 0: nothing changes; 1: something does; 2: a source cannot be read.

    \b
    typegen diff crds-1.14/ crds-1.15/ --objects apps/
    """
    from typegen import affected, documents, forms, upgrades  # noqa: PLC0415

    with cli_sources.plain_errors():
        settings = cli_sources.chosen_settings((old, new), **chosen)
        before = forms.read(documents.read([old]), settings)
        after = forms.read(documents.read([new]), settings)
        findings = upgrades.compare(before.forms, after.forms)
        broken = affected.objects(documents.read(objects), forms.kinds(before, after), findings) if objects else []
    for text in [f"{old}: {text}" for text in before.refused] + [f"{new}: {text}" for text in after.refused]:
        click.echo(f"error: {text}", err=True)
    if form == "json":
        click.echo(_json(findings, broken, asked=bool(objects)))
    else:
        _text(findings, broken, asked=bool(objects))
    sys.exit(2 if before.refused or after.refused else 1 if findings else 0)


def _text(findings: "list[Finding]", broken: "list[Broken]", *, asked: bool) -> None:
    from typegen import upgrades  # noqa: PLC0415

    for severity, title in upgrades.SEVERITIES.items():
        chosen = [finding for finding in findings if finding.severity == severity]
        if chosen:
            click.echo(f"{title}:")
        for finding in chosen:
            where = f" ({', '.join(finding.versions)})" if finding.versions else ""
            click.echo(f"  {finding.type}{where}: {finding.path}: {finding.message}")
    if asked:
        click.echo("objects:" if broken else "no object breaks.")
    for each in broken:
        may = "" if each.certain else "may break: "
        click.echo(f"  {each.source}: {each.object}: {each.path}: {may}{each.message}")


def _json(findings: "list[Finding]", broken: "list[Broken]", *, asked: bool) -> str:
    content: dict[str, Any] = {
        "findings": [
            {
                "type": finding.type,
                "versions": list(finding.versions),
                "path": finding.path,
                "severity": finding.severity,
                "message": finding.message,
            }
            for finding in findings
        ]
    }
    if asked:
        content["objects"] = [
            {
                "file": each.source,
                "object": each.object,
                "path": each.path,
                "message": each.message,
                "certain": each.certain,
            }
            for each in broken
        ]
    return json.dumps(content, indent=2)


@click.command()
@click.argument("field", metavar="KIND[.PATH]")
@cli_sources.arguments
@cli_sources.options
@click.option("--recursive", is_flag=True, help="All fields below, by name only.")
def explain(field: str, sources: tuple[str, ...], recursive: bool, **chosen: Any) -> None:
    """Describe the fields of a federated type's template, as kubectl explain would.

    \b
    typegen explain Certificate.spec.privateKey crds/
    typegen explain Deployment.spec.strategy --openapi k8s.json
    """
    from typegen import explaining  # noqa: PLC0415

    kind, _, path = field.partition(".")
    chosen["only"] = (kind,)
    chosen["descriptions"] = chosen["descriptions"] or "keep"
    with cli_sources.plain_errors():
        _, gathered = cli_sources.gather(sources, **chosen)
        for refusal in gathered.refused:
            click.echo(f"error: {refusal}", err=True)
        if gathered.made:
            piece = explaining.choose(gathered.made, kind)
            click.echo(explaining.text(piece, path, recursive=recursive), nl=False)
    sys.exit(1 if gathered.refused else 0)
