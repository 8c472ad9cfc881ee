"""`fedctl init`: install the federation API on the host."""

from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.finalizing import Policy

EXAMPLES = """
  fedctl init                                         # on the current context's cluster
  fedctl init --host-cluster-context host --dry-run=server
  fedctl init --dry-run -o yaml > host.yaml           # for git
"""


@click.command("init", cls=Verb, examples=EXAMPLES)
@options.host
@options.dry_run
@options.output("yaml", "json")
@click.option(
    "--finalizer-policy",
    type=click.Choice(["keep", "auto", "true", "false"]),
    default="keep",
    show_default=True,
    help="Let the API server add the controller's finalizer to federated objects, which saves the controller a write "
    "for each: as it is (keep: not on a new host), where it can (auto: Kubernetes 1.36), in any case (true, also with "
    "-o), or not (false: what is there is removed).",
)
@options.timeout(default="60s", text="Wait for the CRDs")
def command(host: Host, dry_run: str, output: str | None, finalizer_policy: str, timeout: float) -> None:
    """Install CRDs, namespace, RBAC and KubeFedConfig on the host.

    May be run again, also by a newer fedctl: what is there is brought up to date, your settings stay. With -o the
    manifests are printed and nothing is applied. A GitOps tool can apply them as they are; `kubectl apply
    --server-side` has to be run twice, because the KubeFedConfig can be applied only when its CRD is served.
    """
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import applying, installing  # noqa: PLC0415
    from federation.joining.finalizing import Policy  # noqa: PLC0415

    policy = Policy(finalizer_policy)
    manifests = installing.manifests(host.namespace, policy=policy is Policy.TRUE) if output or dry_run else []
    if output:
        printing.emit(manifests, output)
        return
    if dry_run == "client":
        for manifest in manifests:
            options.report(f"{applying.label(applying.resource_of(manifest), applying.name_of(manifest))} (dry run)")
        return
    options.run(_install(host, policy, dry_run == "server", timeout))


async def _install(host: Host, policy: "Policy", dry_run: bool, timeout: float) -> None:
    from federation.joining import installing  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        await installing.install(
            connection, host.namespace, options.report, policy=policy, dry_run=dry_run, timeout=timeout
        )
    if not dry_run:
        options.report(f"{connection.name} is a federation host; next: fedctl join NAME, fedctl enable TYPE")
