"""The status reaches the hub although a cluster's remoteStatus does not fit the hub's schema of it."""

import functools
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
import pytest

from federation.controllers import statuswrites
from federation.controllers.events import Events
from federation.controllers.statuswrites import StatusUpdate
from federation.controllers.sync import Sync
from federation.controllers.tracks import Track
from federation.controllers.world import TypeState, World
from federation.core import budget, summary
from federation.model.conditions import PropagationStatus, Reason
from federation.model.failures import Cause, Failure, FailureKind
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.observations import Applied
from federation.model.plan import Action, Keep, Plan, Wait
from federation.model.resources import Key, ObjectName, Resource
from federation.model.status import ClusterStatus, Status
from federation.runtime.keyqueue import KeyQueue

NOW = "2026-01-01T00:00:00Z"
PRINT = "abcdefgh.ijklmnop"
APPLIED = Applied("abcdefgh", "ijklmnop")
DONE = Metadata("web", "shop", "u", "2")


def line(name: str, remote: object = None, **more: str) -> ClusterStatus:
    raw = msgspec.UNSET if remote is None else msgspec.Raw(orjson.dumps(remote))
    return msgspec.structs.replace(ClusterStatus(name, fingerprint=PRINT, remote_status=raw), **more)


def invalid(*fields: str, kind: FailureKind = FailureKind.INVALID) -> Failure:
    return Failure(kind, "refused", 422, causes=tuple(Cause(field) for field in fields))


fold = functools.partial(
    summary.fold, Status(), generation=3, reason=Reason.OK, message="", selected=frozenset(), now=NOW
)


def folded(lines: Sequence[ClusterStatus]) -> Status:
    return fold(clusters=lines)


class Hub:
    """Answers each write with the next of `answers`, then takes everything."""

    def __init__(self, *answers: Failure) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, object]] = []

    async def send(self, body: bytes) -> Metadata | Failure:
        self.bodies.append(orjson.loads(body))
        return self.answers.pop(0) if self.answers else DONE

    async def set_status(self, _: Resource, __: ObjectName, body: bytes) -> Metadata | Failure:
        return await self.send(body)

    async def set_finalizers(self, *_: Any) -> Metadata:
        raise AssertionError("no finalizer is missing")

    async def merge(self, *_: Any, **__: Any) -> Metadata:
        raise AssertionError("nothing else is written")

    async def create(self, *_: Any) -> None:
        raise AssertionError("nothing is created")

    async def read(self, *_: Any) -> StoredObject:
        raise AssertionError("nothing is missing")

    async def read_federated(self, *_: Any) -> FederatedObject:
        raise AssertionError("nothing is missing")

    async def written(self, *_: Any) -> list[str]:
        raise AssertionError("nothing is removed")

    async def read_metadata(self, *_: Any) -> Metadata:
        raise AssertionError("nothing is removed")

    async def list_metadata(self, *_: Any) -> list[Metadata]:
        raise AssertionError("nothing is removed")

    async def write(self, *lines: ClusterStatus) -> Status | Failure:
        return await statuswrites.write(self.send, StatusUpdate(Status(), lines, folded))


def remotes(written: Status | Failure) -> set[str]:
    assert isinstance(written, Status)
    return {each.name for each in written.clusters if each.remote_status is not msgspec.UNSET}


def messages(written: Status | Failure) -> dict[str, str]:
    assert isinstance(written, Status)
    return {each.name: budget.message_of(budget.by_name(written.clusters), each.name) for each in written.clusters}


async def test_one_write_where_everything_fits() -> None:
    hub = Hub()
    written = await hub.write(line("m1", {"replicas": 1}), line("m2"))
    assert len(hub.bodies) == 1
    assert remotes(written) == {"m1"}


async def test_the_odd_one_loses_its_own_and_no_other() -> None:
    hub = Hub(invalid("status.clusters[1].remoteStatus.replicas"))
    written = await hub.write(line("m3", {"replicas": 3}), line("m1", {"replicas": 1}), line("m2", {"replicas": "two"}))
    assert len(hub.bodies) == 2
    assert remotes(written) == {"m1", "m3"}
    assert messages(written) == {
        "m1": "",
        "m2": "its remoteStatus is left out: the hub refuses it at replicas",
        "m3": "",
    }


