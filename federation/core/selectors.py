"""Label selectors: which clusters a placement means; used by placement and, for errors, by parsing.

metav1.LabelSelector semantics: all requirements must hold, `{}` matches everything, NotIn and DoesNotExist match where
the key is absent.
"""

from collections.abc import Mapping
from typing import Any

from federation.core import checks
from federation.model.errors import Invalid

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def check(selector: object, field: str = "") -> None:
    """Raise Invalid, with a path under `field`, unless `selector` is a metav1.LabelSelector as decoded JSON."""
    body = checks.mapping(selector, field)
    prefix = f"{field}." if field else ""
    for name in body:
        if name not in ("matchLabels", "matchExpressions"):
            raise Invalid(f"{prefix}{name}", "a selector holds only matchLabels and matchExpressions")
    where = f"{prefix}matchLabels"
    for key, value in checks.mapping(body.get("matchLabels"), where).items():
        checks.label_key(key, where)
        checks.label_value(value, f"{where}[{key}]")
    where = f"{prefix}matchExpressions"
    for index, item in enumerate(checks.sequence(body.get("matchExpressions"), where)):
        _check_expression(item, f"{where}[{index}]")


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a checked selector selects something that carries these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or ())


def _check_expression(item: object, where: str) -> None:
    expression = checks.mapping(item, where)
    checks.label_key(checks.string(expression.get("key"), f"{where}.key"), f"{where}.key")
    operator = checks.choice(expression.get("operator"), f"{where}.operator", _OPERATORS)
    values = checks.sequence(expression.get("values"), f"{where}.values")
    if operator in ("In", "NotIn"):
        if not values:
            raise Invalid(f"{where}.values", f"operator {operator} needs at least one value")
        for index, value in enumerate(values):
            checks.label_value(value, f"{where}.values[{index}]")
    elif values:
        raise Invalid(f"{where}.values", f"operator {operator} takes no values")


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key = expression["key"]
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in expression["values"]
        case "NotIn":
            return key not in labels or labels[key] not in expression["values"]
        case "Exists":
            return key in labels
    return key not in labels
