"""Which federated objects in git break with a new form of their type: `typegen diff --objects`.

Each object's template is checked against the old and the new federated type; what only the new one refuses is reported.
An override of a part that changes, and a CEL rule, which only a server can evaluate, are reported as "may break".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typegen import validation
from typegen.documents import Found
from typegen.model import Schema
from typegen.upgrades import Finding


@dataclass(frozen=True, slots=True)
class Kind:
    """A federated type before and after: the schema of its whole object, None where the type does not exist."""

    type: str
    api_version: str
    kind: str
    old: Schema | None
    new: Schema | None


@dataclass(frozen=True, slots=True, order=True)
class Broken:
    """One object and one reason; `certain` is False when it may break."""

    source: str
    object: str
    path: str
    message: str
    certain: bool = True


def objects(found: Iterable[Found], kinds: Iterable[Kind], findings: Iterable[Finding]) -> list[Broken]:
    """The objects among the documents that break, sorted by file and name; objects of other types are ignored."""
    known = {(each.api_version, each.kind): each for each in kinds}
    bad = [finding for finding in findings if finding.severity == "stored"]
    broken = set()
    for document in found:
        kind = known.get((str(document.document.get("apiVersion")), str(document.document.get("kind"))))
        if kind is not None:
            broken |= set(_object(document, kind, [finding for finding in bad if finding.type == kind.type]))
    return sorted(broken)


def _object(found: Found, kind: Kind, findings: list[Finding]) -> Iterator[Broken]:
    metadata = found.document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
    title = f"{kind.kind} {name}"
    if kind.new is None:
        yield Broken(found.source, title, ".", "the type does not exist any more")
        return
    before = set(validation.resource(kind.old, found.document)) if kind.old is not None else set()
    reported = set()
    for problem in validation.resource(kind.new, found.document):
        if problem not in before:
            reported.add(_general(problem.path))
            yield Broken(found.source, title, problem.path, problem.message)
    spec = found.document.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    pointers = list(_overridden(spec))
    for finding in findings:
        if finding.path in reported or finding.path == ".":
            continue
        if finding.path == "spec.template.apiVersion":
            stated = str((spec.get("template") or {}).get("apiVersion", "")).rpartition("/")[2]
            if stated in finding.versions:
                yield Broken(found.source, title, finding.path, finding.message)
            continue
        for cluster, path, value in pointers:
            if _sets(_general(path), value, finding):
                message = f"the override for {cluster} sets it: {finding.message}"
                yield Broken(found.source, title, path, message, certain=False)
        if "CEL rule" in finding.message and _reaches(found.document, finding.path):
            yield Broken(found.source, title, finding.path, finding.message, certain=False)


def _sets(path: str, value: Any, finding: Finding) -> bool:
    """Whether an override of `path` with `value` changes what a finding is about.

    A finding about a field above `path` matters only if the field is gone or has another type: a new required field or
    rule there concerns the template and not the override.
    """
    if path == finding.path:
        return True
    if finding.path.startswith((f"{path}.", f"{path}[", f"{path}{{")):
        return _reaches(value, finding.path[len(path) :])
    above = path.startswith((f"{finding.path}.", f"{finding.path}["))
    return above and any(text in finding.message for text in ("the field is gone", "looks renamed", "the type is"))


def _overridden(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(cluster, path, value) for every override; JSON pointers become paths."""
    for cluster in spec.get("overrides") or ():
        for each in (cluster.get("clusterOverrides") or ()) if isinstance(cluster, Mapping) else ():
            override = each if isinstance(each, Mapping) else {}
            pointer = str(override.get("path", ""))
            steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
            path = "".join(f"[{step}]" if step.isdigit() or step == "-" else f".{step}" for step in steps)
            yield str(cluster.get("clusterName")), f"spec.template{path}", override.get("value")


def _general(path: str) -> str:
    """`spec.rules[3].name` in the form of findings, `spec.rules[].name`."""
    return re.sub(r"\[(?:\d+|-)\]", "[]", path)


def _reaches(document: Any, path: str) -> bool:
    """Whether the object has something at a finding's path."""
    nodes = [document]
    for step in re.findall(r"\[\]|\{\}|[^.\[{]+", path):
        if step == "[]":
            nodes = [entry for node in nodes if isinstance(node, list) for entry in node]
        elif step == "{}":
            nodes = [value for node in nodes if isinstance(node, Mapping) for value in node.values()]
        else:
            nodes = [node[step] for node in nodes if isinstance(node, Mapping) and step in node]
    return bool(nodes)
