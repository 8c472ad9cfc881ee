"""Random small types and values, and what an API server says of each as a target and as a template.

The property: what the federated type refuses, the target refuses; so whatever a target's API server takes, its
federated type takes. Many schemas share one CRD, each below a field of its own, because a CRD takes a second to be
served; a value is given to one of them at a time.
"""

import http.client
import json
import random
import ssl
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.clusters.crds_server import DEFINITIONS, Object, Server
from typegen import cel, definitions, federate, validation

FEDERATED = "/apis/types.kubefed.io/v1beta1/federatedthings"
TEXTS = ("a", "b", "bb", "")
NAMES = ("p", "q", "r")


@dataclass
class Draw:
    """Schemas and values from one seed."""

    random: random.Random
    names: Sequence[str] = NAMES

    def some(self, share: float) -> bool:
        return self.random.random() < share

    def schema(self, depth: int = 3) -> Object:
        kinds = ["string", "string", "boolean", "integer", "number", "int-or-string"]
        kinds += ["object", "object", "object", "array", "map", "free", "embedded"] if depth else []
        return getattr(self, f"_{self.random.choice(kinds)}".replace("-", "_"))(depth)  # type: ignore[no-any-return]

    def _string(self, _: int) -> Object:
        extra: list[Object] = [{}, {"enum": ["a", "bb"]}, {"minLength": 1}, {"pattern": "^a"}, {"maxLength": 1}]
        return {"type": "string", "maxLength": 5, **self.random.choice(extra)}

    def _boolean(self, _: int) -> Object:
        return {"type": "boolean"}

    def _integer(self, _: int) -> Object:
        extra: list[Object] = [{}, {"minimum": 1}, {"maximum": 2}, {"multipleOf": 2}, {"enum": [1, 2]}]
        return {"type": "integer", **self.random.choice(extra)}

    def _number(self, _: int) -> Object:
        return {"type": "number", **self.random.choice([{}, {"minimum": 1, "exclusiveMinimum": True}])}

    def _int_or_string(self, _: int) -> Object:
        return {"x-kubernetes-int-or-string": True, "maxLength": 5}

    def _free(self, _: int) -> Object:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "maxProperties": 4}

    def _embedded(self, _: int) -> Object:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-embedded-resource": True}

    def _map(self, depth: int) -> Object:
        node: Object = {"type": "object", "maxProperties": 3, "additionalProperties": self.field(depth - 1)}
        return node | ({"minProperties": 1} if self.some(0.3) else {})

    def _array(self, depth: int) -> Object:
        node: Object = {"type": "array", "maxItems": 3, "items": self.field(depth - 1)}
        if self.some(0.3):
            node["minItems"] = 1
        items = node["items"]
        keys = [name for name, child in (items.get("properties") or {}).items() if child.get("type") == "string"]
        if keys and self.some(0.5) and not items.get("nullable"):
            key = keys[0]
            node |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
            items["properties"][key].pop("nullable", None)
            items.pop("default", None)
            if "default" not in items["properties"][key]:
                items["required"] = sorted({*items.get("required", ()), key})
        elif items.get("type") in ("string", "integer") and self.some(0.5):
            node["x-kubernetes-list-type"] = "set"
        return node

    def _object(self, depth: int) -> Object:
        node: Object = {"type": "object"}
        chosen = self.random.sample(list(self.names), self.random.randint(1, 3))
        node["properties"] = {name: self.field(depth - 1) for name in chosen}
        if self.some(0.4):
            node["required"] = sorted(self.random.sample(chosen, self.random.randint(1, len(chosen))))
        if self.some(0.3):
            node["minProperties"] = self.random.randint(1, 3)
        if self.some(0.15):
            node["maxProperties"] = self.random.randint(1, 3)
        if self.some(0.35):
            keyword = self.random.choice(("allOf", "anyOf", "oneOf"))
            node[keyword] = [self.branch(node) for _ in range(self.random.randint(1, 2))]
        if self.some(0.15):
            node["not"] = self.branch(node)
        if self.some(0.6):
            rules = [self.rule(node) for _ in range(self.random.randint(1, 2))]
            node["x-kubernetes-validations"] = [
                {"rule": rule, **({"messageExpression": f"'said ' + ({rule} ? 'a' : 'b')"} if self.some(0.2) else {})}
                for rule in dict.fromkeys(rules)
            ]
        return node

    def field(self, depth: int) -> Object:
        """A schema that may be null and may have a default, one that it takes itself."""
        node = self.schema(max(depth, 0))
        if self.some(0.15):
            node["nullable"] = True
        if self.some(0.45):
            for _ in range(6):
                value = self.value(node, strange=0)
                if value is not None and not any(validation.problems(node, value)):
                    node["default"] = value
                    break
        return node

    def branch(self, node: Object) -> Object:
        """What a combinator says of an object."""
        names = sorted(node["properties"])
        name = self.random.choice(names)
        child = node["properties"][name]
        checks: list[Object] = [{"required": [name]}, {"required": names}, {"minProperties": self.random.randint(1, 3)}]
        checks.append({"not": {"required": [name]}})
        if child.get("type") in ("string", "boolean", "integer"):
            checks += [{"properties": {name: {"enum": [self.value({**child, "nullable": False}, strange=0)]}}}] * 3
            checks.append({"required": [name], **checks[-1]})
        if child.get("properties"):
            checks.append({"properties": {name: self.branch(child)}})
        return self.random.choice(checks)

    def literal(self, child: Object) -> str:
        match child.get("type"):
            case "string":
                return self.random.choice(("'a'", "'bb'", '"a"', "r'b'", "'''a'''"))
            case "boolean":
                return self.random.choice(("true", "false"))
            case "integer":
                return str(self.random.randint(0, 3))
            case "number":
                return f"{self.random.randint(0, 3)}.0"
        return ""

    def rule(self, node: Object, self_: str = "self", depth: int = 2) -> str:
        """A CEL rule that compiles: it reads fields, or objects as a whole, old ones too."""
        name = self.random.choice(sorted(node["properties"]))
        child, spelled = node["properties"][name], cel.identifier(name)
        path = f"{self_}.{spelled}"
        old = path.replace("self", "oldSelf", 1)
        found = [f"has({path})", f"!has({path})", f"!has( {path} ) // it's ("]
        if self_ == "self":
            found += ["self == oldSelf"] if self.some(0.3) else []
            found += [f"!has(oldSelf.{spelled}) || !has({path}) || {path} == {old}", f"{path} == {old}"]
        literal = self.literal(child)
        if literal:
            found += [f"{path} {sign} {literal}" for sign in ("==", "!=")]
            found += [f"!has({path}) || {path} != {literal}", f"{path} == {literal} || has({path}) // it's a"]
            found += [f"{self_}.?{spelled}.orValue({literal}) == {literal}", f"{path} in [{literal}]"]
        if child.get("properties") and depth:
            found += [self.rule(child, path, depth - 1)] * 3
        if child.get("type") == "array":
            found += [f"size({path}) > 0", f"{path}.size() < 2", f"{path}.all(x, {path}.exists(y, x == y))"]
            if child["items"].get("properties"):
                found += [f"{path}.all(x, {self.rule(child['items'], 'x', 0)}\n)"] * 3
                found += [f"size({path}.filter(x, {self.rule(child['items'], 'x', 0)}\n)) < 2"]
                found += [f"{path}.filter(x, true) == {path}"]
        if child.get("additionalProperties"):
            found += [f"{path}.all(k, k in {path})", f"size({path}) > 1", f"'a' in {path}"]
            if child["additionalProperties"].get("properties"):
                found += [f"{path}.all(k, {self.rule(child['additionalProperties'], f'{path}[k]', 0)}\n)"] * 2
                found += [f"{path}.all(k, v, {self.rule(child['additionalProperties'], 'v', 0)}\n)"]
        return self.random.choice(found)

    def value(self, node: Object, strange: float = 0.06) -> Any:
        """A value that may fit the schema."""
        if self.some(strange + 0.1 * ("default" in node)) or (node.get("nullable") and self.some(0.2)):
            return None
        if self.some(strange / 2):
            return self.random.choice(("a", 1, True, {}, []))
        if node.get("enum") and self.some(0.8):
            return self.random.choice(node["enum"])
        if node.get("x-kubernetes-int-or-string"):
            return self.random.choice((1, "a"))
        if node.get("x-kubernetes-embedded-resource"):
            return {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"p": 1}}
        match node.get("type"):
            case "string":
                return self.random.choice(TEXTS)
            case "boolean":
                return self.some(0.5)
            case "integer":
                return self.random.randint(0, 3)
            case "number":
                return self.random.choice((0, 1, 1.5, 3))
            case "array":
                return [self.value(node["items"], strange) for _ in range(self.random.randint(0, 3))]
        known = node.get("properties") or {}
        if isinstance(node.get("additionalProperties"), dict):
            known = dict.fromkeys(self.random.sample("abc", self.random.randint(0, 3)), node["additionalProperties"])
        elif node.get("x-kubernetes-preserve-unknown-fields"):
            return self.random.choice(({}, {"x": 1}, {"x": {"y": None}}))
        share = 1.0 if "additionalProperties" in node else 0.55
        return {
            name: self.value(child, strange)
            for name, child in known.items()
            if self.some(share if name not in node.get("required", ()) or "default" in child else 0.95)
        }


