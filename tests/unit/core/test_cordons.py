"""A cordoned cluster: what its annotation says, and that no plan writes anything there."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import cordons, planning
from federation.core.facts import Facts
from federation.model.conditions import PropagationStatus
from federation.model.marks import CORDON_ANNOTATION
from federation.model.observations import Cluster
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Push, Refuse, Release, Wait
from tests.unit.core.test_planning import any_facts

CORDONED = Cluster("m1", ready=True, cordon="upgrade")


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({}, None, id="no-annotation"),
        pytest.param({CORDON_ANNOTATION: "false"}, None, id="false"),
        pytest.param({CORDON_ANNOTATION: "true"}, "", id="true"),
        pytest.param({CORDON_ANNOTATION: ""}, "", id="empty"),
        pytest.param({CORDON_ANNOTATION: "upgrade of\n storage"}, "upgrade of storage", id="a-reason"),
        pytest.param({CORDON_ANNOTATION: "no"}, "no", id="whoever-mistypes-wants-nothing-to-happen"),
        pytest.param({CORDON_ANNOTATION: "x" * 999}, "x" * 199 + "…", id="a-long-reason"),
    ],
)
def test_what_the_annotation_says(annotations: dict[str, str], expected: str | None) -> None:
    assert cordons.reason(annotations) == expected


@pytest.mark.parametrize(
    ("action", "says"),
    [
        pytest.param(Apply(b"{}", "d", "v1"), "nothing is created there", id="create"),
        pytest.param(Apply(b"{}", "d", "v1", uid="u1"), "the copy there is not changed", id="update"),
        pytest.param(Delete("u1"), "the copy there is not removed", id="delete"),
        pytest.param(Release("u1"), "the copy there is not removed", id="release"),
        pytest.param(Claim("u1", "kubefed-99999999"), "no claim is made", id="claim"),
    ],
)
def test_what_would_be_written_waits(action: Action, says: str) -> None:
    held = cordons.held(action, CORDONED)
    assert isinstance(held, Wait)
    assert held.status is PropagationStatus.CLUSTER_CORDONED
    assert held.message.startswith("the cluster is cordoned (upgrade): ")
    assert says in held.message


def test_what_is_not_written_stays() -> None:
    for action in (Wait(PropagationStatus.PENDING, "not yet"), Refuse(PropagationStatus.APPLY_OVERRIDES_FAILED, "no")):
        assert cordons.held(action, CORDONED) is action
    kept = cordons.held(Keep("d", "o", note="ran here once"), replace(CORDONED, cordon=""))
    assert kept == Keep("d", "o", note="ran here once; the cluster is cordoned")


@given(any_facts(), st.sets(st.sampled_from(["m1", "m2", "m3"])))
def test_no_plan_writes_to_a_cordoned_cluster_and_the_others_plans_are_the_same(
    given_facts: Facts, names: set[str]
) -> None:
    before = planning.plan(given_facts)
    clusters = {
        name: replace(cluster, cordon="why") if name in names else cluster
        for name, cluster in given_facts.clusters.items()
    }
    plan = planning.plan(replace(given_facts, clusters=clusters))
    assert plan.actions.keys() == before.actions.keys()
    for name, action in plan.actions.items():
        if name in names:
            assert not isinstance(action, Push)
            assert isinstance(action, Wait) or not isinstance(before.actions[name], Push)
        else:
            assert action == before.actions[name]
    assert not (plan.finalizer is False and before.finalizer is not False)


def test_the_condition_is_there_while_it_is_cordoned() -> None:
    other = {"type": "Ready", "status": "True"}
    made = cordons.with_condition([other], "upgrade", 0.0)
    assert [each["type"] for each in made] == ["Ready", "Cordoned"]
    assert made[1]["status"] == "True"
    assert made[1]["message"].startswith("upgrade; nothing is created, changed or removed")
    assert cordons.with_condition(made, "upgrade", 99.0) == made
    assert cordons.with_condition(made, None, 99.0) == [other]
