"""Whatever we wrote at the hub and somebody else changes or empties comes right again, without a restart.

In every state that an object, a cluster or a type may be in; each part of its status, and its finalizer, at a time.
"""

import asyncio
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from federation.controllers.tracks import NEVER_OVERWRITTEN
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import KUBEFED_CLUSTERS, TYPE_CONFIGS, ObjectName
from tests.unit.controllers.fleet import SYSTEM, Fleet
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.controllers.test_types import Enabled
from tests.unit.virtualtime import virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
DENIED = Failure(FailureKind.DENIED, "quota", 403)
LATE = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")
LONG = 150.0
"""Seconds after which even an object whose clusters have not all answered has been reported once more."""


def damages(status: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Every way to damage one part of a status: a merge patch of it, with a name."""
    yield "emptied", None
    for key, value in status.items():
        yield f"no {key}", {key: None}
        if isinstance(value, int):
            yield f"other {key}", {key: value + 7}
        elif isinstance(value, str):
            yield f"other {key}", {key: "something else"}
        elif isinstance(value, list):
            for at, each in enumerate(value):
                yield f"{key} without {at}", {key: value[:at] + value[at + 1 :]}
                for part in each if isinstance(each, dict) else ():
                    if part == "type":
                        continue  # the schemas require it; a condition of another type is somebody's own
                    without = {name: what for name, what in each.items() if name != part}
                    yield f"{key}[{at}] without {part}", {key: [*value[:at], without, *value[at + 1 :]]}
                    if isinstance(each[part], str):
                        other = {**each, part: "something else"}
                        yield f"{key}[{at}] with another {part}", {key: [*value[:at], other, *value[at + 1 :]]}


def timeless(status: dict[str, Any]) -> dict[str, Any]:
    """Without times, of which one that was lost cannot come back."""
    status = copy.deepcopy(status)
    for condition in status.get("conditions") or ():
        for name in ("lastTransitionTime", "lastUpdateTime", "lastProbeTime"):
            condition.pop(name, None)
    for line in status.get("clusters") or ():
        line.pop("since", None)
    status["conditions"] = sorted(status.get("conditions") or (), key=lambda each: str(each.get("type")))
    status.pop("lastProbeTime", None)
    return status


def well(rig: Rig) -> None:
    rig.put()


def nowhere(rig: Rig) -> None:
    rig.put(clusters=())


def refused(rig: Rig) -> None:
    rig.members["m2"].fails = lambda verb, name: DENIED if name == WEB else None
    rig.put()


def late(rig: Rig) -> None:
    rig.members["m2"].fails = lambda verb, name: LATE if name == WEB else None
    rig.put()


def invalid(rig: Rig) -> None:
    rig.put(template={"metadata": {"labels": {"a": 5}}})


def without_override(rig: Rig) -> None:
    change = {"op": "remove", "path": "/data/none"}
    rig.put(spec={"overrides": [{"clusterName": "m1", "clusterOverrides": [change]}]})


def down(rig: Rig) -> None:
    rig.put()
    rig.see("m2", ready=False, message="no answer within 3 s")


def namespace_late(rig: Rig) -> None:
    rig.members["m2"].namespaces.clear()
    rig.members["m2"].fails = lambda verb, name: LATE if name == ObjectName("", "ns") else None
    rig.put()


@pytest.mark.parametrize(
    "state",
    [well, nowhere, refused, late, invalid, without_override, down, namespace_late],
    ids=lambda each: each.__name__,
)
def test_an_objects_status_and_finalizer(state: Callable[[Rig], None]) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1", "m2", types=BOTH) as rig:
            rig.put(NS, None, ("m1", "m2"), FEDERATED_NAMESPACES)
            state(rig)
            await asyncio.sleep(LONG)
            whole = rig.stored()
            assert whole is not None
            before = whole["status"]
            for what, damage in damages(before):
                rig.track().overwritten = NEVER_OVERWRITTEN  # else it is put back ever more rarely
                rig.hub.put(CONFIGMAPS.federated, WEB, status=damage)
                await asyncio.sleep(LONG)
                stored = rig.stored()
                assert stored is not None
                assert timeless(stored["status"]) == timeless(before), what
            if whole["metadata"].get("finalizers"):
                rig.hub.put(CONFIGMAPS.federated, WEB, metadata={"finalizers": None})
                await asyncio.sleep(LONG)
                stored = rig.stored()
                assert stored is not None
                assert marks.SYNC_FINALIZER in stored["metadata"]["finalizers"]

    test()


@pytest.mark.parametrize("state", ["ready", "away", "malformed", "another"])
def test_a_clusters_status_and_its_notes(state: str) -> None:
    @virtual
    async def test() -> None:
        async with Fleet(CONFIGMAPS) as fleet:
            site = fleet.join()
            await asyncio.sleep(1)
            if state == "away":
                site.identity = Failure(FailureKind.UNREACHABLE, "cannot connect")
            elif state == "malformed":
                fleet.secret()
            elif state == "another":
                site.identity = "uid-of-another"
            await asyncio.sleep(100)
            before, where = copy.deepcopy(fleet.stored()), ObjectName(SYSTEM, "m1")
            for what, damage in damages(before["status"]):
                fleet.hub.put(KUBEFED_CLUSTERS, where, status=damage)
                await asyncio.sleep(60)
                assert timeless(fleet.stored()["status"]) == timeless(before["status"]), what
            if state == "ready":
                fleet.hub.put(KUBEFED_CLUSTERS, where, metadata={"annotations": {marks.IDENTITY_ANNOTATION: None}})
                fleet.unbind()
                await asyncio.sleep(60)
                assert fleet.stored()["metadata"]["annotations"][marks.IDENTITY_ANNOTATION] == "uid-m1"
                assert fleet.bound() is not None

    test()


@pytest.mark.parametrize("state", ["running", "disabled", "invalid", "no-crd"])
def test_a_types_status_and_finalizer(state: str) -> None:
    @virtual
    async def test() -> None:
        async with Fleet() as fleet:
            fleet.join()
            made = Enabled(fleet)
            if state == "no-crd":
                made.watches.missing = Failure(FailureKind.TYPE_MISSING, "404")
            if state == "disabled":
                made.config(propagation="Disabled")
            elif state == "invalid":
                made.config(targetType={"kind": 7})
            else:
                made.config()
            await asyncio.sleep(60)
            before, where = made.status(), ObjectName(SYSTEM, "configmaps")
            for what, damage in damages(before):
                fleet.hub.put(TYPE_CONFIGS, where, status=damage)
                await asyncio.sleep(60)
                assert timeless(made.status()) == timeless(before), what
            stored = made.stored()
            assert stored is not None
            if stored["metadata"].get("finalizers"):
                fleet.hub.put(TYPE_CONFIGS, where, metadata={"finalizers": None})
                await asyncio.sleep(60)
                stored = made.stored()
                assert stored is not None
                assert marks.TYPE_FINALIZER in stored["metadata"]["finalizers"]
            await made.types.close()

    test()
