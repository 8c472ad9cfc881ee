"""Who is who: the hub by the hash of its address, the AppliedManifestWork of a work, and what such a record says."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from federation.model.errors import Invalid
from federation.model.federated import StoredObject
from federation.model.works import (
    APPLIED_WORKS,
    HELD_ANNOTATION,
    LET_GO_ANNOTATION,
    AppliedResource,
    AppliedWork,
    Identifier,
)

_LONGEST = 253
"""Characters of an object's name."""
_ID_LENGTH = 16


def hub_hash(server: str) -> str:
    """SHA-256 of the address of the hub's API server (Open Cluster Management's HubHash)."""
    return hashlib.sha256(server.encode()).hexdigest()


def short(agent: str) -> str:
    """An agent's ID as a label value and a part of names, whatever it is made of."""
    return hashlib.sha256(agent.encode()).hexdigest()[:_ID_LENGTH]


def applied_name(hub: str, work: str) -> str:
    """The name of the AppliedManifestWork: `<hubHash>-<work name>`. Raises Invalid where that is too long."""
    name = f"{hub}-{work}"
    if len(name) > _LONGEST:
        raise Invalid(
            "metadata.name",
            f"is longer than {_LONGEST - len(hub) - 1} characters, so that no record of the "
            "work can be made in the member",
        )
    return name


def spec(applied: AppliedWork) -> dict[str, Any]:
    """The record as it is created, or patched."""
    return {"hubHash": applied.hub_hash, "agentID": applied.agent, "manifestWorkName": applied.work}


def status(resources: Iterable[AppliedResource]) -> dict[str, Any]:
    """What was applied, as the record has it."""
    return {"appliedResources": [_written(each) for each in resources]}


def body(applied: AppliedWork) -> dict[str, Any]:
    """The whole object, as it is created."""
    return {
        "apiVersion": APPLIED_WORKS.api_version,
        "kind": APPLIED_WORKS.kind,
        "metadata": {"name": applied.name},
        "spec": spec(applied),
        "status": status(applied.resources),
    }


def read(stored: StoredObject) -> AppliedWork:
    """What a record says. An entry that names no object is left out: nothing could be deleted by it."""
    meta = stored.metadata
    found = stored.status.get("appliedResources")
    resources = tuple(
        resource for each in (found if isinstance(found, list) else ()) if (resource := _resource(each)) is not None
    )
    return AppliedWork(
        name=meta.name,
        uid=meta.uid,
        version=meta.resource_version,
        hub_hash=_text(stored.spec.get("hubHash")),
        agent=_text(stored.spec.get("agentID")),
        work=_text(stored.spec.get("manifestWorkName")),
        resources=resources,
        finalizers=meta.finalizers,
        let_go=meta.annotations.get(LET_GO_ANNOTATION) == "true",
        held=meta.annotations.get(HELD_ANNOTATION, ""),
        deleting=meta.deletion_timestamp is not None,
    )


def _resource(value: object) -> AppliedResource | None:
    if not isinstance(value, Mapping):
        return None
    resource, name, version = (_text(value.get(key)) for key in ("resource", "name", "version"))
    if not resource or not name or not version:
        return None
    what = Identifier(_text(value.get("group")), resource, _text(value.get("namespace")), name)
    return AppliedResource(what, version, _text(value.get("uid")))


def _written(resource: AppliedResource) -> dict[str, str]:
    what = resource.what
    found = {
        "group": what.group,
        "version": resource.version,
        "resource": what.resource,
        "namespace": what.namespace,
        "name": what.name,
    }
    return {**found, "uid": resource.uid} if resource.uid else found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
