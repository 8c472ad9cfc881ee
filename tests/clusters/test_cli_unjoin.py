"""`fedctl unjoin` on real control planes: it undoes what join did and no more, with --force also alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clusters.fedctl import RBAC, Site, hub, site

__all__ = ["hub", "site"]


def traces(site: Site, member: str = "m1") -> list[str]:
    """What is left of a join in the member."""
    account, role = site.account(member), site.role(member)
    paths = {
        "account": site.in_system("serviceaccounts", account),
        "clusterrole": f"{RBAC}/clusterroles/{role}",
        "clusterrolebinding": f"{RBAC}/clusterrolebindings/{role}",
        "role": f"{RBAC}/namespaces/{site.namespace}/roles/{role}",
        "rolebinding": f"{RBAC}/namespaces/{site.namespace}/rolebindings/{role}",
    }
    return [name for name, path in paths.items() if site.get(member, path) is not None]


def namespace_goes(site: Site, cluster: str) -> bool:
    found = site.get(cluster, f"/api/v1/namespaces/{site.namespace}")
    return found is None or bool(found["metadata"].get("deletionTimestamp"))


def test_unjoin_leaves_nothing(hub: Site) -> None:
    hub.run("join", "m1")
    assert len(traces(hub)) == 5
    ran = hub.run("unjoin", "m1")
    assert traces(hub) == []
    assert namespace_goes(hub, "m1")
    assert hub.cluster("m1") is None
    assert hub.get("host", hub.in_system("secrets", hub.account("m1"))) is None
    assert ran.out == ""


def test_join_right_after_unjoin_waits_for_the_namespace(hub: Site) -> None:
    hub.run("join", "m1")
    hub.run("unjoin", "m1")
    hub.run("join", "m1")
    assert len(traces(hub)) == 5


def test_dry_run_deletes_nothing(hub: Site) -> None:
    hub.run("join", "m1")
    ran = hub.run("unjoin", "m1", "--dry-run")
    assert "would be deleted" in ran.err
    assert len(traces(hub)) == 5
    assert hub.cluster("m1") is not None


def test_unknown_member_names_the_nearest(hub: Site) -> None:
    hub.run("join", "m1")
    ran = hub.run("unjoin", "m11", "--cluster-context", "m2", code=1)
    assert "no cluster m11 has joined" in ran.err
    assert "did you mean m1?" in ran.err
    assert len(traces(hub)) == 5


def test_unjoin_that_stopped_half_way_is_finished_by_the_next(hub: Site) -> None:
    hub.run("join", "m1")
    role = hub.role("m1")
    hub.delete("m1", f"{RBAC}/clusterrolebindings/{role}")
    hub.delete("m1", f"{RBAC}/clusterroles/{role}")
    hub.delete("host", hub.in_system("secrets", hub.account("m1")))
    hub.run("unjoin", "m1")
    assert traces(hub) == []
    assert hub.cluster("m1") is None


def test_unjoin_that_stopped_before_the_secret_is_finished_by_the_next(hub: Site) -> None:
    """The KubeFedCluster goes first; what belongs to it is found without it."""
    hub.run("join", "m1", "--secret-name", "of-m1")
    hub.delete("host", hub.kubefed("kubefedclusters", "m1"))
    hub.run("unjoin", "m1")
    assert hub.get("host", hub.in_system("secrets", "of-m1")) is None
    assert traces(hub) == []


def test_host_as_its_own_member_keeps_its_namespace(hub: Site) -> None:
    hub.run("join", "host")
    hub.run("unjoin", "host")
    assert traces(hub, "host") == []
    assert not namespace_goes(hub, "host")


def test_namespace_stays_while_another_hub_uses_it(hub: Site) -> None:
    hub.run("join", "m1")
    hub.create("m1", hub.in_system("serviceaccounts"), {"metadata": {"name": "m1-other-hub"}})
    hub.run("unjoin", "m1")
    assert traces(hub) == []
    assert not namespace_goes(hub, "m1")


def test_context_of_another_cluster_is_refused(hub: Site) -> None:
    hub.run("join", "m1")
    ran = hub.run("unjoin", "m1", "--cluster-context", "m2", code=1)
    assert "context m2 leads to another cluster" in ran.err
    assert len(traces(hub)) == 5
    assert hub.cluster("m1") is not None


def test_member_is_found_by_its_address_when_no_context_has_its_name(hub: Site) -> None:
    hub.run("join", "east", "--cluster-context", "m1")
    hub.run("unjoin", "east")
    assert hub.get("m1", hub.in_system("serviceaccounts", hub.account("east"))) is None
    assert hub.cluster("east") is None


GONE = {
    "unreachable": lambda site: site.changed("m1", cluster={"server": "https://127.0.0.1:1"}),
    "no-context": lambda site: site.without("m1"),
    "no-credentials": lambda site: site.changed("m1", user={"token": "stale"}),
}


@pytest.mark.parametrize("change", GONE.values(), ids=GONE)
def test_member_that_is_gone_needs_force_which_says_what_is_left(hub: Site, change: Callable[[Site], Path]) -> None:
    hub.run("join", "m1")
    kubeconfig = change(hub)
    refused = hub.run("unjoin", "m1", code=1, kubeconfig=kubeconfig)
    assert "--force" in refused.err
    assert ("log in there again" in refused.err) == ("Unauthorized" in refused.err)
    assert hub.cluster("m1") is not None

    ran = hub.run("unjoin", "m1", "--force", kubeconfig=kubeconfig)
    assert hub.cluster("m1") is None
    assert hub.get("host", hub.in_system("secrets", hub.account("m1"))) is None
    for left in (f"clusterrole {hub.role('m1')}", f"serviceaccount {hub.namespace}/{hub.account('m1')}"):
        assert left in ran.err
    assert len(traces(hub)) == 5


def test_what_kubefedctl_joined_is_undone_too(hub: Site) -> None:
    """KubeFed's objects carry no annotations: names come from cluster and host, and its health role goes with it."""
    hub.run("join", "m1", "--rights", "all")
    health = f"kubefed-controller-manager:healthcheck-{hub.account('m1')}"
    hub.create("m1", f"{RBAC}/clusterroles", {"metadata": {"name": health}})
    annotations = dict.fromkeys(("cluster-uid", "service-account", "rights"))
    change = {"metadata": {"annotations": {f"kubefed.io/{key}": value for key, value in annotations.items()}}}
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), change)
    hub.run("unjoin", "m1")
    assert traces(hub) == []
    assert hub.get("m1", f"{RBAC}/clusterroles/{health}") is None
