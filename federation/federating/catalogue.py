"""Which types are federated, as files say it: FederatedTypeConfigs, or CRDs that typegen makes types of.

First step of `federate` and `validate`. A document is the federation's own (left as it is), of a federated type, or of
a type that nobody federates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from federation.core import checks, configuration, parsing
from federation.model.errors import Invalid
from federation.model.federated import FederatedType

GROUP, VERSION = "types.kubefed.io", "v1beta1"
"""Where KubeFed puts federated types unless told otherwise."""

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
    """The federated types that are known, by what they wrap and by what they are."""

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
    """Whether a document of an unknown kind must be meant as a federated object, judged by its look."""
    spec = document.get("spec")
    return group_of(document) == GROUP or (
        str(document.get("kind") or "").startswith("Federated")
        and isinstance(spec, Mapping)
        and bool({"template", "placement"} & spec.keys())
    )


def type_of(document: Document) -> FederatedType:
    """The type that a FederatedTypeConfig says. Raises Invalid with the path of what is wrong."""
    metadata = checks.mapping(document.get("metadata"), "metadata")
    checks.string(metadata.get("name"), "metadata.name")
    checks.mapping(document.get("spec"), "spec")
    return parsing.type_config(document)


def default_type(document: Document) -> FederatedType:
    """The type that KubeFed's names give to a document's kind, for files that say nothing of types. Raises Invalid."""
    kind = checks.string(document.get("kind"), "kind")
    version = checks.string(document.get("apiVersion"), "apiVersion")
    group, _, number = version.rpartition("/")
    plural = configuration.plural_name(kind)
    return type_of(
        {
            "metadata": {"name": f"{plural}.{group}" if group else plural},
            "spec": {
                "targetType": {"group": group, "version": number, "kind": kind, "scope": "Namespaced"},
                "federatedType": {
                    "group": GROUP,
                    "version": VERSION,
                    "kind": f"Federated{kind}",
                    "scope": "Namespaced",
                },
            },
        }
    )
