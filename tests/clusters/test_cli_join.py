"""`fedctl join` on real control planes: what it creates, what it refuses, and that it finishes what it began."""

from pathlib import Path

import pytest
import yaml

from tests.clusters.fedctl import RBAC, Site, hub, site

__all__ = ["hub", "site"]


def written(site: Site, member: str = "m1") -> tuple[bool, bool, bool]:
    """Whether the member has an account of ours, and the host a Secret and a KubeFedCluster."""
    account = site.account(member)
    return (
        site.get(member, site.in_system("serviceaccounts", account)) is not None,
        site.get("host", site.in_system("secrets", account)) is not None,
        site.cluster(member) is not None,
    )


def test_join_creates_both_sides_under_kubefeds_names(hub: Site) -> None:
    hub.run("join", "m1", "--label", "region=eu", "--label", "tier=edge")

    account, role = hub.account("m1"), hub.role("m1")
    assert hub.get("m1", hub.in_system("serviceaccounts", account))
    binding = hub.get("m1", f"{RBAC}/clusterrolebindings/{role}")
    assert binding is not None
    assert binding["roleRef"]["name"] == role
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": hub.namespace}]
    joined = hub.cluster("m1")
    assert joined is not None
    assert joined["metadata"]["labels"] == {"region": "eu", "tier": "edge"}
    kube_system = hub.get("m1", "/api/v1/namespaces/kube-system")
    assert kube_system is not None
    assert joined["metadata"]["annotations"]["kubefed.io/cluster-uid"] == kube_system["metadata"]["uid"]
    assert joined["spec"]["apiEndpoint"] == hub.playground.clusters["m1"].url
    assert joined["spec"]["caBundle"]
    assert hub.token("m1").count(".") == 2


def test_join_says_each_object_on_stderr_and_never_the_token(hub: Site) -> None:
    ran = hub.run("join", "m1")
    assert ran.out == ""
    assert f"m1: clusterrole {hub.role('m1')} created" in ran.err
    assert "cluster m1 has joined host" in ran.err
    assert hub.token("m1") not in ran.err


def test_role_suffices_for_the_enabled_types_and_for_no_more(hub: Site) -> None:
    hub.run("enable", "configmaps", "deployments.apps", "--federated-group", f"{hub.host_name}.example.com")
    hub.run("join", "m1")
    token = hub.token("m1")

    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        assert hub.may("m1", token, verb, "configmaps", namespace="shop")
        assert hub.may("m1", token, verb, "apps/deployments", namespace="shop")
        assert not hub.may("m1", token, verb, "secrets", namespace="shop")
    assert hub.may("m1", token, "get", "namespaces", name="kube-system")
    assert not hub.may("m1", token, "create", "namespaces")
    assert not hub.may("m1", token, "update", "rbac.authorization.k8s.io/clusterroles")
    own, system = hub.account("m1"), hub.namespace
    assert hub.may("m1", token, "create", "serviceaccounts:token", namespace=system, name=own)
    assert not hub.may("m1", token, "create", "serviceaccounts:token", namespace=system, name="default")
    assert not hub.may("m1", token, "create", "serviceaccounts:token", namespace="default", name=own)


def test_rights_all_is_kubefeds_role(hub: Site) -> None:
    hub.run("join", "m1", "--rights", "all")
    token = hub.token("m1")
    assert hub.may("m1", token, "delete", "rbac.authorization.k8s.io/clusterroles")
    assert hub.may("m1", token, "update", "secrets", namespace="shop")


def test_second_join_is_refused_and_names_the_flag(hub: Site) -> None:
    hub.run("join", "m1")
    before = hub.token("m1")
    ran = hub.run("join", "m1", code=1)
    assert "cluster m1 has already joined" in ran.err
    assert "--error-on-existing=false" in ran.err
    assert hub.token("m1") == before


def test_second_join_with_the_flag_renews_and_changes_nothing_else(hub: Site) -> None:
    hub.run("join", "m1")
    before = hub.cluster("m1")
    ran = hub.run("join", "m1", "--error-on-existing=false")
    after = hub.cluster("m1")
    assert before is not None
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    lines = [line for line in ran.err.splitlines() if " unchanged" in line or " configured" in line]
    changed = [line for line in lines if line.endswith("configured") and " namespace " not in line]
    assert changed == [f"host: secret {hub.namespace}/{hub.account('m1')} configured"]
    assert not [line for line in ran.err.splitlines() if line.endswith("created")]


