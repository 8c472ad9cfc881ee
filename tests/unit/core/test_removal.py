"""How a copy leaves: what holds other people's things is deleted only where we made it and know that we placed it."""

from dataclasses import replace
from typing import Any

import msgspec
import orjson
import pytest

from federation.core import managedfields, ownership, planning, removal
from federation.core.facts import NamespaceFacts
from federation.core.removal import Copy, Rules
from federation.kube import decoding
from federation.model import marks
from federation.model.conditions import Reason
from federation.model.federated import FederatedType
from federation.model.observations import Applied, Cluster, Missing, Observation, Observed
from federation.model.plan import Action, Apply, Delete, Refuse, Release, RemovalCause, RemovalReason, Wait
from federation.model.resources import CRDS, Resource
from tests.unit.core.test_planning import (
    CONFIGMAPS,
    DATA,
    DIGEST,
    FEDERATED_NAMESPACES,
    OURS,
    facts,
    federated,
    federated_namespace,
    made,
)

CREATED = msgspec.structs.replace(OURS, created=True)
LEGACY = Observed(uid="u1", version=5, owned_digest="", managed=True, legacy=True)
PLACED = Copy(placed=True, may_exist=True)
ADOPTED_GO = {marks.DELETE_ADOPTED_ANNOTATION: "true"}
WRAPPER = FEDERATED_NAMESPACES.federated
CLAIMS = FederatedType("pvc", Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True), WRAPPER)
VOLUMES = FederatedType("pv", Resource("", "v1", "PersistentVolume", "persistentvolumes", False), WRAPPER)
DEFINITIONS = FederatedType("crds", CRDS, WRAPPER)
HOLDERS = [FEDERATED_NAMESPACES, DEFINITIONS, CLAIMS, VOLUMES]


@pytest.mark.parametrize(
    ("observed", "copy", "by_user", "annotations", "action"),
    [
        pytest.param(CREATED, PLACED, False, {}, Delete("u1"), id="created-and-placed"),
        pytest.param(CREATED, PLACED, True, {}, Delete("u1"), id="created-and-its-user-deletes"),
        pytest.param(CREATED, Copy(), True, {}, Delete("u1"), id="created-and-its-user-deletes-in-any-cluster"),
        pytest.param(CREATED, Copy(), False, {}, Release("u1"), id="created-in-a-cluster-of-another-name"),
        pytest.param(OURS, PLACED, False, {}, Release("u1"), id="adopted"),
        pytest.param(OURS, PLACED, True, {}, Release("u1"), id="adopted-and-its-user-deletes"),
        pytest.param(LEGACY, PLACED, True, {}, Release("u1"), id="made-or-adopted-by-kubefed"),
        pytest.param(OURS, PLACED, False, ADOPTED_GO, Delete("u1"), id="adopted-to-be-deleted"),
        pytest.param(OURS, Copy(), False, ADOPTED_GO, Release("u1"), id="adopted-in-a-cluster-of-another-name"),
        pytest.param(
            Missing.ABSENT, Copy(may_exist=True, unconfirmed=True), True, {}, Delete("", only_created=True), id="unseen"
        ),
        pytest.param(
            Missing.ABSENT,
            Copy(may_exist=True, unconfirmed=True),
            True,
            ADOPTED_GO,
            Delete(""),
            id="unseen-to-be-deleted",
        ),
        pytest.param(Missing.ABSENT, Copy(placed=True, may_exist=True), True, {}, None, id="nothing"),
    ],
)
@pytest.mark.parametrize("enabled", HOLDERS, ids=lambda enabled: enabled.name)
def test_what_holds_more_than_itself(  # noqa: PLR0917 - a table
    enabled: FederatedType,
    observed: Observation,
    copy: Copy,
    by_user: bool,
    annotations: dict[str, str],
    action: Action | None,
) -> None:
    assert removal.decide(observed, copy, Rules(enabled, annotations, by_user=by_user)) == action


@pytest.mark.parametrize("observed", [CREATED, OURS, LEGACY])
@pytest.mark.parametrize("copy", [PLACED, Copy()])
@pytest.mark.parametrize("by_user", [True, False])
def test_any_other_copy_is_deleted_adopted_or_not_as_kubefed_did(observed: Observed, copy: Copy, by_user: bool) -> None:
    assert removal.decide(observed, copy, Rules(CONFIGMAPS, {}, by_user=by_user)) == Delete("u1")


@pytest.mark.parametrize(
    "observed",
    [CREATED, OURS, LEGACY, msgspec.structs.replace(CREATED, deleting=True), Missing.ABSENT, Missing.UNKNOWN],
)
@pytest.mark.parametrize("by_user", [True, False])
def test_a_system_namespace_is_never_deleted(observed: Observation, by_user: bool) -> None:
    """Nor waited for while its owner deletes it."""
    rules = Rules(FEDERATED_NAMESPACES, ADOPTED_GO, system=True, by_user=by_user)
    action = removal.decide(observed, replace_unsure(PLACED), rules)
    assert not isinstance(action, Delete | Refuse)
    if isinstance(observed, Observed) and observed.deleting:
        assert action is None


