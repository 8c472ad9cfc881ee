"""ManifestWork and AppliedManifestWork: what a hub asks of a member's agent, and what that has applied.

The types and their words are Open Cluster Management's (work.open-cluster-management.io/v1).
"""

import enum
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.model.resources import ObjectName, Resource
from federation.model.statusrules import Path

GROUP = "work.open-cluster-management.io"
MANIFEST_WORKS = Resource(GROUP, "v1", "ManifestWork", "manifestworks", namespaced=True)
APPLIED_WORKS = Resource(GROUP, "v1", "AppliedManifestWork", "appliedmanifestworks", namespaced=False)

WORK_FINALIZER = "cluster.open-cluster-management.io/manifest-work-cleanup"
"""On a ManifestWork: added by the agent before it applies, removed when nothing of the work is left in the member."""
APPLIED_FINALIZER = "cluster.open-cluster-management.io/applied-manifest-work-cleanup"
"""On an AppliedManifestWork that Open Cluster Management's agent has made."""
HASH_ANNOTATION = "open-cluster-management.io/object-hash"
"""On an applied object: digest of the manifest that it was applied from."""
FIELD_MANAGER = "work-agent"
"""The default field manager; every other one begins with it."""

AGENT_LABEL = "work.kubefed.io/agent"
"""Ours, on every applied object: the agent that watches it, by its ID. Only labelled objects are watched."""
KEPT_LABEL = "work.kubefed.io/kept-by"
"""Ours, on the Secrets in which an agent keeps what is wanted, by its ID."""
LET_GO_ANNOTATION = "work.kubefed.io/let-go"
"""Ours, on an AppliedManifestWork whose work the hub does not know any more: "true" is a person's word that what was
applied for it may be deleted."""
HELD_ANNOTATION = "work.kubefed.io/held"
"""Ours, on such an AppliedManifestWork: why nothing is deleted."""
FORGOTTEN_ANNOTATION = "work.kubefed.io/forgotten"
"""Ours, on any ManifestWork: UIDs, comma-separated, of works of this namespace that were deleted on purpose."""

HUB_LABEL = "work.kubefed.io/hub"
"""Ours, on a ManifestWork that a controller of this project has written: its field manager. Only these are followed."""
DELETED_ANNOTATION = "work.kubefed.io/deleted-for"
"""Ours, on such a work right before its controller deletes it: what of the hub says so. Without it a deletion is
somebody else's (of the namespace, or of the definition), and the agent removes nothing for that."""
MOVES_ANNOTATION = "work.kubefed.io/moves-to-push"
"""Ours, on such a work that is deleted because its cluster is in push mode now: "true" lets its agent hand its copy
over to the hub's field manager."""
TYPE_ANNOTATION = "work.kubefed.io/federated-type"
"""Ours, on such a work: the FederatedTypeConfig of what it is for."""
OBJECT_ANNOTATION = "work.kubefed.io/federated-object"
"""Ours, on such a work: the federated object that it is for, as `namespace/name`."""
DIGEST_ANNOTATION = "work.kubefed.io/digest"
"""Ours, on such a work: digest of all that it asks for."""
GENERATION_ANNOTATION = "work.kubefed.io/generation"
"""Ours, on such a work: the generation that its spec has by our last write. Another one: somebody has changed it."""

BUNDLE_LABEL = "work.kubefed.io/bundle"
"""Ours, on such a work that is for several objects: "true"."""
OBJECTS_ANNOTATION = "work.kubefed.io/objects"
"""Ours, on such a work that has several objects: what each of its manifests is for (model.bundles.Entry), JSON."""
TAKEN_ANNOTATION = "work.kubefed.io/taken-out"
"""Ours, on such a work: the objects that its controller has taken out of it (model.bundles.Taken), JSON. Without it a
manifest that is missing is somebody else's doing, and the agent removes nothing for that."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """One object as a work's options name it; `namespace` is "" for cluster-scoped ones."""

    group: str
    resource: str
    namespace: str
    name: str

    @property
    def where(self) -> ObjectName:
        """Its namespace and name."""
        return ObjectName(self.namespace, self.name)

    def __str__(self) -> str:
        plural = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{plural} {self.where}"


COMPLETE = "Complete"
"""The condition of an object, or of a work, that has run: it is updated no more."""


class StrategyType(enum.StrEnum):
    """How a manifest is brought to an object that exists."""

    UPDATE = "Update"
    CREATE_ONLY = "CreateOnly"
    SERVER_SIDE_APPLY = "ServerSideApply"
    READ_ONLY = "ReadOnly"


class Propagation(enum.StrEnum):
    """What becomes of a work's objects when it is deleted."""

    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"
    SELECTIVELY_ORPHAN = "SelectivelyOrphan"


