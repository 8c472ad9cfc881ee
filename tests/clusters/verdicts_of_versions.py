"""Random types of several versions, each a little other than the first; see verdicts for the rest."""

import copy
import random
import time
from dataclasses import dataclass, field
from typing import Any

from tests.clusters import verdicts
from tests.clusters.crds_server import DEFINITIONS, Object, Server
from tests.clusters.verdicts import Draw, Finding, Round
from typegen import federate

ODD = ("p", "q", "r", "x-y", "a.b", "in", "a__b", "items", "type", "metadata")
"""Names that CEL spells in another way, that a path cannot tell apart, that are keywords of schemas, and one that no
combinator may name."""
FREE: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_KEYWORDS = (
    *("minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "multipleOf", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "required", "default", "nullable", "x-kubernetes-validations", "allOf"),
    *("anyOf", "oneOf", "not", "x-kubernetes-list-type", "format"),
)
_BOUNDS: dict[str, list[Object]] = {
    "string": [{"minLength": 1}, {"enum": ["a", "bb"]}, {"pattern": "b"}, {"maxLength": 2}],
    "integer": [{"minimum": 1}, {"maximum": 1}, {"multipleOf": 2}],
    "array": [{"minItems": 1}, {"maxItems": 1}],
}


@dataclass
class Versions(Draw):
    """Draws a type, and other versions of it."""

    def _object(self, depth: int) -> Object:
        self.names = tuple(self.random.sample(ODD, 3))
        return super()._object(depth)

    def other(self, first: Object, depth: int = 3) -> Object:
        """Another version: fields come and go, get other types, bounds, defaults and rules."""
        node = copy.deepcopy(first)
        chance = self.random.random()
        if chance < 0.06:
            return dict(FREE)  # as old versions often are
        if chance < 0.16 and depth < 3:
            return self.field(depth)
        if chance < 0.25:
            gone = next((word for word in self.random.sample(_KEYWORDS, 6) if word in node), "")
            node.pop(gone, None)
            if gone == "x-kubernetes-list-type":
                node.pop("x-kubernetes-list-map-keys", None)
        if chance > 0.8 and node.get("type") in _BOUNDS and not node.get("format"):
            node |= self.random.choice(_BOUNDS[node["type"]])
        if isinstance(node.get("properties"), dict):
            self._fields(node, depth)
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict) and self.some(0.4):
                node[key] = self.other(node[key], depth - 1)
        return node

    def branch(self, node: Object) -> Object:
        made = super().branch(node)
        return {"required": ["metadata"]} if "metadata" in (made.get("properties") or {}) else made

    def value(self, node: Object, strange: float = 0.06) -> Any:
        """Of what keeps unknown fields, it may have the other versions' fields with any value."""
        if node.get("x-kubernetes-preserve-unknown-fields") and not node.get("properties") and self.some(0.6):
            odd: tuple[Any, ...] = ("a", "zz", 1, 7, True, None, ["a", None], {"p": "a", "q": None}, [{"r": 1}])
            return {name: self.random.choice(odd) for name in self.random.sample(ODD, self.random.randint(1, 4))}
        return super().value(node, strange)

    def _fields(self, node: Object, depth: int) -> None:
        fields = node["properties"]
        for name in list(fields):
            if self.some(0.35):
                fields[name] = self.other(fields[name], depth - 1)
            elif self.some(0.08):
                del fields[name]
        if self.some(0.15) or not fields:
            fields["more"] = self.field(1)
        node["required"] = [name for name in node.get("required", ()) if name in fields]
        if not node["required"]:
            del node["required"]
        if self.some(0.2):
            node["x-kubernetes-validations"] = [{"rule": self.rule(node)}]
        if self.some(0.2):
            node["anyOf"] = [self.branch(node)]


@dataclass
class VersionsRound(Round):
    """One CRD of two or three versions; a value is given to one of them, and to a template that names it."""

    names: list[str] = field(default_factory=list)

    def run(self, count: int, values: int) -> None:
        draw = self.draw
        assert isinstance(draw, Versions)
        self.names = draw.random.sample(["v1", "v2", "v1beta1", "v2alpha1"], draw.random.choice((2, 2, 3)))
        forms: dict[str, dict[str, Object]] = {version: {} for version in self.names}
        while len(forms[self.names[0]]) < count:
            first = draw.schema()
            drawn = [first, *(draw.other(first) for _ in self.names[1:])]
            case = {version: {"case": each} for version, each in zip(self.names, drawn, strict=True)}
            if all(each.get("type") == "object" for each in drawn) and self._is_served(case):
                at = f"case{len(forms[self.names[0]])}"
                for version, each in zip(self.names, drawn, strict=True):
                    forms[version][at] = each
        target = crd(self.group, forms)
        made = federate.from_crd(target)
        answer = self.server.create(DEFINITIONS, made.crd)
        if answer.code != 201:
            self._blame_versions(forms, answer.body["message"])
            return
        try:
            self.server.establish([target, made.crd])
            time.sleep(1)  # the other versions follow the first
            for name in forms[self.names[0]]:
                self.schemas += 1
                for version in self.names:
                    self._ask(forms, name, version, made.target.version, values)
        finally:
            self.server.remove([target, made.crd])
            self._close()

    def _is_served(self, case: dict[str, dict[str, Object]]) -> bool:
        return self.server.create(DEFINITIONS, crd(self.group, case)).code == 201

    def _blame_versions(self, forms: dict[str, dict[str, Object]], message: str) -> None:
        for name in forms[self.names[0]]:
            alone = {version: {name: fields[name]} for version, fields in forms.items()}
            answer = self.server.create(DEFINITIONS, federate.from_crd(crd(self.group, alone)).crd)
            if answer.code != 201:
                self.findings.append(Finding(alone, {}, None, None, answer.body["message"]))
        if not self.findings:
            self.findings.append(Finding({}, {}, None, None, message))

    def _ask(self, forms: dict[str, dict[str, Object]], name: str, version: str, preferred: str, values: int) -> None:
        for _ in range(values):
            value = self.draw.value(forms[version][name], 0.03)
            named = {"apiVersion": f"{self.group}/{version}"}
            body = {**named, "kind": "Thing", "metadata": {"name": "x"}, "spec": {name: value}}
            self.compared += 1
            if self._verdict("POST", f"/apis/{self.group}/{version}/things", body)[0] != 201:
                continue
            self.taken += 1
            for template in ({**named, "spec": {name: value}}, {"spec": {name: value}}):
                if version != preferred and "apiVersion" not in template:
                    continue
                wrapped = {**self._wrapped(name, value), "spec": {"template": template}}
                code, answer = self._verdict("POST", verdicts.FEDERATED, wrapped)
                if code != 201:
                    alone = {each: fields[name] for each, fields in forms.items()}
                    self.findings.append(Finding(alone, {}, version, template, answer.get("message")))


def crd(group: str, forms: dict[str, dict[str, Object]]) -> Object:
    """One CRD with these fields of `spec` in each version, the first of them stored."""
    made = verdicts.crd(group, {})
    made["spec"]["versions"] = [
        {**verdicts.crd(group, fields)["spec"]["versions"][0], "name": version, "storage": not at}
        for at, (version, fields) in enumerate(forms.items())
    ]
    return made


def round_of(server: Server, seed: int) -> VersionsRound:
    return VersionsRound(server, Versions(random.Random(seed)), f"m{seed}.random.example.com")
