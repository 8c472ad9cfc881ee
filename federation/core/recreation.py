"""Decide whether a member's copy may be deleted and created anew when it cannot be changed; pure.

Planning asks `allow` when it makes an Apply, and controllers.recreation asks the rest once the member has refused it.
The user allows it per object, by annotation kubefed.io/recreate; KubeFed had nothing like it. Nothing here reads the
member's messages: what is immutable is found out by a dry run (see docs/push.md).
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from federation.core import managedfields, parsing, scrubbing
from federation.core.managedfields import Entry, PartialMetadata
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata
from federation.model.plan import Basis, Recreation
from federation.model.resources import CRDS, NAMESPACES

_NEVER_RECREATED = {NAMESPACES.qualified: "everything in it", CRDS.qualified: "every object of its type"}
"""Types whose objects are never recreated, and what would go with one."""
_OWNED_TO_BE_SEEN = ("f:metadata", "f:status", ".")
_SYSTEM_MANAGER = "kube-controller-manager"
_DEEPEST = 6


def allow(
    federated: Metadata,
    enabled: FederatedType,
    creation: Callable[[], bytes],
    *,
    digest: str,
    applied: str | None,
) -> Recreation | None:
    """What the user allows for one object in one cluster; None when the federated object has no such annotation.

    `creation` gives the manifest to create. `digest` is that of the manifest to apply, `applied` that of the last one
    the member accepted: where the two are the same the hub changed nothing, so an object is recreated once per change,
    also across restarts. Pods and other dependents go first unless kubefed.io/deleteoption says otherwise.
    """
    annotations = federated.annotations
    if annotations.get(marks.RECREATE_ANNOTATION) != "true":
        return None
    contents = _NEVER_RECREATED.get(enabled.target.qualified)
    if contents is not None:
        return Recreation(never=f"a {enabled.target.kind} never is: {contents} would go with it")
    if digest == applied:
        return Recreation(never="this cluster accepted this very manifest before, so a new object would fare no better")
    try:
        options = dict(parsing.deletion_options(annotations))
    except Invalid as error:
        return Recreation(never=f"{error.field}: {error.message}")
    if "orphanDependents" not in options:
        options.setdefault("propagationPolicy", "Foreground")
    return Recreation(creation(), options, basis=Basis(federated))


def forbidden(meta: PartialMetadata, manager: str) -> str:
    """Why this very object is left alone all the same; "" when it may go.

    Only what the hub made and nobody in the member added to may go: the user allowed it for what was pushed. Another
    hub that waits for the object would have it the moment it is gone. Metadata and status may be anybody's, as may
    what subresources (scale) and kube-controller-manager (a claim's volume) write.
    """
    observed = managedfields.observe(meta, manager)
    if not observed.managed or not observed.owned_digest:
        return "this hub did not make it"
    rival = observed.other_hub or next(iter(observed.claims), "")
    if rival:
        return f"another hub ({rival}) would take it"
    ours = (manager, *marks.second_managers(manager), marks.claim_manager(manager))
    for entry in meta.managed_fields:
        if entry.manager in ours or entry.subresource or entry.manager == _SYSTEM_MANAGER:
            continue
        fields = _first(entry)
        if fields:
            who = scrubbing.scrub(entry.manager, secret=False, limit=128)
            return f'"{who}" owns {scrubbing.field(fields, secret=False)} there, which would be lost'
    return ""


def _first(entry: Entry) -> str:
    """The first field of an entry outside of metadata and status, as a conflict's cause would name it."""
    fields: Mapping[str, Any] = orjson.loads(memoryview(entry.fields_v1)) if entry.fields_v1 else {}
    node: Any = {name: child for name, child in fields.items() if name not in _OWNED_TO_BE_SEEN}
    path = ""
    for _ in range(_DEEPEST):
        name = next((name for name in node if name != "."), "")
        if not name.startswith("f:"):
            break  # a list's element: its key may be anything
        path += f".{name[2:]}"
        node = node[name]
    return path
