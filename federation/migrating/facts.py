"""What `fedctl migrate` has read of a host and its members: facts alone, without what follows from them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from federation.joining.assessments import Right
from federation.migrating.records import Record
from federation.model.resources import ObjectName, Resource

CONTROLLER, WEBHOOK = "kubefed-controller-manager", "kubefed-admission-webhook"
"""KubeFed's Deployments."""
PODS_OF = {CONTROLLER: "kubefed-control-plane=controller-manager", WEBHOOK: "kubefed-admission-webhook=true"}
"""The labels of their Pods."""

_ADMISSION = "admissionregistration.k8s.io"
VALIDATING = Resource(
    _ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False
)
MUTATING = Resource(_ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False)
API_SERVICES = Resource("apiregistration.k8s.io", "v1", "APIService", "apiservices", namespaced=False)
HOOKS = (VALIDATING, MUTATING, API_SERVICES)
"""By what an API server asks KubeFed's webhook. Before v0.5 it was asked by an APIService, too."""

VERSIONS = Resource("core.kubefed.io", "v1alpha1", "PropagatedVersion", "propagatedversions", namespaced=True)
CLUSTER_VERSIONS = Resource(
    "core.kubefed.io", "v1alpha1", "ClusterPropagatedVersion", "clusterpropagatedversions", namespaced=False
)
SERVICE_STATUSES = Resource(
    "core.kubefed.io", "v1alpha1", "FederatedServiceStatus", "federatedservicestatuses", namespaced=True
)
LEFT = (VERSIONS, CLUSTER_VERSIONS, SERVICE_STATUSES)
"""What KubeFed has written for itself, and nobody reads any more."""


def everything(scope: str) -> Right:
    """What KubeFed's account may do in a member: in one namespace, or ("") everywhere."""
    return Right("*", "*", "*", scope)


class Standing(enum.Enum):
    """Whose a webhook configuration is."""

    KUBEFEDS = enum.auto()
    """This control plane's, and nobody else's: it is recorded and taken away."""
    ANOTHERS = enum.auto()
    """Of a control plane in another namespace."""
    MIXED = enum.auto()
    """It asks for KubeFed's types among others, so it is somebody's own."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One of KubeFed's Deployments. `pods` are there still, whatever `replicas` says; `keeper` would write it anew."""

    name: str
    replicas: int
    pods: int = 0
    image: str = ""
    keeper: str = ""

    @property
    def stands(self) -> bool:
        """Whether it runs, or would."""
        return bool(self.replicas or self.pods)


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook configuration, or an APIService, that concerns KubeFed's types. `manifest` is as the server has it."""

    resource: Resource
    name: str
    standing: Standing
    manifest: Mapping[str, Any]
    keeper: str = ""

    @property
    def label(self) -> str:
        """As messages name it."""
        return f"{self.resource.kind.lower()} {self.name}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What one type's federated objects are, counted. `unknown_clusters` are in placements, and have not joined.

    `misfits` have fields in their spec that the type's new CRD does not take; `misfit` is one of them, and its field.
    """

    objects: int = 0
    deleting: int = 0
    annotated: int = 0
    finalized: int = 0
    failing: int = 0
    misfits: int = 0
    misfit: str = ""
    unknown_clusters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """A FederatedTypeConfig. `problem`: why it cannot be brought up to date; `outdated`: its CRD or roles are older."""

    name: str
    federated: str = ""
    propagation: bool = True
    collection: bool = False
    outdated: bool = False
    problem: str = ""
    counted: Counted = field(default_factory=Counted)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A KubeFedCluster and what its API server said. `silent`: why it said nothing; `refusal`: why our controller would
    not send its stored credentials; `account`: whose token is stored; `unbound`: that token never ends.

    `all_rights` is None where it is not known.
    """

    name: str
    version: str = ""
    uid: str = ""
    silent: str = ""
    refusal: str = ""
    account: ObjectName | None = None
    unbound: bool = False
    all_rights: bool | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was read.

    `outdated` are CRDs of the API that are not ours yet, `stored` the versions in which objects are stored, `strange`
    CRDs of KubeFed's that nothing here reads, `others` namespaces with a KubeFedConfig of another control plane.
    `leader` is a controller of ours that renews a Lease of the election now, `holder` one of KubeFed's that renews its
    lock. `ours` is our controller's Deployment, where there is one. `left` counts what KubeFed wrote for itself, of the
    kinds that the host serves; `releases` are those of Helm that have KubeFed's Deployments.
    """

    host: str
    namespace: str
    version: str
    workloads: tuple[Workload, ...] = ()
    hooks: tuple[Hook, ...] = ()
    outdated: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    ours: Workload | None = None
    leader: str = ""
    holder: str = ""
    config: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()
    types: tuple[TypeFacts, ...] = ()
    clusters: tuple[ClusterFacts, ...] = ()
    left: Mapping[str, int] = field(default_factory=dict)
    releases: tuple[str, ...] = ()
    record: Record | None = None

    @property
    def mine(self) -> tuple[Hook, ...]:
        """The webhook configurations that stopping takes away."""
        return tuple(each for each in self.hooks if each.standing is Standing.KUBEFEDS)

    @property
    def stopped(self) -> bool:
        """Whether nothing of KubeFed runs, and nothing waits for its webhook."""
        return not self.mine and not any(each.stands for each in self.workloads)

    @property
    def namespaced(self) -> bool:
        """Whether the KubeFedConfig's scope is its namespace."""
        return ((self.config or {}).get("spec") or {}).get("scope") == "Namespaced"
