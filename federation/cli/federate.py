"""`fedctl federate`: make federated objects of plain ones, from the host or from files, by federation.federating."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.federating.wishes import Wish

EXAMPLES = """
  fedctl federate deployment web -n shop --placement east,west
  fedctl federate ns shop --contents --enable-type --cluster-selector tier=edge
  fedctl federate deployment web -n shop --override east:/spec/replicas=5 -o yaml
  fedctl federate -f apps/ --types types/ > federated.yaml        # without a cluster
"""


@click.command("federate", cls=Verb, examples=EXAMPLES)
@click.argument("kind", required=False, default="", shell_complete=completing.types)
@click.argument("name", required=False, default="")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Default: the context's namespace, else default.")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help="Federate what is in these files or folders and print it; - is stdin. Needs no cluster.",
)
@click.option(
    "--types",
    multiple=True,
    metavar="PATH",
    help="With -f: the types' files (FederatedTypeConfigs, CRDs). Those among the input are used, too.",
)
@options.switch("-c", "--contents", text="For a namespace: federate everything in it, too.")
@options.switch("-t", "--enable-type", text="First enable the type, if it is not enabled.")
@click.option(
    "-s",
    "--skip-api-resources",
    "skip",
    multiple=True,
    metavar="NAMES",
    help="With --contents: leave out these types, or all types of these API groups.",
)
@click.option("--placement", multiple=True, metavar="CLUSTERS", help="Exactly these clusters. Default: every cluster.")
@click.option("--cluster-selector", metavar="SELECTOR", help="Clusters by label, as kubectl's -l: tier=edge,zone!=z1.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="CLUSTER:PATH=VALUE",
    help="What differs in a cluster: east:/spec/replicas=5; east:/spec/paused- removes a field.",
)
@options.host
@options.dry_run
@options.output("yaml", "json")
def command(
    *,
    kind: str,
    name: str,
    files: tuple[str, ...],
    types: tuple[str, ...],
    placement: tuple[str, ...],
    cluster_selector: str | None,
    overrides: tuple[str, ...],
    output: str | None,
    **rest: Any,
) -> int:
    """Make the federated object for the object NAME of KIND at the host, with it as its template.

    The plain object stays as it is. With -o the result is printed and nothing is created; then neither the type needs
    to be enabled nor the federation API to be installed. With -f nothing is read from a cluster: in the output every
    document of a federated type is replaced by its federated object; all others are printed unchanged, in their order.
    """
    from federation.federating import wishes  # noqa: PLC0415

    if placement and cluster_selector is not None:
        raise click.UsageError("give either --placement or --cluster-selector")
    wish = wishes.Wish(
        wishes.clusters(placement) if placement else None,
        None if cluster_selector is None else wishes.selector(cluster_selector),
        wishes.changes(overrides),
    )
    if files:
        return _files(kind, files, types, wish, output=output, **rest)
    if types:
        raise click.UsageError("--types is for use with -f: without it the types are read from the host")
    if not kind or not name:
        raise click.UsageError("give KIND and NAME, or -f FILE")
    code: int = options.run(_host(kind, name, wish, output=output, **rest))
    return code


def _files(
    kind: str, files: Sequence[str], types: Sequence[str], wish: "Wish", *, output: str | None, **rest: Any
) -> int:
    from federation.cli import offline, printing  # noqa: PLC0415

    if kind:
        raise click.UsageError("with -f everything comes from the files: leave out KIND and NAME")
    given = {"--namespace": rest["namespace"], "--contents": rest["contents"], "--skip-api-resources": rest["skip"]}
    options.ignored(given, "with -f: everything is in the files")
    made = offline.federate(files, types, wish, enable=rest["enable_type"], namespace=rest["host"].namespace)
    for line in made.remarks:
        options.report(line)
    printing.emit(made.documents, output or "yaml")
    return 0


async def _host(
    kind: str,
    name: str,
    wish: "Wish",
    *,
    namespace: str,
    contents: bool,
    enable_type: bool,
    skip: tuple[str, ...],
    host: Host,
    dry_run: str,
    output: str | None,
) -> int:
    from federation.cli import online, printing  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        run = online.Run(
            contexts,
            await contexts.open(host.context),
            host.namespace,
            wish,
            enable=enable_type,
            print_only=bool(output),
            dry_run=dry_run,
        )
        where = namespace or contexts.namespace(host.context)
        skipped = tuple(word.strip() for each in skip for word in each.split(",") if word.strip())
        made: Sequence[Mapping[str, Any]] = await run.federate(kind, name, where, contents=contents, skip=skipped)
    if output:
        printing.emit(made, output, single=len(made) == 1)
    return run.code
