"""Parse what a request to a Kubernetes API server is about: verb, resource, namespace, name; pure.

`faultproxy` selects and logs requests by it. It follows apiserver's RequestInfo
(k8s.io/apiserver/pkg/endpoints/request), with one verb more: "apply" is a PATCH that is a server-side apply.
"""

import urllib.parse
from dataclasses import dataclass

VERBS = frozenset(("get", "list", "watch", "create", "update", "patch", "apply", "delete", "deletecollection", "post"))
READS = frozenset(("get", "list", "watch", "head"))
_PLAIN = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
_APPLY = ("application/apply-patch+yaml", "application/apply-patch+json", "application/apply-patch+cbor")
# Subresources of a Namespace; anything else after a namespace's name is a resource inside it.
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """One request, in RBAC's words; `resource` is "configmaps", "deployments.apps", "nodes/status", "" for none."""

    verb: str
    path: str
    resource: str = ""
    namespace: str = ""
    name: str = ""


def parse(method: str, target: str, content_type: str = "") -> RequestInfo:
    """Parse method, request target (path and query) and Content-Type."""
    raw_path, _, raw_query = target.partition("?")
    path = urllib.parse.unquote(raw_path)
    query = urllib.parse.parse_qs(raw_query, keep_blank_values=True)
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", _, *rest] if rest:
            group = ""
        case ["apis", group, _, *rest] if rest:
            pass
        case _:
            return RequestInfo(verb=method.lower(), path=path)
    verb = _PLAIN.get(method.upper(), method.lower())
    if rest[0] == "watch" and len(rest) > 1:  # the old /watch/ prefix
        verb, rest = "watch", rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource = rest[0] + (f".{group}" if group else "") + (f"/{rest[2]}" if len(rest) > 2 else "")
    name = rest[1] if len(rest) > 1 else ""
    if not name:
        name = _selected_name(query)
        verb = _collection_verb(verb, query)
    if verb == "patch" and content_type.partition(";")[0].strip().lower() in _APPLY:
        verb = "apply"
    return RequestInfo(verb=verb, path=path, resource=resource, namespace=namespace, name=name)


def _collection_verb(verb: str, query: dict[str, list[str]]) -> str:
    if verb == "get":
        watching = "watch" in query and query["watch"][0].lower() not in (
            "0",
            "false",
        )  # as the API server reads booleans
        return "watch" if watching else "list"
    return "deletecollection" if verb == "delete" else verb


def _selected_name(query: dict[str, list[str]]) -> str:
    for selector in query.get("fieldSelector", []):
        for term in selector.split(","):
            key, _, value = term.partition("=")
            if key == "metadata.name":
                return value.removeprefix("=")
    return ""
