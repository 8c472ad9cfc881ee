"""Whose fields an object's are when its cluster moves from one mode to the other."""

from typing import Any

import msgspec
import orjson
import pytest

from federation.core import fieldsets, managedfields
from federation.core.managedfields import PartialMetadata
from federation.model import marks
from federation.model.observations import Applied
from federation.model.works import AGENT_LABEL, FIELD_MANAGER, HASH_ANNOTATION
from federation.work import copies, handback

PUSH = "kubefed-0123abcd"
LABEL: Any = {"f:metadata": {"f:labels": {".": {}, "f:kubefed.io/managed": {}}}}
A: Any = {"f:data": {".": {}, "f:a": {}}}
B: Any = {"f:data": {".": {}, "f:b": {}}}
C: Any = {"f:data": {".": {}, "f:c": {}}}
CREATED: Any = {"f:metadata": {"f:annotations": {f"f:{marks.CREATED_ANNOTATION}": {}}}}
MARKS: Any = {
    "f:metadata": {
        "f:labels": {f"f:{AGENT_LABEL}": {}},
        "f:annotations": {f"f:{HASH_ANNOTATION}": {}},
        "f:ownerReferences": {'k:{"uid":"record"}': {}},
    }
}


def entry(manager: str, *fields: Any, operation: str = "Apply", version: str = "v1") -> dict[str, Any]:
    owned: Any = {}
    for each in fields:
        owned = fieldsets.union(owned, each)
    return {"manager": manager, "operation": operation, "apiVersion": version, "fieldsV1": owned}


def metadata(*entries: Any, **more: Any) -> dict[str, Any]:
    return {"name": "web", "resourceVersion": "7", "managedFields": list(entries), **more}


def read(found: dict[str, Any]) -> PartialMetadata:
    return msgspec.json.decode(orjson.dumps(found), type=copies.CopyMetadata)


def owned(patch: Any) -> dict[str, Any]:
    (value,) = (each["value"] for each in patch if each["path"] == "/metadata/managedFields")
    return {each["manager"]: each["fieldsV1"] for each in value if each}


