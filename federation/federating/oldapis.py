"""Tables of what Kubernetes and KubeFed have renamed or removed, and what to write instead; used by `outdated`.

For Kubernetes these are the entries of its deprecation guide that templates written for KubeFed may still use. For an
API that some members may still serve (`removed`) there is only a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Removed:
    """A removed API version: in which minor version of Kubernetes, and what to write instead ("": there is nothing).

    `instead` describes what else has changed; "" when the fields are the same under the new apiVersion.
    """

    removed: tuple[int, int]
    now: str
    instead: str = ""


_SELECTOR = "spec.selector is required, and equal to the labels of spec.template.metadata.labels"
_WORKLOAD = f"{_SELECTOR}; spec.rollbackTo is gone"
_DAEMON = f"{_SELECTOR}; spec.templateGeneration is gone; updateStrategy is RollingUpdate unless said"
_INGRESS = (
    "backend.serviceName is backend.service.name, backend.servicePort is backend.service.port.number (or .name), "
    "spec.backend is spec.defaultBackend, and each path needs a pathType (Prefix, Exact or ImplementationSpecific)"
)
_AUTOSCALER = (
    "in spec.metrics[] targetAverageUtilization is target: {type: Utilization, averageUtilization: ...}, "
    "targetAverageValue is target: {type: AverageValue, averageValue: ...}, metricName is metric.name"
)
_WEBHOOK = "each webhook needs sideEffects (None or NoneOnDryRun) and admissionReviewVersions ([v1])"
_CRD = (
    "spec.version is spec.versions[].name, spec.validation is spec.versions[].schema, spec.subresources and "
    "spec.additionalPrinterColumns (jsonPath, not JSONPath) stand in each version, and a structural schema is required"
)
_RBAC, _BETA_RBAC = (
    "rbac.authorization.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1alpha1", "rbac.authorization.k8s.io/v1beta1"),
)
_POLICIES = "nothing: Pod Security admission has replaced it; label namespaces with pod-security.kubernetes.io/enforce"

REMOVED: Mapping[tuple[str, str], Removed] = {
    ("extensions/v1beta1", "DaemonSet"): Removed((1, 16), "apps/v1", _DAEMON),
    ("extensions/v1beta1", "Deployment"): Removed((1, 16), "apps/v1", _WORKLOAD),
    ("extensions/v1beta1", "ReplicaSet"): Removed((1, 16), "apps/v1", _SELECTOR),
    ("extensions/v1beta1", "NetworkPolicy"): Removed((1, 16), "networking.k8s.io/v1"),
    ("extensions/v1beta1", "PodSecurityPolicy"): Removed((1, 16), "", _POLICIES),
    ("extensions/v1beta1", "Ingress"): Removed((1, 22), "networking.k8s.io/v1", _INGRESS),
    ("networking.k8s.io/v1beta1", "Ingress"): Removed((1, 22), "networking.k8s.io/v1", _INGRESS),
    ("networking.k8s.io/v1beta1", "IngressClass"): Removed((1, 22), "networking.k8s.io/v1"),
    ("apps/v1beta1", "Deployment"): Removed((1, 16), "apps/v1", _WORKLOAD),
    ("apps/v1beta1", "StatefulSet"): Removed(
        (1, 16), "apps/v1", f"{_SELECTOR}; updateStrategy is RollingUpdate unless said"
    ),
    ("apps/v1beta1", "ControllerRevision"): Removed((1, 16), "apps/v1"),
    ("apps/v1beta2", "DaemonSet"): Removed((1, 16), "apps/v1", _SELECTOR),
    ("apps/v1beta2", "Deployment"): Removed((1, 16), "apps/v1", _SELECTOR),
    ("apps/v1beta2", "ReplicaSet"): Removed((1, 16), "apps/v1", _SELECTOR),
    ("apps/v1beta2", "StatefulSet"): Removed((1, 16), "apps/v1", _SELECTOR),
    ("apps/v1beta2", "ControllerRevision"): Removed((1, 16), "apps/v1"),
    ("batch/v2alpha1", "CronJob"): Removed((1, 21), "batch/v1"),
    ("batch/v1beta1", "CronJob"): Removed((1, 25), "batch/v1"),
    ("policy/v1beta1", "PodDisruptionBudget"): Removed(
        (1, 25), "policy/v1", "an empty spec.selector ({}) selects every pod there, where it selected none"
    ),
    ("policy/v1beta1", "PodSecurityPolicy"): Removed((1, 25), "", _POLICIES),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): Removed((1, 25), "autoscaling/v2", _AUTOSCALER),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): Removed((1, 26), "autoscaling/v2"),
    **{
        (version, kind): Removed((1, 22), _RBAC, "roleRef and subjects need apiGroup: rbac.authorization.k8s.io")
        if kind.endswith("Binding")
        else Removed((1, 22), _RBAC)
        for version in _BETA_RBAC
        for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    },
    **{
        (f"storage.k8s.io/{version}", kind): Removed((1, 22), "storage.k8s.io/v1")
        for version in ("v1alpha1", "v1beta1")
        for kind in ("StorageClass", "CSIDriver", "CSINode", "VolumeAttachment")
    },
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity"): Removed((1, 27), "storage.k8s.io/v1"),
    ("scheduling.k8s.io/v1alpha1", "PriorityClass"): Removed((1, 22), "scheduling.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): Removed((1, 22), "scheduling.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "Lease"): Removed((1, 22), "coordination.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "RuntimeClass"): Removed((1, 25), "node.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "Event"): Removed((1, 25), "events.k8s.io/v1"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): Removed(
        (1, 25), "discovery.k8s.io/v1", "endpoints[].topology is endpoints[].nodeName and endpoints[].zone"
    ),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest"): Removed(
        (1, 22), "certificates.k8s.io/v1", "spec.signerName and spec.usages are required"
    ),
    ("apiregistration.k8s.io/v1beta1", "APIService"): Removed((1, 22), "apiregistration.k8s.io/v1"),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): Removed((1, 22), "apiextensions.k8s.io/v1", _CRD),
    **{
        ("admissionregistration.k8s.io/v1beta1", kind): Removed((1, 22), "admissionregistration.k8s.io/v1", _WEBHOOK)
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    },
    **{
        (f"flowcontrol.apiserver.k8s.io/{version}", kind): Removed(
            removed,
            "flowcontrol.apiserver.k8s.io/v1",
            "spec.limited.assuredConcurrencyShares is spec.limited.nominalConcurrencyShares"
            if kind.startswith("Priority") and version != "v1beta3"
            else "",
        )
        for version, removed in (
            ("v1alpha1", (1, 21)),
            ("v1beta1", (1, 26)),
            ("v1beta2", (1, 29)),
            ("v1beta3", (1, 32)),
        )
        for kind in ("FlowSchema", "PriorityLevelConfiguration")
    },
}

GROUPS: Mapping[str, str] = {
    "types.kubefed.k8s.io": "types.kubefed.io/v1beta1",
    "core.kubefed.k8s.io": "core.kubefed.io/v1beta1",
    "scheduling.kubefed.k8s.io": "scheduling.kubefed.io/v1alpha1",
    "types.federation.k8s.io": "types.kubefed.io/v1beta1",
    "core.federation.k8s.io": "core.kubefed.io/v1beta1",
    "primitives.federation.k8s.io": "types.kubefed.io/v1beta1",
    "generated.federation.k8s.io": "types.kubefed.io/v1beta1",
    "scheduling.federation.k8s.io": "scheduling.kubefed.io/v1alpha1",
}
"""KubeFed's groups before v0.1.0, and those of Federation v2 before that, with the current group and version."""

