"""`fedctl register`: what `fedctl token create` prints is run in a cluster that is to be a member."""

from typing import TYPE_CHECKING

import click

from federation.cli import completing, options
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.registering import Wanted

EXAMPLES = """
  fedctl register --hub https://hub:6443 --token kubefed1.... --ca-hash sha256:... --name east --image IMAGE:TAG
  fedctl register --hub https://hub:6443 --token @token.txt --ca-hash sha256:... --name east   # run the agent yourself
  fedctl register --hub https://hub:6443 --token @token.txt --ca-hash sha256:... --name east --fence kube-system
"""


@click.command("register", cls=Verb, examples=EXAMPLES)
@click.option("--hub", required=True, metavar="URL", help="The hub's API server.")
@click.option("--token", required=True, metavar="TOKEN", help="The token, or @FILE that holds it.")
@click.option(
    "--ca-hash", "pins", multiple=True, required=True, metavar="sha256:HEX", help="Of the hub's CA. Repeatable."
)
@click.option("--name", required=True, metavar="NAME", help="The cluster's name at the hub, and its namespace there.")
@click.option("--image", default="", metavar="IMAGE", help="The agent's image; without it no Deployment is made.")
@click.option(
    "--namespace", default="open-cluster-management-agent", show_default=True, metavar="NAME", help="The agent's."
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="A type that the agent may write, as deployments.apps; default: those enabled when the token was made.",
)
@click.option(
    "--fence",
    multiple=True,
    metavar="NAMESPACES",
    help="Namespaces that the agent may never write into, whatever the hub asks (a,b; none removes the fence).",
)
@click.option("--kubeconfig", metavar="PATH", help="Kubeconfig to use; default: $KUBECONFIG, then ~/.kube/config.")
@click.option(
    "--cluster-context",
    "--context",
    "context",
    metavar="NAME",
    shell_complete=completing.contexts,
    help="This cluster's context; default: the current one.",
)
@options.switch("--wait", text="Wait until the agent has its certificate, which somebody accepts at the hub.")
@options.timeout(default="10m", text="How long to wait")
@options.dry_run
def command(
    *,
    hub: str,
    token: str,
    pins: tuple[str, ...],
    name: str,
    image: str,
    namespace: str,
    types: tuple[str, ...],
    fence: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    wait: bool,
    timeout: float,
    dry_run: str,
) -> None:
    """Make this cluster ask the hub to be a member in pull mode.

    Checks the hub by its pinned CA, and the token; then installs the agent with rights for the types that the hub has
    enabled. The agent makes its key here and asks the hub for a certificate; at the hub: fedctl accept NAME. No
    credential of this cluster leaves it.
    """
    from federation.joining.registering import Wanted  # noqa: PLC0415
    from federation.registration import invitations  # noqa: PLC0415

    wanted = Wanted(
        name=name,
        hub=hub,
        invitation=invitations.decode(_text(token)),
        pins=invitations.pins(pins),
        namespace=namespace,
        image=image,
        types=types,
        fence=options.namespaces(fence),
    )
    seconds = timeout if wait else None
    options.run(_register(kubeconfig, context, wanted, timeout=seconds, dry_run=bool(dry_run)))


def _text(token: str) -> str:
    """A token on the command line shows in the list of processes: a file does not."""
    if not token.startswith("@"):
        return token
    try:
        with open(token[1:], encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{token[1:]} cannot be read ({type(error).__name__})", param_hint="--token") from None


async def _register(
    kubeconfig: str | None, context: str | None, wanted: "Wanted", *, timeout: float | None, dry_run: bool
) -> None:
    from federation.joining import registering  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(kubeconfig) as contexts:
        member = await contexts.open(context)
        made = await registering.register(member, wanted, options.report, dry_run=dry_run)
        if dry_run:
            return
        options.report(f"agent {made.agent} asks to be cluster {wanted.name}; at the hub: fedctl accept {wanted.name}")
        if not wanted.image:
            options.report(f"next: run the agent: fedctl agent run --context {member.name}")
        if timeout is not None:
            await registering.wait_certificate(member, wanted, made.agent, timeout=timeout)
            options.report(f"cluster {wanted.name} has its certificate")
