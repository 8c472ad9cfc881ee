"""From a CustomResourceDefinition to a target: its names, the version to federate and that version's schema."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typegen import names, structural
from typegen.model import ApiResource, Caution, Options, Schema, Target, Unusable

CRD_KIND = "CustomResourceDefinition"
API_VERSION = "apiextensions.k8s.io/v1"
_NAME = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?")
OLD_API_VERSION = "apiextensions.k8s.io/v1beta1"
_FREE: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""The schema for a version that has none."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version as the CRD lists it; `schema` is as written, None when there is none."""

    name: str
    served: bool
    storage: bool
    schema: Mapping[str, Any] | None


def is_definition(document: Any) -> bool:
    """Whether a YAML document is a CustomResourceDefinition of any version."""
    return (
        isinstance(document, Mapping)
        and document.get("kind") == CRD_KIND
        and str(document.get("apiVersion", "")).startswith("apiextensions.k8s.io/")
    )


def qualified(crd: Mapping[str, Any]) -> str:
    """`plural.group` from the CRD's spec, "" where that is incomplete; for names in error messages."""
    spec = crd.get("spec")
    called = spec.get("names") if isinstance(spec, Mapping) else None
    plural = called.get("plural") if isinstance(called, Mapping) else None
    group = spec.get("group") if isinstance(spec, Mapping) else None
    return f"{plural}.{group}" if plural and group else ""


def resource(crd: Mapping[str, Any], options: Options) -> ApiResource:
    """The target's names only, without reading its schema. Raises Unusable naming what is missing."""
    title, spec = _opened(crd)
    return _resource(title, spec, _version(title, spec, options))


def versions(crd: Mapping[str, Any]) -> tuple[Version, ...]:
    """Every version of the CRD, served or not, in its order. Raises Unusable for a malformed schema."""
    title, spec = _opened(crd)
    found = []
    for entry in _entries(spec):
        schema = _schema(spec, entry)
        nonsense = next(structural.malformed(schema), None) if schema is not None else None
        if nonsense is not None:
            raise Unusable(f"{title}: the schema of {entry.get('name')} cannot be read: {nonsense}")
        served, storage = bool(entry.get("served", True)), bool(entry.get("storage"))
        found.append(Version(str(entry.get("name")), served, storage, schema))
    return tuple(found)


