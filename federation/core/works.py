"""ManifestWorks that this hub writes: what one must look like for a copy, and what one that is there shows. Pure.

One work for each federated object and cluster, in the cluster's namespace at the hub. Its name follows from what it is
for, so that a hub that has lost it, or a controller that is started anew, writes the same one. The types and words are
Open Cluster Management's (work.open-cluster-management.io/v1), so that its agent understands them, too.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from federation.core import digests, managedfields, scrubbing, workfeedback
from federation.core.managedfields import PartialMetadata
from federation.core.variants import Made
from federation.model import works as names
from federation.model.bundles import Bundle, Entry, Taken
from federation.model.federated import FederatedType
from federation.model.observations import BY_WORK, Feedback, ObservedWork, Said
from federation.model.policies import Pointer
from federation.model.resources import SECRETS, Key, ObjectName
from federation.model.works import MANIFEST_WORKS, Propagation, StrategyType

_LONGEST_NAME = 150
"""Characters of a work's name: its record in the member has 65 more, of at most 253."""
_ODD = re.compile(r"[^a-z0-9.-]+")
_LONGEST_MESSAGE = 1_024
_REPLICAS: Pointer = ("spec", "replicas")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a work says beside its manifest. `ignored`: fields that are set at creation and then left to the member.

    `orphans`: the copy stays when the work goes. `completes`: once it has run it is not applied again. `reports`: the
    JSON paths of what is to be reported of it.
    """

    ignored: tuple[Pointer, ...] = ()
    orphans: bool = False
    completes: bool = False
    reports: tuple[str, ...] = ()


def name(enabled: FederatedType, target: ObjectName) -> str:
    """The work of one object: readable as far as there is room, and the only one by a digest of what it is for."""
    full = f"{enabled.target.qualified}/{target.namespace}/{target.name}"
    readable = _ODD.sub("-", f"{enabled.target.plural}-{target.namespace}-{target.name}".lower()).strip("-.")
    own = hashlib.sha256(full.encode()).hexdigest()[:12]
    return f"{readable[: _LONGEST_NAME - 13].strip('-.')}-{own}"


def digest(made: Made, wanted: Wanted) -> str:
    """Of all that the work asks for. The manifest is in it by its own digest, so that nothing is encoded for it."""
    return _digest(made.digest, made.retain, wanted)


@functools.lru_cache(maxsize=4096)
def _digest(manifest: str, retain: bool, wanted: Wanted) -> str:
    return digests.short(repr((manifest, retain, wanted)).encode())


def body(enabled: FederatedType, federated: ObjectName, target: ObjectName, made: Made, wanted: Wanted) -> bytes:
    """The work as JSON, without what the carrier adds (`created`, `changed`)."""
    identifier = {
        "group": enabled.target.group,
        "resource": enabled.target.plural,
        "namespace": target.namespace,
        "name": target.name,
    }
    config: dict[str, Any] = {"resourceIdentifier": identifier, "updateStrategy": _strategy(made, wanted)}
    if wanted.reports:
        paths = [{"name": workfeedback.name(each), "path": each} for each in wanted.reports]
        config["feedbackRules"] = [{"type": "JSONPaths", "jsonPaths": paths}]
    if wanted.completes:
        config["conditionRules"] = [{"condition": "Complete", "type": "WellKnownConditions"}]
    propagation = Propagation.ORPHAN if wanted.orphans else Propagation.FOREGROUND
    annotations = {
        names.TYPE_ANNOTATION: enabled.name,
        names.OBJECT_ANNOTATION: str(federated),
        names.DIGEST_ANNOTATION: digest(made, wanted),
    }
    return orjson.dumps(
        {
            "apiVersion": MANIFEST_WORKS.api_version,
            "kind": MANIFEST_WORKS.kind,
            "metadata": {"name": name(enabled, target), "annotations": annotations},
            "spec": {
                "deleteOption": {"propagationPolicy": propagation},
                "manifestConfigs": [config],
                "workload": {"manifests": [orjson.Fragment(made.creation())]},
            },
        }
    )


def _strategy(made: Made, wanted: Wanted) -> dict[str, Any]:
    ignored = [*wanted.ignored, *([_REPLICAS] if made.retain else [])]
    apply: dict[str, Any] = {"force": True, "fieldManager": names.FIELD_MANAGER}
    if ignored:
        pointers = ["".join(f"/{token.replace('~', '~0').replace('/', '~1')}" for token in each) for each in ignored]
        apply["ignoreFields"] = [{"condition": "OnSpokePresent", "jsonPointers": pointers}]
    return {"type": StrategyType.SERVER_SIDE_APPLY, "serverSideApply": apply}


def emptied(enabled: FederatedType, federated: ObjectName, target: ObjectName) -> bytes:
    """The work of a copy that is to be removed, in the place of one that was lost: nothing is asked for any more."""
    entry = Entry("1.0", enabled.name, str(federated), enabled.target.qualified, str(target), "", 1, 0)
    annotations = {
        names.TYPE_ANNOTATION: enabled.name,
        names.OBJECT_ANNOTATION: str(federated),
        names.TAKEN_ANNOTATION: msgspec.json.encode([Taken(entry, 1)]).decode(),
    }
    return orjson.dumps(
        {
            "apiVersion": MANIFEST_WORKS.api_version,
            "kind": MANIFEST_WORKS.kind,
            "metadata": {"name": name(enabled, target), "annotations": annotations},
            "spec": {"deleteOption": {"propagationPolicy": Propagation.FOREGROUND}, "workload": {"manifests": []}},
        }
    )


def created(content: bytes, cluster: str, manager: str) -> bytes:
    """A work's `body` as the hub of this field manager creates it for one cluster.

    It has the agent's finalizer from the start, which saves the agent a write for each work.
    """
    work = orjson.loads(content)
    work["metadata"]["annotations"][names.GENERATION_ANNOTATION] = "1"
    labels, finalizers = {names.HUB_LABEL: manager}, [names.WORK_FINALIZER]
    work["metadata"] |= {"namespace": cluster, "labels": labels, "finalizers": finalizers}
    return orjson.dumps(work)


def changed(content: bytes, manager: str, uid: str, generation: int) -> bytes:
    """A JSON merge patch by which the work of this uid becomes what `body` asks for; what others have in it stays.

    `generation` is what its spec's should be then.

    It empties managedFields, of which an API server then keeps none: they would be a quarter of a work, and of what a
    write of its spec or status costs the hub. Who has changed a spec is seen by its generation.
    """
    work = orjson.loads(content)
    labels = {names.HUB_LABEL: manager}
    annotations = work["metadata"]["annotations"] | {names.GENERATION_ANNOTATION: str(generation)}
    annotations |= {names.DELETED_ANNOTATION: None, names.MOVES_ANNOTATION: None}  # what was to be deleted is wanted
    metadata = {"uid": uid, "labels": labels, "annotations": annotations, "managedFields": [{}]}
    return orjson.dumps({"metadata": metadata, "spec": work["spec"]})


# --- what a work shows ------------------------------------------------------------------------------------------------


class Notes(msgspec.Struct, frozen=True, gc=False):
    """Our annotations."""

    type: str = msgspec.field(name=names.TYPE_ANNOTATION, default="")
    object: str = msgspec.field(name=names.OBJECT_ANNOTATION, default="")
    digest: str = msgspec.field(name=names.DIGEST_ANNOTATION, default="")
    generation: str = msgspec.field(name=names.GENERATION_ANNOTATION, default="")
    deleted_for: str = msgspec.field(name=names.DELETED_ANNOTATION, default="")
    objects: str = msgspec.field(name=names.OBJECTS_ANNOTATION, default="")
    taken: str = msgspec.field(name=names.TAKEN_ANNOTATION, default="")


class WorkMetadata(PartialMetadata, frozen=True, rename="camel", gc=False):
    """The part of a work's ObjectMeta that is read."""

    annotations: Notes = Notes()


