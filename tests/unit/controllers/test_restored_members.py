"""Members that were restored, or that deny for a while what they have: nothing stays there with nobody being told."""

import asyncio
import copy
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers import events, pacing, strays, tombstones
from federation.controllers.tombstones import Tombstones
from federation.model.federated import FederatedType
from federation.model.marks import DELETE_ADOPTED_ANNOTATION, MANAGED_LABEL
from federation.model.resources import Key, ObjectName
from tests.fakes import FakeMember
from tests.ownership import Stored, not_found
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
STRAY = ObjectName("ns", "stray")
LABELLED = {"metadata": {"labels": {MANAGED_LABEL: "true"}}, "data": {"a": "b"}}


class Live:
    """What a member's living side is told."""

    def __init__(self, rig: Rig, name: str = "m1") -> None:
        self.lists: list[str] = []
        self.backs: list[str] = []
        self.told: list[tuple[str, str]] = []
        rig.world.members[name].live = self

    def relist(self, type_name: str) -> None:
        self.lists.append(type_name)

    def went_back(self, evidence: str) -> None:
        self.backs.append(evidence)

    def tell(self, reason: str, message: str) -> None:
        self.told.append((reason, message))


def taken(member: FakeMember, enabled: FederatedType = CONFIGMAPS, name: ObjectName = WEB) -> Stored:
    """A snapshot of one object."""
    return copy.deepcopy(member.objects[enabled.target.qualified, name])


def put_back(member: FakeMember, stored: Stored, enabled: FederatedType = CONFIGMAPS) -> None:
    """It is there again."""
    member.objects[enabled.target.qualified, stored.name] = copy.deepcopy(stored)
    member.touch(enabled.target, stored.name)


async def placed(rig: Rig, **changes: Any) -> None:
    rig.put(NS, enabled=FEDERATED_NAMESPACES)
    rig.put(**changes)
    await asyncio.sleep(5)
    rig.quiet()


# --- back from the dead


@virtual
async def test_a_deleted_copy_that_is_back_is_deleted_again() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        before, live = taken(rig.members["m1"]), Live(rig)
        rig.delete()
        await asyncio.sleep(5)
        assert (rig.stored(), rig.data("m1")) == (None, None)
        rig.quiet()
        with capture_logs() as logs:
            put_back(rig.members["m1"], before)
            await settle()
            assert rig.data("m1") == "b", "a federated object may be on its way"
            await asyncio.sleep(strays.GRACE + events.TOGETHER + 1)
        assert rig.data("m1") is None
        assert rig.asked == {"m1": ["delete ns/web"]}
        assert [each["how"] for each in logs if each["event"] == "copy removed"] == ["deleted"]
        ((reason, message),) = live.told
        assert reason == "CopyRemoved"
        assert "configmaps ns/web: deleted: the hub has no FederatedConfigMap of its name" in message
        assert "restored" in message
        await asyncio.sleep(600)
        assert WEB not in rig.world.types[CONFIGMAPS.name].tracks


@virtual
async def test_a_namespace_that_is_back_with_all_that_is_in_it_is_let_go_of() -> None:
    """Somebody may have put it back on purpose."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig, clusters=())
        target, live = FEDERATED_NAMESPACES.target, Live(rig)
        before = copy.deepcopy(rig.members["m1"].objects[target.qualified, ObjectName("", "ns")])
        rig.put(NS, enabled=FEDERATED_NAMESPACES, metadata={"annotations": {DELETE_ADOPTED_ANNOTATION: "true"}})
        await asyncio.sleep(2)
        rig.delete(NS, enabled=FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert (target.qualified, ObjectName("", "ns")) not in rig.members["m1"].objects
        rig.quiet()
        put_back(rig.members["m1"], before, FEDERATED_NAMESPACES)
        await asyncio.sleep(strays.GRACE + events.TOGETHER + 1)
        member = rig.members["m1"]
        assert member.value(target, ObjectName("", "ns"), "metadata", "labels", MANAGED_LABEL) is None
        assert (target.qualified, ObjectName("", "ns")) in member.objects
        assert "it stays, with what is in it" in live.told[0][1]


@virtual
async def test_one_with_another_uid_is_somebody_elses_and_is_let_go_of() -> None:
    """An export that somebody has applied again, with our managedFields and all."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        before, live = taken(rig.members["m1"]), Live(rig)
        rig.delete()
        await asyncio.sleep(5)
        before.uid = "another"
        put_back(rig.members["m1"], before)
        await asyncio.sleep(strays.GRACE + events.TOGETHER + 1)
        member = rig.members["m1"]
        assert rig.data("m1") == "b"
        assert member.value(CONFIGMAPS.target, WEB, "metadata", "labels", MANAGED_LABEL) is None
        assert [reason for reason, _ in live.told] == ["CopyRemoved"]


