"""`fedctl rollout`: how far a staged rollout is, and what a person may ask of it."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from federation.cli import options
from federation.cli.options import Function, Host
from federation.cli.verbs import LazyGroup, Verb

if TYPE_CHECKING:
    from federation.joining.rolloutrequests import Request

EXAMPLES = """
  fedctl rollout status web -n shop
  fedctl rollout approve web -n shop
  fedctl rollout undo web -n shop
"""
NAMED = 10
"""Clusters of a revision that are named."""


def _about(function: Function) -> Function:
    function = options.host(function)
    function = click.option(
        "-n", "--namespace", default="", metavar="NAME", help="Default: the context's namespace, else default."
    )(function)
    return click.argument("name")(function)


@click.command("status", cls=Verb, examples="  fedctl rollout status web -n shop\n  fedctl rollout status web -o json")
@_about
@options.output("json", "yaml")
def status(*, name: str, namespace: str, host: Host, output: str | None) -> None:
    """Show how far the FederatedRollout NAME is: what it waits for, its stages, and who has which revision.

    RELEASED counts the clusters that have this revision and not the good one; every other has the good one.
    """
    options.run(_status(host, name, namespace, output=output))


@click.command("pause", cls=Verb, examples="  fedctl rollout pause web -n shop")
@_about
@options.dry_run
def pause(*, name: str, namespace: str, host: Host, dry_run: str) -> None:
    """Stop the rollout as it is: clusters keep what they have, and changes of the objects go nowhere."""
    from federation.joining import rolloutrequests  # noqa: PLC0415

    options.run(_ask(host, name, namespace, rolloutrequests.pause, dry_run))


@click.command("resume", cls=Verb, examples="  fedctl rollout resume web -n shop")
@_about
@options.dry_run
def resume(*, name: str, namespace: str, host: Host, dry_run: str) -> None:
    """Go on after pause. After undo: roll the same revision out again, from the first stage."""
    from federation.joining import rolloutrequests  # noqa: PLC0415

    options.run(_ask(host, name, namespace, rolloutrequests.resume, dry_run))


@click.command(
    "approve", cls=Verb, examples="  fedctl rollout approve web -n shop\n  fedctl rollout approve web --stage eu"
)
@_about
@click.option("--stage", default="", metavar="NAME", help="Default: the stage that it is in.")
@options.dry_run
def approve(*, name: str, namespace: str, host: Host, stage: str, dry_run: str) -> None:
    """Let the revision under way go on from a stage whose gates ask for approval."""
    from federation.joining import rolloutrequests  # noqa: PLC0415

    options.run(_ask(host, name, namespace, lambda found: rolloutrequests.approve(found, stage), dry_run))


@click.command("undo", cls=Verb, examples="  fedctl rollout undo web -n shop\n  fedctl rollout undo web --revision 3")
@_about
@click.option(
    "--revision", default=0, type=click.IntRange(min=0), metavar="NUMBER", help="Refuse to take another one back."
)
@options.dry_run
def undo(*, name: str, namespace: str, host: Host, revision: int, dry_run: str) -> None:
    """Take the revision under way back, or the last good one where none is: every cluster gets the good one before it.

    The federated objects stay as they are, so that git is not fought; their next change begins a new run.
    """
    from federation.joining import rolloutrequests  # noqa: PLC0415

    options.run(_ask(host, name, namespace, lambda found: rolloutrequests.undo(found, revision), dry_run))


command = LazyGroup(
    name="rollout",
    commands=[status, pause, resume, approve, undo],
    help="Show a staged rollout, and pause, resume, approve or undo it.",
    examples=EXAMPLES,
)


async def _ask(
    host: Host, name: str, namespace: str, make: "Callable[[Mapping[str, Any]], Request]", dry_run: str
) -> None:
    from federation.joining import rolloutrequests  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        where = namespace or contexts.namespace(host.context)
        request = make(await rolloutrequests.find(connection, where, name))
        if dry_run != "client":
            await rolloutrequests.send(connection, where, name, request, dry_run=dry_run == "server")
    options.report(f"federatedrollout {where}/{name}: {request.said}{' (dry run)' if dry_run else ''}")


async def _status(host: Host, name: str, namespace: str, *, output: str | None) -> None:
    from federation.cli import printing  # noqa: PLC0415
    from federation.joining import heartbeat, rolloutrequests  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        found = await rolloutrequests.find(connection, namespace or contexts.namespace(host.context), name)
        now = heartbeat.now(connection)
    if output:
        printing.emit([printing.readable(found)], output, single=True)
        return
    for line in heading(found):
        click.echo(printing.plain(line))
    click.echo()
    printing.table(("STAGE", "STATE", "GATES"), stages(found))
    if revisions := history(found, now):
        click.echo()
        printing.table(("REVISION", "VERDICT", "AGE", "RELEASED", "OBJECTS"), revisions)


def heading(found: Mapping[str, Any]) -> list[str]:
    """Where it stands, in one line, and what it waits for."""
    from federation.joining import rolloutrequests  # noqa: PLC0415

    known = rolloutrequests.record(found)
    conditions = (found.get("status") or {}).get("conditions") or []
    ready: Mapping[str, Any] = next((each for each in conditions if each.get("type") == "Ready"), {})
    state = str(ready.get("reason") or "not looked at by a controller yet")
    under_way = f"revision {known.target} under way, " if known.target else ""
    good = f"good revision {known.good}" if known.good else "no good revision yet"
    generation = (found.get("metadata") or {}).get("generation")
    stale = ready and (found.get("status") or {}).get("observedGeneration") != generation
    lines = [f"{state}: {under_way}{good}" + ("; its spec has changed since" if stale else "")]
    return [*lines, str(ready["message"])] if ready.get("message") else lines


def stages(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """One row for each stage, the last one included."""
    from federation.joining import rolloutrequests  # noqa: PLC0415

    known = rolloutrequests.record(found)
    asked = [*((found.get("spec") or {}).get("stages") or ()), {"name": "rest"}]
    names = [str(each.get("name")) for each in asked]
    at = names.index(known.stage) if known.target and known.stage in names else len(names) if known.good else -1
    rows = []
    for index, each in enumerate(asked):
        if not known.target:
            state = ""
        elif index < at:
            state = "passed"
        elif index > at:
            state = "waits"
        else:
            state = "released" if known.begun else "next"
        rows.append((names[index], state, _gates(each)))
    return rows


def history(found: Mapping[str, Any], now: dt.datetime) -> list[tuple[str, str, str, str, str]]:
    """One row for each revision, newest first."""
    from federation.cli import rows  # noqa: PLC0415
    from federation.joining import rolloutrequests  # noqa: PLC0415

    known = rolloutrequests.record(found)
    table = []
    for revision in sorted(known.revisions, key=lambda each: -each.number):
        names = [each.name for each in known.released if each.revision == revision.number]
        some = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        shown = "all others" if revision.number == known.good else some or "0"
        objects = ", ".join(f"{each.type}/{each.name}" for each in revision.objects[:NAMED])
        table.append((str(revision.number), revision.verdict.value, rows.age(revision.since, now), shown, objects))
    return table


def _gates(stage: Mapping[str, Any]) -> str:
    gates = stage.get("gates") or {}
    parts = [f"soak {gates['soak']}"] if gates.get("soak") else []
    parts += ["approval"] if gates.get("approval") else []
    parts += [f"maxUnhealthy {gates['maxUnhealthy']}"] if gates.get("maxUnhealthy") else []
    parts += [f"{len(gates['expressions'])} CEL"] if gates.get("expressions") else []
    parts += ["windows"] if stage.get("windows") else []
    return ", ".join(["health", *parts])
