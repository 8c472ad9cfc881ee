"""Nonsense in: whatever stands in a file, there is an answer or an Invalid, never another error."""

import contextlib
import copy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.federating import (
    catalogue,
    findings,
    formats,
    places,
    rendering,
    resourcelist,
    schemas,
    together,
    validating,
    wishes,
)
from federation.federating.catalogue import Catalogue
from federation.federating.wishes import Wish
from federation.model.errors import Invalid
from typegen import federate

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
                    }
                },
            }
        ],
    },
}
MADE = federate.from_crd(CRD)
KNOWN = Catalogue.of(
    [catalogue.type_of(MADE.type_config), catalogue.default_type({"apiVersion": "v1", "kind": "Namespace"})]
)
KINDS = schemas.of([MADE.crd])
SPEC: dict[str, Any] = {
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"size": 3}},
    "placement": {"clusters": [{"name": "east"}], "clusterSelector": {"matchLabels": {"a": "b"}}},
    "overrides": [{"clusterName": "east", "clusterOverrides": [{"op": "add", "path": "/spec/size", "value": 5}]}],
}
METADATA: dict[str, Any] = {"name": "w", "namespace": "shop", "annotations": {"a": "b"}, "labels": {"a": "b"}}
WHOLE: list[dict[str, Any]] = [
    {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedWidget", "metadata": METADATA, "spec": SPEC},
    {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedNamespace", "metadata": METADATA, "spec": SPEC},
    {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {**METADATA, "uid": "1"}, "spec": {"size": 3}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": METADATA},
    {"apiVersion": "v1", "kind": "Service", "metadata": {**METADATA, "uid": "1"}, "spec": {"ports": [{"port": 80}]}},
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**METADATA, "uid": "1"},
        "spec": {"selector": {}, "template": {"metadata": {"labels": {"controller-uid": "1"}}}},
    },
    dict(MADE.type_config),
    {"apiVersion": "core.kubefed.io/v1beta1", "kind": "KubeFedCluster", "metadata": METADATA, "spec": {}},
]
CONFIG: dict[str, Any] = {
    "apiVersion": "config.kubernetes.io/v1",
    "kind": "ResourceList",
    "functionConfig": {
        "apiVersion": "fn.kubefed.io/v1",
        "kind": "Federate",
        "spec": {
            "types": [{"apiVersion": "example.com/v1", "kind": "Widget"}],
            "select": {"kinds": ["Widget"], "labelSelector": {"matchLabels": {"a": "b"}}},
            "placement": {"clusters": ["east"]},
            "overrides": SPEC["overrides"],
        },
    },
    "items": WHOLE,
}
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(found for key, child in inner for found in paths(child, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any, how: str) -> Any:
    if not path:
        return new
    result = copy.deepcopy(value)
    node = result
    for key in path[:-1]:
        node = node[key]
    if how == "remove":
        del node[path[-1]]
    else:
        node[path[-1]] = new
    return result


def spoilt(value: Any) -> st.SearchStrategy[Any]:
    how = st.sampled_from(["replace", "remove"])
    return st.builds(lambda path, new, how: changed(value, path, new, how), st.sampled_from(paths(value)), junk, how)


documents = st.sampled_from(WHOLE).flatmap(spoilt).filter(lambda value: isinstance(value, dict))


@settings(max_examples=150)
@given(st.lists(documents, min_size=1, max_size=3))
def test_validating(found: list[dict[str, Any]]) -> None:
    reported = [finding for each in found for finding in validating.document(each, KNOWN, KINDS)]
    reported += [finding for _, finding in together.documents(found, KNOWN, together.fleet(found))]
    located = [
        findings.Located("a.yaml", 1, each.path, each.message, each.severity, each.rule, catalogue.title(found[0]))
        for each in reported
    ]
    assert len(formats.text(located)) == len(formats.github(located)) == len(located)
    assert formats.sarif(located, [], "1")
    for each in found:
        for finding in reported:
            node: Any = each
            for step in places.steps(each, finding.path):
                node = node[step]


@settings(max_examples=150)
@given(documents, st.booleans())
def test_federating(found: dict[str, Any], assume: bool) -> None:
    before = copy.deepcopy(found)
    wish = Wish(("east",), changes=wishes.changes(["east:/metadata/labels/x=y"]))
    try:
        made = rendering.one(found, KNOWN, wish, assume=assume)
    except Invalid as error:
        places.steps(found, error.field)
    else:
        assert orjson.dumps(list(made.federated)) is not None
        namespaces = {rendering.key(each)[2] for each in made.documents}
        assert set(rendering.homeless(made.documents, KNOWN)) <= namespaces
    assert found == before


@settings(max_examples=150)
@given(spoilt(CONFIG))
def test_the_krm_function(found: Any) -> None:
    with contextlib.suppress(Invalid):
        answer, fine = resourcelist.run(found)
        assert fine is not any(each["severity"] == "error" for each in answer.get("results", ()))