NO_MORE: Mapping[str, str] = {
    "multiclusterdns.kubefed.io": "DNS across clusters was taken out of KubeFed: leave it out",
    "multiclusterdns.kubefed.k8s.io": "DNS across clusters was taken out of KubeFed: leave it out",
    "multiclusterdns.federation.k8s.io": "DNS across clusters was taken out of KubeFed: leave it out",
    "clusterregistry.k8s.io": "clusters are KubeFedClusters of core.kubefed.io/v1beta1: fedctl join makes them",
    "federation": "KubeFed v1's clusters are KubeFedClusters of core.kubefed.io/v1beta1: fedctl join makes them",
}
"""Groups that no longer exist; `federation` is KubeFed v1's."""

KINDS: Mapping[str, str] = {
    "FederatedCluster": "KubeFedCluster: fedctl join makes it",
    "KubefedCluster": "KubeFedCluster: fedctl join makes it",
    "FederationConfig": "KubeFedConfig",
    "KubefedConfig": "KubeFedConfig",
    "PropagatedVersion": "",
    "ClusterPropagatedVersion": "",
    "PropagatedFederatedVersion": "",
}
"""Old kinds of KubeFed's core groups, with their current names; "" where the controller does not need them."""

TYPE_FIELDS: Mapping[str, str] = {
    "target": "targetType",
    "namespaced": "targetType.scope: Namespaced or Cluster",
    "comparisonField": "",
    "propagationEnabled": "propagation: Enabled or Disabled",
    "template": "federatedType",
    "placement": "",
    "override": "",
    "overridePath": "",
    "primitiveType": "federatedType",
    "enableStatus": "statusCollection: Enabled or Disabled",
    "status": "statusType",
}
"""Fields in spec of a FederatedTypeConfig before v0.1.0, with their current names; "" where there is none."""

ANNOTATIONS: Mapping[str, str] = {
    "federation.alpha.kubernetes.io/cluster-selector": "spec.placement.clusterSelector of the federated object",
    "federation.kubernetes.io/replica-set-preferences": "spec.overrides of /spec/replicas for each cluster",
    "federation.kubernetes.io/deployment-preferences": "spec.overrides of /spec/replicas for each cluster",
    "federation.kubernetes.io/hpa-preferences": "spec.overrides for each cluster",
    "federation.kubernetes.io/job-preferences": "spec.overrides for each cluster",
}
"""KubeFed v1's annotations of plain objects, and what to write instead."""
