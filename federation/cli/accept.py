"""`fedctl accept`: make a cluster that asks for it a member in pull mode."""

from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.accepting import Wanted

EXAMPLES = """
  fedctl get registrations                            # who asks
  fedctl accept east
  fedctl accept east --label region=eu
  fedctl accept east --agent 1a2b3c4d5e6f             # of several that ask for this name
  fedctl accept east --replace                        # it was registered anew: another agent takes its place
"""


@click.command("accept", cls=Verb, examples=EXAMPLES)
@click.argument("name")
@click.option("--agent", default="", metavar="ID", help="The agent to accept, where several ask for this name.")
@options.switch("--replace", text="Accept another agent than before; that one has no rights from then on.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label of the KubeFedCluster; others stay.")
@options.host
@options.dry_run
def command(*, name: str, agent: str, replace: bool, labels: tuple[str, ...], host: Host, dry_run: str) -> None:
    """Make cluster NAME, which has asked for it, a member in pull mode.

    Its request is approved if it asks for nothing but the certificate of this cluster; the agent gets rights in a
    namespace of the cluster's name, and nowhere else. Compare the agent's id with what fedctl register has printed.
    """
    from federation.joining import joinplans  # noqa: PLC0415
    from federation.joining.accepting import Wanted  # noqa: PLC0415

    wanted = Wanted(name, host.namespace, agent, replace, joinplans.parse_labels(labels))
    options.run(_accept(host, wanted, dry_run=bool(dry_run)))


async def _accept(host: Host, wanted: "Wanted", *, dry_run: bool) -> None:
    from federation.joining import accepting  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        asked = await accepting.accept(connection, wanted, options.report, dry_run=dry_run)
        if dry_run:
            options.report(f"cluster {wanted.cluster} would be accepted (dry run)")
            return
        await accepting.wait_issued(connection, asked)
    options.report(f"cluster {wanted.cluster} is accepted; next: fedctl get clusters {wanted.cluster}")
