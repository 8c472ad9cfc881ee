"""`fedctl join`: take a cluster in as a member."""

from dataclasses import dataclass

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl join east --host-cluster-context host                 # the member's context is called east too
  fedctl join east --cluster-context admin@east --label region=eu --wait
  fedctl join east --check-only                                # only look whether it would work
"""


@dataclass(frozen=True, slots=True)
class _Choice:
    check_only: bool
    dry_run: str
    output: str | None
    wait: bool
    timeout: float


@click.command("join", cls=Verb, examples=EXAMPLES)
@click.argument("name")
@options.host
@click.option("--cluster-context", metavar="NAME", help="The member's context; default: the member's name.")
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
    secret_name: str,
    error_on_existing: bool,
    labels: tuple[str, ...],
    rights: str,
    **flags: object,
) -> int:
    """Take cluster NAME in as a member of the host's federation.

    Looks first (reachable, TLS, version, clock, identity, rights), then makes a service account with a role and a token
    in the member, and a Secret and a KubeFedCluster at the host. After a failure half way, run it again.
    """
    from federation.joining import joins  # noqa: PLC0415

    choice = _Choice(**flags)  # type: ignore[arg-type]
    facts = {
        "secret_name": secret_name,
        "error_on_existing": error_on_existing,
        "labels": joins.parse_labels(labels),
        "rights": rights,
    }
    code: int = options.run(
        _join(host, name=name, context=cluster_context or name, host_name=host_cluster_name, facts=facts, choice=choice)
    )
    return code


async def _join(
    host: Host, *, name: str, context: str, host_name: str | None, facts: dict[str, object], choice: _Choice
) -> int:
    from federation.joining import joins, preflight  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.joining.objects import Wanted  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        at = contexts.name(host.context)
        wanted = Wanted(name=name, host=host_name or at, namespace=host.namespace, **facts)  # type: ignore[arg-type]
        joins.check(wanted)
        connection, member = await contexts.open(at), await contexts.open(context)
        if choice.check_only or choice.dry_run or choice.output:
            plan, checks = await joins.inspect(connection, member, wanted)
            for check in checks:
                options.report(f"{check.verdict:<8} {check.name}: {check.message}")
            preflight.refuse_failed(name, checks)
            if not choice.check_only:
                await joins.refuse_existing(connection, plan)
                _show(plan.manifests(), connection.name, member.name, choice.output)
            return 0
        await joins.join(connection, member, wanted, options.report)
        options.report(f"cluster {name} has joined {at}")
        if choice.wait:
            await joins.wait_ready(connection, wanted, timeout=choice.timeout)
            options.report(f"cluster {name} is Ready")
    return 0


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
