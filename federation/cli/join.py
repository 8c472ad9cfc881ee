"""`fedctl join`: take a cluster in as a member."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.objects import Wanted

EXAMPLES = """
  fedctl join east --host-cluster-context host                 # the member's context is called east too
  fedctl join east --cluster-context admin@east --label region=eu --wait
  fedctl join east --check-only                                # only look whether it would work
"""


@click.command("join", cls=Verb, examples=EXAMPLES)
@click.argument("name")
@options.host
@click.option(
    "--cluster-context",
    shell_complete=completing.contexts,
    metavar="NAME",
    help="The member's context; default: the member's name.",
)
@click.option(
    "--host-cluster-name", metavar="NAME", help="The host's part in names inside the member; default: its context."
)
@click.option("--secret-name", default="", metavar="NAME", help="The Secret at the host for the member's token.")
@options.switch("--error-on-existing", default=True, text="Refuse a member that has joined already.")
@click.option(
    "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label of the KubeFedCluster; may be repeated."
)
@click.option(
    "--rights",
    type=click.Choice(["types", "all"]),
    default="types",
    show_default=True,
    help="The controller's rights in the member: what the enabled types need, or everything as KubeFed took.",
)
@options.switch("--check-only", text="Make the preflight checks and nothing else.")
@options.switch("--wait", text="Wait until the controller finds the member Ready.")
@click.option("--timeout", type=float, default=60.0, show_default=True, metavar="SECONDS", help="For --wait.")
@options.dry_run
@options.output("yaml", "json")
def command(
    *,
    name: str,
    host: Host,
    cluster_context: str | None,
    host_cluster_name: str | None,
    labels: tuple[str, ...],
    timeout: float,
    output: str | None,
    dry_run: str,
    check_only: bool,
    wait: bool,
    **facts: Any,
) -> None:
    """Take cluster NAME in as a member of the host's federation.

    Looks first (reachable, TLS, version, clock, identity, rights), then makes a service account with a role and a token
    in the member, and a Secret and a KubeFedCluster at the host. After a failure half way, run it again.
    """
    from federation.joining import joins  # noqa: PLC0415
    from federation.joining.objects import Wanted  # noqa: PLC0415

    wanted = Wanted(
        name=name,
        host=host_cluster_name or "",
        namespace=host.namespace,
        labels=joins.parse_labels(labels),
        secret_name=facts["secret_name"],
        rights=facts["rights"],
        error_on_existing=facts["error_on_existing"],
    )
    context = cluster_context or name
    if check_only or dry_run or output:
        options.run(_look(host, wanted, context, output=output, check_only=check_only))
    else:
        options.run(_join(host, wanted, context, timeout=timeout if wait else None))


async def _look(host: Host, wanted: "Wanted", context: str, *, output: str | None, check_only: bool) -> None:
    from federation.joining import joins, judgements  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        wanted = _named(wanted, contexts.name(host.context))
        connection, member = await contexts.open(host.context), await contexts.open(context)
        plan, checks = await joins.inspect(connection, member, wanted)
        for check in checks:
            options.report(f"{check.verdict:<8} {check.name}: {check.message}")
        judgements.refuse_failed(wanted.name, checks)
        if not check_only:
            await joins.refuse_existing(connection, plan)
            _show(plan.manifests(), connection.name, member.name, output)


async def _join(host: Host, wanted: "Wanted", context: str, *, timeout: float | None) -> None:
    from federation.joining import joins  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        wanted = _named(wanted, contexts.name(host.context))
        connection, member = await contexts.open(host.context), await contexts.open(context)
        await joins.join(connection, member, wanted, options.report)
        options.report(f"cluster {wanted.name} has joined {connection.name}")
        if timeout is not None:
            await joins.wait_ready(connection, wanted, timeout=timeout)
            options.report(f"cluster {wanted.name} is Ready")


def _named(wanted: "Wanted", context: str) -> "Wanted":
    """With the host's part in names checked; its context's name where the user gives none."""
    from federation.joining import joins  # noqa: PLC0415

    named = replace(wanted, host=wanted.host or context)
    joins.check(named)
    return named


def _show(manifests: list[dict[str, object]], host: str, member: str, output: str | None) -> None:
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import applying  # noqa: PLC0415

    if output:
        printing.emit(manifests, output)
        return
    for manifest in manifests:
        at = host if manifest["kind"] in ("Secret", "KubeFedCluster") else member
        label = applying.label(applying.resource_of(manifest), applying.name_of(manifest))
        options.report(f"{at}: {label} (dry run)")
