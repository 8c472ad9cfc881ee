"""The command lines of etcd, kube-apiserver and kube-controller-manager, as pure functions of their facts.

Called by `clusters`. Everything listens on 127.0.0.1. What differs from a production cluster is said beside the flag.
"""

from collections.abc import Sequence
from pathlib import Path

from federation.playground.layout import ClusterFiles, Layout

# What federation needs of a kube-controller-manager: namespaces that go away, owners that take their dependents along,
# service accounts, quota and aggregated roles that work, and Deployments with a status. No nodes, so no Pod ever runs.
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
)


def etcd(binary: Path, layout: Layout, port: int) -> list[str]:
    """One etcd for all clusters. Without fsync a crash of the machine may lose data; a killed etcd loses none."""
    url = f"http://127.0.0.1:{port}"
    return [
        str(binary),
        f"--data-dir={layout.etcd_data}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        # A single member talks to no peer; port 0 takes any.
        "--listen-peer-urls=http://127.0.0.1:0",
        "--initial-advertise-peer-urls=http://127.0.0.1:0",
        "--initial-cluster=default=http://127.0.0.1:0",
        "--quota-backend-bytes=8589934592",
        "--watch-progress-notify-interval=5s",
        "--log-level=warn",
    ]


def issuer(name: str) -> str:
    """The issuer (and audience) of a cluster's service-account tokens: its own, so that no other cluster takes them."""
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
        # The `kubernetes` Service would otherwise point at 127.0.0.1, which the API server itself refuses.
        "--endpoint-reconciler-type=none",
        "--profiling=false",
    ]


def controller_manager(
    binary: Path, layout: Layout, files: ClusterFiles, controllers: Sequence[str] = CONTROLLERS
) -> list[str]:
    """A kube-controller-manager of one cluster with only these controllers; it listens nowhere."""
    return [
        str(binary),
        f"--kubeconfig={files.kubeconfig}",
        f"--controllers={','.join(controllers)}",
        f"--service-account-private-key-file={files.token_key}",
        f"--root-ca-file={layout.ca_certificate}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]
