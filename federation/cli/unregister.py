"""`fedctl unregister`: undo the registration of a cluster in pull mode."""

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl unregister east --host-cluster-context host
  fedctl unregister east --cluster-context admin@east
  fedctl unregister east --force                      # its agent, or the cluster, is lost
"""


@click.command("unregister", cls=Verb, examples=EXAMPLES)
@click.argument("name", shell_complete=completing.clusters)
@options.host
@click.option(
    "--cluster-context",
    shell_complete=completing.contexts,
    metavar="NAME",
    help="The member's context; default: the member's name.",
)
@click.option(
    "--namespace", default="open-cluster-management-agent", show_default=True, metavar="NAME", help="The agent's there."
)
@options.switch("--force", text="Finish at the hub even if the member cannot be cleaned; prints what is left there.")
@options.dry_run
def command(*, name: str, host: Host, cluster_context: str | None, namespace: str, force: bool, dry_run: str) -> None:
    """Undo the registration of cluster NAME, or deny what asks for this name.

    The agent's rights at the hub end first. Objects that were placed in the member stay there.
    """
    options.run(_unregister(host, name, cluster_context or name, namespace, force=force, dry_run=bool(dry_run)))


async def _unregister(host: Host, name: str, context: str, namespace: str, *, force: bool, dry_run: bool) -> None:
    from federation.joining import unregistering  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.kube.connection import Connection  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        member: Connection | FederationError
        try:
            member = await contexts.open(context)
        except FederationError as error:
            member = error
        leaving = unregistering.Leaving(name, host.namespace, namespace, force)
        left = await unregistering.unregister(connection, member, leaving, options.report, dry_run=dry_run)
    if left.reason:
        options.report(f"warning: {name} was not cleaned: {left.reason}")
        options.report(f"left in {name}, if it still exists: {', '.join(left.objects)}")
        options.report(
            "note: an agent that still runs there keeps what it has fetched; its certificate ends by itself, "
            "and has no rights at the hub"
        )
    if left.records:
        options.report(
            f"note: {len(left.records)} appliedmanifestworks stay in {name} and own what was placed there; "
            "to keep that, delete them with kubectl delete --cascade=orphan alone"
        )
    if not dry_run:
        options.report(f"cluster {name} has left; objects that were placed there stay")
