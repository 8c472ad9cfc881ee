"""`fedctl cordon`: nothing is created, changed or removed in these members until `fedctl uncordon`."""

from collections.abc import Mapping

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl cordon east
  fedctl cordon east west --reason "storage upgrade, ask team-infra"
  kubectl -n kube-federation-system wait --for=condition=Cordoned kubefedcluster/east   # until it is in force
"""


@click.command("cordon", cls=Verb, examples=EXAMPLES)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completing.clusters)
@click.option("--reason", default="", metavar="TEXT", help="Shown in conditions and statuses; nothing secret.")
@options.host
@options.dry_run
def command(*, names: tuple[str, ...], reason: str, host: Host, dry_run: str) -> None:
    """Stop all writes of federated objects to the members NAME...

    Nothing is created, changed or removed there; drift is not corrected, and a federated object that is deleted waits.
    Nothing is moved away: placements stay as they are. It is annotation kubefed.io/cordon of the KubeFedCluster, so
    that git can have it, too.
    """
    from federation.model.marks import CORDON_ANNOTATION  # noqa: PLC0415

    mark = {CORDON_ANNOTATION: " ".join(reason.split()) or "true"}
    options.run(annotate(host, names, mark, dry_run=dry_run))
    done = "would be cordoned (dry run)" if dry_run else "cordoned"
    for name in dict.fromkeys(names):
        options.report(f"cluster {name} {done}")


async def annotate(host: Host, names: tuple[str, ...], mark: Mapping[str, str | None], *, dry_run: str) -> None:
    """Set annotations of every one of these clusters (None removes one), or of none where one does not exist."""
    from federation.joining import lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.resources import KUBEFED_CLUSTERS  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        for name in names:
            await lookups.one(connection, KUBEFED_CLUSTERS, host.namespace, name)
        for name in dict.fromkeys(names) if dry_run != "client" else ():
            await lookups.annotate(
                connection, KUBEFED_CLUSTERS, host.namespace, name, mark, dry_run=dry_run == "server"
            )