class BrokenWorkMetadata(WorkMetadata, frozen=True, gc=False):
    """Of a work that does not fit: it is there, and nothing may be concluded of what is in it."""

    why: str = ""

    @property
    def broken(self) -> str:
        """Why."""
        return self.why


def about(found: Notes) -> Key | None:
    """The federated object that a work is for; None where it does not say so."""
    namespace, _, own = found.object.rpartition("/")
    return Key(found.type, namespace, own) if found.type and own else None


class SeenWork(msgspec.Struct, frozen=True, gc=False):
    """A work as a watch shows it: in which cluster's namespace, under which name, for which federated object.

    Where it has several objects, `key` is None, `bundle` is what it records of them, and `parts` what it shows of each.
    """

    cluster: str
    name: str
    key: Key | None
    observed: ObservedWork
    version: str = ""
    bundle: Bundle | None = None
    parts: tuple[tuple[Key, ObservedWork], ...] = ()

    @property
    def where(self) -> ObjectName:
        """Its place at the hub."""
        return ObjectName(self.cluster, self.name)

    @property
    def shows(self) -> tuple[tuple[Key, ObservedWork], ...]:
        """What it shows of each object that it is for."""
        return ((self.key, self.observed),) if self.key is not None else self.parts

    @property
    def broken(self) -> str:
        """Why it cannot be read; "" where it can."""
        return self.observed.broken


