"""Random targets of one and of two versions: whatever typegen makes of them, an API server takes it."""

import ssl
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.playground.clusters import Playground
from tests.clusters.crds_server import DEFINITIONS, Object, Server
from tests.unit.typegen import strategies
from typegen import definitions, federate


@pytest.fixture(scope="module")
def server(playground: Playground, trust: ssl.SSLContext) -> Server:
    return Server(playground.clusters["m3"], trust)


def crd(*specs: Object) -> Object:
    listed = [
        {
            "name": f"v{number}",
            "served": True,
            "storage": number == 1,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        }
        for number, spec in enumerate(specs, 1)
    ]
    return {
        "apiVersion": definitions.API_VERSION,
        "kind": definitions.CRD_KIND,
        "metadata": {"name": "things.random.example.com"},
        "spec": {
            "group": "random.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": listed,
        },
    }


def ruled(node: Any) -> Any:
    """The node with a rule on every object that has a text or a flag to speak of."""
    result = dict(node)
    if "properties" in result:
        result["properties"] = {name: ruled(child) for name, child in result["properties"].items()}
        rules = [
            {"rule": f"!has(self.{name}) || self.{name} != {'true' if child['type'] == 'boolean' else repr('zz')}"}
            for name, child in sorted(result["properties"].items())
            if child["type"] in ("string", "boolean")
        ]
        if rules:
            result["x-kubernetes-validations"] = rules
    if "items" in result:
        result["items"] = ruled(result["items"])
    return result


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_made_is_taken(server: Server, data: st.DataObject) -> None:
    specs = [
        ruled(strategies.defaulted(data.draw, {"type": "object", "properties": {"x": data.draw(strategies.NODE)}}))
        for _ in range(data.draw(st.integers(1, 2)))
    ]
    definition = crd(*specs)
    assert server.create(DEFINITIONS, definition).code == 201, "the target is one that a server takes"
    made = federate.from_crd(definition)
    answer = server.create(DEFINITIONS, made.crd)
    assert answer.code == 201, (answer.body["message"], specs)
