"""A host and members as KubeFed leaves them: CRDs, Deployments, webhooks that point nowhere, types, members, objects.

Everything is made by plain POSTs and PUTs under KubeFed's field managers, from what is known of its API and its chart.
"""

import base64
import copy
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson

from federation.core import jwt
from tests.clusters.fedctl import ADMISSION, CORE, RBAC, Site

ALPHA = "/apis/core.kubefed.io/v1alpha1"
TYPES = "/apis/types.kubefed.io/v1beta1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MEMBERS = ("m1", "m2")
MANAGERS = {"m1": "controller-manager", "m2": "kubefed"}
"""Under which name KubeFed has written to each member."""
SPACE = "shop"
RELEASE = "kubefed"
VALIDATING, MUTATING = "validations.core.kubefed.io", "mutation.core.kubefed.io"
SECRET_VALUE = "c2Vzc2FtZS1vZmZuZS1kaWNo"
MANAGED = {"kubefed.io/managed": "true"}
KINDS: tuple[tuple[str, str, str, str, bool], ...] = (
    ("", "v1", "Namespace", "namespaces", False),
    ("", "v1", "ConfigMap", "configmaps", True),
    ("", "v1", "Secret", "secrets", True),
    ("", "v1", "Service", "services", True),
    ("apps", "v1", "Deployment", "deployments", True),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False),
)
TEMPLATES: dict[str, dict[str, Any]] = {
    "configmaps": {"data": {"colour": "green"}},
    "secrets": {"type": "Opaque", "data": {"password": SECRET_VALUE}},
    "services": {
        "spec": {
            "type": "NodePort",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        }
    },
    "deployments": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]}]},
            },
        },
    },
    "clusterroles": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
}
_LOOSE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def install(site: Site) -> None:
    """Everything at the host but members and objects; the webhook configurations come last."""
    for body in _crds():
        site.create("host", CRDS, body)
    _established(site)
    site.create("host", "/api/v1/namespaces", {"metadata": {"name": site.namespace}})
    site.create("host", site.in_system("serviceaccounts"), {"metadata": {"name": "kubefed-controller", **_helm()}})
    for name, labels, replicas in (
        ("kubefed-controller-manager", {"kubefed-control-plane": "controller-manager"}, 2),
        ("kubefed-admission-webhook", {"kubefed-admission-webhook": "true"}, 1),
    ):
        site.create("host", deployments(site), _deployment(name, labels, replicas))
    rules = [{"apiGroups": ["types.kubefed.io"], "resources": ["*"], "verbs": ["get", "list", "watch", "update"]}]
    site.create("host", f"{RBAC}/clusterroles", {"metadata": {"name": "kubefed-role"}, "rules": rules})
    site.create(
        "host",
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": {"name": "kubefed-rolebinding"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubefed-role"},
            "subjects": [{"kind": "ServiceAccount", "name": "kubefed-controller", "namespace": site.namespace}],
        },
    )
    site.create("host", site.kubefed("kubefedconfigs"), _config())
    for kind in KINDS:
        _enable(site, kind)
    release = {
        "metadata": {"name": f"sh.helm.release.v1.{RELEASE}.v1", "labels": {"owner": "helm", "name": RELEASE}},
        "type": "helm.sh/release.v1",
        "stringData": {"release": "H4sIAAAA"},
    }
    site.create("host", site.in_system("secrets"), release)


def hook(site: Site) -> None:
    """The webhook configurations: from now on nothing of core.kubefed.io can be written."""
    site.create("host", f"{ADMISSION}/validatingwebhookconfigurations", _validating(site))
    site.create("host", f"{ADMISSION}/mutatingwebhookconfigurations", _mutating(site))


