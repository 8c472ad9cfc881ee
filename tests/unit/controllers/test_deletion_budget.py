"""Deletions that are more than go by themselves: held by the sync controller, approved, rejected, forgotten."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.controllers.deletionrecords import DeletionRecords
from federation.controllers.deletions import Deletions
from federation.controllers.triggers import StoredSink
from federation.core import holds
from federation.kube import decoding
from federation.model import marks
from federation.model.federated import DatedMetadata, FederatedType, Metadata, StoredObject
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, ObjectName
from federation.model.settings import DeletionBudget, Settings
from federation.runtime.store import Store
from federation.runtime.tasks import Tasks
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, Rig
from tests.unit.virtualtime import virtual

CONFIG = ObjectName(marks.SYSTEM_NAMESPACE, marks.CONFIG)
TARGET = CONFIGMAPS.target
NOW = "2026-01-01T10:00:00Z"
BOTH = (CONFIGMAPS, FEDERATED_NAMESPACES)


@dataclass
class Budgeted:
    """A rig whose deletions are counted."""

    rig: Rig
    deletions: Deletions
    records: DeletionRecords

    @property
    def status(self) -> dict[str, Any]:
        """Of the KubeFedConfig."""
        stored = self.rig.hub.get(KUBEFED_CONFIGS, CONFIG)
        return dict((stored or {}).get("status") or {})

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Those that the KubeFedConfig's status shows."""
        return list((self.status.get("deletions") or {}).get("groups") or [])

    def say(self, word: str, group: str) -> None:
        """A person says it of a group."""
        self.rig.hub.put(KUBEFED_CONFIGS, CONFIG, metadata={"annotations": {f"{marks.DELETIONS_PREFIX}{group}": word}})

    def copies(self, member: str, kind: FederatedType = CONFIGMAPS) -> int:
        """How many a member has."""
        return sum(1 for what, _ in self.rig.members[member].objects if what == kind.target.qualified)

    async def held(self) -> dict[str, Any]:
        """The one group, once it is told of."""
        for _ in range(100):
            await asyncio.sleep(0.5)
            if self.groups:
                [group] = self.groups
                return group
        pytest.fail("nothing is held")


@asynccontextmanager
async def budgeted(
    *members: str, types: tuple[FederatedType, ...] = (CONFIGMAPS,), after: Rig | None = None
) -> AsyncIterator[Budgeted]:
    rig = Rig(*members, types=types, after=after)
    hub = rig.hub
    if after is None:
        hub.put(KUBEFED_CONFIGS, CONFIG)
    configs: Store[StoredObject] = Store()
    deletions = Deletions(rig.world, rig.sync.changed)
    records = DeletionRecords(rig.world, hub, configs, deletions, events=rig.events, where=CONFIG, now=lambda: NOW)
    hub.follow(KUBEFED_CONFIGS, StoredSink(configs, records.observed), decoding.stored)
    records.begin()
    rig.sync.hold_deletions(deletions)
    tasks = Tasks()
    tasks.keep(deletions.serve, "deletions")
    try:
        async with rig:
            yield Budgeted(rig, deletions, records)
    finally:
        await tasks.cancel()


def name(number: int, namespace: str = "ns") -> ObjectName:
    return ObjectName(namespace, f"o{number}")


async def filled(made: Budgeted, number: int, selector: Mapping[str, Any] | None = None) -> None:
    """So many objects, in all members, or by labels."""
    for each in range(number):
        if selector is None:
            made.rig.put(name(each))
        else:
            made.rig.put_selected(name(each), dict(selector))
    await asyncio.sleep(70)  # within a window of the start nothing goes that does not come alone
    made.rig.quiet()


async def leaving(made: Budgeted, number: int) -> dict[str, Any]:
    """So many of 40 objects leave m2 at once: the group that holds them."""
    await filled(made, 40)
    for each in range(number):
        made.rig.put(name(each), clusters=("m1",))
    return await made.held()


def still_in_m2(made: Budgeted) -> list[int]:
    """Those of the first 12 that have a copy there."""
    return [each for each in range(12) if made.rig.members["m2"].value(TARGET, name(each), "data", "a")]


