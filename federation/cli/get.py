"""`fedctl get`: list clusters, types and federated objects of the host."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, controllers, listing, options, registrations
from federation.cli.listing import Item, Table, View
from federation.cli.options import Function, Host
from federation.cli.verbs import LazyGroup, Verb

if TYPE_CHECKING:
    from federation.joining.contexts import Contexts
    from federation.kube.connection import Connection
    from federation.model.federated import FederatedType
    from federation.model.resources import Resource
    from federation.seeing.watching import Watching

Object = dict[str, Any]
_ALL = "everything is as it should be"


def _namespaced(function: Function) -> Function:
    """Add -n and -A."""
    for add in (
        options.switch("-A", "--all-namespaces", text="Every namespace."),
        click.option(
            "-n",
            "--namespace",
            metavar="NAME",
            shell_complete=completing.namespaces,
            help="Default: the context's namespace, else default.",
        ),
    ):
        function = add(function)
    return function


@click.command(
    "clusters",
    cls=Verb,
    examples="""
  fedctl get clusters
  fedctl get clusters -l region=eu -o wide
  fedctl get clusters --not-ready -w                  # what goes, and comes back
  fedctl get clusters -o jsonpath={.items[*].metadata.name}
  fedctl get clusters east -o yaml
""",
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.clusters)
@listing.flags
def clusters(*, names: tuple[str, ...], host: Host, view: View) -> None:
    """List the members; where some are in pull mode, with each one's mode and how long ago its agent was heard."""
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
@listing.flags
def types(*, names: tuple[str, ...], host: Host, view: View) -> None:
    """List the enabled types."""
    from federation.model.resources import TYPE_CONFIGS  # noqa: PLC0415

    options.run(_named(host, view, TYPE_CONFIGS, names))


@click.command(
    "preferences",
    cls=Verb,
    examples="""
  fedctl get preferences -n shop
  fedctl get preferences -A -o wide                   # what each cluster has, and why
  fedctl get preferences web -n shop -o yaml
""",
)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@_namespaced
@listing.flags
def preferences(*, names: tuple[str, ...], namespace: str | None, all_namespaces: bool, host: Host, view: View) -> None:
    """List ReplicaSchedulingPreferences: how replicas are spread over the members."""
    if all_namespaces and (names or namespace):
        raise click.UsageError("-A cannot be used with names or -n")
    options.run(_preferences(host, view, names, namespace=None if all_namespaces else namespace or ""))


@click.command(
    "federated",
    cls=Verb,
    examples="""
  fedctl get federated -n shop                        # of every enabled type
  fedctl get federated deploy -A -o wide
  fedctl get federated configmaps settings -n shop -o yaml
  fedctl get federated -A --not-ready -o custom-columns=NAME:.metadata.name,GENERATION:.metadata.generation
""",
)
@click.argument("kind", required=False, shell_complete=completing.types)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.objects)
@_namespaced
@listing.flags
def federated(
    *,
    kind: str | None,
    names: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,
    host: Host,
    view: View,
) -> None:
    """List federated objects, of KIND or of every enabled type.

    KIND is any name of the target or of its federated type: kind, plural, short name or plural.group.
    """
    if all_namespaces and (names or namespace):
        raise click.UsageError("-A cannot be used with names or -n")
    options.run(_federated(host, view, kind, names, namespace=None if all_namespaces else namespace or ""))


