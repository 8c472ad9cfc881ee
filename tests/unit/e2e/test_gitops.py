"""e2e/gitops without a cluster: its YAML is valid, and health tools read the controller's status as it is meant."""

from typing import Any

import msgspec
import pytest
import yaml

from federation.cli import reading, validate
from federation.core import health, summary
from federation.federating import findings, resourcelist
from federation.model.conditions import ClusterReason, PropagationStatus, Reason
from federation.model.settings import HealthCheck
from federation.model.status import ClusterStatus, Status
from tests import gitops
from typegen import federate
from typegen.model import Options

NOW = "2026-01-01T00:00:00Z"


def test_the_sample_repository_is_valid() -> None:
    found, notes = validate.check([str(gitops.FOLDER)], (), ())
    assert not findings.failed(found), found
    assert "7 federated objects checked" in notes


def frame(crd: Any) -> Any:
    """What the federation itself gives a federated type's status, whatever the target."""
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    clusters = fields["properties"]["clusters"]["items"]["properties"]
    return {**fields, "properties": {**fields["properties"], "clusters": sorted(clusters), "replicas": None}}


def test_its_types_are_what_typegen_writes_today() -> None:
    """The built-in types come from an API server's OpenAPI; of those the part that is ours must not be out of date."""
    (definition,) = reading.read(str(gitops.FOLDER / "crds" / "websites.yaml"))
    made = federate.from_crd(definition.value, Options(descriptions="drop"))
    files = sorted((gitops.FOLDER / "types").glob("*.yaml"))
    found = [each for path in files if path.stem != "kustomization" for each in yaml.safe_load_all(path.read_text())]
    stored = {each["metadata"]["name"]: each for each in found if each["kind"] == "CustomResourceDefinition"}
    assert stored[made.crd["metadata"]["name"]] == made.crd
    assert len(stored) == 6
    for each in stored.values():
        assert frame(each) == frame(made.crd)


@pytest.mark.parametrize("name", ["web", "everything-else"])
def test_its_function_configurations_are_understood(name: str) -> None:
    (document,) = reading.read(str(gitops.FOLDER / "apps" / "blog" / f"{name}.yaml"))
    config = resourcelist.configuration(document.value)
    assert config.types
    assert document.value["apiVersion"] == resourcelist.CONFIG_VERSION


def federated(folded: Status | None, *, generation: int = 2, **metadata: Any) -> dict[str, Any]:
    found = {
        "apiVersion": "types.kubefed.io/v1beta1",
        "kind": "FederatedConfigMap",
        "metadata": {"name": "a", "namespace": "shop", "generation": generation, **metadata},
    }
    return found | ({"status": msgspec.to_builtins(folded)} if folded is not None else {})


def fold(*lines: ClusterStatus, reason: Reason = Reason.OK, message: str = "", stalled: tuple[str, ...] = ()) -> Status:
    return summary.fold(
        None,
        generation=2,
        reason=reason,
        message=message,
        clusters=lines,
        selected=frozenset(line.name for line in lines if line.status != PropagationStatus.WAITING_FOR_REMOVAL),
        now=NOW,
        stalled=frozenset(stalled),
    )


def test_the_condition_says_of_which_generation_it_speaks() -> None:
    found = federated(fold(ClusterStatus("east")))
    assert found["status"]["observedGeneration"] == 2
    assert {each["observedGeneration"] for each in found["status"]["conditions"]} == {2}