def replace_unsure(copy: Copy) -> Copy:
    return copy._replace(unconfirmed=True)


def test_delete_options_that_cannot_be_read_hold_a_deletion_but_no_release() -> None:
    wrong = {marks.DELETE_OPTION_ANNOTATION: "x"}
    assert isinstance(removal.decide(CREATED, PLACED, Rules(FEDERATED_NAMESPACES, wrong)), Refuse)
    assert removal.decide(OURS, PLACED, Rules(FEDERATED_NAMESPACES, wrong)) == Release("u1")


# --- what tells that we made it ---------------------------------------------------------------------------------------


MANAGER = "kubefed-0123abcd"


def noted(manager: str, operation: str = "Apply") -> managedfields.PartialMetadata:
    """A namespace that carries the note, owned by this manager."""
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{marks.CREATED_ANNOTATION}": {}}}}
    entry = {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields}
    labels = {marks.MANAGED_LABEL: "true"}
    meta = {"name": "ns", "uid": "u", "resourceVersion": "5", "labels": labels, "managedFields": [entry]}
    return decoding.partial(orjson.dumps({"metadata": meta}))


@pytest.mark.parametrize(
    ("manager", "operation", "created"),
    [
        pytest.param(MANAGER, "Apply", True, id="ours"),
        pytest.param("kubefed-99999999", "Apply", False, id="another-hubs"),
        pytest.param("kubectl", "Update", False, id="somebodys-copy-of-ours"),
    ],
)
def test_the_note_counts_only_where_this_hub_wrote_it(manager: str, operation: str, created: bool) -> None:
    assert managedfields.observe(noted(manager, operation), MANAGER).created is created


def test_a_release_takes_the_note_off() -> None:
    """Who federates it again adopts it."""
    patch = ownership.release_patch(noted(MANAGER), MANAGER)
    assert patch is not None
    assert {"op": "remove", "path": "/metadata/annotations/kubefed.io~1created-by"} in patch
    left = ownership.release_patch(noted("kubectl", "Update"), MANAGER)
    assert left is not None
    assert all("created-by" not in operation["path"] for operation in left)


@pytest.mark.parametrize(("enabled", "marked"), [(FEDERATED_NAMESPACES, True), (CONFIGMAPS, False)])
def test_the_note_is_written_with_the_creation_and_kept_where_it_is(enabled: FederatedType, marked: bool) -> None:
    item = federated_namespace({"metadata": {}}) if enabled is FEDERATED_NAMESPACES else federated()
    assert made(item, type=enabled).mark is marked
    for seen in (OURS, msgspec.structs.replace(OURS, created=True)):
        action = planning.plan(facts(item, observed=seen, type=enabled)).actions["m1"]
        assert isinstance(action, Apply)
        assert action.mark is seen.created


# --- why --------------------------------------------------------------------------------------------------------------


def why(action: Action | None) -> RemovalReason:
    assert isinstance(action, Delete | Release)
    assert action.reason is not None
    return action.reason


def bounded(selected: frozenset[str] | None) -> NamespaceFacts:
    return NamespaceFacts(selected, lambda cluster: OURS, change="FederatedNamespace 'ns' (generation 3)")


OLD = {"m1": Applied(DIGEST, "entry", 6)}
NEW = {"m1": Applied(DIGEST, "entry", 7)}


@pytest.mark.parametrize(
    ("spec", "others", "cause", "says"),
    [
        pytest.param(
            {"clusters": []}, {}, RemovalCause.PLACEMENT, "spec.placement.clusters of generation 7", id="list"
        ),
        pytest.param({}, {}, RemovalCause.PLACEMENT, "spec.placement of generation 7", id="no-placement"),
        pytest.param(
            {"clusterSelector": {"matchLabels": {"a": "b"}}},
            {"applied": OLD},
            RemovalCause.PLACEMENT,
            "spec.placement.clusterSelector of generation 7",
            id="selector",
        ),
        pytest.param(
            {"clusterSelector": {"matchLabels": {"a": "b"}}},
            {"applied": NEW},
            RemovalCause.CLUSTER_LABELS,
            "labels of KubeFedCluster 'm1'",
            id="labels-of-the-cluster",
        ),
        pytest.param(
            {"clusters": [{"name": "m1"}]},
            {"namespace": bounded(frozenset())},
            RemovalCause.NAMESPACE,
            "FederatedNamespace 'ns' (generation 3) does not select",
            id="its-namespaces-placement",
        ),
        pytest.param(
            {"clusters": [{"name": "m1"}]},
            {"namespace": replace(bounded(frozenset()), by_labels=True)},
            RemovalCause.NAMESPACE,
            "clusterSelector does not match the labels of KubeFedCluster 'm1'",
            id="labels-of-the-cluster-and-its-namespaces-selector",
        ),
        pytest.param(
            {"clusters": [{"name": "m1"}]},
            {"namespace": bounded(None)},
            RemovalCause.NO_NAMESPACE,
            "FederatedNamespace 'ns'",
            id="no-namespace",
        ),
    ],
)
def test_a_removal_says_what_it_follows_from(
    spec: dict[str, Any], others: dict[str, Any], cause: RemovalCause, says: str
) -> None:
    item = federated(DATA, placement=spec)
    given = facts(item, observed=OURS, **{"applied": OLD, **others})
    found = why(planning.plan(given).actions["m1"])
    assert (found.cause, says in found.change) == (cause, True), found


