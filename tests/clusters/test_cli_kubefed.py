"""What kubefedctl's users have in their scripts, on a real host: members and types that it made, and its exit codes."""

from typing import Any

import pytest

from tests.clusters.fedctl import Site, hub, site
from tests.clusters.test_cli_enable import CRDS, _no_crds_left, crd, enable, grants, group
from tests.clusters.test_cli_federate import documents, federated, shop

__all__ = ["_no_crds_left", "hub", "shop", "site"]


def joined_by_kubefedctl(site: Site, member: str) -> None:
    """A member with every right, of whose account the KubeFedCluster says nothing."""
    site.run("join", member, "--rights", "all")
    names = ("kubefed.io/service-account", "kubefed.io/rights", "kubefed.io/cluster-uid")
    found = site.cluster(member)
    assert found is not None
    assert set(names) & set(found["metadata"]["annotations"])
    gone: dict[str, Any] = dict.fromkeys(names)
    site.merge("host", site.kubefed("kubefedclusters", member), {"metadata": {"annotations": gone}})


def test_a_member_with_every_right_has_nothing_to_widen_or_narrow(hub: Site) -> None:
    joined_by_kubefedctl(hub, "m1")
    for ran in (enable(hub, "configmaps"), hub.run("disable", "configmaps")):
        assert "note: m1: left as it is: its account may do everything" in ran.err
        assert "warning" not in ran.err
    assert grants(hub) == {"*"}


def test_a_member_of_kubefedctl_that_may_not_is_told(hub: Site) -> None:
    joined_by_kubefedctl(hub, "m1")
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{hub.role('m1')}"
    hub.merge("m1", role, {"rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]})
    ran = enable(hub, "configmaps", code=3)
    assert "its token may not list configmaps" in ran.err
    assert "join it again" in ran.err


def test_disabling_twice_is_no_error(hub: Site) -> None:
    enable(hub, "podtemplates")  # no other test does: a federated CRD that one left would be disabled here
    hub.run("disable", "podtemplates", "--delete-crd", "--federated-group", group(hub))
    for name in ("podtemplates", "PodTemplate", "controllerrevisions.apps", "gadgets.example.com"):
        for more in ([], ["--dry-run"], ["--delete-crd", "--federated-group", group(hub)]):
            ran = hub.run("disable", name, *more)
            assert "does not exist, nothing to disable" in ran.err
    assert "'nothings' is not an enabled type" in hub.run("disable", "nothings", code=1).err


def test_of_several_crds_left_none_is_taken_for_the_one(hub: Site) -> None:
    """Another control plane's may be among them: none is deleted without its name; without deletion all is well."""
    other = f"other.{group(hub)}"
    for each in (group(hub), other):
        hub.run("enable", "configmaps", "--federated-group", each)
        hub.run("disable", "configmaps")
    assert "does not exist, nothing to disable" in hub.run("disable", "configmaps").err
    refused = hub.run("disable", "configmaps", "--delete-crd", code=1).err
    assert "several federated types of configmaps are left" in refused
    for each in (group(hub), other):
        assert f"federatedconfigmaps.{each}" in refused
        hub.run("disable", f"federatedconfigmaps.{each}", "--delete-crd")
        left = hub.get("host", CRDS)
        assert left is not None
        assert f"federatedconfigmaps.{each}" not in {one["metadata"]["name"] for one in left["items"]}


def test_a_crd_that_kubefedctl_left_is_found_by_its_group(hub: Site) -> None:
    enable(hub, "configmaps")
    path = f"{CRDS}/federatedconfigmaps.{group(hub)}"
    hub.merge("host", path, {"metadata": {"annotations": {"types.kubefed.io/target": None}}})
    hub.run("disable", "configmaps")
    hub.run("disable", "cm", "--delete-crd", "--federated-group", f"other.{group(hub)}")
    assert crd(hub, "federatedconfigmaps") is not None
    hub.run("disable", "cm", "--delete-crd", "--federated-group", group(hub), "--version", "v1")
    assert crd(hub, "federatedconfigmaps") is None


def test_an_object_is_printed_though_its_type_is_off(shop: Site) -> None:
    shop.create("host", shop.in_system("secrets"), {"metadata": {"name": "plain"}, "stringData": {"a": "b"}})
    ran = shop.run("federate", "secret", "plain", "-n", shop.namespace, "-o", "yaml")
    (made,) = documents(ran.out)
    assert (made["apiVersion"], made["kind"]) == ("types.kubefed.io/v1beta1", "FederatedSecret")
    assert "secrets is not an enabled type: before you apply it, fedctl enable it" in ran.err


def test_objects_are_printed_at_a_host_without_a_federation(site: Site) -> None:
    site.request("host", "POST", "/api/v1/namespaces", {"metadata": {"name": site.namespace}})
    site.create("host", site.in_system("configmaps"), {"metadata": {"name": "settings"}, "data": {"a": "b"}})
    elsewhere = ["--kubefed-namespace", f"{site.namespace}-none"]
    ran = site.run("federate", "cm", "settings", "-n", site.namespace, "-o=yaml", *elsewhere)
    assert ran.out.startswith("---\n")
    again = site.run("federate", "ns", site.namespace, "-c", "-s=serviceaccounts", "-o=yaml", *elsewhere)
    kinds = [each["kind"] for each in documents(ran.out + again.out)]
    assert kinds == ["FederatedConfigMap", "FederatedNamespace", "FederatedConfigMap"]
    assert documents(again.out)[0]["metadata"] == {"name": site.namespace, "namespace": site.namespace}
    site.run("federate", "cm", "settings", "-n", site.namespace, *elsewhere, code=1)


def test_what_is_skipped_is_looked_at_before_anything_is_made(shop: Site) -> None:
    enable(shop, "deployments.apps")
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web"}]},
            },
        },
    }
    shop.create("host", f"/apis/apps/v1/namespaces/{shop.namespace}/deployments", body)
    skip = "configmaps,apps,nonsense,serviceaccounts,rbac.authorization.k8s.io"
    ran = shop.run("federate", "ns", shop.namespace, "--contents", "--skip-api-resources", skip)
    warning = "the host serves no type or API group named 'nonsense'"
    assert ran.err.index(warning) < ran.err.index("federatednamespace")
    assert federated(shop, "federatedconfigmaps", "settings") is None
    assert federated(shop, "federateddeployments", "web") is None
    assert federated(shop, "federatedservices", "web") is not None


@pytest.mark.parametrize("form", ["--dry-run", "--dry-run=true", "--dry-run=server"])
def test_orphaning_deletion_dry_run(shop: Site, form: str) -> None:
    about = ["configmap", "settings", "-n", shop.namespace]
    shop.run("federate", *about)
    ran = shop.run("orphaning-deletion enable", *about, form)
    assert ran.err.endswith("leaves the copies in place (dry run)\n")
    assert shop.run("orphaning-deletion status", *about, form).out == "Disabled\n"


def test_orphaning_deletion_of_a_disabled_types_object(shop: Site) -> None:
    about = ["FederatedConfigMap", "settings", "-n", shop.namespace]
    shop.run("federate", "cm", *about[1:])
    shop.run("disable", "configmaps")
    kind = f"federatedconfigmaps.{group(shop)}"
    shop.run("orphaning-deletion enable", kind, *about[1:])
    assert shop.run("orphaning-deletion status", kind, *about[1:]).out == "Enabled\n"