@virtual
async def test_one_that_is_placed_elsewhere_now_is_removed_again() -> None:
    async with Rig("m1", "m2", types=BOTH) as rig:
        await placed(rig)
        before = taken(rig.members["m1"])
        rig.put(clusters=("m2",))
        await asyncio.sleep(5)
        assert rig.data("m1") is None
        put_back(rig.members["m1"], before)
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.data("m2")) == (None, "b")
    put_back(rig.members["m1"], before)
    async with Rig("m1", "m2", types=BOTH, after=rig) as again:
        await asyncio.sleep(5)
        assert (again.data("m1"), again.data("m2")) == (None, "b")


def test_only_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "MOST", 3)
    found = Tombstones()
    for uid in ("a", "", "b", "c", "a", "d"):
        found.add(uid)
    assert [uid for uid in "abcd" if uid in found] == ["b", "c", "d"]


@virtual
async def test_many_strays_of_a_cluster_are_one_event() -> None:
    async with Rig("m1", "m2", types=BOTH) as rig:
        await placed(rig)
        lives = [Live(rig, name) for name in ("m1", "m2")]
        for number in range(12):
            rig.members["m1"].post(CONFIGMAPS.target, ObjectName("ns", f"stray-{number:02}"), LABELLED)
        rig.members["m2"].post(CONFIGMAPS.target, STRAY, LABELLED)
        await asyncio.sleep(strays.GRACE + events.TOGETHER + 2)
        assert [len(live.told) for live in lives] == [1, 1]
        assert "ns/stray-00, " in lives[0].told[0][1]
        assert " and 2 more: released: the hub has no FederatedConfigMap of its name" in lives[0].told[0][1]


# --- absences that contradict the record


def denies(rig: Rig, name: str = "m1") -> None:
    """The member lists nothing of a type, and answers 404 for each."""
    member = rig.members[name]
    member.fails = lambda verb, where: not_found(CONFIGMAPS.target, where) if verb == "read" else None
    member.sinks[CONFIGMAPS.target.qualified].replace([])


@pytest.mark.parametrize("orphan", [False, True], ids=["deleted", "left behind"])
@virtual
async def test_a_copy_that_is_recorded_and_not_shown_is_asked_for_twice(orphan: bool) -> None:
    """The member denies for 20 s what it has. A user deletes the object meanwhile."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig, metadata={"annotations": {"kubefed.io/orphan": "true"}} if orphan else {})
    async with Rig("m1", types=BOTH, after=rig) as again:
        denies(again)
        live = Live(again)
        again.delete()
        await asyncio.sleep(20)
        assert again.stored() is not None
        assert "asked again" in str(again.stored())
        again.members["m1"].fails = lambda verb, where: None
        await asyncio.sleep(pacing.READ_AGAIN[0])
        assert again.stored() is None
        assert again.data("m1") == ("b" if orphan else None)
        assert again.members["m1"].value(CONFIGMAPS.target, WEB, "metadata", "labels", MANAGED_LABEL) is None
        assert live.lists == ["configmaps"], "its list was wrong, of others, too"


@virtual
async def test_what_is_really_gone_is_believed_the_second_time() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
    rig.members["m1"].remove(CONFIGMAPS.target, WEB)
    rig.quiet()
    rig.hub.delete(CONFIGMAPS.federated, WEB)
    async with Rig("m1", types=BOTH, after=rig) as again:
        await asyncio.sleep(pacing.READ_AGAIN[0] - 5)
        assert again.lines() == {"m1": "WaitingForRemoval"}
        await asyncio.sleep(10)
        assert again.stored() is None
        assert again.members["m1"].calls == ["read ns/web", "read ns/web"]


@virtual
async def test_what_was_seen_to_go_is_believed_at_once() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        rig.delete()
        await asyncio.sleep(2)
        assert rig.stored() is None


@virtual
async def test_what_goes_while_its_watch_is_opened_anew_is_believed_at_once() -> None:
    """The member has accepted our delete; the next watch lists without the copy, and no event shows its end."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        sinks = rig.members["m1"].sinks
        watch = sinks.pop(CONFIGMAPS.target.qualified)
        rig.delete()
        await asyncio.sleep(1)
        assert rig.data("m1") is None
        assert rig.stored() is not None
        sinks[CONFIGMAPS.target.qualified] = watch
        watch.replace([])
        await asyncio.sleep(2)
        assert rig.stored() is None


