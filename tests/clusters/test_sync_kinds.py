"""The types themselves: Secret, Service, a custom resource, and cluster-scoped ones, with the rights they need."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.joining.enabling import Request
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import CLUSTER_ROLES, CRDS, SECRETS, Resource
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    FEDERATED_SECRETS,
    FEDERATED_SERVICES,
    SERVICES,
    TYPES,
    Api,
    eventually,
    federated_namespace,
)
from tests.clusters.steps import create, gone, holds, make, type_status

pytestmark = pytest.mark.usefixtures("mode")

WEBSITES = Resource("demo.example.com", "v1", "Website", "websites", namespaced=True)
FEDERATED_WEBSITES = Resource(TYPES, "v1beta1", "FederatedWebsite", "federatedwebsites", namespaced=True)
TIERS = Resource("tests.example.com", "v1", "Tier", "tiers", namespaced=False)
FEDERATED_TIERS = Resource(TYPES, "v1beta1", "FederatedTier", "federatedtiers", namespaced=False)
FEDERATED_CLUSTER_ROLES = Resource(TYPES, "v1beta1", "FederatedClusterRole", "federatedclusterroles", namespaced=False)
WEBSITE_CRD = Path(__file__).parents[2] / "e2e" / "gitops" / "crds" / "websites.yaml"
TIER_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "tiers.tests.example.com"},
    "spec": {
        "group": "tests.example.com",
        "scope": "Cluster",
        "names": {"kind": "Tier", "listKind": "TierList", "plural": "tiers", "singular": "tier"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"rank": {"type": "integer"}, "note": {"type": "string"}},
                            }
                        },
                    }
                },
            }
        ],
    },
}


async def install(crd: dict[str, Any], *apis: Api) -> None:
    """The CRD in these clusters, established."""
    for api in apis:
        await api.apply(CRDS, crd)
        await holds(
            api,
            CRDS,
            "",
            crd["metadata"]["name"],
            lambda found: any(
                each["type"] == "Established" and each["status"] == "True"
                for each in found.get("status", {}).get("conditions") or ()
            ),
        )


@pytest.fixture
async def tiers(fleet: Fleet, host: Api, m1: Api, m2: Api) -> AsyncIterator[None]:
    """A cluster-scoped custom resource, enabled; its federated objects are gone afterwards."""
    await install(TIER_CRD, host, m1, m2)
    await fleet.enable(Request(crd=TIER_CRD))
    await type_status(host, TIERS.qualified, propagationController="Running")
    yield
    for each in await host.items(FEDERATED_TIERS):
        await host.delete(FEDERATED_TIERS, "", each["metadata"]["name"])
    for api in (m1, m2):
        for each in await api.items(TIERS):
            await gone(api, TIERS, "", each["metadata"]["name"])


async def test_a_secret_arrives_and_its_string_data_too(host: Api, m1: Api, namespace: str) -> None:
    """stringData becomes data as a server would make it; a key that leaves it leaves the member."""
    await federated_namespace(host, namespace, ["m1"])
    encoded = base64.b64encode(b"one").decode()
    template = {"type": "Opaque", "data": {"a": encoded}, "stringData": {"b": "two", "c": "three"}}
    web = await make(host, FEDERATED_SECRETS, namespace, "web", template, clusters=["m1"])
    stored = await holds(m1, SECRETS, namespace, "web")
    decoded = {key: base64.b64decode(value) for key, value in stored["data"].items()}
    assert decoded == {"a": b"one", "b": b"two", "c": b"three"}
    await web.change({"template": {"stringData": {"c": None}}})
    assert set((await holds(m1, SECRETS, namespace, "web"))["data"]) == {"a", "b"}


async def test_a_services_own_addresses_are_left_to_each_member(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """clusterIP and nodePort are the member's; adding a port keeps the others' numbers."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    http = {"name": "http", "port": 80}
    template = {"spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [http]}}
    web = await make(host, FEDERATED_SERVICES, namespace, "web", template, clusters=["m1", "m2"])
    before = await holds(m1, SERVICES, namespace, "web")
    await web.change({"template": {"spec": {"ports": [http, {"name": "https", "port": 443}]}}})
    after = await holds(m1, SERVICES, namespace, "web")
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert after["spec"]["ports"][0]["nodePort"] == before["spec"]["ports"][0]["nodePort"]
    assert [each["port"] for each in after["spec"]["ports"]] == [80, 443]


async def test_a_custom_resource(fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Its schema guards the template at the hub; its defaults are the members' own; an override reaches one."""
    crd = yaml.safe_load(WEBSITE_CRD.read_text())
    await install(crd, host, m1, m2)
    await fleet.enable(Request(crd=crd))
    await federated_namespace(host, namespace, ["m1", "m2"])
    template = {"spec": {"domain": "shop.example.com", "image": "shop:1"}}
    overrides = [{"clusterName": "m2", "clusterOverrides": [{"path": "/spec/domain", "value": "two.example.com"}]}]
    web = await make(host, FEDERATED_WEBSITES, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    assert "replicas" not in (await web.get())["spec"]["template"]["spec"], "a default would be pushed as if asked for"
    one, two = await holds(m1, WEBSITES, namespace, "web"), await holds(m2, WEBSITES, namespace, "web")
    assert (one["spec"]["domain"], two["spec"]["domain"]) == ("shop.example.com", "two.example.com")
    assert one["spec"]["replicas"] == 1
    await m1.patch(WEBSITES, namespace, "web", {"spec": {"image": "other:2"}})
    await holds(m1, WEBSITES, namespace, "web", lambda found: found["spec"]["image"] == "shop:1")


async def test_an_override_that_the_members_schema_refuses(
    fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """Only that cluster fails, in the member's own words; the value itself is not repeated."""
    crd = yaml.safe_load(WEBSITE_CRD.read_text())
    await install(crd, host, m1, m2)
    await fleet.enable(Request(crd=crd))
    await federated_namespace(host, namespace, ["m1", "m2"])
    template = {"spec": {"domain": "shop.example.com", "image": "shop:1"}}
    overrides = [{"clusterName": "m2", "clusterOverrides": [{"path": "/spec/domain", "value": "NOT a domain"}]}]
    web = await create(host, FEDERATED_WEBSITES, namespace, "web", template, clusters=["m1", "m2"], overrides=overrides)
    reported = await web.reports("m2", "CreationFailed")
    assert "spec.domain" in reported["message"]
    assert "NOT a domain" not in str((await web.get())["status"])
    await web.reports("m1")
    await web.change({"overrides": None})


async def test_a_cluster_scoped_type(host: Api, m1: Api, m2: Api, namespace: str, tiers: None) -> None:
    """No namespace bounds it: placement, override, drift and deletion as for any other."""
    overrides = [{"clusterName": "m2", "clusterOverrides": [{"path": "/spec/rank", "value": 2}]}]
    template = {"spec": {"rank": 1, "note": "x"}}
    web = await make(host, FEDERATED_TIERS, "", namespace, template, clusters=["m1", "m2"], overrides=overrides)
    one, two = await holds(m1, TIERS, "", namespace), await holds(m2, TIERS, "", namespace)
    assert (one["spec"]["rank"], two["spec"]["rank"]) == (1, 2)
    assert one["metadata"]["labels"] == {MANAGED_LABEL: "true"}
    await m1.patch(TIERS, "", namespace, {"spec": {"rank": 9}})
    await holds(m1, TIERS, "", namespace, lambda found: found["spec"]["rank"] == 1)
    await web.place("m2")
    await gone(m1, TIERS, "", namespace)
    await web.delete()
    await web.gone()
    await gone(m2, TIERS, "", namespace)


async def test_roles_are_refused_where_we_may_not_grant_them(fleet: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """A ClusterRole grants what who applies it does not hold: the member refuses, and its line says so plainly."""
    await fleet.enable(CLUSTER_ROLES.qualified)
    rule = {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["get"]}
    web = await create(host, FEDERATED_CLUSTER_ROLES, "", namespace, {"rules": [rule]}, clusters=["m1"])
    try:
        reported = await web.reports("m1", "CreationFailed")
        assert "not currently held" in reported["message"] or "escalat" in reported["message"], reported
        assert await m1.get(CLUSTER_ROLES, "", namespace) is None
        held = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
        await web.change({"template": {"rules": [held]}})
        stored = await holds(m1, CLUSTER_ROLES, "", namespace)
        assert stored["rules"] == [held]
    finally:
        await web.delete()
        await web.gone()
    await gone(m1, CLUSTER_ROLES, "", namespace)


async def test_a_member_without_the_crd_fails_alone(fleet: Fleet, host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """VersionUnavailable there until the CRD appears; then the object is pushed without being touched."""
    crd = {**TIER_CRD, "metadata": {"name": "ranks.tests.example.com"}}
    crd["spec"] = {
        **TIER_CRD["spec"],
        "names": {"kind": "Rank", "listKind": "RankList", "plural": "ranks", "singular": "rank"},
    }
    ranks = Resource("tests.example.com", "v1", "Rank", "ranks", namespaced=False)
    federated_ranks = Resource(TYPES, "v1beta1", "FederatedRank", "federatedranks", namespaced=False)
    await install(crd, host, m1)
    await fleet.enable(Request(crd=crd))
    web = await create(host, federated_ranks, "", namespace, {"spec": {"rank": 1}}, clusters=["m1", "m2"])
    try:
        reported = await web.reports("m2", "VersionUnavailable")
        assert reported["message"]
        await web.reports("m1")
        await holds(m1, ranks, "", namespace)
        await install(crd, m2)
        await eventually(lambda: m2.get(ranks, "", namespace), within=40.0)
        await web.settled()
    finally:
        await web.delete()
        await web.gone()
    for api in (m1, m2):
        await gone(api, ranks, "", namespace)
        await api.delete(CRDS, "", "ranks.tests.example.com")
    await fleet.disable("ranks.tests.example.com")
    await host.delete(CRDS, "", "federatedranks.types.kubefed.io")
    await host.delete(CRDS, "", "ranks.tests.example.com")
