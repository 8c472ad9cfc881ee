"""`fedctl drain`: the replicas that preferences have put into these members are made elsewhere, and then leave them."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, cordon, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.kube.connection import Connection

EXAMPLES = """
  fedctl drain east --wait
  fedctl cordon east --reason "storage upgrade"       # after that
  fedctl drain east --undo
"""
EVERY = 2.0
"""Seconds between two looks at what is left."""
NAMED = 10


@click.command("drain", cls=Verb, examples=EXAMPLES)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completing.clusters)
@options.switch("--undo", text="Let preferences use the members again.")
@options.switch("--wait", text="Wait until no preference has a replica there.")
@options.timeout(default="10m", text="With --wait: give up after so long")
@options.host
@options.dry_run
def command(*, names: tuple[str, ...], undo: bool, wait: bool, timeout: float, host: Host, dry_run: str) -> int:
    """Have the replicas in the members NAME... made elsewhere, as ReplicaSchedulingPreferences allow it.

    The other clusters get them first, and when they are ready there, the members are given none. What no preference
    places stays where it is. It is annotation kubefed.io/drain of the KubeFedCluster, so that git can have it, too.
    Drain before you cordon: a cordoned member is not written to, so that nothing can be taken away there.
    """
    from federation.model.marks import DRAIN_ANNOTATION  # noqa: PLC0415

    options.run(cordon.annotate(host, names, {DRAIN_ANNOTATION: None if undo else "true"}, dry_run=dry_run))
    done = "is used by preferences again" if undo else "is being drained"
    if dry_run:
        done = f"{'would be used again' if undo else 'would be drained'} (dry run)"
    for name in dict.fromkeys(names):
        options.report(f"cluster {name} {done}")
    if undo or dry_run or not wait:
        return 0
    return int(options.run(_drained(host, set(names), timeout)))


async def _drained(host: Host, names: set[str], timeout: float) -> int:
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    ends = time.monotonic() + timeout
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        while left := await _left(connection, names):
            if time.monotonic() >= ends:
                some = "; ".join(left[:NAMED]) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
                options.report(f"after {timeout:g} s there are still: {some}")
                options.report("next: fedctl get preferences -A -o wide")
                return 1
            await asyncio.sleep(min(EVERY, max(0.0, ends - time.monotonic())))
    options.report("no preference has a replica there")
    return 0


async def _left(connection: "Connection", names: set[str]) -> list[str]:
    from federation.joining import fleet  # noqa: PLC0415
    from federation.model.resources import PREFERENCES  # noqa: PLC0415

    found = []
    for each in await fleet.listing(connection, PREFERENCES, ""):
        lines = (each.get("status") or {}).get("clusters") or ()
        here = {line["name"]: line["replicas"] for line in lines if line.get("name") in names and line.get("replicas")}
        if here:
            found.append(f"{_name(each)}: {', '.join(f'{name} {number}' for name, number in sorted(here.items()))}")
    return found


def _name(found: Mapping[str, Any]) -> str:
    return f"{found['metadata'].get('namespace', '')}/{found['metadata']['name']}"
