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
  fedctl playground up --members 1000 --shape many    # host, and m1 to m1000 in one process
  fedctl playground up host m1 m2 --members 1000 --shape many    # the same, but m1 and m2 are real
  export KUBECONFIG=$(fedctl playground up)           # prints only the kubeconfig's path on stdout
""",
)
@click.argument("clusters", nargs=-1)
@_NAME
@click.option(
    "--members",
    default="",
    metavar="N|NAMES",
    help="Members in addition to CLUSTERS: N for m1 to mN, of which those in CLUSTERS are real; or names (a,b).",
)
@click.option(
    "--shape",
    type=click.Choice(["real", "many"]),
    help="Shape of --members: real (default), with an API server each, or many, simulated by one API server.",
)
@click.option("--provider", type=click.Choice(["local", "kind"]), default="local", show_default=True)
def up(*, clusters: tuple[str, ...], name: str, members: str, shape: str | None, provider: str) -> None:
    """Bring up CLUSTERS (default: host m1 m2 m3, with --members: host); prints the kubeconfig's path.

    Clusters that the playground already has are started again, and an interrupted start is continued. Simulated members
    serve the Kubernetes API, but without RBAC, admission and controllers, and they share their CRDs: they are for
    measurements of scale (docs/playground.md).
    """
    from federation.playground import verbs  # noqa: PLC0415

    if shape and not members:
        raise click.UsageError("--shape needs --members")
    path = verbs.up(
        name,
        clusters,
        members=members,
        shape="many" if shape == "many" else "real",
        provider="kind" if provider == "kind" else "local",
        report=options.report,
    )
    click.echo(path)


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
    """Kill the API server of CLUSTER (SIGKILL), as a power cut would; its data stays, `resume` starts it again."""
    from federation.playground import verbs  # noqa: PLC0415

    verbs.kill(cluster, name, report=options.report)
    options.report(f"{cluster} is killed; next: {_resume(cluster, name)}")


@click.command("pause", cls=Verb, examples="  fedctl playground pause m1\n  fedctl playground resume m1")
@_CLUSTER
@_NAME
def pause(*, cluster: str, name: str) -> None:
    """Make the API server of CLUSTER hang: it accepts connections and never answers."""
    from federation.playground import verbs  # noqa: PLC0415

    verbs.pause(cluster, name, report=options.report)
    options.report(f"{cluster} hangs; next: {_resume(cluster, name)}")


@click.command("resume", cls=Verb, examples="  fedctl playground resume m1")
@_CLUSTER
@_NAME
def resume(*, cluster: str, name: str) -> None:
    """Let a paused CLUSTER go on, or start a killed one again."""
    from federation.playground import verbs  # noqa: PLC0415

    verbs.resume(cluster, name, report=options.report)
    options.report(f"{cluster} serves again")


def _resume(cluster: str, name: str) -> str:
    """The command line that makes a cluster of this playground go on."""
    named = "" if name == "default" else f" --name {name}"
    return f"fedctl playground resume {cluster}{named}"


class _Passing(Verb):
    """A command whose arguments are for another program; only --name, --help and -v before them are ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse our own flags and leave the rest as it is."""
        ours = 0
        while ours < len(args) and args[ours].startswith(("--name", "--v", "-v", "-h", "--help")):
            ours += 2 if args[ours] == "--name" else 1
        rest = args[ours:]
        rest = rest[1:] if rest[:1] == ["--"] else rest
        left = super().parse_args(ctx, args[:ours])
        ctx.params["arguments"] = tuple(rest)
        return left


@click.command(
    "kubectl",
    cls=_Passing,
    examples="""
  fedctl playground kubectl get namespaces --context m1
  fedctl playground kubectl apply -f docs/examples/hello.yaml
  fedctl playground kubectl --name demo get federatednamespaces -A
""",
)
@_NAME
def kubectl(*, name: str, arguments: tuple[str, ...]) -> None:
    """Run kubectl on the playground's clusters: on the first one, or on the one that --context names.

    All arguments are passed to kubectl. If there is none in PATH, it is downloaded or compiled once, like the
    control plane.
    """
    import os  # noqa: PLC0415

    from federation.playground import verbs  # noqa: PLC0415

    program, config = verbs.kubectl(name, report=options.report)
    os.execve(program, [str(program), *arguments], {**os.environ, "KUBECONFIG": str(config)})  # noqa: S606


command = LazyGroup(
    name="playground",
    commands=[up, down, status, kubeconfig, kubectl, kill, pause, resume],
    help="Real control planes on 127.0.0.1: kube-apiserver, etcd and kube-controller-manager, no containers.",
    examples="""
  fedctl playground up
  fedctl playground status
  fedctl playground kill m1
""",
)
