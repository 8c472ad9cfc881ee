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


def metadata(**others: Any) -> works.WorkMetadata:
    notes = {
        names.TYPE_ANNOTATION: "configmaps",
        names.OBJECT_ANNOTATION: "ns/web",
        names.DIGEST_ANNOTATION: "d",
        names.GENERATION_ANNOTATION: "3",
    }
    known = {
        "name": "w",
        "namespace": "m1",
        "uid": "u",
        "resourceVersion": "9",
        "generation": 3,
        "annotations": notes,
    }
    return msgspec.json.decode(orjson.dumps({**known, **others}), type=works.WorkMetadata)


def condition(status: str, generation: int = 3, message: str = "", kind: str = "Applied") -> dict[str, Any]:
    return {"type": kind, "status": status, "observedGeneration": generation, "reason": "Why", "message": message}


def said(*conditions: dict[str, Any], manifests: Any = (), **others: Any) -> tuple[Said, str]:
    status = {"conditions": list(conditions), "resourceStatus": {"manifests": manifests}}
    seen = works.observe(metadata(**others), "Foreground", status)
    return seen.said, seen.message


def test_a_work_that_nobody_has_changed() -> None:
    seen = works.observe(metadata(), "Foreground", {})
    assert (seen.uid, seen.version, seen.owned_digest, seen.managed, seen.deleting) == ("u", 9, BY_WORK, True, False)
    assert (seen.digest, seen.intact, seen.next, seen.orphans, seen.said) == ("d", True, 4, False, Said.NOTHING)


@pytest.mark.parametrize(
    ("noted", "following"),
    [
        pytest.param("2", 4, id="somebody-has-changed-its-spec"),
        pytest.param("4", 3, id="our-last-write-has-changed-nothing"),
        pytest.param("", 4, id="of-a-controller-that-noted-none"),
        pytest.param("3.0", 4, id="no-number"),
    ],
)
def test_whose_spec_it_is_shows_in_its_generation(noted: str, following: int) -> None:
    notes = {names.DIGEST_ANNOTATION: "d", names.GENERATION_ANNOTATION: noted}
    seen = works.observe(metadata(annotations=notes), "Foreground", {})
    assert (seen.intact, seen.next) == (False, following)


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
    assert works.observe(metadata(), "Foreground", status).said in {Said.NOTHING, Said.FAILED}


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


def test_a_new_work_waits_for_its_agent_from_the_start() -> None:
    body = orjson.dumps({"metadata": {"name": "w", "annotations": {"a": "b"}}, "spec": {"x": 1}})
    made = orjson.loads(works.created(body, "m1", MANAGER))
    metadata = made["metadata"]
    assert (metadata["namespace"], metadata["labels"]) == ("m1", {names.HUB_LABEL: MANAGER})
    assert metadata["finalizers"] == [names.WORK_FINALIZER]
    assert metadata["annotations"] == {"a": "b", names.GENERATION_ANNOTATION: "1"}
    assert made["spec"] == {"x": 1}


def test_a_change_is_of_one_work_and_leaves_what_others_have_in_it() -> None:
    body = orjson.dumps({"metadata": {"name": "w", "annotations": {"a": "b"}}, "spec": {"x": 1}})
    assert orjson.loads(works.changed(body, MANAGER, "u", 7)) == {
        "metadata": {
            "uid": "u",
            "labels": {names.HUB_LABEL: MANAGER},
            "annotations": {
                "a": "b",
                names.GENERATION_ANNOTATION: "7",
                names.DELETED_ANNOTATION: None,
                names.MOVES_ANNOTATION: None,
            },
            "managedFields": [{}],
        },
        "spec": {"x": 1},
    }
