"""Label selectors as kubectl's -l takes them: `app=web,tier!=db,region in (eu,us),!old`. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from federation.core import selectors
from federation.model.errors import Invalid

_SET = re.compile(r"(?P<key>[^\s=!,()]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s=!,()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s=!,()]*)")
_EXISTS = re.compile(r"(?P<not>!?)\s*(?P<key>[^\s=!,()]+)")
_FIELD = "-l"

Matches = Callable[[Mapping[str, str]], bool]


def matcher(text: str) -> Matches:
    """Whether labels are selected by a text; every one is by "". Raises Invalid."""
    selector = parse(text)
    selectors.check(selector, _FIELD)
    return lambda labels: selectors.matches(selector, labels)


def parse(text: str) -> dict[str, Any]:
    """The text as a metav1.LabelSelector. Raises Invalid."""
    expressions: list[dict[str, Any]] = []
    rest = text.strip()
    while rest:
        found = _SET.match(rest) or _EQUAL.match(rest) or _EXISTS.match(rest)
        if found is None:
            raise Invalid(_FIELD, f"is no label selector: it cannot be read from {rest[:40]!r} on")
        expressions.append(_expression(found))
        rest = rest[found.end() :].lstrip()
        if rest and not rest.startswith(","):
            raise Invalid(_FIELD, f"is no label selector: there must be a comma before {rest[:40]!r}")
        if rest and not (rest := rest[1:].lstrip()):
            raise Invalid(_FIELD, "is no label selector: it ends with a comma")
    return {"matchExpressions": expressions} if expressions else {}


def _expression(found: re.Match[str]) -> dict[str, Any]:
    groups, key = found.groupdict(), found["key"]
    if "values" in groups:
        values = [each.strip() for each in groups["values"].split(",")]
        return {"key": key, "operator": "In" if groups["operator"] == "in" else "NotIn", "values": values}
    if "value" in groups:
        return {"key": key, "operator": "NotIn" if groups["operator"] == "!=" else "In", "values": [groups["value"]]}
    return {"key": key, "operator": "DoesNotExist" if groups["not"] else "Exists"}