def test_a_users_deletion_says_so_and_what_is_kept_says_why() -> None:
    assert why(planning.plan(facts(federated(deleting=True), observed=OURS)).actions["m1"]) == RemovalReason(
        RemovalCause.DELETION
    )
    gone = facts(federated_namespace(deleting=True), observed=OURS, type=FEDERATED_NAMESPACES)
    kept = why(planning.plan(gone).actions["m1"])
    assert (kept.cause, kept.unexpected) == (RemovalCause.DELETION, True)
    assert "did not create it" in kept.kept
    assert marks.DELETE_ADOPTED_ANNOTATION in kept.kept


# --- system namespaces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease", "kube-federation-system"])
def test_a_system_namespace_is_a_gate_and_nothing_else(name: str) -> None:
    item = federated(None, name=name, namespace=name)
    plan = planning.plan(facts(item, type=FEDERATED_NAMESPACES))
    assert (plan.actions, plan.reason, plan.finalizer) == ({}, Reason.OK, None)
    assert plan.ready_reason == "SystemNamespace"
    assert "objects in it may go to m1" in plan.nowhere
    labelled = planning.plan(facts(item, observed=OURS, type=FEDERATED_NAMESPACES))
    assert labelled.actions == {"m1": Release("u1")}
    assert why(labelled.actions["m1"]).cause is RemovalCause.SYSTEM_NAMESPACE


def test_the_controllers_own_namespace_is_one_whatever_it_is_called() -> None:
    item = federated(None, name="fed", namespace="fed")
    given = facts(item, type=FEDERATED_NAMESPACES, system_namespaces=marks.SYSTEM_NAMESPACES | {"fed"})
    assert planning.plan(given).actions == {}
    assert isinstance(planning.plan(facts(item, type=FEDERATED_NAMESPACES)).actions["m1"], Apply)


@pytest.mark.parametrize(
    "asked",
    [
        {"template": {"metadata": {"labels": {"a": "b"}}}},
        {"overrides": [{"clusterName": "m1", "clusterOverrides": [{"path": "/metadata/labels", "value": {}}]}]},
    ],
)
def test_a_change_of_a_system_namespace_is_refused_in_words(asked: dict[str, Any]) -> None:
    item = federated(asked.pop("template", None), name="default", namespace="default", **asked)
    plan = planning.plan(facts(item, type=FEDERATED_NAMESPACES))
    assert (plan.actions, plan.reason) == ({}, Reason.SYSTEM_NAMESPACE)
    assert "never created, changed or deleted" in plan.message


@pytest.mark.parametrize("observed", [Missing.ABSENT, OURS, msgspec.structs.replace(OURS, deleting=True)])
def test_deleting_the_object_of_a_system_namespace_never_wedges(observed: Observation) -> None:
    item = federated(None, name="default", namespace="default", deleting=True)
    plan = planning.plan(facts(item, observed=observed, type=FEDERATED_NAMESPACES))
    released = observed == OURS
    assert plan.actions == ({"m1": Release("u1")} if released else {})
    assert plan.finalizer is (None if released else False)


def test_objects_wait_for_a_namespace_that_is_to_come_and_not_for_one_that_is_somebody_elses() -> None:
    awaited = NamespaceFacts(frozenset({"m1"}), lambda cluster: Missing.ABSENT)
    there = replace(awaited, exists=lambda cluster: True)
    assert isinstance(planning.plan(facts(namespace=awaited)).actions["m1"], Wait)
    assert isinstance(planning.plan(facts(namespace=there)).actions["m1"], Apply)
    going = replace(there, observe=lambda cluster: msgspec.structs.replace(OURS, deleting=True))
    assert isinstance(planning.plan(facts(namespace=going)).actions["m1"], Wait)


# --- nowhere ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("placement", "says"),
    [
        ({"clusters": []}, "spec.placement.clusters is an empty list"),
        ({"clusters": [{"name": "typo"}]}, "spec.placement.clusters names none that has joined"),
        ({"clusterSelector": {"matchLabels": {"a": "b"}}}, "matches none of 1 joined cluster"),
        ({}, "neither clusters nor clusterSelector"),
    ],
)
def test_an_object_that_goes_nowhere_says_what_led_to_it(placement: dict[str, Any], says: str) -> None:
    plan = planning.plan(facts(federated(DATA, placement=placement)))
    assert says in plan.nowhere
    assert plan.ready_reason == ""


def test_an_object_that_its_namespace_keeps_from_everywhere_says_so() -> None:
    plan = planning.plan(facts(namespace=bounded(frozenset())))
    assert plan.nowhere == "FederatedNamespace 'ns' (generation 3) does not select m1"
    assert planning.plan(facts(clusters={}, observed={})).nowhere == "no cluster has joined"
    assert planning.plan(facts(cluster=Cluster("m1", ready=False), observed=OURS)).nowhere == ""
