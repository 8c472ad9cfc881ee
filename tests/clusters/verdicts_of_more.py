"""Random types with what is rare: fields that only combinators name, typed formats, nested defaults, fields kept
beside known ones, and CEL with optional values, macros, escapes, bindings, field paths and reasons."""

import random
from dataclasses import dataclass
from typing import Any

from tests.clusters.crds_server import Object, Server
from tests.clusters.verdicts import Draw, Round
from typegen import cel, validation

NAMES = ("p", "q", "r", "size", "in", "x-y", "type", "metadata", "a.b", "kind")
FORMATS: dict[str, list[str]] = {
    "date-time": ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05.5+01:00", "2026-01-02"],
    "date": ["2026-01-02", "2026-13-02"],
    "byte": ["YQ==", "YQ", ""],
    "duration": ["1h", "1m30s", "x"],
    "ipv4": ["10.0.0.1", "::1"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "a"],
    "int-x": ["a", "b"],
}
STRINGS = (
    "'a'",
    '"a"',
    "r'a'",
    "'''a'''",
    '"""a"""',
    "'\\x61'",
    "'\\u0061'",
    "'\\141'",
    '"it\'s"',
    "'\\\"'",
    "'// no'",
)


@dataclass
class More(Draw):
    """See above."""

    def _object(self, depth: int) -> Object:
        self.names = tuple(self.random.sample(NAMES, 4))
        node = super()._object(depth)
        if self.some(0.15):
            node["x-kubernetes-preserve-unknown-fields"] = True
        for rule in node.get("x-kubernetes-validations", ()):
            self.dress(rule, node)
        return node

    def dress(self, rule: Object, node: Object) -> None:
        """Everything that a rule may have beside its text."""
        if self.some(0.2):
            rule["reason"] = self.random.choice(("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"))
        if self.some(0.2):
            name = self.random.choice(sorted(node["properties"]))
            rule["fieldPath"] = f".{name}" if name.isidentifier() else f"['{name}']"
        if "oldSelf" in rule["rule"] and "oldSelf." not in rule["rule"] and self.some(0.5):
            rule["rule"] = rule["rule"].replace("self == oldSelf", "!oldSelf.hasValue() || self == oldSelf.value()")
            rule["optionalOldSelf"] = True
        if self.some(0.1):
            rule["message"] = 'it\'s "wrong" {{ here }} # : '

    def _string(self, depth: int) -> Object:
        if self.some(0.3):
            name = self.random.choice(list(FORMATS))
            return {"type": "string", "format": name, "maxLength": 40}
        return super()._string(depth)

    def _embedded(self, depth: int) -> Object:
        node = super()._embedded(depth)
        if self.some(0.5):
            known: Object = {"kind": {"type": "string"}, "spec": self._object(0), "metadata": {"type": "object"}}
            node["properties"] = known
            if self.some(0.5):
                del node["x-kubernetes-preserve-unknown-fields"]
        return node

    def branch(self, node: Object) -> Object:
        if self.some(0.15):  # what no schema names
            check: Object = self.random.choice(({"enum": ["a"]}, {"minimum": 1}, {"required": ["z"]}, {"maxLength": 1}))
            return {"properties": {self.random.choice(("z", "y")): check}}
        if self.some(0.1):
            return {"required": ["z"]}
        if self.some(0.1):
            return {"items": {"properties": {"z": {"enum": ["a"]}}}}
        made = super().branch(node)
        if "metadata" in (made.get("properties") or {}):
            return {"required": ["metadata"]}
        return made

    def literal(self, child: Object) -> str:
        if child.get("type") == "string" and not child.get("format"):
            return self.random.choice(STRINGS)
        return "" if child.get("format") else super().literal(child)

    def rule(self, node: Object, self_: str = "self", depth: int = 2) -> str:
        if self.some(0.5):
            return super().rule(node, self_, depth)
        name = self.random.choice(sorted(node["properties"]))
        child, spelled = node["properties"][name], cel.identifier(name)
        path = f"{self_}.{spelled}"
        found = [f"has({path}) ? has({path}) : true", f"{self_}.?{spelled}.hasValue()", f"size([{path}]) == 1"]
        found += [f"cel.bind(v, {path}, v == v)", f"[{path}].exists_one(v, v == {path})", f"dyn({path}) == dyn({path})"]
        found += [
            f"{self_}.?{spelled}.optMap(v, v == {path}).orValue(true)",
            f"({path}) == {path}",
            f"type({path}) == type({path})",
        ]
        found += [f"optional.of({path}).value() == {path}", f"!( has( {self_} . {spelled} ) && false )"]
        literal = self.literal(child)
        if literal:
            found += [
                f"[{literal}].all(v, {path} != v)",
                f"{{'k': {path}}}.k == {literal}",
                f"{{{literal}: 1}}[{path}] == 1",
            ]
            found += [
                f"(has({path}) ? {path} : {literal}) == {literal}",
                f"{path} == {literal} ? true : {path} != {literal}",
            ]
        if child.get("type") == "string" and not child.get("format"):
            found += [
                f"{path}.startsWith('a')",
                f"{path}.matches(r'^a|\\\\b')",
                f"{path} + 'x' != 'ax'",
                f"size({path}) < 3",
            ]
            found += [f"{path}.lowerAscii().contains('a')", f"'%s'.format([{path}]) != 'a'", f"{path}.size() in [0, 1]"]
        if child.get("format") == "duration":
            found += [f"{path} > duration('1m')", f"!has({path}) || {path}.getSeconds() > 0"]
        if child.get("format") == "date-time":
            found += [f"{path} > timestamp('2020-01-01T00:00:00Z')", f"{path}.getFullYear() == 2026"]
        if child.get("format") == "byte":
            found += [f"size({path}) > 0", f"string({path}) == 'a'"]
        if child.get("type") in ("integer", "number"):
            found += [
                f"{path} + {path} > {path}",
                f"-{path} < {path}",
                f"double({path}) > 0.5",
                f"{path} > 0 && {path} < 3",
            ]
        if child.get("x-kubernetes-int-or-string"):
            found += [f"type({path}) == int ? {path} > 0 : {path} != 'a'", f"string({path}) != '1'"]
        if child.get("type") == "array":
            found += [f"{path}.map(v, v).size() > 0", f"{path} + {path} != {path}", f"{path}[0] == {path}[0]"]
            found += [f"{path}.exists(i, v, i > 0)", f"{path} == []", f"[] != {path}", f"size({path} + {path}) < 4"]
            found += [f"{self_}.?{spelled}[?0].hasValue()", f"{path}.all(v, v == v)"]
            if child["items"].get("type") == "string" and not child["items"].get("format"):
                found += [f"'a' in {path}", f"{path}.isSorted()", f"{path}.indexOf('a') < 1"]
        if child.get("additionalProperties"):
            found += [
                f"{path}[?'a'].hasValue()",
                f"{path} == {{}}",
                f"{path}.exists(k, k == 'a' && {path}[k] == {path}['a'])",
            ]
            found += [f"{path}.transformList(k, v, k).size() < 2", f"'a' in {path} && {path}['a'] == {path}.a"]
        if child.get("properties"):
            inner = self.random.choice(sorted(child["properties"]))
            below = f"{path}.{cel.identifier(inner)}"
            found += [f"has({path}) && has({below})", f"{self_}.?{spelled}.?{cel.identifier(inner)}.hasValue()"]
            found += [
                f"cel.bind(v, {path}, has(v.{cel.identifier(inner)}))",
                f"[{path}].all(v, has(v.{cel.identifier(inner)}))",
            ]
            found += [f"{path} == {path}", f"(has({path}) ? has({below}) : false)"]
        return self.random.choice(found)

    def value(self, node: Object, strange: float = 0.06) -> Any:
        if node.get("format") in FORMATS and not self.some(strange):
            return self.random.choice(FORMATS[node["format"]])
        made = super().value(node, strange)
        if isinstance(made, dict) and node.get("properties"):
            if node.get("x-kubernetes-preserve-unknown-fields") and self.some(0.4):
                made[self.random.choice(("z", "y"))] = self.random.choice(("a", 1, None, {"z": 1}, ["a"]))
            if node.get("x-kubernetes-embedded-resource"):
                fields = {key: child for key, child in node["properties"].items() if key == "spec"}
                made["spec"] = super().value(fields["spec"], strange) if fields else None
        return made

    def field(self, depth: int) -> Object:
        node = super().field(depth)
        if node.get("properties") and "default" not in node and self.some(0.3):
            choices: tuple[Any, ...] = ({}, self.value(node, 0))
            for value in choices:
                if not any(validation.problems(node, value)):
                    node["default"] = value
                    break
        return node


def round_of(server: Server, seed: int) -> Round:
    return Round(server, More(random.Random(seed)), f"w{seed}.random.example.com")
