"""A collection that a standby has followed: it is taken in as a list, and its watch goes on from there."""

import asyncio
import contextlib
from typing import Any, cast

import orjson
import pytest

from federation.kube import decoding
from federation.kube.connection import Connection
from federation.kube.reflector import Reflector
from federation.kube.watches import Watches
from federation.model.failures import FailureKind
from federation.model.resources import Resource
from tests.unit.kube.test_reflector import Server, Sink, event, item, listed, refused
from tests.unit.virtualtime import virtual

THINGS = Resource("", "v1", "Thing", "things", namespaced=False)


def kept(*names: str, version: str) -> dict[str, tuple[list[Any], str]]:
    items = [decoding.metadata(orjson.dumps(item(name, 5))) for name in names]
    return {"/api/v1/things": (items, version)}


async def follow(reflector: Reflector[Any], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await reflector.run()


@virtual
async def test_it_is_not_listed_and_its_watch_goes_on() -> None:
    server = Server([listed("90")], [[event("ADDED", item("c", 43)), 3600.0]])
    hub, sink = Watches(cast("Connection", server), "system", kept("a", "b", version="40")), Sink()
    reflector = hub.metadata(THINGS, sink)
    await follow(reflector, 5)
    assert server.verbs() == ["watch@40"]
    assert sink.reported == ["=a,b", "+c@43"]
    assert reflector.synced
    assert reflector.version == "43"


@virtual
async def test_it_is_taken_once_and_others_are_listed() -> None:
    server = Server([listed("90", item("z", 80))])
    hub = Watches(cast("Connection", server), "system", kept("a", version="40"))
    await follow(hub.metadata(THINGS, Sink()), 5)
    await follow(hub.metadata(THINGS, Sink()), 5)
    assert server.verbs() == ["watch@40", "list", "watch@90"]


@virtual
async def test_what_is_forgotten_is_listed() -> None:
    server = Server([listed("90")])
    hub = Watches(cast("Connection", server), "system", kept("a", version="40"))
    hub.forget()
    await follow(hub.metadata(THINGS, Sink()), 5)
    assert server.verbs() == ["list", "watch@90"]


@pytest.mark.parametrize("renewed", [False, True], ids=["too old", "of a hub that was restored"])
def test_what_is_too_old_is_listed(renewed: bool) -> None:
    @virtual
    async def test() -> None:
        server = Server([listed("90", item("z", 80))], [refused(FailureKind.EXPIRED), [3600.0]])
        hub, sink = Watches(cast("Connection", server), "system", kept("a", version="40")), Sink()
        reflector = hub.metadata(THINGS, sink)
        if renewed:
            reflector.renew()
        await follow(reflector, 60)
        assert server.verbs()[: 2 - renewed] == ["watch@40", "list"][renewed:]
        assert sink.holds == {"z": "80"}

    test()
