"""Open Cluster Management's names of users, groups and objects that registration is made of."""

import re

from federation.core import checks
from federation.model.errors import Invalid

PREFIX = "system:open-cluster-management:"
"""A cluster's group is PREFIX + cluster; its agent's user is that, a colon and the agent's id."""
COMMON_GROUP = f"{PREFIX}managed-clusters"
"""A group that all clusters may have beside their own."""
CLUSTER_LABEL = "open-cluster-management.io/cluster-name"
"""On a CertificateSigningRequest and on a cluster's namespace at the hub."""
SIGNER = "kubernetes.io/kube-apiserver-client"
LEASE = "managed-cluster-lease"
"""The agent's heartbeat, in the cluster's namespace at the hub."""
LEASE_SECONDS = 60
"""Its duration, and how often it is renewed: OCM's default."""
HUB_SECRET = "hub-kubeconfig-secret"  # noqa: S105 - a name
"""In the member: the agent's certificate and key, with a kubeconfig that refers to them."""
BOOTSTRAP_SECRET = "bootstrap-hub-kubeconfig"  # noqa: S105 - a name
"""In the member: how to ask the hub for the first certificate."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def group(cluster: str) -> str:
    """The group of a cluster's agents."""
    return PREFIX + cluster


def user(cluster: str, agent: str) -> str:
    """The user that an agent is at the hub."""
    return f"{PREFIX}{cluster}:{agent}"


def parts(name: str) -> tuple[str, str] | None:
    """Cluster and agent of such a user's name; None where it is not one, or has more or fewer than the two parts."""
    if not name.startswith(PREFIX):
        return None
    cluster, colon, agent = name.removeprefix(PREFIX).partition(":")
    return (cluster, agent) if colon and is_cluster(cluster) and is_agent(agent) else None


def is_cluster(name: str) -> bool:
    """Whether a cluster in pull mode may have this name: it is a namespace at the hub, and no group of all clusters."""
    return _LABEL.fullmatch(name) is not None and group(name) != COMMON_GROUP


def is_agent(name: str) -> bool:
    """Whether an agent may have this id: a DNS label, as OCM's UUIDs are."""
    return _LABEL.fullmatch(name) is not None


def cluster(name: str, field: str) -> str:
    """A cluster's name, checked. Raises Invalid."""
    if not is_cluster(name):
        raise Invalid(
            field,
            f"{checks.quote(name)} cannot name a cluster in pull mode, which is a namespace at the hub: at most 63 of "
            "lower case letters, digits and '-', and not managed-clusters",
        )
    return name