def join(site: Site, member: str) -> None:
    """A member, with a token without end and every right."""
    account = f"{member}-host"
    site.create(member, "/api/v1/namespaces", {"metadata": {"name": site.namespace}})
    site.create(member, site.in_system("serviceaccounts"), {"metadata": {"name": account}})
    role = f"kubefed-controller-manager:{account}"
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["get"]},
    ]
    site.create(member, f"{RBAC}/clusterroles", {"metadata": {"name": role}, "rules": rules})
    binding = {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": site.namespace}],
    }
    site.create(member, f"{RBAC}/clusterrolebindings", binding)
    of_account = {"name": account, "annotations": {"kubernetes.io/service-account.name": account}}
    kind = "kubernetes.io/service-account-token"
    site.create(member, site.in_system("secrets"), {"metadata": of_account, "type": kind})
    token = _token(site, member)
    made = site.create(
        "host", site.in_system("secrets"), {"metadata": {"generateName": f"{member}-"}, "data": {"token": token}}
    )
    cluster = site.playground.clusters[member]
    spec = {
        "apiEndpoint": cluster.url,
        "caBundle": base64.b64encode(cluster.ca_pem.encode()).decode(),
        "secretRef": {"name": made["metadata"]["name"]},
    }
    body = {"apiVersion": "core.kubefed.io/v1beta1", "kind": "KubeFedCluster", "metadata": {"name": member}}
    site.create("host", site.kubefed("kubefedclusters"), {**body, "spec": spec})
    now = "2026-01-01T00:00:00Z"
    condition = {"type": "Ready", "status": "True", "reason": "ClusterReady", "message": "/healthz responded with ok"}
    times = {"lastProbeTime": now, "lastTransitionTime": now}
    status = {"conditions": [{**condition, **times}], "kubernetesVersion": "v1.36.3", "region": "r1", "zones": ["z1"]}
    site.merge("host", site.kubefed("kubefedclusters", member) + "/status", {"status": status})


def propagate(site: Site) -> None:
    """A namespace and an object of every type, at the host, in the members, and their PropagatedVersions."""
    site.create("host", "/api/v1/namespaces", {"metadata": {"name": SPACE}})
    _federated(site, "FederatedNamespace", "federatednamespaces", SPACE, None)
    for member in MEMBERS:
        _write(site, member, "/api/v1/namespaces", {"metadata": {"name": SPACE, "labels": MANAGED}})
    for group, version, kind, plural, namespaced in KINDS[1:]:
        _federated(site, f"Federated{kind}", f"federated{plural}", SPACE if namespaced else "", TEMPLATES[plural])
        for member in MEMBERS:
            make(site, member, (group, version, kind, plural, namespaced))


def make(site: Site, member: str, kind: tuple[str, str, str, str, bool]) -> None:
    """A member's object of one of KINDS, as KubeFed makes it."""
    group, version, name, plural, namespaced = kind
    body = copy.deepcopy(TEMPLATES[plural]) | {"kind": name}
    body["apiVersion"] = f"{group}/{version}" if group else version
    metadata = body.setdefault("metadata", {})
    metadata["name"], metadata["labels"] = "web", {**metadata.get("labels", {}), **MANAGED}
    _write(site, member, target(group, version, plural, namespaced=namespaced), body)


def target(group: str, version: str, plural: str, *, namespaced: bool) -> str:
    """The path of a member's objects of a type."""
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    return f"{root}/namespaces/{SPACE}/{plural}" if namespaced else f"{root}/{plural}"


def held(site: Site) -> dict[tuple[str, str], dict[str, Any]]:
    """Every object that KubeFed has written in members, by member and kind."""
    found = {}
    for member in MEMBERS:
        for group, version, kind, plural, namespaced in KINDS:
            name = SPACE if plural == "namespaces" else "web"
            stored = site.get(member, f"{target(group, version, plural, namespaced=namespaced)}/{name}")
            assert stored is not None, (member, kind)
            found[member, kind] = stored
    return found