async def _named(host: Host, view: View, resource: "Resource", names: Sequence[str]) -> None:
    from federation.cli import silence  # noqa: PLC0415
    from federation.joining import fleet, heartbeat, requests  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.resources import KUBEFED_CLUSTERS  # noqa: PLC0415
    from federation.seeing.watching import Watching  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        watching = Watching(connection, resource, host.namespace, view.selector)
        found = await _objects(watching, names)
        if not found:
            await fleet.expect_namespace(connection, host.namespace)
        if resource == KUBEFED_CLUSTERS:
            limit = await heartbeat.limit(connection, host.namespace)
            led = not await silence.warn(connection, host.namespace, found)
            pulled = any(fleet.member(each).pulls for each in found)
            beats = await requests.heartbeats(connection) if pulled else None
            table = _clusters(connection, view, limit, beats, led=led)
        else:
            stale = False
            if found:
                members = await fleet.listing(connection, KUBEFED_CLUSTERS, host.namespace)
                stale = await silence.warn(connection, host.namespace, members)
            table = _types(connection, view, stale=stale)
        items = [Item(resource, each) for each in found]
        widths = listing.show(items, view, table, named=bool(names), single=len(names) == 1)
        if view.watch:
            await listing.follow([(watching, "")], names, view, table, widths)


def _clusters(
    connection: "Connection", view: View, limit: float, beats: Mapping[str, str] | None, *, led: bool
) -> Table:
    """The table of members. READY is Unknown if nobody leads, or the last probe is older than a leader lets it be.

    `beats` are the heartbeats of those in pull mode, where there are any: then each has its mode, too.
    """
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining import fleet, heartbeat  # noqa: PLC0415

    def with_mode(cells: Sequence[str], item: Item, now: dt.datetime) -> Sequence[str]:
        if beats is None:
            return cells
        pulls = fleet.member(item.found).pulls
        heard = rows.age(beats.get(str(item.found["metadata"]["name"]), ""), now) if pulls else ""
        return (*cells[:3], "Pull" if pulls else "Push", heard or "<none>", *cells[3:])

    def row(item: Item) -> Sequence[str]:
        now, last = heartbeat.now(connection), heartbeat.probed(item.found)
        stale = last is not None and (not led or (now - last).total_seconds() > limit)
        cells = rows.cluster(item.found, now, wide=view.wide, stale=stale)
        return with_mode(_with_probed(cells, rows.probed(item.found, now)), item, now)

    header = _with_probed(rows.CLUSTERS_WIDE if view.wide else rows.CLUSTERS, "PROBED")
    if beats is not None:
        header = (*header[:3], "MODE", "HEARTBEAT", *header[3:])
    empty = _ALL if view.not_ready else "no clusters have joined; next: fedctl join NAME"
    return Table(header, row, lambda item: row(item)[1].partition(",")[0] == "True", empty)


def _with_probed(cells: Sequence[str], probed: str) -> Sequence[str]:
    """A row or header with the age of READY behind it."""
    return (*cells[:2], probed, *cells[2:])


def _types(connection: "Connection", view: View, *, stale: bool) -> Table:
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining import heartbeat  # noqa: PLC0415

    def row(item: Item) -> Sequence[str]:
        return rows.type_config(item.found, heartbeat.now(connection), wide=view.wide, stale=stale)

    header = rows.TYPES_WIDE if view.wide else rows.TYPES
    empty = _ALL if view.not_ready else "no types are enabled; next: fedctl enable TYPE"
    return Table(header, row, lambda item: rows.is_type_ready(item.found, stale=stale), empty)


async def _federated(host: Host, view: View, kind: str | None, names: Sequence[str], *, namespace: str | None) -> None:
    from federation.cli import silence  # noqa: PLC0415
    from federation.joining import fleet, kinds  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        known = await fleet.read(connection, host.namespace)
        chosen: Sequence[FederatedType] = known.types
        if kind:
            chosen = [kinds.resolve(known.types, await kinds.served(connection), kind)]
        where = _where(contexts, host, namespace)
        items, watched = await _of_types(connection, chosen, where, names, view)
        if items:
            await silence.warn(connection, host.namespace, known.clusters)
        table = _objects_table(connection, view, where)
        widths = listing.show(items, view, table, named=bool(names), single=len(names) == 1)
        if view.watch:
            await listing.follow(watched, names, view, table, widths)


