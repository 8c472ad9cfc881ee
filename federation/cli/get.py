"""`fedctl get`: clusters, types and federated objects, as the host holds them."""

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
class Look:
    """How a list is asked for and shown."""

    selector: str
    output: str | None
    headers: bool

    @property
    def wide(self) -> bool:
        """Whether the table has all columns."""
        return self.output == "wide"


def _look(function: Function) -> Function:
    def wrapped(*, selector: str, output: str | None, no_headers: bool, **rest: Any) -> Any:
        return function(look=Look(selector, output, not no_headers), **rest)

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
@_look
def clusters(*, names: tuple[str, ...], host: Host, look: Look) -> None:
    """List the members."""
    from federation.model.resources import KUBEFED_CLUSTERS  # noqa: PLC0415

    options.run(_named(host, look, KUBEFED_CLUSTERS, names))


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
@_look
def types(*, names: tuple[str, ...], host: Host, look: Look) -> None:
    """List the types that are switched on."""
    from federation.model.resources import TYPE_CONFIGS  # noqa: PLC0415

    options.run(_named(host, look, TYPE_CONFIGS, names))


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
@_look
def federated(
    *,
    kind: str | None,
    names: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,
    everywhere: bool,
    host: Host,
    look: Look,
) -> None:
    """List federated objects, of KIND or of every enabled type.

    KIND is any name of the target or of its federated type: kind, plural, short name or plural.group.
    """
    wide = all_namespaces or everywhere
    if wide and (names or namespace):
        raise click.UsageError("-A goes with neither names nor -n")
    options.run(_federated(host, look, kind, names, namespace=None if wide else namespace or ""))


async def _named(host: Host, look: Look, resource: "Resource", names: Sequence[str]) -> None:
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC)
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await _objects(connection, resource, host.namespace, names, look)
    if resource.plural == "kubefedclusters":
        header: Sequence[str] = rows.CLUSTERS_WIDE if look.wide else rows.CLUSTERS
        table = [rows.cluster(each, now, wide=look.wide) for each in found]
        empty = "no clusters have joined; next: fedctl join NAME"
    else:
        header = rows.TYPES_WIDE if look.wide else rows.TYPES
        table = [rows.type_config(each, now, wide=look.wide) for each in found]
        empty = "no types are enabled; next: fedctl enable TYPE"
    _show([(resource, each) for each in found], look, header, table, single=len(names) == 1, empty=empty)


async def _federated(host: Host, look: Look, kind: str | None, names: Sequence[str], *, namespace: str | None) -> None:
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining import fleet, kinds  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC)
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        known = await fleet.read(connection, host.namespace)
        chosen: Sequence[FederatedType] = known.types
        if kind:
            chosen = [kinds.resolve(known.types, await kinds.served(connection), kind)]
        where = _where(contexts, host, namespace)
        found: list[tuple[FederatedType, Object]] = []
        for each in chosen:
            at = where if each.federated.namespaced else ""
            found += [(each, one) for one in await _objects(connection, each.federated, at, names, look)]
    header: Sequence[str] = rows.FEDERATED_WIDE if look.wide else rows.FEDERATED
    table: list[tuple[str, ...]] = [rows.federated(one, each.name, now, wide=look.wide) for each, one in found]
    if not where:
        header = ("NAMESPACE", *header)
        table = [(one["metadata"].get("namespace", ""), *row) for (_, one), row in zip(found, table, strict=True)]
    empty = f"no federated objects in namespace {where}" if where else "no federated objects"
    _show([(each.federated, one) for each, one in found], look, header, table, single=len(names) == 1, empty=empty)


def _where(contexts: "Contexts", host: Host, namespace: str | None) -> str:
    """The namespace to look in; "" is all of them."""
    if namespace is None:
        return ""
    return namespace or contexts.namespace(host.context)


async def _objects(
    connection: "Connection", resource: "Resource", namespace: str, names: Sequence[str], look: Look
) -> list[Object]:
    from federation.joining import applying, lookups  # noqa: PLC0415

    if not names:
        return [
            {"apiVersion": resource.api_version, "kind": resource.kind} | each
            for each in await applying.listing(connection, resource, namespace, selector=look.selector)
        ]
    return [await lookups.one(connection, resource, namespace, name) for name in names]


def _show(
    found: Sequence[tuple["Resource", Mapping[str, Any]]],
    look: Look,
    header: Sequence[str],
    table: Sequence[Sequence[str]],
    *,
    single: bool,
    empty: str,
) -> None:
    from federation.cli import printing  # noqa: PLC0415

    if look.output in ("json", "yaml"):
        printing.emit([printing.readable(each) for _, each in found], look.output, single=single)
    elif look.output == "name":
        for resource, each in found:
            click.echo(f"{resource.kind.lower()}.{resource.group}/{each['metadata']['name']}")
    elif found:
        printing.table(header, table, headers=look.headers)
    else:
        options.report(empty)


_COMMANDS = (clusters, types, federated)
command = LazyGroup(
    name="get",
    commands={str(each.name): each for each in _COMMANDS},
    verbs={str(each.name): (each.help or "").strip().splitlines()[0] for each in _COMMANDS},
    help="List what the host holds.",
    examples="""
  fedctl get clusters
  fedctl get types
  fedctl get federated -A
""",
)
