"""What `fedctl validate` has to say about a document: the value that the checks make and the reports print."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """ERROR: the API server or the controller would refuse it. WARNING: it would not do what it seems to."""

    ERROR = "error"
    WARNING = "warning"


class Rule(enum.StrEnum):
    """Which check found it; SARIF's rule ids, so they stay as they are."""

    SYNTAX = "syntax"
    SCHEMA = "schema"
    SPEC = "spec"
    TEMPLATE = "template"
    OVERRIDE = "override"
    PLACEMENT = "placement"
    TYPE = "type"
    NAMESPACE = "namespace"
    DUPLICATE = "duplicate"
    MEMBER = "member"


MEANINGS = {
    Rule.SYNTAX: "The file can be read as YAML or JSON.",
    Rule.SCHEMA: "The object fits the schema of its kind.",
    Rule.SPEC: "The controller understands spec and annotations.",
    Rule.TEMPLATE: "The template makes a manifest, and nothing of it is left out.",
    Rule.OVERRIDE: "Every override fits, and what it makes fits the template's schema.",
    Rule.PLACEMENT: "Placement and overrides name clusters that exist and meet.",
    Rule.TYPE: "The kind is of a federated type that is known.",
    Rule.NAMESPACE: "The namespace is federated, to the clusters that the object wants.",
    Rule.DUPLICATE: "Every object stands in one place only.",
    Rule.MEMBER: "Each cluster takes what it is given, as far as files say what it serves.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say; `path` is written for people (`spec.overrides[0].clusterName`), "" is the whole document."""

    rule: Rule
    path: str
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, order=True)
class Located:
    """A finding with its place; `object` names the document (`FederatedDeployment shop/web`), "" for none."""

    file: str
    line: int
    path: str
    message: str
    severity: Severity
    rule: Rule
    object: str = ""


def failed(found: Iterable[Located]) -> bool:
    """Whether there is an error among them."""
    return any(each.severity is Severity.ERROR for each in found)
