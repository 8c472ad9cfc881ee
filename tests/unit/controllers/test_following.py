"""Types change while members are probed: in the end every member follows exactly what is enabled, and nothing else.

Probes take their time, discovery too, members fail and come back, and FederatedTypeConfigs are switched on and off,
changed and deleted at any moment in between.
"""

import asyncio
import random
from typing import Any

import pytest

from federation.controllers.copies import Copies
from federation.controllers.following import Following
from federation.controllers.membertriggers import CopiesSink
from federation.controllers.ports import Discovered
from federation.model.failures import Failure, FailureKind
from tests.unit.controllers.fleet import FakeWatch, Fleet, Serves, Site
from tests.unit.controllers.test_types import Enabled
from tests.unit.virtualtime import virtual

pytestmark = pytest.mark.usefixtures("slow_to_close")
MEMBERS = 40
CHANGES = 60
DOWN = Failure(FailureKind.UNREACHABLE, "cannot connect")
SERVED = {("apps", "deployments"): ("v1", "v1beta1"), ("example.com", "widgets"): ("v2",)}


@pytest.fixture
def slow_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a watch's connection takes a while: much can happen before all members have ended theirs."""
    monkeypatch.setattr(FakeWatch, "closing", 0.05)


def spec(kind: str, plural: str, group: str, version: str) -> dict[str, Any]:
    """A FederatedTypeConfig's types."""
    federated = {"group": "types.kubefed.io", "version": "v1beta1", "kind": f"Federated{kind}", "scope": "Namespaced"}
    target = {"group": group, "version": version, "kind": kind, "pluralName": plural, "scope": "Namespaced"}
    return {"targetType": target, "federatedType": {**federated, "pluralName": f"federated{plural}"}}


TYPES = {
    "configmaps": ("ConfigMap", "configmaps", "", ("v1", "v2")),
    "secrets": ("Secret", "secrets", "", ("v1", "v2")),
    "deployments.apps": ("Deployment", "deployments", "apps", ("v1", "v1beta1")),
    "widgets.example.com": ("Widget", "widgets", "example.com", ("v1", "v2")),
}


def change(made: Enabled, roll: random.Random) -> None:
    """Somebody enables, changes, disables or deletes one type."""
    name = roll.choice(list(TYPES))
    kind, plural, group, versions = TYPES[name]
    if roll.random() < 0.25:
        made.delete(name) if made.stored(name) is not None else None
    else:
        propagation = roll.choice(["Enabled", "Enabled", "Enabled", "Disabled"])
        made.config(name, propagation=propagation, **spec(kind, plural, group, roll.choice(versions)))


def upset(site: Site, name: str, roll: random.Random) -> None:
    """A member is slow, away, or serves other versions."""
    site.takes = roll.choice([0.0, 0.01, 0.3, 1.0])
    site.identity = DOWN if roll.random() < 0.1 else f"uid-{name}"
    site.serves = Serves(SERVED if roll.random() < 0.8 else {**SERVED, ("example.com", "widgets"): ("v1", "v2")})


def check(made: Enabled) -> None:
    """Every member follows every enabled type once, for the state that it is now."""
    world = made.fleet.world
    for gate in made.fleet.gates:
        running = [watch for watch in gate.opened if watch.running]
        assert sorted(watch.enabled.name for watch in running) == sorted(world.types)
        for watch in running:
            assert isinstance(watch.sink, CopiesSink)
            assert watch.sink._state is world.types[watch.enabled.name]
    for state in world.types.values():
        assert set(state.copies) == set(world.members)
        assert all(isinstance(each, Copies) and each.objects.synced for each in state.copies.values())


@pytest.mark.parametrize("seed", range(6))
def test_many_changes_while_many_members_are_probed(seed: int) -> None:
    @virtual
    async def test() -> None:
        roll = random.Random(seed)
        async with Fleet() as fleet:
            sites = {f"m{number}": fleet.join(f"m{number}") for number in range(MEMBERS)}
            for name, site in sites.items():
                upset(site, name, roll)
            made = Enabled(fleet)
            for _ in range(CHANGES):
                change(made, roll)
                name = roll.choice(list(sites))
                upset(sites[name], name, roll)
                if roll.random() < 0.2 and name in fleet.clusters._joined:
                    fleet.clusters._joined[name].kick()
                await asyncio.sleep(roll.choice([0.0, 0.0, 0.01, 0.1, 1.0, 5.0]))
            for name, site in sites.items():
                site.identity, site.serves = f"uid-{name}", Serves(SERVED)
            await asyncio.sleep(60)
            check(made)
            made.delete("configmaps") if made.stored() is not None else made.config()
            await asyncio.sleep(1)
            check(made)
            await made.types.close()

    test()


@virtual
async def test_a_type_changed_while_it_stops_is_followed_as_what_it_is_now() -> None:
    """The fault as it was seen: a probe that ends between stop and start follows the type that is going."""
    async with Fleet() as fleet:
        for number in range(30):
            site = fleet.join(f"m{number}")
            site.takes = 0.01 * number
        made = Enabled(fleet)
        for round_ in range(20):
            made.config(**spec("ConfigMap", "configmaps", "", ("v1", "v2")[round_ % 2]))
            for joined in fleet.clusters._joined.values():
                joined.kick()
            await asyncio.sleep(0.05 + 0.013 * round_)
        await asyncio.sleep(30)
        check(made)
        await made.types.close()


@virtual
async def test_a_type_enabled_while_discovery_is_read_is_looked_for_too() -> None:
    async with Fleet() as fleet:
        site = fleet.join()
        site.serves = Serves({("example.com", "widgets"): ("v2",), ("apps", "deployments"): ("v1",)})
        made = Enabled(fleet)
        made.config("deployments.apps", **spec("Deployment", "deployments", "apps", "v1"))
        await asyncio.sleep(1)
        gate = fleet.gates[0]
        reading = asyncio.Event()
        answer = gate.discover

        async def slowly() -> Discovered | Failure | None:
            found = Serves({("apps", "deployments"): ("v1",)})
            reading.set()
            await asyncio.sleep(1)
            gate.discover = answer  # type: ignore[method-assign]
            return found

        gate.discover = slowly  # type: ignore[method-assign]
        fleet.clusters._joined["m1"].access._discovery.begin()
        fleet.clusters._joined["m1"].kick()
        await reading.wait()
        made.config("widgets.example.com", **spec("Widget", "widgets", "example.com", "v1"))
        await asyncio.sleep(5)
        assert fleet.world.types["widgets.example.com"].copies["m1"].served == ("v2",)
        assert isinstance(fleet.clusters._joined["m1"].access._following, Following)
        await made.types.close()
