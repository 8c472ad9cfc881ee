"""Scope Namespaced, end to end: a federation that is one namespace, at the hub and in members, with rights in no other.

The controller runs as its service account, the members' accounts are those of `fedctl join`, and who joins m1 has
rights in that namespace alone. The API servers authorise by RBAC.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from federation.joining import setup
from federation.model.resources import KUBEFED_CLUSTERS, PREFERENCES
from federation.playground import access
from tests.clusters.fedctl import RBAC, Ran, Site, site
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    Api,
    Controller,
    condition,
    eventually,
)
from tests.clusters.steps import Federated, create, gone, holds, make

__all__ = ["site"]

SETTINGS = {**setup.NOTHING_HELD, "clusterHealthCheck": {"period": "1s"}}


@pytest.fixture
def team(site: Site) -> Iterator[Site]:
    """A host with a federation that is the site's namespace."""
    site.run("init", "--scope", "Namespaced")
    site.merge("host", site.kubefed("kubefedconfigs", "kubefed"), {"spec": SETTINGS})
    yield site
    name = f"kubefed-controller%3Ahub-identity.{site.namespace}"
    for plural in ("rolebindings", "roles"):
        site.request("host", "DELETE", f"{RBAC}/namespaces/kube-system/{plural}/{name}")


@pytest.fixture
def controller(team: Site) -> Iterator[Controller]:
    """Runs with nothing but its own account's rights; everything that it logs is looked at in the end."""
    made = team.create("host", f"{team.in_system('serviceaccounts', 'kubefed-controller')}/token", {"spec": {}})
    own = replace(team.playground.clusters["host"], token=made["status"]["token"])
    path = team.directory / "controller.kubeconfig"
    path.touch(mode=0o600)
    path.write_bytes(access.kubeconfig([own]))
    running = Controller(path, team.directory, namespace=team.namespace)
    running.start()
    yield running
    assert running.stop() == 0
    refused = [line for line in running.log.splitlines() if "is forbidden" in line]
    assert refused == []


@pytest.fixture
async def host(team: Site) -> AsyncIterator[Api]:
    async with Api(team.playground.clusters["host"]) as api:
        yield api


@pytest.fixture
async def m1(team: Site) -> AsyncIterator[Api]:
    async with Api(team.playground.clusters["m1"]) as api:
        yield api


def test_roles_alone(team: Site) -> None:
    """What init gives the controller, twice, and what join gives the account in a member: nothing is cluster-wide."""
    assert f"kubefedconfig {team.namespace}/kubefed unchanged" in team.run("init").err, "the scope stays"
    stored = team.get("host", team.kubefed("kubefedconfigs", "kubefed"))
    assert stored is not None
    assert stored["spec"]["scope"] == "Namespaced"
    ran = team.run("join", "m1", kubeconfig=team.tenant("m1"))
    assert "ClusterRole" not in ran.err
    joined = team.cluster("m1")
    assert joined is not None
    assert joined["metadata"]["annotations"]["kubefed.io/cluster-uid"].startswith("namespace:")
    ran = team.run("enable", "configmaps", "namespaces", kubeconfig=team.without("m1"), code=3)
    assert "warning: namespaces: nothing of it is federated: the scope is Namespaced" in ran.err
    printed = ran.out + ran.err
    assert "kind: Role\n" in printed
    assert "ClusterRole" not in ran.out

    for cluster, user in (("host", "kubefed-controller"), ("m1", team.account("m1"))):
        for plural in ("clusterrolebindings",):
            found = team.get(cluster, f"{RBAC}/{plural}") or {"items": []}
            theirs = [
                each["metadata"]["name"]
                for each in found["items"]
                for subject in each.get("subjects") or ()
                if subject.get("namespace") == team.namespace and subject["name"] == user
            ]
            assert theirs == []
    token = team.token("m1")
    assert not team.may("m1", token, "get", "namespaces", name="kube-system")
    assert not team.may("m1", token, "list", "configmaps")
    assert team.may("m1", token, "get", "namespaces", namespace=team.namespace, name=team.namespace)


