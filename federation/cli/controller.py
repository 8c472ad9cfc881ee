"""`fedctl controller run`: the controller itself, on this machine or as a pod's command."""

import click

from federation.cli.options import SYSTEM_NAMESPACE
from federation.cli.verbs import LazyGroup, Verb

EXAMPLES = """
  fedctl controller run --host-cluster-context host --log-format console
  fedctl controller run --metrics-bind-address 127.0.0.1:0 --log-level debug
  fedctl controller run                               # in a pod: with the pod's own service account
"""


@click.command("run", cls=Verb, examples=EXAMPLES)
@click.option("--kubeconfig", metavar="PATH", help="Default: the pod's own account, else $KUBECONFIG, ~/.kube/config.")
@click.option("--host-cluster-context", "--context", "context", metavar="NAME", help="Default: the current one.")
@click.option("--kubefed-namespace", default=SYSTEM_NAMESPACE, show_default=True, metavar="NAME")
@click.option(
    "--metrics-bind-address",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="/metrics; 0: nowhere.",
)
@click.option(
    "--health-probe-bind-address",
    default="127.0.0.1:8081",
    show_default=True,
    metavar="HOST:PORT",
    help="/livez and /readyz; 0: nowhere.",
)
@click.option("--log-format", type=click.Choice(["json", "console"]), default="json", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def run(
    *,
    kubeconfig: str | None,
    context: str | None,
    kubefed_namespace: str,
    metrics_bind_address: str,
    health_probe_bind_address: str,
    log_format: str,
    log_level: str,
) -> int:
    """Run the controller until SIGTERM or Ctrl-C."""
    from federation import app  # noqa: PLC0415

    return app.main(
        app.Options(
            kubeconfig=kubeconfig,
            context=context,
            namespace=kubefed_namespace,
            metrics_address=metrics_bind_address,
            health_address=health_probe_bind_address,
            log_format=log_format,
            log_level=log_level,
        )
    )


command = LazyGroup(
    name="controller",
    commands={"run": run},
    verbs={"run": "Run the controller until SIGTERM or Ctrl-C."},
    help="The controller that pushes federated objects to the members.",
    examples=EXAMPLES,
)
