"""FederatedNamespaces: the host's labels on request, the members' own untouched; the host may be its own member."""

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.model.marks import COPY_ANNOTATION, CREATED_ANNOTATION, MANAGED_LABEL
from federation.model.resources import NAMESPACES
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    federated_namespace,
    line,
    never,
)
from tests.clusters.steps import Federated, cluster_condition, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")

NAME = "kubernetes.io/metadata.name"


def of_team(team: str | None, stored: dict[str, Any]) -> bool:
    return bool(stored["metadata"]["labels"].get("team") == team)


@pytest.fixture
async def itself(fleet: Fleet, host: Api) -> AsyncIterator[str]:
    """The host, joined as its own member `itself`."""
    await fleet.join("itself", "host")
    await cluster_condition(host, "itself", "Ready", "True")
    yield "itself"
    await fleet.unjoin("itself", "host")


async def copying(host: Api, namespace: str, clusters: list[str], **spec: Any) -> Federated:
    """A FederatedNamespace that asks for the labels and annotations of the host's Namespace."""
    metadata = {"name": namespace, "namespace": namespace, "annotations": {COPY_ANNOTATION: "true"}}
    placement = {"clusters": [{"name": each} for each in clusters]}
    body = {
        "apiVersion": FEDERATED_NAMESPACES.api_version,
        "kind": "FederatedNamespace",
        "metadata": metadata,
        "spec": {"placement": placement, **spec},
    }
    await host.create(FEDERATED_NAMESPACES, body, namespace)
    return Federated(host, FEDERATED_NAMESPACES, namespace, namespace)


async def test_the_hosts_labels_stay_at_the_host(host: Api, m1: Api, namespace: str) -> None:
    """As with KubeFed: what the host's Namespace is labelled with says nothing about the members'."""
    labels = {"team": "t", "pod-security.kubernetes.io/enforce": "privileged"}
    await host.create(NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})
    await m1.create(
        NAMESPACES, {"metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    )
    await make(host, FEDERATED_NAMESPACES, namespace, namespace, None, clusters=["m1"])
    stored = await holds(m1, NAMESPACES, "", namespace, lambda found: MANAGED_LABEL in found["metadata"]["labels"])
    own = {"pod-security.kubernetes.io/enforce": "restricted", MANAGED_LABEL: "true", NAME: namespace}
    assert stored["metadata"]["labels"] == own


async def test_copied_labels_never_win_over_the_members_own(host: Api, m1: Api, namespace: str) -> None:
    """Nor do keys of a platform travel; what nobody there has said anything about does."""
    labels = {"team": "t", "stage": "live", "pod-security.kubernetes.io/enforce": "privileged"}
    await host.create(NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})
    await m1.create(NAMESPACES, {"metadata": {"name": namespace, "labels": {"team": "own"}}})
    home = await copying(host, namespace, ["m1"])
    await home.settled()
    stored = await holds(m1, NAMESPACES, "", namespace, lambda found: "stage" in found["metadata"]["labels"])
    assert stored["metadata"]["labels"] == {"team": "own", "stage": "live", MANAGED_LABEL: "true", NAME: namespace}
    await m1.patch(NAMESPACES, "", namespace, {"metadata": {"labels": {"stage": "own-too"}}})
    await host.patch(NAMESPACES, "", namespace, {"metadata": {"labels": {"stage": "other", "more": "x"}}})
    stored = await holds(m1, NAMESPACES, "", namespace, lambda found: "more" in found["metadata"]["labels"])
    assert (stored["metadata"]["labels"]["team"], stored["metadata"]["labels"]["stage"]) == ("own", "own-too")


async def test_the_hosts_labels_follow(host: Api, m1: Api, namespace: str) -> None:
    """Asked for, labels and annotations of the host's Namespace arrive in the members, and leave as they leave it."""
    metadata = {"name": namespace, "labels": {"team": "t"}, "annotations": {"owner": "o"}}
    await host.create(NAMESPACES, {"metadata": metadata})
    web = await copying(host, namespace, ["m1"])
    stored = await holds(m1, NAMESPACES, "", namespace)
    assert stored["metadata"]["labels"] == {"team": "t", MANAGED_LABEL: "true", NAME: namespace}
    assert {CREATED_ANNOTATION, "owner"} == set(stored["metadata"]["annotations"])
    await host.patch(NAMESPACES, "", namespace, {"metadata": {"labels": {"team": None, "stage": "live"}}})
    await holds(
        m1,
        NAMESPACES,
        "",
        namespace,
        lambda found: found["metadata"]["labels"] == {"stage": "live", MANAGED_LABEL: "true", NAME: namespace},
    )
    reported = await web.settled()
    assert set(line(reported, "m1")) <= {"name", "fingerprint"}


async def test_a_template_wins_over_the_hosts_namespace(host: Api, m1: Api, namespace: str) -> None:
    """KubeFed's rule: the host's Namespace is only the template where there is none."""
    await host.create(NAMESPACES, {"metadata": {"name": namespace, "labels": {"team": "t"}}})
    template = {"metadata": {"labels": {"from": "template"}}}
    await make(host, FEDERATED_NAMESPACES, namespace, namespace, template, clusters=["m1"])
    stored = await holds(m1, NAMESPACES, "", namespace)
    assert stored["metadata"]["labels"] == {"from": "template", MANAGED_LABEL: "true", NAME: namespace}


async def test_an_override_changes_one_members_namespace(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """On top of what the host's Namespace says."""
    await host.create(NAMESPACES, {"metadata": {"name": namespace, "labels": {"team": "t"}}})
    operation = {"op": "add", "path": "/metadata/labels/site", "value": "two"}
    overrides = [{"clusterName": "m2", "clusterOverrides": [operation]}]
    await copying(host, namespace, ["m1", "m2"], overrides=overrides)
    one, two = await holds(m1, NAMESPACES, "", namespace), await holds(m2, NAMESPACES, "", namespace)
    assert "site" not in one["metadata"]["labels"]
    assert {"team": "t", "site": "two"}.items() <= two["metadata"]["labels"].items()


async def test_one_of_another_name_is_refused(host: Api, m1: Api, namespace: str) -> None:
    """A FederatedNamespace lives in the namespace that it names; another name would rule a stranger's namespace."""
    await host.create(NAMESPACES, {"metadata": {"name": namespace}})
    other = f"{namespace}-x"
    web = await create(host, FEDERATED_NAMESPACES, namespace, other, None, clusters=["m1"])
    reported = await web.reason("Propagation", "InvalidSpec")
    assert namespace in reported["message"]
    await never(lambda: m1.get(NAMESPACES, "", other), during=0.5)
    await web.delete()
    await web.gone()


async def test_an_existing_namespace_of_a_member_is_adopted(host: Api, m1: Api, namespace: str) -> None:
    """With what is in it: nothing of that is touched."""
    await m1.create(NAMESPACES, {"metadata": {"name": namespace, "labels": {"own": "1"}}})
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}}
    await m1.create(CONFIGMAPS, kept, namespace)
    await federated_namespace(host, namespace, ["m1"])
    await Federated(host, FEDERATED_NAMESPACES, namespace, namespace).settled()
    stored = await holds(m1, NAMESPACES, "", namespace)
    assert stored["metadata"]["labels"] == {"own": "1", MANAGED_LABEL: "true", NAME: namespace}
    assert (await holds(m1, CONFIGMAPS, namespace, "kept"))["data"] == {"a": "b"}


