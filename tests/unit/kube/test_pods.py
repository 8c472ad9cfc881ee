"""Which pods of a member count as unschedulable, and how they are asked for."""

from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.core import selectors
from federation.kube import pods
from federation.kube.connection import Connection
from federation.kube.endpoint import Credentials, Endpoint
from federation.kube.tls import Trust
from federation.model.failures import Failure
from tests.unit.kube.servers import serving

THEN = "2026-11-30T10:00:00Z"
AT = 1796032800.0


def pod(*conditions: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", **metadata}, "status": {"phase": "Pending", "conditions": list(conditions)}}


def condition(reason: str = "Unschedulable", status: str = "False", **more: Any) -> dict[str, Any]:
    return {"type": "PodScheduled", "status": status, "reason": reason, "lastTransitionTime": THEN, **more}


def page(*items: dict[str, Any], more: str = "") -> tuple[int, Any]:
    return 200, {"kind": "PodList", "metadata": {"continue": more}, "items": list(items)}


async def ask(*answers: tuple[int, Any]) -> tuple[Any, list[dict[str, str]]]:
    """What is found, and the queries that were sent."""
    asked: list[dict[str, str]] = []
    left = list(answers)

    async def handle(request: web.Request) -> web.Response:
        assert request.path == "/api/v1/namespaces/shop/pods"
        asked.append(dict(request.query))
        code, body = left.pop(0)
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(status=code, body=content, content_type="application/json")

    async with serving(handle) as url:
        connection = Connection("m1", Endpoint(url, Trust(), Credentials("")))
        try:
            return await pods.unschedulable(connection, "shop", "app=web"), asked
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        pytest.param([page()], [], id="none"),
        pytest.param([(200, {"metadata": {}, "items": None})], [], id="null"),
        pytest.param([page(pod(condition()))], [AT], id="one"),
        pytest.param([page(pod({"type": "Ready", "status": "False"}, condition()))], [AT], id="other-conditions"),
        pytest.param([page(pod())], [], id="its-scheduler-has-not-looked"),
        pytest.param([page(pod(condition("SchedulingGated")))], [], id="gated"),
        pytest.param([page(pod(condition(status="True")))], [], id="has-a-node"),
        pytest.param([page(pod(condition(), deletionTimestamp=THEN))], [], id="on-its-way-out"),
        pytest.param([page(pod(condition(lastTransitionTime=None)))], [0.0], id="without-a-time"),
        pytest.param([page(pod(condition()), more="x"), page(pod(condition()))], [AT, AT], id="pages"),
    ],
)
async def test_which_pods_count(answers: list[tuple[int, Any]], found: list[float]) -> None:
    assert (await ask(*answers))[0] == found


async def test_only_pods_without_a_node_are_asked_for() -> None:
    _, asked = await ask(page(more="next"), page())
    least = {
        "fieldSelector": "status.phase=Pending,spec.nodeName=",
        "labelSelector": "app=web",
        "limit": str(pods.PAGE),
    }
    assert asked == [least, {**least, "continue": "next"}]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            (403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "may not"}), id="no-right"
        ),
        pytest.param((200, b"[1]"), id="garbage"),
    ],
)
async def test_what_is_not_known_is_a_failure(answer: tuple[int, Any]) -> None:
    assert isinstance((await ask(answer))[0], Failure)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"a": "b", "c": ""}}, "a=b,c="),
        ({"matchExpressions": [{"key": "t", "operator": "In", "values": ["x", "y"]}]}, "t in (x,y)"),
        ({"matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["x"]}]}, "t notin (x)"),
        (
            {
                "matchLabels": {"a": "b"},
                "matchExpressions": [{"key": "t", "operator": "Exists"}, {"key": "u", "operator": "DoesNotExist"}],
            },
            "a=b,t,!u",
        ),
    ],
)
def test_a_workloads_selector_as_a_query(selector: dict[str, Any], text: str) -> None:
    assert selectors.query(selector) == text
