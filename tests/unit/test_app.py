"""The composition root's own decisions: what is processed before any worker runs, and what a signal interrupts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation import app, composition, processes
from federation.controllers.world import TypeState
from federation.core.restoration import Hold
from federation.core.shards import Shard
from federation.kube.connection import Answer, Connection
from federation.kube.endpoint import Endpoint
from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.federated import Metadata
from federation.model.resources import KUBEFED_CLUSTERS
from federation.model.settings import Settings
from federation.runtime import draining, metrics
from federation.runtime.keyqueue import KeyQueue
from tests.unit.controllers.rig import CONFIGMAPS
from tests.unit.virtualtime import settle, virtual


@virtual
async def test_one_bad_object_does_not_keep_the_rest_from_starting() -> None:
    queue: KeyQueue[str] = KeyQueue()
    done: list[str] = []

    async def process(name: str) -> None:
        if name == "refused":
            raise ApiFailure(Failure(FailureKind.UNAVAILABLE, "503"), "status")
        if name == "poison":
            raise ValueError("a bug")
        done.append(name)

    for name in ("poison", "refused", "fine"):
        queue.add(name)
    with capture_logs() as logs:
        await draining.drain(queue, process)
    assert done == ["fine"]
    assert [entry["event"] for entry in logs] == ["will be tried again", "will be tried again"]
    assert (queue.idle, queue.later) == (True, 2)
    await asyncio.sleep(2)
    assert {queue.take_nowait(), queue.take_nowait()} == {"poison", "refused"}


@virtual
async def test_what_is_processed_at_the_start_lets_others_have_their_turn() -> None:
    """Thousands of clusters of which none waits for anything; and what always comes back does not hold up the start."""
    queue: KeyQueue[str] = KeyQueue()
    order: list[str] = []

    async def process(name: str) -> None:
        order.append("start")
        queue.add(name)

    async def others() -> None:
        while True:
            order.append("other")
            await asyncio.sleep(0)

    for number in range(3 * draining.DRAINED):
        queue.add(str(number))
    task = asyncio.create_task(others())
    await draining.drain(queue, process)
    task.cancel()
    turns = [len(turn) for turn in "".join(each[0] for each in order).split("o") if turn]
    assert turns == [draining.DRAINED] * 3
    assert len(queue) == 3 * draining.DRAINED


@virtual
async def test_types_are_processed_together_at_the_start() -> None:
    """Each waits for the hub; one after the other, each would wait for all that the members do meanwhile, too."""
    queue: KeyQueue[str] = KeyQueue()
    done: list[str] = []

    async def process(name: str) -> None:
        await asyncio.sleep(1)
        if name == "poison":
            raise ValueError("a bug")
        done.append(name)

    for name in ("poison", "a", "b", "c"):
        queue.add(name)
    began = asyncio.get_running_loop().time()
    with capture_logs():
        await draining.drain_together(queue, process)
    assert sorted(done) == ["a", "b", "c"]
    assert asyncio.get_running_loop().time() - began < 2
    assert (queue.idle, queue.later) == (True, 1)


@virtual
async def test_a_signal_ends_a_start_that_waits() -> None:
    stop = asyncio.Event()
    stopping = asyncio.create_task(processes.until(stop))
    ended: list[str] = []

    async def start() -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("start")
        return "started"

    asyncio.get_running_loop().call_later(5, stop.set)
    assert await processes.first(start(), stopping) is None
    assert ended == ["start"]
    assert asyncio.get_running_loop().time() == pytest.approx(5)


@virtual
async def test_a_start_that_ends_or_fails_before_is_what_it_is() -> None:
    stopping = asyncio.create_task(processes.until(asyncio.Event()))

    async def start() -> str:
        await asyncio.sleep(1)
        return "started"

    async def fail() -> str:
        raise ValueError("a bug")

    assert await processes.first(start(), stopping) == "started"
    with pytest.raises(ValueError, match="a bug"):
        await processes.first(fail(), stopping)
    stopping.cancel()


class Hub(Connection):
    """A connection to a hub that answers nothing but events, with 201 or after a second with 503."""

    def __init__(self, *, accepts: bool) -> None:
        super().__init__("hub", Endpoint(server="https://hub.invalid"))
        self.accepts = accepts
        self.posted: list[str] = []

    async def request(self, method: str, path: str, *_: Any, **__: Any) -> Answer | Failure:
        await asyncio.sleep(1)
        if not self.accepts:
            return Failure(FailureKind.UNAVAILABLE, "503", 503)
        self.posted.append(f"{method} {path}")
        return Answer(201, b"{}")


@pytest.mark.parametrize("accepts", [True, False], ids=["accepted", "away"])
def test_a_controller_that_is_stopped_posts_its_events_and_counts_those_that_are_lost(accepts: bool) -> None:
    @virtual
    async def test() -> None:
        hub = Hub(accepts=accepts)
        controller = composition.Controller(hub, "uid", "system")
        controller.events.about(KUBEFED_CLUSTERS, Metadata("east", "system"), "Warning", "Why", "because")
        with capture_logs() as logs:
            await controller.stop()
        assert hub.posted == ["POST /api/v1/namespaces/system/events"] * accepts
        assert [entry["events_lost"] for entry in logs if entry["event"] == "controller stopped"] == [not accepts]
        assert asyncio.get_running_loop().time() < 10

    test()


@virtual
async def test_controllers_of_one_process_show_their_numbers_together() -> None:
    """Of several shards one process may hold some: what one shows must not hide what another has."""
    several = [composition.Controller(Hub(accepts=True), "uid", "system", shard=Shard(each, 3)) for each in range(3)]
    for controller in several:
        controller._show()
    assert metrics.HUB_RESTORED.value() == metrics.DELETIONS_HELD.value() == 0
    several[0].world.recovery = Hold("1", "2026-01-01T00:00:00Z", "why")
    needed = [each._capacity.needed for each in several]
    assert metrics.HUB_RESTORED.value() == 1
    assert metrics.CONNECTIONS_NEEDED.value() == sum(needed) > max(needed)
    for controller in several:
        await controller.stop()
        await controller.close()
    assert metrics.HUB_RESTORED.value() == metrics.CONNECTIONS_NEEDED.value() == 0


@virtual
async def test_other_settings_change_how_many_objects_are_in_work() -> None:
    controller = composition.Controller(Hub(accepts=True), "uid", "system")
    controller.started = True
    sizes = []
    for concurrency in (16, 2, 5):
        controller.world.settings = Settings(sync_concurrency=concurrency)
        controller._reconfigured()
        await settle()
        sizes.append(len(controller._syncing))
    assert sizes == [16, 2, 5]
    for number in range(2, 5):  # of each type so many, as in KubeFed
        controller.world.types[f"t{number}"] = TypeState(CONFIGMAPS)
        controller.types.counted()
        await settle()
        sizes.append(len(controller._syncing))
    await controller.stop()
    assert sizes[3:] == [5, 10, 15]


def test_a_controller_that_cannot_start_says_why_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, so that its pod is started anew, and the log names what is wrong."""
    monkeypatch.setattr("federation.app.logs.configure", lambda **_: None)
    monkeypatch.setattr("federation.processes.openfiles.raise_limit", lambda: None)
    missing = tmp_path / "kubeconfig"
    with capture_logs() as logs:
        assert app.main(app.Options(kubeconfig=str(missing), metrics_address="0", health_address="0")) == 1
    last = logs[-1]
    assert (last["log_level"], last["event"]) == ("error", "controller cannot start")
    assert str(missing) in last["reason"]
