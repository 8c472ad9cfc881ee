"""`fedctl get controllers`: who leads, who stands by, and since when."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.leases import Leader, Replica

HEADER = ("NAME", "ROLE", "SINCE", "RENEWED")
WIDE = (*HEADER, "LEASE", "CHANGES", "IDENTITY")
NOBODY = "<none>"


@click.command(
    "controllers",
    cls=Verb,
    examples="""
  fedctl get controllers
  fedctl get controllers -o wide
  fedctl get controllers -o yaml                      # the Lease itself
""",
)
@options.host
@options.output("wide", "json", "yaml", "name")
@options.switch("--no-headers", text="Leave out the first line.")
def command(*, host: Host, output: str | None, no_headers: bool) -> None:
    """List the controllers: the one that leads, by its Lease, and the Pods that stand by.

    ROLE is Leader, Gone (it leads no more: its Lease has ended), Standby, or NotReady for a Pod that could not lead.
    With several shards there is a row for each, with its number and how many there are; Vacant is one that nobody has.
    """
    options.run(_list(host, output, headers=not no_headers))


async def _list(host: Host, output: str | None, *, headers: bool) -> None:
    from federation.cli import printing, silence  # noqa: PLC0415
    from federation.joining import fleet, heartbeat, leases  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await leases.leases(connection, host.namespace)
        now = heartbeat.now(connection)
        if not found:
            await fleet.expect_namespace(connection, host.namespace)
        if output in ("json", "yaml"):
            printing.emit([printing.readable(each) for each in found], output, single=len(found) == 1)
            return
        if output == "name":
            for each in found:
                click.echo(f"lease.coordination.k8s.io/{each['metadata']['name']}")
            return
        held, shards = leases.in_force([each for each in map(leases.read, found) if each is not None])
        leaders = [each for each in held if each.host or shards > 1]
        pods = await leases.replicas(connection, host.namespace)
        await silence.warn(connection, host.namespace, ())
    wide = output == "wide"
    names, table = rows_of(leaders, pods, shards, now, wide=wide)
    if table:
        printing.table(names, table, headers=headers)
    else:
        options.report("no controller leads, and none stands by")


def rows_of(
    leaders: Sequence["Leader"], pods: Sequence["Replica"], shards: int, now: dt.datetime, *, wide: bool
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The header, and a row for each Lease and for each Pod that has none; with several shards, which it is of."""
    table = [leading(each, now, wide=wide) for each in leaders]
    hosts = {each.host for each in leaders}
    table += [standing(each, now, wide=wide) for each in pods if each.name not in hosts]
    names = WIDE if wide else HEADER
    if shards == 1:
        return names, table
    numbers = [f"{each.shard}/{shards}" for each in leaders]
    numbers += [""] * (len(table) - len(numbers))
    table = [(*row[:2], number, *row[2:]) for row, number in zip(table, numbers, strict=True)]
    return (*names[:2], "SHARD", *names[2:]), table


def leading(leader: "Leader", now: dt.datetime, *, wide: bool = False) -> tuple[str, ...]:
    """The row of a Lease's holder."""
    role = "Vacant" if not leader.host else "Leader" if leader.silent(now) is None else "Gone"
    row = (leader.host or NOBODY, role, _age(leader.since, now), _age(leader.renewed, now))
    return (*row, leader.lease, str(leader.transitions), leader.identity) if wide else row


def standing(replica: "Replica", now: dt.datetime, *, wide: bool = False) -> tuple[str, ...]:
    """The row of a Pod that does not lead; SINCE is its age."""
    from federation.cli import rows  # noqa: PLC0415

    row = (replica.name, "Standby" if replica.ready else "NotReady", rows.age(replica.created, now), "")
    return (*row, "", "", "") if wide else row


def _age(moment: dt.datetime | None, now: dt.datetime) -> str:
    from federation.cli import rows  # noqa: PLC0415

    return rows.span((now - moment).total_seconds()) if moment is not None else ""
