"""The controller's Deployment that `fedctl init --image` applies, which images it takes, and what versions fit."""

import itertools
from typing import Any

import pytest
import yaml

from charts import render
from federation.cli import options
from federation.core import shards
from federation.joining import deploying, installing, skew
from federation.joining.finalizing import Policy
from federation.model.errors import Invalid

IMAGE = "registry.example.com:5000/platform/federation:0.1.0"
DIGEST = "@sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        (IMAGE, "0.1.0"),
        ("federation:0.1.0-rc.1", "0.1.0-rc.1"),
        (f"localhost/federation{DIGEST}", ""),
        (f"a/b/c__d:1{DIGEST}", "1"),
        (f"federation:latest{DIGEST}", "latest"),
    ],
)
def test_images_that_name_a_version(image: str, tag: str) -> None:
    deployment, *_ = deploying.manifests("system", image)
    assert deploying.image_of(deployment) == image
    assert deploying.tag(image) == tag


@pytest.mark.parametrize(
    "image",
    ["federation", "registry:5000/federation", "federation:latest", "a b:1", "A/B:1", "x:1@sha256:0f", "-x:1", "x:1\n"],
)
def test_images_that_may_be_anything_tomorrow_are_refused(image: str) -> None:
    with pytest.raises(Invalid, match=r"^--image: "):
        installing.manifests("system", installing.Wanted(image=image))


def test_the_deployment_comes_last_and_only_when_it_is_asked_for() -> None:
    kinds = [each["kind"] for each in installing.manifests("system", installing.Wanted(Policy.TRUE, IMAGE))]
    assert kinds[-3:] == ["Deployment", "PodDisruptionBudget", "NetworkPolicy"]
    assert kinds[:-3] == [each["kind"] for each in installing.manifests("system", installing.Wanted(Policy.TRUE))]


def test_several_shards_have_a_replica_each_and_the_rights_for_their_reports() -> None:
    """As the chart has them: tests/unit/release/test_helm.py compares both."""
    one, three = (installing.manifests("system", installing.Wanted(image=IMAGE, shards=number)) for number in (1, 3))
    added = [each for each in three if each["metadata"]["name"] == "kubefed-controller-shards"]
    assert [each["kind"] for each in added] == ["Role", "RoleBinding"]
    assert three.index(added[1]) < [each["kind"] for each in three].index("Deployment"), "rights come first"
    before, after = (next(each for each in made if each["kind"] == "Deployment") for made in (one, three))
    assert (before["spec"]["replicas"], after["spec"]["replicas"]) == (deploying.REPLICAS, 3)
    assert (deploying.shards_of(before), deploying.shards_of(after), deploying.shards_of(None)) == (1, 3, 1)
    assert installing.manifests("system", installing.Wanted(image=IMAGE)) == one
    rights = installing.manifests("system", installing.Wanted(shards=2))
    assert [each for each in rights if each in added] == added, "who starts the processes otherwise needs them, too"
    assert options.SHARDS.max == shards.MOST


NEW = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        pytest.param(NEW, "", id="available"),
        pytest.param({}, "is a kube-controller-manager running", id="nobody-looks"),
        pytest.param({**NEW, "observedGeneration": 1}, "nothing has been done", id="of-the-version-before"),
        pytest.param({**NEW, "availableReplicas": 1}, "1 of 2 pods are available", id="one-is-missing"),
        pytest.param({**NEW, "availableReplicas": None}, "0 of 2 pods are available", id="none"),
        pytest.param(
            {**NEW, "replicas": 3, "updatedReplicas": 1},
            "1 of 2 pods are available, 2 of the version before are still there",
            id="half-way",
        ),
        pytest.param({**NEW, "replicas": 3}, "2 of 2 pods are available, 1 of the version before", id="nearly"),
    ],
)
def test_what_a_deployment_that_is_not_available_lacks(status: dict[str, Any], why: str) -> None:
    found = deploying.unavailable({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status})
    assert why in found
    assert bool(found) == bool(why)


def test_a_deployment_that_is_gone_is_not_available() -> None:
    assert deploying.unavailable(None) == "the Deployment is gone"
    assert deploying.stuck(None) == ""


def test_why_pods_wait_is_said_once_and_in_their_words() -> None:
    pull = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling x\nnot found"}}}
    node = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    pods: list[dict[str, Any]] = [
        {"status": {"containerStatuses": [pull]}},
        {"status": {"containerStatuses": [pull, starting]}},
        {"status": {"conditions": [node, {"type": "Ready", "status": "False"}]}},
        {},
    ]
    assert deploying.waiting(pods) == (
        "ImagePullBackOff: Back-off pulling x not found; Unschedulable: 0/3 nodes are available"
    )
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    assert deploying.stuck({"status": {"conditions": [late]}}) == "timed out"
    assert deploying.stuck({"status": {"conditions": [{**late, "status": "True"}]}}) == ""


def test_the_defaults_are_the_charts() -> None:
    """What Helm makes of the values is compared in tests/unit/release/test_helm.py, where helm can be had."""
    values = yaml.safe_load((render.CHART / "values.yaml").read_text())["controllermanager"]["controller"]
    assert (values["replicaCount"], values["resources"]) == (deploying.REPLICAS, deploying.RESOURCES)


VERSIONS = ["0.1.0", "0.1.7", "0.2.0-rc.1", "0.3.0", "1.0.0"]


@pytest.mark.parametrize(("client", "controller"), list(itertools.product(VERSIONS, VERSIONS)))
def test_versions_that_fit_differ_in_the_last_number_only(client: str, controller: str) -> None:
    words = skew.said(client, controller)
    assert (words == "") == (client.split(".")[:2] == controller.split(".")[:2])
    assert words == "" or (client in words and controller in words)


@pytest.mark.parametrize(
    ("client", "controller", "part"),
    [
        ("0.2.0", "0.1.0", "it may not know what this fedctl stores"),
        ("0.1.0", "v0.2.0", "would take back newer CRDs"),
        ("0.3.0", "0.1.0", "they do not fit"),
        ("1.0.0", "0.9.0", "they do not fit"),
    ],
)
def test_what_is_said_of_versions_that_do_not_fit(client: str, controller: str, part: str) -> None:
    assert part in skew.said(client, controller)


@pytest.mark.parametrize("tag", ["", "main-3f2a", "nightly"])
def test_of_a_version_that_is_not_known_nothing_is_said(tag: str) -> None:
    assert skew.said("0.1.0", tag) == ""
