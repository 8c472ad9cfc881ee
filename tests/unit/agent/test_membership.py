"""An agent that acts, on API servers in memory: what is written, to whom, and what is not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from federation.agent import membership, reasserting, reporting
from federation.agent.membership import Active, Identity
from federation.model.failures import Failure, FailureKind
from federation.model.works import DELETED_ANNOTATION, HELD_ANNOTATION, HUB_LABEL, LET_GO_ANNOTATION, WORK_FINALIZER
from federation.work import identity
from tests.unit.agent.servers import Server

WORKS = "/apis/work.open-cluster-management.io/v1/namespaces/c/manifestworks"
RECORDS = "/apis/work.open-cluster-management.io/v1/appliedmanifestworks"
MAPS = "/api/v1/namespaces/n/configmaps"
WHO = Identity("c", "agents")


class Pair:
    """A hub and a member, and an agent between them."""

    def __init__(self) -> None:
        self.hub, self.member = Server("hub"), Server("c", "https://member")
        self.active: Active | None = None
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.active = Active(WHO, self.hub, self.member)  # type: ignore[arg-type]
        self.task = asyncio.get_running_loop().create_task(self.active.run())

    async def stop(self, *, keep: bool = True) -> None:
        if self.active is None or self.task is None:
            return
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.active.stop(keep=keep)
        self.active = None

    async def restart(self, *, keep: bool = True) -> None:
        await self.stop(keep=keep)
        await self.start()

    def work(self, name: str, *manifests: dict[str, Any], **spec: Any) -> None:
        path = f"{WORKS}/{name}"
        known = self.hub.get(path)
        body = {"workload": {"manifests": list(manifests)}, **spec}
        if known is None:
            self.hub.put(path, {"metadata": {"name": name}, "spec": body})
        else:
            self.hub.put(path, {"spec": dict.fromkeys(known["spec"]) | body})

    def map(self, name: str) -> Any:
        return self.member.get(f"{MAPS}/{name}")

    def record(self, work: str) -> Any:
        return self.member.get(f"{RECORDS}/{identity.hub_hash('https://hub')}-{work}")

    def said(self, work: str, kind: str = "Applied") -> Any:
        found = self.hub.get(f"{WORKS}/{work}")
        conditions = (found or {}).get("status", {}).get("conditions", [])
        generation = (found or {}).get("metadata", {}).get("generation")
        return next(
            (each for each in conditions if each["type"] == kind and each["observedGeneration"] == generation), {}
        )

    async def until(self, check: Callable[[], Any], what: str = "") -> Any:
        ends = asyncio.get_running_loop().time() + 10
        while not (found := check()):
            if asyncio.get_running_loop().time() > ends:
                pytest.fail(f"not within 10 s: {what}; works {self.hub.objects}, member {self.member.objects}")
            await asyncio.sleep(0.01)
        return found

    async def applied(self, work: str) -> None:
        await self.until(lambda: self.said(work).get("status") == "True", f"{work} applied")

    async def rest(self) -> None:
        """Until nothing is written for a while."""
        count = -1
        while count != len(self.hub.writes) + len(self.member.writes):
            count = len(self.hub.writes) + len(self.member.writes)
            await asyncio.sleep(0.3)


def config_map(name: str, data: str = "1") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}, "data": {"k": data}}


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(reporting, "FIRST", 0.01)
    monkeypatch.setattr(reporting, "SPACING", 0.05)
    monkeypatch.setattr(reporting, "LEAVING", 0.1)
    monkeypatch.setattr(membership, "HUB_PATIENCE", 0.3)
    monkeypatch.setattr(reasserting, "SHORTEST", 0.05)
    made = Pair()
    await made.start()
    yield made
    await made.stop()


async def test_a_work_is_two_writes_to_the_member_and_two_to_the_hub(pair: Pair) -> None:
    await pair.rest()
    pair.work("w", config_map("a"))
    await pair.applied("w")
    assert [method for method, _ in pair.member.writes] == ["POST", "PATCH"]
    assert [(method, path.rpartition("/")[2]) for method, path in pair.hub.writes] == [
        ("PATCH", "w"),
        ("PATCH", "status"),
    ]
    found = pair.hub.get(f"{WORKS}/w")
    assert found is not None
    assert found["metadata"]["finalizers"] == [WORK_FINALIZER]
    assert pair.map("a")["data"] == {"k": "1"}
    assert pair.map("a")["metadata"]["ownerReferences"][0]["uid"] == pair.record("w")["metadata"]["uid"]
    assert pair.record("w")["status"]["appliedResources"][0]["name"] == "a"


async def test_an_update_is_one_write_to_the_member_and_nothing_is_read(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await asyncio.sleep(0.1)
    pair.member.writes.clear()
    pair.member.reads.clear()
    pair.work("w", config_map("a", "2"))
    await pair.applied("w")
    assert pair.map("a")["data"] == {"k": "2"}
    assert [write for write in pair.member.writes if "secrets" not in write[1]] == [("PATCH", f"{MAPS}/a")]
    assert pair.member.reads == []


async def test_a_work_that_has_the_finalizer_is_one_write_to_the_hub(pair: Pair) -> None:
    await pair.rest()
    spec = {"workload": {"manifests": [config_map("a")]}}
    pair.hub.put(f"{WORKS}/w", {"metadata": {"name": "w", "finalizers": [WORK_FINALIZER]}, "spec": spec})
    await pair.applied("w")
    assert [(method, path.rpartition("/")[2]) for method, path in pair.hub.writes] == [("PATCH", "status")]


@pytest.mark.parametrize("late", [0.0, 0.05])
async def test_a_deletion_is_two_writes_to_the_member_and_nothing_is_read(pair: Pair, late: float) -> None:
    pair.member.late = late  # the watch may be faster than the answer
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await asyncio.sleep(0.1)
    pair.member.writes.clear()
    pair.member.reads.clear()
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "gone")
    assert pair.map("a") is None
    assert pair.record("w") is None
    assert [method for method, path in pair.member.writes if "secrets" not in path] == ["DELETE", "DELETE"]
    assert pair.member.reads == []


async def test_at_rest_nothing_is_written_and_drift_is_repaired(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await asyncio.sleep(0.3)
    before = len(pair.hub.writes), len(pair.member.writes)
    await asyncio.sleep(0.3)
    assert (len(pair.hub.writes), len(pair.member.writes)) == before
    pair.member.put(f"{MAPS}/a", {"data": {"k": "somebody"}})
    await pair.until(lambda: pair.map("a")["data"] == {"k": "1"}, "repaired")
    pair.member.delete(f"{MAPS}/a")
    await pair.until(lambda: pair.map("a"), "created anew")


async def test_what_a_work_names_no_more_goes(pair: Pair) -> None:
    pair.work("w", config_map("a"), config_map("b"))
    await pair.applied("w")
    pair.work("w", config_map("b"))
    await pair.until(lambda: pair.map("a") is None, "a gone")
    await pair.until(
        lambda: [each["name"] for each in pair.record("w")["status"]["appliedResources"]] == ["b"], "record"
    )
    assert pair.map("b") is not None


async def test_a_restart_applies_nothing_that_is_right(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await pair.restart()
    await pair.until(
        lambda: pair.active is not None and pair.active.world.listed and not pair.active.queue.later, "started"
    )
    await asyncio.sleep(0.5)
    applies = [write for write in pair.member.writes if write == ("PATCH", f"{MAPS}/a")]
    assert len(applies) == 1


async def test_without_the_hub_a_restarted_agent_goes_on_and_repairs(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await pair.stop()
    pair.hub.cut()
    pair.member.put(f"{MAPS}/a", {"data": {"k": "somebody"}})
    await pair.start()
    await pair.until(lambda: pair.map("a")["data"] == {"k": "1"}, "repaired")
    pair.work("w", config_map("a", "2"))
    pair.hub.mend()
    await pair.applied("w")
    assert pair.map("a")["data"] == {"k": "2"}


async def test_an_agent_that_was_killed_does_not_overwrite_what_is_newer(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await pair.restart()  # keeps
    await pair.until(lambda: pair.active is not None and pair.active.world.listed, "listed")
    pair.work("w", config_map("a", "2"))
    await pair.applied("w")
    await pair.stop(keep=False)
    pair.hub.cut()
    await pair.start()
    await asyncio.sleep(1.0)
    assert pair.map("a")["data"] == {"k": "2"}


async def test_an_absent_work_is_held_until_a_person_says_so(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    pair.hub.cut()
    pair.hub.lose(f"{WORKS}/w")
    pair.hub.mend()
    await pair.restart()
    await pair.until(lambda: HELD_ANNOTATION in pair.record("w")["metadata"].get("annotations", {}), "held")
    assert pair.map("a") is not None
    pair.member.put(pair_path("w"), {"metadata": {"annotations": {LET_GO_ANNOTATION: "true"}}})
    await pair.until(lambda: pair.map("a") is None and pair.record("w") is None, "let go")


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
async def test_a_controllers_work_that_somebody_else_deletes_takes_nothing_along(pair: Pair, policy: str) -> None:
    """As when the namespace of the cluster is deleted at the hub: nothing says that the copy is to go."""
    path, label = f"{WORKS}/w", {"metadata": {"labels": {HUB_LABEL: "kubefed-0123abcd"}}}

    async def write() -> None:
        pair.work("w", config_map("a"), deleteOption={"propagationPolicy": policy})
        pair.hub.put(path, label)
        await pair.applied("w")

    def held() -> str:
        return str(pair.record("w")["metadata"].get("annotations", {}).get(HELD_ANNOTATION, ""))

    await write()
    uid = pair.map("a")["metadata"]["uid"]
    pair.hub.delete(path)
    await pair.until(lambda: pair.hub.get(path) is None, "the work may go")
    await pair.until(lambda: "not by the controller" in held(), "held")
    pair.member.put(f"{MAPS}/a", {"data": {"k": "somebody"}})
    await pair.until(lambda: pair.map("a")["data"] == {"k": "1"}, "repaired")
    await write()
    await pair.until(lambda: not held(), "not held any more")
    assert pair.map("a")["metadata"]["uid"] == uid
    if policy == "Foreground":
        pair.hub.put(path, {"metadata": {"annotations": {DELETED_ANNOTATION: "generation 3"}}})
        pair.hub.delete(path)
        await pair.until(lambda: pair.hub.get(path) is None and pair.map("a") is None, "gone")


def pair_path(work: str) -> str:
    return f"{RECORDS}/{identity.hub_hash('https://hub')}-{work}"


async def test_one_of_two_works_that_share_an_object_goes(pair: Pair) -> None:
    pair.work("first", config_map("a"))
    await pair.applied("first")
    pair.work("second", config_map("a"))
    await pair.applied("second")
    await pair.until(lambda: len(pair.map("a")["metadata"]["ownerReferences"]) == 2, "two owners")
    uid = pair.map("a")["metadata"]["uid"]
    pair.hub.delete(f"{WORKS}/first")
    await pair.until(lambda: pair.hub.get(f"{WORKS}/first") is None, "gone")
    assert pair.map("a")["metadata"]["uid"] == uid
    owners = [each["uid"] for each in pair.map("a")["metadata"]["ownerReferences"]]
    assert owners == [pair.record("second")["metadata"]["uid"]]


async def test_a_refused_object_hurts_only_itself(pair: Pair) -> None:
    pair.member.refuse["bad"] = Failure(FailureKind.INVALID, "no", 422)
    missing = {"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "x", "namespace": "n"}}
    pair.work("w", config_map("bad"), missing, config_map("good"))
    await pair.until(lambda: pair.said("w").get("status") == "False", "failed")
    assert pair.map("good") is not None
    found = pair.hub.get(f"{WORKS}/w")
    assert found is not None
    manifests = found["status"]["resourceStatus"]["manifests"]
    assert [each["conditions"][0]["status"] for each in manifests] == ["False", "False", "True"]


async def test_what_is_in_a_namespace_that_somebody_deletes_comes_back_soon_after_it(pair: Pair) -> None:
    pair.member.refuse["a"] = Failure(FailureKind.NAMESPACE_TERMINATING, "it is being terminated", 403)
    pair.work("w", config_map("a"))
    await pair.until(lambda: pair.said("w").get("status") == "False", "failed")
    pair.member.refuse.clear()
    await pair.applied("w")


async def test_a_member_that_is_away_says_nothing_about_works(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    pair.member.cut()
    pair.work("w", config_map("a", "2"))
    await asyncio.sleep(0.5)
    assert pair.said("w") == {}  # nothing of the new generation, and nothing of a failure
    pair.member.mend()
    await pair.applied("w")
    assert pair.map("a")["data"] == {"k": "2"}


async def test_what_came_of_the_spec_before_is_not_said_of_the_next_one(pair: Pair) -> None:
    """A report that something else asks for, while the change is on its way to the member."""
    pair.work("w", config_map("a"))
    await pair.applied("w")
    pair.member.cut()
    pair.work("w", config_map("a", "2"))
    assert pair.active is not None
    for _ in range(10):
        pair.active._reporter.changed("w")
        await asyncio.sleep(0.05)
    assert pair.said("w") == {}
    pair.member.mend()
    await pair.applied("w")
    assert pair.map("a")["data"] == {"k": "2"}


async def test_an_executor_without_the_right_is_refused(pair: Pair) -> None:
    pair.member.allowed = {"secrets"}
    account = {"namespace": "n", "name": "sa"}
    who = {"subject": {"type": "ServiceAccount", "serviceAccount": account}}
    pair.work("w", config_map("a"), executor=who)
    await pair.until(lambda: pair.said("w").get("status") == "False", "refused")
    assert pair.map("a") is None


async def test_deleting_with_orphan_leaves_the_object_without_our_marks(pair: Pair) -> None:
    pair.work("w", config_map("a"), deleteOption={"propagationPolicy": "Orphan"})
    await pair.applied("w")
    assert "ownerReferences" not in pair.map("a")["metadata"]
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "gone")
    assert pair.map("a")["data"] == {"k": "1"}


async def test_a_record_that_somebody_deleted_is_made_anew(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    before = pair.record("w")["metadata"]["uid"]
    pair.member.delete(pair_path("w"))
    await pair.until(lambda: pair.record("w") and pair.record("w")["metadata"]["uid"] != before, "made anew")
    uid = pair.record("w")["metadata"]["uid"]
    await pair.until(lambda: pair.map("a")["metadata"]["ownerReferences"][0]["uid"] == uid, "referred to")


async def test_another_hub_takes_over_what_it_knows_and_the_rest_is_held(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    pair.work("only", config_map("b"))
    await pair.applied("w")
    await pair.applied("only")
    await pair.stop()
    uid = pair.map("a")["metadata"]["uid"]
    pair.hub = Server("hub", "https://other")
    pair.work("w", config_map("a"))
    await pair.start()
    await pair.applied("w")
    await pair.until(lambda: pair.record("w") is None, "the record of the other hub is gone")
    record = f"{RECORDS}/{identity.hub_hash('https://other')}-only"

    def held() -> Any:
        return (pair.member.get(record) or {"metadata": {}})["metadata"].get("annotations", {}).get(HELD_ANNOTATION)

    assert "nothing is deleted" in await pair.until(held, "held")
    assert pair.map("a")["metadata"]["uid"] == uid
    assert pair.map("b") is not None


async def test_a_deletion_that_was_seen_is_finished_without_the_hub_and_after_a_restart(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    pair.member.refuse["a"] = Failure(FailureKind.UNAVAILABLE, "not now", 503)
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: pair.active is not None and pair.active.world.works["w"].leaving, "seen")
    await pair.stop()
    pair.hub.cut()
    pair.member.refuse.clear()
    await pair.start()
    await pair.until(lambda: pair.map("a") is None and pair.record("w") is None, "deleted")
    pair.hub.mend()
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "let go at the hub")


async def test_a_restored_hub_that_has_a_work_again_has_it_carried_out_again(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    before = dict(pair.hub.objects)
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "gone")
    await pair.stop()
    pair.hub.objects = before
    pair.hub.objects[f"{WORKS}/w"]["metadata"].pop("deletionTimestamp", None)
    pair.hub.objects[f"{WORKS}/w"]["metadata"]["finalizers"] = [WORK_FINALIZER]
    await pair.start()
    await pair.until(lambda: pair.map("a"), "applied again")


async def test_records_of_deletions_at_the_hub_let_go(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    work = pair.hub.get(f"{WORKS}/w")
    assert work is not None
    await pair.stop()
    pair.hub.lose(f"{WORKS}/w")
    annotations = {"work.kubefed.io/forgotten": work["metadata"]["uid"]}
    pair.hub.put(f"{WORKS}/records", {"metadata": {"annotations": annotations}, "spec": {}})
    await pair.start()
    await pair.until(lambda: pair.map("a") is None, "let go")


async def test_feedback_is_watched_and_only_what_changes_is_reported(pair: Pair) -> None:
    rules = [{"type": "JSONPaths", "jsonPaths": [{"name": "phase", "path": ".status.phase"}]}]
    what = {"resource": "configmaps", "namespace": "n", "name": "a"}
    pair.work("w", config_map("a"), manifestConfigs=[{"resourceIdentifier": what, "feedbackRules": rules}])
    await pair.applied("w")

    def phase() -> Any:
        found = pair.hub.get(f"{WORKS}/w") or {}
        (manifest,) = found["status"]["resourceStatus"]["manifests"]
        return [each["fieldValue"]["string"] for each in manifest.get("statusFeedback", {}).get("values", [])]

    pair.member.put(f"{MAPS}/a", {"status": {"phase": "Running"}})
    await pair.until(lambda: phase() == ["Running"], "reported")
    assert pair.member.reads.count(f"{MAPS}/a") == 0
    await asyncio.sleep(0.3)
    writes = len(pair.hub.writes)
    pair.member.put(f"{MAPS}/a", {"status": {"other": "news"}})
    await asyncio.sleep(0.4)
    assert len(pair.hub.writes) == writes


async def test_a_hundred_works_are_two_hundred_writes_and_a_few_pages(pair: Pair) -> None:
    for index in range(100):
        pair.work(f"w{index}", config_map(f"a{index}"))
    for index in range(100):
        await pair.applied(f"w{index}")
    assert len([write for write in pair.member.writes if "secrets" not in write[1]]) == 200
    assert len(pair.hub.writes) == 200
    await pair.stop()
    pages = [path for path in pair.member.objects if "/secrets/" in path]
    assert 1 <= len(pages) <= 8


async def test_a_definition_of_records_with_a_subresource_for_the_status_is_served_too(pair: Pair) -> None:
    pair.member.subresources.add("appliedmanifestworks")  # Open Cluster Management's own definition
    for name in ("first", "second"):
        pair.work(name, config_map(name))
        await pair.applied(name)
        assert [each["name"] for each in pair.record(name)["status"]["appliedResources"]] == [name]
    pair.hub.delete(f"{WORKS}/second")
    await pair.until(lambda: pair.map("second") is None, "gone")


async def test_a_hub_that_refuses_the_finalizer_has_nothing_applied(pair: Pair) -> None:
    pair.hub.refuse["w"] = Failure(FailureKind.RIGHT_MISSING, "no", 403)
    pair.work("w", config_map("a"))
    await asyncio.sleep(0.6)
    assert pair.map("a") is None
    assert pair.record("w") is None
    pair.hub.refuse.clear()
    await pair.applied("w")


async def test_an_object_that_is_somebody_elses_by_now_stays(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await pair.stop()
    del pair.member.objects[f"{MAPS}/a"]
    pair.member.put(f"{MAPS}/a", {"metadata": {"name": "a"}, "data": {"k": "theirs"}})
    pair.hub.delete(f"{WORKS}/w")
    await pair.start()
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "gone")
    assert pair.map("a")["data"] == {"k": "theirs"}


async def test_what_no_event_shows_is_put_right_when_its_turn_comes(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await asyncio.sleep(0.1)
    pair.member.objects[f"{MAPS}/a"]["data"] = {"k": "altered without a trace"}
    assert pair.active is not None
    sweep = asyncio.ensure_future(reasserting.serve(pair.active.world, pair.active.queue, 0.0))
    try:
        await pair.until(lambda: pair.map("a")["data"] == {"k": "1"}, "put right")
    finally:
        sweep.cancel()


async def test_a_deletion_that_takes_long_is_said(pair: Pair) -> None:
    pair.work("w", config_map("a"))
    await pair.applied("w")
    pair.member.put(f"{MAPS}/a", {"metadata": {"finalizers": ["example.io/slow"]}})
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: pair.said("w", "Deleting").get("status") == "True", "said")
    assert pair.hub.get(f"{WORKS}/w") is not None
    pair.member.objects[f"{MAPS}/a"]["metadata"]["finalizers"] = []
    pair.member.delete(f"{MAPS}/a")
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "gone")


PODS = "/api/v1/namespaces/n/pods"


def run_once(pair: Pair, *more: dict[str, Any], image: str = "a") -> None:
    """A work with a Pod that runs once."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": {"image": image}}
    what = {"resource": "pods", "namespace": "*", "name": "p*"}
    rule = {"type": "WellKnownConditions", "condition": "Complete"}
    pair.work("w", pod, *more, manifestConfigs=[{"resourceIdentifier": what, "conditionRules": [rule]}])


