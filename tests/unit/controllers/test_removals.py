"""What leaves a member, and what is reported of it: the whole road, with members in memory."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from federation.controllers.removals import MOST
from federation.core import planning
from federation.core.facts import Facts
from federation.model.marks import CREATED_ANNOTATION, DELETE_ADOPTED_ANNOTATION, MANAGED_LABEL
from federation.model.resources import NAMESPACES, ObjectName
from federation.runtime import metrics
from tests.unit.controllers.rig import CONFIGMAPS, FEDERATED_NAMESPACES, NS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

BOTH = (FEDERATED_NAMESPACES, CONFIGMAPS)
SPACE = ObjectName("", "ns")
OWN = ObjectName("ns", "own")


def home(rig: Rig, *clusters: str, **changes: Any) -> None:
    """The FederatedNamespace."""
    rig.put(NS, clusters=clusters, enabled=FEDERATED_NAMESPACES, **changes)


def managed(rig: Rig, name: str = "m1") -> Any:
    return rig.members[name].value(NAMESPACES, SPACE, "metadata", "labels", MANAGED_LABEL)


def events(rig: Rig, reason: str = "CopyRemoved") -> list[str]:
    return [str(body["message"]) for body in rig.hub.events if body["reason"] == reason]


def counted(how: str, why: str, enabled: str = "configmaps") -> float:
    return metrics.REMOVALS.labels(enabled, how, why).now


@virtual
async def test_a_namespace_that_was_created_is_deleted_and_one_that_was_adopted_stays() -> None:
    """By a note of the creation alone, which a restart and a lost status leave as they are."""
    async with Rig("m1", "m2", types=BOTH) as rig:
        rig.members["m2"].post(NAMESPACES, SPACE, {"metadata": {"labels": {"own": "1"}}})
        home(rig, "m1", "m2")
        await asyncio.sleep(1)
        note = {name: fake.value(NAMESPACES, SPACE, "metadata", "annotations", CREATED_ANNOTATION)
                for name, fake in rig.members.items()}  # fmt: skip
        assert note == {"m1": "kubefed-0123abcd", "m2": None}
    async with Rig("m1", "m2", types=BOTH, after=rig) as again:
        again.quiet()
        await asyncio.sleep(5)
        assert again.asked == {}, "the note is no drift"
        home(again)
        await asyncio.sleep(5)
        assert again.members["m1"].value(NAMESPACES, SPACE, "metadata", "labels", MANAGED_LABEL) is None
        assert ("namespaces", SPACE) not in again.members["m1"].objects
        assert again.members["m2"].value(NAMESPACES, SPACE, "metadata", "labels", "own") == "1"
        assert managed(again, "m2") is None
        assert again.lines(NS, FEDERATED_NAMESPACES) == {}
        (kept,) = [each for each in events(again) if "released" in each]
        assert kept.startswith("m2: released: spec.placement.clusters of generation 2")
        assert DELETE_ADOPTED_ANNOTATION in kept


@virtual
async def test_an_adopted_namespace_is_deleted_where_its_user_asks_for_that() -> None:
    async with Rig("m1", types=BOTH) as rig:
        rig.members["m1"].post(NAMESPACES, SPACE, {"metadata": {"labels": {"own": "1"}}})
        home(rig, "m1", metadata={"annotations": {DELETE_ADOPTED_ANNOTATION: "true"}})
        await asyncio.sleep(1)
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert ("namespaces", SPACE) not in rig.members["m1"].objects
        assert rig.stored(NS, FEDERATED_NAMESPACES) is None


@virtual
async def test_deleting_the_federated_namespace_releases_an_adopted_one_and_reports_it() -> None:
    async with Rig("m1", types=BOTH) as rig:
        rig.members["m1"].post(NAMESPACES, SPACE, {"metadata": {"labels": {"own": "1"}}})
        home(rig, "m1")
        await asyncio.sleep(1)
        rig.delete(NS, FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.stored(NS, FEDERATED_NAMESPACES) is None
        assert managed(rig) is None
        assert rig.members["m1"].value(NAMESPACES, SPACE, "metadata", "labels", "own") == "1"


@virtual
async def test_a_cluster_that_joins_again_by_another_name_loses_no_namespace() -> None:
    """Nothing places it there by that name, and what is in it may be anybody's."""
    async with Rig("m1", types=BOTH) as rig:
        home(rig, "m1")
        await asyncio.sleep(1)
        fake = rig.members["m1"]
        fake.namespaces.add("ns")
        fake.post(CONFIGMAPS.target, OWN, {"data": {"k": "v"}})
        rig.leave("m1")
        rig.members["m9"] = fake
        rig.join("m9")
        await asyncio.sleep(5)
        assert ("namespaces", SPACE) in fake.objects
        assert fake.value(CONFIGMAPS.target, OWN, "data", "k") == "v"
        assert "delete ns" not in fake.calls
        assert managed(rig, "m9") is None


