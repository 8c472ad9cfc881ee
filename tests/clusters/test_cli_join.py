"""`fedctl join` on real control planes: what it creates, what it refuses, and that it finishes what it began."""

import base64
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.core import jwt
from federation.playground import access
from tests.clusters.fedctl import RBAC, Site, hub, site

__all__ = ["hub", "site"]

NAMESPACES = "/api/v1/namespaces"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


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
    ran = hub.run("join", "m1", "--rights", "all")
    assert "m1: the controller's account is as good as cluster-admin there (--rights all)" in ran.err
    assert "as good as cluster-admin" in hub.run("join", "m1", "--rotate", "--dry-run").err
    assert "as good as cluster-admin" not in hub.run("join", "m1", "--rotate", "--rights", "types", "--dry-run").err
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
    assert changed == [
        f"m1: validatingadmissionpolicy kubefed-token.{hub.namespace}.{hub.account('m1')} configured",
        f"host: secret {hub.namespace}/{hub.account('m1')} configured",
    ]
    created = [line for line in ran.err.splitlines() if line.endswith("created")]
    assert len(created) == 1, "the Secret that the new token is bound to"
    assert f"m1: secret {hub.namespace}/{hub.account('m1')}-token-" in created[0]


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


def refused(site: Site, kubeconfig: Path, *message: str) -> None:
    ran = site.run("join", "m1", code=1, kubeconfig=kubeconfig)
    for words in message:
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


# -- joining again ---------------------------------------------------------------------------------------------------


def test_joining_again_keeps_what_it_is_not_told_to_change(hub: Site) -> None:
    """Copies are placed by label: what a second join took off went with all of them, without a word."""
    hub.run("join", "m1", "--label", "region=eu", "--rights", "all", "--service-account", "robot")
    own = {"labels": {"team": "a"}, "annotations": {"example.com/own": "x"}}
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"metadata": own})
    before = hub.cluster("m1")
    hub.run("join", "m1", "--rotate")
    hub.run("join", "m1", "--error-on-existing=false")
    assert hub.cluster("m1") == before
    hub.run("join", "m1", "--rotate", "--label", "region=us", "--rights", "types")
    after = hub.cluster("m1")
    assert after is not None
    assert after["metadata"]["labels"] == {"region": "us", "team": "a"}
    assert after["metadata"]["annotations"]["kubefed.io/service-account"] == "robot"
    assert not hub.may("m1", hub.token("m1"), "delete", "secrets", namespace="shop")