def test_the_agent_takes_over_what_push_has_applied() -> None:
    found = read(metadata(entry(PUSH, LABEL, A), entry(FIELD_MANAGER, LABEL, A, MARKS)))
    inherited = handback.inherit(found, FIELD_MANAGER, PUSH, ())
    assert inherited is not None
    patch, more = inherited
    assert not more
    assert owned(patch) == {FIELD_MANAGER: entry("", LABEL, A, MARKS)["fieldsV1"]}
    assert patch[-1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_it_applies_once_more_where_push_had_fields_that_it_has_not() -> None:
    found = read(metadata(entry(PUSH, LABEL, A, B), entry(FIELD_MANAGER, LABEL, A)))
    inherited = handback.inherit(found, FIELD_MANAGER, PUSH, ())
    assert inherited is not None
    patch, more = inherited
    assert more
    assert fieldsets.contains(owned(patch)[FIELD_MANAGER], ("f:data", "f:b"))


def test_what_push_has_noted_and_what_the_work_leaves_alone_stay_with_push() -> None:
    found = read(metadata(entry(PUSH, LABEL, A, B, CREATED), entry(FIELD_MANAGER, LABEL, A)))
    inherited = handback.inherit(found, FIELD_MANAGER, PUSH, [("data", "b")])
    assert inherited is not None
    patch, more = inherited
    assert not more
    left = owned(patch)[PUSH]
    assert sorted(fieldsets.paths(left)) == [
        ("f:data", "f:b"),
        ("f:metadata", "f:annotations", "f:" + marks.CREATED_ANNOTATION),
    ]


@pytest.mark.parametrize(
    ("entries", "ignored"),
    [
        pytest.param((entry(FIELD_MANAGER, A),), (), id="nothing-is-pushs"),
        pytest.param((entry("kubefed-ffffffff", A), entry(FIELD_MANAGER, A)), (), id="another-hubs"),
        pytest.param((entry(f"{PUSH}-replicas", A), entry(FIELD_MANAGER, A)), (), id="a-second-managers"),
        pytest.param((entry(PUSH, A, version="v2"), entry(FIELD_MANAGER, A)), (), id="another-version"),
        pytest.param((entry(PUSH, A), entry(FIELD_MANAGER, A)), [("spec", "containers", "0")], id="a-place-in-a-list"),
        pytest.param((entry(PUSH, CREATED), entry(FIELD_MANAGER, A)), (), id="a-note-alone"),
    ],
)
def test_where_nothing_can_be_inherited_nothing_is(entries: Any, ignored: Any) -> None:
    assert handback.inherit(read(metadata(*entries)), FIELD_MANAGER, PUSH, ignored) is None


MARKED = {
    "labels": {AGENT_LABEL: "a", "kubefed.io/managed": "true"},
    "annotations": {HASH_ANNOTATION: "h", "mine": "x"},
    "ownerReferences": [{"uid": "record"}, {"uid": "somebody"}],
}
UNMARKED = [
    {"op": "remove", "path": "/metadata/labels/work.kubefed.io~1agent"},
    {"op": "remove", "path": "/metadata/annotations/open-cluster-management.io~1object-hash"},
    {"op": "replace", "path": "/metadata/ownerReferences", "value": [{"uid": "somebody"}]},
]


def test_a_cluster_that_moves_to_push_goes_on_there() -> None:
    found = metadata(
        entry(PUSH, CREATED), entry("kubectl", C, operation="Update"), entry(FIELD_MANAGER, LABEL, A, MARKS), **MARKED
    )
    patch = handback.released(found, read(found), "record", PUSH, moves=True)
    assert patch is not None
    assert patch[:3] == UNMARKED
    left = owned(patch)
    assert left[PUSH] == entry("", CREATED, LABEL, A)["fieldsV1"]
    assert left["kubectl"] == C
    assert not any(each["path"].endswith("managed") for each in patch)


@pytest.mark.parametrize("pushs", [pytest.param((LABEL, A), id="all"), pytest.param((LABEL,), id="not-all")])
def test_what_the_agent_has_set_is_not_taken_for_what_push_has_applied(pushs: Any) -> None:
    """Push has written another value, and the agent, which has not heard of it, the one of its work."""
    time = {"time": "2026-01-01T00:00:00Z"}
    found = metadata(entry(PUSH, *pushs) | time, entry(FIELD_MANAGER, LABEL, A, MARKS) | time, **MARKED)
    patch = handback.released(found, read(found), "record", PUSH, moves=True)
    assert patch is not None
    (value,) = (each["value"] for each in patch if each["path"] == "/metadata/managedFields")
    left = next(each for each in value if each["manager"] == PUSH)
    assert left["fieldsV1"] == entry("", LABEL, A)["fieldsV1"]
    before = managedfields.observe(read(metadata(entry(PUSH, LABEL, A) | time)), PUSH)
    after = managedfields.observe(read(metadata(left)), PUSH)
    applied = Applied("digest", before.owned_digest, applied_at=before.applied_at)
    assert applied.shown_by(after) is (A in pushs)


def test_what_stays_without_a_federated_object_is_nobodys() -> None:
    found = metadata(entry("kubectl", C, operation="Update"), entry(FIELD_MANAGER, LABEL, A, MARKS), **MARKED)
    patch = handback.released(found, read(found), "record", PUSH, moves=False)
    assert patch is not None
    assert patch[:3] == UNMARKED
    assert {"op": "remove", "path": "/metadata/labels/kubefed.io~1managed"} in patch
    assert owned(patch) == {"kubectl": C}


def test_a_field_set_that_cannot_be_written_back_is_left() -> None:
    broken = {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": 3}
    found = metadata(broken, entry(FIELD_MANAGER, A))
    assert handback.released(found, read(found), "record", PUSH, moves=True) is None
