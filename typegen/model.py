"""typegen's data types: targets, options and results."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

Schema = dict[str, Any]
"""A JSON schema node as decoded JSON. Nodes are not changed in place after they were returned."""

Descriptions = Literal["auto", "keep", "short", "drop"]


class Unusable(Exception):
    """The input cannot become a federated type; the message has the reason, `hint` what to do where it does not."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, order=True)
class Caution:
    """Something that could not be carried over; `path` is its path in the federated object's schema."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may choose. The defaults are KubeFed's names, and as many descriptions as kubectl apply can store.

    `version` selects one of the target's served versions. "": `enabled_version`, in which it is federated already, if
    that is served, else the one that Kubernetes prefers. `optional` are fields, as paths into the target
    (`spec.host`, `*` for all), that only overrides set: they are not required.
    `descriptions` "auto" keeps, shortens or drops them so that the CRD fits kubectl apply's annotation. `templates` is
    a folder whose files replace typegen's own of the same name ("" = none). `aggregate_to` are those of Kubernetes'
    roles view, edit and admin that get rights on the federated type (None = as on the target, see userroles).
    `member_account` is the controller's service account in members, to which their role is bound. `scope` is the
    KubeFedConfig's: with Namespaced the controller's rights are bound to the system namespace, here and in members.
    """

    version: str = ""
    enabled_version: str = ""
    federated_group: str = "types.kubefed.io"
    federated_version: str = "v1beta1"
    federated_kind: str = ""
    federated_plural: str = ""
    system_namespace: str = "kube-federation-system"
    descriptions: Descriptions = "auto"
    optional: tuple[str, ...] = ()
    templates: str = ""
    aggregate_to: tuple[str, ...] | None = None
    member_account: str = "kubefed-controller"
    scope: str = "Cluster"

    @property
    def within(self) -> str:
        """The only namespace that the controller has rights in; "" where it has them everywhere."""
        return self.system_namespace if self.scope == "Namespaced" else ""


@dataclass(frozen=True, slots=True)
class ApiResource:
    """An API resource, from discovery, a CRD or an OpenAPI document.

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
        """`v1` or `group/version`, as in an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def names(self) -> frozenset[str]:
        """Its names on a command line: kind in lower case, plural, `plural.group`, short names."""
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
    """A target, its federated type, and the roles with rights on it: what RBAC depends on."""

    @property
    def target(self) -> ApiResource:
        """The type in the members."""

    @property
    def federated(self) -> ApiResource:
        """The type at the hub."""

    @property
    def aggregate_to(self) -> tuple[str, ...] | None:
        """As Options.aggregate_to."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The result for a target: two manifests for the hub, and what could not be carried over.

    `optional` are those of Options.optional that the target has.
    """

    target: ApiResource
    federated: ApiResource
    crd: dict[str, Any]
    type_config: dict[str, Any]
    cautions: tuple[Caution, ...] = field(default=())
    aggregate_to: tuple[str, ...] | None = None
    optional: frozenset[str] = frozenset()

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Both manifests in the order in which they are applied."""
        return [self.crd, self.type_config]

    def without_short_names(self, taken: Mapping[str, str]) -> "Generated":
        """The type without the short names that are taken (short name -> the type that has it), with cautions."""
        if not taken:
            return self
        left = tuple(name for name in self.federated.short_names if name not in taken)
        called = {key: value for key, value in self.crd["spec"]["names"].items() if key != "shortNames"}
        spec = {**self.crd["spec"], "names": {**called, **({"shortNames": list(left)} if left else {})}}
        return replace(
            self,
            federated=replace(self.federated, short_names=left),
            crd={**self.crd, "spec": spec},
            cautions=(*self.cautions, *short_names_taken(taken)),
        )


def brief(text: str, longest: int) -> str:
    """A text for messages: on one line, cut if it has more than `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def short_names_taken(taken: Mapping[str, str]) -> tuple[Caution, ...]:
    """The cautions for short names that are left out."""
    return tuple(Caution("metadata", f"short name {name} left out, {owner} has it") for name, owner in taken.items())