def made_ready(hub: Site) -> None:
    """As the controller does when it reaches the cluster."""
    condition = {"type": "Ready", "status": "True", "reason": "ClusterReady", "message": "", "lastProbeTime": None}
    condition |= {"lastProbeTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    hub.merge("host", f"{hub.kubefed('kubefedclusters', 'm1')}/status", {"status": {"conditions": [condition]}})


def test_by_another_context_of_the_member_a_working_address_stays(hub: Site) -> None:
    """Another way to the same cluster is no reason to change the one that the controller uses."""
    hub.run("join", "m1")
    made_ready(hub)
    before = hub.cluster("m1")
    assert before is not None
    other = before["spec"]["apiEndpoint"].replace("127.0.0.1", "localhost")
    elsewhere = hub.changed("m1", cluster={"server": other})
    ran = hub.run("join", "m1", "--rotate", kubeconfig=elsewhere)
    assert f"apiEndpoint stays {before['spec']['apiEndpoint']}" in ran.err
    assert (hub.cluster("m1") or {})["spec"] == before["spec"]
    ran = hub.run("join", "m1", "--rotate", "--api-endpoint", other, kubeconfig=elsewhere)
    assert (hub.cluster("m1") or {})["spec"] == before["spec"] | {"apiEndpoint": other}
    hub.merge("host", f"{hub.kubefed('kubefedclusters', 'm1')}/status", {"status": {"conditions": None}})
    hub.run("join", "m1", "--rotate", "--api-endpoint", before["spec"]["apiEndpoint"])
    assert (hub.cluster("m1") or {})["spec"] == before["spec"]


def test_an_address_that_does_not_work_gives_way_to_the_kubeconfigs_and_that_is_said(hub: Site) -> None:
    hub.run("join", "m1")
    before = hub.cluster("m1")
    assert before is not None
    other = before["spec"]["apiEndpoint"].replace("127.0.0.1", "localhost")
    ran = hub.run("join", "m1", "--rotate", kubeconfig=hub.changed("m1", cluster={"server": other}))
    assert f"apiEndpoint changes from {before['spec']['apiEndpoint']} to {other}" in ran.err
    assert (hub.cluster("m1") or {})["spec"]["apiEndpoint"] == other


def test_under_another_secret_name_nothing_else_changes(hub: Site) -> None:
    """The record of what a person has set is in the Secret that was used so far, and so is the proof of the place."""
    hub.run("join", "m1", "--api-endpoint", "https://127.0.0.1:1")
    old = hub.account("m1")
    ran = hub.run("join", "m1", "--rotate", "--secret-name", "other", "--dry-run")
    assert f"host: secret {hub.namespace}/{old} would be deleted (dry run)" in ran.err
    hub.run("join", "m1", "--rotate", "--secret-name", "other")
    joined = hub.cluster("m1")
    assert joined is not None
    assert joined["spec"]["apiEndpoint"] == "https://127.0.0.1:1"
    assert joined["spec"]["secretRef"] == {"name": "other"}
    assert hub.get("host", hub.in_system("secrets", old)) is None
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"spec": {"disabledTLSValidations": ["*"]}})
    ran = hub.run("join", "m1", "--rotate", "--secret-name", "third", code=1)
    assert "turns TLS verification off (*)" in ran.err
    assert hub.get("host", hub.in_system("secrets", "third")) is None


def test_with_another_account_the_fence_holds_and_the_old_token_ends(hub: Site) -> None:
    hub.run("join", "m1", "--fence", "kube-system", "--rights", "all")
    old = hub.token("m1")
    ran = hub.run("join", "m1", "--rotate", "--service-account", "robot", "--dry-run")
    assert f"m1: validatingadmissionpolicy kubefed-fence.{hub.namespace}.robot would be created (dry run)" in ran.err
    ran = hub.run("join", "m1", "--rotate", "--service-account", "robot")
    assert f"{hub.namespace}/{hub.account('m1')} stays with its roles" in ran.err
    eventually(lambda: "fenced off from namespace kube-system" in configmap(hub, "kube-system")[1], "the fence holds")
    holder = dataclasses.replace(hub.playground.clusters["m1"], token=old)
    path = f"{NAMESPACES}/kube-system"
    eventually(lambda: access.request(holder, "GET", path, hub.trust)[0] == 401, "the old token ends")


def test_what_is_printed_for_git_takes_nothing_away(hub: Site) -> None:
    hub.run("join", "m1", "--label", "region=eu", "--fence", "kube-system")
    own = {"labels": {"team": "a"}, "annotations": {"example.com/own": "x"}}
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"metadata": own})
    before = hub.cluster("m1"), hub.token("m1")
    printed = hub.run("join", "m1", "--rotate", "--fence", "kube-system,kube-public", "-o", "yaml").out
    made = {each["kind"]: each for each in yaml.safe_load_all(printed)}
    assert made["KubeFedCluster"]["metadata"]["labels"] == {"region": "eu", "team": "a"}
    assert made["KubeFedCluster"]["metadata"]["annotations"]["example.com/own"] == "x"
    assert "data" not in made["Secret"]
    assert "ValidatingAdmissionPolicy" in made
    for kind, path in (
        ("KubeFedCluster", hub.kubefed("kubefedclusters", "m1")),
        ("Secret", hub.in_system("secrets", hub.account("m1"))),
    ):
        code, answer = hub.request(
            "host", "PATCH", f"{path}?fieldManager=gitops&force=true", made[kind], kind="application/apply-patch+yaml"
        )
        assert code == 200, answer
    after = hub.cluster("m1")
    assert (after or {})["spec"] == (before[0] or {})["spec"]
    assert (after or {})["metadata"]["labels"] == {"region": "eu", "team": "a"}
    assert hub.token("m1") == before[1]