@virtual
async def test_a_system_namespace_bounds_its_objects_and_is_never_touched() -> None:
    async with Rig("m1", types=BOTH) as rig:
        where, web = ObjectName("default", "default"), ObjectName("default", "web")
        fake = rig.members["m1"]
        fake.namespaces.add("default")
        rig.put(where, clusters=("m1",), enabled=FEDERATED_NAMESPACES)
        rig.put(web)
        await asyncio.sleep(2)
        assert fake.calls == ["apply default/web"]
        ready = rig.condition("Ready", where, FEDERATED_NAMESPACES)
        assert (ready["status"], ready["reason"]) == ("True", "SystemNamespace")
        rig.delete(where, FEDERATED_NAMESPACES)
        await asyncio.sleep(5)
        assert rig.stored(where, FEDERATED_NAMESPACES) is None
        assert fake.calls == ["apply default/web", "delete default/web"]


# --- a namespace that is somebody else's ------------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("label", [None, "false"], ids=["adoption-disabled", "label-false"])
async def test_objects_go_into_a_namespace_that_is_somebody_elses(label: str | None) -> None:
    async with Rig("m1", types=BOTH) as rig:
        fake = rig.members["m1"]
        rig.world.settings = type(rig.world.settings)(adopt_resources=label is not None)
        labels = {"own": "1"} if label is None else {MANAGED_LABEL: label}
        fake.post(NAMESPACES, SPACE, {"metadata": {"labels": labels}})
        rig.put()
        home(rig, "m1")
        await asyncio.sleep(5)
        word = "AlreadyExists" if label is None else "ManagedLabelFalse"
        assert rig.lines(NS, FEDERATED_NAMESPACES) == {"m1": word}
        assert rig.lines() == {"m1": ""}
        assert rig.data("m1") == "b"
        assert managed(rig) == label


# --- what is reported -------------------------------------------------------------------------------------------------


@virtual
async def test_a_removal_by_placement_is_logged_counted_and_reported_once_for_all_clusters() -> None:
    async with Rig("m1", "m2") as rig:
        rig.put()
        await asyncio.sleep(1)
        before = counted("deleted", "placement")
        with capture_logs() as logs:
            rig.put(clusters=())
            await asyncio.sleep(5)
        logged = [each for each in logs if each["event"] == "copy removed"]
        assert [(each["clusters"], each["how"], each["why"], each["log_level"]) for each in logged] == [
            (["m1", "m2"], "deleted", "placement", "info"),
        ]
        assert "generation 2" in logged[0]["change"]
        assert events(rig) == ["m1, m2: deleted: spec.placement.clusters of generation 2 does not select the cluster"]
        assert counted("deleted", "placement") == before + 2
        assert rig.condition("Ready")["reason"] == "NoClusterSelected"


@virtual
async def test_a_label_taken_off_a_cluster_is_named_as_the_cause() -> None:
    async with Rig("m1") as rig:
        rig.see("m1", labels={"tier": "edge"})
        spec = {"placement": {"clusterSelector": {"matchLabels": {"tier": "edge"}}}, "template": {"data": {"a": "b"}}}
        rig.hub.put(CONFIGMAPS.federated, WEB, spec=spec)
        await asyncio.sleep(1)
        rig.see("m1", labels={})
        await asyncio.sleep(5)
        assert rig.data("m1") is None
        (message,) = events(rig)
        assert "labels of KubeFedCluster 'm1'" in message


