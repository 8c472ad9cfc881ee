"""Types, their versions, clusters, their places and their credentials change while members are probed and their watches
are opened. Afterwards exactly the right watches run, in every member and at the hub: none is blind, none is left over.
"""

import asyncio
import os
import random
from collections.abc import Mapping
from typing import Any

import pytest

from federation.controllers.collecting import StatusSink
from federation.controllers.membertriggers import CopiesSink
from federation.core import versions
from federation.model.failures import Failure, FailureKind
from federation.model.marks import IDENTITY_ANNOTATION
from federation.model.resources import KUBEFED_CLUSTERS, SECRETS, ObjectName
from tests.unit.controllers.fleet import SYSTEM, FakeWatch, Fleet, Serves, Site
from tests.unit.controllers.test_following import SERVED, TYPES, spec
from tests.unit.controllers.test_types import Enabled
from tests.unit.virtualtime import virtual

MEMBERS = 25
CHANGES = 80
SEEDS = int(os.environ.get("FEDERATION_SEEDS", "6"))
NAMES = [f"m{number}" for number in range(MEMBERS)]
MISSING = Failure(FailureKind.TYPE_MISSING, "404 page not found", 404)
SERVING: tuple[Mapping[tuple[str, str], tuple[str, ...] | None], ...] = (
    SERVED,
    {("apps", "deployments"): ("v1",), ("example.com", "widgets"): ("v1", "v2")},
    {("apps", "deployments"): ("v1beta1", "v1"), ("example.com", "widgets"): ()},
    {("apps", "deployments"): None, ("example.com", "widgets"): ("v1",)},
)
FAILURES = (
    Failure(FailureKind.UNREACHABLE, "cannot connect"),
    Failure(FailureKind.TIMED_OUT, "no answer within 3 s"),
    Failure(FailureKind.UNAUTHORIZED, "401", 401),
    Failure(FailureKind.TIMED_OUT, "late", late=True),
)


