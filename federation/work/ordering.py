"""In which order the manifests of a work are applied, by kind; as Open Cluster Management and Helm order them.

What others need comes first: namespaces, definitions and storage, then rights, policies and accounts, configuration,
services, workloads; what decides about other objects comes last. Kinds that are not named are applied after all of
those, in the order of the spec. Removal goes the other way.
"""

from collections.abc import Iterable

from federation.model.works import Manifest

_KINDS = (
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("", "ServiceAccount"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("networking.k8s.io", "IngressClass"),
    ("", "Service"),
    ("apps", "DaemonSet"),
    ("", "Pod"),
    ("", "ReplicationController"),
    ("apps", "ReplicaSet"),
    ("apps", "Deployment"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("apps", "StatefulSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("networking.k8s.io", "Ingress"),
    ("apiregistration.k8s.io", "APIService"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
)
_RANKS = {kind: rank for rank, kind in enumerate(_KINDS)}
LAST = len(_KINDS)
"""The rank of a kind that is not named."""


def rank(group: str, kind: str) -> int:
    """When a kind is applied: lower ranks first."""
    return _RANKS.get((group, kind), LAST)


def ordered(manifests: Iterable[Manifest]) -> list[Manifest]:
    """In the order in which they are applied."""
    return sorted(manifests, key=lambda each: (rank(each.group, each.kind), each.ordinal))


def together(ordered_: Iterable[Manifest]) -> list[list[Manifest]]:
    """What is ordered, in parts whose manifests need not wait for one another: of one kind that is named."""
    parts: list[list[Manifest]] = []
    for each in ordered_:
        found = rank(each.group, each.kind)
        if parts and found != LAST and found == rank(parts[-1][0].group, parts[-1][0].kind):
            parts[-1].append(each)
        else:
            parts.append([each])
    return parts
