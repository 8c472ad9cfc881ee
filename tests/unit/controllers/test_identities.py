"""Who is who: an identity that two members show, in every order of answers and starts, with and without a record."""

import asyncio
import itertools
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.controllers.identities import Identities
from federation.controllers.triggers import StoredSink
from federation.core import identities
from federation.core.identities import Accepted, Claimant, Contested, Taken, Waiting
from federation.kube import decoding
from federation.model.failures import Failure, FailureKind
from federation.model.federated import StoredObject
from federation.model.marks import CONTESTED_ANNOTATION, IDENTITY_ANNOTATION, UNANSWERED_ANNOTATION
from federation.model.resources import KUBEFED_CLUSTERS, ObjectName
from federation.runtime.store import ReportingStore, Store
from tests.fakehub import FakeHub
from tests.unit.controllers.fleet import SYSTEM, Fleet
from tests.unit.virtualtime import virtual

DOWN = Failure(FailureKind.UNREACHABLE, "cannot connect")
UID = "uid-honest"
DECIDING = {f"federation.{each}" for each in ("controllers.identities", "controllers.claimants", "core.identities")}


def annotations(fleet: Fleet, name: str) -> dict[str, Any]:
    return dict(fleet.stored(name)["metadata"].get("annotations", {}))


def verdicts(fleet: Fleet, *names: str) -> dict[str, bool | None]:
    return {name: fleet.ready(name) for name in names}


def restarted(before: Fleet) -> Fleet:
    """Another controller on the same hub and members."""
    after = Fleet()
    after.hub, after.sites = before.hub, before.sites
    after.hub.sinks.clear()
    after.clusters._hub = after.clusters._identities._hub = after.clusters._credentials._hub = before.hub
    after.sync._hub = before.hub
    return after


BOTH_REFUSED = {"honest": False, "liar": False}


@pytest.mark.parametrize(
    ("takes", "names"),
    [*itertools.product(((0.0, 0.0), (2.0, 0.0), (0.0, 2.0)), (("honest", "liar"), ("liar", "honest")))],
)
@virtual
async def test_two_without_a_record_are_both_refused_whoever_answers_first(
    takes: tuple[float, float], names: tuple[str, str]
) -> None:
    async with Fleet() as fleet:
        for name, seconds in zip(names, takes, strict=True):
            fleet.join(name, UID).takes = seconds
        await asyncio.sleep(30)
        assert verdicts(fleet, "honest", "liar") == BOTH_REFUSED
        for name in ("honest", "liar"):
            message = fleet.condition(name=name)["message"]
            assert "honest and liar show the same identity" in message
            assert f"{IDENTITY_ANNOTATION}={UID}" in message
            assert annotations(fleet, name) == {CONTESTED_ANNOTATION: UID}
        fleet.hub.writes.clear()
        await asyncio.sleep(120)
        assert [each for each in fleet.hub.writes if each.startswith("merge")] == []


@pytest.mark.parametrize("down", ["honest", "liar"])
@virtual
async def test_a_restart_with_one_of_them_away_believes_the_other_no_more(down: str) -> None:
    async with Fleet() as fleet:
        fleet.join("honest", UID)
        fleet.join("liar", UID)
        await asyncio.sleep(30)
        fleet.sites[f"https://{down}"].identity = DOWN
    async with restarted(fleet) as again:
        await asyncio.sleep(60)
        assert verdicts(again, "honest", "liar") == BOTH_REFUSED
        again.sites[f"https://{down}"].identity = UID
        await asyncio.sleep(60)
        assert verdicts(again, "honest", "liar") == BOTH_REFUSED


@pytest.mark.parametrize("how", ["recorded", "unjoined"])
@virtual
async def test_a_person_says_which_it_is(how: str) -> None:
    async with Fleet() as fleet:
        fleet.join("honest", UID)
        fleet.join("liar", UID)
        await asyncio.sleep(30)
        if how == "recorded":
            fleet.hub.put(
                KUBEFED_CLUSTERS, ObjectName(SYSTEM, "honest"), metadata={"annotations": {IDENTITY_ANNOTATION: UID}}
            )
        else:
            fleet.hub.delete(KUBEFED_CLUSTERS, ObjectName(SYSTEM, "liar"))
        await asyncio.sleep(30)
        assert fleet.ready("honest") is True
        assert annotations(fleet, "honest")[IDENTITY_ANNOTATION] == UID
        if how == "recorded":
            assert fleet.ready("liar") is False
            assert "already joined as 'honest'" in fleet.condition(name="liar")["message"]


