"""Whether a copy may be recreated: what the user said, what goes with it, and who else has a share in it."""

from typing import Any

import msgspec
import orjson
import pytest

from federation.core import classification, planning, recreation
from federation.core.facts import Facts
from federation.kube import decoding
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.observations import Applied, Cluster, Missing, Observation, Observed
from federation.model.plan import Action, Apply, Recreation
from federation.model.resources import CRDS, NAMESPACES, Resource

GROUP = "types.kubefed.io"
JOBS = FederatedType(
    "jobs.batch",
    Resource("batch", "v1", "Job", "jobs", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedJob", "federatedjobs", namespaced=True),
)
US = "kubefed-0123abcd"
ALLOWED = {marks.RECREATE_ANNOTATION: "true"}


def enabled(target: Resource) -> FederatedType:
    return FederatedType(target.qualified, target, JOBS.federated)


def allow(annotations: dict[str, str], type: FederatedType = JOBS, applied: str | None = "old") -> Recreation | None:  # noqa: A002
    federated = Metadata(name="web", annotations=annotations)
    return recreation.allow(federated, type, lambda: b"{}", digest="new", applied=applied)


@pytest.mark.parametrize("said", [{}, {marks.RECREATE_ANNOTATION: "false"}, {marks.RECREATE_ANNOTATION: "True"}])
def test_nothing_said_is_no(said: dict[str, str]) -> None:
    assert allow(said) is None


@pytest.mark.parametrize("applied", ["old", None], ids=["another-manifest-before", "nothing-known-before"])
def test_pods_go_first(applied: str | None) -> None:
    assert allow(ALLOWED, applied=applied) == Recreation(b"{}", {"propagationPolicy": "Foreground"})


@pytest.mark.parametrize(
    ("said", "options"),
    [
        pytest.param({"propagationPolicy": "Orphan"}, {"propagationPolicy": "Orphan"}, id="pods-stay"),
        pytest.param({"orphanDependents": True}, {"orphanDependents": True}, id="the-same-as-of-old"),
        pytest.param(
            {"gracePeriodSeconds": 5}, {"gracePeriodSeconds": 5, "propagationPolicy": "Foreground"}, id="grace-alone"
        ),
    ],
)
def test_the_users_own_delete_options(said: dict[str, Any], options: dict[str, Any]) -> None:
    leave = allow({**ALLOWED, marks.DELETE_OPTION_ANNOTATION: orjson.dumps(said).decode()})
    assert leave == Recreation(b"{}", options)


@pytest.mark.parametrize(
    ("annotations", "type", "applied", "why"),
    [
        pytest.param(ALLOWED, enabled(NAMESPACES), "old", "a Namespace never is: everything in it", id="namespace"),
        pytest.param(
            ALLOWED, enabled(CRDS), "old", "a CustomResourceDefinition never is: every object of its type", id="crd"
        ),
        pytest.param(ALLOWED, JOBS, "new", "accepted this very manifest before", id="once-per-change"),
        pytest.param(
            {**ALLOWED, marks.DELETE_OPTION_ANNOTATION: "{"}, JOBS, "old", "must be JSON", id="broken-delete-options"
        ),
    ],
)
def test_never(annotations: dict[str, str], type: FederatedType, applied: str, why: str) -> None:  # noqa: A002
    leave = allow(annotations, type, applied)
    assert leave is not None
    assert why in leave.never
    assert leave.body == b""


# --- in a plan --------------------------------------------------------------------------------------------------------

DEPLOYMENTS = FederatedType(
    "deployments.apps",
    Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True),
)


def planned(observed: Observation, applied: dict[str, Applied], annotations: dict[str, str]) -> Action:
    """What one cluster gets of a Deployment that keeps its own replicas."""
    template = {"spec": {"replicas": 3, "paused": True}}
    spec = {"template": template, "placement": {"clusters": [{"name": "m1"}]}, "retainReplicas": True}
    meta = Metadata(name="web", namespace="ns", uid="f1", generation=7, annotations=annotations)
    facts = Facts(
        type=DEPLOYMENTS,
        object=FederatedObject(meta, msgspec.Raw(orjson.dumps(spec))),
        clusters={"m1": Cluster("m1", ready=True)},
        observe=lambda name: observed,
        applied=applied,
    )
    return planning.plan(facts).actions["m1"]


HELD = Observed(uid="u1", version=5, owned_digest="entry", managed=True)


def test_an_update_carries_what_would_be_created_replicas_included() -> None:
    """The proof must be of that very manifest: a number that only creation sets could be refused."""
    update = planned(HELD, {"m1": Applied("old", "entry")}, ALLOWED)
    create = planned(Missing.ABSENT, {}, ALLOWED)
    assert isinstance(update, Apply)
    assert isinstance(create, Apply)
    assert update.recreation is not None
    assert update.recreation.body == create.body
    assert orjson.loads(update.recreation.body)["spec"]["replicas"] == 3
    assert "replicas" not in orjson.loads(update.body)["spec"]
    assert create.recreation is None


