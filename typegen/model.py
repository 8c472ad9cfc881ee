"""The facts typegen works on: what a target type is, what the user chose, and what came out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Schema = dict[str, Any]
"""A JSON schema node as decoded JSON. Nodes are never changed in place once they have been returned."""

Descriptions = Literal["auto", "keep", "short", "drop"]


class Unusable(Exception):
    """The input cannot become a federated type; the message says what is wrong and what would help."""


@dataclass(frozen=True, slots=True, order=True)
class Caution:
    """Something that could not be carried over; `path` is the place in the federated object's schema."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may choose. The defaults are KubeFed's names and the fullest schema that still applies.

    `version` picks one of the target's served versions ("" = the one Kubernetes prefers). `optional` names fields, as
    paths into the target (`spec.host`, `*` for all), that only overrides supply: their `required` is lifted.
    `descriptions` "auto" keeps them, shortens them or drops them so that the CRD fits kubectl apply's annotation.
    `templates` is a folder whose files stand in for typegen's own of the same name ("" = none).
    """

    version: str = ""
    federated_group: str = "types.kubefed.io"
    federated_version: str = "v1beta1"
    federated_kind: str = ""
    federated_plural: str = ""
    system_namespace: str = "kube-federation-system"
    descriptions: Descriptions = "auto"
    optional: tuple[str, ...] = ()
    templates: str = ""


@dataclass(frozen=True, slots=True)
class ApiResource:
    """An API resource as discovery, a CRD or an OpenAPI document describes it.

    `scale` is the path of the desired number of replicas (`.spec.replicas`) when there is a scale subresource.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    scale: str = ""
    categories: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """`deployments.apps`, or `configmaps` for the core group: the name of its FederatedTypeConfig."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """`v1` or `group/version`, as an object's apiVersion says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def names(self) -> frozenset[str]:
        """What a person may call it: kind in lower case, plural, `plural.group`, short names."""
        return frozenset({self.kind.lower(), self.plural, self.qualified, *self.short_names})

    @property
    def is_namespace(self) -> bool:
        """Whether this is Namespace itself, whose federated type is namespaced and may leave the template out."""
        return self.qualified == "namespaces"


@dataclass(frozen=True, slots=True)
class Target:
    """A type to be federated: its names and the schema of the whole object, already structural.

    `schema` None means that the type publishes none; everything in the template is then kept unchecked. `others` are
    the schemas of other served versions, as far as they differ. `columns` are printer columns and `selectable` the JSON
    paths of selectable fields, as the target's CRD has them. `equivalent` are versions, served or not, between which
    the CRD converts by changing apiVersion alone (strategy None); empty when there is nothing to choose from.
    """

    resource: ApiResource
    schema: Mapping[str, Any] | None
    cautions: tuple[Caution, ...] = ()
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: tuple[Mapping[str, Any], ...] = ()
    selectable: tuple[str, ...] = ()
    equivalent: tuple[str, ...] = ()

    @property
    def status(self) -> Mapping[str, Any] | None:
        """The schema of the target's status, None when it has none."""
        found: Any = (self.schema or {}).get("properties") or {}
        status = found.get("status")
        return status if isinstance(status, Mapping) else None


@dataclass(frozen=True, slots=True)
class Template:
    """The schema of spec.template, CEL rules for the federated object's root, and what could not be carried."""

    schema: Schema
    root_rules: tuple[dict[str, Any], ...]
    cautions: tuple[Caution, ...]


class Pair(Protocol):
    """A target and its federated type: all that RBAC depends on."""

    @property
    def target(self) -> ApiResource:
        """The type in the members."""

    @property
    def federated(self) -> ApiResource:
        """The type at the hub."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What a target became: two manifests for the hub, and what could not be carried over."""

    target: ApiResource
    federated: ApiResource
    crd: dict[str, Any]
    type_config: dict[str, Any]
    cautions: tuple[Caution, ...] = field(default=())

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Both manifests in the order in which they are applied."""
        return [self.crd, self.type_config]
