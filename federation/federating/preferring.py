"""Check ReplicaSchedulingPreferences in git, by the controller's own reading, and against the objects that they steer.

A hub may have more objects than the files: a target that is missing among them is a warning.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from federation.core import parsing, preferencespec, scheduling
from federation.federating import catalogue, rendering
from federation.federating.catalogue import Catalogue
from federation.federating.findings import Finding, Rule, Severity
from federation.model.errors import Invalid
from federation.model.federated import Metadata, Spec, StoredObject
from federation.model.preferences import EVERY, Place, Preference
from federation.model.resources import PREFERENCES

Document = Mapping[str, Any]
REPLICAS = "/spec/replicas"
_OURS = "the preference decides on that: leave it out (docs/scheduling.md)"


class _Target(NamedTuple):
    at: int
    spec: Spec


def is_preference(document: Document) -> bool:
    """Whether a document is a ReplicaSchedulingPreference."""
    return document.get("kind") == PREFERENCES.kind and catalogue.group_of(document) == PREFERENCES.group


def document(found: Document) -> Iterator[Finding]:
    """Why the controller would not act on a preference."""
    try:
        _wish(found)
    except Invalid as error:
        yield Finding(Rule.SPEC, error.field, error.message)


def documents(found: Sequence[Document], known: Catalogue, clusters: frozenset[str]) -> Iterator[tuple[int, Finding]]:
    """Findings about preferences with what else is in the files, each with the index of its document.

    `clusters` are those that there are; empty where they are not known.
    """
    targets = _targets(found, known)
    for index, each in enumerate(found):
        if not is_preference(each):
            continue
        try:
            wish = _wish(each)
        except Invalid:
            continue  # `document` reports it
        for finding in _asked(wish, clusters):
            yield index, finding
        if known and not any(each.federated.kind == wish.kind for each in known.targets.values()):
            message = f"no type {wish.kind} among the files: it is steered where its type is enabled"
            yield index, Finding(Rule.TYPE, "spec.targetKind", message, Severity.WARNING)
            continue
        _, _, namespace, name = rendering.key(each)
        target = targets.get((wish.kind, namespace, name))
        if target is None:
            message = f"no {wish.kind} {namespace}/{name} among the files: a preference steers the object of its name"
            yield index, Finding(Rule.PLACEMENT, "metadata.name", message, Severity.WARNING)
            continue
        for finding in _steered(wish, target.spec):
            yield index, finding
        for finding in _contested(target.spec):
            yield target.at, finding


def _wish(found: Document) -> Preference:
    """Raises Invalid."""
    spec = found.get("spec")
    if not isinstance(spec, Mapping):
        raise Invalid("spec", "must be a map")
    return preferencespec.preference(StoredObject(Metadata(name=""), spec=dict(spec)))


def _targets(found: Sequence[Document], known: Catalogue) -> dict[tuple[str, str, str], _Target]:
    """The federated objects that can be steered, by kind, namespace and name."""
    made = {}
    for index, each in enumerate(found):
        type_ = known.federating(each)
        if type_ is None or type_.name not in preferencespec.TARGETS:
            continue
        try:
            spec = parsing.spec(orjson.dumps(each.get("spec") or {}), namespaces=False)
        except (Invalid, TypeError):
            continue  # `validating` reports it
        _, kind, namespace, name = rendering.key(each)
        made[kind, namespace, name] = _Target(index, spec)
    return made


def _asked(wish: Preference, clusters: frozenset[str]) -> Iterator[Finding]:
    """What it asks for in vain, as far as the clusters are known."""
    if clusters:
        near = ", ".join(sorted(clusters)[:10])
        for name in sorted(wish.clusters.keys() - clusters - {EVERY}):
            yield Finding(Rule.PLACEMENT, f"spec.clusters[{name}]", f"no cluster {name}; there are {near}")
    if EVERY in wish.clusters or wish.intersect:
        return  # which clusters it may choose, a hub knows
    places = [Place(name, bounds) for name, bounds in wish.clusters.items()]
    for problem in scheduling.problems(wish, wish.clusters, places):
        yield Finding(Rule.SPEC, "spec.totalReplicas", problem.message, Severity.WARNING)


def _steered(wish: Preference, spec: Spec) -> Iterator[Finding]:
    if wish.intersect and spec.placement.selector is None:
        message = f"the {wish.kind} has no placement.clusterSelector: no cluster can be chosen"
        yield Finding(Rule.PLACEMENT, "spec.intersectWithClusterSelector", message, Severity.WARNING)
    if spec.retain_replicas:
        message = f"the {wish.kind} has retainReplicas: clusters keep their own replicas once it is created there"
        yield Finding(Rule.SPEC, "spec.totalReplicas", message, Severity.WARNING)


def _contested(spec: Spec) -> Iterator[Finding]:
    """What the target's own file says of what the preference writes: whoever applies it and the controller undo each
    other's values."""
    if spec.placement.clusters is not None:
        yield Finding(Rule.PLACEMENT, "spec.placement.clusters", _OURS, Severity.WARNING)
    for index, operations in enumerate(spec.overrides.values()):
        for number, operation in enumerate(operations):
            if operation.path == REPLICAS:
                path = f"spec.overrides[{index}].clusterOverrides[{number}].path"
                yield Finding(Rule.OVERRIDE, path, _OURS, Severity.WARNING)
