"""`fedctl controller run`: the controller itself, on this machine or as a pod's command."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click

from federation.cli import options
from federation.cli.options import SYSTEM_NAMESPACE
from federation.cli.verbs import LazyGroup, Verb
from federation.model.errors import Unusable

EXAMPLES = """
  fedctl controller run --host-cluster-context host --log-format console
  fedctl controller run --host-cluster-context host --log-file controller.log
  fedctl controller run --metrics-bind-address 127.0.0.1:0 --log-level debug
  fedctl controller run --shards 3                    # one of several that share the clusters
  fedctl controller run                               # in a pod: with the pod's own service account
"""


@click.command("run", cls=Verb, examples=EXAMPLES)
@click.option("--kubeconfig", metavar="PATH", help="Default: the pod's own account, else $KUBECONFIG, ~/.kube/config.")
@click.option("--host-cluster-context", "--context", "context", metavar="NAME", help="Default: the current one.")
@click.option("--kubefed-namespace", default=SYSTEM_NAMESPACE, show_default=True, metavar="NAME")
@options.endpoints("/livez and /readyz")
@click.option(
    "--shards",
    type=options.SHARDS,
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="Into how many shards the clusters are divided; the same for all controllers of the hub (docs/shards.md).",
)
@options.log
def run(
    *,
    kubeconfig: str | None,
    context: str | None,
    kubefed_namespace: str,
    metrics_bind_address: str,
    health_probe_bind_address: str,
    shards: int,
    log_file: str,
    log_format: str,
    log_level: str,
) -> int:
    """Run the controller until SIGTERM or Ctrl-C."""
    from federation import app  # noqa: PLC0415

    with logging_to(log_file):
        code = app.main(
            app.Options(
                kubeconfig=kubeconfig,
                context=context,
                namespace=kubefed_namespace,
                metrics_address=metrics_bind_address,
                health_address=health_probe_bind_address,
                log_format=log_format,
                log_level=log_level,
                shards=shards,
            )
        )
    if code and log_file:
        options.report(f"error: the controller has ended, see the end of {log_file}")
    return code


@contextlib.contextmanager
def logging_to(path: str) -> Iterator[None]:
    """Everything that would go to stderr goes to the end of this file instead: the log, and what a crash prints."""
    if not path:
        yield
        return
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise Unusable(f"--log-file {path} cannot be written: {error.strerror}") from None
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(opened, 2)
    os.close(opened)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


command = LazyGroup(
    name="controller",
    commands=[run],
    help="The controller that pushes federated objects to the members.",
    examples=EXAMPLES,
)
