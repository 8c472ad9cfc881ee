"""What is made of a member's copy when its federated object is lost: what our controller had applied, and no more."""

from typing import Any

import msgspec
import pytest

from federation.cli import recovering, recovery, root
from federation.cli.recovering import Findings, Placed, State
from federation.core import fingerprints, managedfields, times
from federation.core.managedfields import PartialMetadata
from federation.federating import wrapping
from federation.federating.wishes import Wish
from federation.joining.fleet import Fleet
from federation.model import marks
from federation.model.federated import FederatedType
from federation.model.marks import NAMESPACE_TYPE
from federation.model.observations import Cluster
from federation.model.resources import ObjectName, Resource
from federation.model.status import ClusterStatus, Status

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
    newer = Placed("configmaps", WHERE, ("m1",), "2026-01-01T09:00:00Z", "2026-01-01T08:00:00Z")
    found = Findings(state, removals=(placed,), newer=(newer,), lost=(placed,), unread={"m5": "no contact"})
    recovery.show(found, wide=False, headers=True)
    shown = capsys.readouterr()
    assert [line.split(maxsplit=4) for line in shown.out.splitlines()] == [
        ["WHAT", "TYPE", "NAMESPACE", "NAME", "CLUSTERS"],
        ["held", "configmaps", "shop", "web", "m1,m2,m3 and 1 more"],
        ["newer", "configmaps", "shop", "web", "m1"],
        ["lost", "configmaps", "shop", "web", "m1,m2,m3 and 1 more"],
    ]
    assert "fedctl cordon" in shown.err
    assert "removals are held since 2026-01-01T10:00:00Z: its Lease went back" in shown.err
    assert "3 more copies were overwritten" in shown.err
    assert "m5: not asked for what the hub has lost or has older: no contact" in shown.err
    assert "fedctl recovery approve --all" in shown.err


def test_with_all_columns_the_times_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    newer = Placed("configmaps", WHERE, ("m1",), "2026-01-01T09:00:00Z", "2026-01-01T08:00:00Z")
    recovery.show(Findings(State(), newer=(newer,)), wide=True, headers=False)
    assert capsys.readouterr().out.split() == [
        *("newer", "configmaps", "shop", "web", "m1"),
        *("2026-01-01T09:00:00Z", "2026-01-01T08:00:00Z"),
    ]


# --- what members have that the hub has older -------------------------------------------------------------------------

NAMESPACES = FederatedType(
    NAMESPACE_TYPE,
    Resource("", "v1", "Namespace", "namespaces", namespaced=False),
    Resource(GROUP, "v1beta1", "FederatedNamespace", "federatednamespaces", namespaced=True),
)
BEFORE, THEN, AFTER = "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z"
SECONDS = {text: int(found.timestamp()) for text in (BEFORE, THEN, AFTER) if (found := times.moment(text))}
FIELDS: dict[str, Any] = {"f:data": {"f:a": {}}}


def applied(at: str, *, manager: str = MANAGER, name: str = "web", **more: Any) -> PartialMetadata:
    """The metadata of a member's copy that was applied then."""
    entry = {"manager": manager, "operation": "Apply", "time": at, "fieldsV1": FIELDS}
    meta = {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": "7", "managedFields": [entry]}
    labels = {"labels": {marks.MANAGED_LABEL: "true"}}
    return msgspec.json.decode(msgspec.json.encode({**meta, **labels, **more}), type=PartialMetadata)


OWNED = managedfields.observe(applied(BEFORE), MANAGER).owned_digest


def wrapper(
    *lines: ClusterStatus, clusters: tuple[str, ...] = ("m1",), written: str = BEFORE, entry: str = "f:spec"
) -> dict[str, Any]:
    """A federated object as the hub has it."""
    return {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "managedFields": [
                {"manager": "kubectl", "operation": "Apply", "time": written, "fieldsV1": {entry: {}}},
                {"manager": "kubefed", "operation": "Update", "time": AFTER, "fieldsV1": {"f:metadata": {}}},
            ],
        },
        "spec": {"template": {}, "placement": {"clusters": [{"name": each} for each in clusters]}},
        "status": msgspec.to_builtins(Status(1, clusters=lines)),
    }


