"""What is made of a member's copy when its federated object is lost: what our controller had applied, and no more."""

from typing import Any

import pytest

from federation.cli import recovering, recovery, root
from federation.cli.recovering import Findings, Placed, State
from federation.federating import wrapping
from federation.federating.wishes import Wish
from federation.model import marks
from federation.model.federated import FederatedType
from federation.model.resources import ObjectName, Resource

MANAGER = "kubefed-0a1b2c3d"
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
WHERE = ObjectName("shop", "web")


def copy(fields: dict[str, Any], others: dict[str, Any] | None = None, **content: Any) -> dict[str, Any]:
    """A member's object: `fields` are ours, `others` somebody else's."""
    entries = [{"manager": MANAGER, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}]
    if others:
        entries.append({"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": others})
    metadata = {
        "name": "web",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 2,
        "labels": {marks.MANAGED_LABEL: "true", "app": "web", "own": "theirs"},
        "annotations": {marks.CREATED_ANNOTATION: MANAGER, "note": "ours"},
        "managedFields": entries,
    }
    return {"metadata": metadata, **content}


OURS: dict[str, Any] = {
    "f:metadata": {
        "f:labels": {f"f:{marks.MANAGED_LABEL}": {}, "f:app": {}},
        "f:annotations": {f"f:{marks.CREATED_ANNOTATION}": {}, "f:note": {}},
    }
}


def test_what_others_set_is_left_out() -> None:
    found = copy(
        {**OURS, "f:data": {"f:a": {}}},
        {"f:data": {"f:b": {}}, "f:metadata": {"f:labels": {"f:own": {}}}},
        data={"a": "1", "b": "theirs"},
    )
    applied = recovering.as_applied(found, CONFIGMAPS, MANAGER)
    assert applied is not None
    made = wrapping.wrap(applied, CONFIGMAPS, Wish(("m1", "m2"))).document
    assert made["metadata"] == {"name": "web", "namespace": "shop"}
    assert made["spec"] == {
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"note": "ours"}},
            "data": {"a": "1"},
        },
        "placement": {"clusters": [{"name": "m1"}, {"name": "m2"}]},
    }


def test_defaults_of_the_server_are_left_out_of_lists_too() -> None:
    container = {"name": "web", "image": "web:1", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/log"}
    found = copy(
        {
            "f:spec": {
                "f:replicas": {},
                "f:template": {
                    "f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}}}}
                },
            }
        },
        spec={"replicas": 2, "template": {"spec": {"containers": [container], "dnsPolicy": "ClusterFirst"}}},
        status={"replicas": 2},
    )
    made = recovering.as_applied(found, DEPLOYMENTS, MANAGER)
    assert made is not None
    assert made["spec"] == {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}
    assert "status" not in made


def test_a_copy_of_another_hub_gives_nothing() -> None:
    found = copy({"f:data": {"f:a": {}}}, data={"a": "1"})
    assert recovering.as_applied(found, CONFIGMAPS, "kubefed-ffffffff") is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("recovery", "approve"),
        ("recovery", "approve", "deployment"),
        ("recovery", "approve", "deployment", "web", "--all"),
        ("recovery", "adopt"),
    ],
)
def test_one_or_all_must_be_said(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(arguments) == 2
    assert "give KIND and NAME, or --all" in capsys.readouterr().err


def test_the_table_and_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    placed = Placed("configmaps", WHERE, ("m1", "m2", "m3", "m4"))
    state = State("abcd1234", "2026-01-01T10:00:00Z", "its Lease went back", held=True, overwritten_copies=3)
    recovery.show(Findings(state, (placed,), (placed,), {"m5": "no contact"}), wide=False, headers=True)
    shown = capsys.readouterr()
    assert [line.split(maxsplit=4) for line in shown.out.splitlines()] == [
        ["WHAT", "TYPE", "NAMESPACE", "NAME", "CLUSTERS"],
        ["held", "configmaps", "shop", "web", "m1,m2,m3 and 1 more"],
        ["lost", "configmaps", "shop", "web", "m1,m2,m3 and 1 more"],
    ]
    assert "removals are held since 2026-01-01T10:00:00Z: its Lease went back" in shown.err
    assert "3 more copies were overwritten" in shown.err
    assert "m5: not asked for what the hub has lost: no contact" in shown.err
    assert "fedctl recovery approve --all" in shown.err
