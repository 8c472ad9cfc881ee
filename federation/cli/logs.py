"""`fedctl logs`: the logs of a federated object's Pods in all members, the cluster in front of each line."""

import sys
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, failing, looking, options, visible
from federation.cli.looking import Where
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.seeing.logs import Options, Source

EXAMPLES = """
  fedctl logs deployment web -n shop
  fedctl logs deploy web -n shop -f --since 10m --cluster east,west
  fedctl logs deploy web -n shop -c proxy --tail 20 --timestamps
  fedctl logs -l app=web -n shop                      # all such Pods of the namespace, in every member
  fedctl logs cronjob report -n shop --previous --all-containers
"""


@click.command("logs", cls=Verb, examples=EXAMPLES)
@click.argument("kind", required=False, default="", metavar="[KIND", shell_complete=completing.types)
@click.argument("name", required=False, default="", metavar="NAME]", shell_complete=completing.objects)
@click.option("-l", "--selector", default="", metavar="SELECTOR", help="Only Pods with these labels.")
@options.switch("-f", "--follow", text="Go on with what comes, new Pods and restarts included, until interrupted.")
@click.option("-c", "--container", default="", metavar="NAME", help="Default: the Pod's default one, as kubectl's.")
@options.switch("--all-containers", text="All containers of the Pods, init containers too.")
@options.switch("-p", "--previous", text="The log of each container's instance before this one.")
@options.switch("--timestamps", text="The time in front of each line of a log.")
@click.option("--since", default="0s", type=options.duration, metavar="DURATION", help="Of the last 5s, 2m or 3h.")
@click.option("--since-time", default="", metavar="TIME", help="Lines after this time (RFC 3339).")
@click.option("--tail", default=-1, type=int, show_default=True, metavar="N", help="The last N lines of each; -1: all.")
@click.option(
    "--max-log-requests", default=100, type=int, show_default=True, metavar="N", help="Containers followed at a time."
)
@looking.members
def command(
    *,
    kind: str,
    name: str,
    selector: str,
    since: float,
    since_time: str,
    max_log_requests: int,
    where: Where,
    **how: Any,
) -> int:
    """Print the logs of the Pods that the copies of a federated object own, from every member that has one.

    Each line begins with cluster, Pod and container. A member that does not answer is said on stderr, and the others go
    on. Members are asked by the contexts of your kubeconfig, or with the credentials that the hub has stored, if you
    may read them. Exit code 3: something could not be read.
    """
    kind, name = looking.named(kind, name)
    if not kind and not selector:
        raise click.UsageError("give KIND NAME, or -l SELECTOR")
    if since and since_time:
        raise click.UsageError("--since and --since-time exclude each other")
    if how["container"] and how["all_containers"]:
        raise click.UsageError("--container and --all-containers exclude each other")
    from federation.seeing.logs import Options  # noqa: PLC0415

    wanted = Options(
        follow=how["follow"],
        container=how["container"],
        every_container=how["all_containers"],
        previous=how["previous"],
        timestamps=how["timestamps"],
        since=since,
        since_time=since_time,
        tail=how["tail"],
    )
    code: int = options.run(_logs(where, (kind, name), selector, wanted, max_log_requests))
    return code


async def _logs(where: Where, what: tuple[str, str], selector: str, wanted: "Options", most: int) -> int:
    from federation.joining import fleet  # noqa: PLC0415
    from federation.seeing import labels, owned, subjects  # noqa: PLC0415
    from federation.seeing.streaming import Streaming  # noqa: PLC0415

    matches = labels.matcher(selector) if selector else None
    async with where.reach() as (reach, namespace):
        if what[0]:
            subject = await subjects.find(reach, *what, namespace)
            members = subjects.chosen(subject.known, subject.members(), where.clusters)
            label = subject.label

            async def find(connection: Any) -> Any:
                return await owned.tree(connection, subject.type, subject.target)
        else:
            known = await fleet.read(reach.host, reach.namespace)
            members, label = subjects.chosen(known, known.members, where.clusters), f"namespace {namespace}"

            async def find(connection: Any) -> Any:
                return await owned.pods(connection, namespace)

        emit = _follow if wanted.follow else _emit
        run = Streaming(find, wanted, emit, options.report, matches=matches, most=most)
        await run.run(reach, members, where.how)
    if not run.shown and not run.failed:
        asked = ", ".join(each.name for each in members[:5]) + (" and more" if len(members) > 5 else "")
        options.report(f"no Pods of {label} in {asked or 'any member: it is placed nowhere'}")
    return failing.PARTIAL if run.failed else 0


def _emit(source: "Source", line: str) -> None:
    click.echo(visible.line(f"{source.label} | {line}"))


def _follow(source: "Source", line: str) -> None:
    """At once, also where the output is a pipe."""
    _emit(source, line)
    sys.stdout.flush()
