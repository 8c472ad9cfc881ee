"""`fedctl enable`: switch federation of a type on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from federation.joining.enabling import Request

EXAMPLES = """
  fedctl enable deployments.apps                      # also: deployments, Deployment, deploy
  fedctl enable -f widget-crd.yaml                    # from a CRD, or KubeFed's EnableTypeDirective
  fedctl enable configmaps -o yaml > types.yaml       # for git
  fedctl enable widgets.example.com --aggregate-to view,edit    # people with these roles get it, too
  fedctl enable --check widgets.example.com           # before: does it fit what every member serves?
"""


def _names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """With --check the enabled types; without it nothing, because every type that the host serves may be enabled."""
    return completing.types(ctx, parameter, incomplete) if ctx.params.get("check") else []


@click.command("enable", cls=Verb, examples=EXAMPLES)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=_names)
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE", help="EnableTypeDirectives or CRDs; - is stdin."
)
@click.option("--federated-group", default="", metavar="GROUP", help="Default: types.kubefed.io.")
@click.option("--federated-version", default="", metavar="VERSION", help="Default: v1beta1.")
@click.option("--version", default="", metavar="VERSION", help="The target's version; default: the preferred one.")
@click.option(
    "--aggregate-to",
    multiple=True,
    metavar="ROLES",
    help="Which of Kubernetes' roles get rights on the federated type: view,edit,admin or none; default: as before, "
    "else those that have rights on the type itself.",
)
@click.option("--check", is_flag=True, help="Compare the type with what every member serves, and change nothing.")
@options.host
@options.dry_run
@options.output("yaml", "json")
def command(
    *,
    names: tuple[str, ...],
    files: tuple[str, ...],
    federated_group: str,
    federated_version: str,
    version: str,
    aggregate_to: tuple[str, ...],
    check: bool,
    host: Host,
    dry_run: str,
    output: str | None,
) -> int:
    """Make a federated type for NAME and switch its propagation on.

    NAME is a kind, plural, short name or plural.group that the host serves. The federated CRD carries the target's
    whole schema. The controller's role is widened in every member that your kubeconfig reaches; for others the manifest
    for that member's admin is printed (exit code 3).

    Kubernetes' own roles view, edit and admin get the same rights on the federated type as they have on the type
    itself: for custom types none, unless --aggregate-to names them.

    --check writes nothing anywhere. For each member it reports which versions and fields are missing there, and where
    its schema is stricter than the host's, so that the member would refuse a template that the host accepts: as a table
    or with -o json|yaml. The types need not be enabled. Exit code 0 when everything fits, 1 when something does not, 3
    when a member could not be compared.
    """
    from federation.cli import directives  # noqa: PLC0415
    from federation.joining.enabling import Request  # noqa: PLC0415

    if bool(names) == bool(files):
        raise click.UsageError("give either NAME or -f FILE")
    if files:
        given = {"--federated-group": federated_group, "--federated-version": federated_version, "--version": version}
        options.ignored(given, "with -f: versions and groups are in the file")
    if check and dry_run:
        raise click.UsageError("--check changes nothing: leave out --dry-run")
    asked = _roles(aggregate_to)
    requests = (
        directives.requests(files)
        if files
        else [
            Request(name, version=version, federated_group=federated_group, federated_version=federated_version)
            for name in names
        ]
    )
    requests = [replace(each, aggregate_to=asked) for each in requests]
    code: int = options.run(_check(host, requests, output) if check else _enable(host, requests, dry_run, output))
    return code


def _roles(words: tuple[str, ...]) -> tuple[str, ...] | None:
    from typegen import userroles  # noqa: PLC0415
    from typegen.model import Unusable  # noqa: PLC0415

    try:
        return userroles.parse(words, "--aggregate-to") if words else None
    except Unusable as error:
        raise click.UsageError(str(error)) from None


async def _check(host: Host, requests: Sequence["Request"], output: str | None) -> int:
    from federation.cli import fits  # noqa: PLC0415
    from federation.joining import checking  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await checking.check(contexts, connection, host.namespace, requests, options.report)
    fits.show(found, output)
    return fits.report(found)


async def _enable(host: Host, requests: Sequence["Request"], dry_run: str, output: str | None) -> int:
    from federation.cli import rolling  # noqa: PLC0415
    from federation.joining import enabling  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        if output or dry_run == "client":
            made = await enabling.generate(connection, host.namespace, requests)
            for generated in made:
                for caution in generated.cautions:
                    options.report(f"warning: {generated.target.qualified}: {caution}")
            bound = await enabling.within(connection, host.namespace)
            _show(
                [each for generated in made for each in enabling.manifests(generated, bound)], connection.name, output
            )
            return 0
        if dry_run:
            done = await enabling.rehearse(contexts, connection, host.namespace, requests, options.progress)
            return rolling.report(done.members)
        done = await enabling.enable(contexts, connection, host.namespace, requests, options.progress)
    for each in done.types:
        options.progress(f"{each.target.qualified} is federated as {each.federated.kind} ({each.federated.qualified})")
    return rolling.report(done.members)


def _show(manifests: list[dict[str, Any]], host: str, output: str | None) -> None:
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import applying  # noqa: PLC0415

    if output:
        printing.emit(manifests, output)
        return
    for manifest in manifests:
        label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
        options.progress(f"{host}: {label} (dry run)")
