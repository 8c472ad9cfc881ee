"""The stored status is compared with what was written: whoever else writes it does not change what is known.

And what the hub refuses (our finalizer, the status itself) is reported where it can be: status, event, log and metric.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from federation.controllers.statuswrites import REWRITE
from federation.model import marks
from federation.model.failures import Failure, FailureKind
from federation.model.resources import Key, ObjectName
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TYPE = CONFIGMAPS.federated
DENIED = Failure(FailureKind.DENIED, "ValidatingAdmissionPolicy 'no-finalizers' denied request", 403)
FORBIDDEN = Failure(FailureKind.RIGHT_MISSING, "cannot patch federatedconfigmaps", 403)
UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)


def status_of(rig: Rig, name: ObjectName = WEB) -> dict[str, Any]:
    stored = rig.stored(name)
    assert stored is not None
    return dict(stored.get("status") or {})


def emptied(status: dict[str, Any]) -> Any:
    return None


def defaulted(status: dict[str, Any]) -> Any:
    return {"observedGeneration": -1, "conditions": None, "clusters": None}


def lied(status: dict[str, Any]) -> Any:
    """The fingerprint says that another manifest was applied."""
    return {"clusters": [{**line, "fingerprint": "aaaaaaaa.bbbbbbbb"} for line in status["clusters"]]}


def accused(status: dict[str, Any]) -> Any:
    return {"clusters": [{"name": "m1", "status": "CreationFailed", "message": "no"}, {"name": "m9"}]}


def nonsense(status: dict[str, Any]) -> Any:
    return {"conditions": "all is well"}


@pytest.mark.parametrize("change", [emptied, defaulted, lied, accused, nonsense], ids=lambda change: change.__name__)
def test_what_somebody_writes_over_the_status_is_put_back(change: Callable[[dict[str, Any]], Any]) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1", "m2") as rig:
            rig.put()
            await settle()
            before = status_of(rig)
            rig.quiet()
            rig.hub.put(TYPE, WEB, status=change(before))
            await settle()
            assert status_of(rig) == before
            assert rig.hub.writes == ["status ns/web"]
            assert rig.asked == {}
            await asyncio.sleep(3600)
            assert rig.hub.writes == ["status ns/web"]

    test()


@virtual
async def test_what_was_written_while_nobody_watched_shows_in_the_next_list() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        before, sink = status_of(rig), rig.hub.sinks.pop(TYPE.qualified)
        rig.hub.put(TYPE, WEB, status=None)
        rig.quiet()
        rig.hub.follow(TYPE, sink[0])
        await settle()
        assert (status_of(rig), rig.hub.writes) == (before, ["status ns/web"])


@virtual
async def test_a_write_between_ours_and_its_answer_is_seen() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        set_status = rig.hub.set_status
        done: list[bool] = []

        async def raced(*arguments: Any) -> Any:
            answer = await set_status(*arguments)
            if not done:
                done.append(True)
                rig.hub.put(TYPE, WEB, status={"conditions": None})
                await asyncio.sleep(0.1)
            return answer

        rig.hub.set_status = raced  # type: ignore[method-assign,assignment]
        rig.put(template={"data": {"a": "c"}})
        await asyncio.sleep(5)
        assert rig.condition("Ready")["status"] == "True"


@virtual
async def test_somebody_who_goes_on_writing_is_not_fought() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        with capture_logs() as logs:
            for _ in range(1800):
                rig.hub.put(TYPE, WEB, status={"clusters": None})
                await asyncio.sleep(2)
        ours = [write for write in rig.hub.writes if write == "status ns/web"]
        assert 8 <= len(ours) <= 16
        logged = [entry for entry in logs if entry["event"] == "status written over by somebody"]
        assert {entry["log_level"] for entry in logged} == {"info", "warning"}
        rig.put(template={"data": {"a": "news"}})
        await settle()
        assert rig.lines() == {"m1": ""}  # what is new is reported at once
        rig.hub.put(TYPE, WEB, status={"clusters": None})
        await asyncio.sleep(REWRITE[1] + 60)
        assert rig.lines() == {"m1": ""}


@virtual
async def test_others_have_conditions_of_their_own() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.quiet()
        conditions = status_of(rig)["conditions"]
        theirs = {"type": "Audited", "status": "True"}
        rig.hub.put(TYPE, WEB, status={"conditions": [*conditions, theirs]})
        await asyncio.sleep(60)
        assert rig.hub.writes == []
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert rig.condition("Audited") == theirs
        rig.hub.put(TYPE, WEB, status={"conditions": [each for each in status_of(rig)["conditions"] if each != theirs]})
        await settle()
        assert rig.condition("Audited") == {}


@virtual
async def test_a_schema_that_drops_fields_of_ours_is_no_somebody() -> None:
    """KubeFed's own CRDs know no fingerprint: what is stored is never what was written."""
    async with Rig("m1") as rig:
        change = rig.hub._change

        def pruned(resource: Any, where: Any, body: dict[str, Any]) -> Any:
            for line in (body.get("status") or {}).get("clusters") or ():
                line.pop("fingerprint", None)
            return change(resource, where, body)

        rig.hub._change = pruned  # type: ignore[method-assign]
        rig.put()
        await settle()
        rig.quiet()
        rig.sync.changed(Key("configmaps", "ns", "web"))
        rig.hub.put(TYPE, WEB, metadata={"labels": {"touched": "yes"}})
        await asyncio.sleep(600)
        assert (rig.hub.writes, rig.lines()) == ([], {"m1": ""})