def test_rights_that_kubefedctl_gave_are_not_narrowed_without_a_word(hub: Site) -> None:
    hub.run("join", "m1", "--rights", "all")
    annotations = {"kubefed.io/rights": None, "kubefed.io/service-account": None}
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"metadata": {"annotations": annotations}})
    note = "role there allowed everything and is narrowed to the enabled types"
    assert note in hub.run("join", "m1", "--rotate", "--dry-run").err
    assert note in hub.run("join", "m1", "--rotate").err
    assert note not in hub.run("join", "m1", "--rotate").err


def test_dry_run_shows_a_fence_and_an_account_that_is_made_anew(hub: Site) -> None:
    hub.run("join", "m1", "--fence", "kube-system")
    policy = f"m1: validatingadmissionpolicy kubefed-fence.{hub.namespace}.{hub.account('m1')}"
    assert (
        f"{policy} unchanged (dry run)" in hub.run("join", "m1", "--rotate", "--fence", "kube-system", "--dry-run").err
    )
    assert (
        f"{policy} would be configured (dry run)" in hub.run("join", "m1", "--rotate", "--fence", "a", "--dry-run").err
    )
    assert (
        f"{policy} would be deleted (dry run)" in hub.run("join", "m1", "--rotate", "--fence", "none", "--dry-run").err
    )
    unbound = hub.create("m1", f"{hub.in_system('serviceaccounts', hub.account('m1'))}/token", {"spec": {}})
    token = base64.b64encode(unbound["status"]["token"].encode()).decode()
    hub.merge("host", hub.in_system("secrets", hub.account("m1")), {"data": {"token": token}})
    ran = hub.run("join", "m1", "--rotate", "--dry-run")
    assert "would be created anew: its unbound tokens would end (dry run)" in ran.err


def test_from_another_context_of_the_host_the_account_stays_the_same(hub: Site) -> None:
    hub.run("join", "m1")
    hub.host_name, first = "other", hub.host_name
    hub.run("join", "m1", "--rotate")
    hub.host_name = first
    accounts = hub.get("m1", hub.in_system("serviceaccounts"))
    assert accounts is not None
    assert {each["metadata"]["name"] for each in accounts["items"]} - {"default"} == {hub.account("m1")}


def test_dry_run_shows_what_would_change(hub: Site) -> None:
    hub.run("join", "m1", "--label", "region=eu")
    before = hub.cluster("m1"), hub.token("m1")
    ran = hub.run("join", "m1", "--rotate", "--label", "region=us", "--dry-run")
    name = f"host: kubefedcluster {hub.namespace}/m1"
    assert f"{name} metadata.labels[region]: eu -> us (dry run)" in ran.err
    assert f"m1: clusterrole {hub.role('m1')} unchanged (dry run)" in ran.err
    assert "data.token: changed (dry run)" in ran.err
    assert (hub.cluster("m1"), hub.token("m1")) == before


def test_rotate_is_for_members(hub: Site) -> None:
    ran = hub.run("join", "m1", "--rotate", code=1)
    assert "no cluster m1 has joined" in ran.err
    assert written(hub) == (False, False, False)


# -- where credentials go --------------------------------------------------------------------------------------------


def bound(hub: Site) -> Any:
    secret = hub.get("host", hub.in_system("secrets", hub.account("m1")))
    assert secret is not None
    return json.loads(secret["metadata"]["annotations"]["kubefed.io/bound-to"])