def without_server_fields(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object as somebody wrote it: without status, and without what its server sets in metadata on each write."""
    own = ("managedFields", "resourceVersion")
    metadata = {key: value for key, value in found["metadata"].items() if key not in own}
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": metadata}


def deployments(site: Site, name: str = "") -> str:
    """The path of Deployments in the system namespace."""
    return f"/apis/apps/v1/namespaces/{site.namespace}/deployments" + (f"/{name}" if name else "")


def _federated(site: Site, kind: str, plural: str, namespace: str, template: dict[str, Any] | None) -> None:
    """A federated object with KubeFed's finalizer and status, and its version."""
    name = namespace if kind == "FederatedNamespace" else "web"
    place = f"{TYPES}/namespaces/{namespace}/{plural}" if namespace else f"{TYPES}/{plural}"
    spec: dict[str, Any] = {"placement": {"clusters": [{"name": each} for each in MEMBERS]}}
    if template is not None:
        spec["template"] = template
    body = {"apiVersion": "types.kubefed.io/v1beta1", "kind": kind, "spec": spec}
    metadata = {"name": name, "finalizers": ["kubefed.io/sync-controller"]}
    stored = site.create("host", place, {**body, "metadata": metadata})
    now = "2026-01-01T00:00:00Z"
    condition = {"type": "Propagation", "status": "True", "lastUpdateTime": now, "lastTransitionTime": now}
    lines = [{"name": each} for each in MEMBERS]
    status = {"observedGeneration": 1, "conditions": [condition], "clusters": lines}
    site.merge("host", f"{place}/{name}/status", {"status": status})
    owner = {"apiVersion": "types.kubefed.io/v1beta1", "kind": kind, "name": name, "uid": stored["metadata"]["uid"]}
    word = "PropagatedVersion" if namespace else "ClusterPropagatedVersion"
    versions = (
        f"{ALPHA}/namespaces/{namespace}/propagatedversions" if namespace else f"{ALPHA}/clusterpropagatedversions"
    )
    named = f"{kind.removeprefix('Federated').lower()}-{name}"
    body = {"apiVersion": "core.kubefed.io/v1alpha1", "kind": word}
    site.create("host", versions, {**body, "metadata": {"name": named, "ownerReferences": [owner]}})
    of_clusters = [{"clusterName": each, "version": "gen:1"} for each in MEMBERS]
    version = {"templateVersion": "0123", "overridesVersion": "4567", "clusterVersions": of_clusters}
    site.merge("host", f"{versions}/{named}/status", {"status": version})


def _write(site: Site, member: str, path: str, body: dict[str, Any]) -> None:
    """Create, and update by PUT, as KubeFed does: what the server has filled in is sent back."""
    manager, name = MANAGERS[member], body["metadata"]["name"]
    code, stored = site.request(member, "POST", f"{path}?fieldManager={manager}", body)
    assert code == 201, stored
    for _ in range(20):  # a Deployment is written by the member's own controllers meanwhile
        found = site.get(member, f"{path}/{name}")
        assert found is not None
        del found["metadata"]["managedFields"]
        code, stored = site.request(member, "PUT", f"{path}/{name}?fieldManager={manager}", found)
        if code != HTTPStatus.CONFLICT:
            break
    assert code == HTTPStatus.OK, stored


def _enable(site: Site, kind: tuple[str, str, str, str, bool]) -> None:
    group, version, name, plural, namespaced = kind
    target_type = {"kind": name, "pluralName": plural, "scope": "Namespaced" if namespaced else "Cluster"}
    target_type |= {"version": version} | ({"group": group} if group else {})
    federated_scope = "Namespaced" if namespaced or plural == "namespaces" else "Cluster"
    federated = {"group": "types.kubefed.io", "version": "v1beta1", "kind": f"Federated{name}"}
    federated |= {"pluralName": f"federated{plural}", "scope": federated_scope}
    qualified = f"{plural}.{group}" if group else plural
    metadata = {"name": qualified, "finalizers": ["core.kubefed.io/federated-type-config"], **_helm()}
    spec = {"targetType": target_type, "federatedType": federated, "propagation": "Enabled"}
    body = {"apiVersion": "core.kubefed.io/v1beta1", "kind": "FederatedTypeConfig", "metadata": metadata}
    site.create("host", site.kubefed("federatedtypeconfigs"), {**body, "spec": spec})
    status = {"observedGeneration": 1, "propagationController": "Running", "statusController": "NotRunning"}
    site.merge("host", site.kubefed("federatedtypeconfigs", qualified) + "/status", {"status": status})


def _token(site: Site, member: str) -> str:
    """The token (base64) that the member's controller manager puts into the account's Secret."""
    for _ in range(200):
        found = site.get(member, site.in_system("secrets", f"{member}-host"))
        token: str = ((found or {}).get("data") or {}).get("token", "")
        if token:
            assert jwt.lifetime(jwt.claims(base64.b64decode(token).decode())) is None
            return token
        time.sleep(0.1)
    raise AssertionError(f"{member}: no token in its Secret")


def _crds() -> Iterator[dict[str, Any]]:
    for version, kind, plural, namespaced, status in (
        ("v1beta1", "KubeFedCluster", "kubefedclusters", True, True),
        ("v1beta1", "FederatedTypeConfig", "federatedtypeconfigs", True, True),
        ("v1beta1", "KubeFedConfig", "kubefedconfigs", True, False),
        ("v1alpha1", "PropagatedVersion", "propagatedversions", True, True),
        ("v1alpha1", "ClusterPropagatedVersion", "clusterpropagatedversions", False, True),
        ("v1alpha1", "FederatedServiceStatus", "federatedservicestatuses", True, False),
    ):
        yield _crd("core.kubefed.io", version, kind, plural, namespaced=namespaced, status=status)
    group, plural = "scheduling.kubefed.io", "replicaschedulingpreferences"
    yield _crd(group, "v1alpha1", "ReplicaSchedulingPreference", plural, namespaced=True, status=False)
    for _, _, kind, plural, namespaced in KINDS:
        scope = namespaced or plural == "namespaces"
        made = _crd(
            "types.kubefed.io", "v1beta1", f"Federated{kind}", f"federated{plural}", namespaced=scope, status=True
        )
        schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        schema["properties"] = {"template": dict(_LOOSE), "retainReplicas": {"type": "boolean"}}
        yield made


def _crd(group: str, version: str, kind: str, plural: str, *, namespaced: bool, status: bool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": dict(_LOOSE), "status": dict(_LOOSE)}}
    served: dict[str, Any] = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    if status:
        served["subresources"] = {"status": {}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    scope = "Namespaced" if namespaced else "Cluster"
    spec = {"group": group, "names": names, "scope": scope, "versions": [served]}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**body, "metadata": {"name": f"{plural}.{group}"}, "spec": spec}


def _established(site: Site) -> None:
    for _ in range(300):
        listed = site.get("host", CRDS)
        assert listed is not None
        conditions = [
            {entry["type"]: entry["status"] for entry in (each.get("status") or {}).get("conditions") or ()}
            for each in listed["items"]
        ]
        if all(each.get("Established") == "True" for each in conditions):
            return
        time.sleep(0.05)
    raise AssertionError("the CRDs are not established")


def _helm() -> dict[str, Any]:
    return {
        "annotations": {
            "meta.helm.sh/release-name": RELEASE,
            "meta.helm.sh/release-namespace": "kube-federation-system",
        },
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
    }


def _deployment(name: str, labels: dict[str, str], replicas: int) -> dict[str, Any]:
    pod = {"containers": [{"name": name, "image": "quay.io/kubernetes-multicluster/kubefed:v0.10.0"}]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
    spec["template"] = {"metadata": {"labels": labels}, "spec": pod}
    helm = _helm()
    metadata = {"name": name, "annotations": helm["annotations"], "labels": {**helm["labels"], **labels}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _config() -> dict[str, Any]:
    gates = {"PushReconciler": "Enabled", "RawResourceStatusCollection": "Disabled", "SchedulerPreferences": "Enabled"}
    spec = {
        "scope": "Cluster",
        "controllerDuration": {"availableDelay": "20s", "unavailableDelay": "60s", "cacheSyncTimeout": "5m"},
        "leaderElect": {
            "leaseDuration": "15s",
            "renewDeadline": "10s",
            "retryPeriod": "5s",
            "resourceLock": "configmaps",
        },
        "clusterHealthCheck": {"period": "7s", "failureThreshold": 3, "successThreshold": 1, "timeout": "3s"},
        "syncController": {"maxConcurrentReconciles": 1, "adoptResources": "Enabled"},
        "statusController": {"maxConcurrentReconciles": 1},
        "featureGates": [{"name": name, "configuration": value} for name, value in gates.items()],
    }
    body = {"apiVersion": "core.kubefed.io/v1beta1", "kind": "KubeFedConfig"}
    return {**body, "metadata": {"name": "kubefed", **_helm()}, "spec": spec}


def _webhook(site: Site, resource: str, path: str, operations: list[str]) -> dict[str, Any]:
    return {
        "name": f"{resource}.core.kubefed.io",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": site.namespace, "name": "kubefed-admission-webhook", "path": path}},
        "rules": [
            {
                "operations": operations,
                "apiGroups": ["core.kubefed.io"],
                "apiVersions": ["v1beta1"],
                "resources": [resource, f"{resource}/status"],
            }
        ],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 2,
    }


def _validating(site: Site) -> dict[str, Any]:
    both = ["CREATE", "UPDATE"]
    hooks = [
        _webhook(site, "federatedtypeconfigs", "/validate-federatedtypeconfigs", both),
        _webhook(site, "kubefedclusters", "/validate-kubefedcluster", both),
        _webhook(site, "kubefedconfigs", "/validate-kubefedconfig", both),
    ]
    return {"metadata": {"name": VALIDATING, **_helm()}, "webhooks": hooks}


def _mutating(site: Site) -> dict[str, Any]:
    hooks = [_webhook(site, "kubefedconfigs", "/default-kubefedconfig", ["CREATE"])]
    return {"metadata": {"name": MUTATING, **_helm()}, "webhooks": hooks}


def record(site: Site) -> dict[str, Any]:
    """The record of the migration; {} when there is none."""
    found = site.get("host", site.in_system("configmaps", "kubefed-migration"))
    return orjson.loads(found["data"]["record"]) if found is not None else {}


__all__ = ["CORE"]
