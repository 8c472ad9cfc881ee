"""Which types are federated, from files: FederatedTypeConfigs, or CRDs that typegen makes types of.

This is the first step of `federate` and `validate`. A document belongs to the federation itself (it is left as it is),
to a federated type, or to a type that is not federated.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from federation.core import checks, configuration
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from federation.model.resources import NAMESPACES, Resource

GROUP, VERSION = "types.kubefed.io", "v1beta1"
"""KubeFed's API group and version for federated types, by default."""

_OWN_GROUPS = ("core.kubefed.io", "scheduling.kubefed.io", "multiclusterdns.kubefed.io", GROUP)
_DEFINITION = "CustomResourceDefinition"

Document = Mapping[str, Any]


def group_of(document: Document) -> str:
    """The API group that a document's apiVersion names; "" is the core group."""
    return str(document.get("apiVersion") or "").rpartition("/")[0]


def title(document: Document) -> str:
    """How messages name a document: `Deployment shop/web`."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    where = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
    return f"{document.get('kind') or 'a document without kind'} {where}".rstrip()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The known federated types, by group and kind of the target, and of the federated type itself."""

    targets: Mapping[tuple[str, str], FederatedType] = field(default_factory=dict)
    federated: Mapping[tuple[str, str], FederatedType] = field(default_factory=dict)

    @classmethod
    def of(cls, types: Iterable[FederatedType]) -> "Catalogue":
        """A catalogue of these types. Raises Invalid when two of them wrap the same target."""
        targets: dict[tuple[str, str], FederatedType] = {}
        federated: dict[tuple[str, str], FederatedType] = {}
        for each in types:
            target = (each.target.group, each.target.kind)
            if targets.get(target, each).federated != each.federated:
                other = targets[target].federated.qualified
                raise Invalid(
                    "", f"{each.name} is federated twice, as {other} and as {each.federated.qualified}: leave one out"
                )
            targets[target] = federated[each.federated.group, each.federated.kind] = each
        return cls(targets, federated)

    def __bool__(self) -> bool:
        return bool(self.targets)

    def wrapping(self, document: Document) -> FederatedType | None:
        """The type that federates a plain document of this kind."""
        return self.targets.get((group_of(document), str(document.get("kind"))))

    def federating(self, document: Document) -> FederatedType | None:
        """The type that a federated document is of."""
        return self.federated.get((group_of(document), str(document.get("kind"))))

    def is_own(self, document: Document) -> bool:
        """Whether a document belongs to the federation itself: a federated object, a type, a cluster, a CRD."""
        return (
            self.federating(document) is not None
            or group_of(document) in _OWN_GROUPS
            or document.get("kind") == _DEFINITION
        )


def is_type(document: Document) -> bool:
    """Whether a document is a FederatedTypeConfig."""
    return document.get("kind") == "FederatedTypeConfig" and group_of(document) == "core.kubefed.io"


def looks_federated(document: Document) -> bool:
    """Whether a document of an unknown kind has the form of a federated object."""
    spec = document.get("spec")
    return group_of(document) == GROUP or (
        str(document.get("kind") or "").startswith("Federated")
        and isinstance(spec, Mapping)
        and bool({"template", "placement"} & spec.keys())
    )


def type_of(document: Document) -> FederatedType:
    """The type that a FederatedTypeConfig describes. Raises Invalid with the path of what is wrong."""
    metadata = checks.mapping(document.get("metadata"), "metadata")
    checks.string(metadata.get("name"), "metadata.name")
    checks.mapping(document.get("spec"), "spec")
    return configuration.type_config(document)


def default_type(document: Document) -> FederatedType:
    """The type for a document's kind by KubeFed's naming, for files that define no types. Raises Invalid."""
    kind = checks.string(document.get("kind"), "kind")
    version = checks.string(document.get("apiVersion"), "apiVersion")
    group, _, number = version.rpartition("/")
    return assumed(Resource(group, number, kind, configuration.plural_name(kind), namespaced=True))


def assumed(target: Resource) -> FederatedType:
    """The type for a resource by KubeFed's naming. Raises Invalid."""
    scope = "Namespaced" if target.namespaced else "Cluster"
    federated = "Namespaced" if target.qualified == NAMESPACES.qualified else scope
    return type_of(
        {
            "metadata": {"name": target.qualified},
            "spec": {
                "targetType": {
                    "group": target.group,
                    "version": target.version,
                    "kind": target.kind,
                    "pluralName": target.plural,
                    "scope": scope,
                },
                "federatedType": {
                    "group": GROUP,
                    "version": VERSION,
                    "kind": f"Federated{target.kind}",
                    "pluralName": f"federated{target.plural}",
                    "scope": federated,
                },
            },
        }
    )
