"""Lists of whatever size and shape, from servers that lie: bounded memory, a loop that turns, nobody left out.

What blocks the loop is told by CPU time between two turns of it, which other processes do not add to.
"""

import asyncio
import dataclasses
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.core import managedfields
from federation.core.managedfields import PartialMetadata
from federation.kube import decoding, listing, watches
from federation.kube.connection import Connection
from federation.kube.endpoint import Endpoint
from federation.kube.listing import Budget, Collection, Listed, Listing
from federation.model import bounds, marks
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType, Metadata
from federation.model.resources import Resource
from tests.unit.kube.servers import Handler, serving

US = "kubefed-0123abcd"
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
FEDERATED = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
HELD: Any = watches.copies(
    Connection("none", Endpoint("http://127.0.0.1:1")),
    FederatedType("configmaps", CONFIGMAPS, FEDERATED),
    None,  # type: ignore[arg-type]
    lambda _: None,
    lambda: None,
    manager=US,
).collection
BLOCKED = 1.0
"""Seconds of our own CPU between two turns of the loop: ten times what is allowed, for a machine that is shared."""


def item(name: str, size: int = 0, **metadata: Any) -> dict[str, Any]:
    annotations = {"pad": "x" * size} if size else {}
    return {
        "metadata": {"name": name, "namespace": "ns", "resourceVersion": "1", "annotations": annotations, **metadata}
    }


class Shelf:
    """A collection as an API server pages it; remembers every limit that it was asked with."""

    def __init__(self, items: list[bytes]) -> None:
        self.items = items
        self.limits: list[int] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        limit, start = int(request.query["limit"]), int(request.query.get("continue", "0"))
        self.limits.append(limit)
        more = str(start + limit) if start + limit < len(self.items) else ""
        head = orjson.dumps({"resourceVersion": "7", "continue": more})
        body = b'{"metadata":' + head + b',"items":[' + b",".join(self.items[start : start + limit]) + b"]}"
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def reading(handler: Handler, collection: Collection[Any] = HELD) -> AsyncIterator[Listing[Any]]:
    async with serving(handler) as url:
        connection = Connection("m1", Endpoint(url), largest=bounds.LARGEST_METADATA)
        try:
            yield Listing(connection, collection, lambda: None)
        finally:
            await connection.close()


