"""Label selectors: which clusters a placement means; used by placement and, for errors, by parsing.

metav1.LabelSelector semantics: all requirements must hold, `{}` matches everything, NotIn and DoesNotExist match where
the key is absent.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any

from federation.core import checks
from federation.model.errors import Invalid

LABELS = 64
"""Entries of matchLabels, at most; the CRDs have the same limits."""
EXPRESSIONS = 64
"""Entries of matchExpressions, at most."""
VALUES = 256
"""Values of one expression, at most."""
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def check(selector: object, field: str = "") -> None:
    """Raise Invalid, with a path under `field`, unless `selector` is a metav1.LabelSelector as decoded JSON."""
    body = checks.mapping(selector, field)
    prefix = f"{field}." if field else ""
    for name in body:
        if name not in ("matchLabels", "matchExpressions"):
            raise Invalid(f"{prefix}{name}", "a selector holds only matchLabels and matchExpressions")
    where = f"{prefix}matchLabels"
    labels = checks.mapping(body.get("matchLabels"), where)
    checks.at_most(labels, LABELS, where)
    for key, value in labels.items():
        checks.label_key(key, where)
        checks.label_value(value, f"{where}[{key}]")
    where = f"{prefix}matchExpressions"
    expressions = checks.sequence(body.get("matchExpressions"), where)
    checks.at_most(expressions, EXPRESSIONS, where)
    for index, item in enumerate(expressions):
        _check_expression(item, f"{where}[{index}]")


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a checked selector selects something that carries these labels."""
    compare = matcher(selector)
    return compare is None or compare(labels)


def matcher(selector: Mapping[str, Any]) -> Callable[[Mapping[str, str]], bool] | None:
    """A checked selector, prepared for many to be compared with: each takes time by the number of expressions alone.

    None where it selects everything.
    """
    labelled = selector.get("matchLabels") or {}
    if not selector.get("matchExpressions"):
        if len(labelled) == 1:
            ((only, value),) = labelled.items()
            return lambda labels: labels.get(only) == value  # most selectors: 0.2 us for each cluster, not 1.5
        return (lambda labels: labelled.items() <= labels.items()) if labelled else None
    wanted = tuple(labelled.items())
    expressions = [
        (each["key"], each["operator"], frozenset(each.get("values") or ()))
        for each in selector.get("matchExpressions") or ()
    ]

    def matches(labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in wanted) and all(
            _holds(key, operator, values, labels) for key, operator, values in expressions
        )

    return matches


def query(selector: Mapping[str, Any]) -> str:
    """The same selector as the text of a request's labelSelector."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, values = each["key"], ",".join(each.get("values") or ())
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(
                each["operator"], f"!{key}"
            )
        )
    return ",".join(parts)


def unmet(selector: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """What a checked selector asks for and these labels do not have, in words; nothing where it selects them."""
    found = [
        f"{key}={value} ({_has(key, labels)})"
        for key, value in (selector.get("matchLabels") or {}).items()
        if labels.get(key) != value
    ]
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each["key"], each["operator"], sorted(each.get("values") or ())
        if not _holds(key, operator, frozenset(values), labels):
            listed = f" ({', '.join(values)})" if values else ""
            found.append(f"{key} {operator}{listed} ({_has(key, labels)})")
    return found


def _has(key: str, labels: Mapping[str, str]) -> str:
    return f"it has {key}={labels[key]}" if key in labels else f"it has no label {key}"


def _check_expression(item: object, where: str) -> None:
    expression = checks.mapping(item, where)
    checks.label_key(checks.string(expression.get("key"), f"{where}.key"), f"{where}.key")
    operator = checks.choice(expression.get("operator"), f"{where}.operator", _OPERATORS)
    values = checks.sequence(expression.get("values"), f"{where}.values")
    checks.at_most(values, VALUES, f"{where}.values")
    if operator in ("In", "NotIn"):
        if not values:
            raise Invalid(f"{where}.values", f"operator {operator} needs at least one value")
        for index, value in enumerate(values):
            checks.label_value(value, f"{where}.values[{index}]")
    elif values:
        raise Invalid(f"{where}.values", f"operator {operator} takes no values")


def _holds(key: str, operator: str, values: Set[str], labels: Mapping[str, str]) -> bool:
    match operator:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
    return key not in labels
