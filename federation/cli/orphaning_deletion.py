"""`fedctl orphaning-deletion`: kubefedctl's verb for annotation kubefed.io/orphan of a federated object."""

from typing import Any

import click

from federation.cli import completing, options
from federation.cli.options import Function, Host
from federation.cli.verbs import LazyGroup, Verb

EXAMPLES = """
  fedctl orphaning-deletion enable deployment web -n shop
  fedctl orphaning-deletion status deployment web -n shop
"""


def _about(function: Function) -> Function:
    function = options.host(function)
    function = click.option(
        "-n", "--namespace", default="", metavar="NAME", help="Default: the context's namespace, else default."
    )(function)
    function = click.argument("name")(function)
    return click.argument("kind", shell_complete=completing.types)(function)


@click.command("enable", cls=Verb, examples="  fedctl orphaning-deletion enable deployment web -n shop")
@_about
def enable(*, kind: str, name: str, namespace: str, host: Host) -> None:
    """From now on, deleting the federated object NAME of KIND leaves its copies in the clusters, no longer managed."""
    label = options.run(_annotate(host, kind, name, namespace, "true"))
    options.report(f"{label}: deletion leaves the copies in place")


@click.command("disable", cls=Verb, examples="  fedctl orphaning-deletion disable deployment web -n shop")
@_about
def disable(*, kind: str, name: str, namespace: str, host: Host) -> None:
    """From now on, deleting the federated object NAME of KIND deletes its copies too."""
    label = options.run(_annotate(host, kind, name, namespace, None))
    options.report(f"{label}: deletion takes the copies along")


@click.command("status", cls=Verb, examples="  fedctl orphaning-deletion status deployment web -n shop")
@_about
def status(*, kind: str, name: str, namespace: str, host: Host) -> None:
    """Print Enabled when deleting the federated object leaves its copies in place, else Disabled."""
    found = options.run(_found(host, kind, name, namespace))
    from federation.model.marks import ORPHAN_ANNOTATION  # noqa: PLC0415

    annotations = found["metadata"].get("annotations") or {}
    click.echo("Enabled" if annotations.get(ORPHAN_ANNOTATION) == "true" else "Disabled")


command = LazyGroup(
    name="orphaning-deletion",
    verbs={
        "enable": "Leave the copies in place when the object is deleted.",
        "disable": "Delete the copies with the object.",
        "status": "Say which of the two holds.",
    },
    commands={"enable": enable, "disable": disable, "status": status},
    help="Whether deleting a federated object leaves its copies in place.",
    examples=EXAMPLES,
)


async def _found(host: Host, kind: str, name: str, namespace: str) -> Any:
    from federation.joining import fleet, kinds, lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        known = await fleet.read(connection, host.namespace)
        chosen = kinds.resolve(known.types, await kinds.served(connection), kind)
        where = _where(chosen, namespace or contexts.namespace(host.context), name)
        return await lookups.one(connection, chosen.federated, where, name)


async def _annotate(host: Host, kind: str, name: str, namespace: str, value: str | None) -> str:
    from federation.joining import fleet, kinds, lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.marks import ORPHAN_ANNOTATION  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        known = await fleet.read(connection, host.namespace)
        chosen = kinds.resolve(known.types, await kinds.served(connection), kind)
        where = _where(chosen, namespace or contexts.namespace(host.context), name)
        return await lookups.annotate(connection, chosen.federated, where, name, {ORPHAN_ANNOTATION: value})


def _where(chosen: Any, namespace: str, name: str) -> str:
    """A FederatedNamespace lives in the namespace that it names."""
    if chosen.is_namespace:
        return name
    return namespace if chosen.federated.namespaced else ""
