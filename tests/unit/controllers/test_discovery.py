"""Members that serve other versions than the hub: read when there is a reason to, followed, mended by themselves."""

import asyncio
from dataclasses import replace

from federation.controllers.pacing import RETRY
from federation.controllers.servedversions import MISSING_PERIOD
from federation.controllers.tracks import Setback, Track
from federation.controllers.world import TypeState
from federation.core import summary
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.federated import FederatedType
from federation.model.observations import Missing
from federation.model.resources import Resource
from tests.unit.controllers.fleet import Fleet, Serves
from tests.unit.controllers.rig import CONFIGMAPS, WEB
from tests.unit.virtualtime import virtual

WIDGETS = FederatedType(
    "widgets.example.com",
    Resource("example.com", "v2", "Widget", "widgets", namespaced=True),
    Resource("types.kubefed.io", "v1beta1", "FederatedWidget", "federatedwidgets", namespaced=True),
    equivalent=("v2", "v1"),
)
NAME = WIDGETS.name
MISSING = Failure(FailureKind.TYPE_MISSING, "404: the member does not serve this group and version")


def serves(*versions: str) -> Serves:
    return Serves({("example.com", "widgets"): versions})


def trouble(fleet: Fleet) -> str:
    found = fleet.world.types[NAME].copies["m1"].unobservable
    return found.status.value if found is not None else ""


@virtual
async def test_an_idle_member_is_read_once() -> None:
    async with Fleet(CONFIGMAPS, WIDGETS) as fleet:
        fleet.join().serves = serves("v2")
        await asyncio.sleep(3600)
        assert fleet.gates[0].readings == 1
        copies = fleet.world.types[NAME].copies["m1"]
        assert (copies.served, copies.observe(WEB)) == (("v2",), Missing.ABSENT)
        assert fleet.gates[0].watches[NAME].enabled.target.version == "v2"


@virtual
async def test_core_types_alone_are_no_reason_to_read() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        fleet.join().serves = serves("v2")
        await asyncio.sleep(60)
        assert fleet.gates[0].readings == 0
        fleet.world.types[NAME] = TypeState(WIDGETS)
        fleet.clusters.follow(fleet.world.types[NAME])
        await asyncio.sleep(1)
        assert fleet.gates[0].readings == 1
        assert fleet.gates[0].watches[NAME].running


@virtual
async def test_a_member_that_lags_is_followed_in_its_version_and_then_in_the_new_one() -> None:
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = serves("v1")
        await asyncio.sleep(1)
        old = fleet.gates[0].watches[NAME]
        assert (old.enabled.target.version, old.running) == ("v1", True)
        site.serves = serves("v2")
        old.end()
        await asyncio.sleep(1)
        new = fleet.gates[0].watches[NAME]
        assert (new.enabled.target.version, new.running, old.running) == ("v2", True, False)
        assert fleet.world.types[NAME].target_in("m1").version == "v2"


@virtual
async def test_an_upgrade_to_another_version_is_no_trouble() -> None:
    """The old version's watch fails before discovery is read: no status reports the type as unavailable."""
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = serves("v1")
        await asyncio.sleep(1)
        seen: list[str] = []
        fleet.sync.changed = lambda *_, **__: seen.append(trouble(fleet))  # type: ignore[method-assign]
        site.serves = serves("v2")
        fleet.gates[0].watches[NAME].fail(MISSING)
        for _ in range(100):
            await asyncio.sleep(0.01)
            seen.append(trouble(fleet))
        assert fleet.gates[0].watches[NAME].enabled.target.version == "v2"
        assert set(seen) == {""}


@virtual
async def test_discovery_that_is_late_is_read_again() -> None:
    """A server serves a version first and says so a moment later."""
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = serves("v1")
        await asyncio.sleep(1)
        fleet.gates[0].watches[NAME].end()
        await asyncio.sleep(1)
        assert fleet.gates[0].readings == 2
        site.serves = serves("v2", "v1")
        await asyncio.sleep(15)
        assert fleet.gates[0].readings == 3
        assert fleet.gates[0].watches[NAME].enabled.target.version == "v2"
        await asyncio.sleep(600)
        assert fleet.gates[0].readings == 3


