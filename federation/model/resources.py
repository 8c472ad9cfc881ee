"""Names of things in the Kubernetes API: resources, object names and the keys that travel through the queues."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import msgspec

_PLAIN = re.compile(r"[A-Za-z0-9:_-][A-Za-z0-9:._-]*")
"""A segment of a URL path that means itself: no separator, no escape, neither `.` nor `..`."""


class ObjectName(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where an object lives inside one resource; `namespace` is "" for cluster-scoped objects.

    No NamedTuple: a garbage collection would look at each of the several that there are for every placement.
    """

    namespace: str
    name: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.namespace, self.name))

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Key(NamedTuple):
    """One federated object: the name of its FederatedTypeConfig and its place.

    FederatedNamespace lives in the namespace it names, so its key has namespace == name.
    """

    type: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.namespace}/{self.name}" if self.namespace else f"{self.type} {self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """An API resource as discovery describes it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """`v1` or `group/version`, as an object's apiVersion has it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`deployments.apps`, or `configmaps` for the core group: kubectl's and FederatedTypeConfig's name for it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def collection(self, namespace: str = "") -> str:
        """The URL path that lists and watches: all namespaces when `namespace` is ""."""
        return _collection(self.group, self.version, self.plural, namespace)

    def path(self, name: ObjectName) -> str:
        """The URL path of one object. Raises ValueError for an empty name: that would be the collection itself."""
        return f"{self.collection(name.namespace if self.namespaced else '')}/{segment(name.name)}"


@functools.lru_cache(maxsize=1024)
def _collection(group: str, version: str, plural: str, namespace: str) -> str:
    root = f"/apis/{segment(group)}/{segment(version)}" if group else f"/api/{segment(version)}"
    place = f"{root}/namespaces/{segment(namespace)}" if namespace else root
    return f"{place}/{segment(plural)}"


def segment(text: str) -> str:
    """One segment of a URL path that reads back as `text` and as nothing else, whatever it holds. ValueError: empty.

    Names are checked where they are read; this is the last wall between somebody's text and another resource's
    path (`v1%2Fnamespaces%2Fkube-system%2Fpods%2Fabc%2Fexec?`).
    """
    if _PLAIN.fullmatch(text):
        return text
    if not text:
        raise ValueError("an empty name would be another path")
    return quote(text, safe="", errors="replace").replace(".", "%2E")


NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True)
NODES = Resource("", "v1", "Node", "nodes", namespaced=False)
PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
CERTIFICATE_REQUESTS = Resource(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False
)
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles", namespaced=True)
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", namespaced=True)
CRDS = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
KUBEFED_CLUSTERS = Resource("core.kubefed.io", "v1beta1", "KubeFedCluster", "kubefedclusters", namespaced=True)
KUBEFED_CONFIGS = Resource("core.kubefed.io", "v1beta1", "KubeFedConfig", "kubefedconfigs", namespaced=True)
TYPE_CONFIGS = Resource("core.kubefed.io", "v1beta1", "FederatedTypeConfig", "federatedtypeconfigs", namespaced=True)
PREFERENCES = Resource(
    "scheduling.kubefed.io", "v1alpha1", "ReplicaSchedulingPreference", "replicaschedulingpreferences", namespaced=True
)
ROLLOUTS = Resource("core.kubefed.io", "v1alpha1", "FederatedRollout", "federatedrollouts", namespaced=True)
REVISIONS = Resource("core.kubefed.io", "v1alpha1", "FederatedRevision", "federatedrevisions", namespaced=True)


def collection_in(cluster: str, identity: str, path: str) -> str:
    """The name of a member's collection among those that are kept of several clusters; the hub's are their paths."""
    return f"{cluster} {identity} {path}"
