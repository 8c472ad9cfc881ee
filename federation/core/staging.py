"""Which content each cluster of a federated object is held to while a rollout is under way; called by planning.

A content is what a revision has of one object: template, overrides and retainReplicas. Where its own revision is older
than the object, a cluster is planned from that: drift is put back to it, and what somebody deletes is made again from
it. Contents that the record does not know go nowhere; what a cluster has already by our own status, it keeps.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import orjson

from federation.core import manifest, parsing, propagation
from federation.core.facts import Facts
from federation.core.variants import Variants
from federation.model import bounds, marks
from federation.model.conditions import PropagationStatus
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Spec
from federation.model.observations import Cluster
from federation.model.plan import Action, Apply, Compare, Keep, KeepOlder, Wait
from federation.model.policies import InForce
from federation.model.rollouts import Record

_PARTS = ("template", "overrides", "retainReplicas")


@dataclass(frozen=True, slots=True)
class Content:
    """One content of one object, read: its digest, the generation of the object that had it, and what it says."""

    digest: str
    generation: int
    spec: Spec

    def __repr__(self) -> str:
        return f"Content({self.digest}, generation {self.generation})"


@dataclass(frozen=True, slots=True)
class Staged:
    """How a rollout holds one object.

    `rollout` is its name, `digest` that of the object's present content, `record` the record that the hub has,
    `entries` the object's content in each revision, by number. `contents` are those that differ from the present one,
    by digest, `serial` counts the records that were taken in. `refused`: the object cannot be staged, because of this.
    `unknown`: the record has not been read yet. `missing` is why there is no record.
    """

    rollout: str = ""
    digest: str = ""
    record: Record = field(default_factory=Record)
    entries: Mapping[int, str] = field(default_factory=dict)
    contents: Mapping[str, Content] = field(default_factory=dict)
    serial: int = 0
    refused: str = ""
    unknown: bool = False
    missing: str = ""

    def content(self, holds: Mapping[str, int], cluster: str) -> str:
        """The digest of the content that a cluster is to have; "" where its revision has none of this object."""
        return self.entries.get(holds.get(cluster, self.record.good), "")


def refusal(enabled: FederatedType) -> str:
    """Why objects of a type cannot be staged; "" where they can."""
    if enabled.target.qualified != "secrets":
        return ""
    return (
        f"metadata.labels[{marks.ROLLOUT_LABEL}]: Secrets cannot be staged, because a revision would store their "
        "values in an object of another kind: take the label off"
    )


def digest(spec: bytes | msgspec.Raw) -> str:
    """The digest of the content of a federated object's spec; "" where it cannot be read, which planning reports."""
    try:
        return _digest(_content(orjson.loads(memoryview(spec))))
    except (orjson.JSONDecodeError, TypeError):
        return ""


def packed(spec: bytes | msgspec.Raw) -> str:
    """The content of a federated object's spec as a FederatedRevision stores it."""
    return base64.b64encode(zlib.compress(_content(orjson.loads(memoryview(spec))))).decode()


def unpacked(text: str, wanted: str, generation: int, *, namespaces: bool) -> Content:
    """A stored content, which must have the digest that is wanted. Raises Invalid."""
    try:
        decompress = zlib.decompressobj()
        data = decompress.decompress(base64.b64decode(text, validate=True), bounds.LARGEST_OBJECT)
    except (ValueError, zlib.error) as error:
        raise Invalid("spec.content", "is not what the controller wrote") from error
    if _digest(data) != wanted:
        raise Invalid("spec.content", "is not of this revision")
    return Content(wanted, generation, parsing.spec(data, namespaces=namespaces))


def _content(spec: Mapping[str, Any]) -> bytes:
    return orjson.dumps({name: spec[name] for name in _PARTS if name in spec}, option=orjson.OPT_SORT_KEYS)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=10).hexdigest()


Decide = Callable[[Cluster], Action]


def decider(facts: Facts, staged: Staged, present: Variants, in_force: InForce) -> Decide:
    """What decides for a selected cluster of an object that a rollout holds; `present` are its manifests as it is."""
    variants: dict[str, Variants | Wait] = {staged.digest: present}
    holds = staged.record.holds

    def decide(cluster: Cluster) -> Action:
        wanted = staged.content(holds, cluster.name)
        if not wanted or (wanted != staged.digest and wanted not in staged.contents):
            return _unknown(facts, cluster, propagation.decide(facts, cluster, present, in_force), _why(staged, wanted))
        if wanted == staged.digest:
            return propagation.decide(facts, cluster, present, in_force)
        content = staged.contents[wanted]
        found = variants.get(wanted)
        if found is None:
            found = variants[wanted] = _variants(facts, content, in_force)
        if isinstance(found, Wait):
            return found
        return _held(propagation.decide(facts, cluster, found, in_force), content.generation)

    return decide


def _variants(facts: Facts, content: Content, in_force: InForce) -> Variants | Wait:
    spec, host = content.spec, facts.host_namespace
    copied = spec.template is None and facts.object.metadata.annotations.get(marks.COPY_ANNOTATION) == "true"
    try:
        base = manifest.base(
            spec,
            facts.type,
            facts.object.where,
            host_namespace=host if copied and isinstance(host, Metadata) else None,
        )
        return Variants(spec, base, facts.served, in_force.ignored)
    except Invalid as error:
        return Wait(PropagationStatus.HELD, f"the revision of generation {content.generation} is invalid: {error}")


def _held(action: Action, generation: int) -> Action:
    """An action that is about an older content: its line carries the generation that had it."""
    if isinstance(action, Keep):
        return KeepOlder(action.digest, action.owned_digest, action.rivals, action.note, generation)
    return replace(action, generation=generation) if isinstance(action, Apply | Compare) else action


def _unknown(facts: Facts, cluster: Cluster, action: Action, why: str) -> Action:
    """Nothing is known that the cluster should have: what it has already stays, and is kept as it was applied.

    `action` is what it would get of the present content.
    """
    if isinstance(action, Keep | Wait):
        return action
    applied = facts.applied.get(cluster.name)
    if isinstance(action, Apply | Compare) and applied is not None and applied.digest == action.digest:
        return action
    return Wait(PropagationStatus.HELD, why)


def _why(staged: Staged, wanted: str) -> str:
    if staged.missing:
        return staged.missing
    if wanted:
        return f"FederatedRollout {staged.rollout}: the FederatedRevision of what it should have is gone"
    record = staged.record
    if record.target:
        return f"FederatedRollout {staged.rollout}: waits for its stage of revision {record.target}"
    return f"FederatedRollout {staged.rollout}: no revision is released to it"


def message(staged: Staged) -> str:
    """What holds clusters back, as the object's Ready says it; "" where nothing does."""
    record, entries = staged.record, staged.entries
    if staged.missing:
        return staged.missing
    if record.target and entries.get(record.target) == staged.digest:
        return f"FederatedRollout {staged.rollout} is releasing revision {record.target}, stage {record.stage}"
    if entries.get(record.good) == staged.digest and not record.released:
        return ""
    return f"FederatedRollout {staged.rollout} has not released this content"