HALVES = {
    "member-account-gone": ("m1", "serviceaccounts"),
    "host-secret-gone": ("host", "secrets"),
}


@pytest.mark.parametrize(("cluster", "plural"), HALVES.values(), ids=HALVES)
def test_half_a_join_is_finished_by_the_next(hub: Site, cluster: str, plural: str) -> None:
    hub.run("join", "m1")
    hub.delete(cluster, hub.in_system(plural, hub.account("m1")))
    if plural == "serviceaccounts":  # the failure came before the host's side
        hub.delete("host", hub.kubefed("kubefedclusters", "m1"))
    hub.run("join", "m1")
    assert written(hub) == (True, True, True)
    assert hub.may("m1", hub.token("m1"), "get", "namespaces", name="kube-system")


def test_a_cluster_with_an_empty_secret_is_half_joined(hub: Site) -> None:
    hub.run("join", "m1")
    secret = hub.in_system("secrets", hub.account("m1"))
    hub.merge("host", secret, {"data": {"token": ""}})
    hub.run("join", "m1")
    assert hub.token("m1")


def test_host_joins_as_its_own_member(hub: Site) -> None:
    hub.run("join", "host")
    joined = hub.cluster("host")
    assert joined is not None
    assert joined["spec"]["apiEndpoint"] == hub.playground.clusters["host"].url


def test_known_cluster_under_a_second_name_is_refused(hub: Site) -> None:
    hub.run("join", "m1")
    ran = hub.run("join", "east", "--cluster-context", "m1", code=1)
    assert "already joined as m1" in ran.err
    assert hub.cluster("east") is None
    assert hub.get("m1", hub.in_system("serviceaccounts", hub.account("east"))) is None


def test_another_cluster_behind_a_known_name_is_refused(hub: Site) -> None:
    hub.run("join", "m1")
    before = hub.token("m1")
    ran = hub.run("join", "m1", "--cluster-context", "m2", "--error-on-existing=false", code=1)
    assert "m1 is already the name of another cluster" in ran.err
    assert "fedctl unjoin m1" in ran.err
    assert hub.token("m1") == before
    assert hub.get("m2", f"/api/v1/namespaces/{hub.namespace}") is None


def test_check_only_and_dry_run_write_nothing(hub: Site) -> None:
    ran = hub.run("join", "m1", "--check-only")
    for name in ("reachable", "version", "clock", "identity", "rights", "grant", "version skew"):
        assert f"ok       {name}: " in ran.err
    hub.run("join", "m1", "--dry-run")
    ran = hub.run("join", "m1", "--dry-run", "-o", "yaml")
    kinds = [document["kind"] for document in yaml.safe_load_all(ran.out)]
    assert kinds[0] == "Namespace"
    assert kinds[-2:] == ["Secret", "KubeFedCluster"]
    assert written(hub) == (False, False, False)
    assert hub.get("m1", f"/api/v1/namespaces/{hub.namespace}") is None


def test_host_without_the_api_says_init(site: Site) -> None:
    # The CRDs of other tests are there already: what is missing is this site's namespace.
    ran = site.run("join", "m1", code=1)
    assert "fedctl init" in ran.err
    assert site.get("m1", f"/api/v1/namespaces/{site.namespace}") is None


def test_stranger_secret_is_not_overwritten(hub: Site) -> None:
    body = {"metadata": {"name": "mine"}, "data": {"token": "a2VlcCBtZQ=="}}
    hub.create("host", hub.in_system("secrets"), body)
    ran = hub.run("join", "m1", "--secret-name", "mine", code=1)
    assert "--secret-name" in ran.err
    kept = hub.get("host", hub.in_system("secrets", "mine"))
    assert kept is not None
    assert kept["data"] == body["data"]
    assert written(hub) == (False, False, False)


def test_longest_names_join_and_leave(hub: Site) -> None:
    name = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert len(name) == 253
    hub.run("join", name, "--cluster-context", "m1")
    joined = hub.cluster(name)
    assert joined is not None
    account = joined["metadata"]["annotations"]["kubefed.io/service-account"]
    assert len(account) <= 253
    assert hub.get("m1", hub.in_system("serviceaccounts", account))
    assert hub.may("m1", hub.token(name), "get", "namespaces", name="kube-system")
    hub.run("unjoin", name, "--cluster-context", "m1")
    assert hub.cluster(name) is None
    assert not hub.get("m1", hub.in_system("serviceaccounts", account))