async def test_a_members_namespace_that_is_deleted_comes_back_with_its_objects(
    host: Api, m1: Api, namespace: str
) -> None:
    """Somebody deletes the namespace in the member: once it is gone, it and what belongs in it are made again."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    before = await holds(m1, NAMESPACES, "", namespace)
    await m1.delete(NAMESPACES, "", namespace)
    after = await holds(
        m1, NAMESPACES, "", namespace, lambda found: found["metadata"]["uid"] != before["metadata"]["uid"]
    )
    assert after["metadata"]["labels"][MANAGED_LABEL] == "true"
    await holds(m1, CONFIGMAPS, namespace, "web")
    await web.settled()


async def test_a_deleted_host_namespace_empties_the_members(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Everything in it is deleted at the host and so in the members; the host's Namespace itself can go."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"])
    await host.delete(NAMESPACES, "", namespace)
    for api in (m1, m2, host):
        await gone(api, NAMESPACES, "", namespace)


async def test_the_host_as_its_own_member_keeps_its_namespace(host: Api, m1: Api, namespace: str, itself: str) -> None:
    """Objects are placed beside their federated ones; removal takes them and our label, never the Namespace."""
    await federated_namespace(host, namespace, [itself, "m1"])
    home = Federated(host, FEDERATED_NAMESPACES, namespace, namespace)
    await home.settled()
    before = await holds(
        host, NAMESPACES, "", namespace, lambda found: found["metadata"]["labels"].get(MANAGED_LABEL) == "true"
    )
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=[itself, "m1"])
    await holds(host, CONFIGMAPS, namespace, "web")
    await home.place("m1")
    await gone(host, CONFIGMAPS, namespace, "web")
    stored = await holds(
        host, NAMESPACES, "", namespace, lambda found: MANAGED_LABEL not in found["metadata"]["labels"]
    )
    assert stored["metadata"]["uid"] == before["metadata"]["uid"]
    assert "deletionTimestamp" not in stored["metadata"]
    await home.place(itself, "m1")
    await holds(host, CONFIGMAPS, namespace, "web")
    await home.delete()
    await home.gone()
    await gone(m1, NAMESPACES, "", namespace)
    stored = await holds(host, NAMESPACES, "", namespace)
    assert (stored["metadata"]["uid"], MANAGED_LABEL in stored["metadata"]["labels"]) == (
        before["metadata"]["uid"],
        False,
    )
    assert (await web.reason("Propagation", "NamespaceNotFederated"))["status"] == "False"


async def test_a_label_taken_off_the_hosts_namespace_stays_off_though_it_is_a_member(
    host: Api, m1: Api, namespace: str, itself: str
) -> None:
    """The host's Namespace is the template: it is never drift from itself."""
    await host.create(NAMESPACES, {"metadata": {"name": namespace, "labels": {"team": "t", "stage": "x"}}})
    home = await copying(host, namespace, [itself, "m1"])
    await holds(m1, NAMESPACES, "", namespace, lambda found: found["metadata"]["labels"]["team"] == "t")
    for change in ({"team": "other"}, {"team": None}, {"team": "again", "stage": None}):
        await host.patch(NAMESPACES, "", namespace, {"metadata": {"labels": change}})
        await holds(m1, NAMESPACES, "", namespace, functools.partial(of_team, change["team"]))
        stored = await holds(host, NAMESPACES, "", namespace)
        assert of_team(change["team"], stored)
    assert "stage" not in stored["metadata"]["labels"]
    await home.settled()


async def test_a_host_namespace_that_is_a_member_can_be_deleted(
    host: Api, m1: Api, namespace: str, itself: str
) -> None:
    """Its FederatedNamespace does not wait for the Namespace it lives in: both go, and the members' with them."""
    await federated_namespace(host, namespace, [itself, "m1"])
    await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=[itself, "m1"])
    await host.delete(NAMESPACES, "", namespace)
    await gone(m1, NAMESPACES, "", namespace)
    await gone(host, NAMESPACES, "", namespace)
