"""What the levels of the main messages mean: warning, a person may need to act, once per change; info, normal life."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.model.errors import ApiFailure
from federation.model.failures import Failure, FailureKind
from federation.model.marks import MANAGED_LABEL
from federation.model.resources import ObjectName
from federation.runtime.keyqueue import KeyQueue
from federation.runtime.tasks import Tasks
from federation.runtime.workers import Workers
from tests.unit.controllers.fleet import Fleet
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TARGET = CONFIGMAPS.target


def levels(logs: Sequence[Any], event: str) -> list[str]:
    return [entry["log_level"] for entry in logs if entry["event"] == event]


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        (Failure(FailureKind.DENIED, "quota", 403), "warning"),
        (Failure(FailureKind.INVALID, "spec.x: wrong", 422), "warning"),
        (Failure(FailureKind.RIGHT_MISSING, "cannot patch", 403), "warning"),
        (Failure(FailureKind.NOT_FOUND, "the role of a binding", 404), "warning"),
        (Failure(FailureKind.UNREACHABLE, "no route"), "info"),
        (Failure(FailureKind.TIMED_OUT, "no answer"), "info"),
        (Failure(FailureKind.NAMESPACE_MISSING, "no namespace", 404), "info"),
    ],
    ids=lambda value: value.kind.name if isinstance(value, Failure) else value,
)
def test_a_push_that_is_refused(failure: Failure, level: str) -> None:
    """By its own object's fault a person is needed; a member that is away is reported at its cluster."""

    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            rig.members["m1"].fails = lambda verb, name: failure
            with capture_logs() as logs:
                rig.put()
                await asyncio.sleep(600)
            assert levels(logs, "push refused") == [level]  # once, however often it is tried

    test()


@virtual
async def test_a_spec_that_is_wrong_is_one_warning_per_generation() -> None:
    async with Rig("m1") as rig:
        with capture_logs() as logs:
            rig.put(spec={"overrides": "none"})
            await settle()
            rig.fanout.everything()
            await asyncio.sleep(60)
        assert levels(logs, "spec refused") == ["warning"]


@virtual
async def test_overrides_that_do_not_fit_are_one_warning_per_reason() -> None:
    async with Rig("m1", "m2", "m3") as rig:
        wrong = [{"op": "remove", "path": "/data/x"}]
        overrides = [{"clusterName": name, "clusterOverrides": wrong} for name in ("m1", "m2")]
        with capture_logs() as logs:
            rig.put(spec={"overrides": overrides})
            await asyncio.sleep(5)
            rig.fanout.everything()
            await asyncio.sleep(60)
        (entry,) = (each for each in logs if each["event"] == "spec refused")
        assert (entry["log_level"], entry["clusters"], entry["status"]) == ("warning", "m1, m2", "ApplyOverridesFailed")
        assert 'cannot remove "/data/x"' in entry["reason"]
    async with Rig("m1", "m2", "m3", after=rig) as rig:
        with capture_logs() as logs:
            await asyncio.sleep(5)
        assert levels(logs, "spec refused") == [], "its status has it"


@virtual
async def test_drift_is_normal_and_a_fight_is_not() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        with capture_logs() as logs:
            for number in range(8):
                rig.members["m1"].post(TARGET, WEB, {"data": {"a": f"theirs-{number}"}})
                await asyncio.sleep(60)
        shown = levels(logs, "drift put back")
        assert (shown[0], shown[-1]) == ("info", "warning")


@virtual
async def test_an_outage_is_one_warning_and_its_end_is_news() -> None:
    async with Fleet(CONFIGMAPS) as fleet:
        site = fleet.join("m1")
        await asyncio.sleep(1)
        with capture_logs() as logs:
            identity, site.identity = site.identity, Failure(FailureKind.UNREACHABLE, "no route to host")
            await asyncio.sleep(600)
            assert levels(logs, "cluster not ready") == ["warning"]
            site.identity = Failure(FailureKind.UNAUTHORIZED, "Unauthorized", 401)
            await asyncio.sleep(600)
            site.identity = identity
            await asyncio.sleep(60)
        reasons = [each["reason"] for each in logs if each["event"] == "cluster not ready"]
        assert levels(logs, "cluster not ready") == ["warning"] * 2, "another reason may be for another person"
        assert "401" in reasons[1]
        assert levels(logs, "cluster ready") == ["info"]


@virtual
async def test_events_that_the_hub_refuses_are_one_warning() -> None:
    async with Rig("m1") as rig:
        denied = Failure(FailureKind.RIGHT_MISSING, "cannot create events", 403)
        rig.hub.fails = lambda verb, name: denied if verb == "create" else None
        rig.members["m1"].fails = lambda verb, name: Failure(FailureKind.DENIED, "quota", 403)
        with capture_logs() as logs:
            for number in range(10):
                rig.put(ObjectName("ns", f"web-{number}"))
            await asyncio.sleep(60)
        assert levels(logs, "hub refuses") == ["warning"]
        assert set(levels(logs, "event not posted")) == {"debug"}


@virtual
async def test_work_that_the_hub_keeps_refusing_is_logged_once_for_all() -> None:
    queue: KeyQueue[str] = KeyQueue()

    async def process(key: str) -> None:
        raise ApiFailure(Failure(FailureKind.UNAVAILABLE, "503", 503), key)

    tasks = Tasks()
    tasks.keep(Workers("levels", queue, process).serve, "levels")
    with capture_logs() as logs:
        for number in range(100):
            queue.add(f"key-{number}")
        await asyncio.sleep(250)
    await tasks.cancel()
    assert levels(logs, "work waits for the hub") == ["warning"]
    assert set(levels(logs, "hub refused")) == {"debug"}


@virtual
async def test_a_copy_that_somebody_keeps_us_from_is_one_warning() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        with capture_logs() as logs:
            rig.members["m1"].post(TARGET, WEB, {"metadata": {"labels": {MANAGED_LABEL: "false"}}})
            await asyncio.sleep(60)
            rig.fanout.everything()
            await asyncio.sleep(60)
        (entry,) = (each for each in logs if each["event"] == "copy left alone")
        assert (entry["log_level"], entry["clusters"], entry["status"]) == ("warning", "m1", "ManagedLabelFalse")
    async with Rig("m1", after=rig) as rig:
        with capture_logs() as logs:
            await asyncio.sleep(60)
        assert levels(logs, "copy left alone") == []  # the controller before has reported it


@virtual
async def test_drift_names_what_was_removed() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        member = rig.members["m1"]
        with capture_logs() as logs:
            member.unset(TARGET, WEB, ("metadata", "labels", MANAGED_LABEL))
            await asyncio.sleep(60)
            member.remove(TARGET, WEB)
            await asyncio.sleep(60)
        reasons = [each["reason"] for each in logs if each["event"] == "drift put back"]
        assert reasons == ["our label had been removed", "the object had been deleted"]
