"""How a staged rollout holds a federated object, read from the hub as its controller does at a start."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from federation.controllers import revisions
from federation.controllers.rolloutindex import Published, needs
from federation.core import staging
from federation.core.staging import Content
from federation.joining import applying, rolloutrequests
from federation.kube.connection import Connection
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.resources import REVISIONS, ROLLOUTS, Key, ObjectName
from federation.model.rollouts import Entry, Record

if TYPE_CHECKING:
    from federation.controllers.world import World


async def publish(host: Connection, world: "World", key: Key) -> None:
    """Have planning go by the record that the hub has of the object's rollout, if it names one. Raises ApiFailure."""
    item = world.types[key.type].objects.get(ObjectName(key.namespace, key.name))
    where = world.rollouts.rollout_of(item) if item is not None else None
    if item is None or where is None:
        return
    found = await applying.find(host, ROLLOUTS, where)
    if found is None:
        world.rollouts.missing = lambda _: f"there is no FederatedRollout {where.name}"
        return
    record = rolloutrequests.record(found)
    what = (key.type, key.name, item.metadata.uid)
    entries = {each.number: entry for each in record.revisions if (entry := each.entry(what)) is not None}
    contents, gone = await _contents(host, where, record, entries)
    uid = str(found["metadata"].get("uid") or "")
    world.rollouts.publish(where, Published(record, {what: contents}, gone, uid))


async def _contents(
    host: Connection, where: ObjectName, record: Record, entries: Mapping[int, Entry]
) -> tuple[Mapping[str, Content], frozenset[str]]:
    """The contents that clusters are held to, by digest, and the digests of those that the hub has no more."""
    found: dict[str, Content] = {}
    needed = needs(record, {number: entry.content for number, entry in entries.items()})
    for entry in entries.values():
        if entry.content not in needed or entry.content in found:
            continue
        stored = await applying.find(host, REVISIONS, ObjectName(where.namespace, revisions.name_of(where.name, entry)))
        text = (stored or {}).get("spec", {}).get("content")
        try:
            if isinstance(text, str):
                found[entry.content] = staging.unpacked(
                    text, entry.content, entry.generation, namespaces=entry.type == marks.NAMESPACE_TYPE
                )
        except Invalid:
            continue  # it counts as gone, as for the controller
    return found, frozenset(needed - found.keys())
