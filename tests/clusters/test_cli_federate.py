"""`fedctl federate` and `orphaning-deletion` on a real host: what is read, what is created, what is left alone."""

from typing import Any

import pytest

from federation.cli import reading
from tests.clusters.fedctl import CORE, Site, hub, site
from tests.clusters.test_cli_enable import CRDS, enable, group

__all__ = ["hub", "site"]

TYPES = ["configmaps", "services", "namespaces"]


@pytest.fixture
def shop(hub: Site) -> Site:
    """A host with three types enabled, and a namespace (the site's own) with things in it."""
    enable(hub, *TYPES)
    hub.create("host", hub.in_system("configmaps"), {"metadata": {"name": "settings"}, "data": {"on": "1e3"}})
    service = {"ports": [{"port": 80}], "selector": {"app": "web"}}
    hub.create("host", hub.in_system("services"), {"metadata": {"name": "web"}, "spec": service})
    return hub


@pytest.fixture(autouse=True)
def _no_crds_left(site: Site) -> Any:
    yield
    for found in (site.get("host", CRDS) or {})["items"]:
        if found["spec"]["group"] == group(site):
            site.delete("host", f"{CRDS}/{found['metadata']['name']}")


def federated(site: Site, plural: str, name: str) -> dict[str, Any] | None:
    return site.get("host", f"/apis/{group(site)}/v1beta1/namespaces/{site.namespace}/{plural}/{name}")


def documents(text: str) -> list[dict[str, Any]]:
    return [document.value for document in reading.parse(text, "stdout")]


def test_an_object_is_federated_and_left_as_it_is(shop: Site) -> None:
    before = shop.get("host", shop.in_system("services", "web"))
    where = ["service", "web", "-n", shop.namespace]
    shop.run("federate", *where, "--dry-run=server", "--placement", "m1")
    assert federated(shop, "federatedservices", "web") is None

    wish = ["--placement", "m1,m2", "--override", "m1:/spec/type=NodePort"]
    ran = shop.run("federate", *where, *wish)
    assert "clusterIP" in ran.err
    made = federated(shop, "federatedservices", "web")
    assert made is not None
    spec = made["spec"]
    assert spec["placement"] == {"clusters": [{"name": "m1"}, {"name": "m2"}]}
    assert spec["template"]["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert "clusterIP" not in spec["template"]["spec"]
    assert spec["overrides"][0]["clusterOverrides"] == [{"path": "/spec/type", "value": "NodePort"}]
    assert shop.get("host", shop.in_system("services", "web")) == before

    ran = shop.run("federate", *where, code=1)
    assert "exists already" in ran.err
    assert "kubectl apply" in ran.err
    ran = shop.run("federate", *where, "-o", "yaml")
    assert [each["kind"] for each in documents(ran.out)] == ["FederatedService"]


def test_a_namespace_with_everything_in_it(shop: Site) -> None:
    shop.create("host", shop.in_system("secrets"), {"metadata": {"name": "plain"}, "stringData": {"a": "b"}})
    where = ["namespace", shop.namespace, "--contents"]
    ran = shop.run("federate", *where, "-o", "yaml", code=3)
    kinds = [each["kind"] for each in documents(ran.out)]
    assert kinds[0] == "FederatedNamespace"
    assert sorted(kinds[1:]) == ["FederatedConfigMap", "FederatedService"]
    assert "1 secrets are left out: the type is not enabled" in ran.err
    assert "kube-root-ca.crt is left out" in ran.err

    ran = shop.run("federate", *where, "-s", "secrets,roles,rolebindings,serviceaccounts", "--cluster-selector", "a=b")
    namespace = federated(shop, "federatednamespaces", shop.namespace)
    settings = federated(shop, "federatedconfigmaps", "settings")
    assert namespace is not None
    assert settings is not None
    assert "template" not in namespace["spec"]
    assert settings["spec"]["template"] == {"data": {"on": "1e3"}}
    assert settings["spec"]["placement"] == {"clusterSelector": {"matchLabels": {"a": "b"}}}
    assert federated(shop, "federatedconfigmaps", "kube-root-ca.crt") is None

    again = shop.run("federate", *where, "-s", "secrets,roles,rolebindings,serviceaccounts")
    assert again.err.count("exists already, left as it is") == 3


def test_a_name_that_no_federated_object_may_have_stops_nothing(shop: Site) -> None:
    enable(shop, "rolebindings.rbac.authorization.k8s.io")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{shop.namespace}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    for name in ("a:b", "plain"):
        shop.create("host", bindings, {"metadata": {"name": name}, "roleRef": role, "subjects": []})
    ran = shop.run("federate", "namespace", shop.namespace, "--contents", "-s", "secrets,serviceaccounts", code=3)
    assert f"RoleBinding {shop.namespace}/a:b is left out: metadata.name" in ran.err
    assert federated(shop, "federatedrolebindings", "plain") is not None
    assert federated(shop, "federatedservices", "web") is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["secret", "x"], "first run: fedctl enable secrets", id="type-off"),
        pytest.param(["configmap", "setings"], "did you mean settings", id="misspelt"),
        pytest.param(["configmap", "settings", "--contents"], "--contents is for namespaces", id="contents"),
    ],
)
def test_why_not(shop: Site, arguments: list[str], message: str) -> None:
    words = [word.replace("@", shop.namespace) for word in arguments]
    assert message in shop.run("federate", *words, "-n", shop.namespace, "--dry-run", code=1).err


