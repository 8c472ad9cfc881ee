"""`fedctl token`: bootstrap tokens, with which clusters ask the hub to be members in pull mode."""

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import LazyGroup, Verb

EXAMPLES = """
  fedctl token create                                 # prints what to run in the member
  fedctl token create --ttl 1h --auto-accept east     # this cluster becomes a member without fedctl accept
  fedctl token create --auto-accept 'edge-*' --hub https://hub.example.com:6443
  fedctl token list
  fedctl token delete register-1a2b3c4d
"""
HEADER = ("NAME", "ENDS-IN", "ACCEPTS", "AGE")


@click.command("create", cls=Verb, examples=EXAMPLES)
@click.option(
    "--ttl", type=options.duration, default="24h", show_default=True, metavar="DURATION", help="How long it lasts."
)
@click.option(
    "--auto-accept",
    "accepts",
    multiple=True,
    metavar="NAME",
    help="A cluster that becomes a member without fedctl accept, once; * stands for any characters. Repeatable.",
)
@click.option(
    "--hub", "server", default="", metavar="URL", help="The hub's API server as members reach it; default: as you do."
)
@options.host
def create(*, ttl: float, accepts: tuple[str, ...], server: str, host: Host) -> None:
    """Make a token, and print the command to run in the member.

    Whoever has it can do one thing at the hub: ask for the certificate of a cluster, and read the answer. It is shown
    once. The first one installs at the hub what registration needs (docs/registration.md).
    """
    from federation.registration import invitations  # noqa: PLC0415

    patterns = invitations.patterns(accepts)
    options.run(_create(host, ttl, patterns, server))


async def _create(host: Host, ttl: float, patterns: tuple[str, ...], server: str) -> None:
    from federation.joining import invitations  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    if ttl < invitations.SHORTEST:
        raise click.BadParameter(f"a token lasts {invitations.SHORTEST // 60} minutes at least", param_hint="--ttl")
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        made = await invitations.create(
            connection, host.namespace, seconds=int(ttl), patterns=patterns, server=server, report=options.report
        )
    pins = " ".join(f"--ca-hash {each}" for each in made.pins)
    options.report(f"token {made.name} ends at {made.ends}; it is shown once. In the member, with NAME as you like:")
    name = made.names[0] if len(made.names) == 1 and "*" not in made.names[0] else "NAME"
    click.echo(f"fedctl register --hub {made.server} --token {made.word} {pins} --name {name}")
    if made.names:
        options.report(f"clusters named {', '.join(made.names)} are accepted without fedctl accept")
    else:
        options.report("then: fedctl accept NAME")


@click.command("list", cls=Verb, examples="  fedctl token list")
@options.host
@options.switch("--no-headers", text="Leave out the first line.")
def listing(*, host: Host, no_headers: bool) -> None:
    """List the tokens that have not been deleted; what they are themselves was shown once."""
    options.run(_list(host, headers=not no_headers))


async def _list(host: Host, *, headers: bool) -> None:
    from federation.cli import printing, rows  # noqa: PLC0415
    from federation.core import times  # noqa: PLC0415
    from federation.joining import fleet, heartbeat, invitations  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await invitations.listing(connection, host.namespace)
        now = heartbeat.now(connection)
        if not found:
            await fleet.expect_namespace(connection, host.namespace)
            options.report("there are no tokens; next: fedctl token create")
            return
    table = []
    for each in found:
        ends = times.moment(each.ends)
        left = (ends - now).total_seconds() if ends is not None else 0.0
        row = (each.rule.token, rows.span(left) if left > 0 else "ended", ", ".join(each.rule.patterns) or "<none>")
        table.append((*row, rows.age(each.created, now)))
    printing.table(HEADER, table, headers=headers)


@click.command("delete", cls=Verb, examples="  fedctl token delete register-1a2b3c4d")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.host
def delete(*, names: tuple[str, ...], host: Host) -> None:
    """End tokens NAME... at once; clusters that were accepted stay members."""
    options.run(_delete(host, names))


async def _delete(host: Host, names: tuple[str, ...]) -> None:
    from federation.joining import invitations  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        await invitations.delete(await contexts.open(host.context), host.namespace, names, options.report)


command = LazyGroup(
    name="token",
    commands=[create, listing, delete],
    help="Bootstrap tokens, with which clusters ask to be members in pull mode.",
    examples=EXAMPLES,
)
