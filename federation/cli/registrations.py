"""`fedctl get registrations`: which clusters ask to be members in pull mode, and what is thought of that."""

import click

from federation.cli import options
from federation.cli.options import Host
from federation.cli.verbs import Verb

HEADER = ("NAME", "AGENT", "STATE", "AGE", "WITH", "REASON")


@click.command(
    "registrations",
    cls=Verb,
    examples="""
  fedctl get registrations
  fedctl get registrations east
""",
)
@click.argument("name", required=False, default="")
@options.host
@options.switch("--no-headers", text="Leave out the first line.")
def command(*, name: str, host: Host, no_headers: bool) -> None:
    """List the requests of clusters for certificates, of NAME or of all; the hub forgets them after an hour or a day.

    STATE is Waits (for fedctl accept), Wrong (nobody here approves it), Accepts (its token does, or it renews),
    Approved, Issued, Denied or Failed. WITH is the token, or the user, that it was made with.
    """
    options.run(_list(host, name, headers=not no_headers))


async def _list(host: Host, name: str, *, headers: bool) -> None:
    from federation.cli import printing, rows  # noqa: PLC0415
    from federation.joining import fleet, heartbeat, requests  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415
    from federation.registration.approval import Verdict  # noqa: PLC0415

    states = {
        Verdict.PERSON: "Waits",
        Verdict.WRONG: "Wrong",
        Verdict.ACCEPT: "Accepts",
        Verdict.RENEW: "Accepts",
    }
    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        await fleet.expect_namespace(connection, host.namespace)
        found = await requests.read(connection, host.namespace, name)
        now = heartbeat.now(connection)
    table = [
        (
            each.request.labelled,
            each.decision.agent or "<none>",
            states.get(each.decision.verdict, each.request.state.value),
            rows.age(each.request.created, now),
            each.token or each.request.username,
            each.request.message or ("" if each.decision.verdict is Verdict.DECIDED else each.decision.reason),
        )
        for each in found
    ]
    if table:
        printing.table(HEADER, table, headers=headers)
    else:
        options.report("no cluster asks; next: fedctl token create")
