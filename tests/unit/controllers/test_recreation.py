"""A copy that cannot be changed: what is asked of the member in which order, when it goes and when it stays.

The member in memory refuses changes of `data` where `immutable` is true, as a real one does (tests/contract).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers import push
from federation.controllers.outcomes import Outcome, Target
from federation.controllers.recreating import NotRecreated
from federation.core import budget, manifest
from federation.kube.members import Written
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Recreation
from federation.model.resources import NAMESPACES, Key, ObjectName
from tests.fakes import FakeMember, proven
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TARGET = CONFIGMAPS.target
US = "kubefed-0123abcd"
FOREGROUND = {"propagationPolicy": "Foreground"}
RECREATE = {"annotations": {marks.RECREATE_ANNOTATION: "true"}}
NAMESPACE = ObjectName("", "ns")
INVALID = Failure(FailureKind.INVALID, "spec.x: wrong", 422)
DENIED = Failure(FailureKind.DENIED, "exceeded quota", 403)


def immutable(value: str) -> dict[str, Any]:
    return {"data": {"a": value}, "immutable": True}


# --- one push -------------------------------------------------------------------------------------------------------


def body(value: str) -> Mapping[str, Any]:
    meta = {"name": "web", "namespace": "ns", "labels": {marks.MANAGED_LABEL: "true"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **immutable(value)}


async def changed_copy(member: FakeMember) -> Apply:
    """The change of a copy that the member has; it may be recreated."""
    content, digest = manifest.digest(body("b"))
    written = await member.apply(TARGET, WEB, content, force=False)
    assert isinstance(written, Written)
    member.calls.clear()
    content, digest = manifest.digest(body("c"))
    return Apply(content, digest, "v1", uid=written.metadata.uid, recreation=Recreation(content, FOREGROUND))


async def pushed(member: FakeMember, action: Apply) -> Outcome:
    return await push.carry_out(action, Target(member, TARGET, WEB, prove=proven))


def verbs(member: FakeMember) -> list[str]:
    return [call.partition(" ")[0] for call in member.calls]


async def test_it_is_proved_then_deleted() -> None:
    member = FakeMember(US)
    outcome = await pushed(member, await changed_copy(member))
    assert verbs(member) == ["apply", "read", "would-create", "delete"]
    assert (outcome.status, outcome.failure, outcome.recreating) == (PropagationStatus.WAITING_FOR_REMOVAL, None, True)
    assert "data: Forbidden: field is immutable" in outcome.message
    assert member.deleted_with == [FOREGROUND]
    assert not member.objects


async def test_without_leave_it_is_only_refused() -> None:
    member = FakeMember(US)
    action = await changed_copy(member)
    outcome = await pushed(member, Apply(action.body, action.digest, "v1", uid=action.uid))
    assert verbs(member) == ["apply"]
    assert (outcome.status, outcome.recreating) == (PropagationStatus.UPDATE_FAILED, False)
    assert "not recreated" not in outcome.message


@pytest.mark.parametrize(
    ("verb", "answer", "kind", "asked"),
    [
        pytest.param("read", DENIED, FailureKind.DENIED, ["apply", "read"], id="it-cannot-be-read"),
        pytest.param(
            "would-create", INVALID, FailureKind.INVALID, ["apply", "read", "would-create"], id="new-is-wrong"
        ),
        pytest.param("would-create", DENIED, FailureKind.DENIED, ["apply", "read", "would-create"], id="quota"),
        pytest.param(
            "would-create",
            Failure(FailureKind.TIMED_OUT, "no answer"),
            FailureKind.TIMED_OUT,
            ["apply", "read", "would-create"],
            id="no-proof",
        ),
        pytest.param(
            "delete", DENIED, FailureKind.DENIED, ["apply", "read", "would-create", "delete"], id="delete-is-refused"
        ),
    ],
)
async def test_without_proof_it_stays(verb: str, answer: Failure, kind: FailureKind, asked: list[str]) -> None:
    """The retry follows what stood in the way: quota may be raised, a wrong manifest waits for another."""
    member = FakeMember(US)
    action = await changed_copy(member)
    member.fails = lambda asked, name: answer if asked == verb else None
    outcome = await pushed(member, action)
    assert verbs(member) == asked
    assert (outcome.status, outcome.recreating) == (PropagationStatus.UPDATE_FAILED, False)
    assert outcome.failure is not None
    assert outcome.failure.kind is kind
    assert "field is immutable" in outcome.message
    assert (
        f"not recreated: {'a new object would be refused, too: ' if verb == 'would-create' else ''}" in outcome.message
    )
    assert answer.message in outcome.message
    assert member.value(TARGET, WEB, "data", "a") == "b"


async def test_what_somebody_added_is_not_thrown_away() -> None:
    member = FakeMember(US)
    action = await changed_copy(member)
    member.post(TARGET, WEB, {"binaryData": {"theirs": "eA=="}}, manager="kubectl-edit")
    outcome = await pushed(member, action)
    assert verbs(member) == ["apply", "read"]
    assert (outcome.status, outcome.failure) == (PropagationStatus.UPDATE_FAILED, None)
    assert '"kubectl-edit" owns .binaryData.theirs there' in outcome.message


async def test_what_is_written_between_judgement_and_deletion_is_looked_at_first() -> None:
    member = FakeMember(US)
    action = await changed_copy(member)

    def meanwhile(verb: str, name: object) -> None:
        if verb == "would-create":
            member.post(TARGET, WEB, {"binaryData": {"theirs": "eA=="}}, manager="kubectl-edit")

    member.fails = meanwhile
    outcome = await pushed(member, action)
    assert outcome.failure is not None
    assert outcome.failure.concerns == "race"
    assert member.value(TARGET, WEB, "binaryData", "theirs") == "eA=="


async def test_one_that_goes_already_is_not_deleted_again() -> None:
    member = FakeMember(US)
    action = await changed_copy(member)
    member.post(TARGET, WEB, {"metadata": {"finalizers": ["held"]}})
    member.remove(TARGET, WEB)
    member.calls.clear()
    outcome = await pushed(member, action)
    assert (verbs(member), outcome.recreating) == (["apply", "read"], True)


@pytest.mark.parametrize("when", ["read", "would-create"])
async def test_one_that_went_meanwhile_is_a_race(when: str) -> None:
    member = FakeMember(US)
    action = await changed_copy(member)

    def meanwhile(verb: str, name: object) -> None:
        if verb == when:
            member.remove(TARGET, WEB)
            if when == "read":
                member.post(TARGET, WEB, body("b"))

    member.fails = meanwhile
    outcome = await pushed(member, action)
    assert outcome.failure is not None
    assert (outcome.failure.concerns, outcome.recreating) == ("race", False)


async def test_a_reason_of_the_plan_costs_no_request() -> None:
    member = FakeMember(US)
    action = await changed_copy(member)
    never = Apply(action.body, action.digest, "v1", uid=action.uid, recreation=Recreation(never="too much is in it"))
    outcome = await pushed(member, never)
    assert verbs(member) == ["apply"]
    assert outcome.message.endswith("; not recreated: too much is in it")
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.INVALID


def test_reason_and_refusal_share_one_lines_message() -> None:
    message = NotRecreated("w" * 400).message("r" * 400)
    assert len(message) == budget.MESSAGE
    assert "…; not recreated: w" in message


# --- the road -------------------------------------------------------------------------------------------------------


@virtual
async def test_deleted_created_anew_and_reported_in_one_status_one_event_and_one_line_each() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.quiet()
        with capture_logs() as logs:
            rig.put(template=immutable("c"), metadata=RECREATE)
            await asyncio.sleep(5)
        each = ["apply ns/web", "read ns/web", "would-create ns/web", "delete ns/web", "apply ns/web"]
        assert rig.asked == {"m1": each, "m2": each}
        assert (rig.data("m1"), rig.data("m2")) == ("c", "c")
        assert rig.lines() == {"m1": "", "m2": ""}
        assert rig.condition("Ready")["status"] == "True"
        assert [write for write in rig.hub.writes if write.startswith("status")] == ["status ns/web"]
        posted = [event for event in rig.hub.events if event["reason"] == "Recreating"]
        assert [event["message"].partition(":")[0] for event in posted] == ["m1, m2"]
        assert "field is immutable" in posted[0]["message"]
        assert sorted(line["cluster"] for line in logs if line["event"] == "recreating") == ["m1", "m2"]


@virtual
async def test_one_event_names_a_few_of_many_clusters() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        for number in range(1, 14):
            rig.events.recreating(Key("configmaps", "ns", "web"), f"c{number}", "it may not change")
        rig.events.recreating(Key("configmaps", "ns", "gone"), "c1", "it may not change")
        await asyncio.sleep(5)
        (posted,) = rig.hub.events
        named = ", ".join(f"c{number}" for number in range(1, 11))
        assert (posted["type"], posted["message"]) == ("Normal", f"{named} and 3 more: it may not change")


@virtual
async def test_an_event_that_comes_late_costs_nothing_but_time() -> None:
    """Until the watch shows that it is gone, it is not deleted again, nor is anything else made of it."""
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.quiet()
        member = rig.members["m1"]
        member.delay_events = True
        rig.put(template=immutable("c"), metadata=RECREATE)
        await asyncio.sleep(20)
        assert rig.lines() == {"m1": "WaitingForRemoval"}
        assert member.calls.count("delete ns/web") == 1
        assert not member.objects
        member.delay_events = False
        member.deliver()
        await settle()
        assert (rig.data("m1"), rig.lines()) == ("c", {"m1": ""})


@virtual
async def test_while_it_goes_the_status_shows_it() -> None:
    """A finalizer keeps it for long; then it is created at once."""
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.members["m1"].post(TARGET, WEB, {"metadata": {"finalizers": ["held"]}})
        rig.put(template=immutable("c"), metadata=RECREATE)
        await asyncio.sleep(100)
        assert rig.lines() == {"m1": "WaitingForRemoval"}
        stored = rig.stored()
        assert stored is not None
        assert "being recreated" in stored["status"]["clusters"][0]["message"]
        assert rig.members["m1"].calls.count("delete ns/web") == 1
        rig.members["m1"].unset(TARGET, WEB, ("metadata", "finalizers"))
        rig.members["m1"].remove(TARGET, WEB)
        await settle()
        assert (rig.data("m1"), rig.lines()) == ("c", {"m1": ""})


@virtual
async def test_a_restart_in_between_creates_it() -> None:
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.members["m1"].post(TARGET, WEB, {"metadata": {"finalizers": ["held"]}})
        rig.put(template=immutable("c"), metadata=RECREATE)
        await asyncio.sleep(5)
    async with Rig("m1", after=rig) as later:
        await asyncio.sleep(5)
        later.members["m1"].unset(TARGET, WEB, ("metadata", "finalizers"))
        later.members["m1"].remove(TARGET, WEB)
        await settle()
        assert (later.data("m1"), later.lines()) == ("c", {"m1": ""})


@virtual
async def test_leave_given_later_is_taken_at_once() -> None:
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"))
        await settle()
        rig.put(template=immutable("c"))
        await asyncio.sleep(60)
        assert (rig.lines(), rig.data("m1")) == ({"m1": "UpdateFailed"}, "b")
        rig.put(template=immutable("c"), metadata=RECREATE)
        await settle()
        assert (rig.lines(), rig.data("m1")) == ({"m1": ""}, "c")


@virtual
async def test_an_accepted_manifest_that_is_refused_later_is_not_recreated() -> None:
    """Somebody changed what we own and made it immutable: no new object would last longer. No hot loop either."""
    async with Rig("m1") as rig:
        rig.put(template={"data": {"a": "b"}}, metadata=RECREATE)
        await settle()
        rig.quiet()
        rig.members["m1"].post(TARGET, WEB, immutable("theirs"), manager="kubectl-edit")
        await asyncio.sleep(20)
        assert rig.asked == {"m1": ["apply ns/web", "apply! ns/web"]}
        assert rig.lines() == {"m1": "UpdateFailed"}
        stored = rig.stored()
        assert stored is not None
        assert "accepted this very manifest before" in stored["status"]["clusters"][0]["message"]


@virtual
async def test_a_creation_that_fails_after_all_is_tried_again_and_nothing_more_is_deleted() -> None:
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.quiet()
        member = rig.members["m1"]
        member.fails = lambda verb, name: DENIED if verb == "apply" and not member.objects else None
        rig.put(template=immutable("c"), metadata=RECREATE)
        await asyncio.sleep(120)
        assert rig.lines() == {"m1": "CreationFailed"}
        assert member.calls.count("delete ns/web") == 1
        assert member.calls.count("apply ns/web") <= 7
        member.fails = lambda verb, name: None
        await asyncio.sleep(960)
        assert (rig.lines(), rig.data("m1")) == ({"m1": ""}, "c")


@virtual
async def test_what_others_share_is_tried_ever_more_rarely() -> None:
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.members["m1"].post(TARGET, WEB, {"binaryData": {"theirs": "eA=="}}, manager="kubectl-edit")
        rig.quiet()
        rig.put(template=immutable("c"), metadata=RECREATE)
        await asyncio.sleep(300)
        assert rig.members["m1"].calls.count("apply ns/web") <= 8
        assert "delete ns/web" not in rig.members["m1"].calls
        assert (rig.lines(), rig.data("m1")) == ({"m1": "UpdateFailed"}, "b")


@virtual
async def test_a_cluster_that_is_not_ready_keeps_what_it_has() -> None:
    async with Rig("m1") as rig:
        rig.put(template=immutable("b"), metadata=RECREATE)
        await settle()
        rig.see("m1", ready=False, message="away")
        await asyncio.sleep(1)
        rig.quiet()
        rig.put(template=immutable("c"), metadata=RECREATE)
        await asyncio.sleep(60)
        assert (rig.asked, rig.data("m1"), rig.lines()) == ({}, "b", {"m1": "ClusterNotReady"})
        rig.see("m1", ready=True)
        await asyncio.sleep(3)
        assert (rig.data("m1"), rig.lines()) == ("c", {"m1": ""})


@virtual
async def test_a_namespace_is_never_recreated() -> None:
    async with Rig("m1", types=(FEDERATED_NAMESPACES,)) as rig:
        rig.put(NS, enabled=FEDERATED_NAMESPACES, metadata=RECREATE)
        await settle()
        rig.members["m1"].fails = lambda verb, name: INVALID if verb == "apply" else None
        template = {"metadata": {"labels": {"team": "b"}}}
        rig.put(NS, template=template, enabled=FEDERATED_NAMESPACES, metadata=RECREATE)
        await asyncio.sleep(60)
        stored = rig.stored(NS, FEDERATED_NAMESPACES)
        assert stored is not None
        assert "not recreated: a Namespace never is" in stored["status"]["clusters"][0]["message"]
        assert rig.members["m1"].value(NAMESPACES, NAMESPACE, "metadata", "labels", "kubefed.io/managed") == "true"
        assert not [call for call in rig.members["m1"].calls if call.startswith("delete")]