async def has_run(pair: Pair) -> None:
    await pair.applied("w")
    pair.member.put(f"{PODS}/p", {"status": {"phase": "Succeeded"}})
    await pair.until(lambda: pair.said("w", "Complete").get("status") == "True", "complete")


async def test_what_has_run_and_was_taken_away_is_not_run_again(pair: Pair) -> None:
    run_once(pair)
    await has_run(pair)
    pair.member.delete(f"{PODS}/p")
    await pair.until(lambda: pair.said("w", "Available").get("status") == "False", "seen to be gone")
    await pair.rest()
    assert pair.said("w", "Complete")["status"] == "True"
    await pair.restart()
    await pair.rest()
    assert pair.member.get(f"{PODS}/p") is None
    await pair.stop()
    pair.hub.cut()
    await pair.start()  # it goes on with what was kept
    await asyncio.sleep(1.0)
    assert pair.member.get(f"{PODS}/p") is None


async def test_a_hub_that_was_restored_to_before_a_run_does_not_have_it_run_again(pair: Pair) -> None:
    run_once(pair)
    await has_run(pair)
    await pair.stop()
    pair.member.delete(f"{PODS}/p")
    pair.hub.objects[f"{WORKS}/w"].pop("status")
    await pair.start()
    await pair.until(lambda: pair.said("w", "Complete").get("status") == "True", "said again")
    assert pair.member.get(f"{PODS}/p") is None
    pair.hub.lose(f"{WORKS}/w")
    await pair.restart()
    run_once(pair)  # another work of the same name
    await pair.until(lambda: pair.member.get(f"{PODS}/p"), "run for the new work")


