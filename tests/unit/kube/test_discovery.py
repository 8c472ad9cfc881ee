"""What an API server says that it serves, and what is made of servers that do not say."""

from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.kube import discovery
from federation.kube.connection import Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.failures import Failure, FailureKind
from tests.unit.kube.servers import serving


def version(name: str, *plurals: str, freshness: str = "Current") -> dict[str, Any]:
    return {"version": name, "resources": [{"resource": plural} for plural in plurals], "freshness": freshness}


def group(name: str, *versions: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": None}, "versions": list(versions)}


AGGREGATED = {
    "kind": "APIGroupDiscoveryList",
    "apiVersion": "apidiscovery.k8s.io/v2",
    "metadata": {},
    "items": [
        group("apps", version("v1", "deployments", "statefulsets")),
        group("example.com", version("v2", "widgets"), version("v1", "widgets", "gears"), version("v1beta1", "gears")),
        group("metrics.k8s.io", version("v1beta1", freshness="Stale")),
    ],
}


async def read(body: bytes, status: int = 200) -> Any:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(f"{request.path} {request.headers['Accept']}")
        return web.Response(status=status, body=body, content_type="application/json")

    async with serving(handle) as url:
        connection = Connection("m1", Endpoint(url, Trust(), Credentials("")))
        try:
            found = await discovery.served(connection)
        finally:
            await connection.close()
    assert len(asked) == 1
    assert asked[0].startswith("/apis application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,")
    return found


@pytest.mark.parametrize(
    ("where", "versions"),
    [
        pytest.param(("apps", "deployments"), ("v1",), id="built-in"),
        pytest.param(("example.com", "widgets"), ("v2", "v1"), id="two"),
        pytest.param(("example.com", "gears"), ("v1", "v1beta1"), id="not-in-every-version-of-its-group"),
        pytest.param(("example.com", "springs"), (), id="not-in-its-group"),
        pytest.param(("other.com", "things"), (), id="no-such-group"),
        pytest.param(("metrics.k8s.io", "pods"), None, id="not-reached"),
        pytest.param(("", "configmaps"), None, id="core"),
    ],
)
async def test_the_versions_of_a_resource(where: tuple[str, str], versions: tuple[str, ...] | None) -> None:
    found = await read(orjson.dumps(AGGREGATED))
    assert isinstance(found, discovery.Discovered)
    assert found.versions(*where) == versions


async def test_an_old_server_says_nothing_about_resources() -> None:
    assert await read(b'{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps"}]}') is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"kind":"APIGroupDiscoveryList","items":[{}]}', b'{"items":3}']
)
async def test_nonsense_is_a_failure(body: bytes) -> None:
    found = await read(body)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNEXPECTED


async def test_a_refusal_is_a_failure() -> None:
    found = await read(b'{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}', status=403)
    assert isinstance(found, Failure)