@virtual
async def test_a_liar_that_was_first_while_the_other_was_away_is_found_when_it_returns() -> None:
    async with Fleet() as fleet:
        honest = fleet.join("honest", DOWN)
        fleet.join("liar", UID)
        fleet.join("third")
        await asyncio.sleep(30)
        assert verdicts(fleet, "honest", "liar", "third") == {"honest": False, "liar": True, "third": True}
        assert annotations(fleet, "liar") == {IDENTITY_ANNOTATION: UID, UNANSWERED_ANNOTATION: "honest"}
        honest.identity = UID
        await asyncio.sleep(30)
        assert verdicts(fleet, "honest", "liar", "third") == {**BOTH_REFUSED, "third": True}


@virtual
async def test_one_dead_cluster_does_not_hold_up_a_start_and_a_later_one_contests_nothing() -> None:
    async with Fleet() as fleet:
        fleet.join("dead", DOWN).takes = 3.0
        for number in range(20):
            fleet.join(f"m{number}")
        await asyncio.sleep(10)
        assert {fleet.ready(f"m{number}") for number in range(20)} == {True}
        fleet.join("late-liar", "uid-m3")
        await asyncio.sleep(30)
        assert (fleet.ready("m3"), fleet.ready("late-liar")) == (True, False)
        assert "already joined as 'm3'" in fleet.condition(name="late-liar")["message"]


@virtual
async def test_a_cluster_that_cannot_be_asked_at_all_holds_nobody_up() -> None:
    async with Fleet() as fleet:
        fleet.cluster("without-secret", annotations={})
        fleet.join("m1")
        await asyncio.sleep(5)
        assert fleet.ready("m1") is True


@virtual
async def test_while_the_hub_takes_no_note_nobody_spins() -> None:
    async with Fleet() as fleet:
        fleet.hub.fails = lambda verb, name: DOWN if verb == "merge" else None
        fleet.join("honest", UID)
        fleet.join("liar", UID)
        await asyncio.sleep(60)
        assert verdicts(fleet, "honest", "liar") == BOTH_REFUSED
        assert all(len(gate.probes) < 20 for gate in fleet.gates)


class Work:
    """Counts the lines that run in the modules that decide who is who."""

    def __init__(self) -> None:
        self.lines = 0

    def __enter__(self) -> "Work":
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, event: str, _: object) -> Any:
        return self._ran if frame.f_globals.get("__name__") in DECIDING else None

    def _ran(self, frame: FrameType, event: str, _: object) -> Any:
        self.lines += event == "line"
        return self._ran


@pytest.mark.parametrize("silent", [0, 3])
@virtual
async def test_work_grows_with_the_number_of_clusters_that_come_without_a_record(silent: int) -> None:
    async def work(members: int) -> int:
        """Of a start: all show their identity, all but the last wait, and show it again."""
        hub, namespace = FakeHub(), SYSTEM
        asked: list[str] = []
        registry: Identities
        store: Store[StoredObject] = ReportingStore(lambda where: registry.observed(where.name))
        registry = Identities(hub, store, namespace, asked.append, lambda *_: None)
        hub.follow(KUBEFED_CLUSTERS, StoredSink(store, lambda _: None), decoding.stored)
        names = [f"m{number}" for number in range(members)]
        for name in names:
            hub.put(KUBEFED_CLUSTERS, ObjectName(namespace, name))
        with Work() as work:
            for name in names[:silent]:
                registry.silent(name)
            verdicts = [await registry.claim(name, f"uid-{name}") for name in names[silent:]]
            assert verdicts == [*[None] * (members - silent - 1), ""]
            await asyncio.sleep(60)
            assert sorted(asked) == sorted(names[silent:-1])
            assert {await registry.claim(name, f"uid-{name}") for name in asked} == {""}
            for name in names:
                registry.forget(name)
        return work.lines

    assert await work(400) < 2.2 * await work(200)


CLAIMANTS = st.builds(
    Claimant,
    name=st.sampled_from("abcd"),
    recorded=st.sampled_from(["", "u", "v"]),
    unanswered=st.frozensets(st.sampled_from("abcd"), max_size=2),
    contested=st.sampled_from(["", "u", "v"]),
    shown=st.sampled_from([None, "", "u", "v"]),
)


@given(st.lists(CLAIMANTS, min_size=2, max_size=4, unique_by=lambda each: each.name))
def test_never_are_two_without_a_record_believed_at_once(claimants: list[Claimant]) -> None:
    decided: Mapping[str, object] = {
        each.name: identities.assess(each, "u", [other for other in claimants if other is not each])
        for each in claimants
        if each.shown == "u" and each.recorded in ("", "u")
    }
    believed = [each for each in claimants if isinstance(decided.get(each.name), Accepted)]
    assert sum(1 for each in believed if not each.recorded) <= 1
    if any(not each.recorded for each in believed):
        assert not any(each.recorded == "u" for each in claimants)
    assert all(isinstance(each, Accepted | Taken | Contested | Waiting) for each in decided.values())
