"""Who stands against an unforced apply, and what that means."""

import pytest

from federation.core import conflicts
from federation.core.conflicts import Foreign, ManagedFalse, OtherHub
from federation.model.failures import Cause, Failure, FailureKind

OURS = "kubefed-0123abcd"
LABEL = ".metadata.labels.kubefed.io/managed"


@pytest.mark.parametrize(
    ("causes", "conflict"),
    [
        pytest.param([(LABEL, "human")], ManagedFalse(), id="label"),
        pytest.param([(".data.k", "kubefed-99999999"), (LABEL, "human")], ManagedFalse(), id="label-before-all-else"),
        pytest.param(
            [(".data.b", "kubefed-99999999"), (".data.a", "kubefed-99999999"), (".data.c", "human")],
            OtherHub("kubefed-99999999", (".data.a", ".data.b")),
            id="another-hub-with-its-fields",
        ),
        pytest.param(
            [(".spec.replicas", "kubefed-99999999-replicas")],
            OtherHub("kubefed-99999999", (".spec.replicas",)),
            id="another-hub's-second-manager",
        ),
        pytest.param(
            [(".a", "kubefed-bbbbbbbb"), (".b", "kubefed-aaaaaaaa")],
            OtherHub("kubefed-aaaaaaaa", (".b",)),
            id="two-hubs",
        ),
        pytest.param(
            [(".data.b", "kubectl-edit"), (".data.a", "argo"), (".data.a", "kubectl-edit")],
            Foreign(("argo", "kubectl-edit"), (".data.a", ".data.b")),
            id="anybody-else",
        ),
        pytest.param([(".data.k", "before-first-apply")], Foreign(("before-first-apply",), (".data.k",)), id="wiped"),
        pytest.param(
            [(".spec.replicas", f"{OURS}-replicas"), (".data.k", OURS)], Foreign((), ()), id="our-own-are-nobody"
        ),
        pytest.param(
            [(".x", "kubefed"), (".x", "kubefed-UPPER")], Foreign(("kubefed", "kubefed-UPPER"), (".x",)), id="alike"
        ),
    ],
)
def test_conflicts(causes: list[tuple[str, str]], conflict: conflicts.Conflict) -> None:
    failure = Failure(
        FailureKind.FIELD_CONFLICT,
        "conflict",
        409,
        causes=tuple(Cause(field, manager, "FieldManagerConflict") for field, manager in causes),
    )
    assert conflicts.assess(failure, OURS) == conflict