def _opened(crd: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if not is_definition(crd):
        raise Unusable(f"not a CustomResourceDefinition: {crd.get('apiVersion')} {crd.get('kind')}")
    metadata = crd.get("metadata")
    named = metadata.get("name") if isinstance(metadata, Mapping) else None
    title = str(named or "the CustomResourceDefinition")
    spec = crd.get("spec")
    if not isinstance(spec, Mapping):
        raise Unusable(f"{title}: spec is missing")
    return title, spec


def target(crd: Mapping[str, Any], options: Options) -> Target:
    """The target that `crd` defines.

    The version is `options.version`, else `options.enabled_version` where it is served, else the one that Kubernetes
    prefers among those served and not deprecated.
    Raises Unusable naming what is missing.
    """
    title, spec = _opened(crd)
    version = _version(title, spec, options)
    resource = _resource(title, spec, version)
    reading = _Reading(title, loose=_is_loose(crd["apiVersion"], spec))
    schema = reading.schema(spec, version)
    cautions = list(reading.cautions)
    if schema is None:
        cautions.append(Caution(".", f"{resource.kind} has no schema in its CRD: templates are not checked"))
    others = {}
    if schema is not None and not options.version:
        for other in (entry for entry in _served(spec) if entry is not version):
            found = reading.schema(spec, other) or _FREE
            if found != schema:
                others[str(other.get("name"))] = found
    return Target(
        resource,
        schema,
        tuple(sorted(set(cautions))),
        others,
        tuple(_listed(spec, version, "additionalPrinterColumns")),
        tuple(str(each["jsonPath"]) for each in _listed(spec, version, "selectableFields") if each.get("jsonPath")),
        _equivalent(spec),
    )


def _equivalent(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Versions between which the API server converts by changing apiVersion only: all, if there is no webhook."""
    conversion = spec.get("conversion")
    strategy = conversion.get("strategy") if isinstance(conversion, Mapping) else None
    found = sorted({str(entry.get("name")) for entry in _entries(spec)}, key=names.priority)
    return tuple(found) if strategy in (None, "None") and len(found) > 1 else ()


def _is_loose(api_version: str, spec: Mapping[str, Any]) -> bool:
    """Whether the API server keeps fields that the schema does not have, at every depth."""
    return bool(spec.get("preserveUnknownFields", api_version == OLD_API_VERSION))


def _listed(spec: Mapping[str, Any], version: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Entries of a list that v1beta1 could have for all versions together, with its JSONPath renamed to jsonPath."""
    found = version.get(key) or spec.get(key)
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping):
            yield {"jsonPath" if name == "JSONPath" else name: value for name, value in entry.items()}


class _Reading:
    """Reads and checks the schemas of one CRD, and repairs those that may be older than the rules."""

    def __init__(self, title: str, *, loose: bool) -> None:
        self.title = title
        self.loose = loose
        self.cautions: list[Caution] = []

    def schema(self, spec: Mapping[str, Any], version: Mapping[str, Any]) -> Mapping[str, Any] | None:
        schema = _schema(spec, version)
        if schema is None:
            return None
        name = version.get("name")
        nonsense = next(structural.malformed(schema), None)
        if nonsense is not None:
            raise Unusable(f"{self.title}: the schema of {name} cannot be read: {nonsense}")
        if self.loose:
            repaired, added = structural.repair(schema)
            self.cautions += added
            return repaired
        problems = structural.violations(schema)
        if problems:
            raise Unusable(f"{self.title}: the schema of {name} is not structural: {problems[0]}")
        return schema


def _entries(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    alone = [{"name": spec["version"], "served": True, "storage": True}] if spec.get("version") else []
    listed = spec.get("versions") or alone
    if isinstance(listed, list):
        yield from (entry for entry in listed if isinstance(entry, Mapping))


def _served(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [entry for entry in _entries(spec) if entry.get("served", True)]


def _version(title: str, spec: Mapping[str, Any], options: Options) -> Mapping[str, Any]:
    served = _served(spec)
    if not served:
        raise Unusable(f"{title}: no version is served")
    if options.version:
        for version in served:
            if version.get("name") == options.version:
                return version
        offered = ", ".join(str(version.get("name")) for version in served)
        raise Unusable(f"{title}: version {options.version} is not served, only {offered}")

    def order(version: Mapping[str, Any]) -> tuple[Any, ...]:
        name = str(version.get("name"))
        return name != options.enabled_version, bool(version.get("deprecated")), names.priority(name)

    return min(served, key=order)


def _resource(title: str, spec: Mapping[str, Any], version: Mapping[str, Any]) -> ApiResource:
    called = spec.get("names")
    if not isinstance(called, Mapping):
        raise Unusable(f"{title}: spec.names is missing")
    for field, value in (
        ("spec.group", spec.get("group")),
        ("spec.names.kind", called.get("kind")),
        ("spec.names.plural", called.get("plural")),
        ("spec.versions[].name", version.get("name")),
    ):
        if not isinstance(value, str) or not value:
            raise Unusable(f"{title}: {field} is missing")
        if not _NAME.fullmatch(value):
            raise Unusable(f"{title}: {field} is no name: {value!r}")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        raise Unusable(f"{title}: spec.scope is {spec.get('scope')!r}, expected Namespaced or Cluster")
    short_names, categories = called.get("shortNames") or [], called.get("categories") or []
    scale: Any = version.get("subresources") or spec.get("subresources")
    scale = scale.get("scale") if isinstance(scale, Mapping) else None
    replicas = scale.get("specReplicasPath") if isinstance(scale, Mapping) else ""
    return ApiResource(
        group=spec["group"],
        version=version["name"],
        kind=called["kind"],
        plural=called["plural"],
        singular=str(called.get("singular") or called["kind"].lower()),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(str(name) for name in short_names) if isinstance(short_names, list) else (),
        scale=replicas if isinstance(replicas, str) else "",
        categories=tuple(str(name) for name in categories) if isinstance(categories, list) else (),
    )


def _schema(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Mapping[str, Any] | None:
    validation = version.get("schema") or spec.get("validation")
    schema = validation.get("openAPIV3Schema") if isinstance(validation, Mapping) else None
    return schema if isinstance(schema, Mapping) and schema else None
