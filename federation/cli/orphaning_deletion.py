"""`fedctl orphaning-deletion`: kubefedctl's verb for the annotation kubefed.io/orphan of a federated object."""

from typing import TYPE_CHECKING

import click

from federation.cli import completing, options
from federation.cli.options import Function, Host
from federation.cli.verbs import LazyGroup, Verb

if TYPE_CHECKING:
    from federation.joining.contexts import Contexts
    from federation.kube.connection import Connection
    from federation.model.resources import Resource

EXAMPLES = """
  fedctl orphaning-deletion enable deployment web -n shop
  fedctl orphaning-deletion status deployment web -n shop
"""

BY_POLICY = (
    "policy deletion: Orphan is in force (annotation kubefed.io/deletion, or spec.policies of the FederatedTypeConfig "
    "or KubeFedConfig)"
)


def _about(function: Function) -> Function:
    function = options.dry_run(options.host(function))
    function = click.option(
        "-n", "--namespace", default="", metavar="NAME", help="Default: the context's namespace, else default."
    )(function)
    function = click.argument("name")(function)
    return click.argument("kind", shell_complete=completing.types)(function)


@click.command("enable", cls=Verb, examples="  fedctl orphaning-deletion enable deployment web -n shop")
@_about
def enable(*, kind: str, name: str, namespace: str, host: Host, dry_run: str) -> None:
    """From now on, deleting the federated object NAME of KIND leaves its copies in the clusters, no longer managed."""
    label = options.run(_annotate(host, kind, name, namespace, "true", dry_run=dry_run))
    options.report(f"{label}: deletion leaves the copies in place{' (dry run)' if dry_run else ''}")


@click.command("disable", cls=Verb, examples="  fedctl orphaning-deletion disable deployment web -n shop")
@_about
def disable(*, kind: str, name: str, namespace: str, host: Host, dry_run: str) -> None:
    """From now on, deleting the federated object NAME of KIND deletes its copies, too."""
    label = options.run(_annotate(host, kind, name, namespace, None, dry_run=dry_run))
    _, by_policy = options.run(_orphans(host, kind, name, namespace))
    if by_policy:
        options.report(f"warning: {label}: deletion still leaves the copies in place: {BY_POLICY}")
        return
    options.report(f"{label}: deletion deletes the copies, too{' (dry run)' if dry_run else ''}")


@click.command("status", cls=Verb, examples="  fedctl orphaning-deletion status deployment web -n shop")
@_about
def status(*, kind: str, name: str, namespace: str, host: Host, dry_run: str) -> None:
    """Print Enabled when deleting the federated object leaves its copies in place, else Disabled.

    --dry-run is accepted, as by kubefedctl: nothing is changed anyway.
    """
    del dry_run
    asked, by_policy = options.run(_orphans(host, kind, name, namespace))
    if by_policy and not asked:
        options.report(f"note: {BY_POLICY}")
    click.echo("Enabled" if asked or by_policy else "Disabled")


command = LazyGroup(
    name="orphaning-deletion",
    verbs={
        "enable": "Leave the copies in place when the object is deleted.",
        "disable": "Delete the copies with the object.",
        "status": "Show which of the two applies.",
    },
    commands={"enable": enable, "disable": disable, "status": status},
    help="Whether deleting a federated object leaves its copies in place.",
    examples=EXAMPLES,
)


async def _orphans(host: Host, kind: str, name: str, namespace: str) -> tuple[bool, bool]:
    """Whether the object's deletion leaves its copies by kubefedctl's annotation, and whether by its policy."""
    from federation.core import policies  # noqa: PLC0415
    from federation.joining import fleet, lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import Invalid  # noqa: PLC0415
    from federation.model.marks import ORPHAN_ANNOTATION  # noqa: PLC0415
    from federation.model.policies import Deletion  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        chosen, where = await _which(contexts, connection, host, kind, name=name, namespace=namespace)
        found = await lookups.one(connection, chosen, where, name)
        said = await fleet.policies(connection, host.namespace, chosen)
    annotations = found["metadata"].get("annotations") or {}
    try:
        by_policy = policies.deletion(annotations, *said) is Deletion.ORPHAN
    except Invalid:
        by_policy = False  # the controller deletes nothing then, and says so in the object's status
    return annotations.get(ORPHAN_ANNOTATION) == "true", by_policy


async def _annotate(host: Host, kind: str, name: str, namespace: str, value: str | None, *, dry_run: str) -> str:
    from federation.joining import applying, lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.marks import ORPHAN_ANNOTATION  # noqa: PLC0415
    from federation.model.resources import ObjectName  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        chosen, where = await _which(contexts, connection, host, kind, name=name, namespace=namespace)
        if dry_run == "client":
            await lookups.one(connection, chosen, where, name)
            return applying.label(chosen, ObjectName(where, name))
        mark = {ORPHAN_ANNOTATION: value}
        return await lookups.annotate(connection, chosen, where, name, mark, dry_run=bool(dry_run))


async def _which(
    contexts: "Contexts", connection: "Connection", host: Host, kind: str, *, name: str, namespace: str
) -> tuple["Resource", str]:
    """The federated resource and its object's namespace; a FederatedNamespace is in the namespace that it federates."""
    from federation.joining import discovery, fleet, kinds  # noqa: PLC0415
    from federation.joining.errors import Refused  # noqa: PLC0415

    known = await fleet.read(connection, host.namespace)
    served = await discovery.read(connection)
    at = namespace or contexts.namespace(host.context)
    try:
        chosen = kinds.resolve(known.types, kinds.aliases(served.all), kind)
    except kinds.Ambiguous:
        raise
    except Refused:  # objects of a disabled type still exist, and kubefedctl accepts their kind
        left = kinds.federated(served.all, kind)
        if left is None:
            raise
        return left, at if left.namespaced else ""
    if chosen.is_namespace:
        return chosen.federated, name
    return chosen.federated, at if chosen.federated.namespaced else ""
