"""Faults of credentials: refused, revoked, lacking a right, deleted, garbage. One cluster suffers, and says why.

Numbers are those of the fault table in docs/faults.md.
"""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from federation.core import naming
from federation.kube.connection import expect
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import SECRETS, SERVICE_ACCOUNTS, ObjectName, Resource
from federation.playground import pki
from federation.playground.faults import Fault
from tests.clusters.faulty import Faulty, passed, tried
from tests.clusters.harness import (
    CONFIGMAPS,
    FEDERATED_CONFIGMAPS,
    FEDERATED_SECRETS,
    Api,
    condition,
    eventually,
    federated,
    line,
)
from tests.clusters.steps import point

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
ACCOUNT = naming.service_account("m1", "host")
CANARY = "c4N4ryOfTheCredentials"

Rule = dict[str, Any]


async def in_both(faulty: Faulty, namespace: str, *names: str) -> None:
    """Federated ConfigMaps with {a: b} that both members hold, and a request log that starts now."""
    await faulty.federate(namespace)
    for name in names:
        await faulty.make(namespace, name)
    for name in names:
        await faulty.until_ready(namespace, name)
    faulty.forget_requests()


@asynccontextmanager
async def rights(api: Api, change: Callable[[Rule], list[Rule]]) -> AsyncIterator[None]:
    """The account's rules in m1 are others inside the block; each rule becomes what `change` makes of it."""
    name = naming.role("m1", "host")
    role = await api.get(CLUSTER_ROLES, "", name)
    assert role is not None
    rules = [changed for rule in role["rules"] for changed in change(rule)]
    assert rules != role["rules"]
    await api.patch(CLUSTER_ROLES, "", name, {"rules": rules})
    try:
        yield
    finally:
        await api.patch(CLUSTER_ROLES, "", name, {"rules": role["rules"]})


def without(resource: str, *verbs: str) -> Callable[[Rule], list[Rule]]:
    """The rule without these verbs (all when none is named) on one resource."""

    def change(rule: Rule) -> list[Rule]:
        if resource not in rule.get("resources", ()):
            return [rule]
        rest = {**rule, "resources": [each for each in rule["resources"] if each != resource]}
        less = {**rule, "resources": [resource], "verbs": [verb for verb in rule["verbs"] if verb not in verbs]}
        return [each for each in (rest, less) if each["resources"] and (each is rest or (verbs and each["verbs"]))]

    return change


async def token(api: Api, **bound: str) -> str:
    """A token of the controller's account in m1; `bound` to an object, it dies with it."""
    spec: dict[str, Any] = {"expirationSeconds": 3600}
    if bound:
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", **bound}
    path = SERVICE_ACCOUNTS.path(ObjectName(SYSTEM_NAMESPACE, ACCOUNT)) + "/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = expect(await api.connection.request("POST", path, body=orjson.dumps(body)), path)
    return str(answer.json()["status"]["token"])


async def give(faulty: Faulty, value: str) -> None:
    """Put a token into the Secret that m1's KubeFedCluster refers to."""
    data = {"token": base64.b64encode(value.encode()).decode()}
    await faulty.host.patch(SECRETS, SYSTEM_NAMESPACE, ACCOUNT, {"data": data})


async def test_unauthorized_everywhere(faulty: Faulty, namespace: str) -> None:
    """17: m1 answers 401 to everything. Not Ready within the threshold, with the reason; others go on; nothing lost."""
    await in_both(faulty, namespace, "web")
    faulty.to_m1.inject(Fault("status", code=401))
    faulty.to_m1.cut_watches()
    reported = await faulty.until_cluster("m1", "False")
    assert (reported["reason"], "401" in reported["message"]) == ("ClusterNotReady", True)
    await faulty.m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "drifted"}})
    await faulty.change(namespace, "web", "c")
    await faulty.until_held(faulty.m2, namespace, "web", "c")
    await faulty.until_line(namespace, "web", "m1", "ClusterNotReady")
    faulty.to_m1.clear()
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    await faulty.until_ready(namespace, "web")


async def test_missing_right_to_read_names_it(faulty: Faulty, namespace: str) -> None:
    """17: m1's admin takes ConfigMaps from our role. The user sees RetrievalFailed with verb and resource, the cluster
    Synced False; other types and m2 go on. The right comes back: watches resume without a restart, nothing was missed.
    """
    await in_both(faulty, namespace, "web")
    async with rights(faulty.m1, without("configmaps")):
        faulty.to_m1.cut_watches("configmaps")
        reported = await faulty.until_line(namespace, "web", "m1", "RetrievalFailed")
        assert 'resource "configmaps"' in reported["message"]

        async def synced() -> object:
            return condition(await faulty.cluster("m1"), "Synced").get("reason") == "RightMissing"

        await eventually(synced)
        assert await faulty.cluster_state("m1") == "True"
        secret = federated(FEDERATED_SECRETS, namespace, "other", {"data": {"a": "Yg=="}}, clusters=["m1", "m2"])
        await faulty.host.create(FEDERATED_SECRETS, secret, namespace)
        await faulty.until_ready(namespace, "other", FEDERATED_SECRETS)
        await faulty.m1.delete(CONFIGMAPS, namespace, "web")
        await faulty.change(namespace, "web", "c")
        await faulty.until_held(faulty.m2, namespace, "web", "c")
        assert tried(faulty.to_m1, namespace=namespace, name="web") == []
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    await faulty.until_ready(namespace, "web")