def test_join_binds_the_token_to_the_place(hub: Site) -> None:
    hub.run("join", "m1")
    joined = hub.cluster("m1")
    assert joined is not None
    assert bound(hub)["apiEndpoint"] == joined["spec"]["apiEndpoint"]
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"spec": {"apiEndpoint": "https://127.0.0.1:1"}})
    ran = hub.run("enable", "configmaps", code=3, kubeconfig=hub.without("m1"))
    assert "Connection refused" not in ran.err, "fedctl sends the token nowhere else, too"
    hub.run("join", "m1", "--rotate")
    assert hub.cluster("m1") == joined | {"metadata": (hub.cluster("m1") or {})["metadata"]}


def test_an_address_that_only_the_controller_reaches(hub: Site) -> None:
    ran = hub.run("join", "m1", "--api-endpoint", "https://127.0.0.1:1")
    assert "warning: not tried from here, where https://127.0.0.1:1 does not answer" in ran.err
    hub.run("join", "m1", "--rotate")
    joined = hub.cluster("m1")
    assert joined is not None
    assert joined["spec"]["apiEndpoint"] == bound(hub)["apiEndpoint"] == "https://127.0.0.1:1"
    ran = hub.run("join", "m1", "--rotate", "--api-endpoint", "http://127.0.0.1:1", code=2)
    assert "--api-endpoint" in ran.err


def test_tls_that_somebody_has_switched_off_since_is_not_confirmed(hub: Site) -> None:
    hub.run("join", "m1")
    hub.merge("host", hub.kubefed("kubefedclusters", "m1"), {"spec": {"disabledTLSValidations": ["*"]}})
    before = hub.token("m1")
    ran = hub.run("join", "m1", "--rotate", code=1)
    assert "turns TLS verification off (*)" in ran.err
    assert hub.token("m1") == before


# -- what a token is worth, and until when ---------------------------------------------------------------------------


def minted(hub: Site, token: str, account: str = "", **spec: Any) -> tuple[int, str]:
    """What the member says to a TokenRequest that the holder of this token makes for its account."""
    holder = dataclasses.replace(hub.playground.clusters["m1"], token=token)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"{hub.in_system('serviceaccounts', account or hub.account('m1'))}/token"
    code, answer = access.request(holder, "POST", path, hub.trust, body=json.dumps(body).encode())
    return code, answer.decode()


def works(hub: Site, token: str) -> bool:
    holder = dataclasses.replace(hub.playground.clusters["m1"], token=token)
    return access.request(holder, "GET", "/api/v1/namespaces/kube-system", hub.trust)[0] == 200


def eventually(check: Callable[[], bool], what: str) -> None:
    for _ in range(400):
        if check():
            return
        time.sleep(0.1)
    raise AssertionError(what)


def test_the_next_join_ends_the_last_token_and_all_that_came_of_it(hub: Site) -> None:
    hub.run("join", "m1")
    first = hub.token("m1")
    reference = jwt.bound_object(jwt.claims(first))
    assert reference is not None
    code, answer = minted(hub, first, boundObjectRef=reference, expirationSeconds=3600)
    assert code == 201, answer
    renewed = json.loads(answer)["status"]["token"]
    hub.run("join", "m1", "--rotate")
    second = hub.token("m1")
    assert works(hub, second)
    eventually(lambda: not works(hub, first) and not works(hub, renewed), "the old tokens ended")
    assert works(hub, second)
    assert not any(secret in hub.get("m1", hub.in_system("secrets")).__repr__() for secret in (first, second))


def test_a_token_mints_no_token_that_outlives_it_or_is_for_others(hub: Site) -> None:
    hub.run("join", "m1")
    token = hub.token("m1")
    reference = jwt.bound_object(jwt.claims(token))
    assert reference is not None
    year = 365 * 24 * 3600
    eventually(lambda: minted(hub, token, expirationSeconds=3600)[0] != 201, "the policy took effect")
    assert "must be bound to secret" in minted(hub, token, expirationSeconds=3600)[1]
    assert "must end within" in minted(hub, token, boundObjectRef=reference, expirationSeconds=year)[1]
    audience: dict[str, Any] = {"audiences": ["vault"], "expirationSeconds": 3600}
    assert "for this API server alone" in minted(hub, token, boundObjectRef=reference, **audience)[1]
    code, answer = minted(hub, token, boundObjectRef=reference, expirationSeconds=30 * 24 * 3600)
    assert code == 201, answer


