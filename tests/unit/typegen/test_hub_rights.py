"""The controller's rights at the hub: each verb has a caller, and what has none is not asked for.

The rights on federated types come with each type (types/roles.yaml). A new right needs a line here that says who uses
it; that they suffice is what test_gitops shows, whose controller has nothing more.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from typegen import templates

LISTED = "watches.Watches: its collection is listed and followed"
BY_NAME = "absences.gone: a list that leaves an object out is not believed before it was read by name"

CALLERS = {
    ("", "namespaces", "get"): "leading.identify: kube-system's uid",
    ("", "namespaces", "list"): LISTED,
    ("", "namespaces", "watch"): LISTED,
    ("", "events", "create"): "events.Events, presence.Presence, configuration",
    (
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "get",
    ): "configuration: what the KubeFedConfig's CRD defaults",
    ("apiextensions.k8s.io", "customresourcedefinitions", "list"): LISTED,
    ("apiextensions.k8s.io", "customresourcedefinitions", "watch"): LISTED,
    **{
        ("core.kubefed.io", plural, verb): BY_NAME if verb == "get" else LISTED
        for plural in ("kubefedclusters", "kubefedconfigs", "federatedtypeconfigs")
        for verb in ("get", "list", "watch")
    },
    ("core.kubefed.io", "kubefedclusters", "patch"): "identities.Identities: records its identity",
    ("core.kubefed.io", "kubefedclusters/status", "patch"): "presence.Presence.report",
    ("core.kubefed.io", "federatedtypeconfigs", "patch"): "types.Types: its finalizer",
    ("core.kubefed.io", "federatedtypeconfigs/status", "patch"): "types.Types",
    **{
        (
            "core.kubefed.io",
            "federatedrollouts",
            verb,
        ): "rollouts.Rollouts.follow: the collection is listed and followed"
        for verb in ("list", "watch")
    },
    ("core.kubefed.io", "federatedrollouts/status", "patch"): "rollouts.Rollouts: the record",
    ("core.kubefed.io", "federatedrevisions", "create"): "rollouts.Rollouts: a content that clusters may be held to",
    ("core.kubefed.io", "federatedrevisions", "get"): "rollouts.Rollouts: the contents that clusters are held to",
    ("core.kubefed.io", "federatedrevisions", "list"): "rollouts.Rollouts: the contents, where a record was lost",
    ("core.kubefed.io", "federatedrevisions", "delete"): "rollouts.Rollouts: what no revision has any more",
    **{
        (
            "scheduling.kubefed.io",
            "replicaschedulingpreferences",
            verb,
        ): "preferences.Preferences.follow: the collection is listed and followed"
        for verb in ("list", "watch")
    },
    ("scheduling.kubefed.io", "replicaschedulingpreferences/status", "patch"): "preferencereports.PreferenceReports",
    ("core.kubefed.io", "kubefedconfigs/status", "patch"): "recovery.Recovery: the condition HubRestored",
    **{
        (
            "coordination.k8s.io",
            "leases",
            verb,
        ): "continuity.Continuity: by which a restored hub is recognised; election.Elector: by which one leads"
        for verb in ("create", "get", "patch")
    },
    **{
        ("coordination.k8s.io", "leases", verb): "standby.Standby: follows the Lease, to lead when it is given back"
        for verb in ("list", "watch")
    },
    ("", "secrets", "get"): BY_NAME,
    ("", "secrets", "list"): LISTED,
    ("", "secrets", "watch"): LISTED,
    ("", "secrets", "patch"): "tokens.Renewal stores a token; clusters.Clusters records its place",
}


ELSEWHERE = {
    *(("", "namespaces", verb) for verb in ("list", "watch")),
    *(("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("get", "list", "watch")),
}
"""What is in no namespace: surroundings.Surroundings follows it with scope Cluster alone."""


@pytest.mark.parametrize("namespaced", [False, True])
def test_every_verb_has_a_caller(namespaced: bool) -> None:
    roles = templates.documents("host/rbac.yaml", namespace="fed", namespaced=namespaced)
    assert _held(roles) == CALLERS.keys() - (ELSEWHERE if namespaced else set())


REGISTRATION = {
    **{
        ("certificates.k8s.io", "certificatesigningrequests", verb): "agents.Agents: followed; read before approval"
        for verb in ("get", "list", "watch")
    },
    ("certificates.k8s.io", "certificatesigningrequests/approval", "patch"): "registrations.Registrations: approves",
    ("certificates.k8s.io", "signers", "approve"): "what Kubernetes asks of who approves, for this signer alone",
    ("authorization.k8s.io", "subjectaccessreviews", "create"): "registrations.Registrations: who may renew",
    **{
        (
            "coordination.k8s.io",
            "leases",
            verb,
        ): "heartbeats.Heartbeats: followed; asked before a cluster counts as silent"
        for verb in ("get", "list", "watch")
    },
    **{
        (
            "work.open-cluster-management.io",
            "manifestworks",
            verb,
        ): "handingover.HandingOver, pulling.Pulling: what agents fetch"
        for verb in ("get", "list", "watch", "create", "patch", "delete")
    },
    **{
        ("", "serviceaccounts", verb): "registrations.Registrations: tokens' rules, and their ends"
        for verb in ("get", "list", "delete")
    },
}
"""Beside those, once somebody has asked for pull mode (host/registration.yaml)."""
ACCEPTING = {
    ("", "namespaces", "create"): "accepting.Accepting",
    ("rbac.authorization.k8s.io", "rolebindings", "create"): "accepting.Accepting",
    ("rbac.authorization.k8s.io", "clusterroles", "bind"): "accepting.Accepting: the agent's role alone",
    ("rbac.authorization.k8s.io", "roles", "create"): "accepting.Accepting",
    ("core.kubefed.io", "kubefedclusters", "create"): "accepting.Accepting",
}
"""And once a token is to accept by itself (host/auto-accept.yaml)."""


def test_registration_asks_for_what_it_uses() -> None:
    registration = templates.documents("host/registration.yaml", namespace="fed", home="fed-registration")
    accepting = templates.documents("host/auto-accept.yaml", namespace="fed")
    for documents, expected in ((registration, REGISTRATION), (accepting, ACCEPTING)):
        roles = [each for each in documents if each["metadata"]["name"].startswith("kubefed-controller:")]
        assert _held(roles) == expected.keys()
    limited = {"signers", "leases", "clusterroles"}
    rules = [rule for each in (*registration, *accepting) for rule in each.get("rules", ())]
    named = [rule for rule in rules if limited & set(rule["resources"]) and rule["verbs"] != ["create"]]
    assert len(named) == 4
    assert all(rule["resourceNames"] for rule in named), "one signer, one Lease, one role"


def _held(roles: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for role in roles
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_with_scope_namespaced_nothing_is_cluster_wide() -> None:
    """Another namespace's role shows what the hub is, and nothing more."""
    roles = templates.documents("host/rbac.yaml", namespace="fed", namespaced=True)
    assert {each["kind"] for each in roles} == {"ServiceAccount", "Role", "RoleBinding"}
    (outside,) = (each for each in roles if each["kind"] == "Role" and each["metadata"]["namespace"] != "fed")
    only = {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}
    assert outside["rules"] == [only]
