"""`fedctl recovery`: what a restored hub means for the members, and how it goes on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, failing, options
from federation.cli.options import Function, Host
from federation.cli.verbs import LazyGroup, Verb

if TYPE_CHECKING:
    from federation.cli.recovering import Findings, Placed
    from federation.joining.contexts import Contexts
    from federation.kube.connection import Connection
    from federation.model.federated import FederatedType
    from federation.model.resources import ObjectName

EXAMPLES = """
  fedctl recovery status
  fedctl recovery adopt --all --dry-run       # federated objects that the hub has lost
  fedctl recovery approve deployment web -n shop
  fedctl recovery approve --all
"""
HELD, NEWER, OVERWRITTEN, LOST = "held", "newer", "overwritten", "lost"
_HEADER = ("WHAT", "TYPE", "NAMESPACE", "NAME", "CLUSTERS")
_TIMES = ("APPLIED", "AT THE HUB")
"""With -o wide: when the newer content was applied in the members, and when the hub's was written."""
_NAMED = 3
"""Clusters that a row names; with -o wide all."""


def _about(function: Function) -> Function:
    function = options.dry_run(options.host(function))
    function = options.switch("--all", text="All of them.")(function)
    function = click.option(
        "-n", "--namespace", default="", metavar="NAME", help="Default: the context's namespace, else default."
    )(function)
    function = click.argument("name", required=False, default="")(function)
    return click.argument("kind", required=False, default="", shell_complete=completing.types)(function)


@click.command("status", cls=Verb, examples="  fedctl recovery status\n  fedctl recovery status -o json")
@options.host
@options.output("wide", "json", "yaml")
@options.switch("--no-headers", text="Leave out the first line.")
def status(*, host: Host, output: str | None, no_headers: bool) -> int:
    """Show whether removals are held because the hub was restored from a backup, and what it means.

    held: copies that would be removed, because the restored hub does not place them there. newer: copies that have
    newer content than the hub, and would be overwritten with the hub's older content; what it was is in the members
    until then. overwritten: those that have been. lost: copies in members whose federated object the hub does not have;
    `fedctl recovery adopt` makes it anew. Members are asked by the contexts of your kubeconfig, or with the credentials
    that the hub has stored; one that does not answer may have more of all but the first.
    """
    code: int = options.run(_status(host, output, headers=not no_headers))
    return code


@click.command(
    "approve",
    cls=Verb,
    examples="  fedctl recovery approve deployment web -n shop\n  fedctl recovery approve --all",
)
@_about
def approve(*, kind: str, name: str, namespace: str, all: bool, host: Host, dry_run: str) -> int:  # noqa: A002
    """Let removals go on: those of the federated object NAME of KIND, or all that are held.

    Copies whose federated object the hub has lost are never deleted: they lose our label and stay.
    """
    _one_or_all(kind, name, every=all)
    code: int = options.run(_approve(host, kind, name, namespace, dry_run=dry_run))
    return code


@click.command(
    "adopt",
    cls=Verb,
    examples="  fedctl recovery adopt --all --dry-run\n  fedctl recovery adopt deployment web -n shop --from east",
)
@click.option("--from", "source", default="", metavar="CLUSTER", help="Whose copy counts, where copies differ.")
@_about
def adopt(
    *,
    kind: str,
    name: str,
    namespace: str,
    all: bool,  # noqa: A002
    source: str,
    host: Host,
    dry_run: str,
) -> int:
    """Make federated objects that the hub has lost anew, from the copies that members still have.

    The template is what our controller had applied there, and the placement is the clusters that have a copy. Overrides
    and a clusterSelector are lost: where copies differ, the object is left out unless --from says whose content counts.
    """
    _one_or_all(kind, name, every=all)
    code: int = options.run(_adopt(host, kind, name, namespace, source=source, dry_run=dry_run))
    return code


command = LazyGroup(
    name="recovery",
    verbs={
        "status": "Show what is held, newer than the hub, overwritten and lost.",
        "approve": "Let removals go on.",
        "adopt": "Make lost federated objects anew from members' copies.",
    },
    commands={"status": status, "approve": approve, "adopt": adopt},
    help="After the hub was restored from a backup: what it means, and how it goes on.",
    examples=EXAMPLES,
)


def _one_or_all(kind: str, name: str, *, every: bool) -> None:
    if every == bool(kind) or bool(kind) != bool(name):
        raise click.UsageError("give KIND and NAME, or --all")


async def _status(host: Host, output: str | None, *, headers: bool) -> int:
    from federation.cli import printing, recovering  # noqa: PLC0415
    from federation.joining import reaching  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await recovering.look(reaching.Reach(contexts, connection, host.namespace), options.report)
    if output in ("json", "yaml"):
        printing.emit([_document(found)], output, single=True)
    else:
        show(found, wide=output == "wide", headers=headers)
    return failing.PARTIAL if found.unread else 0