@pytest.mark.parametrize(
    ("found", "kstatus", "argo", "said"),
    [
        pytest.param(
            federated(fold(ClusterStatus("east"))), "Current", "Healthy", "has applied generation 2", id="held"
        ),
        pytest.param(federated(fold()), "Current", "Healthy", "no cluster is selected", id="nowhere"),
        pytest.param(
            federated(fold(ClusterStatus("east", PropagationStatus.PENDING))),
            "InProgress",
            "Progressing",
            "east: Pending",
            id="sent",
        ),
        pytest.param(
            federated(fold(ClusterStatus("east"), ClusterStatus("west", PropagationStatus.UPDATE_FAILED))),
            "InProgress",
            "Degraded",
            "west: UpdateFailed",
            id="refused",
        ),
        pytest.param(
            federated(
                fold(
                    ClusterStatus("east", PropagationStatus.APPLY_OVERRIDES_FAILED, "no /spec/x"),
                    ClusterStatus("west", PropagationStatus.PENDING),
                    stalled=("east",),
                )
            ),
            "Failed",
            "Degraded",
            "east: ApplyOverridesFailed: no /spec/x",
            id="never",
        ),
        pytest.param(
            federated(
                fold(ClusterStatus("east", PropagationStatus.UPDATE_FAILED, "invalid"), stalled=("east",)),
                generation=3,
            ),
            "InProgress",
            "Progressing",
            "generation",
            id="mended-by-a-new-generation",
        ),
        pytest.param(
            federated(fold(reason=Reason.INVALID, message="spec.template: is required")),
            "Failed",
            "Degraded",
            "spec.template: is required",
            id="invalid",
        ),
        pytest.param(
            federated(fold(reason=Reason.NAMESPACE_NOT_FEDERATED, message="no FederatedNamespace")),
            "InProgress",
            "Degraded",
            "no FederatedNamespace",
            id="homeless",
        ),
        pytest.param(
            federated(fold(ClusterStatus("east")), generation=3),
            "InProgress",
            "Progressing",
            "generation",
            id="changed",
        ),
        pytest.param(
            federated(fold(ClusterStatus("east")), deletionTimestamp=NOW),
            "Terminating",
            "Progressing",
            "let go",
            id="deleted",
        ),
    ],
)
def test_health_of_federated_objects(found: dict[str, Any], kstatus: str, argo: str, said: str) -> None:
    assert gitops.kstatus(found) == kstatus
    shown, message = gitops.argo(found)
    assert shown == argo
    assert said in message


def test_an_object_that_no_controller_has_seen() -> None:
    assert gitops.argo(federated(None))[0] == "Progressing"
    by_default = federated(None) | {"status": {"observedGeneration": -1}}  # the CRD's, as the API server shows it
    assert gitops.argo(by_default)[0] == "Progressing"
    assert gitops.kstatus(by_default) == "InProgress"


@pytest.mark.parametrize(
    ("probes", "argo"),
    [
        pytest.param([], "Progressing", id="not-probed"),
        pytest.param([health.READY], "Healthy", id="ready"),
        pytest.param([health.Probe(ClusterReason.NOT_REACHABLE, "no answer")], "Degraded", id="offline"),
        pytest.param([health.malformed("no Secret")], "Degraded", id="malformed"),
    ],
)
def test_health_of_clusters(probes: list[health.Probe], argo: str) -> None:
    judged = health.Health()
    for probe in probes:
        judged = health.assess(judged, probe, HealthCheck(), 1.0)
    found: dict[str, Any] = {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "KubeFedCluster",
        "metadata": {"name": "east"},
        "status": {"conditions": health.conditions(judged, [], 1.0)},
    }
    assert gitops.argo(found)[0] == argo
    del found["status"]
    assert gitops.argo(found)[0] == "Progressing"


MISSING = {"type": "Ready", "status": "False", "reason": "FederatedTypeMissing", "message": "apply its CRD"}


@pytest.mark.parametrize(
    ("propagation", "told", "argo", "said"),
    [
        pytest.param("Enabled", None, "Progressing", "not seen it", id="not-seen"),
        pytest.param("Enabled", {"observedGeneration": 1}, "Progressing", "not seen it", id="older-generation"),
        pytest.param(
            "Enabled",
            {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "message": ""}]},
            "Healthy",
            "",
            id="followed",
        ),
        pytest.param(
            "Enabled", {"observedGeneration": 2, "conditions": [MISSING]}, "Degraded", "apply its CRD", id="no-crd"
        ),
        pytest.param("Disabled", {"observedGeneration": 2}, "Healthy", "switched off", id="off"),
    ],
)
def test_health_of_types(propagation: str, told: dict[str, Any] | None, argo: str, said: str) -> None:
    found: dict[str, Any] = {
        "apiVersion": "core.kubefed.io/v1beta1",
        "kind": "FederatedTypeConfig",
        "metadata": {"name": "configmaps", "generation": 2},
        "spec": {"propagation": propagation},
    }
    shown, message = gitops.argo(found | ({"status": told} if told is not None else {}))
    assert shown == argo
    assert said in message