@virtual
async def test_a_placement_that_ends_while_the_member_denies_its_copy() -> None:
    async with Rig("m1", "m2", types=BOTH) as rig:
        await placed(rig)
    async with Rig("m1", "m2", types=BOTH, after=rig) as again:
        denies(again)
        again.put(clusters=("m2",))
        await asyncio.sleep(20)
        again.members["m1"].fails = lambda verb, where: None
        await asyncio.sleep(pacing.READ_AGAIN[0])
        assert (again.data("m1"), again.lines()) == (None, {"m2": ""})


@virtual
async def test_a_list_that_has_left_out_what_is_there_is_read_again() -> None:
    """Seen where a copy that is recorded and was not listed is created, and is there."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        live = Live(rig)
        rig.members["m1"].sinks[CONFIGMAPS.target.qualified].replace([])
        await asyncio.sleep(5)
        assert (rig.data("m1"), rig.lines()) == ("b", {"m1": ""})
        assert live.lists == ["configmaps"]
        assert live.backs == []


@pytest.mark.parametrize("versions", [-1, 0, 1, 3], ids=["older", "the same", "passed by the watch", "just passed"])
@virtual
async def test_an_answer_in_a_version_that_the_watch_has_passed_shows_a_restore(versions: int) -> None:
    """The first write to the other store may have the very version that is known."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        member, live = rig.members["m1"], Live(rig)
        old = taken(member)
        await asyncio.sleep(2)
        rig.put(template={"data": {"a": "new"}})
        await asyncio.sleep(2)
        known = member.objects[CONFIGMAPS.target.qualified, WEB].version
        rig.put(ObjectName("ns", "other"))
        await asyncio.sleep(2)
        for number in range(3):  # which the watch shows
            member.post(CONFIGMAPS.target, ObjectName("ns", "other"), {"data": {"b": str(number)}})
            await asyncio.sleep(1)
        member.objects[CONFIGMAPS.target.qualified, WEB] = old
        member.rewind_versions(known + versions - 1)
        member.delay_events = True
        rig.put(template={"data": {"a": "newer"}})
        await asyncio.sleep(2)
        assert rig.data("m1") == "newer"
        assert live.backs == ["the versions of its configmaps"]


@virtual
async def test_an_apply_that_changes_nothing_shows_none() -> None:
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        live = Live(rig)
        rig.put(ObjectName("ns", "other"))
        await asyncio.sleep(2)
        track = rig.track()
        track.recheck = track.recheck | {"m1"}
        rig.quiet()
        rig.sync.changed(Key("configmaps", "ns", "web"))
        await asyncio.sleep(2)
        assert rig.asked == {"m1": ["apply ns/web"]}
        assert (live.backs, live.lists) == ([], [])