class Changing:
    """A fleet of which anything may change at any moment."""

    def __init__(self, fleet: Fleet, roll: random.Random) -> None:
        self.fleet, self.roll = fleet, roll
        self.made = Enabled(fleet)
        self.places: dict[str, str] = {}
        for name in NAMES:
            self.join(name)

    def site(self, name: str, place: str) -> Site:
        return self.fleet.sites.setdefault(place, Site(f"uid-{name}"))

    def join(self, name: str) -> None:
        """A KubeFedCluster, as whoever joins makes it."""
        place = self.places[name] = f"https://{name}-{self.roll.randrange(3)}"
        self.upset(self.site(name, place), name)
        self.fleet.secret(name, token=f"token-{self.roll.random()}")
        self.fleet.cluster(name, place)
        self.fleet.unbind(name)

    def unjoin(self, name: str) -> None:
        for resource, what in self.roll.sample([(KUBEFED_CLUSTERS, name), (SECRETS, f"{name}-secret")], 2):
            if self.fleet.hub.get(resource, ObjectName(SYSTEM, what)) is not None:
                self.fleet.hub.delete(resource, ObjectName(SYSTEM, what))

    def upset(self, site: Site, name: str) -> None:
        """A member is slow, away, somebody else, or serves other versions."""
        roll = self.roll
        site.takes = roll.choice([0.0, 0.01, 0.3, 2.0])
        identities: list[str | Failure] = [*[f"uid-{name}"] * 8, "uid-of-another", *FAILURES]
        site.identity = roll.choice(identities)
        site.serves = roll.choice([*[Serves(each) for each in SERVING], FAILURES[0], None])

    def change_type(self) -> None:
        name = self.roll.choice(list(TYPES))
        kind, plural, group, versions_ = TYPES[name]
        what: dict[str, Any] = spec(kind, plural, group, self.roll.choice(versions_))
        match self.roll.randrange(8):
            case 0 | 1:
                if self.made.stored(name) is not None:
                    self.made.delete(name)
                if self.roll.random() < 0.5:
                    self.made.config(name, **what)
            case 2:
                self.made.config(name, propagation="Disabled", **what)
            case 3:
                self.made.config(name, **{**what, "targetType": {"kind": 7}})
            case 6 | 7:
                self.made.config(name, **what, statusCollection=self.roll.choice(["Enabled", "Disabled"]))
            case 4:
                what["federatedType"]["version"] = self.roll.choice(["v1beta1", "v1beta2"])
                self.made.config(name, **what)
            case _:
                self.made.config(name, **what)

    def change_cluster(self) -> None:
        name = self.roll.choice(NAMES)
        fleet, roll = self.fleet, self.roll
        stored = fleet.hub.get(KUBEFED_CLUSTERS, ObjectName(SYSTEM, name))
        match roll.randrange(7):
            case 0:
                self.unjoin(name)
                if roll.random() < 0.6:
                    self.join(name)
            case 1 if stored is None or stored["metadata"].get("deletionTimestamp"):
                self.join(name)
            case 2:
                fleet.secret(name, token=f"token-{roll.random()}")
            case 3:
                self.join(name)  # another place, and credentials
            case 4:
                fleet.secret(name)  # no token in it
            case _:
                self.upset(self.site(name, self.places[name]), name)

    def change_watch(self) -> None:
        """The server ends a watch, or the type is not found, or found again."""
        gate = self.roll.choice(self.fleet.gates)
        running = [watch for watch in gate.opened if watch.running]
        if running:
            watch = self.roll.choice(running)
            watch.end() if self.roll.random() < 0.5 else watch.fail(self.roll.choice([MISSING, FAILURES[0], None]))

    def settle(self) -> None:
        """Everybody is joined, answers as itself, and serves everything."""
        for name in NAMES:
            stored = self.fleet.hub.get(KUBEFED_CLUSTERS, ObjectName(SYSTEM, name))
            if (
                stored is not None
                and stored["metadata"].get("annotations", {}).get(IDENTITY_ANNOTATION) == "uid-of-another"
            ):
                self.unjoin(name)  # the first that answered there was another one, which counts from then on
                stored = None
            if stored is None:
                self.join(name)
            self.fleet.secret(name, token="last")
            self.fleet.unbind(name)
        for place, site in self.fleet.sites.items():
            site.identity = f"uid-{place.removeprefix('https://').partition('-')[0]}"
            site.serves, site.takes = Serves(SERVED), 0.1
        for gate in self.fleet.gates:
            for watch in [watch for watch in gate.opened if watch.running]:
                target = watch.enabled.target
                # Definitions change: the server ends the watches of a type, and does not know a version any more.
                served = SERVED.get((target.group, target.plural), ("v1", "v2"))
                watch.fail(None if target.version in served else MISSING)
                watch.end()

    def check(self) -> None:
        fleet, world = self.fleet, self.fleet.world
        assert sorted(world.members) == sorted(NAMES)
        assert {name: world.members[name].cluster.message for name in NAMES if not fleet.ready(name)} == {}
        current = [joined.gate for joined in fleet.clusters._joined.values()]
        for gate in fleet.gates:
            running = sorted(watch.enabled.name for watch in gate.opened if watch.running)
            assert running == (sorted(world.types) if gate in current else [])
            assert gate.closed is (gate not in current)
        for name, joined in fleet.clusters._joined.items():
            gate = next(each for each in fleet.gates if each is joined.gate)
            assert (gate.place, gate.token) == (self.places[name], "last")
            for watch in (each for each in gate.opened if each.running):
                state = world.types[watch.enabled.name]
                assert watch.wanted == state.type.collection
                sink = watch.sink
                if watch.wanted is None:
                    assert state.copies[name].statuses is None
                else:
                    assert isinstance(sink, StatusSink)
                    assert sink._statuses is state.copies[name].statuses
                    assert sink._statuses.synced
                    sink = sink._sink
                assert isinstance(sink, CopiesSink)
                assert sink._state is state
                assert sink._copies is state.copies[name]
                assert state.copies[name].objects.synced
                assert state.copies[name].unobservable is None
                served = SERVED.get((state.type.target.group, state.type.target.plural))
                assert watch.enabled.target.version == versions.followed(state.type, served)
                assert state.copies[name].served == served
        for state in world.types.values():
            assert set(state.copies) == set(NAMES)
        hub = [watch for watch in self.made.watches.opened if watch.running]
        assert len(hub) == len(world.types)
        wanted = {name for name in TYPES if (found := self.made.stored(name)) and _enabled(found)}
        assert set(world.types) == wanted, [self.made.stored(name) for name in wanted ^ set(world.types)]
        tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith(("watch:m", "probe:"))]
        assert len(tasks) == len(NAMES) * (1 + len(world.types)), "no loop is left over"


def _enabled(stored: dict[str, Any]) -> bool:
    spec_ = stored["spec"]
    return bool(spec_["propagation"] == "Enabled" and spec_["targetType"]["kind"] != 7)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_exactly_the_right_watches_run_after_any_changes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeWatch, "closing", 0.05)

    @virtual
    async def test() -> None:
        roll = random.Random(seed)
        async with Fleet() as fleet:
            changing = Changing(fleet, roll)
            await asyncio.sleep(roll.choice([0.0, 3.0]))
            for _ in range(CHANGES):
                for _ in range(roll.choice([1, 1, 3, 10])):
                    act = roll.choice([changing.change_type, changing.change_cluster, changing.change_watch])
                    if act != changing.change_watch or fleet.gates:
                        act()
                await asyncio.sleep(roll.choice([0.0, 0.0, 0.01, 0.05, 0.1, 1.0, 5.0, 20.0]))
            changing.settle()
            await asyncio.sleep(300)
            changing.check()
            changing.change_type()
            await asyncio.sleep(60)
            changing.check()
            await changing.made.types.close()

    test()