@virtual
async def test_a_single_removal_does_not_wait_and_costs_no_write_more() -> None:
    async with budgeted("m1", "m2") as made:
        await filled(made, 3)
        made.rig.put(name(0), clusters=("m1",))
        await asyncio.sleep(0.2)
        assert made.copies("m2") == 2
        await asyncio.sleep(30)
        assert made.rig.hub.writes == [f"status {name(0)}", "create events"], "the event says where it was removed"
        assert made.status == {}


@virtual
async def test_a_few_together_go_after_a_moment() -> None:
    async with budgeted("m1", "m2") as made:
        await filled(made, 5)
        for each in range(5):
            made.rig.put(name(each), clusters=("m1",))
        await asyncio.sleep(3)
        assert made.copies("m2") == 0
        await asyncio.sleep(30)
        assert made.status == {}


@virtual
async def test_within_a_window_of_the_start_removals_that_do_not_come_alone_wait_and_nothing_else() -> None:
    """What went before this process began is not known. Clusters that are added, and new content, wait for nothing."""
    async with budgeted("m1", "m2", "m3") as made:
        for each in range(6):
            made.rig.put(name(each), clusters=("m1",))
        await asyncio.sleep(2)
        for each in range(3):
            made.rig.put(name(each), clusters=("m1", "m2", "m3"))
        await asyncio.sleep(0.5)
        assert (made.copies("m2"), made.copies("m3")) == (3, 3), "additions go at once, however many"
        for each in range(3, 6):
            made.rig.put(name(each), {"data": {"a": "new"}}, clusters=("m2",))
        await asyncio.sleep(0.5)
        assert made.copies("m2") == 6
        assert all(made.rig.members["m2"].value(TARGET, name(each), "data", "a") == "new" for each in range(3, 6))
        assert made.copies("m1") == 5, "the one that came first has come alone"
        await asyncio.sleep(20)
        assert made.copies("m1") == 5
        line = next(each for each in (made.rig.stored(name(5)) or {})["status"]["clusters"] if each["name"] == "m1")
        assert (line["status"], line["message"]) == ("Pending", holds.COUNTED)
        await asyncio.sleep(60)
        assert made.copies("m1") == 3
        assert made.status == {}


@virtual
async def test_a_label_that_goes_empties_no_member() -> None:
    async with budgeted("m1", "m2") as made:
        for each in ("m1", "m2"):
            made.rig.see(each, labels={"stage": "prod"})
        await filled(made, 40, {"matchLabels": {"stage": "prod"}})
        made.rig.hub.writes.clear()
        made.rig.see("m1", labels={"stage": None})
        group = await made.held()
        assert (group["cause"], group["subject"], group["deletions"]) == ("ClusterLabels", "m1", 40)
        assert made.copies("m1") == 40
        await asyncio.sleep(5)
        told = [each for each in made.rig.hub.writes if each.startswith("status ")]
        assert told[0] == f"status {CONFIG}", "what an object names can be looked up"
        assert sorted(told[1:]) == sorted(f"status {name(each)}" for each in range(40)), "each is told once"
        assert not any("delete" in call for call in made.rig.members["m1"].calls)
        condition = made.rig.condition("DeletionsHeld", name(7))
        assert (condition["status"], condition["reason"]) == ("True", "OverBudget")
        assert group["id"] in condition["message"]
        assert made.rig.lines(name(7)) == {"m1": "WaitingForRemoval", "m2": ""}
        assert [each["reason"] for each in made.rig.hub.events].count("DeletionsHeld") == 1
        # Everything else goes on.
        made.rig.hub.put(CONFIGMAPS.federated, name(7), spec={"template": {"data": {"a": "new"}}})
        await asyncio.sleep(5)
        assert made.rig.data("m2", name=name(7)) == "new"
        # A revert leaves no trace.
        made.rig.see("m1", labels={"stage": "prod"})
        await asyncio.sleep(30)
        assert made.status == {"conditions": []}
        assert made.rig.condition("DeletionsHeld", name(7)) == {}
        assert made.rig.data("m1", name=name(7)) == "new"
        assert made.copies("m1") == 40


@virtual
async def test_at_rest_a_hold_costs_nothing() -> None:
    async with budgeted("m1", "m2") as made:
        await leaving(made, 40)
        await asyncio.sleep(60)
        made.rig.quiet()
        await asyncio.sleep(3600)
        assert made.rig.hub.writes == []
        assert made.rig.asked == {}


