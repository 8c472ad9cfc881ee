"""What the facts of an installation mean, and which step is next."""

from dataclasses import replace
from typing import Any

import pytest

from federation.joining.assessments import Check, Grade
from federation.migrating import deciding
from federation.migrating.deciding import State, Step
from federation.migrating.facts import (
    CONTROLLER,
    VALIDATING,
    WEBHOOK,
    ClusterFacts,
    Counted,
    Facts,
    Hook,
    Standing,
    TypeFacts,
    Workload,
)
from federation.migrating.records import Record
from federation.model.resources import ObjectName

HOOK = Hook(VALIDATING, "validations.core.kubefed.io", Standing.KUBEFEDS, {})
CONFIG: dict[str, Any] = {"spec": {"scope": "Cluster", "leaderElect": {"resourceLock": "configmaps"}}}
EAST = ClusterFacts(
    "east",
    "v1.31.0",
    "uid-east",
    account=ObjectName("kube-federation-system", "east-host"),
    unbound=True,
    all_rights=True,
)
RUNNING = Facts(
    host="host",
    namespace="kube-federation-system",
    version="v1.33.0",
    workloads=(Workload(CONTROLLER, 2, 2, "example.com/kubefed:v0.10.0"), Workload(WEBHOOK, 1, 1)),
    hooks=(HOOK,),
    outdated=("kubefedclusters.core.kubefed.io",),
    stored=("kubefedclusters.core.kubefed.io v1beta1",),
    config=CONFIG,
    types=(TypeFacts("configmaps", outdated=True, counted=Counted(objects=3)),),
    clusters=(EAST,),
    left={"PropagatedVersion": 3},
)
STOPPED = replace(
    RUNNING,
    workloads=(Workload(CONTROLLER, 0), Workload(WEBHOOK, 0)),
    hooks=(),
    record=Record(stopped="2026-01-01T00:00:00Z"),
)
UPGRADED = replace(STOPPED, outdated=(), types=(TypeFacts("configmaps"),))
LED = replace(UPGRADED, leader="pod-1")
NARROWED = replace(LED, clusters=(ClusterFacts("east", "v1.31.0", "uid-east"),), left={})
FINISHED = replace(NARROWED, workloads=(), record=None)


@pytest.mark.parametrize(
    ("facts", "following", "states"),
    [
        pytest.param(
            RUNNING, Step.STOP, "to do, blocked, blocked, blocked, blocked, blocked, blocked", id="kubefed-runs"
        ),
        pytest.param(STOPPED, Step.UPGRADE, "done, to do, blocked, optional, optional, blocked, blocked", id="stopped"),
        pytest.param(UPGRADED, Step.START, "done, done, to do, optional, optional, blocked, blocked", id="upgraded"),
        pytest.param(LED, None, "done, done, done, optional, optional, optional, optional", id="led"),
        pytest.param(NARROWED, None, "done, done, done, optional, done, done, optional", id="narrowed"),
        pytest.param(FINISHED, None, "done, done, done, blocked, done, done, done", id="finished"),
        pytest.param(
            replace(STOPPED, workloads=(Workload(CONTROLLER, 0, 1),)),
            Step.STOP,
            "to do, blocked, blocked, optional, blocked, blocked, blocked",
            id="a-pod-is-ending",
        ),
        pytest.param(
            replace(STOPPED, hooks=(HOOK,)),
            Step.STOP,
            "to do, blocked, blocked, optional, blocked, blocked, blocked",
            id="a-webhook-came-back",
        ),
        pytest.param(
            replace(LED, config={"spec": {"scope": "Namespaced"}}),
            None,
            "done, done, done, optional, optional, optional, optional",
            id="namespaced",
        ),
    ],
)
def test_steps(facts: Facts, following: Step | None, states: str) -> None:
    decision = deciding.decide(facts)
    assert ", ".join(str(each.state) for each in decision.steps) == states
    assert (decision.next.step if decision.next else None) is following
    assert bool(decision.todo) is (following is not None)
    assert [each.step for each in decision.steps] == list(Step)


