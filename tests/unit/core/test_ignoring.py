"""Fields that are left to the member: out of the manifest, and in managedFields from our entry to the second one."""

from typing import Any

import orjson
import pytest

from federation.core import ignoring, managedfields
from federation.core.managedfields import Entry, PartialMetadata
from federation.kube import decoding
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.policies import Pointer

US = "kubefed-0123abcd"
SECOND = marks.ignored_manager(US)
POD = {"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 80, "name": "http"}]}, {"name": "b"}]}
IMAGE = ("spec", "containers", "0", "image")


@pytest.mark.parametrize(
    ("body", "pointer", "left"),
    [
        pytest.param({"spec": {"a": 1, "b": 2}}, ("spec", "a"), {"spec": {"b": 2}}, id="a-field"),
        pytest.param({"spec": {"a": 1}, "x": 1}, ("spec", "a"), {"x": 1}, id="an-empty-map-goes-too"),
        pytest.param({"spec": {"a": {"b": 1}}}, ("spec",), {}, id="a-section"),
        pytest.param({"l": [{"n": 1, "v": 2}]}, ("l", "0", "v"), {"l": [{"n": 1}]}, id="in-a-list"),
        pytest.param({"data": {"a/b": "1", "c": "2"}}, ("data", "a/b"), {"data": {"c": "2"}}, id="a-name-with-a-slash"),
    ],
)
def test_out_of_the_manifest(body: dict[str, Any], pointer: Pointer, left: dict[str, Any]) -> None:
    before = orjson.dumps(body)
    assert ignoring.without(body, [pointer]) == (left, (pointer,))
    assert orjson.dumps(body) == before
    assert ignoring.reduced(before, [pointer]) == left


@pytest.mark.parametrize(
    "pointer", [("spec", "z"), ("z", "a"), ("spec", "a", "b"), ("l", "7", "v"), ("l", "x", "v"), ("l", "-1", "v")]
)
def test_what_is_not_there_changes_nothing(pointer: Pointer) -> None:
    body = {"spec": {"a": 1}, "l": [{"v": 1}]}
    left, present = ignoring.without(body, [pointer])
    assert left is body
    assert present == ()


def test_an_element_of_a_list_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        ignoring.without({"l": [{"v": 1}]}, [("l", "0")])
    assert caught.value.field == ignoring.FIELD
    assert '"/l/0" is an element of a list' in caught.value.message


def entry(manager: str, fields: Any, operation: str = "Apply", version: str = "v1") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": version, "fieldsV1": fields}


def meta(*entries: dict[str, Any]) -> PartialMetadata:
    found = {"name": "web", "uid": "u", "resourceVersion": "7", "managedFields": list(entries)}
    return decoding.partial(orjson.dumps({"metadata": found}))


def patched(found: PartialMetadata, body: Any, *pointers: Pointer) -> dict[tuple[str, str], Any] | None:
    """The field sets after the patch, by manager and version."""
    patch = ignoring.leave_patch(found, US, body, pointers)
    if patch is None:
        return None
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    return {(each["manager"], each["apiVersion"]): each["fieldsV1"] for each in patch[0]["value"]}


CONTAINERS = {
    'k:{"name":"a"}': {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:name": {}}},
    },
    'k:{"name":"b"}': {".": {}, "f:name": {}},
}
OURS = {"f:spec": {"f:replicas": {}, "f:containers": CONTAINERS}, "f:data": {"f:a": {}}}
BODY = {"spec": {"replicas": 3, **POD}, "data": {"a": "1"}}


def test_a_field_moves_and_the_rest_stays() -> None:
    after = patched(meta(entry(US, OURS), entry("human", {"f:x": {}}, "Update")), BODY, ("spec", "replicas"), IMAGE)
    assert after is not None
    moved: dict[str, Any] = {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"a"}': {"f:image": {}}}}}
    assert after["kubefed-0123abcd-ignored", "v1"] == moved
    left = after[US, "v1"]
    assert "f:replicas" not in left["f:spec"]
    assert "f:image" not in left["f:spec"]["f:containers"]['k:{"name":"a"}']
    assert left["f:data"] == OURS["f:data"]
    assert after["human", "v1"] == {"f:x": {}}


def test_an_elements_key_that_the_manifest_leaves_to_its_default() -> None:
    after = patched(meta(entry(US, OURS)), BODY, ("spec", "containers", "0", "ports", "0", "name"))
    assert after is not None
    ports = after[SECOND, "v1"]["f:spec"]["f:containers"]['k:{"name":"a"}']["f:ports"]
    assert ports == {'k:{"containerPort":80,"protocol":"TCP"}': {"f:name": {}}}


def test_nothing_is_to_be_moved() -> None:
    left, _ = ignoring.without(BODY, [("spec", "replicas")])
    known = meta(entry(US, {"f:data": {"f:a": {}}}), entry(SECOND, {"f:spec": {"f:replicas": {}}}))
    assert patched(known, left, ("spec", "replicas")) is None
    assert patched(meta(entry("human", {"f:data": {}}, "Update")), left, ("spec", "replicas")) is None


def test_what_is_ignored_no_more_leaves_the_second_managers_entry() -> None:
    both: dict[str, Any] = {"f:spec": {"f:replicas": {}, "f:paused": {}}}
    known = meta(entry(US, {"f:data": {"f:a": {}}}), entry(SECOND, both), entry(SECOND, both, version="v0"))
    after = patched(known, BODY, ("spec", "replicas"))
    assert after is not None
    assert after[SECOND, "v1"] == after[SECOND, "v0"] == {"f:spec": {"f:replicas": {}}}
    after = patched(known, BODY)
    assert after is not None
    assert {manager for manager, _ in after} == {US}


@pytest.mark.parametrize(
    ("entries", "pointer", "around"),
    [
        pytest.param(
            [entry(US, {"f:spec": {"f:selector": {}}})], ("spec", "selector", "x"), "/spec/selector", id="map"
        ),
        pytest.param(
            [entry(US, {"f:spec": {"f:rules": {}}})], ("spec", "rules", "0", "host"), "/spec/rules", id="list"
        ),
        pytest.param(
            [entry("human", {"f:spec": {"f:rules": {}}}, "Update")],
            ("spec", "rules", "0", "host"),
            "/spec/rules",
            id="a-list-of-somebody-elses-that-is-to-be-taken-over",
        ),
        pytest.param([], ("spec", "rules", "0", "host"), "/spec/rules", id="a-list-that-nobody-owns"),
        pytest.param(
            [entry("human", {"f:spec": {"f:selector": {}}}, "Update")],
            ("spec", "selector", "x"),
            "/spec/selector",
            id="a-map-of-somebody-elses",
        ),
    ],
)
def test_what_the_api_server_does_not_divide(entries: list[dict[str, Any]], pointer: Pointer, around: str) -> None:
    body = {"spec": {"selector": {"x": "y"}, "rules": [{"host": "h", "path": "/"}]}}
    with pytest.raises(ignoring.NotLeft) as caught:
        ignoring.leave_patch(meta(*entries), US, body, [pointer])
    assert f'has "{around}" as one value' in str(caught.value)


def test_an_entry_that_cannot_be_written_back_forbids_it() -> None:
    """To go on without the patch would be to apply without the field, and lose it."""
    found = meta(entry(US, OURS))
    broken = Entry("other", "Update", "v1", fields_type=managedfields.CUT)
    entries = (*found.managed_fields, broken)
    cut = PartialMetadata("web", uid="u", resource_version="7", managed_fields=entries)
    with pytest.raises(ignoring.NotLeft):
        ignoring.leave_patch(cut, US, BODY, [("spec", "replicas")])
    assert ignoring.leave_patch(cut, US, BODY, [("spec", "unknown")]) is None