@virtual
async def test_approved_removals_go_and_others_do_not() -> None:
    async with budgeted("m1", "m2") as made:
        group = await leaving(made, 30)
        assert group["cause"] == "Placements"
        assert made.copies("m2") >= 39, "at most the one that came alone has gone"
        made.say(marks.APPROVED, "another")
        await asyncio.sleep(30)
        assert made.copies("m2") >= 39
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(30)
        assert made.copies("m2") == 10
        assert made.status == {"conditions": []}
        assert made.rig.condition("DeletionsHeld", name(7)) == {}
        assert made.rig.lines(name(7)) == {"m1": ""}


@virtual
async def test_rejected_removals_are_never_done() -> None:
    async with budgeted("m1", "m2") as made:
        group = await leaving(made, 30)
        left = made.copies("m2")
        made.say(marks.REJECTED, group["id"])
        await asyncio.sleep(600)
        assert made.copies("m2") == left
        assert made.rig.condition("DeletionsHeld", name(7))["reason"] == "Rejected"
        assert [each["state"] for each in made.groups] == ["Rejected"]
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(30)
        assert made.copies("m2") == 10


@virtual
async def test_many_deleted_by_name_wait_and_a_rejection_lets_copies_stay() -> None:
    async with budgeted("m1") as made:
        await filled(made, 40)
        for each in range(12):
            made.rig.delete(name(each))
        group = await made.held()
        assert (group["cause"], group["by"]) == ("DeletedByName", [])
        left = made.copies("m1")
        assert left >= 39
        held = [each for each in range(12) if made.rig.stored(name(each)) is not None]
        assert len(held) >= 11
        await asyncio.sleep(5)
        assert made.rig.condition("DeletionsHeld", name(held[0]))["status"] == "True"
        made.say(marks.REJECTED, group["id"])
        await asyncio.sleep(60)
        assert [each for each in held if made.rig.stored(name(each)) is not None] == []
        assert made.copies("m1") == left
        assert made.rig.members["m1"].value(TARGET, name(held[0]), "metadata", "labels", marks.MANAGED_LABEL) is None
        assert made.groups == []


@virtual
async def test_a_namespace_that_is_deleted_at_the_hub_is_one_change() -> None:
    async with budgeted("m1") as made:
        await filled(made, 12)
        made.rig.host_namespaces.upsert(Metadata(name="ns", uid="u", deletion_timestamp=NOW))
        for each in range(12):
            made.rig.delete(name(each))
        group = await made.held()
        assert (group["cause"], group["subject"]) == ("NamespaceDeleted", "ns")
        assert made.copies("m1") == 12
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(30)
        assert made.copies("m1") == 0


@virtual
async def test_a_young_namespace_that_is_deleted_at_the_hub_goes_with_all_that_is_in_it() -> None:
    """A test's, or a preview's: nobody is asked, and no other deletion is counted with it."""
    async with budgeted("m1") as made:
        await filled(made, 12)
        created = "2026-01-01T09:55:00Z"
        made.rig.host_namespaces.upsert(
            DatedMetadata(name="ns", uid="u", creation_timestamp=created, deletion_timestamp=NOW)
        )
        for each in range(12):
            made.rig.delete(name(each))
        await asyncio.sleep(5)
        assert made.copies("m1") == 0
        assert made.groups == []


@virtual
async def test_a_namespace_that_was_made_anew_at_the_hub_is_not_young_in_the_members() -> None:
    """As after a loss of the hub, by a tool that restores objects: the copies are older than the hub's Namespace, and
    who deletes that to try again would lose them."""
    async with budgeted("m1") as made:
        await filled(made, 12)
        created, ended = "2028-01-01T09:55:00Z", "2028-01-01T10:00:00Z"
        made.rig.host_namespaces.upsert(
            DatedMetadata(name="ns", uid="u", creation_timestamp=created, deletion_timestamp=ended)
        )
        for each in range(12):
            made.rig.delete(name(each))
        group = await made.held()
        assert (group["cause"], group["objects"]) == ("NamespaceDeleted", 12)
        assert made.copies("m1") == 12