def show(found: "Findings", *, wide: bool, headers: bool) -> None:
    """Print the table, and what it means and what comes next beside it."""
    from federation.cli import printing  # noqa: PLC0415

    state = found.state
    if state.held:
        options.report(f"removals are held since {state.since}: {printing.plain(state.message)}")
    elif state.id:
        options.report(f"no removals are held; the hub was last restored at {state.since}")
    else:
        options.report("no removals are held: the hub was never seen to be restored")
    lists = (HELD, found.removals), (NEWER, found.newer), (OVERWRITTEN, state.overwritten), (LOST, found.lost)
    rows = [_row(what, each, wide=wide) for what, several in lists for each in several]
    if rows:
        printing.table(_HEADER + _TIMES if wide else _HEADER, rows, headers=headers)
    if (more := state.overwritten_copies - sum(len(each.clusters) for each in state.overwritten)) > 0:
        options.report(f"{more} more copies were overwritten: the controller's log names them")
    for cluster, why in found.unread.items():
        options.report(f"warning: {cluster}: not asked for what the hub has lost or has older: {printing.plain(why)}")
    if found.newer:
        options.report("next: apply what is newer to the hub; fedctl cordon keeps a cluster as it is till then")
    if found.lost:
        options.report("next: fedctl recovery adopt --all makes what is lost anew")
    if state.held:
        options.report("next: fedctl recovery approve --all lets removals go on")


def _row(what: str, each: "Placed", *, wide: bool) -> tuple[str, ...]:
    row = (what, each.type, each.where.namespace, each.where.name, _clusters(each.clusters, wide=wide))
    return (*row, each.applied, each.written) if wide else row


def _clusters(names: Sequence[str], *, wide: bool) -> str:
    if wide or len(names) <= _NAMED:
        return ",".join(names)
    return f"{','.join(names[:_NAMED])} and {len(names) - _NAMED} more"


def _document(found: "Findings") -> Mapping[str, Any]:
    state = found.state

    def listed(several: Sequence["Placed"]) -> list[Mapping[str, Any]]:
        return [
            {
                "type": each.type,
                "namespace": each.where.namespace,
                "name": each.where.name,
                "clusters": list(each.clusters),
            }
            | {name: time for name, time in (("applied", each.applied), ("written", each.written)) if time}
            for each in several
        ]

    return {
        "held": state.held,
        "id": state.id,
        "since": state.since,
        "message": state.message,
        "removals": listed(found.removals),
        "newer": listed(found.newer),
        "overwritten": listed(state.overwritten),
        "overwrittenCopies": state.overwritten_copies,
        "lost": listed(found.lost),
        "unread": dict(found.unread),
    }


async def _approve(host: Host, kind: str, name: str, namespace: str, *, dry_run: str) -> int:
    from federation.cli import recovering  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.joining.errors import Refused  # noqa: PLC0415

    suffix = " (dry run)" if dry_run else ""
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        state = await recovering.state(connection, host.namespace)
        if not state.held:
            raise Refused(f"{connection.name}: no removals are held", "fedctl recovery status shows the last recovery")
        if not kind:
            if dry_run != "client":
                await recovering.approve(connection, host.namespace, state.id, dry_run=bool(dry_run))
            options.report(f"{connection.name}: removals go on{suffix}")
            return 0
        enabled, where = await _which(contexts, connection, host, kind, name=name, namespace=namespace)
        if dry_run != "client":
            await recovering.approve_one(connection, enabled, where, state.id, dry_run=bool(dry_run))
        options.report(f"{connection.name}: {enabled.federated.kind.lower()} {where}: removals go on{suffix}")
    return 0


async def _adopt(host: Host, kind: str, name: str, namespace: str, *, source: str, dry_run: str) -> int:
    from federation.cli import printing, recovering  # noqa: PLC0415
    from federation.joining import reaching  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.joining.errors import Refused  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415
    from federation.model.marks import NAMESPACE_TYPE  # noqa: PLC0415

    code = 0
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        reach = reaching.Reach(contexts, connection, host.namespace)
        found = await recovering.look(reach, options.report)
        wanted = list(found.lost)
        if kind:
            enabled, where = await _which(contexts, connection, host, kind, name=name, namespace=namespace)
            wanted = [each for each in wanted if (each.type, each.where) == (enabled.name, where)]
            if not wanted:
                label = f"{enabled.federated.kind.lower()} {where}"
                raise Refused(
                    f"{connection.name}: {label} is not lost, or no member has a copy of it",
                    "fedctl recovery status lists what is lost",
                )
        for cluster, why in found.unread.items():
            code = failing.PARTIAL
            options.report(f"warning: {cluster}: not asked for what the hub has lost: {printing.plain(why)}")
        # An object in a namespace waits for the FederatedNamespace.
        for lost in sorted(wanted, key=lambda each: each.type != NAMESPACE_TYPE):
            try:
                made = await recovering.prepare(reach, lost, source=source)
                for remark in made.remarks:
                    options.report(f"warning: {made.label}: {printing.plain(remark)}")
                outcome: str = "created"
                if dry_run != "client":
                    outcome = await recovering.adopt(connection, made, dry_run=bool(dry_run))
            except FederationError as error:
                code = failing.PARTIAL
                options.report(f"warning: left out: {printing.plain(str(error))}")
                continue
            options.report(f"{connection.name}: {made.label} {outcome}{' (dry run)' if dry_run else ''}")
        if not wanted:
            options.report(f"{connection.name}: nothing is lost that a member still has")
    return code


async def _which(
    contexts: "Contexts", connection: "Connection", host: Host, kind: str, *, name: str, namespace: str
) -> tuple["FederatedType", "ObjectName"]:
    from federation.joining import fleet, kinds  # noqa: PLC0415
    from federation.model.resources import ObjectName  # noqa: PLC0415

    known = await fleet.read(connection, host.namespace)
    chosen = kinds.resolve(known.types, await kinds.served(connection), kind)
    if chosen.is_namespace:
        return chosen, ObjectName(name, name)
    where = namespace or contexts.namespace(host.context)
    return chosen, ObjectName(where if chosen.federated.namespaced else "", name)
