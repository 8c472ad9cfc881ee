"""The fault proxy before a real API server: every fault, as a client sees it, and what the API server really did."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from federation.playground import access
from federation.playground.clusters import Playground
from federation.playground.faultproxy import FaultProxy
from federation.playground.faults import Fault

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Client:
    """A plain client of one proxy; `direct` asks the API server itself."""

    def __init__(self, proxy: FaultProxy, playground: Playground, session: aiohttp.ClientSession) -> None:
        self.proxy = proxy
        self.target = playground.clusters["m1"].url
        self.session = session

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, object]]:
        return await self._ask(self.proxy.url, method, path, body, headers)

    async def direct(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        return await self._ask(self.target, method, path, body, {})

    async def _ask(
        self, url: str, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, dict[str, object]]:
        kind = headers.pop("content_type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        async with self.session.request(
            method, url + path, data=data, headers={"Content-Type": kind, **headers}
        ) as answer:
            return answer.status, json.loads(await answer.read())

    async def create(self, name: str, **values: str) -> int:
        code, _ = await self.direct("POST", CONFIG_MAPS, {"metadata": {"name": name}, "data": values})
        return code

    def watch(self) -> aiohttp.client._RequestContextManager:
        return self.session.get(f"{self.proxy.url}{CONFIG_MAPS}?watch=1&resourceVersion=0&allowWatchBookmarks=true")


@pytest_asyncio.fixture
async def proxy(playground: Playground) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(playground.clusters["m1"], playground.ca) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def client(proxy: FaultProxy, playground: Playground, trust: ssl.SSLContext) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {proxy.cluster.token}", "User-Agent": "proxy-test"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, limit=0), headers=headers, read_bufsize=2**22
    ) as session:
        client = Client(proxy, playground, session)
        yield client
        _, listed = await client.direct("GET", f"{CONFIG_MAPS}?labelSelector=!kept")
        for each in listed["items"]:  # type: ignore[attr-defined]
            if each["metadata"]["name"] != "kube-root-ca.crt":
                await client.direct("DELETE", f"{CONFIG_MAPS}/{each['metadata']['name']}")


async def next_event(answer: aiohttp.ClientResponse, name: str) -> dict[str, object]:
    """The next event about this ConfigMap."""
    async with asyncio.timeout(20):
        while True:
            event: dict[str, object] = json.loads(await answer.content.readline())
            if event["object"]["metadata"].get("name") == name:  # type: ignore[index]
                return event


async def rest_of(answer: aiohttp.ClientResponse) -> bytes:
    """All that still comes until the connection breaks."""
    data = b""
    async with asyncio.timeout(20):
        try:
            while chunk := await answer.content.readany():
                data += chunk
        except aiohttp.ClientPayloadError:
            return data
    raise AssertionError("the stream ended as if all were well")


async def test_without_faults_nothing_differs(client: Client) -> None:
    pad = "x" * 900_000
    assert (await client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "big"}, "data": {"pad": pad}}))[0] == 201
    code, seen = await client.ask("GET", f"{CONFIG_MAPS}/big")
    assert (code, seen["data"]) == (200, {"pad": pad})
    patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "b"}}
    path = f"{CONFIG_MAPS}/big?fieldManager=test&fieldValidation=Strict"
    assert (await client.ask("PATCH", path, patch, content_type="application/apply-patch+yaml"))[0] == 200
    assert (await client.ask("GET", f"{CONFIG_MAPS}/none"))[0] == 404
    assert (await client.ask("DELETE", f"{CONFIG_MAPS}/big"))[0] == 200
    seen_log = [(each.verb, each.resource, each.name, each.code) for each in client.proxy.requests]
    assert seen_log == [
        ("create", "configmaps", "", 201),
        ("get", "configmaps", "big", 200),
        ("apply", "configmaps", "big", 200),
        ("get", "configmaps", "none", 404),
        ("delete", "configmaps", "big", 200),
    ]
    assert [each.verb for each in client.proxy.requests.writes()] == ["create", "apply", "delete"]
    assert {each.user_agent for each in client.proxy.requests} == {"proxy-test"}


async def test_a_watch_streams_event_by_event(client: Client) -> None:
    async with client.watch() as answer:
        for name in ("one", "two"):
            assert await client.create(name) == 201
            assert (await next_event(answer, name))["type"] == "ADDED"
        assert (client.proxy.open_watches("configmaps"), client.proxy.open_watches("secrets")) == (1, 0)
    await client.proxy.until(lambda _: client.proxy.open_watches() == 0)


async def test_delay_holds_the_request_back_before_it_is_carried_out(client: Client) -> None:
    client.proxy.inject(Fault(kind="delay", verb="create", seconds=0.5))
    asking = asyncio.create_task(client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "late"}}))
    assert (await client.ask("GET", f"{CONFIG_MAPS}/late"))[0] == 404
    assert not asking.done()
    assert (await asking)[0] == 201


@pytest.mark.parametrize(
    ("fault", "code", "reason", "retry_after"),
    [
        pytest.param(
            Fault(kind="status", code=429, retry_after=7), 429, "TooManyRequests", "7", id="throttled-with-retry-after"
        ),
        pytest.param(Fault(kind="status", code=500), 500, "InternalError", None, id="internal-error"),
        pytest.param(Fault(kind="expire"), 410, "Expired", None, id="gone"),
        pytest.param(
            Fault(kind="status", code=403, body=b'{"reason": "own body"}'), 403, "own body", None, id="own-body"
        ),
    ],
)
async def test_status_answers_in_the_api_servers_place(
    client: Client, fault: Fault, code: int, reason: str, retry_after: str | None
) -> None:
    client.proxy.inject(fault)
    async with client.session.post(client.proxy.url + CONFIG_MAPS, json={"metadata": {"name": "no"}}) as answer:
        assert (answer.status, answer.headers.get("Retry-After")) == (code, retry_after)
        assert json.loads(await answer.read())["reason"] == reason
    assert client.proxy.requests.writes() == []
    assert (await client.direct("GET", f"{CONFIG_MAPS}/no"))[0] == 404


async def test_faults_choose_by_verb_resource_name_and_times(client: Client) -> None:
    injected = client.proxy.inject(Fault(kind="status", code=503, verb="get", resource="configmaps", name="a", times=2))
    gets = [(await client.ask("GET", f"{CONFIG_MAPS}/a"))[0] for _ in range(3)]
    assert gets == [503, 503, 404]
    assert (injected.hits, injected.active) == (2, False)
    client.proxy.inject(Fault(kind="status", code=503, verb="get", resource="configmaps", name="a"))
    others = [
        await client.ask("GET", f"{CONFIG_MAPS}/b"),
        await client.ask("GET", CONFIG_MAPS),
        await client.ask("GET", "/api/v1/namespaces/default/secrets/a"),
    ]
    assert [code for code, _ in others] == [404, 200, 404]
    client.proxy.clear()
    assert (await client.ask("GET", f"{CONFIG_MAPS}/a"))[0] == 404


async def test_cut_carries_the_write_out_and_breaks_the_answer(client: Client) -> None:
    client.proxy.inject(Fault(kind="cut", verb="create", times=1))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "made"}})
    assert (await client.direct("GET", f"{CONFIG_MAPS}/made"))[0] == 200
    assert [(each.verb, each.code, each.fault) for each in client.proxy.requests.writes()] == [("create", 201, "cut")]


async def test_cut_breaks_an_open_watch_in_the_next_event(client: Client) -> None:
    async with client.watch() as answer:
        assert await client.create("whole") == 201
        await next_event(answer, "whole")
        client.proxy.inject(Fault(kind="cut", verb="watch", times=1))
        assert await client.create("halved") == 201
        fragment = await rest_of(answer)
    # A connection that breaks may take the fragment along; what counts is that no whole line came.
    assert b'{"type":"ADDED"'.startswith(fragment[:15])
    assert b"\n" not in fragment
    async with client.watch() as answer:
        assert (await next_event(answer, "halved"))["type"] == "ADDED"


async def test_cut_watches_breaks_them_now(client: Client) -> None:
    async with client.watch() as answer:
        assert await client.create("whole") == 201
        await next_event(answer, "whole")
        assert client.proxy.cut_watches("secrets") == 0
        assert client.proxy.cut_watches("configmaps") == 1
        assert not (await rest_of(answer)).endswith(b"\n")


async def test_expire_ends_open_and_new_watches_with_an_error_event(client: Client) -> None:
    async with client.watch() as answer:
        assert await client.create("before") == 201
        await next_event(answer, "before")
        client.proxy.inject(Fault(kind="expire", verb="watch", times=2))
        lines = (await answer.read()).splitlines()
    for text in (lines[-1], await _last_line(client)):
        event = json.loads(text)
        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    async with client.watch() as answer:
        assert (await next_event(answer, "before"))["type"] == "ADDED"


async def _last_line(client: Client) -> bytes:
    async with client.watch() as answer:
        return (await answer.read()).splitlines()[-1]


async def test_blackhole_swallows_requests_and_silences_open_watches(client: Client) -> None:
    async with client.watch() as answer:
        assert await client.create("heard") == 201
        await next_event(answer, "heard")
        client.proxy.inject(Fault(kind="blackhole"))
        assert await client.create("unheard") == 201
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "swallowed"}})
        client.proxy.clear()
        assert (await client.ask("GET", f"{CONFIG_MAPS}/swallowed"))[0] == 404
        assert not answer.content.at_eof()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await next_event(answer, "unheard")
    async with client.watch() as answer:
        assert (await next_event(answer, "unheard"))["type"] == "ADDED"


async def test_blackhole_loses_the_answer_to_what_is_on_its_way(client: Client, breakable: Playground) -> None:
    breakable.pause("m1")
    asking = asyncio.create_task(client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "carried-out"}}))
    opening = asyncio.create_task(_last_line(client))
    await client.proxy.until(lambda _: client.proxy.pending() == 2)
    client.proxy.inject(Fault(kind="blackhole"))
    breakable.resume("m1")
    await client.proxy.until(lambda log: len(log) == 2)
    client.proxy.clear()
    assert (await client.ask("GET", f"{CONFIG_MAPS}/carried-out"))[0] == 200
    assert not asking.done()
    assert not opening.done()
    for task in (asking, opening):
        task.cancel()


async def test_mute_carries_the_write_out_and_never_answers(client: Client) -> None:
    client.proxy.inject(Fault(kind="mute", verb="create", times=1))
    asking = asyncio.create_task(client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "made"}}))
    await client.proxy.until(lambda log: len(log.writes()) == 1)
    assert (await client.ask("GET", f"{CONFIG_MAPS}/made"))[0] == 200
    assert not asking.done()
    asking.cancel()


async def test_refuse_closes_everything_and_clear_opens_the_same_port(client: Client) -> None:
    url = client.proxy.url
    async with client.watch() as answer:
        client.proxy.inject(Fault(kind="refuse"))
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await answer.content.read()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.ask("GET", CONFIG_MAPS)
    client.proxy.clear()
    assert client.proxy.url == url
    assert (await client.ask("GET", CONFIG_MAPS))[0] == 200


async def test_a_dead_api_server_is_a_broken_connection(breakable: Playground, client: Client) -> None:
    async with client.watch() as answer:
        assert await client.create("alive") == 201
        await next_event(answer, "alive")
        breakable.kill("m1")
        await rest_of(answer)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await client.ask("POST", CONFIG_MAPS, {"metadata": {"name": "no"}})
    breakable.restart("m1")
    assert (await client.ask("GET", f"{CONFIG_MAPS}/alive"))[0] == 200


async def test_a_kubeconfig_of_the_proxy_leads_through_it(client: Client, trust: ssl.SSLContext) -> None:
    seen = client.proxy.cluster
    code, _ = await asyncio.to_thread(access.request, seen, "GET", "/version", trust)
    assert code == 200
    assert [each.path for each in client.proxy.requests] == ["/version"]
    assert seen.url.encode() in access.kubeconfig([seen])