@virtual
async def test_a_kubefedconfig_that_was_made_anew_makes_no_control_plane_young() -> None:
    async with budgeted("m1", "m2") as made:
        made.rig.world.settings = replace(made.rig.world.settings, namespaced=True)
        await filled(made, 20)
        await asyncio.sleep(3600)
        created = datetime.fromtimestamp(time.time(), UTC)
        made.rig.hub.put(KUBEFED_CONFIGS, CONFIG, metadata={"creationTimestamp": created.isoformat()})
        for each in range(8):
            made.rig.put(name(each), clusters=("m1",))
        assert (await made.held())["cause"] == "Placements"


@virtual
@pytest.mark.parametrize(("namespaced", "hours", "held"), [(True, 0, False), (True, 2, True), (False, 0, True)])
async def test_a_young_control_plane_of_one_namespace_asks_nobody(*, namespaced: bool, hours: int, held: bool) -> None:
    async with budgeted("m1", "m2") as made:
        made.rig.world.settings = replace(made.rig.world.settings, namespaced=namespaced)
        created = datetime.fromtimestamp(time.time(), UTC) - timedelta(hours=hours)
        made.rig.hub.put(KUBEFED_CONFIGS, CONFIG, metadata={"creationTimestamp": created.isoformat()})
        await filled(made, 20)
        for each in range(8):
            made.rig.put(name(each), clusters=("m1",))
        await asyncio.sleep(10)
        assert made.copies("m2") == (19 if held else 12), "the first one comes alone"
        assert bool(made.groups) is held


@pytest.mark.parametrize("lost", ["nothing", "conditions", "record"])
@virtual
async def test_a_restart_keeps_the_hold_of_what_is_left(lost: str) -> None:
    """Fewer are left than go by themselves: they are held all the same, also where no object's status says so, or where
    the KubeFedConfig has lost its record."""
    async with budgeted("m1", "m2") as made:
        group = await leaving(made, 12)
        await asyncio.sleep(15)
        kept = still_in_m2(made)
        for each in kept[3:]:
            made.rig.put(name(each), clusters=("m1", "m2"))
        await asyncio.sleep(15)
        before = made.rig
    for each in kept[:3] if lost == "conditions" else ():
        before.hub.objects[CONFIGMAPS.federated.qualified, name(each)]["status"]["conditions"] = []
    if lost == "record":
        del before.hub.objects[KUBEFED_CONFIGS.qualified, CONFIG]["status"]
    copies = made.copies("m2")
    async with budgeted("m1", "m2", after=before) as made:
        await asyncio.sleep(100)
        assert made.copies("m2") == copies
        assert [(each["id"], each["deletions"]) for each in made.groups] == [(group["id"], 3)]
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(700)
        assert made.copies("m2") == copies - 3
        assert made.groups == []


@virtual
async def test_what_is_held_stays_held_while_its_cluster_is_away() -> None:
    async with budgeted("m1", "m2") as made:
        group = await leaving(made, 12)
        copies = made.copies("m2")
        made.rig.see("m2", ready=False, message="away")
        await asyncio.sleep(30)
        made.rig.see("m2", ready=True, message="")
        await asyncio.sleep(300)
        assert made.copies("m2") == copies
        assert [each["id"] for each in made.groups] == [group["id"]]


# --- namespaces -------------------------------------------------------------------------------------------------------


async def namespace(made: Budgeted, objects: int) -> None:
    """A FederatedNamespace in m1 and m2, with so many objects in it."""
    made.rig.put(NS, enabled=FEDERATED_NAMESPACES)
    await asyncio.sleep(3)
    await filled(made, objects)


@virtual
async def test_the_placement_of_a_namespace_is_one_change_with_all_that_is_in_it() -> None:
    async with budgeted("m1", "m2", types=BOTH) as made:
        await namespace(made, 20)
        made.rig.put(NS, enabled=FEDERATED_NAMESPACES, clusters=("m2",))
        group = await made.held()
        assert (group["cause"], group["subject"], group["deletions"]) == ("FederatedNamespace", "ns", 21)
        assert (made.copies("m1"), made.copies("m1", FEDERATED_NAMESPACES)) == (20, 1)
        assert not any("others" in call for call in made.rig.members["m1"].calls), "it is not looked into"
        made.rig.put(NS, enabled=FEDERATED_NAMESPACES, clusters=("m1", "m2"))
        await asyncio.sleep(30)
        assert made.groups == []


