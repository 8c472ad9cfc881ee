"""Placement and overrides for new federated objects, as the user asks for them.

Parsed from the flags of `fedctl federate` or from the KRM function's configuration; applied by wrapping.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from federation.core import checks, overrides, selectors
from federation.model.errors import Invalid

EVERYWHERE: Mapping[str, Any] = {"matchLabels": {}}
"""KubeFed's default placement: every cluster, also those that join later."""

_IN = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<not>not)?in\s*\((?P<values>[^()]*)\)", re.IGNORECASE)
_EQUAL = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)")
_EXISTS = re.compile(r"(?P<not>!\s*)?(?P<key>[^\s!=,()]+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One override. `op` "" replaces the field where the object has it, and adds it where it has not."""

    path: str
    value: Any = None
    op: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """If both are given, `clusters` counts and `selector` does not, as in a placement; both None: every cluster."""

    clusters: tuple[str, ...] | None = None
    selector: Mapping[str, Any] | None = None
    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)

    @property
    def placement(self) -> dict[str, Any]:
        """spec.placement."""
        if self.clusters is not None:
            return {"clusters": [{"name": name} for name in self.clusters]}
        return {"clusterSelector": dict(EVERYWHERE if self.selector is None else self.selector)}


def clusters(words: Iterable[str], where: str = "--placement") -> tuple[str, ...]:
    """Names of clusters, also several in one word, separated by commas; () for one empty word."""
    names = [name.strip() for word in words for name in word.split(",")]
    return tuple(dict.fromkeys(checks.dns_1123(name, where) for name in names if name))


def selector(text: str, where: str = "--cluster-selector") -> dict[str, Any]:
    """A label selector as kubectl's -l (`tier=edge,region!=eu,zone in (a,b),!lab`) as metav1.LabelSelector."""
    labels: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for part in re.split(r",(?![^()]*\))", text):
        term = part.strip()
        if not term:
            if text.strip():
                raise Invalid(where, f"{checks.quote(text, 200)} has an empty part")
            continue
        if found := _IN.fullmatch(term):
            operator = "NotIn" if found["not"] else "In"
            values = [value.strip() for value in found["values"].split(",")]
            expressions.append({"key": found["key"], "operator": operator, "values": values})
        elif found := _EQUAL.fullmatch(term):
            key, value = found["key"], found["value"]
            if found["op"] == "!=":
                expressions.append({"key": key, "operator": "NotIn", "values": [value]})
            elif labels.setdefault(key, value) != value:
                raise Invalid(where, f"label {key} cannot be {labels[key]} and {value} at once")
        elif found := _EXISTS.fullmatch(term):
            expressions.append({"key": found["key"], "operator": "DoesNotExist" if found["not"] else "Exists"})
        else:
            raise Invalid(where, f"{checks.quote(term)} is not a requirement such as tier=edge, zone in (a,b) or !lab")
    made: dict[str, Any] = {}
    if labels or not expressions:
        made["matchLabels"] = labels
    if expressions:
        made["matchExpressions"] = expressions
    selectors.check(made, where)
    return made


def override(word: str, where: str = "--override") -> tuple[str, Change]:
    """`CLUSTER:PATH=VALUE`, or `CLUSTER:PATH-` to remove a field; VALUE is JSON if it can be parsed, else text.

    The path is a JSON pointer into the object; it ends at the first `=`.
    """
    cluster, colon, rest = word.partition(":")
    path, equals, text = rest.partition("=")
    if not colon or not (equals or path.endswith("-")):
        raise Invalid(
            where, f"{checks.quote(word, 200)} should read CLUSTER:PATH=VALUE (east:/spec/replicas=5) or CLUSTER:PATH-"
        )
    checks.dns_1123(cluster, where)
    if not equals:
        return cluster, Change(_pointer(path.removesuffix("-"), where), op="remove")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        value = text
    return cluster, Change(_pointer(path, where), value)


def changes(words: Iterable[str], where: str = "--override") -> dict[str, tuple[Change, ...]]:
    """The overrides of several words, by cluster in the order in which they are first named."""
    found: dict[str, tuple[Change, ...]] = {}
    for word in words:
        cluster, change = override(word, where)
        if any(change.path == known.path for known in found.get(cluster, ())):
            raise Invalid(where, f"{cluster}: {change.path} is given twice")
        found[cluster] = (*found.get(cluster, ()), change)
    return found


def of_overrides(items: object, where: str) -> dict[str, tuple[Change, ...]]:
    """spec.overrides as KubeFed writes them. Raises Invalid with the path of what is wrong."""
    found: dict[str, tuple[Change, ...]] = {}
    for index, item in enumerate(checks.sequence(items, where)):
        here = f"{where}[{index}]"
        body = checks.mapping(item, here)
        cluster = checks.string(body.get("clusterName"), f"{here}.clusterName")
        if cluster in found:
            raise Invalid(f"{here}.clusterName", f"cluster {checks.quote(cluster)} is already named above")
        operations = checks.sequence(body.get("clusterOverrides"), f"{here}.clusterOverrides")
        found[cluster] = tuple(
            _change(each, f"{here}.clusterOverrides[{place}]") for place, each in enumerate(operations)
        )
    return found


def _change(item: object, where: str) -> Change:
    body = checks.mapping(item, where)
    op = checks.choice(body.get("op") or None, f"{where}.op", overrides.OPS, default=overrides.DEFAULT)
    return Change(_pointer(checks.string(body.get("path"), f"{where}.path"), f"{where}.path"), body.get("value"), op)


def _pointer(path: str, where: str) -> str:
    if not path.startswith("/"):
        raise Invalid(
            where, f"{checks.quote(path, 200)} must be a JSON pointer such as /spec/replicas: start it with /"
        )
    return path


def _no_constant(word: str) -> Any:
    raise ValueError(word)
