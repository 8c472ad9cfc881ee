"""`fedctl explain`: for every cluster, why a federated object is there as it is, or is not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from federation.cli import completing, failing, looking, options
from federation.cli.looking import Where
from federation.cli.verbs import Verb

if TYPE_CHECKING:
    from federation.seeing.subjects import Subject

EXAMPLES = """
  fedctl explain deployment web -n shop
  fedctl explain deploy web -n shop --cluster east --manifest
  fedctl explain configmap settings -n shop -o json
"""


@click.command("explain", cls=Verb, examples=EXAMPLES)
@click.argument("kind", shell_complete=completing.types)
@click.argument("name", required=False, default="", shell_complete=completing.objects)
@options.switch("--manifest", text="Print what each cluster should hold, too.")
@options.switch("--values", default=True, text="Show the values of fields. Those of Secrets are never shown.")
@options.output("json", "yaml")
@looking.members
def command(*, kind: str, name: str, manifest: bool, values: bool, output: str | None, where: Where) -> int:
    """Explain the federated object NAME of KIND in every cluster.

    Why each is selected or not; what it should hold, with the override that made each field; what it keeps different,
    and which field manager owns that; what would be done there now; what waits, for what, and when it is tried again.
    It is decided by the controller's own code, and members are asked by dry runs: nothing is written. Members are asked
    by the contexts of your kubeconfig, or with the credentials that the hub has stored, if you may read them. Exit code
    3: not every cluster could be asked.
    """
    kind, name = looking.named(kind, name)
    code: int = options.run(_explain(where, kind, name, output, manifest=manifest, values=values))
    return code


async def _explain(where: Where, kind: str, name: str, output: str | None, *, manifest: bool, values: bool) -> int:
    from federation.cli import explained, printing, silence  # noqa: PLC0415
    from federation.joining import heartbeat  # noqa: PLC0415
    from federation.seeing import subjects  # noqa: PLC0415

    async with where.reach() as (reach, namespace):
        subject = await subjects.find(reach, kind, name, namespace)
        await silence.warn(reach.host, reach.namespace, subject.known.clusters)
        now = heartbeat.now(reach.host)
        document, failed = await _document(reach, subject, where, values=values)
    if output:
        printing.emit([document], output, single=True)
    else:
        explained.show(document, now, manifest=manifest)
    return failing.PARTIAL if failed else 0


async def _document(reach: Any, subject: "Subject", where: Where, *, values: bool) -> tuple[dict[str, Any], bool]:
    """The explanation, and whether a cluster could not be asked."""
    from federation.cli import rows  # noqa: PLC0415
    from federation.seeing import asking, explaining, standing, subjects  # noqa: PLC0415
    from federation.seeing.standing import Standing  # noqa: PLC0415

    outlook = await standing.read(reach, [subject.key])
    if outlook.state(subject.key) is None:
        raise click.ClickException(outlook.unfollowed(subject.key))
    chosen: Sequence[Any] = subjects.chosen(subject.known, subject.known.members, where.clusters)
    names = [each.name for each in chosen if each.name in outlook.hub.clusters]
    concerned = set(outlook.concerned(subject.key)) | {each.name for each in subject.members()}
    standings: dict[str, Standing] = {}

    async def one(member: Any, way: Any) -> None:
        standings[member.name] = (await outlook.visit(member.name, [subject.key], way, values=values))[0]

    async def of_works(member: Any) -> None:
        found = await outlook.read_works(reach.host, member.name, [subject.key], values=values)
        standings[member.name] = found[0]

    asked = outlook.members([each for each in names if each in concerned])
    silent = await asking.ask(reach, asked, where.how, one, options.report, of_works=of_works)
    lines = {each["cluster"]: each for each in rows.lines(subject.found)}
    known = explaining.Known(outlook, subject.key, subject.found, lines, standings, silent, values)
    return explaining.document(known, names), bool(silent) or any(each.unread for each in standings.values())
