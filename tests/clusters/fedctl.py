"""fedctl in tests: run as a user would, in this process, against a host with a system namespace of its own.

Each test gets a `site`: the playground's clusters under a system namespace and a host name that nobody else uses, so
that what one test joins and enables is no other test's business.
"""

import base64
import contextlib
import dataclasses
import io
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.cli import root
from federation.playground import access
from federation.playground.clusters import Playground

CORE = "/apis/core.kubefed.io/v1beta1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Ran:
    """One run of fedctl."""

    code: int
    out: str
    err: str


def fedctl(*arguments: str) -> Ran:
    """Run one command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = root.run(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


class Site:
    """A host and its members as one test sees them."""

    def __init__(self, playground: Playground, trust: ssl.SSLContext, namespace: str, directory: Path) -> None:
        self.playground = playground
        self.namespace = namespace
        self.host_name = f"h{namespace[-6:]}"
        self.directory = directory
        self.kubeconfig = playground.kubeconfig
        self.trust = trust

    def run(self, verb: str, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> Ran:
        """`fedctl VERB ARGUMENTS` on this site's host; fails the test on another exit code or on a traceback."""
        ran = self.attempt(verb, *arguments, kubeconfig=kubeconfig)
        assert "Traceback" not in ran.err
        assert ran.code == code, f"exit code {ran.code}, expected {code}:\n{ran.err}{ran.out}"
        return ran

    def attempt(self, verb: str, *arguments: str, kubeconfig: Path | None = None) -> Ran:
        """The same, whatever comes of it."""
        more = ["--host-cluster-name", self.host_name] if verb in ("join", "unjoin") else []
        return fedctl(
            *verb.split(),
            *arguments,
            "--kubeconfig",
            str(kubeconfig or self.kubeconfig),
            "--host-cluster-context",
            "host",
            "--kubefed-namespace",
            self.namespace,
            *more,
        )

    def account(self, member: str) -> str:
        return f"{member}-{self.host_name}"

    def role(self, member: str) -> str:
        return f"kubefed-controller-manager:{self.account(member)}"

    # -- the clusters' own view ----------------------------------------------------------------------------------

    def request(
        self, cluster: str, method: str, path: str, body: Any = None, *, kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """One request as admin; the answer's code and JSON.

        429 is asked again, as every client of an API server does: that is how it answers for a kind whose definition
        it accepted a moment ago ("storage is (re)initializing").
        """
        data = None if body is None else json.dumps(body).encode()
        for _ in range(30):
            code, answer = access.request(
                self.playground.clusters[cluster], method, path, self.trust, body=data, content_type=kind
            )
            if code != HTTPStatus.TOO_MANY_REQUESTS:
                break
            time.sleep(1)
        return code, json.loads(answer or b"{}")

    def get(self, cluster: str, path: str) -> dict[str, Any] | None:
        """The object at a path, or None."""
        code, found = self.request(cluster, "GET", path)
        assert code in (200, 404), found
        return found if code == 200 else None

    def create(self, cluster: str, path: str, body: Any) -> dict[str, Any]:
        """POST; it must succeed."""
        code, found = self.request(cluster, "POST", path, body)
        assert code == 201, found
        return found

    def delete(self, cluster: str, path: str) -> None:
        """DELETE; it must exist."""
        code, found = self.request(cluster, "DELETE", path)
        assert code in (200, 202), found

    def merge(self, cluster: str, path: str, body: Any) -> dict[str, Any]:
        """Merge patch; it must succeed."""
        code, found = self.request(cluster, "PATCH", path, body, kind="application/merge-patch+json")
        assert code == 200, found
        return found

    def in_system(self, plural: str, name: str = "") -> str:
        """The path of a core/v1 resource in the system namespace."""
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def kubefed(self, plural: str, name: str = "") -> str:
        """The path of a core.kubefed.io resource in the system namespace."""
        return f"{CORE}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def cluster(self, name: str) -> dict[str, Any] | None:
        return self.get("host", self.kubefed("kubefedclusters", name))

    def token(self, member: str) -> str:
        """The token that the host stores for a member."""
        joined = self.cluster(member)
        assert joined is not None
        secret = self.get("host", self.in_system("secrets", joined["spec"]["secretRef"]["name"]))
        assert secret is not None
        return base64.b64decode(secret["data"]["token"]).decode()

    def may(self, cluster: str, token: str, verb: str, resource: str, **where: str) -> bool:
        """Whether whoever holds this token may do this, by the cluster's own word."""
        holder = dataclasses.replace(self.playground.clusters[cluster], token=token)
        group, _, plural = resource.rpartition("/")
        plural, _, subresource = plural.partition(":")
        attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, **where}
        api = "authorization.k8s.io/v1"
        body = {"apiVersion": api, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        code, answer = access.request(
            holder, "POST", f"/apis/{api}/selfsubjectaccessreviews", self.trust, body=json.dumps(body).encode()
        )
        assert code == 201, answer
        return bool(json.loads(answer)["status"]["allowed"])

    # -- other kubeconfigs ---------------------------------------------------------------------------------------

    def without(self, *contexts: str) -> Path:
        """A kubeconfig that does not know these clusters."""
        document = yaml.safe_load(self.kubeconfig.read_text())
        for section in ("contexts", "clusters", "users"):
            document[section] = [each for each in document[section] if each["name"] not in contexts]
        return self.write(document)

    def changed(self, context: str, *, cluster: Mapping[str, Any] = {}, user: Mapping[str, Any] = {}) -> Path:
        """A kubeconfig in which one context's cluster or user says something else."""
        document = yaml.safe_load(self.kubeconfig.read_text())
        for section, change in (("clusters", cluster), ("users", user)):
            for entry in document[section]:
                if entry["name"] == context:
                    entry[section[:-1]] |= change
        return self.write(document)

    def renamed(self, context: str, name: str) -> Path:
        """A kubeconfig with one more context, of this name, for the same cluster and user."""
        document = yaml.safe_load(self.kubeconfig.read_text())
        document["contexts"].append({"name": name, "context": {"cluster": context, "user": context}})
        return self.write(document)

    def limited(self, cluster: str, rules: list[dict[str, Any]]) -> Path:
        """A kubeconfig whose context for the cluster holds only these rights there."""
        name = f"limited-{self.host_name}"
        self.request(cluster, "POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.create(cluster, self.in_system("serviceaccounts"), {"metadata": {"name": name}})
        self.create(cluster, f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
        }
        self.create(cluster, f"{RBAC}/clusterrolebindings", binding)
        made = self.create(cluster, f"{self.in_system('serviceaccounts', name)}/token", {"spec": {}})
        return self.changed(cluster, user={"token": made["status"]["token"]})

    def tenant(self, cluster: str) -> Path:
        """A kubeconfig whose context for the cluster has every right in this site's namespace there, and no other."""
        self.request(cluster, "POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.create(cluster, self.in_system("serviceaccounts"), {"metadata": {"name": "tenant"}})
        rbac = f"{RBAC}/namespaces/{self.namespace}"
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
        self.create(cluster, f"{rbac}/roles", {"metadata": {"name": "tenant"}, "rules": rules})
        binding = {
            "metadata": {"name": "tenant"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"},
            "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": self.namespace}],
        }
        self.create(cluster, f"{rbac}/rolebindings", binding)
        made = self.create(cluster, f"{self.in_system('serviceaccounts', 'tenant')}/token", {"spec": {}})
        return self.changed(cluster, user={"token": made["status"]["token"]})

    def write(self, document: Any) -> Path:
        """The document as a file of its own."""
        path = self.directory / f"kubeconfig-{len(list(self.directory.iterdir()))}"
        path.write_text(yaml.safe_dump(document))
        return path


@pytest.fixture
def site(playground: Playground, trust: ssl.SSLContext, namespace: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(playground, trust, namespace, tmp_path)
    yield made
    for cluster in ("host", "m1", "m2"):
        for plural in ("clusterrolebindings", "clusterroles"):
            for found in (made.get(cluster, f"{RBAC}/{plural}") or {"items": []})["items"]:
                if made.host_name in found["metadata"]["name"]:
                    made.delete(cluster, f"{RBAC}/{plural}/{found['metadata']['name'].replace(':', '%3A')}")
        for plural in (
            "validatingadmissionpolicybindings",
            "validatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            "mutatingadmissionpolicies",
        ):
            for found in (made.get(cluster, f"{ADMISSION}/{plural}") or {"items": []})["items"]:
                name = found["metadata"]["name"]
                if made.host_name in name or name.endswith(f".{made.namespace}"):
                    made.delete(cluster, f"{ADMISSION}/{plural}/{found['metadata']['name']}")


@pytest.fixture
def hub(site: Site) -> Site:
    """A site whose host has the federation API."""
    site.run("init")
    return site
