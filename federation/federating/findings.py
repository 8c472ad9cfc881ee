"""The findings of `fedctl validate`: the checks make them, `formats` prints them."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """ERROR: the API server or the controller would refuse it. WARNING: it would not do what is probably meant."""

    ERROR = "error"
    WARNING = "warning"


class Rule(enum.StrEnum):
    """Which check found it. These are rule ids in SARIF output, so they must not change."""

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
    OUTDATED = "outdated"


MEANINGS = {
    Rule.SYNTAX: "The file can be read as YAML or JSON.",
    Rule.SCHEMA: "The object fits the schema of its kind.",
    Rule.SPEC: "The controller understands spec and annotations.",
    Rule.TEMPLATE: "The template makes a manifest, and nothing of it is left out.",
    Rule.OVERRIDE: "Every override can be applied, and its result fits the template's schema.",
    Rule.PLACEMENT: "Placement and overrides name clusters that exist, and overrides only clusters of the placement.",
    Rule.TYPE: "The kind belongs to a known federated type.",
    Rule.NAMESPACE: "The namespace is federated to all clusters of the object's placement.",
    Rule.DUPLICATE: "Every object is defined only once.",
    Rule.OUTDATED: "It is written for a current API, and has no fields that only a server writes.",
    Rule.MEMBER: "Each cluster accepts its object, according to the files that describe what it serves.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `path` is as people write it (`spec.overrides[0].clusterName`), "" for the whole document."""

    rule: Rule
    path: str
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, order=True)
class Located:
    """A finding with file and line; `object` names the document (`FederatedDeployment shop/web`), "" for none."""

    file: str
    line: int
    path: str
    message: str
    severity: Severity
    rule: Rule
    object: str = ""


def failed(found: Iterable[Located]) -> bool:
    """Whether one of them is an error."""
    return any(each.severity is Severity.ERROR for each in found)
