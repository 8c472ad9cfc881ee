"""Check that an API server's answer has the expected shape; pure. Any other answer is an ApiFailure, never a crash.

There may be something else than an API server at an address: a web server, a proxy's login page.
"""

from collections.abc import Mapping
from typing import Any

from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind

Object = dict[str, Any]


def mapping(found: Any, doing: str) -> Object:
    """A JSON object. Raises ApiFailure (UNEXPECTED), as all here do."""
    if not isinstance(found, dict):
        raise wrong(doing)
    return found


def kubernetes_object(found: Any, doing: str) -> Object:
    """A Kubernetes object: metadata with a name, and spec and status that are maps where they are given."""
    body = mapping(found, doing)
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise wrong(doing)
    if any(not isinstance(body.get(part), dict | None) for part in ("spec", "status")):
        raise wrong(doing)
    if any(not isinstance(metadata.get(part), dict | None) for part in ("labels", "annotations")):
        raise wrong(doing)
    return body


def page(found: Any, doing: str) -> tuple[list[Object], str]:
    """The objects of one page of a list, and the token of the next page ("" for none)."""
    body = mapping(found, doing)
    items, metadata = body.get("items", ...), body.get("metadata") or {}
    if not isinstance(items, list | None) or not isinstance(metadata, dict):
        raise wrong(doing)
    return [kubernetes_object(each, doing) for each in items or ()], str(metadata.get("continue") or "")


def section(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A map inside an object; empty when it is absent or something else."""
    inner = found.get(key)
    return inner if isinstance(inner, dict) else {}


def wrong(doing: str) -> ApiFailure:
    """The error for an answer of another shape."""
    return ApiFailure(Failure(FailureKind.UNEXPECTED, "the answer is not what a Kubernetes API server sends"), doing)
