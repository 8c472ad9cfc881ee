"""`fedctl events`: the Events about a federated object's copies and what they own, from all members in one list."""

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, failing, looking, options
from federation.cli.looking import Where
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.joining.fleet import Member
    from federation.joining.reaching import Reach
    from federation.seeing.events import Event
    from federation.seeing.gathering import Wanted

EXAMPLES = """
  fedctl events deployment web -n shop                # of its copies, their ReplicaSets and Pods
  fedctl events deploy web -n shop -f --types Warning
  fedctl events -n shop --since 15m --cluster east    # everything in the namespace
"""
_HEADER = ("CLUSTER", "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")


@click.command("events", cls=Verb, examples=EXAMPLES)
@click.argument("kind", required=False, default="", metavar="[KIND", shell_complete=completing.types)
@click.argument("name", required=False, default="", metavar="NAME]", shell_complete=completing.objects)
@click.option("-l", "--selector", default="", metavar="SELECTOR", help="Only about objects with these labels.")
@options.switch("-f", "--follow", "-w", "--watch", text="Go on with what comes, until interrupted.")
@click.option("--since", default="0s", type=options.duration, metavar="DURATION", help="Of the last 5s, 2m or 3h.")
@click.option("--types", default="", metavar="TYPE", help="Only of these types: Normal, Warning.")
@options.switch("-A", "--all-namespaces", text="Without KIND NAME: of every namespace.")
@options.switch("--no-headers", text="Leave out the first line.")
@options.output("json", "yaml")
@looking.members
def command(
    *,
    kind: str,
    name: str,
    selector: str,
    follow: bool,
    since: float,
    types: str,
    all_namespaces: bool,
    no_headers: bool,
    output: str | None,
    where: Where,
) -> int:
    """Print the Events about the copies of a federated object and what they own, the newest last.

    What they own is ReplicaSets, Pods and the like, by owner references. Without KIND NAME: all Events of the
    namespace, in every member, or with -l those about its Pods with these labels. A member that does not answer is said
    on stderr, and the others go on. Members are asked by the contexts of your kubeconfig, or with the credentials that
    the hub has stored, if you may read them. Exit code 3: something could not be read.
    """
    kind, name = looking.named(kind, name)
    if all_namespaces and (kind or selector):
        raise click.UsageError("-A cannot be used with KIND NAME or -l")
    if follow and output:
        raise click.UsageError(f"-o {output} cannot be used with -f")
    from federation.seeing.gathering import Wanted  # noqa: PLC0415

    of_types = frozenset(each.strip() for each in types.split(",") if each.strip())
    wanted = Wanted(kind, name, selector, since, of_types, everywhere=all_namespaces)
    code: int = options.run(_events(where, wanted, follow=follow, output=output, headers=not no_headers))
    return code


async def _events(where: Where, wanted: "Wanted", *, follow: bool, output: str | None, headers: bool) -> int:
    from federation.seeing import gathering  # noqa: PLC0415

    async with where.reach() as (reach, namespace):
        members, look = await gathering.prepare(reach, wanted, namespace, where.clusters)
        run = gathering.Gathering(look, options.report)
        if follow:
            await _follow(reach, members, where, run, headers=headers, spaces=wanted.everywhere)
        else:
            await run.once(reach, members, where.how)
            _show(run.found, output, headers=headers, spaces=wanted.everywhere)
    return failing.PARTIAL if run.failed else 0


async def _follow(
    reach: "Reach", members: "Sequence[Member]", where: Where, run: Any, *, headers: bool, spaces: bool
) -> None:
    from federation.cli import printing  # noqa: PLC0415

    widths: list[int] = []

    def begin(found: "Sequence[Event]") -> None:
        table = [_row(each, spaces=spaces) for each in found]
        header = _header(spaces=spaces)
        lines = printing.layout(header, table, headers=headers)
        widths.extend(max([len(row[column]) for row in [header, *table]]) for column in range(len(header)))
        for line in lines:
            click.echo(line)
        sys.stdout.flush()

    def come(event: "Event") -> None:
        cells = [printing.plain(cell) or "<none>" for cell in _row(event, spaces=spaces)]
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        sys.stdout.flush()

    await run.follow(reach, members, where.how, begin, come)


def _show(found: "Sequence[Event]", output: str | None, *, headers: bool, spaces: bool) -> None:
    from federation.cli import printing  # noqa: PLC0415
    from federation.core import times  # noqa: PLC0415

    if output:
        documents = [
            {
                "cluster": each.cluster,
                "lastSeen": times.rfc3339(each.at.timestamp()),
                "type": each.type,
                "reason": each.reason,
                "namespace": each.namespace,
                "object": each.about,
                "message": each.message,
                "count": each.count,
            }
            for each in found
        ]
        printing.emit([{"events": documents}], output, single=True)
    elif found:
        printing.table(_header(spaces=spaces), [_row(each, spaces=spaces) for each in found], headers=headers)
    else:
        options.report("no events")


def _header(*, spaces: bool) -> Sequence[str]:
    return (_HEADER[0], "NAMESPACE", *_HEADER[1:]) if spaces else _HEADER


def _row(event: "Event", *, spaces: bool) -> tuple[str, ...]:
    from federation.cli import rows  # noqa: PLC0415

    seen = rows.span((dt.datetime.now(dt.UTC) - event.at).total_seconds())
    if event.count > 1:
        seen = f"{seen} (x{event.count})"
    place = (event.namespace,) if spaces else ()
    return (event.cluster, *place, seen, event.type, event.reason, event.about, event.message)