@dataclass(frozen=True, slots=True)
class Strategy:
    """updateStrategy. `ignored_when_present` and `ignored_when_changed` are JSON pointers, each a tuple of tokens."""

    type: StrategyType = StrategyType.UPDATE
    manager: str = FIELD_MANAGER
    force: bool = True
    ignored_when_present: tuple[tuple[str, ...], ...] = ()
    ignored_when_changed: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class FeedbackPath:
    """A value that is to be reported under a name. `version`: only of an object in this API version, "" in any.

    `path` is None where it cannot be read; `problem` says why. The object is applied nevertheless.
    """

    name: str
    path: Path | None
    version: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What is to be reported of an object's status: by well-known rules of its kind, and by paths with names."""

    well_known: bool = False
    paths: tuple[FeedbackPath, ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """A condition that is computed from an object. `expressions` is CEL, all of which must be true; `well_known` is
    the rule of the object's kind instead. `problem`: why it is not understood; the object is applied all the same.
    """

    condition: str
    well_known: bool = False
    expressions: tuple[str, ...] = ()
    message: str = ""
    message_expression: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What manifestConfigs say about one object.

    `problem` is why they cannot be used, "" where they can, and `reason` the reason that its condition has for it.
    """

    strategy: Strategy = Strategy()
    feedback: Feedback = Feedback()
    rules: tuple[ConditionRule, ...] = ()
    problem: str = ""
    reason: str = ""

    @property
    def watched_whole(self) -> bool:
        """Whether more than the object's metadata is needed of it."""
        return self.feedback != Feedback() or bool(self.rules)

    @property
    def completes(self) -> bool:
        """Whether a rule says when the object has run."""
        return any(rule.condition == COMPLETE for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Config:
    """One entry of manifestConfigs. In `what` a `*` in the namespace or the name stands for any text.

    `strategy` None: it says nothing about that.
    """

    what: Identifier
    strategy: Strategy | None = None
    feedback: Feedback = Feedback()
    rules: tuple[ConditionRule, ...] = ()
    problem: str = ""
    reason: str = ""

    @property
    def wild(self) -> bool:
        """Whether it may be about several objects."""
        return "*" in self.what.namespace or "*" in self.what.name

    def fits(self, what: Identifier) -> bool:
        """Whether it is about this object."""
        mine = self.what
        return (
            (mine.group, mine.resource) == (what.group, what.resource)
            and _fits(mine.namespace, what.namespace)
            and _fits(mine.name, what.name)
        )


def _fits(pattern: str, text: str) -> bool:
    """In one pass: a pattern comes from the hub, and no regular expression is made of it."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    *middle, last = rest
    at = len(first)
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(last) and text.endswith(last)


class Configs:
    """manifestConfigs of a work. Of several entries for one object each part counts where it is said first."""

    __slots__ = ("_exact", "_wild")

    def __init__(self, configs: Iterable[Config] = ()) -> None:
        self._exact: dict[Identifier, list[tuple[int, Config]]] = {}
        self._wild: list[tuple[int, Config]] = []
        for index, config in enumerate(configs):
            if config.wild:
                self._wild.append((index, config))
            else:
                self._exact.setdefault(config.what, []).append((index, config))

    def of(self, what: Identifier) -> Options:
        """What they say about one object."""
        found = [*self._exact.get(what, ()), *(each for each in self._wild if each[1].fits(what))]
        if not found:
            return _NONE
        found.sort(key=operator.itemgetter(0))
        configs = [config for _, config in found]
        problem = next((each for each in configs if each.problem), None)
        return Options(
            strategy=next((each.strategy for each in configs if each.strategy is not None), Strategy()),
            feedback=next((each.feedback for each in configs if each.feedback != Feedback()), Feedback()),
            rules=next((each.rules for each in configs if each.rules), ()),
            problem=problem.problem if problem is not None else "",
            reason=problem.reason if problem is not None else "",
        )


_NONE = Options()
NO_CONFIGS = Configs()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a work. `content` is JSON without what only a server sets; `digest` is of that.

    `problem` is why it cannot be applied; the other manifests are.
    """

    ordinal: int
    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    content: bytes = b""
    digest: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A service account of the member that must have the right to do what a work asks (spec.executor)."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """Its user name."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Its groups."""
        return "system:serviceaccounts", "system:authenticated", f"system:serviceaccounts:{self.namespace}"


@dataclass(frozen=True, slots=True)
class Work:
    """A ManifestWork as it was read. `problem` is why nothing of it can be applied.

    `unsure`: what is to become of its objects is not understood, so that none of them is deleted.
    """

    name: str
    uid: str = ""
    generation: int = 0
    created: str = ""
    manifests: tuple[Manifest, ...] = ()
    configs: Configs = NO_CONFIGS
    executor: Account | None = None
    propagation: Propagation = Propagation.FOREGROUND
    orphans: frozenset[Identifier] = frozenset()
    ttl: int | None = None
    problem: str = ""
    unsure: bool = False

    def options_for(self, what: Identifier) -> Options:
        """What the work says about one of its objects."""
        return self.configs.of(what)

    def orphaned(self, what: Identifier) -> bool:
        """Whether the object stays when the work is deleted, or does not name it any more."""
        if self.propagation is Propagation.ORPHAN:
            return True
        return self.propagation is Propagation.SELECTIVELY_ORPHAN and what in self.orphans


@dataclass(frozen=True, slots=True)
class AppliedResource:
    """An object that was applied, or is about to be, for a work. `uid` is "" where it was not recorded yet."""

    what: Identifier
    version: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class AppliedWork:
    """An AppliedManifestWork as it was read or written."""

    name: str
    uid: str
    version: str
    hub_hash: str
    agent: str
    work: str
    resources: tuple[AppliedResource, ...] = ()
    finalizers: tuple[str, ...] = ()
    let_go: bool = False
    held: str = ""
    deleting: bool = False

    @property
    def owner(self) -> Mapping[str, Any]:
        """The reference by which applied objects name it; no controller reference, for several works may have one."""
        return {"apiVersion": APPLIED_WORKS.api_version, "kind": APPLIED_WORKS.kind, "name": self.name, "uid": self.uid}
