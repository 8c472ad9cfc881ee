"""What every cluster should get: each branch as a row, and what must hold for all facts as properties."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import claims, planning
from federation.core.clusterchanges import ClusterChange
from federation.core.facts import Facts, NamespaceFacts
from federation.model import marks
from federation.model.conditions import PropagationStatus, Reason
from federation.model.federated import FederatedObject, FederatedType, Metadata
from federation.model.observations import MAY_HAVE_COPY, Applied, Cluster, Missing, Observation, Observed
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Plan, Refuse, Release, Wait
from federation.model.resources import NAMESPACES, Resource

GROUP = "types.kubefed.io"
CONFIGMAPS = FederatedType(
    "configmaps",
    Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True),
)
DEPLOYMENTS = FederatedType(
    "deployments.apps",
    Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
    Resource(GROUP, "v1beta1", "FederatedDeployment", "federateddeployments", namespaced=True),
)
FEDERATED_NAMESPACES = FederatedType(
    marks.NAMESPACE_TYPE,
    NAMESPACES,
    Resource(GROUP, "v1beta1", "FederatedNamespace", "federatednamespaces", namespaced=True),
)
DATA = {"data": {"a": "b"}}
READY = Cluster("m1", ready=True)
DOWN = Cluster("m1", ready=False, message="cannot connect")
UNPROBED = Cluster("m1")
OURS = Observed(uid="u1", version=5, owned_digest="entry", managed=True)


def federated(
    template: Any = DATA,
    *,
    clusters: list[str] | None = None,
    deleting: bool = False,
    annotations: dict[str, str] | None = None,
    finalizers: tuple[str, ...] = (marks.SYNC_FINALIZER,),
    namespace: str = "ns",
    name: str = "web",
    **spec: Any,
) -> FederatedObject:
    body = {"placement": {"clusters": [{"name": name} for name in (["m1"] if clusters is None else clusters)]}, **spec}
    if template is not None:
        body["template"] = template
    meta = Metadata(
        name=name,
        namespace=namespace,
        uid="f1",
        generation=7,
        annotations=annotations or {},
        finalizers=finalizers,
        deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
    )
    return FederatedObject(meta, msgspec.Raw(orjson.dumps(body)))


def facts(
    item: FederatedObject | None = None,
    cluster: Cluster = READY,
    observed: Observation | Mapping[str, Observation] = Missing.ABSENT,
    **others: Any,
) -> Facts:
    clusters = others.pop("clusters", {cluster.name: cluster})
    seen = observed if isinstance(observed, Mapping) else dict.fromkeys(clusters, observed)
    return Facts(
        type=others.pop("type", CONFIGMAPS),
        object=item if item is not None else federated(),
        clusters=clusters,
        observe=lambda name: seen[name],
        **others,
    )


def made(item: FederatedObject | None = None, **others: Any) -> Apply:
    """What planning applies where nothing is."""
    action = planning.plan(facts(item, **others)).actions["m1"]
    assert isinstance(action, Apply)
    return action


DIGEST = made().digest
APPLIED = {"m1": Applied(DIGEST, "entry", 7)}


def within(
    selected: frozenset[str] | Missing | None, observed: Observation = OURS, message: str = ""
) -> NamespaceFacts:
    return NamespaceFacts(selected, lambda cluster: observed, message)


# --- a selected cluster -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_facts", "action"),
    [
        pytest.param(
            facts(cluster=UNPROBED),
            Wait(PropagationStatus.PENDING, "the cluster has not been probed yet"),
            id="unprobed",
        ),
        pytest.param(facts(cluster=DOWN), Wait(PropagationStatus.CLUSTER_NOT_READY, "cannot connect"), id="not-ready"),
        pytest.param(
            facts(cluster=DOWN, observed=OURS, applied=APPLIED),
            Wait(PropagationStatus.CLUSTER_NOT_READY, "cannot connect"),
            id="not-ready-though-it-holds-it",
        ),
        pytest.param(
            facts(unobservable=lambda name: Wait(PropagationStatus.RETRIEVAL_FAILED, f"{name}: no right to list")),
            Wait(PropagationStatus.RETRIEVAL_FAILED, "m1: no right to list"),
            id="cannot-be-followed",
        ),
        pytest.param(
            facts(observed=Missing.UNKNOWN),
            Wait(PropagationStatus.PENDING, "the cluster's objects have not been listed yet"),
            id="not-listed-yet",
        ),
        pytest.param(
            facts(namespace=within(frozenset({"m1"}), Missing.ABSENT)),
            Wait(PropagationStatus.PENDING, "waiting for the namespace to be created in this cluster"),
            id="namespace-not-there-yet",
        ),
        pytest.param(
            facts(namespace=within(frozenset({"m1"}), Missing.UNKNOWN)),
            Wait(PropagationStatus.PENDING, "the cluster's namespaces have not been listed yet"),
            id="namespaces-not-listed-yet",
        ),
        pytest.param(
            facts(namespace=within(frozenset({"m1"}), msgspec.structs.replace(OURS, deleting=True))),
            Wait(PropagationStatus.PENDING, "the namespace is being deleted in this cluster"),
            id="namespace-going",
        ),
        pytest.param(
            facts(observed=msgspec.structs.replace(OURS, deleting=True), applied=APPLIED),
            Wait(
                PropagationStatus.PENDING,
                "the object is being deleted in this cluster; it is created again once it is gone",
            ),
            id="being-deleted-there",
        ),
        pytest.param(
            facts(observed=msgspec.structs.replace(OURS, managed=False), applied=APPLIED),
            Wait(
                PropagationStatus.MANAGED_LABEL_FALSE,
                'label kubefed.io/managed is not "true" there: somebody keeps us away',
            ),
            id="managed-false",
        ),
        pytest.param(
            facts(observed=msgspec.structs.replace(OURS, owned_digest="", other_hub="kubefed-99999999")),
            Claim("u1", "kubefed-99999999"),
            id="another-hub",
        ),
        pytest.param(facts(observed=OURS, applied=APPLIED), Keep(DIGEST, "entry"), id="as-it-should-be"),
        pytest.param(
            facts(federated(overrides=[{"clusterName": "m1", "clusterOverrides": [{"path": "/x/y", "op": "remove"}]}])),
            Refuse(PropagationStatus.APPLY_OVERRIDES_FAILED, ""),
            id="override-does-not-fit",
        ),
    ],
)
def test_what_a_selected_cluster_waits_for(given_facts: Facts, action: Action) -> None:
    plan = planning.plan(given_facts)
    got = plan.actions["m1"]
    if isinstance(action, Refuse):
        assert isinstance(got, Refuse)
        assert got.status is action.status
        assert "clusterOverrides" in got.message or "/x" in got.message
    else:
        assert got == action
    assert plan.selected == {"m1"}


@pytest.mark.parametrize(
    ("observed", "applied", "expected"),
    [
        pytest.param(Missing.ABSENT, {}, {"uid": ""}, id="absent"),
        pytest.param(Missing.ABSENT, APPLIED, {"uid": ""}, id="deleted-by-somebody"),
        pytest.param(OURS, {"m1": Applied("old", "entry")}, {"uid": "u1", "first": False}, id="another-manifest"),
        pytest.param(
            msgspec.structs.replace(OURS, owned_digest="drifted"), APPLIED, {"uid": "u1", "first": False}, id="drift"
        ),
        pytest.param(msgspec.structs.replace(OURS, owned_digest=""), APPLIED, {"uid": "u1"}, id="our-entry-wiped"),
        pytest.param(OURS, {}, {"uid": "u1", "first": True}, id="never-noted"),
        pytest.param(
            msgspec.structs.replace(OURS, owned_digest="", legacy=True),
            {},
            {"uid": "u1", "legacy": True},
            id="made-by-kubefed",
        ),
    ],
)
def test_when_it_is_applied(observed: Observation, applied: dict[str, Applied], expected: dict[str, Any]) -> None:
    action = planning.plan(facts(observed=observed, applied=applied)).actions["m1"]
    assert isinstance(action, Apply)
    assert {name: getattr(action, name) for name in expected} == expected
    assert action.digest == DIGEST
    assert orjson.loads(action.body) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", "namespace": "ns", "labels": {marks.MANAGED_LABEL: "true"}},
        **DATA,
    }


@pytest.mark.parametrize("adopt", [True, False])
def test_adoption_disabled_creates_only(adopt: bool) -> None:
    assert made(adopt=adopt).create_only is not adopt
    assert not made_over(OURS, adopt=adopt).create_only


def made_over(observed: Observed, item: FederatedObject | None = None, **others: Any) -> Apply:
    action = planning.plan(facts(item, observed=observed, **others)).actions["m1"]
    assert isinstance(action, Apply)
    return action


# --- replicas ---------------------------------------------------------------------------------------------------

SCALED = {"spec": {"replicas": 3, "paused": True}}


def test_retained_replicas_create_with_them_and_hand_them_over() -> None:
    item = federated(SCALED, retainReplicas=True)
    action = made(item, type=DEPLOYMENTS)
    assert (action.hand_over, action.retain_replicas) == (3, True)
    assert orjson.loads(action.body)["spec"]["replicas"] == 3
    again = planning.plan(facts(item, type=DEPLOYMENTS, observed=OURS, applied={"m1": Applied(action.digest, "entry")}))
    assert again.actions["m1"] == Keep(action.digest, "entry")


@pytest.mark.parametrize(
    ("owns", "hand_over"), [pytest.param(True, 3, id="ours-still"), pytest.param(False, None, id="handed-over")]
)
def test_an_update_leaves_them_out(owns: bool, hand_over: int | None) -> None:
    item = federated(SCALED, retainReplicas=True)
    action = made_over(
        msgspec.structs.replace(OURS, owns_replicas=owns),
        item,
        type=DEPLOYMENTS,
        applied={"m1": Applied("old", "entry")},
    )
    assert action.hand_over == hand_over
    assert orjson.loads(action.body)["spec"] == {"paused": True}


def test_without_retention_they_are_the_templates() -> None:
    action = made_over(msgspec.structs.replace(OURS, owns_replicas=True), federated(SCALED), type=DEPLOYMENTS)
    assert (action.hand_over, action.retain_replicas) == (None, False)
    assert orjson.loads(action.body)["spec"]["replicas"] == 3


# --- a cluster that should not hold it ----------------------------------------------------------------------------

ELSEWHERE = federated(clusters=[])


@pytest.mark.parametrize(
    ("given_facts", "action"),
    [
        pytest.param(facts(ELSEWHERE), None, id="nothing-there"),
        pytest.param(facts(ELSEWHERE, observed=OURS), Delete("u1"), id="delete"),
        pytest.param(
            facts(ELSEWHERE, observed=msgspec.structs.replace(OURS, owned_digest="", legacy=True)),
            Delete("u1"),
            id="delete-what-kubefed-made",
        ),
        pytest.param(
            facts(
                federated(clusters=[], annotations={marks.DELETE_OPTION_ANNOTATION: '{"propagationPolicy":"Orphan"}'}),
                observed=OURS,
            ),
            Delete("u1", {"propagationPolicy": "Orphan"}),
            id="delete-with-options",
        ),
        pytest.param(
            facts(ELSEWHERE, observed=msgspec.structs.replace(OURS, managed=False)),
            None,
            id="managed-false-is-not-ours",
        ),
        pytest.param(
            facts(ELSEWHERE, observed=msgspec.structs.replace(OURS, owned_digest="")), None, id="label-only-is-not-ours"
        ),
        pytest.param(
            facts(ELSEWHERE, observed=msgspec.structs.replace(OURS, owned_digest="", other_hub="kubefed-99999999")),
            None,
            id="another-hubs",
        ),
        pytest.param(
            facts(ELSEWHERE, observed=msgspec.structs.replace(OURS, other_hub="kubefed-99999999")),
            Release("u1", keep_label=True),
            id="shared-with-another-hub",
        ),
        pytest.param(
            facts(ELSEWHERE, observed=msgspec.structs.replace(OURS, deleting=True)),
            Wait(PropagationStatus.WAITING_FOR_REMOVAL, "deleted; its finalizers hold it"),
            id="going",
        ),
        pytest.param(facts(ELSEWHERE, DOWN), None, id="not-ready-and-never-applied"),
        pytest.param(
            facts(ELSEWHERE, DOWN, OURS),
            Wait(PropagationStatus.CLUSTER_NOT_READY, "cannot connect"),
            id="not-ready-and-last-seen-there",
        ),
        pytest.param(
            facts(ELSEWHERE, DOWN, applied={"m1": MAY_HAVE_COPY}),
            Wait(
                PropagationStatus.CLUSTER_NOT_READY, "cannot connect; it may hold a copy and is asked once it answers"
            ),
            id="not-ready-and-perhaps-applied",
        ),
        pytest.param(facts(ELSEWHERE, applied={"m1": MAY_HAVE_COPY}), None, id="a-list-shows-that-it-was-not-applied"),
        pytest.param(
            facts(ELSEWHERE, DOWN, OURS, applied=APPLIED),
            Wait(PropagationStatus.CLUSTER_NOT_READY, "cannot connect"),
            id="not-ready-and-applied",
        ),
        pytest.param(facts(ELSEWHERE, observed=Missing.UNKNOWN), None, id="unknown-and-never-applied"),
        pytest.param(
            facts(ELSEWHERE, observed=Missing.UNKNOWN, applied=APPLIED),
            Wait(PropagationStatus.WAITING_FOR_REMOVAL, "the cluster's objects cannot be listed"),
            id="unknown-and-applied",
        ),
        pytest.param(facts(ELSEWHERE, applied=APPLIED), None, id="gone-already"),
        pytest.param(
            facts(ELSEWHERE, unconfirmed=frozenset({"m1"})), Delete(""), id="a-create-without-answer-is-looked-for"
        ),
        pytest.param(
            facts(ELSEWHERE, DOWN, unconfirmed=frozenset({"m1"})),
            Wait(PropagationStatus.CLUSTER_NOT_READY, "cannot connect"),
            id="a-create-without-answer-in-a-cluster-that-is-down",
        ),
        pytest.param(facts(ELSEWHERE, observed=OURS, unconfirmed=frozenset({"m1"})), Delete("u1"), id="seen-after-all"),
    ],
)
def test_clusters_that_should_not_hold_it(given_facts: Facts, action: Action | None) -> None:
    plan = planning.plan(given_facts)
    assert plan.actions.get("m1") == action
    assert plan.selected == frozenset()
    assert plan.finalizer is None


def test_wrong_delete_options_are_refused_where_something_is_to_be_deleted() -> None:
    item = federated(clusters=["m2"], annotations={marks.DELETE_OPTION_ANNOTATION: "{"})
    clusters = {name: Cluster(name, ready=True) for name in ("m1", "m2")}
    plan = planning.plan(facts(item, clusters=clusters, observed={"m1": OURS, "m2": Missing.ABSENT}))
    refused = plan.actions["m1"]
    assert isinstance(refused, Refuse)
    assert refused.status is PropagationStatus.DELETION_FAILED
    assert marks.DELETE_OPTION_ANNOTATION in refused.message
    assert isinstance(plan.actions["m2"], Apply)


# --- the namespace ------------------------------------------------------------------------------------------------


def test_a_namespace_bounds_what_is_in_it() -> None:
    clusters = {name: Cluster(name, ready=True) for name in ("m1", "m2")}
    plan = planning.plan(
        facts(federated(clusters=["m1", "m2"]), clusters=clusters, observed=OURS, namespace=within(frozenset({"m2"})))
    )
    assert plan.selected == {"m2"}
    assert plan.actions["m1"] == Delete("u1")
    assert isinstance(plan.actions["m2"], Apply)


def test_a_namespace_that_is_not_federated_selects_nothing() -> None:
    plan = planning.plan(facts(observed=OURS, namespace=within(None)))
    assert plan.reason is Reason.NAMESPACE_NOT_FEDERATED
    assert "no FederatedNamespace: create one" in plan.message
    assert (plan.selected, plan.actions) == (frozenset(), {"m1": Delete("u1")})


def test_while_the_namespace_is_unknown_nothing_is_decided() -> None:
    plan = planning.plan(facts(observed=OURS, applied=APPLIED, namespace=within(Missing.UNKNOWN)))
    assert plan == Plan(7, undecided=True)


def test_a_namespace_that_somebody_must_mend_holds_what_is_there() -> None:
    plan = planning.plan(
        facts(observed=OURS, applied=APPLIED, namespace=within(Missing.UNKNOWN, message="not enabled"))
    )
    assert (plan.reason, plan.message) == (Reason.NAMESPACE_NOT_FEDERATED, "not enabled")
    assert plan.actions == {"m1": Wait(PropagationStatus.CACHED_RETRIEVAL_FAILED, "not enabled")}
    assert not plan.undecided


COPYING = {marks.COPY_ANNOTATION: "true"}


def federated_namespace(template: Any = None, **others: Any) -> FederatedObject:
    return federated(template, name="ns", **others)


def test_a_namespace_takes_the_hosts_labels_only_where_that_is_asked_for() -> None:
    host = Metadata(name="ns", labels={"team": "a", "kubernetes.io/metadata.name": "ns"})
    plain = made(federated_namespace(), type=FEDERATED_NAMESPACES, host_namespace=host)
    assert orjson.loads(plain.body)["metadata"]["labels"] == {marks.MANAGED_LABEL: "true"}
    assert plain.yields == frozenset()
    action = made(federated_namespace(annotations=COPYING), type=FEDERATED_NAMESPACES, host_namespace=host)
    assert orjson.loads(action.body)["metadata"]["labels"] == {"team": "a", marks.MANAGED_LABEL: "true"}
    assert action.yields == {("labels", "team")}


def test_before_the_hosts_namespaces_are_listed_nothing_is_decided_where_they_are_copied() -> None:
    """Else every restart would take the labels away and put them back."""
    item = federated_namespace(annotations=COPYING)
    unknown = facts(item, type=FEDERATED_NAMESPACES, host_namespace=Missing.UNKNOWN, observed=OURS)
    assert planning.plan(unknown) == Plan(7, undecided=True)
    for own in (federated_namespace({"metadata": {}}), federated_namespace()):
        plan = planning.plan(facts(own, type=FEDERATED_NAMESPACES, host_namespace=Missing.UNKNOWN))
        assert isinstance(plan.actions["m1"], Apply)
    going = facts(
        federated_namespace(deleting=True),
        type=FEDERATED_NAMESPACES,
        host_namespace=Missing.UNKNOWN,
        observed=msgspec.structs.replace(OURS, created=True),
    )
    assert planning.plan(going).actions == {"m1": Delete("u1")}


def test_a_federated_namespace_lives_in_the_namespace_it_names() -> None:
    plan = planning.plan(facts(federated(None, name="other"), type=FEDERATED_NAMESPACES))
    assert plan.reason is Reason.INVALID
    assert plan.message.startswith("metadata.name: must be the name of the namespace")


@pytest.mark.parametrize(
    ("observed", "unconfirmed", "action"),
    [
        pytest.param(OURS, False, Release("u1"), id="released"),
        pytest.param(
            msgspec.structs.replace(OURS, deleting=True), False, None, id="its-own-deletion-is-not-waited-for"
        ),
        pytest.param(Missing.ABSENT, True, Release(""), id="perhaps-labelled"),
        pytest.param(Missing.ABSENT, False, None, id="not-labelled"),
    ],
)
@pytest.mark.parametrize("deleting", [True, False])
def test_the_hosts_own_namespace_is_never_deleted(
    observed: Observation, unconfirmed: bool, action: Action | None, deleting: bool
) -> None:
    item = federated_namespace(clusters=[], deleting=deleting)
    host = replace(READY, is_host=True)
    given_facts = facts(
        item, host, observed, type=FEDERATED_NAMESPACES, unconfirmed=frozenset({"m1"} if unconfirmed else ())
    )
    assert planning.plan(given_facts).actions.get("m1") == action


# --- the object as a whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason", "says"),
    [
        pytest.param(b"", Reason.INVALID, "spec: is required", id="no-spec"),
        pytest.param(b'{"template": 7}', Reason.INVALID, "spec.template", id="template"),
        pytest.param(
            b'{"template": {}, "placement": {"clusters": {}}}',
            Reason.COMPUTE_PLACEMENT_FAILED,
            "spec.placement.clusters",
            id="placement",
        ),
        pytest.param(b'{"template": {"kind": "Secret"}}', Reason.INVALID, "spec.template.kind", id="another-kind"),
    ],
)
def test_what_cannot_be_understood_touches_nothing(spec: bytes, reason: Reason, says: str) -> None:
    item = FederatedObject(federated().metadata, msgspec.Raw(spec))
    clusters = {name: Cluster(name, ready=True) for name in ("m1", "m2")}
    plan = planning.plan(facts(item, clusters=clusters, observed=OURS, applied={**APPLIED, "left": Applied("x", "y")}))
    assert plan.reason is reason
    assert says in plan.message
    assert plan.actions == {"m1": Wait(PropagationStatus.COMPUTE_RESOURCE_FAILED, plan.message)}
    assert plan.finalizer is None


def test_the_finalizer_comes_before_the_first_push() -> None:
    assert planning.plan(facts(federated(finalizers=()))).finalizer is True
    assert planning.plan(facts(federated(finalizers=("other",)), observed=OURS, applied=APPLIED)).finalizer is True
    assert planning.plan(facts(federated())).finalizer is None
    assert planning.plan(facts(federated(finalizers=()), DOWN)).finalizer is None


# --- deletion -------------------------------------------------------------------------------------------------------

GOING = federated(deleting=True)
ORPHANING = federated(deleting=True, annotations={marks.ORPHAN_ANNOTATION: "true"})


@pytest.mark.parametrize(
    ("given_facts", "actions", "finalizer"),
    [
        pytest.param(facts(GOING), {}, False, id="nothing-left"),
        pytest.param(facts(GOING, observed=OURS), {"m1": Delete("u1")}, None, id="delete"),
        pytest.param(facts(ORPHANING, observed=OURS), {"m1": Release("u1")}, None, id="orphan"),
        pytest.param(
            facts(
                federated(
                    deleting=True,
                    annotations={marks.ORPHAN_ANNOTATION: "true", marks.DELETE_OPTION_ANNOTATION: "{"},
                ),
                observed=OURS,
            ),
            {"m1": Release("u1")},
            None,
            id="orphan-whatever-the-options",
        ),
        pytest.param(facts(GOING, unconfirmed=frozenset({"m1"})), {"m1": Delete("")}, None, id="perhaps-created"),
        pytest.param(
            facts(ORPHANING, unconfirmed=frozenset({"m1"})),
            {"m1": Release("")},
            None,
            id="perhaps-created-and-orphaned",
        ),
        pytest.param(
            facts(GOING, observed=msgspec.structs.replace(OURS, managed=False)), {}, False, id="managed-false-stays"
        ),
        pytest.param(
            facts(GOING, DOWN, OURS, applied=APPLIED),
            {"m1": Wait(PropagationStatus.WAITING_FOR_REMOVAL, "cannot connect")},
            None,
            id="a-cluster-that-is-down-is-waited-for",
        ),
        pytest.param(
            facts(GOING, DOWN),
            {"m1": Wait(PropagationStatus.WAITING_FOR_REMOVAL, "cannot connect")},
            None,
            id="even-when-nothing-was-noted",
        ),
        pytest.param(
            facts(federated(deleting=True, clusters=[]), DOWN), {}, False, id="but-not-where-it-never-should-have-been"
        ),
        pytest.param(
            facts(GOING, observed=Missing.UNKNOWN),
            {"m1": Wait(PropagationStatus.WAITING_FOR_REMOVAL, "the cluster's objects have not been listed yet")},
            None,
            id="not-listed-yet",
        ),
        pytest.param(
            facts(GOING, observed=msgspec.structs.replace(OURS, deleting=True)),
            {"m1": Wait(PropagationStatus.WAITING_FOR_REMOVAL, "deleted; its finalizers hold it")},
            None,
            id="held-by-finalizers-there",
        ),
        pytest.param(facts(GOING, clusters={}), {}, False, id="no-clusters"),
        pytest.param(
            facts(federated(deleting=True, finalizers=("other",)), observed=OURS), {}, None, id="our-part-is-done"
        ),
        pytest.param(
            facts(GOING, observed=OURS, namespace=within(Missing.UNKNOWN)),
            {"m1": Delete("u1")},
            None,
            id="namespace-or-not",
        ),
    ],
)
def test_deletion(given_facts: Facts, actions: dict[str, Action], finalizer: bool | None) -> None:
    plan = planning.plan(given_facts)
    assert plan.actions == actions
    assert plan.finalizer is finalizer
    assert plan.deleting
    assert plan.selected == frozenset()


def test_a_broken_object_can_be_deleted() -> None:
    item = FederatedObject(GOING.metadata, msgspec.Raw(b'{"template": 7}'))
    assert planning.plan(facts(item, observed=OURS)).actions == {"m1": Delete("u1")}


# --- properties -----------------------------------------------------------------------------------------------------

NAMES = ("m1", "m2", "m3", "m4")
UNREADABLE = st.builds(lambda managed: Observed("u1", 1, "", managed, broken="nests too deep"), st.booleans())
READABLE = st.builds(
    Observed,
    uid=st.sampled_from(["u1", "u2"]),
    version=st.integers(1, 9),
    owned_digest=st.sampled_from(["", "entry", "drifted"]),
    managed=st.booleans(),
    deleting=st.booleans(),
    owns_replicas=st.booleans(),
    other_hub=st.sampled_from(["", "kubefed-99999999"]),
    legacy=st.booleans(),
    claimed=st.booleans(),
    claims=st.sampled_from([(), ("kubefed-99999999",)]),
    broken=st.just(""),
    created=st.booleans(),
)
OBSERVATIONS = st.one_of(st.just(Missing.ABSENT), st.just(Missing.UNKNOWN), READABLE, UNREADABLE)
CLUSTERS = st.lists(st.sampled_from(NAMES), unique=True).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            name: st.builds(
                Cluster,
                st.just(name),
                labels=st.sampled_from([{}, {"tier": "edge"}]),
                ready=st.sampled_from([True, True, False, None]),
                message=st.just("said"),
                is_host=st.booleans(),
            )
            for name in names
        }
    )
)
SPECS = st.fixed_dictionaries(
    {
        "template": st.sampled_from([DATA, SCALED, {"metadata": {"labels": {"a": "b"}}}, 7, None]),
        "placement": st.sampled_from(
            [
                {"clusters": [{"name": "m1"}, {"name": "m2"}, {"name": "nowhere"}]},
                {"clusters": []},
                {"clusterSelector": {}},
                {"clusterSelector": {"matchLabels": {"tier": "edge"}}},
                {"clusters": 7},
            ]
        ),
        "overrides": st.sampled_from(
            [
                [],
                [{"clusterName": "m1", "clusterOverrides": [{"path": "/data/a", "op": "add", "value": "z"}]}],
                [{"clusterName": "m2", "clusterOverrides": [{"path": "/x/y/z", "op": "remove"}]}],
            ]
        ),
        "retainReplicas": st.booleans(),
    }
)


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    clusters = draw(CLUSTERS)
    seen = {name: draw(OBSERVATIONS) for name in NAMES}
    spaces = {name: draw(OBSERVATIONS) for name in NAMES}
    applied = {
        name: Applied(draw(st.sampled_from([DIGEST, "old"])), draw(st.sampled_from(["entry", ""])))
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    }
    kind = draw(st.sampled_from([CONFIGMAPS, DEPLOYMENTS, FEDERATED_NAMESPACES]))
    annotations = draw(st.sampled_from([{}, {marks.ORPHAN_ANNOTATION: "true"}, {marks.DELETE_OPTION_ANNOTATION: "{"}]))
    meta = Metadata(
        name="ns" if kind.is_namespace else "web",
        namespace="ns",
        generation=7,
        annotations=annotations,
        finalizers=draw(st.sampled_from([(), (marks.SYNC_FINALIZER,)])),
        deletion_timestamp=draw(st.sampled_from([None, "2026-01-01T00:00:00Z"])),
    )
    spaced = st.sampled_from([frozenset(NAMES), frozenset({"m1"}), None, Missing.UNKNOWN])
    namespace = NamespaceFacts(draw(spaced), spaces.__getitem__, draw(st.sampled_from(["", "mend it"])))
    return Facts(
        type=kind,
        object=FederatedObject(meta, msgspec.Raw(orjson.dumps(draw(SPECS)))),
        clusters=clusters,
        observe=seen.__getitem__,
        applied=applied,
        namespace=None if kind.is_namespace else draw(st.sampled_from([None, namespace])),
        host_namespace=draw(st.sampled_from([None, Missing.UNKNOWN, Metadata(name="ns", labels={"team": "a"})])),
        unconfirmed=frozenset(draw(st.lists(st.sampled_from(NAMES), unique=True))),
        adopt=draw(st.booleans()),
    )


@given(any_facts())
def test_unknown_never_deletes_nor_releases(given_facts: Facts) -> None:
    for name, action in planning.plan(given_facts).actions.items():
        cluster = given_facts.clusters[name]
        if cluster.ready is not True or given_facts.observe(name) is Missing.UNKNOWN:
            assert isinstance(action, Wait | Refuse)


@given(any_facts())
def test_clusters_that_hold_nothing_need_not_be_looked_at(given_facts: Facts) -> None:
    """In a fleet of thousands these are nearly all: the plan is the same whether each of them is asked or none."""
    present = frozenset(name for name in NAMES if isinstance(given_facts.observe(name), Observed))
    assert planning.plan(replace(given_facts, present=present)) == planning.plan(given_facts)


A_CLUSTER = st.builds(
    Cluster,
    st.just("m1"),
    labels=st.sampled_from([{}, {"tier": "edge"}, {"tier": "core"}]),
    ready=st.sampled_from([True, False, None]),
    message=st.sampled_from(["said", "other"]),
    is_host=st.booleans(),
    cordon=st.sampled_from([None, "", "why"]),
)


@given(any_facts(), st.one_of(st.none(), A_CLUSTER))
def test_a_cluster_whose_change_does_not_concern_a_plan_would_not_alter_it(
    given_facts: Facts, after: Cluster | None
) -> None:
    """So that only what a change can alter is planned anew."""
    before = given_facts.clusters.get("m1")
    clusters = {name: cluster for name, cluster in given_facts.clusters.items() if name != "m1"}
    if after is not None:
        clusters["m1"] = after
    plan = planning.plan(given_facts)
    there = given_facts.may_have_copy("m1") or isinstance(given_facts.observe("m1"), Observed)
    change = ClusterChange("m1", before, after)
    touched = change.touches_copies and ("m1" in plan.actions or there)
    if not plan.undecided and not change.concerns(plan) and not touched:
        changed = planning.plan(replace(given_facts, clusters=clusters))
        changed, plan = (msgspec.structs.replace(each, actions=dict(each.actions)) for each in (changed, plan))
        assert changed == plan


@given(any_facts())
def test_the_finalizer_goes_only_when_nothing_of_ours_can_be_anywhere(given_facts: Facts) -> None:
    plan = planning.plan(given_facts)
    if plan.finalizer is not False:
        return
    assert plan.deleting
    for name, cluster in given_facts.clusters.items():
        observed = given_facts.observe(name)
        ours = isinstance(observed, Observed) and observed.managed and bool(observed.owned_digest)
        hosts = given_facts.type.is_namespace and cluster.is_host
        assert not (cluster.ready and ours) or hosts
        assert ours or not (isinstance(observed, Observed) and observed.claimed)
        assert name not in given_facts.unconfirmed or (
            cluster.ready and observed is not Missing.ABSENT and observed is not Missing.UNKNOWN
        )
        assert name not in given_facts.applied or (cluster.ready and observed is not Missing.UNKNOWN)


@given(any_facts())
def test_what_somebody_keeps_us_away_from_is_never_written(given_facts: Facts) -> None:
    for name, action in planning.plan(given_facts).actions.items():
        observed = given_facts.observe(name)
        if isinstance(observed, Observed) and not observed.managed:
            # What we wrote there earlier, or may have written without an answer, we may still take back.
            ours = claims.outstanding(observed, unconfirmed=name in given_facts.unconfirmed)
            assert isinstance(action, Wait | Refuse) or (ours and action == Release(observed.uid, keep_label=True))
        if isinstance(observed, Observed) and observed.other_hub:
            assert not isinstance(action, Apply | Delete)


@given(any_facts())
def test_every_selected_cluster_gets_exactly_one_action(given_facts: Facts) -> None:
    plan = planning.plan(given_facts)
    assert plan.selected <= set(plan.actions) <= set(given_facts.clusters)
    if plan.undecided:
        assert plan == Plan(plan.generation, undecided=True)


@given(any_facts())
def test_a_plan_carried_out_is_kept(given_facts: Facts) -> None:
    """Planning is stable: after every Apply has done what it says, the next plan keeps all it kept or applied."""
    plan = planning.plan(given_facts)
    applied, seen = dict(given_facts.applied), {name: given_facts.observe(name) for name in NAMES}
    for name, action in plan.actions.items():
        if isinstance(action, Apply):
            applied[name] = Applied(action.digest, "after")
            seen[name] = Observed("u9", 10, "after", managed=True)
    after = replace(given_facts, applied=applied, observe=seen.__getitem__)
    again = planning.plan(after)
    for name, action in plan.actions.items():
        match action:
            case Apply(digest=digest):
                assert again.actions[name] == Keep(digest, "after")
            case _:
                assert again.actions[name] == action
    assert planning.plan(given_facts) == plan


@given(any_facts(), st.randoms(use_true_random=False))
def test_the_order_of_clusters_means_nothing(given_facts: Facts, shuffler: Any) -> None:
    names = list(given_facts.clusters)
    shuffler.shuffle(names)
    shuffled = replace(given_facts, clusters={name: given_facts.clusters[name] for name in names})
    assert planning.plan(shuffled) == planning.plan(given_facts)


@given(any_facts())
def test_facts_are_left_as_they_are(given_facts: Facts) -> None:
    before = copy.deepcopy((dict(given_facts.clusters), dict(given_facts.applied)))
    spec = bytes(given_facts.object.spec)
    planning.plan(given_facts)
    assert (dict(given_facts.clusters), dict(given_facts.applied)) == before
    assert bytes(given_facts.object.spec) == spec


def test_clusters_without_overrides_share_one_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thousand members one object is encoded once, not a thousand times."""
    from federation.core import manifest  # noqa: PLC0415 - counted only here

    encoded: list[int] = []
    real: Callable[[Mapping[str, Any]], tuple[bytes, str]] = manifest.digest

    def counting(body: Mapping[str, Any]) -> tuple[bytes, str]:
        encoded.append(1)
        return real(body)

    monkeypatch.setattr(manifest, "digest", counting)
    names = [f"m{number}" for number in range(50)]
    overrides = [{"clusterName": "m7", "clusterOverrides": [{"path": "/data/a", "value": "z"}]}]
    clusters = {name: Cluster(name, ready=True) for name in names}
    plan = planning.plan(facts(federated(clusters=names, overrides=overrides), clusters=clusters))
    bodies = {action.body for action in plan.actions.values() if isinstance(action, Apply)}
    assert (len(plan.actions), len(bodies), len(encoded)) == (50, 2, 2)