def crd(group: str, fields: dict[str, Object]) -> Object:
    """One CRD with each of these schemas at a field of `spec`."""
    spec = {"type": "object", "properties": fields}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": definitions.API_VERSION,
        "kind": definitions.CRD_KIND,
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@dataclass
class Finding:
    """Where the two verdicts differ in the wrong direction."""

    schema: Object
    template: Object
    old: Any
    new: Any
    refusal: Any

    def __str__(self) -> str:
        shown = {"target": self.schema, "template": self.template, "old": self.old, "value": self.new}
        return "\n".join([f"{name}: {json.dumps(value)}" for name, value in shown.items()] + [str(self.refusal)])


@dataclass
class Round:
    """One CRD and its federated one at a server, and the verdicts that were compared."""

    server: Server
    draw: Draw
    group: str
    compared: int = 0
    taken: int = 0
    schemas: int = 0
    findings: list[Finding] = field(default_factory=list)
    _connection: http.client.HTTPSConnection | None = None

    def run(self, count: int, values: int) -> None:
        fields: dict[str, Object] = {}
        while len(fields) < count:
            node = self.draw.schema()
            if node.get("type") == "object" and self._is_taken(node):
                fields[f"case{len(fields)}"] = node
        target = crd(self.group, fields)
        made = federate.from_crd(target)
        answer = self.server.create(DEFINITIONS, made.crd)
        if answer.code != 201:
            self._blame(fields, answer.body["message"])
            return
        template = made.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        shown = template["template"]["properties"]["spec"]["properties"]
        try:
            self.server.establish([target, made.crd])
            self.schemas = len(fields)
            for name, node in fields.items():
                self._compare(name, node, shown[name], values)
        finally:
            self.server.remove([target, made.crd])
            self._close()

    def _is_taken(self, node: Object) -> bool:
        return self.server.create(DEFINITIONS, crd(self.group, {"case": node})).code == 201

    def _blame(self, fields: dict[str, Object], message: str) -> None:
        for node in fields.values():
            made = federate.from_crd(crd(self.group, {"case": node}))
            answer = self.server.create(DEFINITIONS, made.crd)
            if answer.code != 201:
                self.findings.append(Finding(node, {}, None, None, answer.body["message"]))
        if not self.findings:
            self.findings.append(Finding({}, {}, None, None, message))

    def _compare(self, name: str, node: Object, template: Object, values: int) -> None:
        chosen = [self.draw.value(node, 0.03) for _ in range(values)]
        stored: list[Any] = []
        for value in chosen:
            self.compared += 1
            if self._verdict("POST", self._target, self._thing(name, value))[0] != 201:
                continue
            self.taken += 1
            code, answer = self._verdict("POST", FEDERATED, self._wrapped(name, value))
            if code != 201:
                self.findings.append(Finding(node, template, None, value, answer.get("message")))
            elif "oldSelf" in json.dumps(node) and len(stored) < 2:
                stored.append(value)
        for old in stored:
            self._transitions(Finding(node, template, old, None, None), name, chosen)

    def _transitions(self, about: Finding, name: str, chosen: list[Any]) -> None:
        """From one stored value to each of the others."""
        places = (self._target, self._thing(name, about.old)), (FEDERATED, self._wrapped(name, about.old))
        kept = [self._verdict("POST", path, body, dry=False) for path, body in places]
        try:
            versions = [
                {"resourceVersion": found["metadata"]["resourceVersion"]} for code, found in kept if code == 201
            ]
            for value in chosen if len(versions) == 2 else ():
                first, second = self._thing(name, value), self._wrapped(name, value)
                first["metadata"] |= versions[0]
                second["metadata"] |= versions[1]
                self.compared += 1
                if self._verdict("PUT", f"{self._target}/x", first)[0] != 200:
                    continue
                self.taken += 1
                code, answer = self._verdict("PUT", f"{FEDERATED}/x", second)
                if code != 200:
                    self.findings.append(replace(about, new=value, refusal=answer.get("message")))
        finally:
            for path in (self._target, FEDERATED):
                self._verdict("DELETE", f"{path}/x", None, dry=False)

    @property
    def _target(self) -> str:
        return f"/apis/{self.group}/v1/things"

    def _thing(self, name: str, value: Any) -> Object:
        return {"apiVersion": f"{self.group}/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {name: value}}

    def _wrapped(self, name: str, value: Any) -> Object:
        spec = {"template": {"spec": {name: value}}}
        version = "types.kubefed.io/v1beta1"
        return {"apiVersion": version, "kind": "FederatedThing", "metadata": {"name": "x"}, "spec": spec}

    def _verdict(self, method: str, path: str, body: Object | None, *, dry: bool = True) -> tuple[int, Object]:
        """One request on a connection that stays open: there are thousands."""
        url = f"{path}?fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        headers = {"Authorization": f"Bearer {self.server.cluster.token}", "Content-Type": "application/json"}
        for attempt in range(3):
            connection = self._connection or self._open()
            try:
                connection.request(method, url, None if body is None else json.dumps(body), headers)
                response = connection.getresponse()
                found = json.loads(response.read() or b"{}")
            except (OSError, http.client.HTTPException):
                self._close()
                if attempt == 2:
                    raise
            else:
                if response.status != 429:
                    return response.status, found
        return 429, {}

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> http.client.HTTPSConnection:
        host = urllib.parse.urlsplit(self.server.cluster.url)
        context: ssl.SSLContext = self.server.trust
        self._connection = http.client.HTTPSConnection(str(host.hostname), host.port, timeout=30, context=context)
        return self._connection
