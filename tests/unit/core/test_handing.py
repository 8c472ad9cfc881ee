"""What a cluster in pull mode is handed, and what its work says: each branch as a row, and the copy that push makes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import handing, planning, works
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.observations import BY_WORK, Applied, Cluster, Missing, Observed, ObservedWork, Said
from federation.model.plan import HANDED_OVER, Action, Apply, Delete, HandOver, Keep, Refuse, Release, Wait
from federation.model.policies import Deletion, Policies, Takeover
from federation.model.resources import ObjectName
from federation.model.works import Identifier
from federation.work import parsing
from tests.unit.core.test_planning import CONFIGMAPS, DEPLOYMENTS, FEDERATED_NAMESPACES, facts, federated

PULLS = Cluster("m1", ready=True, pulls=True)
SINCE = "its agent has not been heard since 2026-01-01T00:00:00Z"
SILENT = Cluster("m1", ready=True, pulls=True, silent=SINCE)


def plan(item: Any = None, cluster: Cluster = PULLS, observed: Any = Missing.ABSENT, **others: Any) -> Action | None:
    return planning.plan(facts(item, cluster, observed, **others)).actions.get("m1")


WEB = Identifier("apps", "deployments", "ns", "web")


def handed(item: Any = None, **others: Any) -> HandOver:
    action = plan(item, **others)
    assert isinstance(action, HandOver)
    return action


FIRST = handed()


def work(**fields: Any) -> ObservedWork:
    """A work that asks for what the object says now."""
    known = {"uid": "w1", "version": 5, "owned_digest": BY_WORK, "managed": True, "digest": FIRST.work_digest}
    return ObservedWork(**{**known, **fields})


DONE = work(said=Said.APPLIED)
BEFORE = {"m1": Applied(FIRST.digest, BY_WORK, 7)}
PUSHED = {"m1": Applied(FIRST.digest, "entry", 7, 99)}


@pytest.mark.parametrize(
    ("cluster", "observed", "others", "action"),
    [
        pytest.param(PULLS, Missing.UNKNOWN, {}, Wait(PropagationStatus.PENDING, handing.UNLISTED), id="not-listed"),
        pytest.param(SILENT, Missing.ABSENT, {}, FIRST, id="written-though-the-agent-is-silent"),
        pytest.param(PULLS, Missing.ABSENT, {"applied": PUSHED}, FIRST, id="was-pushed-before"),
        pytest.param(
            PULLS,
            Observed("u1", 5, "entry", managed=True),
            {"applied": PUSHED},
            Wait(PropagationStatus.PENDING, handing.UNLISTED),
            id="what-push-saw-says-nothing-of-works",
        ),
        pytest.param(PULLS, work(), {}, HANDED_OVER, id="nothing-said"),
        pytest.param(
            SILENT, work(), {}, Wait(PropagationStatus.CLUSTER_NOT_READY, f"handed over; {SINCE}"), id="silent"
        ),
        pytest.param(PULLS, DONE, {}, Keep(FIRST.digest, BY_WORK), id="applied"),
        pytest.param(SILENT, DONE, {}, Wait(PropagationStatus.CLUSTER_NOT_READY, SINCE), id="applied-then-silent"),
        pytest.param(
            PULLS,
            work(said=Said.FAILED, message="a webhook says no"),
            {},
            Wait(PropagationStatus.CREATION_FAILED, "a webhook says no"),
            id="never-applied",
        ),
        pytest.param(
            PULLS,
            work(said=Said.FAILED, message="a webhook says no"),
            {"applied": BEFORE},
            Wait(PropagationStatus.UPDATE_FAILED, "a webhook says no"),
            id="not-updated",
        ),
        pytest.param(
            PULLS,
            work(broken="nonsense"),
            {},
            Wait(PropagationStatus.RETRIEVAL_FAILED, "the cluster's work cannot be read: nonsense"),
            id="unreadable",
        ),
        pytest.param(
            SILENT,
            work(deleting=True),
            {},
            Wait(
                PropagationStatus.PENDING,
                f"the work is being deleted; it is written again once its agent has let it go; {SINCE}",
            ),
            id="being-deleted",
        ),
    ],
)
def test_a_selected_cluster(cluster: Cluster, observed: Any, others: dict[str, Any], action: Action) -> None:
    assert plan(None, cluster, observed, **others) == action


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(work(digest="older", said=Said.APPLIED), id="of-an-older-generation"),
        pytest.param(work(intact=False, said=Said.APPLIED), id="somebody-has-changed-it"),
        pytest.param(work(noted=True, said=Said.APPLIED), id="it-was-to-be-deleted"),
    ],
)
def test_a_work_that_differs_is_written_again(observed: ObservedWork) -> None:
    action = plan(observed=observed)
    assert isinstance(action, HandOver)
    assert (action.uid, action.body) == ("w1", FIRST.body)


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"item": federated(annotations={marks.DRIFT_ANNOTATION: "Report"})}, "drift: Report"),
        ({"policies": Policies(takeover=Takeover.NEVER)}, "takeover: Never"),
        ({"adopt": False}, "adoptResources: Disabled"),
        ({"item": federated(annotations={marks.RUN_ONCE_ANNOTATION: "true"})}, marks.RUN_ONCE_ANNOTATION),
    ],
)
def test_what_an_agent_cannot_be_asked_for_is_refused(others: dict[str, Any], why: str) -> None:
    action = plan(**others)
    assert isinstance(action, Refuse)
    assert why in action.message
    assert "pull mode" in action.message


def test_what_was_applied_there_is_not_taken_over() -> None:
    assert isinstance(plan(adopt=False, applied=PUSHED), HandOver)


# --- removal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", [PULLS, SILENT])
def test_the_work_goes_where_the_object_is_not_placed_any_more(cluster: Cluster) -> None:
    action = plan(federated(clusters=[]), cluster, DONE, applied=BEFORE)
    assert isinstance(action, Delete)
    assert action.uid == "w1"
    assert action.reason is not None
    assert "does not select the cluster" in action.reason.change


@pytest.mark.parametrize("item", [federated(clusters=[]), federated(deleting=True)])
def test_a_removal_waits_for_the_agent_and_says_since_when_it_is_silent(item: Any) -> None:
    for cluster, tail in ((PULLS, ""), (SILENT, f"; {SINCE}")):
        for orphans, does in ((False, "removed the copy"), (True, "let go of the copy")):
            action = plan(item, cluster, work(deleting=True, orphans=orphans), applied=BEFORE)
            message = f"its work is deleted, and its agent has not {does} yet{tail}"
            assert action == Wait(PropagationStatus.WAITING_FOR_REMOVAL, message)


def test_the_finalizer_goes_when_the_work_is_gone() -> None:
    there = planning.plan(facts(federated(deleting=True), PULLS, work(deleting=True), applied=BEFORE))
    gone = planning.plan(facts(federated(deleting=True), PULLS, Missing.ABSENT))
    assert (there.finalizer, gone.finalizer) == (None, False)
    assert not gone.actions


@pytest.mark.parametrize("item", [federated(clusters=[]), federated(deleting=True)])
@pytest.mark.parametrize("cluster", [PULLS, SILENT])
def test_a_copy_whose_work_was_lost_is_removed_all_the_same(item: Any, cluster: Cluster) -> None:
    """Its agent has applied it, and has not let go of a work that was deleted on purpose."""
    made = planning.plan(facts(item, cluster, Missing.ABSENT, applied=BEFORE))
    action = made.actions["m1"]
    assert isinstance(action, Delete)
    assert action.uid == ""
    assert action.reason is not None
    assert made.finalizer is None


@pytest.mark.parametrize(
    ("annotations", "others"),
    [
        pytest.param({marks.ORPHAN_ANNOTATION: "true"}, {}, id="orphaned"),
        pytest.param({}, {"policies": Policies(deletion=Deletion.ORPHAN)}, id="by-policy"),
        pytest.param({}, {"type": FEDERATED_NAMESPACES, "namespace": "ns", "name": "ns"}, id="with-contents"),
    ],
)
def test_a_copy_that_is_to_stay_needs_no_work(annotations: dict[str, str], others: dict[str, Any]) -> None:
    where = {key: others.pop(key) for key in ("namespace", "name") if key in others}
    item = federated(deleting=True, annotations=annotations, **where)
    made = planning.plan(facts(item, PULLS, Missing.ABSENT, applied=BEFORE, **others))
    assert not made.actions
    assert made.finalizer is False


def test_a_work_that_cannot_be_listed_keeps_the_finalizer() -> None:
    made = planning.plan(facts(federated(deleting=True), SILENT, Missing.UNKNOWN, applied=BEFORE))
    assert made.finalizer is None
    assert made.actions["m1"] == Wait(
        PropagationStatus.WAITING_FOR_REMOVAL, f"the cluster's objects cannot be listed; {SINCE}"
    )


@pytest.mark.parametrize("item", [federated(clusters=[]), federated(deleting=True)])
def test_a_copy_that_push_has_left_and_no_work_stands_for_is_not_forgotten(item: Any) -> None:
    made = planning.plan(facts(item, PULLS, Missing.ABSENT, applied=PUSHED))
    assert isinstance(made.actions["m1"], Wait)
    assert "spec.syncMode" in made.actions["m1"].message
    assert made.finalizer is None


@pytest.mark.parametrize(
    ("item", "others", "orphans"),
    [
        (federated(), {}, False),
        (federated(annotations={marks.ORPHAN_ANNOTATION: "true"}), {}, True),
        (federated(annotations={marks.DELETION_ANNOTATION: "Orphan"}), {}, True),
        (federated(), {"policies": Policies(deletion=Deletion.ORPHAN)}, True),
        (federated({}, namespace="ns", name="ns"), {"type": FEDERATED_NAMESPACES}, True),
        (
            federated({}, namespace="ns", name="ns", annotations={marks.DELETE_ADOPTED_ANNOTATION: "true"}),
            {"type": FEDERATED_NAMESPACES},
            False,
        ),
    ],
)
def test_what_becomes_of_the_copy_is_in_the_work(item: Any, others: dict[str, Any], orphans: bool) -> None:
    read = parsing.read("w", orjson.dumps(orjson.loads(handed(item, **others).body)["spec"]))
    assert (read.propagation == "Orphan") is orphans


def test_a_namespace_is_let_go_of() -> None:
    item = federated({}, namespace="ns", name="ns", clusters=[])
    action = plan(item, PULLS, DONE, type=FEDERATED_NAMESPACES, applied=BEFORE)
    assert isinstance(action, Release)
    orphaned = plan(federated(deleting=True, annotations={marks.ORPHAN_ANNOTATION: "true"}), PULLS, DONE)
    assert isinstance(orphaned, Release)


# --- the same copy as push -----------------------------------------------------------------------------------------

TEMPLATES = st.fixed_dictionaries(
    {"spec": st.fixed_dictionaries({"replicas": st.integers(0, 9)}, optional={"paused": st.booleans()})},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=2)}
        )
    },
)
OVERRIDES = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["/spec/replicas", "/spec/x", "/nowhere/x"]), "value": st.integers(0, 9)}
    ),
    max_size=2,
)
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        marks.IGNORE_FIELDS_ANNOTATION: st.sampled_from(['["/spec/paused"]', '["/spec/replicas"]', "nonsense"]),
        marks.DELETION_ANNOTATION: st.sampled_from(["Orphan", "Delete"]),
    },
)


@given(TEMPLATES, OVERRIDES, ANNOTATIONS, st.booleans(), st.booleans())
def test_push_and_pull_make_the_same_copy_of_the_same_facts(
    template: dict[str, Any], overrides: list[Any], annotations: dict[str, str], retain: bool, cordoned: bool
) -> None:
    spec: dict[str, Any] = {
        "overrides": [{"clusterName": "m1", "clusterOverrides": overrides}],
        "retainReplicas": retain,
    }
    item = federated(template, annotations=annotations, **spec)
    cordon = "why" if cordoned else None
    pushed, pulled = (
        planning.plan(facts(item, Cluster("m1", ready=True, pulls=pulls, cordon=cordon), type=DEPLOYMENTS))
        for pulls in (False, True)
    )
    assert (pushed.reason, pushed.message, pushed.selected, pushed.warnings) == (
        pulled.reason,
        pulled.message,
        pulled.selected,
        pulled.warnings,
    )
    one, other = pushed.actions.get("m1"), pulled.actions.get("m1")
    if not isinstance(one, Apply):
        assert one == other
        return
    assert isinstance(other, HandOver)
    assert (one.digest, one.generation, one.aim) == (other.digest, other.generation, other.aim)
    asked = orjson.loads(other.body)
    assert asked["spec"]["workload"]["manifests"] == [orjson.loads(one.body)]
    read = parsing.read("w", orjson.dumps(asked["spec"]))
    assert not read.problem
    options = read.options_for(WEB)
    assert not options.problem
    assert options.strategy.force
    left = {("spec", "replicas")} if one.hand_over is not None else set()
    ignored = set(options.strategy.ignored_when_present)
    assert ignored >= {*one.ignored, *left}
    manifest = asked["spec"]["workload"]["manifests"][0]["spec"]
    assert not any(name in manifest for _, name in ignored - {*one.ignored, *left})


@pytest.mark.parametrize(
    ("annotations", "spec"),
    [
        pytest.param({}, {"retainReplicas": True}, id="retained-replicas"),
        pytest.param({marks.IGNORE_FIELDS_ANNOTATION: '["/spec/replicas"]'}, {}, id="an-ignored-field"),
    ],
)
def test_a_field_that_is_the_members_own_is_left_though_the_template_has_it_no_more(
    annotations: dict[str, str], spec: dict[str, Any]
) -> None:
    """Or the agent would take it out of the copy with the template."""
    item = federated({"spec": {"paused": True}}, annotations=annotations, **spec)
    body = orjson.loads(handed(item, type=DEPLOYMENTS).body)
    strategy = parsing.read("w", orjson.dumps(body["spec"])).options_for(WEB).strategy
    assert strategy.ignored_when_present == (("spec", "replicas"),)


@given(TEMPLATES, st.booleans())
def test_what_nobody_changed_is_kept(template: dict[str, Any], orphaned: bool) -> None:
    item = federated(template, annotations={marks.ORPHAN_ANNOTATION: str(orphaned).lower()})
    action = handed(item)
    again = plan(item, observed=work(digest=action.work_digest, said=Said.APPLIED))
    assert again == Keep(action.digest, BY_WORK)


def test_names_are_the_same_again_and_others_for_others() -> None:
    names = {
        works.name(enabled, where)
        for enabled in (CONFIGMAPS, DEPLOYMENTS)
        for where in (
            ObjectName("a", "b-c"),
            ObjectName("a-b", "c"),
            ObjectName("", "a-b-c"),
            ObjectName("n", "x" * 253),
        )
    }
    assert len(names) == 8
    assert all(len(name) <= 150 and name[0].isalnum() for name in names)
    assert works.name(CONFIGMAPS, ObjectName("a", "b")).startswith("configmaps-a-b-")