async def test_a_work_that_has_run_is_updated_no_more_until_no_rule_says_so(pair: Pair) -> None:
    run_once(pair, config_map("a"))
    await has_run(pair)
    run_once(pair, config_map("a", "2"), config_map("b"), image="b")
    await pair.until(lambda: pair.said("w", "Complete"), "the new generation is seen")
    await pair.rest()
    assert pair.map("a")["data"] == {"k": "1"}
    assert pair.map("b") is None
    assert pair.said("w") == {}  # nothing of this generation is applied, nor said to be
    pair.work("w", config_map("a", "3"), manifestConfigs=[])
    await pair.applied("w")
    assert pair.map("a")["data"] == {"k": "3"}
    assert pair.member.get(f"{PODS}/p") is None


def watched(pair: Pair) -> set[str]:
    return {path.rpartition("/")[2] for path, _, _ in pair.member._watches}


def sweep(pair: Pair) -> None:
    assert pair.active is not None
    pair.active._kinds.sweep(pair.active.world.named())


async def test_a_kind_that_no_work_has_an_object_of_is_let_go(pair: Pair) -> None:
    run_once(pair, config_map("a"))
    await pair.applied("w")
    await pair.until(lambda: {"pods", "configmaps"} <= watched(pair), "watched")
    sweep(pair)
    sweep(pair)
    pair.work("w", config_map("a"), manifestConfigs=[])
    await pair.until(lambda: pair.member.get(f"{PODS}/p") is None, "gone")
    await pair.rest()
    sweep(pair)
    await asyncio.sleep(0.1)
    assert "pods" in watched(pair)  # it may be back in a moment
    sweep(pair)
    await pair.until(lambda: "pods" not in watched(pair), "let go")
    assert "configmaps" in watched(pair)
    run_once(pair, config_map("a"), image="b")
    await pair.until(lambda: pair.member.get(f"{PODS}/p") and "pods" in watched(pair), "applied and watched again")
    uid = pair.member.objects[f"{PODS}/p"]["metadata"]["uid"]
    pair.member.delete(f"{PODS}/p")
    await pair.until(
        lambda: (pair.member.get(f"{PODS}/p") or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, "repaired"
    )


def maps_of(pair: Pair) -> Any:
    assert pair.active is not None
    return pair.active._kinds._kinds["", "configmaps"]


async def test_a_kind_that_nobody_asks_about_any_more_is_not_watched_whole(pair: Pair) -> None:
    rules = [{"type": "JSONPaths", "jsonPaths": [{"name": "phase", "path": ".status.phase"}]}]
    what = {"resource": "configmaps", "namespace": "n", "name": "a"}
    pair.work("w", config_map("a"), manifestConfigs=[{"resourceIdentifier": what, "feedbackRules": rules}])
    await pair.applied("w")
    kind = maps_of(pair)
    for _ in range(3):
        sweep(pair)
    assert maps_of(pair).whole
    pair.work("w", config_map("a", "2"), manifestConfigs=[])
    await pair.applied("w")
    sweep(pair)
    assert maps_of(pair).whole
    sweep(pair)
    assert not maps_of(pair).whole
    pair.member.put(f"{MAPS}/a", {"data": {"k": "somebody"}})
    await pair.until(lambda: pair.map("a")["data"] == {"k": "2"}, "repaired")
    assert not kind.copies[next(iter(kind.copies))].content


async def test_a_deletion_that_is_not_understood_deletes_nothing_and_says_so(pair: Pair) -> None:
    """A newer hub may have a word for what becomes of objects that this agent does not know."""
    pair.work("w", config_map("a"))
    await pair.applied("w")
    pair.work("w", config_map("a"), deleteOption={"propagationPolicy": "Someday"})
    await pair.until(lambda: "Someday" in pair.said("w").get("message", ""), "said")
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: HELD_ANNOTATION in pair.record("w")["metadata"].get("annotations", {}), "held")
    await pair.until(lambda: pair.said("w", "Deleting").get("status") == "True", "said")
    await pair.restart()
    await pair.rest()
    assert pair.map("a") is not None
    pair.hub.put(f"{WORKS}/w", {"spec": {"deleteOption": {"propagationPolicy": "Orphan"}}})
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "let go")
    assert pair.map("a")["data"] == {"k": "1"}
    assert not pair.map("a")["metadata"].get("ownerReferences")


