"""Whether there is a work of this hub: what an API server answers, and that no answer is not "no"."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.kube.connection import Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.handedworks import HandedWorks
from federation.kube.tls import Trust
from tests.unit.kube.servers import serving


@pytest.mark.parametrize(
    ("code", "answer", "there"),
    [
        (200, {"items": [{"metadata": {"name": "a"}}]}, True),
        (200, {"items": []}, False),
        (200, {"items": None}, False),  # what a real one says of a list of metadata without any
        (200, {}, False),
        (404, {"kind": "Status", "code": 404}, False),
        (403, {"kind": "Status", "code": 403}, False),
        (503, {"kind": "Status", "code": 503}, None),
        (200, {"items": "many"}, None),
    ],
)
async def test_whether_there_is_one(code: int, answer: Mapping[str, Any], there: bool | None) -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.query["limit"] == "1"
        return web.Response(status=code, body=orjson.dumps(answer), content_type="application/json")

    async with serving(handle) as url:
        connection = Connection("host", Endpoint(url, Trust(), Credentials("")))
        try:
            assert await HandedWorks(connection, "us").any() is there
        finally:
            await connection.close()
