"""Fields that differ are named, in the way of an API server's conflicts, and never with a value."""

from typing import Any

import pytest

from federation.core import differences
from federation.model.marks import CREATED_ANNOTATION, MANAGED_LABEL


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({"data": {"a": "1"}}, {"data": {"a": "1"}}, (), id="the-same"),
        pytest.param({"data": {"a": "1"}}, {"data": {"a": "2"}}, (".data.a",), id="a-value"),
        pytest.param({}, {"data": {"a": "2"}}, (".data",), id="a-section-that-is-not-there"),
        pytest.param({"spec": {"a": {"b": 1}}}, {"spec": {"a": {}}}, (".spec.a.b",), id="gone"),
        pytest.param({"l": [1, {"x": 1}]}, {"l": [1, {"x": 2}]}, (".l[1].x",), id="in-a-list"),
        pytest.param({"l": [1]}, {"l": [1, 2]}, (".l",), id="a-longer-list"),
        pytest.param({"status": 1, "kind": "A"}, {"status": 2, "kind": "A"}, (), id="status-is-not-pushed"),
        pytest.param(
            {"metadata": {"resourceVersion": "1", "generation": 1}},
            {
                "metadata": {
                    "resourceVersion": "2",
                    "generation": 2,
                    "managedFields": [{}],
                    "labels": {MANAGED_LABEL: "true"},
                    "annotations": {CREATED_ANNOTATION: "kubefed-0123abcd", "kubefed.io/claimed-by-01234567": "x"},
                }
            },
            (),
            id="our-marks-and-the-servers",
        ),
        pytest.param(
            {"metadata": {"labels": {"a": "1"}}},
            {"metadata": {"labels": {"a": "2", MANAGED_LABEL: "true"}}},
            (".metadata.labels.a",),
            id="a-label-of-the-template",
        ),
    ],
)
def test_two_objects(before: dict[str, Any], after: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert differences.of_objects(before, after) == expected


def test_names_of_a_field_set() -> None:
    fields = {
        "f:spec": {
            "f:replicas": {},
            "f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}, "k:broken": {}},
            "f:finalizers": {'v:"secret"': {}},
        }
    }
    assert list(differences.names(fields)) == [
        ".spec.replicas",
        '.spec.containers[name="web"]',
        '.spec.containers[name="web"].image',
        ".spec.containers[…]",
        ".spec.finalizers[…]",
    ]


def test_a_message_names_some_and_counts_the_rest() -> None:
    assert differences.shown((f".data.k{number}" for number in range(7)), secret=False).endswith(".data.k4 and 2 more")
    assert differences.shown([".data.plain", ".data.not plain"], secret=True) == ".data.plain, .data…"