@virtual
async def test_a_missing_type_is_looked_for_until_it_comes_in_any_version() -> None:
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = serves()
        await asyncio.sleep(1)
        fleet.gates[0].watches[NAME].fail(MISSING)
        assert not trouble(fleet)  # another version may be served: discovery is asked before anything is reported
        await asyncio.sleep(1)
        assert trouble(fleet) == "VersionUnavailable"
        await asyncio.sleep(10 * MISSING_PERIOD)
        assert 9 <= fleet.gates[0].readings <= 13
        site.serves = serves("v1")
        await asyncio.sleep(MISSING_PERIOD + 12)
        watch = fleet.gates[0].watches[NAME]
        assert (watch.enabled.target.version, watch.running) == ("v1", True)


@virtual
async def test_what_the_old_definition_refused_for_good_is_tried_after_an_upgrade() -> None:
    async with Fleet(WIDGETS) as fleet:
        fleet.join().serves = serves("v2")
        await asyncio.sleep(1)
        state, now = fleet.world.types[NAME], asyncio.get_running_loop().time()
        track = state.tracks[WEB] = Track("f1", summary.parse(b""), {})
        setback = Setback(PropagationStatus.UPDATE_FAILED, "not declared", "digest", now + 960, 3, RETRY["never"])
        track.setbacks = {"m1": setback, "m2": replace(setback)}
        fleet.sync.retries.cluster("m1", NAME)
        assert setback.not_before == now + 960
        fleet.gates[0].watches[NAME].end()
        await asyncio.sleep(1)
        assert (setback.not_before < now + 2, setback.attempts) == (True, 0)
        assert track.setbacks["m2"].not_before == now + 960


@virtual
async def test_unreadable_discovery_hides_nothing() -> None:
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = Failure(FailureKind.TIMED_OUT, "no answer within 15 s")
        await asyncio.sleep(1)
        assert fleet.ready() is True
        watch = fleet.gates[0].watches[NAME]
        assert (watch.enabled.target.version, watch.running) == ("v2", True)
        site.serves = serves("v2")
        await asyncio.sleep(30)
        assert fleet.world.types[NAME].copies["m1"].served == ("v2",)


@virtual
async def test_nothing_of_a_type_is_where_discovery_and_lists_both_miss_it() -> None:
    """So that what was placed there can be deleted; each alone may be a server that has just started."""
    async with Fleet(WIDGETS) as fleet:
        fleet.join().serves = serves()
        await asyncio.sleep(1)
        copies = fleet.world.types[NAME].copies["m1"]
        copies.objects.synced = False
        assert copies.observe(WEB) is Missing.UNKNOWN
        fleet.gates[0].watches[NAME].fail(MISSING)
        await asyncio.sleep(1)
        assert copies.observe(WEB) is Missing.ABSENT
        copies.served = ("v1",)
        assert copies.observe(WEB) is Missing.UNKNOWN


@virtual
async def test_another_kubernetes_version_is_a_reason_to_read() -> None:
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = serves("v2")
        await asyncio.sleep(60)
        site.version = "v1.37.0"
        await asyncio.sleep(700)
        assert fleet.gates[0].readings == 3


@virtual
async def test_what_a_member_serves_is_read_again_after_another_cluster_answered_there() -> None:
    """With the other one's objects everything was forgotten, so also which versions are served."""
    async with Fleet(WIDGETS) as fleet:
        site = fleet.join()
        site.serves = serves("v1")
        await asyncio.sleep(30)
        site.identity = "uid-of-another"
        await asyncio.sleep(30)
        assert not fleet.ready()
        site.identity = "uid-m1"
        await asyncio.sleep(30)
        assert fleet.ready()
        assert fleet.world.types[NAME].copies["m1"].served == ("v1",)
        assert fleet.gates[0].watches[NAME].enabled.target.version == "v1"
