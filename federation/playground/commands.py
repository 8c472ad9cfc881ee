"""The command lines of etcd, kube-apiserver and kube-controller-manager, as pure functions.

Called by `starting` and `simulating`. Everything listens on 127.0.0.1. Flags that differ from a production cluster have
a comment.
"""

from collections.abc import Sequence
from pathlib import Path

from federation.playground.layout import ClusterFiles, EtcdFiles, Layout

# What federation needs of a kube-controller-manager: the deletion of namespaces and of dependents, service accounts,
# quota, aggregated roles, certificates of agents, and Deployments with a status. There are no nodes, so no Pod runs.
CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "cronjob-controller",
    "ttl-after-finished-controller",
    "certificatesigningrequest-signing-controller",
    "certificatesigningrequest-cleaner-controller",
)


PROGRESS = "5s"
"""How often etcd sends its revision to idle watches. kube-apiserver's watch cache is made for this interval."""
MANY_PROGRESS = "30s"
"""Without that cache it is the interval of the clients' bookmarks. kube-apiserver sends one a minute."""


def etcd(binary: Path, files: EtcdFiles, port: int, *, progress: str = PROGRESS) -> list[str]:
    """One etcd for many clusters. Without fsync a crash of the machine may lose data; a killed etcd loses none."""
    url = f"http://127.0.0.1:{port}"
    return [
        str(binary),
        f"--data-dir={files.data}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        # A single member has no peers; port 0 is any free port.
        "--listen-peer-urls=http://127.0.0.1:0",
        "--initial-advertise-peer-urls=http://127.0.0.1:0",
        "--initial-cluster=default=http://127.0.0.1:0",
        "--quota-backend-bytes=8589934592",
        f"--watch-progress-notify-interval={progress}",
        "--log-level=warn",
    ]


def issuer(name: str) -> str:
    """The issuer (and audience) of a cluster's service-account tokens: each its own, so that no other accepts them."""
    return f"https://{name}.playground.invalid"


def apiserver(binary: Path, layout: Layout, name: str, *, port: int, etcd_port: int) -> list[str]:
    """A kube-apiserver as shipped: RBAC, default admission, watch cache, priority and fairness."""
    files = layout.cluster(name)
    return [
        str(binary),
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--etcd-prefix=/playground/{name}",
        f"--tls-cert-file={files.certificate}",
        f"--tls-private-key-file={files.key}",
        f"--client-ca-file={layout.ca_certificate}",
        f"--token-auth-file={files.tokens}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={issuer(name)}",
        f"--service-account-key-file={files.token_public_key}",
        f"--service-account-signing-key-file={files.token_key}",
        "--service-cluster-ip-range=10.0.0.0/16",
        # Otherwise the `kubernetes` Service would point to 127.0.0.1, which the API server refuses.
        "--endpoint-reconciler-type=none",
        "--profiling=false",
    ]


def many(binary: Path, layout: Layout, *, etcd_port: int) -> list[str]:
    """The API server of all simulated members; each has a port of its own, from the file `members`.

    Its source sets what the division of the storage requires; these are the other flags.
    """
    files = layout.many
    return [
        str(binary),
        f"--members={files.members}",
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--etcd-prefix=/playground/many",
        f"--tls-cert-file={files.certificate}",
        f"--tls-private-key-file={files.key}",
        f"--client-ca-file={layout.ca_certificate}",
        f"--token-auth-file={files.tokens}",
        "--anonymous-auth=false",
        # The RBAC authoriser knows the roles of one cluster only.
        "--authorization-mode=AlwaysAllow",
        f"--service-account-issuer={issuer('many')}",
        f"--service-account-key-file={files.token_public_key}",
        f"--service-account-signing-key-file={files.token_key}",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--profiling=false",
        # Limits for one cluster must not apply to the sum of all members.
        "--enable-priority-and-fairness=false",
        "--max-requests-inflight=0",
        "--max-mutating-requests-inflight=0",
    ]


def controller_manager(
    binary: Path, layout: Layout, files: ClusterFiles, controllers: Sequence[str] = CONTROLLERS
) -> list[str]:
    """A kube-controller-manager of one cluster with only these controllers; it listens on no port."""
    return [
        str(binary),
        f"--kubeconfig={files.kubeconfig}",
        f"--controllers={','.join(controllers)}",
        f"--service-account-private-key-file={files.token_key}",
        f"--root-ca-file={layout.ca_certificate}",
        f"--cluster-signing-cert-file={layout.ca_certificate}",
        f"--cluster-signing-key-file={layout.ca_key}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]