@pytest.mark.parametrize(
    ("change", "about", "text"),
    [
        ({"version": "v1.28.0"}, "host", "older than 1.29"),
        ({"hooks": (replace(HOOK, standing=Standing.MIXED),)}, "webhooks", "somebody's own"),
        ({"stored": ("kubefedclusters.core.kubefed.io v1",)}, "crds", "not known"),
        ({"config": {"spec": {"scope": "Galaxy"}}}, "settings", "spec.scope"),
        ({"clusters": (replace(EAST, refusal="nothing says that it is its Secret"),)}, "cluster east", "nothing says"),
        ({"clusters": (EAST, replace(EAST, name="west"))}, "clusters", "east, west are one cluster"),
        ({"clusters": (replace(EAST, version="v1.20.0"),)}, "cluster east", "older than 1.24"),
        ({"workloads": (Workload(CONTROLLER, 1, 1, "example.com/kubefed:v0.0.10"),)}, CONTROLLER, "older than 0.1"),
    ],
)
def test_what_stands_in_the_way_blocks_the_first_step(change: dict[str, Any], about: str, text: str) -> None:
    decision = deciding.decide(replace(RUNNING, **change))
    assert any(each.name == about and text in each.message for each in decision.refused), decision.refused
    assert decision.steps[0].state is State.BLOCKED
    assert decision.next is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"workloads": (Workload(CONTROLLER, 1, 1, keeper="the Helm release fed"),), "releases": ("fed",)},
            "the Helm release fed would start",
        ),
        ({"workloads": (Workload(CONTROLLER, 1, 1, keeper="Flux's Kustomization x"),)}, "Kustomization x would start"),
        ({"releases": ("fed",)}, "Helm remembers a release fed"),
        ({"strange": ("dnsendpoints.multiclusterdns.kubefed.io",)}, "nothing here reads dnsendpoints"),
        ({"others": ("team-a",)}, "other control planes at this host, in team-a"),
        ({"config": None}, "every setting is the default"),
        ({"ours": Workload("kubefed-controller", 2)}, "both would write"),
        ({"problems": ("host: federatedtypeconfig x is left out",)}, "x is left out"),
        ({"types": (TypeFacts("a", problem="not served"),)}, "stays as KubeFed left it: not served"),
        ({"types": (TypeFacts("a", counted=Counted(annotated=2)),)}, "2 templates have annotations"),
        ({"types": (TypeFacts("a", counted=Counted(misfits=3, misfit="s/w spec.x")),)}, "3 objects have fields"),
        ({"types": (TypeFacts("a", counted=Counted(finalized=1)),)}, "1 templates have finalizers"),
        ({"types": (TypeFacts("a", counted=Counted(deleting=1)),)}, "1 objects are being deleted"),
        ({"types": (TypeFacts("a", counted=Counted(failing=4)),)}, "4 objects are not propagated everywhere"),
        ({"types": (TypeFacts("a", counted=Counted(unknown_clusters=frozenset({"gone"}))),)}, "not joined: gone"),
        ({"clusters": (replace(EAST, silent="no answer"),)}, "no answer"),
    ],
)
def test_what_a_person_should_know_blocks_nothing(change: dict[str, Any], text: str) -> None:
    decision = deciding.decide(replace(RUNNING, **change))
    found = [each for each in decision.checks if text in each.message]
    assert found
    assert found[0].grade in (Grade.WARNING, Grade.UNKNOWN)
    assert not decision.refused
    assert decision.steps[0].state is State.TODO


def test_a_kubefed_that_runs_elsewhere_is_seen_by_its_lock() -> None:
    found = [each for each in deciding.decide(replace(STOPPED, holder="laptop")).checks if "laptop" in each.message]
    assert [each.grade for each in found] == [Grade.WARNING]
    assert not [each for each in deciding.decide(replace(RUNNING, holder="pod")).checks if "pod has" in each.message]


def test_a_release_that_helm_has_forgotten_is_no_warning() -> None:
    facts = replace(RUNNING, workloads=(Workload(CONTROLLER, 1, 1, keeper="the Helm release fed"),))
    (found,) = [each for each in deciding.decide(facts).checks if each.name == "owner"]
    assert found.grade is Grade.OK
    assert "it is forgotten" in found.message


def test_what_narrowing_takes_from_federated_roles_is_said() -> None:
    types = (TypeFacts("clusterroles.rbac.authorization.k8s.io"), TypeFacts("configmaps"))
    (narrow,) = [each for each in deciding.decide(replace(LED, types=types)).steps if each.step is Step.NARROW]
    first, second = narrow.what
    assert first == "1 members: east"
    assert second.startswith("members then refuse clusterroles.rbac.authorization.k8s.io that grant more rights")
    within = replace(LED, types=types, config={"spec": {"scope": "Namespaced"}})
    (narrow,) = [each for each in deciding.decide(within).steps if each.step is Step.NARROW]
    assert len(narrow.what) == 1, "nothing cluster-wide is federated in one namespace"


def test_kubefeds_default_of_one_object_at_a_time_is_said_with_how_to_be_rid_of_it() -> None:
    def said(number: int | None) -> list[Check]:
        spec = {"syncController": {"maxConcurrentReconciles": number}} if number else {}
        checks = deciding.decide(replace(RUNNING, namespace="fed", config={"spec": spec})).checks
        return [each for each in checks if "maxConcurrentReconciles is" in each.message]

    (check,) = said(1)
    assert check.grade is Grade.WARNING
    assert "one object of each type at a time" in check.message
    assert "kubectl -n fed patch kubefedconfig kubefed --type=json" in check.hint
    assert """'[{"op":"remove","path":"/spec/syncController/maxConcurrentReconciles"}]'""" in check.hint
    assert said(None) == said(4) == [], "who has chosen a number is asked nothing"


def test_settings_without_effect_are_named() -> None:
    messages = [each.message for each in deciding.decide(RUNNING).checks]
    assert "no effect here: spec.leaderElect.resourceLock: the lock is a Lease" in messages
