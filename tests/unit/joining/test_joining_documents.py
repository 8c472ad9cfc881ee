"""OpenAPI documents of a server whose index is a moment older than its schemas."""

from typing import Any, cast

import pytest

from federation.joining import applying, discovery
from federation.kube.connection import Connection
from typegen.model import ApiResource

GAUGE = ApiResource("example.com", "v1", "Gauge", "gauges", "gauge", namespaced=True)
DOCUMENT = {"openapi": "3.0.0"}


async def test_a_document_is_asked_for_without_the_hash_of_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kube-apiserver (1.36) redirects from a hash that is not its document's, for a second after a CRD's change."""
    asked = []

    async def read(_: Connection, path: str, **__: Any) -> dict[str, Any]:
        asked.append(path)
        if path == "/openapi/v3":
            return {"paths": {"apis/example.com/v1": {"serverRelativeURL": "/openapi/v3/apis/example.com/v1?hash=OLD"}}}
        return DOCUMENT

    monkeypatch.setattr(applying, "read", read)
    assert await discovery.document(cast("Connection", object()), GAUGE) == DOCUMENT
    assert asked == ["/openapi/v3", "/openapi/v3/apis/example.com/v1"]