async def _of_types(
    connection: "Connection", chosen: "Sequence[FederatedType]", where: str, names: Sequence[str], view: View
) -> "tuple[list[Item], list[tuple[Watching, str]]]":
    """The federated objects of these types, and what is watched of them. A type whose CRD is missing is warned of."""
    from federation.model.errors import ApiFailure  # noqa: PLC0415
    from federation.model.failures import FailureKind  # noqa: PLC0415
    from federation.seeing.watching import Watching  # noqa: PLC0415

    items: list[Item] = []
    watched: list[tuple[Watching, str]] = []
    for each in chosen:
        watching = Watching(connection, each.federated, where if each.federated.namespaced else "", view.selector)
        try:
            items += [Item(each.federated, found, each.name) for found in await _objects(watching, names)]
            watched.append((watching, each.name))
        except ApiFailure as error:
            if error.failure.kind is not FailureKind.TYPE_MISSING:
                raise
            options.report(
                f"warning: {connection.name}: {each.federated.qualified} is not served: its CRD is missing; "
                f"next: fedctl enable {each.name}"
            )
    return items, watched


def _objects_table(connection: "Connection", view: View, where: str) -> Table:
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining import heartbeat  # noqa: PLC0415

    def row(item: Item) -> Sequence[str]:
        cells = rows.federated(item.found, item.type, heartbeat.now(connection), wide=view.wide)
        return cells if where else (item.order[0], *cells)

    header: Sequence[str] = rows.FEDERATED_WIDE if view.wide else rows.FEDERATED
    empty = f"no federated objects in namespace {where}" if where else "no federated objects"
    return Table(
        header if where else ("NAMESPACE", *header),
        row,
        lambda item: rows.is_federated_ready(item.found),
        _ALL if view.not_ready else empty,
    )


async def _preferences(host: Host, view: View, names: Sequence[str], *, namespace: str | None) -> None:
    from federation.cli import rows, silence  # noqa: PLC0415
    from federation.joining import fleet, heartbeat  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.conditions import ConditionType  # noqa: PLC0415
    from federation.model.resources import KUBEFED_CLUSTERS, PREFERENCES  # noqa: PLC0415
    from federation.seeing.watching import Watching  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        where = _where(contexts, host, namespace)
        watching = Watching(connection, PREFERENCES, where, view.selector)
        found = await _objects(watching, names)
        if found:
            members = await fleet.listing(connection, KUBEFED_CLUSTERS, host.namespace)
            await silence.warn(connection, host.namespace, members)

        def row(item: Item) -> Sequence[str]:
            cells = rows.preference(item.found, heartbeat.now(connection), wide=view.wide)
            return cells if where else (item.order[0], *cells)

        header: Sequence[str] = rows.PREFERENCES_WIDE if view.wide else rows.PREFERENCES
        empty = f"no preferences in namespace {where}" if where else "no preferences"
        table = Table(
            header if where else ("NAMESPACE", *header),
            row,
            lambda item: rows.condition(item.found, ConditionType.READY).get("status") == "True",
            _ALL if view.not_ready else empty,
        )
        items = [Item(PREFERENCES, each) for each in found]
        widths = listing.show(items, view, table, named=bool(names), single=len(names) == 1)
        if view.watch:
            await listing.follow([(watching, "")], names, view, table, widths)


def _where(contexts: "Contexts", host: Host, namespace: str | None) -> str:
    """The namespace to look in; "" is all of them."""
    if namespace is None:
        return ""
    return namespace or contexts.namespace(host.context)


async def _objects(watching: "Watching", names: Sequence[str]) -> list[Object]:
    """The objects of a collection, or those that are named. What is shown of it counts as known to the watch."""
    from federation.joining import lookups  # noqa: PLC0415

    if names:
        found = [await lookups.one(watching.connection, watching.resource, watching.namespace, name) for name in names]
    else:
        found = await watching.read()
    for each in found:
        watching.passed(each)
    return found


command = LazyGroup(
    name="get",
    commands=[clusters, types, federated, preferences, controllers.command, registrations.command],
    help="List clusters, types, federated objects, scheduling preferences, controllers or registrations.",
    examples="""
  fedctl get clusters
  fedctl get types
  fedctl get federated -A
  fedctl get controllers
""",
)