async def test_rules_of_a_newer_api_do_not_keep_an_object_from_being_applied(pair: Pair) -> None:
    what = {"resource": "configmaps", "namespace": "n", "name": "a"}
    config = {
        "resourceIdentifier": what,
        "feedbackRules": [{"type": "Newer"}, {"type": "JSONPaths", "jsonPaths": [{"name": "k", "path": ".data.k"}]}],
        "conditionRules": [{"type": "Newer", "condition": "Fine"}],
        "more": {"of": "it"},
    }
    pair.work("w", config_map("a"), manifestConfigs=[config], another=True)
    await pair.applied("w")
    await pair.until(lambda: pair.said("w", "Fine"), "said")
    found = pair.hub.get(f"{WORKS}/w")
    assert found is not None
    (manifest,) = found["status"]["resourceStatus"]["manifests"]
    said = {each["type"]: (each["status"], each["reason"]) for each in manifest["conditions"]}
    assert said["Fine"] == ("Unknown", "ConditionRuleInvalid")
    assert said["StatusFeedbackSynced"] == ("False", "StatusFeedbackSyncFailed")
    assert [each["name"] for each in manifest["statusFeedback"]["values"]] == ["k"]


async def test_a_second_agent_with_another_id_writes_nothing_of_the_first_ones(pair: Pair) -> None:
    """As of a cluster that was registered twice, in two namespaces of the member."""
    pair.work("w", config_map("a"))
    await pair.applied("w")
    await pair.rest()
    before = orjson.dumps([pair.hub.get(f"{WORKS}/w"), pair.map("a"), pair.record("w")])
    other = Active(Identity("c", "others"), pair.hub, pair.member)  # type: ignore[arg-type]
    task = asyncio.get_running_loop().create_task(other.run())
    try:
        await pair.until(lambda: other.world.listed, "listed")
        await asyncio.sleep(1.0)
        assert orjson.dumps([pair.hub.get(f"{WORKS}/w"), pair.map("a"), pair.record("w")]) == before
        pair.work("w", config_map("a", "2"))
        await pair.applied("w")
        assert pair.map("a")["data"] == {"k": "2"}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await other.stop(keep=False)


