"""Which content each cluster of a federated object is held to while a rollout is under way; called by desired.

A content is what a revision has of one object: template, overrides and retainReplicas. Where its own revision is older
than the object, a cluster is planned from that: drift is put back to it, and what somebody deletes is made again from
it. Contents that the record does not know go nowhere; what a cluster has already by our own status, it keeps.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from federation.core import manifest, parsing, policies
from federation.core.facts import Facts
from federation.core.variants import Variants, VersionUnavailable
from federation.model import bounds, marks
from federation.model.conditions import PropagationStatus
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Spec
from federation.model.plan import Wait
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


def withheld(staged: Staged, cluster: str) -> str:
    """Why nothing is known that a cluster should have; "" where the content of its revision is."""
    wanted = staged.content(staged.record.holds, cluster)
    if wanted and (wanted == staged.digest or wanted in staged.contents):
        return ""
    if staged.missing:
        return staged.missing
    if wanted:
        return f"FederatedRollout {staged.rollout}: the FederatedRevision of what it should have is gone"
    record = staged.record
    if record.target:
        return f"FederatedRollout {staged.rollout}: waits for its stage of revision {record.target}"
    return f"FederatedRollout {staged.rollout}: no revision is released to it"


def had(facts: Facts, contents: Iterable[Content]) -> Mapping[str, Content]:
    """The content that each cluster has, by what our own status says was applied there.

    A cluster that has none of these is left out. Where several make the same manifest, the first counts.
    """
    found: dict[str, Content] = {}
    try:
        in_force = policies.in_force(facts.object.metadata.annotations, facts.type.policies, facts.policies)
    except Invalid:
        return found
    for content in contents:
        variants = variants_of(facts, content, in_force)
        if isinstance(variants, Variants):
            left = facts.applied.keys() & facts.clusters.keys() - found.keys()
            found |= {name: content for name in left if _applied(facts, name, variants)}
    return found


def _applied(facts: Facts, name: str, variants: Variants) -> bool:
    try:
        return variants.manifest_for(facts.clusters[name]).digest == facts.applied[name].digest
    except (Invalid, VersionUnavailable):
        return False


def variants_of(facts: Facts, content: Content, in_force: InForce) -> Variants | Wait:
    """The manifests of a content; a Wait where it is invalid."""
    spec, host = content.spec, facts.host_namespace
    copied = spec.template is None and facts.object.metadata.annotations.get(marks.COPY_ANNOTATION) == "true"
    try:
        base = manifest.base(
            spec,
            facts.type,
            facts.object.where,
            host_namespace=host if copied and isinstance(host, Metadata) else None,
        )
        return Variants(spec, base, facts.served, in_force.ignored, content.generation)
    except Invalid as error:
        return Wait(PropagationStatus.HELD, f"the revision of generation {content.generation} is invalid: {error}")


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
