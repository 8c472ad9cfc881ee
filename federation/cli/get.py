"""`fedctl get`: list clusters, types and federated objects of the host."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import LazyGroup, Verb

if TYPE_CHECKING:
    from federation.joining.contexts import Contexts
    from federation.kube.connection import Connection
    from federation.model.federated import FederatedType
    from federation.model.resources import Resource

Function = Callable[..., Any]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What to list and how to show it."""

    selector: str
    output: str | None
    headers: bool

    @property
    def wide(self) -> bool:
        """Whether the table has all columns."""
        return self.output == "wide"


def _listing(function: Function) -> Function:
    def wrapped(*, selector: str, output: str | None, no_headers: bool, **rest: Any) -> Any:
        return function(view=View(selector, output, not no_headers), **rest)

    wrapped.__doc__ = function.__doc__
    for add in (
        options.host,
        click.option("-l", "--selector", default="", metavar="SELECTOR", help="Label selector, as kubectl's."),
        options.output("wide", "json", "yaml", "name"),
        options.switch("--no-headers", text="Leave out the first line."),
    ):
        wrapped = add(wrapped)
    return wrapped


@click.command(
    "clusters",
    cls=Verb,
    examples="""
  fedctl get clusters
  fedctl get clusters -l region=eu -o wide
  fedctl get clusters east -o yaml
""",
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.clusters)
@_listing
def clusters(*, names: tuple[str, ...], host: Host, view: View) -> None:
    """List the members."""
    from federation.model.resources import KUBEFED_CLUSTERS  # noqa: PLC0415

    options.run(_named(host, view, KUBEFED_CLUSTERS, names))


@click.command(
    "types",
    cls=Verb,
    examples="""
  fedctl get types
  fedctl get types -o wide
  fedctl get types deployments.apps -o yaml
""",
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.types)
@_listing
def types(*, names: tuple[str, ...], host: Host, view: View) -> None:
    """List the enabled types."""
    from federation.model.resources import TYPE_CONFIGS  # noqa: PLC0415

    options.run(_named(host, view, TYPE_CONFIGS, names))


@click.command(
    "federated",
    cls=Verb,
    examples="""
  fedctl get federated -n shop                        # of every enabled type
  fedctl get federated deploy -A -o wide
  fedctl get federated configmaps settings -n shop -o yaml
""",
)
@click.argument("kind", required=False, shell_complete=completing.types)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("-n", "--namespace", metavar="NAME", help="Default: the context's namespace, else default.")
@options.switch("--all-namespaces", text="Every namespace; -A for short.")
@click.option("-A", "everywhere", is_flag=True, hidden=True)
@_listing
def federated(
    *,
    kind: str | None,
    names: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,
    everywhere: bool,
    host: Host,
    view: View,
) -> None:
    """List federated objects, of KIND or of every enabled type.

    KIND is any name of the target or of its federated type: kind, plural, short name or plural.group.
    """
    wide = all_namespaces or everywhere
    if wide and (names or namespace):
        raise click.UsageError("-A cannot be used with names or -n")
    options.run(_federated(host, view, kind, names, namespace=None if wide else namespace or ""))


async def _named(host: Host, view: View, resource: "Resource", names: Sequence[str]) -> None:
    from federation.cli import rows, silence  # noqa: PLC0415
    from federation.joining import fleet, heartbeat  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.resources import KUBEFED_CLUSTERS  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await _objects(connection, resource, host.namespace, names, view)
        now = heartbeat.now(connection)
        if not found:
            await fleet.expect_namespace(connection, host.namespace)
        limit, stale = 0.0, False
        if resource.plural == "kubefedclusters":
            limit = await heartbeat.limit(connection, host.namespace)
            await silence.warn(connection, host.namespace, found)
        elif found:
            members = await fleet.listing(connection, KUBEFED_CLUSTERS, host.namespace)
            stale = await silence.warn(connection, host.namespace, members)
    header: Sequence[str]
    if limit:
        header = _with_probed(rows.CLUSTERS_WIDE if view.wide else rows.CLUSTERS, "PROBED")
        table = [_cluster(each, now, limit, wide=view.wide) for each in found]
        empty = "no clusters have joined; next: fedctl join NAME"
    else:
        header = rows.TYPES_WIDE if view.wide else rows.TYPES
        table = [rows.type_config(each, now, wide=view.wide, stale=stale) for each in found]
        empty = "no types are enabled; next: fedctl enable TYPE"
    _show([(resource, each) for each in found], view, header, table, single=len(names) == 1, empty=empty)