POD = 'has Pod "db" in it'
ENFORCED, NOT_ENFORCED = Settings(), Settings(deletion_budget=DeletionBudget(enabled=False))


@pytest.mark.parametrize(
    ("settings", "objects", "others", "by_name", "looks"),
    [
        pytest.param(ENFORCED, 1, "", False, 1, id="it-has-nothing-of-others"),
        pytest.param(ENFORCED, 20, POD, True, 0, id="it-is-deleted-by-name"),
        pytest.param(NOT_ENFORCED, 20, POD, False, 0, id="it-is-switched-off"),
    ],
)
@virtual
async def test_a_namespace_goes_with_all_that_is_in_it(
    settings: Settings, objects: int, others: str, by_name: bool, looks: int
) -> None:
    async with budgeted("m1", "m2", types=BOTH) as made:
        made.rig.world.settings = settings
        await namespace(made, objects)
        made.rig.members["m1"].others["ns"] = others
        if by_name:
            made.rig.delete(NS, FEDERATED_NAMESPACES)
        else:
            made.rig.put(NS, enabled=FEDERATED_NAMESPACES, clusters=("m2",))
        await asyncio.sleep(30)
        assert (made.copies("m1"), made.copies("m1", FEDERATED_NAMESPACES)) == (0, 0)
        assert made.rig.members["m1"].calls.count("others ns") == looks
        assert made.status == {}
        assert made.rig.condition("DeletionsHeld", name(0)) == {}


@virtual
async def test_a_namespace_with_objects_of_others_is_held() -> None:
    async with budgeted("m1", "m2", types=BOTH) as made:
        await namespace(made, 1)
        made.rig.members["m1"].others["ns"] = POD
        made.rig.put(NS, enabled=FEDERATED_NAMESPACES, clusters=("m2",))
        group = await made.held()
        assert "has Pod" in group["message"]
        assert (made.copies("m1"), made.copies("m1", FEDERATED_NAMESPACES)) == (1, 1)


# --- protection -------------------------------------------------------------------------------------------------------


@virtual
async def test_a_protected_object_is_removed_from_nowhere() -> None:
    protect = {"annotations": {marks.PROTECTION_ANNOTATION: "true"}}
    async with budgeted("m1", "m2") as made:
        made.rig.put(name(0), metadata=protect)
        await asyncio.sleep(5)
        made.rig.put(name(0), clusters=("m1",))
        await asyncio.sleep(10)
        assert made.copies("m2") == 1
        condition = made.rig.condition("DeletionsHeld", name(0))
        assert condition["reason"] == "Protected"
        assert marks.PROTECTION_ANNOTATION in condition["message"]
        made.rig.delete(name(0))
        await asyncio.sleep(60)
        assert (made.copies("m1"), made.copies("m2")) == (1, 1)
        assert made.rig.stored(name(0)) is not None
        made.rig.hub.put(CONFIGMAPS.federated, name(0), metadata={"annotations": {marks.PROTECTION_ANNOTATION: None}})
        await asyncio.sleep(10)
        assert made.rig.stored(name(0)) is None
        assert (made.copies("m1"), made.copies("m2")) == (0, 0)


@virtual
async def test_a_protected_namespace_protects_what_is_in_it() -> None:
    protect = {"annotations": {marks.PROTECTION_ANNOTATION: "yes"}}
    async with budgeted("m1", "m2", types=BOTH) as made:
        made.rig.put(NS, enabled=FEDERATED_NAMESPACES, metadata=protect)
        await asyncio.sleep(3)
        await filled(made, 2)
        made.rig.put(name(0), clusters=("m1",))
        made.rig.put(NS, enabled=FEDERATED_NAMESPACES, clusters=("m2",))
        made.rig.delete(name(1))
        await asyncio.sleep(30)
        assert (made.copies("m1"), made.copies("m2"), made.copies("m1", FEDERATED_NAMESPACES)) == (2, 2, 1)
        assert "FederatedNamespace 'ns'" in made.rig.condition("DeletionsHeld", name(0))["message"]
        made.rig.hub.put(
            FEDERATED_NAMESPACES.federated, NS, metadata={"annotations": {marks.PROTECTION_ANNOTATION: "false"}}
        )
        await asyncio.sleep(30)
        assert (made.copies("m1"), made.copies("m2"), made.copies("m1", FEDERATED_NAMESPACES)) == (0, 0, 0)