async def test_everything_in_one_namespace(team: Site, controller: Controller, host: Api, m1: Api) -> None:
    ns, tenant = team.namespace, team.tenant("m1")

    async def run(verb: str, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> Ran:
        return await asyncio.to_thread(team.run, verb, *arguments, code=code, kubeconfig=kubeconfig)

    await run("join", "m1", kubeconfig=tenant)
    await run("enable", "configmaps", "deployments.apps", kubeconfig=tenant)
    await run("join", "m2", "--rights", "all")
    # As kubefedctl leaves a cluster: with all rights in the namespace, and no identity on record.
    unknown = dict.fromkeys(("kubefed.io/cluster-uid", "kubefed.io/service-account", "kubefed.io/rights"))
    await host.patch(KUBEFED_CLUSTERS, ns, "m2", {"metadata": {"annotations": unknown}})

    async def joined() -> bool:
        found = [await host.get(KUBEFED_CLUSTERS, ns, name) or {} for name in ("m1", "m2")]
        noted = [(each.get("metadata") or {}).get("annotations") or {} for each in found]
        known = [each.get("kubefed.io/cluster-uid", "") for each in noted]
        ready = all(condition(each, "Ready").get("status") == "True" for each in found)
        return ready and all(each.startswith("namespace:") for each in known)

    await eventually(joined)

    # Sync, status, drift, another namespace, removal.
    web = await make(host, FEDERATED_CONFIGMAPS, ns, "web", {"data": {"a": "1"}}, clusters=["m1", "m2"])
    await m1.patch(CONFIGMAPS, ns, "web", {"data": {"a": "2"}})
    await holds(m1, CONFIGMAPS, ns, "web", lambda found: found["data"] == {"a": "1"})
    elsewhere = await create(host, FEDERATED_CONFIGMAPS, "default", f"{ns}-other", {"data": {}}, clusters=["m1"])
    shown = json.loads((await run("get federated", "configmaps", "-n", ns, "-o", "json")).out)
    assert [each["metadata"]["name"] for each in shown["items"]] == ["web"]
    explained = (await run("explain", "configmap", "web", "-n", ns)).out
    assert "m1" in explained

    # `federate` of what is there, `plan` of what would be.
    await host.create(CONFIGMAPS, {"metadata": {"name": "made"}, "data": {"b": "1"}}, ns)
    await run("federate", "configmap", "made", "-n", ns)
    made = Federated(host, FEDERATED_CONFIGMAPS, ns, "made")
    await made.place("m1")
    await holds(m1, CONFIGMAPS, ns, "made")
    change = team.write(
        {
            "apiVersion": "types.kubefed.io/v1beta1",
            "kind": "FederatedConfigMap",
            "metadata": {"name": "web", "namespace": ns},
            "spec": {"template": {"data": {"a": "3"}}, "placement": {"clusters": [{"name": "m2"}]}},
        }
    )
    planned = await run("plan", "-f", str(change), code=1)
    assert "in members: 1 to change, 1 to delete" in planned.out

    # A preference.
    template = {
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "x", "image": "example.com/x:1"}]},
            },
        }
    }
    await create(host, FEDERATED_DEPLOYMENTS, ns, "app", template, clusters=[])
    preference = {
        "apiVersion": PREFERENCES.api_version,
        "kind": PREFERENCES.kind,
        "metadata": {"name": "app"},
        "spec": {"targetKind": "FederatedDeployment", "totalReplicas": 5, "clusters": {"*": {"weight": 1}}},
    }
    await host.create(PREFERENCES, preference, ns)
    spread = await holds(m1, DEPLOYMENTS, ns, "app", lambda found: found["spec"]["replicas"] in (2, 3))
    assert spread["metadata"]["labels"]["kubefed.io/managed"] == "true"

    # Recovery and deletion; the object in another namespace is nobody's.
    await run("recovery status")
    await web.delete()
    await web.gone()
    await gone(m1, CONFIGMAPS, ns, "web")
    assert (await elsewhere.get())["status"] == {"observedGeneration": -1}, "no controller has looked at it"
    await elsewhere.delete()

    # Leaving takes nothing with it.
    app = Federated(host, FEDERATED_DEPLOYMENTS, ns, "app")
    await host.delete(PREFERENCES, ns, "app")
    await app.delete()
    await app.gone()
    await run("disable", "deployments.apps", kubeconfig=tenant)
    role = f"{RBAC}/namespaces/{ns}/roles/kubefed-controller:federateddeployments.types.kubefed.io"
    assert team.get("host", role) is None
    left = await run("unjoin", "m1", kubeconfig=tenant)
    assert f"namespace {ns} stays" in left.err
    assert await m1.get(CONFIGMAPS, ns, "made") is not None
    await made.delete()
    await made.gone()
    await run("disable", "configmaps", kubeconfig=tenant)


def test_the_scope_is_changed_by_init(team: Site) -> None:
    """There and back: the rights of the other scope go, those on the enabled types follow, and members are named."""
    team.run("join", "m1")
    team.run("enable", "configmaps")
    own = f"{RBAC}/namespaces/{team.namespace}/rolebindings/kubefed-controller:federatedconfigmaps.types.kubefed.io"
    hub = f"{RBAC}/namespaces/kube-system/roles/kubefed-controller:hub-identity.{team.namespace}"
    assert team.get("host", own) is not None
    wide = team.run("init", "--scope", "Cluster")
    assert "warning: m1: the controller keeps the rights of its join there" in wide.err
    assert team.get("host", own) is None
    assert team.get("host", hub) is None
    assert "clusterrole kubefed-controller:federatedconfigmaps.types.kubefed.io" in wide.err
    binding = team.get("host", f"{RBAC}/clusterrolebindings/kubefed-controller")
    assert binding is not None
    assert binding["subjects"][0]["namespace"] == team.namespace
    team.run("join", "m1", "--rotate")
    assert team.may("m1", team.token("m1"), "list", "configmaps")
    joined = team.cluster("m1")
    assert joined is not None
    assert not joined["metadata"]["annotations"]["kubefed.io/cluster-uid"].startswith("namespace:")

    # An edit of the scope alone, as of an installation by an earlier version: the next init makes the rights fit.
    team.merge("host", team.kubefed("kubefedconfigs", "kubefed"), {"spec": {"scope": "Namespaced"}})
    team.run("init")
    assert team.get("host", own) is not None
    assert team.get("host", hub) is not None
    assert team.get("host", f"{RBAC}/clusterrolebindings/kubefed-controller") is None
    narrowed = team.run("join", "m1", "--rotate")
    assert f"m1: clusterrolebinding {team.role('m1')} deleted" in narrowed.err
    assert not team.may("m1", team.token("m1"), "list", "configmaps")
    assert team.may("m1", team.token("m1"), "list", "configmaps", namespace=team.namespace)
