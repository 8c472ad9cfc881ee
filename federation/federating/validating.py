"""Check one document in git as the hub's API server and the controller would: schema, spec, template, each override.

The controller's own functions are used (core.parsing, core.manifest), so that what passes here passes there as well.
CEL rules, formats and members' admission are checked by the servers only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from federation.core import checks, configuration, manifest, overrides, parsing, policies
from federation.federating import catalogue, outdated, preferring, schemas
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
    """Findings about a document by itself; none for kinds that do not belong to the federation."""
    kind = kinds.get((str(found.get("apiVersion")), str(found.get("kind"))))
    type_ = known.federating(found)
    old = _old(found, type_)
    yield from old
    if any(each.path in ("apiVersion", "kind") for each in old):
        return  # its current form is not known, so nothing else can be checked
    ours = type_ is not None or (kind is not None and catalogue.group_of(found).endswith(".kubefed.io"))
    if ours and "status" in found:
        message = "only the controller writes status, it is ignored here: leave it out"
        yield Finding(Rule.OUTDATED, "status", message, Severity.WARNING)
        found = {key: value for key, value in found.items() if key != "status"}
    for finding in _current(found, known, kind, kinds):
        if not any(_within(finding.path, each.path) for each in old):
            yield finding


def _current(found: Document, known: Catalogue, kind: Kind | None, kinds: Kinds) -> Iterator[Finding]:
    type_ = known.federating(found)
    if type_ is not None:
        yield from _federated(found, type_, kind, kinds)
    elif catalogue.looks_federated(found):
        yield Finding(
            Rule.TYPE, "kind", f"no type {found.get('kind')} among the files: give its FederatedTypeConfig with --types"
        )
    elif kind is not None and catalogue.group_of(found).endswith(".kubefed.io"):
        yield from _configuration(found, kind)


def _old(found: Document, type_: FederatedType | None) -> list[Finding]:
    """What is written for an old API, with what to write instead."""
    old = list(outdated.document(found))
    if type_ is not None or catalogue.looks_federated(found) or old:
        target = (type_.target.api_version, type_.target.kind) if type_ is not None else None
        old += outdated.federated(found, target)
    return [
        Finding(Rule.OUTDATED, each.path, each.message, Severity.ERROR if each.refused else Severity.WARNING)
        for each in old
    ]


def _within(path: str, around: str) -> bool:
    return path == around or path.startswith((f"{around}.", f"{around}["))


def _configuration(found: Document, kind: Kind) -> Iterator[Finding]:
    problems = list(_schema(found, kind))
    yield from problems
    if problems:
        return
    try:
        if catalogue.is_type(found):
            catalogue.type_of(found)
        elif kind.kind == "KubeFedConfig":
            configuration.settings(found.get("spec"))
        elif preferring.is_preference(found):
            yield from preferring.document(found)
    except Invalid as error:
        yield Finding(Rule.SPEC, error.field, error.message)


def _federated(found: Document, type_: FederatedType, kind: Kind | None, kinds: Kinds) -> Iterator[Finding]:
    if kind is None:
        versions = schemas.versions_of(kinds, found)
        if versions:
            message = f"{found.get('apiVersion')} is not served, {' and '.join(versions)} is"
            yield Finding(Rule.TYPE, "apiVersion", message)
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
    """Those findings that the schema's problems do not cover already."""
    covered = {problem.path for problem in problems}
    for finding in findings:
        parent = finding.path.rpartition(".")[0]
        if finding.path not in covered and not (parent in covered and finding.rule is Rule.SPEC):
            yield finding


def _schema(found: Document, kind: Kind) -> Iterator[Finding]:
    for problem in validation.problems(kind.schema, found):
        path = "" if problem.path == "." else problem.path
        yield Finding(Rule.SCHEMA, path, problem.message)


def _controller(found: Document, metadata: Document, type_: FederatedType, kind: Kind | None) -> Iterator[Finding]:
    """What the controller would report, step by step, up to the first step that fails."""
    name, namespace = str(metadata["name"]), str(metadata.get("namespace") or "")
    try:  # the hub's rule for custom resources, whatever a target such as ClusterRole may be called
        checks.dns_1123(name, "metadata.name")
    except Invalid as error:
        yield Finding(Rule.SCHEMA, error.field, error.message)
    if type_.is_namespace and namespace and namespace != name:
        yield Finding(
            Rule.NAMESPACE, "metadata.namespace", f"a FederatedNamespace lives in the namespace it names: {name}"
        )
    found_annotations = metadata.get("annotations")
    annotations = found_annotations if isinstance(found_annotations, Mapping) else {}
    for read in (parsing.deletion_options, policies.of_object):
        try:
            read(annotations)
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
        return  # its labels and annotations come from the Namespace at the host
    yield from _overrides(spec, base, kind)


def spec_of(found: Document, type_: FederatedType) -> Spec:
    """The spec as the controller reads it. Raises Invalid."""
    body = found.get("spec")
    if body is None and type_.is_namespace:
        body = {}
    try:
        return parsing.spec(orjson.dumps(body), namespaces=type_.is_namespace)
    except TypeError as error:
        raise Invalid("spec", f"cannot be sent to an API server: {error}") from None


def _overrides(spec: Spec, base: manifest.Base, kind: Kind | None) -> Iterator[Finding]:
    """Apply the overrides of every cluster: they must be applicable, and the results must fit the schema."""
    template = kind.template if kind is not None else None
    before = set(result(manifest.finish(base, ()), template))
    for index, (cluster, operations) in enumerate(spec.overrides.items()):
        path = f"spec.overrides[{index}]"
        try:
            made = manifest.finish(base, operations)
            created = overrides.creates(base.body, operations)
        except Invalid as error:
            place = _OPERATION.match(error.field)
            below = f".clusterOverrides[{place['index']}].path" if place else ""
            yield Finding(Rule.OVERRIDE, f"{path}{below}", f"{cluster}: {error.message if place else error}")
            continue
        for number in created:
            message = f"{cluster}: replaces what the template does not have, and so adds it: write op: add"
            yield Finding(Rule.OVERRIDE, f"{path}.clusterOverrides[{number}].path", message, Severity.WARNING)
        for problem in result(made, template):
            if problem not in before:
                below = culprit(operations, problem.path)
                message = f"{cluster}: the result does not fit the schema: {problem.path}: {problem.message}"
                yield Finding(Rule.OVERRIDE, f"{path}{below}", message)


def result(made: Mapping[str, Any], template: Mapping[str, Any] | None) -> Iterator[Caution]:
    """The problems of a finished manifest with a template's schema."""
    if template is None:
        return
    labels = {key: value for key, value in made["metadata"]["labels"].items() if key != MANAGED_LABEL}
    metadata = {**made["metadata"], "labels": labels}
    yield from validation.problems(template, {**made, "metadata": metadata})


def culprit(operations: Sequence[Operation], path: str) -> str:
    """The operation that most likely caused a problem at a path: the last that changes it or a part around it."""
    for index in range(len(operations) - 1, -1, -1):
        steps = [token.replace("~1", "/").replace("~0", "~") for token in operations[index].path.split("/")[1:]]
        written = "".join(f"[{step}]" if step.isdigit() else "" if step == "-" else f".{step}" for step in steps)
        touched = written.removeprefix(".")
        parent = touched.rpartition(".")[0]
        if path.startswith(touched) or touched.startswith(path) or path == (parent or "."):
            return f".clusterOverrides[{index}]"
    return ""
