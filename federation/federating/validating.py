"""Check one document of git as its API server and its controller would: schema, spec, template, each override.

The controller's own functions are the judges (core.parsing, core.manifest), so that what passes here is not refused
there. CEL rules, formats and what a member's admission says are left to the servers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from federation.core import checks, manifest, parsing
from federation.federating import catalogue, schemas
from federation.federating.catalogue import Catalogue
from federation.federating.findings import Finding, Rule, Severity
from federation.federating.schemas import Kind, Kinds
from federation.model.errors import Invalid
from federation.model.federated import FederatedType, Metadata, Operation, Spec
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import ObjectName
from typegen import validation
from typegen.model import Caution

Document = Mapping[str, Any]
_OPERATION = re.compile(r"clusterOverrides\[(?P<index>\d+)\]")


def document(found: Document, known: Catalogue, kinds: Kinds) -> Iterator[Finding]:
    """What is wrong with a document by itself; nothing for kinds that are no business of the federation."""
    kind = kinds.get((str(found.get("apiVersion")), str(found.get("kind"))))
    type_ = known.federating(found)
    if type_ is not None:
        yield from _federated(found, type_, kind, kinds)
    elif catalogue.looks_federated(found):
        yield Finding(
            Rule.TYPE, "kind", f"no type {found.get('kind')} among the files: give its FederatedTypeConfig with --types"
        )
    elif kind is not None and catalogue.group_of(found).endswith(".kubefed.io"):
        yield from _configuration(found, kind)


def _configuration(found: Document, kind: Kind) -> Iterator[Finding]:
    problems = list(_schema(found, kind))
    yield from problems
    if problems:
        return
    try:
        if catalogue.is_type(found):
            catalogue.type_of(found)
        elif kind.kind == "KubeFedConfig":
            parsing.settings(found.get("spec"))
    except Invalid as error:
        yield Finding(Rule.SPEC, error.field, error.message)


def _federated(found: Document, type_: FederatedType, kind: Kind | None, kinds: Kinds) -> Iterator[Finding]:
    if kind is None:
        versions = schemas.versions_of(kinds, found)
        if versions:
            said = f"{found.get('apiVersion')} is not served, {' and '.join(versions)} is"
            yield Finding(Rule.TYPE, "apiVersion", said)
        else:
            message = f"no CRD of {found.get('kind')} among the files: its template's fields are not checked"
            yield Finding(Rule.TYPE, "kind", message, Severity.WARNING)
    problems = list(_schema(found, kind)) if kind is not None else []
    yield from problems
    metadata = found.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        if kind is None or not any(problem.path.startswith("metadata") for problem in problems):
            yield Finding(Rule.SCHEMA, "metadata", "metadata.name is required")
        return
    yield from _beyond(_controller(found, metadata, type_, kind), problems)


def _beyond(findings: Iterable[Finding], problems: Sequence[Finding]) -> Iterator[Finding]:
    """Those findings that tell more than the schema did about the same place."""
    told = {problem.path for problem in problems}
    for finding in findings:
        parent = finding.path.rpartition(".")[0]
        if finding.path not in told and not (parent in told and finding.rule is Rule.SPEC):
            yield finding


def _schema(found: Document, kind: Kind) -> Iterator[Finding]:
    for problem in validation.problems(kind.schema, found):
        path = "" if problem.path == "." else problem.path
        yield Finding(Rule.SCHEMA, path, problem.message)


def _controller(found: Document, metadata: Document, type_: FederatedType, kind: Kind | None) -> Iterator[Finding]:
    """What the controller would say, step by step; a step that fails is the last one."""
    name, namespace = str(metadata["name"]), str(metadata.get("namespace") or "")
    try:  # the hub's rule for custom resources, whatever a target such as ClusterRole may be called
        checks.dns_1123(name, "metadata.name")
    except Invalid as error:
        yield Finding(Rule.SCHEMA, error.field, error.message)
    if type_.is_namespace and namespace and namespace != name:
        yield Finding(
            Rule.NAMESPACE, "metadata.namespace", f"a FederatedNamespace lives in the namespace it names: {name}"
        )
    annotations = metadata.get("annotations")
    try:
        parsing.deletion_options(annotations if isinstance(annotations, Mapping) else {})
    except Invalid as error:
        yield Finding(Rule.SPEC, error.field, error.message)
    try:
        spec = spec_of(found, type_)
    except Invalid as error:
        yield Finding(Rule.SPEC, error.field, error.message)
        return
    where = ObjectName("" if type_.is_namespace else namespace, name)
    try:
        base = manifest.base(spec, type_, where, host_namespace=Metadata(name) if type_.is_namespace else None)
    except Invalid as error:
        yield Finding(Rule.TEMPLATE, error.field, error.message)
        return
    for warning in base.warnings:
        path, _, message = warning.partition(" ")
        yield Finding(Rule.TEMPLATE, path, message, Severity.WARNING)
    if type_.is_namespace and spec.template is None:
        return  # its labels and annotations are the host's to know
    yield from _overrides(found, spec, base, kind)


def spec_of(found: Document, type_: FederatedType) -> Spec:
    """The spec as the controller reads it. Raises Invalid."""
    body = found.get("spec")
    if body is None and type_.is_namespace:
        body = {}
    try:
        return parsing.spec(orjson.dumps(body), namespaces=type_.is_namespace)
    except TypeError as error:
        raise Invalid("spec", f"cannot be sent to an API server: {error}") from None


def _overrides(found: Document, spec: Spec, base: manifest.Base, kind: Kind | None) -> Iterator[Finding]:
    """A dry run for every cluster that is named: the override fits, and the schema still likes what comes of it."""
    template = kind.template if kind is not None else None
    before = set(result(manifest.finish(base, ()), template))
    for index, (cluster, operations) in enumerate(spec.overrides.items()):
        path = f"spec.overrides[{index}]"
        try:
            made = manifest.finish(base, operations)
        except Invalid as error:
            place = _OPERATION.match(error.field)
            below = f".clusterOverrides[{place['index']}].path" if place else ""
            yield Finding(Rule.OVERRIDE, f"{path}{below}", f"{cluster}: {error.message if place else error}")
            continue
        for problem in result(made, template):
            if problem not in before:
                below = culprit(operations, problem.path)
                message = f"{cluster}: the result breaks the schema: {problem.path}: {problem.message}"
                yield Finding(Rule.OVERRIDE, f"{path}{below}", message)


def result(made: Mapping[str, Any], template: Mapping[str, Any] | None) -> Iterator[Caution]:
    """What the schema of a template does not like about a finished manifest."""
    if template is None:
        return
    labels = {key: value for key, value in made["metadata"]["labels"].items() if key != MANAGED_LABEL}
    metadata = {**made["metadata"], "labels": labels}
    yield from validation.problems(template, {**made, "metadata": metadata})


def culprit(operations: Sequence[Operation], path: str) -> str:
    """The operation that most likely made the trouble at a path: the last that touches it or what is around it."""
    for index in range(len(operations) - 1, -1, -1):
        steps = [token.replace("~1", "/").replace("~0", "~") for token in operations[index].path.split("/")[1:]]
        written = "".join(f"[{step}]" if step.isdigit() else "" if step == "-" else f".{step}" for step in steps)
        touched = written.removeprefix(".")
        parent = touched.rpartition(".")[0]
        if path.startswith(touched) or touched.startswith(path) or path == (parent or "."):
            return f".clusterOverrides[{index}]"
    return ""
