"""What the hub has of an accepted cluster, as manifests: its namespace, its agent's rights, its KubeFedCluster.

`fedctl accept` applies them, and so does the controller where a token accepts by itself. An agent's rights are bound to
its user, not to its cluster's group: when another agent takes its place, its certificate is worth nothing at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.model.federated import PULL, StoredObject
from federation.model.resources import (
    KUBEFED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    ObjectName,
    Resource,
)
from federation.registration import names
from federation.registration.approval import Known

Manifest = dict[str, Any]

AGENT_ANNOTATION = "kubefed.io/agent"
"""On a KubeFedCluster in pull mode: the id of the agent that was accepted."""
OURS = "kubefed.io/cluster-namespace"
"""On a Namespace of the hub, as a label: that it was made for the works of a cluster in pull mode, `true`."""
REQUEST_ANNOTATION = "kubefed.io/accepted-request"
"""On it, too: the uid of the CertificateSigningRequest by which that was, so that half of an acceptance is finished."""
AGENT_ROLE = "kubefed-agent"
_RBAC = "rbac.authorization.k8s.io"


def known(stored: StoredObject | None) -> Known | None:
    """What a KubeFedCluster says of who was accepted; None where there is none."""
    if stored is None:
        return None
    meta = stored.metadata
    agent, request = (
        meta.annotations.get(each, "") if stored.pulls else "" for each in (AGENT_ANNOTATION, REQUEST_ANNOTATION)
    )
    return Known(stored.pulls, agent, leaving=meta.deletion_timestamp is not None, request=request)


def manifests(cluster: str, agent: str, system: str, request: str, labels: Mapping[str, str]) -> list[Manifest]:
    """Everything, in the order in which it is applied. `system` is the federation's namespace, `request` the uid of
    what is accepted.

    The KubeFedCluster comes last: with it the cluster is a member.
    """
    return [
        namespace(cluster),
        _binding(ObjectName(cluster, AGENT_ROLE), "ClusterRole", AGENT_ROLE, cluster, agent),
        {
            "apiVersion": ROLES.api_version,
            "kind": ROLES.kind,
            "metadata": {"name": own_role(cluster), "namespace": system},
            "rules": [
                {
                    "apiGroups": [KUBEFED_CLUSTERS.group],
                    "resources": [KUBEFED_CLUSTERS.plural],
                    "resourceNames": [cluster],
                    "verbs": ["get"],
                }
            ],
        },
        _binding(ObjectName(system, own_role(cluster)), "Role", own_role(cluster), cluster, agent),
        kubefed_cluster(ObjectName(system, cluster), agent, request, labels),
    ]


def place(manifest: Manifest) -> tuple[Resource, ObjectName]:
    """The resource and the name of one of these manifests."""
    found = {(each.api_version, each.kind): each for each in (NAMESPACES, ROLE_BINDINGS, ROLES, KUBEFED_CLUSTERS)}
    metadata = manifest["metadata"]
    name = ObjectName(metadata.get("namespace", ""), metadata["name"])
    return found[manifest["apiVersion"], manifest["kind"]], name


def namespace(cluster: str) -> Manifest:
    """The cluster's namespace, marked as ours and, as OCM does, as the cluster's."""
    return {
        "apiVersion": NAMESPACES.api_version,
        "kind": NAMESPACES.kind,
        "metadata": {"name": cluster, "labels": {OURS: "true", names.CLUSTER_LABEL: cluster}},
    }


def is_ours(labels: Mapping[str, str], cluster: str) -> bool:
    """Whether a Namespace with these labels was made for this cluster."""
    return labels.get(OURS) == "true" and labels.get(names.CLUSTER_LABEL) == cluster


def kubefed_cluster(where: ObjectName, agent: str, request: str, labels: Mapping[str, str]) -> Manifest:
    """The KubeFedCluster."""
    noted = {AGENT_ANNOTATION: agent, REQUEST_ANNOTATION: request}
    metadata: Manifest = {"name": where.name, "namespace": where.namespace, "annotations": noted}
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "apiVersion": KUBEFED_CLUSTERS.api_version,
        "kind": KUBEFED_CLUSTERS.kind,
        "metadata": metadata,
        "spec": {"syncMode": PULL},
    }


def own_role(cluster: str) -> str:
    """The Role and RoleBinding by which an agent reads its own KubeFedCluster."""
    return f"{AGENT_ROLE}:{cluster}"


def access(cluster: str, system: str) -> Sequence[tuple[Resource, ObjectName]]:
    """The objects without which an agent has no rights, in the order of their deletion."""
    own = ObjectName(system, own_role(cluster))
    return [(ROLE_BINDINGS, ObjectName(cluster, AGENT_ROLE)), (ROLE_BINDINGS, own), (ROLES, own)]


def approved(message: str, now: str) -> Manifest:
    """The status of a CertificateSigningRequest that is approved."""
    condition = {"type": "Approved", "status": "True", "reason": "FederationAccepted", "message": message}
    return {"conditions": [{**condition, "lastUpdateTime": now}]}


def denied(message: str, now: str) -> Manifest:
    """The status of one that is denied, which tells the agent to stop asking."""
    condition = {"type": "Denied", "status": "True", "reason": "FederationRefused", "message": message}
    return {"conditions": [{**condition, "lastUpdateTime": now}]}


def review(username: str, groups: Sequence[str], cluster: str) -> Manifest:
    """The SubjectAccessReview that asks whether a requester may renew a cluster's certificate."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": username,
            "groups": list(groups),
            "resourceAttributes": {
                "group": "register.open-cluster-management.io",
                "resource": "managedclusters",
                "subresource": "clientcertificates",
                "verb": "renew",
                "namespace": cluster,
                "name": cluster,
            },
        },
    }


def _binding(where: ObjectName, kind: str, role: str, cluster: str, agent: str) -> Manifest:
    return {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": {"name": where.name, "namespace": where.namespace},
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": names.user(cluster, agent)}],
    }
