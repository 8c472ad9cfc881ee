"""What a ManifestWork of ours shows: what its agent said of it, and whether somebody has changed it since."""

from typing import Any

import msgspec
import orjson
import pytest

from federation.core import works
from federation.model import works as names
from federation.model.observations import BY_WORK, Said
from federation.model.resources import Key

MANAGER = "kubefed-12345678"
FIELDS: dict[str, Any] = {
    "f:metadata": {"f:annotations": {f"f:{names.DIGEST_ANNOTATION}": {}}, "f:labels": {f"f:{names.HUB_LABEL}": {}}},
    "f:spec": {
        "f:deleteOption": {"f:propagationPolicy": {}},
        "f:manifestConfigs": {},
        "f:workload": {"f:manifests": {}},
    },
}


def metadata(fields: Any = None, **others: Any) -> works.WorkMetadata:
    entry = {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": "work.open-cluster-management.io/v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": FIELDS if fields is None else fields,
    }
    notes = {names.TYPE_ANNOTATION: "configmaps", names.OBJECT_ANNOTATION: "ns/web", names.DIGEST_ANNOTATION: "d"}
    known = {
        "name": "w",
        "namespace": "m1",
        "uid": "u",
        "resourceVersion": "9",
        "generation": 3,
        "annotations": notes,
        "managedFields": [entry],
    }
    return msgspec.json.decode(orjson.dumps({**known, **others}), type=works.WorkMetadata)


def condition(status: str, generation: int = 3, message: str = "", kind: str = "Applied") -> dict[str, Any]:
    return {"type": kind, "status": status, "observedGeneration": generation, "reason": "Why", "message": message}


def said(*conditions: dict[str, Any], manifests: Any = (), **others: Any) -> tuple[Said, str]:
    status = {"conditions": list(conditions), "resourceStatus": {"manifests": manifests}}
    seen = works.observe(metadata(**others), MANAGER, "Foreground", status)
    return seen.said, seen.message


def test_a_work_that_nobody_has_changed() -> None:
    seen = works.observe(metadata(finalizers=[names.WORK_FINALIZER]), MANAGER, "Foreground", {})
    assert (seen.uid, seen.version, seen.owned_digest, seen.managed, seen.deleting) == ("u", 9, BY_WORK, True, False)
    assert (seen.digest, seen.intact, seen.fetched, seen.orphans, seen.said) == ("d", True, True, False, Said.NOTHING)


@pytest.mark.parametrize("path", [("f:workload", "f:manifests"), ("f:manifestConfigs",), ("f:deleteOption",)])
def test_somebody_who_changes_it_takes_it_out_of_our_entry(path: tuple[str, ...]) -> None:
    fields = orjson.loads(orjson.dumps(FIELDS))
    node = fields["f:spec"]
    for each in path[:-1]:
        node = node[each]
    del node[path[-1]]
    assert not works.observe(metadata(fields), MANAGER, "Foreground", {}).intact


def test_another_hubs_entry_is_not_ours() -> None:
    assert not works.observe(metadata(), "kubefed-00000000", "Foreground", {}).intact


def test_what_was_said_of_an_older_generation_says_nothing() -> None:
    assert said(condition("True", 2)) == (Said.NOTHING, "")
    assert said(condition("True", 3)) == (Said.APPLIED, "")
    assert said(condition("Unknown", 3)) == (Said.NOTHING, "")
    assert said() == (Said.NOTHING, "")


def test_what_has_run_is_applied_though_it_was_changed_since() -> None:
    done = condition("True", 3, kind="Complete")
    assert said(condition("True", 2), done) == (Said.APPLIED, "")
    assert said(condition("False", 2), done) == (Said.NOTHING, "")
    assert said(condition("True", 2), condition("False", 3, kind="Complete")) == (Said.NOTHING, "")
    assert said(done) == (Said.NOTHING, "")


def test_a_failure_is_told_by_the_manifest_that_has_it() -> None:
    failed = {"conditions": [condition("False", message="a webhook says no")]}
    assert said(condition("False", message="of the work"), manifests=[failed]) == (Said.FAILED, "a webhook says no")
    assert said(condition("False", message="of the work")) == (Said.FAILED, "of the work")
    assert said(condition("False")) == (Said.FAILED, "Why")


def test_of_a_secret_only_the_reason_is_told() -> None:
    notes = {names.TYPE_ANNOTATION: "secrets", names.OBJECT_ANNOTATION: "ns/web"}
    assert said(condition("False", message="cannot write hunter2"), annotations=notes) == (Said.FAILED, "Why")


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": "none"},
        {"conditions": [1, None, {"type": 3}]},
        {"conditions": [condition("False")], "resourceStatus": []},
        {"conditions": [condition("False")], "resourceStatus": {"manifests": [None, {"conditions": 4}]}},
        {"conditions": [{"type": "Applied", "status": "False", "observedGeneration": 3, "message": {}}]},
    ],
)
def test_nonsense_in_a_status_is_no_answer_and_no_error(status: dict[str, Any]) -> None:
    assert works.observe(metadata(), MANAGER, "Foreground", status).said in {Said.NOTHING, Said.FAILED}


def test_whose_a_work_is() -> None:
    assert works.about(metadata().annotations) == Key("configmaps", "ns", "web")
    assert works.about(works.Notes("configmaps", "web")) == Key("configmaps", "", "web")
    for notes in (
        works.Notes(),
        works.Notes("configmaps"),
        works.Notes("", "ns/web"),
        works.Notes("configmaps", "ns/"),
    ):
        assert works.about(notes) is None


def test_a_new_work_takes_nobodys_over() -> None:
    body = orjson.dumps({"metadata": {"name": "w", "annotations": {}}, "spec": {}})
    first = orjson.loads(works.addressed(body, "m1", MANAGER))["metadata"]
    assert first["resourceVersion"] == "1"
    assert (first["namespace"], first["labels"]) == ("m1", {names.HUB_LABEL: MANAGER})
    again = orjson.loads(works.addressed(body, "m1", MANAGER, uid="u"))["metadata"]
    assert again["uid"] == "u"
    assert "resourceVersion" not in again