@virtual
async def test_a_namespaces_placement_is_named_as_the_cause() -> None:
    async with Rig("m1", types=BOTH) as rig:
        home(rig, "m1")
        rig.put()
        await asyncio.sleep(1)
        home(rig)
        await asyncio.sleep(5)
        assert any("FederatedNamespace 'ns' (generation 2) does not select" in each for each in events(rig))


@virtual
async def test_its_users_own_deletion_is_logged_and_counted_and_no_event() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await asyncio.sleep(1)
        before = counted("deleted", "deletion")
        with capture_logs() as logs:
            rig.delete()
            await asyncio.sleep(5)
        assert [each["why"] for each in logs if each["event"] == "copy removed"] == ["deletion"]
        assert counted("deleted", "deletion") == before + 1
        assert events(rig) == []


@virtual
async def test_a_deletion_that_is_sent_again_is_reported_once() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await asyncio.sleep(1)
        rig.members["m1"].delay_events = True
        with capture_logs() as logs:
            rig.put(clusters=())
            await asyncio.sleep(60)
        assert rig.members["m1"].calls.count("delete ns/web") > 1
        assert len([each for each in logs if each["event"] == "copy removed"]) == 1


@virtual
async def test_many_removals_at_once_are_few_lines_which_name_every_cluster() -> None:
    clusters = [f"m{number:03}" for number in range(MOST + 20)]
    async with Rig(*clusters) as rig:
        rig.put(clusters=tuple(clusters))
        await asyncio.sleep(1)
        before = counted("deleted", "deletion")
        with capture_logs() as logs:
            rig.delete()
            await asyncio.sleep(5)
        lines = [each["clusters"] for each in logs if each["event"] == "copy removed"]
        assert len(lines) <= 4
        assert max(map(len, lines)) <= MOST
        assert sorted(name for line in lines for name in line) == clusters
        assert counted("deleted", "deletion") == before + len(clusters)


@virtual
async def test_what_is_not_logged_yet_is_logged_when_the_controller_ends() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await asyncio.sleep(1)
        with capture_logs() as logs:
            rig.delete()
            await settle()
            assert rig.data("m1") is None
            assert not [each for each in logs if each["event"] == "copy removed"]
            rig.sync.finish()
            assert [each["clusters"] for each in logs if each["event"] == "copy removed"] == [["m1"]]
            await asyncio.sleep(5)
        assert len([each for each in logs if each["event"] == "copy removed"]) == 1


MANY = tuple(f"m{number}" for number in range(30))


def note_plans(monkeypatch: pytest.MonkeyPatch) -> list[Facts]:
    """The facts of each plan that is made from now on."""
    plans: list[Facts] = []
    made = planning.plan

    def noting(facts: Facts) -> Any:
        plans.append(facts)
        return made(facts)

    monkeypatch.setattr(planning, "plan", noting)
    return plans


@pytest.mark.parametrize("goes", ["object", "placement"])
def test_copies_that_go_one_after_the_other_do_not_need_a_plan_each(goes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @virtual
    async def test() -> None:
        async with Rig(*MANY) as rig:
            rig.put(WEB, clusters=MANY)
            await asyncio.sleep(1)
            for member in rig.members.values():
                member.delay_events = True
            plans = note_plans(monkeypatch)
            if goes == "object":
                rig.delete(WEB)
            else:
                rig.put(WEB, clusters=())
            await asyncio.sleep(1)
            for member in rig.members.values():
                assert not member.objects
                member.deliver()
                await settle()
            await asyncio.sleep(0.1)
            assert len(plans) <= 6
            assert rig.lines() == {}
            assert (rig.stored() is None) == (goes == "object")

    test()


@virtual
async def test_a_copy_that_does_not_go_hides_nothing_of_the_others() -> None:
    async with Rig(*MANY) as rig:
        rig.put(WEB, clusters=MANY)
        await asyncio.sleep(1)
        rig.members["m7"].delay_events = True
        rig.put(WEB, clusters=())
        await asyncio.sleep(6)
        assert set(rig.lines()) == {"m7"}
        rig.members["m7"].deliver()
        await asyncio.sleep(1)
        assert rig.lines() == {}
