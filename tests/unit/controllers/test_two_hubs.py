"""Another hub on the same member: who writes what and how often, what each user can read, when the claim goes.

The other hub is played by its applies; that two controllers get along is tests/clusters/test_faults_ownership.
"""

import asyncio
from typing import Any

import orjson
import pytest

from federation.controllers import push
from federation.controllers.outcomes import Outcome, Target
from federation.core import claims, manifest
from federation.model import marks
from federation.model.conditions import PropagationStatus
from federation.model.failures import Failure, FailureKind
from federation.model.plan import Apply, Claim, Push, Release
from tests.fakes import FakeMember, proven
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

US, OTHER, THIRD = "kubefed-0123abcd", "kubefed-99999999", "kubefed-88888888"
TARGET = CONFIGMAPS.target
KEPT = "kubefed.io/claimed-by-0123abcd"
UNAVAILABLE = Failure(FailureKind.UNAVAILABLE, "503", 503)
TIMED_OUT = Failure(FailureKind.TIMED_OUT, "no answer within 10 s")
HELD = f"another hub manages it ({OTHER})"


def body(value: str = "theirs") -> dict[str, Any]:
    meta = {"name": "web", "namespace": "ns", "labels": {marks.MANAGED_LABEL: "true"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": value}}


async def theirs(fake: FakeMember, value: str = "theirs", hub: str = OTHER) -> None:
    """What another hub pushes."""
    await fake.apply(TARGET, WEB, orjson.dumps(body(value)), force=False, manager=hub)
    fake.calls.clear()


async def their_claim(fake: FakeMember, hub: str = OTHER, *, withdraw: bool = False) -> None:
    """What another hub that comes second writes."""
    uid = fake.objects[TARGET.qualified, WEB].uid
    claim = claims.body(TARGET, WEB, uid, hub, withdraw=withdraw)
    await fake.apply(TARGET, WEB, claim, force=True, manager=marks.claim_manager(hub))
    fake.calls.clear()


def claimed(fake: FakeMember) -> Any:
    return fake.value(TARGET, WEB, "metadata", "annotations", KEPT)


def owners(fake: FakeMember) -> set[str]:
    return {entry.manager for entry in fake.objects[TARGET.qualified, WEB].entries}


# --- one push -------------------------------------------------------------------------------------------------------


async def pushed(fake: FakeMember, action: Push) -> Outcome:
    fake.calls.clear()
    return await push.carry_out(action, Target(fake, TARGET, WEB, prove=proven))


async def test_a_claim_is_one_annotation() -> None:
    fake = FakeMember(US)
    await theirs(fake)
    outcome = await pushed(fake, Claim("uid-1", OTHER))
    assert (outcome.status, outcome.metadata is not None) == (PropagationStatus.OK, True)
    assert fake.calls == ["apply!-claim ns/web"]
    assert (claimed(fake), fake.value(TARGET, WEB, "data", "a")) == (US, "theirs")
    assert owners(fake) == {OTHER, f"{US}-claim"}


@pytest.mark.parametrize("uid", ["uid-1", "uid-0"], ids=["gone", "made-anew"])
async def test_a_claim_makes_no_object_and_meets_no_other(uid: str) -> None:
    fake = FakeMember(US)
    if uid == "uid-0":
        await theirs(fake)
    outcome = await pushed(fake, Claim(uid, OTHER))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.UID_MISMATCH
    assert claimed(fake) is None
    assert len(fake.objects) == (uid == "uid-0")


async def test_what_was_shared_is_given_up_with_the_claim() -> None:
    fake = FakeMember(US)
    await theirs(fake, "b")
    await theirs(fake, "b", US)
    outcome = await pushed(fake, Claim("uid-1", OTHER, shared=True))
    assert outcome.status is PropagationStatus.OK
    assert fake.calls == ["read ns/web", "patch ns/web", "apply!-claim ns/web"]
    assert owners(fake) == {OTHER, f"{US}-claim"}
    assert fake.value(TARGET, WEB, "metadata", "labels", marks.MANAGED_LABEL) == "true"


async def test_what_is_shared_and_cannot_be_given_up_is_not_claimed() -> None:
    fake = FakeMember(US)
    await theirs(fake, "b")
    await theirs(fake, "b", US)
    fake.fails = lambda verb, name: UNAVAILABLE if verb == "patch" else None
    outcome = await pushed(fake, Claim("uid-1", OTHER, shared=True))
    assert outcome.failure == UNAVAILABLE
    assert claimed(fake) is None


async def test_a_claim_that_admission_takes_off_is_no_success() -> None:
    fake = FakeMember(US)
    await theirs(fake)
    honest = fake._apply

    def stripped(*args: Any, **others: Any) -> Any:
        written = honest(*args, **others)
        fake.unset(TARGET, WEB, ("metadata", "annotations", KEPT))
        stored = fake.objects[TARGET.qualified, WEB]
        stored.entries = [entry for entry in stored.entries if entry.paths]
        return written if isinstance(written, Failure) else type(written)(written.created, stored.metadata())

    fake._apply = stripped  # type: ignore[method-assign]
    outcome = await pushed(fake, Claim("uid-1", OTHER))
    assert outcome.status is PropagationStatus.UPDATE_FAILED
    assert KEPT in outcome.message


@pytest.mark.parametrize("shared", [False, True])
async def test_withdrawn_nothing_of_ours_stays(shared: bool) -> None:
    fake = FakeMember(US)
    await theirs(fake, "b")
    await pushed(fake, Claim("uid-1", OTHER))
    if shared:
        await theirs(fake, "b", US)
    outcome = await pushed(fake, Release("uid-1", keep_label=True))
    assert (outcome.status, outcome.metadata is not None) == (PropagationStatus.OK, True)
    assert fake.calls == ["read ns/web", *(["patch ns/web"] if shared else []), "apply!-claim ns/web"]
    assert (claimed(fake), owners(fake)) == (None, {OTHER})
    assert fake.value(TARGET, WEB, "metadata", "labels", marks.MANAGED_LABEL) == "true"


async def test_orphaned_while_its_claim_was_still_there_it_goes_too() -> None:
    fake = FakeMember(US)
    await theirs(fake, "b", US)
    await their_claim(fake, US)
    assert (await pushed(fake, Release("uid-1"))).status is PropagationStatus.OK
    assert claimed(fake) is None
    assert US not in "".join(owners(fake))


@pytest.mark.parametrize("adopt", [True, False])
async def test_what_was_let_go_is_taken_over_without_the_claim(adopt: bool) -> None:
    """The first hub orphaned it: our watch by label saw it go, so the apply knows nothing of it."""
    fake = FakeMember(US)
    fake.post(TARGET, WEB, {"data": {"a": "theirs"}}, manager="somebody")
    await their_claim(fake, US)
    content, digest = manifest.digest(body("b"))
    outcome = await pushed(fake, Apply(content, digest, "v1", first=True, create_only=not adopt))
    assert outcome.status is (PropagationStatus.OK if adopt else PropagationStatus.ALREADY_EXISTS)
    assert claimed(fake) is None
    assert fake.value(TARGET, WEB, "data", "a") == ("b" if adopt else "theirs")


@pytest.mark.parametrize("adopt", [True, False])
async def test_a_claim_that_cannot_be_taken_off_is_reported(adopt: bool) -> None:
    fake = FakeMember(US)
    fake.post(TARGET, WEB, {"data": {"a": "theirs"}}, manager="somebody")
    await their_claim(fake, US)
    fake.fails = lambda verb, name: UNAVAILABLE if verb == "apply!-claim" else None
    content, digest = manifest.digest(body("b"))
    outcome = await pushed(fake, Apply(content, digest, "v1", first=True, create_only=not adopt))
    assert outcome.failure == UNAVAILABLE


# --- the second hub -------------------------------------------------------------------------------------------------


def message(rig: Rig, name: Any = WEB, enabled: Any = CONFIGMAPS) -> str:
    (line,) = (rig.stored(name, enabled) or {})["status"]["clusters"]
    return str(line.get("message", ""))


@virtual
async def test_the_second_reports_it_to_both_once_and_rests() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        rig.put()
        await settle()
        assert fake.calls == ["apply!-claim ns/web"]
        assert rig.hub.writes == ["finalizers ns/web", "status ns/web"]
        assert rig.lines() == {"m1": "AlreadyExists"}
        assert message(rig) == HELD
        assert (claimed(fake), rig.data("m1")) == (US, "theirs")
        await asyncio.sleep(5)  # that it fails is an event
        rig.quiet()
        await theirs(fake, "changed")
        await asyncio.sleep(3600)
        rig.fanout.everything()
        await asyncio.sleep(10)
        assert (rig.hub.writes, rig.asked) == ([], {})
    async with Rig("m1", after=rig) as again:
        await asyncio.sleep(60)
        assert (again.hub.writes, again.asked) == ([], {})


@virtual
async def test_found_out_by_an_apply_it_is_claimed_when_the_watch_shows_it() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        fake.delay_events = True
        await theirs(fake)
        rig.put()
        await settle()
        assert fake.calls == ["apply ns/web"]
        assert rig.lines() == {"m1": "AlreadyExists"}
        fake.delay_events = False
        fake.deliver()
        await settle()
        assert fake.calls == ["apply ns/web", "apply!-claim ns/web"]
        assert message(rig) == HELD


@virtual
async def test_equal_values_are_not_shared_for_longer_than_a_moment() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        fake.delay_events = True
        await theirs(fake, "b")
        rig.put()
        await settle()
        fake.delay_events = False
        fake.deliver()
        await settle()
        assert fake.calls == ["apply ns/web", "patch ns/web", "apply!-claim ns/web"]
        assert owners(fake) == {OTHER, f"{US}-claim"}
        assert message(rig) == HELD


@virtual
async def test_killed_while_it_was_shared_the_second_gives_it_up_later() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake, "b")
        await theirs(fake, "b", US)
        rig.put()
        await settle()
        assert owners(fake) == {OTHER, f"{US}-claim"}
        assert message(rig) == HELD


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_not_placed_there_any_more_the_claim_goes(how: str) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            fake = rig.members["m1"]
            await theirs(fake)
            rig.put()
            await asyncio.sleep(5)
            rig.quiet()
            if how == "deleted":
                rig.delete()
            else:
                rig.put(clusters=())
            await settle()
            assert fake.calls == ["read ns/web", "apply!-claim ns/web"]
            assert (claimed(fake), owners(fake), rig.data("m1")) == (None, {OTHER}, "theirs")
            assert rig.lines() == {}
            assert (rig.stored() is None) is (how == "deleted")
            rig.quiet()
            await asyncio.sleep(3600)
            assert (rig.hub.writes, rig.asked) == ([], {})

    test()


@pytest.mark.parametrize("seen", [True, False])
def test_a_claim_without_answer_is_looked_for_before_the_object_goes(seen: bool) -> None:
    @virtual
    async def test() -> None:
        async with Rig("m1") as rig:
            fake = rig.members["m1"]
            await theirs(fake)
            fake.delay_events = not seen
            fake.lost = lambda verb, name: TIMED_OUT if verb == "apply!-claim" else None
            rig.put()
            await settle()
            assert claimed(fake) == US
            fake.lost = lambda verb, name: None
            rig.delete()
            await settle()
            assert (claimed(fake), rig.stored()) == (None, None)

    test()


@virtual
async def test_while_the_member_is_down_the_object_waits_for_its_claim_to_go() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        rig.put()
        await settle()
        rig.see("m1", ready=False, message="down")
        rig.put(clusters=())
        await asyncio.sleep(5)
        rig.delete()
        await asyncio.sleep(5)
        assert rig.lines() == {"m1": "WaitingForRemoval"}
        rig.see("m1", ready=True)
        await asyncio.sleep(5)
        assert (claimed(fake), rig.stored()) == (None, None)


@virtual
async def test_the_first_lets_go_by_deleting_it() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        rig.put()
        await settle()
        rig.quiet()
        fake.remove(TARGET, WEB)
        await settle()
        assert fake.calls == ["apply ns/web"]
        assert (rig.data("m1"), claimed(fake), owners(fake)) == ("b", None, {US})
        assert rig.lines() == {"m1": ""}


@virtual
async def test_the_first_lets_go_of_its_fields() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        rig.put()
        await settle()
        stored = fake.objects[TARGET.qualified, WEB]
        stored.entries = [entry for entry in stored.entries if entry.manager != OTHER]
        fake.post(TARGET, WEB, {"data": {"x": "y"}})
        await settle()
        assert (rig.data("m1"), claimed(fake), owners(fake)) == ("b", None, {US, "human"})
        assert rig.lines() == {"m1": ""}
        assert rig.condition("Ready")["status"] == "True"


@virtual
async def test_kept_away_by_somebody_the_claim_goes() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        rig.put()
        await settle()
        fake.post(TARGET, WEB, {"metadata": {"labels": {marks.MANAGED_LABEL: "false"}}})
        await settle()
        assert claimed(fake) is None
        assert rig.lines() == {"m1": "ManagedLabelFalse"}
        fake.post(TARGET, WEB, {"metadata": {"labels": {marks.MANAGED_LABEL: "true"}}})
        await settle()
        assert (claimed(fake), message(rig)) == (US, HELD)


@virtual
async def test_somebody_who_takes_the_claim_off_again_and_again_is_not_fought() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        rig.put()
        await settle()
        rig.quiet()
        for _ in range(600):
            fake.unset(TARGET, WEB, ("metadata", "annotations", KEPT))
            await asyncio.sleep(1)
        assert 3 <= len(fake.calls) <= 9
        assert message(rig).startswith(f"{HELD}; our claim could not be written: ")
        assert KEPT in message(rig)
        await asyncio.sleep(1000)
        assert (claimed(fake), message(rig)) == (US, HELD)


@virtual
async def test_a_refused_claim_is_reported_and_tried_ever_more_rarely() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        await theirs(fake)
        refused = Failure(FailureKind.DENIED, "a policy says no", 403)
        fake.fails = lambda verb, name: refused if verb == "apply!-claim" else None
        rig.put()
        await asyncio.sleep(1000)
        assert rig.lines() == {"m1": "AlreadyExists"}
        assert message(rig) == f"{HELD}; our claim could not be written: a policy says no"
        assert len(fake.calls) < 12
        fake.fails = lambda verb, name: None
        await asyncio.sleep(1000)
        assert (claimed(fake), message(rig)) == (US, HELD)


@virtual
async def test_a_namespace_of_another_hub_is_claimed_and_used() -> None:
    async with Rig("m1", types=(CONFIGMAPS, FEDERATED_NAMESPACES)) as rig:
        fake = rig.members["m1"]
        meta = {"name": "ns", "labels": {marks.MANAGED_LABEL: "true"}}
        theirs_too = orjson.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        namespaces = FEDERATED_NAMESPACES.target
        where = (FEDERATED_NAMESPACES.target.namespaced and NS) or type(NS)("", "ns")
        await fake.apply(namespaces, where, theirs_too, force=False, manager=OTHER)
        rig.put(NS, enabled=FEDERATED_NAMESPACES)
        rig.put()
        await asyncio.sleep(10)
        assert fake.value(namespaces, where, "metadata", "annotations", KEPT) == US
        assert rig.lines(NS, FEDERATED_NAMESPACES) == {"m1": "AlreadyExists"}
        assert (rig.lines(), rig.data("m1")) == ({"m1": ""}, "b")
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(10)
        assert fake.value(namespaces, where, "metadata", "annotations", KEPT) is None
        assert rig.stored(NS, FEDERATED_NAMESPACES) is None


# --- the first hub --------------------------------------------------------------------------------------------------


@virtual
async def test_the_first_goes_on_and_tells_its_user() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        rig.put()
        await settle()
        rig.quiet()
        await their_claim(fake)
        await settle()
        assert (rig.hub.writes, rig.asked) == (["status ns/web", "create events"], {})
        assert rig.lines() == {"m1": ""}
        assert message(rig) == claims.rivals_message((OTHER,))
        assert rig.condition("Ready")["status"] == rig.condition("Propagation")["status"] == "True"
        rig.quiet()
        await their_claim(fake, THIRD)
        await settle()
        assert rig.hub.writes == ["status ns/web", "create events"]
        assert message(rig) == claims.rivals_message((THIRD, OTHER))
        rig.quiet()
        rig.fanout.everything()
        await asyncio.sleep(3600)
        assert (rig.hub.writes, rig.asked) == ([], {})
        rig.put(template={"data": {"a": "c"}})
        await settle()
        assert rig.asked == {"m1": ["apply ns/web"]}
        assert message(rig) == claims.rivals_message((THIRD, OTHER))
    async with Rig("m1", after=rig) as again:
        again.quiet()
        await asyncio.sleep(60)
        assert (again.hub.writes, again.asked) == ([], {})
        await their_claim(fake, withdraw=True)
        await their_claim(fake, THIRD, withdraw=True)
        await settle()
        assert message(again) == ""


def events(rig: Rig) -> list[str]:
    return [str(event["message"]) for event in rig.hub.events if event["reason"] == "PlacedByAnotherHub"]


@virtual
async def test_one_event_tells_of_each_set_of_hubs() -> None:
    async with Rig("m1", "m2") as rig:
        fake = rig.members["m1"]
        rig.put()
        await settle()
        await their_claim(fake)
        await asyncio.sleep(5)
        assert events(rig) == [f"m1: {claims.rivals_message((OTHER,))}"]
        for _ in range(3):
            rig.see("m1", ready=False, message="down")
            await asyncio.sleep(5)
            rig.see("m1", ready=True)
            await asyncio.sleep(5)
        await their_claim(rig.members["m2"])
        await asyncio.sleep(5)
        assert events(rig)[1:] == [f"m2: {claims.rivals_message((OTHER,))}"]
        await their_claim(fake, withdraw=True)
        await asyncio.sleep(5)
        await their_claim(fake)
        await asyncio.sleep(5)
        assert events(rig)[2:] == [f"m1: {claims.rivals_message((OTHER,))}"]
    async with Rig("m1", "m2", after=rig) as again:
        await their_claim(fake, THIRD)
        await asyncio.sleep(5)
        assert events(again)[3:] == [f"m1: {claims.rivals_message((THIRD, OTHER))}"]


@virtual
async def test_a_claim_that_comes_while_an_apply_is_under_way_is_seen() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        rig.put()
        await settle()
        fake.gate.clear()
        rig.put(template={"data": {"a": "c"}})
        await settle()
        uid = fake.objects[TARGET.qualified, WEB].uid
        fake._apply(TARGET, WEB, orjson.loads(claims.body(TARGET, WEB, uid, OTHER)), f"{OTHER}-claim", force=True)
        fake.gate.set()
        await settle()
        assert (rig.data("m1"), message(rig)) == ("c", claims.rivals_message((OTHER,)))


@virtual
async def test_while_the_first_cannot_be_asked_its_line_is_not_moved() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        await their_claim(rig.members["m1"])
        await settle()
        rig.quiet()
    async with Rig("m1", after=rig, ready=None) as again:
        await asyncio.sleep(10)
        assert message(again) == claims.rivals_message((OTHER,))
        assert again.hub.writes == []


@virtual
async def test_equal_values_of_a_hub_without_claims_are_reported_and_kept() -> None:
    """An older hub that died between its apply and giving up what it shares."""
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        rig.put()
        await settle()
        rig.quiet()
        await theirs(fake, "b")
        await settle()
        assert (rig.hub.writes, rig.asked) == (["status ns/web", "create events"], {})
        assert rig.lines() == {"m1": ""}
        assert message(rig) == claims.rivals_message((OTHER,))
        stored = fake.objects[TARGET.qualified, WEB]
        stored.entries = [entry for entry in stored.entries if entry.manager != OTHER]
        fake.post(TARGET, WEB, {"data": {"x": "y"}})
        await settle()
        assert message(rig) == ""
