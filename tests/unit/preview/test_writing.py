"""How an object is written: as it was written before."""

from typing import Any

import orjson
import pytest

from federation.preview import writing
from federation.preview.writing import Way

LAST = "kubectl.kubernetes.io/last-applied-configuration"


def entry(manager: str, operation: str = "Apply", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {}}, **more}


def found(*entries: dict[str, Any], last: Any = None) -> dict[str, Any]:
    notes = {LAST: orjson.dumps(last).decode()} if last is not None else {}
    return {"metadata": {"name": "web", "uid": "u", "managedFields": list(entries), "annotations": notes}}


KUBECTL = entry("kubectl-client-side-apply", "Update")


@pytest.mark.parametrize(
    ("there", "manager", "way"),
    [
        (None, "", Way("fedctl")),
        (found(entry("argocd-controller")), "", Way("argocd-controller")),
        (found(entry("argocd-controller"), entry("fedctl")), "", Way("fedctl")),
        (found(entry("argocd-controller")), "flux", Way("flux")),
        (found(KUBECTL, last={"spec": {}}), "", Way("kubectl-client-side-apply", merge=True)),
        (found(KUBECTL, entry("kubectl"), last={"spec": {}}), "", Way("kubectl")),
        (found(entry("someone", "Update")), "", Way("fedctl")),
        (found(entry("controller", subresource="status")), "", Way("fedctl")),
        (found({"manager": "labeller", "operation": "Apply", "fieldsV1": {"f:metadata": {}}}), "", Way("fedctl")),
    ],
)
def test_who_writes(there: dict[str, Any] | None, manager: str, way: Way) -> None:
    assert writing.way(there, manager) == way


def test_kubectls_merge_takes_away_what_its_last_document_had() -> None:
    last = {"metadata": {"name": "web", "labels": {"old": "x"}}, "spec": {"a": 1, "b": {"c": 2, "d": 3}, "l": [1]}}
    wanted = {"metadata": {"name": "web"}, "spec": {"b": {"c": 4}, "l": [2]}}
    patch = writing.merge(found(KUBECTL, last=last), wanted)
    assert patch["spec"] == {"a": None, "b": {"c": 4, "d": None}, "l": [2]}
    assert patch["metadata"]["labels"] is None
    assert orjson.loads(patch["metadata"]["annotations"][LAST]) == wanted


@pytest.mark.parametrize("noted", [{}, {"annotations": {}}, {"annotations": None}])
def test_a_document_that_kubectl_has_noted_in_its_own_hand_is_no_change(noted: dict[str, Any]) -> None:
    wanted = {"metadata": {"name": "web"}, "spec": {"a": 1}}
    last = {"spec": {"a": 1}, "metadata": {"name": "web"} | noted}
    assert LAST not in writing.merge(found(KUBECTL, last=last), wanted)["metadata"].get("annotations", {})