@pytest.mark.parametrize("how", ["named-no-more", "deleted"])
async def test_what_is_orphaned_stays_and_what_is_so_no_more_goes(pair: Pair, how: str) -> None:
    orphan = {"deleteOption": {"propagationPolicy": "Orphan"}}
    pair.work("w", config_map("a"), config_map("b"), **orphan)
    await pair.applied("w")
    if how == "named-no-more":
        pair.work("w", config_map("b"), **orphan)
        await pair.applied("w")
        await pair.until(
            lambda: [each["name"] for each in pair.record("w")["status"]["appliedResources"]] == ["b"], "record"
        )
        assert pair.map("a")["data"] == {"k": "1"}
    pair.work("w", config_map("b"), deleteOption={"propagationPolicy": "Foreground"})
    await pair.applied("w")
    await pair.until(lambda: pair.map("b")["metadata"].get("ownerReferences"), "owned")
    pair.hub.delete(f"{WORKS}/w")
    await pair.until(lambda: pair.hub.get(f"{WORKS}/w") is None, "gone")
    assert pair.map("b") is None
    assert (pair.map("a") is None) == (how == "deleted")


@pytest.mark.parametrize("overtaken", [False, True], ids=["behind", "overtaken"])
async def test_a_member_that_was_restored_is_put_right(pair: Pair, overtaken: bool) -> None:
    pair.work("changed", config_map("changed"))
    await pair.applied("changed")
    await pair.rest()
    before = pair.member.snapshot()
    pair.work("changed", config_map("changed", "2"))
    pair.work("young", config_map("young"))
    await pair.applied("changed")
    await pair.applied("young")
    for index in range(20):
        pair.work(f"more{index}", config_map(f"more{index}"))
    await pair.applied("more19")
    await pair.rest()
    pair.member.cut()
    await asyncio.sleep(0.5)
    pair.member.restore(before, overtaken=overtaken)
    pair.member.mend()
    await pair.until(lambda: (pair.map("changed") or {}).get("data") == {"k": "2"}, "changed again")
    await pair.until(lambda: pair.map("young") and pair.record("young"), "made anew")
    await pair.until(lambda: all(pair.map(f"more{index}") for index in range(20)), "all of them")
    pair.member.put(f"{MAPS}/young", {"data": {"k": "somebody"}})
    await pair.until(lambda: pair.map("young")["data"] == {"k": "1"}, "repaired")


@pytest.mark.parametrize("overtaken", [False, True], ids=["behind", "overtaken"])
async def test_a_hub_that_was_restored_counts_but_for_what_it_does_not_know(pair: Pair, overtaken: bool) -> None:
    pair.work("changed", config_map("changed"))
    await pair.applied("changed")
    await pair.rest()
    before = pair.hub.snapshot()
    pair.work("changed", config_map("changed", "2"))
    pair.work("young", config_map("young"))
    await pair.applied("changed")
    await pair.applied("young")
    await pair.rest()
    pair.hub.cut()
    await asyncio.sleep(0.5)
    pair.hub.restore(before, overtaken=overtaken)
    pair.hub.mend()
    await pair.until(lambda: pair.map("changed")["data"] == {"k": "1"}, "as the hub has it")
    await pair.until(lambda: HELD_ANNOTATION in pair.record("young")["metadata"].get("annotations", {}), "held")
    assert pair.map("young") is not None
