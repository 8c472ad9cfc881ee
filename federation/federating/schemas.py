"""The schemas that federated YAML is checked against: those of the given CRDs, and of the federation API's own kinds.

CustomResourceDefinitions become one `Kind` for each served version, once for a run of `fedctl validate`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from federation.federating import catalogue
from federation.model.errors import Invalid
from federation.model.federated import FederatedType
from typegen import definitions, federate, metadata, structural
from typegen.model import Options, Unusable

Schema = Mapping[str, Any]
_RULES = "x-kubernetes-validations"
_TEXT: Schema = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One version of a kind: the schema of the whole object, and the paths of its CEL rules, which are not checked.

    `template` is the schema of spec.template, None where the kind has none.
    """

    api_version: str
    kind: str
    schema: Schema
    rules: tuple[str, ...] = ()

    @property
    def template(self) -> Schema | None:
        """The schema of the object in the members, as the hub has it."""
        node: Any = self.schema
        for name in ("spec", "template"):
            node = (node.get("properties") or {}).get(name)
            if not isinstance(node, Mapping):
                return None
        found: Schema = node
        return found

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Paths of the CEL rules that are not checked offline: the template's. `validating` covers all others."""
        if self.template is None:
            return () if self.kind in ("FederatedTypeConfig", "KubeFedConfig") else self.rules
        return tuple(rule for rule in self.rules if rule.startswith("spec.template") or rule == ".")


Kinds = Mapping[tuple[str, str], Kind]
"""By apiVersion and kind."""


def of(definitions_: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Kind]:
    """The kinds that CRDs define, version by version. Raises Invalid for a CRD that cannot be read."""
    found: dict[tuple[str, str], Kind] = {}
    for crd in definitions_:
        for kind in _kinds(crd):
            found[kind.api_version, kind.kind] = kind
    return found


def of_target(crd: Mapping[str, Any], type_: FederatedType) -> dict[tuple[str, str], Kind]:
    """The federated kind that typegen makes of a target's CRD, under the names of its type. Raises Invalid."""
    options = Options(
        version=type_.target.version,
        federated_group=type_.federated.group,
        federated_version=type_.federated.version,
        federated_kind=type_.federated.kind,
        federated_plural=type_.federated.plural,
    )
    try:
        return of([federate.from_crd(crd, options).crd])
    except Unusable as error:
        raise Invalid("spec", str(error)) from None


def versions_of(kinds: Kinds, document: Mapping[str, Any]) -> list[str]:
    """The apiVersions in which a document's group and kind are known."""
    group = catalogue.group_of(document)
    return sorted(
        version for version, kind in kinds if kind == document.get("kind") and version.rpartition("/")[0] == group
    )


def _kinds(crd: Mapping[str, Any]) -> Iterator[Kind]:
    try:
        versions = definitions.versions(crd)
    except Unusable as error:
        raise Invalid("spec", str(error)) from None
    spec = crd["spec"]
    names = spec.get("names")
    kind = names.get("kind") if isinstance(names, Mapping) else None
    if not isinstance(kind, str) or not isinstance(spec.get("group"), str):
        raise Invalid("spec.names.kind", "a CustomResourceDefinition without group and kind")
    for version in versions:
        if version.served and version.schema is not None:
            api_version = f"{spec['group']}/{version.name}"
            wrong = next(iter(structural.violations(version.schema)), None)
            if wrong is not None:
                raise Invalid(
                    "spec", f"{catalogue.title(crd)}: the schema of {version.name} is not structural: {wrong}"
                )
            yield Kind(api_version, kind, _whole(version.schema), tuple(dict.fromkeys(_rules(version.schema, ""))))


def _whole(schema: Schema) -> Schema:
    """The schema with the fields that every object has: apiVersion, kind and metadata."""
    properties = schema.get("properties") or {}
    every = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata.nested()}
    named = ((properties.get("metadata") or {}).get("properties") or {}).get("name")
    if named:
        every["metadata"]["properties"]["name"] = named
    return {**schema, "type": "object", "properties": {**properties, **every}}


def _rules(schema: object, path: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if schema.get(_RULES):
        yield path or "."
    for name, child in (schema.get("properties") or {}).items():
        yield from _rules(child, f"{path}.{name}" if path else str(name))
    yield from _rules(schema.get("items"), f"{path}[]")
    yield from _rules(schema.get("additionalProperties"), f"{path}{{}}")