def test_enable_type_switches_the_type_on_first(hub: Site) -> None:
    # The default group of federated types: other tests look only at their own.
    hub.create("host", hub.in_system("configmaps"), {"metadata": {"name": "settings"}, "data": {"a": "b"}})
    where = ["configmap", "settings", "-n", hub.namespace, "--enable-type"]
    ran = hub.run("federate", *where, "-o", "yaml")
    kinds = [each["kind"] for each in documents(ran.out)]
    assert (kinds[0], kinds[-1]) == ("CustomResourceDefinition", "FederatedConfigMap")
    assert (hub.get("host", f"{CORE}/namespaces/{hub.namespace}/federatedtypeconfigs") or {})["items"] == []
    hub.run("federate", *where)
    path = f"/apis/types.kubefed.io/v1beta1/namespaces/{hub.namespace}/federatedconfigmaps/settings"
    assert hub.get("host", path) is not None
    assert hub.get("host", hub.kubefed("federatedtypeconfigs", "configmaps")) is not None


def test_orphaning_deletion(shop: Site) -> None:
    about = ["configmap", "settings", "-n", shop.namespace]
    shop.run("federate", *about)
    assert shop.run("orphaning-deletion status", *about).out == "Disabled\n"
    shop.run("orphaning-deletion enable", *about)
    assert shop.run("orphaning-deletion status", *about).out == "Enabled\n"
    made = federated(shop, "federatedconfigmaps", "settings")
    assert made is not None
    assert made["metadata"]["annotations"] == {"kubefed.io/orphan": "true"}
    shop.run("orphaning-deletion disable", *about)
    assert shop.run("orphaning-deletion status", *about).out == "Disabled\n"
    path = f"/apis/{group(shop)}/v1beta1/namespaces/{shop.namespace}/federatedconfigmaps/settings"
    shop.merge("host", path, {"metadata": {"annotations": {"kubefed.io/deletion": "Orphan"}}})
    ran = shop.run("orphaning-deletion status", *about)
    assert (ran.out, "policy deletion: Orphan is in force" in ran.err) == ("Enabled\n", True)
    assert "still leaves the copies in place" in shop.run("orphaning-deletion disable", *about).err
    shop.merge("host", path, {"metadata": {"annotations": {"kubefed.io/deletion": None}}})
    ran = shop.run("orphaning-deletion status", "configmap", "setings", "-n", shop.namespace, code=1)
    assert "did you mean settings" in ran.err
