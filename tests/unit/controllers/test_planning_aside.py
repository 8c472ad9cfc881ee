"""Large objects are planned beside the event loop, from facts of one moment."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from federation.controllers import gathering
from federation.core import planning
from federation.core.facts import Facts
from federation.model import bounds
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Plan
from federation.model.resources import ObjectName
from tests.unit.controllers.rig import DATA, WEB, Rig
from tests.unit.virtualtime import settle, virtual

LARGE = {"data": {f"k{at}": "x" for at in range(20_000)}}
SMALL = ObjectName("ns", "small")
TIMED_OUT = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")


_plan = planning.plan


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - the fakes have no events
            await asyncio.sleep(0.01)


async def test_only_large_objects_are(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, set[bool]] = {}

    def plan(facts: Facts) -> Plan:
        at_home = threading.current_thread() is threading.main_thread()
        threads.setdefault(facts.object.metadata.name, set()).add(at_home)
        return _plan(facts)

    monkeypatch.setattr(planning, "plan", plan)
    async with Rig("m1", "m2") as rig:
        rig.put(template=LARGE)
        rig.put(SMALL)
        await until(lambda: rig.data("m2", "k7") == "x" and rig.data("m2", name=SMALL) == "b")
        await until(lambda: rig.lines() == {"m1": "", "m2": ""})
    assert threads == {"web": {False}, "small": {True}}


async def test_what_changes_meanwhile_is_planned_next(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def plan(facts: Facts) -> Plan:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            go_on.wait(10)
        return _plan(facts)

    monkeypatch.setattr(planning, "plan", plan)
    async with Rig("m1", "m2") as rig:
        rig.put(template=LARGE)
        await until(begun.is_set)
        rig.put(SMALL)
        await until(lambda: rig.data("m1", name=SMALL) == "b")  # everybody else is served
        rig.see("m2", ready=False, message="away")
        rig.put(template={"data": {**LARGE["data"], "k7": "y"}})
        go_on.set()
        await until(lambda: rig.data("m1", "k7") == "y" and rig.lines() == {"m1": "", "m2": "ClusterNotReady"})


@pytest.mark.parametrize("change", ["placement", "deletion"])
@pytest.mark.parametrize("answered", [True, False])
async def test_what_was_pushed_meanwhile_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, change: str, answered: bool
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    blocking = False

    def plan(facts: Facts) -> Plan:
        if blocking and threading.current_thread() is not threading.main_thread():
            begun.set()
            go_on.wait(10)
        return _plan(facts)

    monkeypatch.setattr(planning, "plan", plan)
    async with Rig("m1", concurrency=1) as rig:
        fake = rig.members["m1"]
        fake.gate.clear()
        rig.put(SMALL)  # its push has the only place in the lane
        await until(lambda: fake.calls)
        rig.put(template=LARGE)
        await until(lambda: WEB in rig.world.types["configmaps"].tracks and "m1" in rig.track().pending)
        blocking = True
        if change == "placement":
            rig.put(template=LARGE, clusters=())
        else:
            rig.delete()
        await until(begun.is_set)
        if not answered:
            fake.lost = lambda verb, name: TIMED_OUT if name == WEB and verb == "apply" else None
        fake.delay_events = True
        fake.gate.set()  # only now the lane takes the large one
        await until(lambda: rig.data("m1", "k7") == "x")
        await asyncio.sleep(0.05)
        blocking = False
        go_on.set()
        await asyncio.sleep(0.2)
        assert change == "placement" or rig.stored() is not None or rig.data("m1", "k7") is None
        fake.lost = lambda verb, name: None
        fake.delay_events = False
        fake.deliver()
        await until(lambda: rig.data("m1", "k7") is None)
        await until(lambda: change == "placement" or rig.stored() is None)


@virtual
async def test_so_are_small_ones_of_which_many_clusters_get_their_own() -> None:
    names = [f"m{at}" for at in range(40)]
    async with Rig(*names) as rig:
        override = [{"path": "/data/a", "value": "c"}]
        spec = {"overrides": [{"clusterName": name, "clusterOverrides": override} for name in names]}
        rig.put(template={"data": {"a": "b", "more": "x" * 60_000}}, spec=spec)
        state = rig.world.types["configmaps"]
        await settle()
        facts = rig.sync._gatherer.gather(state, state.objects.get(WEB), rig.track())  # type: ignore[arg-type]
        assert gathering.takes_long(facts)
        assert planning.plan(gathering.settled(facts)) == planning.plan(facts)
        rig.put(SMALL, template=DATA, spec=spec)
        await settle()
        facts = rig.sync._gatherer.gather(state, state.objects.get(SMALL), rig.track(SMALL))  # type: ignore[arg-type]
        assert not gathering.takes_long(facts)


@virtual
async def test_manifests_of_more_than_memory_can_hold_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LARGEST_MANIFESTS", 1 << 20)
    names = [f"m{at}" for at in range(20)]
    async with Rig(*names) as rig:
        override = [{"path": "/data/a", "value": "c"}]
        spec = {"overrides": [{"clusterName": name, "clusterOverrides": override} for name in names[:19]]}
        rig.put(template={"data": {"a": "b", "more": "x" * 100_000}}, spec=spec)
        await settle(400)
        lines = rig.lines()
        assert sorted(lines.values()) == [""] * 12 + ["ApplyOverridesFailed"] * 8
        assert lines["m19"] == ""  # it has no manifest of its own
        stored = rig.stored()
        assert stored is not None
        assert "more than 1 MiB together" in str(stored["status"]["clusters"])
