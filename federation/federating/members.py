"""Check federated objects against what single clusters serve, from files: their CRDs, or saved OpenAPI documents.

This is the last step of `fedctl validate --served`: each cluster's manifest, with overrides applied, is checked against
that cluster's schema in the version that the controller would choose. So a field that only the hub knows, or a value
that a cluster's older CRD refuses, is reported with file and line before it is applied.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from federation.core import manifest, versions
from federation.federating import together, validating
from federation.federating.catalogue import Catalogue
from federation.federating.findings import Finding, Rule, Severity
from federation.federating.together import Fleet
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Spec
from federation.model.resources import ObjectName
from typegen import definitions, openapi, published, schema
from typegen.model import ApiResource, Options, Target

Document = Mapping[str, Any]
Served = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Name of a type -> version that the cluster serves -> the schema that a manifest must fit."""


def served(documents: Iterable[Document], known: Catalogue) -> Served:
    """What one cluster serves of the known types. Raises typegen's Unusable for a document that cannot be used."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in documents:
        targets: Iterable[Target] = ()
        if definitions.is_definition(each):
            targets = _defined(each, known)
        elif openapi.is_document(each):
            targets = _documented(each, known)
        for target in targets:
            found.setdefault(target.resource.qualified, {})[target.resource.version] = _fitting(target)
    return found


def document(found: Document, known: Catalogue, there: Fleet, clusters: Mapping[str, Served]) -> Iterator[Finding]:
    """What the clusters would refuse of a federated object; nothing for one that `validating` already reports."""
    type_ = known.federating(found)
    metadata = found.get("metadata")
    if type_ is None or not clusters or not isinstance(metadata, Mapping) or not metadata.get("name"):
        return
    try:
        spec = validating.spec_of(found, type_)
        if spec.template is None:
            return
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        where = ObjectName("" if type_.is_namespace else namespace, name)
        base = manifest.base(spec, type_, where, host_namespace=Metadata(name) if type_.is_namespace else None)
    except Invalid:
        return  # `validating` reports it
    chosen = together.selected(spec.placement, there)
    for cluster in sorted(clusters if chosen is None else chosen & clusters.keys()):
        yield from _one(cluster, clusters[cluster], type_, spec, base)


def _one(cluster: str, serves: Served, type_: FederatedType, spec: Spec, base: manifest.Base) -> Iterator[Finding]:
    schemas = serves.get(type_.target.qualified)
    if schemas is None:
        if "." in type_.target.group and not type_.target.group.endswith(".k8s.io"):
            message = f"{cluster}: its files do not define {type_.target.qualified}: is the CRD installed there?"
            yield Finding(Rule.MEMBER, "spec.placement", message, Severity.WARNING)
        return
    operations = spec.overrides.get(cluster, ())
    try:
        made = manifest.finish(base, operations)
    except Invalid:
        return  # `validating` reports it
    version = str(made["apiVersion"]).rpartition("/")[2]
    there = versions.choose(version, type_, tuple(schemas))
    if there is None:
        message = f"{cluster}: {versions.unavailable(version, type_.target, tuple(schemas))}"
        yield Finding(Rule.MEMBER, "spec.template", message)
        return
    own = set(validating.result(manifest.finish(base, ()), schemas[there]))
    for problem in validating.result(made, schemas[there]):
        path = f"spec.template.{problem.path}" if problem.path != "." else "spec.template"
        if problem not in own:
            index = list(spec.overrides).index(cluster)
            path = f"spec.overrides[{index}]{validating.culprit(operations, problem.path)}"
        yield Finding(Rule.MEMBER, path, f"{cluster}: {problem.path}: {problem.message}")


def _defined(crd: Document, known: Catalogue) -> Iterator[Target]:
    """The served versions of a CRD, if it is of a known type."""
    resource = definitions.resource(crd, Options())
    if (resource.group, resource.kind) not in known.targets:
        return
    for version in definitions.versions(crd):
        if version.served:
            yield definitions.target(crd, Options(version=version.name))


def _documented(document: Document, known: Catalogue) -> Iterator[Target]:
    for resource in openapi.resources(document):
        if (resource.group, resource.kind) in known.targets:
            yield _published(document, resource)


def _published(document: Document, resource: ApiResource) -> Target:
    own = published.schema(document, resource) if "." in resource.group and "components" in document else None
    return Target(resource, own) if own is not None else openapi.target(document, resource)


def _fitting(target: Target) -> Mapping[str, Any]:
    """The schema of a manifest instead of a stored object: fields that the cluster fills in may be absent."""
    return schema.template(replace(target, others={}), Options()).schema
