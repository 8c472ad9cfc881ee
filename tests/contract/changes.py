"""Random changes of random objects of built-in types and of two custom types, for test_changes.

Each field is there or not, with one of a few values that differ in what is defaulted beside and below them. Values that
an API server allocates are left to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from federation.model.resources import ROLE_BINDINGS, ROLES, Resource
from tests.contract import changes_custom, changes_workloads
from tests.contract.dice import SELECTOR, Content, Dice
from tests.contract.worlds import DEPLOYMENTS

SERVICES = Resource("", "v1", "Service", "services", namespaced=True)
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", namespaced=True)
LIMITS = Resource("", "v1", "LimitRange", "limitranges", namespaced=True)
INGRESSES = Resource("networking.k8s.io", "v1", "Ingress", "ingresses", namespaced=True)
POLICIES = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", namespaced=True)
AUTOSCALERS = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True)
BUDGETS = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", namespaced=True)
PRIORITIES = Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
WEBHOOKS = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", False
)
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True)
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", namespaced=True)
SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced=True)
CSI_DRIVERS = Resource("storage.k8s.io", "v1", "CSIDriver", "csidrivers", namespaced=False)
INGRESS_CLASSES = Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False)
RUNTIME_CLASSES = Resource("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)
LEVELS = Resource(
    "flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", False
)
FLOWS = Resource("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", namespaced=False)
ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", False
)
VOLUMES = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)


def service(dice: Dice) -> Content:
    kind = dice.one("", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
    port = dice.one(
        {"port": 80},
        {"port": 81},
        {"port": 80, "targetPort": 8080},
        {"port": 80, "targetPort": "http"},
        {"port": 80, "protocol": "UDP"},
    )
    ports = dice.one([{**port}], [{**port, "name": "a"}, {"port": 90, "name": "b"}])
    spec: Content = {"ports": ports, **({"type": kind} if kind else {})}
    if kind == "ExternalName":
        return {"spec": {**spec, "externalName": "a.example.com"}}
    spec |= dice.some(selector={"app": "web"}, internalTrafficPolicy="Local", publishNotReadyAddresses=True)
    spec |= dice.some(sessionAffinity="ClientIP")
    if spec.get("sessionAffinity") and dice.one(True, False):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 60}}
    if kind in {"NodePort", "LoadBalancer"}:
        spec |= dice.some(externalTrafficPolicy="Local")
    if kind == "LoadBalancer":
        spec |= dice.some(allocateLoadBalancerNodePorts=False, loadBalancerSourceRanges=["10.0.0.0/8"])
    return {"spec": spec}


def ingress(dice: Dice) -> Content:
    backend = {"service": {"name": "web", "port": dice.one({"number": 80}, {"name": "http"})}}
    path = {"path": "/", "pathType": dice.one("Prefix", "Exact"), "backend": backend}
    return {
        "spec": dice.one({"defaultBackend": backend}, {"rules": [{"host": "a.example.com", "http": {"paths": [path]}}]})
    }


def policy(dice: Dice) -> Content:
    ports = [dice.one({"port": 80}, {"port": 80, "protocol": "UDP"}, {"port": 80, "endPort": 90})]
    more = dice.some(
        ingress=([], [{}], [{"ports": ports}]),
        egress=([], [{}], [{"ports": ports}]),
        policyTypes=(["Ingress"], ["Egress"], ["Ingress", "Egress"]),
    )
    return {"spec": {"podSelector": {}, **more}}


def metric(dice: Dice) -> Content:
    target = dice.one({"type": "Utilization", "averageUtilization": 70}, {"type": "AverageValue", "averageValue": "5"})
    return {"type": "Resource", "resource": {"name": dice.one("cpu", "memory"), "target": target}}


def autoscaler(dice: Dice) -> Content:
    rule = {"type": "Pods", "value": 2, "periodSeconds": 30}
    more = dice.some(
        minReplicas=2,
        metrics=lambda: [metric(dice)],
        behavior=(
            {"scaleDown": {"selectPolicy": "Disabled"}},
            {"scaleUp": {"policies": [rule]}},
            {"scaleUp": {"stabilizationWindowSeconds": 9}},
        ),
    )
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {"spec": {"scaleTargetRef": target, "maxReplicas": dice.one(5, 6), **more}}


def budget(dice: Dice) -> Content:
    number = dice.one({"minAvailable": 1}, {"maxUnavailable": 1}, {"maxUnavailable": "20%"})
    return {"spec": {"selector": SELECTOR, **number, **dice.some(unhealthyPodEvictionPolicy="AlwaysAllow")}}


def claim(dice: Dice) -> Content:
    return {
        "metadata": {"labels": dice.some(a="b")},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def quota(dice: Dice) -> Content:
    return {"spec": {"hard": dice.some(pods="9", cpu="2")}}


def limits(dice: Dice) -> Content:
    return {
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    **dice.one({"max": {"cpu": "2"}}, {"default": {"cpu": "1"}}, {"min": {"cpu": "1m"}}),
                }
            ]
        }
    }


def role(dice: Dice) -> Content:
    return {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": dice.one(["get"], ["get", "list"])}]}


def binding(dice: Dice) -> Content:
    subjects = dice.one(
        [{"kind": "Group", "name": "a"}],
        [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}],
        [{"kind": "User", "name": "a"}, {"kind": "Group", "name": "b"}],
    )
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    return {"roleRef": reference, "subjects": subjects}


def priority(dice: Dice) -> Content:
    return {"value": 5, **dice.some(description=("a", "b"))}


def storage_class(dice: Dice) -> Content:
    return {
        "provisioner": "example.com/a",
        **dice.some(allowVolumeExpansion=(True, False)),
        "metadata": {"labels": dice.some(a="b")},
    }


def webhook(dice: Dice) -> Content:
    client = dice.one({"url": "https://a.example.com"}, {"service": {"namespace": "a", "name": "b"}})
    hook = {"name": "a.example.com", "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    rule = {"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "resources": ["x"], "operations": ["CREATE"]}
    hook |= dice.some(failurePolicy="Ignore", timeoutSeconds=3, matchPolicy="Exact")
    return {"webhooks": [{**hook, "rules": [{**rule, **dice.maybe("scope", "Namespaced")}]}]}


def account(dice: Dice) -> Content:
    return dice.some(
        automountServiceAccountToken=(True, False),
        imagePullSecrets=([{"name": "a"}], [{"name": "a"}, {"name": "b"}]),
        secrets=([{"name": "a"}], [{"name": "b"}]),
    )


def endpoints(dice: Dice) -> Content:
    port = dice.one({"port": 80}, {"port": 80, "protocol": "UDP"}, {"port": 80, "name": "a"})
    return {"subsets": dice.one([], [{"addresses": [{"ip": dice.one("10.0.0.1", "10.0.0.2")}], "ports": [port]}])}


def endpoint_slice(dice: Dice) -> Content:
    port = dice.one({"port": 80}, {"port": 80, "protocol": "UDP"}, {"name": "a"}, {})
    ready = dice.maybe("conditions", {"ready": True}, {"serving": False})
    return {
        "addressType": "IPv4",
        "endpoints": dice.one([], [{"addresses": ["10.0.0.1"], **ready}]),
        **dice.some(ports=[port]),
    }


def csi_driver(dice: Dice) -> Content:
    return {
        "spec": dice.some(
            attachRequired=False,
            podInfoOnMount=True,
            volumeLifecycleModes=(["Ephemeral"], ["Persistent", "Ephemeral"]),
            fsGroupPolicy=("None", "File"),
            storageCapacity=True,
            tokenRequests=([{"audience": "a"}], [{"audience": "b", "expirationSeconds": 900}]),
        )
    }


def ingress_class(dice: Dice) -> Content:
    named = {"apiGroup": "k.example.com", "kind": "Param", "name": "a"}
    parameters = dice.maybe("parameters", named, {**named, "scope": "Namespace", "namespace": "a"})
    return {"spec": {"controller": "example.com/a", **parameters}}


def runtime_class(dice: Dice) -> Content:
    return {
        "handler": "a",
        **dice.some(
            overhead=({"podFixed": {"cpu": "250m"}}, {"podFixed": {"memory": "1Gi"}}),
            scheduling=({"nodeSelector": {"a": "b"}}, {"tolerations": [{"operator": "Exists"}]}),
        ),
    }


def level(dice: Dice) -> Content:
    if dice.one(True, False, False):
        return {"spec": {"type": "Exempt", **dice.maybe("exempt", {}, {"lendablePercent": 5})}}
    response = dice.one(
        {"type": "Reject"}, {"type": "Queue"}, {"type": "Queue", "queuing": {"queues": 32, "handSize": 4}}
    )
    limited = dice.some(nominalConcurrencyShares=(5, 10), lendablePercent=10, borrowingLimitPercent=5)
    return {"spec": {"type": "Limited", "limited": {"limitResponse": response, **limited}}}


def flow(dice: Dice) -> Content:
    subject = dice.one(
        {"kind": "User", "user": {"name": "a"}},
        {"kind": "Group", "group": {"name": "a"}},
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "b"}},
    )
    resources = {"verbs": ["get"], "apiGroups": [""], "resources": ["x"], "namespaces": ["a"]}
    rule = dice.one(
        {"subjects": [subject], "resourceRules": [resources]},
        {"subjects": [subject], "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
    )
    more = dice.some(matchingPrecedence=9000, distinguisherMethod=({"type": "ByUser"}, {"type": "ByNamespace"}))
    return {"spec": {"priorityLevelConfiguration": {"name": "global-default"}, "rules": [rule], **more}}


def admission_policy(dice: Dice) -> Content:
    rule = {"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "resources": ["x"], "operations": ["CREATE"]}
    constraints = {
        "resourceRules": [{**rule, **dice.maybe("scope", "Namespaced")}],
        **dice.some(matchPolicy="Exact", namespaceSelector=SELECTOR, objectSelector=({}, SELECTOR)),
    }
    more = dice.some(
        failurePolicy="Ignore",
        variables=[{"name": "a", "expression": "1"}],
        matchConditions=[{"name": "a", "expression": "true"}],
        auditAnnotations=[{"key": "a", "valueExpression": "'a'"}],
    )
    validation = {"expression": "true", **dice.some(message="a", reason="Forbidden")}
    return {"spec": {"matchConstraints": constraints, "validations": [validation], **more}}


def persistent_volume(dice: Dice) -> Content:
    return {
        "spec": {
            "capacity": {"storage": dice.one("1Gi", "2Gi")},
            "accessModes": ["ReadWriteOnce"],
            "nfs": {"server": "a.example.com", "path": "/"},
            **dice.some(
                persistentVolumeReclaimPolicy="Delete",
                mountOptions=(["hard"], ["soft"]),
                claimRef={"namespace": "a", "name": "b"},
            ),
        }
    }


@dataclass(frozen=True)
class Type:
    """A type and how its objects are made up."""

    resource: Resource
    make: Callable[[Dice], Content]


TYPES: Mapping[str, Type] = {
    each.resource.plural: each
    for each in (
        Type(DEPLOYMENTS, changes_workloads.deployment),
        Type(changes_workloads.STATEFULSETS, changes_workloads.statefulset),
        Type(changes_workloads.DAEMONSETS, changes_workloads.daemonset),
        Type(changes_workloads.JOBS, changes_workloads.job),
        Type(changes_workloads.CRONJOBS, changes_workloads.cronjob),
        Type(SERVICES, service),
        Type(INGRESSES, ingress),
        Type(POLICIES, policy),
        Type(AUTOSCALERS, autoscaler),
        Type(BUDGETS, budget),
        Type(CLAIMS, claim),
        Type(QUOTAS, quota),
        Type(LIMITS, limits),
        Type(ROLES, role),
        Type(ROLE_BINDINGS, binding),
        Type(PRIORITIES, priority),
        Type(STORAGE_CLASSES, storage_class),
        Type(WEBHOOKS, webhook),
        Type(changes_workloads.REPLICASETS, changes_workloads.replicaset),
        Type(changes_workloads.REPLICATION_CONTROLLERS, changes_workloads.replication_controller),
        Type(changes_workloads.POD_TEMPLATES, changes_workloads.pod_template),
        Type(SERVICE_ACCOUNTS, account),
        Type(ENDPOINTS, endpoints),
        Type(SLICES, endpoint_slice),
        Type(CSI_DRIVERS, csi_driver),
        Type(INGRESS_CLASSES, ingress_class),
        Type(RUNTIME_CLASSES, runtime_class),
        Type(LEVELS, level),
        Type(FLOWS, flow),
        Type(ADMISSION_POLICIES, admission_policy),
        Type(VOLUMES, persistent_volume),
        Type(changes_custom.WIDGETS, changes_custom.widget),
        Type(changes_custom.GADGETS, changes_custom.gadget),
    )
}