async def test_missing_right_to_write_names_it(faulty: Faulty, namespace: str) -> None:
    """17: our role may read ConfigMaps in m1 and not write them. CreationFailed names verb and resource; no hurry."""
    await in_both(faulty, namespace, "first")
    async with rights(faulty.m1, without("configmaps", "create", "patch", "update", "delete")):
        await faulty.make(namespace, "web")
        reported = await faulty.until_line(namespace, "web", "m1", "CreationFailed")
        assert 'cannot patch resource "configmaps"' in reported["message"]
        assert len(tried(faulty.to_m1, namespace=namespace, name="web")) <= 3
    await faulty.until_ready(namespace, "web")


async def test_token_rotated_and_revoked_under_open_watches(faulty: Faulty, namespace: str) -> None:
    """19: the token is exchanged, then revoked. No restart, no drift missed.

    Exchanged: the next write goes with the new one. Revoked and not renewed, open watches go on as if nothing had
    happened, yet the cluster is not Ready within the threshold, with the reason. A good token ends it.
    """
    await in_both(faulty, namespace, "web")
    pid = faulty.controller.pid
    holder = await faulty.m1.create(SECRETS, {"metadata": {"name": "holder"}}, SYSTEM_NAMESPACE)
    try:
        await give(faulty, await token(faulty.m1, name="holder", uid=str(holder["metadata"]["uid"])))
        await eventually(lambda: _reported_text(faulty, "cluster credentials replaced"))
        await faulty.m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "drifted"}})
        await faulty.until_held(faulty.m1, namespace, "web", "b")
        assert {each.code for each in passed(faulty.to_m1, namespace=namespace)} == {200, 409}

        await faulty.m1.delete(SECRETS, SYSTEM_NAMESPACE, "holder")
        reported = await faulty.until_cluster("m1", "False")
        assert (reported["reason"], "Unauthorized" in reported["message"]) == ("ClusterNotReady", True)
        assert faulty.to_m1.open_watches() > 0
        await faulty.until_line(namespace, "web", "m1", "ClusterNotReady")
        await faulty.m1.patch(CONFIGMAPS, namespace, "web", {"data": {"a": "drifted again"}})
    finally:
        await give(faulty, await token(faulty.m1))
    await faulty.until_held(faulty.m1, namespace, "web", "b")
    await faulty.until_cluster("m1", "True")
    assert faulty.controller.pid == pid


@asynccontextmanager
async def spoilt(faulty: Faulty, how: str) -> AsyncIterator[None]:
    """m1's stored credentials are spoilt inside the block."""
    secret = await faulty.host.get(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
    cluster = await faulty.cluster("m1")
    assert secret is not None
    kept = {"metadata": {key: secret["metadata"].get(key) for key in ("name", "annotations")}, "type": secret["type"]}
    canary = base64.b64encode(b"\xff" + CANARY.encode()).decode()
    if how == "ca":
        broken = base64.b64encode(
            f"-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n".encode()
        ).decode()
        await point(faulty.host, "m1", {"caBundle": broken})
    else:
        await faulty.host.delete(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
        data = {"empty": {}, "binary": {"token": canary}, "kubeconfig": {"kubeconfig": canary}, "deleted": None}[how]
        if data is not None:
            await faulty.host.create(SECRETS, {**kept, "data": data}, SYSTEM_NAMESPACE)
    try:
        yield
    finally:
        await faulty.host.delete(SECRETS, SYSTEM_NAMESPACE, ACCOUNT)
        await faulty.host.create(SECRETS, {**kept, "data": secret["data"]}, SYSTEM_NAMESPACE)
        await point(faulty.host, "m1", {"caBundle": cluster["spec"]["caBundle"]})


@pytest.mark.parametrize("how", ["deleted", "empty", "binary", "kubeconfig", "ca"])
async def test_unusable_credentials_are_one_clusters_trouble(faulty: Faulty, namespace: str, how: str) -> None:
    """20: the Secret of m1 is deleted, or holds garbage; the CA is none. m1 is Unknown with a message that quotes
    nothing of it; m2 and every object go on, also after a restart in that state. Put right, m1 catches up.
    """
    await in_both(faulty, namespace, "web")
    async with spoilt(faulty, how):
        reported = await faulty.until_cluster("m1", "Unknown")
        assert reported["reason"] == "ClusterConfigMalformed"
        assert len(reported["message"]) > 10
        await faulty.restart()
        await faulty.change(namespace, "web", "c")
        await faulty.until_held(faulty.m2, namespace, "web", "c")
        stored = await faulty.until_line(namespace, "web", "m1", "ClusterNotReady")
        assert CANARY not in str(stored) + str(reported)
        assert tried(faulty.to_m1, namespace=namespace) == []
    await faulty.until_held(faulty.m1, namespace, "web", "c")
    await faulty.until_ready(namespace, "web")
    assert CANARY not in faulty.controller.log


async def test_certificate_of_somebody_else(faulty: Faulty, namespace: str) -> None:
    """Beyond the table: m1's address answers with a certificate that our CA did not sign. No token is sent there."""
    await in_both(faulty, namespace, "web")
    cluster = await faulty.cluster("m1")
    stranger = base64.b64encode(pki.authority("stranger").certificate).decode()
    await point(faulty.host, "m1", {"caBundle": stranger})
    try:
        reported = await faulty.until_cluster("m1", "False")
        assert (reported["reason"], "certificate" in reported["message"]) == ("ClusterNotReachable", True)
        faulty.to_m1.requests.clear()
        await faulty.change(namespace, "web", "c")
        await faulty.until_held(faulty.m2, namespace, "web", "c")
        assert len(faulty.to_m1.requests) == 0
    finally:
        await point(faulty.host, "m1", {"caBundle": cluster["spec"]["caBundle"]})
    stored = await faulty.until_ready(namespace, "web")
    assert line(stored, "m1").get("status") is None
    assert await faulty.host.get(FEDERATED_CONFIGMAPS, namespace, "web")


async def _reported_text(faulty: Faulty, what: str) -> bool:
    return what in faulty.controller.log
