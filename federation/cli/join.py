"""`fedctl join`: make clusters members."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, failing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.objects import Wanted

EXAMPLES = """
  fedctl join east --host-cluster-context host                 # the member's context is called east too
  fedctl join east --cluster-context admin@east --label region=eu --wait
  fedctl join east --rotate                                    # new credentials; the old ones are revoked at once
  fedctl join east --fence kube-system,cert-manager            # never write into these namespaces there
  fedctl join m1 m2 m3 --wait                                  # several, each by the context of its name
  fedctl join east --check-only                                # only check whether it would work
"""


@click.command("join", cls=Verb, examples=EXAMPLES)
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=completing.contexts)
@options.host
@options.member
@click.option("--secret-name", default="", metavar="NAME", help="The Secret at the host for the member's token.")
@click.option(
    "--service-account",
    default="",
    metavar="NAME",
    help="The controller's account in the member; default: NAME-HOST. Use one name for all to keep its roles in git.",
)
@options.switch("--error-on-existing", default=True, text="Refuse a member that has joined already.")
@click.option(
    "--rotate", is_flag=True, help="For a member that has joined: new credentials; the old ones are revoked at once."
)
@click.option(
    "--api-endpoint",
    default="",
    metavar="URL",
    help="The address for the controller, if it is not the one in your kubeconfig.",
)
@click.option(
    "--fence",
    multiple=True,
    metavar="NAMESPACES",
    help="Namespaces that the controller may never write into there (a,b; none removes the fence).",
)
@click.option(
    "--namespaces",
    multiple=True,
    metavar="NAMESPACES",
    help="The only namespaces that the controller may write into there (a,b; none removes the limit).",
)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label of the KubeFedCluster; others stay.")
@click.option(
    "--rights",
    type=click.Choice(["types", "all"]),
    default=None,
    help="The controller's rights in the member: what the enabled types need (default), or all, as with KubeFed.",
)
@options.switch("--check-only", text="Make the preflight checks and nothing else.")
@options.switch("--wait", text="Wait until the controller finds the member Ready.")
@options.timeout(default="60s", text="For --wait")
@options.dry_run
@options.output("yaml", "json")
def command(
    *,
    names: tuple[str, ...],
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
    """Make each cluster NAME a member of the host's federation.

    First checks it (reachable, TLS, version, clock, identity, rights), then makes a service account with a role and a
    token in the member, and a Secret and a KubeFedCluster at the host. After a failure half way, run it again.

    A member that has joined already gets new credentials and rights; labels, fields and fences stay as they are unless
    a flag changes them. Whoever may create pods is in effect admin of a cluster, and so is the controller where a type
    with pods is enabled: --fence and --namespaces restrict it, whatever its role allows.
    """
    from federation.joining import joinplans  # noqa: PLC0415
    from federation.joining.objects import Wanted  # noqa: PLC0415

    names = tuple(dict.fromkeys(names))
    if len(names) > 1:
        _refuse_for_several(cluster_context, facts)
    wanted = [
        Wanted(
            name=name,
            host=host_cluster_name or "",
            namespace=host.namespace,
            labels=joinplans.parse_labels(labels),
            secret_name=facts["secret_name"],
            service_account=facts["service_account"],
            rights=facts["rights"] or "",
            api_endpoint=facts["api_endpoint"],
            fence=options.namespaces(facts["fence"]),
            only=options.namespaces(facts["namespaces"]),
            rotate=facts["rotate"],
            error_on_existing=facts["error_on_existing"],
        )
        for name in names
    ]
    seconds = timeout if wait else None
    if check_only or dry_run or output:
        options.run(_inspect(host, wanted, cluster_context, output=output, check_only=check_only))
    elif len(names) > 1:
        options.run(_join_several(host, wanted, timeout=seconds))
    else:
        options.run(_join(host, wanted[0], cluster_context or names[0], timeout=seconds))


def _refuse_for_several(cluster_context: str | None, facts: dict[str, Any]) -> None:
    given = {
        "--cluster-context": cluster_context,
        "--secret-name": facts["secret_name"],
        "--api-endpoint": facts["api_endpoint"],
    }
    if single := [flag for flag, value in given.items() if value]:
        raise click.UsageError(f"{', '.join(single)}: for one cluster only; join it in a command of its own")


async def _inspect(
    host: Host, several: list["Wanted"], context: str | None, *, output: str | None, check_only: bool
) -> None:
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import assessments, joinplans, joins  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    manifests: list[dict[str, Any]] = []
    errors: dict[str, FederationError] = {}
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        facts = await joinplans.host_facts(connection, host.namespace)
        for each in several:
            wanted = _named(each, contexts.name(host.context))
            prefix = f"{wanted.name}: " if len(several) > 1 else ""
            try:
                member = await contexts.open(context or wanted.name)
                plan, checks = await joinplans.inspect(connection, member, wanted, facts)
                for check in checks:
                    options.report(f"{prefix}{check.grade:<8} {check.name}: {check.message}")
                assessments.refuse_failed(wanted.name, checks)
                if not check_only:
                    joinplans.refuse_existing(connection, plan)
                    if output:
                        manifests += plan.manifests()
                    else:
                        async for line in joins.rehearse(connection, member, plan):
                            options.report(f"{line} (dry run)")
            except FederationError as error:
                if len(several) == 1:
                    raise
                errors[wanted.name] = error
                options.report(f"{prefix}{error}")
    if output and not check_only:
        printing.emit(manifests, output)
    _report_errors(errors, len(several), "cannot be joined")


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


async def _join_several(host: Host, wanted: list["Wanted"], *, timeout: float | None) -> None:
    from federation.joining import several  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        wanted = [_named(each, contexts.name(host.context)) for each in wanted]
        connection = await contexts.open(host.context)
        errors = await several.join(contexts, connection, wanted, options.report)
        joined = [each.name for each in wanted if each.name not in errors]
        if timeout is not None and joined:
            await several.wait_ready(connection, host.namespace, joined, timeout=timeout)
            options.report(f"{len(joined)} clusters are Ready")
    _report_errors(errors, len(wanted), "have not joined")


def _report_errors(errors: Mapping[str, Exception], count: int, what: str) -> None:
    """What to do next, once; then the exit code: 1 when all have failed, 3 when some have."""
    if not errors:
        return
    for hint in dict.fromkeys(getattr(error, "hint", "") for error in errors.values()):
        if hint:
            options.report(f"next: {hint}")
    names = ", ".join(list(errors)[:10]) + (", ..." if len(errors) > 10 else "")
    message = f"{len(errors)} of {count} clusters {what}: {names}"
    raise click.ClickException(message) if len(errors) == count else failing.Partly(message)


def _named(wanted: "Wanted", context: str) -> "Wanted":
    """With the host's name in object names: its context's where none is given. Raises Invalid for a bad name."""
    from federation.joining import joinplans  # noqa: PLC0415

    named = replace(wanted, host=wanted.host or context)
    joinplans.check(named)
    return named
