"""Federated specs and deletion options: what is read, and how each wrong input is named. Configuration is elsewhere."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import parsing
from federation.model.errors import Invalid
from federation.model.federated import Operation, Placement, Spec

TEMPLATE = {"spec": {"replicas": 3}}


def _spec(**fields: object) -> bytes:
    return orjson.dumps({"template": TEMPLATE, **fields})


def _override(*operations: object, name: object = "m1") -> dict[str, object]:
    return {"clusterName": name, "clusterOverrides": list(operations)}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(_spec(), Spec(TEMPLATE), id="template-only-selects-nothing"),
        pytest.param(_spec(placement={}), Spec(TEMPLATE), id="empty-placement"),
        pytest.param(_spec(placement={"clusters": None}), Spec(TEMPLATE), id="null-is-absent"),
        pytest.param(
            _spec(placement={"clusters": []}), Spec(TEMPLATE, Placement(clusters=())), id="empty-list-is-not-absent"
        ),
        pytest.param(
            _spec(placement={"clusters": [{"name": "m2"}, {"name": "m1"}], "clusterSelector": {}}),
            Spec(TEMPLATE, Placement(("m2", "m1"), {})),
            id="names-and-selector",
        ),
        pytest.param(
            _spec(overrides=[_override({"path": "/spec/replicas", "value": 5})]),
            Spec(TEMPLATE, overrides={"m1": (Operation("replace", "/spec/replicas", 5),)}),
            id="op-is-replace-unless-said",
        ),
        pytest.param(
            _spec(overrides=[_override({"op": "", "path": "/a", "value": 1})]),
            Spec(TEMPLATE, overrides={"m1": (Operation("replace", "/a", 1),)}),
            id="empty-op-is-replace",
        ),
        pytest.param(
            _spec(overrides=[_override({"op": "add", "path": "/a"}, {"op": "remove", "path": "/b"})]),
            Spec(TEMPLATE, overrides={"m1": (Operation("add", "/a"), Operation("remove", "/b"))}),
            id="a-missing-value-is-null",
        ),
        pytest.param(
            _spec(overrides=[_override(name="m1"), {"clusterName": "m2"}]),
            Spec(TEMPLATE, overrides={"m1": (), "m2": ()}),
            id="overrides-without-operations",
        ),
        pytest.param(
            _spec(overrides=[_override({"path": "/apiVersion", "value": "apps/v1beta2"})]),
            Spec(TEMPLATE, overrides={"m1": (Operation("replace", "/apiVersion", "apps/v1beta2"),)}),
            id="apiVersion-may-be-overridden",
        ),
        pytest.param(
            _spec(overrides=[_override({"path": "/metadata/nameservers", "value": 1})]),
            Spec(TEMPLATE, overrides={"m1": (Operation("replace", "/metadata/nameservers", 1),)}),
            id="a-longer-name-is-not-the-forbidden-one",
        ),
        pytest.param(_spec(retainReplicas=True), Spec(TEMPLATE, retain_replicas=True), id="retain-replicas"),
        pytest.param(_spec(unheardOf={"x": 1}), Spec(TEMPLATE), id="unknown-fields-are-the-schema's-business"),
    ],
)
def test_spec_reads(raw: bytes, expected: Spec) -> None:
    assert parsing.spec(raw) == expected


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        pytest.param(b"", "spec", "is required", id="no-spec"),
        pytest.param(b"null", "spec", "is required", id="null-spec"),
        pytest.param(b"{", "spec", "is not JSON", id="broken"),
        pytest.param(b"[]", "spec", "must be a map, not a list", id="spec-a-list"),
        pytest.param(b'{"placement":{}}', "spec.template", "is required", id="no-template"),
        pytest.param(b'{"template":"x"}', "spec.template", "must be a map, not a string", id="template-a-string"),
        pytest.param(
            _spec(template={"kind": 7}), "spec.template.kind", "must be a string, not a number", id="kind-a-number"
        ),
        pytest.param(
            _spec(template={"apiVersion": True}),
            "spec.template.apiVersion",
            "must be a string, not a boolean",
            id="apiVersion-a-boolean",
        ),
        pytest.param(_spec(placement=[]), "spec.placement", "must be a map, not a list", id="placement-a-list"),
        pytest.param(
            _spec(placement={"clusters": {"name": "m1"}}),
            "spec.placement.clusters",
            "must be a list, not a map",
            id="clusters-a-map",
        ),
        pytest.param(
            _spec(placement={"clusters": [{"name": "m1"}, "m2"]}),
            "spec.placement.clusters[1]",
            'must be a map such as {"name": "east"}, not a string',
            id="cluster-a-bare-name",
        ),
        pytest.param(
            _spec(placement={"clusters": [{}]}), "spec.placement.clusters[0].name", "is required", id="cluster-no-name"
        ),
        pytest.param(
            _spec(placement={"clusterSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
            "spec.placement.clusterSelector.matchExpressions[0].operator",
            'must be one of In, NotIn, Exists, DoesNotExist, not "Is"',
            id="selector",
        ),
        pytest.param(_spec(overrides={}), "spec.overrides", "must be a list, not a map", id="overrides-a-map"),
        pytest.param(
            _spec(overrides=[{"clusterOverrides": []}]), "spec.overrides[0].clusterName", "is required", id="nameless"
        ),
        pytest.param(
            _spec(overrides=[_override(), _override(name="m2"), _override()]),
            "spec.overrides[2].clusterName",
            'cluster "m1" is already named above; join the two',
            id="cluster-twice",
        ),
        pytest.param(
            _spec(overrides=[_override(name="m2"), _override({"path": "/a"}, {"op": "remove", "path": "/a"})]),
            "spec.overrides[1].clusterOverrides[1].path",
            '"/a" is already overridden for this cluster',
            id="path-twice",
        ),
        pytest.param(
            _spec(overrides=[_override({"op": "move", "path": "/a"})]),
            "spec.overrides[0].clusterOverrides[0].op",
            'must be one of add, remove, replace, not "move"',
            id="op-unknown",
        ),
        pytest.param(
            _spec(overrides=[_override("x")]),
            "spec.overrides[0].clusterOverrides[0]",
            "must be a map, not a string",
            id="operation-a-string",
        ),
        pytest.param(
            _spec(overrides=[_override({"value": 1})]),
            "spec.overrides[0].clusterOverrides[0].path",
            "is required",
            id="no-path",
        ),
        pytest.param(
            _spec(overrides=[_override({"path": "spec/replicas"})]),
            "spec.overrides[0].clusterOverrides[0].path",
            '"spec/replicas" must be a JSON pointer: start it with /',
            id="no-slash",
        ),
        pytest.param(
            _spec(overrides=[_override({"path": "/"})]),
            "spec.overrides[0].clusterOverrides[0].path",
            "must name a field: the whole object cannot be overridden",
            id="root",
        ),
        pytest.param(
            _spec(retainReplicas="yes"), "spec.retainReplicas", "must be true or false, not a string", id="retain-word"
        ),
    ],
)
def test_spec_refuses(raw: bytes, field: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parsing.spec(raw)
    assert (caught.value.field, caught.value.message) == (field, message)


@pytest.mark.parametrize(
    "path",
    ["/kind", "/metadata/name", "/metadata/namespace", "/metadata/generateName", "/metadata/name/x", "/kind/0"],
)
@pytest.mark.parametrize("op", ["add", "remove", "replace"])
def test_no_override_may_say_which_object_it_is(path: str, op: str) -> None:
    with pytest.raises(Invalid, match="cannot be overridden: it says which object this is"):
        parsing.spec(_spec(overrides=[_override({"op": op, "path": path, "value": "x"})]))


def test_a_federated_namespace_may_leave_its_template_out() -> None:
    assert parsing.spec(b"{}", namespaces=True) == Spec(None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["template", "placement", "clusters", "name", "overrides", "clusterName", "path", "op"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_a_poison_spec_is_read_or_refused_by_name(value: object) -> None:
    try:
        spec = parsing.spec(orjson.dumps(value))
        told = "spec" if isinstance(spec.template, dict) else ""
    except Invalid as error:
        told = error.field
    assert told.startswith("spec")


@given(st.binary(max_size=40))
def test_bytes_that_are_no_spec_are_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        parsing.spec(raw)


def _options(text: str) -> dict[str, str]:
    return {"kubefed.io/deleteoption": text}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({}, {}, id="absent"),
        pytest.param(_options(""), {}, id="empty"),
        pytest.param(_options('{"propagationPolicy":"Orphan"}'), {"propagationPolicy": "Orphan"}, id="policy"),
        pytest.param(
            _options('{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}'),
            {"gracePeriodSeconds": 0},
            id="whole-object",
        ),
        pytest.param(_options('{"orphanDependents":true}'), {"orphanDependents": True}, id="orphan-dependents"),
    ],
)
def test_deletion_options_read(annotations: dict[str, str], expected: dict[str, object]) -> None:
    assert parsing.deletion_options(annotations) == expected


@pytest.mark.parametrize(
    ("text", "ending", "message"),
    [
        pytest.param("Orphan", "", "must be JSON DeleteOptions", id="not-json"),
        pytest.param("[]", "", "must be a map", id="a-list"),
        pytest.param('{"propagationPolicy":"Gone"}', ".propagationPolicy", "must be one of Orphan", id="policy"),
        pytest.param('{"gracePeriodSeconds":-1}', ".gracePeriodSeconds", "0 or more", id="negative-grace"),
        pytest.param('{"gracePeriodSeconds":true}', ".gracePeriodSeconds", "whole number", id="boolean-grace"),
        pytest.param('{"preconditions":{"uid":"x"}}', ".preconditions", "set by the controller", id="preconditions"),
        pytest.param('{"dryRun":["All"]}', ".dryRun", "set by the controller", id="dry-run"),
        pytest.param('{"force":true}', ".force", "is not known", id="unknown"),
        pytest.param(
            '{"propagationPolicy":"Orphan","orphanDependents":true}', ".orphanDependents", "together", id="both"
        ),
    ],
)
def test_deletion_options_refuse(text: str, ending: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        parsing.deletion_options(_options(text))
    assert caught.value.field == f"metadata.annotations[kubefed.io/deleteoption]{ending}"