BAD_NAMES = {
    "upper-case": ("East", "NAME"),
    "too-long": ("a" * 254, "NAME"),
    "slash": ("kind/east", "NAME"),
}


@pytest.mark.parametrize(("name", "field"), BAD_NAMES.values(), ids=BAD_NAMES)
def test_bad_names_are_wrong_usage(hub: Site, name: str, field: str) -> None:
    ran = hub.run("join", name, "--cluster-context", "m1", code=2)
    assert ran.err.startswith(f"error: {field}: ")


def test_unknown_context_names_the_nearest(hub: Site) -> None:
    ran = hub.run("join", "m11", code=2)
    assert "no context 'm11'" in ran.err
    assert "did you mean 'm1'?" in ran.err


# -- preflight -------------------------------------------------------------------------------------------------------


def refused(site: Site, kubeconfig: Path, *said: str) -> None:
    ran = site.run("join", "m1", code=1, kubeconfig=kubeconfig)
    for words in said:
        assert words in ran.err, ran.err
    assert "\nnext: " in ran.err
    assert written(site) == (False, False, False)


def test_unreachable_member(hub: Site) -> None:
    refused(hub, hub.changed("m1", cluster={"server": "https://127.0.0.1:1"}), "reachable: https://127.0.0.1:1")


def test_member_with_an_unknown_certificate(hub: Site) -> None:
    document = yaml.safe_load(hub.kubeconfig.read_text())
    del document["clusters"][[each["name"] for each in document["clusters"]].index("m1")]["cluster"][
        "certificate-authority-data"
    ]
    path = hub.directory / "untrusting"
    path.write_text(yaml.safe_dump(document))
    refused(hub, path, "tls: https://127.0.0.1:", "not trusted")


def test_member_that_does_not_know_the_user(hub: Site) -> None:
    refused(hub, hub.changed("m1", user={"token": "stale"}), "credentials: ")


def test_member_where_the_user_may_nothing_lists_every_missing_right(hub: Site) -> None:
    kubeconfig = hub.limited("m1", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}])
    refused(
        hub,
        kubeconfig,
        "rights: you may not: ",
        "create clusterroles.rbac.authorization.k8s.io",
        f"create serviceaccounts/token in {hub.namespace}",
    )


def test_user_who_may_write_roles_but_holds_too_little_cannot_grant(hub: Site) -> None:
    hub.run("enable", "configmaps", "--federated-group", f"{hub.host_name}.example.com")
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "serviceaccounts", "serviceaccounts/token"], "verbs": ["*"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["get", "create", "patch"]},
    ]
    refused(hub, hub.limited("m1", rules), "grant: the role cannot be created", "attempting to grant RBAC permissions")


def test_tls_that_the_kubeconfig_skips_is_said_and_recorded(hub: Site) -> None:
    document = yaml.safe_load(hub.kubeconfig.read_text())
    entry = next(each for each in document["clusters"] if each["name"] == "m1")
    entry["cluster"] = {"server": entry["cluster"]["server"], "insecure-skip-tls-verify": True}
    path = hub.directory / "insecure"
    path.write_text(yaml.safe_dump(document))
    ran = hub.run("join", "m1", kubeconfig=path)
    assert "warning: tls: " in ran.err
    joined = hub.cluster("m1")
    assert joined is not None
    assert joined["spec"]["disabledTLSValidations"] == ["*"]


def test_wait_says_when_no_controller_looks(hub: Site) -> None:
    ran = hub.run("join", "m1", "--wait", "--timeout", "0.3", code=1)
    assert "is not Ready after 0.3 s" in ran.err
    assert written(hub) == (True, True, True)
    condition = {"type": "Ready", "status": "True", "reason": "ClusterReady"}
    hub.merge("host", f"{hub.kubefed('kubefedclusters', 'm1')}/status", {"status": {"conditions": [condition]}})
    ran = hub.run("join", "m1", "--error-on-existing=false", "--wait")
    assert "cluster m1 is Ready" in ran.err
