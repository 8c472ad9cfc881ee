"""The manifests of a join, as pure functions: for the member, and for the host.

The role's rules are those that the enabled types need (core.rights) or, with `--rights all`, KubeFed's: everything.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from federation.core import binding, checks, naming, rights
from federation.joining import fleet
from federation.kube.endpoint import Endpoint
from federation.model.errors import Invalid, Unusable
from federation.model.federated import FederatedType
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from typegen import templates

Rights = Literal["types", "all"]
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks of a join. `host` is the host's name in object names in the member.

    `labels` are added to those that are there; `rights` "" means as before, or `types` at the first join. `fence` and
    `only`: see joining.fences; None changes nothing. `rotate`: the member has joined already.
    """

    name: str
    host: str
    namespace: str = SYSTEM_NAMESPACE
    secret_name: str = ""
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    rights: Rights | Literal[""] = ""
    api_endpoint: str = ""
    fence: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    rotate: bool = False
    error_on_existing: bool = True

    @property
    def kubefed_name(self) -> str:
        """KubeFed's name for both the account in the member and the Secret at the host."""
        return naming.service_account(self.name, self.host)

    @property
    def account(self) -> str:
        """The service account's name in the member."""
        return self.service_account or self.kubefed_name


def namespace(name: str) -> str:
    """The system namespace's name, checked: a DNS label of at most 63 characters. Raises Invalid."""
    if len(name) > 63 or "." in name:
        raise Invalid("--kubefed-namespace", f"{name[:80]!r} must be a DNS label of at most 63 characters")
    return checks.dns_1123(name, "--kubefed-namespace")


def member_manifests(
    namespace: str, account: str, types: Iterable[FederatedType], how: str, *, namespaced: bool = False
) -> list[Manifest]:
    """Namespace, service account, roles and bindings, in the order in which they are applied.

    `namespaced`: the federation's scope is Namespaced, and its account has no rights outside of the namespace.
    """
    everywhere, within = [], rights.account_rules(ObjectName(namespace, account))
    if not namespaced:
        everywhere = rights.ALL if how == "all" else rights.member_rules(types)
    elif how == "all":
        within = [rights.ALL[0]]
    else:
        within += rights.namespace_rules(types, namespace)
    return templates.documents(
        "member/rbac.yaml", namespace=namespace, account=account, rules=everywhere, account_rules=within
    )


def role_of(manifests: Iterable[Manifest]) -> Manifest:
    """The role among a member's manifests that the enabled types decide about."""
    found = {each["kind"]: each for each in manifests}
    return found.get("ClusterRole") or found["Role"]


def role_manifest(
    namespace: str, account: str, types: Iterable[FederatedType], *, namespaced: bool = False
) -> Manifest:
    """That role alone, as enable and disable change it."""
    return role_of(member_manifests(namespace, account, types, "types", namespaced=namespaced))


def has_all_rights(role: Mapping[str, Any]) -> bool:
    """Whether a role allows everything already (made by kubefedctl, or joined with --rights all)."""
    return any(
        all("*" in (rule.get(key) or ()) for key in ("apiGroups", "resources", "verbs"))
        for rule in role.get("rules") or ()
    )


def secret_manifest(wanted: Wanted, secret_name: str, token: str, spec: Manifest) -> Manifest:
    """The Secret at the host with key `token`, bound to the endpoint in `spec` of the KubeFedCluster."""
    given = bool(wanted.api_endpoint)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name,
            "namespace": wanted.namespace,
            "annotations": {
                binding.CLUSTER_ANNOTATION: wanted.name,
                binding.ANNOTATION: binding.record(spec, given=given),
            },
        },
        "type": "Opaque",
        "data": {"token": base64.b64encode(token.encode()).decode()},
    }


def cluster_spec(endpoint: Endpoint, secret_name: str, address: str = "") -> Manifest:
    """spec of the KubeFedCluster for the endpoint in the user's kubeconfig; `address`, if set, replaces its server.

    Raises Unusable for an endpoint that a KubeFedCluster cannot express.
    """
    if not endpoint.server.startswith("https://"):
        raise Unusable(f"{endpoint.server} is not https: the controller sends no token over plain http")
    if endpoint.server_name:
        raise Unusable(
            f"the kubeconfig reaches {endpoint.server} with tls-server-name {endpoint.server_name}, which a "
            "KubeFedCluster cannot express: use an address that the server's certificate names"
        )
    spec: Manifest = {"apiEndpoint": address.rstrip("/") or endpoint.server, "secretRef": {"name": secret_name}}
    if endpoint.trust.ca:
        spec["caBundle"] = base64.b64encode(endpoint.trust.ca).decode()
    if endpoint.proxy:
        spec["proxyURL"] = endpoint.proxy
    if endpoint.trust.skip_all:
        spec["disabledTLSValidations"] = ["*"]
    return spec


def cluster_manifest(wanted: Wanted, spec: Manifest, uid: str) -> Manifest:
    """The KubeFedCluster, with the member's identity and how it was joined as annotations."""
    metadata: Manifest = {
        "name": wanted.name,
        "namespace": wanted.namespace,
        "annotations": {
            fleet.UID_ANNOTATION: uid,
            fleet.ACCOUNT_ANNOTATION: wanted.account,
            fleet.RIGHTS_ANNOTATION: wanted.rights or "types",
        },
    }
    if wanted.labels:
        metadata["labels"] = dict(wanted.labels)
    return {
        "apiVersion": KUBEFED_CLUSTERS.api_version,
        "kind": KUBEFED_CLUSTERS.kind,
        "metadata": metadata,
        "spec": spec,
    }
