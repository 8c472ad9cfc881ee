"""The command line `typegen`: CRDs and OpenAPI documents in, files for git out. Thin: typegen.federate does the work.

Heavy imports happen inside commands, so that --help and completion stay quick. Exit codes: 0 done, 1 something could
not be federated (the rest is written), 2 wrong usage or a source that cannot be read.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from typegen.documents import Found
    from typegen.model import ApiResource, Generated, Options


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make federated types from CRDs and built-in types, offline."""


@main.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", default="-", show_default=True, metavar="DIR|-", help="Folder to write to; - prints.")
@click.option("--only", multiple=True, metavar="KIND", help="Only this kind, plural or plural.group; may be repeated.")
@click.option("--version", default="", metavar="VERSION", help="The target's version; default: the preferred one.")
@click.option("--federated-group", default="types.kubefed.io", show_default=True, metavar="GROUP")
@click.option("--federated-version", default="v1beta1", show_default=True, metavar="VERSION")
@click.option("--system-namespace", default="kube-federation-system", show_default=True, metavar="NAMESPACE")
@click.option(
    "--descriptions",
    type=click.Choice(["auto", "keep", "short", "drop"]),
    default="auto",
    show_default=True,
    help="auto: as much as kubectl apply can store.",
)
@click.option("--optional", multiple=True, metavar="FIELD", help="A required field that only overrides supply.")
def write(sources: tuple[str, ...], output: str, only: tuple[str, ...], **chosen: Any) -> None:
    """Write a federated CRD and a FederatedTypeConfig for each type in SOURCE.

    SOURCE is a file, a folder, or - for standard input. CRDs are taken from any YAML or JSON between other objects;
    built-in types from an OpenAPI v3 document, named by --only.

    \b
    typegen write crds/ -o federated/
    kubectl get crd certificates.cert-manager.io -o yaml | typegen write -
    kubectl get --raw /openapi/v3/apis/apps/v1 | typegen write - --only Deployment
    """
    from typegen import documents, model  # noqa: PLC0415

    options = model.Options(**chosen)
    wanted = frozenset(name.lower() for name in only)
    failures: list[str] = []
    try:
        found = list(documents.read(sources))
    except documents.Unreadable as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    made = [generated for document in found for generated in _generate(document, options, wanted, failures)]
    made.sort(key=lambda generated: generated.target.qualified)
    _refuse_collisions(made, failures)
    if not made and not failures:
        failures.append(f"nothing to federate in {', '.join(sources)}: no CustomResourceDefinition is among it")
    _deliver(made, output)
    for failure in failures:
        click.echo(f"error: {failure}", err=True)
    sys.exit(1 if failures else 0)


def _generate(found: "Found", options: "Options", wanted: frozenset[str], failures: list[str]) -> Iterator["Generated"]:
    from typegen import definitions, federate, model, openapi  # noqa: PLC0415

    document = found.document
    try:
        if definitions.is_definition(document):
            target = definitions.target(document, options)
            if _selected(target.resource, wanted):
                yield federate.generate(target, options)
        elif "openapi" in document:
            if not wanted:
                raise model.Unusable("name the built-in types to take from an OpenAPI document with --only")
            for resource in openapi.resources(document):
                if _selected(resource, wanted):
                    yield federate.from_openapi(document, resource, options)
    except model.Unusable as error:
        failures.append(f"{found.source}: {error}")


def _selected(resource: "ApiResource", wanted: frozenset[str]) -> bool:
    return not wanted or not wanted.isdisjoint({resource.kind.lower(), resource.plural, resource.qualified})


def _refuse_collisions(made: list["Generated"], failures: list[str]) -> None:
    taken: dict[str, Generated] = {}
    for generated in list(made):
        name = generated.federated.qualified
        first = taken.setdefault(name, generated)
        if first is not generated:
            made.remove(generated)
            failures.append(
                f"{generated.target.qualified} and {first.target.qualified} would both become {name}: write one "
                "of them alone, with --only and another --federated-group"
            )


def _deliver(made: list["Generated"], output: str) -> None:
    from typegen import writing  # noqa: PLC0415

    for generated in made:
        content = writing.text(generated)
        if output == "-":
            click.echo(content, nl=False)
        else:
            folder = Path(output)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{generated.target.qualified}.yaml").write_text(content, encoding="utf-8")
        for caution in generated.cautions:
            click.echo(f"note: {generated.target.qualified}: {caution}", err=True)
