"""When a refused or unconfirmed action is tried again: no wait is lost, none outlives its reason."""

import asyncio
import itertools
import time
from typing import Any

import pytest

from federation.controllers import pacing, sync
from federation.controllers.events import Events
from federation.controllers.tracks import Leaving, Setback, Track
from federation.controllers.world import TypeState, World
from federation.core import planning
from federation.core.facts import Facts
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedObject, FederatedType, Metadata, StoredObject
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Plan
from federation.model.resources import Key, ObjectName, Resource
from federation.model.status import Status
from federation.runtime.keyqueue import KeyQueue
from tests.unit.controllers.rig import Rig
from tests.unit.virtualtime import virtual

KEY = Key("configmaps", "shop", "settings")
APPLY = Apply(b"{}", "digest", "v1")
DELETE = Delete("uid-1")
CLAIM = Claim("uid-1", "kubefed-99999999")
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
FEDERATED = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)


class Hub:
    """A hub that stores every status."""

    async def set_finalizers(self, *_: Any) -> Metadata:
        raise AssertionError("no finalizer is missing")

    async def set_status(self, *_: Any) -> Metadata:
        return Metadata("settings", "shop")

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


def track(action: Action, **facts: Any) -> Track:
    return Track("uid", Status(), {}, Plan(1, {"m1": action}), {"m1": action}, stale=False, **facts)


def setback(not_before: float, digest: str = "digest", pace: tuple[float, float] = (0.5, 60.0)) -> Setback:
    return Setback(PropagationStatus.UPDATE_FAILED, "no", digest, not_before, 7, pace)


def made(one: Track) -> tuple[sync.Sync, KeyQueue[Key]]:
    """A controller that knows one object with this track."""
    state = TypeState(FederatedType("configmaps", CONFIGMAPS, FEDERATED))
    name = ObjectName("shop", "settings")
    state.objects.put(name, FederatedObject(Metadata("settings", "shop", uid="uid", generation=1)))
    state.tracks[name] = one
    queue: KeyQueue[Key] = KeyQueue()
    world, hub = World(types={"configmaps": state}), Hub()
    return sync.Sync(world, hub, queue, now=lambda: "2026-01-01T00:00:00Z", events=Events(world, hub)), queue


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(track(APPLY), None, id="nothing-came-of-it-yet"),
        pytest.param(track(APPLY, setbacks={"m1": setback(50.0)}), 50.0, id="refused"),
        pytest.param(track(APPLY, setbacks={"m1": setback(50.0, "older")}), None, id="refused-was-another-manifest"),
        pytest.param(track(APPLY, setbacks={"m1": setback(50.0)}, pending={"m1"}), None, id="under-way"),
        pytest.param(track(Keep("digest", "entry"), setbacks={"m1": setback(50.0)}), None, id="done"),
        pytest.param(track(DELETE, leaving={"m1": Leaving("uid-1", 50.0, 20.0)}), 70.0, id="delete-unconfirmed"),
        pytest.param(
            track(DELETE, leaving={"m1": Leaving("uid-1", 50.0, 10.0)}, pending={"m1"}),
            None,
            id="delete-sent-again-does-not-spin",
        ),
        pytest.param(
            track(DELETE, leaving={"m1": Leaving("uid-0", 50.0, 10.0)}), None, id="another-object-was-deleted"
        ),
        pytest.param(track(APPLY, leaving={"m1": Leaving("uid-1", 50.0, 10.0)}), None, id="wanted-again"),
        pytest.param(
            track(CLAIM, leaving={"m1": Leaving("uid-1", 50.0, 10.0)}), None, id="wanted-again-and-another-hubs"
        ),
        pytest.param(track(CLAIM, setbacks={"m1": setback(50.0, "uid-1")}), None, id="a-delete-failed-not-the-claim"),
        pytest.param(track(CLAIM, setbacks={"m1": setback(50.0, "claim uid-1")}), 50.0, id="the-claim-failed"),
        pytest.param(
            track(DELETE, leaving={"m1": Leaving("uid-1", 50.0, 10.0)}, setbacks={"m1": setback(90.0, "uid-1")}),
            90.0,
            id="the-later-of-two-waits",
        ),
    ],
)
def test_next_try(one: Track, expected: float | None) -> None:
    assert pacing.next_try(one) == expected


async def test_a_timer_that_was_set_for_an_earlier_wait_does_not_swallow_the_later_one() -> None:
    syncing, queue = made(track(APPLY, setbacks={"m1": setback(time.monotonic() + 1000)}))
    assert queue.later == 0  # the timer that brought the key here is spent
    await syncing.process(KEY)
    assert queue.later == 1


async def test_a_member_that_answers_again_is_tried_now() -> None:
    one = track(APPLY, setbacks={"m1": setback(time.monotonic() + 1000)})
    syncing, queue = made(one)
    syncing.retries.cluster("m1")
    assert queue.take_nowait() == KEY
    assert pacing.remaining_delay(APPLY, one, "m1", time.monotonic()) == 0.0
    assert one.setbacks["m1"].attempts == 0


@pytest.mark.parametrize(
    ("cluster", "type_name", "pace"),
    [
        pytest.param("m2", "", (0.5, 60.0), id="another-member"),
        pytest.param("m1", "secrets", (0.5, 60.0), id="another-type"),
        pytest.param("m1", "", pacing.RETRY["never"], id="a-manifest-that-is-wrong"),
    ],
)
async def test_other_waits_go_on(cluster: str, type_name: str, pace: tuple[float, float]) -> None:
    one = track(APPLY, setbacks={"m1": setback(time.monotonic() + 1000, pace=pace)})
    syncing, queue = made(one)
    syncing.retries.cluster(cluster, type_name)
    assert queue.take_nowait() is None
    assert pacing.remaining_delay(APPLY, one, "m1", time.monotonic()) > 900


@pytest.mark.parametrize("members", [20, 60])
@virtual
async def test_clusters_that_all_refuse_an_object_are_tried_again_together(members: int) -> None:
    """Each try plans the object for all of them: its cost must not grow with the square of the fleet."""
    names = [f"m{number}" for number in range(members)]
    denied = Failure(FailureKind.DENIED, "a policy says no")
    async with Rig(*names) as rig:
        for member in rig.members.values():
            member.fails = lambda verb, name: denied
        rig.put()
        with pytest.MonkeyPatch.context() as patch:
            plans, plan = [0.0], planning.plan

            def counted(facts: Facts) -> Plan:
                plans.append(time.monotonic())
                return plan(facts)

            patch.setattr(planning, "plan", counted)
            await asyncio.sleep(3600)
        assert len(plans) <= 60
        waits = [later - earlier for earlier, later in itertools.pairwise(plans)]
        assert max(waits) <= (1 + pacing.PATIENCE) * pacing.RETRY["slow"][1]
        assert {len(member.calls) for member in rig.members.values()} <= set(range(15, 40))
        for member in rig.members.values():
            member.fails = lambda verb, name: None
        await asyncio.sleep(500)
        assert set(rig.lines().values()) == {""}
