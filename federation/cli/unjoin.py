"""`fedctl unjoin`: undo the join of a member."""

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl unjoin east --host-cluster-context host
  fedctl unjoin east --cluster-context admin@east
  fedctl unjoin east --force                          # the member is gone, or cannot be reached
"""


@click.command("unjoin", cls=Verb, examples=EXAMPLES)
@click.argument("name", shell_complete=completing.clusters)
@options.host
@options.member
@options.switch("--force", text="Finish at the host even if the member cannot be cleaned; prints what is left there.")
@options.dry_run
def command(
    *, name: str, host: Host, cluster_context: str | None, host_cluster_name: str | None, force: bool, dry_run: str
) -> None:
    """Undo the join of member NAME: first in the member, then at the host.

    Objects that were placed in the member stay there. After a failure half way, run it again.
    """
    options.run(_unjoin(host, name, cluster_context or None, host_cluster_name, force=force, dry_run=bool(dry_run)))


async def _unjoin(
    host: Host, name: str, context: str | None, host_name: str | None, *, force: bool, dry_run: bool
) -> None:
    from federation.joining import fleet, leaving, roles  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.kube.connection import Connection  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        at = contexts.name(host.context)
        connection = await contexts.open(at)
        member: Connection | FederationError
        try:
            if context is None and name not in contexts.names:
                joined = (await fleet.read(connection, host.namespace)).member(name)
                found = await roles.member_connection(contexts, joined) if joined else None
                member = found or await contexts.open(name)
            else:
                member = await contexts.open(context or name)
        except FederationError as error:
            member = error
        wanted = leaving.Leaving(name, host_name or at, host.namespace, force)
        left = await leaving.leave(connection, member, wanted, options.report, dry_run=dry_run)
    if left.objects:
        options.report(f"warning: {name} was not cleaned: {left.reason}")
        options.report(f"left in {name}, if it still exists: {', '.join(left.objects)}")
        options.report(f"next: ask an admin of {name} to delete them")
    if not dry_run:
        options.report(f"cluster {name} has left {at}; objects that were placed there stay")
