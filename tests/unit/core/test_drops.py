"""What a member took and did not keep."""

import pytest

from federation.core import drops
from federation.model.resources import Resource

MANIFEST = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {
        "replicas": 0,
        "paused": False,
        "template": {
            "spec": {
                "containers": [
                    {"name": "a", "image": "i", "ports": [{"containerPort": 80}]},
                    {"name": "b", "tty": True},
                ],
                "schedulingGroup": {"podGroupName": "g"},
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "volumes": [],
            }
        },
    },
}


def test_fields_that_hold_something() -> None:
    inner = ".spec.template.spec"
    assert drops.fields(MANIFEST) == {
        ".spec",
        ".spec.template",
        inner,
        *(f"{inner}.containers{each}" for each in ("", "[]", "[].name", "[].image", "[].tty", "[].ports")),
        *(f"{inner}.containers[].ports{each}" for each in ("[]", "[].containerPort")),
        f"{inner}.nodeSelector",
        f"{inner}.schedulingGroup",
        f"{inner}.schedulingGroup.podGroupName",
    }


@pytest.mark.parametrize(
    ("dropped", "said"),
    [
        pytest.param((), "", id="nothing"),
        pytest.param(
            (".spec.a.b", ".spec.a", ".spec.ab"),
            "this cluster leaves out .spec.a, .spec.ab: it takes the object and does not keep these fields",
            id="outermost",
        ),
        pytest.param(
            tuple(f".spec.f{number}" for number in range(7)),
            "this cluster leaves out .spec.f0, .spec.f1, .spec.f2, .spec.f3, .spec.f4 and 2 more: "
            "it takes the object and does not keep these fields",
            id="many",
        ),
    ],
)
def test_what_a_cluster_says(dropped: tuple[str, ...], said: str) -> None:
    assert drops.told(dropped) == said
    assert drops.remembered(f"another word; {said}") == said
    assert not drops.remembered("another word")


@pytest.mark.parametrize(
    ("group", "plural", "may"),
    [
        pytest.param("apps", "deployments", True, id="apps"),
        pytest.param("networking.k8s.io", "ingresses", True, id="k8s-io"),
        pytest.param("", "services", True, id="core"),
        pytest.param("", "configmaps", False, id="data-only"),
        pytest.param("", "secrets", False, id="secrets-are-never-read"),
        pytest.param("example.com", "widgets", False, id="custom-types-refuse"),
    ],
)
def test_types_that_may_drop(group: str, plural: str, may: bool) -> None:
    assert drops.may_drop(Resource(group, "v1", "Kind", plural, namespaced=True)) is may