class Turning:
    """Measures, while it is open, the longest time that our own work kept the loop from turning."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> "Turning":
        self._task = asyncio.create_task(self._turn())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _turn(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


def names(listed: Listed[Any] | Failure) -> list[str]:
    assert not isinstance(listed, Failure), listed.message
    return [each.name for each in listed.items]


async def test_pages_become_smaller_where_objects_are_large_and_larger_again() -> None:
    """120 objects of 300 kB stand between 1,000 small ones: nobody is left out, no page is larger than 4 MiB."""
    items = [orjson.dumps(item(f"n{at}", 300_000 if 500 <= at < 620 else 0)) for at in range(1_120)]
    shelf = Shelf(items)
    async with reading(shelf) as listed:
        assert names(await listed.read()) == [f"n{at}" for at in range(1_120)]
        assert min(shelf.limits) < 16
        assert shelf.limits[-1] > 16
        assert await listed.newest() == "7"


async def test_one_object_larger_than_any_is_the_trouble_and_is_said() -> None:
    items = [orjson.dumps(item("a")), orjson.dumps(item("b", bounds.LARGEST_METADATA + 1)), orjson.dumps(item("c"))]
    async with reading(Shelf(items)) as listed:
        failure = await listed.read()
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.UNEXPECTED
    assert "an object of more than 4 MiB" in failure.message


async def test_odd_objects_are_in_the_list_like_all_others() -> None:
    """Too deep for any decoder, of wrong types, hardly text: each is there, with a reason; what follows is whole."""
    deep = b'{"metadata":{"name":"deep","managedFields":[{"manager":"x","fieldsV1":%s}]}}' % (
        b'{"f:a":' * 1_100 + b"{}" + b"}" * 1_100
    )
    odd = [
        orjson.dumps(item("good")),
        deep,
        orjson.dumps(item("labels", labels={marks.MANAGED_LABEL: 1})),
        b'{"metadata":{"name":"text","uid":"\xff"}}',
        orjson.dumps(item("last")),
    ]
    async with reading(Shelf(odd)) as listed:
        found = await listed.read()
    assert names(found) == ["good", "deep", "labels", "text", "last"]
    assert not isinstance(found, Failure)
    assert [bool(each.broken) for each in found.items] == [False, False, True, True, False]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"[" * 100_000, id="brackets"),
        pytest.param(b'{"metadata":' * 100_000, id="maps"),
        pytest.param(b'{"items":[]}', id="no-metadata"),
        pytest.param(b'{"metadata":{"resourceVersion":"1"},"items":[null]}', id="null-in-it"),
        pytest.param(b'{"metadata":{"resourceVersion":"1"},"items":[{}]}', id="no-name"),
        pytest.param(b'{"metadata":{"resourceVersion":"1"},"items":7}', id="items-a-number"),
        pytest.param(b'{"metadata":{"resourceVersion":7},"items":[]}', id="version-a-number"),
        pytest.param(
            b'{"metadata":{"resourceVersion":"1"},"items":[' + b"1," * (1 << 20) + b"1]}", id="a-million-ones"
        ),
        pytest.param(b'{"metadata":{"resourceVersion":"1"},"items":[' + b"{}," * 600_000 + b"{}]}", id="empty-maps"),
        pytest.param(
            b'{"metadata":{"resourceVersion":"1"},"items":[' + b'{"":1},' * 250_000 + b"{}]}", id="small-maps"
        ),
        pytest.param(b'{"metadata":{"resourceVersion":"1"},"items":[' + b"[[]]," * 300_000 + b"1]}", id="lists"),
        pytest.param(b'{"metadata":{"resourceVersion":"1"},"items":["' + b'\\"' * (1 << 20), id="an-endless-string"),
        pytest.param(b"\xff" * (1 << 20), id="no-text"),
    ],
)
async def test_what_is_no_list_is_a_failure_and_keeps_nobody(body: bytes) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with reading(handler) as listed, Turning() as turning:
        outcome = await listed.read()
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.UNEXPECTED
    assert outcome.message.isprintable()
    assert len(outcome.message) < 500
    assert turning.longest < BLOCKED


async def test_of_a_members_list_little_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations, labels and other people's field sets of 2,000 objects, 70 MB in all, go as they come."""
    ours = {"manager": US, "operation": "Apply", "fieldsV1": {"f:data": {}}}
    theirs = {"manager": "x", "operation": "Update", "fieldsV1": {f"f:{at}": {} for at in range(1_000)}}
    entries = {"managedFields": [theirs, ours], "labels": {marks.MANAGED_LABEL: "true", "pad": "y" * 10_000}}
    items = [orjson.dumps(item(f"n{at}", 10_000, **entries)) for at in range(2_000)]
    async with reading(Shelf(items)) as listed:
        gc.collect()
        tracemalloc.start()
        found = await listed.read()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert len(names(found)) == 2_000
    assert held < 10 << 20
    assert not isinstance(found, Failure)
    whole = decoding.partial(items[0])
    assert managedfields.observe(found.items[0], US) == managedfields.observe(whole, US)
    monkeypatch.setattr(bounds, "LARGEST_BUFFERED", 100_000)
    async with reading(Shelf(items)) as listed:
        refused = await listed.read()
    assert isinstance(refused, Failure)
    assert "a list of more than" in refused.message


async def test_many_objects_are_decoded_in_slices() -> None:
    """20,000 objects in pages of 500: other tasks have many turns, and none waits for long."""
    items = [orjson.dumps(item(f"n{at}")) for at in range(20_000)]
    async with reading(Shelf(items)) as listed, Turning() as turning:
        assert len(names(await listed.read())) == 20_000
    assert turning.longest < BLOCKED