def _cluster(found: Object, now: dt.datetime, limit: float, *, wide: bool) -> Sequence[str]:
    """A cluster's row; READY is Unknown when the last probe is older than a running controller would let it get."""
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining import heartbeat  # noqa: PLC0415

    last = heartbeat.probed(found)
    stale = last is not None and (now - last).total_seconds() > limit
    return _with_probed(rows.cluster(found, now, wide=wide, stale=stale), rows.probed(found, now))


def _with_probed(cells: Sequence[str], probed: str) -> Sequence[str]:
    """A row or header with the age of READY behind it."""
    return (*cells[:2], probed, *cells[2:])


async def _federated(host: Host, view: View, kind: str | None, names: Sequence[str], *, namespace: str | None) -> None:
    from federation.cli import rows, silence  # noqa: PLC0415
    from federation.joining import fleet, heartbeat, kinds  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import ApiFailure  # noqa: PLC0415
    from federation.model.failures import FailureKind  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        known = await fleet.read(connection, host.namespace)
        now = heartbeat.now(connection)
        chosen: Sequence[FederatedType] = known.types
        if kind:
            chosen = [kinds.resolve(known.types, await kinds.served(connection), kind)]
        where = _where(contexts, host, namespace)
        found: list[tuple[FederatedType, Object]] = []
        for each in chosen:
            at = where if each.federated.namespaced else ""
            try:
                found += [(each, one) for one in await _objects(connection, each.federated, at, names, view)]
            except ApiFailure as error:
                if error.failure.kind is not FailureKind.TYPE_MISSING:
                    raise
                options.report(
                    f"warning: {connection.name}: {each.federated.qualified} is not served: its CRD is missing; "
                    f"next: fedctl enable {each.name}"
                )
        if found:
            await silence.warn(connection, host.namespace, known.clusters)
    header: Sequence[str] = rows.FEDERATED_WIDE if view.wide else rows.FEDERATED
    table: list[tuple[str, ...]] = [rows.federated(one, each.name, now, wide=view.wide) for each, one in found]
    if not where:
        header = ("NAMESPACE", *header)
        table = [(one["metadata"].get("namespace", ""), *row) for (_, one), row in zip(found, table, strict=True)]
    empty = f"no federated objects in namespace {where}" if where else "no federated objects"
    _show([(each.federated, one) for each, one in found], view, header, table, single=len(names) == 1, empty=empty)


def _where(contexts: "Contexts", host: Host, namespace: str | None) -> str:
    """The namespace to look in; "" is all of them."""
    if namespace is None:
        return ""
    return namespace or contexts.namespace(host.context)


async def _objects(
    connection: "Connection", resource: "Resource", namespace: str, names: Sequence[str], view: View
) -> list[Object]:
    from federation.joining import fleet, lookups  # noqa: PLC0415

    if not names:
        return [
            {"apiVersion": resource.api_version, "kind": resource.kind} | each
            for each in await fleet.listing(connection, resource, namespace, selector=view.selector)
        ]
    return [await lookups.one(connection, resource, namespace, name) for name in names]


def _show(
    found: Sequence[tuple["Resource", Mapping[str, Any]]],
    view: View,
    header: Sequence[str],
    table: Sequence[Sequence[str]],
    *,
    single: bool,
    empty: str,
) -> None:
    from federation.cli import printing  # noqa: PLC0415

    if view.output in ("json", "yaml"):
        printing.emit([printing.readable(each) for _, each in found], view.output, single=single)
    elif view.output == "name":
        for resource, each in found:
            click.echo(f"{resource.kind.lower()}.{resource.group}/{each['metadata']['name']}")
    elif found:
        printing.table(header, table, headers=view.headers)
    else:
        options.report(empty)


command = LazyGroup(
    name="get",
    commands=[clusters, types, federated],
    help="List clusters, types or federated objects.",
    examples="""
  fedctl get clusters
  fedctl get types
  fedctl get federated -A
""",
)