@virtual
async def test_an_answer_that_is_older_than_what_was_known_shows_a_restore() -> None:
    """The store was exchanged under a server that goes on running, whose watches say nothing of it."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        member, live = rig.members["m1"], Live(rig)
        old = taken(member)
        for number in range(5):
            rig.put(template={"data": {"a": str(number)}})
            await asyncio.sleep(2)
        member.objects[CONFIGMAPS.target.qualified, WEB] = old
        member.rewind_versions(old.version)
        rig.put(template={"data": {"a": "last"}})
        await asyncio.sleep(5)
        assert rig.data("m1") == "last"
        assert live.backs == ["the versions of its configmaps"]
        rig.quiet()
        await asyncio.sleep(60)
        assert rig.asked == {}


# --- wrong statuses

RIGHT = "as it was"


def _lines(*lines: dict[str, Any], observed: int = 1) -> dict[str, Any]:
    return {"observedGeneration": observed, "clusters": list(lines)}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="none"),
        pytest.param({"clusters": None}, id="no lines"),
        pytest.param(_lines({"name": "m1", "fingerprint": "AAAAAAAA.BBBBBBBB.5"}, {"name": "m2"}), id="other-prints"),
        pytest.param(_lines({"name": "m1", "fingerprint": "AAAAAAAA.BBBBBBBB*"}, {"name": "m2"}), id="shared-others"),
        pytest.param(
            _lines({"name": "m1", "fingerprint": "garbage"}, {"name": "m2", "fingerprint": "?"}), id="garbage"
        ),
        pytest.param(_lines({"name": "m1"}, {"name": "m2"}), id="kubefeds"),
        pytest.param(_lines({"name": "m1"}, {"name": "m2"}, observed=77), id="of a generation to come"),
        pytest.param(_lines({"name": "ghost", "fingerprint": "A.B.5"}), id="of a cluster that is none"),
        pytest.param(_lines({"name": "m3", "fingerprint": "A.B.5"}), id="of a cluster that has none"),
        pytest.param(_lines({"name": "m1", "status": "UpdateFailed", "message": "no"}), id="failing"),
        pytest.param({"clusters": "text"}, id="no list"),
        pytest.param({"observedGeneration": "x", "conditions": 7}, id="no status at all"),
        pytest.param(
            _lines({"name": "m1", "generation": -4}, {"name": "m1"}, {"name": "m2"}), id="twice-and-another-generation"
        ),
    ],
)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "started"])
def test_a_wrong_status_corrects_itself_within_a_minute(status: dict[str, Any] | None, restarted: bool) -> None:
    @virtual
    async def run() -> None:
        async with Rig("m1", "m2", "m3", types=BOTH) as rig:
            await placed(rig, clusters=("m1", "m2"))
            right = rig.stored()
            assert right is not None
            if not restarted:
                spoil(rig, status)
                await asyncio.sleep(60)
                compare(rig, right)
        if restarted:
            spoil(rig, status)
            async with Rig("m1", "m2", "m3", types=BOTH, after=rig) as again:
                await asyncio.sleep(60)
                compare(again, right)

    run()


def spoil(rig: Rig, status: dict[str, Any] | None) -> None:
    """The object with another status."""
    rig.hub.put(CONFIGMAPS.federated, WEB, status=None)
    if status is not None:
        rig.hub.put(CONFIGMAPS.federated, WEB, status=status)


def compare(rig: Rig, right: dict[str, Any]) -> None:
    """Lines and conditions are as they were, and so are the members; nobody lost anything."""
    stored = rig.stored()
    assert stored is not None
    assert stored["status"]["clusters"] == right["status"]["clusters"]
    assert [(each["type"], each["status"]) for each in stored["status"]["conditions"]] == [
        (each["type"], each["status"]) for each in right["status"]["conditions"]
    ]
    assert [rig.data(name) for name in ("m1", "m2", "m3")] == ["b", "b", None]
    assert not any(call.startswith("delete") for fake in rig.members.values() for call in fake.calls)


@virtual
async def test_a_status_that_claims_what_the_member_does_not_have_is_corrected() -> None:
    """The hub was restored to before the last change: status and spec are of then, the member has what came later."""
    async with Rig("m1", types=BOTH) as rig:
        await placed(rig)
        old = copy.deepcopy(rig.hub.objects[CONFIGMAPS.federated.qualified, WEB])
        rig.put(template={"data": {"a": "later"}})
        await asyncio.sleep(5)
        assert rig.data("m1") == "later"
    rig.hub.objects[CONFIGMAPS.federated.qualified, WEB] = old
    async with Rig("m1", types=BOTH, after=rig) as again:
        await asyncio.sleep(60)
        assert (again.data("m1"), again.lines()) == ("b", {"m1": ""})
