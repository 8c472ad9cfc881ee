"""Whether a member's namespace has objects of others: what counts, and that what is not known is not empty."""

from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.kube import inhabitants
from federation.kube.connection import Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.resources import NAMESPACES, Resource
from tests.unit.kube.servers import serving

CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
WIDGETS = Resource("example.com", "v1", "Widget", "widgets", namespaced=True)
EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
OWNED = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}]
Page = tuple[int, dict[str, Any] | bytes]


def item(name: str, owners: Any = None) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"ownerReferences": owners} if owners else {})}}


def page(*items: dict[str, Any], more: str = "") -> Page:
    return 200, {"kind": "PartialObjectMetadataList", "metadata": {"continue": more}, "items": list(items)}


def refused(code: int, reason: str, message: str) -> Page:
    return code, {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


async def look(answers: dict[str, list[Page]], *types: Resource) -> tuple[str, list[str]]:
    """What is found, and what was asked; what has no answer is empty."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "!kubefed.io/managed"
        plural = request.path.rpartition("/")[2]
        asked.append(plural)
        code, body = (answers.get(plural) or [page()]).pop(0)
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(status=code, body=content, content_type="application/json")

    async with serving(handle) as url:
        connection = Connection("m1", Endpoint(url, Trust(), Credentials("")))
        try:
            return await inhabitants.others(connection, "shop", types), asked
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"pods": [page(item("web-x7", OWNED))]}, "", id="owned"),
        pytest.param({"configmaps": [page(item("kube-root-ca.crt"))]}, "", id="in-every-namespace"),
        pytest.param({"configmaps": [page(item("mine"))]}, 'has ConfigMap "mine" in it', id="a-users"),
        pytest.param({"widgets": [page(item("db"))]}, 'has Widget "db" in it', id="custom-type"),
        pytest.param({"persistentvolumeclaims": [page(item("data"))]}, "has PersistentVolumeClaim", id="volume"),
        pytest.param(
            {"pods": [page(item("a", OWNED), more="next"), page(item("bare"))]}, 'has Pod "bare"', id="second-page"
        ),
        pytest.param(
            {"pods": [page(item("a", OWNED), more="next")] * inhabitants.MOST_PAGES}, "very many", id="too-many-pages"
        ),
        pytest.param(
            {"pods": [refused(403, "Forbidden", "may not list")]}, "is not known to have no pods", id="no-right"
        ),
        pytest.param({"widgets": [refused(500, "InternalError", "webhook")]}, "is not known", id="fails"),
        pytest.param({"pods": [(200, b"[1]")]}, "cannot be read", id="garbage"),
        pytest.param({"widgets": [(404, b"404 page not found\n")]}, "", id="not-served"),
    ],
)
async def test_what_is_in_a_namespace(answers: dict[str, list[Page]], found: str) -> None:
    said, _ = await look(answers, CONFIGMAPS, WIDGETS)
    assert found in said
    assert bool(found) == bool(said)


async def test_it_stops_at_the_first_and_leaves_out_what_is_about_others() -> None:
    said, asked = await look({"pods": [page(item("bare"))]}, CONFIGMAPS, NAMESPACES, EVENTS)
    assert asked == ["pods"]
    said, asked = await look({}, CONFIGMAPS, NAMESPACES, EVENTS)
    assert (said, asked) == ("", ["pods", "persistentvolumeclaims", "configmaps"])
