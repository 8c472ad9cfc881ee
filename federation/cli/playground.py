"""`fedctl playground`: real local clusters; each verb is a function of federation.playground.verbs."""

import click

from federation.cli import options
from federation.cli.verbs import LazyGroup, Verb

_NAME = click.option(
    "--name", default="default", show_default=True, metavar="NAME", help="Which playground; there may be several."
)
_CLUSTER = click.argument("cluster")


@click.command(
    "up",
    cls=Verb,
    examples="""
  fedctl playground up                                # host, m1, m2, m3
  fedctl playground up host east west
  export KUBECONFIG=$(fedctl playground up)           # the kubeconfig's path is all it prints on stdout
""",
)
@click.argument("clusters", nargs=-1)
@_NAME
@click.option("--provider", type=click.Choice(["local", "kind"]), default="local", show_default=True)
def up(*, clusters: tuple[str, ...], name: str, provider: str) -> None:
    """Bring up CLUSTERS (default: host m1 m2 m3), or finish what is half up; prints the kubeconfig's path."""
    from federation.playground import verbs  # noqa: PLC0415
    from federation.playground.clusters import DEFAULT_NAMES  # noqa: PLC0415

    chosen = clusters or DEFAULT_NAMES
    click.echo(verbs.up(name, chosen, provider=provider, report=options.report))  # type: ignore[arg-type]


@click.command("down", cls=Verb, examples="  fedctl playground down\n  fedctl playground down --name demo")
@_NAME
def down(*, name: str) -> None:
    """End every process of the playground and remove its files."""
    from federation.playground import verbs  # noqa: PLC0415

    options.report(f"playground {name} is down" if verbs.down(name, report=options.report) else f"no playground {name}")


@click.command("status", cls=Verb, examples="  fedctl playground status\n  fedctl playground status -o json")
@_NAME
@options.output("json", "yaml")
@options.switch("--no-headers", text="Leave out the first line.")
def status(*, name: str, output: str | None, no_headers: bool) -> None:
    """Show every process: running, paused or stopped, ready or not."""
    from federation.cli import printing  # noqa: PLC0415
    from federation.playground import verbs  # noqa: PLC0415

    rows = verbs.status(name)
    if output:
        items = [
            {
                "cluster": row.cluster,
                "process": row.process,
                "state": row.state.value,
                "ready": row.ready,
                "pid": row.pid,
                "memoryBytes": row.memory,
                "url": row.url,
            }
            for row in rows
        ]
        printing.emit(items, output)
        return
    words = {None: "", True: "True", False: "False"}
    lines = [
        (
            row.cluster or "*",
            row.process,
            row.state.value,
            words[row.ready],
            str(row.pid or ""),
            f"{row.memory >> 20}Mi" if row.memory else "",
            row.url,
        )
        for row in rows
    ]
    header = ("CLUSTER", "PROCESS", "STATE", "READY", "PID", "MEMORY", "URL")
    printing.table(header, lines, headers=not no_headers)


@click.command(
    "kubeconfig",
    cls=Verb,
    examples="  export KUBECONFIG=$(fedctl playground kubeconfig)\n  kubectl --context m1 get ns",
)
@_NAME
def kubeconfig(*, name: str) -> None:
    """Print the path of the playground's kubeconfig: a context per cluster, named as the cluster."""
    from federation.playground import verbs  # noqa: PLC0415

    click.echo(verbs.kubeconfig(name))


@click.command("kill", cls=Verb, examples="  fedctl playground kill m1\n  fedctl playground resume m1")
@_CLUSTER
@_NAME
def kill(*, cluster: str, name: str) -> None:
    """SIGKILL the API server of CLUSTER, as a power cut would; its data stay, `resume` starts it again."""
    from federation.playground import verbs  # noqa: PLC0415

    verbs.kill(cluster, name, report=options.report)
    options.report(f"{cluster} is killed; next: fedctl playground resume {cluster}")


@click.command("pause", cls=Verb, examples="  fedctl playground pause m1\n  fedctl playground resume m1")
@_CLUSTER
@_NAME
def pause(*, cluster: str, name: str) -> None:
    """Make the API server of CLUSTER hang: it accepts connections and never answers."""
    from federation.playground import verbs  # noqa: PLC0415

    verbs.pause(cluster, name, report=options.report)
    options.report(f"{cluster} hangs; next: fedctl playground resume {cluster}")


@click.command("resume", cls=Verb, examples="  fedctl playground resume m1")
@_CLUSTER
@_NAME
def resume(*, cluster: str, name: str) -> None:
    """Let a paused CLUSTER go on, or start a killed one again."""
    from federation.playground import verbs  # noqa: PLC0415

    verbs.resume(cluster, name, report=options.report)
    options.report(f"{cluster} serves again")


_COMMANDS = (up, down, status, kubeconfig, kill, pause, resume)
command = LazyGroup(
    name="playground",
    commands={str(each.name): each for each in _COMMANDS},
    verbs={str(each.name): (each.help or "").strip().splitlines()[0] for each in _COMMANDS},
    help="Real control planes on 127.0.0.1: kube-apiserver, etcd and kube-controller-manager, no containers.",
    examples="""
  fedctl playground up
  fedctl playground status
  fedctl playground kill m1
""",
)
