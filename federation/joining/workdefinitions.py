"""The definitions of Open Cluster Management's work API at a hub and in a member, unless that has its own there."""

from collections.abc import Mapping
from typing import Any

from federation.joining import applying
from federation.joining.applying import Outcome, Report
from federation.kube.connection import Connection
from federation.model.resources import CRDS, ObjectName
from typegen import templates


async def install(connection: Connection, report: Report, *, hub: bool, dry_run: bool = False) -> None:
    """Apply them, and wait until they are served. One that somebody else has written is used as it is.

    `hub`: ManifestWork, else AppliedManifestWork.
    """
    made: list[str] = []
    for definition in templates.work_crds(hub=hub):
        name = str(definition["metadata"]["name"])
        label = applying.label(CRDS, ObjectName("", name))
        found = await applying.find(connection, CRDS, ObjectName("", name))
        if found is not None and not _is_ours(found):
            report(f"note: {connection.name}: {label} is another's, and used as it is")
            continue
        outcome = await applying.apply(connection, definition, dry_run=dry_run)
        if outcome is not Outcome.UNCHANGED:
            report(f"{connection.name}: {label} {'would be ' if dry_run else ''}{outcome}")
            made.append(name)
    if made and not dry_run:
        await applying.wait_established(connection, made)


def _is_ours(found: Mapping[str, Any]) -> bool:
    fields = found["metadata"].get("managedFields")
    return any(
        isinstance(each, Mapping) and each.get("manager") == applying.MANAGER
        for each in (fields if isinstance(fields, list) else ())
    )