def test_drift_of_what_was_accepted_gives_no_leave() -> None:
    first = planned(HELD, {}, ALLOWED)
    assert isinstance(first, Apply)
    drifted = planned(HELD, {"m1": Applied(first.digest, "as-it-was")}, ALLOWED)
    assert isinstance(drifted, Apply)
    assert drifted.recreation is not None
    assert "accepted this very manifest" in drifted.recreation.never


def test_without_the_annotation_nothing_is_carried() -> None:
    update = planned(HELD, {"m1": Applied("old", "entry")}, {})
    assert isinstance(update, Apply)
    assert update.recreation is None


# --- who else has a share ---------------------------------------------------------------------------------------------

SPEC: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {"f:image": {}}}}}}}


def forbidden(
    *entries: tuple[str, str, dict[str, Any]] | tuple[str, str, dict[str, Any], str], label: str = "true"
) -> str:
    fields = [
        {"manager": who, "operation": how, "apiVersion": "batch/v1", "fieldsV1": owned, "subresource": "".join(sub)}
        for who, how, owned, *sub in entries
    ]
    labels = {marks.MANAGED_LABEL: label}
    meta = {"name": "web", "uid": "u", "resourceVersion": "5", "labels": labels, "managedFields": fields}
    return recreation.forbidden(decoding.partial(orjson.dumps({"metadata": meta})), US)


OURS = (US, "Apply", SPEC)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="nobody"),
        pytest.param([(US, "Update", SPEC)], id="admission-in-our-own-write"),
        pytest.param([(f"{US}-replicas", "Apply", {"f:spec": {"f:replicas": {}}})], id="our-second-manager"),
        pytest.param([("kubectl-label", "Update", {"f:metadata": {"f:labels": {"f:a": {}}}})], id="metadata"),
        pytest.param([("kubelet", "Update", {"f:status": {"f:phase": {}}})], id="status"),
        pytest.param([("hpa", "Update", {"f:spec": {"f:replicas": {}}}, "scale")], id="scale"),
        pytest.param([("kube-controller-manager", "Update", {"f:spec": {"f:volumeName": {}}})], id="a-claims-volume"),
        pytest.param([("before-first-apply", "Update", {})], id="an-empty-entry"),
    ],
)
def test_it_is_ours_alone(others: list[Any]) -> None:
    assert forbidden(OURS, *others) == ""


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        pytest.param([], "this hub did not make it", id="nobodys"),
        pytest.param([("kubectl-create", "Update", SPEC)], "this hub did not make it", id="somebody-elses"),
        pytest.param([OURS, ("kubefed-99999999", "Apply", {"f:metadata": {}})], "another hub", id="another-hubs"),
        pytest.param(
            [OURS, ("kubefed-99999999-claim", "Apply", {"f:metadata": {}})], "kubefed-99999999", id="another-hub-waits"
        ),
        pytest.param(
            [OURS, ("kueue", "Update", {"f:metadata": {}, "f:spec": {"f:suspend": {}}})],
            '"kueue" owns .spec.suspend there',
            id="a-field-of-somebodys",
        ),
        pytest.param(
            [OURS, ("kubectl-edit", "Apply", {"f:data": {"f:theirs": {}}})],
            '"kubectl-edit" owns .data.theirs',
            id="data",
        ),
        pytest.param(
            [OURS, ("injector", "Update", SPEC)], '"injector" owns .spec.template.spec.containers there', id="in-a-list"
        ),
    ],
)
def test_it_is_not(entries: list[Any], why: str) -> None:
    assert why in forbidden(*entries)


def test_somebody_keeps_us_away() -> None:
    assert forbidden(OURS, label="false") == "this hub did not make it"


# --- what may be immutability -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "may"),
    [
        pytest.param(Failure(FailureKind.INVALID, "spec.template: field is immutable", 422), True, id="validation"),
        pytest.param(Failure(FailureKind.INVALID, "failed to create typed patch object", 500), False, id="no-manifest"),
        pytest.param(Failure(FailureKind.INVALID, "bad request", 400), False, id="bad-request"),
        pytest.param(Failure(FailureKind.DENIED, "ValidatingAdmissionPolicy denied", 422), False, id="policy"),
        pytest.param(Failure(FailureKind.TOO_LARGE, "too long", 422), False, id="too-large"),
        pytest.param(Failure(FailureKind.UID_MISMATCH, "metadata.uid", 422), False, id="created-anew"),
        pytest.param(Failure(FailureKind.RIGHT_MISSING, "cannot patch", 403), False, id="right"),
    ],
)
def test_only_the_api_servers_own_validation(failure: Failure, may: bool) -> None:
    assert classification.may_be_immutable(failure) is may
