"""Access to the playground's clusters: as a value, as a kubeconfig, and by single requests.

`clusters` returns the values and polls readiness by `request`; the controller and its tests use the kubeconfig.
"""

import base64
import http.client
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field

from typegen.kubeyaml import writing


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """One cluster of a playground. `token` is a system:masters token; the pid is None unless it is running."""

    name: str
    url: str
    token: str = field(repr=False)
    ca_pem: str = field(repr=False)
    apiserver_pid: int | None = None


def kubeconfig(clusters: Iterable[LocalCluster]) -> bytes:
    """A kubeconfig: cluster, user and context of each cluster, all named as the cluster; the first is current."""
    entries = list(clusters)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": each.name,
                "cluster": {
                    "server": each.url,
                    "certificate-authority-data": base64.b64encode(each.ca_pem.encode()).decode(),
                },
            }
            for each in entries
        ],
        "users": [{"name": each.name, "user": {"token": each.token}} for each in entries],
        "contexts": [{"name": each.name, "context": {"cluster": each.name, "user": each.name}} for each in entries],
        "current-context": entries[0].name if entries else "",
    }
    return writing.dump([document]).encode()


def tls(ca_pem: str) -> ssl.SSLContext:
    """What a client needs to trust the playground's servers."""
    return ssl.create_default_context(cadata=ca_pem)


def request(
    cluster: LocalCluster,
    method: str,
    path: str,
    context: ssl.SSLContext,
    *,
    body: bytes | None = None,
    content_type: str = "application/json",
    timeout: float = 5.0,
) -> tuple[int, bytes]:
    """One request as the admin: (status, body), or (0, b"") without an answer within `timeout` seconds."""
    host = urllib.parse.urlsplit(cluster.url)
    connection = http.client.HTTPSConnection(host.hostname or "", host.port, timeout=timeout, context=context)
    headers = {"Authorization": f"Bearer {cluster.token}"}
    if body is not None:
        headers["Content-Type"] = content_type
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def reachable(url: str) -> bool:
    """Whether a plain http URL on this machine answers 200 now (without any proxy)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def serves(cluster: LocalCluster, context: ssl.SSLContext) -> bool:
    """Whether the API server is ready and has made the namespaces that every cluster has."""
    paths = ("/readyz", "/api/v1/namespaces/kube-system", "/api/v1/namespaces/default")
    return all(request(cluster, "GET", path, context, timeout=2)[0] == 200 for path in paths)


def manages(cluster: LocalCluster, context: ssl.SSLContext) -> bool:
    """Whether the kube-controller-manager works: it creates each namespace's default service account."""
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    return request(cluster, "GET", path, context)[0] == 200
