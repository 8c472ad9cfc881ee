"""ReplicaSchedulingPreferences in git: what the controller would not act on, and what fights with it."""

import copy
from typing import Any

import pytest

from federation.federating import catalogue, schemas, together, validating
from federation.federating.catalogue import Catalogue
from federation.federating.findings import Severity
from typegen import templates

KNOWN = Catalogue.of(
    [
        catalogue.default_type({"apiVersion": "apps/v1", "kind": "Deployment"}),
        catalogue.default_type({"apiVersion": "v1", "kind": "Namespace"}),
    ]
)
KINDS = schemas.of(templates.core_crds())
PREFERENCE: dict[str, Any] = {
    "apiVersion": "scheduling.kubefed.io/v1alpha1",
    "kind": "ReplicaSchedulingPreference",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "targetKind": "FederatedDeployment",
        "totalReplicas": 9,
        "clusters": {"east": {"weight": 1, "minReplicas": 1}, "west": {"weight": 2}},
    },
}
TARGET: dict[str, Any] = {
    "apiVersion": "types.kubefed.io/v1beta1",
    "kind": "FederatedDeployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"template": {"spec": {}}, "placement": {"clusterSelector": {}}},
}
HOME: dict[str, Any] = {
    "apiVersion": "types.kubefed.io/v1beta1",
    "kind": "FederatedNamespace",
    "metadata": {"name": "shop", "namespace": "shop"},
    "spec": {"placement": {"clusterSelector": {}}},
}
CLUSTERS = ["east", "west"]


def changed(document: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """With other fields of the spec."""
    made = copy.deepcopy(document)
    made["spec"] |= fields
    return made


def found(*documents: dict[str, Any], clusters: list[str] = CLUSTERS) -> list[tuple[str, str, Severity]]:
    """(kind and path, message, severity) of every finding."""
    fleet = together.fleet(documents, clusters)
    return [
        (f"{documents[index]['kind']} {each.path}", each.message, each.severity)
        for index, each in together.documents(documents, KNOWN, fleet)
    ]


def test_what_is_right_is_silent() -> None:
    assert found(PREFERENCE, TARGET, HOME) == []
    assert list(validating.document(PREFERENCE, KNOWN, KINDS)) == []
    every = changed(PREFERENCE, clusters={"*": {"minReplicas": 50, "weight": 1}}, intersectWithClusterSelector=True)
    assert found(every, TARGET, HOME, clusters=[]) == [], "which clusters that are, a hub knows"


@pytest.mark.parametrize(
    ("documents", "where", "message", "severity"),
    [
        pytest.param(
            (changed(PREFERENCE, clusters={"north": {"weight": 1}}), TARGET),
            "ReplicaSchedulingPreference spec.clusters[north]",
            "no cluster north; there are east, west",
            Severity.ERROR,
            id="no-such-cluster",
        ),
        pytest.param(
            (changed(PREFERENCE, totalReplicas=0), TARGET),
            "ReplicaSchedulingPreference spec.totalReplicas",
            "minReplicas of its clusters are 1 together",
            Severity.WARNING,
            id="below-the-minimums",
        ),
        pytest.param(
            (changed(PREFERENCE, clusters={"east": {"maxReplicas": 2}}), TARGET),
            "ReplicaSchedulingPreference spec.totalReplicas",
            "maxReplicas of its clusters are 2 together",
            Severity.WARNING,
            id="above-the-maximums",
        ),
        pytest.param(
            (changed(PREFERENCE, targetKind="FederatedReplicaSet"), TARGET),
            "ReplicaSchedulingPreference spec.targetKind",
            "no type FederatedReplicaSet among the files",
            Severity.WARNING,
            id="type-not-enabled",
        ),
        pytest.param(
            (PREFERENCE,),
            "ReplicaSchedulingPreference metadata.name",
            "no FederatedDeployment shop/web among the files",
            Severity.WARNING,
            id="no-target",
        ),
        pytest.param(
            (
                changed(PREFERENCE, intersectWithClusterSelector=True),
                changed(TARGET, placement={"clusters": [{"name": "east"}]}),
            ),
            "ReplicaSchedulingPreference spec.intersectWithClusterSelector",
            "has no placement.clusterSelector",
            Severity.WARNING,
            id="no-selector",
        ),
        pytest.param(
            (PREFERENCE, changed(TARGET, retainReplicas=True)),
            "ReplicaSchedulingPreference spec.totalReplicas",
            "has retainReplicas",
            Severity.WARNING,
            id="retained",
        ),
        pytest.param(
            (PREFERENCE, changed(TARGET, placement={"clusters": [{"name": "east"}]})),
            "FederatedDeployment spec.placement.clusters",
            "leave it out",
            Severity.WARNING,
            id="placement-in-git",
        ),
        pytest.param(
            (
                PREFERENCE,
                changed(
                    TARGET,
                    overrides=[
                        {
                            "clusterName": "east",
                            "clusterOverrides": [
                                {"op": "add", "path": "/spec/paused", "value": True},
                                {"path": "/spec/replicas", "value": 3},
                            ],
                        }
                    ],
                ),
            ),
            "FederatedDeployment spec.overrides[0].clusterOverrides[1].path",
            "leave it out",
            Severity.WARNING,
            id="replicas-in-git",
        ),
    ],
)
def test_what_it_asks_for_in_vain(
    documents: tuple[dict[str, Any], ...], where: str, message: str, severity: Severity
) -> None:
    findings = [each for each in found(*documents, HOME) if each[0] == where]
    assert [(each[2], message in each[1]) for each in findings] == [(severity, True)], found(*documents, HOME)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"totalReplicas": -1}, "spec.totalReplicas"),
        ({"clusters": {"east": {"minReplicas": 3, "maxReplicas": 2}}}, "spec.clusters[east].minReplicas"),
        ({"failover": {"after": "soon"}}, "spec.failover.after"),
        ({"failover": {"soon": "5m"}}, "spec.failover.soon"),
        ({"targetKind": "FederatedJob"}, "spec.targetKind"),
    ],
)
def test_what_the_controller_would_not_understand(spec: dict[str, Any], path: str) -> None:
    (finding,) = validating.document(changed(PREFERENCE, **spec), KNOWN, KINDS)
    assert (finding.path, finding.severity) == (path, Severity.ERROR)
    assert found(changed(PREFERENCE, **spec), TARGET, HOME) == []