@virtual
async def test_our_own_write_that_had_no_answer_is_not_written_again() -> None:
    async with Rig("m1") as rig:
        set_status, done = rig.hub.set_status, []

        async def lost(*arguments: Any) -> Any:
            answer = await set_status(*arguments)
            done.append(True)
            return answer if len(done) > 1 else Failure(FailureKind.TIMED_OUT, "no answer")

        rig.hub.set_status = lost  # type: ignore[method-assign,assignment]
        rig.put()
        await asyncio.sleep(60)
        assert (len(done), rig.lines()) == (1, {"m1": ""})


# --- what the hub refuses ---------------------------------------------------------------------------------------------


def counted(what: str) -> float:
    labels = {"type": "configmaps", "what": what}
    return REGISTRY.get_sample_value("federation_hub_refusals_total", labels) or 0.0


@pytest.mark.parametrize(
    ("failure", "mend"),
    [(DENIED, "whoever owns that policy"), (FORBIDDEN, "fedctl enable configmaps grants the right")],
)
def test_a_finalizer_that_the_hub_refuses_is_reported(failure: Failure, mend: str) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            rig.hub.fails = lambda verb, name: failure if verb == "finalizers" else None
            before = counted("finalizer")
            with capture_logs() as logs:
                for number in range(20):
                    rig.put(ObjectName("ns", f"web-{number}"))
                await asyncio.sleep(60)
            name = ObjectName("ns", "web-7")
            ready = rig.condition("Ready", name)
            assert (ready["status"], ready["reason"]) == ("False", "FinalizerRefused")
            assert failure.message in ready["message"]
            assert mend in ready["message"]
            assert status_of(rig, name)["observedGeneration"] == 1
            assert rig.asked == {}
            posted = [event for event in rig.hub.events if event["involvedObject"]["name"] == name.name]
            assert [(event["type"], event["reason"]) for event in posted] == [("Warning", "PropagationFailed")]
            warnings = [entry for entry in logs if entry["event"] == "hub refuses"]
            assert len(warnings) == 1  # one cause, however many objects and tries
            assert warnings[0]["log_level"] == "warning"
            assert counted("finalizer") > before
            assert rig.hub.writes.count(f"status {name}") == 1
            rig.hub.fails = lambda verb, name: None
            await asyncio.sleep(120)
            assert rig.lines(name) == {"m1": ""}
            assert rig.condition("Ready", name)["status"] == "True"

    test()


@virtual
async def test_a_finalizer_that_may_not_go_is_reported_too() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.hub.fails = lambda verb, name: DENIED if verb == "finalizers" else None
        rig.delete()
        await asyncio.sleep(30)
        assert rig.members["m1"].objects == {}
        ready = rig.condition("Ready")
        assert (ready["reason"], "to let our finalizer go" in ready["message"]) == ("FinalizerRefused", True)
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert rig.stored() is None


@virtual
async def test_a_finalizer_that_somebody_takes_off_and_keeps_off() -> None:
    """The copies and what is known of them stay; the new generation is not reported to be anywhere."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        rig.hub.fails = lambda verb, name: DENIED if verb == "finalizers" else None
        rig.put(template={"data": {"a": "c"}}, metadata={"finalizers": None})
        await asyncio.sleep(30)
        assert rig.data("m1") == "b"
        assert status_of(rig)["clusters"][0]["generation"] == 1
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert (rig.data("m1"), rig.lines()) == ("c", {"m1": ""})
        stored = rig.stored()
        assert stored is not None
        assert stored["metadata"]["finalizers"] == [marks.SYNC_FINALIZER]


@virtual
async def test_a_status_that_the_hub_refuses_is_reported_by_an_event() -> None:
    async with Rig("m1") as rig:
        rig.hub.fails = lambda verb, name: DENIED if verb == "status" else None
        with capture_logs() as logs:
            rig.put()
            await asyncio.sleep(120)
        assert [(event["reason"], DENIED.message in event["message"]) for event in rig.hub.events] == [
            ("StatusRefused", True)
        ]
        assert [entry["what"] for entry in logs if entry["event"] == "hub refuses"] == ["status"]
        rig.hub.fails = lambda verb, name: None
        await asyncio.sleep(120)
        assert rig.lines() == {"m1": ""}


@virtual
async def test_a_hub_that_is_away_refuses_nothing() -> None:
    async with Rig("m1") as rig:
        rig.hub.fails = lambda verb, name: UNAVAILABLE
        with capture_logs() as logs:
            rig.put()
            await asyncio.sleep(20)
        assert not [entry for entry in logs if entry["event"] == "hub refuses"]


@virtual
async def test_one_that_fails_on_and_on_does() -> None:
    """A webhook of the hub that is down answers 500, to this write alone."""
    async with Rig("m1") as rig:
        rig.hub.fails = lambda verb, name: UNAVAILABLE if verb == "finalizers" else None
        rig.put()
        await asyncio.sleep(120)
        assert rig.condition("Ready")["reason"] == "FinalizerRefused"
