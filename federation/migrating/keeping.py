"""Keep the record of a migration, and the snapshots of members' objects, in ConfigMaps of the system namespace."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from federation import __version__
from federation.core import naming, times
from federation.joining import applying, heartbeat
from federation.joining.errors import Refused
from federation.kube import connection as http
from federation.kube.connection import METADATA_LIST, Connection
from federation.migrating import proving, records
from federation.migrating.proving import Snapshot
from federation.migrating.records import Record
from federation.model.failures import Failure, FailureKind
from federation.model.resources import ObjectName, Resource

CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
_CLUSTER = "kubefed.io/cluster"
_PART = "kubefed.io/migration-part"
_TAKEN_AT = "kubefed.io/migration-taken"
_SNAPSHOT = "objects"


class Kept(NamedTuple):
    """The record, and the resourceVersion that it was read in ("": there is none yet)."""

    record: Record
    version: str = ""


class Taken(NamedTuple):
    """A member's objects when KubeFed stopped, and when that was read (RFC 3339)."""

    snapshot: Snapshot
    at: str


async def load(host: Connection, namespace: str) -> Kept | None:
    """The record, or None. Raises Invalid where it is none."""
    found = await applying.find(host, CONFIGMAPS, ObjectName(namespace, records.NAME))
    if found is None:
        return None
    return Kept(records.decode(found.get("data") or {}), str(found["metadata"]["resourceVersion"]))


async def begin(host: Connection, namespace: str) -> Kept:
    """The record, or a new one that is not stored yet."""
    known = await load(host, namespace)
    return known or Kept(Record(started=now(host), by=f"fedctl {__version__}"))


async def save(host: Connection, namespace: str, kept: Kept, record: Record) -> Kept:
    """Store it, if nobody else has since it was read. Returns it as it is now. Raises Refused, ApiFailure."""
    if kept.version and kept.record == record:
        return kept
    where = ObjectName(namespace, records.NAME)
    body = _configmap(where, {records.LABEL: "record"}, kept.version) | {"data": records.encode(record)}
    return Kept(record, await _write(host, where, body, kept.version))


async def forget(host: Connection, namespace: str) -> None:
    """Delete the snapshots, then the record."""
    for name in await _names(host, namespace):
        if name != records.NAME:
            await applying.delete(host, CONFIGMAPS, ObjectName(namespace, name))
    await applying.delete(host, CONFIGMAPS, ObjectName(namespace, records.NAME))


async def snapshots(host: Connection, namespace: str) -> dict[str, Taken]:
    """By member; one of which a part is missing is left out: it is taken anew."""
    found: dict[str, dict[int, tuple[str, str, int]]] = {}
    for each in await applying.listing(host, CONFIGMAPS, namespace, selector=f"{records.LABEL}={_SNAPSHOT}"):
        annotations = each["metadata"].get("annotations") or {}
        place, _, count = annotations.get(_PART, "").partition("/")
        if place.isdecimal() and count.isdecimal():
            content = str((each.get("binaryData") or {}).get(_SNAPSHOT, ""))
            part = (content, annotations.get(_TAKEN_AT, ""), int(count))
            found.setdefault(annotations.get(_CLUSTER, ""), {})[int(place)] = part
    taken = {}
    for cluster, pieces in found.items():
        _, at, count = pieces[max(pieces)]
        if sorted(pieces) == list(range(count)) and len({each[1] for each in pieces.values()}) == 1:
            taken[cluster] = Taken(proving.joined(pieces[place][0] for place in range(count)), at)
    return taken


async def keep(host: Connection, namespace: str, cluster: str, snapshot: Snapshot) -> None:
    """Store a member's snapshot; what an earlier run has left of one is replaced."""
    at, pieces = now(host), proving.parts(snapshot)
    for place, content in enumerate(pieces):
        where = ObjectName(namespace, naming.fitted(f"{records.NAME}-{place}.{cluster}"))
        body = _configmap(where, {records.LABEL: _SNAPSHOT}, "")
        body["metadata"]["annotations"] = {_CLUSTER: cluster, _PART: f"{place}/{len(pieces)}", _TAKEN_AT: at}
        body["binaryData"] = {_SNAPSHOT: content}
        if await applying.find(host, CONFIGMAPS, where) is not None:
            await applying.delete(host, CONFIGMAPS, where)
        await _write(host, where, body, "")


def now(host: Connection) -> str:
    """The host's time, as managedFields have it."""
    return times.rfc3339(heartbeat.now(host).timestamp())


async def _names(host: Connection, namespace: str) -> Iterable[str]:
    found = await applying.listing(host, CONFIGMAPS, namespace, selector=records.LABEL, accept=METADATA_LIST)
    return [str(each["metadata"]["name"]) for each in found]


def _configmap(where: ObjectName, labels: dict[str, str], version: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": where.namespace, "name": where.name, "labels": labels}
    if version:
        metadata["resourceVersion"] = version
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def _write(host: Connection, where: ObjectName, body: dict[str, Any], version: str) -> str:
    method, path = ("PUT", CONFIGMAPS.path(where)) if version else ("POST", CONFIGMAPS.collection(where.namespace))
    params = {"fieldManager": applying.MANAGER}
    answer = await applying.request(host, method, path, params=params, body=orjson.dumps(body), deadline=30.0)
    doing = f"{host.name}: store {applying.label(CONFIGMAPS, where)}"
    if isinstance(answer, Failure) and answer.kind in (FailureKind.VERSION_CONFLICT, FailureKind.ALREADY_EXISTS):
        raise Refused(f"{doing}: somebody else has changed it meanwhile", "run the same command again")
    stored = http.expect(answer, doing).json(doing)
    return str(stored["metadata"]["resourceVersion"])
