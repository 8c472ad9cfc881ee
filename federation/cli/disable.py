"""`fedctl disable`: switch federation of a type off."""

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl disable deployments.apps                     # members keep their Deployments
  fedctl disable -f widget-crd.yaml
  fedctl disable configmaps --delete-crd              # only once no FederatedConfigMap is left
"""


@click.command("disable", cls=Verb, examples=EXAMPLES)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.types)
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE", help="The file that `enable -f` was given.")
@options.switch("--delete-crd", text="Delete the federated CRD too; refused while it has objects.")
@click.option(
    "--federated-group",
    default="",
    metavar="GROUP",
    help="With --delete-crd, when the FederatedTypeConfig no longer exists: the CRD's API group.",
)
@click.option("--version", default="", metavar="VERSION", help="With --delete-crd, likewise: the target's version.")
@options.timeout(default="30s", text="Wait for the controller to stop")
@options.host
@options.dry_run
def command(
    *,
    names: tuple[str, ...],
    files: tuple[str, ...],
    delete_crd: bool,
    federated_group: str,
    version: str,
    timeout: float,
    host: Host,
    dry_run: str,
) -> int:
    """Stop propagation of NAME; objects in the members stay there and are no longer managed.

    The controller's role is narrowed in every member that your kubeconfig reaches; for others the manifest for that
    member's admin is printed (exit code 3). It is no error if the type is not enabled.
    """
    if (federated_group or version) and not delete_crd:
        raise click.UsageError("--federated-group and --version are for use with --delete-crd")
    if bool(names) == bool(files):
        raise click.UsageError("give either NAME or -f FILE")
    if files:
        from federation.cli import directives  # noqa: PLC0415

        names = tuple(each.name for each in directives.requests(files))
    left = (federated_group, version)
    code: int = options.run(_disable(host, names, left, delete_crd=delete_crd, timeout=timeout, dry_run=bool(dry_run)))
    return code


async def _disable(
    host: Host, names: tuple[str, ...], left: tuple[str, str], *, delete_crd: bool, timeout: float, dry_run: bool
) -> int:
    from federation.cli import rolling  # noqa: PLC0415
    from federation.joining import disabling  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        if dry_run:
            _, found = await disabling.find(
                connection, host.namespace, names, disabling.Left(*left), delete_crd=delete_crd
            )
            for each in found:
                if not each.crd:
                    options.progress(disabling.absent(connection, host.namespace, each))
                    continue
                if delete_crd:
                    await disabling.refuse_objects(connection, each.name, each.crd)
                also = f" and customresourcedefinition {each.crd}" if delete_crd else ""
                options.progress(f"{connection.name}: federatedtypeconfig {each.name}{also} would be deleted (dry run)")
            return 0
        done = await disabling.disable(
            contexts,
            connection,
            host.namespace,
            names,
            options.progress,
            delete_crd=delete_crd,
            left=disabling.Left(*left),
            timeout=timeout,
        )
    for name in done.types:
        options.progress(f"{name} is no longer federated")
    return rolling.report(done.members)