def test_a_token_that_was_bound_to_nothing_ends_by_rotation(hub: Site) -> None:
    """As earlier versions stored it, and KubeFed."""
    hub.run("join", "m1")
    path = f"{hub.in_system('serviceaccounts', hub.account('m1'))}/token"
    unbound = hub.create("m1", path, {"spec": {}})["status"]["token"]
    data = {"token": base64.b64encode(unbound.encode()).decode()}
    hub.merge("host", hub.in_system("secrets", hub.account("m1")), {"data": data})
    ran = hub.run("join", "m1", "--error-on-existing=false")
    assert "is bound to nothing" in ran.err
    assert works(hub, unbound)
    hub.merge("host", hub.in_system("secrets", hub.account("m1")), {"data": data})
    hub.run("join", "m1", "--rotate")
    eventually(lambda: not works(hub, unbound), "the unbound token ended")
    assert works(hub, hub.token("m1"))


def test_unjoin_leaves_no_secret_and_no_policy(hub: Site) -> None:
    hub.run("join", "m1", "--fence", "kube-system")
    hub.run("unjoin", "m1")
    secrets = hub.get("m1", hub.in_system("secrets"))
    assert secrets is None or secrets["items"] == []
    for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        left = hub.get("m1", f"{ADMISSION}/{plural}")
        assert left is not None
        assert not [each for each in left["items"] if hub.host_name in each["metadata"]["name"]]


# -- fences ----------------------------------------------------------------------------------------------------------


def configmap(hub: Site, namespace: str, name: str = "c") -> tuple[int, str]:
    """What the member says when the controller's account creates a ConfigMap there (or a namespace, for "")."""
    holder = dataclasses.replace(hub.playground.clusters["m1"], token=hub.token("m1"))
    kind, path = ("ConfigMap", f"/api/v1/namespaces/{namespace}/configmaps") if namespace else ("Namespace", NAMESPACES)
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
    code, answer = access.request(
        holder, "POST", f"{path}?dryRun=All", hub.trust, body=json.dumps(body).encode(), content_type="application/json"
    )
    return code, answer.decode()


def test_a_fence_holds_whatever_the_role_allows(hub: Site) -> None:
    hub.run("join", "m1", "--rights", "all", "--fence", f"kube-system,{hub.namespace}")
    eventually(lambda: configmap(hub, "kube-system")[0] != 201, "the fence stood")
    assert "fenced off from namespace kube-system" in configmap(hub, "kube-system")[1]
    assert configmap(hub, "default")[0] == 201
    holder = dataclasses.replace(hub.playground.clusters["m1"], token=hub.token("m1"))
    deleting = access.request(holder, "DELETE", f"{NAMESPACES}/{hub.namespace}?dryRun=All", hub.trust)
    assert f"fenced off from namespace {hub.namespace}" in deleting[1].decode()
    assert access.request(holder, "GET", f"{NAMESPACES}/kube-system", hub.trust)[0] == 200
    reference = jwt.bound_object(jwt.claims(hub.token("m1")))
    eventually(
        lambda: minted(hub, hub.token("m1"), boundObjectRef=reference, expirationSeconds=600)[0] == 201, "renewal"
    )
    hub.run("join", "m1", "--rotate")
    assert configmap(hub, "kube-system")[0] != 201, "joining again leaves the fence"
    hub.run("join", "m1", "--rotate", "--namespaces", "default")
    eventually(lambda: configmap(hub, "kube-public")[0] != 201, "the other namespaces are closed")
    assert (configmap(hub, "default")[0], configmap(hub, "kube-system")[0]) == (201, 422)
    assert configmap(hub, "", "shop")[0] == 422
    hub.run("join", "m1", "--rotate", "--namespaces", "none", "--fence", "none")
    eventually(lambda: configmap(hub, "kube-system")[0] == 201, "the fence is down")
