"""`fedctl init`: install the federation API on the host."""

from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.installing import Wanted

EXAMPLES = """
  fedctl init                                         # on the current context's cluster
  fedctl init --host-cluster-context host --dry-run=server
  fedctl init --image registry.example.com/federation:0.1.0   # the controller, too: the first time, and to upgrade it
  fedctl init --image registry.example.com/federation:0.1.0 --wait --timeout 3m
  fedctl init --image registry.example.com/federation:0.1.0 --shards 3   # three processes that share the clusters
  fedctl init --scope Namespaced --kubefed-namespace team-a   # for one namespace, with rights in that alone
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
@click.option(
    "--image",
    default="",
    metavar="IMAGE",
    help="Deploy the controller, too, from this image (two replicas, as the chart does). Without it a Deployment "
    "that is there stays as it is.",
)
@click.option(
    "--scope",
    type=click.Choice(["Cluster", "Namespaced"]),
    default=None,
    help="What is federated: every namespace, or the --kubefed-namespace alone, with rights in that alone. Default: as "
    "the KubeFedConfig says, Cluster on a new host.",
)
@click.option(
    "--shards",
    type=options.SHARDS,
    default=None,
    metavar="NUMBER",
    help="Into how many shards the clusters are divided (docs/shards.md): the rights for that, and with --image a "
    "replica for each. Default: as the Deployment says, 1 on a new host.",
)
@options.switch("--crds-only", text="Only the CRDs: for an installation by Helm, which does not upgrade them.")
@options.switch("--wait", text="With --image: wait until the controller's pods are available.")
@options.timeout(default="60s", text="For the CRDs, and for --wait")
def command(
    *,
    host: Host,
    dry_run: str,
    output: str | None,
    finalizer_policy: str,
    image: str,
    scope: str | None,
    shards: int | None,
    crds_only: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Install CRDs, namespace, RBAC and KubeFedConfig on the host, and with --image the controller.

    May be run again, also by a newer fedctl: what is there is brought up to date, your settings stay. With -o the
    manifests are printed and nothing is applied. A GitOps tool can apply them as they are; `kubectl apply
    --server-side` has to be run twice, because the KubeFedConfig can be applied only when its CRD is served.
    """
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import applying, installing  # noqa: PLC0415
    from federation.joining.finalizing import Policy  # noqa: PLC0415

    wanted = installing.Wanted(Policy(finalizer_policy), image, crds_only, scope or "", shards or 0)
    if crds_only and (image or scope or shards or wanted.policy is not Policy.KEEP):
        raise click.UsageError("--crds-only goes with neither --image, --scope, --shards nor --finalizer-policy")
    if wait and (not image or dry_run or output):
        raise click.UsageError("--wait goes with --image, and not with --dry-run or -o")
    manifests = installing.manifests(host.namespace, wanted)
    if output:
        printing.emit(manifests, output)
        return
    if dry_run == "client":
        for manifest in manifests:
            options.report(f"{applying.label(applying.resource_of(manifest), applying.name_of(manifest))} (dry run)")
        return
    options.run(_install(host, wanted, dry_run == "server", timeout, wait=wait))


async def _install(host: Host, wanted: "Wanted", dry_run: bool, timeout: float, *, wait: bool) -> None:
    from federation.joining import deploying, installing  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        await installing.install(connection, host.namespace, options.report, wanted, dry_run=dry_run, timeout=timeout)
        if wait:
            await deploying.wait_available(connection, host.namespace, timeout=timeout)
            options.report(f"{connection.name}: deployment {host.namespace}/{deploying.CONTROLLER} is available")
    if not dry_run and not wanted.crds_only:
        options.report(f"{connection.name} is a federation host; next: fedctl join NAME, fedctl enable TYPE")
