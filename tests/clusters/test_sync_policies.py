"""Policies on real API servers: takeover, drift, ignored fields, orphans, disputes; by object, by type and for all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from federation.model.marks import MANAGED_LABEL, SYSTEM_NAMESPACE
from federation.model.resources import NAMESPACES, SECRETS, TYPE_CONFIGS, Resource
from tests.clusters.harness import (
    CONFIGMAPS,
    DEPLOYMENTS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_DEPLOYMENTS,
    FEDERATED_SECRETS,
    Api,
    eventually,
    federated_namespace,
    never,
)
from tests.clusters.steps import Federated, attempt_patch, configure, create, gone, holds, make

pytestmark = pytest.mark.usefixtures("mode")

DATA = {"data": {"a": "b"}}


def unmanaged(stored: Mapping[str, Any]) -> bool:
    marked = MANAGED_LABEL in stored["metadata"].get("labels", {})
    managers = [each["manager"] for each in stored["metadata"].get("managedFields", ())]
    return not marked and not any(each.startswith("kubefed") for each in managers)


async def unchanged(api: Api, resource: Resource, namespace: str, name: str, *, during: float = 1.5) -> None:
    """Nobody writes it for a while."""
    before = await api.get(resource, namespace, name)
    assert before is not None
    version = before["metadata"]["resourceVersion"]

    async def written() -> object:
        found = await api.get(resource, namespace, name)
        return None if found is not None and found["metadata"]["resourceVersion"] == version else found or "gone"

    await never(written, during=during)


async def type_policies(host: Api, name: str, policies: Mapping[str, Any] | None) -> None:
    await host.patch(TYPE_CONFIGS, SYSTEM_NAMESPACE, name, {"spec": {"policies": policies}})


@pytest.fixture
async def home(host: Api, namespace: str) -> str:
    await federated_namespace(host, namespace, ["m1", "m2"])
    return namespace


@pytest.fixture
async def said_by_others(host: Api) -> AsyncIterator[None]:
    """Whatever types and the KubeFedConfig say of policies is taken back."""
    yield
    await type_policies(host, "configmaps", None)
    await configure(host, {"policies": None})


async def events(about: Federated, reason: str) -> list[dict[str, Any]]:
    return [event for event in await about.events() if event["reason"] == reason]


# --- takeover --------------------------------------------------------------------------------------------------------


async def test_if_no_diff_takes_over_what_is_equal_and_leaves_what_is_not(
    host: Api, m1: Api, m2: Api, home: str
) -> None:
    await holds(m1, NAMESPACES, "", home)
    await holds(m2, NAMESPACES, "", home)
    for api, value in ((m1, "b"), (m2, "other")):
        body = {"metadata": {"name": "web"}, "data": {"a": value, "own": "x"}}
        await api.create(CONFIGMAPS, body, home)
    web = await create(
        host,
        FEDERATED_CONFIGMAPS,
        home,
        "web",
        DATA,
        clusters=["m1", "m2"],
        annotations={"kubefed.io/takeover": "IfNoDiff"},
    )
    await web.reports("m1")
    reported = await web.reports("m2", "AlreadyExists")
    assert ".data.a" in reported["message"]
    assert "other" not in reported["message"]
    taken = await holds(m1, CONFIGMAPS, home, "web", lambda each: each["metadata"].get("labels"))
    assert taken["data"] == {"a": "b", "own": "x"}
    left = await holds(m2, CONFIGMAPS, home, "web", unmanaged)
    assert left["data"] == {"a": "other", "own": "x"}
    await unchanged(m2, CONFIGMAPS, home, "web")
    await web.annotate(takeover="Always")
    await holds(m2, CONFIGMAPS, home, "web", lambda each: each["data"] == {"a": "b", "own": "x"})
    await web.settled()


async def test_a_secrets_value_is_in_no_message(host: Api, m1: Api, home: str) -> None:
    await holds(m1, NAMESPACES, "", home)
    await m1.create(SECRETS, {"metadata": {"name": "key"}, "data": {"pass": "aHVudGVyMg=="}}, home)
    key = await create(
        host,
        FEDERATED_SECRETS,
        home,
        "key",
        {"data": {"pass": "c2VzYW1l"}},
        clusters=["m1"],
        annotations={"kubefed.io/takeover": "IfNoDiff"},
    )
    reported = await key.reports("m1", "AlreadyExists")
    assert ".data.pass" in reported["message"]
    values = ("aHVudGVyMg", "hunter2", "c2VzYW1l", "sesame")
    status = str((await key.get())["status"])
    assert not any(value in status for value in values)
    assert not any(value in str(event) for event in await key.events() for value in values)


async def test_never_and_who_goes_before_whom(host: Api, m1: Api, home: str, said_by_others: None) -> None:
    await holds(m1, NAMESPACES, "", home)
    for name in ("first", "second"):
        await m1.create(CONFIGMAPS, {"metadata": {"name": name}, "data": {"a": "theirs"}}, home)
    await configure(host, {"policies": {"takeover": "Never"}})
    first = await create(host, FEDERATED_CONFIGMAPS, home, "first", DATA, clusters=["m1"])
    reported = await first.reports("m1", "AlreadyExists")
    assert "policy takeover: Never leaves it alone" in reported["message"]
    await type_policies(host, "configmaps", {"takeover": "Always"})
    await first.settled()
    await type_policies(host, "configmaps", None)
    mine = {"kubefed.io/takeover": "Always"}
    second = await create(host, FEDERATED_CONFIGMAPS, home, "second", DATA, clusters=["m1"], annotations=mine)
    await second.settled()
    assert (await holds(m1, CONFIGMAPS, home, "second"))["data"] == {"a": "b"}


async def test_what_is_not_understood_is_refused_or_invalid(
    host: Api, m1: Api, home: str, said_by_others: None
) -> None:
    web = await make(
        host, FEDERATED_CONFIGMAPS, home, "web", DATA, clusters=["m1"], annotations={"kubefed.io/drift": "Correct"}
    )
    await web.annotate(drift="Sometimes")
    found = await web.reason("Ready", "InvalidSpec")
    assert "metadata.annotations[kubefed.io/drift]: must be one of Correct, Report" in found["message"]
    await m1.patch(CONFIGMAPS, home, "web", {"data": {"a": "drifted"}})
    await unchanged(m1, CONFIGMAPS, home, "web")
    await web.annotate(drift=None)
    await holds(m1, CONFIGMAPS, home, "web", lambda each: each["data"] == {"a": "b"})
    for policies in ({"drift": "Sometimes"}, {"takeover": ""}, {"ignoreFields": ["data"]}):
        refused = await attempt_patch(
            host, TYPE_CONFIGS, SYSTEM_NAMESPACE, "configmaps", {"spec": {"policies": policies}}
        )
        assert refused, policies


# --- drift -----------------------------------------------------------------------------------------------------------


async def test_reported_drift_stays_until_the_template_changes(host: Api, m1: Api, m2: Api, home: str) -> None:
    both = {"data": {"a": "b", "c": "d"}}
    web = await make(
        host,
        FEDERATED_CONFIGMAPS,
        home,
        "web",
        both,
        clusters=["m1", "m2"],
        annotations={"kubefed.io/drift": "Report"},
    )
    await m1.apply(
        CONFIGMAPS,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "web", "namespace": home},
            "data": {"a": "hotfix"},
        },
        manager="mechanic",
    )
    reported = await web.reports("m1", "Drifted", '"mechanic" in this cluster changed .data.a')
    assert "hotfix" not in reported["message"]
    await web.reports("m2")
    assert (await web.reason("Ready", "CheckClusters"))["status"] == "False"
    await unchanged(m1, CONFIGMAPS, home, "web")
    told = await eventually(lambda: events(web, "DriftReported"), seen="event DriftReported")
    assert told[0]["type"] == "Warning"
    await m2.json_patch(CONFIGMAPS, home, "web", [{"op": "remove", "path": "/data/c"}])
    await web.reports("m2", "Drifted", ".data.c in this cluster differs from what was applied")
    await unchanged(m2, CONFIGMAPS, home, "web")
    await web.change({"template": {"data": {"a": "b", "c": "release"}}})
    for api in (m1, m2):
        await holds(api, CONFIGMAPS, home, "web", lambda each: each["data"] == {"a": "b", "c": "release"})


async def test_a_deleted_copy_is_not_made_anew_where_drift_is_reported(host: Api, m1: Api, home: str) -> None:
    web = await make(
        host, FEDERATED_CONFIGMAPS, home, "web", DATA, clusters=["m1"], annotations={"kubefed.io/drift": "Report"}
    )
    await m1.delete(CONFIGMAPS, home, "web")
    await web.reports("m1", "Drifted", "somebody deleted the copy")
    await never(lambda: m1.get(CONFIGMAPS, home, "web"))
    await web.annotate(drift=None)
    await holds(m1, CONFIGMAPS, home, "web")


async def test_ignored_fields_belong_to_the_member_after_creation(host: Api, m1: Api, home: str) -> None:
    pod: dict[str, Any] = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": pod}
    image = "/spec/template/spec/containers/0/image"
    web = await make(
        host,
        FEDERATED_DEPLOYMENTS,
        home,
        "web",
        {"spec": spec},
        clusters=["m1"],
        annotations={"kubefed.io/ignore-fields": f'["/spec/paused", "{image}"]'},
    )
    other = {"name": "c", "image": "registry.k8s.io/pause:3.9"}
    patch = [{"op": "replace", "path": image, "value": other["image"]}]
    await m1.json_patch(DEPLOYMENTS, home, "web", patch)

    async def corrected() -> bool:
        found = await holds(m1, DEPLOYMENTS, home, "web")  # whose status its controller writes meanwhile
        return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] != other["image"])

    await never(corrected, during=1.0)
    pod["spec"]["containers"] = [{"name": "c", "image": "registry.k8s.io/pause:3.8", "workingDir": "/srv"}]
    await web.change({"template": {"spec": spec}})
    stored = await holds(m1, DEPLOYMENTS, home, "web")
    (container,) = stored["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["workingDir"]) == (other["image"], "/srv")
    await web.annotate(**{"ignore-fields": None})
    await holds(
        m1,
        DEPLOYMENTS,
        home,
        "web",
        lambda each: each["spec"]["template"]["spec"]["containers"][0]["image"].endswith("3.8"),
    )
    await web.settled()


# --- deletion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deleted", "not-placed"])
async def test_orphaned_copies_stay_as_they_are(host: Api, m1: Api, m2: Api, home: str, how: str) -> None:
    web = await make(
        host,
        FEDERATED_CONFIGMAPS,
        home,
        "web",
        DATA,
        clusters=["m1", "m2"],
        annotations={"kubefed.io/deletion": "Orphan"},
    )
    if how == "deleted":
        await web.delete()
        await web.gone()
        await holds(m2, CONFIGMAPS, home, "web", unmanaged)
    else:
        await web.place("m2")
        told = await eventually(lambda: events(web, "CopyRemoved"), seen="event CopyRemoved")
        assert "policy deletion: Orphan leaves it behind" in told[0]["message"]
    stored = await holds(m1, CONFIGMAPS, home, "web", unmanaged)
    assert (stored["data"], "deletionTimestamp" in stored["metadata"]) == ({"a": "b"}, False)
    if how == "not-placed":
        await web.annotate(deletion=None)
        await web.place()
        await gone(m2, CONFIGMAPS, home, "web")


# --- disputes --------------------------------------------------------------------------------------------------------


async def test_a_dispute_is_told_once_and_names_who(host: Api, m1: Api, home: str) -> None:
    web = await make(host, FEDERATED_CONFIGMAPS, home, "web", DATA, clusters=["m1"])
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": home}}

    async def rival() -> None:
        while True:
            await m1.apply(CONFIGMAPS, {**body, "data": {"a": "theirs"}}, manager="rival")
            await asyncio.sleep(0.3)

    fighting = asyncio.create_task(rival())
    try:
        reported = await web.reports("m1", "Disputed")
        assert reported["message"].startswith('"rival" in this cluster sets .data.a again and again: put back 4 times')
        told = await eventually(lambda: events(web, "FieldDisputed"), seen="event FieldDisputed")
        assert told[0]["type"] == "Warning"
        assert '"rival"' in told[0]["message"]
    finally:
        fighting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await fighting
    # It is corrected after its delay, healthy then, and tells of it still.
    await holds(m1, CONFIGMAPS, home, "web", lambda each: each["data"] == {"a": "b"})
    await web.reports("m1", "", '"rival" in this cluster sets .data.a again and again')
    await web.settled()
    assert len(await events(web, "FieldDisputed")) == 1
