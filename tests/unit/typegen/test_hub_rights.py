"""The controller's rights at the hub: each verb has a caller, and what has none is not asked for.

The rights on federated types come with each type (types/roles.yaml). A new right needs a line here that says who uses
it; that they suffice is what test_gitops shows, whose controller has nothing more.
"""

from typegen import templates

LISTED = "watches.Watches: its collection is listed and followed"
BY_NAME = "absences.gone: a list that leaves an object out is not believed before it was read by name"

CALLERS = {
    ("", "namespaces", "get"): "app._identify: kube-system's uid",
    ("", "namespaces", "list"): LISTED,
    ("", "namespaces", "watch"): LISTED,
    ("", "events", "create"): "events.Events, member.JoinedMember, configuration",
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
    ("core.kubefed.io", "kubefedclusters", "patch"): "member.JoinedMember: records its identity",
    ("core.kubefed.io", "kubefedclusters/status", "patch"): "member.JoinedMember.report",
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
    ("core.kubefed.io", "federatedrevisions", "delete"): "rollouts.Rollouts: what no revision has any more",
    ("core.kubefed.io", "kubefedconfigs/status", "patch"): "recovery.Recovery: the condition HubRestored",
    **{
        (
            "coordination.k8s.io",
            "leases",
            verb,
        ): "continuity.Continuity: the Lease by which a restored hub is recognised"
        for verb in ("create", "get", "patch")
    },
    ("", "secrets", "get"): BY_NAME,
    ("", "secrets", "list"): LISTED,
    ("", "secrets", "watch"): LISTED,
    ("", "secrets", "patch"): "tokens.Renewal stores a token; clusters.Clusters records its place",
}


def test_every_verb_has_a_caller() -> None:
    held = {
        (group, resource, verb)
        for role in templates.documents("host/rbac.yaml", namespace="fed")
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert held == CALLERS.keys()
