"""One API server that CRDs are tried on: apply, wait until Established, and ask what it thinks of an object."""

import http.client
import json
import ssl
import time
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from federation.playground.access import LocalCluster

Object = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Answer:
    code: int
    body: Object

    @property
    def causes(self) -> dict[str, str]:
        """What was refused: field -> all that is said of it ("" is the object as a whole)."""
        found: dict[str, str] = {}
        for cause in self.body.get("details", {}).get("causes", []):
            field = cause.get("field", "").replace("<nil>", "")
            found[field] = f"{found[field]}; {cause['message']}" if field in found else cause["message"]
        return found


def _asks_to_wait(answer: Answer) -> bool:
    """A type that was enabled a moment ago answers 429. What reads schemas for a MutatingAdmissionPolicy polls the
    server's OpenAPI every few seconds: until it has seen the type's, 503 comes, however long its CRD has been served.
    """
    return answer.code == 429 or (answer.code == 503 and "can be a delay between" in answer.body.get("message", ""))


@dataclass(frozen=True)
class Server:
    cluster: LocalCluster
    trust: ssl.SSLContext

    def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content: str = "json",
        *,
        accept: str = "application/json",
        impersonate: str = "",
        group: str = "",
        **query: str,
    ) -> Answer:
        url = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        raw = None if body is None else json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self.cluster.token}",
            "Content-Type": f"application/{content}",
            "Accept": accept,
            **({"Impersonate-User": impersonate} if impersonate else {}),
            **({"Impersonate-Group": group} if group else {}),
        }
        for _ in range(600):
            answer = self._send(method, url, raw, headers)
            if not _asks_to_wait(answer):
                return answer
            time.sleep(0.1)
        raise AssertionError(f"{method} {path} is told to wait again and again")

    def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        host = urllib.parse.urlsplit(self.cluster.url)
        connection = http.client.HTTPSConnection(str(host.hostname), host.port, timeout=30, context=self.trust)
        try:
            connection.request(method, url, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return Answer(response.status, json.loads(text) if text.startswith(b"{") else {"text": text.decode()})

    def get(self, path: str) -> Object:
        answer = self.call("GET", path)
        assert answer.code == 200, answer
        return answer.body

    def apply(self, path: str, body: Object, **query: str) -> Answer:
        chosen = {"fieldManager": "tests", "force": "true", "fieldValidation": "Strict", **query}
        return self.call("PATCH", f"{path}/{body['metadata']['name']}", body, "apply-patch+yaml", **chosen)

    def create(self, path: str, body: Object) -> Answer:
        """What a creation would answer; nothing is stored."""
        return self.call("POST", path, body, dryRun="All", fieldValidation="Strict")

    def establish(self, definitions: Iterable[Object]) -> None:
        """Apply CRDs and wait until each is served; a schema that is not structural fails."""
        wanted = list(definitions)
        for definition in wanted:
            answer = self.apply(DEFINITIONS, definition)
            assert answer.code in (200, 201), (definition["metadata"]["name"], answer.body)
        for definition in wanted:
            name = definition["metadata"]["name"]
            conditions: dict[str, Any] = {}
            for _ in range(200):
                found = self.get(f"{DEFINITIONS}/{name}").get("status", {}).get("conditions") or []  # null at first
                conditions = {each["type"]: each["status"] for each in found}
                if conditions.get("Established") == "True":
                    break
                time.sleep(0.05)
            assert conditions == {"Established": "True", "NamesAccepted": "True"}, (name, conditions)
            self._served(definition)

    def _served(self, definition: Object) -> None:
        # Established, but the endpoint follows up to two seconds later.
        spec = definition["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        for _ in range(100):
            if self.call("GET", path).code == 200:
                return
            time.sleep(0.05)
        raise AssertionError(f"{path} is not served")

    def remove(self, definitions: Iterable[Object]) -> None:
        """Delete CRDs and wait until each is gone: one that is applied meanwhile would go with it."""
        paths = [f"{DEFINITIONS}/{definition['metadata']['name']}" for definition in definitions]
        for path in paths:
            self.call("DELETE", path)
        for path in paths:
            for _ in range(400):
                if self.call("GET", path).code == 404:
                    break
                time.sleep(0.05)
            else:
                raise AssertionError(f"{path} is not gone")
