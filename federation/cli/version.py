"""`fedctl version`: the versions of fedctl, the controller and the clusters."""

import platform
from typing import Any

import click

from federation import __version__
from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb, as_kubefedctl

_LONGEST_VERSION = 64
EXAMPLES = """
  fedctl version
  fedctl version --client                             # without a cluster
  fedctl version -o json
"""


@click.command("version", cls=Verb, examples=EXAMPLES)
@options.host
@options.output("json", "yaml")
@options.switch("--client", text="Only fedctl's own version.")
def command(*, host: Host, output: str | None, client: bool) -> None:
    """Show the versions of fedctl, of the controller as it is deployed on the host, and of the clusters' Kubernetes.

    If the host cannot be reached, a warning goes to stderr, and fedctl's own version is shown.
    """
    if as_kubefedctl() and not output and not client:
        click.echo(f"kubefedctl version: {_as_kubefedctl()}")
        return
    from federation.cli import printing  # noqa: PLC0415
    from federation.core import scrubbing  # noqa: PLC0415

    facts: dict[str, Any] = {"client": __version__}
    if not client:
        facts |= options.run(_ask(host))
    if output:
        printing.emit([facts], output, single=True)
        return
    click.echo(f"fedctl {facts['client']}")
    if "host" in facts:
        click.echo(f"controller {facts['controller'] or 'not deployed on the host'}")
        if facts["skew"]:
            options.report(f"warning: {facts['skew']}")
        for what, cluster in (("host", facts["host"]), *(("member", member) for member in facts["members"])):
            version = scrubbing.line(str(cluster["kubernetes"] or "unknown"), _LONGEST_VERSION)
            click.echo(f"{what} {cluster['name']} Kubernetes {version}")


def _as_kubefedctl() -> str:
    """The line of kubefedctl, which asks no cluster: scripts cut the version out of it."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    facts = {
        "Version": f"v{__version__}",
        "GitCommit": "unknown",
        "GitTreeState": "unknown",
        "BuildDate": "unknown",
        "GoVersion": "none",
        "Compiler": platform.python_implementation().lower(),
        "Platform": f"{platform.system().lower()}/{machine}",
    }
    return "version.Info{" + ", ".join(f'{name}:"{value}"' for name, value in facts.items()) + "}"


async def _ask(host: Host) -> dict[str, Any]:
    from federation.joining import lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    try:
        async with Contexts(host.kubeconfig) as contexts:
            return await lookups.versions(await contexts.open(host.context), host.namespace)
    except FederationError as error:
        options.report(f"warning: {error}")
        return {}