# --- who did it, and other ends ---------------------------------------------------------------------------------------


def written(manager: str, at: str, subresource: str = "") -> dict[str, Any]:
    entry = {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": at, "fieldsV1": {"f:metadata": {}}}
    return {**entry, "subresource": subresource} if subresource else entry


@virtual
async def test_it_names_who_was_last_to_change_what_it_follows_from() -> None:
    async with budgeted("m1", "m2") as made:
        made.rig.see("m1", labels={"stage": "prod"})
        await filled(made, 10, {"matchLabels": {"stage": "prod"}})
        entries = [
            written("argocd", "2026-01-01T09:00:00Z"),
            written("kubectl-label", "2026-01-01T09:59:00Z"),
            written("federation-controller", "2026-01-01T09:59:30Z"),
            written("kubelet", "2026-01-01T09:59:59Z", "status"),
        ]
        where = ObjectName(made.rig.world.namespace, "m1")
        made.rig.hub.put(KUBEFED_CLUSTERS, where, metadata={"managedFields": entries})
        made.rig.see("m1", labels={"stage": None})
        group = await made.held()
        assert group["by"] == [{"manager": "kubectl-label", "time": "2026-01-01T09:59:00Z"}]


@virtual
async def test_a_status_that_somebody_has_emptied_is_put_back() -> None:
    async with budgeted("m1", "m2") as made:
        group = await leaving(made, 12)
        await asyncio.sleep(15)
        made.rig.hub.put(KUBEFED_CONFIGS, CONFIG, status={"deletions": None, "conditions": None})
        await asyncio.sleep(15)
        assert [each["id"] for each in made.groups] == [group["id"]]
        assert made.status["conditions"][0]["type"] == "DeletionsHeld"


@pytest.mark.parametrize(
    "stored",
    [
        7,
        [],
        {"groups": 3, "leftBehind": {"uid": 3}},
        {"groups": [4, {"id": 5}, {"id": "x", "cause": "?"}], "leftBehind": [4, {"uid": 3}, {"uid": ""}]},
    ],
)
@virtual
async def test_a_status_that_is_none_holds_nothing(stored: Any) -> None:
    rig = Rig("m1")
    rig.hub.put(KUBEFED_CONFIGS, CONFIG, status={"deletions": stored})
    async with budgeted("m1", after=rig) as made:
        await asyncio.sleep(100)
        assert not made.deletions.ledger


@virtual
async def test_a_group_with_odd_fields_is_held_all_the_same() -> None:
    odd = {
        "id": "0a0a0a0a",
        "cause": "Placements",
        "state": "Held",
        "by": [3, {}],
        "subject": 3,
        "since": [],
        "message": {},
    }
    rig = Rig("m1")
    rig.hub.put(
        KUBEFED_CONFIGS, CONFIG, status={"deletions": {"groups": [odd], "leftBehind": [{"uid": "u", "count": "?"}]}}
    )
    async with budgeted("m1", after=rig) as made:
        await asyncio.sleep(100)
        assert [each["id"] for each in made.groups] == ["0a0a0a0a"]
        await asyncio.sleep(700)
        assert made.groups == [], "nobody wants it"


@virtual
async def test_a_namespace_and_its_objects_that_are_deleted_together_wait_together() -> None:
    async with budgeted("m1", types=BOTH) as made:
        await namespace(made, 8)
        for each in range(8):
            made.rig.delete(name(each))
        made.rig.delete(NS, FEDERATED_NAMESPACES)
        group = await made.held()
        assert group["cause"] == "DeletedByName"
        await asyncio.sleep(30)
        assert made.copies("m1", FEDERATED_NAMESPACES) == 1
        assert made.copies("m1") >= 7
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(60)
        assert (made.copies("m1"), made.copies("m1", FEDERATED_NAMESPACES)) == (0, 0)
        assert made.rig.stored(NS, FEDERATED_NAMESPACES) is None


@virtual
async def test_a_rejected_deletion_of_a_namespace_lets_all_that_is_in_it_stay() -> None:
    """Also objects that nobody has deleted: they lose their federation only."""
    async with budgeted("m1", types=BOTH) as made:
        await namespace(made, 8)
        for each in range(6):
            made.rig.delete(name(each))
        made.rig.delete(NS, FEDERATED_NAMESPACES)
        group = await made.held()
        left = made.copies("m1")
        made.say(marks.REJECTED, group["id"])
        await asyncio.sleep(120)
        assert made.rig.stored(NS, FEDERATED_NAMESPACES) is None
        assert (made.copies("m1"), made.copies("m1", FEDERATED_NAMESPACES)) == (left, 1)
        assert made.rig.members["m1"].value(TARGET, name(7), "metadata", "labels", marks.MANAGED_LABEL) is None
        assert made.groups == []


@virtual
async def test_many_copies_that_are_back_from_the_dead_ask() -> None:
    """A member was restored to a backup of before a deletion: few would be deleted again at once, many are held."""
    async with budgeted("m1", "m2", types=BOTH) as made:
        made.rig.world.settings = Settings(deletion_budget=DeletionBudget(enabled=False))
        await namespace(made, 12)
        member = made.rig.members["m1"]
        old = {where: stored for where, stored in member.objects.items() if where[0] == TARGET.qualified}
        for each in range(12):
            made.rig.delete(name(each))
        await asyncio.sleep(20)
        assert made.copies("m1") == 0
        made.rig.world.settings = Settings()
        member.objects.update(old)
        for _, where in old:
            member.touch(TARGET, where)
        group = await made.held()
        assert group["cause"] == "Returned"
        await asyncio.sleep(120)
        assert made.copies("m1") >= 11
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(120)
        assert made.copies("m1") == 0


# --- copies that were left behind -------------------------------------------------------------------------------------


async def taken_out(made: Budgeted) -> None:
    """m1 is away, objects go meanwhile, and m1 is taken out."""
    await namespace(made, 3)
    made.rig.see("m1", ready=False, message="away")
    await asyncio.sleep(3)
    made.rig.delete(name(0))
    made.rig.put(name(1), clusters=("m2",))
    await asyncio.sleep(20)
    made.records.leaves("m1", "uid-1", True)
    made.rig.leave("m1")
    await asyncio.sleep(20)


async def back(made: Budgeted) -> None:
    """The cluster is back, under another name."""
    made.rig.members["again"] = made.rig.members["m1"]
    made.records.debts.identity = {"again": "uid-1"}.get  # type: ignore[assignment]
    made.rig.join("again")
    await asyncio.sleep(60)


def there(made: Budgeted) -> list[int]:
    """What is in the cluster that was taken out."""
    return [each for each in range(3) if made.rig.members["m1"].value(TARGET, name(each), "data", "a")]


@virtual
async def test_what_was_left_behind_is_offered_when_the_cluster_is_back() -> None:
    async with budgeted("m1", "m2", types=BOTH) as made:
        await taken_out(made)
        [left] = made.status["deletions"]["leftBehind"]
        assert (left["uid"], left["cluster"], left["count"]) == ("uid-1", "m1", 2)
        assert made.rig.stored(name(0)) is None
        await back(made)
        assert there(made) == [0], "what has a federated object is removed as ever"
        [group] = made.groups
        assert (group["cause"], group["subject"], group["deletions"]) == ("LeftBehind", "uid-1", 1)
        made.say(marks.APPROVED, group["id"])
        await asyncio.sleep(60)
        assert there(made) == []
        await asyncio.sleep(1300)
        assert "deletions" not in made.status


@virtual
async def test_what_was_left_behind_may_stay_and_a_restart_knows_of_it() -> None:
    async with budgeted("m1", "m2", types=BOTH) as made:
        await taken_out(made)
        before = made.rig
    async with budgeted("m2", types=BOTH, after=before) as made:
        await back(made)
        [group] = made.groups
        made.say(marks.REJECTED, group["id"])
        await asyncio.sleep(120)
        assert 0 in there(made)
        assert made.rig.members["m1"].value(TARGET, name(0), "metadata", "labels", marks.MANAGED_LABEL) is None
        assert made.groups == []


@virtual
async def test_a_cluster_that_is_unjoined_in_peace_leaves_no_debt() -> None:
    async with budgeted("m1", "m2", types=BOTH) as made:
        await filled(made, 3)
        made.records.leaves("m1", "uid-1", False)
        made.rig.leave("m1")
        await asyncio.sleep(30)
        assert made.status == {}
