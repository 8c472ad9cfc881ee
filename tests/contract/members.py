"""Two clusters of one shape, spoken to in plain HTTP, and their watches read line by line."""

import http.client
import json
import ssl
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from federation.playground import access
from federation.playground.access import LocalCluster

Object = dict[str, Any]
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
CORE = "/api/v1"


@dataclass(frozen=True)
class Member:
    """One cluster, as the bearer of `token` (the admin's, unless told otherwise)."""

    cluster: LocalCluster
    trust: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, cluster: LocalCluster) -> "Member":
        """As its admin."""
        return cls(cluster, access.tls(cluster.ca_pem))

    def as_bearer(self, token: str) -> "Member":
        """As somebody else."""
        return Member(replace(self.cluster, token=token), self.trust)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        accept: str = "",
        **query: str,
    ) -> tuple[int, Object]:
        """Code and body of one answer."""
        connection, answer = self._send(method, path, body, kind=kind, accept=accept, query=query)
        try:
            content = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(content) if content.startswith(b"{") else {"text": content.decode()}

    def get(self, path: str, **query: str) -> Object:
        """What is there."""
        code, found = self.ask("GET", path, **query)
        assert code == 200, found
        return found

    def create(self, path: str, body: Object, **query: str) -> Object:
        """POST."""
        code, made = self.ask("POST", path, body, **query)
        assert code == 201, made
        return made

    def apply(self, path: str, body: Object, manager: str, **query: str) -> tuple[int, Object]:
        """Server-side apply."""
        return self.ask("PATCH", path, body, kind=APPLY, fieldManager=manager, **query)

    def namespace(self) -> str:
        """A new one, as a path."""
        name = f"contract-{uuid.uuid4().hex[:10]}"
        self.create(f"{CORE}/namespaces", {"metadata": {"name": name}})
        return f"{CORE}/namespaces/{name}"

    @contextmanager
    def watch(self, path: str, *, accept: str = "", **query: str) -> Iterator[Iterator[Object]]:
        """The events of one watch, which ends by itself after a while."""
        query = {"watch": "true", "timeoutSeconds": "20", **query}
        connection, answer = self._send("GET", path, None, kind="", accept=accept, query=query)
        assert answer.status == 200, answer.read()
        try:
            yield (json.loads(line) for line in answer if line.strip())
        finally:
            connection.close()

    def _send(
        self, method: str, path: str, body: object, *, kind: str, accept: str, query: Mapping[str, str]
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        host = urllib.parse.urlsplit(self.cluster.url)
        connection = http.client.HTTPSConnection(host.hostname or "", host.port, timeout=30, context=self.trust)
        headers = {"Accept": accept or "application/json"}
        if self.cluster.token:
            headers["Authorization"] = f"Bearer {self.cluster.token}"
        if body is not None:
            headers["Content-Type"] = kind
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, f"{path}?{urllib.parse.urlencode(query)}", content, headers)
        return connection, connection.getresponse()


@dataclass(frozen=True)
class Pair:
    """Two members of one shape, and the etcd below them. `forget` ends what `other` has in memory."""

    one: Member
    other: Member
    etcd: str
    forget: Callable[[], object]


def until(check: Callable[[], bool], within: float = 30.0) -> None:
    """Ask until it is so."""
    ends = time.monotonic() + within
    while not check():
        assert time.monotonic() < ends, "not in time"
        time.sleep(0.05)


def plain(found: Any) -> Any:
    """An object without what no two clusters have in common: times, versions, UIDs, the test's namespace.

    managedFields in the order of their managers: the API server sorts them by the second of their last write.
    """
    own = ("uid", "resourceVersion", "creationTimestamp", "time", "namespace")
    if isinstance(found, dict):
        left = {key: plain(value) for key, value in found.items() if key not in own}
        if isinstance(entries := left.get("managedFields"), list):
            entries.sort(key=lambda each: (each["manager"], each["operation"], each.get("subresource", "")))
        return left
    return [plain(each) for each in found] if isinstance(found, list | tuple) else found