async def test_what_the_line_says_stays() -> None:
    hub = Hub(invalid("status.clusters[0].remoteStatus"))
    written = await hub.write(line("m1", 5, status=PropagationStatus.UPDATE_FAILED, message="quota"))
    assert messages(written) == {"m1": "its remoteStatus is left out: the hub refuses it; quota"}


async def test_refusals_one_after_the_other_end() -> None:
    hub = Hub(invalid("status.clusters[0].remoteStatus.a"), invalid("status.clusters[1].remoteStatus.a"))
    written = await hub.write(line("m1", {"a": 1}), line("m2", {"a": 2}), line("m3", {"a": 3}))
    assert len(hub.bodies) == 3
    assert remotes(written) == {"m3"}


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(invalid(kind=FailureKind.TOO_LARGE), id="too-large"),
        pytest.param(invalid(), id="without-causes"),
        pytest.param(invalid("status.clusters[7].remoteStatus"), id="a-line-that-is-not-there"),
        pytest.param(invalid("status.clusters[2].remoteStatus"), id="a-line-that-has-none"),
    ],
)
async def test_where_nobody_is_named_all_lose_theirs(refusal: Failure) -> None:
    hub = Hub(refusal)
    written = await hub.write(line("m1", {"a": 1}), line("m2", {"a": 2}), line("m3"))
    assert len(hub.bodies) == 2
    assert remotes(written) == set()


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        pytest.param([line("m1")], invalid("status.clusters[0].status"), id="no-remote-status"),
        pytest.param([line("m1", {})], Failure(FailureKind.TIMED_OUT, "no answer"), id="no-answer"),
        pytest.param([line("m1", {})], Failure(FailureKind.NOT_FOUND, "gone", 404), id="gone"),
    ],
)
async def test_other_refusals_are_the_callers(lines: list[ClusterStatus], refusal: Failure) -> None:
    hub = Hub(refusal)
    assert await hub.write(*lines) is refusal
    assert len(hub.bodies) == 1


async def test_a_hub_that_refuses_everything_is_asked_twice() -> None:
    hub = Hub(*[invalid("spec")] * 5)
    assert isinstance(await hub.write(line("m1", {}), line("m2", {})), Failure)
    assert len(hub.bodies) == 2


async def test_an_unchanged_status_writes_nothing() -> None:
    hub = Hub()
    before = await hub.write(line("m1"))
    assert isinstance(before, Status)
    again = await statuswrites.write(hub.send, StatusUpdate(before, [line("m1")], lambda lines: before))
    assert again is before
    assert len(hub.bodies) == 1


async def test_the_controller_writes_it_once_and_rests() -> None:
    """What KubeFed has left of a cluster that is silent, and a hub whose schema has changed since."""
    hub = Hub(invalid("status.clusters[1].remoteStatus.replicas"))
    configmaps = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
    state = TypeState(FederatedType("configmaps", configmaps, configmaps))
    name, key = ObjectName("shop", "web"), Key("configmaps", "shop", "web")
    state.objects.put(name, FederatedObject(Metadata("web", "shop", uid="uid", generation=2)))
    actions: dict[str, Action] = {
        "m1": Keep("digest", "entry"),
        "m2": Wait(PropagationStatus.PENDING, "not listed yet"),
    }
    plan = Plan(2, actions, selected=frozenset(actions))
    stored = Status(1, clusters=(line("m1", {"replicas": 1}), line("m2", {"replicas": 2})))
    track = state.tracks[name] = Track("uid", stored, {"m2": APPLIED}, plan, dict(actions), stale=False)
    queue: KeyQueue[Key] = KeyQueue()
    world = World(types={"configmaps": state})
    controller = Sync(world, hub, queue, now=lambda: NOW, events=Events(world, hub))

    await controller.process(key)

    assert len(hub.bodies) == 2
    assert remotes(track.status) == set()
    assert messages(track.status)["m2"] == "its remoteStatus is left out: the hub refuses it at replicas"
    for _ in range(3):
        await controller.process(key)
    assert len(hub.bodies) == 2
