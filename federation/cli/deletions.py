"""`fedctl deletions`: which deletions in members are held, what they follow from, and what becomes of them."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.kube.connection import Connection

EXAMPLES = """
  fedctl deletions                      # what is held, by the change that it follows from
  fedctl deletions -o wide --watch
  fedctl deletions approve 1f3a9c04     # delete all of this group
  fedctl deletions reject 1f3a9c04      # keep it
"""
_HEADER = ("GROUP", "STATE", "DELETIONS", "CLUSTERS", "CHANGE", "BY", "AGE")
_WIDE = (*_HEADER, "WHY", "OBJECTS")
_LEFT = ("LEFT BEHIND IN", "IDENTITY", "COPIES", "AGE", "OBJECTS")
_NAMED = 3
_PERIOD = 2.0
"""Seconds between two looks of --watch."""


@click.command("deletions", cls=Verb, examples=EXAMPLES)
@click.argument("action", required=False, default=None, type=click.Choice(["approve", "reject"]))
@click.argument("groups", nargs=-1, metavar="[GROUP...]")
@options.switch("--watch", "-w", text="Print it again whenever it changes, until interrupted.")
@options.switch("--no-headers", text="Leave out the first line.")
@options.output("wide", "json", "yaml")
@options.host
@options.dry_run
def command(
    *,
    action: str | None,
    groups: tuple[str, ...],
    watch: bool,
    no_headers: bool,
    output: str | None,
    host: Host,
    dry_run: str,
) -> None:
    """Show deletions in members that are held because they are more than go by themselves, and decide on them.

    Deletions that follow from one change are a group: a cluster's labels, a FederatedNamespace's placement, placements
    that were changed together, objects that were deleted together. While a group is held nothing of it is deleted, and
    everything else goes on. Take the change back, and the group is gone.

    approve: what is in the group is deleted, each copy after the hub was asked once more. reject: it is not deleted for
    this change. Copies stay as they are, until the change is taken back or another follows. Where federated objects are
    being deleted, which cannot be taken back, their copies are let go of: they stay in their members, and are not
    managed any more. Who has changed something is known as far as managedFields show it; who has deleted something is
    not.
    """
    if (action is None) == bool(groups):
        raise click.UsageError("give approve or reject, and GROUP...; or neither")
    if action is not None:
        options.run(_decide(host, action, groups, dry_run=dry_run))
    elif watch:
        options.run(_watch(host, output, headers=not no_headers))
    else:
        options.run(_show(host, output, headers=not no_headers))


async def _decide(host: Host, action: str, groups: tuple[str, ...], *, dry_run: str) -> None:
    from federation.joining import deletionrequests  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    approve = action == "approve"
    names = tuple(dict.fromkeys(groups))
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        await deletionrequests.decide(connection, host.namespace, names, approve=approve, dry_run=dry_run)
    for name in names:
        done = "its deletions go on" if approve else "its deletions are not done"
        options.report(f"group {name}: {done}{' (dry run)' if dry_run else ''}")


async def _show(host: Host, output: str | None, *, headers: bool) -> None:
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        await _print(await contexts.open(host.context), host, output, headers=headers)


async def _watch(host: Host, output: str | None, *, headers: bool) -> None:
    import asyncio  # noqa: PLC0415

    from federation.joining.contexts import Contexts  # noqa: PLC0415

    seen: object = None
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        while True:
            seen = await _print(connection, host, output, headers=headers, unless=seen)
            await asyncio.sleep(_PERIOD)


async def _print(
    connection: "Connection", host: Host, output: str | None, *, headers: bool, unless: object = None
) -> Mapping[str, Any]:
    """Print what is held, `unless` it is that; returns it."""
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import deletionrequests, heartbeat  # noqa: PLC0415

    found = await deletionrequests.read(connection, host.namespace)
    if found == unless:
        return found
    if output in ("json", "yaml"):
        printing.emit([found], output, single=True)
    else:
        show(found, heartbeat.now(connection), wide=output == "wide", headers=headers)
    return found


def show(found: Mapping[str, Any], now: dt.datetime, *, wide: bool, headers: bool) -> None:
    """Print the tables, and beside them what comes next."""
    from federation.cli import printing  # noqa: PLC0415

    groups, left = found["groups"], found["leftBehind"]
    if groups:
        rows = [row(each, now, wide=wide) for each in groups]
        printing.table(_WIDE if wide else _HEADER, rows, headers=headers)
    else:
        options.report("no deletions are held")
    if found["moreGroups"]:
        options.report(f"{found['moreGroups']} more groups are held: the controller's log names them")
    if left:
        printing.table(_LEFT, [_left(each, now) for each in left], headers=headers)
        options.report("copies that were left behind are a group of their own when their cluster is back")
    if any(each.get("state") == "Held" for each in groups):
        options.report("next: fedctl deletions approve GROUP, or reject GROUP; or take the change back")


def row(group: Mapping[str, Any], now: dt.datetime, *, wide: bool) -> tuple[str, ...]:
    """One group."""
    from federation.cli import rows  # noqa: PLC0415

    clusters = [str(each) for each in group.get("clusters") or ()]
    more = int(group.get("clusterCount") or 0) - _NAMED
    named = ",".join(clusters[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    by = ",".join(dict.fromkeys(str(each.get("manager", "")) for each in group.get("by") or ())) or "not known"
    cells = (
        str(group.get("id", "")),
        str(group.get("state", "")),
        str(group.get("deletions", 0)),
        named,
        str(group.get("change", "")),
        by,
        rows.age(group.get("since"), now),
    )
    return (*cells, str(group.get("message", "")), _objects(group)) if wide else cells


def _objects(group: Mapping[str, Any]) -> str:
    examples = list(group.get("examples") or ())
    more = int(group.get("objects") or 0) - len(examples)
    return ",".join(map(_named, examples)) + (f" and {more} more" if more > 0 else "")


def _named(each: Mapping[str, Any]) -> str:
    where = "/".join(filter(None, (str(each.get("namespace", "")), str(each.get("name", "")))))
    return f"{each.get('type', '')} {where}"


def _left(each: Mapping[str, Any], now: dt.datetime) -> tuple[str, ...]:
    from federation.cli import rows  # noqa: PLC0415

    copies = list(each.get("copies") or ())
    more = int(each.get("count") or 0) - _NAMED
    named = ",".join(map(_named, copies[:_NAMED])) + (f" and {more} more" if more > 0 else "")
    return (
        str(each.get("cluster", "")),
        str(each.get("uid", "")),
        str(each.get("count", 0)),
        rows.age(each.get("since"), now),
        named,
    )