def notes(annotations: Mapping[str, Any]) -> Notes:
    """Our annotations among others, of a work that cannot be read."""
    found = (annotations.get(each) for each in (names.TYPE_ANNOTATION, names.OBJECT_ANNOTATION))
    return Notes(*(each if isinstance(each, str) else "" for each in found))


def see(meta: WorkMetadata, policy: str, status: Mapping[str, Any]) -> SeenWork:
    """A work as it was read; the arguments are those of `observe`."""
    observed = observe(meta, policy, status)
    return SeenWork(meta.namespace, meta.name, about(meta.annotations), observed, meta.resource_version)


def observe(meta: WorkMetadata, policy: str, status: Mapping[str, Any]) -> ObservedWork:
    """What one work shows. `policy` is its spec.deleteOption.propagationPolicy."""
    said, message = _said(meta, status)
    return ObservedWork(
        uid=meta.uid,
        version=managedfields.version(meta),
        owned_digest=BY_WORK,
        managed=True,
        deleting=meta.deletion_timestamp is not None,
        broken=meta.broken,
        digest=meta.annotations.digest,
        intact=meta.annotations.generation == str(meta.generation),
        noted=bool(meta.annotations.deleted_for),
        next=next_generation(meta),
        orphans=policy == Propagation.ORPHAN,
        said=said,
        message=message,
        feedback=_feedback(meta, status) if said is Said.APPLIED else None,
    )


def next_generation(meta: WorkMetadata) -> int:
    """The generation by our next write: one more, unless the last one has changed nothing of the spec."""
    unchanged = meta.annotations.generation == str(meta.generation + 1)
    return meta.generation if unchanged else meta.generation + 1


def _said(meta: WorkMetadata, status: Mapping[str, Any]) -> tuple[Said, str]:
    applied = condition(status, "Applied")
    if applied.get("observedGeneration") != meta.generation:
        # What has run is not applied again, so that nothing more will be said of it.
        ran = condition(status, names.COMPLETE).get("status") == applied.get("status") == "True"
        return (Said.APPLIED if ran else Said.NOTHING), ""
    match applied.get("status"):
        case "True":
            return Said.APPLIED, ""
        case "False":
            return Said.FAILED, _reason(meta, status) or told(applied, secret=_is_secret(meta))
    return Said.NOTHING, ""


def _feedback(meta: WorkMetadata, status: Mapping[str, Any]) -> Feedback | None:
    """What is reported of its one manifest. Nothing of a Secret, whatever its agent says."""
    if _is_secret(meta):
        return None
    return next((workfeedback.read(each) for each in manifests(status)), None)


def manifests(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a work's status says of its manifests."""
    of_all = status.get("resourceStatus")
    found = of_all.get("manifests") if isinstance(of_all, Mapping) else None
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _reason(meta: WorkMetadata, status: Mapping[str, Any]) -> str:
    """Why its manifest is not applied, by the first one that is not."""
    for each in manifests(status):
        applied = condition(each, "Applied")
        if applied.get("status") == "False":
            return told(applied, secret=_is_secret(meta))
    return ""


def _is_secret(meta: WorkMetadata) -> bool:
    return meta.annotations.type == SECRETS.qualified


def told(said: Mapping[str, Any], *, secret: bool) -> str:
    """A condition in words. Of a Secret an agent that is not ours may quote what it could not write."""
    reason = scrubbing.reason(said.get("reason"))
    text = said.get("message")
    if secret or not isinstance(text, str) or not text:
        return reason or "it gives no reason"
    return scrubbing.scrub(text, secret=False, limit=_LONGEST_MESSAGE)


def condition(holder: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of a type, of a work's status or of one of its manifests; empty where there is none."""
    conditions = holder.get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, Mapping) and each.get("type") == kind:
            return each
    return {}