async def test_large_pages_of_one_server_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten types at once, 3 MB in each page: what is under way together is one large page and ten ordinary ones."""
    monkeypatch.setattr(bounds, "ORDINARY_PAGE", 1 << 20)
    asked = together = most = 0
    body = orjson.dumps({"metadata": {"resourceVersion": "1"}, "items": [item("a", 3 << 20)]})

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked, together, most
        asked += 1
        large = asked > 10  # the first ten are refused as more than an ordinary page
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(body[: 2 << 20])
            together += large
            most = max(most, together)
            await asyncio.sleep(0.02)
            await response.write(body[2 << 20 :])
        except ConnectionError:
            return response  # more than an ordinary page
        finally:
            together -= large
        return response

    async with serving(handler) as url:
        connection = Connection("m1", Endpoint(url), largest=bounds.LARGEST_METADATA)
        found = await asyncio.gather(*(Listing(connection, HELD, lambda: None).read() for _ in range(10)))
        await connection.close()
    assert [names(each) for each in found] == [["a"]] * 10
    assert (asked, most) == (20, 1)


async def test_a_hub_list_with_one_poison_has_all_the_others() -> None:
    collection: Collection[Metadata] = Collection(
        path="/x", decode=decoding.metadata, version=lambda each: each.resource_version, what="things"
    )
    items = [orjson.dumps(item(f"n{at}")) for at in range(50)]
    items[25] = items[25][:-1] + b',"spec":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    async with reading(Shelf(items), collection) as listed:
        assert names(await listed.read()) == [f"n{at}" for at in range(50)]


def test_what_is_kept_of_an_object_decides_as_the_whole_would() -> None:
    entries = [
        {"manager": US, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kubefed-99999999", "operation": "Apply", "fieldsV1": {}},
        {"manager": "kubefed-88888888-claim", "operation": "Apply", "fieldsV1": {}},
        {"manager": f"{US}-claim", "operation": "Apply", "fieldsV1": {}},
        {
            "manager": "kubefed",
            "operation": "Update",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:kubefed.io/managed": {}}}},
        },
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {}}},
        {"manager": US, "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    for count in range(1 << len(entries)):
        chosen = [entry for at, entry in enumerate(entries) if count >> at & 1]
        whole: PartialMetadata = decoding.partial(
            orjson.dumps(item("n", labels={marks.MANAGED_LABEL: "true", "a": "b"}, managedFields=chosen))
        )
        assert managedfields.observe(decoding.kept(whole, US)[0], US) == managedfields.observe(whole, US)


def test_limits_stand_in_order() -> None:
    assert bounds.ORDINARY_PAGE < bounds.LARGEST_PAGE <= bounds.LARGEST_METADATA < bounds.LARGEST_OBJECT
    assert listing.MOST_PAGES * bounds.PAGE > 1_000_000


async def test_all_lists_of_one_member_share_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty types of large lists are as much as one: what does not fit is refused in words, until there is room."""
    monkeypatch.setattr(bounds, "LARGEST_MEMBER", 250_000)
    budget = Budget()
    shelf = Shelf([orjson.dumps(item(f"n{at}")) for at in range(100)])  # 100 kB or more are kept of it
    others = 0
    collection = dataclasses.replace(HELD, budget=budget, remembered=lambda: (10**9, others))
    async with serving(shelf) as url:
        connection = Connection("m1", Endpoint(url), largest=bounds.LARGEST_METADATA)
        lists: list[Listing[Any]] = [Listing(connection, collection, lambda: None) for _ in range(3)]
        found = [await each.read() for each in lists]
        refused = found[2]
        assert [len(names(each)) for each in found[:2]] == [100, 100]
        assert isinstance(refused, Failure)
        assert refused.kind is FailureKind.TOO_MUCH
        assert "configmaps: there are too many labelled objects in this cluster" in refused.message
        assert refused.retry_after == bounds.LONGEST_WAIT
        lists[2].end()
        lists[0].end()
        assert len(names(await lists[2].read())) == 100
        for each in lists:
            each.end()
        assert budget.buffered == 0
        others = 200_000  # what other types' objects take is not to be had either; its own are replaced
        assert isinstance(await lists[0].read(), Failure)
        others = 100_000
        assert len(names(await lists[0].read())) == 100
        other_member: Listing[Any] = Listing(connection, dataclasses.replace(HELD, budget=Budget()), lambda: None)
        assert len(names(await other_member.read())) == 100
        await connection.close()
