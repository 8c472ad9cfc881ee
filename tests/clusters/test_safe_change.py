"""Everything that makes a change safe, at once and on real API servers: a staged rollout in mid-run whose object has a
policy, a cordoned cluster, a placement that drops more than the budget lets go, a hub that is restored from a backup.
Before each step `fedctl plan` says what it does; afterwards members hold exactly that.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from federation.core import staging
from federation.joining import setup
from federation.model import marks
from federation.model.marks import APPROVED_ANNOTATION, CONFIG, SYSTEM_NAMESPACE, UNDONE_ANNOTATION
from federation.model.resources import KUBEFED_CLUSTERS, KUBEFED_CONFIGS, NAMESPACES, ROLLOUTS
from tests.clusters.fedctl import Ran, fedctl
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_NAMESPACES,
    Api,
    eventually,
    federated,
    line,
)
from tests.clusters.rewinds import Restorable, restorable
from tests.clusters.rolling import APPROVED, begin, labelled, reaches
from tests.clusters.steps import Unlike, cluster_condition, configure
from tests.clusters.test_deletion_budget import group_of, groups
from tests.clusters.test_plan import changes, kinds
from tests.clusters.test_rewind_hub import NOTED, approve, until_recognised

__all__ = ["restorable"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(280)]

BOTH = ["m1", "m2"]
OTHERS = {f"c{number}": "a" for number in range(8)}
"""ConfigMaps beside web, more than go by themselves."""
Document = dict[str, Any]


class Story:
    """One namespace of a fleet whose hub can be restored: web under a rollout, and OTHERS."""

    def __init__(self, fleet: Restorable, directory: Path) -> None:
        self.fleet = fleet
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self._directory = directory

    def web(self, value: str, **annotations: str) -> Document:
        """The object under the rollout, whose drift is reported and not corrected."""
        body = labelled(self.configmap("web", value))
        body["metadata"]["annotations"] = {marks.DRIFT_ANNOTATION: "Report", **annotations}
        return body

    def asks(self, annotation: str, value: str) -> Document:
        """The FederatedRollout with what a person says."""
        return {
            "apiVersion": ROLLOUTS.api_version,
            "kind": ROLLOUTS.kind,
            "metadata": {"name": "safe", "namespace": self.namespace, "annotations": {annotation: value}},
            "spec": {"stages": [APPROVED]},
        }

    def itself(self, *clusters: str) -> Document:
        """The FederatedNamespace."""
        return federated(FEDERATED_NAMESPACES, self.namespace, self.namespace, None, clusters=list(clusters or BOTH))

    def configmap(self, name: str, value: str) -> Document:
        return federated(FEDERATED_CONFIGMAPS, self.namespace, name, {"data": {"a": value}}, clusters=BOTH)

    async def begin(self) -> None:
        """Everything is everywhere; A is web's good revision."""
        host = self.fleet.host
        await host.apply(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        await host.apply(FEDERATED_NAMESPACES, self.itself())
        for name, value in OTHERS.items():
            await host.apply(FEDERATED_CONFIGMAPS, self.configmap(name, value))
        unstaged = self.web("A")
        del unstaged["metadata"]["labels"]
        await host.apply(FEDERATED_CONFIGMAPS, unstaged)
        await self.fleet.until_ready(self.namespace, "web", *OTHERS)
        await begin(host, self.namespace, [APPROVED])
        await self.apply(self.web("A"))
        await self.at("Complete", 1)

    async def apply(self, *documents: Document) -> None:
        for each in documents:
            resource = FEDERATED_NAMESPACES if each["kind"] == FEDERATED_NAMESPACES.kind else FEDERATED_CONFIGMAPS
            await self.fleet.host.apply(resource, each)

    async def at(self, reason: str, revision: int) -> Document:
        """The rollout, once it is there."""
        return await reaches(self.fleet.host, self.namespace, reason, revision=revision, within=60.0)

    async def under_way(self, value: str) -> None:
        """Until the rollout waits for approval of this content of web, by whatever number."""
        wanted = staging.digest(orjson.dumps({"template": {"data": {"a": value}}}))

        async def there() -> object:
            status = (await self.fleet.host.get(ROLLOUTS, self.namespace, "safe") or {}).get("status") or {}
            record = status.get("record") or {}
            target = [each for each in record.get("revisions", []) if each["number"] == record.get("target")]
            contents = [each["content"] for revision in target for each in revision["objects"]]
            fits = contents == [wanted] and status["conditions"][0]["reason"] == "WaitingForApproval"
            return fits or Unlike(status)

        await eventually(there, within=60.0, every=0.2, seen=f"{value} waits for approval")

    async def run(self, *arguments: str, code: int = 0) -> Ran:
        """fedctl, as the admin of all clusters."""
        at = ("--kubeconfig", str(self.fleet.kubeconfig), "--host-cluster-context", "hub")
        ran = await asyncio.to_thread(fedctl, *arguments, *at)
        assert ran.code == code, ran
        return ran

    async def plan(self, *documents: Document, options: tuple[str, ...] = (), code: int = 1) -> Document:
        """What it would do."""
        path = self._directory / f"{uuid.uuid4().hex}.json"
        path.write_bytes(b"\n---\n".join(orjson.dumps(each) for each in documents))
        return dict(json.loads((await self.run("plan", "-f", str(path), "-o", "json", *options, code=code)).out))

    async def rollout(self, verb: str) -> None:
        """fedctl rollout ..., whose options are others."""
        at = ("-n", self.namespace, "--kubeconfig", str(self.fleet.kubeconfig), "--host-cluster-context", "hub")
        ran = await asyncio.to_thread(fedctl, "rollout", verb, "safe", *at)
        assert ran.code == 0, ran

    async def hold(self, one: str | None, two: str | None, *, others: tuple[bool, bool] = (True, True)) -> None:
        """Until the members have these values of web, and OTHERS or nothing of them; and a while longer."""
        wanted = [
            ({"web": value} if value is not None else {}) | (OTHERS if there else {})
            for value, there in zip((one, two), others, strict=True)
        ]

        async def exactly() -> bool:
            return [await self.fleet.values(api, self.namespace) for api in (self.fleet.m1, self.fleet.m2)] == wanted

        await eventually(exactly, within=60.0, every=0.2, seen=f"{self.namespace}: {wanted}")
        await asyncio.sleep(2.0)
        assert await exactly()

    async def reported(self, name: str, cluster: str, word: str, text: str = "") -> None:
        """Until a cluster's line of a ConfigMap says so."""

        async def said() -> object:
            found = line(await self.fleet.host.get(FEDERATED_CONFIGMAPS, self.namespace, name), cluster)
            return found if found.get("status") == word and text in found.get("message", "") else None

        await eventually(said, within=40.0, seen=f"{name} at {cluster}: {word} {text}")


@pytest_asyncio.fixture(loop_scope="module")
async def story(restorable: Restorable, tmp_path: Path) -> AsyncIterator[Story]:
    """A story in mid-run: the canary m1 has B, m2 is held to A, a person has to approve. Deletions are counted."""
    fleet, made = restorable, Story(restorable, tmp_path)
    await fleet.start()
    await made.begin()
    await configure(fleet.host, {"deletionBudget": {"enforcement": "Enabled", "window": "5s"}})
    wanted = made.web("B")
    assert kinds(await made.plan(wanted), "web") == {"change": ["m1"], "wait": ["m2"]}
    await made.apply(wanted)
    await made.at("WaitingForApproval", 2)
    await made.hold("B", "A")
    yield made
    await configure(fleet.host, setup.NOTHING_HELD)
    await fleet.host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2", _cordon(None))
    await settle(fleet.host)


async def settle(host: Api) -> None:
    """Whatever is held goes."""

    async def none() -> bool:
        found = await groups(host)
        words = {f"{marks.DELETIONS_PREFIX}{each['id']}": marks.APPROVED for each in found}
        await host.patch(KUBEFED_CONFIGS, SYSTEM_NAMESPACE, CONFIG, {"metadata": {"annotations": words}})
        return not found

    await eventually(none, within=60.0, every=1.0, seen="nothing held")


def _cordon(value: str | None) -> Mapping[str, Any]:
    return {"metadata": {"annotations": {marks.CORDON_ANNOTATION: value}}}


async def test_drift_cordon_and_budget_in_the_middle_of_a_rollout(story: Story) -> None:
    """Nothing of one takes anything from another: what is reported stays, what is cordoned and held waits, in order."""
    host, m2 = story.fleet.host, story.fleet.m2
    await m2.patch(CONFIGMAPS, story.namespace, "web", {"data": {"a": "drift"}})
    await story.reported("web", "m2", "Drifted", ".data.a")
    await story.hold("B", "drift")
    await story.plan(story.web("B"), code=0)

    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2", _cordon("storage upgrade"))
    await cluster_condition(host, "m2", "Cordoned", "True")
    plan = await story.plan(story.itself("m1"))
    assert kinds(plan, "c0") == {"wait": ["m2"]}
    assert kinds(plan, story.namespace) == {"wait": ["m2"]}
    await story.apply(story.itself("m1"))
    await story.reported("c0", "m2", "ClusterCordoned")
    await story.hold("B", "drift")

    cluster = await host.get(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2")
    assert cluster is not None
    known = cluster["metadata"].get("annotations") or {}
    annotations = {**known, marks.CORDON_ANNOTATION: "false"}
    free = {each: cluster[each] for each in ("apiVersion", "kind", "spec")} | {
        "metadata": {"name": "m2", "namespace": SYSTEM_NAMESPACE, "annotations": annotations}
    }
    plan = await story.plan(free)
    (change,) = changes(plan, "c0")
    assert (change["change"], change["clusters"]) == ("delete", ["m2"])
    assert change["held"]
    await host.patch(KUBEFED_CLUSTERS, SYSTEM_NAMESPACE, "m2", _cordon("false"))
    group = await group_of(host, "FederatedNamespace", story.namespace, len(OTHERS))
    await story.hold("B", "drift")
    # The rollout goes on where the object is placed: m2 is not a part of it any more, and keeps what it has.
    assert "change" not in kinds(await story.plan(story.asks(APPROVED_ANNOTATION, "2/canary")), "web")
    await story.rollout("approve")
    await story.at("Complete", 2)
    await story.hold("B", "drift")
    # The change is taken back: m2 is placed again, and has the good revision, which is B now.
    plan = await story.plan(story.itself())
    assert kinds(plan, "c0") == {}
    (change,) = changes(plan, "web")
    assert (change["change"], change["clusters"]) == ("change", ["m2"])
    await story.apply(story.itself())
    await story.hold("B", "B")
    assert group["id"] not in {each["id"] for each in await groups(host)}


async def test_a_hub_that_is_restored_in_the_middle_of_a_rollout(story: Story) -> None:
    """The record of then counts, nothing is deleted, and nobody behind the canary is given what was not approved."""
    fleet, host = story.fleet, story.fleet.host
    snapshot = await fleet.snapshot(fleet.hub)
    await asyncio.sleep(NOTED)
    assert kinds(await story.plan(story.asks(APPROVED_ANNOTATION, "2/canary")), "web") == {"change": ["m2"]}
    await story.rollout("approve")
    await story.at("Complete", 2)
    await story.hold("B", "B")
    assert kinds(await story.plan(story.web("C")), "web") == {"change": ["m1"], "wait": ["m2"]}
    await story.apply(story.web("C"))
    await story.at("WaitingForApproval", 3)
    await story.hold("C", "B")
    await asyncio.sleep(NOTED)

    await fleet.rewind(fleet.hub, snapshot)
    hold = await until_recognised(fleet)
    # As of then: B under way, released to m1 alone. What the controller saw of the hub's objects before it saw that
    # they went back may have been one more revision: it went no further than to the canary.
    await story.under_way("B")
    await story.hold("B", "A")
    # While removals are held for the restored hub, a placement that drops m2 removes nothing there.
    plan = await story.plan(story.itself("m1"))
    assert kinds(plan, "c0").keys() <= {"delete", "wait"}
    await story.apply(story.itself("m1"))
    await story.hold("B", "A")
    await story.apply(story.itself())
    await approve(fleet, hold)
    await story.hold("B", "A")
    await story.apply(story.web("C"))
    await story.under_way("C")
    await story.hold("C", "A")
    await story.rollout("approve")
    await story.hold("C", "C")
    await host.delete(FEDERATED_CONFIGMAPS, story.namespace, "web")
    await story.hold(None, None)


async def test_what_is_orphaned_and_what_is_held_at_the_end_of_a_rollout(story: Story) -> None:
    """The whole set is deleted by name: web is let go of, the others are more than go by themselves."""
    host = story.fleet.host
    assert kinds(await story.plan(story.asks(UNDONE_ANNOTATION, "2")), "web")["change"] == ["m1"]
    await story.rollout("undo")
    await story.at("Undone", 1)
    await story.hold("A", "A")
    kept = story.web("B", **{marks.DELETION_ANNOTATION: "Orphan"})
    await story.apply(kept)
    await story.hold("A", "A")
    others = [story.configmap(name, value) for name, value in OTHERS.items()]
    plan = await story.plan(kept, *others, options=("--delete",))
    assert kinds(plan, "web") == {"release": BOTH}
    assert all(change["change"] == "delete" and change["held"] for name in OTHERS for change in changes(plan, name))
    for each in (kept, *others):
        await host.delete(FEDERATED_CONFIGMAPS, story.namespace, each["metadata"]["name"])
    group = await group_of(host, "DeletedByName", deletions=len(OTHERS) - 1)
    for api in (story.fleet.m1, story.fleet.m2):
        found = await story.fleet.values(api, story.namespace)
        assert found.pop("web") == "A"
        assert len(found) >= len(OTHERS) - 1, "the first has gone before others came"
    assert await host.get(FEDERATED_CONFIGMAPS, story.namespace, "web") is None
    await story.run("deletions", "approve", group["id"])
    await story.hold("A", "A", others=(False, False))
