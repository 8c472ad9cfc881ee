"""`fedctl compare measure`: a controller that somebody else runs, on the same axes."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from federation.cli import completing, options
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.comparing.model import Run, Settings
    from federation.comparing.standing import Standing

EXAMPLES = """
  fedctl compare measure -o kubefed --name kubefed --host host --members m1,m2 --pids controller=9,host=7,m1=5,m2=6
"""
SCENARIOS = ("hub-load", "growth", "twins")
"""Those that need nothing but a federation that stands."""


@click.command("measure", cls=Verb, examples=EXAMPLES)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Goes there."
)
@click.option("--name", required=True, metavar="NAME", help="What it is called in the report.")
@click.option("--kubeconfig", metavar="PATH", help="Kubeconfig to use; default: $KUBECONFIG, then ~/.kube/config.")
@click.option(
    "--host", "host_context", required=True, metavar="CONTEXT", shell_complete=completing.contexts, help="The host's."
)
@click.option(
    "--members", required=True, metavar="A,B", help="The members' contexts, which are their names at the host."
)
@click.option(
    "--pids",
    required=True,
    metavar="NAME=PID,...",
    help="Processes on this machine: controller, the API server of each context, and agent-NAME of agents.",
)
@click.option(
    "--etcd", default="", metavar="URL", help="The host's etcd, to count keys and bytes; default: not counted."
)
@click.option(
    "--etcd-keys", default="/registry/", show_default=True, metavar="PREFIX", help="What the host's keys begin with."
)
@options.switch("--full", text="As many objects and rounds as `fedctl compare --full`.")
@click.option("--objects", type=click.IntRange(1), metavar="N", help="Objects, or applications.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Of each measurement.")
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="The same gives the same objects.")
def command(
    *,
    output: Path,
    name: str,
    kubeconfig: str | None,
    host_context: str,
    members: str,
    pids: str,
    etcd: str,
    etcd_keys: str,
    full: bool,
    objects: int | None,
    rounds: int | None,
    seed: int,
) -> int:
    """Measure a controller with KubeFed's API that runs already, beside what `fedctl compare` has measured.

    Types namespaces, configmaps, secrets, services and deployments.apps must be federated there. It creates namespaces
    compare-... at the host and in the members, and leaves them empty. Copies are recognised by an annotation of their
    template.
    """
    from federation.comparing import standing  # noqa: PLC0415
    from federation.comparing.model import Settings  # noqa: PLC0415
    from federation.kube.kubeconfig import default_paths  # noqa: PLC0415

    clusters = [each.strip() for each in members.split(",") if each.strip()]
    of = standing.pids(pids, host_context, clusters)
    there = standing.Standing(default_paths(kubeconfig), host_context, clusters, of, etcd=etcd, keys=etcd_keys)
    settings = Settings(
        scale="full" if full else "quick",
        scenarios=SCENARIOS if etcd else SCENARIOS[:2],
        subjects=(name,),
        rounds=rounds or (3 if full else 2),
        seed=seed,
        members=len(clusters),
        objects=objects,
    )
    run = options.run(_measure(output, settings, there))
    return 0 if all(each.state != "failed" for each in run.steps) else 1


async def _measure(output: Path, settings: "Settings", there: "Standing") -> "Run":
    from federation.comparing import running  # noqa: PLC0415

    return await running.stoppable(lambda progress: running.measure(output, settings, there, progress), output)
