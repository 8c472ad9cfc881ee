"""What the status says: words, messages, generations, conditions that tools can wait on, and nothing it should not."""

import base64
import re

import orjson
import pytest

from federation.core import fingerprints
from federation.model.resources import NAMESPACES, Resource
from tests import gitops
from tests.clusters.fleets import Fleet
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_SECRETS,
    Api,
    condition,
    eventually,
    federated,
    federated_namespace,
    line,
)
from tests.clusters.steps import Federated, attempt_patch, create, holds, make

pytestmark = pytest.mark.usefixtures("mode")

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", namespaced=True)
LABELS = {"app": "web"}
PODS = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}


async def test_a_healthy_status_is_small_and_complete(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """Both conditions True, times and generation in them, and of each cluster a name and a fingerprint."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1", "m2"])
    stored = await web.get()
    status = stored["status"]
    assert set(status) == {"observedGeneration", "conditions", "clusters"}
    assert status["observedGeneration"] == stored["metadata"]["generation"]
    assert [each["name"] for each in status["clusters"]] == ["m1", "m2"]
    for each in status["clusters"]:
        assert set(each) <= {"name", "fingerprint"}
    assert fingerprints.parse(status["clusters"][0]["fingerprint"].removesuffix("*")) is not None
    assert status["clusters"][1] == {"name": "m2"}, "it shares the other's"
    propagation, ready = condition(stored, "Propagation"), condition(stored, "Ready")
    assert (propagation["status"], "reason" in propagation) == ("True", False)
    assert (ready["status"], ready["reason"]) == ("True", "Propagated")
    for each in (propagation, ready):
        assert STAMP.fullmatch(each["lastUpdateTime"])
        assert STAMP.fullmatch(each["lastTransitionTime"])


async def test_ready_can_be_waited_for_generation_by_generation(host: Api, m1: Api, namespace: str) -> None:
    """`kubectl wait --for=condition=Ready` and kstatus: Ready is never True for a generation that is not everywhere."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"n": "0"}}, clusters=["m1"])
    for number in range(1, 6):
        changed = await web.patch({"spec": {"template": {"data": {"n": str(number)}}}})
        generation = changed["metadata"]["generation"]

        async def reported(generation: int = generation) -> object:
            found = condition(await web.get(), "Ready")
            return found if found["status"] == "True" and found["observedGeneration"] == generation else None

        await eventually(reported)
        stored = await m1.get(CONFIGMAPS, namespace, "web")
        assert stored is not None
        assert stored["data"] == {"n": str(number)}, "Ready came before the member had it"


async def test_a_cluster_that_lags_says_which_generation_it_holds(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """m2 refuses the second generation: its line keeps the first one's fingerprint and number, m1's is plain."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    template = {"spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": PODS}}
    web = await make(host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1", "m2"])
    before = await web.get()
    overrides = [
        {"clusterName": "m2", "clusterOverrides": [{"path": "/spec/selector/matchLabels/app", "value": "other"}]}
    ]
    await web.patch({"spec": {"overrides": overrides, "template": {"metadata": {"labels": {"new": "1"}}}}})
    reported = await web.reports("m2", "UpdateFailed")
    assert reported["generation"] == before["metadata"]["generation"]
    assert reported["fingerprint"] == line(before, "m1")["fingerprint"].removesuffix("*")
    assert "spec.template.metadata.labels" in reported["message"] or "spec.selector" in reported["message"]
    assert set(await web.reports("m1")) <= {"name", "fingerprint"}
    ready = await web.reason("Ready", "CheckClusters")
    assert "1 of 2" in ready["message"]
    assert "m2: UpdateFailed" in ready["message"]
    assert (await web.reason("Propagation", "CheckClusters"))["status"] == "False"
    assert (await holds(m2, DEPLOYMENTS, namespace, "web"))["spec"]["selector"]["matchLabels"] == LABELS


async def test_kstatus_follows_an_object_from_its_first_moment(host: Api, m1: Api, namespace: str) -> None:
    """InProgress before any controller has seen it (the CRD's default), Failed at once for what only its user can mend,
    Current once it is mended; Stalled goes then.
    """
    await federated_namespace(host, namespace, ["m1"])
    spec = {"overrides": [{"clusterName": "m1", "clusterOverrides": [{"op": "remove", "path": "/data/none"}]}]}
    body = federated(FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"], **spec)
    created = await host.create(FEDERATED_CONFIGMAPS, body, namespace)
    assert created["status"] == {"observedGeneration": -1}
    assert gitops.kstatus(created) == "InProgress"
    web = Federated(host, FEDERATED_CONFIGMAPS, namespace, "web")
    stalled = await web.reason("Stalled", "ApplyOverridesFailed")
    assert "/data/none" in stalled["message"]
    failed = await web.get()
    assert (gitops.kstatus(failed), gitops.argo(failed)) == ("Failed", ("Degraded", stalled["message"]))
    mended = await web.patch({"spec": {"overrides": None}})
    assert gitops.kstatus(mended) == "InProgress", "of the generation before"
    mended = await web.settled()
    assert (gitops.kstatus(mended), condition(mended, "Stalled")) == ("Current", {})


async def test_a_refusal_that_may_pass_does_not_stall(host: Api, m1: Api, namespace: str) -> None:
    """A quota is raised by somebody else; a manifest that the member finds invalid stays invalid."""
    await federated_namespace(host, namespace, ["m1"])
    await eventually(lambda: m1.get(NAMESPACES, "", namespace))
    quota = {"metadata": {"name": "none", "namespace": namespace}, "spec": {"hard": {"count/configmaps": "0"}}}
    await m1.create(QUOTAS, quota, namespace)
    template = {"spec": {"selector": {"matchLabels": LABELS}, "template": {**PODS, "metadata": {"labels": {"a": "b"}}}}}
    bad = await create(host, FEDERATED_DEPLOYMENTS, namespace, "bad", template, clusters=["m1"])
    stalled = await bad.reason("Stalled", "CreationFailed")
    assert "spec.template.metadata.labels" in stalled["message"]
    full = await create(host, FEDERATED_CONFIGMAPS, namespace, "full", {"data": {"a": "b"}}, clusters=["m1"])
    assert "quota" in (await full.reports("m1", "CreationFailed"))["message"]
    stored = await full.get()
    assert (gitops.kstatus(stored), condition(stored, "Stalled")) == ("InProgress", {})


async def test_failures_and_their_end_are_events_and_nothing_else_is(
    host: Api, m1: Api, m2: Api, namespace: str
) -> None:
    """One Warning when it begins, however often it is tried, and one Normal when it ends; none for what goes well."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    good = await make(host, FEDERATED_CONFIGMAPS, namespace, "good", {"data": {"a": "b"}}, clusters=["m1", "m2"])
    await good.change({"template": {"data": {"a": "c"}}})
    overrides = [{"clusterName": "m2", "clusterOverrides": [{"op": "remove", "path": "/data/none"}]}]
    bad = await create(
        host, FEDERATED_CONFIGMAPS, namespace, "bad", {"data": {"a": "b"}}, clusters=["m1", "m2"], overrides=overrides
    )
    await bad.reports("m2", "ApplyOverridesFailed")
    await bad.patch({"metadata": {"annotations": {"touched": "1"}}})

    async def reported() -> object:
        return await bad.events()

    await eventually(reported)
    await bad.change({"overrides": None})

    async def ended() -> object:
        return [each for each in await bad.events() if each["type"] == "Normal"]

    await eventually(ended)
    found = [(each["type"], each["reason"]) for each in await bad.events()]
    assert found == [("Warning", "PropagationFailed"), ("Normal", "Propagated")]
    assert "m2: ApplyOverridesFailed" in (await bad.events())[0]["message"]
    assert await good.events() == []


async def test_a_refused_secret_gives_its_value_to_nobody(fleet: Fleet, host: Api, m1: Api, namespace: str) -> None:
    """A canary that the member refuses, in a Secret and in its overrides, is in no status, event, log or metric."""
    await federated_namespace(host, namespace, ["m1"])
    canary = "canary7Qx2hunter"
    immutable = {"type": "Opaque", "immutable": True, "stringData": {"password": canary}}
    web = await make(host, FEDERATED_SECRETS, namespace, "web", immutable, clusters=["m1"])
    await web.patch({"spec": {"template": {"stringData": {"password": f"{canary}-2"}}}})
    reported = await web.reports("m1", "UpdateFailed")
    assert reported["message"]
    wrong = {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": canary}}
    other = await create(host, FEDERATED_SECRETS, namespace, "other", wrong, clusters=["m1"])
    reported = await other.reports("m1", "CreationFailed")
    assert reported["message"]
    override = [
        {"clusterName": "m1", "clusterOverrides": [{"path": "/stringData", "value": {"password": {"x": canary}}}]}
    ]
    third = await create(host, FEDERATED_SECRETS, namespace, "third", immutable, clusters=["m1"], overrides=override)
    await third.reason("Ready", "CheckClusters")
    encoded = base64.b64encode(canary.encode()).decode()[:-2]
    for each in (web, other, third):
        for text in (str((await each.get())["status"]), str(await each.events())):
            assert canary not in text
            assert encoded not in text
    for text in (fleet.controller.log, fleet.controller.metrics()):
        assert canary not in text
        assert encoded not in text


async def test_a_long_message_is_cut(host: Api, m1: Api, namespace: str) -> None:
    """A member's refusal of a thousand characters is 300 in the status, on one line."""
    await federated_namespace(host, namespace, ["m1"])
    containers = [{"name": f"c{number}", "image": ""} for number in range(40)]
    pods = {"metadata": {"labels": LABELS}, "spec": {"containers": containers}}
    template = {"spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": pods}}
    web = await create(host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1"])
    reported = await web.reports("m1", "CreationFailed")
    assert "spec.template.spec.containers[0].image" in reported["message"]
    assert 200 < len(reported["message"]) <= 300
    assert "\n" not in reported["message"]


async def test_equal_messages_are_said_once(host: Api, m1: Api, m2: Api, namespace: str) -> None:
    """The second cluster refers to the first."""
    await federated_namespace(host, namespace, ["m1", "m2"])
    pods = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": ""}]}}
    template = {"spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": pods}}
    web = await create(host, FEDERATED_DEPLOYMENTS, namespace, "web", template, clusters=["m1", "m2"])
    await web.reports("m1", "CreationFailed")
    assert (await web.reports("m2", "CreationFailed"))["message"] == "same as m1"


async def test_a_whole_object_that_cannot_be_understood_says_where(host: Api, m1: Api, namespace: str) -> None:
    """Another kind in the template: InvalidSpec with the field; what was pushed before stays."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    message = await attempt_patch(
        host, FEDERATED_CONFIGMAPS, namespace, "web", {"spec": {"template": {"kind": "Secret"}}}
    )
    if not message:
        for kind in ("Propagation", "Ready"):
            reported = await web.reason(kind, "InvalidSpec")
            assert reported["status"] == "False"
            assert "spec.template.kind" in reported["message"]
        message = reported["message"]
    assert "kind" in message
    assert (await holds(m1, CONFIGMAPS, namespace, "web"))["data"] == {"a": "b"}


async def test_a_status_that_somebody_wiped_is_written_again(host: Api, m1: Api, namespace: str) -> None:
    """As after a restore without status: no write to the member is needed for it, and Ready returns."""
    await federated_namespace(host, namespace, ["m1"])
    web = await make(host, FEDERATED_CONFIGMAPS, namespace, "web", {"data": {"a": "b"}}, clusters=["m1"])
    before = await holds(m1, CONFIGMAPS, namespace, "web")
    stored = await web.get()
    path = f"{FEDERATED_CONFIGMAPS.collection(namespace)}/web/status"
    del stored["status"]
    answer = await host.connection.request("PUT", path, body=orjson.dumps(stored))
    assert getattr(answer, "code", 0) == 200, answer
    await web.settled()
    assert await m1.get(CONFIGMAPS, namespace, "web") == before
    await web.patch({"spec": {"template": {"data": {"a": "c"}}}})
    await web.settled()
    after = await holds(m1, CONFIGMAPS, namespace, "web")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["data"] == {"a": "c"}
