"""`fedctl agent run`: the work agent of a pull cluster, on this machine or as a pod's command in the member."""

import pathlib
from typing import TYPE_CHECKING

import click

from federation.cli import options
from federation.cli.controller import logging_to
from federation.cli.verbs import LazyGroup, Verb
from federation.model.errors import Unusable

if TYPE_CHECKING:
    from federation.agent.running import Wanted

NAMESPACE = "open-cluster-management-agent"
"""federation.agent.membership.NAMESPACE, which would cost an import."""
EXAMPLES = """
  fedctl agent run --hub-kubeconfig hub.kubeconfig --cluster east
  fedctl agent run --hub-kubeconfig hub.kubeconfig --cluster east --kubeconfig east.kubeconfig --log-format console
  fedctl agent run                                    # a cluster that fedctl register has registered
  fedctl agent run --memberships memberships.yaml     # several clusters in one process
"""
_KEYS = ("cluster", "hubKubeconfig", "hubContext", "kubeconfig", "context", "namespace", "agentID")


@click.command("run", cls=Verb, examples=EXAMPLES)
@click.option("--hub-kubeconfig", metavar="PATH", help="Credentials for the hub; read again when the file changes.")
@click.option("--hub-context", metavar="NAME", help="Default: the current one.")
@click.option("--cluster", metavar="NAME", help="This cluster's name at the hub, and its namespace there.")
@click.option("--kubeconfig", metavar="PATH", help="The member. Default: the pod's own account, else kubectl's rule.")
@click.option("--context", metavar="NAME", help="Default: the current one.")
@click.option("--namespace", default=NAMESPACE, show_default=True, metavar="NAME", help="The agent's, in the member.")
@click.option("--agent-id", default="", metavar="ID", help="Tells apart agents of several hubs that share a namespace.")
@click.option(
    "--memberships",
    metavar="PATH",
    help=f"Instead: a YAML file with a list of clusters to serve, each with {', '.join(_KEYS)}.",
)
@options.endpoints("/livez, /readyz, /healthz, and /hubz for since when the hub is silent")
@options.log
def run(
    *,
    hub_kubeconfig: str | None,
    hub_context: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
    namespace: str,
    agent_id: str,
    memberships: str | None,
    metrics_bind_address: str,
    health_probe_bind_address: str,
    log_file: str,
    log_format: str,
    log_level: str,
) -> int:
    """Run the agent until SIGTERM or Ctrl-C.

    It applies in the member what the ManifestWorks of the cluster's namespace at the hub ask for, repairs what somebody
    changes there, and goes on with both while the hub is away. Without --cluster and --hub-kubeconfig it is the cluster
    that `fedctl register` has made of it: it asks the hub for its certificate, renews it, and sends a heartbeat.
    """
    from federation.agent import running  # noqa: PLC0415

    if memberships is not None:
        if hub_kubeconfig or cluster:
            raise click.UsageError("--memberships goes without --cluster and --hub-kubeconfig")
        wanted = _read(memberships, namespace)
    elif bool(cluster) != bool(hub_kubeconfig):
        raise click.UsageError("give --cluster and --hub-kubeconfig both, or neither for what fedctl register has made")
    else:
        own = (cluster or "", hub_kubeconfig or "")
        wanted = [running.Wanted(*own, kubeconfig, hub_context, context, namespace, agent_id)]
    with logging_to(log_file):
        code = running.main(
            running.Options(
                wanted,
                metrics_address=metrics_bind_address,
                health_address=health_probe_bind_address,
                log_format=log_format,
                log_level=log_level,
            )
        )
    if code and log_file:
        options.report(f"error: the agent has ended, see the end of {log_file}")
    return code


def _read(path: str, namespace: str) -> "list[Wanted]":
    from federation.agent import running  # noqa: PLC0415
    from typegen.kubeyaml import reading  # noqa: PLC0415

    try:
        found = reading.value(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, reading.Unreadable) as error:
        raise Unusable(f"--memberships {path} cannot be read ({type(error).__name__})") from None
    if not isinstance(found, list) or not found:
        raise Unusable(f"--memberships {path}: must be a list of clusters")
    wanted = []
    for index, each in enumerate(found):
        if not isinstance(each, dict) or not all(key in _KEYS and isinstance(each[key], str) for key in each):
            raise Unusable(f"--memberships {path}: [{index}] must be a map of texts with {', '.join(_KEYS)}")
        if bool(each.get("cluster")) != bool(each.get("hubKubeconfig")):
            registered = "or neither for what fedctl register has made"
            raise Unusable(f"--memberships {path}: [{index}] needs cluster and hubKubeconfig, {registered}")
        wanted.append(
            running.Wanted(
                each.get("cluster", ""),
                each.get("hubKubeconfig", ""),
                each.get("kubeconfig"),
                each.get("hubContext"),
                each.get("context"),
                each.get("namespace", namespace),
                each.get("agentID", ""),
            )
        )
    return wanted


command = LazyGroup(
    name="agent",
    commands=[run],
    help="The agent of a pull cluster, which applies there what its hub asks for.",
    examples=EXAMPLES,
)
