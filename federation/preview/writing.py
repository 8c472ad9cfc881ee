"""How a document comes to the hub: as the object was written before, so that what it leaves out goes as it would then.

Server-side apply removes what its own manager owned and no longer names. So an object that Argo CD, Flux or fedctl has
applied is planned (and written, by `fedctl apply`) as that manager; one that `kubectl apply` has written without
--server-side gets kubectl's three-way merge. Whoever wants another manager says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from federation.joining import applying
from federation.kube.connection import APPLY_PATCH, MERGE_PATCH, Answer, Connection
from federation.model.failures import Failure
from federation.model.resources import ObjectName, Resource

MANAGER = applying.MANAGER
_KUBECTL = "kubectl-client-side-apply"
_PRECONDITIONS = frozenset({"uid", "resourceVersion"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """By which field manager, and whether by kubectl's merge instead of server-side apply."""

    manager: str = MANAGER
    merge: bool = False


OURS = Way()


def way(found: Document | None, manager: str = "") -> Way:
    """How to write an object that is `found` so at the hub; `manager` where somebody has said which."""
    if manager or found is None:
        return Way(manager or MANAGER)
    entries = found["metadata"].get("managedFields") or ()
    appliers = [
        str(each.get("manager", ""))
        for each in entries
        if each.get("operation") == "Apply" and not each.get("subresource") and "f:spec" in (each.get("fieldsV1") or {})
    ]
    if MANAGER in appliers or not appliers:
        merge = not appliers and last_applied(found) is not None
        return Way(_KUBECTL, merge=True) if merge else Way()
    return Way(appliers[0])


def last_applied(found: Document) -> dict[str, Any] | None:
    """The document that `kubectl apply` wrote last, as it notes it; None where there is none."""
    text = (found["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    try:
        value = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


async def write(
    host: Connection,
    resource: Resource,
    document: Document,
    by: Way,
    *,
    before: Document | None,
    secret: bool,
    dry_run: bool,
) -> Answer | Failure:
    """Apply the document; as a `dry_run` the hub checks it and stores nothing."""
    where = ObjectName(document["metadata"].get("namespace", ""), document["metadata"]["name"])
    query = {"fieldManager": by.manager} | ({"dryRun": "All"} if dry_run else {})
    body: Mapping[str, Any] = document
    if by.merge and before is not None:
        body = merge(before, document)
    else:
        query["force"] = "true"
    return await applying.request(
        host,
        "PATCH",
        f"{resource.path(where)}?{urlencode(query)}",
        body=orjson.dumps(body),
        content_type=MERGE_PATCH if by.merge and before is not None else APPLY_PATCH,
        secret=secret,
    )


async def delete(
    host: Connection, resource: Resource, found: Document, *, secret: bool, dry_run: bool
) -> Answer | Failure:
    """Delete this very object in the background."""
    meta = found["metadata"]
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    body["preconditions"] = {"uid": meta["uid"]}
    if dry_run:
        body["dryRun"] = ["All"]
    path = resource.path(ObjectName(meta.get("namespace", ""), meta["name"]))
    return await applying.request(host, "DELETE", path, body=orjson.dumps(body), secret=secret)


def merge(found: Document, document: Document) -> dict[str, Any]:
    """kubectl's merge patch for a custom resource: what the last document had and this one has not goes."""
    own = {key: value for key, value in document["metadata"].items() if key not in _PRECONDITIONS}
    plain = {**document, "metadata": own}
    patch = _merge(last_applied(found) or {}, plain)
    notes = dict(patch["metadata"].get("annotations") or {})
    if _as_noted(last_applied(found) or {}) != _as_noted(plain):
        # As kubectl writes it, with a line break at its end. The same document in another hand is no change.
        notes[_LAST_APPLIED] = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    same = {key: document["metadata"][key] for key in _PRECONDITIONS if key in document["metadata"]}
    meta = {**patch["metadata"], "annotations": notes, **same}
    return {**patch, "metadata": meta}


def _as_noted(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without what kubectl adds to it in its note: annotations, even where there are none."""
    meta = {key: value for key, value in document.get("metadata", {}).items() if key != "annotations" or value}
    return {**document, "metadata": meta}


def _merge(last: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    before = last if isinstance(last, dict) else {}
    patch: dict[str, Any] = {name: None for name in before if name not in wanted and name != "status"}
    for name, value in wanted.items():
        patch[name] = _merge(before.get(name), value) if isinstance(value, dict) else value
    return patch


def emulated(found: Document | None, document: Document) -> dict[str, Any]:
    """What the hub would store, where it cannot be asked: without its defaulting, admission and validation."""
    before: Mapping[str, Any] = found or {"metadata": {}}
    meta, wanted = dict(before["metadata"]), document["metadata"]
    for section in ("labels", "annotations"):
        notes = {**(meta.get(section) or {}), **(wanted.get(section) or {})}
        if notes:
            meta[section] = notes
    meta |= {"name": wanted["name"]} | ({"namespace": wanted["namespace"]} if wanted.get("namespace") else {})
    changed = before.get("spec") != document.get("spec")
    meta["generation"] = int(meta.get("generation", 0)) + (1 if changed else 0)
    return {**before, **document, "metadata": meta}
