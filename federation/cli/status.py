"""`fedctl status`: what became of one federated object, cluster by cluster."""

import click

from federation.cli import completing, options
from federation.cli.options import Host
from federation.cli.verbs import Verb

EXAMPLES = """
  fedctl status deployment web -n shop
  fedctl status federatedconfigmaps settings -n shop
  fedctl status deploy web -n shop -o json
"""


NAMED = 10
"""Clusters that are named with a message that many have."""


@click.command("status", cls=Verb, examples=EXAMPLES)
@click.argument("kind", shell_complete=completing.types)
@click.argument("name", shell_complete=completing.objects)
@click.option(
    "-n",
    "--namespace",
    default="",
    metavar="NAME",
    shell_complete=completing.namespaces,
    help="Default: the context's namespace, else default.",
)
@options.host
@options.output("json", "yaml")
@options.switch("--no-headers", text="Print the rows alone.")
def command(*, kind: str, name: str, namespace: str, host: Host, output: str | None, no_headers: bool) -> None:
    """Show what became of the federated object NAME of KIND: state, generation, age and message in each cluster.

    KIND is any name of the target or of its federated type: kind, plural, short name or plural.group. AGE is for how
    long the cluster has had this state; for Applied it is the least time. READY, where members' statuses are collected
    (statusCollection: Enabled), counts replicas or objects that are ready, of those that there should be.
    """
    options.run(_status(host, kind, name, namespace, output=output, headers=not no_headers))


async def _status(host: Host, kind: str, name: str, namespace: str, *, output: str | None, headers: bool) -> None:
    from federation.cli import printing, rights, rows, silence  # noqa: PLC0415
    from federation.joining import fleet, heartbeat, kinds, lookups  # noqa: PLC0415
    from federation.joining.contexts import Contexts  # noqa: PLC0415

    async with Contexts(host.kubeconfig) as contexts:
        connection = await contexts.open(host.context)
        known = await fleet.read(connection, host.namespace)
        chosen = kinds.resolve(known.types, await kinds.served(connection), kind)
        where = (namespace or contexts.namespace(host.context)) if chosen.federated.namespaced else ""
        found = await lookups.one(connection, chosen.federated, where, name)
        preference = await lookups.preference(connection, found, where, name)
        await silence.warn(connection, host.namespace, known.clusters)
        now = heartbeat.now(connection)
    if output:
        metadata = found["metadata"]
        facts = {
            "kind": found.get("kind"),
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "generation": metadata.get("generation"),
            "observedGeneration": (found.get("status") or {}).get("observedGeneration"),
            "conditions": (found.get("status") or {}).get("conditions") or [],
            "clusters": rows.lines(found),
        }
        if preference is not None:
            facts["preference"] = {"spec": preference.get("spec"), "status": preference.get("status")}
        if summary := (found.get("status") or {}).get("summary"):
            facts["summary"] = summary
        printing.emit([facts], output, single=True)
        return
    if headers:
        for line in rows.heading(found, now) + (rows.scheduled(preference) if preference is not None else []):
            click.echo(line)
    shared = rows.shared(found)
    table = rows.status(found, now, tuple(shared))
    if table:
        header = rows.STATUS_COLLECTED if rows.collected(found) else rows.STATUS
        printing.table(header, table, headers=headers)
    else:
        options.report("no cluster is listed: nothing is placed yet")
    for index, (message, clusters) in enumerate(shared.items(), 1):
        some = ", ".join(clusters[:NAMED]) + (f" and {len(clusters) - NAMED} more" if len(clusters) > NAMED else "")
        click.echo(printing.plain(f"[{index}] {some}: {message}"))
    for line in rights.of_members({each["cluster"]: each["message"] for each in rows.lines(found)}):
        options.report(f"next: {printing.plain(line)}")
