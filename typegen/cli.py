"""The command line `typegen`: CRDs and OpenAPI documents in, files for git out; the other modules do the work.

Commands import what is heavy by themselves, so that --help and completion stay fast. Exit codes: 0 done, 1 something
could not be federated or differs (the rest is done), 2 wrong usage or a source that cannot be read.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from typegen import cli_errors, cli_sources, cli_upgrades

if TYPE_CHECKING:
    from typegen.gathering import Gathered


@click.group(cls=cli_errors.PlainGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make federated types from CRDs and built-in types, offline, for git."""


@main.command()
@cli_sources.arguments
@cli_sources.options
@click.option("-o", "--output", default="", metavar="DIR|-", help="Folder to write to; - prints.  [default: -]")
@click.option("--prune", is_flag=True, help="Remove files of earlier runs from DIR that this one does not write.")
def write(sources: tuple[str, ...], output: str, prune: bool, **chosen: Any) -> None:
    """Write the federated types for the CRDs in SOURCE.

    Writes one file per type with its federated CRD and FederatedTypeConfig, RBAC for the hub and for members, and a
    kustomization.yaml. SOURCE is a file, a folder, or - for standard input; other objects among the CRDs (as in the
    output of Helm and kustomize) are ignored. Built-in types come from --openapi or --context, and are selected by
    --only or --group. Without SOURCE, all settings come from ./typegen.yaml.

    \b
    typegen write crds/ -o federated/
    helm template cert-manager jetstack/cert-manager --set crds.enabled=true | typegen write - -o federated/
    typegen write --context hub --only Deployment --only certificates.cert-manager.io
    kubectl get --raw /openapi/v2 > k8s.json; typegen write --openapi k8s.json --only Deployment
    """
    from typegen import bundle  # noqa: PLC0415

    with cli_sources.plain_errors():
        settings, gathered = cli_sources.gather(sources, output=output, **chosen)
        if settings.output == "-":
            click.echo(bundle.printed(gathered.made, settings.options), nl=False)
        else:
            folder, wanted = Path(settings.output), bundle.files(gathered.made, settings.options)
            bundle.write(folder, wanted)
            if not gathered.refused:  # the file of a type that was refused must not count as no longer wanted
                _leftover(folder, wanted, prune=prune)
    for piece in gathered.made:
        for caution in piece.cautions:
            click.echo(f"note: {piece.target.qualified}: {caution}", err=True)
    _finish(gathered)


def _leftover(folder: Path, wanted: dict[str, str], *, prune: bool) -> None:
    from typegen import bundle  # noqa: PLC0415

    for name in bundle.stale(folder, wanted):
        if prune:
            (folder / name).unlink()
            click.echo(f"note: {folder / name}: removed", err=True)
        else:
            click.echo(f"note: {folder / name}: no longer made from these sources; --prune removes it", err=True)


@main.command()
@click.argument("folder", required=False, metavar="[DIR]")
@cli_sources.arguments
@cli_sources.options
def check(folder: str | None, sources: tuple[str, ...], **chosen: Any) -> None:
    """Compare DIR with what would be written there from SOURCE; print the difference and exit 1 if there is one.

    Without arguments, both come from ./typegen.yaml. For CI and pre-commit.
    """
    from typegen import bundle  # noqa: PLC0415

    with cli_sources.plain_errors():
        settings, gathered = cli_sources.gather(sources, output=folder or "", **chosen)
        if settings.output == "-":
            raise click.UsageError("give the DIR to check")
        wanted = bundle.files(gathered.made, settings.options)
        found = False
        for line in bundle.differences(Path(settings.output), wanted):
            found = True
            click.echo(line if line.endswith("\n") else f"{line}\n", nl=False)
    _finish(gathered, code=1 if found else 0)


@main.command("list")
@cli_sources.arguments
@cli_sources.options
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_types(sources: tuple[str, ...], form: str, **chosen: Any) -> None:
    """List the types in SOURCE, with the names of their federated types, or the reason why there can be none."""
    from typegen import tables  # noqa: PLC0415

    with cli_sources.plain_errors():
        _, gathered = cli_sources.gather(sources, everything=True, **chosen)
    click.echo(tables.types(gathered) if form == "table" else tables.types_json(gathered), nl=False)
    sys.exit(1 if gathered.refused else 0)


def _finish(gathered: "Gathered", code: int = 0) -> None:
    for refusal in gathered.refused:
        click.echo(f"error: {refusal}", err=True)
    sys.exit(1 if gathered.refused else code)


main.add_command(cli_upgrades.diff)
main.add_command(cli_upgrades.explain)
