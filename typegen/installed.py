"""The names of the CRDs that a hub has already, and whether a new federated type conflicts with them. Pure.

An API server treats a CRD with an existing name as a new form of the existing one, even if the two were made for
different targets; stored objects are then read by the other's schema. So a federated CRD belongs to the target that it
was made for: the one in its annotation, which typegen writes, or in the FederatedTypeConfig that refers to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from typegen import names
from typegen.model import ApiResource, Pair

TARGET_ANNOTATION = "types.kubefed.io/target"
"""On a federated CRD, by typegen: `<plural>.<group>/<version>` of the target."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A CRD of the hub. `targets` are the types that it federates; unknown (empty) for one that kubefedctl left."""

    names: ApiResource
    kinds: frozenset[str]
    targets: frozenset[str] = frozenset()
    stored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a federated type cannot be made. `hint` is what to do; "" means to give it another name or group."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """The CRDs of a hub, by `plural.group`."""

    definitions: Mapping[str, Definition] = field(default_factory=dict)

    def conflict(self, made: Pair) -> Conflict | None:
        """The conflict of this type with an existing CRD; None when there is none."""
        target, federated = made.target, made.federated
        same = self.definitions.get(federated.qualified)
        if same is not None:
            others = sorted(same.targets - {target.qualified})
            if others:
                return Conflict(
                    f"{target.qualified} would be federated as {federated.qualified}, which is the federated type of "
                    f"{', '.join(others)} already"
                )
            if same.names.kind != federated.kind:
                return Conflict(
                    f"{federated.qualified} exists already, with the kind {same.names.kind}, not {federated.kind}"
                )
            if same.names.namespaced != federated.namespaced:
                now, was = (("Namespaced", "Cluster"), ("Cluster", "Namespaced"))[not federated.namespaced]
                return Conflict(
                    f"the scope of {target.qualified} is now {now}, and {federated.qualified} exists with the scope "
                    f"{was}, which cannot be changed",
                    f"delete its objects, then run fedctl disable {target.qualified} --delete-crd, and enable it again",
                )
            gone = [version for version in same.stored if version != federated.version]
            if gone:
                return Conflict(
                    f"{target.qualified} has objects stored as {federated.group}/{gone[0]}",
                    f"keep that version with --federated-version {gone[0]}",
                )
        return self._taken(made)

    def _taken(self, made: Pair) -> Conflict | None:
        federated = made.federated
        kinds = {federated.kind, names.list_kind(federated)}
        plurals = {federated.plural, federated.singular}
        for qualified, each in sorted(self._others(federated)):
            shared = sorted(kinds & each.kinds) or sorted(plurals & {each.names.plural, each.names.singular})
            if shared:
                of = f", the federated type of {', '.join(sorted(each.targets))}" if each.targets else ""
                return Conflict(
                    f"{made.target.qualified} would be federated with the name {shared[0]}, which {qualified}{of} "
                    "has already"
                )
        return None

    def short_names(self, federated: ApiResource) -> dict[str, str]:
        """The type's short names that another type of its group already has, with that type."""
        taken: dict[str, str] = {}
        for qualified, each in sorted(self._others(federated)):
            for name in (each.names.plural, each.names.singular, *each.names.short_names):
                taken.setdefault(name, qualified)
        return {name: taken[name] for name in federated.short_names if name in taken}

    def others(self, made: Pair) -> list[str]:
        """Other federated CRDs of the same target, with other names."""
        return sorted(
            qualified
            for qualified, each in self.definitions.items()
            if made.target.qualified in each.targets and qualified != made.federated.qualified
        )

    def _others(self, federated: ApiResource) -> Iterable[tuple[str, Definition]]:
        return (
            (qualified, each)
            for qualified, each in self.definitions.items()
            if each.names.group == federated.group and qualified != federated.qualified
        )


def hub(definitions: Iterable[Mapping[str, Any]], configs: Iterable[Mapping[str, Any]]) -> Hub:
    """The hub of these CRDs and FederatedTypeConfigs, of any namespace; malformed ones are ignored."""
    used: dict[str, set[str]] = {}
    for config in configs:
        spec = _mapping(config.get("spec"))
        target, federated = _qualified(spec.get("targetType")), _qualified(spec.get("federatedType"))
        if target and federated:
            used.setdefault(federated, set()).add(target)
    found = {}
    for crd in definitions:
        definition = _definition(crd, used)
        if definition is not None:
            found[definition.names.qualified] = definition
    return Hub(found)


def _definition(crd: Mapping[str, Any], used: Mapping[str, set[str]]) -> Definition | None:
    spec, metadata = _mapping(crd.get("spec")), _mapping(crd.get("metadata"))
    called = _mapping(spec.get("names"))
    group, plural, kind = (str(each or "") for each in (spec.get("group"), called.get("plural"), called.get("kind")))
    if not (group and plural and kind):
        return None
    short = called.get("shortNames")
    resource = ApiResource(
        group=group,
        version="",
        kind=kind,
        plural=plural,
        singular=str(called.get("singular") or kind.lower()),
        namespaced=spec.get("scope") != "Cluster",
        short_names=tuple(map(str, short)) if isinstance(short, list) else (),
    )
    recorded = str(_mapping(metadata.get("annotations")).get(TARGET_ANNOTATION) or "").rpartition("/")[0]
    targets = used.get(resource.qualified, set()) | ({recorded} if recorded else set())
    stored = _mapping(crd.get("status")).get("storedVersions")
    kinds = frozenset({kind, str(called.get("listKind") or f"{kind}List")})
    return Definition(resource, kinds, frozenset(targets), tuple(map(str, stored)) if isinstance(stored, list) else ())


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _qualified(described: Any) -> str:
    described = _mapping(described)
    plural, group = str(described.get("pluralName") or ""), str(described.get("group") or "")
    return f"{plural}.{group}" if plural and group else plural