def going(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "metadata": {**found["metadata"], "deletionTimestamp": BEFORE}}


def line(at: str, *, owned: str = OWNED) -> ClusterStatus:
    return ClusterStatus("m1", fingerprint=fingerprints.text("digest", owned, SECONDS[at]))


def space(*clusters: str) -> dict[str, Any]:
    """The FederatedNamespace around it."""
    made = wrapper(clusters=clusters)
    return {**made, "metadata": {"name": "shop", "namespace": "shop"}}


@pytest.mark.parametrize(
    ("copy", "hub", "found"),
    [
        pytest.param(applied(BEFORE), wrapper(line(BEFORE)), "", id="as-recorded"),
        pytest.param(applied(THEN), wrapper(line(BEFORE)), "newer", id="applied-later-than-recorded"),
        pytest.param(applied(THEN), wrapper(line(BEFORE, owned="other")), "newer", id="other-fields-and-later"),
        pytest.param(applied(BEFORE), wrapper(line(THEN)), "", id="applied-before-what-is-recorded"),
        pytest.param(applied(THEN), wrapper(line(BEFORE), written=AFTER), "", id="the-hub-was-written-since"),
        pytest.param(applied(THEN), wrapper(line(BEFORE), entry="f:status"), "newer", id="no-time-of-the-content"),
        pytest.param(applied(THEN), wrapper(), "newer", id="not-recorded-but-placed"),
        pytest.param(applied(THEN), wrapper(clusters=("m2",)), "leaves", id="not-placed-there"),
        pytest.param(applied(BEFORE), wrapper(line(BEFORE), clusters=("m2",)), "leaves", id="recorded-but-not-placed"),
        pytest.param(applied(THEN), going(wrapper(line(BEFORE))), "leaves", id="its-object-is-being-deleted"),
        pytest.param(applied(THEN), {**wrapper(), "spec": {"placement": 7}}, "", id="a-spec-that-cannot-be-read"),
        pytest.param(applied(THEN, deletionTimestamp=AFTER), wrapper(), "", id="being-deleted"),
        pytest.param(applied(THEN, manager="kubefed-ffffffff"), wrapper(), "", id="another-hubs"),
        pytest.param(applied(THEN, name="gone"), wrapper(), "lost", id="no-federated-object"),
    ],
)
def test_what_the_hub_has_older(copy: PartialMetadata, hub: dict[str, Any], found: str) -> None:
    objects = recovering.hub_objects(Fleet("u", types=(CONFIGMAPS,)), {"configmaps": [hub]})
    kept = recovering.compared(CONFIGMAPS, copy, Cluster("m1"), objects, MANAGER)
    assert ("" if kept is None else "lost" if kept.hub is None else "leaves" if kept.leaves else "newer") == found


@pytest.mark.parametrize(
    ("spaces", "leaves"),
    [([space("m1")], False), ([space("m2")], True), ([], True)],
    ids=["placed", "elsewhere", "not-federated"],
)
def test_the_namespace_decides_too(spaces: list[dict[str, Any]], leaves: bool) -> None:
    known = Fleet("u", types=(CONFIGMAPS, NAMESPACES))
    listed = {"configmaps": [wrapper(line(BEFORE))], NAMESPACE_TYPE: spaces}
    objects = recovering.hub_objects(known, listed)
    kept = recovering.compared(CONFIGMAPS, applied(THEN), Cluster("m1"), objects, MANAGER)
    assert kept is not None
    assert kept.leaves is leaves


def test_where_the_status_had_no_room_for_all_nothing_is_concluded_from_a_missing_line() -> None:
    """Of thousands of clusters."""
    many = tuple(ClusterStatus(f"c{number:05}", "ClusterNotReady", fingerprint="f" * 40) for number in range(9_000))
    objects = recovering.hub_objects(Fleet("u", types=(CONFIGMAPS,)), {"configmaps": [wrapper(*many)]})
    assert recovering.compared(CONFIGMAPS, applied(THEN), Cluster("m1"), objects, MANAGER) is None
