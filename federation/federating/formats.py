"""Findings as text for people, as GitHub annotations, and as SARIF 2.1.0 for code scanning."""

import json
from collections.abc import Sequence

from federation.federating.findings import MEANINGS, Located, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def text(found: Sequence[Located]) -> list[str]:
    """`file:line: error: FederatedDeployment shop/web: spec.template.spec: message [rule]`."""
    lines = []
    for each in found:
        parts = [
            f"{each.file}:{each.line}",
            each.severity.value,
            each.object,
            each.path,
            f"{each.message} [{each.rule}]",
        ]
        lines.append(": ".join(part for part in parts if part))
    return lines


def github(found: Sequence[Located]) -> list[str]:
    """Workflow commands, one for each finding (escaped as GitHub's toolkit does)."""
    lines = []
    for each in found:
        title = ": ".join(part for part in (each.object, each.path) if part) or "fedctl validate"
        place = f"file={_property(each.file)},line={each.line},title={_property(title)}"
        lines.append(f"::{each.severity.value} {place}::{_data(f'{each.message} [{each.rule}]')}")
    return lines


def sarif(found: Sequence[Located], notes: Sequence[str], version: str) -> str:
    """A SARIF log with one run; `notes` (what was not checked) become notifications of the tool."""
    driver = {
        "name": "fedctl validate",
        "version": version,
        "rules": [{"id": rule.value, "shortDescription": {"text": MEANINGS[rule]}} for rule in Rule],
    }
    invocation = {
        "executionSuccessful": True,
        "toolExecutionNotifications": [{"level": "note", "message": {"text": note}} for note in notes],
    }
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": [_result(each) for each in found]}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _result(found: Located) -> dict[str, object]:
    location: dict[str, object] = {
        "physicalLocation": {
            "artifactLocation": {"uri": found.file.replace("\\", "/")},
            "region": {"startLine": found.line},
        }
    }
    if found.path or found.object:
        name = " ".join(part for part in (found.object, found.path) if part)
        location["logicalLocations"] = [{"fullyQualifiedName": name}]
    return {
        "ruleId": found.rule.value,
        "level": found.severity.value,
        "message": {"text": f"{found.path}: {found.message}" if found.path else found.message},
        "locations": [location],
    }


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
